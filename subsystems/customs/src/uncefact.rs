//! The preferential certificate of origin of UN/CEFACT as JSON, in and out.
//!
//! The schema (Buy-Ship-Pay, PreferentialCoO, D23B) names parties and places by id only and knows
//! neither origin criterion nor validity, quantity or value. What it has is written in its own
//! places; the rest of the certificate goes into the member `x-karvan`, for which the schema leaves
//! room (`^x-`), under the names of the canonical message. One table says which value is where.
//!
//! Invariants: a certificate with its `x-karvan` comes back equal; a value stated in both places
//! must be the same in both; what has no place in the canonical message is listed.
//!
//! Not here: rules on the content (`crate::validate`).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use karvan_types::{ErrorKind, json};
use serde_json::{Map, Value};

use crate::formats::{self, LOSSES_MAX, Loss};
use crate::messages::{CERTIFICATE_TYPE_CODE, CertificateOfOrigin, Message};

/// Name of the extension.
pub const EXTENSION: &str = "x-karvan";
/// Most items, and most codes or packages of an item, that are looked at.
pub const ITEMS_MAX: usize = 10_000;

/// How a value is written.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// The same text.
    Text,
    /// A number, which the schema writes as text.
    Number,
    /// An instant.
    Instant,
}

/// A value of the certificate: its place in the message, in the schema, and its form. Places are
/// JSON pointers (RFC 6901).
type Row = (&'static str, &'static str, Form);

/// The one consignment.
const HEAD: &[Row] = &[
    ("/ID", "/exchangedDocument/id/content", Form::Text),
    ("/TypeCode", "/exchangedDocument/typeCode/content", Form::Text),
    ("/IssueDateTime", "/exchangedDocument/issueDateTime", Form::Instant),
    ("/issuer/ID", "/exchangedDocument/issuer/id/0/content", Form::Text),
    (
        "/issuePlace",
        "/exchangedDocument/firstSignatoryDocumentAuthentication/issueLogisticsLocation/id/0/content",
        Form::Text,
    ),
    ("/Exporter/ID", "/specifiedConsignment/0/consignor/id/0/content", Form::Text),
    ("/Consignee/ID", "/specifiedConsignment/0/consignee/id/0/content", Form::Text),
    ("/producer/ID", "/specifiedConsignment/0/associated/0/id/0/content", Form::Text),
    (
        "/Consignment/LoadingLocation/ID",
        "/specifiedConsignment/0/loadingLogisticsLocation/id/0/content",
        Form::Text,
    ),
    (
        "/Consignment/UnloadingLocation/ID",
        "/specifiedConsignment/0/unloadingLogisticsLocation/id/0/content",
        Form::Text,
    ),
    (
        "/BorderTransportMeans/ModeCode",
        "/specifiedConsignment/0/mainCarriageLogisticsTransportMovement/0/modeCode/content",
        Form::Text,
    ),
    (
        "/BorderTransportMeans/ID",
        "/specifiedConsignment/0/mainCarriageLogisticsTransportMovement/0/\
         usedLogisticsTransportMeans/name/content",
        Form::Text,
    ),
    (
        "/agreementID",
        "/specifiedConsignment/0/applicableCrossBorderRegulatoryProcedure/0/\
         freeTradeAgreementName/content",
        Form::Text,
    ),
];

const ITEMS: [&str; 2] =
    ["/GovernmentAgencyGoodsItem", "/specifiedConsignment/0/includedConsignmentItem"];
const ITEM: &[Row] = &[
    ("/SequenceNumeric", "/id/0/content", Form::Number),
    (
        "/Origin/CountryCode",
        "/includedTradeLineItem/0/specifiedTradeProduct/0/originTradeCountry/0/id/0/content",
        Form::Text,
    ),
];
const CODES: [&str; 2] = [
    "/Classification",
    "/includedTradeLineItem/0/specifiedTradeProduct/0/designatedProductClassification",
];
const CODE: &[Row] = &[("/ID", "/classCode/content", Form::Text)];
const PACKAGES: [&str; 2] =
    ["/Packaging", "/includedTradeLineItem/0/physicalReferencedLogisticsPackage"];
