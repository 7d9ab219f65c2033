//! Which sentence is said of a difference, a proposal and a reason.
//!
//! What is stored is English; in another language everything is said anew from the values.
//!
//! Not here: which difference is found (`crate::matching`), the sentences (`crate::words`).

use karvan_types::{Amount, Quantity};
use serde_json::{Value, json};

use crate::decision::{Reason, Verdict};
use crate::matching::{Difference, Papers, Rule, Severity};
use crate::words::{Language, Reading};

/// Says a difference in words.
pub fn difference(
    language: Language,
    rule: Rule,
    papers: &Papers,
    limit: Option<&str>,
    tolerated: bool,
) -> String {
    let nothing = language.say("word.nothing", &[]);
    let or_nothing = |value: &Option<String>| value.clone().unwrap_or_else(|| nothing.clone());
    let (certificate, export) = (or_nothing(&papers.certificate), or_nothing(&papers.export));
    let (claim, basis) = (or_nothing(&papers.claim), or_nothing(&papers.basis));
    let near = rule == Rule::CertificateUnknown && papers.certificate.is_some();
    let key = format!("difference.{rule}{}", if near { "-near" } else { "" });
    let values = [
        ("certificate", certificate.as_str()),
        ("export", &export),
        ("claim", &claim),
        ("basis", &basis),
        ("limit", limit.unwrap_or("0")),
    ];
    let text = language.say(&key, &values);
    if tolerated { format!("{text} {}", language.say("word.tolerated", &[])) } else { text }
}

/// Says a proposal in words.
pub fn proposal(
    language: Language,
    verdict: Verdict,
    reason: Reason,
    quantity: Option<&Quantity>,
) -> String {
    let key = match (verdict, quantity) {
        (Verdict::Grant, None) => "proposal.grant",
        (Verdict::Grant, Some(_)) => "proposal.grant-for",
        (Verdict::GrantInPart, None) => "proposal.grant-in-part",
        (Verdict::GrantInPart, Some(_)) => "proposal.grant-in-part-for",
        (Verdict::Deny, _) => "proposal.deny",
        (Verdict::Query, _) => "proposal.query",
        (Verdict::GeneralRate, _) => "proposal.general-rate",
    };
    let quantity = quantity.map(ToString::to_string).unwrap_or_default();
    let why = language.say(&format!("reason.{}", reason.code()), &[]);
    language.say(key, &[("quantity", &quantity), ("reason", &why)])
}

/// Says of an import declaration that it claims no preference.
pub fn no_preference(language: Language) -> String {
    language.say("word.no-preference", &[])
}

/// Says everything in an output about a claim in another language: differences, proposals and what
/// the duty comes to. Adds which language it is and who has read its sentences.
pub fn translate(output: &mut Value, language: Language) {
    if let Some(members) = output.as_object_mut() {
        members.insert("language".to_owned(), about(language));
    }
    if language == Language::En {
        return;
    }
    if let Some(text) = output.pointer_mut("/proposal/text") {
        *text = no_preference(language).into();
    }
    let items = output.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten();
    items.for_each(|item| match_again(item, language));
    // Earlier matches of the items, as they are kept.
    let kept = output.get_mut("assessments").and_then(Value::as_array_mut).into_iter().flatten();
    for assessment in kept.filter_map(|record| record.get_mut("assessment")) {
        match_again(assessment, language);
    }
}

/// Says the differences of a match, its proposal and the duty in another language.
fn match_again(found: &mut Value, language: Language) {
    let differences = found.get_mut("differences").and_then(Value::as_array_mut);
    for difference in differences.into_iter().flatten() {
        if let Some(text) = difference_again(difference, language) {
            difference["text"] = text.into();
        }
    }
    if let Some(text) = proposal_again(&found["proposal"], language) {
        found["proposal"]["text"] = text.into();
    }
    let told = found["duty"]["text"].is_string();
    if let Some(text) = duty_again(&found["duty"], language).filter(|_| told) {
        found["duty"]["text"] = text.into();
    }
}

fn about(language: Language) -> Value {
    let note = match language.status() {
        Reading::Reviewed => Value::Null,
        Reading::NeedsNativeReader => language.say("word.needs-native-reader", &[]).into(),
    };
    json!({
        "code": language.code(),
        "name": language.name(),
        "status": language.status(),
        "note": note,
    })
}

fn difference_again(found: &Value, language: Language) -> Option<String> {
    let found: Difference = serde_json::from_value(found.clone()).ok()?;
    let tolerated = found.severity == Severity::Tolerated;
    Some(difference(language, found.rule, &found.papers, found.limit.as_deref(), tolerated))
}

fn proposal_again(found: &Value, language: Language) -> Option<String> {
    let read = |name: &str| found.get(name).cloned();
    let verdict = serde_json::from_value(read("verdict")?).ok()?;
    let reason = serde_json::from_value(read("reason")?).ok()?;
    let quantity: Option<Quantity> =
        read("quantity").and_then(|quantity| serde_json::from_value(quantity).ok());
    Some(proposal(language, verdict, reason, quantity.as_ref()))
}

fn duty_again(duty: &Value, language: Language) -> Option<String> {
    let amount = |name: &str| {
        let amount: Amount = serde_json::from_value(duty.get(name)?.clone()).ok()?;
        Some(amount.to_string())
    };
    let (general, preferential) = (amount("general")?, amount("preferential")?);
    let values = [
        ("general", general.as_str()),
        ("preferential", &preferential),
        ("saved", &amount("saved")?),
    ];
    let due = language.say("duty.due", &values);
    let is_assumed = duty.get("status").and_then(Value::as_str) == Some("assumed");
    let assumed = is_assumed.then(|| language.say("duty.assumed", &[]));
    Some([Some(due), assumed].into_iter().flatten().collect::<Vec<_>>().join(" "))
}
