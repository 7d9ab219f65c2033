//! Amendments by pointer and withdrawals, applied to the declaration that they name.
//!
//! An amendment (WCO type `COR`) makes a whole new version: the declaration as it is afterwards is
//! filed or sent under function 5. So the partner gets what the sharing level allows and no
//! pointer has to be followed twice. A cancellation (`INV`) of an import declaration withdraws the
//! claim at this side; that of an export declaration is sent as it is.
//!
//! Invariants: nothing that was decided is changed; the same amendment handed in twice makes one
//! version.
//!
//! Not here: how pointers are followed (`crate::wco::amend`).

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde_json::{Value, json};

use super::answer::refuse;
use super::apply::export_subject;
use super::assess::claim_subject;
use super::operate::{publish, signed_by};
use super::{Customs, claiming, quotas, show};
use crate::certificate::Version;
use crate::claim::{Claim, ClaimItem, Withdrawal, claim_key};
use crate::export::{Export, export_key};
use crate::journal::note;
use crate::messages::{Amendment, Cancellation, DocumentReference, Header, Message};
use crate::wco;

/// Names what an amendment or cancellation is about where the format gives the number alone: the
/// export declaration of this nation, or else the claim, that has the number.
pub(super) fn name_subject(
    customs: &Customs,
    cx: &Context<'_>,
    message: &mut Message,
) -> Result<(), Rejection> {
    let Some(document) = named(message) else { return Ok(()) };
    if document.document_type != "EXD" {
        return Ok(());
    }
    let export: Option<Export> = cx.tx.find(export_key(customs.config.nation(), &document.id))?;
    let claim: Option<Claim> = cx.tx.find(claim_key(&document.id))?;
    match (export, claim) {
        (None, Some(_)) => "IMP".clone_into(&mut document.document_type),
        (Some(_), Some(_)) => {
            let text = format!(
                "both an export declaration and a claim have the number {}; hand in what is about \
                 the claim with `karvan customs claim`",
                document.id
            );
            return Err(refuse(ErrorKind::Conflict, "ambiguous-number", text));
        }
        _ => {}
    }
    Ok(())
}

fn named(message: &mut Message) -> Option<&mut DocumentReference> {
    match message {
        Message::Amendment(content) => Some(&mut content.document),
        Message::Cancellation(content) => Some(&mut content.document),
        _ => None,
    }
}

/// Returns the versions of the declaration that is named, oldest first.
fn versions(
    customs: &Customs,
    cx: &Context<'_>,
    document: &DocumentReference,
) -> Result<Vec<Message>, Rejection> {
    fn all<T>(versions: Vec<Version<T>>, message: impl Fn(Box<T>) -> Message) -> Vec<Message> {
        versions.into_iter().map(|version| message(Box::new(version.content))).collect()
    }
    let found = if document.document_type == "IMP" {
        let claim: Option<Claim> = cx.tx.find(claim_key(&document.id))?;
        claim.map(|claim| all(claim.versions, Message::Import))
    } else {
        let key = export_key(customs.config.nation(), &document.id);
        let export: Option<Export> = cx.tx.find(key)?;
        export.map(|export| all(export.versions, Message::Export))
    };
    found.ok_or_else(|| no_original(document))
}

fn no_original(document: &DocumentReference) -> Rejection {
    let what = if document.document_type == "IMP" { "claim" } else { "declaration" };
    let text = format!("there is no {what} {} here; hand in the original first", document.id);
    refuse(ErrorKind::NotFound, "no-original", text)
}

/// Returns the issue date of the version that the same amendment or withdrawal made before.
pub(super) fn made_before(
    customs: &Customs,
    cx: &Context<'_>,
    message: &Message,
) -> Result<Option<Timestamp>, Rejection> {
    let reference = &message.header().functional_reference_id;
    match message {
        Message::Amendment(content) => {
            let versions = versions(customs, cx, &content.document)?;
            let mut later = versions.iter().skip(1).map(Message::header);
            let found = later.find(|header| comes_from(header, reference));
            Ok(found.map(|header| header.issue_date_time))
        }
        _ => Ok(None),
    }
}

