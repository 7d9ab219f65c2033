//! Two officers for overrides, release under security, and what is settled afterwards.

use karvan_customs::samples::{Consignment, shipped};
use karvan_types::MemberId;
use serde_json::{Value, json};

use crate::exchange::{Exchange, OFFICER, SECOND_OFFICER, customs_of};

const CLAIM: &str = "KAPE-HC-00014-02-10-2026";

/// A claim with a red match that can be granted.
async fn red() -> (Exchange, MemberId) {
    let (exchange, pk, _) = played("override-indirect-route", 3).await;
    (exchange, pk)
}

async fn played(id: &str, steps: usize) -> (Exchange, MemberId, Consignment) {
    let consignment = shipped().into_iter().find(|c| c.id == id).expect("a shipped sample");
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(steps) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let pk = customs_of(consignment.to);
    (exchange, pk, consignment)
}

fn grant(propose: bool) -> Value {
    json!({
        "claim": CLAIM, "decision": "grant", "reason": "cleared-up", "propose": propose,
        "text": "bill of lading of the whole way\u{202e} was seen",
    })
}

async fn code(
    exchange: &mut Exchange,
    who: (&MemberId, &str),
    operation: &str,
    input: Value,
) -> String {
    match exchange.act_as(who, operation, input).await {
        Ok(output) => panic!("{operation} was done: {output:#}"),
        Err(refusal) => refusal.code,
    }
}

#[tokio::test]
async fn a_second_officer_confirms_and_nobody_else() {
    let (mut exchange, pk) = red().await;
    let (first, second) = ((&pk, OFFICER), (&pk, SECOND_OFFICER));
    let confirm = json!({ "claim": CLAIM, "answer": "confirm" });
    let refused = code(&mut exchange, second, "confirm", confirm.clone()).await;
    assert_eq!(refused, "customs.nothing-proposed");
    let refused = code(&mut exchange, first, "decide", grant(false)).await;
    assert_eq!(refused, "customs.second-officer-required");
    let proposed = exchange.act_as(first, "decide", grant(true)).await.expect("proposed");
    let text = proposed["proposal"]["text"].as_str().expect("a text");
    assert_eq!(text, "bill of lading of the whole way was seen", "no hidden characters");

    let show = json!({ "claim": CLAIM });
    let shown = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    assert_eq!(shown["items"][0]["balance"]["value"], "10000", "nothing is debited");
    assert_eq!(shown["decisions"], json!([]));
    assert_eq!(shown["tasks"][0]["kind"], "override-to-confirm");

    assert_eq!(
        code(&mut exchange, first, "confirm", confirm.clone()).await,
        "customs.same-officer"
    );
    let shouting = (&pk, "OFFICER-7");
    let refused = code(&mut exchange, shouting, "confirm", confirm.clone()).await;
    assert_eq!(refused, "customs.same-officer", "a name in capitals is the same name");
    let done = exchange.act_as(second, "confirm", confirm.clone()).await.expect("confirmed");
    let record = &done["decision"];
    assert_eq!(record["override"], true);
    assert_eq!(record["officer"], "PK/GOV/FBR/customs (officer-8)");
    assert_eq!(record["proposed"]["by"], "PK/GOV/FBR/customs (officer-7)");
    assert_eq!(record["debited"]["value"], "10000");
    let refused = code(&mut exchange, second, "confirm", confirm).await;
    assert_eq!(refused, "customs.nothing-proposed");
    let shown = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    assert_eq!(shown["overrides"][0]["state"], "confirmed");
    assert_ne!(shown["tasks"][0]["closed"], Value::Null);
    // Who looks at a case is written down; there was none when the claim was clean.
    let curious = (&pk, "officer-9");
    let looked = exchange.act_as(curious, "look", show).await.expect("shown");
    let history = looked["history"].as_array().expect("lines");
    let last = history.last().expect("a line");
    assert_eq!(last["by"], "PK/GOV/FBR/customs (officer-9)");
    assert_eq!(last["text"], "PK/GOV/FBR/customs (officer-9) looked at the claim");
}

