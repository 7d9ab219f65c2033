//! Tests of what is refused, where, and with which answer.

use super::*;

/// A small interchange; `body` stands between UNH and UNT, which counts `count`.
fn small(unb: &str, body: &str, count: usize) -> String {
    format!("UNB+{unb}+A+B+261002:0600+R1'UNH+1+CUSDEC:D:96B:UN'{body}UNT+{count}+1'UNZ+1+R1'")
}

/// The smallest body that makes an export declaration.
const BODY: &str = "BGM+830+D1+9'NAD+EX+1++A'UNS+D'CST+1+740811:HS'FTX+AAA+++W'UNS+S'";

/// Reads a text and returns the one fault and whether it refuses only a message.
#[track_caller]
fn fault(text: &[u8]) -> (Error, bool) {
    match receive(text, context()) {
        Err(error) => (error, false),
        Ok(Received { messages, control }) => {
            let of_message = control.verdicts.iter().find_map(|verdict| verdict.error.clone());
            if control.error.is_some() {
                assert!(messages.is_empty(), "an interchange that is refused gives no messages");
            }
            let is_of_message = control.error.is_none();
            let error = control.error.or(of_message);
            (error.expect("a fault"), is_of_message)
        }
    }
}

/// Checks rule, place and code: place is segment, element, component, byte.
#[track_caller]
fn refuse(text: &[u8], rule: &str, place: (u64, usize, usize, u64), code: &str, message: bool) {
    let shown = String::from_utf8_lossy(text).into_owned();
    let (error, is_of_message) = fault(text);
    assert!(error.to_string().contains(rule), "{shown}\n{rule}: {error}");
    let at = &error.position;
    let found = (at.segment, at.element, at.component, at.byte);
    assert_eq!(found, place, "{shown}\n{error}");
    assert_eq!(error.rule.code(), code, "{error}");
    assert_eq!(is_of_message, message, "{error}");
}

#[test]
fn the_smallest_declaration_is_read() {
    let text = small("UNOC:3", BODY, 8);
    let received = receive(text.as_bytes(), context()).expect("read");
    assert!(received.control.is_clean(), "{:?}", received.control);
    let noted: Vec<_> = received.messages[0].notes.iter().map(|n| n.path.as_str()).collect();
    let expected = ["IssueDateTime", "VersionID", "GoodsItemQuantity", "FunctionalReferenceID"];
    assert_eq!(noted, expected);
}

/// Text, rule, place (byte 0 is not looked at), code, whether only a message is refused.
type Case = (String, &'static str, (u64, usize, usize, u64), &'static str, bool);

#[track_caller]
fn refuse_all(cases: Vec<Case>) {
    for (text, rule, place, code, message) in cases {
        // Bytes far into the text are not counted by hand.
        let (error, _) = fault(text.as_bytes());
        let byte = if place.3 == 0 { error.position.byte } else { place.3 };
        refuse(text.as_bytes(), rule, (place.0, place.1, place.2, byte), code, message);
    }
}

#[test]
fn the_interchange_was_prepared_on_a_day_that_exists() {
    let text = |prepared: &str| small("UNOC:3", BODY, 8).replacen("261002:0600", prepared, 1);
    for prepared in ["261002:0600", "20261002:2359", "240229:0000"] {
        let received = receive(text(prepared).as_bytes(), context()).expect("read");
        assert!(received.control.is_clean(), "{prepared}: {:?}", received.control.error);
    }
    for (prepared, rule, component) in [
        ("20261301:0600", "no such day", 1),
        ("20261301:2561", "no such day", 1),
        ("250229:0600", "no such day", 1),
        ("2610:0600", "YYMMDD", 1),
        (":0600", "YYMMDD", 1),
        ("26-10-02:0600", "YYMMDD", 1),
        ("261002:2561", "no such time", 2),
        ("261002:24", "HHMM", 2),
        ("261002", "HHMM", 2),
    ] {
        refuse_all(vec![(text(prepared), rule, (1, 4, component, 0), "12", false)]);
        let received = receive(text(prepared).as_bytes(), context()).expect("answered");
        assert!(received.control.error.is_some(), "{prepared} is answered");
    }
}

