//! What the two sides refuse, park, repeat and never do.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::{Outgoing, Rejection};
use karvan_types::{ErrorKind, MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of, member};

fn sample(id: &str) -> Consignment {
    shipped().into_iter().find(|consignment| consignment.id == id).expect("a shipped sample")
}

/// The input of one step of a sample.
fn input(id: &str, step: usize) -> Value {
    sample(id).steps.get(step).expect("a step").input.clone()
}

fn document(code: &'static str, sender: &MemberId, body: &Value) -> Outgoing {
    Outgoing {
        sender: sender.clone(),
        recipient: customs_of("PK".parse().expect("PK")),
        code,
        content_type: "application/json",
        body: json::canonical(body).expect("canonical"),
    }
}

struct Setting {
    exchange: Exchange,
    az: MemberId,
    pk: MemberId,
    issuer: MemberId,
}

fn setting() -> Setting {
    let (az, pk) = ("AZ".parse().expect("AZ"), "PK".parse().expect("PK"));
    let exchange = Exchange::new(sample("clean-grant").today);
    Setting { exchange, az: customs_of(az), pk: customs_of(pk), issuer: issuer_of(az) }
}

fn check(result: Result<impl std::fmt::Debug, Rejection>, kind: ErrorKind, code: &str) {
    match result {
        Err(refusal) => {
            assert_eq!((refusal.kind, refusal.code.as_str()), (kind, code), "{refusal}");
        }
        Ok(output) => panic!("expected {code}, got {output:?}"),
    }
}

fn certificate() -> Value {
    input("clean-grant", 0).get("certificate").expect("a certificate").clone()
}

fn declaration() -> Value {
    input("clean-grant", 1).get("declaration").expect("a declaration").clone()
}

/// Outcome and first rule of the last validation that was sent.
fn last_validation(answers: &[Outgoing]) -> (String, String) {
    let answer = answers.iter().rev().find(|a| a.code == "VAL").expect("a validation");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let text = |pointer| body.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    (text("/outcome"), text("/Error/0/ValidationCode"))
}

