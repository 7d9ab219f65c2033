//! What happens when the two ledgers part: negative acknowledgements, cases, results sent again,
//! copies, replacements, suspensions and terms.

use karvan_customs::ledger::Terms;
use karvan_customs::samples::shipped;
use karvan_subsystem::{Caller, Outgoing, Rejection};
use karvan_types::{MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};
use crate::ledger::{CERTIFICATE, claim, start};

struct Setting {
    exchange: Exchange,
    az: MemberId,
    pk: MemberId,
    issuer: MemberId,
    template: Value,
}

async fn setting() -> Setting {
    let (exchange, pk, template) = start().await;
    let az = "AZ".parse().expect("AZ");
    Setting { exchange, az: customs_of(az), pk, issuer: issuer_of(az), template }
}

fn officer(member: &MemberId) -> Caller {
    Caller { member: member.clone(), user: "officer-7".into(), permissions: vec!["*".into()] }
}

fn decision(number: usize, decision: &str) -> Value {
    json!({
        "claim": format!("KAPE-HC-{number}"), "decision": decision, "reason": "other",
        "text": "for the sake of the test",
    })
}

impl Setting {
    async fn claimed(&mut self, number: usize, kilograms: u32) {
        let input = claim(&self.template, number, kilograms);
        self.exchange.act(&self.pk, "claim", input).await.expect("claimed");
    }

    async fn granted(&mut self, number: usize, kilograms: u32) -> Value {
        self.claimed(number, kilograms).await;
        let act = self.exchange.act(&self.pk, "decide", decision(number, "grant")).await;
        act.expect("granted")
    }

    /// Grants without a word to the other side.
    async fn granted_in_silence(&mut self, number: usize, kilograms: u32) -> Vec<Outgoing> {
        self.claimed(number, kilograms).await;
        let caller = officer(&self.pk);
        let bench = &mut self.exchange.pk.bench;
        bench.operate(&caller, "decide", decision(number, "grant")).await.expect("granted").1
    }

    /// Delivers a result that the importing side's ledger knows nothing of.
    async fn forged(&mut self, number: usize, quantity: (&str, &str)) -> Value {
        let body = json!({
            "FunctionCode": "11", "FunctionalReferenceID": format!("PK-UTL-X{number}"),
            "TypeCode": "961", "ID": format!("UTL-X{number}"), "VersionID": 1,
            "IssueDateTime": "2026-10-05T10:00:00+05:00", "agreementID": "AZ-PK-PTA",
            "sharingLevel": "L2", "certificate": { "documentType": "COO", "ID": CERTIFICATE },
            "claim": { "documentType": "IMP", "ID": format!("KAPE-HC-X{number}") },
            "decisionDate": "2026-10-05", "officerID": "nobody",
            "items": [{
                "SequenceNumeric": 1, "certificateItem": 1, "decision": "granted",
                "WriteOff": { "QuantityQuantity": { "value": quantity.0, "unit": quantity.1 } },
            }],
        });
        let document = Outgoing {
            sender: self.pk.clone(),
            recipient: self.az.clone(),
            code: "UTL",
            content_type: "application/json",
            body: json::canonical(&body).expect("canonical"),
        };
        let answers = self.exchange.hand_over(&document).await.expect("taken");
        json::from_slice(&answers[0].body).expect("a validation")
    }

    /// Both sides send their balances and compare.
    async fn compared(&mut self) {
        for who in [self.pk.clone(), self.az.clone()] {
            let input = json!({ "certificate": CERTIFICATE });
            self.exchange.act(&who, "ledger-compare", input).await.expect("sent");
        }
    }

    async fn cases(&mut self, who: &MemberId, state: &str) -> Vec<Value> {
        let input = json!({ "cases": state });
        let listed = self.exchange.act(who, "ledger", input).await.expect("listed");
        listed["rows"].as_array().expect("rows").clone()
    }

    async fn look(&mut self, who: &MemberId, number: &str) -> Value {
        let input = json!({ "certificate": number });
        self.exchange.act(who, "ledger", input).await.expect("shown")
    }

