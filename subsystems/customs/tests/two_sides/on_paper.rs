//! Many grants made on paper while the certificate was not here: all of them are debited when it
//! comes, at both sides, however many there are.

use karvan_subsystem::Rejection;
use serde_json::{Value, json};

use crate::exchange::{Exchange, SECOND_OFFICER, customs_of};
use crate::risk::sample;

/// Claims granted on paper: more than one transaction debits, which are 10.
const GRANTS: u32 = 30;
const NUMBER: &str = "AZPK-2026-00001";

fn claim(number: u32) -> Value {
    let mut claim = sample().steps[2].input["claim"].clone();
    claim["ID"] = json!(format!("KAPE-PAPER-{number}"));
    claim["FunctionalReferenceID"] = json!(format!("PK-PAPER-{number}"));
    claim
}

async fn ledger(exchange: &mut Exchange, nation: &str) -> Value {
    let who = customs_of(nation.parse().expect("a nation"));
    let shown = exchange.act(&who, "show", json!({ "certificate": NUMBER })).await.expect("shown");
    shown["certificate"]["ledger"][0]["debited"].clone()
}

/// Grants 100 kg of a claim, by two officers.
async fn grant(exchange: &mut Exchange, number: u32) -> Result<Value, Rejection> {
    let (pk, id) = (customs_of(sample().to), format!("KAPE-PAPER-{number}"));
    let part = json!({
        "claim": id, "decision": "grant-in-part", "reason": "cleared-up", "propose": true,
        "quantity": { "value": "100", "unit": "KGM" }, "text": "the paper certificate was seen",
    });
    exchange.act(&pk, "decide", part).await?;
    let confirm = json!({ "claim": id, "answer": "confirm" });
    exchange.act_as((&pk, SECOND_OFFICER), "confirm", confirm).await
}

#[tokio::test]
async fn every_grant_on_paper_is_debited_when_the_certificate_comes() {
    let sample = sample();
    let mut exchange = Exchange::new(sample.today);
    let pk = customs_of(sample.to);
    let outage = json!({ "from": "2026-09-01T00:00:00Z", "text": "the line is cut (fictitious)" });
    exchange.act(&pk, "outage", outage).await.expect("declared");
    for number in 1..=GRANTS {
        let filed = json!({ "claim": claim(number) });
        exchange.act(&pk, "claim", filed).await.expect("filed");
        grant(&mut exchange, number).await.expect("granted");
    }
    let mut late = claim(GRANTS + 1);
    late["AcceptanceDateTime"] = json!("2026-10-02T09:30:00+05:00");
    exchange.act(&pk, "claim", json!({ "claim": late })).await.expect("filed");

    exchange.play(&sample, &sample.steps[0]).await.expect("the certificate comes");
    assert_eq!(ledger(&mut exchange, "PK").await, "1000", "one page with the certificate");
    // The others were granted first, so nobody draws on it before they are debited.
    let refusal = grant(&mut exchange, GRANTS + 1).await.expect_err("too early");
    assert_eq!(refusal.code, "customs.grants-unbooked", "{}", refusal.text);

    let hour = std::time::Duration::from_hours(1);
    for debited in ["3000", "3000"] {
        exchange.wait(hour).await;
        for nation in ["PK", "AZ"] {
            assert_eq!(ledger(&mut exchange, nation).await, debited, "{nation}");
        }
    }
    grant(&mut exchange, GRANTS + 1).await.expect("all are debited");
    assert_eq!(ledger(&mut exchange, "AZ").await, "3100");
}