#[tokio::test]
async fn only_an_issuer_signs_certificates() {
    let Setting { mut exchange, az, pk, issuer } = setting();
    // Customs of the exporting side signs a certificate: an alarm, not business.
    let forged = document("COO", &az, &certificate());
    let answers = exchange.hand_over(&forged).await.expect("kept, not used");
    assert!(answers.is_empty(), "no validation before the role is cleared up: {answers:?}");
    let warned: Vec<_> = exchange.pk.bench.warnings.iter().map(|w| w.code).collect();
    assert_eq!(warned, ["customs.not-an-issuer"]);
    let stranger = member("PK/GOV/TDAP/origin");
    let own = document("COO", &stranger, &certificate());
    check(exchange.hand_over(&own).await, ErrorKind::Forbidden, "customs.wrong-sender");
    let declared = document("EXD", &issuer, &declaration());
    check(exchange.hand_over(&declared).await, ErrorKind::Forbidden, "customs.wrong-sender");
    // The same on the local interface.
    let input = json!({ "certificate": certificate() });
    let result = exchange.act(&az, "certificate", input).await;
    check(result, ErrorKind::Forbidden, "customs.not-an-issuer");
    let input = json!({ "declaration": declaration() });
    let result = exchange.act(&issuer, "submit", input).await;
    check(result, ErrorKind::Forbidden, "customs.wrong-member");
    let show = json!({ "certificate": "AZPK-2026-00001" });
    let result = exchange.act(&pk, "show", show).await;
    check(result, ErrorKind::NotFound, "customs.unknown-certificate");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_what_breaks_a_rule_is_answered() {
    let Setting { mut exchange, issuer, pk, .. } = setting();
    let mut unreadable = document("COO", &issuer, &certificate());
    unreadable.body.truncate(40);
    check(exchange.hand_over(&unreadable).await, ErrorKind::Invalid, "customs.unreadable");

    let mut wrong = certificate();
    *wrong.pointer_mut("/GovernmentAgencyGoodsItem/0/quantity/unit").expect("a unit") =
        Value::from("XYZ");
    let answers = exchange.hand_over(&document("COO", &issuer, &wrong)).await.expect("stored");
    assert_eq!(last_validation(&answers), ("rejected".to_owned(), "UNIT".to_owned()));
    let show = json!({ "certificate": "AZPK-2026-00001" });
    let result = exchange.act(&pk, "show", show.clone()).await;
    check(result, ErrorKind::NotFound, "customs.unknown-certificate");

    // Mended, under the same reference: the first one was never taken into account.
    let good = document("COO", &issuer, &certificate());
    let answers = exchange.hand_over(&good).await.expect("stored");
    assert_eq!(last_validation(&answers).0, "accepted");
    // Once more: the same answer, and still one version.
    let answers = exchange.hand_over(&good).await.expect("stored");
    assert_eq!(last_validation(&answers).0, "accepted");
    // The same reference with another content.
    let mut other = certificate();
    *other.pointer_mut("/issuePlace").expect("a place") = Value::from("Sumqayit");
    let answers = exchange.hand_over(&document("COO", &issuer, &other)).await.expect("stored");
    assert_eq!(last_validation(&answers), ("rejected".to_owned(), "REUSED".to_owned()));
    // The same number under another reference.
    *other.pointer_mut("/FunctionalReferenceID").expect("a reference") = Value::from("AZ-9");
    let answers = exchange.hand_over(&document("COO", &issuer, &other)).await.expect("stored");
    assert_eq!(last_validation(&answers), ("rejected".to_owned(), "EXISTS".to_owned()));

    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let states: Vec<_> = shown["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .filter(|message| message["direction"] == "in")
        .map(|message| message["state"].as_str().unwrap_or_default())
        .collect();
    assert_eq!(states, ["rejected", "accepted", "duplicate", "rejected", "rejected"]);
    assert_eq!(shown["versions"].as_array().map(Vec::len), Some(1));
    let tasks = exchange.act(&pk, "list", json!({ "what": "tasks" })).await.expect("listed");
    assert_eq!(tasks["rows"][0]["kind"], "same-reference-other-content");
}

#[tokio::test]
async fn an_amendment_waits_for_its_original() {
    let Setting { mut exchange, issuer, pk, .. } = setting();
    let steps = sample("amendment-before-arrival").steps;
    let body = |step: usize| steps[step].input["certificate"].clone();
    let (original, amended) = (body(0), body(1));
    let cancelled = json!({
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-9", "TypeCode": "864",
        "ID": "AZPK-2026-00008", "VersionID": 1, "IssueDateTime": "2026-09-20T11:00:00+04:00",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "COO", "ID": "AZPK-2026-00008" },
        "ChangeReasonCode": "1", "StatementDescription": "issued by mistake",
    });
    let answers = exchange.hand_over(&document("COO", &issuer, &amended)).await.expect("parked");
    assert!(answers.is_empty(), "a parked message is not answered yet");
    exchange.hand_over(&document("CXL", &issuer, &cancelled)).await.expect("parked");
    let again = exchange.hand_over(&document("COO", &issuer, &amended)).await.expect("parked");
    assert!(again.is_empty(), "a duplicate of a parked message is not answered either");
    let parked = exchange.act(&pk, "list", json!({ "what": "parked" })).await.expect("listed");
    assert_eq!(parked["count"], 2);

    let answers = exchange.hand_over(&document("COO", &issuer, &original)).await.expect("taken");
    assert_eq!(answers.iter().filter(|answer| answer.code == "VAL").count(), 3);
    let show = json!({ "certificate": "AZPK-2026-00008" });
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    assert_eq!(shown["certificate"]["version"], 2);
    assert_eq!(shown["certificate"]["state"], "cancelled");
    let parked = exchange.act(&pk, "list", json!({ "what": "parked" })).await.expect("listed");
    assert_eq!(parked["count"], 0);

    // An older version after a newer one, and any change after the end.
    let mut late = amended;
    *late.pointer_mut("/FunctionalReferenceID").expect("a reference") = Value::from("AZ-10");
    let answers = exchange.hand_over(&document("COO", &issuer, &late)).await.expect("answered");
    assert_eq!(last_validation(&answers), ("rejected".to_owned(), "VERSION".to_owned()));
    *late.pointer_mut("/VersionID").expect("a version") = Value::from(3);
    *late.pointer_mut("/FunctionalReferenceID").expect("a reference") = Value::from("AZ-11");
    let answers = exchange.hand_over(&document("COO", &issuer, &late)).await.expect("answered");
    assert_eq!(last_validation(&answers), ("rejected".to_owned(), "ISSUED".to_owned()));
}

#[tokio::test]
async fn a_result_reaches_customs_and_issuer_and_counts_once() {
    let Setting { mut exchange, az, issuer, .. } = setting();
    let clean = sample("clean-grant");
    for step in clean.steps.iter().take(4) {
        exchange.play(&clean, step).await.expect("played");
    }
    let results: Vec<_> =
        exchange.sent.iter().filter(|d| d.code == "UTL").map(|d| d.recipient.clone()).collect();
    assert_eq!(results, [az.clone(), issuer]);
    let show = json!({ "certificate": "AZPK-2026-00001" });
    let shown = exchange.act(&az, "show", show).await.expect("shown");
    assert_eq!(shown["debits"].as_array().map(Vec::len), Some(1));
    assert_eq!(shown["utilisations"][0]["decision"], "granted");
    assert_eq!(shown["utilisations"][0]["claimItem"], "PK:KAPE-HC-00001-02-10-2026#00001");
}

#[tokio::test]
async fn operations_refuse_what_does_not_fit_the_state() {
    let Setting { mut exchange, az, pk, issuer } = setting();
    let clean = sample("clean-grant");
    let claim = input("clean-grant", 2);
    let number = "KAPE-HC-00001-02-10-2026";
    let decide = |decision: &str| json!({ "claim": number, "decision": decision });
    let reopen = json!({ "claim": number, "text": "looked at it again" });
    for (who, operation, input, kind, code) in [
        (&pk, "decide", decide("grant"), ErrorKind::NotFound, "customs.no-claim"),
        (&pk, "decide", json!({ "claim": 1 }), ErrorKind::Invalid, "customs.bad-input"),
        (&az, "decide", decide("grant"), ErrorKind::NotFound, "customs.no-claim"),
        (&issuer, "decide", decide("grant"), ErrorKind::Forbidden, "customs.wrong-member"),
        (&pk, "reopen", reopen.clone(), ErrorKind::NotFound, "customs.no-claim"),
        (&pk, "submit", json!({}), ErrorKind::Invalid, "customs.bad-input"),
        (&pk, "show", json!({}), ErrorKind::Invalid, "customs.bad-input"),
        (&pk, "show", json!({"export": "X"}), ErrorKind::NotFound, "customs.unknown-export"),
        (
            &pk,
            "resolve",
            json!({"task": 1, "text": "done with it"}),
            ErrorKind::NotFound,
            "customs.no-task",
        ),
        (&pk, "tariff", json!({"code": "999999"}), ErrorKind::Invalid, "customs.tariff"),
        (
            &pk,
            "tariff",
            json!({"code": "080222", "origin": "ZZ"}),
            ErrorKind::Invalid,
            "customs.unknown-country",
        ),
        (&pk, "fly", json!({}), ErrorKind::NotFound, "customs.unknown-operation"),
    ] {
        check(exchange.act(who, operation, input).await, kind, code);
    }
    for step in clean.steps.iter().take(3) {
        exchange.play(&clean, step).await.expect("played");
    }
    check(exchange.act(&pk, "reopen", reopen).await, ErrorKind::Conflict, "customs.not-decided");
    let mut second = claim.clone();
    *second.pointer_mut("/claim/InvoiceAmount/value").expect("an amount") = Value::from("22001");
    let path = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/InvoiceLine/\
                ItemChargeAmount/value";
    *second.pointer_mut(path).expect("an amount") = Value::from("22001");
    let result = exchange.act(&pk, "claim", second.clone()).await;
    check(result, ErrorKind::Conflict, "customs.claim-exists");
    let mut unclaimed = second.clone();
    let item = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0";
    let goods = unclaimed.pointer_mut(item).and_then(Value::as_object_mut).expect("an item");
    goods.remove("AdditionalDocument");
    *unclaimed.pointer_mut("/claim/ID").expect("an id") = Value::from("KAPE-HC-2");
    let filed = exchange.act(&pk, "claim", unclaimed).await.expect("filed without preference");
    assert_eq!(
        (&filed["items"], &filed["proposal"]["verdict"]),
        (&json!([]), &json!("general-rate"))
    );
    exchange.act(&pk, "decide", decide("grant")).await.expect("granted");
    *second.pointer_mut("/claim/FunctionCode").expect("a code") = Value::from("5");
    *second.pointer_mut("/claim/VersionID").expect("a version") = Value::from(2);
    let result = exchange.act(&pk, "claim", second).await;
    check(result, ErrorKind::Conflict, "customs.claim-decided");
    let result = exchange.act(&pk, "decide", decide("deny")).await;
    check(result, ErrorKind::Conflict, "customs.already-decided");
}

#[tokio::test]
async fn rules_of_the_document_are_told_with_pointers() {
    let Setting { mut exchange, issuer, .. } = setting();
    let mut wrong = certificate();
    *wrong.pointer_mut("/TypeCode").expect("a code") = Value::from("380");
    *wrong.pointer_mut("/Destination/CountryCode").expect("a country") = Value::from("XX");
    let input = json!({ "certificate": wrong });
    let refusal = exchange.act(&issuer, "certificate", input).await.expect_err("invalid");
    assert_eq!(refusal.code, "customs.invalid-document");
    let pointers: Vec<_> = refusal.pointers.iter().map(|p| p.pointer.as_str()).collect();
    assert_eq!(pointers, ["/Destination/CountryCode", "/TypeCode"]);
}

#[tokio::test]
async fn a_list_by_a_word_that_does_not_exist_is_refused_with_those_that_do() {
    let consignment = shipped().into_iter().find(|c| c.id == "clean-grant").expect("a sample");
    let mut exchange = Exchange::new(consignment.today);
    let pk = customs_of(consignment.to);
    for (operation, input, part) in [
        ("list", json!({ "what": "parked", "state": "nonsense" }), "leave `state` out"),
        ("list", json!({ "what": "claims", "state": "nonsense" }), "granted-in-part"),
        ("list", json!({ "what": "certificates", "state": "used" }), "used-up"),
        ("list", json!({ "what": "exports", "state": "gone" }), "departed"),
        ("list", json!({ "what": "tasks", "state": "done" }), "open, closed"),
        ("list", json!({ "what": "cases" }), "`ledger`"),
        ("browse", json!({ "what": "claims", "light": "orange" }), "green, amber, red"),
        ("browse", json!({ "what": "tasks", "kind": "nonsense" }), "verification-due"),
        ("browse", json!({ "what": "verifications", "state": "asked" }), "received"),
        ("verifications", json!({ "state": "asked" }), "received"),
        ("ledger", json!({ "cases": "done" }), "closed"),
    ] {
        let refusal = exchange.act(&pk, operation, input.clone()).await.expect_err("refused");
        assert_eq!(refusal.code, "customs.bad-input", "{input}");
        assert!(refusal.text.contains(part), "{input}: {}", refusal.text);
    }
}
