use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::edifact::Charset;
use crate::messages::SharingLevel;

mod round_trips;

fn context() -> Context<'static> {
    Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: "2026-10-02T06:00:00Z".parse().expect("an instant"),
        subject: DocumentType::Export,
    }
}

fn envelope() -> Envelope<'static> {
    let (sender, recipient, reference) = ("AZ", "PK", "1");
    let (charset, prepared_at) = (Charset::Y, context().received_at);
    Envelope { charset, sender, recipient, reference, prepared_at }
}

fn example(code: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/messages/{code}.json"));
    fs::read(path).expect("an example")
}

#[track_caller]
fn one(bytes: &[u8]) -> Document {
    let format = detect(bytes).expect("a format");
    let mut contents = read(bytes, format, context()).expect("read");
    assert!(contents.control.is_none_or(|control| control.is_clean()));
    let read = contents.documents.pop().expect("a document");
    read.document
}

#[test]
fn every_message_goes_through_every_format_that_has_it() {
    let edifact = || Target::Edifact(Directory::D96B, envelope());
    for (code, targets) in [
        ("EXD", vec![Target::Json, Target::Wco, edifact()]),
        ("IMP", vec![Target::Json, Target::Wco, edifact()]),
        ("COO", vec![Target::Json, Target::Coo]),
        ("AMD", vec![Target::Json, Target::Wco]),
        ("CXL", vec![Target::Json, Target::Wco, edifact()]),
        ("VAL", vec![Target::Json, Target::Wco, edifact()]),
        ("UTL", vec![Target::Json, Target::Wco, edifact()]),
    ] {
        let document = one(&example(code));
        assert_eq!(document.name(), code);
        for target in targets {
            let (bytes, lost) = write(&document, &target).expect("written");
            let back = one(&bytes);
            assert_eq!(back.name(), code, "{target:?}");
            let ours = |loss: &Loss| ["agreementID", "sharingLevel"].contains(&loss.field.as_str());
            if lost.iter().all(ours) {
                assert_eq!(back, document, "{target:?}");
            }
        }
    }
}

#[test]
fn a_cargo_report_says_what_it_leaves_out() {
    let document = one(&example("EXD"));
    let target = Target::Cargo(Directory::D09A, envelope());
    let (bytes, lost) = write(&document, &target).expect("written");
    let Document::Cargo(report) = one(&bytes) else { panic!("a cargo report") };
    assert_eq!(report.transport_document.map(|doc| doc.id).as_deref(), Some("BAK-KHI-26-0092"));
    for field in ["InvoiceAmount", "GoodsShipment/TradeTerms", "GoodsShipment/Invoice"] {
        assert!(lost.iter().any(|loss| loss.field == field), "{field}: {lost:?}");
    }
    let again = write(&one(&bytes), &Target::Edifact(Directory::D09A, envelope()));
    assert_eq!(again.expect("written"), (bytes, vec![]));
}

