//! Examples of what national systems hand in, of a claim that is changed, and of what is awaited.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_customs::edifact::{self, Charset, Content, Directory, Envelope};
use karvan_customs::messages::Message;
use karvan_customs::wco;
use karvan_subsystem::Rejection;
use karvan_types::MemberId;
use serde_json::{Value, json};

use super::{FOLDER, read};
use crate::exchange::{Exchange, customs_of};

type Recorded = BTreeMap<&'static str, Value>;

const NOW: &str = "2026-10-05T05:00:00Z";

/// Two sides without any consignment, and their customs services.
fn setting() -> (Exchange, MemberId, MemberId) {
    let member = |nation: &str| customs_of(nation.parse().expect("a nation"));
    (Exchange::new(NOW.parse().expect("an instant")), member("AZ"), member("PK"))
}

fn message(code: &str) -> Value {
    read(&std::path::PathBuf::from(FOLDER).join(format!("testdata/messages/{code}.json")))
}

/// Head of a message about a claim.
fn about(claim: &Value, code: &str, own: &Value) -> Value {
    let mut made = json!({
        "FunctionalReferenceID": format!("PK-{code}-IMP-1"), "ID": claim["ID"],
        "IssueDateTime": "2026-10-05T09:30:00+05:00", "agreementID": claim["agreementID"],
        "sharingLevel": claim["sharingLevel"],
        "document": { "documentType": "IMP", "ID": claim["ID"] },
        "StatementDescription": "filed at the wrong office by mistake",
    });
    for (name, value) in own.as_object().expect("members") {
        made[name] = value.clone();
    }
    made
}

fn amendment(claim: &Value) -> Value {
    let pointer = json!([{ "DocumentSectionCode": "42A", "TagID": "065" }]);
    let own = json!({
        "FunctionCode": "4", "TypeCode": "COR", "VersionID": 2,
        "Amendment": [{ "ChangeReasonCode": "28", "Pointer": pointer }],
        "values": [{ "path": "DeclarationOfficeID", "value": "PQZE" }],
    });
    about(claim, "AMD", &own)
}

fn cancellation(claim: &Value) -> Value {
    let own = json!({
        "FunctionCode": "1", "TypeCode": claim["TypeCode"], "VersionID": 1, "ChangeReasonCode": "1",
    });
    about(claim, "CXL", &own)
}

/// Takes down all of it.
pub(super) async fn record(recorded: &mut Recorded) {
    changed_claim(recorded).await;
    handed_in(recorded).await;
    waits(recorded).await;
}

async fn changed_claim(recorded: &mut Recorded) {
    let (mut exchange, _, pk) = setting();
    let claim = message("IMP");
    let mut act = async |operation: &str, input: Value| {
        let done = exchange.act(&pk, operation, input).await;
        done.unwrap_or_else(|refusal| {
            panic!("{operation}: {} {:?}", refusal.text, refusal.pointers)
        })
    };
    act("claim", json!({ "claim": claim })).await;
    let report = json!({ "event": "arrived", "day": "2026-10-04" });
    let input = json!({ "claim": claim["ID"], "event": report["event"], "day": report["day"] });
    recorded.insert("day-reported", act("event", input).await);
    recorded.insert("day-report", report);
    let amended = act("claim", json!({ "amendment": amendment(&claim) })).await;
    assert_eq!((&amended["version"], &amended["amended"]["changes"]), (&json!(2), &json!(1)));
    recorded.insert("claim-amended", amended);
    recorded.insert("claim-AMD", amendment(&claim));
    let withdrawn = act("claim", json!({ "cancellation": cancellation(&claim) })).await;
    assert_eq!(withdrawn["items"], json!([]));
    recorded.insert("claim-withdrawn", withdrawn);
    recorded.insert("claim-CXL", cancellation(&claim));
}

