//! A node: its parts, its peers, and the tasks that run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use karvan_agreements::meter::Period;
use karvan_agreements::{AgreementBook, Agreements, Quota};
use karvan_ledger::{Ledger, Witness};
use karvan_store::{Blobs, Read, Store, Tx};
use karvan_subsystem::{DocumentType, Operation, Rejection, Subsystem};
use karvan_system::{Clock, Entropy};
use karvan_trust::keys::KeyProvider;
use karvan_trust::lists::TrustStore;
use karvan_types::limits::HANDLED_BODY_BYTES_MAX;
use karvan_types::{Digest, ErrorKind, MemberId, NodeId, Timestamp};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Error;
use crate::client::{Dial, Pool};
use crate::delivery::Delivery;
use crate::host::PeerService;
use crate::network::{Boxed, Network, Stream};
use crate::relay::Retry;
use crate::service::Counts;
use crate::tokens::Tokens;
use crate::webhooks::Webhook;

/// How often the lists are looked at for new peers.
const PEER_CHECK: Duration = Duration::from_secs(5);

/// Faults planted by the simulation to prove that it finds them. All off in every real node.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Answers with the relay receipt before the transaction.
    pub receipt_before_commit: bool,
    /// Forgets ids after this time, as systems with a duplicate window do.
    pub duplicate_window: Option<Duration>,
    /// Takes a document from the outbox queue when it is sent, not when its receipt is stored.
    pub outbox_before_receipt: bool,
}

/// What an operator decides about a node.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// This node.
    pub node: NodeId,
    /// The agreements in force.
    pub agreements: Arc<Agreements>,
    /// How documents reach members whose types no sub-system handles; pull when not named.
    pub delivery: BTreeMap<MemberId, Delivery>,
    /// Tokens of the local interface.
    pub tokens: Arc<Tokens>,
    /// How long a document is tried.
    pub delivery_deadline: Duration,
    /// How long a peer may take to answer.
    pub answer_timeout: Duration,
    /// Documents in flight to one peer.
    pub relay_window: usize,
    /// Pauses between attempts.
    pub retry: Retry,
    /// How long a stream may have a gap before an alarm.
    pub gap_alarm_after: Duration,
    /// How often streams are compared.
    pub compare_every: Duration,
    /// How often the peers' national lists are fetched.
    pub list_refresh: Duration,
    /// How much one token may ask of the service for agencies' systems.
    pub requests: Quota,
    /// Client certificates of the service, by SHA-256, each with the user of the token that it
    /// stands for.
    pub certificates: Vec<(Digest, String)>,
    /// Systems that are told what happened.
    pub webhooks: Vec<Webhook>,
    /// Planted faults; default is none.
    pub faults: Faults,
}

impl NodeConfig {
    /// Makes a configuration with the defaults for everything but the name.
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            agreements: Arc::default(),
            delivery: BTreeMap::new(),
            tokens: Arc::default(),
            delivery_deadline: Duration::from_hours(30 * 24),
            answer_timeout: Duration::from_mins(1),
            relay_window: 64,
            retry: Retry::default(),
            gap_alarm_after: Duration::from_hours(1),
            compare_every: Duration::from_hours(24),
            list_refresh: Duration::from_mins(1),
            requests: Quota { calls: 6000, per: Period::Minute },
            certificates: Vec::new(),
            webhooks: Vec::new(),
            faults: Faults::default(),
        }
    }
}

/// The parts of a node.
pub struct Parts {
    /// Wall clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// State.
    pub store: Store,
    /// Large bodies.
    pub blobs: Blobs,
    /// The evidence log; its task runs elsewhere.
    pub ledger: Ledger,
    /// Cosigns the peers' logs.
    pub witness: Witness,
    /// Root and national lists.
    pub trust: Arc<TrustStore>,
    /// Private keys.
    pub keys: Arc<dyn KeyProvider>,
    /// Connections.
    pub network: Arc<dyn Network>,
    /// The fields of cooperation.
    pub subsystems: Vec<Arc<dyn Subsystem>>,
}

/// A running node; cheap to clone.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