#[tokio::test]
async fn a_proposal_is_rejected_withdrawn_or_too_old() {
    let (mut exchange, pk) = red().await;
    let (first, second) = ((&pk, OFFICER), (&pk, SECOND_OFFICER));
    let confirm = json!({ "claim": CLAIM, "answer": "confirm" });
    let reject = json!({ "claim": CLAIM, "answer": "reject", "text": "the seal was another one" });
    for (who, state) in [(second, "rejected"), (first, "withdrawn")] {
        exchange.act_as(first, "decide", grant(true)).await.expect("proposed");
        let ended = exchange.act_as(who, "confirm", reject.clone()).await.expect("ended");
        assert_eq!(ended["proposal"]["state"], state);
        assert_eq!(ended["state"], "open");
    }
    exchange.act_as(first, "decide", grant(true)).await.expect("proposed");
    let bench = &mut exchange.side(pk.instance()).bench;
    bench.now = bench.now.plus(std::time::Duration::from_hours(72));
    let refused = code(&mut exchange, second, "confirm", confirm.clone()).await;
    assert_eq!(refused, "customs.proposal-expired");
    // Proposed anew it supersedes the old one, and a change of the papers makes it stale.
    exchange.act_as(first, "decide", grant(true)).await.expect("proposed");
    let issuer = crate::exchange::issuer_of("AZ".parse().expect("AZ"));
    let sent = exchange.sent.iter().find(|sent| sent.code == "COO").expect("a certificate");
    let mut amended: Value = serde_json::from_slice(&sent.body).expect("JSON");
    amended["FunctionCode"] = json!("5");
    amended["VersionID"] = json!(2);
    amended["FunctionalReferenceID"] = json!("AZ-COO-00014-X");
    let input = json!({ "certificate": amended });
    exchange.act(&issuer, "certificate", input).await.expect("amended");
    let refused = code(&mut exchange, second, "confirm", confirm).await;
    assert_eq!(refused, "customs.match-changed");
    let deny = json!({ "claim": CLAIM, "decision": "deny", "reason": "origin-not-shown",
        "text": "no proof of direct transport was given" });
    exchange.act_as(second, "decide", deny).await.expect("denied");
    let month = json!({ "what": "overrides", "month": "2026-10" });
    let listed = exchange.act(&pk, "list", month).await.expect("listed");
    let states: Vec<_> =
        listed["rows"].as_array().expect("rows").iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["rejected", "withdrawn", "superseded", "superseded"]);
    assert_eq!(listed["officers"][0]["proposed"], 4);
    assert_eq!(listed["officers"][0]["granted"], 0);
    assert_eq!(listed["officers"][1]["rejectedOfOthers"], 1);
    let wrong = json!({ "what": "overrides", "month": "October" });
    assert_eq!(code(&mut exchange, first, "list", wrong).await, "customs.bad-input");
}

#[tokio::test]
async fn what_follows_the_proposal_needs_nobody_else() {
    let (mut exchange, pk, consignment) = played("clean-grant", 3).await;
    let claim = consignment.steps[2].input["claim"]["ID"].clone();
    let first = (&pk, OFFICER);
    let propose = json!({ "claim": claim, "decision": "grant", "propose": true });
    let refused = code(&mut exchange, first, "decide", propose).await;
    assert_eq!(refused, "customs.no-second-officer");
    let odd = json!({ "claim": claim, "decision": "deny", "reason": "in-order",
        "text": "this reason does not fit a denial" });
    assert_eq!(code(&mut exchange, first, "decide", odd).await, "customs.reason-does-not-fit");
    let looked = exchange.act(&pk, "look", json!({ "claim": claim })).await.expect("shown");
    let history = looked["history"].as_array().expect("lines");
    let looks = history.iter().filter(|line| line["text"].to_string().contains("looked"));
    assert_eq!(looks.count(), 0, "a claim without a case");
    let listed = exchange.act(&pk, "reasons", json!({ "decision": "provisional" })).await;
    let listed = listed.expect("listed");
    let rows = listed["rows"].as_array().expect("rows");
    assert!(rows.iter().any(|row| row["code"] == "under-check") && rows.len() > 3);
    assert_eq!(listed["languages"][2]["language"], "ur");
}

