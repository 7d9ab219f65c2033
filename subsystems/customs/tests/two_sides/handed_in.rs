//! What national systems hand in: amendments and cancellations in XML, responses, interchanges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_customs::edifact::{self, Charset, Content, Directory, Envelope};
use karvan_customs::messages::{DocumentType, Message, SharingLevel};
use karvan_customs::wco;
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, MemberId, Timestamp};
use serde_json::{Value, json};

use crate::exchange::{Exchange, customs_of};

pub(crate) const NOW: &str = "2026-10-02T06:00:00Z";

pub(crate) fn setting() -> (Exchange, MemberId, MemberId) {
    let now: Timestamp = NOW.parse().expect("an instant");
    let member = |nation: &str| customs_of(nation.parse().expect("a nation"));
    (Exchange::new(now), member("AZ"), member("PK"))
}

/// The canonical example of a document type.
pub(crate) fn example(code: &str) -> Value {
    let path = format!("{}/testdata/messages/{code}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&fs::read(path).expect("an example")).expect("JSON")
}

/// A `COR` or `INV` about a declaration.
fn request(kind: &str, number: &str, reference: &str, change: &str) -> String {
    format!(
        r#"<Declaration xmlns="{}"><FunctionCode>13</FunctionCode>
<FunctionalReferenceID>{reference}</FunctionalReferenceID><ID>{number}</ID>
<TypeCode>{kind}</TypeCode>
<AdditionalInformation><StatementDescription>wrong office</StatementDescription>
</AdditionalInformation>{change}</Declaration>"#,
        wco::NAMESPACE_DECLARATION
    )
}

/// A change of the customs office.
fn office(id: &str) -> String {
    format!(
        "<Amendment><ChangeReasonCode>28</ChangeReasonCode><Pointer>\
         <DocumentSectionCode>42A</DocumentSectionCode><TagID>065</TagID></Pointer></Amendment>\
         <DeclarationOfficeID>{id}</DeclarationOfficeID>"
    )
}

const WITHDRAWN: &str = "<Amendment><ChangeReasonCode>1</ChangeReasonCode></Amendment>";

#[track_caller]
fn check(result: Result<Value, Rejection>, kind: ErrorKind, code: &str) {
    let refusal = result.expect_err(code);
    assert_eq!((refusal.kind, refusal.code.as_str()), (kind, code), "{}", refusal.text);
}

#[tokio::test]
async fn an_amendment_in_xml_makes_one_new_version_on_both_sides() {
    let (mut exchange, az, pk) = setting();
    let declaration = example("EXD");
    let number = declaration["ID"].as_str().expect("a number").to_owned();
    exchange.act(&az, "submit", json!({ "declaration": declaration })).await.expect("sent");
    let xml = request("COR", &number, "COR-1", &office("12345"));
    for duplicate in [false, true] {
        let sent = exchange.act(&az, "submit", json!({ "xml": xml })).await.expect("amended");
        assert_eq!((&sent["version"], &sent["duplicate"]), (&json!(2), &json!(duplicate)));
        assert_eq!(sent["amended"]["reason"], "wrong office");
    }
    let show = json!({ "export": number });
    let kept = exchange.act(&pk, "show", show.clone()).await.expect("kept by the partner");
    let office_of = |version: usize| &kept["versions"][version]["content"]["DeclarationOfficeID"];
    assert_eq!(kept["versions"].as_array().map(Vec::len), Some(2));
    assert_eq!(office_of(0), &declaration["DeclarationOfficeID"]);
    assert_eq!(office_of(1), "12345");
    // The trader's reference of the original, as some repeat it: still a new version each.
    let reference = declaration["FunctionalReferenceID"].as_str().expect("a reference");
    for (id, version, duplicate) in [("2", 3, false), ("3", 4, false), ("3", 4, true)] {
        let xml = request("COR", &number, reference, &office(id));
        let sent = exchange.act(&az, "submit", json!({ "xml": xml })).await.expect("amended");
        let found = (&sent["version"], &sent["duplicate"]);
        assert_eq!(found, (&json!(version), &json!(duplicate)), "{id}");
    }
    let other = request("COR", &number, "COR-1", &office("7"));
    let result = exchange.act(&az, "submit", json!({ "xml": other })).await;
    check(result, ErrorKind::Conflict, "customs.reference-reused");
    let nowhere = request("COR", &number, "COR-2", &office("7").replace("065", "999"));
    let result = exchange.act(&az, "submit", json!({ "xml": nowhere })).await;
    check(result, ErrorKind::Invalid, "customs.amendment");
    let unknown = request("COR", "NOT-HERE", "COR-3", &office("7"));
    let result = exchange.act(&az, "submit", json!({ "xml": unknown })).await;
    check(result, ErrorKind::NotFound, "customs.no-original");
    let kept = exchange.act(&pk, "show", show).await.expect("kept by the partner");
    assert_eq!(kept["versions"].as_array().map(Vec::len), Some(4));
}

#[tokio::test]
async fn a_claim_is_amended_and_withdrawn_in_xml_until_it_is_decided() {
    let (mut exchange, _, pk) = setting();
    let claim = example("IMP");
    let number = claim["ID"].as_str().expect("a number").to_owned();
    let filed = exchange.act(&pk, "submit", json!({ "declaration": claim })).await.expect("filed");
    assert!(!filed["items"].as_array().expect("items").is_empty());
    let xml = request("COR", &number, "COR-1", &office("12345"));
    let amended = exchange.act(&pk, "claim", json!({ "xml": xml })).await.expect("amended");
    assert_eq!((&amended["version"], &amended["claim"]), (&json!(2), &filed["claim"]));
    let xml = request("INV", &number, "INV-1", WITHDRAWN);
    for duplicate in [false, true] {
        let gone = exchange.act(&pk, "submit", json!({ "xml": xml })).await.expect("withdrawn");
        assert_eq!(gone["withdrawn"]["reason"], "wrong office");
        assert_eq!((&gone["items"], &gone["proposal"]), (&json!([]), &Value::Null));
        assert_eq!(gone["duplicate"], duplicate);
    }
    for xml in [
        request("INV", &number, "INV-2", WITHDRAWN),
        request("COR", &number, "COR-2", &office("1")),
    ] {
        let result = exchange.act(&pk, "submit", json!({ "xml": xml })).await;
        check(result, ErrorKind::Conflict, "customs.claim-withdrawn");
    }

    let mut second = claim.clone();
    for (name, value) in [("ID", "SECOND"), ("FunctionalReferenceID", "R-2")] {
        second[name] = json!(value);
    }
    exchange.act(&pk, "submit", json!({ "declaration": second })).await.expect("filed");
    let item = &filed["items"][0]["item"];
    let query = json!({ "claim": "SECOND", "item": item, "decision": "query",
        "reason": "cert-unknown", "text": "we ask the issuer" });
    exchange.act(&pk, "decide", query).await.expect("queried");
    let xml = request("INV", "SECOND", "INV-3", WITHDRAWN);
    let result = exchange.act(&pk, "submit", json!({ "xml": xml })).await;
    check(result, ErrorKind::Conflict, "customs.claim-decided");
}

/// The numbers that customs gave the published declarations, which the later messages name.
const NUMBERS: [(&str, &str, &str); 3] = [
    ("export-with-writeoff.xml", "7867523Y8OFA", "24GB0YVJ3EXXES8AA0"),
    ("export-standard.xml", "U.7847323YIPYA", "24GBDIRIGZ7QLCPAA8"),
    ("import-multi-item-add-item-step1.xml", "ADDITEM23062023KS2", "23GB6W3GLSX9Z5JAR4"),
];

/// A response that gives a declaration its number.
fn numbered(function: &str, reference: &str, number: &str) -> String {
    format!(
        r#"<Response xmlns="{}"><FunctionCode>{function}</FunctionCode>
<FunctionalReferenceID>{function}-{number}</FunctionalReferenceID><Declaration>
<FunctionalReferenceID>{reference}</FunctionalReferenceID><ID>{number}</ID></Declaration>
</Response>"#,
        wco::NAMESPACE_RESPONSE
    )
}

/// Returns the published files with their names, originals before what is about them.
fn published(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .expect("the samples")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("a sample"))
        })
        .collect();
    let is_about =
        |xml: &str| xml.contains("<FunctionCode>13<") || wco::is_response(xml.as_bytes());
    files.sort_by_key(|(name, xml)| (is_about(xml), name.clone()));
    files
}