    async fn balance(&mut self, who: &MemberId, number: &str) -> String {
        let shown = self.look(who, number).await;
        shown["certificate"]["items"][0]["balance"].as_str().expect("a balance").to_owned()
    }

    /// Issues a certificate that differs from the sample's by these members.
    async fn issue(&mut self, changes: &[(&str, Value)]) -> Value {
        self.try_issue(changes).await.expect("issued")
    }

    async fn try_issue(&mut self, changes: &[(&str, Value)]) -> Result<Value, Rejection> {
        let sample = shipped().into_iter().find(|c| c.id == "reuse-beyond-quantity");
        let mut input = sample.expect("a sample").steps[0].input.clone();
        for (pointer, value) in changes {
            let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
            input.pointer_mut(parent).expect("a parent")[name] = value.clone();
        }
        let issuer = self.issuer.clone();
        self.exchange.act(&issuer, "certificate", input).await
    }
}

fn kinds(cases: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = cases.iter().map(|case| case["kind"].as_str().expect("kind")).collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test]
async fn a_refused_part_is_told_with_the_earlier_debits() {
    let mut t = setting().await;
    t.granted(1, 20_000).await;
    t.claimed(2, 15_000).await;
    let refused = t.exchange.act(&t.pk, "decide", decision(2, "grant")).await.expect_err("refused");
    assert_eq!(refused.code, "customs.balance-exceeded");
    assert_eq!(refused.pointers.len(), 1, "{refused:?}");
    assert!(refused.pointers[0].remedy.contains("20000 KGM for KAPE-HC-1#00001"), "{refused:?}");
    let follow = json!({ "claim": "KAPE-HC-2", "decision": "grant-in-part" });
    t.exchange.act(&t.pk, "decide", follow).await.expect("granted in part");
    let sent = t.exchange.sent.iter().rev().find(|sent| sent.code == "UTL").expect("a result");
    let sent: Value = json::from_slice(&sent.body).expect("JSON");
    let item = &sent["items"][0];
    assert_eq!(item["refused"], json!({ "value": "5000", "unit": "KGM" }), "{item}");
    assert_eq!(item["earlierDebits"][0]["claimItem"], "PK:KAPE-HC-1#00001");
    assert_eq!(item["earlierDebits"][0]["QuantityQuantity"]["value"], "20000");
    assert_eq!(item["earlierDebits"].as_array().map(Vec::len), Some(1));
    let (az, pk) = (t.az.clone(), t.pk.clone());
    assert_eq!(t.balance(&az, CERTIFICATE).await, "0");
    let shown = t.look(&pk, CERTIFICATE).await;
    assert_eq!(shown["certificate"]["state"], "used-up");
    assert_eq!(shown["debits"][1]["balance"], "0");
    assert_eq!(shown["terms"][0]["status"], "assumed");
}

#[tokio::test]
async fn what_cannot_be_followed_is_answered_and_becomes_a_case() {
    let mut t = setting().await;
    let az = t.az.clone();
    t.granted(1, 20_000).await;
    for (number, quantity, rule) in [
        (1, ("10000.000001", "KGM"), "EXCESS"),
        (2, ("10", "C62"), "UNIT"),
        (3, ("10", "XXX"), "UNIT"),
        // A pound is 0.45359237 kg, which six decimals do not hold.
        (4, ("0.000001", "LBR"), "UNIT"),
    ] {
        let answer = t.forged(number, quantity).await;
        assert_eq!(answer["outcome"], "rejected", "{answer}");
        assert_eq!(answer["Error"][0]["ValidationCode"], rule, "{answer}");
        if number < 3 {
            let earlier = answer["Error"][1]["Description"].as_str().expect("a text");
            assert!(earlier.contains("20000 KGM for PK:KAPE-HC-1#00001"), "{answer}");
        }
        assert_eq!(t.balance(&az, CERTIFICATE).await, "10000");
    }
    // Tonnes convert: they are followed in kilograms.
    let answer = t.forged(5, ("2.5", "TNE")).await;
    assert_eq!(answer["outcome"], "accepted", "{answer}");
    assert_eq!(t.balance(&az, CERTIFICATE).await, "7500");
    let cases = t.cases(&az, "open").await;
    assert_eq!(kinds(&cases), ["not-followed", "not-followed", "not-followed"]);
    assert!(cases.iter().all(|case| case["ours"][0]["claimItem"] == "PK:KAPE-HC-1#00001"));
}

