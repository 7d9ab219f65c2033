//! Signing: each message alone while there is little to do, many under one signature when there is
//! much.
//!
//! A signature and its verification are the dearest parts of a call. Under load the messages that
//! one key is to sign gather for a moment and are signed as the leaves of one tree
//! (`karvan_trust::message`, batches); each is still proven alone. A message that nobody can join
//! is not made to wait.
//!
//! Invariants: what gathers is signed, also when those who wait for it are gone; a batch holds
//! messages of one key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use karvan_subsystem::Rejection;
use karvan_trust::keys::KeyId;
use karvan_trust::message::{BATCH_MESSAGES_MAX, SignedHead, Unsigned, sign_batch};
use karvan_types::{Digest, ErrorKind};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::gateway::Inner;
use crate::measure::{Without, is_without};
use crate::wire;

/// Bytes of a signature.
const SIGNATURE_BYTES: usize = 64;
/// Calls under way from which on messages wait for each other.
const CALLS_BUSY: usize = 8;
/// How long the first message of a batch waits for more.
const GATHER: Duration = Duration::from_millis(2);
/// Calls under way from which on it waits longer: so many wait for the processor anyway.
const CALLS_MANY: usize = 128;
/// How long it waits then.
const GATHER_MANY: Duration = Duration::from_millis(5);
/// Messages after which a batch is not kept waiting.
const BATCH_FULL: usize = 128;
const _: () = assert!(BATCH_FULL <= BATCH_MESSAGES_MAX);

/// Whether one signature may cover many calls.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signatures {
    /// Each message has its own while there is little to do; many share one under load.
    #[default]
    Automatic,
    /// Each message has its own, which any verifier of RFC 9421 can check.
    Each,
}

/// Messages that wait for their signature.
pub(crate) struct Signer {
    signatures: Signatures,
    waiting: Mutex<HashMap<KeyId, Vec<Waiting>>>,
}

struct Waiting {
    leaf: Digest,
    /// Gets its part of the batch.
    signed: oneshot::Sender<Result<Vec<u8>, Rejection>>,
}

impl Signer {
    pub(crate) fn new(signatures: Signatures) -> Self {
        Self { signatures, waiting: Mutex::default() }
    }

    /// Returns whether a message is to share its signature when so many calls are under way.
    pub(crate) fn is_batched(&self, under_way: usize) -> bool {
        self.signatures == Signatures::Automatic
            && under_way >= CALLS_BUSY
            && !is_without(Without::Signatures)
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<KeyId, Vec<Waiting>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message to the others of its key; returns how many there are now.
    fn join(&self, key: &KeyId, waiting: Waiting) -> usize {
        let mut keys = self.waiting();
        if let Some(others) = keys.get_mut(key) {
            others.push(waiting);
            return others.len();
        }
        keys.insert(key.clone(), vec![waiting]);
        1
    }

    fn take(&self, key: &KeyId) -> Vec<Waiting> {
        self.waiting().get_mut(key).map(std::mem::take).unwrap_or_default()
    }
}

impl Inner {
    /// Signs a message, in a batch when it was written for one.
    pub(crate) async fn sign(self: &Arc<Self>, message: Unsigned) -> Result<SignedHead, Rejection> {
        let failed = |error| wire::unsigned(&error);
        if is_without(Without::Signatures) {
            return message.signed_with(vec![0; SIGNATURE_BYTES]).map_err(failed);
        }
        if !message.is_batched() {
            return message.sign(self.node.keys()).map_err(failed);
        }
        let (signed, part) = oneshot::channel();
        let waiting = Waiting { leaf: message.leaf(), signed };
        let key = message.key();
        match self.signer.join(key, waiting) {
            1 => {
                let (inner, key) = (Arc::clone(self), key.clone());
                let many = self.under_way() >= CALLS_MANY;
                tokio::spawn(async move {
                    tokio::time::sleep(if many { GATHER_MANY } else { GATHER }).await;
                    inner.sign_waiting(&key);
                });
            }
            BATCH_FULL.. => self.sign_waiting(key),
            _ => {}
        }
        let part = part.await.map_err(|_| {
            let text = "the batch of this message was not signed; call again";
            Rejection::new(ErrorKind::Internal, "signing-failed", text)
        })??;
        message.signed_with(part).map_err(failed)
    }

    /// Signs all that waits for a key.
    fn sign_waiting(&self, key: &KeyId) {
        let waiting = self.signer.take(key);
        if waiting.is_empty() {
            // Enough came together before the time was up.
            return;
        }
        let leaves: Vec<Digest> = waiting.iter().map(|waiting| waiting.leaf).collect();
        match sign_batch(&leaves, key, self.node.keys()) {
            Ok(parts) => {
                for (waiting, part) in waiting.into_iter().zip(parts) {
                    // One that does not wait any more has hung up.
                    let _ = waiting.signed.send(Ok(part));
                }
            }
            Err(error) => {
                for waiting in waiting {
                    let _ = waiting.signed.send(Err(wire::unsigned(&error)));
                }
            }
        }
    }
}
