//! `karvan node`.

use std::path::PathBuf;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::Outcome;
use crate::config::{Config, LogFormat, TelemetrySection};
use crate::failure::Failure;
use crate::node::{self, Ready};
use crate::output::{self, Output};

/// Run a node.
///
/// Prints one line when it accepts connections, and writes its addresses to `ready.json` in the
/// folder of its state. Ends cleanly on SIGTERM or Ctrl-C. Log lines go to standard error.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  karvan node --config pk/node.toml")]
pub(crate) struct Node {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run(command: &Node, output: Output) -> Result<Outcome> {
    let config = Config::load(&command.config)?;
    start_log(&config.telemetry)?;
    node::run(&config, |ready| announce(ready, output), stop_signal())?;
    Ok(Outcome::Done)
}

fn announce(ready: &Ready, output: Output) {
    let text = if output.json {
        serde_json::to_string(ready).unwrap_or_default()
    } else {
        format!(
            "{} is ready: peers at {}, local interface at {}",
            ready.node, ready.peer, ready.local
        )
    };
    // Nobody may be reading; the file says the same.
    let _ = output::write(format!("{text}\n").as_bytes());
}

/// Sends log lines to standard error, once for the process.
pub(crate) fn start_log(telemetry: &TelemetrySection) -> Result<()> {
    let filter = EnvFilter::builder().parse(&telemetry.log)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match telemetry.format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    started.map_err(|error| Failure::config(format!("the log cannot start: {error}")).into())
}

/// Resolves at SIGTERM or Ctrl-C.
async fn stop_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => if interrupted.is_err() {
            std::future::pending::<()>().await;
        },
    }
    tracing::info!("the node stops");
}
