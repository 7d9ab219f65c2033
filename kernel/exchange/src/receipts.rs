//! Handover receipts on their way back to the sender's node, and their arrival there.
//!
//! Receipts travel in batches; each is signed by the recipient, the answer by the node.

use std::sync::Arc;
use std::time::Duration;

use karvan_store::{Error, Range};
use karvan_subsystem::{News, Rejection};
use karvan_trust::document::unverified_payload;
use karvan_types::limits::CLOCK_SKEW_SECONDS_MAX;
use karvan_types::{Digest, ErrorKind, ExchangeId, NodeId, json};
use serde::{Deserialize, Serialize};

use crate::evidence;
use crate::handover::{Disposition, HANDOVER_TYPE, HandoverReceipt};
use crate::node::{Inner, Peer};
use crate::records::{ReceiptOut, Sent, SentState, Signed};
use crate::wire;

/// Most receipts in one batch.
pub(crate) const BATCH_MAX: usize = 256;
/// Most bytes of receipts in one batch, unless one alone has more; refusals carry their reasons.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// How long a receipts task sleeps when nobody wakes it.
const IDLE: Duration = Duration::from_secs(5);

/// A batch of handover receipts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    /// Signed receipts (JWS over canonical JSON).
    pub(crate) receipts: Vec<String>,
}

/// The answer to a batch, signed by the node that took it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchAnswer {
    /// Always `karvan-receipts/1`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// SHA-256 of the batch.
    pub(crate) batch: Digest,
    /// Receipts that are durable now, or were before.
    pub(crate) stored: Vec<ExchangeId>,
    /// Receipts that were refused, with the cause.
    pub(crate) refused: Vec<(ExchangeId, Rejection)>,
}

/// Longest handover receipt, in bytes.
const RECEIPT_BYTES_MAX: usize = 1024 * 1024;

/// The type word of a batch answer.
const ANSWER_TYPE: &str = "karvan-receipts/1";

impl Inner {
    /// Sends receipts to one peer until the node stops.
    pub(crate) async fn run_receipts(self: Arc<Self>, peer: Arc<Peer>) -> Result<(), crate::Error> {
        let mut failures = 0;
        loop {
            match self.send_receipts(&peer).await? {
                Ok(true) => failures = 0,
                Ok(false) => {
                    failures = 0;
                    let _ = tokio::time::timeout(IDLE, peer.receipts.notified()).await;
                }
                Err(cause) => {
                    tracing::debug!(peer.id = %peer.id, "receipts wait: {cause}");
                    tokio::time::sleep(self.config.retry.pause(failures, &*self.entropy)).await;
                    failures += 1;
                }
            }
        }
    }

    /// Sends one batch and returns whether there may be more; the inner error is the peer's.
    async fn send_receipts(
        self: &Arc<Self>,
        peer: &Arc<Peer>,
    ) -> Result<Result<bool, String>, crate::Error> {
        let range = Range::of("peer", vec![peer.id.as_str().into()], BATCH_MAX);
        let mut rows = self.store.read(move |view| view.select::<ReceiptOut>(&range)).await?;
        let waiting = rows.len();
        let mut bytes = 0;
        rows.retain(|row| {
            bytes += row.receipt.len();
            bytes == row.receipt.len() || bytes <= BATCH_BYTES_MAX
        });
        if rows.is_empty() {
            return Ok(Ok(false));
        }
        let batch = Batch { receipts: rows.iter().map(|row| row.receipt.clone()).collect() };
        let body = serde_json::to_vec(&batch).unwrap_or_default();
        let digest = Digest::of(&body);
        let answer = match self.control(peer, wire::RECEIPTS_PATH, body).await {
            Ok(answer) => answer,
            Err(cause) => return Ok(Err(cause)),
        };
        let answer: BatchAnswer = match self.verify_jws_of_node(&peer.id, &answer) {
            Ok(answer) => answer,
            Err(rejection) => return Ok(Err(rejection.text)),
        };
        if answer.kind != ANSWER_TYPE || answer.batch != digest {
            return Ok(Err(format!("{} answered another batch", peer.id)));
        }
        let inner = Arc::clone(self);
        let now = self.clock.now();
        let settled = self
            .store
            .write(move |tx| -> Result<usize, Error> {
                let mut settled = 0;
                for row in &rows {
                    let refused = answer.refused.iter().find(|(id, _)| *id == row.exchange);
                    match refused {
                        // The peer may lack the newest list: this one waits for it.
                        Some((_, rejection)) if rejection.kind == ErrorKind::Unauthenticated => {
                            tracing::warn!(exchange.id = %row.exchange, "{}", rejection.text);
                            continue;
                        }
                        Some((exchange, rejection)) => {
                            let text = format!(
                                "{} refuses the handover receipt of {exchange}: {}; compare both \
                                 logs with its operator",
                                row.peer, rejection.text
                            );
                            inner.alarm(tx, "receipt-refused", text, None, now)?;
                        }
                        None if answer.stored.contains(&row.exchange) => {}
                        None => continue,
                    }
                    tx.remove::<ReceiptOut>(row.number)?;
                    settled += 1;
                }
                Ok(settled)
            })
            .await?;
        Ok(Ok(settled > 0 && waiting > settled || settled == BATCH_MAX))
    }

