//! Receipts, clocks, messages out of order, comparisons, silence, transport.

use std::time::Duration;

use karvan_customs::samples::{Consignment, shipped};
use karvan_subsystem::{News, Outgoing};
use karvan_types::{ErrorKind, MemberId, Timestamp, json};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of, issuer_of};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

struct World {
    exchange: Exchange,
    sample: Consignment,
    az: MemberId,
    pk: MemberId,
    issuer: MemberId,
}

fn world(id: &str) -> World {
    let sample = shipped().into_iter().find(|c| c.id == id).expect("a shipped sample");
    let (az, pk) = ("AZ".parse().expect("AZ"), "PK".parse().expect("PK"));
    let exchange = Exchange::new(sample.today);
    World { exchange, sample, az: customs_of(az), pk: customs_of(pk), issuer: issuer_of(az) }
}

impl World {
    /// Plays the first steps of the sample.
    async fn play(&mut self, steps: usize) {
        for step in self.sample.steps.iter().take(steps) {
            self.exchange.play(&self.sample, step).await.expect("a sample step");
        }
    }

    /// The document in a step of the sample.
    fn document(&self, step: usize, member: &str) -> Value {
        self.sample.steps[step].input[member].clone()
    }

    /// Hands a document to the importing side, outside the sender's own operations.
    async fn bring(&mut self, code: &'static str, from: &MemberId, body: &Value) -> Vec<Outgoing> {
        let document = Outgoing {
            sender: from.clone(),
            recipient: self.pk.clone(),
            code,
            content_type: "application/json",
            body: json::canonical(body).expect("canonical"),
        };
        self.exchange.hand_over(&document).await.expect("taken")
    }

    async fn list(&mut self, member: &MemberId, what: &str) -> Vec<Value> {
        let listed = self.exchange.act(member, "list", json!({ "what": what })).await;
        listed.expect("listed")["rows"].as_array().expect("rows").clone()
    }

