//! Tests of amendments with several changes: each is about the declaration as it was before.

use serde_json::{Value, json};

use super::*;
use crate::messages::Amendment;

/// The example declaration with four documents on its first item.
fn declaration() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages/EXD.json");
    let mut value: Value =
        serde_json::from_slice(&fs::read(path).expect("an example")).expect("JSON");
    let document = |code: &str, id: &str| json!({"TypeCode": code, "ID": id});
    value["GoodsShipment"]["GovernmentAgencyGoodsItem"][0]["AdditionalDocument"] = json!([
        document("864", "A"),
        document("105", "B"),
        document("271", "C"),
        document("851", "D")
    ]);
    value
}

/// Pointers in a row: `67A 68A[2] 02A[3].360`; that to the declaration itself may be left out.
fn pointers(text: &str) -> Vec<Value> {
    let steps = text.split(' ').map(|step| {
        let (step, tag) =
            step.split_once('.').map_or((step, None), |(step, tag)| (step, Some(tag)));
        let (section, number) = step.trim_end_matches(']').split_once('[').unwrap_or((step, "1"));
        let number: u32 = number.parse().expect("a number");
        let mut pointer = json!({"SequenceNumeric": number, "DocumentSectionCode": section});
        if let Some(tag) = tag {
            pointer["TagID"] = json!(tag);
        }
        pointer
    });
    steps.collect()
}

const ITEM: &str = "GoodsShipment/GovernmentAgencyGoodsItem";

/// Applies changes; `+` in a path stands for the items. Returns the amended declaration and what
/// was not applied.
fn amended(changes: &[&str], values: &[(&str, &str)]) -> Result<(Value, Vec<String>), Unamendable> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/messages/AMD.json");
    let mut value: Value =
        serde_json::from_slice(&fs::read(path).expect("an example")).expect("JSON");
    let changes: Vec<Value> = (changes.iter())
        .map(|change| json!({"ChangeReasonCode": "25", "Pointer": pointers(change)}))
        .collect();
    value["Amendment"] = json!(changes);
    let values: Vec<Value> = (values.iter())
        .map(|(path, value)| json!({"path": path.replace('+', ITEM), "value": value}))
        .collect();
    value["values"] = json!(values);
    let amendment: Amendment = serde_json::from_value(value).expect("an amendment");
    let declaration = Message::from_value(DocumentType::Export, declaration()).expect("an EXD");
    let amended = amend(&declaration, &amendment)?;
    let lost = amended.not_carried_over.iter().map(|loss| format!("{}={}", loss.path, loss.value));
    Ok((amended.message.to_value().expect("a value"), lost.collect()))
}

