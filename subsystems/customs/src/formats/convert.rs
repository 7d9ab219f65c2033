//! From any of the formats to any other, by way of the canonical messages.

mod beside;

use karvan_types::{ErrorKind, json};
use serde_json::Value;

use super::{Loss, losses};
use crate::edifact::{self, CargoReport, Content, Control, Directory, Envelope};
use crate::messages::{self, DocumentType, EXPORT_TYPE_CODE, IMPORT_TYPE_CODE, Message};
use crate::uncefact;
use crate::wco::{self, Context, Note, Response};

/// A format.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Canonical JSON.
    Json,
    /// WCO Data Model XML.
    Wco,
    /// UN/EDIFACT.
    Edifact,
    /// UN/CEFACT certificate of origin, JSON.
    Coo,
}

/// Returns the format of a text by how it begins; `None` when it is none of them.
pub fn detect(bytes: &[u8]) -> Option<Format> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    match bytes {
        [b'<', ..] => Some(Format::Wco),
        [b'U', b'N', b'A' | b'B', ..] => Some(Format::Edifact),
        [b'{', ..] => {
            let is_certificate = json::parse(bytes).is_ok_and(|v| uncefact::is_certificate(&v));
            Some(if is_certificate { Format::Coo } else { Format::Json })
        }
        _ => None,
    }
}

/// What a text says.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// A canonical message.
    Message(Message),
    /// A cargo report, known to EDIFACT only.
    Cargo(Box<CargoReport>),
    /// A response that is no canonical message, known to WCO XML only.
    Response(Box<Response>),
}

impl Document {
    /// Returns the document type, or what it is called.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Message(message) => message.document_type().code(),
            Self::Cargo(_) => "cargo report",
            Self::Response(_) => "response",
        }
    }

    /// Returns the document as a JSON value.
    pub fn to_value(&self) -> Result<Value, Error> {
        match self {
            Self::Message(message) => Ok(message.to_value()?),
            Self::Cargo(report) => Ok(serde_json::to_value(report)?),
            Self::Response(response) => Ok(serde_json::to_value(response)?),
        }
    }
}

/// A document that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The document.
    pub document: Document,
    /// Values of the text that the document has no place for.
    pub not_carried_over: Vec<Loss>,
    /// How many more are not carried over than are listed.
    pub not_listed: usize,
    /// Values that were filled in.
    pub notes: Vec<Note>,
}

impl From<edifact::Imported> for Read {
    fn from(imported: edifact::Imported) -> Self {
        let document = match imported.content {
            Content::Message(message) => Document::Message(message),
            Content::Cargo(report) => Document::Cargo(report),
        };
        let (not_carried_over, not_listed) = (imported.not_carried_over, imported.not_listed);
        Self { document, not_carried_over, not_listed, notes: imported.notes }
    }
}

/// What was read of a text.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The documents, one for each message of an interchange.
    pub documents: Vec<Read>,
    /// What to answer to an EDIFACT interchange.
    pub control: Option<Control>,
}

