//! Tests of what is written and comes back.

use std::io::Read;

use proptest::prelude::*;

use super::*;
use crate::formats::tests::sample_messages;

/// Writes, and checks that what is read back is the message without the losses.
#[track_caller]
fn check_round_trip(content: &Content, directory: Directory, charset: Charset) -> Written {
    let written = write(content, directory, &envelope(charset)).expect("written");
    let received = receive(written.bytes.as_slice(), context()).expect("an interchange");
    assert!(received.control.is_clean(), "{:?}", received.control);
    let [back] = received.messages.as_slice() else { panic!("one message") };
    assert_eq!(back.not_carried_over, [], "nothing is written that is not read");
    if written.losses.is_empty() {
        assert_eq!(back.content, *content);
    }
    written
}

#[test]
fn the_examples_keep_their_form_and_come_back() {
    for code in ["EXD", "IMP", "UTL", "VAL", "CXL"] {
        for directory in Directory::ALL {
            let written = check_round_trip(&message(code), directory, Charset::Y);
            assert_eq!(written.losses, [], "{code} {directory:?}");
            expect(&format!("{code}.{}.edi", directory.parts().concat()), &written.bytes);
        }
    }
    let Content::Message(Canonical::Export(export)) = message("EXD") else { panic!("an EXD") };
    let report = Content::Cargo(Box::new(CargoReport::of(&export, context().received_at)));
    for directory in Directory::ALL {
        let written = check_round_trip(&report, directory, Charset::Y);
        assert_eq!(written.losses, [], "{directory:?}");
        expect(&format!("CAR.{}.edi", directory.parts().concat()), &written.bytes);
    }
}

#[test]
fn shipped_samples_come_back() {
    let mut count = 0;
    for (name, message) in sample_messages() {
        if matches!(message, Canonical::Certificate(_)) {
            continue;
        }
        for directory in Directory::ALL {
            let written =
                check_round_trip(&Content::Message(message.clone()), directory, Charset::Y);
            assert_eq!(written.losses, [], "{name} {directory:?}");
        }
        count += 1;
    }
    assert!(count >= 40, "only {count} declarations");
}

/// Sets one field of the example declaration.
fn with(pointer: &str, new: &str) -> Content {
    let mut value = message("EXD").to_value().expect("a value");
    *value.pointer_mut(pointer).expect("a field") = serde_json::from_str(new).expect("JSON");
    let text = value.to_string();
    Content::Message(Canonical::parse("EXD", text.as_bytes()).expect("a message"))
}

#[test]
fn what_does_not_fit_is_listed_and_never_cut() {
    let long = format!("\"{}\"", "A1".repeat(18));
    let seal = "/GoodsShipment/Consignment/TransportEquipment/0/Seal/0/ID";
    let code = "{\"ID\":\"740811\",\"IdentificationTypeCode\":\"HS\"}";
    let place = format!("{{\"Name\":\"{}\"}}", "Alat Free Economic Zone ".repeat(3).trim());
    let many = format!("[{}]", [code; 6].join(","));
    for (pointer, new, d96b, d09a) in [
        ("/FunctionalReferenceID", long.as_str(), &["FunctionalReferenceID"][..], &[][..]),
        (seal, "\"AZ-77812011\"", &["GoodsShipment/Consignment/TransportEquipment[1]/Seal"], &[]),
        (
            "/GoodsShipment/Consignment/LoadingLocation",
            place.as_str(),
            &["GoodsShipment/Consignment/LoadingLocation"],
            &[],
        ),
        ("/IssueDateTime", "\"2026-09-11T06:20:00.250Z\"", &["IssueDateTime"], &["IssueDateTime"]),
        ("/InvoiceAmount/value", "\"1234567890123456.123\"", &["InvoiceAmount"], &[]),
        (
            "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Classification",
            many.as_str(),
            &["GoodsShipment/GovernmentAgencyGoodsItem[1]/Commodity/Classification[6]"],
            &["GoodsShipment/GovernmentAgencyGoodsItem[1]/Commodity/Classification[6]"],
        ),
        (
            "/GoodsShipment/Consignee",
            "{}",
            &["GoodsShipment/Consignee"],
            &["GoodsShipment/Consignee"],
        ),
    ] {
        let content = with(pointer, new);
        for (directory, expected) in [(Directory::D96B, d96b), (Directory::D09A, d09a)] {
            let written = check_round_trip(&content, directory, Charset::Y);
            let mut found: Vec<_> = written.losses.iter().map(|l| l.field.as_str()).collect();
            found.dedup();
            let why: Vec<_> = written.losses.iter().map(|l| l.why.as_str()).collect();
            assert!(found.len() == expected.len(), "{pointer} {directory:?} {found:?} {why:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected), "{pointer} {directory:?} {found}");
            }
        }
    }
    // Without the number of the declaration the partner could do nothing.
    let error = write(&with("/ID", &long), Directory::D96B, &envelope(Charset::Y));
    let text = error.expect_err("no number").to_string();
    assert!(text.contains("missing field `ID`") && text.contains("35 characters"), "{text}");
}

