//! Numbers that a national system assigns to declarations after they were handed in.
//!
//! A declaration may come under the trader's reference alone; the response to it says its number.
//! The declaration keeps the name under which it is stored and under which the partner knows it.
//! From then on the assigned number leads to it: in amendments, cancellations, transport reports,
//! later versions and responses that are handed in, and wherever somebody asks for it.
//!
//! Invariant: an assigned number leads to one declaration for ever.
//!
//! Not here: what else a response does (`super::responses`).

use karvan_store::Read;
use karvan_subsystem::{Context, Rejection};
use karvan_types::ErrorKind;

use super::Customs;
use super::answer::refuse;
use super::apply::export_subject;
use super::assess::claim_subject;
use crate::claim::{Claim, claim_key};
use crate::export::{Export, export_key};
use crate::journal::note;
use crate::messages::{FunctionCode, Message};
use crate::national::AssignedNumber;
use crate::wco::Response;

/// Function of a response that refuses a declaration, which gets no number then.
const REFUSED: &str = "03";

/// Remembers the number that a response gives the declaration which it names by its reference.
pub(super) fn learn(
    cx: &mut Context<'_>,
    subject: &str,
    response: &Response,
    by: &str,
) -> Result<(), Rejection> {
    let declaration = &response.declaration;
    let (Some(number), Some(_)) = (&declaration.id, &declaration.functional_reference_id) else {
        return Ok(());
    };
    let assigned = if let Some(key) = subject.strip_prefix("export ") {
        let Some((nation, _)) = key.split_once(':') else { return Ok(()) };
        format!("export {nation}:{}", claim_key(number))
    } else {
        claim_subject(&claim_key(number))
    };
    if assigned == subject || response.function_code == REFUSED {
        return Ok(());
    }
    if let Some(known) = cx.tx.find::<AssignedNumber>(assigned.as_str())? {
        if known.subject == subject {
            return Ok(());
        }
        let text = format!(
            "the number {number} was assigned to {} before; correct the response",
            known.subject
        );
        return Err(refuse(ErrorKind::Conflict, "number-assigned", text));
    }
    note(cx.tx, cx.now, subject, by, format!("customs assigned the number {number}"))?;
    let response = response.functional_reference_id.clone();
    let record = AssignedNumber { assigned, subject: subject.to_owned(), response, at: cx.now };
    Ok(cx.tx.add(&record)?)
}

/// Returns the subject that a subject with an assigned number leads to.
pub(super) fn subject(view: &dyn Read, named: &str) -> Result<Option<String>, Rejection> {
    Ok(view.find::<AssignedNumber>(named)?.map(|known| known.subject))
}

/// Returns the key of an export declaration, by its own number or by one assigned to it.
pub(super) fn export(view: &dyn Read, key: String) -> Result<String, Rejection> {
    if view.find::<Export>(key.as_str())?.is_some() {
        return Ok(key);
    }
    let led = subject(view, &export_subject(&key))?;
    Ok(led.and_then(|led| Some(led.strip_prefix("export ")?.to_owned())).unwrap_or(key))
}

/// Returns the key of a claim, by its own number or by one assigned to it.
pub(super) fn claim(view: &dyn Read, number: &str) -> Result<String, Rejection> {
    let key = claim_key(number);
    if view.find::<Claim>(key.as_str())?.is_some() {
        return Ok(key);
    }
    let led = subject(view, &claim_subject(&key))?;
    Ok(led.and_then(|led| Some(led.strip_prefix("claim ")?.to_owned())).unwrap_or(key))
}

/// Puts the name under which a declaration of this side is stored into a message that names it by
/// an assigned number.
pub(super) fn name(
    customs: &Customs,
    view: &dyn Read,
    message: &mut Message,
) -> Result<(), Rejection> {
    let own_export = |id: &mut String| {
        let key = export_key(customs.config.nation(), id);
        let found = export(view, key.clone())?;
        if found != key
            && let Some(declared) = view.find::<Export>(found)?
        {
            id.clone_from(&declared.number);
        }
        Ok::<(), Rejection>(())
    };
    let own_claim = |id: &mut String| {
        let found = claim(view, id)?;
        if found != claim_key(id)
            && let Some(filed) = view.find::<Claim>(found)?
        {
            id.clone_from(&filed.number);
        }
        Ok::<(), Rejection>(())
    };
    let document = match message {
        Message::Export(content) if content.header.function_code != FunctionCode::Original => {
            return own_export(&mut content.header.id);
        }
        Message::Import(content) if content.header.function_code != FunctionCode::Original => {
            return own_claim(&mut content.header.id);
        }
        Message::Transport(content) => {
            return content.exports.iter_mut().try_for_each(|named| own_export(&mut named.id));
        }
        Message::Amendment(content) => &mut content.document,
        Message::Cancellation(content) => &mut content.document,
        _ => return Ok(()),
    };
    let stated = document.id.clone();
    match document.document_type.as_str() {
        "EXD" => own_export(&mut document.id)?,
        "IMP" => own_claim(&mut document.id)?,
        _ => return Ok(()),
    }
    let named = document.id.clone();
    let header = match message {
        Message::Amendment(content) => &mut content.header,
        Message::Cancellation(content) => &mut content.header,
        _ => return Ok(()),
    };
    if header.id == stated {
        header.id = named;
    }
    Ok(())
}