/// What all tasks of a node share.
pub(crate) struct Inner {
    pub(crate) config: NodeConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) store: WakingStore,
    pub(crate) blobs: Blobs,
    pub(crate) ledger: Ledger,
    pub(crate) witness: Witness,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) keys: Arc<dyn KeyProvider>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) subsystems: Vec<Arc<dyn Subsystem>>,
    pub(crate) wake: Arc<Wake>,
    /// What the service for agencies' systems counts.
    pub(crate) service: Arc<Counts>,
    /// Held while the book of agreements is changed.
    pub(crate) agreeing: tokio::sync::Mutex<()>,
    pub(crate) started: Timestamp,
    /// Batches of due work that failed since the start.
    pub(crate) due_failed: AtomicU64,
}

/// The node's state, with each transaction followed by waking whoever it gave work.
pub struct WakingStore {
    store: Store,
    wake: Arc<Wake>,
}

impl WakingStore {
    /// Runs `work` in a transaction; see [`Store::write`].
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<karvan_store::Error> + Send + 'static,
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    {
        let _open = self.wake.open();
        self.store.write(work).await
    }

    /// Runs `work` on one view; see [`Store::read`].
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<karvan_store::Error> + Send + 'static,
        F: FnOnce(&dyn Read) -> Result<T, E> + Send + 'static,
    {
        self.store.read(work).await
    }
}

/// Who sleeps and what for. Work marked inside a transaction is announced by [`Wake::flush`] after
/// it: a sleeper woken earlier would look before there is anything to see.
#[derive(Default)]
pub(crate) struct Wake {
    pub(crate) evidence: Notify,
    pub(crate) streams: Notify,
    /// Transactions under way. While there are any, a mark may be of one that has not committed,
    /// and stays for the flush that follows it.
    open: AtomicUsize,
    peers: RwLock<BTreeMap<NodeId, Arc<Peer>>>,
}

/// A transaction under way.
struct Open<'a>(&'a Wake);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.flush();
    }
}

/// Another node, as this one knows it.
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) pool: Pool,
    pub(crate) relay: Notify,
    pub(crate) receipts: Notify,
    pub(crate) compare: Notify,
    pending: AtomicBool,
    relay_marked: AtomicBool,
    receipts_marked: AtomicBool,
    reach: Mutex<Reach>,
    refused_list: Mutex<Option<Digest>>,
}

/// Whether a peer answers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reach {
    pub(crate) state: &'static str,
    pub(crate) since: Timestamp,
    pub(crate) cause: Option<String>,
}

impl Wake {
    /// Returns the peer's shared state, made at first use.
    pub(crate) fn peer(&self, id: &NodeId) -> Arc<Peer> {
        let known = self.peers.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        known.unwrap_or_else(|| {
            let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(peers.entry(id.clone()).or_insert_with(|| Arc::new(Peer::new(id.clone()))))
        })
    }

    /// Returns all peers seen so far.
    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.values().cloned().collect()
    }

    /// Marks that documents wait for a peer.
    pub(crate) fn relay(&self, id: &NodeId) {
        self.peer(id).relay_marked.store(true, Ordering::Release);
    }

    /// Marks that receipts wait for a peer.
    pub(crate) fn receipts(&self, id: &NodeId) {
        self.peer(id).receipts_marked.store(true, Ordering::Release);
    }

    /// Counts a transaction until the guard is dropped, which then wakes who got work.
    fn open(&self) -> Open<'_> {
        self.open.fetch_add(1, Ordering::SeqCst);
        Open(self)
    }

    /// Wakes whoever has something to do.
    pub(crate) fn flush(&self) {
        self.evidence.notify_one();
        for peer in self.peers.read().unwrap_or_else(PoisonError::into_inner).values() {
            if self.take_mark(&peer.relay_marked) {
                peer.set_pending();
                peer.relay.notify_one();
            }
            if self.take_mark(&peer.receipts_marked) {
                peer.receipts.notify_one();
            }
        }
    }

    fn take_mark(&self, mark: &AtomicBool) -> bool {
        let marked = mark.swap(false, Ordering::SeqCst);
        // Cleared first, then looked: a transaction that begins in between is seen here.
        if marked && self.open.load(Ordering::SeqCst) > 0 {
            mark.store(true, Ordering::SeqCst);
        }
        marked
    }
}

