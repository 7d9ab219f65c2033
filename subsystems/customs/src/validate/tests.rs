use serde_json::{Value, json};

use super::fields::{FIELDS, Format, format_of};
use super::*;
use crate::messages::DocumentType;

fn now() -> Timestamp {
    "2026-10-05T00:00:00Z".parse().expect("valid")
}

fn sample(code: &str) -> Value {
    let path = format!("{}/testdata/messages/{code}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    karvan_types::json::parse(&text).expect("strict JSON")
}

fn problems_of(code: &str, value: &Value) -> Vec<Problem> {
    let text = serde_json::to_vec(value).expect("JSON");
    let message = Message::parse(code, &text)
        .unwrap_or_else(|error| panic!("{code}: {:?}", std::error::Error::source(&error)));
    validate(&message, now())
}

/// Changes one field of a good sample (null removes it) and expects exactly one new problem there.
fn check(code: &str, field: &str, value: Value, expected: (&str, &str, Severity)) {
    let mut message = sample(code);
    let (parent, name) = field.rsplit_once('/').expect("a JSON pointer");
    let target = message.pointer_mut(parent).unwrap_or_else(|| panic!("{code} has no {parent}"));
    match target {
        Value::Object(members) if value.is_null() => {
            assert!(members.remove(name).is_some(), "{code} has no {field}");
        }
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        _ => panic!("{parent} has no members"),
    }
    let known = problems_of(code, &sample(code));
    let found: Vec<_> =
        problems_of(code, &message).into_iter().filter(|p| !known.contains(p)).collect();
    let shown: Vec<_> = found.iter().map(|p| (p.pointer.as_str(), p.rule, p.severity)).collect();
    assert_eq!(shown, [expected], "{code} {field}: {found:#?}");
}

#[test]
fn samples_are_not_refused() {
    for kind in DocumentType::ALL {
        let problems = problems_of(kind.code(), &sample(kind.code()));
        assert!(!is_refused(&problems), "{kind}: {problems:#?}");
    }
    // The importer wrote the tax number with its check digit: worth a notice, nothing else.
    let problems = problems_of("IMP", &sample("IMP"));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems.first().map(|p| (p.rule, p.severity)), Some(("TAXID", Severity::Notice)));
    for quiet in
        ["EXD", "COO", "UTL", "VAL", "AMD", "CXL", "TRN", "QRY", "RSP", "LDG", "SEQ", "REC", "CMT"]
    {
        assert_eq!(problems_of(quiet, &sample(quiet)), [], "{quiet}");
    }
}

#[test]
fn header_rules() {
    use Severity::{Flag, Refuse};
    for (field, value, expected) in [
        ("/FunctionCode", json!("1"), ("FunctionCode", "FUNCTION", Refuse)),
        ("/TypeCode", json!("929"), ("TypeCode", "TYPE", Refuse)),
        ("/VersionID", json!(0), ("VersionID", "VERSION", Refuse)),
        ("/VersionID", json!(2), ("VersionID", "VERSION", Refuse)),
        ("/IssueDateTime", json!("1999-09-11T10:20:00Z"), ("IssueDateTime", "DATE", Refuse)),
        ("/IssueDateTime", json!("2026-10-07T00:00:00Z"), ("IssueDateTime", "DATE", Refuse)),
        ("/IssueDateTime", json!("2026-10-05T00:06:00Z"), ("IssueDateTime", "DATE", Flag)),
        (
            "/FunctionalReferenceID",
            json!("x".repeat(36)),
            ("FunctionalReferenceID", "LENGTH", Refuse),
        ),
        ("/ID", json!(" "), ("ID", "EMPTY", Refuse)),
        ("/ID", json!("AZ0017\u{202e}4411"), ("ID", "HIDDEN", Refuse)),
        ("/ID", json!("АZ0017"), ("ID", "CONFUSE", Flag)),
        ("/ID", json!("AZ0017 "), ("ID", "SPACE", Flag)),
    ] {
        check("EXD", field, value, expected);
    }
}

