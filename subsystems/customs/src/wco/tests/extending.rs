//! Tests of values that go with a message without a field of their own.

use std::collections::BTreeMap;

use quick_xml::events::Event;
use serde_json::json;

use super::*;
use crate::messages::Extension;

/// Every value of the declaration in a text, by its path with occurrences; attributes after `@`.
fn values(xml: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open: Vec<(String, BTreeMap<String, usize>)> = Vec::new();
    let mut reader = quick_xml::reader::Reader::from_str(xml);
    loop {
        let event = reader.read_event().expect("well-formed");
        let at = |open: &[(String, BTreeMap<String, usize>)]| {
            let inner = open.iter().skip_while(|(step, _)| step != "Declaration[1]").skip(1);
            inner.map(|(step, _)| step.as_str()).collect::<Vec<_>>().join("/")
        };
        match event {
            Event::Start(ref tag) | Event::Empty(ref tag) => {
                let name = tag.local_name().as_ref().to_owned();
                let number = open.last_mut().map_or(1, |(_, names)| {
                    let count = names.entry(name.clone()).or_default();
                    *count += 1;
                    *count
                });
                open.push((format!("{name}[{number}]"), BTreeMap::new()));
                let path = at(&open);
                for attribute in tag.attributes().map(|attribute| attribute.expect("good")) {
                    let name = attribute.key.as_ref();
                    if !path.is_empty() && !name.starts_with("xmlns") && !name.contains(':') {
                        let value = attribute.value.into_owned();
                        found.insert(format!("{path}/@{name}"), value);
                    }
                }
                if matches!(event, Event::Empty(_)) {
                    open.pop();
                }
            }
            Event::Text(text) => {
                let path = at(&open);
                let text = text.as_ref().trim().to_owned();
                if !path.is_empty() && !text.is_empty() {
                    found.entry(path).or_insert_with(String::new).push_str(&text);
                }
            }
            Event::GeneralRef(entity) => {
                let entity = format!("&{};", entity.as_ref());
                found.entry(at(&open)).or_insert_with(String::new).push_str(&entity);
            }
            Event::End(_) => drop(open.pop()),
            Event::Eof => return found,
            _ => {}
        }
    }
}

/// Returns whether two values say the same: instants whatever their offset, amounts whatever their
/// scale, and a unit without the qualifier of the profile, which is noted.
fn is_same(one: &str, other: &str) -> bool {
    let instant = |text: &str| instant_304(text).map(|instant| instant.to_string());
    let number = |text: &str| karvan_types::amount::parse_decimal(text).ok();
    one == other
        || one.split_once('#').is_some_and(|(unit, _)| unit == other)
        || instant(one).is_some_and(|one| Some(one) == instant(other))
        || number(one).is_some_and(|one| Some(one) == number(other))
}

/// National codes that the message states by the codes of the exchange, which is noted.
fn is_noted(path: &str) -> bool {
    path == "TypeCode[1]" || path.ends_with("/AdditionalDocument[1]/TypeCode[1]")
}

