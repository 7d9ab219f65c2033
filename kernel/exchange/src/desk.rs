//! What people and agencies' systems see and do with documents: lists, receipts, leases, re-sends.

use std::sync::Arc;
use std::time::Duration;

use karvan_store::{Error, Range};
use karvan_subsystem::{Caller, Rejection};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agreements::terms;
use crate::client::{Body, full};
use crate::node::Inner;
use crate::records::{Alarm, BODY, Envelope, LeafRef, Received, ReceivedState, Sent, SentState};
use crate::submit::body_key;
use crate::wire;

/// Code of the refusal to show a body that a sub-system has asked not to keep.
pub(crate) const BODY_NOT_KEPT: &str = "body-not-kept";
/// Most documents or alarms listed at once.
const LIST_MAX: usize = 1000;
/// How long an agency's system may keep a leased document before it is offered again.
const LEASE: Duration = Duration::from_mins(1);

/// Which way a document went, as this node sees it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From here.
    Sent,
    /// To here.
    Received,
}

/// What to list.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Only this direction.
    pub direction: Option<Direction>,
    /// Only this state, such as `dead`.
    pub state: Option<String>,
    /// At most so many of each direction, newest first.
    pub limit: Option<usize>,
}

/// A log entry with what it has reached.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EntryView {
    /// The act.
    pub kind: String,
    /// Index in this node's log.
    pub index: u64,
    /// `logged`, `checkpointed` or `witnessed`.
    pub state: String,
}

/// A document as people see it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DocumentView {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Which way it went.
    pub direction: Direction,
    /// How far it has come.
    pub state: String,
    /// Who sent it.
    pub sender: MemberId,
    /// For whom it is.
    pub recipient: MemberId,
    /// Code of the document type.
    pub code: String,
    /// Length of the body in bytes.
    pub size: u64,
    /// Number in its stream.
    pub sequence: u64,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// The other node.
    pub peer: NodeId,
    /// When it was accepted here.
    pub at: Timestamp,
    /// Why it was refused or given up.
    pub reason: Option<Rejection>,
    /// Whether the relay receipt is here.
    pub relay_receipt: bool,
    /// Whether the handover receipt is here.
    pub handover_receipt: bool,
    /// Its log entries.
    pub evidence: Vec<EntryView>,
}

/// A document leased to an agency's system.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Lease {
    /// The document.
    pub document: DocumentView,
    /// Names the lease in the acknowledgement.
    pub lease: String,
    /// When it lapses.
    pub until: Timestamp,
}

pub(crate) fn not_found(exchange: ExchangeId) -> Rejection {
    Rejection::new(
        ErrorKind::NotFound,
        "document-unknown",
        format!("no document {exchange} is known to this node"),
    )
}

fn lapsed() -> Rejection {
    let text = "the lease is not the current one; take the next document again";
    Rejection::new(ErrorKind::Conflict, "lease-lapsed", text)
}

impl Inner {
    fn describe(
        &self,
        direction: Direction,
        envelope: &Envelope,
        leaves: &[LeafRef],
        rest: impl FnOnce(DocumentView) -> DocumentView,
        peer: &NodeId,
    ) -> DocumentView {
        let evidence = leaves
            .iter()
            .map(|leaf| EntryView {
                kind: leaf.kind.clone(),
                index: leaf.index,
                state: self.entry_state(leaf.index).to_owned(),
            })
            .collect();
        rest(DocumentView {
            exchange: envelope.exchange,
            direction,
            state: String::new(),
            sender: envelope.sender.clone(),
            recipient: envelope.recipient.clone(),
            code: envelope.code.clone(),
            size: envelope.size,
            sequence: envelope.sequence,
            digest: envelope.digest,
            peer: peer.clone(),
            at: Timestamp::default(),
            reason: None,
            relay_receipt: false,
            handover_receipt: false,
            evidence,
        })
    }

    pub(crate) fn describe_sent(&self, sent: &Sent) -> DocumentView {
        let rest = |view| DocumentView {
            state: sent.state.as_str().to_owned(),
            at: sent.accepted_at,
            reason: sent.reason.clone(),
            relay_receipt: sent.relay.as_ref().is_some_and(|relay| relay.status == 200),
            handover_receipt: sent.handover.is_some(),
            ..view
        };
        self.describe(Direction::Sent, &sent.envelope, &sent.leaves, rest, &sent.peer)
    }

    pub(crate) fn describe_received(&self, received: &Received) -> DocumentView {
        let rest = |view| DocumentView {
            state: received.state.as_str().to_owned(),
            at: received.received_at,
            reason: received.reason.clone(),
            relay_receipt: true,
            handover_receipt: received.handover.is_some(),
            ..view
        };
        let leaves = &received.leaves;
        self.describe(Direction::Received, &received.envelope, leaves, rest, &received.peer)
    }

