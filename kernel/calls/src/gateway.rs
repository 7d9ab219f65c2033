//! The gateway of a node: its parts, and what both sides of a call share.
//!
//! The life of a call, by module: `client` takes it from the agency's system, signs it and carries
//! it over; `provider` verifies it, writes it ahead, asks the provider's system, signs the answer
//! and ends the call's row; `client` verifies the answer, ends its own row and lets the answer go.
//! A call whose provider is served by the same node goes the same way without the network.
//!
//! Invariants: nothing leaves for the provider's system before the request is durable here, and no
//! answer leaves before its row and its log entry are; a call that was begun ends with an entry,
//! also when its caller hangs up or the process is killed.
//!
//! Not here: listeners (the application opens them), the management of services (`crate::admin`).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use karvan_exchange::Node;
use karvan_exchange::client::{Body, Timeouts, full};
use karvan_exchange::host::PeerService;
use karvan_exchange::network::{Boxed, Stream};
use karvan_exchange::wire::{Link, PROBLEM_JSON};
use karvan_store::Tx;
use karvan_subsystem::Rejection;
use karvan_system::Disk;
use karvan_trust::keys::KeyId;
use karvan_trust::lists::Snapshot;
use karvan_trust::tls::Tls;
use karvan_types::{Digest, ErrorKind, ExchangeId, NodeId, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::Error;
use crate::access::{Access, Line};
use crate::admin::{self, Admin};
use crate::body::Spool;
use crate::breaker::Breakers;
use crate::evidence::{self, Side};
use crate::messages;
use crate::metrics::{self, Metrics, Record};
use crate::open::OpenCalls;
use crate::overload::{Bounds, Gate, Permit};
use crate::peers::Peers;
use crate::records::{Call, Half};
use crate::registry::Registry;
use crate::signer::{Signatures, Signer};
use crate::trace::TraceContext;
use crate::upstream::Upstream;
use crate::wire::{self, Answer, Outgoing, Refusal};

use relation::Relations;

mod connection;
pub(crate) mod relation;

/// Paths of calls begin like this.
const CALLS_PATH: &str = "/r1/";
/// How long a request head of an agency's system may take to arrive, and its connection be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the other node may take when the operator sets nothing: what a service has when
/// nothing was set for it, and half as much again.
pub const ANSWER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);
/// How long what is known of this node itself is read before it is looked up again.
const OWN_LIFE: Duration = Duration::from_secs(1);

/// What an operator decides about calls.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder for bodies on their way; emptied at start.
    pub spool: PathBuf,
    /// How long the other node may take, to be connected and to answer.
    pub timeouts: Timeouts,
    /// How many calls may be under way, on each side.
    pub bounds: Bounds,
    /// How long the head of an agency's request may take to arrive, counted from the answer to the
    /// request before.
    pub head_timeout: Duration,
    /// Whether one signature may cover many calls.
    pub signatures: Signatures,
    /// How spans of calls are tied to those of other programs; not at all when nothing is set.
    pub trace_context: Option<TraceContext>,
}

impl Settings {
    /// Makes the usual settings.
    pub fn new(spool: PathBuf) -> Self {
        Self {
            spool,
            timeouts: Timeouts::new(ANSWER_TIMEOUT_DEFAULT),
            bounds: Bounds::default(),
            head_timeout: HEAD_TIMEOUT,
            signatures: Signatures::default(),
            trace_context: None,
        }
    }
}

/// The gateway; cheap to clone.
#[derive(Clone)]
pub struct Gateway(pub(crate) Arc<Inner>);

/// What all calls share.
pub(crate) struct Inner {
    pub(crate) node: Node,
    pub(crate) settings: Settings,
    pub(crate) registry: Arc<Registry>,
    pub(crate) access: Access,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) breakers: Breakers,
    pub(crate) peers: Peers,
    pub(crate) client_gate: Arc<Gate>,
    pub(crate) provider_gate: Arc<Gate>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) spool: Spool,
    pub(crate) signer: Signer,
    pub(crate) relations: Relations,
    pub(crate) open: Arc<OpenCalls>,
    own: ArcSwapOption<Own>,
    draining: AtomicBool,
    under_way: AtomicUsize,
    ended: Notify,
    /// Calls under way whose exchange id the agency chose.
    given: Mutex<BTreeSet<ExchangeId>>,
}

