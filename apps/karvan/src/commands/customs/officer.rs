//! What the importing side does: take claims and decide about them.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgGroup, Args, ValueEnum};
use karvan_types::ErrorKind;
use serde_json::{Map, Value, json};

use super::{Declaration, measure, operate, read_declaration, show, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// File an import declaration; each preference that it claims is matched at once.
///
/// Prints each claimed item with every difference between certificate, export declaration and
/// claim, the duty with and without preference, and what is proposed.
/// The file is canonical JSON or WCO Data Model XML. Without a claimed preference the declaration
/// is kept, and the general rate applies.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs claim import.json --dir pk\n  karvan \
    customs claim import.xml --dir pk")]
pub(crate) struct Claim {
    /// The import declaration; `-` is standard input.
    file: PathBuf,
    /// Kind of importer; some taxes differ.
    #[arg(long, value_enum, value_name = "CLASS")]
    importer_class: Option<ImporterClass>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Kinds of importers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ImporterClass {
    /// Imports to sell.
    Commercial,
    /// Imports for its own manufacture.
    Industrial,
}

impl ImporterClass {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Industrial => "industrial",
        }
    }
}

/// Grant, deny or query the preference of a claimed item.
///
/// Without a reason and text the proposal's are taken; against the proposal both are required. The
/// result goes to the partner's customs and to the issuer of the certificate.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("decision").required(true).args(
    ["grant", "grant_in_part", "deny", "query"])))]
#[command(after_help = "Examples:\n  karvan customs decide KAPE-HC-00001-02-10-2026 --grant \
    --dir pk\n  karvan customs decide KAPE-HC-00003-02-10-2026 --deny --reason papers-differ \
    \\\n    --text \"the goods presented are 3901.20\" --dir pk")]
pub(crate) struct Decide {
    /// Number of the import declaration.
    claim: String,
    /// The item, when the claim has several.
    #[arg(long)]
    item: Option<u32>,
    /// Grant the preference for all that is claimed.
    #[arg(long)]
    grant: bool,
    /// Grant it for what the certificate still covers, or for --quantity.
    #[arg(long)]
    grant_in_part: bool,
    /// Deny it: the general rate applies.
    #[arg(long)]
    deny: bool,
    /// Ask first; decide later.
    #[arg(long)]
    query: bool,
    /// Coded reason, such as papers-differ.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// The reason in words, 10 to 512 characters.
    #[arg(long)]
    text: Option<String>,
    /// Quantity to debit, with its unit, such as `29400 KGM`.
    #[arg(long, value_name = "\"NUMBER UNIT\"")]
    quantity: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn claim(command: &Claim, output: Output) -> Result<Outcome> {
    let mut input = Map::new();
    let (member, declaration) = match read_declaration(&command.file)? {
        Declaration::Xml(xml) => ("xml", xml.into()),
        Declaration::Edifact(_) => {
            let text = "an EDIFACT interchange is handed in with `karvan customs submit`";
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
        Declaration::Json(document) => ("claim", document),
    };
    input.insert(member.to_owned(), declaration);
    if let Some(class) = command.importer_class {
        input.insert("importerClass".to_owned(), class.name().into());
    }
    let shown = operate(&command.node, "claim", &Value::Object(input))?;
    output.print(&shown, show::claim)?;
    Ok(Outcome::Done)
}

pub(crate) fn decide(command: &Decide, output: Output) -> Result<Outcome> {
    let decided = operate(&command.node, "decide", &input_of(command)?)?;
    output.print(&decided, describe)?;
    Ok(Outcome::Done)
}

fn input_of(command: &Decide) -> Result<Value, Failure> {
    let choices = [
        (command.grant, "grant"),
        (command.grant_in_part, "grant-in-part"),
        (command.deny, "deny"),
        (command.query, "query"),
    ];
    let chosen = choices.into_iter().find_map(|(given, name)| given.then_some(name));
    let mut input = Map::new();
    input.insert("claim".to_owned(), command.claim.as_str().into());
    input.insert("decision".to_owned(), chosen.into());
    if let Some(item) = command.item {
        input.insert("item".to_owned(), item.into());
    }
    for (name, value) in [("reason", &command.reason), ("text", &command.text)] {
        if let Some(value) = value {
            input.insert(name.to_owned(), value.as_str().into());
        }
    }
    if let Some(quantity) = &command.quantity {
        let (value, unit) = quantity.trim().split_once(' ').ok_or_else(|| {
            let text = format!("`{quantity}` is no quantity");
            Failure::new(ErrorKind::Invalid, text).hint("write number and unit: \"29400 KGM\"")
        })?;
        input.insert("quantity".to_owned(), json!({ "value": value, "unit": unit.trim() }));
    }
    Ok(Value::Object(input))
}

fn describe(decided: &Value) -> String {
    let record = &decided["decision"];
    let over = if record["override"] == true { ", against a red match (override)" } else { "" };
    let mut lines = format!(
        "claim {}, item {}: {}{over}\n  reason     {}: {}\n  officer    {}\n",
        text(&decided["claim"]),
        text(&decided["item"]),
        text(&decided["state"]),
        text(&record["reason"]),
        text(&record["text"]),
        text(&record["officer"]),
    );
    if !record["debited"].is_null() {
        let _ = writeln!(
            lines,
            "  debited    {}, left on the certificate: {}",
            measure(&record["debited"]),
            measure(&record["balance"])
        );
    }
    let duty = &record["duty"];
    if !duty.is_null() {
        let _ = writeln!(
            lines,
            "  to pay     {} (without preference {}, saved {}); rates: {}",
            measure(&duty["payable"]),
            measure(&duty["withoutPreference"]),
            measure(&duty["saved"]),
            show::status(&duty["status"]),
        );
    }
    for result in super::rows(&record["results"]) {
        let _ = writeln!(lines, "  result     sent under exchange {}", text(result));
    }
    lines
}
