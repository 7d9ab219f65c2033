//! Maps a `Declaration` of type COR or INV to an amendment or a cancellation.

use super::declaration::Part;
use super::read::Element;
use super::take::{Taker, has};
use super::{Error, Rule};
use crate::messages::{
    Amendment, AmendmentReason, Cancellation, DocumentReference, DocumentType, Header, Message,
    Pointer,
};

/// The elements beside the new values.
const HEADER: [&str; 8] = [
    "FunctionCode",
    "FunctionalReferenceID",
    "ID",
    "IssueDateTime",
    "TypeCode",
    "VersionID",
    "AdditionalInformation",
    "Amendment",
];

/// Returns whether an element of an amendment is no new value.
pub(super) fn is_header(element: &Element) -> bool {
    HEADER.contains(&element.name.as_str())
}

/// Reads an amendment; every value that stands in it is a new value.
pub(super) fn amendment(
    taker: &mut Taker,
    mut element: Element,
    header: Header,
    subject: DocumentType,
) -> Result<Message, Error> {
    let e = &mut element;
    let reason = reason(taker, e)?;
    // Most were taken while the text was read.
    let mut amendments = taker.all(e, "Amendment", change)?;
    amendments.append(&mut taker.streamed.changes);
    if amendments.is_empty() {
        return Err(taker.missing(e, "Amendment"));
    }
    let mut rest = Taker::of_whole_values();
    let document = reference(&header, subject);
    // Everything else that the declaration holds is a new value.
    for child in std::mem::take(&mut element.children) {
        if child.name == "AdditionalInformation" {
            element.children.push(child);
        } else {
            rest.lose(child);
        }
    }
    let values = taker.streamed.new_values(rest);
    let values = values.ok_or_else(|| element.position().error(Rule::Changes))?;
    taker.lose_content(element);
    let message = Amendment { header, document, reason, amendments, values };
    Ok(Message::Amendment(Box::new(message)))
}

/// Reads a cancellation.
pub(super) fn cancellation(
    taker: &mut Taker,
    mut element: Element,
    header: Header,
    subject: DocumentType,
) -> Result<Message, Error> {
    let e = &mut element;
    let reason = reason(taker, e)?;
    let code = taker.one(e, "Amendment", |taker, e| taker.text(e, "ChangeReasonCode"))?;
    let change_reason_code = code.ok_or_else(|| taker.missing(e, "Amendment/ChangeReasonCode"))?;
    taker.lose_content(element);
    let document = reference(&header, subject);
    let message = Cancellation { header, document, change_reason_code, reason, replaced_by: None };
    Ok(Message::Cancellation(Box::new(message)))
}

/// Joins the statements; each is the reason of one change.
fn reason(taker: &mut Taker, e: &mut Element) -> Result<String, Error> {
    let statements: Vec<Element> = std::mem::take(&mut e.children);
    let mut reasons = Vec::new();
    for mut child in statements {
        if child.name == "AdditionalInformation" {
            reasons.extend(taker.text(&mut child, "StatementDescription")?);
        }
        e.children.push(child);
    }
    if reasons.is_empty() {
        return Err(taker.missing(e, "AdditionalInformation/StatementDescription"));
    }
    Ok(reasons.join("; "))
}

fn reference(header: &Header, subject: DocumentType) -> DocumentReference {
    DocumentReference {
        document_type: subject.code().to_owned(),
        id: header.id.clone(),
        version_id: None,
        functional_reference_id: None,
        effective_date: None,
    }
}

/// Reads a change and where it is.
pub(super) fn change(taker: &mut Taker, e: &mut Element) -> Part<AmendmentReason> {
    Ok(Some(AmendmentReason {
        change_reason_code: taker.required_text(e, "ChangeReasonCode")?,
        pointers: taker.all(e, "Pointer", pointer)?,
    }))
}

/// Reads one step of a path.
pub(super) fn pointer(taker: &mut Taker, e: &mut Element) -> Part<Pointer> {
    if !has(e, &["DocumentSectionCode"]) {
        return Ok(None);
    }
    let sequence = taker.number(e, "SequenceNumeric")?;
    let tag = taker.text(e, "TagID")?;
    let section = taker.text(e, "DocumentSectionCode")?;
    Ok(section.map(|section| Pointer { sequence, section, tag }))
}
