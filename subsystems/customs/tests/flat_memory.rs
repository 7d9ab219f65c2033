//! Reads documents of many parts from sources that make them on the way, and looks at the peak of
//! this process's memory: it must not grow with the document.
//!
//! One test alone in its program, since the peak is that of the whole process.

use std::io::Read;

use karvan_customs::messages::{DocumentType, Message, SharingLevel};
use karvan_customs::{edifact, wco};
use karvan_types::Timestamp;

/// Most that the peak may grow while a document is read whose parts are given away.
const GROWTH_KIB_MAX: u64 = 2 * 1024;
/// Least that it grows when everything is kept; the measure would be worthless otherwise.
const GROWTH_KIB_KEPT: u64 = 8 * 1024;

/// A text that is made part by part.
struct Made<F> {
    part: F,
    next: usize,
    text: Vec<u8>,
    read: usize,
}

impl<F: Fn(usize) -> Option<String>> Made<F> {
    fn new(part: F) -> Self {
        Self { part, next: 0, text: Vec::new(), read: 0 }
    }
}

impl<F: Fn(usize) -> Option<String>> Read for Made<F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.text.len() {
            self.text = (self.part)(self.next).unwrap_or_default().into_bytes();
            (self.next, self.read) = (self.next + 1, 0);
        }
        let mut rest = &self.text[self.read..];
        let count = rest.read(into)?;
        self.read += count;
        Ok(count)
    }
}

/// A declaration in XML with so many items: head, items, end.
fn declaration(items: usize) -> impl Fn(usize) -> Option<String> {
    move |part| match part {
        0 => Some(format!(
            "<Declaration xmlns=\"{}\"><FunctionCode>9</FunctionCode><FunctionalReferenceID>R-1\
             </FunctionalReferenceID><TypeCode>EXD</TypeCode><Exporter><Name>A</Name></Exporter>\
             <GoodsShipment>",
            wco::NAMESPACE_DECLARATION
        )),
        number if number <= items => Some(format!(
            "<GovernmentAgencyGoodsItem><SequenceNumeric>{number}</SequenceNumeric>\n\
             <CustomsValueAmount currencyID=\"USD\">10.5</CustomsValueAmount><Commodity>\
             <Description>Copper wire, refined, {}</Description><Classification><ID>740811</ID>\
             <IdentificationTypeCode>HS</IdentificationTypeCode></Classification>\
             <GoodsMeasure><GrossMassMeasure>12.5</GrossMassMeasure></GoodsMeasure></Commodity>\
             </GovernmentAgencyGoodsItem>",
            "8 mm ".repeat(20)
        )),
        number if number == items + 1 => Some("</GoodsShipment></Declaration>".to_owned()),
        _ => None,
    }
}

/// An interchange of so many declarations.
fn interchange(messages: usize) -> impl Fn(usize) -> Option<String> {
    move |part| match part {
        0 => Some("UNB+UNOC:3+A+B+261002:0600+R1'".to_owned()),
        number if number <= messages => Some(format!(
            "UNH+{number}+CUSDEC:D:96B:UN'BGM+830+D{number}+9'NAD+EX+1++A'UNS+D'{}\
             UNS+S'UNT+26+{number}'",
            format!("CST+1+740811:HS'FTX+AAA+++{}'", "COPPER WIRE ".repeat(60)).repeat(10)
        )),
        number if number == messages + 1 => Some(format!("UNZ+{messages}+R1'")),
        _ => None,
    }
}

/// Returns the peak of this process's memory in KiB, where the system tells it.
fn peak() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Returns by how much the peak grows.
fn growth(read: impl FnOnce()) -> Option<u64> {
    let before = peak()?;
    read();
    Some(peak()? - before)
}

#[test]
fn memory_does_not_grow_with_the_document() {
    const ITEMS: usize = 15_000;
    const MESSAGES: usize = 1_000;
    let context = wco::Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: Timestamp::from_seconds(1_790_000_000),
        subject: DocumentType::Export,
    };
    let xml = |items| {
        let mut seen = 0;
        let read = wco::import_each(Made::new(declaration(items)), context, &mut |_| seen += 1);
        let Message::Export(export) = read.expect("a declaration").message else {
            panic!("an export declaration")
        };
        assert_eq!((seen, export.goods_item_quantity as usize), (items, items));
    };
    let messages = |count| {
        let mut seen = 0;
        let source = Made::new(interchange(count));
        let bounds = edifact::Bounds::HELD;
        let control = edifact::receive_each(source, bounds, context, &mut |_| seen += 1);
        assert!(control.expect("an interchange").is_clean());
        assert_eq!(seen, count);
    };
    // What is made once is made by a small document of each.
    xml(100);
    messages(100);
    let Some(grown) = growth(|| xml(ITEMS)) else {
        eprintln!("SKIPPED memory_does_not_grow_with_the_document: the system tells no peak");
        return;
    };
    assert!(grown <= GROWTH_KIB_MAX, "XML: {grown} KiB");
    // The answer has a line for each message, and their references are kept to find one twice.
    let grown = growth(|| messages(MESSAGES)).expect("a peak");
    assert!(grown <= GROWTH_KIB_MAX, "EDIFACT: {grown} KiB");
    let mut whole = Vec::new();
    Made::new(declaration(ITEMS)).read_to_end(&mut whole).expect("a text");
    let grown = growth(|| assert!(wco::import(&whole, context).is_ok())).expect("a peak");
    assert!(grown >= GROWTH_KIB_KEPT, "everything kept: {grown} KiB");
}
