//! Keeps the root and the newest list of each nation, and refuses everything older.
//!
//! Files of one folder: `root.json` and `list-<nation>.json`, each the signed document as received.
//! What is accepted is on disk before [`TrustStore::accept`] answers, so a restart remembers it;
//! what is on disk is verified again when the store is opened.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use karvan_system::Disk;
use karvan_types::limits::{CLOCK_SKEW_SECONDS_MAX, LIST_BYTES_MAX};
use karvan_types::{Digest, Instance, Timestamp, json};
use serde::Deserialize;

use crate::Error;
use crate::document::{VerifiedDocument, unverified_payload, verify_document, verify_signatures};
use crate::keys::{KeyId, Owner, PublicKey};
use crate::lists::{FederationRoot, LIST_TYP, ListError, NationalList, ROOT_TYP, Snapshot};
use crate::message::Refusal;

/// The lists a node trusts.
pub struct TrustStore {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    // Held while a document is checked and written; readers never wait for it.
    state: Mutex<State>,
    // Replaced as a whole after each change.
    snapshot: RwLock<Arc<Snapshot>>,
}

#[derive(Clone, Default)]
struct State {
    root: Option<(FederationRoot, Digest)>,
    lists: BTreeMap<Instance, Stored>,
}

/// A list as it was accepted. It stays here, and bars older ones, even when a later root no longer
/// lets it count.
#[derive(Clone)]
struct Stored {
    document: Vec<u8>,
    sequence: u64,
    digest: Digest,
}

impl Stored {
    /// Takes a list that was accepted before; whether it still counts, the root says.
    fn read(document: Vec<u8>, nation: Instance) -> Result<Self, Error> {
        let payload = unverified_payload(&document, LIST_BYTES_MAX)?;
        let list: NationalList = json::from_slice(&payload)?;
        if list.scheme_territory != nation {
            return Err(ListError::NationUnknown(list.scheme_territory).into());
        }
        Ok(Self { sequence: list.sequence_number, digest: Digest::of(&payload), document })
    }
}

/// What [`TrustStore::accept`] did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The nation of a list; None for a root.
    pub nation: Option<Instance>,
    /// Its sequence number.
    pub sequence: u64,
    /// Digest of its canonical text.
    pub digest: Digest,
    /// False when exactly this document was known.
    pub new: bool,
}

impl TrustStore {
    /// Opens the folder, creating it when missing. Ended lists are loaded too: they bar older ones.
    pub fn open(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        disk.create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let mut state = State::default();
        let root = dir.join(ROOT_FILE);
        if disk.exists(&root) {
            let document = disk.read(&root).map_err(Error::io("read", &root))?;
            let verified = verify_root(&document, None).map_err(|_| Error::Altered(root))?;
            state.root = Some(verified);
        }
        for name in disk.list(dir).map_err(Error::io("list", dir))? {
            let nation = name.strip_prefix("list-").and_then(|rest| rest.strip_suffix(".json"));
            let Some(nation) = nation.and_then(|nation| nation.parse().ok()) else { continue };
            let path = dir.join(name);
            let document = disk.read(&path).map_err(Error::io("read", &path))?;
            let stored = Stored::read(document, nation).map_err(|_| Error::Altered(path))?;
            state.lists.insert(nation, stored);
        }
        let snapshot = RwLock::new(Arc::new(state.snapshot()));
        Ok(Self { dir: dir.to_owned(), disk, state: Mutex::new(state), snapshot })
    }

