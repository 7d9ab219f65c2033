//! `karvan customs`: what customs officers, issuers of certificates and traders do.
//!
//! Each command is an operation of the customs sub-system at a running node, except `tariff`,
//! `origin` and `check-qr`, which answer from data at hand alone.
//!
//! Not here: rules, matching and duties (`karvan_customs`).

use std::fmt::Write as _;
use std::io::{Read as _, stdin};
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use karvan_customs::formats::{self, Format};
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{ErrorKind, json};
use serde_json::Value;

use super::Outcome;
use crate::client::{Client, NodeArgs};
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

mod check_qr;
mod convert;
mod decide;
mod event;
mod exchange;
mod handed;
mod import;
mod issue;
mod kept;
mod ledger;
mod list;
mod mirror;
mod officer;
mod origin;
mod paper;
mod rates;
mod risk;
mod sharing;
mod show;
mod tariff;
mod timers;
mod verification;

/// Name of the sub-system.
pub(crate) const CUSTOMS: &str = "customs";

/// Exchange customs data with the partner, and decide about preferences.
#[derive(Debug, Subcommand)]
pub(crate) enum Customs {
    Submit(issue::Submit),
    #[command(subcommand)]
    Certificate(issue::Certificate),
    Claim(officer::Claim),
    Decide(decide::Decide),
    Event(event::Event),
    Reasons(decide::Reasons),
    #[command(subcommand)]
    Verification(verification::Verification),
    Show(show::Show),
    #[command(subcommand)]
    Tariff(tariff::Tariff),
    #[command(subcommand)]
    Rates(rates::Rates),
    #[command(subcommand)]
    Origin(origin::Origin),
    List(list::List),
    Timers(timers::Timers),
    Compare(exchange::Compare),
    Outage(exchange::Outage),
    Unpark(exchange::Unpark),
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    #[command(subcommand)]
    Sharing(sharing::Sharing),
    Import(Box<import::Import>),
    #[command(subcommand)]
    Risk(risk::Risk),
    #[command(subcommand)]
    Mirror(mirror::Mirror),
    Convert(convert::Convert),
    Paper(paper::Paper),
    StatusList(paper::Statuses),
    CheckQr(check_qr::CheckQr),
}

pub(crate) fn run(command: Customs, output: Output) -> Result<Outcome> {
    match command {
        Customs::Submit(command) => issue::submit(&command, output),
        Customs::Certificate(command) => issue::certificate(&command, output),
        Customs::Claim(command) => officer::claim(&command, output),
        Customs::Decide(command) => decide::decide(&command, output),
        Customs::Event(command) => event::run(&command, output),
        Customs::Reasons(command) => decide::reasons(&command, output),
        Customs::Verification(command) => verification::run(&command, output),
        Customs::Show(command) => show::run(&command, output),
        Customs::Tariff(command) => tariff::run(&command, output),
        Customs::Rates(command) => rates::run(&command, output),
        Customs::Origin(command) => origin::run(&command, output),
        Customs::List(command) => list::run(&command, output),
        Customs::Timers(command) => timers::run(&command, output),
        Customs::Compare(command) => exchange::compare(&command, output),
        Customs::Outage(command) => exchange::outage(&command, output),
        Customs::Unpark(command) => exchange::unpark(&command, output),
        Customs::Ledger(command) => ledger::run(&command, output),
        Customs::Sharing(command) => sharing::run(&command, output),
        Customs::Import(command) => import::run(&command, output),
        Customs::Risk(command) => risk::run(&command, output),
        Customs::Mirror(command) => mirror::run(&command, output),
        Customs::Convert(command) => convert::run(&command, output),
        Customs::Paper(command) => paper::paper(&command, output),
        Customs::StatusList(command) => paper::statuses(&command, output),
        Customs::CheckQr(command) => check_qr::run(&command, output),
    }
}

/// Calls an operation of a running node.
fn operate(node: &NodeArgs, operation: &str, input: &Value) -> Result<Value> {
    Client::open(node)?.operate(CUSTOMS, operation, input)
}

