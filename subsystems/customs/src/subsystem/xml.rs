//! Declarations handed in as WCO Data Model XML.
//!
//! Not here: how the XML is read (`crate::wco`).

use karvan_subsystem::{Context, Rejection};
use karvan_types::Timestamp;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::{Customs, amending, assigned};
use crate::claim::{Claim, claim_key};
use crate::journal::{Direction, MessageRecord};
use crate::messages::{DocumentType, Message};
use crate::wco;

/// A message that was read, and what is to be told about the reading.
pub(super) struct Read {
    pub(super) message: Message,
    pub(super) told: Value,
}

impl Read {
    /// A message of which everything was carried over.
    pub(super) fn of(message: Message) -> Self {
        Self { message, told: json!({}) }
    }
}

/// Reads a response; `None` when the XML is something else.
pub(super) fn read_response(xml: &str) -> Result<Option<wco::ImportedResponse>, Rejection> {
    if !wco::is_response(xml.as_bytes()) {
        return Ok(None);
    }
    let read = wco::import_response(xml.as_bytes());
    read.map(Some).map_err(|error| refuse(error.kind(), "unreadable", error.to_string()))
}

/// Reads a declaration, and says what of it was not carried over. An amendment or a cancellation
/// is about a document of type `subject`.
pub(super) fn read_xml(
    customs: &Customs,
    cx: &mut Context<'_>,
    xml: &str,
    subject: DocumentType,
) -> Result<Read, Rejection> {
    let import = |received_at| {
        let (agreement, sharing_level) = (&customs.config.agreement, customs.config.sharing_level);
        let agreement_id = agreement.as_str();
        let context = wco::Context { agreement_id, sharing_level, received_at, subject };
        wco::import(xml.as_bytes(), context).map_err(|error| {
            let code = match &error.rule {
                wco::Rule::Response { .. } | wco::Rule::Root(_) => "not-a-declaration",
                _ => "unreadable",
            };
            refuse(error.kind(), code, error.to_string())
        })
    };
    let name = |cx: &Context<'_>, message: &mut Message| match subject {
        DocumentType::Export => amending::name_subject(customs, cx, message),
        _ => assigned::name(customs, cx.tx, message),
    };
    let mut imported = import(cx.now)?;
    name(cx, &mut imported.message)?;
    if imported.notes.iter().any(|note| note.path == "IssueDateTime")
        && let Some(at) = received_before(customs, cx, &imported.message)?
    {
        // The same text handed in again must become the same message.
        imported = import(at)?;
        name(cx, &mut imported.message)?;
    }
    let losses: Vec<Value> = (imported.not_carried_over.iter())
        .map(|loss| json!({ "path": loss.path, "line": loss.line, "value": loss.value }))
        .collect();
    let notes: Vec<Value> = (imported.notes.iter())
        .map(|note| json!({ "path": note.path, "text": note.text }))
        .collect();
    let told = json!({ "notCarriedOver": losses, "notes": notes });
    Ok(Read { message: imported.message, told })
}

/// Returns the issue date of the message that was handed in under the same reference before.
pub(super) fn received_before(
    customs: &Customs,
    cx: &mut Context<'_>,
    message: &Message,
) -> Result<Option<Timestamp>, Rejection> {
    let header = message.header();
    let reference = &header.functional_reference_id;
    if matches!(message, Message::Import(_)) {
        let claim: Option<Claim> = cx.tx.find(claim_key(&header.id))?;
        let versions = claim.into_iter().flat_map(|claim| claim.versions);
        let mut headers = versions.map(|version| version.content.header);
        let same = headers.find(|before| before.functional_reference_id == *reference);
        return Ok(same.map(|before| before.issue_date_time));
    }
    if matches!(message, Message::Amendment(_)) {
        return amending::made_before(customs, cx, message);
    }
    let sent = MessageRecord::of_reference(cx.tx, &customs.config.customs, reference)?;
    let code = message.document_type().code();
    let Some(sent) = sent.iter().find(|sent| sent.direction == Direction::Out && sent.code == code)
    else {
        return Ok(None);
    };
    let sent =
        Message::parse(code, sent.raw.as_bytes()).map_err(|error| answer::unreadable(&error))?;
    Ok(Some(sent.header().issue_date_time))
}
