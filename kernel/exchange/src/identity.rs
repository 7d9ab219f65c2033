//! Who is who: the node's questions to the national lists, and signing in the right name.

use karvan_subsystem::Rejection;
use karvan_trust::document::{sign_document, verify_document};
use karvan_trust::keys::{KeyId, Owner};
use karvan_trust::lists::{ListedKey, Snapshot};
use karvan_trust::message::KeyDirectory as _;
use karvan_types::{ErrorKind, MemberId, NodeId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

use crate::node::Inner;
use crate::records::StoredAnswer;
use crate::wire::{self, Answer, Link};

/// Longest signed control document, in bytes.
const JWS_BYTES_MAX: usize = 1024 * 1024;
/// The `typ` of what nodes and members sign here.
pub(crate) const STATEMENT_TYP: &str = "karvan-statement+jws";

/// Turns a failure of keys or lists into a refusal.
fn trust(error: &karvan_trust::Error) -> Rejection {
    Rejection::new(error.kind(), "trust", error.to_string())
}

fn unlisted(error: &karvan_trust::lists::ListError) -> Rejection {
    Rejection::new(error.kind(), "not-listed", error.to_string())
}

impl Inner {
    /// Returns the lists in force.
    pub(crate) fn lists(&self) -> Arc<Snapshot> {
        self.trust.snapshot()
    }

    /// Returns every node of every nation in force, this one too.
    pub(crate) fn all_nodes(&self) -> Vec<NodeId> {
        let lists = self.lists();
        lists.nations().flat_map(|nation| &nation.list.nodes).map(|node| node.id.clone()).collect()
    }

    /// Returns the node that serves a member.
    pub(crate) fn node_of(&self, member: &MemberId) -> Result<NodeId, Rejection> {
        let lists = self.lists();
        let nodes =
            lists.nodes_serving(member, self.clock.now()).map_err(|error| unlisted(&error))?;
        nodes.first().map(|node| node.id.clone()).ok_or_else(|| {
            Rejection::new(
                ErrorKind::NotFound,
                "member-without-node",
                format!("no node serves {member} on the list of {}", member.instance()),
            )
        })
    }

    /// Returns what requests to a node name as their authority.
    pub(crate) fn authority_of(&self, node: &NodeId) -> Result<String, Rejection> {
        let lists = self.lists();
        let node = lists.node(node, self.clock.now()).map_err(|error| unlisted(&error))?;
        Ok(node.authority.clone())
    }

    /// Returns the roles of a member or subsystem on its nation's list.
    pub(crate) fn roles_of(&self, member: &MemberId) -> Vec<String> {
        let lists = self.lists();
        let Ok(party) = lists.party(member, self.clock.now()) else { return Vec::new() };
        let own = party.subsystem.map(|subsystem| subsystem.roles.iter());
        party.member.roles.iter().chain(own.into_iter().flatten()).cloned().collect()
    }

    /// Returns the key with which this node signs for a member that it serves.
    pub(crate) fn member_key(&self, member: &MemberId) -> Result<KeyId, Rejection> {
        let now = self.clock.now();
        let lists = self.lists();
        let served = lists.nodes_serving(member, now).map_err(|error| unlisted(&error))?;
        if !served.iter().any(|node| node.id == self.config.node) {
            return Err(Rejection::new(
                ErrorKind::Forbidden,
                "member-not-served",
                format!("this node, {}, does not serve {member}", self.config.node),
            ));
        }
        let party = lists.party(member, now).map_err(|error| unlisted(&error))?;
        self.usable(&party.member.keys, &member.to_string(), now)
    }

    /// Returns the key with which this node signs in its own name.
    pub(crate) fn node_key(&self) -> Result<KeyId, Rejection> {
        let now = self.clock.now();
        let lists = self.lists();
        let node = lists.node(&self.config.node, now).map_err(|error| unlisted(&error))?;
        self.usable(&node.keys, self.config.node.as_str(), now)
    }

    fn usable(&self, keys: &[ListedKey], party: &str, now: Timestamp) -> Result<KeyId, Rejection> {
        keys.iter()
            .filter(|key| key.not_before <= now && now < key.not_after)
            .filter(|key| key.kid.owner().is_some_and(|owner| owner.speaks_for(party)))
            .find(|key| self.keys.public(&key.kid).is_some())
            .map(|key| key.kid.clone())
            .ok_or_else(|| {
                Rejection::new(
                    ErrorKind::LocalConfig,
                    "key-missing",
                    format!(
                        "this node holds no valid key for {party} that the national list names; \
                         publish one with the next list"
                    ),
                )
            })
    }

    /// Signs an HTTP answer as this node.
    pub(crate) fn sign_answer(
        &self,
        answer: Answer<'_>,
        link: &Link,
        now: Timestamp,
    ) -> Result<StoredAnswer, Rejection> {
        let key = self.node_key()?;
        wire::sign_answer(&*self.keys, &key, answer, link, now)
    }

    /// Signs a statement as a member.
    pub(crate) fn sign_jws<T: Serialize>(
        &self,
        member: &MemberId,
        statement: &T,
    ) -> Result<String, Rejection> {
        self.sign_with(&self.member_key(member)?, statement)
    }

    /// Signs a statement as this node.
    pub(crate) fn sign_jws_as_node<T: Serialize>(
        &self,
        statement: &T,
    ) -> Result<String, Rejection> {
        self.sign_with(&self.node_key()?, statement)
    }

    fn sign_with<T: Serialize>(&self, key: &KeyId, statement: &T) -> Result<String, Rejection> {
        let signed =
            sign_document(STATEMENT_TYP, statement, std::slice::from_ref(key), &*self.keys)
                .map_err(|error| trust(&error))?;
        String::from_utf8(signed).map_err(|error| {
            Rejection::new(ErrorKind::Internal, "signing-failed", error.to_string())
        })
    }

    /// Verifies a statement that a node must have signed.
    pub(crate) fn verify_jws_of_node<T: DeserializeOwned>(
        &self,
        node: &NodeId,
        jws: &[u8],
    ) -> Result<T, Rejection> {
        // Made to be read at once, so its key must be valid now.
        let (statement, owner) = self.verify_jws(jws, self.clock.now())?;
        if owner == Owner::Node(node.clone()) {
            return Ok(statement);
        }
        Err(Rejection::new(
            ErrorKind::Unauthenticated,
            "owner-mismatch",
            format!("signed by {owner}, but {node} must sign"),
        ))
    }

    /// Verifies a statement that a member, whom the node `from` must serve, made at an instant.
    pub(crate) fn verify_jws_of_member<T: DeserializeOwned>(
        &self,
        from: &NodeId,
        jws: &str,
        at: Timestamp,
        member: impl Fn(&T) -> &MemberId,
    ) -> Result<T, Rejection> {
        let (statement, owner) = self.verify_jws::<T>(jws.as_bytes(), at)?;
        let named = member(&statement);
        if !owner.speaks_for(named.as_str()) || self.node_of(named)? != *from {
            return Err(Rejection::new(
                ErrorKind::Unauthenticated,
                "owner-mismatch",
                format!("signed by {owner} and brought by {from}, but {named} must sign"),
            ));
        }
        Ok(statement)
    }

    fn verify_jws<T: DeserializeOwned>(
        &self,
        jws: &[u8],
        at: Timestamp,
    ) -> Result<(T, Owner), Rejection> {
        let now = self.clock.now();
        let lists = self.lists();
        let key = |id: &KeyId| lists.key(id, at, now).map(|entry| entry.public.clone());
        let verified = verify_document(jws, STATEMENT_TYP, JWS_BYTES_MAX, &key)
            .map_err(|error| trust(&error))?;
        let owner = match verified.signers.as_slice() {
            [signer] => signer.owner(),
            _ => None,
        };
        let owner = owner.ok_or_else(|| {
            Rejection::new(ErrorKind::Invalid, "signers", "a statement has exactly one signature")
        })?;
        let statement = verified.read().map_err(|error| trust(&error))?;
        Ok((statement, owner))
    }

    /// Returns this nation's list as it is published.
    pub(crate) fn own_list(&self) -> Result<Vec<u8>, Rejection> {
        self.trust.document(self.config.node.instance()).ok_or_else(|| {
            Rejection::new(ErrorKind::NotFound, "list-missing", "this node has no list yet")
        })
    }
}
