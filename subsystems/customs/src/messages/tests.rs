use super::*;

const HEADER: &str = r#""FunctionCode":"9","FunctionalReferenceID":"AZ-1","TypeCode":"864",
    "ID":"AZPK-2026-0001","VersionID":1,"IssueDateTime":"2026-09-01T08:00:00+04:00",
    "agreementID":"AZ-PK-PTA","sharingLevel":"L2""#;

const ITEM: &str = r#"{"SequenceNumeric":1,"Description":"Copper wire, 8 mm",
    "Classification":[{"ID":"740811","IdentificationTypeCode":"HS","edition":2022}],
    "Origin":{"CountryCode":"AZ"},"originCriterion":"CTH",
    "quantity":{"value":"20000","unit":"KGM"}}"#;

fn certificate(extra: &str, item: &str) -> String {
    format!(
        r#"{{{HEADER},"formCode":"AZ-PK","issuer":{{"ID":"9900000001"}},"validUntil":"2027-09-01",
        "status":"issued","Exporter":{{"Name":"Baku Kabel"}},"Consignee":{{"Name":"Lahore Cables"}},
        "ExportCountry":{{"ID":"AZ"}},"Destination":{{"CountryCode":"PK"}},{extra}
        "GovernmentAgencyGoodsItem":[{item}]}}"#
    )
}

#[test]
fn reads_and_writes_the_same_certificate() {
    let message = Message::parse("COO", certificate("", ITEM).as_bytes()).expect("valid");
    let written = message.to_canonical().expect("canonical");
    assert_eq!(Message::parse("COO", &written).expect("valid"), message);
    assert_eq!(message.document_type().code(), "COO");
    let Message::Certificate(certificate) = message else { panic!("a certificate") };
    assert_eq!(certificate.header.id, "AZPK-2026-0001");
    assert_eq!(certificate.header.issue_date_time.to_string(), "2026-09-01T04:00:00.000Z");
    assert_eq!(certificate.item(1).and_then(CertificateItem::hs6), Some("740811"));
    assert_eq!(certificate.valid_until.to_string(), "2027-09-01");
}

