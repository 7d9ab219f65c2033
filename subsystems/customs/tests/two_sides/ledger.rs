//! The ledger under two officers at once, and under anything that claims may ask of it.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Caller;
use karvan_types::{Decimal, MemberId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

const CERTIFICATE: &str = "AZPK-2026-00007";

fn reuse() -> Consignment {
    shipped().into_iter().find(|c| c.id == "reuse-beyond-quantity").expect("a shipped sample")
}

/// A claim of `kilograms` of the certificate, under a number of its own.
fn claim(template: &Value, number: usize, kilograms: u32) -> Value {
    let mut claim = template.clone();
    let item = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/GoodsMeasure";
    for (pointer, value) in [
        ("/claim/ID".to_owned(), format!("KAPE-HC-{number}")),
        (format!("{item}/TariffQuantity/value"), kilograms.to_string()),
        (format!("{item}/NetNetWeightMeasure/value"), kilograms.to_string()),
        (format!("{item}/GrossMassMeasure/value"), (kilograms + 10).to_string()),
    ] {
        *claim.pointer_mut(&pointer).expect("a field") = Value::from(value);
    }
    claim
}

async fn start() -> (Exchange, MemberId, Value) {
    let consignment = reuse();
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(2) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let template = consignment.steps.get(2).expect("a claim").input.clone();
    (exchange, customs_of("PK".parse().expect("PK")), template)
}

/// Sum of the journal and balance of the only item, on one side.
async fn ledger(exchange: &mut Exchange, who: &MemberId) -> (Decimal, Decimal) {
    let show = json!({ "certificate": CERTIFICATE });
    let shown = exchange.act(who, "show", show).await.expect("shown");
    let decimal = |value: &Value| value.as_str().expect("text").parse::<Decimal>().expect("number");
    let mut sum = Decimal::ZERO;
    for line in shown["debits"].as_array().expect("a journal") {
        let quantity = decimal(&line["quantity"]["value"]);
        sum += if line["kind"] == "debit" { quantity } else { -quantity };
        assert!(decimal(&line["balance"]) >= Decimal::ZERO, "{line}");
    }
    let kept = &shown["certificate"]["ledger"][0];
    assert_eq!(decimal(&kept["debited"]), sum, "journal and balance disagree");
    (sum, decimal(&kept["balance"]))
}

#[tokio::test]
async fn two_officers_debit_at_the_same_moment() {
    let (mut exchange, pk, template) = start().await;
    for number in [1, 2] {
        exchange.act(&pk, "claim", claim(&template, number, 20_000)).await.expect("claimed");
    }
    let caller = |user: &str| Caller { member: pk.clone(), user: user.to_owned() };
    let (first, second) = (caller("karachi"), caller("lahore"));
    let grant =
        |number: usize| json!({ "claim": format!("KAPE-HC-{number}"), "decision": "grant" });
    let other = exchange.pk.twin();
    let (a, b) = tokio::join!(exchange.pk.bench.operate(&first, "decide", grant(1)), async {
        let mut other = other;
        other.operate(&second, "decide", grant(2)).await
    });
    let refused = match (a, b) {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
        other => panic!("one is granted, one refused: {other:?}"),
    };
    // The one that comes second finds 10000 kg left, so a full grant goes against the proposal.
    assert_eq!(refused.code, "customs.reason-required", "{refused}");
    assert_eq!(ledger(&mut exchange, &pk).await, (20_000.into(), 10_000.into()));
}

/// What one officer does next.
#[derive(Clone, Debug)]
enum Act {
    Claim(u32),
    Decide(usize, &'static str, Option<u32>),
    Reopen(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let decision = prop::sample::select(vec!["grant", "grant-in-part", "deny", "query"]);
    let act = prop_oneof![
        (1_u32..25_000).prop_map(Act::Claim),
        (0_usize..4, decision, prop::option::of(1_u32..30_000))
            .prop_map(|(claim, decision, quantity)| Act::Decide(claim, decision, quantity)),
        (0_usize..4).prop_map(Act::Reopen),
    ];
    prop::collection::vec(act, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn debits_never_exceed_the_certificate(acts in acts()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (mut exchange, pk, template) = start().await;
            let mut claims = 0;
            for act in acts {
                // Refusals are part of the game; the ledger is looked at after each act.
                let _ = match act {
                    Act::Claim(kilograms) => {
                        claims += 1;
                        exchange.act(&pk, "claim", claim(&template, claims - 1, kilograms)).await
                    }
                    Act::Decide(number, decision, quantity) => {
                        let mut input = json!({
                            "claim": format!("KAPE-HC-{number}"), "decision": decision,
                            "reason": "other", "text": "for the sake of the test",
                        });
                        if let Some(kilograms) = quantity {
                            let value = kilograms.to_string();
                            input["quantity"] = json!({ "value": value, "unit": "KGM" });
                        }
                        exchange.act(&pk, "decide", input).await
                    }
                    Act::Reopen(number) => {
                        let claim = format!("KAPE-HC-{number}");
                        let input = json!({ "claim": claim, "text": "for the sake of the test" });
                        exchange.act(&pk, "reopen", input).await
                    }
                };
                let (debited, balance) = ledger(&mut exchange, &pk).await;
                assert!(debited >= Decimal::ZERO && debited <= Decimal::from(30_000));
                assert_eq!(debited + balance, Decimal::from(30_000));
                let az = customs_of("AZ".parse().expect("AZ"));
                let theirs = ledger(&mut exchange, &az).await;
                assert_eq!(theirs, (debited, balance), "the sides differ");
            }
        });
    }
}
