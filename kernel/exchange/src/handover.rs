//! Handing documents over: in stream order, once each, with a signed receipt.
//!
//! A sub-system's handler runs in the transaction at hand. An agency's own system gets the document
//! by push or by pull; its acknowledgement then makes the receipt in a transaction of its own.
//!
//! Invariants: one hand-over per exchange id (INV-2); inbox row, effect, log entry and receipt
//! commit together (INV-5).

use std::panic::{AssertUnwindSafe, catch_unwind};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_store::{Error, Range, Tx};
use karvan_subsystem::{Context, Document, Rejection};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::evidence;
use crate::node::Inner;
use crate::records::{
    Alarm, BODY, LeafRef, ReceiptOut, Received, ReceivedState, Sent, StreamRecord,
};
use crate::release::AgreedTerms;
use crate::submit::body_key;

/// Most documents handed over in one transaction; the rest follow in the next.
pub(crate) const ADVANCE_MAX: usize = 64;

/// What the recipient's system did with a document.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// It took it.
    Delivered,
    /// It refused it; the reason tells why.
    Refused,
}

/// The content of a handover receipt, signed by the recipient (JWS over canonical JSON).
///
/// The event is ETSI EN 319 522's content handover, or its failure.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HandoverReceipt {
    /// Always `karvan-handover/1`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who sent the document.
    pub sender: MemberId,
    /// Who got it, and signs.
    pub recipient: MemberId,
    /// SHA-256 of the document's body.
    pub document_digest: Digest,
    /// SHA-256 of the sender's signature field, which binds the receipt to that exact message.
    pub signature_digest: Digest,
    /// What happened.
    pub disposition: Disposition,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Rejection>,
    /// When it happened.
    pub at: Timestamp,
}

/// The type word of a handover receipt.
pub const HANDOVER_TYPE: &str = "karvan-handover/1";

