//! A claimed item in Azerbaijani or Urdu.
//!
//! Every line of a right-to-left language is an isolate of its own, so that it reads rightly in a
//! terminal whose lines run from left to right.

use karvan_customs::words::Language;
use serde_json::Value;

use super::super::{measure, rows, text};
use super::or_none;

/// Returns the language in which an output was asked for.
pub(super) fn language(shown: &Value) -> Language {
    shown["language"]["code"].as_str().and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// Returns one claimed item.
pub(super) fn item(item: &Value, language: Language) -> String {
    let word = |group: &str, value: &Value| language.say(&format!("{group}.{}", text(value)), &[]);
    let label = |name: &str| language.say(&format!("label.{name}"), &[]);
    let mut lines = Vec::new();
    let (number, light) = (text(&item["item"]), word("light", &item["light"]));
    let state = text(&item["state"]);
    let head = [("item", number.as_str()), ("light", &light), ("state", &state)];
    lines.push((0, language.say("label.item", &head)));
    let certificate = &item["certificate"];
    lines.push((1, format!("{}: {}", label("certificate"), text(&certificate["number"]))));
    lines.push((1, format!("{}: {}", label("export"), or_none(&item["export"]["key"]))));
    let (claimed, balance) = (measure(&item["claimed"]), measure(&item["balance"]));
    let quantity =
        language.say("label.claimed", &[("claimed", claimed.as_str()), ("balance", &balance)]);
    lines.push((1, format!("{}: {quantity}", label("quantity"))));
    let differences: Vec<&Value> = rows(&item["differences"]).collect();
    if differences.is_empty() {
        lines.push((1, format!("{}: {}", label("differences"), label("agree"))));
    }
    for found in differences {
        let status = text(&found["status"]);
        let rule = language.say("label.rule", &[("status", status.as_str())]);
        let severity = word("severity", &found["severity"]);
        lines.push((1, format!("- {} [{severity}, {rule}]", text(&found["rule"]))));
        lines.push((3, text(&found["text"])));
        let (field, source) = (text(&found["field"]), text(&found["source"]));
        let from = [("field", field.as_str()), ("source", &source)];
        lines.push((3, language.say("label.field", &from)));
    }
    lines.push((1, format!("{}: {}", label("proposal"), text(&item["proposal"]["text"]))));
    let duty = text(&item["duty"]["text"]);
    if !duty.is_empty() {
        lines.push((1, format!("{}: {duty}", label("duty"))));
    }
    let set = lines
        .into_iter()
        .map(|(depth, line)| format!("{}{}\n", "  ".repeat(depth), language.line(&line)));
    format!("\n{}", set.collect::<String>())
}

/// Returns what the reader is told about the translation, if anything.
pub(super) fn note(shown: &Value) -> String {
    let note = text(&shown["language"]["note"]);
    if note.is_empty() { note } else { format!("\n({})\n", language(shown).line(&note)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_of_urdu_are_isolates() {
        let shown = json!({
            "item": 1, "light": "red", "state": "open",
            "certificate": { "number": "AZPK-1" }, "export": { "key": null },
            "claimed": { "value": "5", "unit": "KGM" }, "balance": null,
            "differences": [{
                "rule": "hs6", "severity": "hold", "status": "analogue", "text": "متن",
                "field": "Commodity/Classification/ID", "source": "a source"
            }],
            "proposal": { "text": "متن" }, "duty": null,
        });
        let text = item(&shown, Language::Ur);
        for line in text.lines().filter(|line| !line.is_empty()) {
            let line = line.trim_start();
            assert!(line.starts_with('\u{2067}') && line.ends_with('\u{2069}'), "{line:?}");
            let count = |wanted: &[char]| line.chars().filter(|c| wanted.contains(c)).count();
            assert_eq!(count(&['\u{2067}', '\u{2068}']), count(&['\u{2069}']), "{line:?}");
        }
        assert!(item(&shown, Language::Az).contains("Mal 1: qırmızı, open"));
    }
}