const PACKAGE: &[Row] = &[
    ("/QuantityQuantity", "/itemQuantity/content", Form::Number),
    ("/TypeCode", "/typeCode/content", Form::Text),
    ("/MarksNumbersID", "/physicalLogisticsShippingMarks/0/marking/0/content", Form::Text),
];

/// Who keeps the list of a code, by the end of its place: UN/ECE of places and packages, ISO of
/// countries.
const AGENCIES: [(&str, &str, &str); 4] = [
    ("/loadingLogisticsLocation/id/0/content", "schemeAgencyId", "6"),
    ("/unloadingLogisticsLocation/id/0/content", "schemeAgencyId", "6"),
    ("/originTradeCountry/0/id/0/content", "schemeAgencyId", "5"),
    ("/typeCode/content", "listAgencyId", "6"),
];
/// Packaging level that is written: outer (UN/EDIFACT 7075), which the schema requires.
const LEVEL: [&str; 2] = ["/levelCode/content", "3"];

/// A certificate that was read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The canonical message.
    pub certificate: CertificateOfOrigin,
    /// Values that it has no place for.
    pub not_carried_over: Vec<Loss>,
}

/// A document is not accepted as a certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not strict JSON.
    #[error("the text is not strict JSON: {0}")]
    Json(#[source] json::Error),
    /// A reference to another resource stands in the place of a part.
    #[error("{0} is a link; put the part itself into the document")]
    Link(String),
    /// It is another document.
    #[error(
        "/exchangedDocument/typeCode/content is {0}; only 864, a preferential certificate, is read"
    )]
    TypeCode(String),
    /// There is not exactly one consignment.
    #[error("/specifiedConsignment has {0} entries; a certificate covers exactly one consignment")]
    Consignments(usize),
    /// A part has too many entries.
    #[error("{0} has more than {ITEMS_MAX} entries; split the certificate")]
    Many(String),
    /// A value has the wrong form.
    #[error("{place} has the value {value}: {rule}")]
    Value {
        /// JSON pointer.
        place: String,
        /// The value, shortened.
        value: String,
        /// The rule and the remedy.
        rule: &'static str,
    },
    /// The same value is stated in both places and differs.
    #[error("{place} says {value}, `x-karvan` says {other} in {path}; make them equal")]
    Contradiction {
        /// JSON pointer in the schema.
        place: String,
        /// Its value.
        value: String,
        /// JSON pointer in the extension.
        path: String,
        /// Its value.
        other: String,
    },
    /// What is there does not make a certificate.
    #[error(
        "the document does not make a certificate: {0}; what the schema has no place for goes into \
         the member `x-karvan`"
    )]
    Content(String),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(json::Error::TooLong(_)) | Self::Many(_) => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        }
    }
}

/// Writes a certificate; the losses are empty, which is checked by reading it again. What could not
/// be read is refused.
pub fn write(certificate: &CertificateOfOrigin) -> Result<(Value, Vec<Loss>), Error> {
    let to_value = |certificate| {
        let value = Message::Certificate(Box::new(certificate)).to_value();
        value.map_err(|error| Error::Content(error.to_string()))
    };
    let value = to_value(certificate.clone())?;
    let (mut rest, mut core) = (value.clone(), Value::Object(Map::new()));
    give(HEAD, ["", ""], &mut rest, &mut core);
    for item in 0..count(&value, ITEMS[0]) {
        let at = ITEMS.map(|base| format!("{base}/{item}"));
        give(ITEM, [&at[0], &at[1]], &mut rest, &mut core);
        for (lists, rows) in [(CODES, CODE), (PACKAGES, PACKAGE)] {
            for index in 0..count(&value, &format!("{}{}", at[0], lists[0])) {
                let [from, to] = [0, 1].map(|side| format!("{}{}/{index}", at[side], lists[side]));
                give(rows, [&from, &to], &mut rest, &mut core);
                if lists == PACKAGES {
                    put(&mut core, &format!("{to}{}", LEVEL[0]), Value::from(LEVEL[1]));
                }
            }
        }
    }
    prune(&mut rest, &value);
    put(&mut core, &format!("/{EXTENSION}"), rest);
    let back = to_value(from_value(core.clone())?.certificate)?;
    let losses = formats::losses(&value, &back, &BTreeMap::new());
    Ok((core, losses))
}

