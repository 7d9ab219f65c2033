//! Receiving: verify, make durable, answer with the relay receipt.
//!
//! Invariants: the receipt leaves only after inbox row, body, log entries, the sub-system's effect
//! and the receipt itself committed together (INV-1, INV-5); a duplicate gets the stored receipt's
//! bytes (INV-7); one id with another content is refused, signed and alarmed (INV-8).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use karvan_store::{Error, Range, Tx};
use karvan_subsystem::Rejection;
use karvan_types::digest::Hasher;
use karvan_types::limits::{DOCUMENT_BYTES_MAX, HANDLED_BODY_BYTES_MAX, INLINE_BODY_BYTES_MAX};
use karvan_types::{Digest, ErrorKind, NodeId, Timestamp};
use serde::Serialize;

use crate::agreements::terms;
use crate::client::{Body, full};
use crate::evidence;
use crate::node::Inner;
use crate::records::{
    Direction, Envelope, LeafRef, Received, ReceivedState, StoredAnswer, StreamRecord,
};
use crate::submit::put_body;
use crate::wire::{self, Answer, Link, Opened};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_mins(5);
/// Most bytes read of a body that is refused: any body that is allowed, and a little more.
const DRAIN_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX + 1024 * 1024;
/// Most documents of one stream kept beyond a gap.
pub(crate) const PARKED_MAX: u64 = 100_000;

/// A body as it arrived: in memory, or already a durable file.
enum Arrived {
    Memory(Bytes),
    Blob,
}

/// Everything that one transaction makes durable.
struct Arrival {
    from: NodeId,
    opened: Opened,
    arrived: Arrived,
    answer: StoredAnswer,
    now: Timestamp,
}

/// What the transaction found.
enum Outcome {
    /// Taken now; whether more of the stream can be handed over.
    Taken { more: bool },
    /// Taken before; the answer that was given then.
    Duplicate(Box<StoredAnswer>),
    /// Refused.
    Refused(Rejection),
}

/// The content of a relay receipt; its signature is that of the HTTP answer, which covers the
/// request's signature. The event is ETSI EN 319 522's relay acceptance.
#[derive(Debug, Serialize)]
struct RelayReceipt<'a> {
    at: Timestamp,
    digest: &'a Digest,
    exchange: &'a karvan_types::ExchangeId,
    node: &'a NodeId,
    receipt: &'static str,
    sequence: u64,
    size: u64,
}

