//! Lists of what is here.

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};

use super::{measure, operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// List claims, certificates, export declarations, tasks, parked messages or overrides.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs list claims --state query --dir pk\n  \
    karvan customs list overrides --month 2026-10 --dir pk")]
pub(crate) struct List {
    /// What.
    #[arg(value_enum)]
    what: What,
    /// Only those in this state, such as `open`, `granted` or `used-up`.
    #[arg(long)]
    state: Option<String>,
    /// Of overrides, the month in which they were proposed, with sums by officer.
    #[arg(long, value_name = "YYYY-MM")]
    month: Option<String>,
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
            Self::Parked => {
                ("parked", ["exchange", "document", "sender", "waitsFor", "at", "alarmAt"])
            }
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
    if let Some(month) = &command.month {
        input.insert("month".to_owned(), month.as_str().into());
    }
    let listed = operate(&command.node, "list", &Value::Object(input))?;
    if command.month.is_some() {
        output.print(&listed, month)?;
        return Ok(Outcome::Done);
    }
    output.print(&listed, |listed| {
        let cells: Vec<_> =
            rows(&listed["rows"]).map(|row| columns.map(|column| text(&row[column]))).collect();
        let headings = columns.map(heading);
        let headings = headings.each_ref().map(String::as_str);
        if cells.is_empty() { nothing(name) } else { table(headings, &cells) }
    })?;
    Ok(Outcome::Done)
}

fn nothing(name: &str) -> String {
    let of = if name == "parked" { " messages" } else { "" };
    format!("no {name}{of}")
}

/// Says the overrides of a month, and what each officer had to do with them.
fn month(listed: &Value) -> String {
    let cells: Vec<_> = rows(&listed["rows"])
        .map(|row| {
            let second = &row["ended"]["by"];
            [
                text(&row["claim"]),
                text(&row["item"]),
                text(&row["state"]),
                text(&row["officer"]),
                if second.is_null() { "-".to_owned() } else { text(second) },
                text(&row["reason"]),
                measure(&row["saved"]),
                text(&row["text"]),
            ]
        })
        .collect();
    if cells.is_empty() {
        return format!("no overrides were proposed in {}\n", text(&listed["month"]));
    }
    let headings = ["claim", "item", "state", "proposed by", "ended by", "reason", "saves", "why"];
    let officers: Vec<_> = rows(&listed["officers"])
        .map(|row| {
            let saved: Vec<_> = rows(&row["saved"]).map(measure).collect();
            let columns = ["officer", "proposed", "granted", "confirmedForOthers"];
            let [officer, proposed, granted, confirmed] = columns.map(|name| text(&row[name]));
            let rejected = text(&row["rejectedOfOthers"]);
            [officer, proposed, granted, saved.join(", "), confirmed, rejected]
        })
        .collect();
    let sums = ["officer", "proposed", "granted", "saved", "confirmed", "rejected"];
    let shown = text(&listed["count"]);
    let total = text(&listed["total"]);
    let cut = if shown == total { String::new() } else { format!("{shown} of {total} shown\n") };
    format!("{}{cut}\n{}", table(headings, &cells), table(sums, &officers))
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
