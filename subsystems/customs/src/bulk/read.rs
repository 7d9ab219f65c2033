//! One record of an import: a document in any format, or a decision that was made off line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_subsystem::{Pointer, Rejection};
use karvan_types::{ErrorKind, json};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Line, Outcome};
use crate::formats::{self, Document};
use crate::messages::Message;
use crate::uncefact;
use crate::validate::{Severity, validate};
use crate::wco::Context;

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
    },
    /// A decision: the input of the operation `decide`.
    Decision(Value),
}

fn unreadable(kind: ErrorKind, text: impl Into<String>) -> Rejection {
    Rejection::new(kind, "customs.unreadable", text)
}

/// Reads a record.
pub(crate) fn read(bytes: &[u8], context: Context<'_>) -> Result<Taken, Rejection> {
    let refused = |error: formats::Error| unreadable(error.kind(), error.to_string());
    let taken = |message| Taken::Message { message, is_dated_here: false };
    let plain = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    if plain.first() == Some(&b'{') {
        let value = json::parse(plain)
            .map_err(|error| unreadable(ErrorKind::Invalid, error.to_string()))?;
        if is_decision(&value) {
            return Ok(Taken::Decision(value));
        }
        if uncefact::is_certificate(&value) {
            let read = uncefact::import(plain).map_err(|error| refused(error.into()))?;
            return Ok(taken(Message::Certificate(Box::new(read.certificate))));
        }
        let message = formats::document_type(&value)
            .and_then(|kind| Message::from_value(kind, value))
            .map_err(|error| refused(error.into()))?;
        return Ok(taken(message));
    }
    let Some(format) = formats::detect(plain) else {
        return Err(unreadable(ErrorKind::Invalid, formats::Error::Format.to_string()));
    };
    let contents = formats::read(plain, format, context).map_err(refused)?;
    if let Some(control) = contents.control {
        let refusals = control.verdicts.into_iter().filter_map(|verdict| verdict.error);
        if let Some(error) = control.error.into_iter().chain(refusals).next() {
            return Err(unreadable(error.kind(), error.to_string()));
        }
    }
    let mut documents = contents.documents.into_iter();
    match (documents.next(), documents.next()) {
        (Some(formats::Read { document: Document::Message(message), notes, .. }), None) => {
            let is_dated_here = notes.iter().any(|note| note.path == "IssueDateTime");
            Ok(Taken::Message { message, is_dated_here })
        }
        (Some(other), None) => {
            let text = format!(
                "a {} is not imported; import declarations, certificates, cancellations and \
                 decisions",
                other.document.name()
            );
            Err(unreadable(ErrorKind::Invalid, text))
        }
        _ => Err(unreadable(ErrorKind::Invalid, "a record is one document; split the interchange")),
    }
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

/// Checks a record by the rules that need nothing else: syntax, fields, codes, sums.
pub fn check(record: u64, place: &str, bytes: &[u8], context: Context<'_>) -> Line {
    let line = |outcome| Line::new(record, place, outcome);
    let message = match read(bytes, context) {
        Err(refusal) => return line(Outcome::Rejected).refused(refusal),
        Ok(Taken::Decision(_)) => {
            return Line { document: Some("decision".to_owned()), ..line(Outcome::Valid) };
        }
        Ok(Taken::Message { message, .. }) => message,
    };
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
        return describe(line(Outcome::Valid), &message);
    }
    let text = format!("the document breaks {} rules", problems.len());
    let refusal = Rejection::new(ErrorKind::Invalid, "customs.invalid-document", text);
    describe(line(Outcome::Rejected), &message).refused(refusal.with_pointers(problems))
}
