//! Who calls whom under what terms: found once, then read until something changes.
//!
//! A relation is good as long as lists and agreements are the very ones it was found in, and at
//! most [`LIFE`]: time too opens and closes agreements, lists and keys.
//!
//! Not here: whether this call has a right (the caller asks [`Relation::term`]), quotas' counting.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use karvan_agreements::{AgreementBook, Allowed, Endpoint};
use karvan_exchange::Node;
use karvan_subsystem::Rejection;
use karvan_trust::keys::KeyId;
use karvan_trust::lists::Snapshot;
use karvan_types::{AgreementRef, Digest, ErrorKind, MemberId, NodeId, Timestamp};
use karvan_xroad::access::{AccessPath, EndpointRight, Rights};
use karvan_xroad::{Method, metadata};

use crate::evidence::Side;
use crate::metrics;
use crate::quotas::Quota;

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
    /// Of agreements that name the service.
    terms: Vec<Term>,
    /// Of any agreement between the two; of none for X-Road's own services.
    other: Option<Term>,
    from: Timestamp,
}

/// What a relation is between.
#[derive(Clone, Copy)]
pub(crate) struct Parties<'a> {
    /// Which side this node is.
    pub(crate) side: Side,
    /// Who calls.
    pub(crate) client: &'a MemberId,
    /// Who provides.
    pub(crate) provider: &'a MemberId,
    /// The service code.
    pub(crate) service: &'a str,
}

/// What one agreement says of the service.
pub(crate) struct Term {
    /// The agreement.
    pub(crate) name: AgreementRef,
    /// Its name as it travels.
    pub(crate) text: String,
    /// Its purpose.
    pub(crate) purpose: String,
    /// Its quota.
    pub(crate) quota: Option<Quota>,
    /// First instant at which it no longer allows anything.
    until: Timestamp,
    /// What of the service; all of it when nothing.
    rights: Option<Rights>,
    /// The path patterns of the rights, in their order.
    patterns: Vec<Arc<str>>,
}

/// The relations that calls had lately.
#[derive(Default)]
pub(crate) struct Relations(RwLock<HashMap<String, Arc<Relation>>>);

impl Parties<'_> {
    /// Returns a text of its own for each; no part of it can hold a line feed.
    fn key(&self) -> String {
        let side = match self.side {
            Side::Client => "c",
            Side::Provider => "p",
        };
        [side, self.client.as_str(), "\n", self.provider.as_str(), "\n", self.service].concat()
    }
}

impl Relations {
    /// Returns the relation of a call.
    pub(crate) fn find(
        &self,
        node: &Node,
        parties: Parties<'_>,
        now: Timestamp,
    ) -> Result<Arc<Relation>, Rejection> {
        let (lists, book) = (node.lists(), node.agreements().book());
        let key = parties.key();
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
        let found = Arc::new(Relation::find(node, parties, lists, book, now)?);
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
        parties: Parties<'_>,
        lists: Arc<Snapshot>,
        book: Arc<AgreementBook>,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        let Parties { side, client, provider, service } = parties;
        let (own, other) = match side {
            Side::Client => (client, provider),
            Side::Provider => (provider, client),
        };
        let key = node.member_key(own)?;
        let first = node.node_of(other)?;
        let serving = lists.nodes_serving(other, now).unwrap_or_default();
        let nodes = serving.iter().map(|node| node.id.clone()).collect();
        let mut terms = Vec::new();
        let mut other = metadata::is_reserved(service).then(Term::none);
        for allowed in book.between(client, provider, now) {
            if let Some(granted) = allowed.grant.service(service) {
                // One agreement that cannot be applied takes nothing from the others.
                match Term::new(allowed, &granted.endpoints) {
                    Ok(term) => terms.push(term),
                    Err(error) => tracing::error!(
                        agreement = allowed.entry.name.id,
                        service,
                        "an agreement allows nothing of a service, for it cannot be applied; \
                         conclude it anew: {error}"
                    ),
                }
            } else if other.is_none() {
                other = Some(Term { quota: None, ..Term::of(allowed, None) });
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
            other,
            lists,
            book,
            from: now,
        })
    }

