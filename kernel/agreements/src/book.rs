//! The agreements in force at a node, and the questions that every exchange asks.
//!
//! Invariants: a reader works on one snapshot and takes no lock; the count of a quota goes on when
//! the book is replaced, as long as the agreement's text is the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use karvan_subsystem::Rejection;
use karvan_types::{AgreementRef, Digest, ErrorKind, MemberId, Timestamp};

use crate::{Agreement, Grant, Meter, ServiceGrant};

/// Most agreements that a node loads.
pub const AGREEMENTS_MAX: usize = 10_000;

/// An agreement that both sides have signed.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name by which exchanges refer to it.
    pub name: AgreementRef,
    /// What it says.
    pub agreement: Agreement,
    /// The signed document.
    pub document: Arc<[u8]>,
    /// When either side withdrew it; from then on it allows nothing.
    pub withdrawn: Option<Timestamp>,
    /// One for each grant that has a quota, in the order of the grants.
    meters: Vec<Option<Arc<Meter>>>,
}

/// The part of an agreement that allows an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Allowed<'a> {
    /// The agreement.
    pub entry: &'a Entry,
    /// The grant.
    pub grant: &'a Grant,
    /// Its place among those of the agreement.
    pub number: usize,
    /// The count of its quota, if it has one.
    pub meter: Option<&'a Arc<Meter>>,
}

/// Client and provider.
type Pair = (MemberId, MemberId);

/// The agreements in force at a node.
#[derive(Clone, Debug, Default)]
pub struct AgreementBook {
    entries: Vec<Arc<Entry>>,
    by_digest: BTreeMap<Digest, usize>,
    // Which grants are for a pair: entry and grant, in the order of the book.
    by_pair: HashMap<Pair, Vec<(usize, usize)>>,
}

impl Entry {
    /// Returns whether it allows anything at an instant.
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.agreement.in_force(now) && self.withdrawn.is_none_or(|at| now < at)
    }
}

impl AgreementBook {
    /// Adds an agreement whose signatures were verified; `digest` is that of its canonical text,
    /// `document` the signed document itself. One that is there already is left as it is.
    pub fn add(&mut self, agreement: Agreement, digest: Digest, document: Vec<u8>) {
        if self.by_digest.contains_key(&digest) {
            return;
        }
        let quotas = agreement.grants.iter().map(|grant| grant.quota);
        let meters = quotas.map(|quota| quota.map(|quota| Arc::new(Meter::new(quota)))).collect();
        let name = agreement.name(digest);
        self.push(Entry { name, agreement, document: document.into(), withdrawn: None, meters });
    }

    fn push(&mut self, entry: Entry) {
        let at = self.entries.len();
        for (number, grant) in entry.agreement.grants.iter().enumerate() {
            let pair = (grant.client.clone(), grant.provider.clone());
            self.by_pair.entry(pair).or_default().push((at, number));
        }
        self.by_digest.insert(entry.name.digest, at);
        self.entries.push(Arc::new(entry));
    }

    /// Marks an agreement as withdrawn; returns whether it is in the book.
    pub fn withdraw(&mut self, name: &AgreementRef, at: Timestamp) -> bool {
        let entry = self.by_digest.get(&name.digest).and_then(|&n| self.entries.get_mut(n));
        let Some(entry) = entry else { return false };
        let earlier = entry.withdrawn.is_none_or(|known| at < known);
        if earlier {
            Arc::make_mut(entry).withdrawn = Some(at);
        }
        true
    }

    /// Takes the counts of quotas over from an older book.
    fn adopt_meters(&mut self, old: &Self) {
        for entry in &mut self.entries {
            if let Some(known) = old.get(&entry.name) {
                Arc::make_mut(entry).meters.clone_from(&known.meters);
            }
        }
    }

    /// Returns an agreement by name.
    pub fn get(&self, name: &AgreementRef) -> Option<&Entry> {
        let entry = self.entries.get(*self.by_digest.get(&name.digest)?)?;
        (entry.name == *name).then_some(&**entry)
    }

    /// Returns the count of a grant's quota, by the digest of its agreement and its place there.
    pub fn meter(&self, agreement: &Digest, number: usize) -> Option<&Arc<Meter>> {
        let entry = self.entries.get(*self.by_digest.get(agreement)?)?;
        entry.meters.get(number)?.as_ref()
    }

    /// Returns the signed document of an agreement.
    pub fn document(&self, name: &AgreementRef) -> Option<&[u8]> {
        self.get(name).map(|entry| &*entry.document)
    }