#[test]
fn formats_are_told_apart() {
    for (text, expected) in [
        (&b"<a/>"[..], Some(Format::Wco)),
        (b"\xef\xbb\xbf \n<a/>", Some(Format::Wco)),
        (b"UNA:+.? 'UNB", Some(Format::Edifact)),
        (b"\r\nUNB+", Some(Format::Edifact)),
        (b"{\"exchangedDocument\":{}}", Some(Format::Coo)),
        (b"{", Some(Format::Json)),
        (b"UNZ", None),
        (b"", None),
        (b"[1]", None),
    ] {
        assert_eq!(detect(text), expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn what_has_no_form_is_refused_with_a_remedy() {
    let edifact = Target::Edifact(Directory::D96B, envelope());
    let cargo = Target::Cargo(Directory::D96B, envelope());
    for (code, target, rule) in [
        ("COO", &Target::Wco, "write it as UN/CEFACT JSON"),
        ("COO", &edifact, "write a COO as UN/CEFACT JSON"),
        ("AMD", &edifact, "an AMD as WCO XML"),
        ("EXD", &Target::Coo, "only a COO is one"),
        ("IMP", &cargo, "only an EXD has one"),
    ] {
        let error = write(&one(&example(code)), target).expect_err(rule);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    for (text, rule) in [
        (json!({"TypeCode": "1"}).to_string(), "`1` is not a customs document type"),
        (json!({"TypeCode": "830"}).to_string(), "missing field"),
        ("{".to_owned(), "EOF while parsing"),
    ] {
        let error = read(text.as_bytes(), Format::Json, context()).expect_err(rule);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
    }
    let response = "<Response><FunctionCode>05</FunctionCode><FunctionalReferenceID>R\
                    </FunctionalReferenceID><Declaration><ID>D</ID></Declaration></Response>";
    let response = one(response.as_bytes());
    assert_eq!(response.name(), "response");
    assert!(write(&response, &edifact).is_err());
    assert_eq!(one(&write(&response, &Target::Wco).expect("written").0), response);
}

/// A response of one function with a state, a statement with a limit, and an error.
fn response(function: &str) -> Value {
    json!({
        "FunctionCode": function, "FunctionalReferenceID": "R-1",
        "IssueDateTime": "2026-10-02T06:00:00.000Z",
        "AdditionalInformation": [{ "StatementCode": "X", "StatementTypeCode": "ACA",
            "LimitDateTime": "2026-11-02T06:00:00.000Z" }],
        "Amendment": [{ "ChangeReasonCode": "16",
            "Pointer": [{ "DocumentSectionCode": "42A", "TagID": "228" }] }],
        "Error": [{ "Description": "wrong", "ValidationCode": "CDS10001", "Pointer": [
            { "SequenceNumeric": 1, "DocumentSectionCode": "42A", "TagID": "228" }] }],
        "Status": [{ "NameCode": "39" }],
        "Declaration": { "ID": "D-1", "VersionID": 1 },
    })
}

#[test]
fn responses_and_cargo_reports_are_read_back_from_json() {
    for (function, _) in wco::FUNCTIONS {
        let text = response(function).to_string();
        let document = one(text.as_bytes());
        assert_eq!(document.name(), "response", "{function}");
        let (xml, lost) = write(&document, &Target::Wco).expect("written");
        assert_eq!(lost, [], "{function}");
        let mut contents = read(&xml, Format::Wco, context()).expect("read");
        let back = contents.documents.pop().expect("a document");
        if ["01", "03"].contains(&function) {
            assert_eq!(back.document.name(), "VAL", "{function}");
            let lost: Vec<_> = back.not_carried_over.iter().map(|l| l.field.as_str()).collect();
            let (statement, status) = ("AdditionalInformation", "Status");
            assert!(lost.contains(&statement) && lost.contains(&status), "{function}: {lost:?}");
            assert!(!lost.iter().any(|field| field.starts_with("Error")), "{function}: {lost:?}");
            continue;
        }
        assert_eq!(back.document, document, "{function}");
        let lines = |loss: &Loss| loss.field.contains("MetaData/");
        assert!(back.not_carried_over.iter().all(lines), "{function}: {back:?}");
        let (json, _) = write(&back.document, &Target::Json).expect("written");
        assert_eq!(one(&json), document, "{function}");
    }
    let (cargo, _) = write(&one(&example("EXD")), &Target::Cargo(Directory::D96B, envelope()))
        .expect("a cargo report");
    let cargo = one(&cargo);
    assert_eq!(one(&write(&cargo, &Target::Json).expect("written").0), cargo);
    let with = |name: &str, value: Value| {
        let mut changed = response("06");
        changed[name] = value;
        changed.to_string()
    };
    for (text, rule) in [
        (with("FunctionCode", json!("04")), "`04` is no function of a response"),
        (with("Mood", json!("good")), "this is no response as `convert` writes it"),
        (json!({"TypeCode": "785"}).to_string(), "this is no cargo report as `convert` writes it"),
    ] {
        let error = read(text.as_bytes(), Format::Json, context()).expect_err(rule);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
    }
}

/// Every published sample goes through JSON, and back into XML that says the same.
#[test]
fn published_samples_go_through_json_and_back() {
    let Some(data) = std::env::var_os("KARVAN_TEST_DATA") else {
        eprintln!(
            "SKIPPED published_samples_go_through_json_and_back: KARVAN_TEST_DATA is not set"
        );
        return;
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(&data).join("customs/wco-dec-samples")).expect("samples") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let document = one(&fs::read(&path).expect("a sample"));
        let (json, _) = write(&document, &Target::Json).expect("JSON");
        let from_json = one(&json);
        assert_eq!(from_json, document, "{name}");
        let (xml, _) = write(&from_json, &Target::Wco).expect("XML");
        assert_eq!(one(&xml), document, "{name}");
        let code =
            |bytes: &[u8]| wco::import_response(bytes).ok().map(|r| r.response.function_code);
        assert_eq!(code(&xml), code(&fs::read(&path).expect("a sample")), "{name}");
        names.push(name);
    }
    assert_eq!(names.len(), 15, "{names:?}");
}
