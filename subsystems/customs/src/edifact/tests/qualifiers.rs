//! Tests of what becomes of qualifiers that are not read: none is dropped in silence.

use super::super::known::is_segment_of;
use super::super::table::{Node, Row};
use super::super::tables::{CANCELLATION, CARGO, DECLARATION, HEAD, UTILISATION, VALIDATION};
use super::*;

/// A qualifier that no code list has.
const STRANGE: &str = "QQQ";

/// A CUSDEC with segments in its head and in its item.
fn declaration(head: &str, item: &str) -> String {
    let body =
        format!("BGM+830+D1+9'{head}NAD+EX+1++A'UNS+D'CST+1+740811:HS'{item}FTX+AAA+++W'UNS+S'");
    message_of("CUSDEC:D:09A:UN", &body)
}

fn message_of(kind: &str, body: &str) -> String {
    let count = body.matches('\'').count() + 2;
    format!("UNB+UNOC:3+A+B+261002:0600+R1'UNH+1+{kind}'{body}UNT+{count}+1'UNZ+1+R1'")
}

/// Reads one message and returns what is lost: field and why; a refusal is its text.
fn lost(text: &str) -> Result<Vec<(String, String)>, String> {
    let received = receive(text.as_bytes(), context()).expect("an interchange");
    if let Some(error) = received.control.verdicts.iter().find_map(|v| v.error.as_ref()) {
        return Err(error.to_string());
    }
    let [imported] = received.messages.as_slice() else { panic!("one message: {text}") };
    let losses = imported.not_carried_over.iter();
    Ok(losses.map(|loss| (loss.field.clone(), loss.why.clone())).collect())
}

/// Returns every row that is told by a qualifier, with those inside repeated parts.
fn rows(nodes: &'static [Node], found: &mut Vec<&'static Row>) {
    for node in nodes {
        match node {
            Node::One(row) if !row.keys.is_empty() => found.push(row),
            Node::Many(_, inner) => rows(inner, found),
            _ => {}
        }
    }
}

#[test]
fn a_strange_qualifier_of_any_segment_is_listed_with_its_place() {
    let mut found = Vec::new();
    for table in [HEAD, DECLARATION, CANCELLATION, VALIDATION, UTILISATION, CARGO] {
        rows(table, &mut found);
    }
    assert!(found.len() > 60, "{}", found.len());
    for row in found {
        // Every qualifier of the row in turn but `ZZZ`, which says that another one is agreed.
        for (element, component, _) in row.keys.iter().filter(|key| key.2 != "ZZZ") {
            let mut line = super::super::write::Line::new(row.tag);
            for (e, c, value) in row.keys {
                let is_it = (e, c) == (element, component);
                line.set(*e, *c, if is_it { STRANGE } else { *value });
            }
            let mut out = super::super::write::Out::open(&envelope(Charset::C)).expect("opened");
            let from = out.bytes.len();
            out.line(&line).expect("a segment");
            let segment = String::from_utf8_lossy(&out.bytes[from..]).trim().to_owned();
            for text in [declaration(&segment, ""), declaration("", &segment)] {
                let lost = match lost(&text) {
                    Ok(lost) => lost,
                    // Without its list a document is a previous one, which needs a type.
                    // A segment of another message, or of the other directory, is refused.
                    Err(error) if !is_segment_of("CUSDEC", Directory::D09A, row.tag) => {
                        assert!(error.contains("is no segment of CUSDEC D.09A"), "{error}");
                        continue;
                    }
                    Err(error) if row.tag == "DOC" && error.contains("missing field") => continue,
                    Err(error) => panic!("{text}: {error}"),
                };
                let (field, why) = lost.first().unwrap_or_else(|| panic!("nothing of {text}"));
                let tag = row.tag;
                assert!(
                    field.contains(&format!("({tag})")) && field.contains(", byte "),
                    "{field}"
                );
                assert!(why.starts_with("the message has no place"), "{why}");
            }
        }
    }
}