#[test]
fn line_breaks_and_tabs_become_spaces_and_are_listed() {
    let description = "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Description";
    let content = with(description, "\"wire\\r\\nof\\tcopper\\n8 mm\"");
    for directory in Directory::ALL {
        let written = check_round_trip(&content, directory, Charset::Y);
        let lost: Vec<_> = written.losses.iter().map(|l| (l.field.as_str(), &*l.why)).collect();
        let path = "GoodsShipment/GovernmentAgencyGoodsItem[1]/Commodity/Description";
        assert_eq!(lost, [(path, "line breaks and tabs become spaces")]);
        let text = String::from_utf8(written.bytes).expect("UTF-8");
        assert!(text.contains("+wire of copper 8 mm'"), "{text}");
    }
}

#[test]
fn a_repertoire_that_lacks_a_character_is_refused() {
    let azeri = message("EXD");
    for charset in Charset::ALL {
        let result = write(&azeri, Directory::D96B, &envelope(charset));
        match charset {
            Charset::W | Charset::Y => drop(result.expect("written")),
            _ => {
                let error = result.expect_err("the schwa");
                let text = error.to_string();
                assert!(text.contains(charset.identifier()), "{text}");
                assert!(text.contains("U+"), "{text}");
            }
        }
    }
    for (charset, name) in [
        (Charset::B, "Ravi Cables (Private) Limited"),
        (Charset::C, "Köln Kabel"),
        (Charset::E, "Баку Кабель"),
        (Charset::I, "شركة"),
        (Charset::K, "Güneş Kablo"),
        (Charset::X, "Ravi?+:'*"),
        (Charset::B, "Ravi?+:'*"),
    ] {
        let mut value = message("VAL").to_value().expect("a value");
        value["Error"][0]["Description"] = name.into();
        let text = value.to_string();
        let content = Content::Message(Canonical::parse("VAL", text.as_bytes()).expect("a VAL"));
        let written = check_round_trip(&content, Directory::D96B, charset);
        assert_eq!(written.losses, [], "{charset:?}");
    }
}

/// A source that gives a few bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

#[test]
fn a_source_may_give_its_bytes_in_any_portions() {
    let written = check_round_trip(&message("EXD"), Directory::D09A, Charset::Y);
    for portion in [1, 2, 7, 4096] {
        let received = receive(Slow(&written.bytes, portion), context()).expect("read");
        let contents: Vec<_> = received.messages.iter().map(|m| m.content.clone()).collect();
        assert_eq!(contents, [message("EXD")], "{portion}");
    }
}