    /// Returns the lists in force, cheaply.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the newest accepted list of a nation, as the signed document.
    pub fn document(&self, nation: Instance) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lists.get(&nation).map(|stored| stored.document.clone())
    }

    /// Returns the federation root, as the signed document.
    pub fn root_document(&self) -> Option<Vec<u8>> {
        let known = self.state.lock().unwrap_or_else(PoisonError::into_inner).root.is_some();
        if known { self.disk.read(&self.dir.join(ROOT_FILE)).ok() } else { None }
    }

    /// Installs the first root. The operator vouches for it, after comparing its digest with the
    /// other operators; every nation in it must have signed.
    pub fn install_root(&self, document: &[u8], now: Timestamp) -> Result<Accepted, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (root, digest) = verify_root(document, None)?;
        if state.root.as_ref().is_some_and(|(_, known)| *known != digest) {
            return Err(ListError::RootExists.into());
        }
        in_time("root", root.issue_date_time, root.next_update, now)?;
        self.put_root(&mut state, root, digest, document)
    }

    /// Accepts a newer root or list and is durable when it returns. The same document again is
    /// fine; anything older, contradicting, unsigned, ended or broken is refused.
    pub fn accept(&self, document: &[u8], now: Timestamp) -> Result<Accepted, Error> {
        let payload = unverified_payload(document, LIST_BYTES_MAX)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let kind: Kind = json::from_slice(&payload)?;
        match kind.scheme_territory {
            Some(nation) => self.accept_list(&mut state, nation, document, now),
            None => self.accept_root(&mut state, document, now),
        }
    }

    fn accept_root(
        &self,
        state: &mut State,
        document: &[u8],
        now: Timestamp,
    ) -> Result<Accepted, Error> {
        let (known, known_digest) = state.root.as_ref().ok_or(ListError::RootMissing)?;
        let (root, digest) = verify_root(document, Some(known))?;
        let order = (root.sequence_number, known.sequence_number);
        newer("root", order, digest == *known_digest)?;
        in_time("root", root.issue_date_time, root.next_update, now)?;
        self.put_root(state, root, digest, document)
    }

    fn put_root(
        &self,
        state: &mut State,
        root: FederationRoot,
        digest: Digest,
        document: &[u8],
    ) -> Result<Accepted, Error> {
        let sequence = root.sequence_number;
        let new = state.root.as_ref().is_none_or(|(_, known)| *known != digest);
        if new {
            self.write(ROOT_FILE, document)?;
            state.root = Some((root, digest));
            self.publish(state);
        }
        Ok(Accepted { nation: None, sequence, digest, new })
    }

    fn accept_list(
        &self,
        state: &mut State,
        nation: Instance,
        document: &[u8],
        now: Timestamp,
    ) -> Result<Accepted, Error> {
        let (root, _) = state.root.as_ref().ok_or(ListError::RootMissing)?;
        let (list, verified) = signed_list(document, nation, root)?;
        let what = format!("list {nation}");
        let (sequence, digest) = (list.sequence_number, verified.digest);
        let new = match state.lists.get(&nation) {
            None => true,
            Some(known) => newer(&what, (sequence, known.sequence), known.digest == digest)?,
        };
        in_time(&what, list.issue_date_time, list.next_update, now)?;
        if new {
            self.write(&format!("list-{nation}.json"), document)?;
            let stored = Stored { document: document.to_vec(), sequence, digest };
            state.lists.insert(nation, stored);
            self.publish(state);
        }
        Ok(Accepted { nation: Some(nation), sequence, digest, new })
    }

    fn write(&self, name: &str, document: &[u8]) -> Result<(), Error> {
        let path = self.dir.join(name);
        self.disk.replace(&path, document).map_err(Error::io("write", &path))
    }

    fn publish(&self, state: &State) {
        let snapshot = Arc::new(state.snapshot());
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }
}

const ROOT_FILE: &str = "root.json";

/// Only a list has a territory; roots name theirs inside.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    scheme_territory: Option<Instance>,
}

impl Snapshot {
    /// Verifies a root and lists that were kept as evidence, without a store: as of their own time,
    /// so neither has to be in force now. Whether it is the right root is for the caller to say, by
    /// its digest.
    pub fn of_documents(root: &[u8], lists: &[&[u8]]) -> Result<Self, Error> {
        let (root, _) = verify_root(root, None)?;
        let verify = |document: &&[u8]| {
            let payload = unverified_payload(document, LIST_BYTES_MAX)?;
            let kind: Kind = json::from_slice(&payload)?;
            let nation = kind.scheme_territory.ok_or(Error::DocumentMalformed("not a list"))?;
            let (list, verified) = signed_list(document, nation, &root)?;
            Ok((list, verified.digest))
        };
        let lists = lists.iter().map(verify).collect::<Result<_, Error>>()?;
        Ok(Self::new(Some(root), lists))
    }
}

