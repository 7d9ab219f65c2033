//! The federation root: drafted by one nation, countersigned by the others, installed by each.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use karvan_system::memory::MemoryDisk;
use karvan_trust::document::{add_signature, sign_document, unverified_payload};
use karvan_trust::lists::{FederationRoot, ROOT_TYP, RootNation, TrustStore};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Digest, ErrorKind, Instance, Timestamp, json};

use super::Material;
use crate::failure::Failure;
use crate::files;

/// How long a root lives.
const ROOT_LIFETIME: Duration = Duration::from_hours(5 * 365 * 24);

/// Reads what a root says, with the digest that the operators compare. Verifies nothing.
pub(crate) fn read_root(document: &[u8]) -> Result<(FederationRoot, Digest)> {
    let payload = unverified_payload(document, LIST_BYTES_MAX)?;
    let root: FederationRoot = json::from_slice(&payload)?;
    root.check().map_err(karvan_trust::Error::from)?;
    Ok((root, Digest::of(&payload)))
}

/// Drafts a root of this nation and others, signed by this nation. The number follows that of the
/// installed root, if there is one.
pub(crate) fn draft_root(
    material: &Material,
    others: &[RootNation],
    now: Timestamp,
) -> Result<Vec<u8>> {
    let installed = material.home.federation_root();
    let before = if installed.exists() {
        read_root(&files::read(&installed, LIST_BYTES_MAX as u64)?)?.0.sequence_number
    } else {
        0
    };
    let mut nations = vec![material.nation.clone()];
    nations.extend(others.iter().cloned());
    nations.sort_by_key(|nation| nation.scheme_territory);
    let root = FederationRoot {
        sequence_number: before + 1,
        issue_date_time: now,
        next_update: now.plus(ROOT_LIFETIME),
        nations,
    };
    root.check().map_err(karvan_trust::Error::from)?;
    let key = material.nation_key("root")?;
    Ok(sign_document(ROOT_TYP, &root, &[key], &*material.keys)?)
}

/// Adds this nation's signature to a root that names it rightly.
pub(crate) fn countersign_root(material: &Material, document: &[u8]) -> Result<Vec<u8>> {
    let (root, _) = read_root(document)?;
    match root.nation(material.instance()) {
        Some(entry) if *entry == material.nation => {}
        Some(_) => {
            let text = format!("this root names {} with other keys or names", material.instance());
            let hint = "give the other side this folder's nation.json and have it drafted again";
            return Err(Failure::new(ErrorKind::Evidence, text).hint(hint).into());
        }
        None => {
            let text = format!("this root does not name {}", material.instance());
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
    }
    let key = material.nation_key("root")?;
    Ok(add_signature(document, ROOT_TYP, &key, &*material.keys)?)
}

/// Verifies root and lists, and puts them where the node takes them over. Lists that are in the
/// folder already are verified with them. Returns the nations whose list is in force now.
pub(crate) fn install(
    material: &Material,
    root: &[u8],
    lists: &[Vec<u8>],
    now: Timestamp,
) -> Result<Vec<Instance>> {
    let home = &material.home;
    let store = TrustStore::open(Path::new("trust"), Arc::new(MemoryDisk::default()))?;
    let path = home.federation_root();
    if path.exists() {
        store.install_root(&files::read(&path, LIST_BYTES_MAX as u64)?, now)?;
        store.accept(root, now).context("the root is refused")?;
    } else {
        store.install_root(root, now).context("the root is refused")?;
    }
    for known in files::json_files(&home.lists())?.iter().filter(|known| **known != path) {
        let document = files::read(known, LIST_BYTES_MAX as u64)?;
        if let Err(error) = store.accept(&document, now) {
            tracing::debug!("{} does not count now: {error}", known.display());
        }
    }
    let mut accepted = Vec::new();
    for list in lists {
        let nation = store.accept(list, now).context("a list is refused")?.nation;
        let nation = nation.ok_or_else(|| {
            Failure::new(ErrorKind::Invalid, "a root stands where a list is expected")
        })?;
        accepted.push((nation, list));
    }
    files::write(&path, root)?;
    for (nation, list) in accepted {
        files::write(&home.list(nation), list)?;
    }
    Ok(store.snapshot().nations().map(|nation| nation.list.scheme_territory).collect())
}
