//! Maps a `Declaration` of type COR or INV to an amendment or a cancellation.

use super::declaration::Part;
use super::read::Element;
use super::take::{Taker, has};
use super::write::REASON;
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
    STATEMENT,
    "Amendment",
];

/// Returns whether an element of an amendment is no new value.
pub(super) fn is_header(element: &Element) -> bool {
    HEADER.contains(&element.name.as_str())
}

/// The element that gives the reason of a change, and its text.
pub(super) const STATEMENT: &str = "AdditionalInformation";
const DESCRIPTION: &str = "StatementDescription";

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
        if child.name == STATEMENT {
            element.children.push(child);
        } else {
            rest.lose(child);
        }
    }
    let values = taker.streamed.new_values(rest);
    let values = values.ok_or_else(|| element.position().error(Rule::Changes))?;
    taker.lose_content(element);
    let ext = Vec::new();
    let message = Amendment { header, document, reason, amendments, values, ext };
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
    let (replaced_by, ext) = (None, Vec::new());
    let message = Cancellation { header, document, change_reason_code, reason, replaced_by, ext };
    Ok(Message::Cancellation(Box::new(message)))
}

/// Joins the statements; each is the reason of one change. One that says no more than that is
/// taken; others stay, whole.
fn reason(taker: &mut Taker, e: &mut Element) -> Result<String, Error> {
    let is_statement = |child: &Element| child.name == STATEMENT;
    let said = |statement: &Element| {
        let mut found = statement.children.iter().filter(|child| child.name == DESCRIPTION);
        found.next().map(|said| said.text.trim().to_owned()).filter(|said| !said.is_empty())
    };
    let statements: Vec<&Element> = e.children.iter().filter(|child| is_statement(child)).collect();
    let reasons: Vec<String> = statements.iter().filter_map(|statement| said(statement)).collect();
    if reasons.is_empty() {
        return Err(taker.missing(e, "AdditionalInformation/StatementDescription"));
    }
    let is_plain = |child: &Element| match child.name.as_str() {
        DESCRIPTION => child.attributes.is_empty(),
        "StatementTypeCode" => child.text.trim() == REASON && child.attributes.is_empty(),
        _ => false,
    };
    if let [only] = statements.as_slice()
        && only.attributes.is_empty()
        && only.children.len() <= 2
        && only.children.iter().all(is_plain)
    {
        e.children.retain(|child| !is_statement(child));
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