/// Turns the JSON pointer `/a/0/b/c` into `a[1]/b/c` and leaves out the last `up` steps.
fn pointer(field: &str, up: usize) -> String {
    let mut steps: Vec<String> = Vec::new();
    for step in field.split('/').skip(1) {
        match (step.parse::<usize>(), steps.last_mut()) {
            (Ok(index), Some(last)) => *last = format!("{last}[{}]", index + 1),
            _ => steps.push(step.to_owned()),
        }
    }
    steps.truncate(steps.len() - up);
    steps.join("/")
}

#[test]
fn declaration_rules() {
    use Severity::{Flag, Notice, Refuse};
    for (field, up, value, rule, severity) in [
        ("/GoodsItemQuantity", 0, json!(3), "TOTAL", Refuse),
        ("/TotalPackageQuantity", 0, json!(47), "TOTAL", Refuse),
        ("/TotalGrossMassMeasure/value", 1, json!("42.8"), "TOTAL", Refuse),
        ("/InvoiceAmount/value", 1, json!("231000.01"), "TOTAL", Refuse),
        ("/InvoiceAmount/currency", 1, json!("AZM"), "CURRENCY", Refuse),
        ("/InvoiceAmount/currency", 1, json!("usd"), "CURRENCY", Refuse),
        ("/Exporter/ID", 0, json!("1400057431"), "TAXID", Flag),
        ("/Exporter/ID", 0, json!("14000574"), "TAXID", Refuse),
        ("/Exporter/Name", 0, json!("SAME"), "FILLER", Refuse),
        ("/GoodsShipment/Consignee/Name", 0, json!("TO ORDER"), "FILLER", Notice),
        ("/Exporter/Name", 0, json!("a\u{301}\u{301}\u{301}\u{301}\u{301}"), "MARKS", Refuse),
        ("/Exporter/Name", 0, json!("Xəzər\u{200f}Kabel"), "HIDDEN", Notice),
        ("/Exporter/Address/CountryCode", 0, json!("ZZ"), "COUNTRY", Refuse),
        ("/BorderTransportMeans/ModeCode", 0, json!("M"), "MODE", Refuse),
        ("/GoodsShipment/Consignee", 0, Value::Null, "REQUIRED", Refuse),
        ("/GoodsShipment/Consignee/ID", 0, json!("LAHORE1"), "TAXID", Flag),
        ("/GoodsShipment/Destination/CountryCode", 1, json!("AZ"), "ROUTE", Refuse),
        ("/GoodsShipment/Destination/CountryCode", 1, json!("US"), "ROUTE", Flag),
        ("/GoodsShipment/Destination", 0, Value::Null, "REQUIRED", Flag),
        ("/GoodsShipment/ExportCountry/ID", 1, json!("GB"), "ROUTE", Flag),
        ("/GoodsShipment/ExportCountry", 0, Value::Null, "REQUIRED", Flag),
        ("/GoodsShipment/TradeTerms/ConditionCode", 0, json!("DAT"), "INCOTERM", Refuse),
        (
            "/GoodsShipment/Consignment/TransportEquipment/0/ID",
            0,
            json!("CSQU3054384"),
            "CONTAIN",
            Flag,
        ),
        ("/GoodsShipment/Consignment/RoutingCountryCode/1", 0, json!("XX"), "COUNTRY", Refuse),
    ] {
        check("EXD", field, value, (&pointer(field, up), rule, severity));
    }
}

