//! What happens after a decision, between several items, and when the two sides disagree.

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Outgoing;
use karvan_types::{MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

struct Played {
    exchange: Exchange,
    consignment: Consignment,
    az: MemberId,
    pk: MemberId,
    issuer: MemberId,
}

/// Plays the first steps of a sample.
async fn played(id: &str, steps: usize) -> Played {
    let consignment = shipped().into_iter().find(|c| c.id == id).expect("a shipped sample");
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(steps) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let (az, pk) = (customs_of(consignment.from), customs_of(consignment.to));
    let issuer = issuer_of(consignment.from);
    Played { exchange, consignment, az, pk, issuer }
}

fn cancellation(number: &str) -> Value {
    json!({
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-1", "TypeCode": "864",
        "ID": number, "VersionID": 1, "IssueDateTime": "2026-10-04T11:00:00+04:00",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "COO", "ID": number },
        "ChangeReasonCode": "1", "StatementDescription": "the origin was not proven",
    })
}

async fn tasks(exchange: &mut Exchange, who: &MemberId) -> Vec<String> {
    let listed = exchange.act(who, "list", json!({ "what": "tasks" })).await.expect("listed");
    let rows = listed["rows"].as_array().expect("rows").iter();
    rows.map(|row| row["kind"].as_str().expect("a kind").to_owned()).collect()
}

#[tokio::test]
async fn a_cancellation_after_the_grant_is_a_task() {
    let Played { mut exchange, pk, issuer, .. } = played("clean-grant", 4).await;
    let input = json!({ "cancellation": cancellation("AZPK-2026-00001") });
    exchange.act(&issuer, "certificate", input).await.expect("cancelled");
    assert_eq!(tasks(&mut exchange, &pk).await, ["cancelled-after-decision"]);
    let show = json!({ "claim": "KAPE-HC-00001-02-10-2026" });
    let shown = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    assert_eq!(shown["items"][0]["state"], "granted", "nothing changes silently");

    let why = json!({ "claim": "KAPE-HC-00001-02-10-2026", "text": "the certificate is void" });
    exchange.act(&pk, "reopen", why).await.expect("reopened");
    let deny = json!({ "claim": "KAPE-HC-00001-02-10-2026", "decision": "deny" });
    let output = exchange.act(&pk, "decide", deny).await.expect("denied");
    assert_eq!(output["decision"]["reason"], "cert-invalid");
    assert_eq!(output["decision"]["balance"]["value"], "20000", "the debit is given back");
    let saved = &shown["decisions"][0]["duty"]["saved"];
    assert_eq!(output["decision"]["settlement"]["collect"], *saved, "what was saved is due");
    assert_eq!(tasks(&mut exchange, &pk).await, ["duty-settlement"]);
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let history: Vec<_> = shown["history"].as_array().expect("lines").iter().collect();
    assert!(
        history.iter().any(|line| line["text"].as_str().is_some_and(|t| t.contains("reopened")))
    );
}

#[tokio::test]
async fn a_question_is_a_task_on_both_sides() {
    let Played { mut exchange, az, pk, consignment, .. } = played("unknown-certificate", 2).await;
    // The partner's node was asked for the number when the claim came, and does not know it.
    assert_eq!(tasks(&mut exchange, &pk).await, ["partner-query"]);
    exchange.play(&consignment, &consignment.steps[3]).await.expect("queried");
    assert_eq!(tasks(&mut exchange, &pk).await, ["partner-query", "partner-query"]);
    assert_eq!(tasks(&mut exchange, &az).await, ["partner-query"]);
    let listed = exchange.act(&az, "list", json!({ "what": "tasks" })).await.expect("listed");
    let text = listed["rows"][0]["text"].as_str().expect("a text");
    assert!(text.contains("AZPK-2026-00005, which is not known here"), "{text}");
    let resolve =
        json!({ "task": listed["rows"][0]["number"], "text": "the issuer sends it today" });
    exchange.act(&az, "resolve", resolve.clone()).await.expect("closed");
    assert_eq!(tasks(&mut exchange, &az).await, Vec::<String>::new());
    let refusal = exchange.act(&az, "resolve", resolve).await.expect_err("closed before");
    assert_eq!(refusal.code, "customs.task-closed");
}

#[tokio::test]
async fn a_debit_that_our_ledger_cannot_follow_is_a_task() {
    let Played { mut exchange, az, .. } = played("clean-grant", 4).await;
    let sent = exchange.sent.iter().find(|document| document.code == "UTL").expect("a result");
    let mut body: Value = serde_json::from_slice(&sent.body).expect("JSON");
    body["claim"]["ID"] = Value::from("KAPE-HC-77");
    body["FunctionalReferenceID"] = Value::from("UTL-X");
    let again = Outgoing { body: json::canonical(&body).expect("canonical"), ..sent.clone() };
    exchange.hand_over(&again).await.expect("taken");
    assert_eq!(tasks(&mut exchange, &az).await, ["overdrawn"]);
}

