//! How negotiations, transfers, agreements and verdicts look to people.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::status::cell;
use crate::output::table;

/// What stands before a member in the id of a participant.
const MEMBER_PREFIX: &str = "urn:karvan:member:";

/// Returns the elements of a list; nothing else has any.
pub(in crate::commands) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a participant for people: a member without the prefix of its id.
pub(in crate::commands) fn brief(participant: &Value) -> String {
    let text = cell(participant);
    text.strip_prefix(MEMBER_PREFIX).map(ToOwned::to_owned).unwrap_or(text)
}

pub(super) fn describe_list(all: &Value) -> String {
    let (waiting, rest): (Vec<_>, Vec<_>) =
        items(&all["negotiations"]).partition(|process| process["waitsForPerson"] == true);
    let (over, under_way): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|process| process["final"] == true);
    let refused = over.into_iter().filter(|process| process["state"] == "TERMINATED").collect();
    let mut text = String::new();
    for (heading, processes) in [
        ("Waiting for your decision", waiting),
        ("Waiting for the other side, or for a rule", under_way),
        ("Ended without an agreement; `karvan agreements show` says why", refused),
    ] {
        if !processes.is_empty() {
            let _ = write!(text, "{heading}\n{}\n", process_table(&processes));
        }
    }
    let rows: Vec<_> = items(&all["agreements"])
        .map(|entry| {
            let state = match (&entry["withdrawn"], &entry["inForce"]) {
                (_, Value::Bool(true)) => "in force",
                (Value::Null | Value::Bool(false), _) => "not in force",
                _ => "withdrawn",
            };
            let agreement = &entry["agreement"];
            let [purpose, until] = ["purpose", "validUntil"].map(|name| cell(&agreement[name]));
            [cell(&entry["name"]), state.to_owned(), purpose, until]
        })
        .collect();
    if !rows.is_empty() {
        let _ = write!(text, "Agreements\n{}", table(["name", "state", "purpose", "until"], &rows));
    }
    if text.is_empty() {
        text.push_str(
            "nothing waits and nothing is agreed; `karvan catalog list --peer` shows \
                       what you could ask for\n",
        );
    }
    text
}

/// Sets negotiations or transfers in a table.
pub(in crate::commands) fn process_table(processes: &[&Value]) -> String {
    let rows: Vec<_> = processes
        .iter()
        .map(|process| {
            let role = if process["role"] == "provider" { "they ask us" } else { "we ask them" };
            [
                cell(&process["pid"]),
                cell(&process["state"]),
                role.to_owned(),
                brief(&process["counterparty"]),
                cell(&process["dataset"]),
                cell(&process["updatedAt"]),
            ]
        })
        .collect();
    table(["process", "state", "who", "with", "dataset", "since"], &rows)
}

/// Describes a negotiation or transfer in a few lines.
pub(in crate::commands) fn describe_process(process: &Value) -> String {
    let mut text = format!(
        "{}  {}\n  {} asks {} for {}\n",
        cell(&process["pid"]),
        cell(&process["state"]),
        brief(&process[if process["role"] == "consumer" { "own" } else { "counterparty" }]),
        brief(&process[if process["role"] == "consumer" { "counterparty" } else { "own" }]),
        cell(&process["dataset"]),
    );
    for (name, label) in [
        ("peerPid", "their id  "),
        ("agreement", "agreement "),
        ("concluded", "in force  "),
        ("replaces", "replaces  "),
        ("format", "travels as"),
    ] {
        if !process[name].is_null() {
            let _ = writeln!(text, "  {label} {}", cell(&process[name]));
        }
    }
    let pid = cell(&process["pid"]);
    if process["waitsForPerson"] == true {
        let _ = writeln!(text, "  waits for your decision");
        if process["canApprove"] == true && process["format"].is_null() {
            let _ = writeln!(
                text,
                "    karvan agreements approve {pid}\n    karvan agreements refuse {pid} --reason …"
            );
        }
    } else if process["waitsForPeer"] == true {
        let _ = writeln!(text, "  the other side does not have our last message yet");
    }
    text + &cause(&process["cause"])
}

/// Describes why something ended.
fn cause(cause: &Value) -> String {
    if cause.is_null() {
        return String::new();
    }
    let reasons: Vec<_> = items(&cause["reasons"]).map(cell).collect();
    format!("  why: {}: {}\n", cell(&cause["code"]), reasons.join("; "))
}

/// Describes a process with everything that was said.
pub(in crate::commands) fn describe_timeline(process: &Value) -> String {
    let mut text = describe_process(process) + &rules(process);
    for step in items(&process["timeline"]) {
        let who = if step["who"] == "we" { "we  " } else { "they" };
        let kind = cell(&step["type"]);
        let _ = writeln!(
            text,
            "\n{}  {who}  {}, now {}",
            cell(&step["at"]),
            kind.strip_suffix("Message").unwrap_or(&kind),
            cell(&step["state"]),
        );
        if !step["decidedBy"].is_null() {
            let _ = writeln!(text, "  decided by {}", cell(&step["decidedBy"]));
        }
        if step["who"] == "we" && step["deliveredAt"].is_null() {
            let _ = writeln!(text, "  not delivered yet");
        }
        let body = &step["body"];
        if !body["code"].is_null() || !body["reason"].is_null() {
            let _ =
                writeln!(text, "  said: {}: {}", cell(&body["code"]), sentences(&body["reason"]));
        }
        if !step["trouble"].is_null() {
            let _ = writeln!(text, "  trouble: {}", cell(&step["trouble"]));
        }
        let signed = if step["signed"] == true { "signed" } else { "not signed" };
        let evidence = &step["evidence"];
        let (index, state) = (cell(&evidence["index"]), cell(&evidence["state"]));
        let _ = writeln!(text, "  {signed}; log entry {index}, {state}");
    }
    text
}

