//! Decisions of officers, and the second officer's word.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{ArgGroup, Args, ValueEnum};
use karvan_types::ErrorKind;
use serde_json::{Map, Value, json};

use super::{measure, operate, rows, show, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::{Output, table};

/// Grant, deny or query the preference of a claimed item, or release it under security.
///
/// Without a reason and text the proposal's are taken; against the proposal both are required
/// (`karvan customs reasons` lists the codes). A grant against a red match is only proposed, with
/// --propose; another officer, with another token, confirms or rejects it. The result goes to the
/// partner's customs and to the issuer of the certificate. A decision stands until it is reopened
/// with --reopen; what was debited stays debited until the next one.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("decision").required(true).args(
    ["grant", "grant_in_part", "deny", "query", "provisional", "confirm", "reject",
     "reopen"])))]
#[command(after_help = "Examples:\n  karvan customs decide KAPE-HC-00001-02-10-2026 --grant \
    --dir pk\n  karvan customs decide KAPE-HC-00003-02-10-2026 --deny --reason papers-differ \
    \\\n    --text \"the goods presented are 3901.20\" --dir pk\n  karvan customs decide \
    KAPE-HC-00014-02-10-2026 --grant --propose --reason cleared-up \\\n    --text \"bill of \
    lading of the whole way was seen\" --dir pk\n  karvan customs decide \
    KAPE-HC-00014-02-10-2026 --confirm --dir pk --token-file second.token\n  karvan customs \
    decide KAPE-HC-00014-02-10-2026 --provisional --reason origin-not-shown \\\n    --text \
    \"released until the way is proven\" --security bank-guarantee \\\n    --reference BG-77 \
    --amount \"2814665 PKR\" --valid-until 2027-05-01 --dir pk\n  karvan customs decide \
    KAPE-HC-00001-02-10-2026 --reopen --text \"the certificate was cancelled\" --dir pk")]
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
    /// Release the goods under --security; decide later.
    #[arg(long, requires_all = ["security", "reference", "amount"])]
    provisional: bool,
    /// As a second officer, confirm what was proposed.
    #[arg(long, conflicts_with_all = ["reason", "quantity", "propose"])]
    confirm: bool,
    /// As a second officer, reject it, with --text; whoever proposed takes it back so.
    #[arg(long, requires = "text", conflicts_with_all = ["reason", "quantity", "propose"])]
    reject: bool,
    /// Take up a decided item again, with --text; the match and the proposal are made anew.
    #[arg(long, requires = "text", conflicts_with_all = ["reason", "quantity", "propose"])]
    reopen: bool,
    /// Propose a grant against a red match for a second officer.
    #[arg(long, conflicts_with_all = ["deny", "query", "provisional"])]
    propose: bool,
    /// Coded reason, such as papers-differ.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// The reason in words, 10 to 512 characters.
    #[arg(long)]
    text: Option<String>,
    /// Quantity to debit, with its unit, such as `29400 KGM`.
    #[arg(long, value_name = "\"NUMBER UNIT\"")]
    quantity: Option<String>,
    /// Kind of security.
    #[arg(long, value_enum, value_name = "KIND", requires = "provisional")]
    security: Option<SecurityKind>,
    /// Number of the receipt, guarantee or policy.
    #[arg(long, requires = "provisional")]
    reference: Option<String>,
    /// What the security covers, such as `2814665 PKR`.
    #[arg(long, value_name = "\"NUMBER CURRENCY\"", requires = "provisional")]
    amount: Option<String>,
    /// Its last day; none for a cash deposit.
    #[arg(long, value_name = "DATE", requires = "provisional")]
    valid_until: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Kinds of security.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SecurityKind {
    /// Money paid to customs.
    CashDeposit,
    /// A bank's promise to pay.
    BankGuarantee,
    /// An insurer's promise to pay.
    Insurance,
}

impl SecurityKind {
    fn name(self) -> &'static str {
        match self {
            Self::CashDeposit => "cash-deposit",
            Self::BankGuarantee => "bank-guarantee",
            Self::Insurance => "insurance",
        }
    }
}

/// List the coded reasons: what they mean, and which decisions they fit.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs reasons --for provisional --lang az --dir pk")]
pub(crate) struct Reasons {
    /// Only those that fit this decision.
    #[arg(long = "for", value_enum, value_name = "DECISION")]
    decision: Option<Decision>,
    /// Language of the meaning.
    #[arg(long, default_value = "en", value_parser = ["en", "az", "ur"])]
    lang: String,
    #[command(flatten)]
    node: NodeArgs,
}