#[test]
fn a_loss_names_the_qualifiers_that_are_read() {
    for (head, item, field, why) in [
        (
            "DTM+9:20261002:102'",
            "",
            "segment 4 (DTM), byte 65: 9 20261002 102",
            "136, 137, 148, 186",
        ),
        ("LOC+7+X'", "", "segment 4 (LOC), byte 65: 7 X", "1, 11, 22, 35, 36, 9, 92"),
        ("NAD+CB+X'", "", "segment 4 (NAD), byte 65: CB X", "CN, DT, EX, IM, MS"),
        ("MEA+AAE+G+KGM:1'", "", "segment 4 (MEA), byte 65: AAE G KGM 1", "AAE+AAD"),
        ("RFF+XC:1'", "", "segment 4 (RFF), byte 65: XC 1", "ABE, ABO, AJS, UCN"),
        ("MOA+1:2:USD'", "", "segment 4 (MOA), byte 65: 1 2 USD", "39"),
        ("", "MOA+1:2:USD'", "segment 7 (MOA), byte 99: 1 2 USD", "38, 40, 63, 64"),
        ("", "LOC+22+X'", "segment 7 (LOC), byte 99: 22 X", "27"),
        ("UNKNOWN+1'", "", "", "is not a segment tag"),
        ("QTY+1:2'", "", "segment 4 (QTY), byte 65: 1 2", "no place for the segment"),
    ] {
        match lost(&declaration(head, item)) {
            Ok(lost) => {
                let [(found, reason)] = lost.as_slice() else { panic!("{head}{item}: {lost:?}") };
                assert_eq!(found, field);
                assert!(reason.ends_with(why), "{field}: {reason}");
            }
            Err(error) => assert!(field.is_empty() && error.contains(why), "{error}"),
        }
    }
}

#[test]
fn formats_and_lists_that_are_not_read_are_refused_with_their_place() {
    for (head, item, place, rule) in [
        ("DTM+137:261002:101'", "", "segment 4 (DTM), element 1, component 2", "write format 304"),
        ("DTM+137:20261002:102'", "", "segment 4 (DTM), element 1", "write format 304"),
        ("DOC+380+I1'DTM+137:261002:101'", "", "segment 5 (DTM), element 1", "write format 102"),
        ("MOA+39:5'", "", "segment 4 (MOA), element 1, component 2", "state the currency"),
        ("", "MEA+WT+AAD+:5'", "segment 7 (MEA), element 3, component 2", "state the unit"),
        (
            "",
            "FTX+AAA+++V'CST+2+1:QQ'",
            "segment 8 (CST), element 2, component 2",
            "use HS, PCT, XIF or TSP",
        ),
        ("", "PAC+x'", "segment 7 (PAC), element 1, component 1", "write a whole number"),
    ] {
        let error = lost(&declaration(head, item)).expect_err(rule);
        assert!(error.starts_with(place) && error.contains(rule), "{head}{item}: {error}");
    }
    let outcome = "BGM+961+V1+11'GEI+ZZZ+MAYBE:KOC:ZZZ'";
    let error = lost(&message_of("CUSRES:D:09A:UN", outcome)).expect_err("no such outcome");
    assert!(error.contains("(GEI), element 2") && error.contains("use one of ACC, REJ"), "{error}");
}

#[test]
fn a_date_of_a_document_is_never_one_of_the_message() {
    for document in ["DOC+380+I1'DTM+137:20261001:102'", "DOC+705+B1'"] {
        for date in ["148:20261002113000?+05:304", "36:20261002:102"] {
            let text = declaration(&format!("{document}DTM+{date}'"), "");
            let received = receive(text.as_bytes(), context()).expect("an interchange");
            let [imported] = received.messages.as_slice() else { panic!("{text}") };
            let value = imported.content.to_value().expect("a value");
            assert_eq!(value.get("AcceptanceDateTime"), None, "{text}");
            let fields: Vec<_> = imported.not_carried_over.iter().map(|l| &l.field).collect();
            assert!(fields.iter().all(|field| field.contains("(DTM)")), "{fields:?}");
            assert_eq!(fields.len(), 3, "qualifier, value and format: {fields:?}");
        }
    }
}
