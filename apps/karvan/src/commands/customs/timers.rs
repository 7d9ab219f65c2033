//! What is waited for, and how the partner is heard.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// Show what is waited for, since when and until when, and when the partner was last heard.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs timers --dir pk\n  \
    karvan customs timers --subject exchange --dir pk --json")]
pub(crate) struct Timers {
    /// Only those of this subject, such as `certificate AZ:AZPK202600001`.
    #[arg(long)]
    subject: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Timers, output: Output) -> Result<Outcome> {
    let mut input = json!({});
    if let (Some(subject), Some(members)) = (&command.subject, input.as_object_mut()) {
        members.insert("subject".to_owned(), subject.as_str().into());
    }
    let found = operate(&command.node, "timers", &input)?;
    output.print(&found, shown)?;
    Ok(Outcome::Done)
}

fn shown(found: &Value) -> String {
    let columns = ["due", "waitsFor", "subject", "note"];
    let cells: Vec<_> =
        rows(&found["rows"]).map(|row| columns.map(|column| text(&row[column]))).collect();
    let waiting = if cells.is_empty() {
        "nothing is waited for".to_owned()
    } else {
        table(["due", "waits for", "subject", "about"], &cells)
    };
    let columns = ["clock", "minutes", "status", "about"];
    let clocks: Vec<_> =
        rows(&found["clocks"]).map(|row| columns.map(|column| text(&row[column]))).collect();
    let clocks = table(["clock", "minutes", "status", "what"], &clocks);
    let partner = text(&found["partner"]);
    let heard = found["heardAt"].as_str().unwrap_or("never");
    let mut shown = format!("{}\n\n{}\n", waiting.trim_end(), clocks.trim_end());
    let _ = writeln!(shown, "\n{partner} last heard: {heard}");
    for outage in rows(&found["outages"]).filter(|outage| outage["until"].is_null()) {
        let (number, from) = (text(&outage["number"]), text(&outage["from"]));
        let _ = writeln!(shown, "outage {number} since {from}: {}", text(&outage["text"]));
    }
    shown
}