/// Shows the documents of the first item: `864 A, 105 B`.
fn documents(value: &Value) -> String {
    let documents = value.pointer(&format!("/{ITEM}/0/AdditionalDocument"));
    let shown = documents.and_then(Value::as_array).into_iter().flatten().map(|document| {
        let text = |name: &str| document[name].as_str().expect("a text").to_owned();
        let exemption = document["LPCOExemptionCode"].as_str();
        let exemption = exemption.map_or_else(String::new, |code| format!(" {code}"));
        format!("{} {}{exemption}", text("TypeCode"), text("ID"))
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn changes_count_in_the_declaration_before_them() {
    let doc = |number: u32, tag: &str| format!("67A 68A 02A[{number}]{tag}");
    let (one, two, three, four) = (doc(1, ""), doc(2, ""), doc(3, ""), doc(4, ""));
    let (five, six) = (doc(5, ""), doc(6, ""));
    let (new, other) = (
        [("+/AdditionalDocument/TypeCode", "864"), ("+/AdditionalDocument/ID", "N")],
        [("+/AdditionalDocument[2]/TypeCode", "911"), ("+/AdditionalDocument[2]/ID", "M")],
    );
    let both: Vec<_> = new.iter().chain(&other).copied().collect();
    let plant = [("+/AdditionalDocument/TypeCode", "851"), ("+/AdditionalDocument/ID", "N")];
    let code = [
        ("+/AdditionalDocument/TypeCode", "851"),
        ("+/AdditionalDocument/ID", "D"),
        ("+/AdditionalDocument/LPCOExemptionCode", "EP"),
    ];
    let unclear =
        "it is not clear which `/GoodsShipment[1]/GovernmentAgencyGoodsItem[1]/Additional";
    for (changes, values, expected) in [
        (&[&two, &three][..], &[][..], "864 A, 851 D"),
        (&[&three, &two], &[], "864 A, 851 D"),
        (&[&one, &four], &new, "864 N, 105 B, 271 C"),
        (&[&four, &one], &new, "864 N, 105 B, 271 C"),
        (&[&one, &four], &plant, "105 B, 271 C, 851 N"),
        (&[&doc(4, ".360"), &one], &code, "105 B, 271 C, 851 D EP"),
        (&[&four], &new, "864 A, 105 B, 271 C, 864 N"),
        (&[&two, &five], &both, "864 A, 864 N, 271 C, 851 D, 911 M"),
        (&[&six, &five], &both, "864 A, 105 B, 271 C, 851 D, 864 N, 911 M"),
        (&[&two, &four], &both, "864 A, 864 N, 271 C, 911 M"),
        (&[&two, &five], &new, "864 A, 271 C, 851 D, 864 N"),
        // Two readings, or none.
        (&[&two, &three], &new, unclear),
        (&[&six], &new, "there is no /GoodsShipment[1]/GovernmentAgencyGoodsItem[1]/Additional"),
        (&[&two], &both, unclear),
    ] {
        let changes: Vec<&str> = changes.iter().map(|change| change.as_str()).collect();
        let found = match amended(&changes, values) {
            Ok((value, lost)) => {
                assert_eq!(lost, [""; 0], "{changes:?}");
                documents(&value)
            }
            Err(error) => error.to_string(),
        };
        assert!(
            found == expected || (expected.len() > 60 && found.contains(expected)),
            "{changes:?} {values:?}: {found}"
        );
    }
}

#[test]
fn numbered_elements_are_about_the_place_of_their_number() {
    let value = |value: &Value, item: u32| {
        let found = value.pointer(&format!("/{ITEM}/{}/StatisticalValueAmount/value", item - 1));
        found.and_then(Value::as_str).unwrap_or("none").to_owned()
    };
    let first = [
        ("+/SequenceNumeric", "1"),
        ("+/StatisticalValueAmount/@currencyID", "USD"),
        ("+/StatisticalValueAmount", "1000"),
    ];
    let both = ["67A 68A[1].114", "67A 68A[2].114"];
    let (found, lost) = amended(&both, &first).expect("amended");
    assert_eq!((value(&found, 1), value(&found, 2)), ("1000".to_owned(), "none".to_owned()));
    assert_eq!(lost, [""; 0]);
    // The value is that of item 1, the pointer leads to item 2.
    let error = amended(&both[1..], &first).expect_err("another item");
    assert!(matches!(error, Unamendable::Unclear { .. }), "{error}");
    // The same number twice.
    let twice: Vec<_> = first.into_iter().chain([("+[2]/SequenceNumeric", "1")]).collect();
    let error = amended(&both, &twice).expect_err("twice");
    assert!(matches!(error, Unamendable::Unclear { .. }), "{error}");
}

#[test]
fn values_at_which_nothing_points_are_listed() {
    for (values, expected) in [
        // The declaration says so already.
        (&[("InvoiceAmount", "231000"), ("InvoiceAmount/@currencyID", "USD")][..], ""),
        (&[("InvoiceAmount", "1")], "InvoiceAmount=1"),
        (&[("InvoiceAmount/@currencyID", "EUR")], "InvoiceAmount/@currencyID=EUR"),
        (
            &[("+/SequenceNumeric", "2"), ("+/Origin/CountryCode", "GE")],
            "GoodsShipment/GovernmentAgencyGoodsItem/Origin/CountryCode=GE",
        ),
        (&[("Mood", "good")], "Mood=good"),
    ] {
        let all: Vec<_> = [("TotalPackageQuantity", "50")].iter().chain(values).copied().collect();
        let (found, lost) = amended(&["42A.146"], &all).expect("amended");
        assert_eq!(found["TotalPackageQuantity"], json!(50));
        assert_eq!(found["InvoiceAmount"], declaration()["InvoiceAmount"]);
        assert_eq!(lost.join(", "), expected, "{values:?}");
    }
}

#[test]
fn no_pointer_counts_from_nothing() {
    for (change, expected) in [
        ("67A 68A[0]", "change 1: the pointer 2 has the number 0; count from 1"),
        ("67A[0] 68A", "change 1: the pointer 1 has the number 0; count from 1"),
        ("42A[2].146", "change 1: there is no Declaration[2]; the declaration has 1"),
        ("67A[2] 68A", "change 1: there is no /GoodsShipment[2]; the declaration has 1"),
    ] {
        let error = amended(&[change], &[]).expect_err(change);
        assert_eq!(error.to_string(), expected, "{change}");
    }
}

proptest! {
    /// Whatever is changed, added and removed together, documents at which nothing points stay.
    #[test]
    fn what_is_not_pointed_at_is_unchanged(
        fates in prop::collection::vec(0_u8..3, 4),
        added in 0_usize..3,
    ) {
        let before = ["864 A", "105 B", "271 C", "851 D"];
        let (mut changes, mut values, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        let mut value = |code: &str, id: &str| {
            let at = values.len() / 2 + 1;
            values.push((format!("+/AdditionalDocument[{at}]/TypeCode"), code.to_owned()));
            values.push((format!("+/AdditionalDocument[{at}]/ID"), id.to_owned()));
        };
        for ((fate, document), place) in fates.iter().zip(before).zip(1..) {
            let (code, id) = document.split_once(' ').expect("two words");
            match fate {
                0 => expected.push(document.to_owned()),
                1 => {
                    value(code, &format!("{id}{id}"));
                    expected.push(format!("{document}{id}"));
                }
                _ => {}
            }
            if *fate > 0 {
                changes.push(format!("67A 68A 02A[{place}]"));
            }
        }
        for number in 0..added {
            value("911", &number.to_string());
            expected.push(format!("911 {number}"));
            changes.push(format!("67A 68A 02A[{}]", 5 + number));
        }
        prop_assume!(!changes.is_empty());
        changes.reverse();
        let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
        let values: Vec<_> =
            values.iter().map(|(path, value)| (path.as_str(), value.as_str())).collect();
        match amended(&changes, &values) {
            Ok((found, lost)) => {
                prop_assert_eq!(documents(&found), expected.join(", "));
                prop_assert!(lost.is_empty(), "{:?}", lost);
            }
            // Refused is better than wrong; a plain case never is.
            Err(error) => prop_assert!(
                matches!(error, Unamendable::Unclear { .. }) && changes.len() > 1,
                "{}", error
            ),
        }
    }
}
