//! One change to clean papers, and exactly the differences that follow from it.

use std::collections::BTreeSet;

use karvan_customs::matching::Rule;
use karvan_customs::samples::{Consignment, shipped};
use serde_json::{Value, json};

use crate::exchange::Exchange;

const CERTIFICATE: usize = 0;
const EXPORT: usize = 1;
const CLAIM: usize = 2;
const GOODS: &str = "GoodsShipment/GovernmentAgencyGoodsItem/0";

fn clean() -> Consignment {
    shipped().into_iter().find(|c| c.id == "clean-grant").expect("a shipped sample")
}

/// Sets a field of the document of one step; `""` takes the member away.
fn patch(consignment: &mut Consignment, step: usize, path: &str, value: Value) {
    let root = ["/certificate/", "/declaration/", "/claim/"][step];
    let pointer = format!("{root}{}", path.replace("GOODS", GOODS));
    let (parent, name) = pointer.rsplit_once('/').expect("a path");
    let input = &mut consignment.steps[step].input;
    match input.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Object(members) if value == "" => drop(members.remove(name)),
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        other => panic!("{parent} is {other}"),
    }
}

/// Plays certificate, export declaration and claim with these changes; returns the claim's item.
async fn item(changes: &[(usize, &str, Value)]) -> Value {
    let mut consignment = clean();
    for (step, path, value) in changes {
        patch(&mut consignment, *step, path, value.clone());
    }
    let mut exchange = Exchange::new(consignment.today);
    let mut output = Value::Null;
    for step in consignment.steps.iter().take(3) {
        output = exchange.play(&consignment, step).await.unwrap_or_else(|refusal| {
            panic!("{changes:?}: {} {:?}", refusal.text, refusal.pointers)
        });
    }
    output["items"][0].clone()
}

async fn check(changes: &[(usize, &str, Value)], rules: &[&str], verdict: &str) {
    let item = item(changes).await;
    assert_eq!(item["rules"], json!(rules), "{changes:?}");
    assert_eq!(item["proposal"]["verdict"], verdict, "{changes:?}");
}

#[tokio::test]
async fn certificate_dates_standing_and_parties() {
    let issued = |at: &str| (CERTIFICATE, "IssueDateTime", json!(at));
    let quoted = |date: &str| (CLAIM, "GOODS/AdditionalDocument/0/EffectiveDateTime", json!(date));
    check(&[(CERTIFICATE, "validUntil", json!("2026-10-02"))], &[], "grant").await;
    check(&[(CERTIFICATE, "validUntil", json!("2026-10-01"))], &["certificate-expired"], "deny")
        .await;
    // Half past midnight in Baku is the day before in Greenwich.
    check(&[issued("2026-09-01T00:30:00+04:00")], &[], "grant").await;
    let late = [issued("2026-09-18T10:00:00+04:00"), quoted("2026-09-18")];
    check(&late, &[], "grant").await;
    let late = [issued("2026-09-19T10:00:00+04:00"), quoted("2026-09-19")];
    check(&late, &["certificate-issued-late"], "grant").await;
    let mut marked = late.to_vec();
    marked.push((CERTIFICATE, "flags", json!(["retrospective"])));
    check(&marked, &[], "grant").await;
    let future = [
        issued("2026-10-03T10:00:00+04:00"),
        quoted("2026-10-03"),
        (CERTIFICATE, "flags", json!(["retrospective"])),
    ];
    check(&future, &["certificate-future"], "deny").await;
    check(&[(CERTIFICATE, "status", json!("suspended"))], &["certificate-suspended"], "query")
        .await;
    let item = (CLAIM, "GOODS/AdditionalDocument/0/LineNumeric", json!(2));
    check(&[item], &["certificate-item", "export-item"], "query").await;
    // What the model leaves optional is no reason to refuse the claim.
    check(&[quoted("")], &["certificate-date"], "grant").await;
    check(&[(CLAIM, "GOODS/AdditionalDocument/0/LineNumeric", json!(""))], &[], "grant").await;

    let other = json!({ "Name": "Sindh Sample Traders (fictitious)", "ID": "7000001" });
    let importer = (CLAIM, "GoodsShipment/Importer", other);
    check(std::slice::from_ref(&importer), &["consignee"], "grant").await;
    let sold_on = [importer, (CERTIFICATE, "flags", json!(["backToBack"]))];
    check(&sold_on, &["consignee"], "grant").await;
    // The same number with its check digit, and another spelling of the name, is the same party.
    let same = json!({ "Name": "INDUS Sample Imports", "ID": "7654321-8" });
    check(&[(CLAIM, "GoodsShipment/Importer", same)], &[], "grant").await;
    check(&[(EXPORT, "Exporter/ID", json!("1700552201"))], &["exporter"], "grant").await;
}

