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
use karvan_types::{Digest, Instance, Timestamp};

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
    let nations: BTreeSet<_> = parties.iter().map(|party| party.instance()).collect();
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