    /// Returns the agreements, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().map(|entry| &**entry)
    }

    /// Returns the grants for a pair in agreements that are in force.
    pub fn between(
        &self,
        client: &MemberId,
        provider: &MemberId,
        now: Timestamp,
    ) -> impl Iterator<Item = Allowed<'_>> {
        // A key of references would need a table of its own; two clones of short texts do.
        let places = self.by_pair.get(&(client.clone(), provider.clone()));
        places.into_iter().flatten().filter_map(move |&(entry, number)| {
            let entry = &**self.entries.get(entry)?;
            let meter = entry.meters.get(number)?.as_ref();
            let grant = entry.agreement.grants.get(number)?;
            entry.in_force(now).then_some(Allowed { entry, grant, number, meter })
        })
    }

    /// Returns the agreement that allows this document type now, or says what is missing.
    pub fn find_document(
        &self,
        client: &MemberId,
        provider: &MemberId,
        code: &str,
        now: Timestamp,
    ) -> Result<Allowed<'_>, Rejection> {
        let mut grants = self.between(client, provider, now);
        grants.find(|allowed| allowed.grant.covers_document(code)).ok_or_else(|| {
            missing(&format!("no agreement in force lets {client} send `{code}` to {provider}"))
        })
    }

    /// Returns the agreement that allows a call now, or says what is missing. `covers` judges
    /// whether a grant covers the endpoint that is called.
    pub fn find_service(
        &self,
        client: &MemberId,
        provider: &MemberId,
        service: &str,
        now: Timestamp,
        covers: impl Fn(&ServiceGrant) -> bool,
    ) -> Result<Allowed<'_>, Rejection> {
        let mut grants = self.between(client, provider, now);
        let found = grants.find(|allowed| allowed.grant.service(service).is_some_and(&covers));
        found.ok_or_else(|| {
            let whole = self
                .between(client, provider, now)
                .any(|allowed| allowed.grant.service(service).is_some());
            if whole {
                let text = format!(
                    "the agreement lets {client} call `{service}` of {provider}, but not this \
                     method and path; {CONCLUDE}"
                );
                return Rejection::new(ErrorKind::Forbidden, "agreement-does-not-cover", text);
            }
            missing(&format!("no agreement in force lets {client} call `{service}` of {provider}"))
        })
    }

    /// Returns the agreement that allows a feed now, or says what is missing.
    pub fn find_feed(
        &self,
        client: &MemberId,
        provider: &MemberId,
        dataset: &str,
        now: Timestamp,
    ) -> Result<Allowed<'_>, Rejection> {
        let mut grants = self.between(client, provider, now);
        grants.find(|allowed| allowed.grant.covers_feed(dataset)).ok_or_else(|| {
            missing(&format!("no agreement in force lets {client} fetch `{dataset}` of {provider}"))
        })
    }

    /// Checks that the named agreement lets a client send a document.
    pub fn check_document(
        &self,
        name: &AgreementRef,
        client: &MemberId,
        provider: &MemberId,
        code: &str,
        now: Timestamp,
    ) -> Result<Allowed<'_>, Rejection> {
        let what = || format!("send `{code}` to");
        self.check(name, (client, provider), now, what, |grant| grant.covers_document(code))
    }

    /// Checks that the named agreement is known and in force, and that a grant of it between the
    /// two covers what `covers` asks for. `what` says that in words, such as "send `EXD`".
    pub fn check(
        &self,
        name: &AgreementRef,
        (client, provider): (&MemberId, &MemberId),
        now: Timestamp,
        what: impl Fn() -> String,
        covers: impl Fn(&Grant) -> bool,
    ) -> Result<Allowed<'_>, Rejection> {
        let refuse = |code, text| Err(Rejection::new(ErrorKind::Forbidden, code, text));
        let Some(entry) = self.get(name) else {
            return refuse(
                "agreement-unknown",
                format!(
                    "agreement {} version {} with that text is not known here",
                    name.id, name.version
                ),
            );
        };
        let terms = &entry.agreement;
        if let Some(at) = entry.withdrawn.filter(|at| *at <= now) {
            let text = format!("agreement {} was withdrawn on {at}; conclude a new one", name.id);
            return refuse("agreement-withdrawn", text);
        }
        if !terms.in_force(now) {
            return refuse(
                "agreement-not-in-force",
                format!(
                    "agreement {} is in force from {} until {}",
                    name.id, terms.valid_from, terms.valid_until
                ),
            );
        }
        let mut grants = terms.grants.iter().zip(&entry.meters).enumerate();
        let found = grants.find(|(_, (grant, _))| {
            grant.client == *client && grant.provider == *provider && covers(grant)
        });
        let Some((number, (grant, meter))) = found else {
            let text = format!("agreement {} does not let {client} {} {provider}", name.id, what());
            return refuse("agreement-does-not-cover", text);
        };
        Ok(Allowed { entry, grant, number, meter: meter.as_ref() })
    }
}

/// What to do when an agreement is missing, or allows too little.
const CONCLUDE: &str = "conclude one or extend an existing one";

fn missing(text: &str) -> Rejection {
    let text = format!("{text}; {CONCLUDE}");
    Rejection::new(ErrorKind::Forbidden, "agreement-missing", text)
}

/// The live book: replaced as a whole, read without a lock.
#[derive(Debug, Default)]
pub struct Agreements(ArcSwap<AgreementBook>);

impl Agreements {
    /// Starts with a book.
    pub fn new(book: AgreementBook) -> Self {
        Self(ArcSwap::from_pointee(book))
    }

    /// Returns the book as it is now.
    pub fn book(&self) -> Arc<AgreementBook> {
        self.0.load_full()
    }

    /// Changes the book; `change` may run more than once when changes meet.
    pub fn change(&self, change: impl Fn(&mut AgreementBook)) {
        self.0.rcu(|book| {
            let mut book = AgreementBook::clone(book);
            change(&mut book);
            book
        });
    }

    /// Puts another book in place, for files that were read anew.
    pub fn replace(&self, book: &AgreementBook) {
        self.0.rcu(|old| {
            let mut book = book.clone();
            book.adopt_meters(old);
            book
        });
    }
}

#[cfg(test)]
mod tests;
