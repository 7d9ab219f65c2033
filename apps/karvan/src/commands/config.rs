//! `karvan config`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use karvan_system::{Clock as _, OsDisk, SystemClock};
use karvan_trust::lists::TrustStore;
use serde_json::json;

use super::Outcome;
use crate::config::Config as File;
use crate::output::Output;
use crate::{agreements, setup};

/// Check or show a configuration file.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Config {
    /// Check a configuration file, its keys, certificate, tokens and agreements.
    #[command(after_help = "Example:\n  karvan config check pk/node.toml")]
    Check {
        /// Configuration file.
        file: PathBuf,
    },
    /// Show the effective configuration, with every default.
    ///
    /// No secret is shown: the file names only the files and variables that hold them.
    #[command(after_help = "Example:\n  karvan config show pk/node.toml")]
    Show {
        /// Configuration file.
        file: PathBuf,
    },
}

pub(crate) fn run(command: Config, output: Output) -> Result<Outcome> {
    match command {
        Config::Show { file } => {
            let config = File::load(&file)?;
            let text = config.show()?;
            output.print(&config, |_| text)?;
            Ok(Outcome::Done)
        }
        Config::Check { file } => {
            let problems = check(&File::load(&file)?)?;
            let report = json!({ "file": file, "problems": problems });
            output.print(&report, |_| {
                if problems.is_empty() {
                    return format!("{} is good", file.display());
                }
                let lines: Vec<_> = problems.iter().map(|each| format!("✗ {each}")).collect();
                lines.join("\n")
            })?;
            Ok(if problems.is_empty() { Outcome::Done } else { Outcome::CheckFailed })
        }
    }
}

/// Opens what the node will open, without changing anything; what is merely not ready yet is a
/// problem, what is broken an error.
fn check(config: &File) -> Result<Vec<String>> {
    setup::open_keys(&config.keys)?;
    setup::read_certificate(&config.peer.certificate)?;
    setup::read_token_file(&config.local.token_file)?;
    crate::subsystems::registered(config.customs.as_ref())?;
    let now = SystemClock.now();
    let mut problems = Vec::new();
    let folder = config.node.data.join("trust");
    // A node that never ran under lists has accepted none yet; opening the store would make the
    // folder, and a start that failed has made it.
    let has_run = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let folder = if has_run { folder } else { config.trust.folder.clone() };
    let lists = TrustStore::open(&folder, Arc::new(OsDisk))?.snapshot();
    if let Err(error) = lists.node(&config.node.id, now) {
        problems.push(format!("{}: {error}", config.node.id));
    }
    problems.extend(agreements::load(&config.agreements.folder, &lists, now)?.problems);
    Ok(problems)
}