impl Inner {
    /// Answers a document from a peer.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        from: &NodeId,
        request: Request<axum::body::Body>,
    ) -> Response<Body> {
        let now = self.clock.now();
        let (head, mut body) = request.into_parts();
        let opened = match self.open(from, &head, now) {
            Ok(opened) => opened,
            Err(rejection) => {
                drain(body).await;
                return self.refuse(&wire::link_of(&head), from, &rejection, now).await;
            }
        };
        let link = opened.link.clone();
        let arrived = match self.read_in_time(&opened.envelope, &mut body).await {
            Ok(arrived) => arrived,
            Err(rejection) => {
                drain(body).await;
                return self.refuse(&link, from, &rejection, now).await;
            }
        };
        // What the lists and agreements forbid is refused after the signature and the digest have
        // verified, so that the refusal is about a statement the sender cannot deny.
        if let Err(rejection) = self.permit(&opened.envelope, now) {
            return self.refuse_for_good(from, opened, rejection, now).await;
        }
        let answer = match self.relay_answer(&opened, now) {
            Ok(answer) => answer,
            Err(rejection) => return self.refuse(&link, from, &rejection, now).await,
        };
        let (from, answered) = (from.clone(), answer.clone());
        let arrival = Arrival { from, opened, arrived, answer: answered, now };
        if self.config.faults.receipt_before_commit {
            self.commit_later(arrival);
            return wire::answer(&answer, &link.exchange);
        }
        let from = arrival.from.clone();
        match self.commit(arrival).await {
            Ok(Outcome::Taken { more }) => {
                if more {
                    self.wake.streams.notify_one();
                }
                wire::answer(&answer, &link.exchange)
            }
            Ok(Outcome::Duplicate(stored)) => wire::answer(&stored, &link.exchange),
            Ok(Outcome::Refused(rejection)) => self.refuse(&link, &from, &rejection, now).await,
            Err(error) => self.refuse(&link, &from, &Rejection::from(error), now).await,
        }
    }

    /// Verifies the signature and reads the envelope that it covers.
    fn open(
        &self,
        from: &NodeId,
        head: &http::request::Parts,
        now: Timestamp,
    ) -> Result<Opened, Rejection> {
        let authority = self.authority_of(&self.config.node)?;
        let opened = wire::open_document(&*self.lists(), head, &authority, now)?;
        if self.node_of(&opened.envelope.sender)? != *from {
            return Err(Rejection::new(
                ErrorKind::Forbidden,
                "node-not-responsible",
                format!("{from} does not serve {}; see the national list", opened.envelope.sender),
            ));
        }
        Ok(opened)
    }

    /// Checks what lists, agreement and document type say about a document.
    fn permit(&self, envelope: &Envelope, now: Timestamp) -> Result<(), Rejection> {
        self.member_key(&envelope.recipient)?;
        let book = self.config.agreements.book();
        let terms = terms(&book, envelope, now)?;
        if envelope.purpose != terms.purpose {
            return Err(Rejection::new(
                ErrorKind::Forbidden,
                "purpose-mismatch",
                format!("agreement {} is for the purpose `{}` only", terms.id, terms.purpose),
            ));
        }
        if let Some(kind) = self.document_type(&envelope.code) {
            if envelope.size > kind.bytes_max {
                return Err(Rejection::new(
                    ErrorKind::TooLarge,
                    "document-too-large",
                    format!("`{}` may have at most {} bytes", kind.code, kind.bytes_max),
                ));
            }
            if envelope.content_type != kind.content_type {
                return Err(Rejection::new(
                    ErrorKind::Invalid,
                    "content-type",
                    format!("`{}` must be {}", kind.code, kind.content_type),
                ));
            }
        }
        Ok(())
    }

    async fn read_in_time(
        &self,
        envelope: &Envelope,
        body: &mut axum::body::Body,
    ) -> Result<Arrived, Rejection> {
        let reading = self.read_body(envelope, body);
        tokio::time::timeout(BODY_TIMEOUT, reading).await.unwrap_or_else(|_| {
            let text = format!("the body did not arrive within {BODY_TIMEOUT:?}");
            Err(Rejection::new(ErrorKind::Invalid, "body-slow", text))
        })
    }

    /// Reads the body within its declared length, in memory or to disk, and checks its digest.
    async fn read_body(
        &self,
        envelope: &Envelope,
        body: &mut axum::body::Body,
    ) -> Result<Arrived, Rejection> {
        if envelope.size > DOCUMENT_BYTES_MAX {
            return Err(Rejection::new(
                ErrorKind::TooLarge,
                "document-too-large",
                format!("at most {DOCUMENT_BYTES_MAX} bytes are accepted; split the document"),
            ));
        }
        let in_row = envelope.size <= INLINE_BODY_BYTES_MAX
            || (envelope.size <= HANDLED_BODY_BYTES_MAX
                && self.document_type(&envelope.code).is_some());
        let (digest, size, arrived) = if in_row {
            self.read_to_memory(body, envelope.size).await?
        } else {
            self.read_to_disk(body, envelope.size).await?
        };
        if digest != envelope.digest || size != envelope.size {
            return Err(Rejection::new(
                ErrorKind::Evidence,
                "digest-mismatch",
                "the body is not the one that was signed; send the document again",
            ));
        }
        Ok(arrived)
    }

    async fn read_to_memory(
        &self,
        body: &mut axum::body::Body,
        size: u64,
    ) -> Result<(Digest, u64, Arrived), Rejection> {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken_off(&error))?;
            if let Some(data) = frame.data_ref() {
                if (bytes.len() + data.len()) as u64 > size {
                    return Err(longer_than_declared());
                }
                bytes.extend_from_slice(data);
            }
        }
        let digest = Digest::of(&bytes);
        Ok((digest, bytes.len() as u64, Arrived::Memory(bytes.into())))
    }

    async fn read_to_disk(
        &self,
        body: &mut axum::body::Body,
        size: u64,
    ) -> Result<(Digest, u64, Arrived), Rejection> {
        let mut writer = self.blobs.writer().map_err(|error| disk(&error))?;
        let (mut hasher, mut seen) = (Hasher::new(), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| broken_off(&error))?;
            if let Some(data) = frame.data_ref() {
                seen += data.len() as u64;
                if seen > size {
                    return Err(longer_than_declared());
                }
                hasher.update(data);
                writer.write(data).map_err(|error| disk(&error))?;
            }
        }
        let digest = hasher.finish();
        let (stored, _) = writer.finish().map_err(|error| disk(&error))?;
        debug_assert_eq!(stored, digest);
        Ok((digest, seen, Arrived::Blob))
    }

    fn relay_answer(&self, opened: &Opened, now: Timestamp) -> Result<StoredAnswer, Rejection> {
        let receipt = RelayReceipt {
            at: now,
            digest: &opened.envelope.digest,
            exchange: &opened.envelope.exchange,
            node: &self.config.node,
            receipt: "relay",
            sequence: opened.envelope.sequence,
            size: opened.envelope.size,
        };
        let body = karvan_types::json::canonical(&receipt)
            .map_err(|error| Rejection::new(ErrorKind::Internal, "receipt", error.to_string()))?;
        self.sign_answer(
            Answer { status: 200, content_type: "application/json", body },
            &opened.link,
            now,
        )
    }

    /// Makes the document durable with everything that depends on it, in one transaction.
    async fn commit(self: &Arc<Self>, arrival: Arrival) -> Result<Outcome, Error> {
        let inner = Arc::clone(self);
        self.store.write(move |tx| inner.commit_in(tx, arrival)).await
    }

    /// The planted fault of the simulation: answers first and commits afterwards.
    fn commit_later(self: &Arc<Self>, arrival: Arrival) {
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let _ = inner.commit(arrival).await;
        });
    }

    fn commit_in(&self, tx: &mut dyn Tx, arrival: Arrival) -> Result<Outcome, Error> {
        let Arrival { from, opened, arrived, answer, now } = arrival;
        let envelope = opened.envelope;
        let id = envelope.exchange.to_string();
        let window = self.config.faults.duplicate_window;
        if let Some(known) = tx.find::<Received>(id)? {
            let forgotten = window.is_some_and(|window| now.since(known.received_at) > window);
            if !forgotten {
                return self.seen_before(tx, &known, &envelope, now);
            }
        }
        let name = envelope.stream();
        let mut stream = tx
            .find::<StreamRecord>(StreamRecord::key_of(Direction::In, &name))?
            .unwrap_or_else(|| StreamRecord::new(Direction::In, name, from.clone()));
        if let Some(rejection) = out_of_place(&stream, &envelope) {
            let text = rejection.text.clone();
            self.alarm(tx, "sequence-out-of-range", text, None, now)?;
            return Ok(Outcome::Refused(rejection));
        }
        let number = envelope.sequence;
        let place =
            Range::of("stream", vec![stream.name.as_str().into()], 1).from(number).to(number);
        let taken = tx.select::<Received>(&place)?.pop();
        if taken.is_some_and(|taken| taken.envelope.exchange != envelope.exchange) {
            return self.fork(tx, &envelope, now);
        }
        let leaves = record_relay(tx, &envelope, &opened.signed, &answer)?;
        let mut received = Received {
            envelope,
            peer: from.clone(),
            state: ReceivedState::Parked,
            signed: opened.signed,
            signed_at: opened.signed_at,
            received_at: now,
            due_at: now,
            attempts: 0,
            lease: None,
            blob: matches!(arrived, Arrived::Blob),
            reason: None,
            answer,
            handover: None,
            leaves,
        };
        let body = match &arrived {
            Arrived::Memory(bytes) => Some(bytes.as_ref()),
            Arrived::Blob => None,
        };
        if let Some(body) = body {
            put_body(tx, 'r', received.envelope.exchange, body.to_vec())?;
        }
        if received.envelope.sequence <= stream.sequence {
            // Its number was void, since it was refused or given up before; now it is good.
            self.hand_over(tx, &mut received, body, now)?;
            tx.save(&received)?;
            return Ok(Outcome::Taken { more: false });
        }
        let more = self.advance(tx, &mut stream, Some((&mut received, body)), now)?;
        tx.add(&received)?;
        tx.save(&stream)?;
        Ok(Outcome::Taken { more })
    }

    /// Answers a document whose id is known: the stored answer, or a refusal when it is another.
    fn seen_before(
        &self,
        tx: &mut dyn Tx,
        known: &Received,
        envelope: &Envelope,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        if known.is(envelope) {
            return Ok(Outcome::Duplicate(Box::new(known.answer.clone())));
        }
        let text = format!(
            "exchange id {} came again with another content; the first one stands; ask the \
             sender's operator",
            envelope.exchange
        );
        self.alarm(tx, "id-reused", text.clone(), Some(known), now)?;
        Ok(Outcome::Refused(Rejection::new(ErrorKind::Conflict, "id-reused", text)))
    }

    /// Two documents under one number of a stream.
    fn fork(&self, tx: &mut dyn Tx, envelope: &Envelope, now: Timestamp) -> Result<Outcome, Error> {
        let text = format!(
            "number {} of stream {} is taken by another document; the first one stands",
            envelope.sequence,
            envelope.stream()
        );
        self.alarm(tx, "stream-forked", text.clone(), None, now)?;
        Ok(Outcome::Refused(Rejection::new(ErrorKind::Conflict, "stream-forked", text)))
    }

    /// Refuses a document that proves nothing, or nothing lasting: signed, logged, not stored.
    async fn refuse(
        self: &Arc<Self>,
        link: &Link,
        from: &NodeId,
        rejection: &Rejection,
        now: Timestamp,
    ) -> Response<Body> {
        tracing::warn!(
            peer.id = %from,
            refusal.code = rejection.code,
            "document refused: {}", rejection.text
        );
        let problem = Answer {
            status: rejection.kind.http_status(),
            content_type: wire::PROBLEM_JSON,
            body: wire::problem(rejection),
        };
        let Ok(answer) = self.sign_answer(problem, link, now) else {
            let mut bare = Response::new(full("this node cannot sign answers now\n"));
            *bare.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            return bare;
        };
        let statement = evidence::message_statement(&link.salt, &answer.signed);
        let logged: Result<LeafRef, Error> =
            self.store.write(move |tx| evidence::record(tx, evidence::REFUSAL, statement)).await;
        if logged.is_err() {
            tracing::error!("a refusal could not be logged");
        }
        wire::answer(&answer, &link.exchange)
    }

    /// Refuses a well-signed document: the refusal is stored and its number is used up, so that the
    /// stream goes on. Sent again under the same id it is judged anew.
    async fn refuse_for_good(
        self: &Arc<Self>,
        from: &NodeId,
        opened: Opened,
        rejection: Rejection,
        now: Timestamp,
    ) -> Response<Body> {
        let Opened { envelope, link, .. } = opened;
        // What was taken while it was allowed stays taken: its sender only missed the answer.
        if let Ok((_, Some(known))) = self.find(envelope.exchange).await
            && known.is(&envelope)
        {
            return wire::answer(&known.answer, &link.exchange);
        }
        let answer = self.refuse(&link, from, &rejection, now).await;
        if rejection.kind == ErrorKind::LocalConfig {
            // Our own fault, to be mended here: the sender keeps the number and tries again.
            return answer;
        }
        let inner = Arc::clone(self);
        let from = from.clone();
        let voided: Result<bool, Error> = self
            .store
            .write(move |tx| {
                let name = envelope.stream();
                let mut stream = tx
                    .find::<StreamRecord>(StreamRecord::key_of(Direction::In, &name))?
                    .unwrap_or_else(|| StreamRecord::new(Direction::In, name, from));
                let near = envelope.sequence <= stream.sequence + PARKED_MAX;
                if envelope.sequence > stream.sequence
                    && near
                    && !stream.void.contains(&envelope.sequence)
                {
                    stream.void.push(envelope.sequence);
                }
                let more = inner.advance(tx, &mut stream, None, now)?;
                tx.save(&stream)?;
                Ok(more)
            })
            .await;
        if voided.unwrap_or(true) {
            self.wake.streams.notify_one();
        }
        answer
    }
}

