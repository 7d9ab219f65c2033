//! From an interchange to canonical messages and back.

use std::io::Read;

use karvan_types::ErrorKind;
use serde::Deserialize as _;
use serde::de::value::Error as PartError;
use serde_json::{Map, Value};

use super::cargo::CargoReport;
use super::charset::Charset;
use super::control::{Control, Verdict};
use super::error::{Error, Rule};
use super::fill::Filler;
use super::interchange::{Bounds, Header, Message as Raw, Reader};
use super::part::Part;
use super::table::{Directory, Node};
use super::tables::{
    CANCELLATION, CARGO, DECLARATION, HEAD, ORDER_CUSDEC, ORDER_CUSRES, UTILISATION, VALIDATION,
};
use super::take::{Builder, ITEMS};
use super::write::{Envelope, Out, Unmappable};
use crate::formats::{self, Loss};
use crate::messages::{
    DocumentType, EXPORT_TYPE_CODE, GoodsItem, GoodsShipment, IMPORT_TYPE_CODE, Message,
    SharingLevel,
};
use crate::wco::{Context, Note};

/// Reference of the one message of an interchange that is written here.
const MESSAGE_REFERENCE: &str = "1";

/// What an EDIFACT message says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Content {
    /// A canonical message.
    Message(Message),
    /// A cargo report.
    Cargo(Box<CargoReport>),
}

impl Content {
    /// Returns the content as a JSON value.
    pub fn to_value(&self) -> Result<Value, Unwritable> {
        let value = match self {
            Self::Message(message) => message.to_value().map_err(|error| error.to_string()),
            Self::Cargo(report) => serde_json::to_value(report).map_err(|error| error.to_string()),
        };
        value.map_err(Unwritable::Json)
    }

    /// Returns the message type, the table, and the order of its segments.
    fn table(&self) -> Option<(&'static str, &'static [Node], &'static [&'static str])> {
        let (order, kind, table) = match self {
            Self::Message(Message::Export(_) | Message::Import(_)) => {
                (ORDER_CUSDEC, "CUSDEC", DECLARATION)
            }
            Self::Message(Message::Cancellation(_)) => (ORDER_CUSDEC, "CUSDEC", CANCELLATION),
            Self::Message(Message::Validation(_)) => (ORDER_CUSRES, "CUSRES", VALIDATION),
            Self::Message(Message::Utilisation(_)) => (ORDER_CUSRES, "CUSRES", UTILISATION),
            Self::Cargo(_) => (&[][..], "CUSCAR", CARGO),
            Self::Message(_) => return None,
        };
        Some((kind, table, order))
    }
}

/// A message that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The canonical message or the cargo report.
    pub content: Content,
    /// Values of the message that it has no place for.
    pub not_carried_over: Vec<Loss>,
    /// How many more are not carried over than are listed.
    pub not_listed: usize,
    /// Values that were filled in.
    pub notes: Vec<Note>,
}

/// An interchange that was read.
#[derive(Clone, Debug)]
pub struct Received {
    /// The messages that were taken; none when the interchange as a whole is refused.
    pub messages: Vec<Imported>,
    /// What to answer.
    pub control: Control,
}

/// Reads an interchange. A message with a fault is refused alone, with its place in the answer;
/// an error is returned when even UNB cannot be read, so that nobody can be answered.
pub fn receive<R: Read>(source: R, context: Context<'_>) -> Result<Received, Error> {
    let mut messages = Vec::new();
    let each = &mut |imported| messages.push(imported);
    let control = receive_each(source, Bounds::HELD, context, each)?;
    if control.error.is_some() {
        messages.clear();
    }
    Ok(Received { messages, control })
}

/// Reads an interchange as [`receive`] does, and gives each message away as soon as its UNT was
/// checked, so that memory holds one.
///
/// A fault of the envelope refuses the whole interchange, also the messages that were given: when
/// the answer has an error, nothing of them may take effect.
pub fn receive_each<R: Read>(
    source: R,
    bounds: Bounds,
    context: Context<'_>,
    each: &mut dyn FnMut(Imported),
) -> Result<Control, Error> {
    let mut reader = Reader::open_within(source, bounds)?;
    let mut control = Control::new(reader.header().clone());
    let mut raw = Raw::default();
    loop {
        let result = match reader.next_message(&mut raw) {
            Ok(false) => break,
            Ok(true) => import(&raw, reader.header(), context),
            Err(error) if error.is_of_message() => Err(error),
            Err(error) => {
                control.error = Some(error);
                break;
            }
        };
        let error = result.map(&mut *each).err();
        let (reference, kind) = (raw.reference.clone(), raw.kind.clone());
        control.verdicts.push(Verdict { reference, kind, error });
    }
    Ok(control)
}

