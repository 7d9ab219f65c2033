//! What is debited, what the preference is computed for, and the goods stay one quantity.

use karvan_customs::samples::{Consignment, shipped};
use karvan_types::{Decimal, MemberId};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

const GOODS: &str = "/GoodsShipment/GovernmentAgencyGoodsItem/0";
const CERTIFIED: &str = "/GovernmentAgencyGoodsItem/0";
const FIRST: &str = "AZPK-2026-00001";
const CLAIM: &str = "KAPE-HC-00001-02-10-2026";

struct Setting {
    exchange: Exchange,
    sample: Consignment,
    pk: MemberId,
    issuer: MemberId,
}

fn setting() -> Setting {
    let sample = shipped().into_iter().find(|c| c.id == "clean-grant").expect("a sample");
    let exchange = Exchange::new(sample.today);
    let (pk, issuer) = (customs_of(sample.to), issuer_of(sample.from));
    Setting { exchange, sample, pk, issuer }
}

impl Setting {
    /// Plays a step of the sample with other values by JSON pointer.
    async fn play(&mut self, step: usize, changes: &[(&str, Value)]) -> Value {
        let mut step = self.sample.steps[step].clone();
        let document = ["certificate", "declaration", "claim"];
        let members = step.input.as_object_mut().expect("an input");
        let name = document.into_iter().find(|name| members.contains_key(*name)).expect("one");
        let document = members.get_mut(name).expect("a document");
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            document.pointer_mut(parent).expect("a parent")[name] = value.clone();
        }
        self.exchange.play(&self.sample, &step).await.expect("played")
    }

    async fn decide(&mut self, input: Value) -> Value {
        self.exchange.act(&self.pk, "decide", input).await.expect("decided")
    }

    async fn balances(&mut self, certificate: &str) -> Vec<String> {
        let input = json!({ "certificate": certificate });
        let mut found = Vec::new();
        for who in [self.pk.clone(), customs_of(self.sample.from)] {
            let shown = self.exchange.act(&who, "show", input.clone()).await.expect("shown");
            let items = shown["certificate"]["ledger"].as_array().expect("a ledger").clone();
            found.extend(items.iter().map(|item| {
                let text = |name: &str| item[name].to_string().replace('"', "");
                format!("{}: {}", text("item"), text("balance"))
            }));
        }
        found
    }
}

fn quantity(of: &str, value: &str) -> Vec<(String, Value)> {
    ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"]
        .map(|name| (format!("{of}/Commodity/GoodsMeasure/{name}/value"), json!(value)))
        .into()
}

fn by_reference(changes: &[(String, Value)]) -> Vec<(&str, Value)> {
    changes.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect()
}

fn decimal(value: &Value) -> Decimal {
    value["value"].as_str().expect("an amount").parse().expect("a number")
}

/// 30 PKR per kilogram, of which a third of the goods is relieved: no share is a decimal.
#[tokio::test]
async fn a_third_under_a_rate_per_kilogram_has_an_amount() {
    let mut t = setting();
    let line = "{ codes = [\"390110\", \"390120\", \"390230\"], rate = \"5\" },";
    let tariff = include_str!("../../data/tariff/pakistan.toml");
    assert!(tariff.contains(line));
    let specific = line.replace("rate = \"5\"", "specific = \"30\", unit = \"KGM\"");
    let tariff = tariff
        .replace("version = \"shipped-2026-08\"", "version = \"specific\"")
        .replace("published = \"2026-08-01\"", "published = \"2026-10-01\"")
        .replace(line, &specific);
    t.exchange.act(&t.pk, "tariff-import", json!({ "text": tariff })).await.expect("imported");
    t.play(0, &[(&format!("{CERTIFIED}/quantity/value"), json!("10000"))]).await;
    t.play(1, &by_reference(&quantity(GOODS, "30000"))).await;
    let claimed = t.play(2, &by_reference(&quantity(GOODS, "30000"))).await;
    assert_eq!(claimed["items"][0]["proposal"]["verdict"], "grant-in-part", "{claimed:#}");
    let decided = t.decide(json!({ "claim": CLAIM, "decision": "grant-in-part" })).await;
    let duty = &decided["decision"]["duty"];
    let (payable, saved) = (decimal(&duty["payable"]), decimal(&duty["saved"]));
    assert_eq!(payable + saved, decimal(&duty["withoutPreference"]));
    // A third of 6,270,000 PKR at 2 % instead of 30 PKR for each of 10,000 kg: 258,200 less duty,
    // 21 % less sales taxes on it, and 6 % less withholding on all of that.
    let expected = Decimal::new(33_116_732, 2);
    assert!((saved - expected).abs() <= Decimal::from(3), "{saved}");
}

