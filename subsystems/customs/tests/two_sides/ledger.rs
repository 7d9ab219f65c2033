//! The ledger under two officers at once, and under anything that claims may ask of it.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Caller;
use karvan_types::{Decimal, MemberId};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

pub(crate) const CERTIFICATE: &str = "AZPK-2026-00007";

fn reuse() -> Consignment {
    shipped().into_iter().find(|c| c.id == "reuse-beyond-quantity").expect("a shipped sample")
}

/// A claim of `kilograms` of the certificate, under a number of its own.
pub(crate) fn claim(template: &Value, number: usize, kilograms: u32) -> Value {
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

pub(crate) async fn start() -> (Exchange, MemberId, Value) {
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
    let caller = |user: &str| Caller {
        member: pk.clone(),
        user: user.to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let (first, second) = (caller("karachi"), caller("lahore"));
    let grant = |number: usize| {
        json!({
            "claim": format!("KAPE-HC-{number}"), "decision": "grant", "reason": "other",
            "text": "whatever the match may say by then",
        })
    };
    let other = exchange.pk.twin();
    let (a, b) = tokio::join!(exchange.pk.bench.operate(&first, "decide", grant(1)), async {
        let mut other = other;
        other.operate(&second, "decide", grant(2)).await
    });
    let refused = match (a, b) {
        (Ok(_), Err(refusal)) | (Err(refusal), Ok(_)) => refusal,
        other => panic!("one is granted, one refused: {other:?}"),
    };
    assert_eq!(refused.code, "customs.balance-exceeded", "{refused}");
    assert!(refused.text.contains("only 10000 KGM are left"), "{refused}");
    assert_eq!(ledger(&mut exchange, &pk).await, (20_000.into(), 10_000.into()));
}

#[tokio::test]
async fn an_import_declaration_needs_the_permission_to_claim() {
    let (mut exchange, pk, template) = start().await;
    let input = json!({ "declaration": claim(&template, 1, 20_000)["claim"] });
    let mut caller = Caller {
        member: pk,
        user: "clerk".to_owned(),
        permissions: vec!["customs.submit".to_owned()],
    };
    let refused = exchange.pk.bench.operate(&caller, "submit", input.clone()).await;
    assert_eq!(refused.expect_err("not permitted").code, "permission-missing");
    caller.permissions.push("customs.claim".to_owned());
    exchange.pk.bench.operate(&caller, "submit", input).await.expect("permitted");
}

/// What one officer does next.
#[derive(Clone, Debug)]
enum Act {
    Decide(usize, &'static str, Option<u32>),
    Reopen(usize),
}

/// Most claims of one run.
const CLAIMS_MAX: usize = 4;

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let decision = prop::sample::select(vec!["grant", "grant", "grant-in-part", "deny", "query"]);
    let quantity = prop::option::weighted(0.3, 1_u32..30_000);
    let act = prop_oneof![
        3 => (0..CLAIMS_MAX, decision, quantity)
            .prop_map(|(claim, decision, quantity)| Act::Decide(claim, decision, quantity)),
        1 => (0..CLAIMS_MAX).prop_map(Act::Reopen),
    ];
    prop::collection::vec(act, 4..16)
}

/// The operation of one act and its input.
fn operation(act: &Act) -> (&'static str, Value) {
    let text = "for the sake of the test";
    match act {
        Act::Decide(number, decision, quantity) => {
            let quantity =
                quantity.map(|kilograms| json!({ "value": kilograms.to_string(), "unit": "KGM" }));
            let claim = format!("KAPE-HC-{number}");
            let input = json!({
                "claim": claim, "decision": decision, "reason": "other", "text": text,
                "quantity": quantity,
            });
            ("decide", input)
        }
        Act::Reopen(number) => {
            ("reopen", json!({ "claim": format!("KAPE-HC-{number}"), "text": text }))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn debits_never_exceed_the_certificate(
        claimed in prop::collection::vec(8_000_u32..25_000, CLAIMS_MAX),
        acts in acts(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (mut exchange, pk, template) = start().await;
            let az = customs_of("AZ".parse().expect("AZ"));
            for (number, kilograms) in claimed.into_iter().enumerate() {
                let claim = claim(&template, number, kilograms);
                exchange.act(&pk, "claim", claim).await.expect("claimed");
            }
            for act in acts {
                let (operation, input) = operation(&act);
                // Refusals are part of the game; the ledgers are looked at after each act.
                let _ = exchange.act(&pk, operation, input).await;
                let (debited, balance) = ledger(&mut exchange, &pk).await;
                assert!(debited >= Decimal::ZERO && debited <= Decimal::from(30_000), "{act:?}");
                assert_eq!(debited + balance, Decimal::from(30_000));
                let theirs = ledger(&mut exchange, &az).await;
                assert_eq!(theirs, (debited, balance), "the sides differ after {act:?}");
            }
        });
    }
}