/// Makes a canonical message of one EDIFACT message.
fn import(raw: &Raw, header: &Header, context: Context<'_>) -> Result<Imported, Error> {
    let Some(unh) = raw.first() else { return Err(empty()) };
    let kind = || format!("{}:{}", raw.kind.name, raw.kind.directory);
    let directory = Directory::from_name(&raw.kind.directory)
        .ok_or_else(|| unh.error(2, 2, Rule::MessageType(kind())))?;
    let (document_type, table) = which(raw)?;
    let name = document_type.map_or("cargo report", DocumentType::code);
    let mut builder = Builder::new(directory, header.signs, name, [HEAD, table]);
    let mut value = builder.build(raw)?;
    let (items, mut notes) = (std::mem::take(&mut builder.items), Vec::new());
    complete(&mut value, (document_type, items.len()), context, &mut notes);
    let content = parse(document_type, value, items).map_err(|error| {
        unh.error(0, 0, Rule::Content { document_type: name, rule: error.to_string() })
    })?;
    let (not_carried_over, not_listed) = (builder.losses, builder.unlisted);
    Ok(Imported { content, not_carried_over, not_listed, notes })
}

/// Says which canonical message a message is, and its table; no type is a cargo report.
fn which(raw: &Raw) -> Result<(Option<DocumentType>, &'static [Node]), Error> {
    let find = |tag: &str| raw.segments().find(|segment| segment.tag() == tag);
    let Some(bgm) = find("BGM") else {
        let error = raw.first().map(|unh| unh.error(0, 0, Rule::Missing("the segment BGM")));
        return Err(error.unwrap_or_else(empty));
    };
    let code = bgm.value(1, 1);
    let has_outcome = || {
        raw.segments().any(|s| {
            matches!((s.tag(), s.value(1, 2), s.value(2, 2)), ("GIS", "KOC", _) | ("GEI", _, "KOC"))
        })
    };
    Ok(match (raw.kind.name.as_str(), bgm.value(3, 1), code) {
        ("CUSDEC", "1", _) => (Some(DocumentType::Cancellation), CANCELLATION),
        ("CUSDEC", _, EXPORT_TYPE_CODE) => (Some(DocumentType::Export), DECLARATION),
        ("CUSDEC", _, IMPORT_TYPE_CODE) => (Some(DocumentType::Import), DECLARATION),
        ("CUSDEC", ..) => {
            let (field, value) = ("TypeCode".to_owned(), code.chars().take(12).collect());
            let rule = "use 830 for an export, 929 for an import declaration".to_owned();
            return Err(bgm.error(1, 1, Rule::Value { field, value, rule }));
        }
        ("CUSRES", ..) if has_outcome() => (Some(DocumentType::Validation), VALIDATION),
        ("CUSRES", ..) => (Some(DocumentType::Utilisation), UTILISATION),
        ("CUSCAR", ..) => (None, CARGO),
        (name, ..) => {
            let rule = Rule::MessageType(name.chars().take(12).collect());
            return Err(raw.first().map_or_else(empty, |unh| unh.error(2, 1, rule)));
        }
    })
}

fn empty() -> Error {
    Error { position: Box::default(), rule: Rule::Truncated("UNH") }
}

/// Fills in what the receiver knows and the message does not say; `of` is which message it is and
/// how many items of goods it has.
fn complete(
    value: &mut Part,
    of: (Option<DocumentType>, usize),
    context: Context<'_>,
    notes: &mut Vec<Note>,
) {
    let id = value.at("ID").cloned();
    let mut fill = |name: &'static str, filled: Part, text: &str| {
        if let Some(place) = value.place(name).filter(|place| place.is_absent()) {
            *place = filled;
            if !text.is_empty() {
                notes.push(Note { path: name.to_owned(), text: text.to_owned() });
            }
        }
    };
    let level = match context.sharing_level {
        SharingLevel::L1 => "L1",
        SharingLevel::L2 => "L2",
        SharingLevel::L3 => "L3",
    };
    fill("agreementID", Part::Text(context.agreement_id.to_owned()), "");
    fill("sharingLevel", Part::Text(level.to_owned()), "");
    let received_at = Part::Text(context.received_at.to_string());
    fill("IssueDateTime", received_at, "not stated; the time of receipt is used");
    fill("VersionID", Part::Number(1), "not stated; the first version is assumed");
    if let (Some(DocumentType::Export | DocumentType::Import), 1..) = of {
        let count = Part::Number(u32::try_from(of.1).unwrap_or(u32::MAX));
        fill("GoodsItemQuantity", count, "not stated; the items are counted");
    }
    if of.0.is_none() {
        // A cargo report need not say more of the goods than where they go.
        fill(ITEMS, Part::List(Vec::new()), "");
    }
    if let Some(id) = id {
        fill("FunctionalReferenceID", id, "not stated; the number of the document is used");
    }
}

