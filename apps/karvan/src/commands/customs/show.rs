//! What is known about one thing, in words.

use std::fmt::Write as _;

use anyhow::Result;
use clap::{ArgGroup, Args, ValueEnum};
use karvan_customs::words::Language;
use karvan_types::ErrorKind;
use serde_json::{Value, json};

mod acts;
mod translated;

use super::{CUSTOMS, decide, handed, measure, reading, risk, rows, text};
use crate::client::{Client, NodeArgs};
use crate::commands::Outcome;
use crate::failure;
use crate::output::Output;

/// Show a consignment, claim, certificate or export declaration with all that is known.
///
/// Of an invoice: every certificate, export declaration and claim that names it. Of a consignment:
/// both sides' papers, every difference in words, the duty with and without
/// preference, the ledger of the certificate, and how far the evidence of each message has come.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("thing").required(true).args(
    ["consignment", "claim", "certificate", "export", "invoice"])))]
#[command(
    after_help = "Examples:\n  karvan customs show 6AZ00001 --dir pk\n  karvan customs show \
    --claim KAPE-HC-00003-02-10-2026 --dir pk\n  karvan customs show --certificate \
    AZPK-2026-00007 --dir az"
)]
pub(crate) struct Show {
    /// Unique consignment reference (UCR).
    consignment: Option<String>,
    /// Number of an import declaration.
    #[arg(long, value_name = "NUMBER")]
    claim: Option<String>,
    /// Number of a certificate of origin.
    #[arg(long, value_name = "NUMBER")]
    certificate: Option<String>,
    /// Number of an export declaration.
    #[arg(long, value_name = "NUMBER")]
    export: Option<String>,
    /// Number of an invoice.
    #[arg(long, value_name = "NUMBER")]
    invoice: Option<String>,
    /// Language of what is said about claims.
    #[arg(long, value_enum, default_value = "en")]
    lang: Lang,
    #[command(flatten)]
    node: NodeArgs,
}

/// Languages of what is said about claims.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Lang {
    /// English.
    En,
    /// Azerbaijani.
    Az,
    /// Urdu.
    Ur,
}

impl Lang {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Az => "az",
            Self::Ur => "ur",
        }
    }
}

pub(crate) fn run(command: &Show, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let things = [
        ("claim", &command.claim),
        ("certificate", &command.certificate),
        ("export", &command.export),
        ("invoice", &command.invoice),
        ("consignment", &command.consignment),
    ];
    let (kind, number) =
        things.into_iter().find_map(|(kind, number)| Some((kind, number.clone()?))).unzip();
    let (kind, number) = (kind.unwrap_or_default(), number.unwrap_or_default());
    let mut shown =
        client.operate(CUSTOMS, operation(kind), &asked(kind, &number, command.lang))?;
    if kind == "consignment" {
        let whole = whole_consignment(&client, &shown, command.lang)?;
        if let Some(members) = shown.as_object_mut() {
            members.insert("papers".to_owned(), whole);
        }
    }
    add_evidence(&client, &mut shown)?;
    output.print(&shown, |shown| match kind {
        "claim" => claim_with_history(shown),
        "certificate" => certificate_with_history(shown),
        "export" => export_with_history(shown),
        "invoice" => invoice(shown),
        _ => consignment(shown),
    })?;
    Ok(Outcome::Done)
}

/// Returns how a person sees a thing: who looks at a claim may have to be written down.
fn operation(kind: &str) -> &'static str {
    if kind == "claim" { "look" } else { "show" }
}

/// Returns the question; only another language than English is named.
fn asked(kind: &str, number: &str, lang: Lang) -> Value {
    match lang {
        Lang::En => json!({ kind: number }),
        other => json!({ kind: number, "lang": other.code() }),
    }
}

/// Shows each paper of a consignment in full.
fn whole_consignment(client: &Client, shown: &Value, lang: Lang) -> Result<Value> {
    let mut claims: Vec<String> = rows(&shown["claims"]).map(|row| text(&row["claim"])).collect();
    claims.dedup();
    let lists = [
        ("claim", claims),
        ("certificate", rows(&shown["certificates"]).map(|row| text(&row["number"])).collect()),
        ("export", rows(&shown["exports"]).map(|row| text(&row["number"])).collect()),
    ];
    let mut papers = Vec::new();
    for (kind, numbers) in lists {
        for number in numbers {
            let paper = client.operate(CUSTOMS, operation(kind), &asked(kind, &number, lang))?;
            papers.push(json!({ "kind": kind, "paper": paper }));
        }
    }
    Ok(Value::Array(papers))
}