/// What this node is called and signs with.
pub(crate) struct Own {
    /// What requests to it name as their authority.
    pub(crate) authority: String,
    key: KeyId,
    lists: Arc<Snapshot>,
    from: Timestamp,
}

impl Gateway {
    /// Opens the gateway of a node, and ends the calls that an earlier process left unanswered.
    ///
    /// `tls` is for `https` systems of providers.
    pub async fn open(
        node: Node,
        settings: Settings,
        disk: Arc<dyn Disk>,
        tls: Option<Arc<Tls>>,
    ) -> Result<Self, Error> {
        #[cfg(feature = "measure")]
        crate::measure::check()?;
        let registry = Arc::new(Registry::open(&node).await?);
        let metrics = Arc::new(Metrics::new());
        let client_gate = Gate::new(settings.bounds);
        let provider_gate = Gate::new(settings.bounds);
        metrics.watch(metrics::Side::Client, Arc::clone(&client_gate));
        metrics.watch(metrics::Side::Provider, Arc::clone(&provider_gate));
        let gateway = Self(Arc::new(Inner {
            access: Access::new(Arc::clone(&registry), Arc::clone(&node.config().tokens)),
            upstream: Arc::new(Upstream::new(Arc::clone(node.clock()), tls)),
            breakers: Breakers::default(),
            peers: Peers::default(),
            client_gate,
            provider_gate,
            metrics,
            spool: Spool::open(&settings.spool, disk).map_err(Error::Spool)?,
            signer: Signer::new(settings.signatures),
            relations: Relations::default(),
            open: Arc::default(),
            own: ArcSwapOption::empty(),
            draining: AtomicBool::new(false),
            under_way: AtomicUsize::new(0),
            ended: Notify::new(),
            given: Mutex::default(),
            registry,
            settings,
            node,
        }));
        crate::recovery::recover(&gateway.0.node).await?;
        crate::quotas::restore(&gateway.0.node).await?;
        Ok(gateway)
    }

    /// Returns the services and clients of the node.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Returns the routes for operators, to be merged with `karvan_exchange::Node::local_routes`.
    pub fn local_routes(&self) -> axum::Router {
        let gateway = self.clone();
        let routes = admin::routes(Admin {
            node: self.0.node.clone(),
            registry: Arc::clone(&self.0.registry),
            upstream: Arc::clone(&self.0.upstream),
            metrics: Arc::clone(&self.0.metrics),
            draining: Arc::new(move || gateway.is_draining()),
        });
        routes.merge(messages::routes(self.0.node.clone(), Arc::clone(&self.0.open)))
    }

    /// Returns what answers the calls of peers, for `karvan_exchange::Node::run`.
    pub fn peer_service(&self) -> Arc<dyn PeerService> {
        Arc::new(ProviderSide(Arc::clone(&self.0)))
    }

    /// Serves a connection of an agency's system until it ends.
    pub async fn serve_client(&self, stream: impl Stream + 'static, line: Line) {
        connection::serve(&self.0, stream, line).await;
    }

    /// Takes no new call and waits, at most `within`, until those under way have ended; returns how
    /// many have not.
    pub async fn drain(&self, within: Duration) -> usize {
        self.0.draining.store(true, Ordering::SeqCst);
        let idle = async {
            loop {
                let ended = self.0.ended.notified();
                if self.0.under_way.load(Ordering::SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(within, idle).await;
        self.0.under_way.load(Ordering::SeqCst)
    }

    /// Returns whether no new call is taken.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }
}

/// The provider's side, on the listener of peers.
struct ProviderSide(Arc<Inner>);

impl PeerService for ProviderSide {
    fn takes(&self, path: &str) -> bool {
        path.starts_with(CALLS_PATH) || messages::is_proof(path)
    }

    fn serve(&self, from: NodeId, request: Request<Incoming>) -> Boxed<'static, Response<Body>> {
        let inner = Arc::clone(&self.0);
        let request = request.map(boxed);
        Box::pin(async move {
            if messages::is_proof(request.uri().path()) {
                return messages::proof(&inner.node, request.uri().path()).await;
            }
            let span = inner.span("provider", &request);
            inner.provide(from, request).instrument(span).await
        })
    }
}

/// Puts a body that arrives into the one type of bodies.
pub(crate) fn boxed(body: Incoming) -> Body {
    body.map_err(std::io::Error::other).boxed_unsync()
}

/// Returns path and query as they came.
pub(crate) fn target_of(uri: &Uri) -> &str {
    uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str)
}

impl Inner {
    /// Returns what this node is called and signs with.
    pub(crate) fn own(&self, now: Timestamp) -> Result<Arc<Own>, Rejection> {
        let lists = self.node.lists();
        let known = self.own.load_full().filter(|own| {
            Arc::ptr_eq(&own.lists, &lists) && own.from <= now && now.since(own.from) < OWN_LIFE
        });
        if let Some(own) = known {
            return Ok(own);
        }
        let authority = self.node.authority_of(self.node.id())?;
        let own = Arc::new(Own { authority, key: self.node.node_key()?, lists, from: now });
        self.own.store(Some(Arc::clone(&own)));
        Ok(own)
    }

