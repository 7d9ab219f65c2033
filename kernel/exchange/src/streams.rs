//! Comparing what was sent with what was received.
//!
//! For each stream the sender tells its last number and which numbers it gave up; the receiver
//! tells how far it got in order, what is missing, and the digest of the last signature it took,
//! which chains back to the first. What the peer lost is sent again; a chain that differs is an
//! alarm. Runs at the first contact, after a dead letter, nightly and on demand.

use std::sync::Arc;
use std::time::Duration;

use karvan_store::{Error, Range, Tx};
use karvan_subsystem::Rejection;
use karvan_types::{Digest, ErrorKind, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::inbox::PARKED_MAX;
use crate::node::{Inner, Peer};
use crate::records::{Direction, Received, ReceivedState, Sent, SentState, StreamRecord};
use crate::wire;

/// Most streams compared in one request.
const STREAMS_MAX: usize = 1000;
/// Most void numbers or missing ranges told per stream.
const RANGES_MAX: usize = 1000;
/// How often open gaps are looked at.
const GAP_CHECK: Duration = Duration::from_secs(10);

/// What the sender says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    #[serde(rename = "type")]
    kind: String,
    streams: Vec<StreamClaim>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct StreamClaim {
    sender: MemberId,
    recipient: MemberId,
    /// The last number given out.
    last: u64,
    /// Numbers that will not come.
    void: Vec<u64>,
}

/// What the receiver says.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Findings {
    #[serde(rename = "type")]
    kind: String,
    /// SHA-256 of the claim.
    claim: Digest,
    streams: Vec<StreamFinding>,
}

/// How one stream compares.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StreamFinding {
    /// The stream, `sender>recipient`.
    pub stream: String,
    /// The last number that the receiver took in order.
    pub taken: u64,
    /// Digest of that document's signature; zero when it was void.
    pub head: Digest,
    /// Ranges of numbers, both ends included, that the receiver lacks.
    pub missing: Vec<(u64, u64)>,
}

const CLAIM_TYPE: &str = "karvan-compare/1";
const FINDINGS_TYPE: &str = "karvan-findings/1";

impl Inner {
    /// Compares with one peer whenever asked, and every so often, until the node stops.
    pub(crate) async fn run_compare(self: Arc<Self>, peer: Arc<Peer>) -> Result<(), crate::Error> {
        let mut failures = 0;
        loop {
            let pause = match self.compare(&peer).await {
                Ok(_) => {
                    failures = 0;
                    self.config.compare_every
                }
                Err(rejection) if rejection.kind == ErrorKind::Storage => {
                    return Err(crate::Error::Config(rejection.text));
                }
                Err(rejection) => {
                    tracing::debug!(peer.id = %peer.id, "no comparison: {}", rejection.text);
                    failures += 1;
                    self.config.retry.pause(failures, &*self.entropy)
                }
            };
            let _ = tokio::time::timeout(pause, peer.compare.notified()).await;
        }
    }

    /// Compares all streams towards a peer; what the peer lacks is queued again.
    pub(crate) async fn compare(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
    ) -> Result<Vec<StreamFinding>, Rejection> {
        let id = peer.id.clone();
        let asked_at = self.clock.now();
        let streams = self.store.read(move |view| claims(view, &id)).await?;
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let claim = Claim { kind: CLAIM_TYPE.to_owned(), streams };
        let body = self.sign_jws_as_node(&claim)?.into_bytes();
        let digest = Digest::of(&body);
        let answer = self.control(peer, wire::STREAMS_PATH, body).await.map_err(|cause| {
            Rejection::new(ErrorKind::PeerUnavailable, "peer-unavailable", cause)
        })?;
        let findings: Findings = self.verify_jws_of_node(&peer.id, &answer)?;
        if findings.kind != FINDINGS_TYPE || findings.claim != digest {
            return Err(Rejection::new(
                ErrorKind::PeerMisbehaved,
                "findings-mismatch",
                format!("{} answered another comparison", peer.id),
            ));
        }
        let streams = findings.streams.clone();
        let inner = Arc::clone(self);
        self.store
            .write(move |tx| -> Result<(), Error> {
                findings.streams.iter().try_for_each(|finding| inner.settle(tx, finding, asked_at))
            })
            .await?;
        self.wake.relay(&peer.id);
        self.wake.flush();
        Ok(streams)
    }