/// Adds to each message what its log entries have reached.
fn add_evidence(client: &Client, shown: &mut Value) -> Result<()> {
    if let Some(papers) = shown.get_mut("papers").and_then(Value::as_array_mut) {
        for paper in papers {
            add_evidence(client, &mut paper["paper"])?;
        }
    }
    let Some(messages) = shown.get_mut("messages").and_then(Value::as_array_mut) else {
        return Ok(());
    };
    for message in messages {
        let path = format!("/v1/documents/{}", text(&message["exchange"]));
        let views = match client.get(&path) {
            Ok(views) => views,
            // The token may not read documents; the papers are shown all the same.
            Err(error) if failure::kind(&error) == ErrorKind::Forbidden => return Ok(()),
            Err(error) => return Err(error),
        };
        message["evidence"] = views.get(0).map(|view| view["evidence"].clone()).unwrap_or_default();
        message["transport"] = views.get(0).map(|view| view["state"].clone()).unwrap_or_default();
    }
    Ok(())
}

/// Returns the status of a datum, marked when it is no official one.
pub(super) fn status(value: &Value) -> String {
    match value.as_str() {
        None => "unknown".to_owned(),
        Some("assumed") => "assumed (!), collect nothing on it".to_owned(),
        Some(status) => status.to_owned(),
    }
}

/// Returns a claim with its items.
pub(super) fn claim(shown: &Value) -> String {
    let mut lines = format!(
        "Claim {}, version {}, filed {} by {} ({} importer)\n",
        text(&shown["claim"]),
        text(&shown["version"]),
        text(&shown["filed"]),
        name_or_number(&shown["importer"]),
        text(&shown["importerClass"]),
    );
    if shown["duplicate"] == true {
        lines.push_str("(handed in before; nothing was changed)\n");
    }
    if let Some(reason) = shown["withdrawn"]["reason"].as_str() {
        let _ = writeln!(lines, "  withdrawn    {}: {reason}", text(&shown["withdrawn"]["at"]));
    }
    lines.push_str(&handed::amended(shown));
    lines.push_str(&flags(&shown["flags"]));
    let proposal = &shown["proposal"];
    if !proposal.is_null() {
        let (verdict, said) = (text(&proposal["verdict"]), text(&proposal["text"]));
        let _ = writeln!(lines, "  proposal     {verdict}: {said}");
    }
    for item in rows(&shown["items"]) {
        lines.push_str(&match translated::language(shown) {
            Language::En => claim_item(item),
            other => translated::item(item, other),
        });
    }
    lines.push_str(&translated::note(shown));
    lines + &reading(shown)
}

/// Returns what a party is called; forms of other countries give only its number.
fn name_or_number(party: &Value) -> String {
    if party["Name"].is_null() { text(&party["ID"]) } else { text(&party["Name"]) }
}

/// Says what the rules flagged: kept, and for an officer to look at.
pub(super) fn flags(flags: &Value) -> String {
    let mut lines = String::new();
    for flag in rows(flags) {
        let _ = writeln!(lines, "  flag at {}: {}", text(&flag["pointer"]), text(&flag["text"]));
    }
    lines
}

/// Returns the flags of the newest version.
fn newest_flags(shown: &Value) -> String {
    rows(&shown["versions"]).last().map(|version| flags(&version["flags"])).unwrap_or_default()
}

fn claim_item(item: &Value) -> String {
    let certificate = &item["certificate"];
    let light = text(&item["light"]);
    let mut lines = format!(
        "\nItem {}: {light}, {}\n  certificate  {} item {}, version {}\n  export       {}\n",
        text(&item["item"]),
        text(&item["state"]),
        text(&certificate["number"]),
        text(&certificate["item"]),
        or_none(&certificate["version"]),
        or_none(&item["export"]["key"]),
    );
    let _ = writeln!(
        lines,
        "  quantity     {} claimed, {} left on the certificate",
        or_none_measure(&item["claimed"]),
        or_none_measure(&item["balance"])
    );
    let differences: Vec<_> = rows(&item["differences"]).collect();
    if differences.is_empty() {
        lines.push_str("  differences  none: the papers agree\n");
    }
    for found in differences {
        let _ = writeln!(
            lines,
            "  - {} [{}, rule {}]\n      {}\n      field {}; source of the rule: {}",
            text(&found["rule"]),
            text(&found["severity"]),
            text(&found["status"]),
            text(&found["text"]),
            text(&found["field"]),
            text(&found["source"]),
        );
    }
    let proposal = &item["proposal"];
    let _ = writeln!(
        lines,
        "  proposal     {} ({}): {}",
        text(&proposal["verdict"]),
        text(&proposal["reason"]),
        text(&proposal["text"])
    );
    lines + &duty(&item["duty"])
}

