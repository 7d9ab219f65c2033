//! Note signers and verifiers over a raw Ed25519 that the caller lends (RFC 8032).

use std::sync::Arc;

use super::{KeyId, KeyKind, Signer, Verifier, VerifierKey};
use crate::Error;
use crate::cosignature;

/// Why a key could not sign, in the words of its provider.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct SignError(pub String);

/// A private Ed25519 key, wherever it is kept.
pub trait Ed25519Key: Send + Sync {
    /// Returns the public key.
    fn public_key(&self) -> [u8; 32];
    /// Signs a message.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// Returns whether a signature (third) of a message (second) was made by a public key (first).
/// Must refuse what RFC 8032, section 5.1.7 refuses.
pub type Ed25519Verify = fn(&[u8; 32], &[u8], &[u8; 64]) -> bool;

/// Signs note texts with a plain Ed25519 key (type 0x01); the log's own signer.
pub struct NoteSigner {
    vkey: VerifierKey,
    key: Arc<dyn Ed25519Key>,
}

impl NoteSigner {
    /// Names a key. For a log the name is its origin.
    pub fn new(name: &str, key: Arc<dyn Ed25519Key>) -> Result<Self, Error> {
        Ok(Self { vkey: VerifierKey::new(name, KeyKind::Ed25519, key.public_key())?, key })
    }

    /// Returns the public key to hand to others.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.vkey
    }
}

impl Signer for NoteSigner {
    fn name(&self) -> &str {
        self.vkey.name()
    }

    fn key_id(&self) -> KeyId {
        self.vkey.key_id()
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.key.sign(text)?.to_vec())
    }
}

/// Checks signatures of either kind of key.
#[derive(Clone, Debug)]
pub struct Ed25519Verifier {
    vkey: VerifierKey,
    key_id: KeyId,
    verify: Ed25519Verify,
}

impl Ed25519Verifier {
    /// Makes the verifier of a public key.
    pub fn new(vkey: VerifierKey, verify: Ed25519Verify) -> Self {
        Self { key_id: vkey.key_id(), vkey, verify }
    }

    /// Returns the public key.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.vkey
    }
}

impl Verifier for Ed25519Verifier {
    fn name(&self) -> &str {
        self.vkey.name()
    }

    fn key_id(&self) -> KeyId {
        self.key_id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let key = self.vkey.public_key();
        match self.vkey.kind() {
            KeyKind::Ed25519 => signature.try_into().is_ok_and(|raw| (self.verify)(key, text, raw)),
            KeyKind::CosignatureV1 => cosignature::split(signature).is_some_and(|(time, raw)| {
                (self.verify)(key, &cosignature::message(time, text), raw)
            }),
        }
    }
}