#[tokio::test]
async fn a_lost_result_is_found_and_sent_again() {
    let mut t = setting().await;
    let (az, pk) = (t.az.clone(), t.pk.clone());
    t.granted(1, 10_000).await;
    t.granted_in_silence(2, 5_000).await;
    // Within the hour it may still be on its way.
    t.compared().await;
    assert_eq!(t.cases(&az, "open").await.len() + t.cases(&pk, "open").await.len(), 0);
    for side in [&mut t.exchange.az, &mut t.exchange.pk] {
        side.bench.now = side.bench.now.plus(std::time::Duration::from_hours(2));
    }
    let tell = json!({ "certificate": CERTIFICATE });
    t.exchange.act(&pk, "ledger-compare", tell).await.expect("sent");
    // The partner lacked one debit, said so, and got it in the same breath.
    assert_eq!(t.balance(&az, CERTIFICATE).await, "15000");
    let done = t.exchange.act(&pk, "ledger", json!({ "comparisons": true })).await.expect("shown");
    assert_eq!(done["rows"][0]["sentAgain"], 1, "{done}");
    assert_eq!(done["rows"][0]["answer"], true);
    for who in [&az, &pk] {
        let cases = t.cases(who, "open").await;
        assert_eq!(kinds(&cases), ["balances-differ"], "{who}");
        let lines = |side: &str| cases[0][side].as_array().map(Vec::len);
        let here = if *who == pk { ("ours", "theirs") } else { ("theirs", "ours") };
        assert_eq!((lines(here.0), lines(here.1)), (Some(2), Some(1)), "{cases:?}");
    }
    t.compared().await;
    for who in [&az, &pk] {
        assert_eq!(t.cases(who, "open").await.len(), 0, "{who}");
        let closed = t.cases(who, "closed").await;
        let why = closed[0]["closed"]["text"].as_str().expect("a reason");
        assert!(why.contains("again"), "{why}");
    }
}

#[tokio::test]
async fn a_debit_that_only_one_side_knows_stays_a_case_until_a_person_closes_it() {
    let mut t = setting().await;
    let (az, pk) = (t.az.clone(), t.pk.clone());
    assert_eq!(t.forged(1, ("4000", "KGM")).await["outcome"], "accepted");
    for side in [&mut t.exchange.az, &mut t.exchange.pk] {
        side.bench.now = side.bench.now.plus(std::time::Duration::from_hours(2));
    }
    t.compared().await;
    t.compared().await;
    for who in [&az, &pk] {
        let cases = t.cases(who, "open").await;
        assert_eq!(kinds(&cases), ["balances-differ"], "{who}: found again, still one case");
        let text = cases[0]["text"].as_str().expect("a text");
        assert!(text.contains("1 debits are missing"), "{text}");
    }
    let number = t.cases(&pk, "open").await[0]["number"].clone();
    for (input, code) in [
        (json!({ "case": number, "text": "short" }), "customs.text-required"),
        (json!({ "case": 99, "text": "there is no such case" }), "customs.no-case"),
        (json!({ "case": "1", "text": "not a number at all" }), "customs.bad-input"),
    ] {
        let refused = t.exchange.act(&pk, "ledger-close", input).await.expect_err(code);
        assert_eq!(refused.code, code);
    }
    let close = json!({ "case": number, "text": "forged by a colleague, see file 12" });
    t.exchange.act(&pk, "ledger-close", close.clone()).await.expect("closed");
    let refused = t.exchange.act(&pk, "ledger-close", close).await.expect_err("closed before");
    assert_eq!(refused.code, "customs.case-closed");
    assert_eq!(t.cases(&pk, "closed").await.len(), 1);
}

