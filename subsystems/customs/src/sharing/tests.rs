use std::collections::BTreeSet;

use karvan_types::json;
use serde_json::{Value, json};

use super::*;
use crate::messages::{
    Amendment, Cancellation, CertificateOfOrigin, DocumentType, DrawCommitment, ExportDeclaration,
    ImportClaim, LedgerBalances, Message, MirrorReport, SequenceReport, SharingLevel,
    TransportReport, UtilisationResult, Validation, VerificationQuery, VerificationResponse,
};
use crate::validate::{Severity, validate};

/// Deepest nesting of a schema.
const DEPTH_MAX: usize = 40;

/// Collects the paths of all fields of a message from its schema.
fn fields(document: DocumentType) -> BTreeSet<String> {
    let schema = match document {
        DocumentType::Export => schemars::schema_for!(ExportDeclaration),
        DocumentType::Certificate => schemars::schema_for!(CertificateOfOrigin),
        DocumentType::Import => schemars::schema_for!(ImportClaim),
        DocumentType::Utilisation => schemars::schema_for!(UtilisationResult),
        DocumentType::Validation => schemars::schema_for!(Validation),
        DocumentType::Amendment => schemars::schema_for!(Amendment),
        DocumentType::Cancellation => schemars::schema_for!(Cancellation),
        DocumentType::Transport => schemars::schema_for!(TransportReport),
        DocumentType::Query => schemars::schema_for!(VerificationQuery),
        DocumentType::Response => schemars::schema_for!(VerificationResponse),
        DocumentType::Ledger => schemars::schema_for!(LedgerBalances),
        DocumentType::Sequence => schemars::schema_for!(SequenceReport),
        DocumentType::Mirror => schemars::schema_for!(MirrorReport),
        DocumentType::Commitment => schemars::schema_for!(DrawCommitment),
    };
    let root = serde_json::to_value(schema).expect("JSON");
    let mut found = BTreeSet::new();
    collect(&root, &root, String::new(), 0, &mut found);
    found
}

fn collect(root: &Value, schema: &Value, at: String, depth: usize, found: &mut BTreeSet<String>) {
    assert!(depth < DEPTH_MAX, "{at}");
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).expect("a definition");
        return collect(root, target, at, depth + 1, found);
    }
    for kind in ["anyOf", "oneOf", "allOf"] {
        for part in schema[kind].as_array().into_iter().flatten() {
            if part.get("const").is_some() {
                found.insert(at.clone());
            } else if part["type"] != "null" {
                collect(root, part, at.clone(), depth + 1, found);
            }
        }
    }
    let members = schema["properties"].as_object();
    // An amount or quantity is one field.
    let is_measure = members.is_some_and(|members| {
        let unit = members.contains_key("unit") || members.contains_key("currency");
        members.len() == 2 && members.contains_key("value") && unit
    });
    if let Some(members) = members.filter(|_| !is_measure) {
        for (name, member) in members {
            collect(root, member, format!("{at}/{name}"), depth + 1, found);
        }
    } else if schema.get("items").is_some() {
        collect(root, &schema["items"], format!("{at}/*"), depth + 1, found);
    } else if is_measure || ["type", "const", "enum"].iter().any(|k| schema.get(k).is_some()) {
        found.insert(at);
    }
}

fn classes() -> Classes {
    Classes::shipped().expect("the shipped classes load")
}

fn example(document: DocumentType) -> Value {
    let path = format!("{}/testdata/messages/{document}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    json::parse(&text).expect("strict JSON")
}

#[test]
fn every_field_of_every_message_has_a_class_and_no_row_is_left_over() {
    let classes = classes();
    for document in DocumentType::ALL {
        let rows: BTreeSet<String> =
            classes.listed(document).into_iter().map(|row| row.field).collect();
        let fields = fields(document);
        let without: Vec<_> = fields.difference(&rows).collect();
        assert!(without.is_empty(), "{document}: fields without a release class: {without:?}");
        let stale: Vec<_> = rows.difference(&fields).collect();
        assert!(stale.is_empty(), "{document}: rows of fields that are not there: {stale:?}");
    }
}

#[test]
fn what_is_released_is_a_valid_message_without_anything_above_the_level() {
    let classes = classes();
    let now = "2026-11-01T00:00:00Z".parse().expect("an instant");
    for document in DocumentType::ALL {
        for level in [SharingLevel::L1, SharingLevel::L2, SharingLevel::L3] {
            let mut value = example(document);
            value["sharingLevel"] = serde_json::to_value(level).expect("a level");
            let left_out = strip(&classes, document, &mut value, level);
            assert!(left_out.iter().all(|field| field.level > level), "{left_out:?}");
            let text = json::canonical(&value).expect("canonical");
            let message = Message::parse(document.code(), &text).unwrap_or_else(|e| {
                panic!("{document} {level:?}: {:?}", std::error::Error::source(&e))
            });
            let wrong: Vec<_> = validate(&message, now)
                .into_iter()
                .filter(|problem| problem.severity == Severity::Refuse)
                .collect();
            assert!(wrong.is_empty(), "{document} {level:?}: {wrong:?}");
            assert_eq!(strip(&classes, document, &mut value, level), [], "{document} twice");
            if level == SharingLevel::L1 {
                let text = String::from_utf8(text).expect("UTF-8");
                assert!(!text.contains("currency"), "{document} has a value at L1: {text}");
            }
        }
    }
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "what is compared is a temporary")]
fn check(document: DocumentType, level: SharingLevel, message: Value, expected: (Value, &[&str])) {
    let mut found = message;
    let left_out = strip(&classes(), document, &mut found, level);
    let fields: Vec<_> = left_out.iter().map(|field| field.field.as_str()).collect();
    assert_eq!((found, fields.as_slice()), expected);
}

