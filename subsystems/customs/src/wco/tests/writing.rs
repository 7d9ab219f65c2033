//! Tests of what is written: round trips, responses, amendments.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;
use crate::messages::ExportDeclaration;

/// Reads one of the example messages.
fn example(code: &str) -> Message {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/messages/{code}.json"));
    let text = fs::read(path).expect("an example");
    Message::parse(code, &text).expect("a message")
}

/// Returns the published samples of a family by name; `None` without test data.
fn published(test: &str, is_response: bool) -> Option<Vec<(String, Vec<u8>)>> {
    let Some(folder) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED {test}: KARVAN_TEST_DATA is not set");
        return None;
    };
    let folder = PathBuf::from(folder).join("customs/wco-dec-samples");
    let mut samples: Vec<_> = fs::read_dir(&folder)
        .expect("the samples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.starts_with("response") == is_response)
        .map(|name| (name.clone(), fs::read(folder.join(&name)).expect("a sample")))
        .collect();
    samples.sort();
    Some(samples)
}

/// Writes and reads again; returns what is lost.
#[track_caller]
fn check_round_trip(message: &Message) -> Vec<String> {
    let Written { xml, losses } = write(message).expect("written");
    let header = message.header();
    let (agreement_id, sharing_level) = (header.agreement_id.as_str(), header.sharing_level);
    let subject = match message {
        Message::Amendment(message) => message.document.document_type.as_str(),
        Message::Cancellation(message) => message.document.document_type.as_str(),
        _ => "EXD",
    };
    let subject = DocumentType::from_code(subject).expect("a type");
    let context = Context { agreement_id, sharing_level, subject, ..context() };
    let back = import(xml.as_bytes(), context).expect("what is written can be read");
    let lost: Vec<_> = losses.into_iter().map(|loss| loss.field).collect();
    // What the receiver's configuration supplies is the same on both sides here.
    if lost == ["agreementID", "sharingLevel"] {
        assert_eq!(back.message, *message);
    }
    lost
}

#[test]
fn the_examples_come_back_from_xml() {
    let ours = ["agreementID", "sharingLevel"];
    for (code, more) in [
        ("EXD", &[][..]),
        ("IMP", &[]),
        ("AMD", &["document/VersionID", "values[1]/path"]),
        ("CXL", &["document/VersionID", "replacedBy"]),
    ] {
        let expected: Vec<_> = ours.iter().chain(more).copied().collect();
        let message = example(code);
        let mut lost = check_round_trip(&message);
        lost.sort_by_key(|path| !ours.contains(&path.as_str()));
        assert_eq!(lost, expected, "{code}");
        expect(&format!("written-{code}"), &write(&message).expect("written").xml);
    }
    assert_eq!(write(&example("COO")).map(|_| ()), Err(Unwritable::Kind));
}

#[test]
fn shipped_samples_come_back_from_xml() {
    let mut count = 0;
    for (name, message) in crate::formats::tests::sample_messages() {
        if let Message::Export(_) | Message::Import(_) = message {
            let lost = check_round_trip(&message);
            assert_eq!(lost, ["agreementID", "sharingLevel"], "{name}");
            count += 1;
        }
    }
    assert!(count >= 20, "only {count} declarations among the samples");
}

#[test]
fn published_declarations_round_trip() {
    let Some(samples) = published("published_declarations_round_trip", false) else { return };
    assert_eq!(samples.len(), 8);
    for (name, xml) in samples {
        let subject =
            if name.starts_with("import") { DocumentType::Import } else { DocumentType::Export };
        let context = Context { subject, ..context() };
        let first = import(&xml, context).expect("a sample").message;
        let written = write(&first).expect("written");
        let second = import(written.xml.as_bytes(), context).expect("our own XML").message;
        assert_eq!(second, first, "{name}");
        let lost: BTreeSet<_> = written.losses.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!(lost, BTreeSet::from(["agreementID", "sharingLevel"]), "{name}");
        check_order(&written.xml);
    }
}

/// Checks that elements of XML that we wrote stand in the order of the schema.
fn check_order(xml: &str) {
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut reader = quick_xml::reader::Reader::from_str(xml);
    loop {
        match reader.read_event().expect("well-formed") {
            quick_xml::events::Event::Start(tag) => {
                let name = tag.local_name().as_ref().to_owned();
                let path = match open.last() {
                    Some((path, _)) if path != "MetaData" => format!("{path}/{name}"),
                    _ => name,
                };
                let place = super::super::ids::place(&path);
                if let Some((outer, before)) = open.last_mut() {
                    assert!(outer == "MetaData" || *before <= place, "{path} comes too late");
                    *before = place;
                }
                open.push((path, 0));
            }
            quick_xml::events::Event::End(_) => drop(open.pop()),
            quick_xml::events::Event::Eof => return,
            _ => {}
        }
    }
}

