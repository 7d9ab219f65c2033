//! Who calls whom under what terms: found once, then read until something changes.
//!
//! A relation is good as long as lists and agreements are the very ones it was found in, and at
//! most [`LIFE`]: time too opens and closes agreements, lists and keys.
//!
//! Not here: whether this call has a right (the caller asks [`Relation::term`]), quotas' counting.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use karvan_agreements::{AgreementBook, Allowed, Endpoint, Meter};
use karvan_exchange::Node;
use karvan_subsystem::Rejection;
use karvan_trust::keys::KeyId;
use karvan_trust::lists::Snapshot;
use karvan_types::{AgreementRef, ErrorKind, MemberId, NodeId, Timestamp};
use karvan_xroad::access::{AccessPath, EndpointRight, Rights};
use karvan_xroad::{Method, metadata};

use crate::evidence::Side;

/// How long what was found is read before it is looked up again.
const LIFE: Duration = Duration::from_secs(1);
/// Most relations kept; when there are more all are found anew.
const RELATIONS_MAX: usize = 10_000;

/// Client, provider and service, as one side sees them.
pub(crate) struct Relation {
    /// Who calls.
    pub(crate) client: MemberId,
    /// Who provides.
    pub(crate) provider: MemberId,
    /// The nodes that serve the other side; the first one is called.
    pub(crate) nodes: Vec<NodeId>,
    /// What requests name as their authority; on the client's side.
    pub(crate) authority: String,
    /// The key with which this side signs.
    pub(crate) key: KeyId,
    /// The lists that it was found in.
    pub(crate) lists: Arc<Snapshot>,
    service: String,
    book: Arc<AgreementBook>,
    terms: Vec<Term>,
    from: Timestamp,
}

/// What one agreement says of the service.
pub(crate) struct Term {
    /// The agreement.
    pub(crate) name: AgreementRef,
    /// Its name as it travels.
    pub(crate) text: String,
    /// Its purpose.
    pub(crate) purpose: String,
    /// The count of its quota.
    pub(crate) meter: Option<Arc<Meter>>,
    /// First instant at which it no longer allows anything.
    until: Timestamp,
    /// What of the service; all of it when nothing.
    rights: Option<Rights>,
}

/// The relations that calls had lately.
#[derive(Default)]
pub(crate) struct Relations(RwLock<HashMap<String, Arc<Relation>>>);

impl Relations {
    /// Returns the relation of a call.
    pub(crate) fn find(
        &self,
        node: &Node,
        side: Side,
        [client, provider]: [&MemberId; 2],
        service: &str,
        now: Timestamp,
    ) -> Result<Arc<Relation>, Rejection> {
        let (lists, book) = (node.lists(), node.agreements().book());
        let letter = if side == Side::Client { "c" } else { "p" };
        let key = [letter, client.as_str(), ">", provider.as_str(), "/", service].concat();
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let fresh = |known: &Arc<Relation>| {
            Arc::ptr_eq(&known.lists, &lists)
                && Arc::ptr_eq(&known.book, &book)
                && known.from <= now
                && now.since(known.from) < LIFE
        };
        if let Some(known) = known.filter(fresh) {
            return Ok(known);
        }
        let found = Relation::find(node, side, [client, provider], service, lists, book, now)?;
        let found = Arc::new(found);
        let mut relations = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if relations.len() >= RELATIONS_MAX {
            relations.clear();
        }
        relations.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

impl Relation {
    fn find(
        node: &Node,
        side: Side,
        [client, provider]: [&MemberId; 2],
        service: &str,
        lists: Arc<Snapshot>,
        book: Arc<AgreementBook>,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let (own, other) = match side {
            Side::Client => (client, provider),
            Side::Provider => (provider, client),
        };
        let key = node.member_key(own)?;
        let first = node.node_of(other)?;
        let serving = lists.nodes_serving(other, now).unwrap_or_default();
        let nodes = serving.iter().map(|node| node.id.clone()).collect();
        // X-Road's own services are anybody's who has any agreement with the provider.
        let metadata = metadata::is_reserved(service);
        let mut terms = Vec::new();
        for allowed in book.between(client, provider, now) {
            let granted = allowed.grant.service(service);
            if metadata {
                terms.push(Term::new(allowed, &[], false)?);
            } else if let Some(granted) = granted {
                terms.push(Term::new(allowed, &granted.endpoints, true)?);
            }
        }
        Ok(Self {
            client: client.clone(),
            provider: provider.clone(),
            authority: node.authority_of(&first)?,
            nodes,
            key,
            service: service.to_owned(),
            terms,
            lists,
            book,
            from: now,
        })
    }

    /// Returns the first agreement that covers a call; `named` asks for that one only.
    pub(crate) fn term(
        &self,
        named: Option<&AgreementRef>,
        method: Method,
        path: &AccessPath<'_>,
        now: Timestamp,
    ) -> Result<&Term, Rejection> {
        let covers = |term: &&Term| {
            now < term.until
                && named.is_none_or(|named| *named == term.name)
                && term.rights.as_ref().is_none_or(|rights| rights.allow(method, path))
        };
        self.terms.iter().find(covers).ok_or_else(|| self.missing(named, now))
    }

    /// Says why no agreement covers a call.
    fn missing(&self, named: Option<&AgreementRef>, now: Timestamp) -> Rejection {
        let (client, provider) = (&self.client, &self.provider);
        let what = || format!("call this method and path of `{}` of", self.service);
        let found = match named {
            Some(named) => self.book.check(named, client, provider, now, what, |_| false),
            None => self.book.find_service(client, provider, &self.service, now, |_| false),
        };
        found.err().unwrap_or_else(|| {
            Rejection::new(ErrorKind::Forbidden, "agreement-missing", "no agreement covers this")
        })
    }
}

impl Term {
    fn new(allowed: Allowed<'_>, endpoints: &[Endpoint], metered: bool) -> Result<Self, Rejection> {
        let entry = allowed.entry;
        let right = |endpoint: &Endpoint| EndpointRight {
            method: endpoint.method.clone(),
            path: endpoint.path.clone(),
        };
        let rights: Vec<_> = endpoints.iter().map(right).collect();
        let compiled = if rights.is_empty() { None } else { Some(Rights::compile(&rights)) };
        let rights = compiled.transpose().map_err(|error| {
            let text = format!("agreement {} cannot be applied: {error}", entry.name.id);
            Rejection::new(ErrorKind::LocalConfig, "agreement-unusable", text)
        })?;
        let end = entry.agreement.valid_until;
        Ok(Self {
            name: entry.name.clone(),
            text: entry.name.to_string(),
            purpose: entry.agreement.purpose.clone(),
            meter: allowed.meter.filter(|_| metered).cloned(),
            until: entry.withdrawn.map_or(end, |at| at.min(end)),
            rights,
        })
    }
}
