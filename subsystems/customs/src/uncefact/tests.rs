use std::path::Path;
use std::{env, fs};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Set to rewrite the expectation files from what is found.
const UPDATE: &str = "KARVAN_UPDATE_EXPECTED";

fn example() -> CertificateOfOrigin {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages/COO.json");
    json::from_slice(&fs::read(path).expect("an example")).expect("a certificate")
}

fn document() -> Value {
    write(&example()).expect("written").0
}

#[test]
fn the_example_keeps_its_form_and_comes_back() {
    let (core, losses) = write(&example()).expect("written");
    assert_eq!(losses, []);
    let text = serde_json::to_string_pretty(&core).expect("JSON") + "\n";
    let back = import(text.as_bytes()).expect("read");
    assert_eq!((back.certificate, back.not_carried_over), (example(), vec![]));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/uncefact/COO.json");
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, &text).expect("writing an expectation");
    }
    assert_eq!(fs::read_to_string(&path).unwrap_or_default(), text, "set {UPDATE}=1 to accept");
}

#[test]
fn shipped_certificates_come_back() {
    let mut count = 0;
    for (name, message) in crate::formats::tests::sample_messages() {
        let Message::Certificate(certificate) = message else { continue };
        let (core, losses) = write(&certificate).expect("written");
        assert_eq!(losses, [], "{name}");
        let back = import(core.to_string().as_bytes()).expect("read");
        assert_eq!(back.certificate, *certificate, "{name}");
        assert_eq!(back.not_carried_over, [], "{name}");
        count += 1;
    }
    assert!(count >= 20, "only {count} certificates");
}

/// Every place that is written is one of the published schema.
#[test]
fn places_are_those_of_the_schema() {
    let Some(folder) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED places_are_those_of_the_schema: KARVAN_TEST_DATA is not set");
        return;
    };
    let path = Path::new(&folder).join("customs/coo/uncefact-PreferentialCoO-D23B.schema.json");
    let schema: Value = serde_json::from_slice(&fs::read(path).expect("the schema")).expect("JSON");
    check_places(&schema, &schema["properties"], &document(), "");
}

/// What is written is valid by the published schema, as an independent validator judges it, and
/// the validator notices what is not.
#[test]
fn documents_are_valid_by_the_published_schema() {
    const NAME: &str = "documents_are_valid_by_the_published_schema";
    let Some(folder) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED {NAME}: KARVAN_TEST_DATA is not set");
        return;
    };
    let path = Path::new(&folder).join("customs/coo/uncefact-PreferentialCoO-D23B.schema.json");
    let mut schema: Value =
        serde_json::from_slice(&fs::read(path).expect("the schema")).expect("JSON");
    // The published file has one code of each of these lists, such as Germany of all countries.
    let lists = schema.pointer_mut("/$defs/codeList/$defs").and_then(Value::as_object_mut);
    for list in lists.expect("code lists").values_mut().filter_map(Value::as_object_mut) {
        let is_cut = list.get("enum").and_then(Value::as_array).is_some_and(|all| all.len() == 1);
        if is_cut && list["enum"] != json!(["864"]) {
            list.remove("enum");
        }
    }
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let faults = |value: &Value| -> Vec<String> {
        let all = schema.iter_errors(value);
        all.map(|error| format!("{}: {error}", error.instance_path())).collect()
    };
    let shipped = crate::formats::tests::sample_messages().into_iter();
    let certificates = shipped.filter_map(|(name, message)| match message {
        Message::Certificate(certificate) => Some((name, *certificate)),
        _ => None,
    });
    let mut count = 0;
    for (name, certificate) in certificates.chain([("example".to_owned(), example())]) {
        let (mut value, _) = write(&certificate).expect("written");
        // The extension is ours; the schema speaks about everything beside it.
        assert!(value.as_object_mut().is_some_and(|members| members.remove(EXTENSION).is_some()));
        assert_eq!(faults(&value), Vec::<String>::new(), "{name}");
        count += 1;
    }
    assert!(count >= 20, "only {count} certificates");
    let mut wrong = document();
    assert!(put(&mut wrong, "/exchangedDocument/typeCode", json!(["861"])));
    assert!(!faults(&wrong).is_empty());
}

