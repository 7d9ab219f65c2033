//! Log entries of exchanges, and the way from a transaction into the evidence log.
//!
//! An entry is first a row of the queue, committed with its cause; then this module appends it to
//! the log, in order and exactly once. All entries of a node take this way, so an entry's index is
//! known as soon as it is queued: its queue number minus one.
//!
//! Both nodes make the same entry for one act, from what both hold: the kind and the salted digest
//! of the signed statement. Nothing in it tells who or what to those who lack the statement
//! (INV-11).

use std::time::Duration;

use karvan_ledger::BATCH_ENTRIES_MAX;
use karvan_store::{Error, Lines, Read, Tx};
use karvan_types::Digest;
use serde::{Deserialize, Serialize};

use crate::node::Inner;
use crate::records::{EVIDENCE_QUEUE, LeafRef, Signed};

/// Most rows of the queue moved to the log at once; a row has the entries of a commit.
const ROWS_MAX: usize = 64;
/// How long entries gather after the first: one move of many costs hardly more than one of one.
const GATHER: Duration = Duration::from_millis(50);
/// How long the queue is left alone when nobody says that it has something.
const IDLE: Duration = Duration::from_secs(1);
/// Version of the entry format.
const LEAF_VERSION: u32 = 1;

/// A document was signed and accepted for sending.
pub const SUBMISSION: &str = "document.submission";
/// The recipient's node has the document durably.
pub const RELAY: &str = "document.relay";
/// The recipient's system has, or refused, the document.
pub const HANDOVER: &str = "document.handover";
/// A message was refused, with a signed cause.
pub const REFUSAL: &str = "document.refusal";
/// A national list came into force here.
pub const LIST: &str = "trust.list";
/// An agreement that both sides have signed is known here.
pub const AGREEMENT: &str = "agreement.concluded";
/// An agreement was withdrawn by a party to it.
pub const WITHDRAWAL: &str = "agreement.withdrawn";
/// An alarm was raised.
pub const ALARM: &str = "node.alarm";

/// The canonical content of an entry.
#[derive(Debug, Deserialize, Serialize)]
pub struct Leaf {
    /// What was recorded.
    pub kind: String,
    /// SHA-256 over salt and signed statement.
    pub statement: Digest,
    /// Version of this format.
    pub v: u32,
}

/// Returns the entry for a signed statement.
pub fn leaf(kind: &str, statement: Digest) -> String {
    // Canonical by construction (RFC 8785): sorted names, plain ASCII values.
    format!(r#"{{"kind":"{kind}","statement":"{statement}","v":{LEAF_VERSION}}}"#)
}

/// Returns the salted digest of a signed HTTP message.
pub fn message_statement(salt: &str, signed: &Signed) -> Digest {
    Digest::of_parts(&[
        salt.as_bytes(),
        b"\n",
        signed.base.as_bytes(),
        b"\n",
        signed.signature.as_bytes(),
    ])
}

/// Returns the salted digest of a signed document (JWS).
pub fn document_statement(salt: &str, jws: &str) -> Digest {
    Digest::of_parts(&[salt.as_bytes(), b"\n", jws.as_bytes()])
}

/// Queues an entry in the transaction of its cause.
pub fn record(tx: &mut dyn Tx, kind: &str, statement: Digest) -> Result<LeafRef, Error> {
    let entry = leaf(kind, statement);
    let number = tx.append(&EVIDENCE_QUEUE, &entry)?;
    Ok(LeafRef { kind: kind.to_owned(), index: number - 1, entry })
}

impl Inner {
    /// Moves queued entries into the log until the node stops.
    pub(crate) async fn run_evidence(&self) -> Result<(), crate::Error> {
        loop {
            while self.move_entries().await? {}
            let _ = tokio::time::timeout(IDLE, self.wake.evidence.notified()).await;
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Moves the oldest entries; returns whether there may be more.
    async fn move_entries(&self) -> Result<bool, crate::Error> {
        let oldest = |view: &dyn Read| view.lines(&EVIDENCE_QUEUE, ROWS_MAX, BATCH_ENTRIES_MAX);
        let Lines { lines, more } = self.store.read(oldest).await?;
        if lines.is_empty() {
            return Ok(false);
        }
        let entries: Vec<_> =
            lines.into_iter().map(|(number, line)| (number, line.into_bytes())).collect();
        let numbers: Vec<u64> = entries.iter().map(|(number, _)| *number).collect();
        let indexes = self.ledger.append_queued(entries).await?;
        if indexes.iter().zip(&numbers).any(|(index, number)| index + 1 != *number) {
            // The log and the database tell different stories: going on would sign a third one.
            return Err(crate::Error::LogDiverged { queued: numbers, appended: indexes });
        }
        // Numbers rise, and whoever takes one waits for those before it.
        let last = numbers.last().copied().unwrap_or_default();
        self.store
            .write(move |tx| tx.delete_to(&EVIDENCE_QUEUE, &last.into()))
            .await
            .map_err(|error: Error| error)?;
        Ok(more)
    }
}
