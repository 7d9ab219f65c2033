//! What an operator does about the exchange as a whole: compare now, declare an outage, refuse a
//! message that waits in vain.

use anyhow::Result;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::{operate, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::Output;

/// Tell the partner now what was sent since the last comparison, as each night.
///
/// What is missing there is asked for and sent again; the answers stand in the history, see
/// `karvan customs list tasks`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs compare --dir pk")]
pub(crate) struct Compare {
    #[command(flatten)]
    node: NodeArgs,
}

/// Declare since when documents of the partner may not have come, or that this is over.
///
/// Claims on certificates of that time are held without blame. `karvan customs timers` shows the
/// outages with their numbers.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["from", "over"])))]
#[command(after_help = "Examples:\n  karvan customs outage --from 2026-10-05T05:00:00Z \\\n    \
    --text \"the line to Baku is cut\" --dir pk\n  karvan customs outage --over 1 --text \"the \
    line is mended\" --dir pk")]
pub(crate) struct Outage {
    /// Since when, an instant such as 2026-10-05T05:00:00Z.
    #[arg(long, value_name = "INSTANT")]
    from: Option<String>,
    /// Number of the outage that is over.
    #[arg(long, value_name = "NUMBER")]
    over: Option<u64>,
    /// What is known about it, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Refuse a message that waits for another one which will not come; its sender is told.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs unpark 01a20197-4477-7c85-b4e7-d4f0a3794fc4 \
    \\\n    --text \"the original was withdrawn\" --dir pk")]
pub(crate) struct Unpark {
    /// The exchange, as `karvan customs list parked` shows it.
    exchange: String,
    /// Why, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn compare(command: &Compare, output: Output) -> Result<Outcome> {
    let done = operate(&command.node, "compare", &json!({}))?;
    output.print(&done, |done| {
        let (partner, from) = (text(&done["partner"]), text(&done["from"]));
        format!("{partner} is told what was sent since {from}")
    })?;
    Ok(Outcome::Done)
}

pub(crate) fn outage(command: &Outage, output: Output) -> Result<Outcome> {
    let input = json!({ "from": command.from, "over": command.over, "text": command.text });
    let outage = operate(&command.node, "outage", &input)?;
    output.print(&outage, |outage| {
        let (number, from) = (text(&outage["number"]), text(&outage["from"]));
        match outage["until"].as_str() {
            Some(until) => format!("outage {number}: over, from {from} to {until}"),
            None => format!("outage {number}: since {from}"),
        }
    })?;
    Ok(Outcome::Done)
}

pub(crate) fn unpark(command: &Unpark, output: Output) -> Result<Outcome> {
    let input = json!({ "exchange": command.exchange, "text": command.text });
    let done = operate(&command.node, "unpark", &input)?;
    output
        .print(&done, |_| format!("message {} is refused; its sender is told", command.exchange))?;
    Ok(Outcome::Done)
}
