//! Signing agreements as a member.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_agreements::Agreement;
use karvan_agreements::signed::{self, AGREEMENT_TYP};
use karvan_system::{Clock as _, OsDisk, SystemClock};
use karvan_trust::document::{add_signature, sign_document, unverified_payload};
use karvan_trust::keys::Owner;
use karvan_trust::lists::TrustStore;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Digest, ErrorKind, MemberId, json};

use super::{Material, newest_key};
use crate::failure::Failure;
use crate::files;

/// An agreement before this side has signed it.
#[derive(Clone, Debug)]
pub(crate) struct AgreementDraft {
    pub(crate) agreement: Agreement,
    /// Digest of its canonical text.
    pub(crate) digest: Digest,
    /// The document with the signatures so far; nothing when nobody has signed.
    signed: Option<Vec<u8>>,
}

/// Reads a draft: plain JSON, or the document that the other side has signed.
pub(crate) fn read_agreement(bytes: &[u8]) -> Result<AgreementDraft> {
    let signed = unverified_payload(bytes, LIST_BYTES_MAX).ok();
    let payload = match &signed {
        Some(payload) => payload.clone(),
        None => json::canonical(&json::parse(bytes)?)?,
    };
    let agreement: Agreement = json::from_slice(&payload)
        .map_err(|error| Failure::new(ErrorKind::Invalid, format!("no agreement: {error}")))?;
    agreement.check()?;
    let canonical = json::canonical(&agreement)?;
    if canonical != payload {
        let text = "the agreement is not written as it would be signed";
        let hint = "write instants as 2026-01-01T00:00:00.000Z, and no other members";
        return Err(Failure::new(ErrorKind::Invalid, text).hint(hint).into());
    }
    let digest = Digest::of(&payload);
    Ok(AgreementDraft { agreement, digest, signed: signed.map(|_| bytes.to_vec()) })
}

/// Signs an agreement as `member`, or as the only party to it that has its key here, and puts it
/// into the folder of agreements.
pub(crate) fn sign_agreement(
    material: &Material,
    draft: &AgreementDraft,
    member: Option<&MemberId>,
) -> Result<Vec<u8>> {
    let parties = draft.agreement.parties();
    let mut own: Vec<_> = parties
        .iter()
        .filter(|party| party.instance() == material.instance())
        .map(MemberId::member)
        .filter(|party| member.is_none_or(|member| member.member() == *party))
        .collect();
    own.dedup();
    let signer = own.first().ok_or_else(|| {
        let text = format!("no party to agreement {} may sign here", draft.agreement.id);
        Failure::new(ErrorKind::Invalid, text).hint("name one of its parties with --member")
    })?;
    let key = newest_key(&material.keys, &Owner::Member(signer.clone()), "sign")?;
    let document = match &draft.signed {
        None => sign_document(AGREEMENT_TYP, &draft.agreement, &[key], &*material.keys)?,
        Some(document) => {
            check_signatures(material, document)?;
            add_signature(document, AGREEMENT_TYP, &key, &*material.keys)?
        }
    };
    let name = format!("{}-{}.json", draft.agreement.id, draft.agreement.version);
    files::write(&material.home.agreements().join(name), &document)?;
    Ok(document)
}

/// Verifies the signatures that are there, once root and lists are installed.
fn check_signatures(material: &Material, document: &[u8]) -> Result<()> {
    if !material.home.federation_root().exists() {
        return Ok(());
    }
    let lists = TrustStore::open(&material.home.lists(), Arc::new(OsDisk))?.snapshot();
    signed::verify(document, &lists, SystemClock.now())
        .context("the other side's signature does not hold")?;
    Ok(())
}
