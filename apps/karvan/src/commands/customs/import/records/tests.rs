use std::io::Cursor;

use karvan_customs::edifact::{Message, Reader};

use super::*;

/// Returns the places of the records with their text, or the rule that refuses them.
fn check(name: &str, text: &[u8], is_lines: bool, expected: &[(&str, &str)]) {
    let mut found = Vec::new();
    read(Cursor::new(text), name, is_lines, &mut |record| {
        let told = match record.content {
            Content::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Content::Refused { rule, .. } => format!("! {rule}"),
        };
        found.push((record.place, told));
        Ok(())
    })
    .expect("read");
    let found: Vec<_> = found.iter().map(|(place, told)| (place.as_str(), told.as_str())).collect();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
}

#[test]
fn lines_and_documents_are_told_apart() {
    check("a", b"", false, &[("a", "! empty")]);
    check("a", b" \n\r\n ", false, &[("a", "! empty")]);
    check("a", b"{}", false, &[("a:1", "{}")]);
    check(
        "a",
        b"\xef\xbb\xbf{\"a\":\"}\"}\n\n{\"b\":1}\r\n",
        false,
        &[("a:1", "{\"a\":\"}\"}"), ("a:3", "{\"b\":1}")],
    );
    check("a", b"{\n \"a\": 1\n}\n", false, &[("a", "{\n \"a\": 1\n}\n")]);
    // A first line that is broken does not make one document of all the others.
    check("a", b"{\"a\":\n{\"b\":1}\n", false, &[("a:1", "{\"a\":"), ("a:2", "{\"b\":1}")]);
    check("a", b"{\n{}", true, &[("a:1", "{"), ("a:2", "{}")]);
    check("a", b"[{}]", false, &[("a", "! unreadable")]);
    check("a", b" <x/>", false, &[("a", "<x/>")]);
    check("a", b"PK\x03\x04", false, &[("a", "PK\u{3}\u{4}")]);
}

#[test]
fn a_record_that_is_too_long_is_passed_over() {
    let long = "x".repeat(RECORD_BYTES_MAX);
    let lines = format!("{{}}\n{{{long}}}\n{{\"b\":1}}\n");
    let expected = [("a:1", "{}"), ("a:2", "! too-large"), ("a:3", "{\"b\":1}")];
    check("a", lines.as_bytes(), false, &expected);
    check(
        "a",
        format!("{{{long}}}\n{{}}").as_bytes(),
        false,
        &[("a:1", "! too-large"), ("a:2", "{}")],
    );
    check("a", format!("<{long}>").as_bytes(), false, &[("a", "! too-large")]);
}

#[test]
fn every_document_of_an_envelope_is_a_record() {
    let head = "<?xml version='1.0'?><m:MetaData xmlns:m=\"u\" a=\"/>\"><m:V>1</m:V>\n";
    let one = "<Declaration><!-- </Declaration> --><ID>1</ID></Declaration>";
    let two = "<m:Response x='>'><![CDATA[</m:Response>]]><A/></m:Response>";
    let alone = |text: &str| format!("{head}{text}</m:MetaData>");
    let all = format!("{head}{one}\n<Note/>{two}</m:MetaData>\n");
    let (first, second) = (alone(one), alone(two));
    let expected = [("a document 1", first.as_str()), ("a document 2", second.as_str())];
    check("a", all.as_bytes(), false, &expected);
    // Alone a document keeps every byte, in whatever envelope.
    for text in [format!("{head}{one}\n<!-- end --></m:MetaData>\n"), one.to_owned()] {
        check("a", text.as_bytes(), false, &[("a", &text)]);
    }
    let long = format!("<Declaration>{}</Declaration>", "x".repeat(RECORD_BYTES_MAX));
    let all = format!("{head}{long}{two}</m:MetaData>");
    check("a", all.as_bytes(), false, &[("a document 1", "! too-large"), expected[1]]);
    // What is cut off is no less a record, and its reader says what is wrong.
    let cut = format!("{head}{one}<Declaration><ID>");
    let rest = format!("{head}<Declaration><ID>");
    check("a", cut.as_bytes(), false, &[expected[0], ("a document 2", &rest)]);
    check("a", b"<MetaData><Declaration", false, &[("a", "<MetaData><Declaration")]);
}

#[test]
fn every_message_of_an_interchange_is_a_record() {
    let message = |reference: &str, text: &str| {
        format!("UNH+{reference}+CUSDEC:D:96B:UN'BGM+830+{text}+9'UNT+3+{reference}'")
    };
    let head = "UNB+UNOY:3+A+B+261002:0600+I?'1'";
    let all = format!("{head}{}\r\n{}UNZ+2+I?'1'", message("1", "x?'y"), message("2", "z"));
    let alone = |text: String| format!("{head}{text}UNZ+1+I?'1'");
    let (one, two) = (alone(message("1", "x?'y")), alone(message("2", "z")));
    check("a", all.as_bytes(), false, &[("a message 1", &one), ("a message 2", &two)]);
    // The wrong count of one message refuses that one, of all messages the interchange.
    let wrong = all.replace("UNT+3+1", "UNT+4+1");
    check("a", wrong.as_bytes(), false, &[("a message 1", "! unreadable"), ("a message 2", &two)]);
    let wrong = all.replace("UNZ+2", "UNZ+3");
    check("a", wrong.as_bytes(), false, &[("a", "! unreadable")]);
    check("a", b"UNB+broken", false, &[("a", "! unreadable")]);
    // What was cut out is read again as it was.
    for text in [&one, &two] {
        let mut reader = Reader::open(text.as_bytes()).expect("an interchange");
        let mut found = Message::default();
        assert!(reader.next_message(&mut found).expect("a message"));
        assert!(!reader.next_message(&mut found).expect("the end"));
    }
}
