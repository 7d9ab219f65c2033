//! Any message, to any format that has it, and back: what does not return is listed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Every document type, with whether WCO XML, EDIFACT and the UN/CEFACT certificate have it.
const TYPES: [(&str, bool, bool, bool); 14] = [
    ("EXD", true, true, false),
    ("IMP", true, true, false),
    ("COO", false, false, true),
    ("AMD", true, false, false),
    ("CXL", true, true, false),
    ("VAL", true, true, false),
    ("UTL", true, true, false),
    ("CMT", false, false, false),
    ("LDG", false, false, false),
    ("QRY", false, false, false),
    ("REC", false, false, false),
    ("RSP", false, false, false),
    ("SEQ", false, false, false),
    ("TRN", false, false, false),
];

/// The values that the receiver supplies when a format has no place for them.
const SUPPLIED: [&str; 5] =
    ["agreementID", "sharingLevel", "IssueDateTime", "VersionID", "FunctionalReferenceID"];

/// A change of a message: at which value, what, and a text for it.
type Change = (usize, u8, String);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let text = "[ -~əğıŞ\u{410}-\u{44f}\u{627}-\u{64a}]{0,90}";
    prop::collection::vec((any::<usize>(), 0_u8..5, text), 0..5)
}

/// Lists every value with its path: names, and occurrences counted from 1.
fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                leaves(value, &path, found);
            }
        }
        Value::Array(list) => {
            for (value, number) in list.iter().zip(1..) {
                leaves(value, &format!("{path}[{number}]"), found);
            }
        }
        other => drop(found.insert(path.to_owned(), other.clone())),
    }
}

/// Returns a JSON pointer to the place above a path, and the last name of it.
fn pointer(path: &str) -> (String, String) {
    let (mut above, mut last) = (String::new(), String::new());
    for step in path.replace('[', "/").replace(']', "").split('/') {
        if !last.is_empty() {
            above = format!("{above}/{last}");
        }
        // Occurrences are counted from 1 in paths, from 0 in pointers.
        last = step.parse::<usize>().map_or(step.to_owned(), |at| (at - 1).to_string());
    }
    (above, last)
}

fn change(value: &mut Value, (place, kind, text): &Change) {
    let mut found = BTreeMap::new();
    leaves(value, "", &mut found);
    let Some((path, leaf)) = found.iter().nth(place % found.len().max(1)) else { return };
    let (above, last) = pointer(path);
    match (value.pointer_mut(&above), kind) {
        (Some(Value::Object(members)), 0) => drop(members.remove(&last)),
        (Some(Value::Array(list)), 0 | 1) => list.extend(list.first().cloned()),
        (Some(Value::Object(members)), 1) if leaf.is_number() => {
            members.insert(last, (place % 100_000).into());
        }
        (Some(Value::Object(members)), 2) if last == "value" => {
            let digits = format!("{}.{:03}", place % 10_000_000_000, place % 1000);
            members.insert(last, digits.into());
        }
        (Some(Value::Object(members)), _) if leaf.is_string() => {
            members.insert(last, text.as_str().into());
        }
        _ => {}
    }
}

/// Returns the values in which two messages differ and that no loss covers.
fn unlisted(original: &Value, back: &Value, losses: &[Loss]) -> Vec<String> {
    let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
    leaves(original, "", &mut before);
    leaves(back, "", &mut after);
    let differs = |path: &&String| before.get(*path) != after.get(*path);
    let covers = |loss: &Loss, path: &str| {
        path.strip_prefix(loss.field.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
    };
    let paths = before.keys().chain(after.keys()).filter(differs);
    let paths = paths.filter(|path| {
        let is_supplied = !before.contains_key(*path) || SUPPLIED[..2].contains(&path.as_str());
        let is_supplied = is_supplied && SUPPLIED.contains(&path.as_str());
        !is_supplied && !losses.iter().any(|loss| covers(loss, path))
    });
    paths.cloned().collect()
}

fn targets(wco: bool, edifact: bool, certificate: bool) -> Vec<Target<'static>> {
    let mut targets = Vec::new();
    targets.extend(wco.then_some(Target::Wco));
    targets.extend(certificate.then_some(Target::Coo));
    if edifact {
        targets.extend(Directory::ALL.map(|directory| Target::Edifact(directory, envelope())));
    }
    targets
}