/// The beginning of an interchange.
const UNB: &str = "UNB+UNOC:3+A+B+261002:0600+R1'";

#[test]
fn beginnings_that_do_not_hold_are_refused_with_their_place() {
    let good = small("UNOC:3", BODY, 8);
    refuse_all(vec![
        (String::new(), "begins with neither UNA nor UNB", (0, 0, 0, 0), "18", false),
        ("{}".to_owned(), "begins with neither", (0, 0, 0, 0), "18", false),
        (format!("UNA::.? '{good}"), "six different signs", (0, 0, 0, 0), "20", false),
        (format!("UNA:+;? '{good}"), "six different signs", (0, 0, 0, 0), "20", false),
        (format!("UNA:+.?{good}"), "six different signs", (0, 0, 0, 0), "20", false),
        (format!("'UNA:+.? '{good}"), "begins with neither", (0, 0, 0, 0), "18", false),
        (small("UNOQ:3", BODY, 8), "the syntax `UNOQ` is not known", (1, 1, 1, 4), "2", false),
        (small("UNOC:9", BODY, 8), "version `9` is not known", (1, 1, 2, 9), "2", false),
        (
            good.replace("+A+B+", "++B+"),
            "the sender of the interchange",
            (1, 2, 1, 11),
            "13",
            false,
        ),
        (good.replace("+A+B+", "+A++"), "the recipient", (1, 3, 1, 13), "13", false),
        (good.replace("0600+R1", "0600"), "the reference of the inter", (1, 5, 1, 0), "13", false),
    ]);
}

#[test]
fn ends_that_do_not_hold_are_refused_with_their_place() {
    let good = small("UNOC:3", BODY, 8);
    let end = good.len() as u64;
    refuse_all(vec![
        (
            good.replace("UNZ+1", "UNZ+2"),
            "the count says `2`, but there are 1",
            (10, 1, 1, 0),
            "29",
            false,
        ),
        (good.replace("UNZ+1", "UNZ+x"), "the count says `x`", (10, 1, 1, 0), "29", false),
        (
            good.replace("UNZ+1+R1", "UNZ+1+R2"),
            "`R2` is not `R1` of UNB",
            (10, 2, 1, 0),
            "28",
            false,
        ),
        (good.replace("UNZ+1+R1'", ""), "the text ends before UNZ", (9, 0, 0, 0), "13", false),
        (
            good.replace("UNZ+1+R1'", "UNZ+1+R1"),
            "ends before a terminator",
            (10, 0, 0, 0),
            "13",
            false,
        ),
        (
            format!("{good}UNB+"),
            "UNB stands where the end of the text",
            (10, 0, 0, end),
            "15",
            false,
        ),
        (format!("{UNB}UNZ+0+R1'"), "the interchange holds nothing", (2, 0, 0, 30), "32", false),
        (format!("{UNB}BGM+830'"), "BGM stands where UNH, UNG", (2, 0, 0, 30), "15", false),
        (format!("{UNB}UNE+0+1'"), "UNE stands where UNG before it", (2, 0, 0, 30), "15", false),
    ]);
}

#[test]
fn groups_and_references_that_do_not_hold_are_refused_with_their_place() {
    let good = small("UNOC:3", BODY, 8);
    let twice = format!("UNH+1+CUSDEC:D:96B:UN'{BODY}UNT+8+1'");
    refuse_all(vec![
        (
            format!("{UNB}UNG+CUSDEC+A+B+1+G1'UNE+0+G1'"),
            "the group holds nothing",
            (3, 0, 0, 50),
            "32",
            false,
        ),
        (
            format!("{UNB}UNG+CUSDEC+A+B+1+G1'{twice}UNE+2+G1'UNZ+1+R1'"),
            "2`, but there are 1 messages in the group",
            (11, 1, 1, 0),
            "29",
            false,
        ),
        (
            format!("{UNB}UNG+CUSDEC+A+B+1+G1'{twice}UNE+1+G2'UNZ+1+R1'"),
            "`G2` is not `G1` of UNG",
            (11, 2, 1, 0),
            "28",
            false,
        ),
        (
            format!("{UNB}UNG+CUSDEC+A+B+1+G1'{twice}UNZ+1+R1'"),
            "UNZ stands where UNE",
            (11, 0, 0, 0),
            "15",
            false,
        ),
        (
            format!("{UNB}{twice}UNG+CUSDEC+A+B+1+G1'"),
            "inside and outside of groups",
            (10, 0, 0, 0),
            "30",
            false,
        ),
        (
            format!("{UNB}{twice}{twice}UNZ+2+R1'"),
            "reference `1` was used before",
            (10, 1, 1, 0),
            "26",
            true,
        ),
        (
            good.replace("UNH+1+", "UNH++"),
            "the message reference is missing",
            (2, 1, 1, 34),
            "13",
            false,
        ),
    ]);
}