    pub(crate) async fn list(&self, query: ListQuery) -> Result<Vec<DocumentView>, Rejection> {
        let limit = query.limit.unwrap_or(100).min(LIST_MAX);
        let state = query.state.clone();
        let range = move || match &state {
            Some(state) => Range::of("state", vec![state.as_str().into()], limit).reversed(),
            None => Range::all(limit).reversed(),
        };
        let (sent_range, received_range) = (range(), range());
        let (sent, received) = self
            .store
            .read(move |view| -> Result<_, Error> {
                let sent: Vec<Sent> = match query.direction {
                    Some(Direction::Received) => Vec::new(),
                    _ => view.select(&sent_range)?,
                };
                let received: Vec<Received> = match query.direction {
                    Some(Direction::Sent) => Vec::new(),
                    _ => view.select(&received_range)?,
                };
                Ok((sent, received))
            })
            .await?;
        let mut views: Vec<_> = sent.iter().map(|sent| self.describe_sent(sent)).collect();
        views.extend(received.iter().map(|received| self.describe_received(received)));
        views.sort_by(|a, b| b.at.cmp(&a.at).then(b.exchange.cmp(&a.exchange)));
        Ok(views)
    }

    /// Returns the document as sent, as received, or both when this node is on both sides.
    pub(crate) async fn show(&self, exchange: ExchangeId) -> Result<Vec<DocumentView>, Rejection> {
        let (sent, received) = self.find(exchange).await?;
        let mut views = Vec::new();
        views.extend(sent.iter().map(|sent| self.describe_sent(sent)));
        views.extend(received.iter().map(|received| self.describe_received(received)));
        if views.is_empty() { Err(not_found(exchange)) } else { Ok(views) }
    }

    /// Returns both records of an exchange.
    pub(crate) async fn find(
        &self,
        exchange: ExchangeId,
    ) -> Result<(Option<Sent>, Option<Received>), Rejection> {
        let id = exchange.to_string();
        let found = self
            .store
            .read(move |view| -> Result<_, Error> {
                Ok((view.find::<Sent>(id.as_str())?, view.find::<Received>(id.as_str())?))
            })
            .await?;
        Ok(found)
    }

    pub(crate) async fn body_of(
        &self,
        exchange: ExchangeId,
        direction: Option<Direction>,
    ) -> Result<(String, Body), Rejection> {
        let (sent, received) = self.find(exchange).await?;
        let sent = sent.filter(|_| direction != Some(Direction::Received));
        let received = received.filter(|_| direction != Some(Direction::Sent));
        let (envelope, blob, side) = match (sent, received) {
            (Some(sent), _) => (sent.envelope, sent.blob, 's'),
            (None, Some(received)) => (received.envelope, received.blob, 'r'),
            (None, None) => return Err(not_found(exchange)),
        };
        if blob {
            let body = self.blob_body(envelope.digest).map_err(|error| {
                Rejection::new(ErrorKind::Storage, "storage", format!("the body: {error}"))
            })?;
            return Ok((envelope.content_type, body));
        }
        let key = body_key(side, exchange);
        let row = self.store.read(move |view| view.get(&BODY, &key.into())).await;
        let row = row.map_err(|error: Error| Rejection::from(error))?;
        let Some(row) = row else {
            let text = "the body is not kept: it held more than the agreement lets this side \
                        have; its digest, signature and receipts are";
            return Err(Rejection::new(ErrorKind::NotFound, BODY_NOT_KEPT, text));
        };
        Ok((envelope.content_type, full(row.body)))
    }

    /// Queues a dead letter again, under the same id and number, with a fresh signature when the
    /// old one has lapsed.
    pub(crate) async fn resend(
        self: &Arc<Self>,
        exchange: ExchangeId,
        caller: &Caller,
    ) -> Result<Sent, Rejection> {
        let inner = Arc::clone(self);
        let now = self.clock.now();
        let user = caller.user.clone();
        let sent = self
            .store
            .write(move |tx| -> Result<Sent, Rejection> {
                let Some(mut sent) = tx.find::<Sent>(exchange.to_string())? else {
                    return Err(not_found(exchange));
                };
                if sent.state != SentState::Dead {
                    return Err(Rejection::new(
                        ErrorKind::Conflict,
                        "not-dead",
                        format!(
                            "document {exchange} is {}; only dead letters are sent again",
                            sent.state.as_str()
                        ),
                    ));
                }
                if sent.expires_at <= now {
                    inner.sign_again(tx, &mut sent, now)?;
                }
                tracing::info!(exchange.id = %exchange, user, "dead letter sent again");
                sent.state = SentState::Accepted;
                sent.reason = None;
                sent.relay = None;
                sent.updated_at = now;
                sent.position = tx.next(&format!("outbox:{}", sent.peer))?;
                tx.save(&sent)?;
                inner.wake.relay(&sent.peer);
                Ok(sent)
            })
            .await?;
        Ok(sent)
    }