#[tokio::test]
async fn a_refusal_by_the_partner_is_seen_at_home() {
    let Played { mut exchange, pk, issuer, consignment, .. } = played("clean-grant", 0).await;
    let certificate = consignment.steps[0].input["certificate"].clone();
    let mut elsewhere = certificate.clone();
    elsewhere["FunctionalReferenceID"] = Value::from("AZ-OLD-1");
    let before = Outgoing {
        sender: issuer.clone(),
        recipient: pk,
        code: "COO",
        content_type: "application/json",
        body: json::canonical(&elsewhere).expect("canonical"),
    };
    exchange.hand_over(&before).await.expect("taken");
    let input = json!({ "certificate": certificate });
    exchange.act(&issuer, "certificate", input).await.expect("sent");
    let show = json!({ "certificate": "AZPK-2026-00001" });
    let shown = exchange.act(&issuer, "show", show).await.expect("shown");
    assert_eq!(shown["certificate"]["delivery"], "rejected");
    assert_eq!(shown["tasks"][0]["kind"], "refused-by-partner");
}

#[tokio::test]
async fn each_item_of_a_claim_is_decided_alone() {
    let Played { mut exchange, pk, consignment, .. } = played("clean-grant", 0).await;
    let mut twice = consignment.clone();
    for (step, root) in [(0, "/certificate"), (1, "/declaration"), (2, "/claim")] {
        let input = &mut twice.steps[step].input;
        let items = ["GovernmentAgencyGoodsItem", "GoodsShipment/GovernmentAgencyGoodsItem"]
            [usize::from(step > 0)];
        let list = input.pointer_mut(&format!("{root}/{items}")).and_then(Value::as_array_mut);
        let list = list.expect("items");
        let mut second = list[0].clone();
        second["SequenceNumeric"] = Value::from(2);
        if step > 0 {
            second["AdditionalDocument"][0]["LineNumeric"] = Value::from(2);
            let name = "GoodsItemQuantity";
            list.push(second);
            let head = input.pointer_mut(root).expect("a document");
            head[name] = Value::from(2);
            head["InvoiceAmount"]["value"] = Value::from("44000");
            head["TotalPackageQuantity"] = Value::from(1600);
        } else {
            second["quantity"]["value"] = Value::from("500");
            list.push(second);
        }
    }
    for step in twice.steps.iter().take(3) {
        exchange.play(&twice, step).await.expect("played");
    }
    let claim = "KAPE-HC-00001-02-10-2026";
    let grant = json!({ "claim": claim, "decision": "grant" });
    let refusal = exchange.act(&pk, "decide", grant).await.expect_err("two items");
    assert_eq!(refusal.code, "customs.which-item");
    let first = json!({ "claim": claim, "item": 1, "decision": "grant" });
    exchange.act(&pk, "decide", first).await.expect("granted");
    let part = json!({ "claim": claim, "item": 2, "decision": "grant-in-part" });
    let output = exchange.act(&pk, "decide", part).await.expect("granted in part");
    assert_eq!(output["decision"]["debited"]["value"], "500");
    let show = json!({ "consignment": "6AZ00001" });
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let states: Vec<_> = shown["claims"].as_array().expect("claims").iter().collect();
    assert_eq!(states[0]["state"], "granted");
    assert_eq!(states[1]["state"], "granted-in-part");
    assert_eq!(shown["certificates"][0]["state"], "used-up");
}

#[tokio::test]
async fn a_part_is_less_than_the_whole() {
    let Played { mut exchange, pk, .. } = played("clean-grant", 3).await;
    let decide = |decision: &str, kilograms: Option<&str>| {
        let quantity = kilograms.map(|value| json!({ "value": value, "unit": "KGM" }));
        json!({
            "claim": "KAPE-HC-00001-02-10-2026", "decision": decision, "reason": "other",
            "text": "a part of the goods was damaged", "quantity": quantity,
        })
    };
    for (decision, kilograms, code) in [
        ("grant-in-part", None, "customs.quantity-required"),
        ("grant-in-part", Some("20000"), "customs.quantity-differs"),
        ("grant-in-part", Some("0"), "customs.ledger"),
        ("grant", Some("19000"), "customs.quantity-differs"),
    ] {
        let result = exchange.act(&pk, "decide", decide(decision, kilograms)).await;
        assert_eq!(result.expect_err(code).code, code);
    }
    let output = exchange.act(&pk, "decide", decide("grant-in-part", Some("19000"))).await;
    let output = output.expect("granted in part");
    assert_eq!(output["decision"]["balance"]["value"], "1000");
    // 5 % of the goods pay the general rate: more than with the preference, less than without.
    let amount = |name: &str| {
        let text = output["decision"]["duty"][name]["value"].as_str().expect("an amount");
        text.parse::<karvan_types::Decimal>().expect("a number")
    };
    assert_eq!(amount("payable") + amount("saved"), amount("withoutPreference"));
    assert!(amount("saved") > 0.into() && amount("payable") > 1_932_740.into());
}