/// What a reason can be given for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Decision {
    Grant,
    GrantInPart,
    Deny,
    Query,
    Provisional,
}

impl Decision {
    fn name(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::GrantInPart => "grant-in-part",
            Self::Deny => "deny",
            Self::Query => "query",
            Self::Provisional => "provisional",
        }
    }
}

pub(crate) fn reasons(command: &Reasons, output: Output) -> Result<Outcome> {
    let mut input = Map::new();
    if let Some(decision) = command.decision {
        input.insert("decision".to_owned(), decision.name().into());
    }
    let listed = operate(&command.node, "reasons", &Value::Object(input))?;
    output.print(&listed, |listed| {
        let cells: Vec<_> = rows(&listed["rows"])
            .map(|row| {
                let fits: Vec<_> = rows(&row["fits"]).map(text).collect();
                [text(&row["code"]), fits.join(", "), text(&row[command.lang.as_str()])]
            })
            .collect();
        let reading = rows(&listed["languages"]).find(|row| row["language"] == command.lang);
        let reading = reading.map(|row| text(&row["status"])).unwrap_or_default();
        let about = format!("list: {}; meanings: {reading}", text(&listed["status"]));
        format!("{}{about}\n", table(["code", "fits", "meaning"], &cells))
    })?;
    Ok(Outcome::Done)
}

pub(crate) fn decide(command: &Decide, output: Output) -> Result<Outcome> {
    let (operation, input) = input_of(command)?;
    let decided = operate(&command.node, operation, &input)?;
    output.print(&decided, if command.reopen { show::claim } else { describe })?;
    Ok(Outcome::Done)
}

fn input_of(command: &Decide) -> Result<(&'static str, Value), Failure> {
    let choices = [
        (command.grant, "grant"),
        (command.grant_in_part, "grant-in-part"),
        (command.deny, "deny"),
        (command.query, "query"),
        (command.provisional, "provisional"),
    ];
    let chosen = choices.into_iter().find_map(|(given, name)| given.then_some(name));
    let mut input = Map::new();
    input.insert("claim".to_owned(), command.claim.as_str().into());
    if let Some(item) = command.item {
        input.insert("item".to_owned(), item.into());
    }
    for (name, value) in [("reason", &command.reason), ("text", &command.text)] {
        if let Some(value) = value {
            input.insert(name.to_owned(), value.as_str().into());
        }
    }
    if command.reopen {
        return Ok(("reopen", Value::Object(input)));
    }
    if chosen.is_none() {
        let answer = if command.confirm { "confirm" } else { "reject" };
        input.insert("answer".to_owned(), answer.into());
        return Ok(("confirm", Value::Object(input)));
    }
    input.insert("decision".to_owned(), chosen.into());
    if command.propose {
        input.insert("propose".to_owned(), true.into());
    }
    if let Some(quantity) = &command.quantity {
        let (value, unit) = pair(quantity, "quantity", "29400 KGM")?;
        input.insert("quantity".to_owned(), json!({ "value": value, "unit": unit }));
    }
    if let (Some(kind), Some(amount)) = (command.security, &command.amount) {
        let (value, currency) = pair(amount, "amount", "2814665 PKR")?;
        let mut security = json!({
            "kind": kind.name(),
            "reference": command.reference,
            "amount": { "value": value, "currency": currency },
        });
        if let Some(until) = &command.valid_until {
            security["validUntil"] = until.as_str().into();
        }
        input.insert("security".to_owned(), security);
    }
    Ok(("decide", Value::Object(input)))
}

/// Divides a number and its unit.
fn pair<'a>(text: &'a str, what: &str, example: &str) -> Result<(&'a str, &'a str), Failure> {
    let (value, unit) = text.trim().split_once(' ').ok_or_else(|| {
        Failure::new(ErrorKind::Invalid, format!("`{text}` is no {what}"))
            .hint(format!("write number and unit: \"{example}\""))
    })?;
    Ok((value, unit.trim()))
}