fn duty(duty: &Value) -> String {
    if duty.is_null() {
        return "  duty         not known: no tariff or value\n".to_owned();
    }
    let mut lines = format!("  duty         {}\n", text(&duty["text"]));
    if !duty["general"].is_null() {
        let _ = writeln!(
            lines,
            "               general {}, with preference {}, saved {}; rates: {}",
            measure(&duty["general"]),
            measure(&duty["preferential"]),
            measure(&duty["saved"]),
            status(&duty["status"]),
        );
    }
    let (tariff, quota) = (&duty["tariff"], &duty["quota"]);
    if !tariff.is_null() {
        let _ = writeln!(
            lines,
            "               tariff {} of {}, SHA-256 {}",
            text(&tariff["version"]),
            text(&tariff["day"]),
            text(&tariff["digest"]),
        );
    }
    if !quota.is_null() {
        let _ = writeln!(
            lines,
            "               quota {}: {} of {} asked for",
            text(&quota["account"]),
            measure(&quota["allocated"]),
            measure(&quota["asked"]),
        );
    }
    for line in rows(&duty["breakdown"]["lines"]) {
        let step = |step: &Value| {
            let (rate, amount) = (rate(step), text(&step["amount"]));
            format!("{rate} = {amount} ({}, {})", text(&step["status"]), text(&step["source"]))
        };
        let _ = writeln!(
            lines,
            "    {:4} general {}; with preference {}",
            text(&line["duty"]),
            step(&line["general"]),
            step(&line["preferential"])
        );
    }
    lines
}

/// Says a rate of duty: percent, and what is added per unit and per item.
fn rate(step: &Value) -> String {
    let mut rate = format!("{} %", text(&step["percent"]));
    let specific = &step["specific"];
    if !specific.is_null() {
        let _ = write!(rate, " + {} per {}", text(&specific["amount"]), text(&specific["unit"]));
    }
    if !step["fixed"].is_null() {
        let _ = write!(rate, " + {}", text(&step["fixed"]));
    }
    rate
}

fn or_none(value: &Value) -> String {
    if value.is_null() { "none here".to_owned() } else { text(value) }
}

fn or_none_measure(value: &Value) -> String {
    if value.is_null() { "nothing known".to_owned() } else { measure(value) }
}

fn claim_with_history(shown: &Value) -> String {
    let mut lines = claim(shown);
    for decision in rows(&shown["decisions"]) {
        let over = if decision["override"] == true { ", override" } else { "" };
        let _ = writeln!(
            lines,
            "\nDecision {} about item {}, {} by {}{over}\n  {} ({}): {}",
            text(&decision["number"]),
            text(&decision["item"]),
            text(&decision["day"]),
            text(&decision["officer"]),
            text(&decision["decision"]),
            text(&decision["reason"]),
            text(&decision["text"]),
        );
        if !decision["proposed"].is_null() {
            let by = text(&decision["proposed"]["by"]);
            let _ = writeln!(lines, "  proposed by {by}");
        }
        lines.push_str(&decide::security_line(&decision["security"]));
        lines.push_str(&decide::settlement_lines(&decision["settlement"]));
    }
    for proposal in rows(&shown["overrides"]).filter(|row| row["state"] != "confirmed") {
        lines.push_str(&decide::override_line(proposal));
    }
    lines.push_str(&decide::next_lines(&shown["next"]));
    lines + &handed::responses(shown) + &papers(shown)
}

fn certificate_with_history(shown: &Value) -> String {
    let mut lines = certificate(&shown["certificate"]) + &newest_flags(shown);
    for debit in rows(&shown["debits"]) {
        let unit = text(&debit["quantity"]["unit"]);
        let _ = writeln!(
            lines,
            "  {:<12} item {}: {} for {}, {} {unit} left, by {} at {}",
            text(&debit["kind"]),
            text(&debit["item"]),
            measure(&debit["quantity"]),
            text(&debit["claimItem"]),
            text(&debit["balance"]),
            text(&debit["officer"]),
            text(&debit["at"]),
        );
    }
    for used in rows(&shown["utilisations"]) {
        let codes: Vec<_> = rows(&used["reasonCodes"]).map(text).collect();
        let _ = writeln!(
            lines,
            "  {:<12} {} on {} ({}): {}",
            text(&used["decision"]),
            text(&used["claimItem"]),
            text(&used["day"]),
            codes.join(", "),
            text(&used["reason"]),
        );
    }
    lines + &papers(shown)
}