/// Every published file is understood and has its effect; one that is not fails here.
#[tokio::test]
async fn every_published_sample_takes_effect() {
    let Some(data) = env::var_os("KARVAN_TEST_DATA") else {
        println!("SKIPPED every_published_sample_takes_effect: KARVAN_TEST_DATA is not set");
        return;
    };
    let files = published(&PathBuf::from(data).join("customs/wco-dec-samples"));
    assert_eq!(files.len(), 15);
    let (mut exchange, az, pk) = setting();
    let basis = files.iter().find(|(name, _)| name == "import-no-preference.xml").cloned();
    let (_, basis) = basis.expect("a declaration to answer");
    let (mut effects, mut answered) = (Vec::new(), BTreeSet::new());
    for (name, xml) in &files {
        let who = if name.starts_with("export") { &az } else { &pk };
        if wco::is_response(xml.as_bytes()) {
            let read = wco::import_response(xml.as_bytes()).expect(name).response;
            let reference = read.declaration.functional_reference_id.expect("a reference");
            let declaration = basis.replacen("7847767E1WB6", &reference, 1);
            if answered.insert(reference) {
                let filed = exchange.act(who, "submit", json!({ "xml": declaration })).await;
                filed.expect("a declaration to answer");
            }
        }
        let done = exchange.act(who, "submit", json!({ "xml": xml })).await;
        let done = done.unwrap_or_else(|refusal| panic!("{name}: {}", refusal.text));
        let effect = match done["document"].as_str() {
            Some("RES") => format!("{} about {}", done["meaning"], done["about"]),
            Some("CXL") => format!("cancels {}", done["subject"]),
            Some(code) => format!("{code} version {}", done["version"]),
            None => panic!("{name}: {done}"),
        };
        effects.push(format!("{name}: {}", effect.replace('"', "")));
        for (_, reference, number) in NUMBERS.iter().filter(|(file, ..)| file == name) {
            let xml = numbered("01", reference, number);
            let told = exchange.act(who, "submit", json!({ "xml": xml })).await.expect("learnt");
            assert!(told["about"].as_str().is_some_and(|about| about.contains(reference)));
        }
    }
    assert_eq!(
        effects,
        [
            "export-standard.xml: EXD version 1",
            "export-with-writeoff.xml: EXD version 1",
            "import-multi-item-add-item-step1.xml: IMP version 1",
            "import-no-preference.xml: IMP version 1",
            "import-preference-doc-available.xml: IMP version 1",
            "export-amendment-writeoff.xml: EXD version 2",
            "export-cancellation-request.xml: cancels export AZ:U.7847323YIPYA",
            "import-add-item-step2-amendment.xml: IMP version 2",
            "response-01_DMSACC.xml: accepted about claim 3.1_P1_TT_1311RM41",
            "response-02_DMSRCV.xml: received and registered about claim 3.1_P1_TT_1311RM41",
            "response-06_DMSDOC.xml: documents wanted about claim CDCMRESLCTTT2211KM05",
            "response-07_DMSRES.xml: corrected by customs about claim 3.1_P1_TT_1311RM41",
            "response-09_DMSCLE.xml: cleared about claim 3.1_P1_TT_1311RM41",
            "response-10_DMSINV.xml: cancelled about claim TC18_SM_1701_004",
            "response-13_DMSTAX.xml: tax statement about claim IM08A_PHYCTL_002",
        ]
    );
    let show = |number: &str| json!({ "export": number });
    let amended = exchange.act(&pk, "show", show("7867523Y8OFA")).await.expect("there");
    let items = &amended["versions"][1]["content"]["GoodsShipment"]["GovernmentAgencyGoodsItem"];
    let document = &items[0]["AdditionalDocument"][0];
    assert_eq!(document["LPCOExemptionCode"], "EP");
    assert_eq!(document["WriteOff"]["QuantityQuantity"]["value"], "10.00");
    let cancelled = exchange.act(&pk, "show", show("U.7847323YIPYA")).await.expect("there");
    assert_eq!(cancelled["export"]["state"], "cancelled");
    // At this side the assigned numbers lead there too.
    let by_number = exchange.act(&az, "show", show("24GBDIRIGZ7QLCPAA8")).await.expect("there");
    assert_eq!(by_number["export"]["state"], "cancelled");
    let answered = json!({ "claim": "23GBCXDLLRXMOCTAA4" });
    let answered = exchange.act(&pk, "show", answered).await.expect("there");
    assert_eq!(answered["responses"][0]["meaning"], "documents wanted");
    assert_eq!(answered["tasks"][0]["kind"], "national-response");
}