/// Where a document goes.
#[derive(Clone, Debug)]
pub enum Target<'a> {
    /// Canonical JSON.
    Json,
    /// WCO Data Model XML.
    Wco,
    /// UN/EDIFACT: CUSDEC or CUSRES.
    Edifact(Directory, Envelope<'a>),
    /// UN/EDIFACT: the cargo report of an export declaration, CUSCAR.
    Cargo(Directory, Envelope<'a>),
    /// UN/CEFACT certificate of origin.
    Coo,
}

/// A text could not be read, or a document not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format was not recognised.
    #[error("the text is neither JSON, XML nor EDIFACT; name its format")]
    Format,
    /// A canonical message.
    #[error("{0}{cause}", cause = cause(.0))]
    Message(#[from] messages::Error),
    /// WCO XML.
    #[error(transparent)]
    Wco(#[from] wco::Error),
    /// EDIFACT.
    #[error(transparent)]
    Edifact(#[from] edifact::Error),
    /// UN/CEFACT.
    #[error("{0}{cause}", cause = cause(.0))]
    Coo(#[from] uncefact::Error),
    /// Cannot be written as XML.
    #[error(transparent)]
    ToWco(#[from] wco::Unwritable),
    /// Cannot be written as EDIFACT.
    #[error(transparent)]
    ToEdifact(#[from] edifact::Unwritable),
    /// A response or cargo report as JSON.
    #[error("this is no {name} as `convert` writes it: {source}")]
    Fit {
        /// What it was taken for.
        name: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// A response with a function that there is not.
    #[error("`{0}` is no function of a response; use 01 to 16 but 04 and 12")]
    Function(String),
    /// The document has no form in that format.
    #[error("a {0} cannot be written as {1}; {2}")]
    Target(&'static str, &'static str, &'static str),
    /// No JSON form, which is a defect.
    #[error("the document has no JSON form: {0}")]
    Json(#[from] serde_json::Error),
}

/// Returns the causes of an error as text.
fn cause(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(error) = source {
        let shown = error.to_string();
        if !text.contains(&shown) {
            text = format!("{text}: {shown}");
        }
        source = error.source();
    }
    text
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Format | Self::Fit { .. } | Self::Function(_) | Self::Target(..) => {
                ErrorKind::Invalid
            }
            Self::Message(error) => error.kind(),
            Self::Wco(error) => error.kind(),
            Self::Edifact(error) => error.kind(),
            Self::Coo(error) => error.kind(),
            Self::ToWco(error) => error.kind(),
            Self::ToEdifact(error) => error.kind(),
            Self::Json(_) => ErrorKind::Internal,
        }
    }
}

/// Reads a text. Refused messages of an interchange are in its control answer.
pub fn read(bytes: &[u8], format: Format, context: Context<'_>) -> Result<Contents, Error> {
    let one = |document, not_carried_over| {
        let read = Read { document, not_carried_over, not_listed: 0, notes: Vec::new() };
        Contents { documents: vec![read], control: None }
    };
    Ok(match format {
        Format::Json => one(json_document(bytes)?, Vec::new()),
        Format::Coo => {
            let uncefact::Imported { certificate, not_carried_over } = uncefact::import(bytes)?;
            let message = Message::Certificate(Box::new(certificate));
            one(Document::Message(message), not_carried_over)
        }
        Format::Wco => xml(bytes, context)?,
        Format::Edifact => {
            let edifact::Received { messages, control } = edifact::receive(bytes, context)?;
            let documents = messages.into_iter().map(Read::from);
            Contents { documents: documents.collect(), control: Some(control) }
        }
    })
}

/// Tells a value of XML that has no place in the message as all formats do.
pub(crate) fn unplaced(loss: &wco::Loss) -> Loss {
    let field = format!("line {}: {} = {}", loss.line, loss.path, loss.value);
    Loss::new(field, "the message has no place for it")
}

/// Reads a declaration or, when it is one, a response. What a response says beyond the message that
/// is made of it is listed.
fn xml(bytes: &[u8], context: Context<'_>) -> Result<Contents, Error> {
    let mut differences = Vec::new();
    let (document, lost, not_listed, notes) = match wco::import(bytes, context) {
        Ok(read) => {
            (Document::Message(read.message), read.not_carried_over, read.not_listed, read.notes)
        }
        Err(wco::Error { rule: wco::Rule::Response { .. }, .. }) => {
            let read = wco::import_response(bytes)?;
            let document = match read.response.to_message(context) {
                Some(message) => {
                    differences = beside::differences(&read.response, &message)?;
                    Document::Message(message)
                }
                None => Document::Response(Box::new(read.response)),
            };
            (document, read.not_carried_over, read.not_listed, read.notes)
        }
        Err(error) => return Err(error.into()),
    };
    let lost = lost.into_iter().map(|loss| unplaced(&loss));
    let (not_carried_over, control) = (lost.chain(differences).collect(), None);
    Ok(Contents {
        documents: vec![Read { document, not_carried_over, not_listed, notes }],
        control,
    })
}

/// Reads a canonical message, a response or a cargo report.
fn json_document(bytes: &[u8]) -> Result<Document, Error> {
    let code = "EXD, IMP, COO, UTL, VAL, AMD or CXL";
    let value = json::parse(bytes)
        .map_err(|source| messages::Error::Json { document_type: code, source })?;
    if let Some(document) = beside::read(&value)? {
        return Ok(document);
    }
    Ok(Document::Message(Message::from_value(document_type(&value)?, value)?))
}

/// Returns the type of a canonical message, which is told by members that only it has.
pub(crate) fn document_type(value: &Value) -> Result<DocumentType, messages::Error> {
    let has = |name: &str| value.get(name).is_some();
    let type_code = value.get("TypeCode").and_then(Value::as_str).unwrap_or_default();
    Ok(match type_code {
        _ if has("outcome") => DocumentType::Validation,
        _ if has("decisionDate") => DocumentType::Utilisation,
        _ if has("Amendment") => DocumentType::Amendment,
        _ if has("ChangeReasonCode") => DocumentType::Cancellation,
        _ if has("formCode") => DocumentType::Certificate,
        IMPORT_TYPE_CODE => DocumentType::Import,
        EXPORT_TYPE_CODE => DocumentType::Export,
        other => {
            return Err(messages::Error::UnknownDocumentType(other.chars().take(20).collect()));
        }
    })
}

/// Writes a document, and lists what is not in the text.
pub fn write(document: &Document, target: &Target<'_>) -> Result<(Vec<u8>, Vec<Loss>), Error> {
    let no = |target, remedy| Err(Error::Target(document.name(), target, remedy));
    match (document, target) {
        (document, Target::Json) => {
            let mut text = serde_json::to_vec_pretty(&document.to_value()?)?;
            text.push(b'\n');
            Ok((text, Vec::new()))
        }
        (Document::Message(message), Target::Wco) => {
            let written = wco::write(message)?;
            Ok((written.xml.into_bytes(), written.losses))
        }
        (Document::Response(response), Target::Wco) => {
            Ok((response.to_xml()?.into_bytes(), Vec::new()))
        }
        (Document::Message(message), Target::Edifact(directory, envelope)) => {
            let content = Content::Message(message.clone());
            let written = edifact::write(&content, *directory, envelope)?;
            Ok((written.bytes, written.losses))
        }
        (
            Document::Cargo(report),
            Target::Edifact(directory, envelope) | Target::Cargo(directory, envelope),
        ) => {
            let written = edifact::write(&Content::Cargo(report.clone()), *directory, envelope)?;
            Ok((written.bytes, written.losses))
        }
        (Document::Message(Message::Export(export)), Target::Cargo(directory, envelope)) => {
            let report = CargoReport::of(export, envelope.prepared_at);
            let before = document.to_value()?;
            let mut after = serde_json::to_value(&report)?;
            if let Some(members) = after.as_object_mut() {
                members.remove("transportDocument");
                members.remove("declarations");
            }
            let mut lost = losses(&before, &after, &std::collections::BTreeMap::new());
            let written = edifact::write(&Content::Cargo(Box::new(report)), *directory, envelope)?;
            lost.extend(written.losses);
            Ok((written.bytes, lost))
        }
        (Document::Message(Message::Certificate(certificate)), Target::Coo) => {
            let (value, lost) = uncefact::write(certificate)?;
            let mut text = serde_json::to_vec_pretty(&value)?;
            text.push(b'\n');
            Ok((text, lost))
        }
        (_, Target::Wco) => no("WCO XML", "write a cargo report as EDIFACT"),
        (_, Target::Edifact(..)) => no("EDIFACT", "write it as WCO XML"),
        (_, Target::Cargo(..)) => no("a cargo report", "only an EXD has one"),
        (_, Target::Coo) => no("a certificate of origin", "only a COO is one"),
    }
}

#[cfg(test)]
mod tests;