impl Inner {
    /// Takes the next documents of a stream in order, starting with `fresh` when it is the next.
    /// Returns whether more are waiting for a further transaction.
    pub(crate) fn advance(
        &self,
        tx: &mut dyn Tx,
        stream: &mut StreamRecord,
        mut fresh: Option<(&mut Received, Option<&[u8]>)>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        for _ in 0..ADVANCE_MAX {
            let next = stream.sequence + 1;
            if let Some((received, body)) = fresh.take_if(|(f, _)| f.envelope.sequence == next) {
                self.take(tx, stream, received, body, now)?;
                continue;
            }
            let range = Range::of("stream", vec![stream.name.as_str().into()], 1).from(next);
            match tx.select::<Received>(&range)?.pop() {
                // Also when its number is void: the sender gave it up for want of an answer, but it
                // is here and has its receipt.
                Some(mut received) if received.envelope.sequence == next => {
                    self.take(tx, stream, &mut received, None, now)?;
                    tx.save(&received)?;
                }
                _ if stream.void.contains(&next) => {
                    stream.sequence = next;
                    // The chain restarts after a void number: its signature never came here.
                    stream.head = Digest::default();
                    stream.void.retain(|number| *number > next);
                }
                None => {
                    stream.gap_since = None;
                    return Ok(false);
                }
                Some(_) => {
                    stream.gap_since = stream.gap_since.or(Some(now));
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Takes the document that is next in its stream.
    fn take(
        &self,
        tx: &mut dyn Tx,
        stream: &mut StreamRecord,
        received: &mut Received,
        body: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let chained = stream.head == Digest::default() || received.envelope.previous == stream.head;
        if !chained {
            let text = format!(
                "document {} of stream {} does not follow the one before it: the sender signed \
                 two histories; compare both logs with the peer's operator",
                received.envelope.sequence, stream.name
            );
            self.alarm(tx, "stream-forked", text, Some(received), now)?;
        }
        stream.sequence = received.envelope.sequence;
        stream.void.retain(|number| *number > received.envelope.sequence);
        stream.head = Digest::of(received.signed.signature.as_bytes());
        if received.state == ReceivedState::Parked {
            self.hand_over(tx, received, body, now)?;
        }
        Ok(())
    }

    /// Hands a document to its sub-system, or offers it to the agency's system.
    pub(crate) fn hand_over(
        &self,
        tx: &mut dyn Tx,
        received: &mut Received,
        body: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(subsystem) = self.subsystem_for(&received.envelope.code) else {
            received.state = ReceivedState::Waiting;
            received.due_at = now;
            return Ok(());
        };
        let stored;
        let bytes = if let Some(bytes) = body {
            bytes
        } else {
            let key = body_key('r', received.envelope.exchange);
            stored = tx.get(&BODY, &key.into())?.map(|row| row.body).unwrap_or_default();
            &stored
        };
        let outcome = self.run_handler(tx, &*subsystem, received, bytes, now)?;
        self.conclude(tx, received, outcome, now)
    }

    /// Runs a handler; its refusal, or a defect in it, undoes what it wrote and nothing else.
    fn run_handler(
        &self,
        tx: &mut dyn Tx,
        subsystem: &dyn karvan_subsystem::Subsystem,
        received: &Received,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Result<(), Rejection>, Error> {
        let envelope = &received.envelope;
        let roles = self.roles_of(&envelope.sender);
        let level = self.level_of(envelope);
        let document = Document {
            exchange: envelope.exchange,
            agreement: &envelope.agreement,
            sender: &envelope.sender,
            sender_roles: &roles,
            recipient: &envelope.recipient,
            code: &envelope.code,
            signed_at: received.signed_at,
            digest: envelope.digest,
            sharing_level: level.as_deref(),
            body,
        };
        let mut outcome = Ok(());
        let nested = tx.nested(&mut |tx| {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut ids = || ExchangeId::new(now, self.entropy.array());
                let terms = AgreedTerms { node: self, now };
                let mut cx = Context::new(&mut *tx, now, &mut ids).with_terms(&terms);
                subsystem.receive(&mut cx, &document)?;
                let wanted = cx.finish();
                self.fulfil(tx, wanted, Some(received), now)?;
                Ok(())
            }));
            outcome = result.unwrap_or_else(|_| {
                Err(Rejection::new(
                    ErrorKind::Internal,
                    "handler-defect",
                    "the recipient's sub-system failed on this document and its operator was \
                     alarmed; send it again under a new id once that is mended",
                ))
            });
            match &outcome {
                Ok(()) => Ok(()),
                Err(_) => Err(Error::RolledBack("the handler refused".to_owned())),
            }
        });
        match nested {
            Ok(()) | Err(Error::RolledBack(_)) => Ok(outcome),
            Err(error) => Err(error),
        }
    }

    /// Makes the receipt of a hand-over that has just happened, and its log entry.
    pub(crate) fn conclude(
        &self,
        tx: &mut dyn Tx,
        received: &mut Received,
        outcome: Result<(), Rejection>,
        now: Timestamp,
    ) -> Result<(), Error> {
        if let Err(reason) = &outcome {
            let text = format!("document refused: {}", reason.text);
            self.alarm(tx, "document-refused", text, Some(received), now)?;
        }
        let envelope = &received.envelope;
        let receipt = HandoverReceipt {
            kind: HANDOVER_TYPE.to_owned(),
            exchange: envelope.exchange,
            sender: envelope.sender.clone(),
            recipient: envelope.recipient.clone(),
            document_digest: envelope.digest,
            signature_digest: Digest::of(received.signed.signature.as_bytes()),
            disposition: match outcome {
                Ok(()) => Disposition::Delivered,
                Err(_) => Disposition::Refused,
            },
            reason: outcome.err(),
            at: now,
        };
        let jws = self.sign_jws(&envelope.recipient, &receipt).map_err(|rejection| {
            Error::Backend { doing: "signing a receipt", cause: rejection.text }
        })?;
        let statement = evidence::document_statement(&envelope.salt, &jws);
        let leaf = evidence::record(tx, evidence::HANDOVER, statement)?;
        let number = tx.next("receipt")?;
        tx.add(&ReceiptOut {
            number,
            peer: received.peer.clone(),
            exchange: envelope.exchange,
            receipt: jws.clone(),
        })?;
        self.wake.receipts(&received.peer);
        received.state = match receipt.disposition {
            Disposition::Delivered => ReceivedState::Delivered,
            Disposition::Refused => ReceivedState::Refused,
        };
        received.lease = None;
        received.reason = receipt.reason;
        received.handover = Some(jws);
        received.leaves.push(leaf);
        Ok(())
    }

    /// Raises an alarm in the transaction of its cause, with a log entry.
    pub(crate) fn alarm(
        &self,
        tx: &mut dyn Tx,
        code: &str,
        text: String,
        about: Option<&Received>,
        now: Timestamp,
    ) -> Result<LeafRef, Error> {
        tracing::warn!(alarm.code = code, "{text}");
        let alarm = Alarm {
            number: tx.next("alarm")?,
            at: now,
            code: code.to_owned(),
            text,
            exchange: about.map(|received| received.envelope.exchange),
            peer: about.map(|received| received.peer.clone()),
            salt: URL_SAFE_NO_PAD.encode(self.entropy.array::<16>()),
        };
        tx.add(&alarm)?;
        let text = serde_json::to_string(&alarm).unwrap_or_default();
        evidence::record(tx, evidence::ALARM, evidence::document_statement(&alarm.salt, &text))
    }

    /// Returns the stored relay state of a document sent from here, for receipts.
    pub(crate) fn find_sent(tx: &dyn Tx, exchange: ExchangeId) -> Result<Option<Sent>, Error> {
        tx.find(exchange.to_string())
    }
}