#[tokio::test]
async fn a_number_that_customs_assigns_leads_to_its_declaration() {
    let (mut exchange, az, pk) = setting();
    let mut declaration = example("EXD");
    declaration["ID"] = json!("R-1");
    declaration["FunctionalReferenceID"] = json!("R-1");
    exchange.act(&az, "submit", json!({ "declaration": declaration })).await.expect("sent");
    let mut other = declaration.clone();
    other["ID"] = json!("R-2");
    other["FunctionalReferenceID"] = json!("R-2");
    exchange.act(&az, "submit", json!({ "declaration": other })).await.expect("sent");
    let about = |number: &str| request("COR", number, &format!("COR-{number}"), &office("12345"));
    let unknown = exchange.act(&az, "submit", json!({ "xml": about("MRN-1") })).await;
    check(unknown, ErrorKind::NotFound, "customs.no-original");
    // A refusal gives no number.
    for (function, reference, number) in [
        ("03", "R-1", "MRN-0"),
        ("02", "R-1", "MRN-1"),
        ("01", "R-1", "MRN-1"),
        ("01", "R-2", "MRN-2"),
        ("09", "R-1", "R-1"),
    ] {
        let xml = numbered(function, reference, number);
        let told = exchange.act(&az, "submit", json!({ "xml": xml })).await.expect(number);
        assert_eq!(told["about"], format!("export AZ:{reference}"), "{number}");
    }
    for (number, version) in [("MRN-0", None), ("MRN-1", Some(2)), ("mrn-2", Some(2))] {
        let sent = exchange.act(&az, "submit", json!({ "xml": about(number) })).await;
        match version {
            Some(version) => assert_eq!(sent.expect(number)["version"], version, "{number}"),
            None => check(sent, ErrorKind::NotFound, "customs.no-original"),
        }
    }
    let report = json!({
        "FunctionCode": "9", "FunctionalReferenceID": "AZ-TRN-1", "TypeCode": "44",
        "ID": "AZ-TRN-1", "VersionID": 1, "IssueDateTime": NOW,
        "agreementID": declaration["agreementID"], "sharingLevel": "L1",
        "event": "departed", "eventDateTime": NOW,
        "exports": [{ "documentType": "EXD", "ID": "MRN-1" }],
        "BorderTransportMeans": { "ModeCode": "3", "ID": "90-XX-001" },
        "route": [{ "SequenceNumeric": 1, "Location": { "ID": "AZBAK" },
            "DepartureDateTime": NOW }, { "SequenceNumeric": 2, "Location": { "ID": "PKKHI" } }],
    });
    exchange.act(&az, "submit", json!({ "transport": report })).await.expect("reported");
    let mut second = declaration.clone();
    for (name, value) in [
        ("ID", json!("MRN-1")),
        ("FunctionalReferenceID", json!("R-1-third")),
        ("FunctionCode", json!("5")),
        ("VersionID", json!(3)),
    ] {
        second[name] = value;
    }
    let sent = exchange.act(&az, "submit", json!({ "declaration": second })).await.expect("sent");
    assert_eq!((&sent["id"], &sent["version"]), (&json!("R-1"), &json!(3)));
    let gone = request("INV", "MRN-2", "INV-1", WITHDRAWN);
    let gone = exchange.act(&az, "submit", json!({ "xml": gone })).await.expect("cancelled");
    assert_eq!((&gone["id"], &gone["subject"]), (&json!("R-2"), &json!("export AZ:R-2")));
    // The partner knows each by the name under which it came.
    for (number, state, versions) in [("R-1", "departed", 3), ("R-2", "cancelled", 2)] {
        let there = exchange.act(&pk, "show", json!({ "export": number })).await.expect(number);
        assert_eq!(there["export"]["state"], state, "{number}");
        assert_eq!(there["versions"].as_array().map(Vec::len), Some(versions), "{number}");
    }
    let parked = exchange.act(&pk, "list", json!({ "what": "parked" })).await.expect("listed");
    assert_eq!(parked["count"], 0);
}