    async fn tasks(&mut self, member: &MemberId) -> Vec<String> {
        let tasks = self.list(member, "tasks").await;
        tasks.iter().map(|task| task["kind"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn show(&mut self, member: &MemberId, what: Value) -> Value {
        self.exchange.act(member, "show", what).await.expect("shown")
    }
}

/// The codes of the alarms of a side so far.
fn warned(side: &crate::exchange::Side) -> Vec<&'static str> {
    side.bench.warnings.iter().map(|warning| warning.code).collect()
}

fn outcome(answers: &[Outgoing]) -> (Value, Value) {
    let answer = answers.iter().find(|answer| answer.code == "VAL").expect("a validation");
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    (body["outcome"].clone(), body["Error"][0]["ValidationCode"].clone())
}

fn transport(id: &str, event: &str, at: &str) -> Value {
    json!({
        "FunctionCode": "9", "FunctionalReferenceID": id, "TypeCode": "44", "ID": id,
        "VersionID": 1, "IssueDateTime": at, "agreementID": "AZ-PK-PTA", "sharingLevel": "L1",
        "event": event, "eventDateTime": at,
        "exports": [{ "documentType": "EXD", "ID": "AZ-EX-2026-00001" }],
        "BorderTransportMeans": { "ModeCode": "3", "ID": "90-XX-001" },
        "StatementDescription": "a remark (fictitious)",
        "route": [
            { "SequenceNumeric": 1, "Location": { "ID": "AZBAK" } },
            { "SequenceNumeric": 2, "Location": { "ID": "PKKHI" }, "ArrivalDateTime": at },
        ],
    })
}

#[tokio::test]
async fn a_late_receipt_is_a_task_then_an_alarm_and_cleared_when_it_comes() {
    let mut world = world("clean-grant");
    let (az, issuer) = (world.az.clone(), world.issuer.clone());
    let caller = karvan_subsystem::Caller {
        member: issuer,
        user: "clerk".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let input = world.sample.steps[0].input.clone();
    let bench = &mut world.exchange.az.bench;
    let (_, sent) = bench.operate(&caller, "certificate", input).await.expect("issued");
    let [certificate] = sent.as_slice() else { panic!("{sent:?}") };

    bench.now = bench.now.plus(4 * MINUTE);
    assert!(bench.run_due().await.expect("nothing due").is_empty());
    assert_eq!(world.tasks(&az).await, Vec::<String>::new(), "five minutes are not over");
    let bench = &mut world.exchange.az.bench;
    bench.now = bench.now.plus(2 * MINUTE);
    bench.run_due().await.expect("done");
    assert_eq!(world.tasks(&az).await, ["answer-missing"]);
    assert!(warned(&world.exchange.az).is_empty(), "a task first");
    let bench = &mut world.exchange.az.bench;
    bench.now = bench.now.plus(HOUR);
    bench.run_due().await.expect("done");
    assert_eq!(warned(&world.exchange.az), ["customs.no-receipt"]);

    // It comes: the task is closed, and the clock of the validation runs.
    let by = "PK/node/main".parse().expect("a node");
    let bench = &mut world.exchange.az.bench;
    bench.progressed(certificate, News::Stored { by }).await.expect("taken up");
    assert_eq!(world.tasks(&az).await, Vec::<String>::new());
    let number = json!({ "certificate": "AZPK-2026-00001" });
    let shown = world.show(&az, number.clone()).await;
    assert_eq!(shown["certificate"]["state"], "received");
    let acts = &shown["messages"][0]["acts"];
    assert_eq!(acts["receipt"]["state"], "stored", "{acts}");
    assert_eq!(acts["receipt"]["by"], "PK/node/main");
    assert_eq!(acts["validation"], Value::Null);
    let bench = &mut world.exchange.az.bench;
    bench.now = bench.now.plus(2 * HOUR);
    bench.run_due().await.expect("done");
    assert_eq!(world.tasks(&az).await, ["answer-missing"], "now the validation is late");

    // The validation comes and clears it.
    world.exchange.deliver(sent.clone()).await;
    assert_eq!(world.tasks(&az).await, Vec::<String>::new());
    let shown = world.show(&az, number).await;
    assert_eq!(shown["certificate"]["state"], "available");
    let acts = &shown["messages"][0]["acts"];
    assert_eq!(acts["validation"]["state"], "accepted", "{acts}");
    assert_eq!(acts["validation"]["by"], world.pk.as_str());
    assert_eq!(shown["timers"], json!([]), "no clock runs on");
}

#[tokio::test]
async fn what_is_given_up_opens_a_task_with_the_reason() {
    let mut world = world("clean-grant");
    let (az, issuer) = (world.az.clone(), world.issuer.clone());
    let caller = karvan_subsystem::Caller {
        member: issuer,
        user: "clerk".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let input = world.sample.steps[0].input.clone();
    let bench = &mut world.exchange.az.bench;
    let (_, sent) = bench.operate(&caller, "certificate", input).await.expect("issued");
    let reason = karvan_subsystem::Rejection::new(ErrorKind::Forbidden, "no-agreement", "no");
    bench.progressed(&sent[0], News::GivenUp(reason)).await.expect("taken up");
    assert_eq!(world.tasks(&az).await, ["not-delivered"]);
    let shown = world.show(&az, json!({ "certificate": "AZPK-2026-00001" })).await;
    assert_eq!(shown["messages"][0]["acts"]["receipt"]["state"], "refused");
    assert_eq!(shown["timers"], json!([]), "nothing is awaited of what was not delivered");
}

#[tokio::test]
async fn a_report_before_its_declaration_waits_is_asked_for_and_taken_up() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    let report = transport("AZ-TRN-1", "departed", "2026-09-03T14:00:00Z");
    assert!(world.bring("TRN", &az, &report).await.is_empty(), "no validation yet");
    let parked = world.list(&pk, "parked").await;
    assert_eq!(parked[0]["waitsFor"], "export AZ:AZ-EX-2026-00001");
    assert_eq!(
        (&parked[0]["document"], &parked[0]["reference"]),
        (&json!("TRN"), &json!("AZ-TRN-1"))
    );
    let before = world.exchange.sent.len();
    world.exchange.wait(20 * MINUTE).await;
    let asked: Vec<_> = world.exchange.sent[before..].iter().map(|sent| sent.code).collect();
    assert_eq!(asked, ["SEQ", "SEQ", "VAL", "VAL"], "asked, and answered that it is not there");
    assert!(warned(&world.exchange.pk).is_empty());
    world.exchange.wait(24 * HOUR).await;
    assert_eq!(warned(&world.exchange.pk), ["customs.waits-too-long"]);
    assert!(world.tasks(&pk).await.contains(&"waits-too-long".to_owned()));
    assert_eq!(world.list(&pk, "parked").await.len(), 1, "never refused");

    world.play(2).await;
    assert_eq!(world.list(&pk, "parked").await, Vec::<Value>::new());
    assert!(!world.tasks(&pk).await.contains(&"waits-too-long".to_owned()));
    let shown = world.show(&pk, json!({ "export": "AZ-EX-2026-00001" })).await;
    assert_eq!(shown["export"]["state"], "departed");
    assert_eq!(shown["transport"][0]["number"], "AZ-TRN-1");
}

#[tokio::test]
async fn a_message_that_will_not_be_helped_can_be_refused_by_an_officer() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    let report = transport("AZ-TRN-1", "departed", "2026-09-03T14:00:00Z");
    world.bring("TRN", &az, &report).await;
    let exchange = world.list(&pk, "parked").await[0]["exchange"].clone();
    let input = json!({ "exchange": exchange, "text": "no such declaration was made" });
    let output = world.exchange.act(&pk, "unpark", input.clone()).await.expect("refused");
    assert_eq!(output["state"], "rejected");
    let refusal = world.exchange.act(&pk, "unpark", input).await.expect_err("done before");
    assert_eq!(refusal.code, "customs.not-parked");
}

#[tokio::test]
async fn the_nightly_comparison_finds_what_was_lost_and_brings_it() {
    let mut world = world("clean-grant");
    let (pk, issuer) = (world.pk.clone(), world.issuer.clone());
    world.exchange.wait(HOUR).await;
    // A certificate is issued, and never reaches the partner.
    let caller = karvan_subsystem::Caller {
        member: issuer,
        user: "clerk".to_owned(),
        permissions: vec!["*".to_owned()],
    };
    let input = world.sample.steps[0].input.clone();
    let bench = &mut world.exchange.az.bench;
    bench.operate(&caller, "certificate", input).await.expect("issued");
    let number = json!({ "certificate": "AZPK-2026-00001" });
    let missing = world.exchange.act(&pk, "show", number.clone()).await.expect_err("lost");
    assert_eq!(missing.code, "customs.unknown-certificate");
    world.exchange.wait(24 * HOUR).await;
    let shown = world.show(&pk, number).await;
    assert_eq!(shown["certificate"]["state"], "available", "asked for and sent again");
    let again = world.exchange.sent.iter().filter(|sent| sent.code == "COO").count();
    assert_eq!(again, 1, "sent again once");
}

#[tokio::test]
async fn another_content_under_a_reference_is_a_fork_and_alarms() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    world.play(1).await;
    let certificate = world.document(0, "certificate");
    let report = json!({
        "FunctionCode": "9", "FunctionalReferenceID": "AZ-SEQ-1", "TypeCode": "287",
        "ID": "AZ-SEQ-1", "VersionID": 1, "IssueDateTime": "2026-10-05T05:00:00Z",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L1",
        "from": "2026-10-04T00:00:00Z", "to": "2026-10-05T00:00:00Z",
        "streams": [{
            "sender": world.issuer, "recipient": world.pk,
            "messages": [{
                "documentType": "COO", "ID": certificate["ID"],
                "FunctionalReferenceID": certificate["FunctionalReferenceID"],
                "digest": "0".repeat(64), "sentAt": "2026-10-04T05:00:00Z", "state": "accepted",
            }],
        }],
    });
    let answers = world.bring("SEQ", &az, &report).await;
    assert_eq!(outcome(&answers).0, "accepted");
    assert_eq!(warned(&world.exchange.pk), ["customs.two-contents"]);
    assert!(world.tasks(&pk).await.contains(&"same-reference-other-content".to_owned()));
    // Nobody speaks for members of another nation.
    let mut foreign = report.clone();
    foreign["FunctionalReferenceID"] = json!("AZ-SEQ-2");
    foreign["streams"][0]["sender"] = json!(world.pk);
    let answers = world.bring("SEQ", &az, &foreign).await;
    assert_eq!(outcome(&answers), (json!("rejected"), json!("STREAM")));
}

#[tokio::test]
async fn silence_of_the_partner_is_held_against_nobody() {
    let mut world = world("unknown-certificate");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    // Something came once, then nothing for two days.
    let report = transport("AZ-TRN-1", "departed", "2026-10-01T14:00:00Z");
    world.bring("TRN", &az, &report).await;
    let bench = &mut world.exchange.pk.bench;
    bench.now = bench.now.plus(48 * HOUR);
    bench.run_due().await.expect("done");
    assert!(warned(&world.exchange.pk).contains(&"customs.partner-silent"));
    let timers = world.exchange.act(&pk, "timers", json!({})).await.expect("shown");
    assert_eq!(timers["outages"][0]["by"], "clock");
    let claims = |step: &usize| world.sample.steps[*step].input["claim"].is_object();
    let step = (0..world.sample.steps.len()).find(claims).expect("a claim");
    let mut claim = world.document(step, "claim");
    let today = json!("2026-10-05");
    claim["GoodsShipment"]["GovernmentAgencyGoodsItem"][0]["AdditionalDocument"][0]["EffectiveDateTime"] =
        today;
    let input = json!({ "claim": claim });
    let claimed = world.exchange.act(&pk, "claim", input).await.expect("filed");
    let item = &claimed["items"][0];
    assert!(item["rules"].as_array().expect("rules").contains(&json!("partner-silent")), "{item}");
    assert_ne!(item["proposal"]["verdict"], "deny");
    let text = item["differences"][0]["text"].as_str().expect("a text");
    assert!(text.contains("2026-10-05") && text.contains("QR"), "{text}");
    // Something comes: the outage is over, and an unknown number is unknown again.
    let report = transport("AZ-TRN-2", "departed", "2026-10-01T14:00:00Z");
    world.bring("TRN", &az, &report).await;
    let timers = world.exchange.act(&pk, "timers", json!({})).await.expect("shown");
    assert_ne!(timers["outages"][0]["until"], Value::Null);
}

#[tokio::test]
async fn an_outage_is_declared_and_ended_by_a_person() {
    let mut world = world("clean-grant");
    let pk = world.pk.clone();
    for (input, code) in [
        (json!({ "text": "the line is cut" }), "customs.bad-input"),
        (json!({ "from": "2030-01-01T00:00:00Z", "text": "the line is cut" }), "customs.bad-input"),
        (
            json!({ "from": "2025-10-04T04:59:00Z", "text": "the line is cut" }),
            "customs.outage-too-early",
        ),
        (json!({ "over": 7, "text": "the line is up" }), "customs.no-outage"),
        (json!({ "from": "2026-10-01T00:00:00Z", "text": "x" }), "customs.text-required"),
    ] {
        let refusal = world.exchange.act(&pk, "outage", input).await.expect_err(code);
        assert_eq!(refusal.code, code);
    }
    // The refusal names the earliest instant, and that one is taken.
    let input = json!({ "from": "2020-01-01T00:00:00Z", "text": "the line is cut" });
    let refusal = world.exchange.act(&pk, "outage", input).await.expect_err("long ago");
    assert_eq!(refusal.pointers[0].pointer, "/from");
    let (_, earliest) = refusal.text.split_once("allowed is ").expect("the earliest instant");
    let (earliest, rest) = earliest.split_once(',').expect("an instant");
    assert!(rest.starts_with(" 366 days back (assumed)"), "{}", refusal.text);
    let earliest: Timestamp = earliest.parse().expect("an instant");
    assert_eq!(earliest, world.exchange.pk.bench.now.minus(HOUR * 24 * 366));
    // The next act is a minute later, and so is what it allows.
    let from = earliest.plus(MINUTE);
    let input = json!({ "from": from, "text": "the line is cut" });
    let outage = world.exchange.act(&pk, "outage", input).await.expect("declared");
    assert_eq!(world.tasks(&pk).await, ["partner-silent"]);
    let input = json!({ "over": outage["number"], "text": "the line is up again" });
    world.exchange.act(&pk, "outage", input).await.expect("over");
    assert_eq!(world.tasks(&pk).await, Vec::<String>::new());
}

#[tokio::test]
async fn goods_depart_arrive_are_decided_and_the_record_closes() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    world.play(2).await;
    let export = json!({ "export": "AZ-EX-2026-00001" });
    for (id, event, state) in [
        ("T1", "departed", "departed"),
        ("T2", "diverted", "diverted"),
        ("T3", "arrived", "arrived"),
    ] {
        let report = transport(id, event, "2026-09-03T14:00:00Z");
        let input = json!({ "declaration": report });
        world.exchange.act(&az, "submit", input).await.expect("sent");
        for member in [&az, &pk] {
            let shown = world.show(member, export.clone()).await;
            assert_eq!(shown["export"]["state"], state, "{member}");
        }
    }
    let again = json!({ "declaration": transport("T3", "arrived", "2026-09-03T15:00:00Z") });
    let refusal = world.exchange.act(&az, "submit", again).await.expect_err("used");
    assert_eq!(refusal.code, "customs.reference-reused");
    let claim = json!({ "claim": world.document(2, "claim") });
    world.exchange.act(&pk, "claim", claim).await.expect("filed");
    assert_eq!(world.show(&pk, export.clone()).await["export"]["state"], "matched");
    let decide = world.sample.steps[3].input.clone();
    world.exchange.act(&pk, "decide", decide).await.expect("decided");
    let shown = world.show(&pk, export).await;
    assert_eq!(shown["export"]["state"], "closed");
    let declared = &shown["messages"][0]["acts"]["decision"];
    assert_eq!(declared["state"], "granted", "{declared}");
}