/// Moves the values of rows from the message to the places of the schema.
fn give(rows: &[Row], bases: [&str; 2], rest: &mut Value, core: &mut Value) {
    for (path, place, form) in rows {
        let Some(value) = remove(rest, &format!("{}{path}", bases[0])) else { continue };
        let value = match (form, value) {
            (Form::Number, Value::Number(number)) => Value::String(number.to_string()),
            (_, value) => value,
        };
        let place = format!("{}{place}", bases[1]);
        put(core, &place, value);
        for (end, member, agency) in AGENCIES {
            // The code of the document itself is kept by no other agency.
            if place.ends_with(end) && !place.starts_with("/exchangedDocument") {
                let place = place.trim_end_matches("content");
                put(core, &format!("{place}{member}"), Value::from(agency));
            }
        }
    }
}

/// Reads a certificate.
pub fn import(text: &[u8]) -> Result<Imported, Error> {
    from_value(json::parse(text).map_err(Error::Json)?)
}

/// Returns whether a JSON value looks like a document of this schema.
pub fn is_certificate(value: &Value) -> bool {
    value.get("exchangedDocument").is_some()
}

fn from_value(mut core: Value) -> Result<Imported, Error> {
    let mut message =
        remove(&mut core, &format!("/{EXTENSION}")).unwrap_or_else(|| Value::Object(Map::new()));
    if !message.is_object() {
        let (place, value) = (format!("/{EXTENSION}"), formats::shown(&message));
        return Err(Error::Value { place, value, rule: "it must be an object" });
    }
    let code = core.pointer("/exchangedDocument/typeCode/content").cloned().unwrap_or_default();
    if code != CERTIFICATE_TYPE_CODE {
        return Err(Error::TypeCode(formats::shown(&code)));
    }
    match count(&core, "/specifiedConsignment") {
        1 => {}
        other => return Err(Error::Consignments(other)),
    }
    take(HEAD, ["", ""], &mut core, &mut message)?;
    for item in 0..bounded(&core, ITEMS[1])? {
        let at = ITEMS.map(|base| format!("{base}/{item}"));
        take(ITEM, [&at[0], &at[1]], &mut core, &mut message)?;
        for (lists, rows) in [(CODES, CODE), (PACKAGES, PACKAGE)] {
            for index in 0..bounded(&core, &format!("{}{}", at[1], lists[1]))? {
                let [path, place] =
                    [0, 1].map(|side| format!("{}{}/{index}", at[side], lists[side]));
                take(rows, [&path, &place], &mut core, &mut message)?;
                let level = format!("{place}{}", LEVEL[0]);
                if core.pointer(&level).is_some_and(|level| level == LEVEL[1]) {
                    remove(&mut core, &level);
                }
            }
        }
    }
    let mut not_carried_over = Vec::new();
    left(&core, &mut String::new(), &mut not_carried_over);
    let certificate =
        serde_json::to_vec(&message).map_err(|error| Error::Content(error.to_string())).and_then(
            |text| json::from_slice(&text).map_err(|error| Error::Content(error.to_string())),
        )?;
    Ok(Imported { certificate, not_carried_over })
}

