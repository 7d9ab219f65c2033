//! Sending: from the outbox to the peer's node, until its relay receipt is stored.
//!
//! One task per peer keeps a window of documents in flight and backs off when the peer is away.
//! The peer puts them in order again, so the window costs no order.
//!
//! Invariant: an outbox row leaves the queue only after the relay receipt is stored (INV-6).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{Request, Response};
use karvan_store::Range;
use karvan_subsystem::{News, Rejection};
use karvan_types::ErrorKind;

use crate::client::{Body, Unreachable, full};
use crate::evidence;
use crate::handover::Disposition;
use crate::node::{Inner, Peer};
use crate::records::{BODY, Sent, SentState, Signed, StoredAnswer};
use crate::submit::body_key;
use crate::wire;

/// Most outbox rows read at once.
const PAGE: usize = 128;
/// Bytes of bodies that one page may load before it ends early.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// How long a relay task sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_secs(5);

/// An outbox row with its body, unless the body is a file.
struct Loaded {
    sent: Sent,
    body: Option<bytes::Bytes>,
}

/// Why a round ended.
enum Fault {
    /// The peer is away, overloaded or confused: everything waits.
    Peer(String),
    /// This node cannot go on.
    Own(crate::Error),
}

impl From<Unreachable> for Fault {
    fn from(error: Unreachable) -> Self {
        Self::Peer(error.to_string())
    }
}

impl<E: Into<crate::Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Own(error.into())
    }
}