#[tokio::test]
async fn balances_are_told_each_night_by_themselves() {
    let mut t = setting().await;
    let pk = t.pk.clone();
    let due = async |exchange: &mut Exchange| {
        let sent = exchange.pk.bench.run_due().await.expect("done");
        let told = sent.iter().filter(|sent| sent.code == "LDG").count();
        exchange.deliver(sent).await;
        told
    };
    due(&mut t.exchange).await;
    t.granted(1, 20_000).await;
    assert_eq!(due(&mut t.exchange).await, 0, "not before the night");
    let night = std::time::Duration::from_hours(24);
    t.exchange.pk.bench.now = t.exchange.pk.bench.now.plus(night);
    t.exchange.az.bench.now = t.exchange.az.bench.now.plus(night);
    assert_eq!(due(&mut t.exchange).await, 1);
    assert_eq!(due(&mut t.exchange).await, 0, "once a day");
    let az = t.az.clone();
    let done = t.exchange.act(&az, "ledger", json!({ "comparisons": true })).await.expect("shown");
    assert_eq!((&done["rows"][0]["items"], &done["rows"][0]["differing"]), (&json!(1), &json!(0)));
    t.exchange.pk.bench.now = t.exchange.pk.bench.now.plus(night);
    assert_eq!(due(&mut t.exchange).await, 0, "nothing was debited since");
    let told = t.exchange.act(&pk, "ledger-compare", json!({})).await.expect("told");
    assert_eq!(told, json!({ "items": 0, "complete": true }));
}

#[tokio::test]
async fn an_older_result_never_undoes_a_newer_one() {
    let mut t = setting().await;
    let (az, pk) = (t.az.clone(), t.pk.clone());
    let first = t.granted_in_silence(1, 20_000).await;
    let reopen = json!({ "claim": "KAPE-HC-1", "text": "the goods were counted again" });
    t.exchange.act(&pk, "reopen", reopen).await.expect("reopened");
    t.exchange.act(&pk, "decide", decision(1, "deny")).await.expect("denied");
    t.exchange.deliver(first).await;
    assert_eq!(t.balance(&pk, CERTIFICATE).await, "30000");
    assert_eq!(t.balance(&az, CERTIFICATE).await, "30000");
}

#[tokio::test]
async fn a_certificate_cancelled_after_use_is_a_case_for_each_debit_on_both_sides() {
    let mut t = setting().await;
    t.granted(1, 10_000).await;
    t.granted(2, 5_000).await;
    let cancellation = json!({ "cancellation": {
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-1", "TypeCode": "864",
        "ID": CERTIFICATE, "VersionID": 1, "IssueDateTime": "2026-10-05T11:00:00+04:00",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "COO", "ID": CERTIFICATE },
        "ChangeReasonCode": "1", "StatementDescription": "the origin was not proven",
    }});
    let issuer = t.issuer.clone();
    t.exchange.act(&issuer, "certificate", cancellation).await.expect("cancelled");
    for who in [t.az.clone(), t.pk.clone()] {
        let cases = t.cases(&who, "open").await;
        assert_eq!(kinds(&cases), ["revoked-after-use", "revoked-after-use"], "{who}");
        let mut lines: Vec<_> =
            cases.iter().map(|case| case["ours"][0]["quantity"]["value"].clone()).collect();
        lines.sort_by_key(ToString::to_string);
        assert_eq!(lines, ["10000", "5000"]);
        let shown = t.look(&who, CERTIFICATE).await;
        assert_eq!(shown["certificate"]["state"], "revoked-after-use");
    }
}