#[test]
fn item_rules() {
    use Severity::{Flag, Notice, Refuse};
    let code = |id: &str, edition: u16| {
        let kind = "HS";
        json!({"ID": id, "IdentificationTypeCode": kind, "edition": edition})
    };
    for (field, up, value, rule, severity) in [
        ("SequenceNumeric", 0, json!(2), "SEQUENCE", Refuse),
        ("Origin", 0, Value::Null, "REQUIRED", Flag),
        ("Packaging/0/TypeCode", 0, json!("??"), "PACKAGE", Refuse),
        ("Commodity/Classification/1/ID", 0, json!("7408190000"), "HS", Refuse),
        ("Commodity/Classification/1/ID", 0, json!("74081100"), "CODE", Refuse),
        ("Commodity/GoodsMeasure/TariffQuantity/unit", 1, json!("MT"), "UNIT", Refuse),
        ("Commodity/GoodsMeasure/TariffQuantity/value", 2, json!("0"), "QUANTITY", Refuse),
        ("Commodity/GoodsMeasure/NetNetWeightMeasure/value", 2, json!("20801"), "MASS", Refuse),
        ("Commodity/GoodsMeasure/NetNetWeightMeasure/unit", 2, json!("C62"), "UNIT", Refuse),
        ("StatisticalValueAmount/value", 1, json!("1.0001"), "DECIMALS", Refuse),
        ("CustomsValueAmount", 1, json!({"value": "1", "currency": "PKR"}), "IMPORT", Flag),
        ("Commodity/Classification", 0, json!([]), "HS", Refuse),
    ] {
        let field = format!("/GoodsShipment/GovernmentAgencyGoodsItem/0/{field}");
        check("EXD", &field, value, (&pointer(&field, up), rule, severity));
    }
    for (code, rule, severity) in [
        (code("740812", 2022), "HS", Refuse),
        (code("7408.11", 2022), "CODE", Refuse),
        (code("740812", 2017), "HS", Refuse),
        (code("740811", 2017), "EDITION", Notice),
        (code("740812", 2012), "EDITION", Flag),
    ] {
        let field = "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Classification";
        let at = format!("{}[1]/ID", pointer(field, 0));
        check("EXD", field, json!([code]), (&at, rule, severity));
    }
}

#[test]
fn claim_rules() {
    use Severity::{Flag, Refuse};
    const ITEM: &str = "/GoodsShipment/GovernmentAgencyGoodsItem/0";
    const AT: &str = "GoodsShipment/GovernmentAgencyGoodsItem[1]";
    let document = format!("{ITEM}/AdditionalDocument/0");
    for (field, value, rest, rule, severity) in [
        (format!("{document}/LineNumeric"), Value::Null, "AdditionalDocument", "CERT", Flag),
        (format!("{document}/EffectiveDateTime"), Value::Null, "AdditionalDocument", "CERT", Flag),
        (format!("{ITEM}/CustomsValueAmount"), Value::Null, "CustomsValueAmount", "REQUIRED", Flag),
        (format!("{ITEM}/Origin"), Value::Null, "Origin", "REQUIRED", Refuse),
    ] {
        check("IMP", &field, value, (&format!("{AT}/{rest}"), rule, severity));
    }
    let importer = ("GoodsShipment/Importer", "REQUIRED", Refuse);
    check("IMP", "/GoodsShipment/Importer", Value::Null, importer);
}

#[test]
fn certificate_rules() {
    use Severity::{Flag, Refuse};
    const ITEM: &str = "/GovernmentAgencyGoodsItem/0";
    const AT: &str = "GovernmentAgencyGoodsItem[1]";
    for (field, value, pointer, rule, severity) in [
        ("/validUntil".to_owned(), json!("2026-09-09"), "validUntil".to_owned(), "DATE", Refuse),
        ("/validUntil".to_owned(), json!("2062-09-09"), "validUntil".to_owned(), "DATE", Flag),
        (
            "/replaces".to_owned(),
            json!("AZPK-2026-000123"),
            "replaces".to_owned(),
            "REPLACES",
            Refuse,
        ),
        ("/issuer".to_owned(), json!({}), "issuer".to_owned(), "PARTY", Refuse),
        ("/sharingLevel".to_owned(), json!("L1"), format!("{AT}/fobValue"), "SHARING", Refuse),
        (
            "/invoices/0/IssueDateTime".to_owned(),
            json!("2026-09-11"),
            "invoices[1]/IssueDateTime".to_owned(),
            "DATE",
            Flag,
        ),
        (format!("{ITEM}/rvcPercent"), Value::Null, format!("{AT}/rvcPercent"), "RVC", Refuse),
        (format!("{ITEM}/rvcPercent"), json!("475"), format!("{AT}/rvcPercent"), "RVC", Refuse),
        (
            format!("{ITEM}/quantity/value"),
            json!("0"),
            format!("{AT}/quantity"),
            "QUANTITY",
            Refuse,
        ),
        (
            format!("{ITEM}/originCriterion"),
            json!("WO"),
            format!("{AT}/nonOriginatingValue"),
            "ORIGIN",
            Flag,
        ),
        (
            format!("{ITEM}/nonOriginatingValue/value"),
            json!("196001"),
            format!("{AT}/nonOriginatingValue"),
            "ORIGIN",
            Refuse,
        ),
    ] {
        check("COO", &field, value, (&pointer, rule, severity));
    }
}