/// Walks value and schema side by side.
fn check_places(root: &Value, properties: &Value, value: &Value, place: &str) {
    for (name, value) in value.as_object().expect("an object") {
        if name == EXTENSION {
            continue;
        }
        let below = format!("{place}/{name}");
        let property = &properties[name];
        assert!(property.is_object(), "{below} is not in the schema");
        let (mut inner, mut value) = (property, value);
        if let Value::Array(list) = value {
            assert_eq!(inner["type"], "array", "{below} is no list");
            value = list.first().expect("an entry");
            inner = &inner["items"];
        } else {
            assert_ne!(inner["type"], "array", "{below} is a list");
        }
        let reference = inner["$ref"].as_str().or_else(|| inner["oneOf"][0]["$ref"].as_str());
        if let (true, Some(reference)) = (value.is_object(), reference) {
            let target = root.pointer(reference.trim_start_matches('#')).expect("a definition");
            check_places(root, &target["properties"], value, &below);
        }
    }
}

#[test]
fn documents_that_do_not_fit_are_refused() {
    let change = |pointer: &str, new: Value| {
        let mut value = document();
        assert!(put(&mut value, pointer, new), "{pointer}");
        value.to_string()
    };
    let consignment = "/specifiedConsignment/0";
    let product = format!("{consignment}/includedConsignmentItem/0");
    for (text, rule) in [
        (String::new(), "not strict JSON"),
        ("[]".to_owned(), "only 864"),
        ("{\"a\":1,\"a\":2}".to_owned(), "line 1 column"),
        (change("/exchangedDocument/typeCode/content", json!("861")), "is `861`; only 864"),
        (change("/specifiedConsignment", json!([])), "has 0 entries"),
        (change("/specifiedConsignment", json!([{}, {}])), "has 2 entries"),
        (change("/exchangedDocument/issueDateTime", json!("2026-09-10")), "with offset"),
        (change("/exchangedDocument/id/content", json!(7)), "it must be a text"),
        (change("/exchangedDocument/issuer", json!("https://a.example/b")), "is a link"),
        (change(&format!("{product}/id/0/content"), json!("one")), "whole number in digits"),
        (change(&format!("{product}/id/0/content"), json!("99999999999")), "whole number"),
        (change("/x-karvan", json!([])), "must be an object"),
        (change("/x-karvan", json!({})), "missing field"),
        (change("/x-karvan/ID", json!("OTHER")), "make them equal"),
        (change("/x-karvan/Exporter", json!("A")), "leave it out"),
        (change("/x-karvan/Mood", json!("good")), "unknown field"),
        (change("/x-karvan/validUntil", json!("soon")), "YYYY-MM-DD"),
    ] {
        let error = import(text.as_bytes()).expect_err(rule);
        let shown = match &error {
            Error::Json(source) => format!("{error} {source}"),
            _ => error.to_string(),
        };
        assert!(shown.contains(rule), "{rule}: {shown}");
    }
}

#[test]
fn nothing_is_dropped_in_silence() {
    for (pointer, new, expected) in [
        ("/exchangedDocument/purpose", json!("x"), "/exchangedDocument/purpose: `x`"),
        (
            "/specifiedConsignment/0/id",
            json!([{ "content": "C" }]),
            "/specifiedConsignment/0/id/0/content: `C`",
        ),
        (
            "/specifiedConsignment/0/loadingLogisticsLocation/id/0/schemeAgencyId",
            json!("9"),
            "/specifiedConsignment/0/loadingLogisticsLocation/id/0/schemeAgencyId: `9`",
        ),
    ] {
        let mut value = document();
        assert!(put(&mut value, pointer, new), "{pointer}");
        let lost = import(value.to_string().as_bytes()).expect("read").not_carried_over;
        let found: Vec<_> = lost.iter().map(|loss| loss.field.as_str()).collect();
        assert_eq!(found, [expected]);
    }
}

proptest! {
    /// Whatever arrives is read or refused, and never a panic.
    #[test]
    fn damaged_documents_never_panic(
        cut in 0_usize..4000,
        length in 0_usize..30,
        insert in "[\\[\\]{}\":,a-z0-9/]{0,8}",
    ) {
        let mut text = document().to_string().into_bytes();
        let from = cut.min(text.len());
        let to = (from + length).min(text.len());
        text.splice(from..to, insert.bytes());
        drop(import(&text));
    }
}