#[test]
fn segments_that_a_message_does_not_have_are_refused_with_their_place() {
    let with = |to: &str, count| small("UNOC:3", &BODY.replace("UNS+S'", to), count);
    let d09a = |to: &str, count| with(to, count).replace("D:96B", "D:09A");
    let same = "UNS+S'CNT+5:1'CNT+5:1'";
    assert!(receive(with(same, 10).as_bytes(), context()).expect("read").control.is_clean());
    for (text, rule, code) in [
        (with("XYZ+1'UNS+S'", 9), "`XYZ` is no segment of CUSDEC D.96B", "15"),
        (with("GEI+1'UNS+S'", 9), "`GEI` is no segment of CUSDEC D.96B", "15"),
        (d09a("GIS+1'UNS+S'", 9), "`GIS` is no segment of CUSDEC D.09A", "15"),
        (with("BGM+830+D2+9'UNS+S'", 9), "there is a second BGM", "35"),
        (with("UNS+S'CNT+5:1'CNT+5:2'", 10), "the value `2` of CNT+5 does not fit", "12"),
        (
            with("UNS+S'CNT+5:2'", 9),
            "`2` of GoodsItemQuantity does not fit: the items make 1",
            "12",
        ),
        (
            with("PAC+3++CT'UNS+S'CNT+5:1'CNT+11:4'", 11),
            "`4` of TotalPackageQuantity does not fit: the items make 3",
            "12",
        ),
    ] {
        let control = receive(text.as_bytes(), context()).expect("read").control;
        let [verdict] = control.verdicts.as_slice() else { panic!("one message: {control:?}") };
        let error = verdict.error.as_ref().expect(rule);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
        assert_eq!(error.rule.code(), code, "{rule}");
        let answer = control.write(&envelope(Charset::C)).expect("written");
        let answer = String::from_utf8(answer).expect("ASCII");
        let number = error.position.segment_in_message;
        let ucs =
            if code == "12" { format!("UCS+{number}'") } else { format!("UCS+{number}+{code}'") };
        assert!(number > 1 && answer.contains(&ucs), "{rule}: {answer}");
    }
}