#[tokio::test]
async fn quantities_masses_and_values() {
    let weights = |step, kilograms: &str| {
        ["TariffQuantity", "NetNetWeightMeasure"].map(|name| {
            let path = match name {
                "TariffQuantity" => "GOODS/Commodity/GoodsMeasure/TariffQuantity",
                _ => "GOODS/Commodity/GoodsMeasure/NetNetWeightMeasure",
            };
            (step, path, json!({ "value": kilograms, "unit": "KGM" }))
        })
    };
    let net = |value: &str| {
        let path = "GOODS/Commodity/GoodsMeasure/NetNetWeightMeasure";
        (CLAIM, path, json!({ "value": value, "unit": "KGM" }))
    };
    let invoice = |value: &str| {
        let path = "GOODS/Commodity/InvoiceLine/ItemChargeAmount/value";
        [(CLAIM, path, json!(value)), (CLAIM, "InvoiceAmount/value", json!(value))]
    };
    let tonnes = (
        CLAIM,
        "GOODS/Commodity/GoodsMeasure/TariffQuantity",
        json!({ "value": "20", "unit": "TNE" }),
    );
    check(&[tonnes], &[], "grant").await;
    // Fewer goods for the same money: the price of the claimed ones is 4.8 % lower, too.
    let fewer = weights(EXPORT, "19050");
    check(&fewer, &["quantity-export", "value-lower"], "grant-in-part").await;
    check(&[net("20400")], &["net-mass"], "grant").await;
    assert_eq!(item(&[net("20400")]).await["light"], "green", "2 % is tolerated");
    assert_eq!(item(&[net("20401")]).await["light"], "amber", "more than 2 % is not");
    assert_eq!(item(&[net("19599")]).await["light"], "amber", "less than that neither");

    check(&invoice("22001"), &[], "grant").await;
    check(&invoice("20900"), &["value-lower"], "grant").await;
    assert_eq!(item(&invoice("20900")).await["light"], "green", "5 % is tolerated");
    assert_eq!(item(&invoice("20899")).await["light"], "amber", "more is not");
    check(&invoice("18700"), &["value-lower"], "grant").await;
    check(&invoice("18699"), &["under-invoicing"], "grant").await;
    // A part shipment is compared by its part of the value.
    let mut part = weights(CLAIM, "10000").to_vec();
    part.extend(invoice("11000"));
    check(&part, &[], "grant").await;

    let third = [
        (CLAIM, "GoodsShipment/Invoice/0/ID", json!("DXB-9")),
        (CERTIFICATE, "flags", json!(["thirdPartyInvoice"])),
    ];
    check(&third, &["invoice-number"], "grant").await;
    assert_eq!(item(&third).await["light"], "green", "a marked third-party invoice is tolerated");
}

