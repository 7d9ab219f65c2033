use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use proptest::prelude::*;

use super::*;
use crate::validate::{Severity, validate};

mod amending;
mod extending;
mod writing;

/// Set to rewrite the expectation files from what is found.
const UPDATE: &str = "KARVAN_UPDATE_EXPECTED";

fn context() -> Context<'static> {
    Context {
        agreement_id: "TEST",
        sharing_level: SharingLevel::L2,
        received_at: "2026-10-02T06:00:00Z".parse().expect("an instant"),
        subject: DocumentType::Export,
    }
}

/// Writes what became of one text: the message, what was lost, noted and found wrong.
fn report(xml: &[u8], context: Context<'_>) -> String {
    let imported = match import(xml, context) {
        Ok(imported) => imported,
        Err(error) => return format!("refused at {error}\n"),
    };
    let mut out = format!("accepted as {}\n", imported.message.document_type());
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string");
    for Note { path, text } in &imported.notes {
        line(format!("noted {path}: {text}"));
    }
    for Loss { path, line: number, value } in &imported.not_carried_over {
        line(format!("not carried over, line {number}: {path} = {value}"));
    }
    for problem in validate(&imported.message, context.received_at) {
        let severity = match problem.severity {
            Severity::Refuse => "refuse",
            Severity::Flag => "flag",
            Severity::Notice => "notice",
        };
        line(format!("{severity} {} {}: {}", problem.rule, problem.pointer, problem.remedy));
    }
    let value = imported.message.to_value().expect("a value");
    line(serde_json::to_string_pretty(&value).expect("JSON"));
    out
}

/// Compares with the file of this name, or writes it.
fn expect(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/wco/{name}.txt"));
    if env::var_os(UPDATE).is_some() {
        fs::write(&path, found).expect("writing an expectation");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == found, "{} differs; set {UPDATE}=1 to accept:\n{found}", path.display());
}

/// Every published sample: what it becomes and what is not carried over, or why it is refused.
#[test]
fn published_samples() {
    let Some(folder) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED published_samples: KARVAN_TEST_DATA is not set");
        return;
    };
    let folder = PathBuf::from(folder).join("customs/wco-dec-samples");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .expect("the samples")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort_unstable();
    // An expectation without its sample, or a sample without expectation, fails here.
    let stems: Vec<_> = names.iter().map(|name| name.trim_end_matches(".xml")).collect();
    assert_eq!(stems.len(), 15, "{stems:?}");
    for stem in stems {
        let xml = fs::read(folder.join(format!("{stem}.xml"))).expect("a sample");
        let subject = match stem.split('-').next() {
            Some("import") => DocumentType::Import,
            _ => DocumentType::Export,
        };
        expect(stem, &report(&xml, Context { subject, ..context() }));
    }
}

/// A small export declaration with marks to insert bad parts at.
fn declaration(prolog: &str, inside: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>{prolog}
<Declaration xmlns="{NAMESPACE_DECLARATION}" xmlns:t="{NAMESPACE_TYPES}">
<FunctionCode>9</FunctionCode><FunctionalReferenceID>R-1</FunctionalReferenceID>
<TypeCode>EXD</TypeCode>{inside}
<Exporter><Name>A &amp; B &#x259;</Name></Exporter>
<GoodsShipment><GovernmentAgencyGoodsItem><SequenceNumeric>1</SequenceNumeric>
<Commodity><Description><![CDATA[<wire>]]></Description>
<Classification><ID>740811</ID><IdentificationTypeCode>HS</IdentificationTypeCode></Classification>
</Commodity></GovernmentAgencyGoodsItem></GoodsShipment>
</Declaration>"#
    )
}

#[test]
fn a_bare_declaration_is_read() {
    let xml = format!("\u{feff}{}", declaration("", ""));
    let imported = import(xml.as_bytes(), context()).expect("accepted");
    let Message::Export(export) = imported.message else { panic!("an export declaration") };
    assert_eq!(export.exporter.name.as_deref(), Some("A & B ə"));
    assert_eq!(export.goods_item_quantity, 1);
    let item = export.shipment.items.first().expect("an item");
    assert_eq!(item.commodity.description, "<wire>");
    assert_eq!(imported.not_carried_over, []);
    let noted: Vec<_> = imported.notes.iter().map(|note| note.path.as_str()).collect();
    assert_eq!(noted, ["ID", "IssueDateTime", "TypeCode", "GoodsItemQuantity"]);
}