fn describe(decided: &Value) -> String {
    let head = format!(
        "claim {}, item {}: {}",
        text(&decided["claim"]),
        text(&decided["item"]),
        text(&decided["state"])
    );
    let proposal = &decided["proposal"];
    if proposal.is_object() {
        return format!("{head}\n{}", override_line(proposal));
    }
    let record = &decided["decision"];
    let over = if record["override"] == true { ", against a red match (override)" } else { "" };
    let mut lines = format!(
        "{head}{over}\n  reason     {}: {}\n  officer    {}\n",
        text(&record["reason"]),
        text(&record["text"]),
        text(&record["officer"]),
    );
    if !record["proposed"].is_null() {
        let proposed = &record["proposed"];
        let _ =
            writeln!(lines, "  proposed   {} at {}", text(&proposed["by"]), text(&proposed["at"]));
    }
    for (taken, said) in [("debited", "debited  "), ("reserved", "reserved ")] {
        if !record[taken].is_null() {
            let (taken, left) = (measure(&record[taken]), measure(&record["balance"]));
            let _ = writeln!(lines, "  {said}  {taken}, left on the certificate: {left}");
        }
    }
    if !record["unseen"].is_null() {
        let unseen = measure(&record["unseen"]);
        let _ = writeln!(lines, "  on paper   {unseen}, debited when the certificate comes");
    }
    let duty = &record["duty"];
    if !record["dutyUnknown"].is_null() {
        let _ = writeln!(lines, "  to pay     not known: {}", text(&record["dutyUnknown"]));
    }
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
    lines.push_str(&security_line(&record["security"]));
    lines.push_str(&settlement_lines(&record["settlement"]));
    for result in rows(&record["results"]) {
        let _ = writeln!(lines, "  result     sent under exchange {}", text(result));
    }
    lines + &next_lines(&decided["next"])
}

/// Says where a proposed override stands.
pub(super) fn override_line(proposal: &Value) -> String {
    let rules: Vec<_> = rows(&proposal["rules"]).map(text).collect();
    let mut lines = format!(
        "  proposal   {} to be {} against {}, by {} ({}: {})\n",
        text(&proposal["state"]),
        text(&proposal["decision"]),
        rules.join(", "),
        text(&proposal["officer"]),
        text(&proposal["reason"]),
        text(&proposal["text"]),
    );
    let ended = &proposal["ended"];
    if !ended.is_null() {
        let _ = writeln!(
            lines,
            "             {} by {} at {}: {}",
            text(&ended["how"]),
            text(&ended["by"]),
            text(&ended["at"]),
            text(&ended["text"])
        );
    } else if proposal["state"] == "waiting" {
        let until = text(&proposal["until"]);
        let _ =
            writeln!(lines, "  next       another officer confirms or rejects it until {until}");
    }
    lines
}

/// Says a security.
pub(super) fn security_line(security: &Value) -> String {
    if security.is_null() {
        return String::new();
    }
    let until = match security["validUntil"].as_str() {
        Some(day) => format!(", valid until {day}"),
        None => String::new(),
    };
    format!(
        "  security   {} {} over {}{until}\n",
        text(&security["kind"]),
        text(&security["reference"]),
        measure(&security["amount"])
    )
}

/// Says what is to be paid after a decision that follows another.
pub(super) fn settlement_lines(settlement: &Value) -> String {
    if settlement.is_null() {
        return String::new();
    }
    format!(
        "  settled    from security {}, give back {}, collect {}, refund {} (due {}, paid {}; \
         interest {})\n",
        measure(&settlement["fromSecurity"]),
        measure(&settlement["giveBack"]),
        measure(&settlement["collect"]),
        measure(&settlement["refund"]),
        measure(&settlement["due"]),
        measure(&settlement["paid"]),
        text(&settlement["interest"]),
    )
}

/// Says what is due next, and by when.
pub(super) fn next_lines(next: &Value) -> String {
    rows(next).fold(String::new(), |mut lines, row| {
        let (due, what) = (text(&row["due"]), text(&row["what"]));
        let _ = writeln!(lines, "  next       {due}: {what}");
        lines
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_unit_are_divided() {
        assert_eq!(pair(" 29400  KGM ", "quantity", "").ok(), Some(("29400", "KGM")));
        for wrong in ["29400KGM", "", "KGM"] {
            assert!(pair(wrong, "quantity", "29400 KGM").is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_comes_next_is_said() {
        let next = json!([{ "what": "the answer to a verification", "due": "2027-04-06" }]);
        assert_eq!(next_lines(&next), "  next       2027-04-06: the answer to a verification\n");
        assert_eq!(next_lines(&Value::Null), "");
    }
}