/// Returns whether the changed example is a message; if it is, it has made all its ways.
fn there_and_back(
    (code, wco, edifact, certificate): (&str, bool, bool, bool),
    changes: &[Change],
) -> Result<bool, TestCaseError> {
    let mut value: Value = serde_json::from_slice(&example(code)).expect("JSON");
    for made in changes {
        change(&mut value, made);
    }
    let Ok(message) = Message::parse(code, value.to_string().as_bytes()) else { return Ok(false) };
    let text = message.to_canonical().expect("a canonical form");
    prop_assert_eq!(&Message::parse(code, &text).expect("read again"), &message);
    every_way(message, &targets(wco, edifact, certificate)).map(|()| true)
}

/// Writes a message in each format and reads it back: every value returns or is listed.
fn every_way(message: Message, targets: &[Target<'_>]) -> Result<(), TestCaseError> {
    let code = message.document_type().code();
    let original = message.to_value().expect("a value");
    // What a change speaks about is the receiver's to know.
    let about = original.pointer("/document/documentType").and_then(Value::as_str);
    let subject = about.and_then(DocumentType::from_code).unwrap_or(DocumentType::Export);
    let of = Context { subject, ..context() };
    let document = Document::Message(message);
    for target in targets {
        let (bytes, losses) = match write(&document, target) {
            Ok(written) => written,
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::Invalid, "{}", error);
                continue;
            }
        };
        let format = detect(&bytes).expect("a format");
        let mut contents = read(&bytes, format, of).expect("what was written is read");
        let back = contents.documents.pop().expect("a document").document;
        prop_assert_eq!(back.name(), code);
        let missing = unlisted(&original, &back.to_value().expect("a value"), &losses);
        prop_assert!(missing.is_empty(), "{:?}: {:?} of {}", target, missing, original);
    }
    Ok(())
}

/// That XML keeps every value of these is tested beside its reader; here they go on as EDIFACT of
/// both directories, and what does not come back is listed.
#[test]
fn published_declarations_make_every_way() {
    let Some(data) = std::env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED published_declarations_make_every_way: KARVAN_TEST_DATA is not set");
        return;
    };
    let folder = std::path::Path::new(&data).join("customs/wco-dec-samples");
    let (mut count, mut kinds) = (0, std::collections::BTreeSet::new());
    for entry in std::fs::read_dir(folder).expect("samples") {
        let path = entry.expect("an entry").path();
        let xml = std::fs::read(&path).expect("a sample");
        if wco::is_response(&xml) {
            continue;
        }
        let message = wco::import(&xml, context()).expect("a sample").message;
        kinds.insert(message.document_type().code());
        let result = every_way(message, &targets(true, true, false));
        assert!(result.is_ok(), "{}: {result:?}", path.display());
        count += 1;
    }
    assert_eq!(
        (count, kinds.into_iter().collect::<Vec<_>>()),
        (8, vec!["AMD", "CXL", "EXD", "IMP"])
    );
}

#[test]
fn the_examples_make_every_way() {
    for row in TYPES {
        let result = there_and_back(row, &[]);
        assert!(matches!(result, Ok(true)), "{}: {result:?}", row.0);
    }
}

#[test]
fn a_difference_that_is_not_listed_is_found() {
    let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let original = value(r#"{"a":[{"b":"x"},{"b":"y"}],"VersionID":2,"c":{"d":1}}"#);
    let back = value(r#"{"a":[{"b":"x"},{"b":"z"}],"VersionID":1,"c":{}}"#);
    let losses = [Loss::new("a[2]", "why")];
    assert_eq!(unlisted(&original, &back, &losses), ["VersionID", "c/d", "VersionID"]);
    assert_eq!(unlisted(&original, &original, &[]), Vec::<String>::new());
    let mut changed = original.clone();
    change(&mut changed, &(1, 3, "new".to_owned()));
    assert_eq!(changed.pointer("/a/0/b"), Some(&"new".into()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// A value may be absent, repeated, too wide, or of any script.
    #[test]
    fn what_does_not_come_back_is_listed(
        row in prop::sample::select(&TYPES[..]),
        made in changes(),
    ) {
        there_and_back(row, &made)?;
    }
}