#[tokio::test]
async fn a_replacement_with_other_item_numbers_does_not_certify_used_goods_again() {
    let mut t = setting();
    for step in 0..3 {
        t.play(step, &[]).await;
    }
    t.decide(json!({ "claim": CLAIM, "decision": "grant" })).await;
    let mut items = Vec::new();
    let item = t.sample.steps[0].input.pointer(&format!("/certificate{CERTIFIED}")).cloned();
    let item = item.expect("an item");
    for (number, code) in [(1, "740811"), (2, "390110")] {
        let mut item = item.clone();
        item["SequenceNumeric"] = json!(number);
        item["Classification"][0]["ID"] = json!(code);
        items.push(item);
    }
    let new = "AZPK-2026-00099";
    let number = |version: u32| {
        vec![
            ("/ID", json!(new)),
            ("/FunctionalReferenceID", json!(format!("AZ-COO-NEW-{version}"))),
            ("/FunctionCode", json!(if version == 1 { "9" } else { "5" })),
            ("/VersionID", json!(version)),
            ("/replaces", json!(FIRST)),
        ]
    };
    let mut first = number(1);
    items[1]["quantity"]["value"] = json!("5000");
    first.push(("/GovernmentAgencyGoodsItem", json!(items)));
    t.play(0, &first).await;
    // All of the old one was used, so there is no rest that could be certified anew.
    assert_eq!(t.balances(new).await, ["1: 20000", "2: 0"].repeat(2));
    // It does not help to raise it afterwards.
    items[1]["quantity"]["value"] = json!("20000");
    let mut second = number(2);
    second.push(("/GovernmentAgencyGoodsItem", json!(items)));
    t.play(0, &second).await;
    assert_eq!(t.balances(new).await, ["1: 20000", "2: 0"].repeat(2));
}

#[tokio::test]
async fn a_certificate_cancelled_for_another_that_comes_later_leaves_what_is_left() {
    let mut t = setting();
    for step in 0..3 {
        t.play(step, &[]).await;
    }
    t.decide(json!({ "claim": CLAIM, "decision": "grant" })).await;
    let new = "AZPK-2026-00099";
    let cancellation = json!({
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-1", "TypeCode": "INV", "ID": FIRST,
        "VersionID": 1, "IssueDateTime": "2026-10-05T05:00:00Z", "agreementID": "AZ-PK-PTA",
        "sharingLevel": "L2", "document": { "documentType": "COO", "ID": FIRST },
        "ChangeReasonCode": "1", "StatementDescription": "written anew", "replacedBy": new,
    });
    let input = json!({ "cancellation": cancellation });
    t.exchange.act(&t.issuer, "certificate", input).await.expect("cancelled");
    let number = [("/ID", json!(new)), ("/FunctionalReferenceID", json!("AZ-COO-NEW"))];
    t.play(0, &number).await;
    assert_eq!(t.balances(new).await, ["1: 0"].repeat(2));
}

/// Numbers of as many digits as their formats allow, in the units that are furthest apart, are
/// compared as others are, and the claim can be read again.
#[tokio::test]
async fn the_longest_numbers_are_compared() {
    const LONGEST: &str = "9999999999999999";
    for (exported, claimed, currency, rules) in [
        ((LONGEST, "KGM"), (LONGEST, "KGM"), "USD", &["under-invoicing", "duty-unknown"][..]),
        (("1", "MGM"), (LONGEST, "KTN"), "PKR", &["under-invoicing", "quantity-mass"]),
    ] {
        let mut t = setting();
        t.play(0, &[(&format!("{CERTIFIED}/quantity/value"), json!(LONGEST))]).await;
        let changes = |(value, unit): (&str, &str), price: &str| {
            let mut changes = quantity(GOODS, LONGEST);
            let quantity = json!({ "value": value, "unit": unit });
            changes.push((format!("{GOODS}/Commodity/GoodsMeasure/TariffQuantity"), quantity));
            let amount = json!({ "value": price, "currency": "USD" });
            changes.push(("/InvoiceAmount".to_owned(), amount.clone()));
            changes.push((format!("{GOODS}/Commodity/InvoiceLine/ItemChargeAmount"), amount));
            changes
        };
        t.play(1, &by_reference(&changes(exported, LONGEST))).await;
        let mut claim = changes(claimed, "0.001");
        let value = json!({ "value": LONGEST, "currency": currency });
        claim.push((format!("{GOODS}/CustomsValueAmount"), value));
        let filed = t.play(2, &by_reference(&claim)).await;
        let found = filed["items"][0]["rules"].as_array().expect("rules");
        for rule in rules {
            assert!(found.contains(&json!(rule)), "{rule}: {filed:#}");
        }
        let show = json!({ "claim": CLAIM });
        let shown = t.exchange.act(&t.pk, "show", show).await.expect("it can be read again");
        assert_eq!(shown["items"][0]["rules"], filed["items"][0]["rules"]);
    }
}
