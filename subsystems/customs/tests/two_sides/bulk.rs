//! Imports of many records: outcomes, order, what waits, and what happens when they come again.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_customs::bulk::{check, empty_chain, extend_chain};
use karvan_customs::edifact::{self, Charset, Content, Directory, Envelope};
use karvan_customs::messages::{DocumentType, Message, SharingLevel};
use karvan_customs::samples::{Consignment, generate, shipped};
use karvan_customs::wco::{self, Context};
use karvan_subsystem::Rejection;
use karvan_types::{Digest, ErrorKind, MemberId};
use serde_json::{Value, json};

use crate::exchange::{Exchange, SECOND_OFFICER, customs_of, issuer_of};

/// Whoever hands records in, one batch after the other.
struct Office {
    who: MemberId,
    import: String,
    position: u64,
}

fn record(text: &str) -> Value {
    let digest = Digest::of(text.as_bytes());
    json!({ "place": "a.ndjson:1", "digest": digest, "content": { "text": text } })
}

impl Office {
    fn new(who: MemberId, import: &str) -> Self {
        Self { who, import: import.to_owned(), position: 0 }
    }

    async fn hand_in(
        &mut self,
        exchange: &mut Exchange,
        texts: &[String],
    ) -> Result<Vec<Value>, Rejection> {
        let records: Vec<Value> = texts.iter().map(|text| record(text)).collect();
        let input = json!({ "import": self.import, "position": self.position, "records": records });
        let done = exchange.act(&self.who, "import", input).await?;
        self.position = done["import"]["position"].as_u64().expect("a position");
        Ok(done["lines"].as_array().expect("lines").clone())
    }

    async fn import(&mut self, exchange: &mut Exchange, texts: &[String]) -> Vec<Value> {
        self.hand_in(exchange, texts).await.expect("taken")
    }
}

/// Outcome, document and rule of each line.
fn told(lines: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parts = |line: &Value| {
        let record = line["record"].to_string();
        let (outcome, document) = (text(&line["outcome"]), text(&line["document"]));
        let again = if line["takenUp"] == true { " again" } else { "" };
        format!("{record} {outcome}{again} {document} {}", text(&line["rule"])).trim().to_owned()
    };
    lines.iter().map(parts).collect()
}

fn input(consignment: &Consignment, step: usize, member: &str) -> Value {
    consignment.steps.get(step).expect("a step").input[member].clone()
}

fn sides() -> (MemberId, MemberId, MemberId) {
    let (az, pk) = ("AZ".parse().expect("AZ"), "PK".parse().expect("PK"));
    (issuer_of(az), customs_of(az), customs_of(pk))
}

fn sample(id: &str) -> Consignment {
    shipped().into_iter().find(|consignment| consignment.id == id).expect("a sample")
}

/// Changes one text of a document.
fn with(mut document: Value, pointer: &str, text: &str) -> String {
    *document.pointer_mut(pointer).expect("a field") = Value::from(text);
    document.to_string()
}

#[tokio::test]
async fn each_record_has_an_outcome_and_none_stops_the_rest() {
    let (issuer, az, _) = sides();
    let clean = sample("clean-grant");
    let mut exchange = Exchange::new(clean.today);
    let coo = input(&clean, 0, "certificate");
    let mut office = Office::new(issuer.clone(), "certificates");
    let wrong = with(coo.clone(), "/TypeCode", "380");
    let other = with(coo.clone(), "/FunctionalReferenceID", "ANOTHER");
    let texts = [
        coo.to_string(),
        "{\"a\":1,\"a\":2}".to_owned(),
        wrong,
        coo.to_string(),
        "nothing at all".to_owned(),
        input(&clean, 1, "declaration").to_string(),
        other,
    ];
    let lines = office.import(&mut exchange, &texts).await;
    assert_eq!(
        told(&lines),
        [
            "1 accepted COO",
            "2 rejected  customs.unreadable",
            "3 rejected COO customs.reference-reused",
            "4 duplicate COO",
            "5 rejected  customs.unreadable",
            "6 rejected EXD customs.wrong-member",
            "7 rejected COO customs.invalid-document",
        ]
    );
    let sent = exchange.sent.iter().filter(|sent| sent.code == "COO").count();
    assert_eq!(sent, 1, "a refused record is not sent");
    let pointers = lines.last().and_then(|line| line["pointers"].as_array());
    assert!(pointers.is_some_and(|pointers| !pointers.is_empty()), "{lines:#?}");

    // The same again, under another name: nothing is taken twice.
    let mut again = Office::new(issuer, "certificates, once more");
    let lines = again.import(&mut exchange, &texts[..1]).await;
    assert_eq!(told(&lines), ["1 duplicate COO"]);

    // Somebody else's import is not shown and cannot be gone on with.
    let shown = exchange.act(&az, "imports", json!({ "import": "certificates" })).await;
    assert_eq!(shown.expect("shown")["import"]["position"], 0);
    let mut stranger = Office { position: 7, ..Office::new(az, "certificates") };
    let refused = stranger.hand_in(&mut exchange, &[]).await.expect_err("refused");
    assert_eq!(refused.kind, ErrorKind::Forbidden);
}