/// Moves the values of rows from the places of the schema to the message.
fn take(
    rows: &[Row],
    bases: [&str; 2],
    core: &mut Value,
    message: &mut Value,
) -> Result<(), Error> {
    for (path, place, form) in rows {
        let [path, place] = [format!("{}{path}", bases[0]), format!("{}{place}", bases[1])];
        if let Some(link) = link(core, &place) {
            return Err(Error::Link(link));
        }
        let Some(found) = remove(core, &place) else { continue };
        let Value::String(text) = &found else {
            let (value, rule) = (formats::shown(&found), "it must be a text");
            return Err(Error::Value { place, value, rule });
        };
        let value = match form {
            Form::Text => found.clone(),
            Form::Number => match text.parse::<u32>() {
                Ok(number) if text.bytes().all(|b| b.is_ascii_digit()) => Value::from(number),
                _ => {
                    let (value, rule) = (formats::shown(&found), "write a whole number in digits");
                    return Err(Error::Value { place, value, rule });
                }
            },
            Form::Instant => {
                let Ok(instant) = text.parse::<karvan_types::Timestamp>() else {
                    let rule =
                        "write a date and time with offset, such as 2026-10-02T11:30:00+05:00";
                    return Err(Error::Value { place, value: formats::shown(&found), rule });
                };
                Value::String(instant.to_string())
            }
        };
        for (end, member, agency) in AGENCIES {
            let at = format!("{}{member}", place.trim_end_matches("content"));
            if place.ends_with(end) && core.pointer(&at).is_some_and(|found| found == agency) {
                remove(core, &at);
            }
        }
        if let Some(other) = message.pointer(&path).filter(|other| **other != value) {
            let (value, other) = (formats::shown(&value), formats::shown(other));
            return Err(Error::Contradiction { place, value, path, other });
        }
        if !put(message, &path, value) {
            let (place, value) = (format!("/{EXTENSION}{path}"), "another form".to_owned());
            return Err(Error::Value { place, value, rule: "leave it out; the schema states it" });
        }
    }
    Ok(())
}

/// Returns the place on the way to another at which a text stands instead of a part.
fn link(value: &Value, place: &str) -> Option<String> {
    let ends = place.match_indices('/').skip(1).map(|(index, _)| index);
    let mut parts = ends.filter_map(|end| place.get(..end));
    parts.find(|part| value.pointer(part).is_some_and(Value::is_string)).map(str::to_owned)
}

fn count(value: &Value, pointer: &str) -> usize {
    value.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len)
}

fn bounded(value: &Value, pointer: &str) -> Result<usize, Error> {
    match count(value, pointer) {
        count if count > ITEMS_MAX => Err(Error::Many(pointer.to_owned())),
        count => Ok(count),
    }
}

/// Takes a value out of an object.
fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (outer, name) = pointer.rsplit_once('/')?;
    value.pointer_mut(outer)?.as_object_mut()?.remove(name)
}

/// Puts a value at a place and makes objects and lists on the way; `false` when something else is
/// in the way.
fn put(root: &mut Value, pointer: &str, new: Value) -> bool {
    let mut at = root;
    for step in pointer.split('/').skip(1) {
        let index = step.parse::<usize>().ok();
        if at.is_null() {
            *at =
                if index.is_some() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
        let next = match (at, index) {
            (Value::Array(list), Some(index)) if index <= list.len() => {
                if index == list.len() {
                    list.push(Value::Null);
                }
                list.get_mut(index)
            }
            (Value::Object(members), None) => Some(members.entry(step).or_insert(Value::Null)),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    *at = new;
    true
}

/// Removes members that became empty objects, but not those that were; the places in lists stay.
fn prune(value: &mut Value, original: &Value) {
    match (value, original) {
        (Value::Object(members), Value::Object(originals)) => {
            members.retain(|name, value| {
                let original = originals.get(name);
                prune(value, original.unwrap_or(&Value::Null));
                let is_empty = value.as_object().is_some_and(Map::is_empty);
                !is_empty || original == Some(&*value)
            });
        }
        (Value::Array(list), Value::Array(originals)) => {
            for (value, original) in list.iter_mut().zip(originals) {
                prune(value, original);
            }
        }
        _ => {}
    }
}

/// Lists what is left in a document.
fn left(value: &Value, place: &mut String, losses: &mut Vec<Loss>) {
    let length = place.len();
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                place.push('/');
                place.push_str(name);
                left(value, place, losses);
                place.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let _ = write!(place, "/{index}");
                left(value, place, losses);
                place.truncate(length);
            }
        }
        _ if losses.len() >= LOSSES_MAX => {}
        value => {
            let field = format!("{place}: {}", formats::shown(value));
            losses.push(Loss::new(field, "the message has no place for it"));
        }
    }
}

#[cfg(test)]
mod tests;
