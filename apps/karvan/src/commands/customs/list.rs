//! Lists of what is here.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// List claims, certificates, export declarations, tasks, parked messages or overrides.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs list claims --state query --dir pk")]
pub(crate) struct List {
    /// What.
    #[arg(value_enum)]
    what: What,
    /// Only those in this state, such as `open`, `granted` or `used-up`.
    #[arg(long)]
    state: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    Claims,
    Certificates,
    Exports,
    Tasks,
    Parked,
    Overrides,
}

impl What {
    /// Returns the name in the operation, and the members that make the columns.
    fn columns(self) -> (&'static str, [&'static str; 6]) {
        match self {
            Self::Claims => {
                ("claims", ["claim", "item", "certificate", "state", "light", "proposal"])
            }
            Self::Certificates => {
                ("certificates", ["number", "version", "state", "validUntil", "issuer", "delivery"])
            }
            Self::Exports => {
                ("exports", ["number", "version", "state", "ucr", "sender", "delivery"])
            }
            Self::Tasks => ("tasks", ["number", "kind", "subject", "openedAt", "text", ""]),
            Self::Parked => ("parked", ["exchange", "code", "sender", "waitsFor", "at", ""]),
            Self::Overrides => {
                ("overrides", ["claim", "item", "decision", "reason", "officer", "text"])
            }
        }
    }
}

pub(crate) fn run(command: &List, output: Output) -> Result<Outcome> {
    let (name, columns) = command.what.columns();
    let mut input = Map::new();
    input.insert("what".to_owned(), name.into());
    if let Some(state) = &command.state {
        input.insert("state".to_owned(), state.as_str().into());
    }
    if let Some(limit) = command.limit {
        input.insert("limit".to_owned(), limit.into());
    }
    let listed = operate(&command.node, "list", &Value::Object(input))?;
    output.print(&listed, |listed| {
        let cells: Vec<_> =
            rows(&listed["rows"]).map(|row| columns.map(|column| text(&row[column]))).collect();
        let headings = columns.map(heading);
        let headings = headings.each_ref().map(String::as_str);
        if cells.is_empty() { format!("no {name}") } else { table(headings, &cells) }
    })?;
    Ok(Outcome::Done)
}

/// Returns the name of a member in words.
fn heading(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
