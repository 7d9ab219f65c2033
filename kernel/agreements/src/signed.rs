//! Agreements as signed documents: who must sign, and whether they did.
//!
//! Each nation that an agreement names must have signed it, with the key of a member that is a
//! party to it. The signers' keys are judged now, by the newest lists even when those have ended:
//! an ended list stops traffic, not the reading of what was agreed.

use std::collections::BTreeSet;
use std::time::Duration;

use karvan_trust::document::{VerifiedDocument, verify_document};
use karvan_trust::keys::{KeyId, Owner, PublicKey};
use karvan_trust::lists::Snapshot;
use karvan_trust::message::{KeyDirectory as _, Refusal};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{AgreementRef, Digest, Instance, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Agreement, AgreementBook, Error};

/// The `typ` of a signed agreement.
pub const AGREEMENT_TYP: &str = "karvan-agreement+jws";

/// Verifies the signatures that a document has.
pub fn verify(
    document: &[u8],
    lists: &Snapshot,
    now: Timestamp,
) -> Result<VerifiedDocument, Error> {
    let key = |id: &KeyId| key_of(lists, id, now);
    Ok(verify_document(document, AGREEMENT_TYP, LIST_BYTES_MAX, &key)?)
}

fn key_of(lists: &Snapshot, id: &KeyId, now: Timestamp) -> Result<PublicKey, Refusal> {
    let nation = id.owner().map(|owner| owner.instance());
    let list = lists.nations().find(|each| Some(each.list.scheme_territory) == nation);
    let in_force = list.map_or(now, |list| now.min(list.ends.minus(Duration::from_millis(1))));
    lists.key(id, now, in_force).map(|entry| entry.public.clone())
}

/// Reads an agreement that every nation in it has signed.
pub fn open(
    document: &[u8],
    lists: &Snapshot,
    now: Timestamp,
) -> Result<(Agreement, Digest), Error> {
    let verified = verify(document, lists, now)?;
    let agreement: Agreement = verified.read()?;
    agreement.check()?;
    let missing = unsigned(&agreement, &verified.signers);
    if missing.is_empty() {
        return Ok((agreement, verified.digest));
    }
    Err(Error::Unsigned(missing))
}

/// Returns the nations whose signature is missing.
pub fn unsigned(agreement: &Agreement, signers: &[KeyId]) -> Vec<Instance> {
    let parties = agreement.parties();
    let nations: BTreeSet<_> = parties.iter().map(MemberId::instance).collect();
    let signed = |nation: &Instance| {
        signers.iter().filter_map(KeyId::owner).any(|owner| {
            matches!(owner, Owner::Member(_))
                && owner.instance() == *nation
                && parties.iter().any(|party| owner.speaks_for(party.as_str()))
        })
    };
    nations.into_iter().filter(|nation| !signed(nation)).collect()
}

impl AgreementBook {
    /// Verifies a signed agreement and adds it.
    pub fn add_signed(
        &mut self,
        document: Vec<u8>,
        lists: &Snapshot,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (agreement, digest) = open(&document, lists, now)?;
        self.add(agreement, digest, document);
        Ok(())
    }
}

/// The `typ` of a signed withdrawal.
pub const WITHDRAWAL_TYP: &str = "karvan-withdrawal+jws";
/// Longest reason of a withdrawal, in bytes.
const REASON_BYTES_MAX: usize = 2_000;

/// A party ends an agreement before its time. Signed by a member that is a party; the other side
/// signs the same text to say that it knows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Withdrawal {
    /// The text that is ended.
    pub agreement: AgreementRef,
    /// Who ends it.
    pub by: MemberId,
    /// First instant at which it allows nothing.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The version that takes its place, when it is amended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<AgreementRef>,
}

/// A withdrawal whose signatures hold.
#[derive(Clone, Debug)]
pub struct SignedWithdrawal {
    /// What it says.
    pub withdrawal: Withdrawal,
    /// Digest of its canonical text.
    pub digest: Digest,
    /// The nations whose parties have signed: the one that withdraws, and the one that knows.
    pub signed_by: BTreeSet<Instance>,
}

/// Reads a withdrawal of `agreement` that the party which withdraws has signed.
pub fn open_withdrawal(
    document: &[u8],
    agreement: &Agreement,
    lists: &Snapshot,
    now: Timestamp,
) -> Result<SignedWithdrawal, Error> {
    let key = |id: &KeyId| key_of(lists, id, now);
    let verified = verify_document(document, WITHDRAWAL_TYP, LIST_BYTES_MAX, &key)?;
    let withdrawal: Withdrawal = verified.read()?;
    let fail = |field: &str, rule| Err(Error::Content { field: field.to_owned(), rule });
    let parties = agreement.parties();
    if !parties.iter().any(|party| party.member() == withdrawal.by.member()) {
        return fail("by", "must be a party to it for a withdrawal");
    }
    if withdrawal.reason.trim().is_empty() || withdrawal.reason.len() > REASON_BYTES_MAX {
        return fail("reason", "for a withdrawal has 1 to 2000 bytes");
    }
    let owners: Vec<_> = verified.signers.iter().filter_map(KeyId::owner).collect();
    if !owners.iter().any(|owner| owner.speaks_for(withdrawal.by.as_str())) {
        return Err(Error::Unsigned(vec![withdrawal.by.instance()]));
    }
    let signed_by = owners
        .iter()
        .filter(|owner| parties.iter().any(|party| owner.speaks_for(party.as_str())))
        .map(Owner::instance)
        .collect();
    Ok(SignedWithdrawal { withdrawal, digest: verified.digest, signed_by })
}
