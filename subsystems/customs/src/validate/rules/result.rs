//! Rules of answers, amendments and cancellations.

use karvan_types::{Decimal, Timestamp};

use super::super::Problems;
use super::{FUTURE_MAX, ITEMS_MAX};
use crate::messages::{
    Amendment, Cancellation, Decision, DocumentReference, DocumentType, Header, Outcome,
    UtilisationResult, Validation,
};

/// Most earlier debits that a result lists of one item.
const EARLIER_MAX: usize = 100;

/// Checks a utilisation result.
pub(super) fn utilisation(message: &UtilisationResult, now: Timestamp, problems: &mut Problems) {
    reference("certificate", &message.certificate, &[DocumentType::Certificate], problems);
    reference("claim", &message.claim, &[DocumentType::Import], problems);
    if message.decision_date > now.plus(FUTURE_MAX).utc_date() {
        problems.refuse("decisionDate", "DATE", "the decision lies in the future; correct it");
    }
    if message.items.is_empty() || message.items.len() > ITEMS_MAX {
        let remedy = format!("give the decision of 1 to {ITEMS_MAX} items");
        problems.refuse("items", "ITEMS", remedy);
    }
    for (item, number) in message.items.iter().zip(1..) {
        let debited =
            item.write_off.quantity.as_ref().map_or(Decimal::ZERO, |quantity| quantity.value);
        let grants = matches!(item.decision, Decision::Granted | Decision::GrantedInPart);
        let pointer = format!("items[{number}]/WriteOff");
        if grants && debited.is_zero() {
            let remedy = "a granted item debits a quantity of the certificate; state it";
            problems.refuse(&pointer, "DEBIT", remedy);
        }
        if !item.decision.takes() && !debited.is_zero() {
            let remedy = "an item that is neither granted nor released under security debits \
                          nothing; leave the quantity out";
            problems.refuse(&pointer, "DEBIT", remedy);
        }
        if item.earlier_debits.len() > EARLIER_MAX {
            let remedy = format!("list only the newest {EARLIER_MAX} earlier debits");
            problems.refuse(&format!("items[{number}]/earlierDebits"), "ITEMS", remedy);
        }
        if item.decision != Decision::Granted && item.reason.is_none() {
            let remedy = "a decision other than a full grant needs its reason in words";
            let pointer = format!("items[{number}]/StatementDescription");
            problems.refuse(&pointer, "REASON", remedy);
        }
    }
}

/// Checks a validation.
pub(super) fn validation(message: &Validation, problems: &mut Problems) {
    reference("document", &message.document, &DocumentType::ALL, problems);
    if message.outcome == Outcome::Rejected && message.errors.is_empty() {
        let remedy = "a rejection says what to change; add at least one error with pointer";
        problems.refuse("Error", "REASON", remedy);
    }
}

/// Checks an amendment.
pub(super) fn amendment(message: &Amendment, problems: &mut Problems) {
    let kinds = [DocumentType::Export, DocumentType::Certificate, DocumentType::Import];
    amends(&message.header, &message.document, &kinds, problems);
    if message.amendments.is_empty() {
        problems.refuse("Amendment", "ITEMS", "the amendment changes nothing; name a change");
    }
}

/// Checks a cancellation.
pub(super) fn cancellation(message: &Cancellation, problems: &mut Problems) {
    let kinds = [
        DocumentType::Export,
        DocumentType::Certificate,
        DocumentType::Import,
        DocumentType::Query,
    ];
    amends(&message.header, &message.document, &kinds, problems);
    if message.replaced_by.as_ref() == Some(&message.document.id) {
        let remedy = "a document cannot take the place of itself; name the new one";
        problems.refuse("replacedBy", "REPLACES", remedy);
    }
}

fn amends(
    header: &Header,
    document: &DocumentReference,
    kinds: &[DocumentType],
    problems: &mut Problems,
) {
    reference("document", document, kinds, problems);
    if header.id != document.id {
        let remedy = format!("the header names {}, the reference {}", header.id, document.id);
        problems.refuse("document/ID", "REFERENC", remedy);
    }
}

pub(super) fn reference(
    pointer: &str,
    document: &DocumentReference,
    kinds: &[DocumentType],
    problems: &mut Problems,
) {
    let kind = DocumentType::from_code(&document.document_type);
    if !kind.is_some_and(|kind| kinds.contains(&kind)) {
        let allowed: Vec<_> = kinds.iter().map(|kind| kind.code()).collect();
        let remedy = format!("the document type must be one of {}", allowed.join(", "));
        problems.refuse(&format!("{pointer}/documentType"), "TYPE", remedy);
    }
}
