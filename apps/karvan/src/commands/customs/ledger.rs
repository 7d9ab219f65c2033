//! `karvan customs ledger`: the ledger of certificates, both sides of it.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{measure, operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// Look at the ledger of certificates, compare it with the partner, close cases.
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    Show(Show),
    List(List),
    Compare(Compare),
    Cases(Cases),
    Close(Close),
    Suspend(Suspend),
    Resume(Suspend),
}

/// Show the ledger of one certificate: each debit with claim, officer and balance after.
///
/// A certified true copy shows the ledger of its original.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs ledger show AZPK-2026-00007 --dir pk")]
pub(crate) struct Show {
    /// Number of the certificate.
    number: String,
    /// At most so many debits, the newest.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// List the certificates that were drawn on most recently, with their balances.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs ledger list --limit 20 --dir pk")]
pub(crate) struct List {
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Send our balances to the partner now and show how the last comparisons ended.
///
/// Both sides compare. What differs becomes a case on both, and results that the partner lacks
/// are sent again. The answer takes a moment: run it again, or look at `ledger cases`. Without a
/// number, all that was debited since the last statement is told, as it is every night.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs ledger compare AZPK-2026-00007 --dir pk\n  \
    karvan customs ledger compare --look --dir az")]
pub(crate) struct Compare {
    /// Only this certificate.
    number: Option<String>,
    /// Send nothing; only show how the last comparisons ended.
    #[arg(long, conflicts_with = "number")]
    look: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// List the cases of the ledger with the debits of both sides.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs ledger cases --dir pk")]
pub(crate) struct Cases {
    /// Those that were closed, with the reason.
    #[arg(long)]
    closed: bool,
    /// At most so many.
    #[arg(long)]
    limit: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Close a case, saying what was found out.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs ledger close 3 --text \"the partner's office \
    had the wrong claim number\" --dir pk")]
pub(crate) struct Close {
    /// Number of the case.
    case: u64,
    /// What was found out, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// Suspend a certificate at this side, or let it be used again.
///
/// A verification suspends its certificate by itself, on both sides. When it has ended and did not
/// confirm the certificate, `resume` lets it be used again, and the partner is told.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs ledger suspend AZPK-2026-00007 --text \
    \"the original was reported stolen\" --dir pk\n  karvan customs ledger resume \
    AZPK-2026-00007 --text \"the issuer proved its error by letter\" --dir pk")]
pub(crate) struct Suspend {
    /// Number of the certificate.
    number: String,
    /// Why, 10 to 512 characters.
    #[arg(long)]
    text: String,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Ledger, output: Output) -> Result<Outcome> {
    match command {
        Ledger::Show(command) => {
            let input = limited(json!({ "certificate": command.number }), command.limit);
            let shown = operate(&command.node, "ledger", &input)?;
            output.print(&shown, show)?;
        }
        Ledger::List(command) => {
            let input = limited(json!({ "list": true }), command.limit);
            let listed = operate(&command.node, "ledger", &input)?;
            output.print(&listed, list)?;
        }
        Ledger::Compare(command) => return compare(command, output),
        Ledger::Cases(command) => {
            let state = if command.closed { "closed" } else { "open" };
            let input = limited(json!({ "cases": state }), command.limit);
            let listed = operate(&command.node, "ledger", &input)?;
            output.print(&listed, |listed| cases(listed, state))?;
        }
        Ledger::Close(command) => {
            let input = json!({ "case": command.case, "text": command.text });
            let closed = operate(&command.node, "ledger-close", &input)?;
            output.print(&closed, case)?;
        }
        Ledger::Suspend(command) => return suspend(command, false, output),
        Ledger::Resume(command) => return suspend(command, true, output),
    }
    Ok(Outcome::Done)
}

fn limited(mut input: Value, limit: Option<u64>) -> Value {
    if let (Some(limit), Some(members)) = (limit, input.as_object_mut()) {
        members.insert("limit".to_owned(), limit.into());
    }
    input
}

fn compare(command: &Compare, output: Output) -> Result<Outcome> {
    let mut result = Map::new();
    if !command.look {
        let input = match &command.number {
            Some(number) => json!({ "certificate": number }),
            None => json!({}),
        };
        result.insert("told".to_owned(), operate(&command.node, "ledger-compare", &input)?);
    }
    let done = operate(&command.node, "ledger", &json!({ "comparisons": true, "limit": 10 }))?;
    result.insert("comparisons".to_owned(), done["rows"].clone());
    output.print(&Value::Object(result), comparisons)?;
    Ok(Outcome::Done)
}

fn suspend(command: &Suspend, resume: bool, output: Output) -> Result<Outcome> {
    let input = json!({ "certificate": command.number, "text": command.text, "resume": resume });
    let shown = operate(&command.node, "ledger-suspend", &input)?;
    output.print(&shown, |shown| account(&shown["certificate"]))?;
    Ok(Outcome::Done)
}

fn account(certificate: &Value) -> String {
    let mut lines = format!(
        "Certificate {} of {}: {}\n",
        text(&certificate["number"]),
        text(&certificate["issuer"]),
        text(&certificate["state"]),
    );
    if certificate["ledgerOf"] != certificate["key"] {
        let _ = writeln!(lines, "  a true copy; it draws on {}", text(&certificate["ledgerOf"]));
    }
    if !certificate["replacedBy"].is_null() {
        let _ = writeln!(lines, "  replaced by {}", text(&certificate["replacedBy"]));
    }
    lines += &suspensions(certificate);
    for item in rows(&certificate["items"]) {
        let carried = &item["carriedOver"];
        let carried = match carried.as_str() {
            None | Some("0") => String::new(),
            Some(carried) => format!(", {carried} used of the certificate before it"),
        };
        let reserved = match item["reserved"].as_str() {
            None | Some("0") => String::new(),
            Some(reserved) => format!(" ({reserved} of it reserved under security)"),
        };
        let _ = writeln!(
            lines,
            "  item {}: {} certified, {}{reserved} debited by {}{carried}, {} {} left",
            text(&item["item"]),
            measure(&item["certified"]),
            text(&item["debited"]),
            counted(&item["uses"], "claimed item"),
            text(&item["balance"]),
            text(&item["unit"]),
        );
    }
    lines
}

/// Says what suspends a certificate, by whom and since when.
pub(super) fn suspensions(certificate: &Value) -> String {
    let mut lines = String::new();
    for found in rows(&certificate["suspensions"]) {
        let items: Vec<_> = rows(&found["items"]).map(text).collect();
        let of = match items.as_slice() {
            [] => String::new(),
            items => format!(", items {}", items.join(", ")),
        };
        let (since, by) = (text(&found["since"]), text(&found["by"]));
        let _ =
            writeln!(lines, "  suspended since {since} by {by}{of}: {}", text(&found["reason"]));
    }
    lines
}

fn counted(count: &Value, what: &str) -> String {
    let plural = if count.as_u64() == Some(1) { "" } else { "s" };
    format!("{} {what}{plural}", text(count))
}

fn show(shown: &Value) -> String {
    let mut lines = account(&shown["certificate"]);
    let debits: Vec<_> = rows(&shown["debits"])
        .map(|line| {
            let balance = format!("{} {}", text(&line["balance"]), text(&line["quantity"]["unit"]));
            [
                text(&line["line"]),
                text(&line["kind"]),
                text(&line["item"]),
                measure(&line["quantity"]),
                balance,
                text(&line["claimItem"]),
                text(&line["officer"]),
                text(&line["at"]),
            ]
        })
        .collect();
    if debits.is_empty() {
        lines.push_str("  nothing was debited yet\n");
    } else {
        let headings = ["line", "kind", "item", "quantity", "left", "claim", "officer", "at"];
        lines.push_str(&table(headings, &debits));
        let all = shown["debitsInAll"].as_u64().unwrap_or(0);
        if all > debits.len() as u64 {
            let _ = writeln!(lines, "\n  the newest {} of {all} lines; see --limit", debits.len());
        }
    }
    for found in rows(&shown["cases"]) {
        lines.push('\n');
        lines.push_str(&case(found));
    }
    lines.push_str("\nTerms:\n");
    for term in rows(&shown["terms"]) {
        let _ = writeln!(
            lines,
            "  {} = {} ({}: {})",
            text(&term["term"]),
            text(&term["value"]),
            text(&term["status"]),
            text(&term["source"]),
        );
    }
    lines
}

fn list(listed: &Value) -> String {
    let mut cells = Vec::new();
    for row in rows(&listed["rows"]) {
        for item in rows(&row["items"]) {
            cells.push([
                text(&row["number"]),
                text(&row["state"]),
                text(&item["item"]),
                measure(&item["certified"]),
                text(&item["debited"]),
                text(&item["balance"]),
                text(&item["uses"]),
            ]);
        }
    }
    if cells.is_empty() {
        return "nothing was debited yet".to_owned();
    }
    table(["certificate", "state", "item", "certified", "debited", "left", "claims"], &cells)
}

fn comparisons(result: &Value) -> String {
    let mut lines = String::new();
    let told = &result["told"];
    if !told.is_null() {
        let more = if told["complete"] == false { "; run it again for the rest" } else { "" };
        let items = counted(&told["items"], "item");
        let _ = writeln!(lines, "Told the partner the balances of {items}{more}.");
    }
    let cells: Vec<_> = rows(&result["comparisons"])
        .map(|row| {
            let list: Vec<_> = rows(&row["cases"]).map(text).collect();
            [
                text(&row["at"]),
                text(&row["with"]),
                text(&row["statement"]),
                text(&row["items"]),
                text(&row["differing"]),
                list.join(", "),
                text(&row["sentAgain"]),
            ]
        })
        .collect();
    if cells.is_empty() {
        return lines + "No statement of the partner was compared yet.\n";
    }
    let headings = ["compared", "with", "statement", "items", "differ", "cases", "sent again"];
    lines + &table(headings, &cells)
}

fn cases(listed: &Value, state: &str) -> String {
    let all: Vec<_> = rows(&listed["rows"]).map(case).collect();
    if all.is_empty() { format!("no {state} cases") } else { all.join("\n") }
}

fn case(found: &Value) -> String {
    let mut lines = format!(
        "Case {} ({}): certificate {}, item {}, opened {}\n  {}\n",
        text(&found["number"]),
        text(&found["kind"]),
        text(&found["certificate"]),
        text(&found["item"]),
        text(&found["openedAt"]),
        text(&found["text"]),
    );
    for (member, balance, whose) in
        [("ours", "ourBalance", "here"), ("theirs", "theirBalance", "at the partner")]
    {
        if !found[balance].is_null() {
            let _ = writeln!(lines, "  {whose}: {} left", measure(&found[balance]));
        }
        for line in rows(&found[member]) {
            let _ = writeln!(
                lines,
                "    {} for {}, decision {}, at {}",
                measure(&line["quantity"]),
                text(&line["claimItem"]),
                text(&line["decision"]),
                text(&line["at"]),
            );
        }
    }
    let closed = &found["closed"];
    if !closed.is_null() {
        let (at, by, why) = (text(&closed["at"]), text(&closed["by"]), text(&closed["text"]));
        let _ = writeln!(lines, "  closed {at} by {by}: {why}");
    }
    lines
}