#[test]
fn published_responses_round_trip() {
    let Some(samples) = published("published_responses_round_trip", true) else { return };
    assert_eq!(samples.len(), 7);
    for (name, xml) in samples {
        let first = import_response(&xml).expect("a response");
        let lost: Vec<_> = first.not_carried_over.iter().map(|loss| loss.path.as_str()).collect();
        let known = ["MetaData/WCODataModelVersionCode", "MetaData/WCOTypeName"];
        assert_eq!(lost, known, "{name}");
        let written = first.response.to_xml().expect("written");
        let second = import_response(written.as_bytes()).expect("our own XML");
        assert_eq!(second.response, first.response, "{name}");
        let code = name.get(9..11).expect("a code");
        assert_eq!(first.response.function_code, code);
        expect(&format!("written-{}", name.trim_end_matches(".xml")), &written);
    }
}

/// Writes a response of one function with everything that it can say.
fn full(function: &str) -> Response {
    serde_json::from_value(json!({
        "FunctionCode": function, "FunctionalReferenceID": "R-1",
        "IssueDateTime": "2026-10-02T06:00:00Z",
        "AdditionalInformation": [{
            "StatementCode": "ACA", "StatementDescription": "send it", "StatementTypeCode": "ACA",
            "LimitDateTime": "2026-11-02T06:00:00Z",
            "Pointer": [{ "DocumentSectionCode": "42A" }]
        }],
        "Amendment": [{ "ChangeReasonCode": "16", "Pointer": [{ "DocumentSectionCode": "42A",
            "TagID": "228" }] }],
        "Bank": { "ReferenceID": "B", "ID": "1" },
        "Error": [{ "Description": "wrong", "ValidationCode": "CDS10001", "Pointer": [
            { "DocumentSectionCode": "42A" },
            { "DocumentSectionCode": "68A", "SequenceNumeric": 2, "TagID": "114" }] }],
        "Status": [{ "NameCode": "39", "EffectiveDateTime": "2026-10-02T06:00:00Z",
            "ReleaseDateTime": "2026-10-02T07:00:00Z" }],
        "Declaration": {
            "ID": "D-1", "VersionID": 2, "FunctionalReferenceID": "F-1",
            "AcceptanceDateTime": "2026-10-02T06:00:00Z",
            "DutyTaxFee": [{ "Payment": { "ReferenceID": "P",
                "TaxAssessedAmount": { "value": "5.10", "currency": "PKR" },
                "DueDateTime": "2026-10-12T06:00:00Z",
                "PaymentAmount": { "value": "5.10", "currency": "PKR" } } }],
            "GoodsShipment": { "GovernmentAgencyGoodsItem": [{
                "SequenceNumeric": 1,
                "AdditionalDocument": [{ "TypeCode": "864", "ID": "AZPK-1", "WriteOff": {
                    "QuantityQuantity": { "value": "18000", "unit": "KGM" },
                    "AmountAmount": { "value": "100.50", "currency": "USD" } } }]
            }] }
        },
        "corrections": [{ "path": "GoodsShipment/Consignee/Name", "value": "A & B" }]
    }))
    .expect("a response")
}

#[test]
fn every_response_is_written_and_read() {
    for (function, _) in FUNCTIONS {
        let response = full(function);
        let xml = response.to_xml().expect("written");
        let back = import_response(xml.as_bytes()).expect("read");
        assert_eq!(back.response, response, "{function}");
    }
    for function in ["04", "12", "17", "1", ""] {
        let xml = full(function).to_xml().expect("written");
        assert!(import_response(xml.as_bytes()).is_err(), "{function}");
    }
    let xml = full("01").to_xml().expect("written").replace(NAMESPACE_RESPONSE, "urn:other");
    let error = import_response(xml.as_bytes()).expect_err("another namespace");
    assert!(matches!(error.rule, Rule::Namespace { .. }), "{error}");
}

#[test]
fn answers_are_responses() {
    let header = ["ID", "agreementID", "sharingLevel"];
    for (code, function, lost) in [
        ("VAL", "03", &header[..]),
        (
            "UTL",
            "09",
            &[
                "ID",
                "agreementID",
                "certificate/VersionID",
                "items[1]/balance",
                "items[1]/reasonCodes",
                "officerID",
                "sharingLevel",
            ],
        ),
    ] {
        let message = example(code);
        let written = write(&message).expect("written");
        let found: Vec<_> = written.losses.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!(found, lost, "{code}");
        let response = import_response(written.xml.as_bytes()).expect("read").response;
        assert_eq!(response.function_code, function);
        expect(&format!("written-{code}"), &written.xml);
    }
}