    /// Signs a refusal in the name of this node. `head` says that the request was a `HEAD`, whose
    /// answer has no body.
    pub(crate) fn sign_refusal(
        &self,
        refusal: &Refusal,
        link: &Link,
        head: bool,
        now: Timestamp,
    ) -> Result<SignedRefusal, Rejection> {
        let own = self.own(now)?;
        let status = StatusCode::from_u16(refusal.status()).unwrap_or_default();
        let (body, field) =
            if head { (Vec::new(), Some(refusal.field())) } else { (refusal.problem(), None) };
        let mut out = Outgoing::of_type(PROBLEM_JSON);
        let answer = Answer {
            status,
            digest: Digest::of(&body),
            exchange: &link.exchange,
            call: field.as_deref(),
            request_signature: link.request_signature.as_deref(),
        };
        let written = out.write_answer(&answer, now, (own.key.clone(), false))?;
        let signed = written.sign(self.node.keys()).map_err(|error| wire::unsigned(&error))?;
        out.put_signature(&signed)?;
        let (base, signature) = (signed.base, signed.signature);
        let half = Half { base, signature, head: wire::kept_head(body.clone()) };
        let mut response = Response::new(full(body));
        *response.status_mut() = status;
        *response.headers_mut() = out.headers;
        Ok(SignedRefusal { half, response })
    }

    /// Returns where this node and another one are, for the line of a call; nothing unless lines
    /// are written.
    pub(crate) fn addresses(&self, peer: &NodeId) -> [Option<String>; 2] {
        if !metrics::writes_lines() {
            return [None, None];
        }
        [self.node.id(), peer].map(|node| self.node.authority_of(node).ok())
    }

    /// Ends a call, durably.
    pub(crate) async fn end(&self, call: Call, side: Side) -> Result<(), karvan_store::Error> {
        let statement = evidence::statement(&call);
        let (open, exchange) = (Arc::clone(&self.open), call.exchange);
        let end = move |tx: &mut dyn Tx| {
            evidence::end(tx, call, side, statement)?;
            if side == Side::Provider {
                open.ended(exchange);
            }
            Ok(())
        };
        self.node.store().write(end).await
    }

    /// Returns whether a message to be signed now is to share its signature with others.
    pub(crate) fn is_batched(&self) -> bool {
        self.signer.is_batched(self.under_way())
    }

    /// Returns how many calls are under way, on either side.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts a call that begins; refuses it while the node is being stopped.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<UnderWay, Rejection> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let counted = UnderWay(Arc::clone(self));
        if self.draining.load(Ordering::SeqCst) {
            let text = "this node is being stopped and takes no new call; try again soon";
            return Err(Rejection::new(ErrorKind::Overloaded, "node-draining", text));
        }
        Ok(counted)
    }
}

/// A refusal as it is kept and as it travels.
pub(crate) struct SignedRefusal {
    /// For row and log.
    pub(crate) half: Half,
    /// For the peer.
    pub(crate) response: Response<Body>,
}

/// A call that is counted as under way.
pub(crate) struct UnderWay(Arc<Inner>);

impl UnderWay {
    /// Keeps a place at a gate as long as the call is under way.
    pub(crate) fn with(self, place: Permit) -> Entered {
        Entered { counted: self, _place: place, given: None }
    }
}

/// A call that was let in.
pub(crate) struct Entered {
    counted: UnderWay,
    _place: Permit,
    given: Option<ExchangeId>,
}

impl Entered {
    /// Keeps others from making a call under the id that the agency chose for this one; returns
    /// whether nobody does already.
    pub(crate) fn claim(&mut self, exchange: ExchangeId) -> bool {
        let given = &self.counted.0.given;
        let free = given.lock().unwrap_or_else(PoisonError::into_inner).insert(exchange);
        self.given = free.then_some(exchange);
        free
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(exchange) = self.given {
            let given = &self.counted.0.given;
            given.lock().unwrap_or_else(PoisonError::into_inner).remove(&exchange);
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.ended.notify_waiters();
        }
    }
}

