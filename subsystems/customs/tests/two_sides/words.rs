//! The words that an officer reads, for every shipped sample.

use std::fmt::Write as _;

use karvan_customs::samples::shipped;
use serde_json::{Value, json};

use crate::exchange::Exchange;

/// What is said about a claim: differences, proposal, and what the preference is worth.
fn said(output: &Value) -> String {
    let mut text = String::new();
    let read = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for item in output["items"].as_array().into_iter().flatten() {
        let light = read(&item["light"]);
        let _ = writeln!(text, "{} item {}: {light}", read(&output["claim"]), item["item"]);
        for found in item["differences"].as_array().into_iter().flatten() {
            let (severity, rule) = (read(&found["severity"]), read(&found["rule"]));
            let _ = writeln!(text, "  [{severity}] {rule}: {}", read(&found["text"]));
        }
        let _ = writeln!(text, "  => {}", read(&item["proposal"]["text"]));
        let _ = writeln!(text, "  duty: {}", read(&item["duty"]["text"]));
    }
    if let Some(decision) = output.get("decision") {
        let (state, reason) = (read(&output["state"]), read(&decision["reason"]));
        let _ = writeln!(text, "  decided: {state} ({reason}) {}", read(&decision["text"]));
        if let Some(duty) = decision.get("duty") {
            let amount = |name: &str| {
                let amount = &duty[name];
                format!("{} {}", read(&amount["value"]), read(&amount["currency"]))
            };
            let (pay, saved) = (amount("payable"), amount("saved"));
            let _ = writeln!(text, "  to pay: {pay}, saved: {saved}");
        }
    }
    text
}

#[tokio::test]
async fn what_an_officer_reads() {
    let mut text = String::new();
    for consignment in shipped() {
        let _ = writeln!(text, "# {}", consignment.title);
        let mut exchange = Exchange::new(consignment.today);
        for step in &consignment.steps {
            match exchange.play(&consignment, step).await {
                Ok(output)
                    if matches!(
                        step.operation.as_str(),
                        "claim" | "decide" | "confirm" | "reopen"
                    ) =>
                {
                    text.push_str(&said(&output));
                }
                Ok(_) => {}
                Err(refusal) => {
                    let _ = writeln!(text, "  refused {}: {}", step.operation, refusal.text);
                }
            }
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn the_same_in_azerbaijani_and_urdu() {
    let consignment = shipped().into_iter().find(|c| c.id == "copper-wire-trap").expect("shipped");
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(3) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let pk = crate::exchange::customs_of(consignment.to);
    let claim = &consignment.steps[2].input["claim"]["ID"];
    let mut texts = Vec::new();
    for (lang, status) in
        [("en", "reviewed"), ("az", "needs-native-reader"), ("ur", "needs-native-reader")]
    {
        let input = json!({ "claim": claim, "lang": lang });
        let shown = exchange.act(&pk, "show", input).await.expect("shown");
        assert_eq!(shown["language"]["status"], status);
        assert_eq!(shown["language"]["note"].is_null(), lang == "en", "the reader is told");
        let item = &shown["items"][0];
        texts.push(said(&shown));
        for found in item["differences"].as_array().expect("differences") {
            for member in ["rule", "severity", "field", "status", "source", "text"] {
                assert!(found[member].is_string(), "{lang} {member}: {found}");
            }
        }
    }
    assert!(texts[1].contains("Sertifikat 7408.11 kodlu malları əhatə edir"), "{}", texts[1]);
    assert!(texts[2].contains("سرٹیفکیٹ \u{2068}7408.11\u{2069} کے مال کے لیے ہے"), "{}", texts[2]);
    for text in &texts[1..] {
        assert!(!text.contains("The "), "everything that the match says: {text}");
    }
    let wrong = json!({ "claim": claim, "lang": "fa" });
    let refusal = exchange.act(&pk, "show", wrong).await.expect_err("not spoken");
    assert_eq!(refusal.code, "customs.bad-input");
    // A claim answers in the language that was asked for, too.
    let mut input = consignment.steps[2].input.clone();
    input["lang"] = json!("az");
    let again = exchange.act(&pk, "claim", input).await.expect("filed before");
    assert_eq!(again["duplicate"], true);
    assert!(said(&again).contains("Ümumi dərəcəni tətbiq edin"), "{}", said(&again));
}