/// An amendment of the example declaration.
fn amendment(pointers: &[(&str, u32, Option<&str>)], values: &[(&str, &str)]) -> Message {
    let pointers: Vec<_> = pointers
        .iter()
        .map(|(section, sequence, tag)| {
            let mut pointer = json!({"DocumentSectionCode": section, "SequenceNumeric": sequence});
            if let Some(tag) = tag {
                pointer["TagID"] = json!(tag);
            }
            pointer
        })
        .collect();
    let values: Vec<_> =
        values.iter().map(|(path, value)| json!({"path": path, "value": value})).collect();
    let mut value = example("AMD").to_value().expect("a value");
    value["Amendment"] = json!([{ "ChangeReasonCode": "25", "Pointer": pointers }]);
    value["values"] = json!(values);
    Message::parse("AMD", value.to_string().as_bytes()).expect("an amendment")
}

fn amended(message: &Message) -> Result<ExportDeclaration, Unamendable> {
    let Message::Amendment(amendment) = message else { panic!("an amendment") };
    match amend(&example("EXD"), amendment)?.message {
        Message::Export(export) => Ok(*export),
        other => panic!("{other:?}"),
    }
}

#[test]
fn amendments_change_what_they_point_at_and_nothing_else() {
    const ITEM: &str = "GoodsShipment/GovernmentAgencyGoodsItem";
    let before = example("EXD").to_value().expect("a value");
    let seal = "GoodsShipment/Consignment/TransportEquipment/Seal/ID";
    let shipment = ("67A", 1, None);
    let added = [
        (format!("{ITEM}/SequenceNumeric"), "3"),
        (format!("{ITEM}/Commodity/Description"), "nuts"),
        (format!("{ITEM}/Commodity/Classification/ID"), "080222"),
        (format!("{ITEM}/Commodity/Classification/IdentificationTypeCode"), "HS"),
    ];
    let added: Vec<_> = added.iter().map(|(path, value)| (path.as_str(), *value)).collect();
    let origin =
        [(format!("{ITEM}/SequenceNumeric"), "2"), (format!("{ITEM}/Origin/CountryCode"), "GE")];
    let origin: Vec<_> = origin.iter().map(|(path, value)| (path.as_str(), *value)).collect();
    for (pointers, values, path, expected) in [
        (
            &[("42A", 1, Some("228"))][..],
            &[("GoodsItemQuantity", "3")][..],
            "/GoodsItemQuantity",
            json!(3),
        ),
        (
            &[shipment, ("44B", 1, Some("165"))],
            &[(seal, "NEW")],
            "/GoodsShipment/Consignment/TransportEquipment/0/Seal/0/ID",
            json!("NEW"),
        ),
        (
            &[shipment, ("31B", 1, None), ("44B", 2, None)],
            &[(seal, "TWO")],
            "/GoodsShipment/Consignment/TransportEquipment/0/Seal/1/ID",
            json!("TWO"),
        ),
        (
            &[shipment, ("68A", 3, None)],
            &added,
            "/GoodsShipment/GovernmentAgencyGoodsItem/2/Commodity/Description",
            json!("nuts"),
        ),
        (
            &[shipment, ("68A", 2, None), ("92A", 1, Some("063"))],
            &origin,
            "/GoodsShipment/GovernmentAgencyGoodsItem/1/Origin/CountryCode",
            json!("GE"),
        ),
        (
            &[shipment, ("68A", 2, None)],
            &[],
            "/GoodsShipment/GovernmentAgencyGoodsItem/1",
            json!(null),
        ),
        (
            &[("42A", 1, Some("109"))],
            &[("InvoiceAmount/@currencyID", "EUR"), ("InvoiceAmount", "5.00")],
            "/InvoiceAmount",
            json!({"value": "5.00", "currency": "EUR"}),
        ),
    ] {
        let export = amended(&amendment(pointers, values)).expect(path);
        assert_eq!(
            (export.header.version_id, export.header.function_code),
            (2, FunctionCode::Replace)
        );
        let after = Message::Export(Box::new(export)).to_value().expect("a value");
        assert_eq!(after.pointer(path).cloned().unwrap_or_default(), expected, "{path}");
        check_rest(&before, &after, path);
    }
}

/// Checks that beside the header only values below the first name of a path differ.
#[track_caller]
fn check_rest(before: &serde_json::Value, after: &serde_json::Value, path: &str) {
    let added = crate::formats::losses(after, before, &BTreeMap::default());
    let removed = crate::formats::losses(before, after, &BTreeMap::default());
    let first = path.split('/').nth(1).expect("a name");
    for loss in added.into_iter().chain(removed) {
        let header = ["FunctionCode", "FunctionalReferenceID", "IssueDateTime", "VersionID"];
        let known = header.contains(&loss.field.as_str()) || loss.field.starts_with(first);
        assert!(known, "{path}: {loss:?}");
    }
}