#[tokio::test]
async fn a_batch_is_taken_once_and_the_report_is_kept() {
    let (issuer, ..) = sides();
    let certificates: Vec<String> = generate(130, 3)
        .iter()
        .map(|consignment| input(consignment, 0, "certificate").to_string())
        .collect();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let mut office = Office::new(issuer.clone(), "all of them");
    let mut lines = Vec::new();
    for batch in certificates.chunks(40) {
        lines.extend(office.import(&mut exchange, batch).await);
    }
    assert!(lines.iter().all(|line| line["outcome"] == "accepted"), "{lines:#?}");

    // Cut off after the answer was lost: the batch is refused, the position tells where to go on.
    let mut late = Office { position: 120, ..Office::new(issuer.clone(), "all of them") };
    let refused = late.hand_in(&mut exchange, &certificates[120..]).await.expect_err("refused");
    assert_eq!((refused.kind, &*refused.code), (ErrorKind::Conflict, "customs.import-position"));
    assert!(refused.text.contains("is at record 130, not 120"), "{}", refused.text);

    let digests = certificates.iter().map(|text| Digest::of(text.as_bytes()));
    let chain = digests.fold(empty_chain(), extend_chain);
    for (from, expected) in [(0, 130), (39, 91), (40, 90), (129, 1), (130, 0), (9000, 0)] {
        let question = json!({ "import": "all of them", "from": from });
        let shown = exchange.act(&issuer, "imports", question).await.expect("shown");
        assert_eq!(shown["import"]["chain"], json!(chain));
        assert_eq!(shown["import"]["counts"]["accepted"], 130);
        let kept = shown["lines"].as_array().expect("lines");
        assert_eq!(kept.as_slice(), &lines[lines.len().min(from)..], "from {from}");
        assert_eq!(kept.len(), expected);
    }
    let listed = exchange.act(&issuer, "imports", json!({})).await.expect("listed");
    assert_eq!(listed["imports"][0]["name"], "all of them", "{listed:#}");
    let too_many = vec![String::new(); 101];
    let refused = office.hand_in(&mut exchange, &too_many).await.expect_err("refused");
    assert_eq!(refused.kind, ErrorKind::TooLarge);
}

#[tokio::test]
async fn what_comes_too_early_waits_for_its_original() {
    let (_, az, _) = sides();
    let clean = sample("clean-grant");
    let mut exchange = Exchange::new(clean.today);
    let original = input(&clean, 1, "declaration");
    let mut change = original.clone();
    change["FunctionCode"] = json!("4");
    let version = |number: &str| {
        let mut change = change.clone();
        change["VersionID"] = json!(number.parse::<u32>().expect("a number"));
        with(change, "/FunctionalReferenceID", &format!("AZ-EXD-V{number}"))
    };
    let mut office = Office::new(az.clone(), "declarations");
    let lines = office.import(&mut exchange, &[version("2"), version("3")]).await;
    assert_eq!(
        told(&lines),
        ["1 parked EXD customs.no-original", "2 parked EXD customs.no-original"]
    );

    let lines = office.import(&mut exchange, &[original.to_string(), version("4")]).await;
    let order =
        ["3 accepted EXD", "1 accepted again EXD", "2 accepted again EXD", "4 accepted EXD"];
    assert_eq!(told(&lines), order);
    let shown = exchange.act(&az, "imports", json!({ "import": "declarations" })).await;
    let counts = json!({ "accepted": 4, "rejected": 0, "duplicate": 0, "parked": 0 });
    assert_eq!(shown.expect("shown")["import"]["counts"], counts);
}

