//! Amendments by pointer and withdrawals, applied to the declaration that they name.
//!
//! An amendment (WCO type `COR`) makes a whole new version, however it was handed in: the
//! declaration as it is afterwards is filed or sent under function 5. So the partner gets what the
//! sharing level allows and no pointer has to be followed twice. That of a certificate travels as
//! it is where the partner sees all of both, and becomes a new version otherwise. A cancellation
//! (`INV`) of an import declaration withdraws the claim at this side; that of an export declaration
//! is sent as it is.
//!
//! Invariants: nothing that was decided is changed; the same amendment handed in twice makes one
//! version.
//!
//! Not here: how pointers are followed (`crate::wco::amend`).

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde_json::{Value, json};

use super::answer::refuse;
use super::apply::Effect;
use super::assess::claim_subject;
use super::operate::{invalid, publish, signed_by};
use super::receive::{refusals, subject_of};
use super::{Customs, amended, assigned, claiming, quotas, releasing, show};
use crate::certificate::{Certificate, CertificateNumber, Version};
use crate::claim::{Claim, ClaimItem, Withdrawal, claim_key, keep_assessment};
use crate::export::{Export, export_key};
use crate::journal::note;
use crate::messages::{
    Amendment, Cancellation, DocumentReference, DocumentType, Header, Message, ValidationError,
};
use crate::tariff::ImporterClass;
use crate::wco;

/// Names what an amendment or cancellation is about where the format gives the number alone: the
/// export declaration of this nation, or else the claim, that has the number. A number that customs
/// assigned is replaced by that under which the declaration is stored.
pub(super) fn name_subject(
    customs: &Customs,
    cx: &Context<'_>,
    message: &mut Message,
) -> Result<(), Rejection> {
    name_claim(customs, cx, message)?;
    assigned::name(customs, cx.tx, message)
}

/// Says that a claim is meant where the number is that of a claim.
fn name_claim(customs: &Customs, cx: &Context<'_>, message: &mut Message) -> Result<(), Rejection> {
    let Some(document) = named(message) else { return Ok(()) };
    if document.document_type != "EXD" {
        return Ok(());
    }
    let key = assigned::export(cx.tx, export_key(customs.config.nation(), &document.id))?;
    let export: Option<Export> = cx.tx.find(key)?;
    let claim: Option<Claim> = cx.tx.find(assigned::claim(cx.tx, &document.id)?)?;
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
    let nation = customs.config.nation();
    let found = match document.document_type.as_str() {
        "IMP" => {
            let claim: Option<Claim> = cx.tx.find(claim_key(&document.id))?;
            claim.map(|claim| all(claim.versions, Message::Import))
        }
        "COO" => match CertificateNumber::parse(&document.id) {
            Ok(number) => {
                let certificate: Option<Certificate> = cx.tx.find(number.key(nation))?;
                certificate.map(|found| all(found.versions, Message::Certificate))
            }
            Err(_) => None,
        },
        _ => {
            let export: Option<Export> = cx.tx.find(export_key(nation, &document.id))?;
            export.map(|export| all(export.versions, Message::Export))
        }
    };
    found.ok_or_else(|| no_original(document))
}