#[tokio::test]
async fn goods_that_do_not_come_are_told() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    world.play(2).await;
    let input = json!({ "declaration": transport("T1", "departed", "2026-10-05T04:00:00Z") });
    world.exchange.act(&az, "submit", input).await.expect("sent");
    // By road, as the declaration says: 30 days, for this clock and for the mirror.
    world.exchange.wait(29 * 24 * HOUR).await;
    for member in [&az, &pk] {
        assert!(!world.tasks(member).await.contains(&"never-arrived".to_owned()), "{member}");
    }
    world.exchange.wait(2 * 24 * HOUR).await;
    for member in [&az, &pk] {
        assert!(world.tasks(member).await.contains(&"never-arrived".to_owned()), "{member}");
        let shown = world.show(member, json!({ "export": "AZ-EX-2026-00001" })).await;
        assert_eq!(shown["export"]["state"], "never-arrived");
    }
}

/// A departure that is told when the goods should have arrived long ago is no alarm by itself.
#[tokio::test]
async fn a_departure_that_is_told_late_waits_a_day_for_the_arrival() {
    let mut world = world("clean-grant");
    let (az, pk) = (world.az.clone(), world.pk.clone());
    world.play(2).await;
    let input = json!({ "declaration": transport("T1", "departed", "2026-09-03T14:00:00Z") });
    world.exchange.act(&az, "submit", input).await.expect("sent");
    for (hours, state) in [(23, "departed"), (2, "never-arrived")] {
        world.exchange.wait(hours * HOUR).await;
        for member in [&az, &pk] {
            let shown = world.show(member, json!({ "export": "AZ-EX-2026-00001" })).await;
            assert_eq!(shown["export"]["state"], state, "{member}");
        }
    }
}

