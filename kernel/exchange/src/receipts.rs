//! Handover receipts on their way back to the sender's node, and their arrival there.
//!
//! Receipts travel in batches; each is signed by the recipient, the answer by the node.

use std::sync::Arc;
use std::time::Duration;

use karvan_store::{Error, Range};
use karvan_subsystem::Rejection;
use karvan_types::{Digest, ErrorKind, ExchangeId, NodeId, json};
use serde::{Deserialize, Serialize};

use crate::evidence;
use crate::handover::{Disposition, HANDOVER_TYPE, HandoverReceipt};
use crate::node::{Inner, Peer};
use crate::records::{ReceiptOut, Sent, SentState};
use crate::wire;

/// Most receipts in one batch.
pub(crate) const BATCH_MAX: usize = 256;
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

/// The type word of a batch answer.
const ANSWER_TYPE: &str = "karvan-receipts/1";

impl Inner {
    /// Sends receipts to one peer until the node stops.
    pub(crate) async fn run_receipts(self: Arc<Self>, peer: Arc<Peer>) -> Result<(), crate::Error> {
        let mut failures = 0;
        loop {
            match self.send_receipts(&peer).await? {
                Ok(BATCH_MAX) => failures = 0,
                Ok(_) => {
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

    /// Sends one batch; the inner error is the peer's.
    async fn send_receipts(&self, peer: &Arc<Peer>) -> Result<Result<usize, String>, crate::Error> {
        let range = Range::of("peer", vec![peer.id.as_str().into()], BATCH_MAX);
        let rows = self.store.read(move |view| view.select::<ReceiptOut>(&range)).await?;
        if rows.is_empty() {
            return Ok(Ok(0));
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
        for (exchange, rejection) in &answer.refused {
            tracing::error!(exchange.id = %exchange, "receipt refused: {}", rejection.text);
        }
        let count = rows.len();
        let settled = move |row: &ReceiptOut| {
            answer.stored.contains(&row.exchange)
                || answer.refused.iter().any(|(exchange, _)| *exchange == row.exchange)
        };
        self.store
            .write(move |tx| -> Result<(), Error> {
                for row in rows.iter().filter(|row| settled(row)) {
                    tx.remove::<ReceiptOut>(row.number)?;
                }
                Ok(())
            })
            .await?;
        Ok(Ok(count))
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
        let now = self.clock.now();
        let (stored, unknown) = self
            .store
            .write(move |tx| -> Result<_, Error> {
                let (mut stored, mut unknown) = (Vec::new(), Vec::new());
                for (receipt, jws) in verified {
                    match Self::find_sent(tx, receipt.exchange)? {
                        Some(sent) if fits(&sent, &receipt) => {
                            stored.push(receipt.exchange);
                            Self::store_receipt(tx, sent, &receipt, jws, now)?;
                        }
                        _ => unknown.push(receipt.exchange),
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
        self.wake.flush();
        let answer =
            BatchAnswer { kind: ANSWER_TYPE.to_owned(), batch: Digest::of(body), stored, refused };
        self.sign_jws_as_node(&answer)
    }

    /// Verifies a receipt's signature; a receipt that names no exchange refuses the whole batch.
    fn check_receipt(
        &self,
        from: &NodeId,
        jws: &str,
    ) -> Result<HandoverReceipt, (Option<ExchangeId>, Rejection)> {
        let read: Result<HandoverReceipt, Rejection> =
            self.verify_jws_of_member(from, jws, |r: &HandoverReceipt| &r.recipient);
        let receipt = read.map_err(|rejection| (None, rejection))?;
        if receipt.kind != HANDOVER_TYPE {
            let text = format!("`{}` is no handover receipt", receipt.kind);
            let rejection = Rejection::new(ErrorKind::Invalid, "receipts-malformed", text);
            return Err((Some(receipt.exchange), rejection));
        }
        Ok(receipt)
    }

    /// Stores a receipt once; a repeated one changes nothing.
    fn store_receipt(
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
        tx.save(&sent)
    }
}

/// Returns whether a receipt is about exactly this document.
fn fits(sent: &Sent, receipt: &HandoverReceipt) -> bool {
    sent.envelope.digest == receipt.document_digest
        && sent.envelope.sender == receipt.sender
        && sent.envelope.recipient == receipt.recipient
        && Digest::of(sent.signed.signature.as_bytes()) == receipt.signature_digest
}

impl Sent {
    /// Returns what the recipient's system did with it, when its receipt is here.
    pub fn handover_disposition(&self) -> Option<Disposition> {
        self.handover.as_ref()?;
        Some(if self.reason.is_some() { Disposition::Refused } else { Disposition::Delivered })
    }
}