#[test]
fn nothing_is_dropped_in_silence() {
    for (inside, path, value) in [
        ("<Wish>fast</Wish>", "Wish", "fast"),
        ("<Agent><ID>A1</ID></Agent>", "Agent/ID", "A1"),
        ("<InvoiceAmount>5</InvoiceAmount>", "InvoiceAmount", "5"),
        (
            "<DeclarationOfficeID kind=\"x\">O1</DeclarationOfficeID>",
            "DeclarationOfficeID/@kind",
            "x",
        ),
        (
            "<x:include xmlns:x=\"http://www.w3.org/2001/XInclude\" href=\"file:///etc/passwd\"/>",
            "include/@href",
            "file:///etc/passwd",
        ),
        (
            "<Declarant><ID>D</ID><Address><CityName>Bakı</CityName><Mood>good</Mood></Address>\
             </Declarant>",
            "Declarant/Address/Mood",
            "good",
        ),
        ("<t:Declarant xmlns:t=\"urn:other\"><ID>D</ID></t:Declarant>", "Declarant/ID", "D"),
    ] {
        let xml = declaration("", inside);
        let imported =
            import(xml.as_bytes(), context()).unwrap_or_else(|e| panic!("{inside}: {e}"));
        let lost = &imported.not_carried_over;
        let found = lost.iter().map(|l| (l.path.as_str(), l.value.as_str()));
        let ext = extension::of(&imported.message).expect("a declaration");
        let kept = ext.iter().map(|value| (value.path.as_str(), value.value.as_str()));
        let found: Vec<_> = found.chain(kept).collect();
        assert_eq!(found, [(path, value)], "{inside}");
        // What is of the model goes with the message; what is not is listed with its line.
        let is_of_the_model = ["Agent/ID", "InvoiceAmount"].contains(&path);
        assert_eq!(ext.len(), usize::from(is_of_the_model), "{inside}");
        assert!(lost.iter().all(|loss| loss.line == 4), "{inside}");
    }
    // A document without its number has no field, so all of it goes beside.
    let item = "<AdditionalDocument><TypeCode>864</TypeCode><CategoryCode>N</CategoryCode>\
                </AdditionalDocument></GovernmentAgencyGoodsItem>";
    let xml = declaration("", "").replace("</GovernmentAgencyGoodsItem>", item);
    let imported = import(xml.as_bytes(), context()).expect("accepted");
    assert_eq!(imported.not_carried_over, []);
    let ext = extension::of(&imported.message).expect("a declaration");
    let found: Vec<_> = ext.iter().map(|value| value.path.as_str()).collect();
    let at = "GoodsShipment/GovernmentAgencyGoodsItem/AdditionalDocument";
    assert_eq!(found, [format!("{at}/CategoryCode"), format!("{at}/TypeCode")]);
    // Beyond the bound the values are counted.
    let many = "<Wish>fast</Wish>".repeat(LOSSES_MAX + 5);
    let imported = import(declaration("", &many).as_bytes(), context()).expect("accepted");
    assert_eq!((imported.not_carried_over.len(), imported.not_listed), (LOSSES_MAX, 5));
    let last = imported.not_carried_over.last().map(|loss| loss.path.clone());
    assert_eq!(last, Some(format!("Wish[{LOSSES_MAX}]")));
}

fn refuse(xml: &[u8], line: usize, rule: &str) {
    let error = import(xml, context()).expect_err(rule);
    assert!(error.rule.to_string().contains(rule), "{rule}: {error}");
    assert_eq!(error.line, line, "{rule}: {error}");
    assert!(error.byte <= xml.len(), "{rule}: {error}");
}

/// Returns `before0after before1after` and so on, without spaces.
fn numbered(count: usize, before: &str, after: &str) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        write!(text, "{before}{number}{after}").expect("writing to a string");
        text
    })
}