#[test]
fn what_becomes_empty_goes_too_and_what_nobody_classed_is_never_released() {
    let amount = json!({ "value": "1", "currency": "USD" });
    let export = DocumentType::Export;
    check(
        export,
        SharingLevel::L1,
        json!({ "GoodsShipment": { "GovernmentAgencyGoodsItem": [
            { "SequenceNumeric": 1, "Commodity": {
                "InvoiceLine": { "ItemChargeAmount": amount } } },
            { "SequenceNumeric": 2, "CustomsValuation": { "ChargeDeduction": [
                { "ChargesTypeCode": "AE", "OtherChargeDeductionAmount": amount }] } },
        ]}}),
        (
            json!({ "GoodsShipment": { "GovernmentAgencyGoodsItem": [
                { "SequenceNumeric": 1 }, { "SequenceNumeric": 2 }] } }),
            &[
                "/GoodsShipment/GovernmentAgencyGoodsItem/*/Commodity/InvoiceLine/ItemChargeAmount",
                "/GoodsShipment/GovernmentAgencyGoodsItem/*/CustomsValuation/ChargeDeduction/*\
                 /ChargesTypeCode",
                "/GoodsShipment/GovernmentAgencyGoodsItem/*/CustomsValuation/ChargeDeduction/*\
                 /OtherChargeDeductionAmount",
            ],
        ),
    );
    let unknown = json!({ "ID": "1", "phone": "+92 300", "Exporter": { "Age": 50 } });
    check(export, SharingLevel::L3, unknown, (json!({ "ID": "1" }), &["/Exporter/Age", "/phone"]));
    let address = json!({ "Exporter": { "Name": "N", "Address": {
        "Line": "Street 1", "CountryCode": "AZ" } } });
    check(export, SharingLevel::L3, address.clone(), (address.clone(), &[]));
    let coarse = json!({ "Exporter": { "Name": "N", "Address": { "CountryCode": "AZ" } } });
    check(export, SharingLevel::L2, address, (coarse, &["/Exporter/Address/Line"]));
}

#[test]
fn an_amendment_carries_no_value_that_its_document_would_not() {
    let amendment = |kind: &str, paths: &[&str]| {
        let values: Vec<_> =
            paths.iter().map(|path| json!({ "path": path, "value": "1" })).collect();
        json!({ "document": { "documentType": kind }, "values": values })
    };
    let item = "GoodsShipment/GovernmentAgencyGoodsItem[2]";
    let (value, mass) = (
        format!("{item}/Commodity/InvoiceLine/ItemChargeAmount/value"),
        format!("{item}/Commodity/GoodsMeasure/NetNetWeightMeasure/value"),
    );
    let kept = amendment("EXD", &[&mass]);
    check(
        DocumentType::Amendment,
        SharingLevel::L1,
        amendment("EXD", &[&value, &mass, "GoodsShipment/Surprise", "InvoiceAmount/value"]),
        (
            kept,
            &[
                "/values/*/GoodsShipment/GovernmentAgencyGoodsItem/Commodity/InvoiceLine\
                 /ItemChargeAmount/value",
                "/values/*/GoodsShipment/Surprise",
                "/values/*/InvoiceAmount/value",
            ],
        ),
    );
    check(
        DocumentType::Amendment,
        SharingLevel::L3,
        amendment("XYZ", &["ID"]),
        (amendment("XYZ", &["ID"]), &[]),
    );
}

#[test]
fn a_table_that_does_not_fit_is_refused_with_its_line() {
    for (text, line, rule) in [
        ("EXD\t/ID\tL1\tassumed\n", 1, "five cells"),
        ("# x\n\nXXX\t/ID\tL1\tassumed\ta\n", 3, "document type"),
        ("EXD\t/ID\tL4\tassumed\ta\n", 1, "names a level"),
        ("EXD\t/ID\tL1\tsure\ta\n", 1, "status"),
        ("EXD\tID\tL1\tassumed\ta\n", 1, "names a field"),
        ("EXD\t/ID\tL1\tassumed\ta\nEXD\t/ID\tL2\tassumed\ta\n", 2, "class already"),
    ] {
        let error = Classes::parse(text).expect_err(rule);
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(rule), "{error}");
    }
}