#[test]
fn messages_that_do_not_hold_are_refused_alone() {
    let at = |body: &str, count| small("UNOC:3", body, count);
    let with = |from: &str, to: &str| at(&BODY.replace(from, to), 8);
    for (text, rule, place, code) in [
        (at(BODY, 9), "the count says `9`, but there are 8", (9, 1, 1), "29"),
        (at(BODY, 8).replace("UNT+8+1", "UNT+8+2"), "`2` is not `1` of UNH", (9, 2, 1), "28"),
        (at(BODY, 8).replace("UNT+8+1'", ""), "UNZ stands where UNT", (8, 0, 0), "15"),
        (at(BODY, 8).replace("D:96B", "D:99Z"), "`CUSDEC:D.99Z` is not read", (2, 2, 2), "14"),
        (at(BODY, 8).replace("CUSDEC", "INVOIC"), "`INVOIC` is not read", (2, 2, 1), "14"),
        (with("BGM", "bgm"), "`bgm` is not a segment tag", (3, 0, 0), "15"),
        (with("BGM", "BG"), "`BG` is not a segment tag", (3, 0, 0), "15"),
        (with("BGM+830", "BGM+830\n"), "byte 0x0A is no character of UNOC", (3, 1, 1), "21"),
        (with("AAA+++W", "AAA+++W\u{1b}"), "byte 0x1B is no character", (7, 4, 1), "21"),
        (with("AAA+++W", "AAA+++?\r"), "release character stands before nothing", (7, 4, 1), "22"),
        (with("BGM+830+D1+9'", "XXX+1'"), "the segment BGM is missing", (2, 0, 0), "13"),
        (with("BGM+830", "BGM+380"), "use 830 for an export", (3, 1, 1), "12"),
        (with("D1+9", "D1+99"), "does not make a EXD", (2, 0, 0), "13"),
        (with("NAD+EX+1++A'", "LOC+9'"), "missing field `Exporter`", (2, 0, 0), "13"),
        (with("CST+1+", "CST+one+"), "write a whole number in digits", (6, 1, 1), "12"),
        (with("740811:HS", "740811:EU"), "use HS, PCT, XIF or TSP", (6, 2, 2), "12"),
        (with("NAD+EX+1++A'", "MOA+39:1,5:USD'"), "the number `1,5` is not plain", (4, 1, 2), "19"),
        (with("NAD+EX+1++A'", "MOA+39:1E5:USD'"), "the number `1E5`", (4, 1, 2), "19"),
        (with("NAD+EX+1++A'", "MOA+39:-5:USD'"), "the number `-5`", (4, 1, 2), "19"),
        (with("NAD+EX+1++A'", "MOA+39:5'"), "state the currency", (4, 1, 2), "12"),
        (with("NAD+EX+1++A'", "MEA+AAE+AAD+:5'"), "state the unit before", (4, 3, 2), "12"),
        (with("NAD+EX+1++A'", "MEA+AAE+AAD+KGM:x'"), "the number `x`", (4, 3, 2), "19"),
        (with("NAD+EX+1++A'", "DTM+137:20261002:102'"), "write format 304", (4, 1, 2), "12"),
        (with("NAD+EX+1++A'", "DTM+137:20260631000000Z:304'"), "write format 304", (4, 1, 2), "12"),
        (with("UNS+D'", "UNS+S'"), "UNS+S stands where UNS+D", (5, 1, 1), "15"),
        (with("UNS+S'", "UNS+D'"), "UNS+D stands where UNS+S", (8, 1, 1), "15"),
    ] {
        let (error, _) = fault(text.as_bytes());
        let (segment, element, component) = place;
        let place = (segment, element, component, error.position.byte);
        refuse(text.as_bytes(), rule, place, code, true);
    }
}

#[test]
fn repertoires_are_held_to() {
    let name = |unb: &str, name: &[u8]| {
        let text = small(unb, &BODY.replace("EX+1++A", "EX+1++@"), 8);
        let (before, after) = text.split_once('@').expect("a mark");
        [before.as_bytes(), name, after.as_bytes()].concat()
    };
    for (unb, bytes, rule) in [
        ("UNOA:3", &b"Ravi"[..], "byte 0x61 is no character of UNOA"),
        ("UNOA:1", "ə".as_bytes(), "byte 0xC9 is no character of UNOA"),
        ("UNOB:2", b"a#b", "byte 0x23 is no character of UNOB"),
        ("UNOC:3", b"a\x85b", "byte 0x85 is no character of UNOC"),
        ("UNOI:4", b"\xa1", "byte 0xA1 is no character of UNOI"),
        ("UNOX:4", b"\x1b$B", "byte 0x1B is no character of UNOX"),
        ("UNOY:4", b"a\xff", "byte 0xFF is no character of UNOY"),
        ("UNOY:4", b"\xc9", "byte 0xC9 is no character of UNOY"),
        ("UNOW:4", b"a\xed\xa0\x80", "byte 0xED is no character of UNOW"),
        ("UNOY:4", b"a*b", "repeated data elements are not supported"),
    ] {
        let text = name(unb, bytes);
        let (error, is_of_message) = fault(&text);
        assert!(error.to_string().contains(rule), "{rule}: {error}");
        let at = &error.position;
        assert_eq!((at.segment, at.element, at.component), (4, 4, 1), "{error}");
        assert!(is_of_message, "{error}");
    }
    let read = |unb, bytes: &[u8]| {
        let mut received = receive(name(unb, bytes).as_slice(), context()).expect("read");
        assert!(received.control.is_clean(), "{:?}", received.control);
        let Content::Message(Canonical::Export(export)) = received.messages.remove(0).content
        else {
            panic!("an export declaration")
        };
        export.exporter.name.expect("a name")
    };
    assert_eq!(read("UNOC:3", b"K\xf6ln"), "Köln");
    assert_eq!(read("UNOK:4", b"\xde\xf0\xfd"), "Şğı");
    assert_eq!(read("UNOE:3", b"\xb1"), "Б");
    assert_eq!(read("UNOY:4", "Gəncə?*".as_bytes()), "Gəncə*");
    assert_eq!(read("UNOC:3", b"a*b??c?+d"), "a*b?c+d");
}

