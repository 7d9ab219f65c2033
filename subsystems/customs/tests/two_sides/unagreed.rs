//! Agreements that allow less than all documents: what the clock would send is left out, acts go
//! on, and nobody is alarmed.

use std::time::Duration;

use karvan_customs::samples::{Consignment, shipped};
use karvan_types::MemberId;
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

const DAY: Duration = Duration::from_hours(24);

/// Both sides under an agreement without these documents.
fn without(codes: &[&'static str], sample: &str) -> (Exchange, Consignment, MemberId) {
    let sample = shipped().into_iter().find(|c| c.id == sample).expect("a shipped sample");
    let mut exchange = Exchange::new(sample.today);
    exchange.az.bench.not_agreed = codes.to_vec();
    exchange.pk.bench.not_agreed = codes.to_vec();
    let pk = customs_of(sample.to);
    (exchange, sample, pk)
}

async fn history(exchange: &mut Exchange, who: &MemberId, what: Value) -> String {
    exchange.act(who, "show", what).await.expect("shown")["history"].to_string()
}

#[tokio::test]
async fn a_claim_on_an_unknown_number_is_held_without_asking() {
    let (mut exchange, sample, pk) = without(&["SEQ"], "unknown-certificate");
    let filed = sample.steps.iter().find(|step| step.operation == "claim").expect("a claim");
    let number = filed.input["claim"]["ID"].as_str().expect("a number").to_owned();
    exchange.play(&sample, filed).await.expect("the claim is taken");
    assert!(exchange.sent.iter().all(|sent| sent.code != "SEQ"), "nobody is asked");
    let told = history(&mut exchange, &pk, json!({ "claim": number })).await;
    assert!(told.contains("no agreement in force allows `SEQ`"), "{told}");
    assert!(!told.contains("is asked whether"), "{told}");

    // The clock goes on without an alarm; the officer is told once that nobody could be asked.
    exchange.wait(DAY).await;
    assert!(exchange.sent.iter().all(|sent| sent.code != "SEQ"));
    assert_eq!(exchange.pk.bench.warnings, []);
    let listed = exchange.act(&pk, "list", json!({ "what": "tasks" })).await.expect("listed");
    let tasks = listed["rows"].as_array().expect("rows").iter();
    let asked = tasks.filter(|task| task["kind"] == "partner-query");
    let texts: Vec<&str> = asked.filter_map(|task| task["text"].as_str()).collect();
    assert_eq!(texts.iter().filter(|t| t.contains("could not be asked")).count(), 1, "{texts:?}");

    // By hand it is refused with what to do; once it is agreed, the night tells what was missed.
    let refused = exchange.act(&pk, "compare", json!({})).await.expect_err("not agreed");
    assert_eq!(refused.code, "customs.not-agreed");
    exchange.az.bench.not_agreed.clear();
    exchange.pk.bench.not_agreed.clear();
    exchange.wait(DAY).await;
    assert!(exchange.sent.iter().any(|sent| sent.code == "SEQ"));
}

#[tokio::test]
async fn balances_and_figures_are_left_out_and_noted() {
    let (mut exchange, sample, pk) = without(&["SEQ", "LDG", "REC"], "clean-grant");
    for step in sample.steps.iter().take(4) {
        exchange.play(&sample, step).await.expect("a sample step");
    }
    exchange.wait(DAY * 40).await;
    let left_out = ["SEQ", "LDG", "REC"];
    assert!(exchange.sent.iter().all(|sent| !left_out.contains(&sent.code)));
    for side in [&exchange.az, &exchange.pk] {
        let alarms: Vec<_> = side.bench.warnings.iter().map(|warning| warning.code).collect();
        assert!(alarms.iter().all(|code| *code == "customs.partner-silent"), "{alarms:?}");
    }
    let timers = exchange.act(&pk, "timers", json!({})).await.expect("shown")["rows"].to_string();
    assert!(!timers.contains("put off"), "nothing failed: {timers}");
}