fn release(claim: &Value, kind: &str, value: &str, until: Option<&str>) -> Value {
    let security = json!({ "kind": kind, "reference": "BG-77/2026",
        "amount": { "value": value, "currency": "PKR" } });
    let security = match until {
        Some(until) => {
            let mut security = security;
            security["validUntil"] = json!(until);
            security
        }
        None => security,
    };
    json!({ "claim": claim, "decision": "provisional", "reason": "papers-differ",
        "text": "released while the papers are cleared up", "security": security })
}

#[tokio::test]
async fn goods_are_released_under_security_and_settled() {
    let (mut exchange, pk, consignment) = played("clean-grant", 3).await;
    let claim = consignment.steps[2].input["claim"]["ID"].clone();
    let first = (&pk, OFFICER);
    let without = json!({ "claim": claim, "decision": "provisional", "reason": "papers-differ",
        "text": "released without anything" });
    for (input, expected) in [
        (without, "customs.security-required"),
        (release(&claim, "bank-guarantee", "10", Some("2027-04-02")), "customs.security"),
        (release(&claim, "bank-guarantee", "9000000", None), "customs.security"),
        (release(&claim, "cash-deposit", "9000000", Some("2027-04-02")), "customs.security"),
    ] {
        assert_eq!(code(&mut exchange, first, "decide", input).await, expected);
    }
    let input = release(&claim, "bank-guarantee", "9000000", Some("2027-04-02"));
    let done = exchange.act(&pk, "decide", input).await.expect("released");
    assert_eq!(done["state"], "provisional");
    assert_eq!(done["decision"]["debited"], Value::Null);
    let saved = done["decision"]["duty"]["saved"].clone();
    let show = json!({ "claim": claim });
    let shown = exchange.act(&pk, "show", show.clone()).await.expect("shown");
    assert_eq!(shown["securities"][0]["state"], "held");
    assert_eq!(shown["securities"][0]["required"], saved);

    // A deposit takes the place of the guarantee; then the claim is denied.
    let input = release(&claim, "cash-deposit", "9000000", None);
    exchange.act(&pk, "decide", input).await.expect("replaced");
    let deny = json!({ "claim": claim, "decision": "deny", "reason": "papers-differ",
        "text": "the difference was not cleared up" });
    let denied = exchange.act(&pk, "decide", deny).await.expect("denied");
    let settlement = &denied["decision"]["settlement"];
    assert_eq!(settlement["fromSecurity"], saved, "the duty saved is taken");
    assert_eq!(settlement["collect"]["value"], "0");
    assert_eq!(settlement["interest"], "not computed");
    let shown = exchange.act(&pk, "show", show).await.expect("shown");
    let tasks: Vec<_> = shown["tasks"].as_array().expect("tasks").iter().collect();
    assert!(tasks.iter().all(|task| task["kind"] == "duty-settlement"), "{tasks:?}");
    assert_eq!(tasks.len(), 2);
    let text = tasks[1]["text"].as_str().expect("a text");
    assert!(text.contains("from the cash deposit BG-77/2026; pay"), "{text}");
    assert!(text.contains("move no money"), "the rates are assumed: {text}");

    // A denial that is taken back is a refund.
    let why = json!({ "claim": claim, "text": "the issuer confirmed it after all" });
    exchange.act(&pk, "reopen", why).await.expect("reopened");
    let granted = exchange.act(&pk, "decide", json!({ "claim": claim, "decision": "grant" })).await;
    assert_eq!(granted.expect("granted")["decision"]["settlement"]["refund"], saved);
}