#[test]
fn refuses_what_does_not_fit() {
    for (extra, item, reason) in [
        (r#""surprise":1,"#, ITEM, "unknown field `surprise`"),
        (r#""formCode":"AZ-PK","#, ITEM, "appears twice"),
        ("", &ITEM.replace("\"20000\"", "20000"), "invalid type: integer"),
        ("", &ITEM.replace("\"20000\"", "\"2E4\""), "not a plain decimal"),
        ("", &ITEM.replace("\"CTH\"", "\"XYZ\""), "unknown variant `XYZ`"),
        ("", &ITEM.replace("\"edition\"", "\"editions\""), "unknown field `editions`"),
        (r#""BorderTransportMeans":{"Wheels":4},"#, ITEM, "unknown field `Wheels`"),
    ] {
        let error = Message::parse("COO", certificate(extra, item).as_bytes()).expect_err(reason);
        let cause = std::error::Error::source(&error).expect("a cause").to_string();
        assert!(cause.contains(reason), "{reason}: {cause}");
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    for bad_date in ["2026-02-30", "20270901", "2027-09-01T00:00:00", "01.09.2027", ""] {
        let text = certificate("", ITEM).replace("2027-09-01", bad_date);
        assert!(Message::parse("COO", text.as_bytes()).is_err(), "{bad_date}");
    }
    assert!(Message::parse("XYZ", b"{}").is_err());
}

#[test]
fn document_type_codes_are_unique_and_found() {
    for kind in DocumentType::ALL {
        assert_eq!(DocumentType::from_code(kind.code()), Some(kind));
    }
}

#[test]
fn every_document_about_another_round_trips() {
    let reference = r#"{"documentType":"COO","ID":"AZPK-2026-0001"}"#;
    let shipment = r#""GoodsItemQuantity":1,"Exporter":{"Name":"Baku Kabel"},"GoodsShipment":{
        "GovernmentAgencyGoodsItem":[{"SequenceNumeric":1,"Commodity":{"Description":"Wire",
        "Classification":[{"ID":"74081100","IdentificationTypeCode":"PCT"}]},
        "AdditionalDocument":[{"TypeCode":"864","ID":"AZPK-2026-0001","LineNumeric":1,
        "EffectiveDateTime":"2026-09-01"}]}]}"#;
    for (code, body) in [
        ("EXD", shipment.to_owned()),
        ("IMP", shipment.to_owned()),
        (
            "UTL",
            format!(
                r#""certificate":{reference},"claim":{reference},"decisionDate":"2026-10-01",
                "officerID":"PK-17","items":[{{"SequenceNumeric":1,"certificateItem":1,
                "decision":"granted-in-part","StatementDescription":"balance used up",
                "WriteOff":{{"QuantityQuantity":{{"value":"15000","unit":"KGM"}}}}}}]"#
            ),
        ),
        ("VAL", format!(r#""document":{reference},"outcome":"accepted""#)),
        (
            "AMD",
            format!(
                r#""document":{reference},"StatementDescription":"weight","Amendment":[
                {{"ChangeReasonCode":"25","Pointer":[{{"DocumentSectionCode":"42A"}}]}}]"#
            ),
        ),
        (
            "CXL",
            format!(
                r#""document":{reference},"ChangeReasonCode":"1",
                "StatementDescription":"duplicate""#
            ),
        ),
    ] {
        let text = format!("{{{HEADER},{body}}}");
        let message = Message::parse(code, text.as_bytes()).unwrap_or_else(|error| {
            panic!("{code}: {error}: {:?}", std::error::Error::source(&error))
        });
        let written = message.to_canonical().expect("canonical");
        assert_eq!(Message::parse(code, &written).expect("valid"), message, "{code}");
        assert_eq!(message.header().id, "AZPK-2026-0001");
        let unknown = text.replacen('{', "{\"surprise\":1,", 1);
        assert!(Message::parse(code, unknown.as_bytes()).is_err(), "{code} took an unknown name");
    }
}

#[test]
fn an_item_finds_its_codes_and_certificates() {
    let text = r#"{"SequenceNumeric":1,"Commodity":{"Description":"Wire","Classification":[
        {"ID":"740811","IdentificationTypeCode":"HS"},
        {"ID":"74081100","IdentificationTypeCode":"PCT"}]},"AdditionalDocument":[
        {"TypeCode":"380","ID":"INV-1"},{"TypeCode":"864","ID":"AZPK-2026-0001"}]}"#;
    let item: GoodsItem = json::from_slice(text.as_bytes()).expect("valid");
    assert_eq!(item.commodity.hs6(), Some("740811"));
    assert_eq!(item.commodity.national_code(), Some("74081100"));
    let quoted: Vec<_> = item.certificates().map(|doc| doc.id.as_str()).collect();
    assert_eq!(quoted, ["AZPK-2026-0001"]);
}

#[test]
fn every_example_round_trips_and_takes_no_unknown_name() {
    for kind in DocumentType::ALL {
        let path = format!("{}/testdata/messages/{kind}.json", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let message = Message::parse(kind.code(), &text)
            .unwrap_or_else(|error| panic!("{kind}: {:?}", std::error::Error::source(&error)));
        let written = message.to_canonical().expect("canonical");
        assert_eq!(Message::parse(kind.code(), &written).expect("valid"), message, "{kind}");
        let mut value = json::parse(&text).expect("strict JSON");
        let mut places = Vec::new();
        objects(&value, String::new(), &mut places);
        for place in places {
            let object = value.pointer_mut(&place).and_then(Value::as_object_mut).expect("there");
            object.insert("surprise".to_owned(), 1.into());
            let text = serde_json::to_vec(&value).expect("JSON");
            assert!(Message::parse(kind.code(), &text).is_err(), "{kind} took {place}/surprise");
            let object = value.pointer_mut(&place).and_then(Value::as_object_mut).expect("there");
            object.remove("surprise");
        }
    }
}

/// Collects the pointers of all objects in a value.
fn objects(value: &Value, at: String, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                objects(member, format!("{at}/{name}"), found);
            }
            found.push(at);
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}