fn no_original(document: &DocumentReference) -> Rejection {
    let what = match document.document_type.as_str() {
        "IMP" => "claim",
        "COO" => "certificate",
        _ => "declaration",
    };
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

/// The version that an amendment makes.
struct Made {
    message: Message,
    not_carried_over: Vec<wco::Loss>,
    /// Whether it is made now; otherwise the same amendment made it before.
    is_new: bool,
}

/// Applies an amendment to the newest version, or finds the version that it made before.
fn make(versions: &[Message], mut amendment: Amendment) -> Result<Made, Rejection> {
    let reference = amendment.header.functional_reference_id.clone();
    let Some(last) = versions.last() else { return Err(no_original(&amendment.document)) };
    amendment.document.id.clone_from(&last.header().id);
    for (base, later) in versions.iter().zip(versions.iter().skip(1)).rev() {
        if comes_from(later.header(), &reference) {
            let own = &later.header().functional_reference_id;
            amendment.header.functional_reference_id.clone_from(own);
            let again = apply(base, &amendment)?;
            if again.message == *later {
                return Ok(Made { is_new: false, ..again });
            }
        }
    }
    let mut own = versions.iter().map(|version| &version.header().functional_reference_id);
    amendment.header.functional_reference_id = if own.next() == Some(&reference) {
        let next = last.header().version_id.saturating_add(1);
        numbered(&reference, next.max(amendment.header.version_id))
    } else if own.any(|own| *own == reference) {
        let text = format!("the reference {reference} was used before for another change");
        return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
    } else {
        reference
    };
    apply(last, &amendment)
}

fn apply(base: &Message, amendment: &Amendment) -> Result<Made, Rejection> {
    if let Message::Certificate(_) = base {
        let message = amended::by_paths(base, amendment).map_err(|effect| match effect {
            Effect::Refused(errors) => invalid(errors),
            _ => no_original(&amendment.document),
        })?;
        return Ok(Made { message, not_carried_over: Vec::new(), is_new: true });
    }
    let amended = wco::amend(base, amendment)
        .map_err(|error| refuse(error.kind(), "amendment", error.to_string()))?;
    let wco::Amended { message, not_carried_over } = amended;
    Ok(Made { message, not_carried_over, is_new: true })
}

/// Applies an amendment, and files or sends the new version. A claim keeps the class of its
/// importer unless another one is given.
pub(super) fn amend(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    amendment: Amendment,
    importer_class: Option<ImporterClass>,
) -> Result<Value, Rejection> {
    let versions = versions(customs, cx, &amendment.document)?;
    let Amendment { reason, amendments, .. } = &amendment;
    let (reference, reason) = (amendment.header.functional_reference_id.clone(), reason.clone());
    let changes = amendments.len();
    let made = make(&versions, amendment)?;
    let lost: Vec<Value> = (made.not_carried_over.iter())
        .map(|loss| json!({ "path": loss.path, "line": null, "value": loss.value }))
        .collect();
    let (output, subject) = match made.message {
        Message::Import(content) => {
            caller.require("customs.claim")?;
            let key = claim_key(&content.header.id);
            let filed = claiming::file(customs, cx, caller, content, importer_class)?;
            (filed, claim_subject(&key))
        }
        message => {
            if importer_class.is_some() {
                return Err(claiming::no_class("an amendment of another document than a claim"));
            }
            let subject = subject_of(customs, &caller.member, &message);
            (publish(customs, cx, caller, &message)?, subject)
        }
    };
    if made.is_new {
        let text = format!("amended by {reference}: {reason}");
        note(cx.tx, cx.now, &subject, &signed_by(caller), text)?;
    }
    let told = json!({
        "reference": reference,
        "reason": reason,
        "changes": changes,
        "notCarriedOver": lost,
    });
    Ok(show::merge(output, json!({ "amended": told })))
}

/// Applies an amendment that was handed in as a message and names the version that it makes.
pub(super) fn amend_by_message(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    amendment: Amendment,
    importer_class: Option<ImporterClass>,
) -> Result<Value, Rejection> {
    let message = Message::Amendment(Box::new(amendment.clone()));
    let mut errors = refusals(&message, cx.now);
    // The version that it makes is cut down to the level, not the amendment.
    errors.retain(|error| error.rule != "SHARING");
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let versions = versions(customs, cx, &amendment.document)?;
    let reference = &amendment.header.functional_reference_id;
    let is_repeat = versions.iter().skip(1).any(|made| comes_from(made.header(), reference));
    let latest = versions.last().map_or(0, |last| last.header().version_id);
    let next = latest.saturating_add(1);
    if !is_repeat && amendment.header.version_id != next {
        let remedy = format!("version {latest} is the newest here; amend that one as {next}");
        let (pointer, rule) = ("VersionID".to_owned(), "VERSION".to_owned());
        return Err(invalid(vec![ValidationError { pointer, rule, remedy }]));
    }
    amend(customs, cx, caller, amendment, importer_class)
}

/// Amends a certificate: by the amendment itself where the partner's copy is whole and gets all of
/// it, and by a whole new version otherwise. A path into what was withheld would lead nowhere.
pub(super) fn amend_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    amendment: Amendment,
) -> Result<Value, Rejection> {
    let message = Message::Amendment(Box::new(amendment.clone()));
    let id = &amendment.document.id;
    if !releasing::withholds(customs, cx, &caller.member, &message)?
        && !releasing::withheld_before(cx.tx, DocumentType::Certificate, id)?
    {
        return publish(customs, cx, caller, &message);
    }
    amend_by_message(customs, cx, caller, amendment, None)
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
        keep_assessment(cx.tx, item)?;
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
