//! What a replacement inherits: a verification of the certificate whose place it took bears on it
//! as well, until it is settled. Otherwise a doubted certificate would be cleared by a new number.
//!
//! Invariants: computed from the records each time, so both sides come to the same whatever came
//! first; a verification stays the record of the certificate about which it was asked.
//!
//! Not here: which items take the place of which (`crate::certificate`).

use std::collections::BTreeSet;

use karvan_store::Read;
use karvan_subsystem::Rejection;

use super::{keys_of, of_keys};
use crate::certificate::{Certificate, REPLACED_MAX, heir, replaced_by};
use crate::verification::Verification;

/// Returns the certificates whose place this one took, also by way of others, each with the one
/// that follows it; at most [`REPLACED_MAX`].
fn before(view: &dyn Read, account: &Certificate) -> Result<Vec<(Certificate, usize)>, Rejection> {
    let mut seen = BTreeSet::from([account.id()]);
    let mut found: Vec<(Certificate, usize)> = Vec::new();
    // Position 0 is the account, and n the n-th that was found.
    let mut at = 0;
    while at <= found.len() {
        let key = at.checked_sub(1).and_then(|index| found.get(index));
        let key = key.map_or_else(|| account.id(), |(certificate, _)| certificate.id());
        for old in replaced_by(view, &key)? {
            if found.len() < REPLACED_MAX && seen.insert(old.id()) {
                found.push((old, at));
            }
        }
        at += 1;
    }
    Ok(found)
}

/// Returns the keys of the certificates whose verifications bear on this one: its own first.
pub(super) fn keys(view: &dyn Read, account: &Certificate) -> Result<Vec<String>, Rejection> {
    let mut keys = keys_of(account);
    keys.extend(before(view, account)?.iter().flat_map(|(old, _)| keys_of(old)));
    Ok(keys)
}

/// Returns the verifications that bear on a certificate, those of the certificates before it under
/// the numbers of its own items.
pub(super) fn verifications(
    view: &dyn Read,
    account: &Certificate,
) -> Result<Vec<Verification>, Rejection> {
    let mut all = of_keys(view, &keys_of(account))?;
    let chain = before(view, account)?;
    for (old, follower) in &chain {
        for mut found in of_keys(view, &keys_of(old))? {
            let (mut from, mut next) = (old, *follower);
            loop {
                let follower = next.checked_sub(1).and_then(|index| chain.get(index));
                let to = follower.map_or(account, |(certificate, _)| certificate);
                renumber(&mut found, from, to);
                let Some((_, after)) = follower else { break };
                (from, next) = (to, *after);
            }
            all.push(found);
        }
    }
    Ok(all)
}

/// Returns the verifications that bear on a certificate as it is presented: for a true copy, those
/// of its original.
pub(in crate::subsystem) fn of_presented(
    view: &dyn Read,
    presented: &Certificate,
) -> Result<Vec<Verification>, Rejection> {
    match presented.copy_of {
        Some(_) => verifications(view, &presented.account(view)?),
        None => verifications(view, presented),
    }
}

/// Says the items of a verification by the numbers that they have in the certificate that follows.
/// One that is not there any more keeps its number.
fn renumber(found: &mut Verification, old: &Certificate, new: &Certificate) {
    let moved = |item: &mut u32| {
        if let Some(heir) = heir(old, *item, new) {
            *item = heir.item;
        }
    };
    found.certificate_items.iter_mut().for_each(moved);
    for answer in &mut found.answers {
        answer.items.iter_mut().for_each(|verified| moved(&mut verified.certificate_item));
    }
}
