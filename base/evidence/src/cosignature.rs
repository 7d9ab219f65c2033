//! Timestamped Ed25519 cosignatures of checkpoints (C2SP tlog-cosignature, `cosignature/v1`).
//!
//! The meaning: at that time this was the largest consistent tree that the cosigner had seen for
//! the origin. The signed message does not hold the cosigner's name, so one key serves one name.

use std::sync::Arc;

use crate::note::{Ed25519Key, KeyKind, Signature, VerifierKey};
use crate::{Checkpoint, Error};

/// Cosigns checkpoints under one name.
pub struct Cosigner {
    vkey: VerifierKey,
    key: Arc<dyn Ed25519Key>,
}

impl Cosigner {
    /// Names a key.
    pub fn new(name: &str, key: Arc<dyn Ed25519Key>) -> Result<Self, Error> {
        Ok(Self { vkey: VerifierKey::new(name, KeyKind::CosignatureV1, key.public_key())?, key })
    }

    /// Returns the public key to hand to others.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.vkey
    }

    /// Cosigns a checkpoint at a time, in seconds since 1970. The caller has made sure that it
    /// extends every checkpoint cosigned before.
    pub fn cosign(&self, checkpoint: &Checkpoint, seconds: u64) -> Result<Signature, Error> {
        let text = checkpoint.to_string();
        let raw = self.key.sign(&message(seconds, text.as_bytes()));
        let name = self.vkey.name().to_owned();
        let raw = raw.map_err(|error| Error::Signer { name: name.clone(), reason: error.0 })?;
        let blob = [seconds.to_be_bytes().as_slice(), &raw].concat();
        Ok(Signature { name, key_id: self.vkey.key_id(), blob })
    }
}

/// Returns the time of a cosignature, in seconds since 1970; nothing when the blob is none.
pub fn time(signature: &Signature) -> Option<u64> {
    split(&signature.blob).map(|(seconds, _)| seconds)
}

/// Returns what a cosigner signs.
pub(crate) fn message(seconds: u64, checkpoint_text: &[u8]) -> Vec<u8> {
    [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), checkpoint_text].concat()
}

/// Divides a blob into time and raw signature.
pub(crate) fn split(blob: &[u8]) -> Option<(u64, &[u8; 64])> {
    let (seconds, raw) = blob.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*seconds), raw.try_into().ok()?))
}
