//! `karvan customs sharing`: what is released to the partner, and what the partner sent too much.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{operate, read_json, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// See which fields the agreement releases, and what was left out or taken out.
#[derive(Debug, Subcommand)]
pub(crate) enum Sharing {
    Report(Report),
    Incidents(Incidents),
    Preview(Preview),
    Classes(Classes),
}

/// Show which fields were left out of the messages that this side sent.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs sharing report --of AZ-EX-2026-00001 --dir az")]
pub(crate) struct Report {
    /// Only messages of this document, by its number.
    #[arg(long, value_name = "NUMBER")]
    of: Option<String>,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// List the privacy incidents: messages in which the partner sent more than is agreed.
///
/// The fields are named, their values were never stored.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs sharing incidents --dir pk")]
pub(crate) struct Incidents {
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show what a document would lose at a level; nothing is stored or sent.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  karvan customs sharing preview declaration.json --document EXD \
    --level L1 --dir az"
)]
pub(crate) struct Preview {
    /// The document, canonical JSON; `-` is standard input.
    file: PathBuf,
    /// Its type, such as EXD or COO.
    #[arg(long, value_name = "TYPE")]
    document: String,
    /// The level; the node's own setting unless given.
    #[arg(long)]
    level: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show the release class of each field of a document type, with status and source.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs sharing classes COO --dir pk")]
pub(crate) struct Classes {
    /// The document type, such as EXD.
    document: String,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Sharing, output: Output) -> Result<Outcome> {
    match command {
        Sharing::Report(command) => {
            let mut input = Map::from_iter([("report".to_owned(), true.into())]);
            if let Some(of) = &command.of {
                input.insert("of".to_owned(), of.as_str().into());
            }
            let shown = ask(&command.node, input, command.limit)?;
            output.print(&shown, report)?;
        }
        Sharing::Incidents(command) => {
            let input = Map::from_iter([("incidents".to_owned(), true.into())]);
            let shown = ask(&command.node, input, command.limit)?;
            output.print(&shown, incidents)?;
        }
        Sharing::Preview(command) => {
            let body = read_json(&command.file)?;
            let mut preview = json!({ "document": command.document, "body": body });
            if let Some(level) = &command.level {
                preview["level"] = level.as_str().into();
            }
            let shown = operate(&command.node, "sharing", &json!({ "preview": preview }))?;
            output.print(&shown, |shown| {
                let (document, level) = (text(&shown["document"]), text(&shown["level"]));
                format!("{document} at level {level}:\n{}", fields(&shown["leftOut"]))
            })?;
        }
        Sharing::Classes(command) => {
            let input = json!({ "classes": command.document });
            let shown = operate(&command.node, "sharing", &input)?;
            output.print(&shown, |shown| {
                let cells: Vec<_> = rows(&shown["rows"])
                    .map(|row| ["field", "level", "status", "source"].map(|name| text(&row[name])))
                    .collect();
                table(["field", "level", "status", "source"], &cells)
            })?;
        }
    }
    Ok(Outcome::Done)
}

fn ask(node: &NodeArgs, mut input: Map<String, Value>, limit: Option<u64>) -> Result<Value> {
    if let Some(limit) = limit {
        input.insert("limit".to_owned(), limit.into());
    }
    operate(node, "sharing", &Value::Object(input))
}

fn fields(left_out: &Value) -> String {
    let mut lines = String::new();
    for field in rows(left_out) {
        let count = field["count"].as_u64().unwrap_or(1);
        let times = if count == 1 { String::new() } else { format!(", {count} times") };
        let (name, level) = (text(&field["field"]), text(&field["level"]));
        let _ = writeln!(lines, "    {name} (from {level}{times})");
    }
    if lines.is_empty() { "    nothing is left out\n".to_owned() } else { lines }
}

/// What the level rests on when the agreement names none.
fn setting(shown: &Value) -> String {
    format!(
        "Where an agreement names no level, this node releases {}.\n",
        text(&shown["configured"])
    )
}

fn report(shown: &Value) -> String {
    let mut lines = setting(shown);
    if rows(&shown["rows"]).next().is_none() {
        lines.push_str("Nothing was left out of any message.\n");
    }
    for row in rows(&shown["rows"]) {
        let _ = writeln!(
            lines,
            "\n{} {}, version {}, to {} at {}\n  level {} (by the {}), exchange {}",
            text(&row["code"]),
            text(&row["id"]),
            text(&row["version"]),
            text(&row["recipient"]),
            text(&row["at"]),
            text(&row["level"]),
            text(&row["levelFrom"]),
            text(&row["exchange"]),
        );
        lines.push_str("  left out:\n");
        lines.push_str(&fields(&row["leftOut"]));
    }
    lines
}

fn incidents(shown: &Value) -> String {
    let mut lines = String::new();
    for row in rows(&shown["rows"]) {
        let _ = writeln!(
            lines,
            "Incident {}: {} {} from {} at {}\n  more than level {} (by the {}); exchange {}, \
             SHA-256 of the signed body {}\n  taken out before storage:",
            text(&row["number"]),
            text(&row["code"]),
            text(&row["id"]),
            text(&row["sender"]),
            text(&row["at"]),
            text(&row["level"]),
            text(&row["levelFrom"]),
            text(&row["exchange"]),
            text(&row["signed"]),
        );
        lines.push_str(&fields(&row["takenOut"]));
    }
    if lines.is_empty() { "no privacy incidents".to_owned() } else { lines }
}