/// Reads a file, or standard input when it is `-`.
fn read_input(file: &Path) -> Result<Vec<u8>> {
    read_at_most(file, JSON_BYTES_MAX as u64)
}

/// Reads a file, or standard input when it is `-`, of at most so many bytes.
fn read_at_most(file: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    if file != Path::new("-") {
        return files::read(file, bytes_max);
    }
    let mut bytes = Vec::new();
    let limit = bytes_max + 1;
    stdin().lock().take(limit).read_to_end(&mut bytes).context("cannot read standard input")?;
    if bytes.len() as u64 > bytes_max {
        let text = format!("standard input has more than {bytes_max} bytes");
        return Err(Failure::new(ErrorKind::TooLarge, text).into());
    }
    Ok(bytes)
}

/// Reads a JSON document.
fn read_json(file: &Path) -> Result<Value> {
    let bytes = read_input(file)?;
    json::parse(&bytes).map_err(|error| {
        Failure::new(ErrorKind::Invalid, format!("{}: {error}", file.display()))
            .hint("give a JSON document as docs/use/customs.md describes it")
            .into()
    })
}

/// A declaration from a file.
enum Declaration {
    /// WCO Data Model XML, which the node reads.
    Xml(String),
    /// A UN/EDIFACT interchange.
    Edifact(Vec<u8>),
    /// Canonical JSON.
    Json(Value),
}

/// Reads a declaration of either kind.
fn read_declaration(file: &Path) -> Result<Declaration> {
    let bytes = read_input(file)?;
    if is_xml(&bytes) {
        let xml = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Failure::new(ErrorKind::Invalid, format!("byte {at} of the XML is not UTF-8"))
                .hint("convert the text to UTF-8")
        })?;
        return Ok(Declaration::Xml(xml));
    }
    if formats::detect(&bytes) == Some(Format::Edifact) {
        return Ok(Declaration::Edifact(bytes));
    }
    let document = json::parse(&bytes).map_err(|error| {
        let text = format!("{} is neither XML, EDIFACT nor strict JSON: {error}", file.display());
        Failure::new(ErrorKind::Invalid, text)
            .hint("docs/use/customs.md shows a declaration of both kinds")
    })?;
    Ok(Declaration::Json(document))
}

/// Returns whether the first letter, after a byte order mark and space, begins an element.
fn is_xml(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// Says what was filled in and what was left out when XML was read.
fn reading(handed_in: &Value) -> String {
    let mut lines = String::new();
    for note in rows(&handed_in["notes"]) {
        let _ = writeln!(lines, "  note: {}: {}", text(&note["path"]), text(&note["text"]));
    }
    let losses: Vec<_> = rows(&handed_in["notCarriedOver"]).collect();
    if !losses.is_empty() {
        let _ = writeln!(lines, "Not carried over, {} values:", losses.len());
    }
    for loss in losses {
        let (path, value) = (text(&loss["path"]), text(&loss["value"]));
        let _ = match loss["line"].as_u64() {
            Some(line) => writeln!(lines, "  line {line}: {path} = {value}"),
            None => writeln!(lines, "  {path}: {value}"),
        };
    }
    lines
}

/// Returns a value as text: nothing for null.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns an amount or quantity as text, such as `20000 KGM`.
fn measure(value: &Value) -> String {
    let unit = value.get("unit").or_else(|| value.get("currency")).unwrap_or(&Value::Null);
    format!("{} {}", text(&value["value"]), text(unit)).trim().to_owned()
}

fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xml_and_json_are_told_apart() {
        for (bytes, expected) in [
            (&b"<?xml version='1.0'?>"[..], true),
            (b"\xef\xbb\xbf\n <Declaration/>", true),
            (b" {}", false),
            (b"", false),
        ] {
            assert_eq!(is_xml(bytes), expected, "{bytes:?}");
        }
    }
}