impl Peer {
    fn new(id: NodeId) -> Self {
        let reach = Reach { state: "unknown", since: Timestamp::default(), cause: None };
        Self {
            id,
            pool: Pool::default(),
            relay: Notify::new(),
            receipts: Notify::new(),
            compare: Notify::new(),
            pending: AtomicBool::new(true),
            relay_marked: AtomicBool::new(false),
            receipts_marked: AtomicBool::new(false),
            reach: Mutex::new(reach),
            refused_list: Mutex::new(None),
        }
    }

    /// Notes that a list it offers is refused; returns whether that is news.
    pub(crate) fn refuses_list(&self, list: Digest) -> bool {
        let mut refused = self.refused_list.lock().unwrap_or_else(PoisonError::into_inner);
        refused.replace(list) != Some(list)
    }

    /// Says that the outbox may hold more for this peer.
    pub(crate) fn set_pending(&self) {
        self.pending.store(true, Ordering::Release);
    }

    /// Returns whether the outbox is worth a look; `anyway` looks in any case.
    pub(crate) fn take_pending(&self, anyway: bool) -> bool {
        self.pending.swap(false, Ordering::AcqRel) || anyway
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_reachable(&self, now: Timestamp) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        if reach.state != "reachable" {
            *reach = Reach { state: "reachable", since: now, cause: None };
        }
    }

    pub(crate) fn set_unreachable(&self, now: Timestamp, cause: &str) {
        let mut reach = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        if reach.state == "unreachable" {
            reach.cause = Some(cause.to_owned());
        } else {
            *reach = Reach { state: "unreachable", since: now, cause: Some(cause.to_owned()) };
        }
    }
}

/// The line to a peer's node.
pub(crate) struct Line<'a> {
    network: &'a dyn Network,
    peer: &'a NodeId,
}

impl Dial for Line<'_> {
    fn place(&self) -> String {
        self.peer.to_string()
    }

    fn dial(&self) -> Boxed<'_, std::io::Result<Box<dyn Stream>>> {
        self.network.connect(self.peer)
    }
}

impl Inner {
    pub(crate) fn line<'a>(&'a self, peer: &'a Peer) -> Line<'a> {
        Line { network: &*self.network, peer: &peer.id }
    }

    pub(crate) fn peer(&self, id: &NodeId) -> Arc<Peer> {
        self.wake.peer(id)
    }

    /// Returns the sub-system that handles a document type.
    pub(crate) fn subsystem_for(&self, code: &str) -> Option<Arc<dyn Subsystem>> {
        let handles = |subsystem: &&Arc<dyn Subsystem>| {
            subsystem.document_types().iter().any(|kind| kind.code == code)
        };
        self.subsystems.iter().find(handles).cloned()
    }

    /// Returns a document type that a sub-system handles.
    pub(crate) fn document_type(&self, code: &str) -> Option<DocumentType> {
        let kinds = self.subsystems.iter().flat_map(|subsystem| subsystem.document_types());
        kinds.into_iter().find(|kind| kind.code == code).copied()
    }

    /// Returns a sub-system and one of its operations.
    pub(crate) fn operation(
        &self,
        name: &str,
        operation: &str,
    ) -> Result<(Arc<dyn Subsystem>, Operation), Rejection> {
        let unknown = |text| Rejection::new(ErrorKind::NotFound, "operation-unknown", text);
        let subsystem = self
            .subsystems
            .iter()
            .find(|subsystem| subsystem.name() == name)
            .ok_or_else(|| unknown(format!("this node has no sub-system `{name}`")))?;
        let known = subsystem.operations().iter().find(|known| known.name == operation);
        let known = known.copied().ok_or_else(|| {
            let names: Vec<_> = subsystem.operations().iter().map(|known| known.name).collect();
            unknown(format!("`{name}` has no operation `{operation}`, but {}", names.join(", ")))
        })?;
        Ok((Arc::clone(subsystem), known))
    }
}

