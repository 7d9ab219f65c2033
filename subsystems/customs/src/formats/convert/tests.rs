use std::fs;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::edifact::Charset;
use crate::messages::SharingLevel;

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