#[tokio::test]
async fn a_number_is_assigned_once() {
    let (mut exchange, _, pk) = setting();
    for reference in ["R-1", "R-2"] {
        let mut claim = example("IMP");
        claim["ID"] = json!(reference);
        claim["FunctionalReferenceID"] = json!(reference);
        exchange.act(&pk, "submit", json!({ "declaration": claim })).await.expect("filed");
    }
    let first = numbered("02", "R-1", "MRN-1");
    exchange.act(&pk, "submit", json!({ "xml": first })).await.expect("learnt");
    let second = numbered("01", "R-2", "MRN-1");
    let twice = exchange.act(&pk, "submit", json!({ "xml": second })).await;
    check(twice, ErrorKind::Conflict, "customs.number-assigned");
    let shown = exchange.act(&pk, "show", json!({ "claim": "mrn-1" })).await.expect("shown");
    assert_eq!(shown["responses"].as_array().map(Vec::len), Some(1));
    let xml = request("INV", "MRN-1", "INV-1", WITHDRAWN);
    let gone = exchange.act(&pk, "claim", json!({ "xml": xml })).await.expect("withdrawn");
    assert_eq!(gone["withdrawn"]["reference"], "INV-1");
}

fn interchange(message: &Message, reference: &str) -> Vec<u8> {
    let envelope = Envelope {
        charset: Charset::Y,
        sender: "BROKER",
        recipient: "CUSTOMS",
        reference,
        prepared_at: NOW.parse().expect("an instant"),
    };
    let content = Content::Message(message.clone());
    edifact::write(&content, Directory::D96B, &envelope).expect("written").bytes
}