/// Returns whether a version was made by an amendment of this reference.
fn comes_from(header: &Header, reference: &str) -> bool {
    let own = &header.functional_reference_id;
    own == reference || *own == numbered(reference, header.version_id)
}

/// Returns the reference of a version when the amendment repeats that of an earlier one, as traders
/// who number declarations and not messages do.
fn numbered(reference: &str, version: u32) -> String {
    format!("{reference}/{version}")
}

/// Applies an amendment, and files or sends the new version.
pub(super) fn amend(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    mut amendment: Amendment,
) -> Result<Value, Rejection> {
    let versions = versions(customs, cx, &amendment.document)?;
    let reference = amendment.header.functional_reference_id.clone();
    let apply = |base: &Message, amendment: &Amendment| {
        wco::amend(base, amendment)
            .map_err(|error| refuse(error.kind(), "amendment", error.to_string()))
    };
    let Some(last) = versions.last() else { return Err(no_original(&amendment.document)) };
    amendment.document.id.clone_from(&last.header().id);
    let mut made = None;
    for (base, later) in versions.iter().zip(versions.iter().skip(1)) {
        if comes_from(later.header(), &reference) {
            let own = &later.header().functional_reference_id;
            amendment.header.functional_reference_id.clone_from(own);
            let again = apply(base, &amendment)?;
            if again.message == *later {
                made = Some(again);
            }
        }
    }
    let is_new = made.is_none();
    let amended = if let Some(made) = made {
        made
    } else {
        let mut own = versions.iter().map(|version| &version.header().functional_reference_id);
        amendment.header.functional_reference_id = if own.next() == Some(&reference) {
            let next = last.header().version_id.saturating_add(1);
            numbered(&reference, next.max(amendment.header.version_id))
        } else if own.any(|own| *own == reference) {
            let text = format!("the reference {reference} was used before for another change");
            return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
        } else {
            reference.clone()
        };
        apply(last, &amendment)?
    };
    let lost: Vec<Value> = (amended.not_carried_over.iter())
        .map(|loss| json!({ "path": loss.path, "line": null, "value": loss.value }))
        .collect();
    let (output, subject) = match amended.message {
        Message::Import(content) => {
            caller.require("customs.claim")?;
            let key = claim_key(&content.header.id);
            let claim: Option<Claim> = cx.tx.find(key.as_str())?;
            let class = claim.map(|claim| claim.importer_class);
            (claiming::file(customs, cx, caller, content, class)?, claim_subject(&key))
        }
        message => {
            let key = export_key(customs.config.nation(), &message.header().id);
            (publish(customs, cx, caller, &message)?, export_subject(&key))
        }
    };
    if is_new {
        let text = format!("amended by {reference}: {}", amendment.reason);
        note(cx.tx, cx.now, &subject, &signed_by(caller), text)?;
    }
    let told = json!({
        "reference": reference,
        "reason": amendment.reason,
        "changes": amendment.amendments.len(),
        "notCarriedOver": lost,
    });
    Ok(show::merge(output, json!({ "amended": told })))
}

/// Withdraws a claim of which nothing was decided yet.
pub(super) fn withdraw(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    content: &Cancellation,
) -> Result<Value, Rejection> {
    caller.require("customs.claim")?;
    let key = claim_key(&content.document.id);
    let Some(mut claim) = cx.tx.find::<Claim>(key.as_str())? else {
        return Err(no_original(&content.document));
    };
    let reference = &content.header.functional_reference_id;
    if let Some(before) = &claim.withdrawn {
        if before.reference == *reference {
            return show::claim_by_key(cx.tx, &key, true);
        }
        return Err(claiming::withdrawn(&key));
    }
    let items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
    claiming::must_be_open(&items, &key)?;
    for item in &items {
        cx.tx.remove::<ClaimItem>(item.id())?;
        quotas::release(customs, cx, &item.id())?;
    }
    let (by, reason) = (signed_by(caller), content.reason.clone());
    note(cx.tx, cx.now, &claim_subject(&key), &by, format!("claim withdrawn: {reason}"))?;
    let (at, code) = (cx.now, content.change_reason_code.clone());
    claim.withdrawn = Some(Withdrawal { at, by, reference: reference.clone(), code, reason });
    cx.tx.save(&claim)?;
    show::claim_by_key(cx.tx, &key, false)
}
