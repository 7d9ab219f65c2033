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
    let second = (CLAIM, "GOODS/AdditionalDocument/0/LineNumeric", json!(2));
    check(&[second], &["certificate-item", "export-item"], "query").await;
    // What the model leaves optional is no reason to refuse the claim.
    check(&[quoted("")], &["certificate-date"], "grant").await;
    check(&[(CLAIM, "GOODS/AdditionalDocument/0/LineNumeric", json!(""))], &[], "grant").await;

    let other = json!({ "Name": "Sindh Sample Traders (fictitious)", "ID": "7000001" });
    let importer = (CLAIM, "GoodsShipment/Importer", other);
    check(std::slice::from_ref(&importer), &["consignee"], "grant").await;
    let sold_on = |flags: &[&str]| [importer.clone(), (CERTIFICATE, "flags", json!(flags))];
    check(&sold_on(&["backToBack"]), &["back-to-back"], "grant").await;
    assert_eq!(item(&sold_on(&["backToBack"])).await["light"], "amber");
    let both = sold_on(&["backToBack", "thirdPartyInvoice"]);
    check(&both, &["consignee"], "grant").await;
    assert_eq!(item(&both).await["light"], "green", "both remarks are there");
    let order =
        (CERTIFICATE, "Consignee", json!({ "Name": "To order of Sample Bank (fictitious)" }));
    check(&[order], &["consignee-to-order"], "grant").await;
    // The same number with its check digit, and another spelling of the name, is the same party.
    let same = json!({ "Name": "INDUS Sample Imports", "ID": "7654321-8" });
    check(&[(CLAIM, "GoodsShipment/Importer", same)], &[], "grant").await;
    check(&[(EXPORT, "Exporter/ID", json!("1700552201"))], &["exporter"], "grant").await;
}