/// What the figures of a call are made of.
pub(crate) struct Story {
    /// When the request was here.
    pub(crate) began_at: Timestamp,
    began: Instant,
    sent: Option<Instant>,
    received: Option<Instant>,
    /// Whether client and service are known to exist.
    pub(crate) known: bool,
    /// The pattern of the endpoint, when a line is written.
    pub(crate) path: Option<Arc<str>>,
    /// The kind of the service.
    pub(crate) service_type: Option<&'static str>,
    /// Bytes of the request's body.
    pub(crate) request_size: u64,
    /// Bytes of the answer's body.
    pub(crate) response_size: u64,
}

impl Story {
    /// Begins with the request.
    pub(crate) fn new(began_at: Timestamp) -> Self {
        let (sent, received) = (None, None);
        let (request_size, response_size) = (0, 0);
        let (began, path, service_type) = (Instant::now(), None, None);
        let known = false;
        Self {
            began_at,
            began,
            sent,
            received,
            known,
            path,
            service_type,
            request_size,
            response_size,
        }
    }

    /// Says that the request goes on.
    pub(crate) fn sent(&mut self) {
        self.sent = Some(Instant::now());
    }

    /// Says that the answer is here.
    pub(crate) fn received(&mut self) {
        self.received = Some(Instant::now());
    }

    /// Returns what is known of the call by itself; the caller fills in the rest.
    pub(crate) fn record<'a>(
        &self,
        side: metrics::Side,
        exchange: Option<ExchangeId>,
        now: Timestamp,
    ) -> Record<'a> {
        let at = |instant: Instant| self.began_at.plus(instant.duration_since(self.began));
        Record {
            side,
            exchange,
            request_in: self.began_at,
            request_out: self.sent.map(at),
            response_in: self.received.map(at),
            response_out: now,
            elapsed: self.began.elapsed(),
            remote: self.sent.zip(self.received).map(|(from, to)| to.duration_since(from)),
            client: None,
            service: None,
            service_type: self.service_type,
            peer: None,
            client_address: None,
            service_address: None,
            method: "",
            path: None,
            message_id: None,
            request_id: None,
            user_id: None,
            issue: None,
            represented_party: None,
            request_size: self.request_size,
            response_size: self.response_size,
            status: 0,
            fault: None,
        }
    }
}

/// A call that was begun. When its future is dropped before its end, since the caller hung up, it
/// ends as not answered.
pub(crate) struct Begun {
    inner: Arc<Inner>,
    call: Option<Call>,
    side: Side,
}

impl Begun {
    /// Takes a call whose outcome is not known yet.
    pub(crate) fn new(inner: &Arc<Inner>, call: Call, side: Side) -> Self {
        Self { inner: Arc::clone(inner), call: Some(call), side }
    }

    /// Ends the call as `change` says; resolves when that is durable.
    pub(crate) async fn end(
        mut self,
        change: impl FnOnce(&mut Call),
    ) -> Result<(), karvan_store::Error> {
        let Some(mut call) = self.call.take() else { return Ok(()) };
        change(&mut call);
        call.ended_at = self.inner.node.now();
        let side = self.side;
        self.inner.end(call, side).await
    }
}

impl Begun {
    /// Gives the call back without an end: it never began.
    pub(crate) fn forget(mut self) -> Option<Call> {
        self.call.take()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Some(mut call) = self.call.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let text = "the caller hung up before the answer was there";
        call.cause = Some(Rejection::new(ErrorKind::PeerUnavailable, "caller-gone", text));
        call.ended_at = self.inner.node.now();
        let (inner, side) = (Arc::clone(&self.inner), self.side);
        runtime.spawn(async move {
            let (open, exchange) = (Arc::clone(&inner.open), call.exchange);
            let abandon = move |tx: &mut dyn Tx| {
                if evidence::abandon(tx, call, side)? && side == Side::Provider {
                    open.ended(exchange);
                }
                Ok(())
            };
            let ended: Result<(), karvan_store::Error> = inner.node.store().write(abandon).await;
            if let Err(error) = ended {
                tracing::error!("a call whose caller hung up could not be ended: {error}");
            }
        });
    }
}