/// No value of a published declaration is lost on the way through JSON and back, nor moved.
#[test]
fn published_declarations_keep_every_value() {
    let Some(data) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED published_declarations_keep_every_value: KARVAN_TEST_DATA is not set");
        return;
    };
    let mut count = 0;
    for entry in fs::read_dir(Path::new(&data).join("customs/wco-dec-samples")).expect("samples") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("response") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a sample");
        let imported = import(text.as_bytes(), context()).expect("read");
        let outside = |loss: &Loss| loss.path.starts_with("MetaData/");
        assert!(imported.not_carried_over.iter().all(outside), "{name}: {imported:?}");
        let json = imported.message.to_value().expect("JSON");
        let kind = imported.message.document_type();
        let message = Message::from_value(kind, json).expect("read back");
        let written = write(&message).expect("written");
        let (before, after) = (values(&text), values(&written.xml));
        assert!(before.len() > 10, "{name}");
        for (path, value) in &before {
            let found = after.get(path).map_or("nothing", String::as_str);
            assert!(is_same(value, found) || is_noted(path), "{name} {path}: {value} is {found}");
        }
        let again = import(written.xml.as_bytes(), context()).expect("read again").message;
        assert_eq!(again, message, "{name}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn siblings_keep_their_places() {
    let item = "<AdditionalDocument><TypeCode>271</TypeCode></AdditionalDocument>\
                <AdditionalDocument><TypeCode>864</TypeCode><ID>A</ID><Name>first</Name>\
                </AdditionalDocument><AdditionalDocument><CategoryCode>N</CategoryCode>\
                </AdditionalDocument><AdditionalDocument><TypeCode>851</TypeCode><ID>B</ID>\
                </AdditionalDocument></GovernmentAgencyGoodsItem>";
    let xml = declaration("", "").replace("</GovernmentAgencyGoodsItem>", item);
    let message = import(xml.as_bytes(), context()).expect("read").message;
    let Message::Export(export) = &message else { panic!("an export declaration") };
    let documents = &export.shipment.items[0].additional_documents;
    assert_eq!(documents.len(), 2);
    let written = write(&message).expect("written").xml;
    let at = "GoodsShipment[1]/GovernmentAgencyGoodsItem[1]/AdditionalDocument";
    let (before, after) = (values(&xml), values(&written));
    for (place, name, value) in [
        (1, "TypeCode", "271"),
        (2, "TypeCode", "864"),
        (2, "Name", "first"),
        (3, "CategoryCode", "N"),
        (4, "ID", "B"),
    ] {
        let path = format!("{at}[{place}]/{name}[1]");
        assert_eq!(before.get(&path).map(String::as_str), Some(value), "{path}");
        assert_eq!(after.get(&path).map(String::as_str), Some(value), "{path}");
    }
    // A pointer counts as customs counts: the fourth document is removed.
    let mut change: serde_json::Value = serde_json::from_slice(
        &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages/AMD.json"))
            .expect("an example"),
    )
    .expect("JSON");
    change["ID"] = json!("R-1");
    change["document"] = json!({"documentType": "EXD", "ID": "R-1"});
    change["Amendment"][0]["Pointer"] = json!([
        { "DocumentSectionCode": "67A" }, { "DocumentSectionCode": "68A" },
        { "DocumentSectionCode": "02A", "SequenceNumeric": 4 }
    ]);
    change["values"] = json!([]);
    let change: crate::messages::Amendment = serde_json::from_value(change).expect("an amendment");
    let amended = amend(&message, &change).expect("amended");
    assert_eq!(amended.not_carried_over, []);
    let Message::Export(amended) = amended.message else { panic!("an export declaration") };
    let left: Vec<_> = amended.shipment.items[0].additional_documents.iter().collect();
    assert_eq!((left.len(), left[0].id.as_str()), (1, "A"));
    assert_eq!(amended.ext, export.ext);
}

#[test]
fn values_beside_replace_nothing_of_the_message() {
    let message = import(declaration("", "").as_bytes(), context()).expect("read").message;
    let plain = write(&message).expect("written").xml;
    let beside = |path: &str, depth: u32| {
        let mut message = message.clone();
        let value = Extension { path: path.to_owned(), depth, value: "X".to_owned() };
        extension::place(&mut message).expect("a declaration").push(value);
        message
    };
    // Refused where messages are checked.
    for (path, depth) in [
        ("Wish", 0),
        ("Exporter/Mood", 1),
        ("Exporter/Name/@kind", 2),
        ("Exporter/Name", 3),
        ("Exporter//Name", 0),
        ("Exporter[0]/Name", 0),
    ] {
        let problems = validate(&beside(path, depth), context().received_at);
        let rule = problems.iter().find(|problem| problem.pointer == "ext[1]/path");
        assert_eq!(rule.map(|problem| problem.rule), Some("PATH"), "{path} {depth}");
    }
    // A text of the message stays; what is put before it is not taken for it.
    let same = write(&beside("Exporter/Name", 2)).expect("written");
    assert_eq!(same.xml, plain);
    assert!(same.losses.iter().any(|loss| loss.field == "ext[1]"), "{same:?}");
    let Message::Amendment(mut change) = Message::parse(
        "AMD",
        &fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages/AMD.json"))
            .expect("an example"),
    )
    .expect("an amendment") else {
        panic!("an amendment")
    };
    let header = message.header();
    change.header.id.clone_from(&header.id);
    change.document.id.clone_from(&header.id);
    change.amendments[0].pointers[1].section = "42A".to_owned();
    change.amendments[0].pointers.truncate(2);
    change.amendments[0].pointers[1].tag = Some("065".to_owned());
    change.values[0].path = "DeclarationOfficeID".to_owned();
    let amended = amend(&beside("Exporter/Name", 0), &change).expect("amended");
    let Message::Export(export) = amended.message else { panic!("an export declaration") };
    assert_eq!(export.exporter.name.as_deref(), Some("A & B ə"));
    let left: Vec<_> = amended.not_carried_over.iter().map(|loss| loss.path.as_str()).collect();
    assert_eq!(left, ["Exporter/Name"]);
}
