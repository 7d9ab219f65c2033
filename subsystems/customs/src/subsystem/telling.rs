//! Tells the partner's customs and the issuer of the certificate what was decided (UTL).
//!
//! Not here: the decision itself (`super::decide`), what the partner makes of it
//! (`super::booking`).

use karvan_subsystem::{Context, Rejection};
use karvan_types::ExchangeId;

use super::answer;
use super::assess::claim_subject;
use super::operate::officer_id;
use super::{Customs, booking};
use crate::certificate::Certificate;
use crate::claim::{Claim, ClaimItem};
use crate::decision::DecisionRecord;
use crate::messages::{
    DocumentReference, Header, Message, UtilisationItem, UtilisationResult, WriteOff,
};

/// What a decision is about.
pub(super) struct Told<'a> {
    pub(super) claim: &'a Claim,
    pub(super) item: &'a ClaimItem,
    pub(super) certificate: Option<&'a Certificate>,
    /// The certificate whose ledger it draws on.
    pub(super) account: Option<&'a Certificate>,
    pub(super) record: &'a DecisionRecord,
}

/// Sends the result to the partner's customs and to the issuer of the certificate.
pub(super) fn inform(
    customs: &Customs,
    cx: &mut Context<'_>,
    user: &str,
    told: &Told<'_>,
) -> Result<Vec<ExchangeId>, Rejection> {
    let Told { claim, item, certificate, account, record } = *told;
    if record.decision.grants() && record.debited.is_none() {
        // The certificate is not here: the result is sent when it comes and is debited.
        return Ok(Vec::new());
    }
    let Some(content) = claim.content() else { return Ok(Vec::new()) };
    let known = certificate.and_then(Certificate::content);
    let (refused, earlier_debits) =
        booking::refused_by_ledger(customs, cx.tx, item, account, record)?;
    let reference = answer::next_reference(cx, "UTL")?;
    let header: &Header = known.map_or(&content.header, |content| &content.header);
    let header = answer::answer_header(cx, header, reference);
    let result = UtilisationResult {
        // The number of the decision, so that an older result never undoes a newer one.
        header: Header { version_id: record.number, ..header },
        certificate: DocumentReference {
            document_type: "COO".to_owned(),
            id: known.map_or(&item.quote.number.shown, |content| &content.header.id).clone(),
            version_id: known.map(|content| content.header.version_id),
            functional_reference_id: None,
            effective_date: item.quote.date,
        },
        claim: DocumentReference {
            document_type: "IMP".to_owned(),
            id: claim.id(),
            version_id: Some(content.header.version_id),
            functional_reference_id: None,
            effective_date: None,
        },
        decision_date: record.day,
        officer_id: officer_id(user),
        items: vec![UtilisationItem {
            sequence: item.item,
            certificate_item: item.quote.item,
            decision: record.decision,
            write_off: WriteOff { quantity: record.taken().cloned(), amount: None },
            balance: record.balance.clone(),
            reason_codes: vec![record.reason.code()],
            reason: record.text.clone(),
            refused,
            earlier_debits,
        }],
    };
    let message = Message::Utilisation(Box::new(result));
    let subject = claim_subject(&item.claim);
    let mut recipients = vec![customs.config.partner.clone()];
    recipients.extend(certificate.map(|certificate| certificate.issuer.clone()));
    recipients.dedup();
    recipients
        .iter()
        .map(|to| {
            let sent = answer::send(cx, &customs.config.customs, to, &message, &subject)?;
            Ok(sent.exchange)
        })
        .collect()
}