#[test]
fn amendments_that_do_not_fit_are_refused() {
    let shipment = ("67A", 1, None);
    for (pointers, values, rule) in [
        (
            &[("42A", 1, Some("999"))][..],
            &[("GoodsItemQuantity", "3")][..],
            "change 1: the pointer 1 names no element",
        ),
        (&[shipment, ("68A", 9, None)], &[], "there is no"),
        (&[shipment, ("68A", 9, Some("114"))], &[], "the declaration has 2"),
        (&[], &[], "the pointer 1 names no element"),
        (&[("42A", 1, Some("228"))], &[("GoodsItemQuantity", "many")], "write a whole number"),
        (&[("42A", 1, Some("228"))], &[("Goods Item", "3")], "is no path of elements"),
        (&[("42A", 1, Some("228"))], &[("A[2]/B", "3")], "is no path of elements"),
        (&[("57A", 1, None)], &[], "`Declaration/Exporter` is missing"),
    ] {
        let error = amended(&amendment(pointers, values)).expect_err(rule);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
    }
    let Message::Amendment(mut other) = example("AMD") else { panic!("an amendment") };
    other.document.id = "X".to_owned();
    let error = amend(&example("EXD"), &other).expect_err("another document");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(amend(&example("COO"), &other), Err(Unamendable::Kind));
}

/// The published amendments apply to the published declarations that they name.
#[test]
fn published_amendments_apply() {
    let Some(samples) = published("published_amendments_apply", false) else { return };
    let read = |name: &str, subject| {
        let (_, xml) = samples.iter().find(|(found, _)| found == name).expect("a sample");
        import(xml, Context { subject, ..context() }).expect("a sample").message
    };
    for (declaration, amendment, subject, path, expected) in [
        (
            "export-with-writeoff.xml",
            "export-amendment-writeoff.xml",
            DocumentType::Export,
            "/GoodsShipment/GovernmentAgencyGoodsItem/0/AdditionalDocument/0/LPCOExemptionCode",
            json!("EP"),
        ),
        (
            "import-multi-item-add-item-step1.xml",
            "import-add-item-step2-amendment.xml",
            DocumentType::Import,
            "/GoodsShipment/GovernmentAgencyGoodsItem/2/Commodity/Description",
            json!("Hair clippers"),
        ),
    ] {
        let mut original = read(declaration, subject);
        let Message::Amendment(change) = read(amendment, subject) else { panic!("an amendment") };
        // Customs assigned the number in the meantime.
        match &mut original {
            Message::Export(message) => message.header.id.clone_from(&change.document.id),
            Message::Import(message) => message.header.id.clone_from(&change.document.id),
            _ => panic!("a declaration"),
        }
        let amended = amend(&original, &change).expect(amendment);
        let value = amended.message.to_value().expect("a value");
        assert_eq!(value.pointer(path), Some(&expected), "{amendment}");
    }
}

proptest! {
    /// Whatever arrives as a response is read or refused with a place, and never a panic.
    #[test]
    fn damaged_responses_never_panic(
        cut in 0_usize..3000,
        length in 0_usize..40,
        insert in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut xml = full("11").to_xml().expect("written").into_bytes();
        let from = cut.min(xml.len());
        let to = (from + length).min(xml.len());
        xml.splice(from..to, insert);
        match import_response(&xml) {
            Ok(read) => drop(read.response.to_message(context())),
            Err(error) => prop_assert!(error.byte <= xml.len() && error.line >= 1, "{error}"),
        }
    }

    /// Whatever an amendment points at, it is applied or refused, and never a panic.
    #[test]
    fn any_pointers_are_applied_or_refused(
        steps in prop::collection::vec(
            (
                prop::sample::select(vec!["42A", "67A", "68A", "02A", "23A", "21A", "31B", "99Z"]),
                0_u32..5,
                prop::option::of(prop::sample::select(vec!["145", "D005", "006", "228", "999"])),
            ),
            0..5,
        ),
        value in "[ -~]{0,12}",
    ) {
        let item = "GoodsShipment/GovernmentAgencyGoodsItem/Commodity/Classification/ID";
        let values = [(item, value.as_str()), ("GoodsItemQuantity", value.as_str())];
        let amendment = amendment(&steps, &values);
        match amended(&amendment) {
            Ok(export) => prop_assert_eq!(export.header.version_id, 2),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