impl Node {
    /// Puts a node together, with the agreements that its store keeps. The store must have the
    /// migrations of the exchange and of all sub-systems.
    pub async fn open(config: NodeConfig, parts: Parts) -> Result<Self, Error> {
        let mut codes = BTreeSet::new();
        for kind in parts.subsystems.iter().flat_map(|subsystem| subsystem.document_types()) {
            if !codes.insert(kind.code) {
                return Err(Error::Config(format!(
                    "two sub-systems handle the document type `{}`",
                    kind.code
                )));
            }
            if kind.bytes_max > HANDLED_BODY_BYTES_MAX {
                return Err(Error::Config(format!(
                    "the document type `{}` allows {} bytes; a handler gets at most \
                     {HANDLED_BODY_BYTES_MAX}",
                    kind.code, kind.bytes_max
                )));
            }
        }
        let started = parts.clock.now();
        let wake = Arc::new(Wake::default());
        let node = Self(Arc::new(Inner {
            config,
            clock: parts.clock,
            entropy: parts.entropy,
            store: WakingStore { store: parts.store, wake: Arc::clone(&wake) },
            blobs: parts.blobs,
            ledger: parts.ledger,
            witness: parts.witness,
            trust: parts.trust,
            keys: parts.keys,
            network: parts.network,
            subsystems: parts.subsystems,
            wake,
            service: Arc::default(),
            agreeing: tokio::sync::Mutex::default(),
            started,
            due_failed: AtomicU64::default(),
        }));
        let files = node.agreements().book();
        node.load_agreements(AgreementBook::clone(&files)).await?;
        Ok(node)
    }

    /// Returns the routes of the local interface, for the listener that the application opens.
    pub fn local_routes(&self) -> axum::Router {
        crate::local_api::router(Arc::clone(&self.0))
    }

    /// Returns the routes of the service for agencies' systems alone, for a listener on their
    /// network.
    pub fn service_routes(&self) -> axum::Router {
        crate::service::alone(&self.0)
    }

    /// Accepts a document for sending; durable when it resolves.
    pub async fn submit(
        &self,
        document: crate::submit::NewDocument,
    ) -> Result<crate::records::Sent, Rejection> {
        self.0.submit(document).await
    }

    /// Compares all streams with all peers now.
    pub async fn compare_all(&self) -> serde_json::Value {
        self.0.compare_all().await
    }

    /// Runs the node until a part of it fails. Dropping the future stops it; whatever was
    /// acknowledged is durable at every instant.
    ///
    /// `services` answer what peers ask beside documents.
    pub async fn run(&self, services: Vec<Arc<dyn PeerService>>) -> Result<(), Error> {
        let inner = &self.0;
        inner.log_lists().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(inner).run_peer_api(services));
        tasks.spawn(Arc::clone(inner).run_streams());
        tasks.spawn(Arc::clone(inner).run_push());
        tasks.spawn(Arc::clone(inner).run_webhooks());
        tasks.spawn(Arc::clone(inner).run_lists());
        for subsystem in &inner.subsystems {
            tasks.spawn(Arc::clone(inner).run_due(Arc::clone(subsystem)));
        }
        let shared = Arc::clone(inner);
        tasks.spawn(async move { shared.run_evidence().await });
        let mut served = BTreeSet::new();
        loop {
            for id in inner.all_nodes() {
                if served.insert(id.clone()) {
                    let peer = inner.peer(&id);
                    tasks.spawn(Arc::clone(inner).run_relay(Arc::clone(&peer)));
                    tasks.spawn(Arc::clone(inner).run_receipts(Arc::clone(&peer)));
                    tasks.spawn(Arc::clone(inner).run_compare(Arc::clone(&peer)));
                    if id.instance() != inner.config.node.instance() {
                        tasks.spawn(Arc::clone(inner).run_witnessing(peer));
                    }
                }
            }
            match tokio::time::timeout(PEER_CHECK, tasks.join_next()).await {
                Err(_) => {}
                Ok(Some(Ok(ended))) => ended?,
                Ok(Some(Err(error))) => return Err(Error::Config(format!("a task died: {error}"))),
                Ok(None) => return Ok(()),
            }
        }
    }
}
