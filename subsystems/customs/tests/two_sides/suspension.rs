//! A verification suspends its certificate on both sides: no final debit until it is settled, a
//! reserved one for goods released under security, and both ledgers say why and since when.

use std::time::Duration;

use karvan_subsystem::Outgoing;
use serde_json::{Value, json};

use crate::exchange::SECOND_OFFICER;
use crate::verification::{CASE, CERTIFICATE, CLAIM, Stage, answer, asking, override_sample};

const DAY: Duration = Duration::from_hours(24);

/// What both ledgers say of item 1: state, reserved, balance, and the reasons of the suspensions.
async fn ledgers(stage: &mut Stage) -> Value {
    ledgers_of(stage, CERTIFICATE).await
}

/// The same of another certificate.
async fn ledgers_of(stage: &mut Stage, number: &str) -> Value {
    let mut seen = Vec::new();
    for who in [stage.pk.clone(), stage.az.clone()] {
        let look = json!({ "certificate": number });
        let shown = stage.exchange.act(&who, "ledger", look).await.expect("shown");
        let certificate = &shown["certificate"];
        let suspensions = certificate["suspensions"].as_array().expect("a list").iter();
        for suspension in suspensions.clone() {
            assert!(suspension["since"].as_str().is_some_and(|since| since.starts_with("2026-10")));
        }
        let item = &certificate["items"][0];
        seen.push(json!({
            "state": certificate["state"],
            "reserved": item["reserved"],
            "debited": item["debited"],
            "balance": item["balance"],
            "why": suspensions.map(|one| one["reason"].clone()).collect::<Vec<_>>(),
        }));
    }
    assert_eq!(seen[0], seen[1], "both sides see the same");
    seen.swap_remove(0)
}

fn release() -> Value {
    json!({
        "claim": CLAIM, "decision": "provisional", "reason": "origin-not-shown",
        "text": "released until the way of the goods is proven",
        "security": { "kind": "cash-deposit", "reference": "CD-2026-14",
            "amount": { "value": "2814665", "currency": "PKR" } },
    })
}

fn grant() -> Value {
    json!({ "claim": CLAIM, "decision": "grant", "reason": "cleared-up",
        "text": "the bill of lading of the whole way was seen", "propose": true })
}

fn close(text: &str) -> Value {
    json!({ "verification": CASE, "text": text })
}

fn resume(text: &str) -> Value {
    json!({ "certificate": CERTIFICATE, "text": text, "resume": true })
}

/// The refusal of a grant, as a person reads it.
async fn refused_grant(stage: &mut Stage) -> String {
    let pk = stage.pk.clone();
    let refusal = stage.exchange.act(&pk, "decide", grant()).await.expect_err("suspended");
    assert_eq!(refusal.code, "customs.certificate-suspended");
    refusal.text
}

