//! What negotiations and transfers have in common: both are processes of the Dataspace Protocol,
//! listed, named by a process id (`urn:uuid:…`) and moved on by one word.
//!
//! Not here: the words of each (`super::agreements`, `super::transfers`).

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::agreements::describe_process;
use super::catalog::segment;
use crate::client::{Client, NodeArgs};
use crate::output::Output;

/// What stands before a process id.
pub(super) const PREFIX: &str = "urn:uuid:";

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only what waits for a decision of ours.
    #[arg(long)]
    pub(super) waiting: bool,
    /// At most so many, the newest first.
    #[arg(long, default_value_t = 100)]
    pub(super) limit: usize,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Process {
    /// Process id, as `list` prints it.
    pub(super) id: String,
    #[command(flatten)]
    pub(super) node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Reasoned {
    #[command(flatten)]
    pub(super) process: Process,
    /// Why; the other side reads it, and it is kept as evidence.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
}

/// Returns the address of a process in `collection`; an id may be given without what stands before
/// it.
pub(super) fn path(collection: &str, id: &str) -> String {
    let id = if id.contains(':') { id.to_owned() } else { format!("{PREFIX}{id}") };
    format!("{collection}/{}", segment(&id))
}

/// Moves a process on by one word and shows it.
pub(super) fn steer(
    (collection, process): (&str, &Process),
    verb: &str,
    said: &Value,
    output: Output,
) -> Result<()> {
    let path = format!("{}/{verb}", path(collection, &process.id));
    let process = Client::open(&process.node)?.post_json(&path, said)?;
    output.print(&process, describe_process)
}