impl State {
    /// Builds the snapshot from every stored list that counts under the root.
    fn snapshot(&self) -> Snapshot {
        let Some((root, _)) = &self.root else { return Snapshot::default() };
        let counts = |(nation, stored): (&Instance, &Stored)| {
            let (list, verified) = signed_list(&stored.document, *nation, root).ok()?;
            Some((list, verified.digest))
        };
        let lists = self.lists.iter().filter_map(counts).collect();
        Snapshot::new(Some(root.clone()), lists)
    }
}

/// Verifies a root: signed by every nation in it and, when one is known, by every nation in that.
///
/// A signature by a key of neither is passed over: a root that changed keys also carries signatures
/// of the old ones, which a node installed later does not know.
fn verify_root(
    document: &[u8],
    known: Option<&FederationRoot>,
) -> Result<(FederationRoot, Digest), Error> {
    let payload = unverified_payload(document, LIST_BYTES_MAX)?;
    let root: FederationRoot = json::from_slice(&payload)?;
    root.check()?;
    let key = |id: &KeyId| match (known.and_then(|known| root_key(known, id)), root_key(&root, id))
    {
        // A name keeps its key for ever; otherwise one signature would count for two keys.
        (Some(old), Some(new)) if old != new => Err(Refusal::KeyUnknown(id.clone())),
        (old, new) => Ok(old.or(new).cloned()),
    };
    let verified = verify_signatures(document, ROOT_TYP, LIST_BYTES_MAX, &key)?;
    for (root, by) in [(Some(&root), "this root"), (known, "the root before it")] {
        for nation in root.iter().flat_map(|root| &root.nations) {
            if !nation.keys.iter().any(|key| verified.signers.contains(&key.kid)) {
                return Err(ListError::NotSigned { nation: nation.scheme_territory, by }.into());
            }
        }
    }
    Ok((root, verified.digest))
}

/// Verifies a list against its nation's keys in the root.
fn signed_list(
    document: &[u8],
    nation: Instance,
    root: &FederationRoot,
) -> Result<(NationalList, VerifiedDocument), Error> {
    if root.nation(nation).is_none() {
        return Err(ListError::NationUnknown(nation).into());
    }
    let key = |id: &KeyId| {
        let own = id.owner() == Some(Owner::Nation(nation));
        let key = root_key(root, id).filter(|_| own);
        key.cloned().ok_or_else(|| Refusal::KeyUnknown(id.clone()))
    };
    let verified = verify_document(document, LIST_TYP, LIST_BYTES_MAX, &key)?;
    let list: NationalList = verified.read()?;
    if list.scheme_territory != nation {
        return Err(ListError::NotSigned { nation: list.scheme_territory, by: "its own" }.into());
    }
    list.check()?;
    Ok((list, verified))
}

fn root_key<'a>(root: &'a FederationRoot, id: &KeyId) -> Option<&'a PublicKey> {
    let mut keys = root.nations.iter().flat_map(|nation| &nation.keys);
    keys.find(|key| key.kid == *id).map(|key| &key.jwk)
}

/// Compares an offered sequence number with the known one; true when it is new.
fn newer(what: &str, (offered, known): (u64, u64), same: bool) -> Result<bool, ListError> {
    let what = what.to_owned();
    match offered.cmp(&known) {
        std::cmp::Ordering::Less => Err(ListError::RollBack { what, offered, known }),
        std::cmp::Ordering::Equal if !same => Err(ListError::Forked { what, number: offered }),
        order => Ok(order.is_gt()),
    }
}

fn in_time(
    what: &str,
    issued: Timestamp,
    ended: Timestamp,
    now: Timestamp,
) -> Result<(), ListError> {
    let what = what.to_owned();
    if issued > now.plus(Duration::from_secs(CLOCK_SKEW_SECONDS_MAX)) {
        return Err(ListError::NotYetValid { what, issued });
    }
    if now >= ended {
        return Err(ListError::Expired { what, ended });
    }
    Ok(())
}
