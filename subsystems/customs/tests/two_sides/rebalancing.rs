//! Open claims follow the balance of the certificate on which they draw.

use std::time::Duration;

use karvan_customs::samples::{Consignment, shipped};
use karvan_types::MemberId;
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

/// Claims of 3,000 kg each on a certificate for 20,000: more than are looked at in one decision.
const CLAIMS: usize = 15;

struct Played {
    exchange: Exchange,
    consignment: Consignment,
    pk: MemberId,
}

fn set(value: &mut Value, pointer: &str, new: impl Into<Value>) {
    *value.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = new.into();
}

fn weigh(document: &mut Value, kilograms: &str) {
    let measure = "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/GoodsMeasure";
    for name in ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"] {
        set(document, &format!("{measure}/{name}/value"), kilograms);
    }
}

/// Sets what the goods are worth, and the customs value where it is stated.
fn value(document: &mut Value, dollars: &str) {
    let item = "/GoodsShipment/GovernmentAgencyGoodsItem/0";
    set(document, "/InvoiceAmount/value", dollars);
    set(document, &format!("{item}/Commodity/InvoiceLine/ItemChargeAmount/value"), dollars);
    if let Some(stated) = document.pointer_mut(&format!("{item}/StatisticalValueAmount/value")) {
        *stated = dollars.into();
    }
}

fn name(number: usize) -> String {
    format!("KAPE-{number}")
}

impl Played {
    /// The certificate, an export of 45,000 kg, and the claims on it.
    async fn start() -> Self {
        let consignment = shipped().into_iter().find(|c| c.id == "clean-grant").expect("a sample");
        let pk = customs_of(consignment.to);
        let mut played = Self { exchange: Exchange::new(consignment.today), consignment, pk };
        let mut steps = played.consignment.steps.clone();
        played.exchange.play(&played.consignment, &steps[0]).await.expect("issued");
        weigh(&mut steps[1].input["declaration"], "45000");
        value(&mut steps[1].input["declaration"], "49500");
        played.exchange.play(&played.consignment, &steps[1]).await.expect("exported");
        for number in 0..CLAIMS {
            let claim = &mut steps[2].input["claim"];
            weigh(claim, "3000");
            value(claim, "3300");
            let item = "/GoodsShipment/GovernmentAgencyGoodsItem/0";
            set(claim, "/TotalPackageQuantity", 120);
            set(claim, &format!("{item}/Packaging/0/QuantityQuantity"), 120);
            set(claim, "/ID", name(number));
            set(claim, "/FunctionalReferenceID", name(number));
            played.exchange.play(&played.consignment, &steps[2]).await.expect("claimed");
        }
        played
    }

    async fn decide(&mut self, number: usize, order: Value) {
        let mut input = order;
        input["claim"] = name(number).into();
        self.exchange.act(&self.pk, "decide", input).await.expect("decided");
    }

    /// Checks light, proposal and proposed quantity of the claims from `first` on, after a minute.
    async fn check(&mut self, first: usize, light: &str, verdict: &str, quantity: Option<&str>) {
        self.exchange.wait(Duration::from_mins(1)).await;
        for number in first..CLAIMS {
            let asked = json!({ "claim": name(number) });
            let shown = self.exchange.act(&self.pk, "show", asked).await.expect("shown");
            let item = &shown["items"][0];
            let found = (
                &item["light"],
                &item["proposal"]["verdict"],
                &item["proposal"]["quantity"]["value"],
            );
            let quantity = quantity.map_or(Value::Null, Value::from);
            let wanted = (&json!(light), &json!(verdict), &quantity);
            assert_eq!(found, wanted, "{} {}", name(number), item["proposal"]);
        }
    }
}

#[tokio::test]
async fn open_claims_follow_each_debit_reservation_and_return() {
    let mut played = Played::start().await;
    played.check(0, "green", "grant", Some("3000")).await;
    for number in 0..6 {
        played.decide(number, json!({ "decision": "grant" })).await;
    }
    played.check(6, "amber", "grant-in-part", Some("2000")).await;

    let release = json!({
        "decision": "provisional", "reason": "under-check", "text": "released until it is clear",
        "security": {
            "kind": "cash-deposit", "reference": "CD-1",
            "amount": { "value": "900000", "currency": "PKR" },
        },
    });
    played.decide(6, release).await;
    played.check(7, "red", "deny", None).await;
    let shown = played.exchange.act(&played.pk, "show", json!({ "claim": name(7) })).await;
    let shown = shown.expect("shown");
    let found = shown["items"][0]["differences"].as_array().expect("differences").iter();
    let reserved = found.clone().find(|found| found["rule"] == "balance-reserved");
    let reserved = reserved.expect("the reservation is told");
    assert_eq!(
        (&reserved["severity"], &reserved["certificate"]),
        (&json!("flag"), &json!("2000 KGM"))
    );

    let deny = json!({ "decision": "deny", "reason": "other", "text": "it did not become clear" });
    played.decide(6, deny).await;
    played.check(7, "amber", "grant-in-part", Some("2000")).await;

    let reopen = json!({ "claim": name(0), "text": "weighed again, less was landed" });
    played.exchange.act(&played.pk, "reopen", reopen).await.expect("reopened");
    played
        .decide(0, json!({ "decision": "deny", "reason": "other", "text": "nothing was landed" }))
        .await;
    played.check(7, "green", "grant", Some("3000")).await;
}