#[test]
fn answer_and_change_rules() {
    use Severity::Refuse;
    for (code, field, value, pointer, rule) in [
        ("UTL", "/certificate/documentType", json!("EXD"), "certificate/documentType", "TYPE"),
        ("UTL", "/items", json!([]), "items", "ITEMS"),
        ("UTL", "/items/0/decision", json!("denied"), "items[1]/WriteOff", "DEBIT"),
        ("UTL", "/items/0/WriteOff", json!({}), "items[1]/WriteOff", "DEBIT"),
        (
            "UTL",
            "/items/0/StatementDescription",
            Value::Null,
            "items[1]/StatementDescription",
            "REASON",
        ),
        ("UTL", "/decisionDate", json!("2027-01-01"), "decisionDate", "DATE"),
        ("VAL", "/Error", Value::Null, "Error", "REASON"),
        ("VAL", "/document/documentType", json!("XYZ"), "document/documentType", "TYPE"),
        ("AMD", "/Amendment", json!([]), "Amendment", "ITEMS"),
        ("AMD", "/FunctionCode", json!("9"), "FunctionCode", "FUNCTION"),
        ("CXL", "/document/ID", json!("AZPK-1"), "document/ID", "REFERENC"),
        ("CXL", "/replacedBy", json!("AZPK-2026-000123"), "replacedBy", "REPLACES"),
    ] {
        if code == "AMD" && field == "/FunctionCode" {
            // An original with version 2 breaks two rules; both are reported.
            let mut message = sample(code);
            message["FunctionCode"] = value;
            let rules: Vec<_> = problems_of(code, &message).iter().map(|p| p.rule).collect();
            assert_eq!(rules, ["FUNCTION", "VERSION"]);
            continue;
        }
        check(code, field, value, (pointer, rule, Refuse));
    }
}

#[test]
fn all_problems_are_collected_up_to_the_bound() {
    let mut message = sample("EXD");
    let routes: Vec<_> = (0..600).map(|_| "XX").collect();
    message["GoodsShipment"]["Consignment"]["RoutingCountryCode"] = json!(routes);
    let problems = problems_of("EXD", &message);
    assert_eq!(problems.len(), PROBLEMS_MAX);
    assert!(is_refused(&problems));
}

#[test]
fn rule_names_fit_the_validation_code() {
    let mut message = sample("EXD");
    message["GoodsItemQuantity"] = json!(9);
    for problem in problems_of("EXD", &message) {
        let error = ValidationError::from(problem);
        assert!(error.rule.len() <= 8 && !error.remedy.is_empty(), "{error:?}");
    }
}

#[test]
fn hidden_characters_are_left_out_when_shown() {
    assert_eq!(visible("Bakı\u{202e}\u{200b} ok\u{7}"), "Bakı ok");
    assert!(matches!(visible("خیابان"), Cow::Borrowed(_)));
}

/// The lengths in the table are those of the published element list.
#[test]
fn lengths_follow_the_element_list() {
    let Some(folder) = std::env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED lengths_follow_the_element_list: KARVAN_TEST_DATA is not set");
        return;
    };
    let path = std::path::Path::new(&folder).join("customs/wco-dec-elements.csv");
    let mut reader = csv::Reader::from_path(path).expect("the element list");
    let mut compared = std::collections::BTreeSet::new();
    for row in reader.records() {
        let row = row.expect("a row");
        let (path, format) = (&row[0], &row[3]);
        // Header elements stand at the top; groups have no format.
        let Some(length) = format.rsplit("..").next().filter(|_| format.contains("..")) else {
            continue;
        };
        let whole: usize = length.split(',').next().unwrap_or_default().parse().expect("a length");
        let known = match format_of(path) {
            Some(Format::Id(max) | Format::Text(max)) => max,
            Some(Format::Number(max)) => usize::try_from(max).expect("small"),
            _ => continue,
        };
        let used = FIELDS.iter().filter(|(name, _)| name.contains('/') && path.ends_with(name));
        for (name, _) in used {
            assert_eq!(known, whole, "{path} by {name}");
            compared.insert(*name);
        }
    }
    assert!(compared.len() > 15, "only {compared:?} were compared");
}
