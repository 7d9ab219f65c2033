//! What a node offers to the other gateways of the kernel (calls, negotiation): its parts, its
//! identity, the line to its peers, and a place on the listener that peers connect to.
//!
//! Invariant: they sign, log and store with the same means as documents do, so that there is one
//! evidence log, one pool of connections and one view of who is who.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use karvan_agreements::Agreements;
use karvan_store::{Blobs, Read};
use karvan_subsystem::{Caller, Rejection};
use karvan_system::{Clock, Entropy};
use karvan_trust::keys::{KeyId, KeyProvider};
use karvan_trust::lists::Snapshot;
use karvan_types::{ErrorKind, MemberId, NodeId, Timestamp};
use serde_json::Value;

use crate::client::{Body, full};
use crate::network::Boxed;
use crate::node::{Node, NodeConfig, WakingStore};

/// Answers requests of peers that it recognises by their path.
pub trait PeerService: Send + Sync {
    /// Returns whether requests to this path are its own.
    fn takes(&self, path: &str) -> bool;

    /// Answers a request of the node `from`, which the connection has authenticated.
    fn serve(&self, from: NodeId, request: Request<Incoming>) -> Boxed<'static, Response<Body>>;
}

impl Node {
    /// Returns what the operator decided.
    pub fn config(&self) -> &NodeConfig {
        &self.0.config
    }

    /// Returns the name of this node.
    pub fn id(&self) -> &NodeId {
        &self.0.config.node
    }

    /// Returns the wall clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// Returns the instant by the wall clock.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Returns the source of randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.0.entropy
    }

    /// Returns the node's state.
    pub fn store(&self) -> &WakingStore {
        &self.0.store
    }

    /// Returns the folder of large bodies.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Returns the private keys.
    pub fn keys(&self) -> &dyn KeyProvider {
        &*self.0.keys
    }

    /// Returns the lists in force.
    pub fn lists(&self) -> Arc<Snapshot> {
        self.0.lists()
    }

    /// Returns the live book of agreements.
    pub fn agreements(&self) -> &Arc<Agreements> {
        &self.0.config.agreements
    }

    /// Returns the node that serves a member.
    pub fn node_of(&self, member: &MemberId) -> Result<NodeId, Rejection> {
        self.0.node_of(member)
    }

    /// Returns every node of every nation in force, this one too.
    pub fn all_nodes(&self) -> Vec<NodeId> {
        self.0.all_nodes()
    }

    /// Returns what requests to a node name as their authority.
    pub fn authority_of(&self, node: &NodeId) -> Result<String, Rejection> {
        self.0.authority_of(node)
    }

    /// Returns the key with which this node signs for a member that it serves.
    pub fn member_key(&self, member: &MemberId) -> Result<KeyId, Rejection> {
        self.0.member_key(member)
    }

    /// Returns the key with which this node signs in its own name.
    pub fn node_key(&self) -> Result<KeyId, Rejection> {
        self.0.node_key()
    }

    /// Checks the bearer token of a request to the local interface, and that it has a permission.
    pub fn authorize(&self, headers: &HeaderMap, permission: &str) -> Result<Caller, Rejection> {
        crate::local_api::authorize(&self.0, headers, permission)
    }

    /// Returns the permission of a sub-system's operation that only reads; refuses one that is
    /// unknown, and one that writes.
    pub fn permission_to_read(
        &self,
        subsystem: &str,
        operation: &str,
    ) -> Result<&'static str, Rejection> {
        let (_, known) = self.0.operation(subsystem, operation)?;
        if known.writes {
            let text = format!("`{operation}` of `{subsystem}` writes; name one that only reads");
            return Err(Rejection::new(ErrorKind::Invalid, "operation-writes", text));
        }
        Ok(known.permission)
    }

    /// Asks a sub-system in the name of a member that this node serves. The member holds the
    /// operation's permission for this question, and no other.
    pub async fn query(
        &self,
        member: &MemberId,
        subsystem: &str,
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        let permission = self.permission_to_read(subsystem, operation)?;
        self.member_key(member)?;
        let (subsystem, _) = self.0.operation(subsystem, operation)?;
        let caller = Caller {
            member: member.clone(),
            user: member.to_string(),
            permissions: vec![permission.to_owned()],
        };
        let (now, operation) = (self.now(), operation.to_owned());
        let ask = move |view: &dyn Read| subsystem.query(view, now, &caller, &operation, input);
        self.0.store.read(ask).await
    }

    /// Sends a request to a peer and reads the whole answer; the peer's `Host` is filled in. Only
    /// for requests that may be repeated: a broken idle connection is replaced once.
    pub async fn ask(
        &self,
        peer: &NodeId,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, Rejection> {
        let authority = self.authority_of(peer)?;
        let make = || {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header(HOST, &authority)
                .header(CONTENT_LENGTH, HeaderValue::from(body.len()));
            let mut request = request
                .body(full(body.clone()))
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            request.headers_mut().extend(headers.clone());
            Ok(request)
        };
        self.0
            .send_to(&self.0.peer(peer), make)
            .await
            .map_err(|cause| Rejection::new(ErrorKind::PeerUnavailable, "peer-unreachable", cause))
    }

    /// Raises an alarm for the operator, in a transaction of its own.
    pub async fn raise(&self, code: &'static str, text: String) {
        self.0.raise(code, text).await;
    }

    /// Returns what a log entry has reached: `logged`, `checkpointed` or `witnessed`.
    pub fn entry_state(&self, index: u64) -> &'static str {
        self.0.entry_state(index)
    }

    /// Returns the offline proof of a log entry (C2SP tlog-proof).
    pub fn proof(&self, index: u64) -> Result<String, Rejection> {
        self.0.proof(index)
    }
}