#[test]
fn messages_of_other_systems_are_read_and_what_is_left_is_listed() {
    let text = b"UNA:+,? '\r\nUNB+UNOC:3+GB123:ZZ+GB456+261002:0600+REF1++CUSDEC'\r\n\
        UNG+CUSDEC+A+B+261002:0600+G1+UN+D:96B'UNH+M1+CUSDEC:D:96B:UN:109810'\r\n\
        BGM+830:::EX+DEC-1+9+NA'CST++H:105:ZZZ'LOC+22+OFF1:112'GIS+1:109:ZZZ'\r\n\
        DTM+137:20261002113000?+05:304'MEA+AAE+AAD+KGM:20800,5'NAD+EX+4174941++RAVI CABLES:LAHORE'\r\n\
        TDT+11++1++CARRIER+++9074729:146::MV KARVAN:PA'UNS+D'CST+1+740811:HS'\r\n\
        FTX+AAA+++COPPER WIRE:8 MM'FTX+AAA+++REFINED'MOA+38:196000,00:USD'\r\n\
        UNS+S'CNT+5:1'UNT+17+M1'UNE+1+G1'UNZ+1+REF1'\r\n\r\n";
    let received = receive(&text[..], context()).expect("read");
    assert!(received.control.is_clean(), "{:?}", received.control);
    let [imported] = received.messages.as_slice() else { panic!("one message") };
    let value = imported.content.to_value().expect("a value");
    for (pointer, expected) in [
        ("/ID", "DEC-1"),
        ("/FunctionalReferenceID", "DEC-1"),
        ("/agreementID", "AZ-PK-PTA"),
        ("/IssueDateTime", "2026-10-02T06:30:00.000Z"),
        ("/TotalGrossMassMeasure/value", "20800.5"),
        ("/Exporter/Name", "RAVI CABLES LAHORE"),
        ("/BorderTransportMeans/ID", "9074729"),
        (
            "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Description",
            "COPPER WIRE 8 MM REFINED",
        ),
        (
            "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/InvoiceLine/ItemChargeAmount/value",
            "196000.00",
        ),
    ] {
        assert_eq!(value.pointer(pointer), Some(&expected.into()), "{pointer}");
    }
    let mut lost = Vec::new();
    for loss in &imported.not_carried_over {
        // The place that is named is the place where the text is.
        let (place, found) = loss.field.split_once(": ").expect("place and text");
        let (place, byte) = place.rsplit_once(", byte ").expect("a byte");
        let byte: usize = byte.parse().expect("a number");
        let word = found.split(' ').next().expect("a word");
        let word = if place.contains("element") { word } else { &place[place.len() - 4..][..3] };
        assert!(text[byte..].starts_with(word.as_bytes()), "{}", loss.field);
        lost.push(format!("{place}: {found}"));
    }
    assert_eq!(
        lost,
        [
            "segment 4 (BGM), element 1, component 4: EX",
            "segment 4 (BGM), element 4, component 1: NA",
            "segment 5 (CST): H 105 ZZZ",
            "segment 6 (LOC), element 2, component 2: 112",
            "segment 7 (GIS): 1 109 ZZZ",
            "segment 11 (TDT), element 5, component 1: CARRIER",
            "segment 11 (TDT), element 8, component 2: 146",
            "segment 11 (TDT), element 8, component 4: MV KARVAN",
        ]
    );
}

proptest! {
    /// Any text that XML and JSON can hold goes through every component unharmed.
    #[test]
    fn texts_come_back(text in "[ -~ə-ə\u{400}-\u{45f}\u{600}-\u{6ff}?'+:*]{1,300}") {
        let text = text.trim().to_owned();
        prop_assume!(!text.is_empty());
        let mut value = message("VAL").to_value().expect("a value");
        value["Error"][0]["Description"] = text.into();
        let text = value.to_string();
        let content = Content::Message(Canonical::parse("VAL", text.as_bytes()).expect("a VAL"));
        for directory in Directory::ALL {
            let written = check_round_trip(&content, directory, Charset::Y);
            prop_assert_eq!(&written.losses, &[]);
        }
    }

    /// Whatever arrives is read or refused with a place inside the text, and never a panic.
    #[test]
    fn damaged_interchanges_never_panic(
        cut in 0_usize..2000,
        length in 0_usize..60,
        insert in prop::collection::vec(any::<u8>(), 0..12),
        portion in 1_usize..100,
    ) {
        let written = write(&message("EXD"), Directory::D96B, &envelope(Charset::Y));
        let mut bytes = written.expect("written").bytes;
        let from = cut.min(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, insert);
        let total = bytes.len() as u64;
        match receive(Slow(&bytes, portion), context()) {
            Err(error) => prop_assert!(error.position.byte <= total, "{}", error),
            Ok(received) => {
                let faults = received.control.verdicts.iter().filter_map(|v| v.error.as_ref());
                for error in faults.chain(received.control.error.as_ref()) {
                    prop_assert!(error.position.byte <= total, "{}", error);
                }
                drop(received.control.write(&envelope(Charset::Y)));
            }
        }
    }
}
