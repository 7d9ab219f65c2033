//! The national list: the first one, and the next version of one.

use std::time::Duration;

use anyhow::Result;
use karvan_trust::document::{sign_document, unverified_payload};
use karvan_trust::keys::KeyProvider;
use karvan_trust::keys::{KeyId, Owner, SealedKeys};
use karvan_trust::lists::{LIST_TYP, ListedKey, Member, NationalList, Node, NoteKey, Subsystem};
use karvan_trust::notes::{cosigner, log_signer};
use karvan_types::limits::{CLOCK_SKEW_SECONDS_MAX, LIST_BYTES_MAX};
use karvan_types::{ErrorKind, MemberId, Timestamp, json};
use std::sync::Arc;

use super::{Material, Plan, PlannedMember, newest_key, public};
use crate::failure::Failure;
use crate::files;

/// How long a list lives unless told otherwise.
const LIST_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// How long a signing key is valid.
const KEY_LIFETIME: Duration = Duration::from_hours(2 * 365 * 24);

/// Makes a nation's first list, signed.
pub(super) fn first(plan: &Plan, keys: &Arc<SealedKeys>, now: Timestamp) -> Result<Vec<u8>> {
    let members = plan
        .by_owner()
        .into_iter()
        .map(|(id, entries)| member(id, &entries, keys, now))
        .collect::<Result<Vec<_>>>()?;
    let list = NationalList {
        scheme_territory: plan.nation,
        scheme_operator_name: plan.name.clone(),
        sequence_number: 1,
        issue_date_time: now,
        next_update: now.plus(LIST_LIFETIME),
        certificate_authorities: Vec::new(),
        timestamp_authorities: Vec::new(),
        nodes: vec![node(plan, keys, now)?],
        members,
    };
    sign(&list, &newest_key(keys, &Owner::Nation(plan.nation), "list")?, &**keys)
}

fn sign(list: &NationalList, key: &KeyId, keys: &dyn KeyProvider) -> Result<Vec<u8>> {
    list.check().map_err(karvan_trust::Error::from)?;
    Ok(sign_document(LIST_TYP, list, std::slice::from_ref(key), keys)?)
}

fn listed(owner: &Owner, keys: &SealedKeys, now: Timestamp) -> Result<ListedKey> {
    let kid = newest_key(keys, owner, "sign")?;
    let jwk = public(keys, &kid)?;
    // Signatures tell whole seconds, and a peer's clock may lag.
    let skew = Duration::from_secs(CLOCK_SKEW_SECONDS_MAX);
    let not_before = Timestamp::from_seconds(now.minus(skew).as_seconds());
    Ok(ListedKey { kid, jwk, not_before, not_after: not_before.plus(KEY_LIFETIME) })
}

fn member(
    id: MemberId,
    entries: &[&PlannedMember],
    keys: &SealedKeys,
    now: Timestamp,
) -> Result<Member> {
    let own = entries.iter().find(|entry| entry.id == id);
    let mut named = own.into_iter().chain(entries).filter_map(|entry| entry.name.clone());
    let name = named.next().unwrap_or_else(|| id.to_string());
    let subsystems = entries.iter().filter(|entry| entry.id != id).map(|entry| Subsystem {
        id: entry.id.clone(),
        name: entry.name.clone().unwrap_or_else(|| entry.id.to_string()),
        roles: entry.roles.clone(),
    });
    Ok(Member {
        name,
        roles: own.map(|entry| entry.roles.clone()).unwrap_or_default(),
        subsystems: subsystems.collect(),
        keys: vec![listed(&Owner::Member(id.clone()), keys, now)?],
        id,
    })
}

fn node(plan: &Plan, keys: &Arc<SealedKeys>, now: Timestamp) -> Result<Node> {
    let owner = Owner::Node(plan.node.clone());
    let place = format!("karvan/{}/{}", plan.nation, plan.node.name()).to_ascii_lowercase();
    let (log, witness) = (format!("{place}/log-1"), format!("{place}/witness-1"));
    let provider = || Arc::<SealedKeys>::clone(keys);
    let signer = log_signer(&log, &newest_key(keys, &owner, "log")?, provider())?;
    let cosigner = cosigner(&witness, &newest_key(keys, &owner, "witness")?, provider())?;
    let authority = plan.authority();
    Ok(Node {
        id: plan.node.clone(),
        endpoint: format!("https://{authority}"),
        authority,
        keys: vec![listed(&owner, keys, now)?],
        log: Some(NoteKey { name: log, vkey: signer.verifier_key().to_string() }),
        witness: Some(NoteKey { name: witness, vkey: cosigner.verifier_key().to_string() }),
        members: plan.owners().into_iter().collect(),
    })
}

/// Issues the next version of the nation's list: the same content with the next number and a new
/// end. Durable in the folder of lists, where a running node takes it over.
pub(crate) fn issue_list(
    material: &Material,
    lifetime: Duration,
    now: Timestamp,
) -> Result<(NationalList, Vec<u8>)> {
    let mut list = read_list(material)?;
    list.sequence_number += 1;
    list.issue_date_time = now;
    list.next_update = now.plus(lifetime);
    let document = sign(&list, &material.nation_key("list")?, &*material.keys)?;
    files::write(&material.home.list(material.instance()), &document)?;
    Ok((list, document))
}

/// Reads the newest list of the folder's nation. Its signature is checked where it is accepted.
pub(super) fn read_list(material: &Material) -> Result<NationalList> {
    let path = material.home.list(material.instance());
    let document = files::read(&path, LIST_BYTES_MAX as u64)?;
    let list: NationalList = json::from_slice(&unverified_payload(&document, LIST_BYTES_MAX)?)?;
    if list.scheme_territory == material.instance() {
        return Ok(list);
    }
    let text = format!("{} is the list of {}", path.display(), list.scheme_territory);
    Err(Failure::new(ErrorKind::Storage, text).into())
}