#[tokio::test]
async fn an_interchange_is_taken_once() {
    let (mut exchange, az, pk) = setting();
    let text = example("EXD").to_string();
    let message = Message::parse("EXD", text.as_bytes()).expect("an export declaration");
    let handed = |bytes: &[u8]| json!({ "interchange": STANDARD.encode(bytes) });
    let control = |output: &Value| {
        let control = output["control"].as_str().expect("an answer");
        String::from_utf8(STANDARD.decode(control).expect("base64")).expect("UTF-8")
    };
    let bytes = interchange(&message, "IC1");
    let test = String::from_utf8(bytes.clone()).expect("UTF-8");
    let test = test.replacen("+IC1'", "+IC1++++++1'", 1);
    let tested = exchange.act(&az, "interchange", handed(test.as_bytes())).await.expect("read");
    let found = (&tested["test"], &tested["messages"], &tested["refused"]);
    assert_eq!(found, (&json!(true), &json!([]), &json!([])));

    let taken = exchange.act(&az, "interchange", handed(&bytes)).await.expect("taken");
    assert_eq!(taken["messages"][0]["document"], "EXD");
    assert!(control(&taken).contains("UCI+IC1+BROKER+CUSTOMS+7'"), "{}", control(&taken));
    let number = message.header().id.clone();
    exchange.act(&pk, "show", json!({ "export": number })).await.expect("sent to the partner");

    for bytes in [bytes, interchange(&message, "IC1").to_ascii_uppercase()] {
        let again = exchange.act(&az, "interchange", handed(&bytes)).await.expect("answered");
        assert_eq!((&again["messages"], &again["duplicate"]), (&json!([]), &json!(true)));
        assert_eq!(again["refused"][0]["code"], "26");
        assert!(control(&again).contains("UCI+IC1+BROKER+CUSTOMS+4+26+UNB+5"), "{again}");
    }

    let mut wrong = example("EXD");
    wrong["ID"] = json!("OTHER");
    wrong["FunctionalReferenceID"] = json!("R-OTHER");
    let wrong = Message::parse("EXD", wrong.to_string().as_bytes()).expect("reads");
    let right = String::from_utf8(interchange(&wrong, "IC2")).expect("UTF-8");
    let bytes = right.replacen("CNT+5:2", "CNT+5:99", 1).into_bytes();
    assert_ne!(right.as_bytes(), bytes, "{right}");
    let refused = exchange.act(&az, "interchange", handed(&bytes)).await.expect("answered");
    let found = (&refused["messages"], &refused["refused"][0]["code"]);
    assert_eq!(found, (&json!([]), &json!("12")), "{refused}");
    // A reader without a node answers the same, with segment, element and component.
    let context = wco::Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: NOW.parse().expect("an instant"),
        subject: DocumentType::Export,
    };
    let read = edifact::receive(bytes.as_slice(), context).expect("a header").control;
    let envelope = Envelope {
        charset: Charset::Y,
        sender: "CUSTOMS",
        recipient: "BROKER",
        reference: "C1",
        prepared_at: NOW.parse().expect("an instant"),
    };
    let without = String::from_utf8(read.write(&envelope).expect("written")).expect("UTF-8");
    let verdict = |control: &str| -> Vec<String> {
        let all = control.split_inclusive('\'').map(str::trim);
        all.filter(|line| line.starts_with("UC")).map(str::to_owned).collect()
    };
    let with = verdict(&control(&refused));
    assert_eq!(with, verdict(&without));
    assert_eq!(with[1], "UCM+1+CUSDEC:D:96B:UN+4'");
    assert!(with[2].starts_with("UCS+") && with[3] == "UCD+12+1:2'", "{with:?}");
    // Nothing of it was taken, so it may come mended under its reference; but what is here may not.
    let bytes = interchange(&message, "IC2");
    let same = exchange.act(&az, "interchange", handed(&bytes)).await.expect("known by content");
    assert_eq!(same["messages"][0]["duplicate"], true);
    for bad in ["no base64!", "Zm9v"] {
        let result = exchange.act(&az, "interchange", json!({ "interchange": bad })).await;
        assert_eq!(result.expect_err(bad).kind, ErrorKind::Invalid);
    }
}