#[tokio::test]
async fn an_open_verification_lets_goods_go_under_security_and_nothing_else() {
    let mut stage = Stage::new().await;
    let before = ledgers(&mut stage).await;
    assert_eq!((&before["state"], &before["why"]), (&json!("available"), &json!([])));
    stage.open().await;
    let open = ledgers(&mut stage).await;
    assert_eq!(open["state"], "suspended");
    assert_eq!(
        open["why"],
        json!([format!("verification {CASE}: an answer is due on 2027-04-05")])
    );
    let text = refused_grant(&mut stage).await;
    for part in ["suspended since 2026-10-05", CASE, "2027-04-05", "provisional", "wait"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let pk = stage.pk.clone();
    let early = resume("we think that it is in order");
    let code = stage.refused(&pk, "ledger-suspend", early).await;
    assert_eq!(code, "customs.verification-open");

    let released = stage.pk("decide", release()).await;
    let reserved = &released["decision"]["reserved"];
    assert_eq!(released["decision"]["debited"], Value::Null);
    let held = ledgers(&mut stage).await;
    assert_eq!(held["reserved"], reserved["value"], "reserved on both sides");
    assert_eq!((&held["debited"], &held["state"]), (&reserved["value"], &json!("suspended")));
    assert_eq!(stage.item().await["state"], "provisional");

    stage.issuer("answer", answer("confirmed")).await;
    let confirmed = ledgers(&mut stage).await;
    assert_eq!(confirmed["why"], json!([]), "a confirmation lifts it on both sides");
    assert_eq!(confirmed["reserved"], reserved["value"], "the officer still has to settle");
    stage.pk("decide", json!({ "claim": CLAIM, "decision": "grant" })).await;
    let settled = ledgers(&mut stage).await;
    assert_eq!((&settled["reserved"], &settled["debited"]), (&json!("0"), &reserved["value"]));
    let lines = stage.pk("ledger", json!({ "certificate": CERTIFICATE })).await;
    let kinds: Vec<_> = lines["debits"].as_array().expect("lines").iter().collect();
    let kinds: Vec<_> = kinds.iter().map(|line| line["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["reserve", "return", "debit"]);
}

#[tokio::test]
async fn a_refutation_keeps_it_suspended_until_somebody_decides() {
    let mut stage = Stage::new().await;
    let (pk, az) = (stage.pk.clone(), stage.az.clone());
    stage.open().await;
    stage.pk("decide", release()).await;
    stage.issuer("answer", answer("not-confirmed")).await;
    let refuted = ledgers(&mut stage).await;
    assert_eq!(refuted["state"], "suspended");
    assert_ne!(refuted["reserved"], "0", "nothing is taken back by an answer");
    assert!(refused_grant(&mut stage).await.contains("ledger resume"));
    let denied = stage.pk("decide", json!({ "claim": CLAIM, "decision": "deny" })).await;
    let settlement = &denied["decision"]["settlement"];
    assert_eq!(settlement["fromSecurity"]["value"], "2814665", "called in: {settlement}");
    let after = ledgers(&mut stage).await;
    assert_eq!((&after["reserved"], &after["debited"]), (&json!("0"), &json!("0")));
    stage.pk("conclude", close("denied after the refutation")).await;
    assert_eq!(ledgers(&mut stage).await["state"], "suspended", "closing lifts nothing");
    let again = stage.refused(&pk, "conclude", close("denied after the refutation")).await;
    assert_eq!(again, "customs.verification-closed");
    let theirs = resume("we believe in our certificate");
    assert_eq!(stage.refused(&az, "ledger-suspend", theirs).await, "customs.verification-open");
    stage.pk("ledger-suspend", resume("the issuer proved its error by letter")).await;
    let free = ledgers(&mut stage).await;
    assert_eq!((&free["state"], &free["why"]), (&json!("available"), &json!([])));
    let code = stage.refused(&pk, "ledger-suspend", resume("and now once more")).await;
    assert_eq!(code, "customs.suspension");
}

#[tokio::test]
async fn the_passing_of_the_last_day_lifts_nothing() {
    let mut stage = Stage::new().await;
    let az = stage.az.clone();
    stage.open().await;
    stage.exchange.wait(DAY * 190).await;
    let expired = ledgers(&mut stage).await;
    assert_eq!(expired["state"], "suspended");
    assert_eq!(
        expired["why"],
        json!([format!("verification {CASE}: no answer came by 2027-04-05")])
    );
    refused_grant(&mut stage).await;
    assert_eq!(stage.item().await["proposal"]["reason"], "no-answer");
    // Closed without a decision about it, it stays so on both sides; the asked side knows.
    stage.pk("conclude", close("no answer came in six months")).await;
    assert_eq!(ledgers(&mut stage).await["state"], "suspended");
    let issuer = stage.issuer.clone();
    let late = stage.refused(&issuer, "answer", answer("confirmed")).await;
    assert_eq!(late, "customs.verification-closed");
    stage.pk("ledger-suspend", resume("the issuer answered by letter")).await;
    assert_eq!(ledgers(&mut stage).await["why"], json!([]));
    let asked = json!({ "verification": CASE });
    let seen = stage.exchange.act(&az, "verifications", asked).await.expect("shown");
    assert_eq!(seen["lifted"]["text"], "the issuer answered by letter");
}

#[tokio::test]
async fn a_question_that_is_withdrawn_suspends_nothing() {
    let mut stage = Stage::new().await;
    stage.open().await;
    stage.pk("conclude", close("opened for the wrong claim")).await;
    assert_eq!(ledgers(&mut stage).await["state"], "available");
    let az = stage.az.clone();
    assert!(!stage.tasks(&az).await.contains(&"verification-asked".to_owned()));
    // It can be asked again, under the next number.
    let opened = stage.open().await;
    assert!(opened["id"].as_str().expect("a number").ends_with("-V2"), "{opened}");
    assert_eq!(ledgers(&mut stage).await["state"], "suspended");
}

#[tokio::test]
async fn a_proposal_of_before_the_verification_cannot_be_confirmed_during_it() {
    let mut stage = Stage::new().await;
    stage.pk("decide", grant()).await;
    stage.open().await;
    let pk = stage.pk.clone();
    let confirm = json!({ "claim": CLAIM, "answer": "confirm" });
    let done = stage.exchange.act_as((&pk, SECOND_OFFICER), "confirm", confirm).await;
    let refusal = done.expect_err("the match has changed, and the certificate is suspended");
    assert_eq!(refusal.code, "customs.match-changed");
    assert_eq!(ledgers(&mut stage).await["debited"], "0");
}

/// The messages that a step sent, taken off the wire before they arrived.
async fn on_the_wire(stage: &mut Stage, operation: &str, input: Value) -> Vec<Outgoing> {
    let caller = karvan_subsystem::Caller {
        member: if matches!(operation, "answer" | "certificate") {
            stage.issuer.clone()
        } else {
            stage.pk.clone()
        },
        user: crate::exchange::OFFICER.to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let nation = caller.member.instance();
    let bench = &mut stage.exchange.side(nation).bench;
    bench.now = bench.now.plus(Duration::from_mins(1));
    let (_, outgoing) = bench.operate(&caller, operation, input).await.expect("done");
    outgoing
}

#[tokio::test]
async fn messages_that_come_twice_late_or_out_of_order_leave_the_same() {
    let mut stage = Stage::new().await;
    // The query and its withdrawal are held up; the withdrawal arrives first and waits.
    let queries = on_the_wire(&mut stage, "verify", asking()).await;
    let release = on_the_wire(&mut stage, "decide", release()).await;
    let withdrawals = on_the_wire(&mut stage, "conclude", close("opened for nothing")).await;
    stage.exchange.deliver(withdrawals.clone()).await;
    let parked = json!({ "what": "parked" });
    let az = stage.az.clone();
    let waiting = stage.exchange.act(&az, "list", parked.clone()).await.expect("listed");
    assert_eq!(waiting["rows"][0]["waitsFor"], format!("verification {CASE}"));
    // The result of the release comes before the query, and both come twice.
    for _ in 0..2 {
        stage.exchange.deliver(release.clone()).await;
    }
    for _ in 0..2 {
        stage.exchange.deliver(queries.clone()).await;
    }
    stage.exchange.deliver(withdrawals).await;
    let waiting = stage.exchange.act(&az, "list", parked).await.expect("listed");
    assert_eq!(waiting["rows"], json!([]));
    let after = ledgers(&mut stage).await;
    assert_eq!(after["why"], json!([]), "withdrawn on both sides");
    assert_ne!(after["reserved"], "0");
    let lines = stage.exchange.act(&az, "ledger", json!({ "certificate": CERTIFICATE })).await;
    let lines = lines.expect("shown");
    let standing: usize = lines["debits"]
        .as_array()
        .expect("lines")
        .iter()
        .fold(0, |sum, line| if line["kind"] == "return" { sum - 1 } else { sum + 1 });
    assert_eq!(standing, 1, "reserved once: {lines}");
}

#[tokio::test]
async fn a_crash_between_the_answer_and_its_news_repeats_nothing() {
    let mut stage = Stage::new().await;
    stage.open().await;
    stage.pk("decide", release()).await;
    // The issuer has answered; the node ends before the answer is on its way. Its outbox has it,
    // and brings it after the start, more than once.
    let answers = on_the_wire(&mut stage, "answer", answer("confirmed")).await;
    let pk = stage.pk.clone();
    let look = json!({ "certificate": CERTIFICATE });
    let here = stage.exchange.act(&pk, "ledger", look.clone()).await.expect("shown");
    assert_eq!(here["certificate"]["state"], "suspended", "not before the answer is here");
    refused_grant(&mut stage).await;
    for _ in 0..3 {
        stage.exchange.deliver(answers.clone()).await;
    }
    stage.pk("decide", json!({ "claim": CLAIM, "decision": "grant" })).await;
    let sent: Vec<Outgoing> =
        stage.exchange.sent.iter().filter(|sent| sent.code == "UTL").cloned().collect();
    // Every result comes again, the newest first.
    for result in sent.iter().rev() {
        let answers = stage.exchange.hand_over(result).await.expect("taken");
        stage.exchange.deliver(answers).await;
    }
    let settled = ledgers(&mut stage).await;
    assert_eq!((&settled["reserved"], &settled["why"]), (&json!("0"), &json!([])));
    assert_ne!(settled["debited"], "0");
}

#[tokio::test]
async fn a_certificate_that_comes_after_the_question_is_suspended_from_the_start() {
    let consignment = override_sample();
    let mut stage = Stage::of(&consignment);
    let issue = consignment.steps[0].clone();
    let certificates = on_the_wire(&mut stage, &issue.operation, issue.input).await;
    // Nor does what the claim asks the partner arrive, or the certificate would be sent again.
    let claim = consignment.steps[2].clone();
    on_the_wire(&mut stage, &claim.operation, claim.input).await;
    stage.open().await;
    let (pk, look) = (stage.pk.clone(), json!({ "certificate": CERTIFICATE }));
    assert_eq!(stage.refused(&pk, "ledger", look).await, "customs.unknown-certificate");
    stage.exchange.deliver(certificates).await;
    assert_eq!(ledgers(&mut stage).await["state"], "suspended");
    refused_grant(&mut stage).await;
}

/// The number of a replacement of the certificate.
const NEW: &str = "AZPK-2026-00914";
/// The claim on the replacement.
const ON_NEW: &str = "KAPE-HC-00914-02-10-2026";

/// Issues a certificate in the place of another; `item` is the number that the goods have in it.
async fn replace(stage: &mut Stage, (old, new): (&str, &str), item: u32) {
    let mut input = override_sample().steps[0].input.clone();
    let certificate = &mut input["certificate"];
    for (name, value) in [
        ("ID", json!(new)),
        ("replaces", json!(old)),
        ("FunctionalReferenceID", json!(format!("AZ-COO-{new}"))),
    ] {
        certificate[name] = value;
    }
    let goods = certificate["GovernmentAgencyGoodsItem"].as_array_mut().expect("items");
    for before in 1..item {
        let mut other = goods[0].clone();
        other["SequenceNumeric"] = json!(before);
        other["Classification"][0]["ID"] = json!("390230");
        goods.insert(goods.len() - 1, other);
    }
    goods.last_mut().expect("the goods")["SequenceNumeric"] = json!(item);
    stage.issuer("certificate", input).await;
}

/// Files a claim on the replacement.
async fn claim_on_new(stage: &mut Stage, item: u32) -> Value {
    let mut input = override_sample().steps[2].input.clone();
    let claim = &mut input["claim"];
    claim["ID"] = json!(ON_NEW);
    claim["FunctionalReferenceID"] = json!("PK-ON-NEW");
    let goods = &mut claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0];
    goods["AdditionalDocument"][0]["ID"] = json!(NEW);
    goods["AdditionalDocument"][0]["LineNumeric"] = json!(item);
    stage.pk("claim", input).await["items"][0].clone()
}

/// A doubted certificate is not cleared by a new number: the replacement is suspended as well, from
/// its first day and on both sides, until the verification is settled.
#[tokio::test]
async fn a_replacement_inherits_an_open_verification() {
    let mut stage = Stage::new().await;
    stage.open().await;
    // The goods have another number in the new one, and that one is replaced once more.
    replace(&mut stage, (CERTIFICATE, "AZPK-2026-00913"), 2).await;
    replace(&mut stage, ("AZPK-2026-00913", NEW), 3).await;
    for number in ["AZPK-2026-00913", NEW] {
        let inherited = ledgers_of(&mut stage, number).await;
        let due = format!("verification {CASE}: an answer is due on 2027-04-05");
        assert_eq!(inherited["why"], json!([due]), "{number}");
    }
    assert_eq!(ledgers_of(&mut stage, NEW).await["state"], "suspended");
    let item = claim_on_new(&mut stage, 3).await;
    assert!(item["rules"].to_string().contains("verification-open"), "{item}");
    let grant = json!({ "claim": ON_NEW, "decision": "grant", "reason": "cleared-up",
        "text": "the bill of lading of the whole way was seen", "propose": true });
    let pk = stage.pk.clone();
    let code = stage.refused(&pk, "decide", grant).await;
    assert_eq!(code, "customs.certificate-suspended");
    let early = json!({ "certificate": NEW, "text": "the new one is in order", "resume": true });
    assert_eq!(stage.refused(&pk, "ledger-suspend", early).await, "customs.verification-open");

    stage.issuer("answer", answer("confirmed")).await;
    let free = ledgers_of(&mut stage, NEW).await;
    assert_eq!((&free["state"], &free["why"]), (&json!("available"), &json!([])));
    let item = stage.pk("show", json!({ "claim": ON_NEW })).await["items"][0].clone();
    assert!(item["rules"].to_string().contains("verification-confirmed"), "{item}");
    stage.pk("decide", json!({ "claim": ON_NEW, "decision": "grant" })).await;
}

/// A refutation stays with the goods until an officer lifts it; whether the replacement came before
/// the question or after its end makes no difference.
#[tokio::test]
async fn a_replacement_inherits_what_a_verification_found() {
    for is_first in [true, false] {
        let mut stage = Stage::new().await;
        if is_first {
            replace(&mut stage, (CERTIFICATE, NEW), 1).await;
        }
        stage.open().await;
        stage.issuer("answer", answer("not-confirmed")).await;
        if !is_first {
            replace(&mut stage, (CERTIFICATE, NEW), 1).await;
        }
        let refuted = ledgers_of(&mut stage, NEW).await;
        assert!(refuted["why"][0].as_str().expect("why").contains("not confirmed"), "{refuted}");
        let resume = json!({ "certificate": NEW, "resume": true,
            "text": "the issuer proved its error by letter" });
        stage.pk("ledger-suspend", resume).await;
        for number in [CERTIFICATE, NEW] {
            assert_eq!(ledgers_of(&mut stage, number).await["why"], json!([]), "{number}");
        }
    }
}