async fn handed_in(recorded: &mut Recorded) {
    let (mut exchange, az, _) = setting();
    let declaration = message("EXD");
    let parse = |value: &Value| Message::parse("EXD", value.to_string().as_bytes()).expect("reads");
    let xml = wco::write(&parse(&declaration)).expect("written").xml;
    let done = exchange.act(&az, "submit", json!({ "xml": xml })).await.expect("submitted");
    recorded.insert("xml-handed-in", done);
    recorded.insert("xml", json!(xml));
    let mut second = declaration;
    for (name, value) in [("ID", "AZ-EX-2026-00099"), ("FunctionalReferenceID", "AZ-EXD-00099")] {
        second[name] = json!(value);
    }
    let envelope = Envelope {
        charset: Charset::Y,
        sender: "BROKER",
        recipient: "CUSTOMS",
        reference: "IC2026001",
        prepared_at: NOW.parse().expect("an instant"),
    };
    let content = Content::Message(parse(&second));
    let bytes = edifact::write(&content, Directory::D96B, &envelope).expect("written").bytes;
    let input = json!({ "interchange": STANDARD.encode(&bytes) });
    let done = exchange.act(&az, "interchange", input).await.expect("taken");
    assert_eq!(done["messages"].as_array().map(Vec::len), Some(1), "{done}");
    recorded.insert("interchange-taken", done);
    recorded.insert("interchange", json!(String::from_utf8(bytes).expect("UTF-8")));
}

async fn waits(recorded: &mut Recorded) {
    let (mut exchange, az, pk) = setting();
    exchange.act(&az, "submit", json!({ "declaration": message("EXD") })).await.expect("sent");
    let text = "the line to Baku is cut (fictitious)";
    let request = json!({ "from": "2026-10-04T18:00:00Z", "text": text });
    let declared = exchange.act(&pk, "outage", request.clone()).await.expect("declared");
    let over = json!({ "over": declared["number"], "text": "the line is mended" });
    recorded.insert("outage-request", request);
    recorded.insert("outage", declared);
    recorded.insert("waits", exchange.act(&pk, "timers", json!({})).await.expect("shown"));
    recorded.insert("outage-over", exchange.act(&pk, "outage", over).await.expect("over"));
}

type Spoil = fn(&mut Value);

/// The claim is another one.
fn of_nobody(message: &mut Value) {
    message["document"]["ID"] = json!("NOT-HERE");
    message["ID"] = json!("NOT-HERE");
}

/// What is spoilt in which message; the code of the refusal, and the field that it names.
const SPOILT: [(&str, Spoil, &str, &str); 9] = [
    ("amendment", of_nobody, "customs.no-original", ""),
    ("amendment", |m| m["document"]["documentType"] = json!("EXD"), "customs.bad-input", ""),
    ("amendment", |m| m["VersionID"] = json!(3), "customs.invalid-document", "/VersionID"),
    (
        "amendment",
        |m| m["Amendment"][0]["Pointer"][0]["TagID"] = json!("999"),
        "customs.amendment",
        "",
    ),
    (
        "amendment",
        |m| m["StatementDescription"] = json!(""),
        "customs.invalid-document",
        "/StatementDescription",
    ),
    ("amendment", |m| m["VersionID"] = json!("2"), "customs.unreadable", "/VersionID"),
    ("cancellation", of_nobody, "customs.no-original", ""),
    ("cancellation", |m| m["document"]["documentType"] = json!("EXD"), "customs.bad-input", ""),
    (
        "cancellation",
        |m| m["StatementDescription"] = json!(" "),
        "customs.invalid-document",
        "/StatementDescription",
    ),
];