fn certificate(certificate: &Value) -> String {
    let mut lines = format!(
        "Certificate {} of {}, version {}: {}\n  issued       {} by {}, valid until {}\n  \
         exporter     {}\n  consignee    {}\n",
        text(&certificate["number"]),
        text(&certificate["country"]),
        text(&certificate["version"]),
        text(&certificate["state"]),
        text(&certificate["issued"]),
        text(&certificate["issuer"]),
        text(&certificate["validUntil"]),
        text(&certificate["exporter"]["Name"]),
        text(&certificate["consignee"]["Name"]),
    );
    if !certificate["replacedBy"].is_null() {
        let _ = writeln!(lines, "  replaced by  {}", text(&certificate["replacedBy"]));
    }
    lines += &super::ledger::suspensions(certificate);
    for ledger in rows(&certificate["ledger"]) {
        let reserved = match ledger["reserved"].as_str() {
            None | Some("0") => String::new(),
            Some(reserved) => format!(" ({reserved} of it reserved)"),
        };
        let _ = writeln!(
            lines,
            "  ledger       item {}: {} certified, {} debited{reserved}, {} left",
            text(&ledger["item"]),
            measure(&ledger["certified"]),
            text(&ledger["debited"]),
            text(&ledger["balance"]),
        );
    }
    lines
}

fn export_with_history(shown: &Value) -> String {
    let export = &shown["export"];
    let certificates: Vec<_> = rows(&export["certificates"]).map(text).collect();
    let lines = format!(
        "Export declaration {} of {}, version {}: {}\n  consignment  {}\n  certificates {}\n",
        text(&export["number"]),
        text(&export["country"]),
        text(&export["version"]),
        text(&export["state"]),
        or_none(&export["ucr"]),
        certificates.join(", "),
    );
    let risk = if shown["risk"].is_null() { String::new() } else { risk::scored(&shown["risk"]) };
    lines + &newest_flags(shown) + &handed::responses(shown) + &risk + &papers(shown)
}

fn invoice(shown: &Value) -> String {
    let mut lines = format!("Invoice {}\n", text(&shown["invoice"]));
    for certificate in rows(&shown["certificates"]) {
        let items: Vec<_> = rows(&certificate["items"])
            .map(|item| format!("item {}: {}", text(&item["item"]), measure(&item["quantity"])))
            .collect();
        let _ = writeln!(
            lines,
            "  certificate  {} of {}, {}: {}; exporter {}",
            text(&certificate["number"]),
            text(&certificate["country"]),
            text(&certificate["standing"]),
            items.join(", "),
            name_or_number(&certificate["exporter"]),
        );
    }
    for export in rows(&shown["exports"]) {
        let _ = writeln!(
            lines,
            "  export       {} of {}, {}; exporter {}",
            text(&export["number"]),
            text(&export["country"]),
            text(&export["state"]),
            name_or_number(&export["exporter"]),
        );
    }
    for claim in rows(&shown["claims"]) {
        let items: Vec<_> = rows(&claim["items"])
            .map(|item| {
                let (number, state) = (text(&item["item"]), text(&item["state"]));
                format!("item {number} on {}, {state}", text(&item["certificate"]))
            })
            .collect();
        let (number, filed) = (text(&claim["claim"]), text(&claim["filed"]));
        let _ = writeln!(lines, "  claim        {number}, filed {filed}: {}", items.join("; "));
    }
    lines
}

fn consignment(shown: &Value) -> String {
    let mut lines = format!("Consignment {}\n", text(&shown["consignment"]));
    for part in rows(&shown["papers"]) {
        let paper = &part["paper"];
        lines.push('\n');
        lines.push_str(&match part["kind"].as_str() {
            Some("claim") => claim_with_history(paper),
            Some("certificate") => certificate_with_history(paper),
            _ => export_with_history(paper),
        });
    }
    lines
}

/// Returns what all things have: messages with their evidence, tasks, history.
fn papers(shown: &Value) -> String {
    let mut lines = String::new();
    for message in rows(&shown["messages"]) {
        let entries = rows(&message["evidence"]);
        let entries: Vec<_> = entries
            .map(|entry| format!("{} {}", text(&entry["kind"]), text(&entry["state"])))
            .collect();
        let evidence = if entries.is_empty() { "not known".to_owned() } else { entries.join(", ") };
        let _ = writeln!(
            lines,
            "  message      {} {} {}, {} ({}); evidence: {evidence}",
            text(&message["code"]),
            text(&message["direction"]),
            text(&message["exchange"]),
            text(&message["state"]),
            text(&message["transport"]),
        );
        lines.push_str(&acts::lines(&message["acts"]));
    }
    for task in rows(&shown["tasks"]) {
        let state = if task["closed"].is_null() { "open" } else { "closed" };
        let _ = writeln!(
            lines,
            "  task {:<8}{state}, {}: {}",
            text(&task["number"]),
            text(&task["kind"]),
            text(&task["text"])
        );
    }
    for event in rows(&shown["history"]) {
        let _ = writeln!(lines, "  {}  {}", text(&event["at"]), text(&event["text"]));
    }
    lines
}
