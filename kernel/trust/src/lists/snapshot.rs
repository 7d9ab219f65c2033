//! The lists in force at one moment, indexed for the path of every message.

use std::collections::{BTreeMap, HashMap};

use karvan_types::{Digest, Instance, MemberId, NodeId, Timestamp};

use crate::keys::KeyId;
use crate::lists::{
    Certificate, FederationRoot, ListError, ListedKey, Member, NationalList, Node, Subsystem,
};
use crate::message::{KeyDirectory, KeyEntry, Refusal};

/// Root and lists as accepted so far; never changes, so a request sees one state from begin to end.
#[derive(Debug, Default)]
pub struct Snapshot {
    root: Option<FederationRoot>,
    nations: BTreeMap<Instance, Nation>,
    keys: HashMap<KeyId, KeyEntry>,
    // Positions: member within the list, subsystem within the member.
    parties: HashMap<MemberId, (usize, Option<usize>)>,
    nodes: HashMap<NodeId, usize>,
}

/// The newest accepted list of a nation.
#[derive(Debug)]
pub struct Nation {
    /// The list.
    pub list: NationalList,
    /// Digest of its canonical text, which evidence names.
    pub digest: Digest,
    /// When it is over: its own `nextUpdate` or the root's, whichever is earlier.
    pub ends: Timestamp,
}

/// A member or subsystem on a list.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The member.
    pub member: &'a Member,
    /// The subsystem, when one was asked for.
    pub subsystem: Option<&'a Subsystem>,
}

impl Party<'_> {
    /// Returns whether the member, or the subsystem beside it, has a role.
    pub fn has_role(&self, role: &str) -> bool {
        let own = self.subsystem.map(|subsystem| &subsystem.roles);
        self.member.roles.iter().chain(own.into_iter().flatten()).any(|each| each == role)
    }
}

impl Snapshot {
    pub(super) fn new(root: Option<FederationRoot>, lists: Vec<(NationalList, Digest)>) -> Self {
        let mut snapshot = Self { root, ..Self::default() };
        for (list, digest) in lists {
            snapshot.add(list, digest);
        }
        snapshot
    }

    fn add(&mut self, list: NationalList, digest: Digest) {
        let root_ends = self.root.as_ref().map_or(list.next_update, |root| root.next_update);
        for (i, member) in list.members.iter().enumerate() {
            self.parties.insert(member.id.clone(), (i, None));
            for (j, subsystem) in member.subsystems.iter().enumerate() {
                self.parties.insert(subsystem.id.clone(), (i, Some(j)));
            }
            member.keys.iter().for_each(|key| self.add_key(key));
        }
        for (i, node) in list.nodes.iter().enumerate() {
            self.nodes.insert(node.id.clone(), i);
            node.keys.iter().for_each(|key| self.add_key(key));
        }
        let ends = list.next_update.min(root_ends);
        self.nations.insert(list.scheme_territory, Nation { list, digest, ends });
    }

    fn add_key(&mut self, key: &ListedKey) {
        // `check` has made sure that a key's name begins with its owner's.
        let Some(owner) = key.kid.owner() else { return };
        let entry = KeyEntry {
            id: key.kid.clone(),
            public: key.jwk.clone(),
            owner,
            not_before: key.not_before,
            not_after: key.not_after,
        };
        self.keys.insert(key.kid.clone(), entry);
    }

    /// Returns the federation root.
    pub const fn root(&self) -> Option<&FederationRoot> {
        self.root.as_ref()
    }

    /// Returns the nations that have a list here, expired or not.
    pub fn nations(&self) -> impl Iterator<Item = &Nation> {
        self.nations.values()
    }

    /// Returns a nation's list in force.
    pub fn nation(&self, nation: Instance, now: Timestamp) -> Result<&Nation, ListError> {
        let found = self.nations.get(&nation).ok_or(ListError::ListMissing(nation))?;
        if now >= found.ends {
            return Err(ListError::Expired { what: format!("list {nation}"), ended: found.ends });
        }
        Ok(found)
    }

    /// Returns a node on its nation's list in force.
    pub fn node(&self, id: &NodeId, now: Timestamp) -> Result<&Node, ListError> {
        let nation = self.nation(id.instance(), now)?;
        let node = self.nodes.get(id).and_then(|i| nation.list.nodes.get(*i));
        node.ok_or_else(|| ListError::Unlisted(id.to_string()))
    }

    /// Returns a member or subsystem on its nation's list in force.
    pub fn party(&self, id: &MemberId, now: Timestamp) -> Result<Party<'_>, ListError> {
        let nation = self.nation(id.instance(), now)?;
        let unlisted = || ListError::Unlisted(id.to_string());
        let (i, j) = self.parties.get(id).ok_or_else(unlisted)?;
        let member = nation.list.members.get(*i).ok_or_else(unlisted)?;
        Ok(Party { member, subsystem: j.and_then(|j| member.subsystems.get(j)) })
    }

    /// Returns the nodes that serve a member or subsystem, in the list's order.
    pub fn nodes_serving(&self, id: &MemberId, now: Timestamp) -> Result<Vec<&Node>, ListError> {
        self.party(id, now)?;
        let member = id.member();
        let serves = |node: &&Node| node.members.iter().any(|each| each == id || *each == member);
        Ok(self.nation(id.instance(), now)?.list.nodes.iter().filter(serves).collect())
    }

    /// Returns the certificate authorities of a nation: its list's, or while that names none, its
    /// entry's in the root.
    pub fn authorities(
        &self,
        nation: Instance,
        now: Timestamp,
    ) -> Result<&[Certificate], ListError> {
        let own = &self.nation(nation, now)?.list.certificate_authorities;
        let root = self.root.as_ref().and_then(|root| root.nation(nation));
        match root {
            Some(root) if own.is_empty() => Ok(&root.certificate_authorities),
            _ => Ok(own),
        }
    }
}

impl KeyDirectory for Snapshot {
    fn key(&self, id: &KeyId, at: Timestamp, now: Timestamp) -> Result<&KeyEntry, Refusal> {
        let entry = self.keys.get(id).ok_or_else(|| Refusal::KeyUnknown(id.clone()))?;
        match self.nation(entry.owner.instance(), now) {
            Ok(_) => entry.valid_at(at),
            Err(ListError::Expired { ended, .. }) => {
                let nation = entry.owner.instance().to_string();
                Err(Refusal::ListExpired { nation, ended })
            }
            Err(_) => Err(Refusal::KeyUnknown(id.clone())),
        }
    }
}