    fn sign_again(
        &self,
        tx: &mut dyn karvan_store::Tx,
        sent: &mut Sent,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let envelope = &sent.envelope;
        let book = self.config.agreements.book();
        let terms = terms(&book, envelope, now)?;
        let key = self.member_key(&envelope.sender)?;
        let authority = self.authority_of(&sent.peer)?;
        sent.expires_at = now.plus(self.config.delivery_deadline).min(terms.valid_until);
        let fresh =
            wire::sign_document(&*self.keys, &key, envelope, &authority, now, sent.expires_at)?;
        sent.lapsed.push(std::mem::replace(&mut sent.signed, fresh));
        let statement = crate::evidence::message_statement(&envelope.salt, &sent.signed);
        let leaf = crate::evidence::record(tx, crate::evidence::SUBMISSION, statement)?;
        sent.leaves.push(leaf);
        Ok(())
    }

    /// Leases the next document that waits for a member's system.
    pub(crate) async fn lease_next(
        self: &Arc<Self>,
        member: &MemberId,
    ) -> Result<Option<Lease>, Rejection> {
        let now = self.clock.now();
        let until = now.plus(LEASE);
        let lease = ExchangeId::new(now, self.entropy.array()).to_string();
        let waiting = ReceivedState::Waiting.as_str();
        let range =
            Range::of("queue", vec![member.as_str().into(), waiting.into()], 1).to(now.as_millis());
        let token = lease.clone();
        let leased = self
            .store
            .write(move |tx| -> Result<Option<Received>, Error> {
                let Some(mut received) = tx.select::<Received>(&range)?.pop() else {
                    return Ok(None);
                };
                received.due_at = until;
                received.attempts += 1;
                received.lease = Some(token);
                tx.save(&received)?;
                Ok(Some(received))
            })
            .await
            .map_err(|error: Error| Rejection::from(error))?;
        Ok(leased.map(|received| {
            let document = self.describe_received(&received);
            Lease { document, lease, until }
        }))
    }

    /// Ends a lease: the document is handed over, or refused by the agency's system.
    pub(crate) async fn acknowledge(
        self: &Arc<Self>,
        exchange: ExchangeId,
        member: &MemberId,
        lease: &str,
        outcome: Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let inner = Arc::clone(self);
        let now = self.clock.now();
        let (member, lease) = (member.clone(), lease.to_owned());
        self.store
            .write(move |tx| -> Result<(), Rejection> {
                let found = tx.find::<Received>(exchange.to_string())?;
                let Some(mut received) = found.filter(|r| r.envelope.recipient == member) else {
                    return Err(not_found(exchange));
                };
                match received.state {
                    // Said twice is no error: the first answer may have been lost.
                    ReceivedState::Delivered | ReceivedState::Refused => return Ok(()),
                    ReceivedState::Waiting if received.lease.as_deref() == Some(&lease) => {}
                    _ => {
                        return Err(lapsed());
                    }
                }
                inner.conclude(tx, &mut received, outcome, now)?;
                Ok(tx.save(&received)?)
            })
            .await?;
        Ok(())
    }

    /// Prolongs a lease from now on.
    pub(crate) async fn extend(
        self: &Arc<Self>,
        exchange: ExchangeId,
        member: &MemberId,
        lease: &str,
    ) -> Result<Timestamp, Rejection> {
        let now = self.clock.now();
        let until = now.plus(LEASE);
        let (member, lease) = (member.clone(), lease.to_owned());
        self.store
            .write(move |tx| -> Result<Timestamp, Rejection> {
                let found = tx.find::<Received>(exchange.to_string())?;
                let Some(mut received) = found.filter(|r| r.envelope.recipient == member) else {
                    return Err(not_found(exchange));
                };
                let held = received.lease.as_deref() == Some(&lease) && received.due_at > now;
                if received.state != ReceivedState::Waiting || !held {
                    return Err(lapsed());
                }
                received.due_at = until;
                tx.save(&received)?;
                Ok(until)
            })
            .await
    }

    pub(crate) async fn alarms(&self) -> Result<Vec<Alarm>, Rejection> {
        let range = Range::all(LIST_MAX).reversed();
        self.store
            .read(move |view| view.select::<Alarm>(&range))
            .await
            .map_err(|error: Error| Rejection::from(error))
    }
}