fn amendment(kind: &str, id: &str, version: u32, reference: &str) -> Value {
    json!({
        "FunctionCode": "4", "FunctionalReferenceID": reference, "TypeCode": "COR", "ID": id,
        "VersionID": version, "IssueDateTime": "2026-10-05T04:30:00Z", "agreementID": "AZ-PK-PTA",
        "sharingLevel": "L2", "document": { "documentType": kind, "ID": id },
        "StatementDescription": "weighed again",
        "Amendment": [{ "ChangeReasonCode": "25" }],
    })
}

#[tokio::test]
async fn amendments_by_pointer_make_versions_and_wait_for_the_one_before() {
    let mut world = world("clean-grant");
    let (az, pk, issuer) = (world.az.clone(), world.pk.clone(), world.issuer.clone());
    let path = "GovernmentAgencyGoodsItem[1]/quantity/value";
    let quantity = |value: &str| json!([{ "path": path, "value": value }]);
    let mut third = amendment("COO", "AZPK-2026-00001", 3, "AZ-AMD-3");
    third["values"] = quantity("19000");
    let mut second = amendment("COO", "AZPK-2026-00001", 2, "AZ-AMD-2");
    second["values"] = quantity("18000");
    // Everything in the wrong order.
    assert!(world.bring("AMD", &issuer, &third).await.is_empty(), "waits");
    assert!(world.bring("AMD", &issuer, &second).await.is_empty(), "waits");
    let certificate = world.document(0, "certificate");
    let answers = world.bring("COO", &issuer, &certificate).await;
    assert!(answers.iter().filter(|answer| answer.code == "VAL").count() >= 2, "{answers:?}");
    let answers = world.bring("AMD", &issuer, &third).await;
    let shown = world.show(&pk, json!({ "certificate": "AZPK-2026-00001" })).await;
    let versions: Vec<_> = shown["versions"].as_array().expect("versions").iter().collect();
    assert_eq!(versions.len(), 3, "{answers:?}");
    let item = "/content/GovernmentAgencyGoodsItem/0/quantity/value";
    let values: Vec<_> = versions.iter().map(|v| v.pointer(item).expect("a value")).collect();
    assert_eq!(values, [&json!("20000"), &json!("18000"), &json!("19000")]);
    // What leads nowhere, and who may not.
    for (change, rule) in [
        (json!([{ "path": "Wheels/value", "value": "4" }]), "POINTER"),
        (json!([{ "path": "VersionID", "value": "9" }]), "POINTER"),
        (json!([{ "path": "GovernmentAgencyGoodsItem[1]/quantity", "value": "4" }]), "POINTER"),
        (
            json!([{ "path": "GovernmentAgencyGoodsItem[1]/quantity/value", "value": "x" }]),
            "POINTER",
        ),
        (json!([{ "path": "GovernmentAgencyGoodsItem[1]/quantity/unit", "value": "QQQ" }]), "UNIT"),
    ] {
        let mut bad = amendment("COO", "AZPK-2026-00001", 4, &format!("AZ-AMD-{change}")[..20]);
        bad["values"] = change.clone();
        let answers = world.bring("AMD", &issuer, &bad).await;
        assert_eq!(outcome(&answers), (json!("rejected"), json!(rule)), "{change}");
    }
    // An export declaration is changed by WCO pointers.
    let declaration = world.document(1, "declaration");
    world.bring("EXD", &az, &declaration).await;
    let mut change = amendment("EXD", "AZ-EX-2026-00001", 2, "AZ-AMD-9");
    change["Amendment"][0]["Pointer"] = json!([
        { "SequenceNumeric": 1, "DocumentSectionCode": "42A" },
        { "DocumentSectionCode": "67A" },
        { "DocumentSectionCode": "22B", "TagID": "090" },
    ]);
    change["values"] =
        json!([{ "path": "GoodsShipment/TradeTerms/ConditionCode", "value": "FOB" }]);
    let answers = world.bring("AMD", &az, &change).await;
    assert_eq!(outcome(&answers).0, "accepted", "{answers:?}");
    let shown = world.show(&pk, json!({ "export": "AZ-EX-2026-00001" })).await;
    assert_eq!(shown["export"]["amendments"], 1);
    let terms = "/versions/1/content/GoodsShipment/TradeTerms/ConditionCode";
    assert_eq!(shown.pointer(terms), Some(&json!("FOB")));
}