#[tokio::test]
async fn a_certificate_lowered_after_use_is_a_case_on_both_sides() {
    let mut t = setting().await;
    t.granted(1, 20_000).await;
    let version = |number: u32, quantity: Value| {
        [
            ("/certificate/FunctionCode", json!("5")),
            ("/certificate/VersionID", json!(number)),
            ("/certificate/FunctionalReferenceID", json!(format!("AZ-COO-00007-V{number}"))),
            ("/certificate/GovernmentAgencyGoodsItem/0/quantity", quantity),
        ]
    };
    t.issue(&version(2, json!({ "value": "10", "unit": "TNE" }))).await;
    for who in [t.az.clone(), t.pk.clone()] {
        let cases = t.cases(&who, "open").await;
        assert_eq!(kinds(&cases), ["lowered-after-use"], "{who}");
        assert_eq!(cases[0]["ours"][0]["quantity"]["value"], "20000", "{who}");
        let text = cases[0]["text"].as_str().expect("a text");
        assert!(text.contains("lowered to 10000 KGM after 20000 KGM"), "{text}");
        assert_eq!(t.balance(&who, CERTIFICATE).await, "0", "{who}");
    }
    // That both ledgers hold the same mends nothing.
    t.compared().await;
    for who in [t.az.clone(), t.pk.clone()] {
        assert_eq!(kinds(&t.cases(&who, "open").await), ["lowered-after-use"], "{who}");
    }
    let pieces = version(3, json!({ "value": "5000", "unit": "C62" }));
    let refused = t.try_issue(&pieces).await.expect_err("pieces are no kilograms");
    assert!(format!("{refused:?}").contains("20000 KGM of the item are used"), "{refused:?}");
}

#[tokio::test]
async fn a_true_copy_draws_on_the_ledger_of_its_original() {
    let mut t = setting().await;
    let (az, pk) = (t.az.clone(), t.pk.clone());
    let copy = "AZPK-2026-00007-C";
    t.issue(&[
        ("/certificate/ID", json!(copy)),
        ("/certificate/FunctionalReferenceID", json!("AZ-COO-COPY")),
        ("/certificate/replaces", json!(CERTIFICATE)),
        ("/certificate/flags", json!(["trueCopy"])),
    ])
    .await;
    t.granted(1, 20_000).await;
    let mut second = claim(&t.template, 2, 20_000);
    let document = "/claim/GoodsShipment/GovernmentAgencyGoodsItem/0/AdditionalDocument/0/ID";
    *second.pointer_mut(document).expect("a quote") = json!(copy);
    let claimed = t.exchange.act(&pk, "claim", second).await.expect("claimed");
    assert_eq!(claimed["items"][0]["balance"]["value"], "10000", "{claimed}");
    let follow = json!({ "claim": "KAPE-HC-2", "decision": "grant-in-part" });
    t.exchange.act(&pk, "decide", follow).await.expect("granted in part");
    for who in [&az, &pk] {
        for number in [CERTIFICATE, copy] {
            let shown = t.look(who, number).await;
            assert_eq!(shown["certificate"]["ledgerOf"], "AZ:AZPK202600007");
            assert_eq!(shown["certificate"]["items"][0]["balance"], "0", "{who} {number}");
            assert_eq!(shown["debits"].as_array().map(Vec::len), Some(2));
        }
    }
    let mut third = claim(&t.template, 3, 100);
    *third.pointer_mut(document).expect("a quote") = json!(copy);
    let claimed = t.exchange.act(&pk, "claim", third).await.expect("claimed");
    assert_eq!(claimed["items"][0]["proposal"]["verdict"], "deny");
    let refused = t.exchange.act(&pk, "decide", decision(3, "grant")).await.expect_err("used up");
    assert_eq!(refused.code, "customs.not-grantable");
}