    /// Takes a batch of receipts from a peer; returns the signed answer.
    pub(crate) async fn take_receipts(
        self: &Arc<Self>,
        from: &NodeId,
        body: &[u8],
    ) -> Result<String, Rejection> {
        let invalid = |text: String| Rejection::new(ErrorKind::Invalid, "receipts-malformed", text);
        let batch: Batch = json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
        if batch.receipts.len() > BATCH_MAX {
            return Err(invalid(format!("at most {BATCH_MAX} receipts fit in one batch")));
        }
        let mut verified = Vec::with_capacity(batch.receipts.len());
        let mut refused = Vec::new();
        for jws in batch.receipts {
            match self.check_receipt(from, &jws) {
                Ok(receipt) => verified.push((receipt, jws)),
                Err((Some(exchange), rejection)) => refused.push((exchange, rejection)),
                Err((None, rejection)) => return Err(rejection),
            }
        }
        let (inner, now) = (Arc::clone(self), self.clock.now());
        let (stored, unknown) = self
            .store
            .write(move |tx| -> Result<_, Error> {
                let (mut stored, mut unknown) = (Vec::new(), Vec::new());
                for (receipt, jws) in verified {
                    let sent = Self::find_sent(tx, receipt.exchange)?;
                    match sent.and_then(|sent| fitting(sent, &receipt)) {
                        Some(sent) => {
                            stored.push(receipt.exchange);
                            inner.store_receipt(tx, sent, &receipt, jws, now)?;
                        }
                        None => unknown.push(receipt.exchange),
                    }
                }
                Ok((stored, unknown))
            })
            .await
            .map_err(|error: Error| Rejection::from(error))?;
        refused.extend(unknown.into_iter().map(|exchange| {
            let text = "the receipt fits no document that was sent from here";
            (exchange, Rejection::new(ErrorKind::NotFound, "receipt-unknown", text))
        }));
        let answer =
            BatchAnswer { kind: ANSWER_TYPE.to_owned(), batch: Digest::of(body), stored, refused };
        self.sign_jws_as_node(&answer)
    }

    /// Verifies a receipt's signature; a receipt that names no exchange refuses the whole batch.
    ///
    /// Its key is judged at the time of the hand-over: a receipt may have waited for this node
    /// longer than the key was in use.
    fn check_receipt(
        &self,
        from: &NodeId,
        jws: &str,
    ) -> Result<HandoverReceipt, (Option<ExchangeId>, Rejection)> {
        let invalid = |text: String| Rejection::new(ErrorKind::Invalid, "receipts-malformed", text);
        let claimed = claimed(jws).map_err(|text| (None, invalid(text)))?;
        let refuse = |rejection| (Some(claimed.exchange), rejection);
        if claimed.kind != HANDOVER_TYPE {
            let text = format!("`{}` is no handover receipt", claimed.kind);
            return Err(refuse(invalid(text)));
        }
        if claimed.at > self.clock.now().plus(Duration::from_secs(CLOCK_SKEW_SECONDS_MAX)) {
            let text = format!("handed over at {}, which is in the future", claimed.at);
            let rejection = Rejection::new(ErrorKind::Unauthenticated, "clock-skew", text);
            return Err(refuse(rejection));
        }
        self.verify_jws_of_member(from, jws, claimed.at, |r: &HandoverReceipt| &r.recipient)
            .map_err(refuse)
    }

    /// Stores a receipt once; a repeated one changes nothing.
    fn store_receipt(
        &self,
        tx: &mut dyn karvan_store::Tx,
        mut sent: Sent,
        receipt: &HandoverReceipt,
        jws: String,
        now: karvan_types::Timestamp,
    ) -> Result<(), Error> {
        let again = sent.handover.is_some() && sent.state != SentState::Dead;
        if again && sent.state != SentState::Refused {
            return Ok(());
        }
        if sent.handover.as_deref() == Some(&jws) {
            return Ok(());
        }
        let statement = evidence::document_statement(&sent.envelope.salt, &jws);
        sent.leaves.push(evidence::record(tx, evidence::HANDOVER, statement)?);
        sent.handover = Some(jws);
        sent.reason.clone_from(&receipt.reason);
        if sent.relay.is_some() {
            sent.state = match receipt.disposition {
                Disposition::Delivered => SentState::Delivered,
                Disposition::Refused => SentState::Refused,
            };
        }
        sent.updated_at = now;
        tx.save(&sent)?;
        let news = match (receipt.disposition, &receipt.reason) {
            (Disposition::Refused, Some(reason)) => News::Refused(reason.clone()),
            _ => News::HandedOver,
        };
        self.tell(tx, &sent, news, now)
    }
}

/// Returns the document when a receipt is about exactly it, settled on the signature that the
/// receipt names.
fn fitting(mut sent: Sent, receipt: &HandoverReceipt) -> Option<Sent> {
    let named =
        |signed: &&Signed| Digest::of(signed.signature.as_bytes()) == receipt.signature_digest;
    let taken = sent.signatures().find(named).cloned()?;
    let fits = sent.envelope.digest == receipt.document_digest
        && sent.envelope.sender == receipt.sender
        && sent.envelope.recipient == receipt.recipient;
    sent.settle_on(&taken);
    fits.then_some(sent)
}

/// Reads a receipt without verifying it.
fn claimed(jws: &str) -> Result<HandoverReceipt, String> {
    let payload = unverified_payload(jws.as_bytes(), RECEIPT_BYTES_MAX);
    let payload = payload.map_err(|error| error.to_string())?;
    json::from_slice(&payload).map_err(|error| error.to_string())
}

impl Sent {
    /// Returns what the recipient's system did with it, when its receipt is here.
    pub fn handover_disposition(&self) -> Option<Disposition> {
        // Verified when it came; the record's reason may be that of a dead letter.
        let jws = self.handover.as_ref()?;
        claimed(jws).ok().map(|receipt| receipt.disposition)
    }
}