    /// Acts on what the receiver of one of our streams found.
    ///
    /// Documents that were relayed only after `asked_at` may have been under way while the peer
    /// looked: they are no finding.
    fn settle(
        &self,
        tx: &mut dyn Tx,
        finding: &StreamFinding,
        asked_at: Timestamp,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let at = |number: u64| {
            Range::of("stream", vec![finding.stream.as_str().into()], 1).from(number).to(number)
        };
        if finding.head != Digest::default()
            && let Some(sent) = tx.select::<Sent>(&at(finding.taken))?.pop()
            && !sent.signatures().any(|s| Digest::of(s.signature.as_bytes()) == finding.head)
            && sent.state != SentState::Dead
        {
            let text = format!(
                "the peer took another document as number {} of stream {} than was sent; compare \
                 both logs with the peer's operator",
                finding.taken, finding.stream
            );
            self.alarm(tx, "stream-forked", text, None, now)?;
        }
        for &(first, last) in finding.missing.iter().take(RANGES_MAX) {
            let prefix = vec![finding.stream.as_str().into()];
            let range = Range::of("stream", prefix, RANGES_MAX).from(first).to(last);
            for mut sent in tx.select::<Sent>(&range)? {
                let relayed = matches!(sent.state, SentState::Relayed | SentState::Delivered);
                if relayed && sent.updated_at < asked_at {
                    let text = format!(
                        "document {} had a relay receipt, but the peer lacks it; it is sent again",
                        sent.envelope.exchange
                    );
                    self.alarm(tx, "lost-at-peer", text, None, now)?;
                    sent.state = SentState::Accepted;
                    sent.relay = None;
                    sent.updated_at = now;
                    tx.save(&sent)?;
                }
            }
        }
        Ok(())
    }

    /// Answers a peer's comparison.
    pub(crate) async fn answer_compare(
        self: &Arc<Self>,
        from: &NodeId,
        body: &[u8],
    ) -> Result<String, Rejection> {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let claim: Claim = self.verify_jws_of_node(from, text.as_bytes())?;
        if claim.kind != CLAIM_TYPE || claim.streams.len() > STREAMS_MAX {
            return Err(Rejection::new(
                ErrorKind::Invalid,
                "claim-malformed",
                format!("a comparison has the type {CLAIM_TYPE} and at most {STREAMS_MAX} streams"),
            ));
        }
        for stream in &claim.streams {
            if self.node_of(&stream.sender)? != *from || stream.void.len() > RANGES_MAX {
                return Err(Rejection::new(
                    ErrorKind::Forbidden,
                    "node-not-responsible",
                    format!("{from} does not speak for {}", stream.sender),
                ));
            }
        }
        let inner = Arc::clone(self);
        let from = from.clone();
        let streams = self
            .store
            .write(move |tx| -> Result<Vec<StreamFinding>, Error> {
                claim.streams.iter().map(|stream| inner.find_gaps(tx, &from, stream)).collect()
            })
            .await
            .map_err(|error: Error| Rejection::from(error))?;
        let findings =
            Findings { kind: FINDINGS_TYPE.to_owned(), claim: Digest::of(body), streams };
        self.sign_jws_as_node(&findings)
    }

