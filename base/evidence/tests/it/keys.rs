//! Ed25519 for tests: keys made from one repeated byte.

use std::sync::Arc;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use karvan_evidence::cosignature::Cosigner;
use karvan_evidence::note::{Ed25519Key, Ed25519Verifier, NoteSigner, SignError};

struct Key(SigningKey);

impl Ed25519Key for Key {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.0.sign(message).to_bytes())
    }
}

fn key(seed: u8) -> Arc<dyn Ed25519Key> {
    Arc::new(Key(SigningKey::from_bytes(&[seed; 32])))
}

fn verify(public_key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public_key)
        .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
}

/// Returns a log's signer and verifier.
pub(crate) fn log(origin: &str, seed: u8) -> (NoteSigner, Ed25519Verifier) {
    let signer = NoteSigner::new(origin, key(seed)).expect("good name");
    let verifier = Ed25519Verifier::new(signer.verifier_key().clone(), verify);
    (signer, verifier)
}

/// Returns a witness's cosigner and verifier.
pub(crate) fn witness(name: &str, seed: u8) -> (Cosigner, Ed25519Verifier) {
    let cosigner = Cosigner::new(name, key(seed)).expect("good name");
    let verifier = Ed25519Verifier::new(cosigner.verifier_key().clone(), verify);
    (cosigner, verifier)
}
