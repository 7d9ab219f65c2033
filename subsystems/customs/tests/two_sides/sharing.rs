//! What is released at each level, by the sender; and what becomes of more.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Outgoing;
use karvan_types::{Digest, MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

struct Setting {
    exchange: Exchange,
    consignment: Consignment,
    az: MemberId,
    pk: MemberId,
}

/// Both sides, with this level in the agreement.
fn setting(level: Option<&str>) -> Setting {
    let consignment = shipped().into_iter().find(|c| c.id == "clean-grant").expect("a sample");
    let mut exchange = Exchange::new(consignment.today);
    agree(&mut exchange, level);
    let (az, pk) = (customs_of(consignment.from), customs_of(consignment.to));
    Setting { exchange, consignment, az, pk }
}

fn agree(exchange: &mut Exchange, level: Option<&str>) {
    for side in [&mut exchange.az, &mut exchange.pk] {
        side.bench.sharing_level = level.map(str::to_owned);
    }
}

impl Setting {
    async fn play(&mut self, step: usize) -> Value {
        let step = self.consignment.steps[step].clone();
        self.exchange.play(&self.consignment, &step).await.expect("played")
    }

    fn sent(&self, code: &str) -> Value {
        let found = self.exchange.sent.iter().rev().find(|sent| sent.code == code);
        json::from_slice(&found.expect("was sent").body).expect("JSON")
    }

    async fn ask(&mut self, who: &MemberId, input: Value) -> Value {
        self.exchange.act(who, "sharing", input).await.expect("shown")
    }

    /// Delivers a document of the sample as it is, past the sender's node.
    async fn smuggle(&mut self, step: usize, member: &str, code: &'static str) -> (Vec<u8>, Value) {
        let content = &self.consignment.steps[step].input[member];
        let body = json::canonical(content).expect("canonical");
        let from = self.consignment.from;
        let sender = if code == "COO" { issuer_of(from) } else { self.az.clone() };
        let recipient = self.pk.clone();
        let content_type = "application/json";
        let document = Outgoing { sender, recipient, code, content_type, body: body.clone() };
        let answers = self.exchange.hand_over(&document).await.expect("taken");
        let answer = json::from_slice(&answers[0].body).expect("a validation");
        for answer in answers {
            self.exchange.hand_over(&answer).await.expect("taken");
        }
        (body, answer)
    }
}

fn fields(row: &Value, name: &str) -> Vec<String> {
    let fields = row[name].as_array().expect("fields").iter();
    fields.map(|field| field["field"].as_str().expect("a field").to_owned()).collect()
}

#[tokio::test]
async fn at_the_first_level_no_value_leaves_and_the_claim_is_decided_all_the_same() {
    let mut t = setting(Some("L1"));
    let (az, pk) = (t.az.clone(), t.pk.clone());
    for step in 0..4 {
        let output = t.play(step).await;
        if step == 2 {
            // What was not shared is no mismatch.
            assert_eq!(output["items"][0]["proposal"]["verdict"], "grant", "{output}");
            assert_eq!(output["items"][0]["light"], "green", "{output}");
            assert_eq!(output["items"][0]["rules"], json!(["value-not-shared"]));
        }
    }
    for sent in &t.exchange.sent {
        let text = String::from_utf8(sent.body.clone()).expect("UTF-8");
        assert!(!text.contains("currency") && text.contains(r#""sharingLevel":"L1""#), "{text}");
    }
    // Both sides name the same signed bytes; ours still has the values.
    let shown = t.exchange.act(&az, "show", json!({ "export": "AZ-EX-2026-00001" })).await;
    let shown = shown.expect("shown");
    let signed = Digest::of(&json::canonical(&t.sent("EXD")).expect("canonical")).to_string();
    assert_eq!(shown["versions"][0]["digest"], json!(signed));
    assert!(shown["versions"][0]["content"]["InvoiceAmount"].is_object());
    let there = t.exchange.act(&pk, "show", json!({ "export": "AZ-EX-2026-00001" })).await;
    let there = there.expect("shown");
    assert_eq!(there["versions"][0]["digest"], json!(signed));
    assert!(there["versions"][0]["content"]["InvoiceAmount"].is_null());
    let report = t.ask(&az, json!({ "report": true, "of": "AZ-EX-2026-00001" })).await;
    assert_eq!(
        (&report["count"], &report["rows"][0]["levelFrom"]),
        (&json!(1), &json!("agreement"))
    );
    assert!(fields(&report["rows"][0], "leftOut").contains(&"/InvoiceAmount".to_owned()));
    assert!(!report.to_string().contains("USD"), "fields only, no values: {report}");
    assert_eq!(t.ask(&pk, json!({ "incidents": true })).await["count"], 0);
}

#[tokio::test]
async fn the_agreement_says_the_level_and_not_the_sender() {
    for (agreed, wished, released) in [
        (Some("L1"), "L3", "L1"),
        (Some("L2"), "L1", "L2"),
        (None, "L3", "L2"),
        (Some("X"), "L2", "L1"),
    ] {
        let mut t = setting(agreed);
        t.consignment.steps[0].input["certificate"]["sharingLevel"] = json!(wished);
        t.play(0).await;
        let sent = t.sent("COO");
        assert_eq!(sent["sharingLevel"], released, "{agreed:?} {wished}");
        let value = &sent["GovernmentAgencyGoodsItem"][0]["fobValue"];
        assert_eq!(value.is_object(), released != "L1", "{agreed:?} {wished}");
    }
}

#[tokio::test]
async fn a_new_agreement_counts_from_its_day_also_for_changes() {
    let mut t = setting(Some("L2"));
    t.play(0).await;
    assert!(t.sent("COO")["GovernmentAgencyGoodsItem"][0]["fobValue"].is_object());
    agree(&mut t.exchange, Some("L1"));
    let certificate = &mut t.consignment.steps[0].input["certificate"];
    certificate["FunctionCode"] = json!("5");
    certificate["VersionID"] = json!(2);
    certificate["FunctionalReferenceID"] = json!("AZ-COO-SECOND");
    t.play(0).await;
    assert!(t.sent("COO")["GovernmentAgencyGoodsItem"][0]["fobValue"].is_null());
    // Handed in again it is the same document.
    assert_eq!(t.play(0).await["duplicate"], true);
}

#[tokio::test]
async fn a_partner_that_sends_more_is_stripped_before_storage_and_told() {
    let mut t = setting(Some("L1"));
    let (az, pk) = (t.az.clone(), t.pk.clone());
    let (body, answer) = t.smuggle(0, "certificate", "COO").await;
    assert_eq!(answer["outcome"], "accepted", "{answer}");
    let remarks = answer["Error"].as_array().expect("remarks");
    assert!(remarks.iter().all(|remark| remark["ValidationCode"] == "SHARING"), "{answer}");
    let incidents = t.ask(&pk, json!({ "incidents": true })).await;
    let incident = &incidents["rows"][0];
    assert_eq!(incident["signed"], json!(Digest::of(&body).to_string()));
    let taken_out = fields(incident, "takenOut");
    assert!(taken_out.contains(&"/GovernmentAgencyGoodsItem/*/fobValue".to_owned()));
    // Nothing of it is anywhere in the store.
    let store = t.exchange.pk.store();
    let messages = store
        .read(|view| {
            let all = karvan_store::Range::all(100);
            view.select::<karvan_customs::journal::MessageRecord>(&all)
        })
        .await
        .expect("messages");
    assert!(messages.iter().all(|message| !message.raw.contains("currency")), "{messages:?}");
    let show = json!({ "certificate": "AZPK-2026-00001" });
    let shown = t.exchange.act(&pk, "show", show).await.expect("shown");
    assert!(!shown.to_string().contains("currency"), "{shown}");
    assert_eq!(shown["versions"][0]["digest"], json!(Digest::of(&body).to_string()));
    let warned = t.exchange.pk.bench.warnings.iter();
    assert!(warned.filter(|warning| warning.code == "customs.privacy-incident").count() == 1);
    // The same again is a duplicate, and an incident again.
    let (_, again) = t.smuggle(0, "certificate", "COO").await;
    assert_eq!(again["outcome"], "accepted", "{again}");
    assert_eq!(t.ask(&pk, json!({ "incidents": true })).await["count"], 2);
    let _ = az;
}

#[tokio::test]
async fn a_preview_says_what_a_document_would_lose() {
    let mut t = setting(None);
    let az = t.az.clone();
    let body = t.consignment.steps[1].input["declaration"].clone();
    let ask = |level: Value, document: &str| {
        let body = body.clone();
        json!({ "preview": { "document": document, "body": body, "level": level } })
    };
    let first = t.ask(&az, ask(json!("L1"), "EXD")).await;
    assert!(fields(&first, "leftOut").contains(&"/InvoiceAmount".to_owned()), "{first}");
    assert!(first["released"]["InvoiceAmount"].is_null());
    let configured = t.ask(&az, ask(Value::Null, "EXD")).await;
    assert_eq!((&configured["level"], &configured["leftOut"]), (&json!("L2"), &json!([])));
    for (input, code) in [
        (ask(json!("L9"), "EXD"), "customs.bad-input"),
        (ask(json!("L1"), "XYZ"), "customs.bad-input"),
        (ask(json!("L1"), "COO"), "customs.unreadable"),
        (json!({}), "customs.bad-input"),
    ] {
        let refused = t.exchange.act(&az, "sharing", input).await.expect_err(code);
        assert_eq!(refused.code, code);
    }
    let classes = t.ask(&az, json!({ "classes": "COO" })).await;
    assert!(classes["rows"].as_array().is_some_and(|rows| rows.len() > 70));
    assert_eq!(t.ask(&az, json!({ "report": true })).await["count"], 0);
}

/// An amendment of a document of the sample.
fn amendment(of: &Value, kind: &str, version: u32, pointers: &str, value: [&str; 2]) -> Value {
    let pointers = pointers.split_whitespace().map(|step| {
        let (section, tag) = step.split_once('.').map_or((step, None), |(s, tag)| (s, Some(tag)));
        let mut pointer = json!({ "DocumentSectionCode": section });
        if let Some(tag) = tag {
            pointer["TagID"] = json!(tag);
        }
        pointer
    });
    let pointers: Vec<Value> = pointers.collect();
    let mut change = json!({ "ChangeReasonCode": "25" });
    if !pointers.is_empty() {
        change["Pointer"] = json!(pointers);
    }
    let [path, value] = value;
    json!({
        "FunctionCode": "4", "FunctionalReferenceID": format!("AZ-AMD-{kind}-{version}"),
        "TypeCode": "COR", "ID": of["ID"], "VersionID": version,
        "IssueDateTime": "2026-10-05T08:30:00+04:00", "agreementID": of["agreementID"],
        "sharingLevel": of["sharingLevel"],
        "document": { "documentType": kind, "ID": of["ID"], "VersionID": version - 1 },
        "StatementDescription": "corrected after a check of the papers",
        "Amendment": [change],
        "values": [{ "path": path, "value": value }],
    })
}

/// Versions of a document as one side keeps it: the value at a path of each.
async fn values(t: &mut Setting, who: &MemberId, show: &Value, path: &str) -> Vec<Value> {
    let shown = t.exchange.act(who, "show", show.clone()).await.expect("shown");
    let versions = shown["versions"].as_array().expect("versions").iter();
    versions.map(|v| v["content"].pointer(path).cloned().unwrap_or_default()).collect()
}

#[tokio::test]
async fn an_amendment_of_a_withheld_field_keeps_both_sides_together() {
    const CITY: &str = "/Exporter/Address/CityName";
    const OFFICE: &str = "/DeclarationOfficeID";
    // The level at which the original goes, and that of the amendments.
    for (first, later) in [("L1", "L1"), ("L2", "L2"), ("L3", "L1"), ("L1", "L3")] {
        let mut t = setting(Some(first));
        let (az, pk) = (t.az.clone(), t.pk.clone());
        t.consignment.steps[1].input["declaration"]["Exporter"]["Address"]["CityName"] =
            json!("Sumqayıt");
        t.play(0).await;
        t.play(1).await;
        agree(&mut t.exchange, Some(later));
        let declaration = t.consignment.steps[1].input["declaration"].clone();
        let show = json!({ "export": declaration["ID"] });
        let city = amendment(&declaration, "EXD", 2, "42A 57A 04A.241", [&CITY[1..], "Gəncə"]);
        let office = amendment(&declaration, "EXD", 3, "42A.065", [&OFFICE[1..], "AZ0099"]);
        for change in [&city, &office, &office] {
            let input = json!({ "amendment": change });
            let sent = t.exchange.act(&az, "submit", input).await.expect("amended");
            assert_eq!(sent["document"], "EXD", "{first} {later}: {sent}");
            assert_eq!(sent["version"], change["VersionID"], "{first} {later}: {sent}");
        }
        assert!(t.exchange.sent.iter().all(|sent| sent.code != "AMD"), "no pointer travels");
        let cities = |level: &str, name: &str| {
            if level == "L3" { json!(name) } else { Value::Null }
        };
        let seen = values(&mut t, &pk, &show, CITY).await;
        let expected = [cities(first, "Sumqayıt"), cities(later, "Gəncə"), cities(later, "Gəncə")];
        assert_eq!(seen, expected, "{first} {later}");
        assert_eq!(values(&mut t, &az, &show, CITY).await, ["Sumqayıt", "Gəncə", "Gəncə"]);
        assert_eq!(values(&mut t, &pk, &show, OFFICE).await[2], "AZ0099", "{first} {later}");
        let parked = t.exchange.act(&pk, "list", json!({ "what": "parked" })).await;
        assert_eq!(parked.expect("listed")["count"], 0);
        let mut wrong = office.clone();
        wrong["FunctionalReferenceID"] = json!("AZ-AMD-WRONG");
        let refused = t.exchange.act(&az, "submit", json!({ "amendment": wrong })).await;
        let refused = refused.expect_err("version 3 is there");
        assert_eq!(refused.pointers[0].rule, "VERSION", "{}", refused.text);
    }
}

#[tokio::test]
async fn an_amendment_of_a_certificate_travels_whole_when_a_value_of_it_is_withheld() {
    const VALUE: &str = "/GovernmentAgencyGoodsItem/0/fobValue/value";
    const AMOUNT: &str = "/GovernmentAgencyGoodsItem/0/quantity/value";
    for (level, travels) in [("L1", "COO"), ("L2", "AMD")] {
        let mut t = setting(Some(level));
        let (az, pk) = (t.az.clone(), t.pk.clone());
        let issuer = issuer_of(t.consignment.from);
        t.play(0).await;
        let certificate = t.consignment.steps[0].input["certificate"].clone();
        let show = json!({ "certificate": certificate["ID"] });
        let path = "GovernmentAgencyGoodsItem[1]/fobValue/value";
        let value = amendment(&certificate, "COO", 2, "", [path, "50000.00"]);
        let path = "GovernmentAgencyGoodsItem[1]/quantity/value";
        let amount = amendment(&certificate, "COO", 3, "", [path, "12000"]);
        for change in [&value, &amount, &amount] {
            let input = json!({ "amendment": change });
            let sent = t.exchange.act(&issuer, "certificate", input).await.expect("amended");
            assert_eq!(sent["document"], travels, "{level}: {sent}");
        }
        let seen = values(&mut t, &pk, &show, VALUE).await;
        assert_eq!((seen.len(), seen[2].is_null()), (3, level == "L1"), "{level}: {seen:?}");
        assert_eq!(values(&mut t, &az, &show, VALUE).await[1], "50000.00");
        assert_eq!(values(&mut t, &pk, &show, AMOUNT).await[2], "12000");
        let parked = t.exchange.act(&pk, "list", json!({ "what": "parked" })).await;
        assert_eq!(parked.expect("listed")["count"], 0);
    }
}