#[tokio::test]
async fn export_declarations() {
    let elsewhere = [
        (EXPORT, "GOODS/AdditionalDocument", json!("")),
        (EXPORT, "GOODS/Commodity/Classification/0/ID", json!("390230")),
        (EXPORT, "GOODS/Commodity/Classification/1/ID", json!("3902300000")),
    ];
    check(&elsewhere, &["export-item"], "grant").await;

    check(&[(EXPORT, "GOODS/Origin", json!(""))], &["export-origin"], "grant").await;

    let consignment = clean();
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(2) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let cancellation = json!({
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-1", "TypeCode": "830",
        "ID": "AZ-EX-2026-00001", "VersionID": 1, "IssueDateTime": "2026-09-20T11:00:00+04:00",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "EXD", "ID": "AZ-EX-2026-00001" },
        "ChangeReasonCode": "1", "StatementDescription": "the goods did not leave",
    });
    let az = crate::exchange::customs_of(consignment.from);
    let input = json!({ "cancellation": cancellation });
    exchange.act(&az, "submit", input).await.expect("cancelled");
    let output = exchange.play(&consignment, &consignment.steps[2]).await.expect("claimed");
    assert_eq!(output["items"][0]["rules"], json!(["export-cancelled"]));
}

#[tokio::test]
async fn a_misread_number_is_suggested() {
    let typed = (CLAIM, "GOODS/AdditionalDocument/0/ID", json!("AZPK-2O26-OOOO1"));
    let item = item(&[typed]).await;
    assert_eq!(item["rules"], json!(["certificate-unknown", "export-item"]));
    let text = item["differences"][0]["text"].as_str().expect("a text");
    assert!(text.contains("Certificate AZPK-2026-00001 has"), "{text}");
}

/// Rules that neither the samples nor the tables above name: today's tariff has no covered line
/// whose general rates are all as low as the preferential ones.
const ELSEWHERE: [Rule; 1] = [Rule::GeneralRateNotHigher];

#[test]
fn every_rule_is_named_by_a_test() {
    let mut named: BTreeSet<&str> = ELSEWHERE.iter().map(|rule| rule.id()).collect();
    let samples = serde_json::to_string(
        &shipped().iter().flat_map(|c| &c.steps).map(|step| &step.expect).collect::<Vec<_>>(),
    );
    let (samples, here) = (samples.expect("JSON"), include_str!("rules.rs"));
    for rule in Rule::ALL {
        let quoted = format!("\"{}\"", rule.id());
        if samples.contains(&quoted) || here.contains(&quoted) {
            named.insert(rule.id());
        }
    }
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !named.contains(rule.id())).collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
}

#[tokio::test]
async fn xml_is_submitted_with_a_list_of_what_was_left_out() {
    let Some(data) = std::env::var_os("KARVAN_TEST_DATA") else {
        println!(
            "SKIPPED xml_is_submitted_with_a_list_of_what_was_left_out: KARVAN_TEST_DATA is not set"
        );
        return;
    };
    let path = std::path::Path::new(&data).join("customs/wco-dec-samples/export-standard.xml");
    let xml = std::fs::read_to_string(path).expect("a sample");
    let consignment = clean();
    let mut exchange = Exchange::new(consignment.today);
    let az = crate::exchange::customs_of(consignment.from);
    let sent = exchange.act(&az, "submit", json!({ "xml": xml })).await.expect("sent");
    // The sample is British: what is unusual about it is flagged, on both sides alike.
    let pointers = |flags: &Value| {
        let flags = flags.as_array().expect("flags").iter();
        flags.map(|flag| flag["pointer"].to_string()).collect::<Vec<_>>()
    };
    let flagged = pointers(&sent["flags"]);
    for part in ["/Origin\"", "ExportCountry\"", "Destination\""] {
        assert!(flagged.iter().any(|pointer| pointer.ends_with(part)), "{part}: {flagged:?}");
    }
    let show = json!({ "export": sent["id"] });
    let pk = crate::exchange::customs_of(consignment.to);
    let kept = exchange.act(&pk, "show", show).await.expect("kept by the partner");
    assert_eq!(pointers(&kept["versions"][0]["flags"]), flagged);
    let result = exchange.act(&az, "submit", json!({ "xml": "<!DOCTYPE a><a/>" })).await;
    assert_eq!(result.expect_err("a doctype").code, "customs.unreadable");
}