/// Writes the rules on which a person is to decide: those agreed, or else those last offered.
fn rules(process: &Value) -> String {
    if process["waitsForPerson"] != true {
        return String::new();
    }
    let rules = [&process["policy"], &process["offer"]].into_iter().find(|rules| !rules.is_null());
    let mut text = String::new();
    for name in ["permission", "prohibition", "obligation"] {
        if let Some(rules) = rules.map(|rules| &rules[name]).filter(|rules| !rules.is_null()) {
            let written = serde_json::to_string_pretty(rules).unwrap_or_default();
            let _ = write!(text, "\n{name}: {written}\n");
        }
    }
    text
}

/// Returns the reasons of a message: texts, or texts with a language (DSP 2025-1, section 6.4).
fn sentences(reason: &Value) -> String {
    let one = |reason: &Value| reason.get("@value").map_or_else(|| cell(reason), cell);
    match reason {
        Value::Array(reasons) => reasons.iter().map(one).collect::<Vec<_>>().join("; "),
        other => one(other),
    }
}

pub(super) fn describe_agreement(shown: &Value) -> String {
    let agreement = &shown["agreement"];
    let mut text = format!(
        "{}\n  {}\n  purpose      {}\n  legal basis  {}\n  valid        {} to {}\n",
        cell(&shown["name"]),
        if shown["inForce"] == true { "in force" } else { "not in force" },
        cell(&agreement["purpose"]),
        cell(&agreement["legalBasis"]),
        cell(&agreement["validFrom"]),
        cell(&agreement["validUntil"]),
    );
    for grant in items(&agreement["grants"]) {
        let (client, provider) = (cell(&grant["client"]), cell(&grant["provider"]));
        let codes = |name: &str| items(&grant[name]).map(cell).collect::<Vec<_>>().join(", ");
        let services: Vec<_> =
            items(&grant["services"]).map(|service| cell(&service["service"])).collect();
        for (act, what) in [
            ("may call", services.join(", ")),
            ("may send", codes("documents")),
            ("may fetch", codes("feeds")),
        ] {
            if !what.is_empty() {
                let _ = writeln!(text, "  {client} {act} {what} ({provider})");
            }
        }
    }
    let withdrawal = &shown["withdrawal"];
    if !withdrawal.is_null() {
        let signers = items(&withdrawal["signed_by"]).count();
        let known = if signers > 1 { "both sides" } else { "one side so far" };
        let [by, at, reason] = ["by", "at", "reason"].map(|name| cell(&withdrawal[name]));
        let _ = writeln!(text, "  withdrawn by {by} at {at}: {reason}; signed by {known}");
    }
    text
}

pub(super) fn describe_verdict(verdict: &Value) -> String {
    let mut text = match (&verdict["allowed"], verdict["missing"]["text"].as_str()) {
        (Value::Bool(true), _) => "✓ allowed\n".to_owned(),
        (_, Some(missing)) => format!("✗ not allowed: {missing}\n"),
        _ => "✗ not allowed\n".to_owned(),
    };
    for (name, label) in [("agreement", "agreement"), ("quota", "quota    ")] {
        if !verdict[name].is_null() {
            let _ = writeln!(text, "  {label}  {}", cell(&verdict[name]));
        }
    }
    for member in items(&verdict["members"]) {
        let name = cell(&member["member"]);
        if member["served"] == true {
            let _ = writeln!(text, "  ✓ a listed node serves {name}");
        } else {
            let _ =
                writeln!(text, "  ✗ no listed node serves {name}: {}", cell(&member["problem"]));
        }
    }
    let policy = &verdict["policy"];
    for problem in items(&policy["problems"]) {
        let (pointer, rule) = (cell(&problem["pointer"]), cell(&problem["rule"]));
        let _ = writeln!(text, "  ✗ the policy at {pointer}: {rule}");
    }
    if let Some(sentence) = policy["sentence"].as_str() {
        let _ = writeln!(text, "  {} {sentence}", mark(&policy["allowed"]));
    }
    for rule in items(&policy["rules"]) {
        let _ = writeln!(text, "    {} {}", verdict_mark(rule), cell(&rule["sentence"]));
        for constraint in items(&rule["constraints"]) {
            tree(&mut text, constraint, 3);
        }
    }
    for duty in items(&policy["duties"]) {
        let _ = writeln!(text, "  duty: {}", cell(&duty["sentence"]));
    }
    text
}

/// Writes a condition and those that it is made of; their depth is bounded by the policy's.
fn tree(text: &mut String, constraint: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let _ =
        writeln!(text, "{indent}{} {}", verdict_mark(constraint), cell(&constraint["sentence"]));
    for part in items(&constraint["parts"]) {
        tree(text, part, depth + 1);
    }
}

fn mark(holds: &Value) -> char {
    if *holds == true { '✓' } else { '✗' }
}

fn verdict_mark(judged: &Value) -> char {
    match judged["verdict"].as_str() {
        Some("holds") => '✓',
        Some("fails") => '✗',
        _ => '?',
    }
}