#[tokio::test]
async fn an_original_from_elsewhere_is_found_when_the_import_is_run_again() {
    let (_, az, _) = sides();
    let clean = sample("clean-grant");
    let mut exchange = Exchange::new(clean.today);
    let original = input(&clean, 1, "declaration");
    let mut change = original.clone();
    (change["FunctionCode"], change["VersionID"]) = (json!("5"), json!(2));
    let change = with(change, "/FunctionalReferenceID", "AZ-EXD-CHANGED");
    let mut office = Office::new(az.clone(), "late");
    office.import(&mut exchange, &[change]).await;
    let again = json!({ "import": "late", "position": 1, "takeUpAfter": 0 });
    let done = exchange.act(&az, "import", again.clone()).await.expect("looked");
    assert_eq!((&done["lines"], &done["takenUpTo"]), (&json!([]), &json!(1)));
    let submit = json!({ "declaration": original });
    exchange.act(&az, "submit", submit).await.expect("submitted");
    let done = exchange.act(&az, "import", again.clone()).await.expect("taken up");
    assert_eq!(told(done["lines"].as_array().expect("lines")), ["1 accepted again EXD"]);
    let done = exchange.act(&az, "import", again).await.expect("looked");
    assert_eq!((&done["lines"], &done["takenUpTo"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn three_days_of_claims_and_decisions_debit_once() {
    let reuse = sample("reuse-beyond-quantity");
    let (.., pk) = sides();
    let mut exchange = Exchange::new(reuse.today);
    for step in reuse.steps.iter().take(2) {
        exchange.play(&reuse, step).await.expect("played");
    }
    let template = input(&reuse, 2, "claim");
    let claim = |number: usize| {
        let mut claim = template.clone();
        claim["ID"] = json!(format!("KAPE-OFF-{number}"));
        let measure = "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/GoodsMeasure";
        for name in ["TariffQuantity", "NetNetWeightMeasure", "GrossMassMeasure"] {
            let pointer = format!("{measure}/{name}/value");
            *claim.pointer_mut(&pointer).expect("a measure") = json!("12000");
        }
        claim.to_string()
    };
    let grant = |number: usize| {
        json!({ "claim": format!("KAPE-OFF-{number}"), "decision": "grant", "reason": "other",
            "text": "released on paper during the outage" })
        .to_string()
    };
    // The decision of the third day was written down before its claim.
    let days = [claim(1), grant(1), claim(2), grant(2), grant(3), claim(3), grant(1)];
    let mut office = Office::new(pk.clone(), "outage");
    let lines = office.import(&mut exchange, &days).await;
    let expected = [
        "1 accepted IMP",
        "2 accepted decision",
        "3 accepted IMP",
        "4 accepted decision",
        "5 parked decision customs.no-claim",
        "6 accepted IMP",
        "5 rejected again decision customs.",
        "7 duplicate decision",
    ];
    for (found, expected) in told(&lines).iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} is not {expected}: {lines:#?}");
    }
    let ledger = async |exchange: &mut Exchange| {
        let question = json!({ "certificate": "AZPK-2026-00007" });
        let shown = exchange.act(&pk, "show", question).await.expect("shown");
        shown["certificate"]["ledger"][0].clone()
    };
    let before = ledger(&mut exchange).await;
    // All of it once more, after the report was lost and somebody chose another name.
    let mut again = Office::new(pk.clone(), "outage, second try");
    let lines = again.import(&mut exchange, &days).await;
    assert!(lines.iter().all(|line| line["outcome"] != "accepted"), "{lines:#?}");
    assert_eq!(ledger(&mut exchange).await, before);
    assert_eq!(before["debited"], "24000", "{before}");
}

/// An interchange of one export declaration of another number and content.
fn interchange(number: &str, reference: &str) -> String {
    let mut declaration = input(&sample("clean-grant"), 1, "declaration");
    declaration["ID"] = json!(number);
    declaration["FunctionalReferenceID"] = json!(format!("R-{number}"));
    let text = declaration.to_string();
    let message = Message::parse("EXD", text.as_bytes()).expect("a declaration");
    let envelope = Envelope {
        charset: Charset::Y,
        sender: "BROKER",
        recipient: "CUSTOMS",
        reference,
        prepared_at: sample("clean-grant").today,
    };
    let written = edifact::write(&Content::Message(message), Directory::D96B, &envelope);
    String::from_utf8(written.expect("written").bytes).expect("UTF-8")
}

/// What a reader without a node assumes.
fn context() -> Context<'static> {
    Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: sample("clean-grant").today,
        subject: DocumentType::Export,
    }
}

/// A record that is one message of an interchange.
fn of_interchange(text: &str, place: &str) -> Value {
    let digest = Digest::of(place.as_bytes());
    let mut record = record(text);
    record["interchange"] = json!({ "place": place, "digest": digest });
    record
}

#[tokio::test]
async fn a_test_interchange_is_checked_and_not_filed() {
    let (_, az, pk) = sides();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let test = interchange("EDI-1", "T1").replacen("+T1'", "+T1++++++1'", 1);
    let wrong = test.replacen("MOA+39:22000:", "MOA+39:22001:", 1);
    assert_ne!(test, wrong, "{test}");
    let mut office = Office::new(az.clone(), "tests");
    let lines = office.import(&mut exchange, &[test, wrong]).await;
    let expected = ["1 checked EXD", "2 rejected EXD customs.invalid-document"];
    assert_eq!(told(&lines), expected);
    assert!(exchange.sent.is_empty(), "a test does not cross the border");
    for side in [&az, &pk] {
        let shown = exchange.act(side, "show", json!({ "export": "EDI-1" })).await;
        assert_eq!(shown.expect_err("nothing there").code, "customs.unknown-export");
    }
    // A test uses no reference up.
    let real = office.import(&mut exchange, &[interchange("EDI-1", "T1")]).await;
    assert_eq!(told(&real), ["3 accepted EXD"]);
    let shown = exchange.act(&az, "imports", json!({ "import": "tests" })).await.expect("shown");
    assert_eq!(shown["import"]["counts"]["checked"], 1);
}

#[tokio::test]
async fn a_reference_of_an_interchange_is_taken_once_whoever_comes_second() {
    let (_, az, _) = sides();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let submit = |text: &str| json!({ "interchange": STANDARD.encode(text) });
    let reused = |number: u64| format!("{number} rejected EXD customs.interchange-reused");
    let first = interchange("EDI-1", "R77");
    let mut office = Office::new(az.clone(), "first");
    assert_eq!(
        told(&office.import(&mut exchange, std::slice::from_ref(&first)).await),
        ["1 accepted EXD"]
    );

    // New content and old, by submit, by another import and by the same one.
    for text in [interchange("EDI-2", "R77"), first.clone()] {
        let answer = exchange.act(&az, "interchange", submit(&text)).await.expect("answered");
        assert_eq!(
            (&answer["refused"][0]["code"], &answer["messages"]),
            (&json!("26"), &json!([]))
        );
    }
    let mut other = Office::new(az.clone(), "second");
    let again = [interchange("EDI-3", "R77"), first];
    assert_eq!(told(&other.import(&mut exchange, &again).await), [reused(1), reused(2)]);
    let same = office.import(&mut exchange, &[interchange("EDI-4", "R77")]).await;
    assert_eq!(told(&same), [reused(2)]);

    // What was submitted is known to an import.
    let submitted = interchange("EDI-5", "R78");
    exchange.act(&az, "interchange", submit(&submitted)).await.expect("taken");
    assert_eq!(told(&other.import(&mut exchange, &[submitted]).await), [reused(3)]);
    for number in ["EDI-2", "EDI-3", "EDI-4"] {
        let shown = exchange.act(&az, "show", json!({ "export": number })).await;
        assert_eq!(shown.expect_err(number).code, "customs.unknown-export");
    }
}

#[tokio::test]
async fn an_import_goes_on_with_the_messages_of_its_interchange() {
    let (_, az, _) = sides();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let mut hand_in = async |position: u64, texts: [(&str, &str); 2]| {
        let records =
            texts.map(|(number, place)| of_interchange(&interchange(number, "IC"), place));
        let input = json!({ "import": "folder", "position": position, "records": records });
        let done = exchange.act(&az, "import", input).await.expect("taken");
        told(done["lines"].as_array().expect("lines"))
    };
    let first = hand_in(0, [("EDI-1", "a.edi"), ("EDI-2", "a.edi")]).await;
    assert_eq!(first, ["1 accepted EXD", "2 accepted EXD"]);
    let second = hand_in(2, [("EDI-3", "a.edi"), ("EDI-4", "b.edi")]).await;
    assert_eq!(second, ["3 accepted EXD", "4 rejected EXD customs.interchange-reused"]);
}

#[tokio::test]
async fn what_is_not_carried_over_is_told_of_each_record() {
    let (_, az, _) = sides();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let lossy = interchange("EDI-1", "L1").replacen("UNS+D'", "RFF+XYZ:LOST-1'UNS+D'", 1);
    let (head, tail) = lossy.split_once("UNT+").expect("a count");
    let (count, rest) = tail.split_once('+').expect("a count");
    let count = count.parse::<u32>().expect("a number") + 1;
    let lossy = format!("{head}UNT+{count}+{rest}");
    let mut office = Office::new(az, "lossy");
    let lines = office.import(&mut exchange, &[lossy.clone(), interchange("EDI-2", "L2")]).await;
    assert_eq!(told(&lines), ["1 accepted EXD", "2 accepted EXD"]);
    let dry = json!(check(1, "a.edi", lossy.as_bytes(), context()));
    for line in [&lines[0], &dry] {
        assert!(line["notCarriedOver"].to_string().contains("LOST-1"), "{line:#}");
    }
    assert_eq!(dry["outcome"], "valid");
    assert_eq!(lines[1]["notCarriedOver"], Value::Null, "{:#}", lines[1]);
}

#[tokio::test]
async fn responses_are_imported_and_what_cannot_be_is_told_before() {
    let (_, az, _) = sides();
    let mut exchange = Exchange::new(sample("clean-grant").today);
    let response = |reference: &str, declaration: &str| {
        format!(
            "<Response xmlns=\"{}\"><FunctionCode>02</FunctionCode>\
             <FunctionalReferenceID>{reference}</FunctionalReferenceID><Declaration>\
             <FunctionalReferenceID>{declaration}</FunctionalReferenceID><ID>24AZ77</ID>\
             </Declaration></Response>",
            wco::NAMESPACE_RESPONSE
        )
    };
    let mut declaration = input(&sample("clean-grant"), 1, "declaration");
    declaration["FunctionalReferenceID"] = json!("R-1");
    let texts = [
        response("RES-1", "R-1"),
        declaration.to_string(),
        response("RES-2", "R-1"),
        response("RES-2", "R-1"),
        fs::read_to_string(format!("{}/testdata/messages/VAL.json", env!("CARGO_MANIFEST_DIR")))
            .expect("an example"),
    ];
    let mut office = Office::new(az.clone(), "responses");
    let lines = office.import(&mut exchange, &texts).await;
    let expected = [
        "1 parked RES customs.no-original",
        "2 accepted EXD",
        "3 accepted RES",
        "4 duplicate RES",
        "5 rejected  customs.unreadable",
    ];
    assert_eq!(told(&lines), expected);
    let again = json!({ "import": "responses", "position": 5, "takeUpAfter": 0 });
    let done = exchange.act(&az, "import", again).await.expect("looked");
    assert_eq!(told(done["lines"].as_array().expect("lines")), ["1 accepted again RES"]);
    let shown = exchange.act(&az, "show", json!({ "export": "24AZ77" })).await.expect("shown");
    assert_eq!(shown["responses"].as_array().map(Vec::len), Some(2), "{shown:#}");

    let outcomes = ["valid RES", "valid EXD", "valid RES", "valid RES", "rejected"];
    for (text, outcome) in texts.iter().zip(outcomes) {
        let dry = told(&[json!(check(1, "a", text.as_bytes(), context()))]);
        assert!(dry.iter().all(|line| line.contains(outcome)), "{dry:?} is not {outcome}");
    }
}

/// What was granted on a paper certificate is told again as any other decision is, before and after
/// the certificate comes.
#[tokio::test]
async fn a_grant_on_paper_is_a_duplicate_when_it_comes_again() {
    let clean = sample("clean-grant");
    let (.., pk) = sides();
    let mut exchange = Exchange::new(clean.today);
    let outage = json!({ "from": "2026-08-01T00:00:00Z", "text": "the line is cut (fictitious)" });
    exchange.act(&pk, "outage", outage).await.expect("declared");
    exchange.play(&clean, &clean.steps[2]).await.expect("filed");
    let claim = "KAPE-HC-00001-02-10-2026";
    let grant = json!({ "claim": claim, "decision": "grant", "reason": "cleared-up",
        "text": "the paper certificate was seen", "propose": true });
    exchange.act(&pk, "decide", grant).await.expect("proposed");
    let confirm = json!({ "claim": claim, "answer": "confirm" });
    let second = (&pk, SECOND_OFFICER);
    exchange.act_as(second, "confirm", confirm).await.expect("confirmed");
    let decision = |quantity: &str| {
        let quantity = json!({ "value": quantity, "unit": "KGM" });
        json!({ "claim": claim, "decision": "grant", "quantity": quantity }).to_string()
    };
    let mut office = Office::new(pk.clone(), "paper");
    for number in [1, 3] {
        let lines = office.import(&mut exchange, &[decision("20000"), decision("19999")]).await;
        let found = told(&lines);
        assert_eq!(found[0], format!("{number} duplicate decision"), "{lines:#?}");
        assert!(found[1].starts_with(&format!("{} rejected decision", number + 1)), "{lines:#?}");
        exchange.play(&clean, &clean.steps[0]).await.expect("the certificate comes");
    }
}
