//! Verifications: asked, answered, reminded, expired; what they do to claims, and nothing else.

use std::time::Duration;

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::Outgoing;
use karvan_types::{MemberId, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

pub(crate) const CLAIM: &str = "KAPE-HC-00014-02-10-2026";
pub(crate) const CASE: &str = "KAPE-HC-00014-02-10-2026-1-V1";
pub(crate) const CERTIFICATE: &str = "AZPK-2026-00014";
const DAY: Duration = Duration::from_hours(24);

pub(crate) struct Stage {
    pub(crate) exchange: Exchange,
    pub(crate) az: MemberId,
    pub(crate) pk: MemberId,
    pub(crate) issuer: MemberId,
}

impl Stage {
    /// A claim for goods that were sent on from a third country.
    pub(crate) async fn new() -> Self {
        let consignment = override_sample();
        let mut stage = Self::of(&consignment);
        for step in consignment.steps.iter().take(3) {
            stage.exchange.play(&consignment, step).await.expect("played");
        }
        stage
    }

    /// Both sides before anything was sent.
    pub(crate) fn of(consignment: &Consignment) -> Self {
        let (az, pk) = (customs_of(consignment.from), customs_of(consignment.to));
        let exchange = Exchange::new(consignment.today);
        Self { exchange, az, pk, issuer: issuer_of(consignment.from) }
    }

    pub(crate) async fn pk(&mut self, operation: &str, input: Value) -> Value {
        let pk = self.pk.clone();
        let done = self.exchange.act(&pk, operation, input).await;
        done.unwrap_or_else(|refusal| {
            panic!("{operation}: {} {:?}", refusal.text, refusal.pointers)
        })
    }

    pub(crate) async fn issuer(&mut self, operation: &str, input: Value) -> Value {
        let issuer = self.issuer.clone();
        let done = self.exchange.act(&issuer, operation, input).await;
        done.unwrap_or_else(|refusal| {
            panic!("{operation}: {} {:?}", refusal.text, refusal.pointers)
        })
    }

    pub(crate) async fn refused(
        &mut self,
        who: &MemberId,
        operation: &str,
        input: Value,
    ) -> String {
        let done = self.exchange.act(&who.clone(), operation, input).await;
        done.err().map_or_else(|| panic!("{operation} was done"), |refusal| refusal.code)
    }

    pub(crate) async fn open(&mut self) -> Value {
        self.pk("verify", asking()).await
    }

    async fn case(&mut self) -> Value {
        self.pk("verifications", json!({ "verification": CASE })).await
    }

    pub(crate) async fn item(&mut self) -> Value {
        self.pk("show", json!({ "claim": CLAIM })).await["items"][0].clone()
    }

    /// Open tasks of a side: kinds, in order.
    pub(crate) async fn tasks(&mut self, who: &MemberId) -> Vec<String> {
        let listed = self.exchange.act(&who.clone(), "list", json!({ "what": "tasks" })).await;
        let listed = listed.expect("listed");
        let rows = listed["rows"].as_array().expect("rows").iter();
        rows.map(|row| row["kind"].as_str().expect("a kind").to_owned()).collect()
    }
}

pub(crate) fn override_sample() -> Consignment {
    shipped().into_iter().find(|c| c.id == "override-indirect-route").expect("a sample")
}

pub(crate) fn asking() -> Value {
    json!({
        "claim": CLAIM, "reasons": ["direct-transport"],
        "text": "the bill of lading begins in Jebel Ali",
        "questions": ["Did the goods stay under customs control on the way?"],
    })
}

pub(crate) fn answer(outcome: &str) -> Value {
    json!({ "verification": CASE, "outcome": outcome,
        "text": "the whole way was checked with the carrier" })
}

#[tokio::test]
async fn a_confirmation_lets_the_officer_grant() {
    let mut stage = Stage::new().await;
    let release = json!({
        "claim": CLAIM, "decision": "provisional", "reason": "origin-not-shown",
        "text": "released until the way of the goods is proven",
        "security": { "kind": "cash-deposit", "reference": "CD-2026-14",
            "amount": { "value": "2814665", "currency": "PKR" } },
    });
    stage.pk("decide", release).await;
    let opened = stage.open().await;
    assert_eq!(opened["id"], CASE);
    assert_eq!(opened["due"], "2027-04-05", "six months");
    assert_eq!(opened["exchanges"].as_array().map(Vec::len), Some(2), "customs and issuer");
    let pk = stage.pk.clone();
    assert_eq!(stage.refused(&pk, "verify", asking()).await, "customs.verification-open");
    let item = stage.item().await;
    assert_eq!(item["rules"], json!(["export-country", "verification-open"]));
    assert_eq!(stage.case().await["state"], "received", "the partner took it up");

    // The asked side sees it, its deadline and its own data.
    let (az, issuer) = (stage.az.clone(), stage.issuer.clone());
    assert_eq!(stage.tasks(&az).await, ["verification-asked"]);
    let seen = stage.issuer("verifications", json!({ "certificate": CERTIFICATE })).await;
    let seen = &seen["rows"][0];
    assert_eq!((&seen["role"], &seen["due"]), (&json!("asked"), &json!("2027-04-05")));
    assert_eq!(seen["next"][0]["what"], "a reminder of an answer that is due");
    let interim = json!({ "certificate": CERTIFICATE, "outcome": "interim",
        "text": "the carrier was asked for its papers", "finalExpected": "2026-12-01" });
    stage.issuer("answer", interim).await;
    assert_eq!(stage.case().await["answers"][0]["finalExpected"], "2026-12-01");
    assert_eq!(stage.item().await["rules"][1], "verification-open", "an interim answer is none");
    let silent = json!({ "verification": CASE, "outcome": "not-confirmed" });
    assert_eq!(stage.refused(&issuer, "answer", silent).await, "customs.text-required");
    stage.issuer("answer", answer("confirmed")).await;
    assert_eq!(stage.refused(&issuer, "answer", answer("confirmed")).await, "customs.wrong-state");
    assert_eq!(stage.tasks(&az).await, Vec::<String>::new());

    let item = stage.item().await;
    assert_eq!(item["rules"], json!(["export-country", "verification-confirmed"]));
    assert_eq!(item["proposal"]["verdict"], "grant");
    assert_eq!(item["proposal"]["reason"], "origin-confirmed");
    assert_eq!(stage.tasks(&pk).await, ["verification-ended"]);
    let conclude = json!({ "verification": CASE, "text": "granted after the confirmation" });
    assert_eq!(stage.refused(&pk, "conclude", conclude.clone()).await, "customs.claim-undecided");
    let granted = stage.pk("decide", json!({ "claim": CLAIM, "decision": "grant" })).await;
    let record = &granted["decision"];
    assert_eq!(record["override"], false, "a confirmed difference is none to override");
    assert_eq!(record["settlement"]["giveBack"]["value"], "2814665");
    assert_eq!(stage.tasks(&pk).await, ["duty-settlement"]);
    assert_eq!(stage.pk("conclude", conclude).await["state"], "closed");
    // What was decided stays decided; the answer is still there for the next claim.
    assert_eq!(stage.item().await["state"], "granted");
}

#[tokio::test]
async fn a_refutation_is_a_task_and_never_a_reversal() {
    let mut stage = Stage::new().await;
    let (pk, az) = (stage.pk.clone(), stage.az.clone());
    let grant = json!({ "claim": CLAIM, "decision": "grant", "reason": "cleared-up",
        "text": "the bill of lading of the whole way was seen", "propose": true });
    stage.pk("decide", grant).await;
    let confirm = json!({ "claim": CLAIM, "answer": "confirm" });
    let second = (&pk, crate::exchange::SECOND_OFFICER);
    stage.exchange.act_as(second, "confirm", confirm).await.expect("confirmed");
    stage.open().await;
    stage.issuer("answer", answer("not-confirmed")).await;
    let item = stage.item().await;
    assert_eq!(item["state"], "granted", "nobody reverses it but an officer");
    assert!(stage.tasks(&pk).await.contains(&"verification-ended".to_owned()));
    let why = json!({ "claim": CLAIM, "text": "the issuer did not confirm the certificate" });
    stage.pk("reopen", why).await;
    let item = stage.item().await;
    assert_eq!(item["rules"][0], "verification-refuted", "the heaviest first");
    assert_eq!(item["proposal"]["verdict"], "deny");
    assert_eq!(item["proposal"]["reason"], "origin-refuted");
    let denied = stage.pk("decide", json!({ "claim": CLAIM, "decision": "deny" })).await;
    let record = &denied["decision"];
    assert_eq!(record["number"], 2, "the first decision stays");
    assert_eq!(record["settlement"]["collect"]["value"], "2814665");
    let shown = stage.pk("show", json!({ "claim": CLAIM })).await;
    assert_eq!(shown["decisions"].as_array().map(Vec::len), Some(2));
    let other = stage.pk("verifications", json!({ "state": "refuted" })).await;
    assert_eq!(other["count"], 1);
    assert_eq!(stage.tasks(&az).await, Vec::<String>::new());
}

#[tokio::test]
async fn silence_is_reminded_and_then_put_before_an_officer() {
    let mut stage = Stage::new().await;
    stage.open().await;
    let (pk, az) = (stage.pk.clone(), stage.az.clone());
    stage.exchange.wait(DAY * 121).await;
    assert!(!stage.tasks(&pk).await.contains(&"verification-due".to_owned()));
    for days in [2, 30, 23] {
        stage.exchange.wait(DAY * days).await;
        let due =
            |tasks: &[String]| tasks.iter().filter(|kind| *kind == "verification-due").count();
        assert_eq!(due(&stage.tasks(&pk).await), 1, "one reminder at a time");
        assert_eq!(due(&stage.tasks(&az).await), 1, "the asked side is reminded too");
    }
    stage.exchange.wait(DAY * 8).await;
    let case = stage.case().await;
    assert_eq!(case["state"], "no-answer");
    let item = stage.item().await;
    assert_eq!(item["rules"], json!(["export-country", "verification-unanswered"]));
    assert_eq!(item["state"], "open", "time denies nothing");
    assert_eq!(item["proposal"]["verdict"], "deny");
    assert_eq!(item["proposal"]["reason"], "no-answer");
    assert!(stage.tasks(&pk).await.contains(&"verification-ended".to_owned()));
    assert!(stage.tasks(&az).await.contains(&"verification-due".to_owned()), "late, not excused");
    // The answer comes after all, and counts.
    stage.issuer("answer", answer("confirmed")).await;
    assert_eq!(stage.case().await["state"], "confirmed");
    assert_eq!(stage.item().await["proposal"]["verdict"], "grant");
}

#[tokio::test]
async fn only_those_who_were_asked_answer() {
    let mut stage = Stage::new().await;
    stage.open().await;
    let (az, issuer) = (stage.az.clone(), stage.issuer.clone());
    let unknown = json!({ "verification": "NO-SUCH", "outcome": "confirmed" });
    assert_eq!(stage.refused(&issuer, "answer", unknown).await, "customs.no-verification");
    let partly = json!({ "verification": CASE, "outcome": "partly", "text": "only a part of it" });
    assert_eq!(stage.refused(&issuer, "answer", partly).await, "customs.invalid-document");
    assert_eq!(stage.refused(&az, "verify", asking()).await, "customs.no-claim");
    assert_eq!(stage.refused(&issuer, "verify", asking()).await, "customs.wrong-member");
    stage.issuer("answer", answer("confirmed")).await;
    // The same answer under another reference, and one from a member that was not asked.
    let sent = stage.exchange.sent.iter().find(|sent| sent.code == "RSP").expect("an answer");
    let sent = sent.clone();
    let again = |reference: &str, query: &str| {
        let mut body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        body["FunctionalReferenceID"] = json!(reference);
        body["ID"] = json!(reference);
        body["query"]["ID"] = json!(query);
        Outgoing { body: json::canonical(&body).expect("canonical"), ..sent.clone() }
    };
    for (document, rule) in [(again("RSP-X", CASE), "ANSWERED"), (again("RSP-Y", "V9"), "UNKNOWN")]
    {
        let answers = stage.exchange.hand_over(&document).await.expect("taken");
        let body: Value = serde_json::from_slice(&answers[0].body).expect("JSON");
        assert_eq!(body["outcome"], "rejected");
        assert_eq!(body["Error"][0]["ValidationCode"], rule);
    }
}

#[tokio::test]
async fn an_answer_in_part_counts_for_the_item_that_it_names() {
    for (outcome, other, rule, verdict) in [
        ("confirmed", "not-confirmed", "verification-confirmed", "grant"),
        ("not-confirmed", "confirmed", "verification-refuted", "deny"),
        ("partly", "confirmed", "verification-partly", "query"),
    ] {
        let mut stage = Stage::new().await;
        stage.open().await;
        let mut input = answer("partly");
        input["items"] = json!([
            { "certificateItem": 1, "outcome": outcome },
            { "certificateItem": 2, "outcome": other },
        ]);
        stage.issuer("answer", input).await;
        let item = stage.item().await;
        assert!(item["rules"].as_array().expect("rules").contains(&json!(rule)), "{outcome}");
        assert_eq!(item["proposal"]["verdict"], verdict, "{outcome}");
    }
}

#[tokio::test]
async fn papers_that_are_not_the_issuers_suggest_a_verification() {
    let consignment = shipped().into_iter().find(|c| c.id == "clean-grant").expect("a sample");
    let mut exchange = Exchange::new(consignment.today);
    for step in consignment.steps.iter().take(2) {
        exchange.play(&consignment, step).await.expect("played");
    }
    let mut forged = consignment.steps[2].clone();
    let claim = &mut forged.input["claim"];
    claim["GoodsShipment"]["Importer"] =
        json!({ "Name": "Sindh Sample Traders (fictitious)", "ID": "7000001" });
    let goods = &mut claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0];
    goods["AdditionalDocument"][0]["EffectiveDateTime"] = json!("2026-09-02");
    goods["Commodity"]["Classification"] = json!([
        { "ID": "390120", "IdentificationTypeCode": "HS", "edition": 2022 },
        { "ID": "39012000", "IdentificationTypeCode": "PCT" }
    ]);
    let claimed = exchange.play(&consignment, &forged).await.expect("claimed");
    let item = &claimed["items"][0];
    assert_eq!(item["proposal"]["verdict"], "deny", "{}", item["rules"]);
    assert_eq!(item["proposal"]["reason"], "false-papers");
    let pk = customs_of(consignment.to);
    let listed = exchange.act(&pk, "list", json!({ "what": "tasks" })).await.expect("listed");
    assert_eq!(listed["rows"][0]["kind"], "verification-suggested");
    let ask = json!({ "claim": claimed["claim"], "reasons": ["authenticity"],
        "text": "date, importer and goods differ from the issuer's data" });
    let opened = exchange.act(&pk, "verify", ask).await.expect("opened");
    let shown = json!({ "verification": opened["id"] });
    let pack = exchange.act(&pk, "verifications", shown).await.expect("shown");
    assert_eq!(pack["evidence"][0]["document"], "COO");
    assert_eq!(pack["messages"].as_array().map(Vec::len), Some(4), "queries and validations");
    let listed = exchange.act(&pk, "list", json!({ "what": "tasks" })).await.expect("listed");
    assert_eq!(listed["rows"], json!([]));
}