#[tokio::test]
async fn a_replacement_does_not_certify_used_goods_again() {
    let mut t = setting().await;
    let (az, pk) = (t.az.clone(), t.pk.clone());
    t.granted(1, 20_000).await;
    let new = "AZPK-2026-00099";
    t.issue(&[
        ("/certificate/ID", json!(new)),
        ("/certificate/FunctionalReferenceID", json!("AZ-COO-NEW")),
        ("/certificate/replaces", json!(CERTIFICATE)),
    ])
    .await;
    for who in [&az, &pk] {
        assert_eq!(t.balance(who, new).await, "10000", "{who}");
        let shown = t.look(who, new).await;
        assert_eq!(shown["certificate"]["items"][0]["carriedOver"], "20000");
    }
    // The old decision is taken back: the replacement gains what it gave back.
    let reopen = json!({ "claim": "KAPE-HC-1", "text": "the goods were counted again" });
    t.exchange.act(&pk, "reopen", reopen).await.expect("reopened");
    t.exchange.act(&pk, "decide", decision(1, "deny")).await.expect("denied");
    for who in [&az, &pk] {
        assert_eq!(t.balance(who, new).await, "30000", "{who}");
    }
    t.claimed(2, 100).await;
    let refused = t.exchange.act(&pk, "decide", decision(2, "grant")).await.expect_err("replaced");
    assert_eq!(refused.code, "customs.not-grantable");
}

#[tokio::test]
async fn a_suspended_certificate_is_not_debited() {
    let mut t = setting().await;
    let pk = t.pk.clone();
    t.claimed(1, 1_000).await;
    let suspend = |text: &str, resume: bool| {
        let certificate = CERTIFICATE;
        json!({ "certificate": certificate, "text": text, "resume": resume })
    };
    let act = t.exchange.act(&pk, "ledger-suspend", suspend("verification 4 is open", false)).await;
    assert_eq!(act.expect("suspended")["certificate"]["state"], "suspended");
    let shown = t.exchange.act(&pk, "show", json!({ "claim": "KAPE-HC-1" })).await.expect("shown");
    assert_eq!(
        shown["items"][0]["rules"],
        json!(["certificate-suspended", "value-higher"]),
        "{shown}"
    );
    let refused = t.exchange.act(&pk, "decide", decision(1, "grant")).await.expect_err("suspended");
    assert_eq!(refused.code, "customs.not-grantable");
    let again = t.exchange.act(&pk, "ledger-suspend", suspend("verification 4 is open", false));
    assert_eq!(again.await.expect_err("suspended").code, "customs.suspension");
    let act = t.exchange.act(&pk, "ledger-suspend", suspend("the issuer confirmed", true)).await;
    assert_eq!(act.expect("resumed")["certificate"]["state"], "available");
    t.exchange.act(&pk, "decide", decision(1, "grant")).await.expect("granted");
}

#[tokio::test]
async fn without_partial_shipments_the_first_declaration_closes_the_item() {
    let text = include_str!("../../data/ledger.toml");
    let terms = Terms::parse(&text.replace("\"allowed\"", "\"refused\"")).expect("terms");
    let sample = shipped().into_iter().find(|c| c.id == "reuse-beyond-quantity").expect("a sample");
    let mut exchange = Exchange::under(sample.today, &terms);
    for step in sample.steps.iter().take(2) {
        exchange.play(&sample, step).await.expect("played");
    }
    let pk = customs_of("PK".parse().expect("PK"));
    let template = sample.steps[2].input.clone();
    for (number, kilograms) in [(1, 20_000), (2, 5_000)] {
        let claim = claim(&template, number, kilograms);
        exchange.act(&pk, "claim", claim).await.expect("claimed");
    }
    exchange.act(&pk, "decide", decision(1, "grant")).await.expect("granted");
    let late = exchange.act(&pk, "claim", claim(&template, 3, 100)).await.expect("claimed");
    assert_eq!(late["items"][0]["proposal"]["verdict"], "deny", "{late}");
    let refused = exchange.act(&pk, "decide", decision(2, "grant")).await.expect_err("closed");
    assert_eq!(refused.code, "customs.not-grantable");
    // Taken back, it is free for another declaration.
    let reopen = json!({ "claim": "KAPE-HC-1", "text": "the goods were counted again" });
    exchange.act(&pk, "reopen", reopen).await.expect("reopened");
    exchange.act(&pk, "decide", decision(1, "deny")).await.expect("denied");
    exchange.act(&pk, "decide", decision(2, "grant")).await.expect("granted");
}