#[tokio::test]
async fn the_tariff_explains_a_line() {
    let Played { mut exchange, az, pk, .. } = played("clean-grant", 0).await;
    let ask = json!({ "code": "0802.2200", "value": { "value": "1000000", "currency": "PKR" } });
    let told = exchange.act(&pk, "tariff", ask).await.expect("explained");
    assert_eq!(told["rates"]["origin"], "AZ");
    assert_eq!(told["rates"]["rates"][2]["winner"], "general");
    assert_eq!(told["duty"]["lines"][0]["preferential"]["amount"], "100000");
    // From the other side, about the partner's tariff.
    let ask = json!({ "code": "08022200", "country": "PK", "day": "2025-01-15" });
    let told = exchange.act(&az, "tariff", ask).await.expect("explained");
    assert_eq!(told["rates"]["day"], "2025-01-15");
    assert_eq!(told["rates"]["rates"][2]["winner"], "preference");
    assert!(told["sources"].as_array().is_some_and(|sources| !sources.is_empty()));
}

#[tokio::test]
async fn a_declaration_is_found_by_its_number() {
    let Played { mut exchange, consignment, .. } = played("clean-grant", 0).await;
    let mut named = consignment;
    named.steps[1].input["declaration"]["GoodsShipment"]["UCR"]["ID"] = Value::from("6AZOTHER");
    let export = &mut named.steps[1].input["declaration"]["GoodsShipment"];
    export["GovernmentAgencyGoodsItem"][0]["AdditionalDocument"] = json!([]);
    let mut without = named.steps[2].clone();
    let claim = &mut named.steps[2].input["claim"];
    claim["GoodsShipment"]["PreviousDocument"] =
        json!([{ "TypeCode": "830", "ID": "az-ex-2026-00001" }]);
    claim["ID"] = Value::from("KAPE-HC-2");
    without.input["claim"]["ID"] = Value::from("KAPE-HC-3");
    without.input["claim"]["FunctionalReferenceID"] = Value::from("PK-IMP-3");
    for step in named.steps.iter().take(2) {
        exchange.play(&named, step).await.expect("played");
    }
    let found = exchange.play(&named, &named.steps[2]).await.expect("claimed");
    assert_eq!(found["items"][0]["export"]["key"], "AZ:AZ-EX-2026-00001");
    assert_eq!(found["items"][0]["rules"], json!([]));
    let lost = exchange.play(&named, &without).await.expect("claimed");
    assert_eq!(lost["items"][0]["rules"], json!(["export-missing"]));
}

/// An item that one version no longer claims and a later one claims again goes on with its
/// assessments.
#[tokio::test]
async fn an_item_that_comes_back_keeps_its_assessments() {
    let Played { mut exchange, pk, consignment, .. } = played("clean-grant", 3).await;
    let mut claim = consignment.steps[2].input["claim"].clone();
    let quoted =
        claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0]["AdditionalDocument"].clone();
    for (version, documents) in [(2, json!([])), (3, quoted.clone()), (4, quoted)] {
        claim["FunctionCode"] = Value::from("4");
        claim["FunctionalReferenceID"] = format!("PK-IMP-X-{version}").into();
        claim["VersionID"] = version.into();
        claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0]["AdditionalDocument"] = documents;
        exchange.act(&pk, "claim", json!({ "claim": claim })).await.expect("changed");
    }
    let show = json!({ "claim": "KAPE-HC-00001-02-10-2026" });
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let assessments = shown["assessments"].as_array().expect("assessments").iter();
    let numbers: Vec<_> = assessments.map(|assessment| assessment["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
    assert_eq!(shown["items"][0]["assessments"], 3);
}

/// A denied item counts in the history of its importer until it is reopened.
#[tokio::test]
async fn a_denial_counts_until_it_is_reopened() {
    let Played { mut exchange, pk, .. } = played("clean-grant", 3).await;
    let export = json!({ "export": "AZ-EX-2026-00001" });
    let claim = "KAPE-HC-00001-02-10-2026";
    let deny = json!({
        "claim": claim, "decision": "deny", "reason": "papers-differ", "text": "other goods",
    });
    let reopen = json!({ "claim": claim, "text": "the goods were looked at again" });
    for (operation, input, counted) in [("decide", deny, "1"), ("reopen", reopen, "0")] {
        exchange.act(&pk, operation, input).await.expect(operation);
        let scored = exchange.act(&pk, "risk-score", export.clone()).await.expect("scored");
        assert_eq!(scored["facts"]["consignee.denied"]["number"], counted, "{operation}");
    }
}
