//! Exchange rates: imported into a node, shown, and used for one amount.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_customs::rates::RATES_MAX;
use karvan_types::amount::parse_decimal;
use karvan_types::{Date, ErrorKind};
use serde_json::{Value, json};

use super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, table};

/// Longest file of rates, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Keep the exchange rates by which values in two currencies are compared.
#[derive(Debug, Subcommand)]
pub(crate) enum Rates {
    Import(Import),
    Show(Show),
}

/// Import a file of exchange rates into a node.
///
/// Needs the permission customs.tariff. A rate that is here never changes: a correction begins on
/// a later day. docs/use/matching.md describes the file.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs rates import rates.toml --dir pk")]
pub(crate) struct Import {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show which rates a node has, those of a currency, or an amount in another currency.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs rates show --dir pk\n  karvan customs rates \
    show --currency EUR --dir pk\n  karvan customs rates show --amount \"196000 USD\" --to EUR \
    --date 2026-10-02 --dir pk")]
pub(crate) struct Show {
    /// A currency, ISO 4217; all files unless given.
    #[arg(long, conflicts_with = "amount")]
    currency: Option<String>,
    /// An amount with its currency, to be converted.
    #[arg(long, value_name = "\"NUMBER CURRENCY\"")]
    amount: Option<String>,
    /// The currency wanted; the node's own unless given.
    #[arg(long, requires = "amount")]
    to: Option<String>,
    /// The day whose rates are taken; today unless given.
    #[arg(long)]
    date: Option<Date>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Rates, output: Output) -> Result<Outcome> {
    match command {
        Rates::Import(command) => import(command, output),
        Rates::Show(command) => show(command, output),
    }
}

fn import(command: &Import, output: Output) -> Result<Outcome> {
    let bytes = files::read(&command.file, FILE_BYTES_MAX)?;
    let read = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = format!("byte {at} of {} is not UTF-8", command.file.display());
        Failure::new(ErrorKind::Invalid, text).hint("convert the text to UTF-8")
    })?;
    let imported = operate(&command.node, "rates-import", &json!({ "text": read }))?;
    output.print(&imported, |imported| {
        if imported["duplicate"] == true {
            return "imported before; nothing was changed\n".to_owned();
        }
        format!(
            "{} of {} rates are new: version {} of {}, against {}\nSHA-256 {}\n",
            text(&imported["new"]),
            text(&imported["rates"]),
            text(&imported["version"]),
            text(&imported["authority"]),
            text(&imported["currency"]),
            text(&imported["digest"]),
        )
    })?;
    Ok(Outcome::Done)
}

fn show(command: &Show, output: Output) -> Result<Outcome> {
    let mut input = json!({});
    if let Some(currency) = &command.currency {
        input["currency"] = currency.to_ascii_uppercase().into();
    }
    if let Some(stated) = &command.amount {
        input["amount"] = amount(stated)?;
    }
    if let Some(to) = &command.to {
        input["to"] = to.to_ascii_uppercase().into();
    }
    if let Some(date) = command.date {
        input["day"] = date.to_string().into();
    }
    let shown = operate(&command.node, "rates", &input)?;
    output.print(&shown, |shown| {
        if !shown["converted"].is_null() {
            converted(shown)
        } else if shown["currency"].is_null() {
            files_of(shown)
        } else {
            rates_of(shown)
        }
    })?;
    Ok(Outcome::Done)
}

fn amount(stated: &str) -> Result<Value, Failure> {
    let parts = stated.trim().split_once(' ').map(|(value, currency)| (value, currency.trim()));
    let Some((value, currency)) = parts else {
        let text = format!("`{stated}` is no amount; write it like \"196000 USD\"");
        return Err(Failure::new(ErrorKind::Invalid, text));
    };
    parse_decimal(value).map_err(|error| Failure::new(ErrorKind::Invalid, error.to_string()))?;
    Ok(json!({ "value": value, "currency": currency.to_ascii_uppercase() }))
}

fn converted(shown: &Value) -> String {
    let found = &shown["converted"];
    format!(
        "{} = {} on {}\nby {}\n",
        super::measure(&found["stated"]),
        super::measure(&found["amount"]),
        text(&found["day"]),
        text(&shown["basis"]),
    )
}

fn files_of(shown: &Value) -> String {
    let lines: Vec<_> = rows(&shown["tables"])
        .map(|row| {
            ["version", "published", "rates", "authority", "by"].map(|name| text(&row[name]))
        })
        .collect();
    let parities = lines_of(rows(&shown["parities"]), "USD");
    format!(
        "Rates against {}, at most {RATES_MAX} a file\n{}\nFixed parities\n{parities}",
        text(&shown["base"]),
        table(["version", "published", "rates", "authority", "imported by"], &lines),
    )
}

fn rates_of(shown: &Value) -> String {
    let stored = rows(&shown["rates"]).map(|row| &row["rate"]);
    lines_of(stored, &text(&shown["base"])) + &lines_of(rows(&shown["parities"]), "USD")
}

fn lines_of<'a>(rates: impl Iterator<Item = &'a Value>, base: &str) -> String {
    let lines: Vec<_> = rates
        .map(|rate| {
            let status = super::show::status(&rate["status"]);
            let word = |name: &str| text(&rate[name]);
            let units = format!("{} {}", word("units"), word("currency"));
            [units, format!("{} {base}", word("value")), word("from"), word("until"), status]
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    table(["units", "value", "from", "until", "status"], &lines)
}