#[test]
fn hostile_texts_are_refused_with_their_place() {
    let bomb = "<!DOCTYPE d [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]>";
    let external = "<!DOCTYPE d SYSTEM \"file:///etc/passwd\">";
    let deep = "<a>".repeat(10_000) + &"</a>".repeat(10_000);
    let attributes = numbered(40, " a", "=\"\"");
    let long = "x".repeat(TEXT_BYTES_MAX + 1);
    let name = "n".repeat(NAME_BYTES_MAX + 1);
    for (prolog, inside, line, rule) in [
        (bomb, "<Wish>&b;</Wish>", 1, "a DOCTYPE is not accepted"),
        (external, "", 1, "a DOCTYPE is not accepted"),
        ("", "<Wish>&b;</Wish>", 4, "the entity `&b;` is not one of the five"),
        ("", "<Wish>&#0;</Wish>", 4, "the entity `&#0;`"),
        ("", deep.as_str(), 4, "deeper than 32 levels"),
        ("", &format!("<Wish{attributes}/>"), 4, "more than 32 attributes"),
        ("", "<Wish a=\"1\" a=\"2\"/>", 4, "not well-formed"),
        ("", &format!("<Wish>{long}</Wish>"), 4, "longer than 4096 bytes"),
        ("", &format!("<Wish w=\"{long}\"/>"), 4, "longer than 4096 bytes"),
        ("", &format!("<{name}/>"), 4, "name longer than 64 bytes"),
        ("", "<q:Wish/>", 4, "the prefix `q` is bound to no namespace"),
        ("", "<Wish>", 10, "not well-formed"),
        ("", "stray", 4, "text stands between elements"),
        ("", "<TotalPackageQuantity>1e3</TotalPackageQuantity>", 4, "write a whole number"),
        (
            "",
            "<AcceptanceDateTime><t:DateTimeString formatCode=\"304\">20260631000000Z\
             </t:DateTimeString></AcceptanceDateTime>",
            4,
            "`AcceptanceDateTime/DateTimeString` has the value",
        ),
        (
            "",
            "<InvoiceAmount currencyID=\"USD\">1,234.56</InvoiceAmount>",
            4,
            "`InvoiceAmount` has the value `1,234.56`",
        ),
    ] {
        refuse(declaration(prolog, inside).as_bytes(), line, rule);
    }
}

#[test]
fn texts_that_are_no_declaration_are_refused() {
    let good = declaration("", "");
    let half = good.split("</Exporter>").next().expect("a first part");
    let other = good.replace(NAMESPACE_DECLARATION, "urn:wco:datamodel:WCO:DEC-DMS:1");
    let bare = good.replace(&format!(" xmlns=\"{NAMESPACE_DECLARATION}\""), "");
    for (text, line, rule) in [
        ("", 1, "there is no element"),
        ("plain words", 1, "text stands between elements"),
        ("{\"json\": true}", 1, "text stands between elements"),
        (half, 5, "the text ends before `</Exporter>`"),
        (half.trim_end_matches('>'), 5, "not well-formed XML"),
        (&other, 2, "must be in `urn:wco:datamodel:WCO:DEC-DMS:2`"),
        (&bare, 2, "is in namespace ``"),
        (&format!("{good}\n<Declaration/>"), 11, "is a second root element"),
        (&good.replace("UTF-8", "ISO-8859-9"), 1, "names the encoding `ISO-8859-9`"),
        (&good.replace(">EXD<", ">T1<"), 2, "type `T1` with function `9` is not imported"),
        (&good.replace(">9<", ">13<"), 2, "type `EXD` with function `13` is not imported"),
        (&good.replace("<TypeCode>EXD</TypeCode>", ""), 2, "`Declaration/TypeCode` is missing"),
        ("<Invoice/>", 1, "`<Invoice>` is not a WCO declaration"),
        ("<MetaData/>", 1, "`Declaration` is missing"),
        ("<MetaData><Declaration/><Response/></MetaData>", 1, "second root element"),
    ] {
        refuse(text.as_bytes(), line, rule);
    }
    let mut bytes = good.into_bytes();
    let at = bytes.iter().rposition(|b| *b == b'w').expect("wire");
    bytes[at] = 0xff;
    refuse(&bytes, 7, "the bytes are not UTF-8");
    let huge = vec![b' '; BYTES_MAX + 1];
    let error = import(&huge, context()).expect_err("too long");
    assert_eq!((error.kind(), error.rule), (ErrorKind::TooLarge, Rule::Size(BYTES_MAX + 1)));
}

#[test]
fn the_longest_text_is_read_in_one_pass() {
    // Two shapes that punish a reader which scans its siblings again for each element.
    let distinct = numbered(100_000, "<a", "/>");
    let items = "<AdditionalDocument/>".repeat(ELEMENTS_MAX / 2);
    for inside in [distinct, items] {
        assert!(import(declaration("", &inside).as_bytes(), context()).is_ok());
    }
    let many = "<a/>".repeat(ELEMENTS_MAX);
    refuse(declaration("", &many).as_bytes(), 4, "more than 200000 elements");
}

proptest! {
    /// Whatever arrives is read or refused with a place inside the text, and never a panic.
    #[test]
    fn damaged_texts_never_panic(
        cut in 0_usize..900,
        length in 0_usize..40,
        insert in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut xml = declaration("", "<InvoiceAmount currencyID=\"USD\">5.10</InvoiceAmount>")
            .into_bytes();
        let from = cut.min(xml.len());
        let to = (from + length).min(xml.len());
        xml.splice(from..to, insert);
        match import(&xml, context()) {
            Ok(imported) => drop(validate(&imported.message, context().received_at)),
            Err(error) => prop_assert!(error.byte <= xml.len() && error.line >= 1, "{error}"),
        }
    }
}