    /// Returns whether an agreement names the service: only those that one names are told apart in
    /// figures before they have answered.
    pub(crate) fn is_named(&self) -> bool {
        !self.terms.is_empty()
    }

    /// Returns the agreements that it was found in.
    pub(crate) fn book(&self) -> &AgreementBook {
        &self.book
    }

    /// Returns whether a node serves a member, given as `instance/class/code`, or one of its
    /// subsystems.
    pub(crate) fn serves(&self, node: &NodeId, member: &str, now: Timestamp) -> bool {
        let listed = self.lists.node(node, now);
        listed.is_ok_and(|node| node.members.iter().any(|it| it.member().as_str() == member))
    }

    /// Returns under which terms a call goes over: those that cover it, or any when the agreements
    /// do not name the service; then the provider's node, who knows whether there is such a
    /// service, has the word.
    pub(crate) fn term_to_send(
        &self,
        method: Method,
        path: &AccessPath<'_>,
        now: Timestamp,
    ) -> Result<&Term, Rejection> {
        match &self.other {
            Some(other) if self.terms.is_empty() && now < other.until => Ok(other),
            _ => self.term(None, method, path, now),
        }
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
            Some(named) => self.book.check(named, (client, provider), now, what, |_| false),
            None => self.book.find_service(client, provider, &self.service, now, |_| false),
        };
        found.err().unwrap_or_else(|| {
            Rejection::new(ErrorKind::Forbidden, "agreement-missing", "no agreement covers this")
        })
    }
}

impl Term {
    /// Makes the terms of questions about services, which are anybody's.
    fn none() -> Self {
        let name = AgreementRef { id: "none".to_owned(), version: 0, digest: Digest::default() };
        Self {
            text: name.to_string(),
            name,
            purpose: "service-description".to_owned(),
            quota: None,
            until: Timestamp::from_millis(i64::MAX),
            rights: None,
            patterns: Vec::new(),
        }
    }

    /// Makes the terms of an agreement about a service; fails when a method or path pattern of
    /// its endpoints cannot be read.
    fn new(allowed: Allowed<'_>, endpoints: &[Endpoint]) -> Result<Self, karvan_xroad::Error> {
        let right = |endpoint: &Endpoint| EndpointRight {
            method: endpoint.method.clone(),
            path: endpoint.path.clone(),
        };
        let rights: Vec<_> = endpoints.iter().map(right).collect();
        let rights = if rights.is_empty() { None } else { Some(Rights::compile(&rights)?) };
        let patterns = endpoints.iter().map(|endpoint| endpoint.path.as_str().into()).collect();
        Ok(Self { patterns, ..Self::of(allowed, rights) })
    }

    /// Returns the path pattern that covers a call, for its log line; nothing unless lines are
    /// written, or when the whole service is allowed.
    pub(crate) fn pattern(&self, method: Method, path: &AccessPath<'_>) -> Option<Arc<str>> {
        let rights = self.rights.as_ref().filter(|_| metrics::writes_lines())?;
        self.patterns.get(rights.covering(method, path)?).cloned()
    }

    fn of(allowed: Allowed<'_>, rights: Option<Rights>) -> Self {
        let entry = allowed.entry;
        let end = entry.agreement.valid_until;
        let quota = allowed.meter.map(|meter| Quota {
            meter: Arc::clone(meter),
            agreement: entry.name.digest,
            grant: allowed.number,
        });
        Self {
            name: entry.name.clone(),
            text: entry.name.to_string(),
            purpose: entry.agreement.purpose.clone(),
            quota,
            until: entry.withdrawn.map_or(end, |at| at.min(end)),
            rights,
            patterns: Vec::new(),
        }
    }
}