/// An invoice of so many dollars, and the customs value that goes with it.
fn invoice(dollars: &str) -> [(usize, &'static str, Value); 3] {
    let rupees = 285 * dollars.parse::<u64>().expect("whole dollars");
    [
        (CLAIM, "GOODS/Commodity/InvoiceLine/ItemChargeAmount/value", json!(dollars)),
        (CLAIM, "InvoiceAmount/value", json!(dollars)),
        (CLAIM, "GOODS/CustomsValueAmount/value", json!(rupees.to_string())),
    ]
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
    // A part shipment is compared by its part of the value; it has a part of the packages, too.
    let mut part = weights(CLAIM, "10000").to_vec();
    part.extend(invoice("11000"));
    check(&part, &["quantity-short"], "grant").await;
    let packages = |count: u64| {
        let path = "GOODS/Packaging/0/QuantityQuantity";
        [(CLAIM, path, json!(count)), (CLAIM, "TotalPackageQuantity", json!(count))]
    };
    part.extend(packages(400));
    check(&part, &[], "grant").await;
    check(&packages(801), &["packages"], "grant").await;

    check(&invoice("27500"), &[], "grant").await;
    check(&invoice("27501"), &["value-higher"], "grant").await;
    let mut abroad = invoice("27501").to_vec();
    abroad.push((CERTIFICATE, "flags", json!(["thirdPartyInvoice"])));
    assert_eq!(item(&abroad).await["light"], "green", "a seller abroad has a margin");
    // Certificate and invoice agree; the export value is the odd one.
    let export = |value: &str| {
        let line = "GOODS/Commodity/InvoiceLine/ItemChargeAmount/value";
        [(EXPORT, line, json!(value)), (EXPORT, "InvoiceAmount/value", json!(value))]
    };
    check(&export("30000"), &["export-overvalued"], "grant").await;
    check(&export("24000"), &["value-lower"], "grant").await;
    let assessed = |value: &str| {
        (CLAIM, "GOODS/CustomsValueAmount", json!({ "value": value, "currency": "USD" }))
    };
    // Converted by the rate of the day; without one there is no duty in rupees (case 54).
    check(&[assessed("21780")], &[], "grant").await;
    check(&[assessed("21779")], &["assessed-below-invoice"], "grant").await;
    check(&[assessed("50000")], &[], "grant").await;

    let third = [
        (CLAIM, "GoodsShipment/Invoice/0/ID", json!("DXB-9")),
        (CERTIFICATE, "flags", json!(["thirdPartyInvoice"])),
    ];
    check(&third, &["invoice-number"], "grant").await;
    assert_eq!(item(&third).await["light"], "green", "a marked third-party invoice is tolerated");
}

#[tokio::test]
async fn editions_of_the_harmonized_system() {
    let codes = |step, six: &str, edition: u16| {
        let path = match step {
            CERTIFICATE => "GovernmentAgencyGoodsItem/0/Classification",
            _ => "GOODS/Commodity/Classification",
        };
        let code = json!([{ "ID": six, "IdentificationTypeCode": "HS", "edition": edition }]);
        (step, path, code)
    };
    let claim = |six: &str, national: &str| {
        let code = json!([
            { "ID": six, "IdentificationTypeCode": "HS", "edition": 2022 },
            { "ID": national, "IdentificationTypeCode": "PCT" },
        ]);
        (CLAIM, "GOODS/Commodity/Classification", code)
    };
    let specific = || (CERTIFICATE, "GovernmentAgencyGoodsItem/0/originCriterion", json!("PSR"));
    // The same code in both editions is no difference.
    check(&[codes(CERTIFICATE, "390110", 2017)], &[], "grant").await;
    // 0802.90 was divided into 0802.91, .92 and .99: each is contained in it.
    let nuts = [
        specific(),
        codes(CERTIFICATE, "080290", 2017),
        codes(EXPORT, "080292", 2022),
        claim("080292", "08029200"),
    ];
    let found = item(&nuts).await;
    assert_eq!(found["rules"], json!(["no-concession", "hs-edition"]));
    assert_eq!(found["differences"][1]["severity"], "tolerated");
    assert_eq!(found["differences"][1]["certificate"], "0802.90 (HS 2017)");
    // 7419.10 and 7419.20 have some articles in common and others not.
    let copper = [
        specific(),
        codes(CERTIFICATE, "741910", 2017),
        codes(EXPORT, "741920", 2022),
        claim("741920", "74192000"),
    ];
    let found = item(&copper).await;
    assert_eq!(found["rules"], json!(["no-concession", "hs-edition-unclear"]));
    assert_eq!(found["differences"][1]["severity"], "hold");
    // An edition of which nothing is known here.
    check(&[codes(CERTIFICATE, "390110", 2012)], &["hs-edition-unclear"], "query").await;
    // Another edition explains nothing when the table does not.
    check(&[codes(CERTIFICATE, "390120", 2017)], &["hs6"], "query").await;
}

#[tokio::test]
async fn values_in_two_currencies_are_compared_by_the_rate_of_the_day() {
    let consignment = clean();
    let mut exchange = Exchange::new(consignment.today);
    let pk = crate::exchange::customs_of(consignment.to);
    let file = |day: &str, usd: &str| {
        let rate = |currency: &str, value: &str| {
            format!(
                "[[rate]]\ncurrency = \"{currency}\"\nunits = \"1\"\nvalue = \"{value}\"\n\
                 from = \"{day}\"\nstatus = \"assumed\"\nsource = \"fictitious\"\n"
            )
        };
        let head = format!(
            "version = \"{day}\"\npublished = \"{day}\"\nauthority = \"fictitious\"\n\
             currency = \"PKR\"\n"
        );
        json!({ "text": head + &rate("USD", usd) + &rate("EUR", "310") })
    };
    let imported = exchange.act(&pk, "rates-import", file("2026-10-01", "285")).await;
    assert_eq!(imported.expect("imported")["new"], 2);
    let again = exchange.act(&pk, "rates-import", file("2026-10-01", "285")).await;
    assert_eq!(again.expect("here before")["duplicate"], true);
    let changed = exchange.act(&pk, "rates-import", file("2026-10-01", "286")).await;
    assert_eq!(changed.expect_err("a rate never changes").code, "customs.rates");
    let later = exchange.act(&pk, "rates-import", file("2026-10-03", "999")).await;
    assert_eq!(later.expect("a later day")["new"], 2);

    let mut consignment = consignment;
    let line = "GOODS/Commodity/InvoiceLine/ItemChargeAmount";
    // 22000 USD at 285 are 20225.81 EUR at 310.
    let euro = json!({ "value": "20225.81", "currency": "EUR" });
    patch(&mut consignment, CLAIM, line, euro.clone());
    patch(&mut consignment, CLAIM, "InvoiceAmount", euro);
    let mut output = Value::Null;
    for step in consignment.steps.iter().take(3) {
        output = exchange.play(&consignment, step).await.expect("played");
    }
    let item = &output["items"][0];
    assert_eq!(item["rules"], json!(["currency-converted"]), "{item:#}");
    let found = &item["differences"][0];
    assert_eq!((&found["severity"], &item["light"]), (&json!("info"), &json!("green")));
    assert_eq!(found["export"], "22000 USD = 20225.81 EUR", "both amounts are kept");
    let basis = found["basis"].as_str().expect("the rates");
    assert!(basis.contains("1 USD = 285 PKR (2026-10-01, assumed (!))"), "{basis}");

    let ask = json!({ "amount": { "value": "100", "currency": "USD" }, "to": "EUR",
        "day": "2026-10-02" });
    let shown = exchange.act(&pk, "rates", ask).await.expect("converted");
    assert_eq!(shown["converted"]["amount"]["value"], "91.935484");
    let unknown = json!({ "amount": { "value": "1", "currency": "TRY" }, "day": "2026-10-02" });
    let refusal = exchange.act(&pk, "rates", unknown).await.expect_err("never guessed");
    assert_eq!(refusal.code, "customs.no-rate");
    let dirham = json!({ "amount": { "value": "367.25", "currency": "AED" }, "to": "USD",
        "day": "2026-10-02" });
    let shown = exchange.act(&pk, "rates", dirham).await.expect("a fixed parity");
    assert_eq!(shown["converted"]["amount"]["value"], "100");
}

#[tokio::test]
async fn one_invoice_on_two_certificates() {
    let consignment = clean();
    let mut exchange = Exchange::new(consignment.today);
    let mut second = consignment.clone();
    patch(&mut second, CERTIFICATE, "ID", json!("AZPK-2026-99001"));
    patch(&mut second, CERTIFICATE, "FunctionalReferenceID", json!("AZ-COO-99001"));
    exchange.play(&second, &second.steps[CERTIFICATE]).await.expect("issued");
    let mut output = Value::Null;
    for step in consignment.steps.iter().take(3) {
        output = exchange.play(&consignment, step).await.expect("played");
    }
    let item = &output["items"][0];
    assert_eq!(item["rules"], json!(["invoice-shared"]));
    assert_eq!(item["differences"][0]["certificate"], "AZPK-2026-99001", "the others are listed");
    let pk = crate::exchange::customs_of(consignment.to);
    let shown = exchange.act(&pk, "show", json!({ "invoice": "inv 00001" })).await.expect("shown");
    let count = |what: &str| shown[what].as_array().map(Vec::len);
    assert_eq!(
        (count("certificates"), count("exports"), count("claims")),
        (Some(2), Some(1), Some(1))
    );
    let none = exchange.act(&pk, "show", json!({ "invoice": "INV-77" })).await;
    assert_eq!(none.expect_err("not named").code, "customs.unknown-invoice");
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
/// whose general rates are all as low as the preferential ones, and the shipped rules of origin
/// none that only a person can read (the tests of `matching::origin` have one); the silent partner
/// is in `choreography`, values that are not shared in `sharing`.
const ELSEWHERE: [Rule; 4] =
    [Rule::GeneralRateNotHigher, Rule::OriginOpen, Rule::PartnerSilent, Rule::ValueNotShared];

#[test]
fn every_rule_is_named_by_a_test() {
    let mut named: BTreeSet<&str> = ELSEWHERE.iter().map(|rule| rule.id()).collect();
    let samples = serde_json::to_string(
        &shipped().iter().flat_map(|c| &c.steps).map(|step| &step.expect).collect::<Vec<_>>(),
    );
    let samples = samples.expect("JSON");
    let here = concat!(include_str!("rules.rs"), include_str!("verification.rs"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/catalogue");
    let cases: String = std::fs::read_dir(folder)
        .expect("the catalogue")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a case"))
        .collect();
    for rule in Rule::ALL {
        let quoted = format!("\"{}\"", rule.id());
        if [samples.as_str(), here, &cases].iter().any(|text| text.contains(&quoted)) {
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
