//! One record of an import: a document in any format, or a decision that was made off line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_subsystem::{Pointer, Rejection};
use karvan_types::{ErrorKind, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FilledIn, Line, NotCarried, Outcome, READING_MAX};
use crate::edifact::{CargoReport, Header};
use crate::formats::{self, Document};
use crate::messages::{self, Message};
use crate::uncefact;
use crate::validate::{Severity, validate};
use crate::wco::{self, Context, ImportedResponse, Note, Response};

/// The bytes of a record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Content {
    /// As UTF-8.
    Text(String),
    /// As base64, for EDIFACT in another repertoire.
    Bytes(String),
}

impl Content {
    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, Rejection> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Bytes(text) => STANDARD.decode(text).map_err(|error| {
                let text = format!("the bytes of the record are not base64: {error}");
                Rejection::new(ErrorKind::Invalid, "customs.unreadable", text)
            }),
        }
    }
}

/// What a record is.
#[derive(Clone, Debug)]
pub(crate) enum Taken {
    /// A document.
    Message {
        /// The document.
        message: Message,
        /// Whether its time of issue is the time of receipt, since it states none.
        is_dated_here: bool,
        /// What its interchange says, when it is a message of one.
        interchange: Option<Box<Header>>,
        /// What is to be told about the reading.
        reading: Reading,
    },
    /// A cargo report of a carrier.
    Cargo {
        /// The report.
        report: Box<CargoReport>,
        /// What its interchange says.
        interchange: Option<Box<Header>>,
        /// What is to be told about the reading.
        reading: Reading,
    },
    /// A response of the national system about a declaration.
    Response {
        /// The response.
        response: Box<ImportedResponse>,
        /// The text, by which it is known when it comes again.
        text: String,
        /// What is to be told about the reading.
        reading: Reading,
    },
    /// A decision: the input of the operation `decide`.
    Decision(Value),
}

/// What is to be told about the reading of a record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Reading {
    not_carried_over: Vec<NotCarried>,
    not_listed: u64,
    notes: Vec<FilledIn>,
}

impl Reading {
    fn of(lost: Vec<formats::Loss>, not_listed: usize, notes: Vec<Note>) -> Self {
        let unlisted = not_listed + lost.len().saturating_sub(READING_MAX);
        let lost = lost.into_iter().take(READING_MAX);
        let notes = notes.into_iter().take(READING_MAX);
        Self {
            not_carried_over: lost.map(|l| NotCarried { field: l.field, why: l.why }).collect(),
            not_listed: unlisted as u64,
            notes: notes.map(|note| FilledIn { path: note.path, text: note.text }).collect(),
        }
    }

    /// Adds it to a line of the report.
    pub(crate) fn tell(self, line: Line) -> Line {
        let Self { not_carried_over, not_listed, notes } = self;
        Line { not_carried_over, not_listed, notes, ..line }
    }
}

fn unreadable(kind: ErrorKind, text: impl Into<String>) -> Rejection {
    Rejection::new(kind, "customs.unreadable", text)
}

/// Reads a record.
pub(crate) fn read(bytes: &[u8], context: Context<'_>) -> Result<Taken, Rejection> {
    let refused = |error: formats::Error| unreadable(error.kind(), error.to_string());
    let taken = |message, lost| Taken::Message {
        message,
        is_dated_here: false,
        interchange: None,
        reading: Reading::of(lost, 0, Vec::new()),
    };
    let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if plain.first() == Some(&b'{') {
        let value = json::parse(plain)
            .map_err(|error| unreadable(ErrorKind::Invalid, error.to_string()))?;
        if is_decision(&value) {
            return Ok(Taken::Decision(value));
        }
        if uncefact::is_certificate(&value) {
            let read = uncefact::import(plain).map_err(|error| refused(error.into()))?;
            let message = Message::Certificate(Box::new(read.certificate));
            return Ok(taken(message, read.not_carried_over));
        }
        if value.get("Declaration").is_some() {
            return json_response(bytes, plain, context);
        }
        let message = formats::document_type(&value)
            .and_then(|kind| Message::from_value(kind, value))
            .map_err(|error| refused(error.into()))?;
        importable(&message)?;
        return Ok(taken(message, Vec::new()));
    }
    let Some(format) = formats::detect(plain) else {
        return Err(unreadable(ErrorKind::Invalid, formats::Error::Format.to_string()));
    };
    if wco::is_response(plain) {
        return xml_response(bytes, plain);
    }
    let contents = formats::read(plain, format, context).map_err(refused)?;
    let interchange = contents.control.as_ref().map(|control| Box::new(control.header().clone()));
    if let Some(control) = contents.control {
        let refusals = control.verdicts.into_iter().filter_map(|verdict| verdict.error);
        if let Some(error) = control.error.into_iter().chain(refusals).next() {
            return Err(unreadable(error.kind(), error.to_string()));
        }
    }
    let mut documents = contents.documents.into_iter();
    let (Some(read), None) = (documents.next(), documents.next()) else {
        return Err(unreadable(
            ErrorKind::Invalid,
            "a record is one document; split the interchange",
        ));
    };
    let is_dated_here = read.notes.iter().any(|note| note.path == "IssueDateTime");
    let reading = Reading::of(read.not_carried_over, read.not_listed, read.notes);
    match read.document {
        Document::Message(message) => {
            importable(&message)?;
            Ok(Taken::Message { message, is_dated_here, interchange, reading })
        }
        Document::Cargo(report) => Ok(Taken::Cargo { report, interchange, reading }),
        other @ Document::Response(_) => Err(not_imported(other.name())),
    }
}