#[tokio::test]
async fn what_does_not_fit_a_claim_leaves_it_as_it_is() {
    let (mut exchange, az, pk) = setting();
    let claim = message("IMP");
    exchange.act(&pk, "claim", json!({ "claim": claim })).await.expect("filed");
    for (member, spoil, code, pointer) in SPOILT {
        let mut body = if member == "amendment" { amendment(&claim) } else { cancellation(&claim) };
        spoil(&mut body);
        let result = exchange.act(&pk, "claim", json!({ member: body })).await;
        let refusal = result.expect_err(code);
        assert_eq!(refusal.code, code, "{member}: {refusal:?}");
        let named = refusal.pointers.first().map_or("", |found| found.pointer.as_str());
        assert_eq!(named, pointer, "{member}: {refusal:?}");
    }
    let two = json!({ "claim": claim, "amendment": amendment(&claim) });
    refused(exchange.act(&pk, "claim", two).await, "customs.bad-input");
    let others = json!({ "amendment": amendment(&claim) });
    refused(exchange.act(&az, "claim", others).await, "customs.no-original");
    let shown = exchange.act(&pk, "show", json!({ "claim": claim["ID"] })).await.expect("shown");
    assert_eq!((&shown["version"], &shown["withdrawn"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_claim_is_amended_and_withdrawn_once() {
    let (mut exchange, _, pk) = setting();
    let claim = message("IMP");
    exchange.act(&pk, "claim", json!({ "claim": claim })).await.expect("filed");
    for (member, body) in [("amendment", amendment(&claim)), ("cancellation", cancellation(&claim))]
    {
        for duplicate in [false, true] {
            let done = exchange.act(&pk, "claim", json!({ member: body })).await.expect("changed");
            let found = (&done["version"], &done["duplicate"]);
            assert_eq!(found, (&json!(2), &json!(duplicate)), "{member}");
        }
    }
    let mut later = amendment(&claim);
    for (name, value) in [("FunctionalReferenceID", json!("LATER")), ("VersionID", json!(3))] {
        later[name] = value;
    }
    let result = exchange.act(&pk, "claim", json!({ "amendment": later })).await;
    refused(result, "customs.claim-withdrawn");
}

/// The class of the importer is taken with whatever makes a version of a claim, is kept by one that
/// names none, and is refused where it would be passed over.
#[tokio::test]
async fn the_class_of_the_importer_goes_with_a_version() {
    let (mut exchange, _, pk) = setting();
    let claim = message("IMP");
    let (mut whole, mut later) = (claim.clone(), amendment(&claim));
    whole["FunctionCode"] = json!("5");
    for (name, value) in [("FunctionalReferenceID", json!("WHOLE")), ("VersionID", json!(3))] {
        whole[name] = value;
    }
    for (name, value) in [("FunctionalReferenceID", json!("LATER")), ("VersionID", json!(4))] {
        later[name] = value;
    }
    for (input, expected) in [
        (json!({ "claim": claim }), Ok(("commercial", 1))),
        (json!({ "claim": claim, "importerClass": "industrial" }), Err("a new version or an")),
        (json!({ "claim": claim, "importerClass": "commercial" }), Ok(("commercial", 1))),
        (
            json!({ "amendment": amendment(&claim), "importerClass": "industrial" }),
            Ok(("industrial", 2)),
        ),
        (json!({ "claim": whole }), Ok(("industrial", 3))),
        (json!({ "amendment": later }), Ok(("industrial", 4))),
        (
            json!({ "cancellation": cancellation(&claim), "importerClass": "commercial" }),
            Err("not to a cancellation; leave it out"),
        ),
    ] {
        let result = exchange.act(&pk, "claim", input.clone()).await;
        match (result, expected) {
            (Ok(shown), Ok((class, version))) => {
                assert_eq!(
                    (&shown["importerClass"], &shown["version"]),
                    (&json!(class), &json!(version)),
                    "{input}"
                );
            }
            (Err(refusal), Err(words)) => {
                assert_eq!(refusal.code, "customs.importer-class", "{refusal:?}");
                assert!(refusal.text.contains(words), "{refusal:?}");
                let pointer = refusal.pointers.first().expect("a field");
                assert_eq!(pointer.pointer, "/importerClass");
            }
            (result, _) => panic!("{input}: {result:?}"),
        }
    }
    let withdrawn = json!({ "cancellation": cancellation(&claim) });
    exchange.act(&pk, "claim", withdrawn).await.expect("without a class it is withdrawn");
}

#[track_caller]
fn refused(result: Result<Value, Rejection>, code: &str) {
    assert_eq!(result.expect_err(code).code, code);
}
