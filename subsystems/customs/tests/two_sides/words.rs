//! The words that an officer reads, for every shipped sample.

use std::fmt::Write as _;

use karvan_customs::samples::shipped;
use serde_json::Value;

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
                Ok(output) if matches!(step.operation.as_str(), "claim" | "decide" | "reopen") => {
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