/// Reads a response in XML.
fn xml_response(bytes: &[u8], plain: &[u8]) -> Result<Taken, Rejection> {
    let read =
        wco::import_response(plain).map_err(|error| unreadable(error.kind(), error.to_string()))?;
    let lost = read.not_carried_over.iter().map(formats::unplaced).collect();
    let reading = Reading::of(lost, read.not_listed, read.notes.clone());
    let text = String::from_utf8_lossy(bytes).into_owned();
    Ok(Taken::Response { response: Box::new(read), text, reading })
}

/// Reads a response as `convert` writes it in JSON.
fn json_response(bytes: &[u8], plain: &[u8], context: Context<'_>) -> Result<Taken, Rejection> {
    let read = formats::read(plain, formats::Format::Json, context)
        .map_err(|error| unreadable(error.kind(), error.to_string()))?;
    let document = read.documents.into_iter().next().map(|read| read.document);
    let Some(Document::Response(response)) = document else {
        return Err(unreadable(ErrorKind::Invalid, "this is no response"));
    };
    let response = ImportedResponse {
        response: *response,
        not_carried_over: Vec::new(),
        not_listed: 0,
        notes: Vec::new(),
    };
    let text = String::from_utf8_lossy(bytes).into_owned();
    Ok(Taken::Response { response: Box::new(response), text, reading: Reading::default() })
}

/// Refuses a message that only the partner or the node itself sends.
fn importable(message: &Message) -> Result<(), Rejection> {
    match message {
        Message::Export(_)
        | Message::Import(_)
        | Message::Certificate(_)
        | Message::Amendment(_)
        | Message::Cancellation(_) => Ok(()),
        other => Err(not_imported(other.document_type().code())),
    }
}

fn not_imported(name: &str) -> Rejection {
    let text = format!(
        "a {name} is not imported; import declarations, certificates, amendments, cancellations, \
         cargo reports, responses in XML and decisions"
    );
    unreadable(ErrorKind::Invalid, text)
}

/// A decision has no document type: it is what the officer hands in.
fn is_decision(value: &Value) -> bool {
    value.get("claim").is_some_and(Value::is_string)
        && value.get("decision").is_some_and(Value::is_string)
}

/// Says of a line which document the record is.
#[must_use]
pub fn describe(line: Line, message: &Message) -> Line {
    let header = message.header();
    Line {
        document: Some(message.document_type().code().to_owned()),
        id: Some(header.id.clone()),
        reference: Some(header.functional_reference_id.clone()),
        ..line
    }
}

/// Says of a line which response the record is.
pub(crate) fn describe_response(line: Line, response: &Response) -> Line {
    let id = Some(response.functional_reference_id.clone());
    Line { document: Some("RES".to_owned()), id, ..line }
}

/// Says of a line which cargo report the record is.
pub(crate) fn describe_cargo(line: Line, report: &CargoReport) -> Line {
    let messages::Header { id, functional_reference_id, agreement_id, sharing_level, .. } =
        report.header.clone();
    Line {
        document: Some("CARGO".to_owned()),
        id: Some(id),
        reference: Some(functional_reference_id),
        agreement_id: Some(agreement_id),
        sharing_level: Some(sharing_level),
        ..line
    }
}

/// Checks a record by the rules that need nothing else: syntax, fields, codes, sums.
pub fn check(record: u64, place: &str, bytes: &[u8], context: Context<'_>) -> Line {
    let line = |outcome| Line::new(record, place, outcome);
    let (message, interchange, reading) = match read(bytes, context) {
        Err(refusal) => return line(Outcome::Rejected).refused(refusal),
        Ok(Taken::Decision(_)) => {
            return Line { document: Some("decision".to_owned()), ..line(Outcome::Valid) };
        }
        Ok(Taken::Response { response, reading, .. }) => {
            let line = describe_response(line(Outcome::Valid), &response.response);
            return reading.tell(line);
        }
        Ok(Taken::Cargo { report, interchange, reading }) => {
            let is_test = interchange.is_some_and(|header| header.is_test);
            let outcome = if is_test { Outcome::Checked } else { Outcome::Valid };
            return describe_cargo(reading.tell(line(outcome)), &report);
        }
        Ok(Taken::Message { message, interchange, reading, .. }) => (message, interchange, reading),
    };
    let line = |outcome| reading.clone().tell(line(outcome));
    let problems = validate(&message, context.received_at).into_iter();
    let problems: Vec<_> = problems
        .filter(|problem| problem.severity == Severity::Refuse)
        .map(|problem| Pointer {
            pointer: format!("/{}", problem.pointer),
            rule: problem.rule.to_owned(),
            remedy: problem.remedy,
        })
        .collect();
    if problems.is_empty() {
        let is_test = interchange.is_some_and(|header| header.is_test);
        let outcome = if is_test { Outcome::Checked } else { Outcome::Valid };
        return describe(line(outcome), &message);
    }
    let text = format!("the document breaks {} rules", problems.len());
    let refusal = Rejection::new(ErrorKind::Invalid, "customs.invalid-document", text);
    describe(line(Outcome::Rejected), &message).refused(refusal.with_pointers(problems))
}
