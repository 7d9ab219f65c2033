//! What came of things handed in beside declarations: responses, EDIFACT interchanges, amendments.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::{CUSTOMS, reading, rows, text};
use crate::client::Client;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Hands in an EDIFACT interchange, and writes where wanted the answer to it (CONTRL) and those to
/// its cargo reports (CUSRES).
pub(super) fn interchange(
    client: &Client,
    bytes: &[u8],
    (reply, answer): (Option<&Path>, Option<&Path>),
    output: Output,
) -> Result<Outcome> {
    let input = json!({ "interchange": STANDARD.encode(bytes) });
    let taken = client.operate(CUSTOMS, "interchange", &input)?;
    if let Some(file) = reply {
        write(file, &taken["control"])?;
    }
    if let Some(file) = answer {
        let answers = rows(&taken["messages"]).map(|row| &row["answer"]);
        for (answer, number) in answers.filter(|answer| answer.is_string()).zip(1_u32..) {
            write(&numbered(file, number), answer)?;
        }
    }
    output.print(&taken, describe)?;
    let refusals: Vec<_> = rows(&taken["refused"]).collect();
    let Some(first) = refusals.first() else { return Ok(Outcome::Done) };
    let kind = if taken["duplicate"] == true { ErrorKind::Conflict } else { ErrorKind::Invalid };
    let told = format!("{} refused, the first: {}", refusals.len(), text(&first["error"]));
    let failure = Failure::new(kind, told);
    Err(failure.hint("--reply FILE writes the answer for the sender (CONTRL)").into())
}

/// Writes bytes that came as base64.
fn write(file: &Path, bytes: &Value) -> Result<()> {
    let bytes = STANDARD.decode(text(bytes)).context("a damaged answer")?;
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

/// Returns the name of one of several files; the first has the name that was given.
fn numbered(file: &Path, number: u32) -> PathBuf {
    if number == 1 {
        return file.to_owned();
    }
    let part = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let (stem, ending) = (part(file.file_stem()), part(file.extension()));
    let name = format!("{stem}-{number}");
    file.with_file_name(if ending.is_empty() { name } else { format!("{name}.{ending}") })
}

fn describe(taken: &Value) -> String {
    let mut lines =
        format!("interchange {} from {}\n", text(&taken["reference"]), text(&taken["sender"]));
    if taken["test"] == true {
        lines.push_str("  it says that it is a test; it was checked and nothing was filed\n");
    }
    for row in rows(&taken["messages"]) {
        let number = if row["claim"].is_null() { &row["id"] } else { &row["claim"] };
        let again = if row["duplicate"] == true { " (handed in before)" } else { "" };
        let _ = writeln!(
            lines,
            "  message {}: {} {}, version {}{again}",
            text(&row["message"]),
            text(&row["document"]),
            text(number),
            text(&row["version"])
        );
        for export in rows(&row["exports"]) {
            let (export, event) = (text(export), text(&row["event"]));
            let _ = writeln!(lines, "    {event}: {export}");
        }
        for name in rows(&row["waitsFor"]) {
            let _ = writeln!(lines, "    waits, and is a task: {}", text(name));
        }
        lines.push_str(&reading(row));
    }
    for row in rows(&taken["refused"]) {
        let what = match row["message"].as_str() {
            Some(reference) => format!("message {reference}"),
            None => "the interchange".to_owned(),
        };
        let (code, error) = (text(&row["code"]), text(&row["error"]));
        let _ = writeln!(lines, "  {what} refused with code {code}: {error}");
    }
    lines
}

/// Says what a response of the national system is about.
pub(super) fn response(taken: &Value) -> String {
    let response = &taken["response"];
    let again = if taken["duplicate"] == true { " (handed in before)" } else { "" };
    let mut lines = format!(
        "response {} {}: {}{again}\n  about {}\n",
        text(&response["FunctionCode"]),
        text(&response["FunctionalReferenceID"]),
        text(&taken["meaning"]),
        text(&taken["about"]),
    );
    lines.push_str(&content(response));
    lines + &reading(taken)
}

/// Lists what a response states: errors, statements, sums, write-offs.
fn content(response: &Value) -> String {
    let mut lines = String::new();
    for error in rows(&response["Error"]) {
        let (code, words) = (text(&error["ValidationCode"]), text(&error["Description"]));
        let _ = writeln!(lines, "  error {code} {words}");
    }
    for statement in rows(&response["AdditionalInformation"]) {
        let words = text(&statement["StatementDescription"]);
        let limit = text(&statement["LimitDateTime"]);
        let limit = if limit.is_empty() { limit } else { format!(", until {limit}") };
        let _ = writeln!(lines, "  {} {words}{limit}", text(&statement["StatementCode"]));
    }
    for change in rows(&response["corrections"]) {
        let _ = writeln!(lines, "  now {} = {}", text(&change["path"]), text(&change["value"]));
    }
    let items = &response["Declaration"]["GoodsShipment"]["GovernmentAgencyGoodsItem"];
    for item in rows(items) {
        for document in rows(&item["AdditionalDocument"]) {
            let write_off = &document["WriteOff"];
            let quantity = super::measure(&write_off["QuantityQuantity"]);
            let amount = super::measure(&write_off["AmountAmount"]);
            let both = [quantity, amount];
            let both: Vec<_> = both.iter().filter(|part| !part.is_empty()).collect();
            for part in both {
                let (number, id) = (text(&item["SequenceNumeric"]), text(&document["ID"]));
                let _ = writeln!(lines, "  item {number}: {part} written off {id}");
            }
        }
    }
    lines
}

/// Lists the responses that are kept about a declaration.
pub(super) fn responses(shown: &Value) -> String {
    let mut lines = String::new();
    for record in rows(&shown["responses"]) {
        let code = text(&record["response"]["FunctionCode"]);
        let (meaning, at) = (text(&record["meaning"]), text(&record["at"]));
        let _ = writeln!(lines, "response {code}: {meaning}, {at}");
        lines.push_str(&content(&record["response"]));
    }
    lines
}

/// Says how an amendment made the version that was filed or sent.
pub(super) fn amended(sent: &Value) -> String {
    let amended = &sent["amended"];
    if amended.is_null() {
        return String::new();
    }
    let mut lines = format!(
        "amended by {}, {} changes: {}\n",
        text(&amended["reference"]),
        text(&amended["changes"]),
        text(&amended["reason"])
    );
    for loss in rows(&amended["notCarriedOver"]) {
        let (path, value) = (text(&loss["path"]), text(&loss["value"]));
        let _ = writeln!(lines, "  not carried over: {path} = {value}");
    }
    lines
}