impl Inner {
    /// Sends what is due to one peer until the node stops.
    pub(crate) async fn run_relay(self: Arc<Self>, peer: Arc<Peer>) -> Result<(), crate::Error> {
        let mut failures = 0;
        loop {
            match self.relay_round(&peer).await {
                Ok(()) => {
                    failures = 0;
                    let _ = tokio::time::timeout(IDLE, peer.relay.notified()).await;
                }
                Err(Fault::Own(error)) => return Err(error),
                Err(Fault::Peer(cause)) => {
                    peer.set_unreachable(self.clock.now(), &cause);
                    peer.pool.clear();
                    let pause = self.config.retry.pause(failures, &*self.entropy);
                    tracing::warn!(
                        peer.id = %peer.id,
                        retry.pause = ?pause,
                        "peer is away, documents wait: {cause}"
                    );
                    failures += 1;
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Sends everything that is due; ends when the queue is empty or the peer fails.
    async fn relay_round(self: &Arc<Self>, peer: &Arc<Peer>) -> Result<(), Fault> {
        let mut in_flight = FuturesUnordered::new();
        let mut ready = VecDeque::new();
        let mut cursor = 0;
        let mut fault = None;
        loop {
            if ready.is_empty() && fault.is_none() && peer.take_pending(in_flight.is_empty()) {
                ready.extend(self.due(peer, cursor).await?);
                if let Some(last) = ready.back() {
                    let last: &Loaded = last;
                    cursor = last.sent.position;
                    peer.set_pending();
                }
            }
            while in_flight.len() < self.config.relay_window
                && let Some(loaded) = ready.pop_front()
            {
                in_flight.push(self.relay_one(peer, loaded));
            }
            match in_flight.next().await {
                None => return fault.map_or(Ok(()), Err),
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    ready.clear();
                    fault = Some(error);
                }
            }
        }
    }

    /// Reads the next documents for a peer, in queue order.
    async fn due(&self, peer: &Peer, after: u64) -> Result<Vec<Loaded>, crate::Error> {
        let prefix = vec![peer.id.as_str().into(), SentState::Accepted.as_str().into()];
        let range = Range::of("due", prefix, PAGE).after(after);
        let loaded = self
            .store
            .read(move |view| -> Result<_, karvan_store::Error> {
                let mut loaded = Vec::new();
                let mut bytes = 0;
                for sent in view.select::<Sent>(&range)? {
                    let key = body_key('s', sent.envelope.exchange);
                    let body = view.get(&BODY, &key.into())?.map(|row| row.body.into());
                    bytes += body.as_ref().map_or(0, bytes::Bytes::len);
                    loaded.push(Loaded { sent, body });
                    if bytes > PAGE_BYTES {
                        break;
                    }
                }
                Ok(loaded)
            })
            .await?;
        Ok(loaded)
    }

    /// Sends one document and stores the peer's answer.
    async fn relay_one(self: &Arc<Self>, peer: &Arc<Peer>, loaded: Loaded) -> Result<(), Fault> {
        let sent = &loaded.sent;
        let now = self.clock.now();
        if sent.expires_at <= now {
            let reason = Rejection::new(
                ErrorKind::PeerUnavailable,
                "deadline-passed",
                format!("not taken by {} until {}; send it again", peer.id, sent.expires_at),
            );
            return self.give_up(loaded.sent, reason, None).await;
        }
        let authority = match self.authority_of(&peer.id) {
            Ok(authority) => authority,
            Err(rejection) => return Err(Fault::Peer(rejection.text)),
        };
        if self.config.faults.outbox_before_receipt {
            self.forget_early(&loaded.sent).await?;
        }
        let answer = peer
            .pool
            .send(&self.line(peer), self.config.answer_timeout, || {
                let body = self.open_body(&loaded)?;
                wire::document_request(&sent.envelope, &sent.signed, &authority, body)
            })
            .await?;
        peer.set_reachable(self.clock.now());
        self.take_answer(peer, loaded.sent, answer).await
    }

    /// The planted fault of the simulation: takes the document from the queue before its receipt.
    async fn forget_early(&self, sent: &Sent) -> Result<(), Fault> {
        let mut sent = sent.clone();
        sent.state = SentState::Relayed;
        self.store.write(move |tx| tx.save(&sent)).await?;
        Ok(())
    }

    fn open_body(&self, loaded: &Loaded) -> io::Result<Body> {
        if loaded.sent.blob {
            return self.blob_body(loaded.sent.envelope.digest);
        }
        Ok(full(loaded.body.clone().unwrap_or_default()))
    }

    async fn take_answer(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
        sent: Sent,
        answer: Response<bytes::Bytes>,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let verified = wire::verify_answer(&*self.lists(), &sent, &peer.id, &answer, now);
        let (stored, taken) = match verified {
            Ok((stored, signed)) => (stored, signed.clone()),
            Err(refusal) => {
                // Not proof of anything: keep the document and try again later.
                return Err(Fault::Peer(format!(
                    "{} gave an answer that proves nothing: {}",
                    peer.id, refusal.text
                )));
            }
        };
        if answer.status().is_success() {
            return self.relayed(sent, stored, taken).await;
        }
        let reason = wire::read_problem(&answer);
        if is_passing(&reason) {
            return Err(Fault::Peer(reason.text));
        }
        self.give_up(sent, reason, Some(stored)).await
    }

    /// Stores a relay receipt.
    async fn relayed(
        self: &Arc<Self>,
        sent: Sent,
        stored: StoredAnswer,
        taken: Signed,
    ) -> Result<(), Fault> {
        let now = self.clock.now();
        let inner = Arc::clone(self);
        self.store
            .write(move |tx| -> Result<(), karvan_store::Error> {
                let key = sent.envelope.exchange.to_string();
                // A handover receipt may have overtaken the answer.
                let Some(mut sent) = tx.find::<Sent>(key)? else { return Ok(()) };
                if sent.relay.is_some() {
                    return Ok(());
                }
                sent.settle_on(&taken);
                let salt = &sent.envelope.salt;
                let statement = evidence::message_statement(salt, &stored.signed);
                sent.leaves.push(evidence::record(tx, evidence::RELAY, statement)?);
                sent.relay = Some(stored);
                sent.state = match sent.handover_disposition() {
                    None => SentState::Relayed,
                    Some(Disposition::Delivered) => SentState::Delivered,
                    Some(Disposition::Refused) => SentState::Refused,
                };
                sent.updated_at = now;
                tx.save(&sent)?;
                inner.tell(tx, &sent, News::Stored { by: sent.peer.clone() }, now)
            })
            .await?;
        Ok(())
    }

    /// Moves a document to the dead letters, with the reason and the peer's signed refusal.
    async fn give_up(
        self: &Arc<Self>,
        tried: Sent,
        reason: Rejection,
        refusal: Option<StoredAnswer>,
    ) -> Result<(), Fault> {
        let inner = Arc::clone(self);
        let now = self.clock.now();
        let peer = self.wake.peer(&tried.peer);
        self.store
            .write(move |tx| -> Result<(), karvan_store::Error> {
                let key = tried.envelope.exchange.to_string();
                // A handover receipt may have come while the peer was asked.
                let Some(mut sent) = tx.find::<Sent>(key)? else { return Ok(()) };
                if sent.state != SentState::Accepted || sent.signed != tried.signed {
                    return Ok(());
                }
                if let Some(refusal) = &refusal {
                    let statement =
                        evidence::message_statement(&sent.envelope.salt, &refusal.signed);
                    sent.leaves.push(evidence::record(tx, evidence::REFUSAL, statement)?);
                }
                let text = format!(
                    "document {} to {} is a dead letter: {}; mend the cause, then `documents \
                     resend`",
                    sent.envelope.exchange, sent.envelope.recipient, reason.text
                );
                inner.alarm(tx, "dead-letter", text, None, now)?;
                sent.state = SentState::Dead;
                sent.reason = Some(reason.clone());
                sent.relay = refusal;
                sent.updated_at = now;
                tx.save(&sent)?;
                inner.tell(tx, &sent, News::GivenUp(reason), now)
            })
            .await?;
        // The peer must learn that this number will not come, or it waits for ever.
        peer.compare.notify_one();
        Ok(())
    }
}

/// Returns whether a refusal is about the state of either node and not about the document: then all
/// documents would meet it, and it goes away without anybody touching them.
fn is_passing(reason: &Rejection) -> bool {
    const CODES: [&str; 3] = ["clock-skew", "key-not-yet-valid", "list-expired"];
    let peer = matches!(
        reason.kind,
        ErrorKind::Overloaded | ErrorKind::Storage | ErrorKind::LocalConfig | ErrorKind::Internal
    );
    peer || CODES.contains(&reason.code.as_str())
}

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(10) }
    }
}

impl Retry {
    /// Returns the pause after `failures` failures: doubling, half of it random, so that many
    /// nodes do not come back in step.
    pub fn pause(&self, failures: u32, entropy: &dyn karvan_system::Entropy) -> Duration {
        let factor = 1_u32 << failures.min(16);
        let full = self.first.saturating_mul(factor).min(self.longest);
        let [byte] = entropy.array::<1>();
        full / 2 + full / 512 * u32::from(byte)
    }
}

/// An HTTP request over the pool's body type.
pub(crate) type PeerRequest = io::Result<Request<Body>>;