/// Makes the message of its parts; no type is a cargo report.
///
/// A message has its header among its own members, which makes serde hold everything beside it
/// twice. So the shipment, which is nearly all of a declaration, is read alone and put in.
fn parse(
    document_type: Option<DocumentType>,
    mut value: Part,
    items: Vec<GoodsItem>,
) -> Result<Content, PartError> {
    if !items.is_empty()
        && let Some(place) = value.place(ITEMS)
    {
        *place = Part::List(Vec::new());
    }
    let mut shipment = None;
    if value.at("GoodsShipment").is_some()
        && let Some(place) = value.place("GoodsShipment")
    {
        let empty = Part::Members(vec![("GovernmentAgencyGoodsItem", Part::List(Vec::new()))]);
        let alone = GoodsShipment::deserialize(std::mem::replace(place, empty))?;
        shipment = Some(GoodsShipment { items, ..alone });
    }
    let mut content = match document_type {
        None => Content::Cargo(Box::new(CargoReport::deserialize(value)?)),
        Some(document_type) => Content::Message(message(document_type, value)?),
    };
    let place = match &mut content {
        Content::Cargo(report) => Some(&mut report.shipment),
        Content::Message(Message::Export(message)) => Some(&mut message.shipment),
        Content::Message(Message::Import(message)) => Some(&mut message.shipment),
        Content::Message(_) => None,
    };
    if let Some((place, shipment)) = place.zip(shipment) {
        *place = shipment;
    }
    Ok(content)
}

fn message(document_type: DocumentType, value: Part) -> Result<Message, PartError> {
    fn boxed<'de, T: serde::Deserialize<'de>>(value: Part) -> Result<Box<T>, PartError> {
        T::deserialize(value).map(Box::new)
    }
    let code = document_type.code();
    Ok(match document_type {
        DocumentType::Export => Message::Export(boxed(value)?),
        DocumentType::Import => Message::Import(boxed(value)?),
        DocumentType::Utilisation => Message::Utilisation(boxed(value)?),
        DocumentType::Validation => Message::Validation(boxed(value)?),
        DocumentType::Cancellation => Message::Cancellation(boxed(value)?),
        _ => return Err(serde::de::Error::custom(format!("{code} has no EDIFACT message"))),
    })
}

/// An interchange that was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The interchange.
    pub bytes: Vec<u8>,
    /// Values that are not in it.
    pub losses: Vec<Loss>,
}

/// A message cannot be written as EDIFACT.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// There is no EDIFACT message for it here.
    #[error("a {0} has no EDIFACT message here; {1}")]
    Kind(&'static str, &'static str),
    /// The repertoire lacks a character.
    #[error(
        "{field} has the character U+{code:04X}, which {charset} lacks; choose UNOY or another \
         repertoire"
    )]
    Character {
        /// Segment in which it is.
        field: String,
        /// The character.
        code: u32,
        /// The repertoire.
        charset: &'static str,
    },
    /// A required value does not fit, so the partner could not read the message.
    #[error("what is written could not be read again, so shorten or complete it: {0}")]
    Incomplete(String),
    /// The message is no JSON, which is a defect.
    #[error("the message has no JSON form: {0}")]
    Json(String),
}

impl Unwritable {
    pub(super) fn character(field: &str, character: char, charset: Charset) -> Self {
        let (field, code) = (field.to_owned(), u32::from(character));
        Self::Character { field, code, charset: charset.identifier() }
    }

    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(_) => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }
}

/// Writes one message as an interchange, and lists what is not in it.
pub fn write(
    content: &Content,
    directory: Directory,
    envelope: &Envelope<'_>,
) -> Result<Written, Unwritable> {
    let Some((kind, table, order)) = content.table() else {
        let remedy = "write a COO as UN/CEFACT JSON, an AMD as WCO XML or as a new version";
        return Err(Unwritable::Kind("COO or AMD", remedy));
    };
    let value = content.to_value()?;
    let mut filler = Filler::new(directory);
    filler.message([HEAD, table], &value, order);
    let unmappable = |tag: &str, Unmappable(character): Unmappable| {
        Unwritable::character(tag, character, envelope.charset)
    };
    let mut out = Out::open(envelope).map_err(|e| unmappable("UNB", e))?;
    out.open_message(MESSAGE_REFERENCE, kind, directory.parts())
        .map_err(|e| unmappable("UNH", e))?;
    for line in &filler.lines {
        out.line(line).map_err(|error| unmappable(line.tag, error))?;
    }
    out.close_message(MESSAGE_REFERENCE).map_err(|e| unmappable("UNT", e))?;
    let bytes = out.close(1, envelope.reference).map_err(|e| unmappable("UNZ", e))?;
    let back = read_back(&bytes).map_err(|error| {
        let reasons = filler.reasons.iter().map(|(path, why)| format!("; {path}: {why}"));
        Unwritable::Incomplete(format!("{}{}", error.rule, reasons.collect::<String>()))
    })?;
    let losses = formats::losses(&value, &back, &filler.reasons);
    Ok(Written { bytes, losses })
}

/// Reads what was written, without anything that a receiver would fill in.
fn read_back(bytes: &[u8]) -> Result<Value, Error> {
    let context = Context {
        agreement_id: "",
        sharing_level: SharingLevel::L1,
        received_at: karvan_types::Timestamp::from_seconds(0),
        subject: DocumentType::Export,
    };
    let Received { mut messages, control } = receive(bytes, context)?;
    let refusals = control.verdicts.into_iter().filter_map(|verdict| verdict.error);
    if let Some(error) = control.error.into_iter().chain(refusals).next() {
        return Err(error);
    }
    let value = messages.pop().and_then(|imported| imported.content.to_value().ok());
    Ok(value.unwrap_or(Value::Object(Map::new())))
}
