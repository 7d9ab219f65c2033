//! What the pilot tells: one row for each consignment, read from the nodes themselves.

use std::fmt::Write as _;

use anyhow::Result;
use karvan_customs::samples::{Actor, Consignment};
use karvan_types::Amount;
use serde::Serialize;
use serde_json::{Value, json};

use super::desks::Desks;
use super::evidence::Evidence;
use super::nations;
use super::play::CUSTOMS;
use super::record::Record;
use crate::output::table;

/// Longest description of goods in the table, in characters.
const GOODS_CHARS_MAX: usize = 28;

/// One consignment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) consignment: String,
    pub(crate) title: String,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) goods: String,
    pub(crate) claims: Vec<ClaimRow>,
    /// Whether every step came out as it should.
    pub(crate) expected: bool,
    pub(crate) problems: Vec<String>,
    /// What the preference saved, over all claims.
    pub(crate) duty_saved: Option<Amount>,
    pub(crate) evidence: Evidence,
}

/// What became of one claimed item, as the importing node has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClaimRow {
    pub(crate) claim: String,
    pub(crate) item: u64,
    /// The last decision, or the state of an item without one.
    pub(crate) outcome: String,
    pub(crate) reason: String,
    pub(crate) text: String,
    pub(crate) saved: Option<Amount>,
    /// Rules that found a difference.
    pub(crate) rules: Vec<String>,
}

/// Reads the stored state of a consignment from the importing node.
pub(crate) fn row(
    desks: &Desks,
    consignment: &Consignment,
    record: &Record,
    evidence: Evidence,
) -> Result<Row> {
    let (nation, member) = nations::actor(consignment, Actor::ImportCustoms)?;
    let client = desks.of(nation, Some(&member))?;
    let mut claims = Vec::new();
    for number in claim_numbers(consignment) {
        let shown = client.operate(CUSTOMS, "show", &json!({ "claim": number }))?;
        claims.extend(claim_rows(&shown));
    }
    let mut duty_saved: Option<Amount> = None;
    for saved in claims.iter().filter_map(|claim| claim.saved.as_ref()) {
        match &mut duty_saved {
            Some(sum) => sum.value += saved.value,
            None => duty_saved = Some(saved.clone()),
        }
    }
    Ok(Row {
        consignment: consignment.id.clone(),
        title: consignment.title.clone(),
        from: consignment.from.to_string(),
        to: consignment.to.to_string(),
        goods: goods(consignment),
        claims,
        expected: record.complete && record.problems.is_empty(),
        problems: record.problems.clone(),
        duty_saved,
        evidence,
    })
}

/// Returns the numbers of the claims, each once, in order.
fn claim_numbers(consignment: &Consignment) -> Vec<&str> {
    let mut numbers: Vec<&str> = Vec::new();
    for step in consignment.steps.iter().filter(|step| step.operation == "claim") {
        let number = step.input["claim"]["ID"].as_str();
        numbers.extend(number.filter(|number| !numbers.contains(number)));
    }
    numbers
}

fn goods(consignment: &Consignment) -> String {
    let inputs = consignment.steps.iter().map(|step| &step.input);
    let path = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Description";
    let mut found = inputs.filter_map(|input| input.pointer(path)?.as_str());
    found.next().unwrap_or(&consignment.title).to_owned()
}

fn claim_rows(shown: &Value) -> Vec<ClaimRow> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let decisions = list(&shown["decisions"]);
    list(&shown["items"])
        .iter()
        .map(|item| {
            let mut last = Value::Null;
            for decision in decisions.iter().filter(|each| each["item"] == item["item"]) {
                last = decision.clone();
            }
            ClaimRow {
                claim: text(&shown["claim"]),
                item: item["item"].as_u64().unwrap_or_default(),
                outcome: text(&item["state"]),
                reason: text(&last["reason"]),
                text: text(&last["text"]),
                saved: serde_json::from_value(last["duty"]["saved"].clone()).ok(),
                rules: list(&item["rules"]).iter().map(text).collect(),
            }
        })
        .collect()
}

/// Returns the rows as a table, with what went wrong below it.
pub(crate) fn describe(rows: &[Row]) -> String {
    let cells: Vec<_> = rows
        .iter()
        .map(|row| {
            let outcomes = row.claims.iter().map(|claim| claim.outcome.as_str());
            let reasons = row.claims.iter().map(|claim| claim.reason.as_str());
            [
                row.consignment.clone(),
                shorten(&row.goods),
                joined(outcomes),
                joined(reasons),
                if row.expected { "yes" } else { "NO" }.to_owned(),
                row.duty_saved.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                row.evidence.words(),
            ]
        })
        .collect();
    let headings =
        ["consignment", "goods", "outcome", "reason", "expected", "duty saved", "evidence"];
    let mut text = table(headings, &cells);
    for row in rows {
        for problem in row.problems.iter().chain(&row.evidence.problems) {
            let _ = writeln!(text, "✗ {}: {problem}", row.consignment);
        }
    }
    text
}

/// Returns the different words, joined.
pub(crate) fn joined<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !parts.contains(&word) {
            parts.push(word);
        }
    }
    if parts.is_empty() { "-".to_owned() } else { parts.join(" + ") }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= GOODS_CHARS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(GOODS_CHARS_MAX - 1).collect();
    format!("{}…", kept.trim_end())
}