#[tokio::test]
async fn what_comes_too_late_is_remarked_and_changes_no_decision() {
    let mut world = world("clean-grant");
    let (pk, issuer) = (world.pk.clone(), world.issuer.clone());
    world.play(4).await;
    let cancellation = json!({
        "FunctionCode": "1", "FunctionalReferenceID": "AZ-CXL-1", "TypeCode": "INV",
        "ID": "AZPK-2026-00001", "VersionID": 1, "IssueDateTime": "2026-10-05T05:00:00Z",
        "agreementID": "AZ-PK-PTA", "sharingLevel": "L2",
        "document": { "documentType": "COO", "ID": "AZPK-2026-00001" },
        "ChangeReasonCode": "1", "StatementDescription": "issued in error",
    });
    let answers = world.bring("CXL", &issuer, &cancellation).await;
    assert_eq!(outcome(&answers), (json!("accepted"), json!("LATE")));
    let again = world.bring("CXL", &issuer, &cancellation).await;
    assert_eq!(outcome(&again), (json!("accepted"), json!("LATE")), "the same answer");
    assert!(world.tasks(&pk).await.contains(&"cancelled-after-decision".to_owned()));
    let shown = world.show(&pk, json!({ "certificate": "AZPK-2026-00001" })).await;
    assert_eq!(shown["certificate"]["state"], "revoked-after-use");
    assert_eq!(shown["claims"][0]["state"], "granted", "no decision is changed by itself");
}

