//! `karvan node`.

use std::path::PathBuf;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::Outcome;
use crate::config::Config;
use crate::node::{self, Ready};
use crate::output::{self, Output};
use crate::telemetry;

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
    /// End when standard input ends: how a program that starts nodes takes them with it.
    #[arg(long, hide = true)]
    parent_pipe: bool,
}

pub(crate) fn run(command: &Node, output: Output) -> Result<Outcome> {
    let config = Config::load(&command.config)?;
    let _telemetry = telemetry::start(&config.telemetry)?;
    #[cfg(feature = "measure")]
    crate::measure::permit()?;
    let stop = end_wanted(command.parent_pipe);
    node::run(&config, |ready| announce(ready, output), stop)?;
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

/// Resolves when the node is to end: at a signal, or when standard input ends and that counts.
async fn end_wanted(parent_pipe: bool) {
    let (closed, at_end) = oneshot::channel::<()>();
    let watch = move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(closed);
    };
    // A thread that cannot be started counts as an end: a node must not outlive its parent.
    if parent_pipe && std::thread::Builder::new().name("parent-pipe".into()).spawn(watch).is_ok() {
        tokio::select! {
            () = stop_signal() => {}
            _ = at_end => tracing::info!("the program that started this node ended; so does it"),
        }
    } else if !parent_pipe {
        stop_signal().await;
    }
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