#[test]
fn bounds_are_held() {
    let long = "A".repeat(SEGMENT_BYTES_MAX + 10);
    let wide = "+A".repeat(ELEMENTS_MAX + 1);
    let deep = ":A".repeat(COMPONENTS_MAX + 1);
    for (body, rule) in [
        (format!("FTX+AAA+++{long}'"), "a segment has more than"),
        (format!("FTX{wide}'"), "a segment has more than 99 data elements"),
        (format!("FTX+A{deep}'"), "more than 99 components"),
    ] {
        let (error, is_of_message) = fault(small("UNOC:3", &body, 3).as_bytes());
        assert!(error.to_string().contains(rule), "{rule}: {error}");
        assert!(is_of_message, "{error}");
    }
    let many = "X01'".repeat(SEGMENTS_MAX);
    let (error, is_of_message) = fault(small("UNOC:3", &many, 3).as_bytes());
    assert_eq!((&error.rule, is_of_message), (&Rule::MessageSize, true));
    assert_eq!(error.kind(), karvan_types::ErrorKind::TooLarge);
    // A source without end is left at the bound.
    let endless = std::io::repeat(b' ');
    let endless = std::io::Read::chain(&b"UNB+UNOC:3+A+B+261002:0600+R1'"[..], endless);
    let received = receive(endless, context()).expect("a header");
    assert_eq!(
        received.control.error.map(|error| error.rule),
        Some(Rule::Size(INTERCHANGE_BYTES_MAX))
    );
    let broken = std::io::Read::chain(&b"UNB+UNOC:3+A+B+261002:0600+R1'UNH"[..], Broken);
    let error = receive(broken, context()).expect_err("a fault");
    assert!(matches!(error.rule, Rule::Unreadable(_)), "{error}");
}

/// A source that fails.
struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("the line is down"))
    }
}

#[test]
fn a_refused_message_does_not_hold_up_the_others() {
    let message = |reference: u32, body: &str, count: usize| {
        format!("UNH+{reference}+CUSDEC:D:96B:UN'{body}UNT+{count}+{reference}'")
    };
    let text = [
        "UNB+UNOC:3+AZ+PK+261002:0600+R1'".to_owned(),
        message(1, BODY, 8),
        message(2, &BODY.replace("CST+1", "CST+x"), 8),
        message(3, &BODY.replace("AAA+++W", "AAA+++W\u{7}"), 8),
        message(4, BODY, 7),
        message(5, &BODY.replace("830", "1"), 8),
        message(6, BODY, 8),
        "UNZ+6+R1'".to_owned(),
    ]
    .concat();
    let received = receive(text.as_bytes(), context()).expect("read");
    assert_eq!(received.messages.len(), 2);
    assert!(!received.control.is_clean());
    let bytes = received.control.write(&envelope(Charset::Y)).expect("written");
    expect("CONTRL.messages.edi", &bytes);
    let whole = receive(text.replace("UNZ+6", "UNZ+7").as_bytes(), context()).expect("read");
    assert!(whole.messages.is_empty());
    let bytes = whole.control.write(&envelope(Charset::Y)).expect("written");
    expect("CONTRL.interchange.edi", &bytes);
    let clean = receive(small("UNOC:3", BODY, 8).as_bytes(), context()).expect("read");
    let bytes = clean.control.write(&envelope(Charset::A)).expect("written");
    expect("CONTRL.clean.edi", &bytes);
}