#[tokio::test]
async fn a_certificate_of_no_issuer_waits_until_the_list_says_so() {
    let mut world = world("clean-grant");
    let (pk, issuer) = (world.pk.clone(), world.issuer.clone());
    let document = |body: &Value| Outgoing {
        sender: issuer.clone(),
        recipient: pk.clone(),
        code: "COO",
        content_type: "application/json",
        body: json::canonical(body).expect("canonical"),
    };
    let first = world.document(0, "certificate");
    let kept = world.exchange.hand_over_as(&document(&first), Some(&[])).await.expect("kept");
    assert!(kept.is_empty());
    assert_eq!(warned(&world.exchange.pk), ["customs.not-an-issuer"]);
    assert_eq!(world.tasks(&pk).await, ["issuer-not-known"]);
    let mut second = first.clone();
    second["ID"] = json!("AZPK-2026-00999");
    second["FunctionalReferenceID"] = json!("AZ-COO-999");
    // The list is mended: with the next document of the issuer the first is taken up.
    let answers = world.exchange.hand_over(&document(&second)).await.expect("taken");
    assert_eq!(answers.iter().filter(|answer| answer.code == "VAL").count(), 2);
    for number in ["AZPK-2026-00001", "AZPK-2026-00999"] {
        let shown = world.show(&pk, json!({ "certificate": number })).await;
        assert_eq!(shown["certificate"]["state"], "available");
    }
}