/// Queues the entries of submission and relay, as the sender's node has them too.
fn record_relay(
    tx: &mut dyn Tx,
    envelope: &Envelope,
    signed: &crate::records::Signed,
    answer: &StoredAnswer,
) -> Result<Vec<LeafRef>, Error> {
    let submission = evidence::message_statement(&envelope.salt, signed);
    let relay = evidence::message_statement(&envelope.salt, &answer.signed);
    Ok(vec![
        evidence::record(tx, evidence::SUBMISSION, submission)?,
        evidence::record(tx, evidence::RELAY, relay)?,
    ])
}

/// Refuses numbers that cannot be right: used up already, or absurdly far ahead.
fn out_of_place(stream: &StreamRecord, envelope: &Envelope) -> Option<Rejection> {
    if envelope.sequence == 0 || envelope.sequence > stream.sequence + PARKED_MAX {
        return Some(Rejection::new(
            ErrorKind::Invalid,
            "sequence-out-of-range",
            format!(
                "number {} of stream {} is out of range: {} was the last one taken in order",
                envelope.sequence, stream.name, stream.sequence
            ),
        ));
    }
    None
}

/// Reads what is left of a refused body, so that its sender gets to read the refusal: a connection
/// closed amid a body takes the answer with it.
async fn drain(mut body: axum::body::Body) {
    let reading = async {
        let mut left = DRAIN_BYTES_MAX;
        while left > 0
            && let Some(Ok(frame)) = body.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
        }
    };
    let _ = tokio::time::timeout(BODY_TIMEOUT, reading).await;
}

fn broken_off(error: &axum::Error) -> Rejection {
    Rejection::new(
        ErrorKind::Invalid,
        "body-incomplete",
        format!("the body broke off: {error}; send it again"),
    )
}

fn longer_than_declared() -> Rejection {
    Rejection::new(
        ErrorKind::Invalid,
        "body-too-long",
        "the body is longer than the signed length; send exactly what was signed",
    )
}

fn disk(error: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(ErrorKind::Storage, "storage", format!("the body cannot be stored: {error}"))
}