    fn find_gaps(
        &self,
        tx: &mut dyn Tx,
        from: &NodeId,
        claim: &StreamClaim,
    ) -> Result<StreamFinding, Error> {
        let now = self.clock.now();
        let name = crate::records::stream_name(&claim.sender, &claim.recipient);
        let mut stream = tx
            .find::<StreamRecord>(StreamRecord::key_of(Direction::In, &name))?
            .unwrap_or_else(|| StreamRecord::new(Direction::In, name.clone(), from.clone()));
        for &number in &claim.void {
            let near = number > stream.sequence && number - stream.sequence <= PARKED_MAX;
            if near && !stream.void.contains(&number) {
                stream.void.push(number);
            }
        }
        if self.advance(tx, &mut stream, None, now)? {
            self.wake.streams.notify_one();
        }
        tx.save(&stream)?;
        let missing = missing(tx, &stream, claim.last)?;
        Ok(StreamFinding { stream: name, taken: stream.sequence, head: stream.head, missing })
    }

    /// Continues streams that had more to hand over than fits one transaction, and raises an alarm
    /// for gaps that stay open.
    pub(crate) async fn run_streams(self: Arc<Self>) -> Result<(), crate::Error> {
        loop {
            let inner = Arc::clone(&self);
            let more = self
                .store
                .write(move |tx| -> Result<bool, Error> {
                    let range = Range::of("direction", vec!["in".into()], STREAMS_MAX);
                    let mut more = false;
                    for mut stream in tx.select::<StreamRecord>(&range)? {
                        more |= inner.continue_stream(tx, &mut stream)?;
                    }
                    Ok(more)
                })
                .await?;
            if !more {
                let _ = tokio::time::timeout(GAP_CHECK, self.wake.streams.notified()).await;
            }
        }
    }

    fn continue_stream(&self, tx: &mut dyn Tx, stream: &mut StreamRecord) -> Result<bool, Error> {
        let now = self.clock.now();
        let before = stream.clone();
        let more = self.advance(tx, stream, None, now)?;
        let overdue = |since| now.since(since) > self.config.gap_alarm_after;
        if stream.gap_since.is_some_and(overdue) {
            let text = format!(
                "number {} of stream {} is missing for more than {:?} while later ones are here; \
                 they wait; ask {} to compare",
                stream.sequence + 1,
                stream.name,
                self.config.gap_alarm_after,
                stream.peer
            );
            self.alarm(tx, "stream-gap", text, None, now)?;
            stream.gap_since = Some(now);
        }
        if *stream != before {
            tx.save(stream)?;
        }
        Ok(more)
    }
}

/// Collects what to tell one peer about the streams towards it.
fn claims(view: &dyn karvan_store::Read, peer: &NodeId) -> Result<Vec<StreamClaim>, Error> {
    let range = Range::of("direction", vec!["out".into()], STREAMS_MAX);
    let dead =
        Range::of("due", vec![peer.as_str().into(), SentState::Dead.as_str().into()], RANGES_MAX);
    let dead = view.select::<Sent>(&dead)?;
    let mut claims = Vec::new();
    for stream in view.select::<StreamRecord>(&range)? {
        if stream.peer != *peer {
            continue;
        }
        let Some((sender, recipient)) = stream.name.split_once('>') else { continue };
        let (Ok(sender), Ok(recipient)) = (sender.parse(), recipient.parse()) else { continue };
        let void = dead
            .iter()
            .filter(|sent| sent.envelope.stream() == stream.name)
            .map(|sent| sent.envelope.sequence)
            .collect();
        claims.push(StreamClaim { sender, recipient, last: stream.sequence, void });
    }
    Ok(claims)
}

/// Finds the ranges between the last number taken and the last number sent that are not here.
fn missing(tx: &dyn Tx, stream: &StreamRecord, last: u64) -> Result<Vec<(u64, u64)>, Error> {
    let mut missing = Vec::new();
    let mut next = stream.sequence + 1;
    let range = Range::of("stream", vec![stream.name.as_str().into()], RANGES_MAX).from(next);
    for parked in tx.select::<Received>(&range)? {
        debug_assert_eq!(parked.state, ReceivedState::Parked);
        let number = parked.envelope.sequence;
        if number > next {
            missing.push((next, number - 1));
        }
        next = number + 1;
    }
    if next <= last {
        missing.push((next, last));
    }
    Ok(missing)
}
