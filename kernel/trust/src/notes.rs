//! Signed notes (C2SP signed-note) and cosignatures (C2SP tlog-cosignature) with a provider's keys.
//!
//! A log key signs checkpoints, a witness key cosigns those of others; both are Ed25519, as every
//! C2SP tool can verify it. One key serves one name: a cosignature does not say who made it.
//!
//! Not here: the formats (`karvan-evidence`), and what may be signed when (`karvan-ledger`).

use std::sync::Arc;

use karvan_evidence::cosignature::Cosigner;
use karvan_evidence::note::{Ed25519Key, Ed25519Verifier, NoteSigner, SignError, VerifierKey};

use crate::Error;
use crate::keys::{Algorithm, KeyId, KeyProvider, PublicKey};

/// Makes the signer of a log's checkpoints from a provider's Ed25519 key.
pub fn log_signer(
    origin: &str,
    key: &KeyId,
    keys: Arc<dyn KeyProvider>,
) -> Result<NoteSigner, Error> {
    Ok(NoteSigner::new(origin, NoteKey::provided(key, keys)?)?)
}

/// Makes a witness's cosigner from a provider's Ed25519 key.
pub fn cosigner(name: &str, key: &KeyId, keys: Arc<dyn KeyProvider>) -> Result<Cosigner, Error> {
    Ok(Cosigner::new(name, NoteKey::provided(key, keys)?)?)
}

/// Makes a verifier from the text of a verifier key (`name+id+base64`).
pub fn verifier(vkey: &str) -> Result<Ed25519Verifier, Error> {
    let vkey: VerifierKey = vkey.parse()?;
    Ok(Ed25519Verifier::new(vkey, verify_ed25519))
}

/// Returns whether `signature` over `message` is of `key` (RFC 8032, section 5.1.7).
pub fn verify_ed25519(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    PublicKey::new(Algorithm::Ed25519, key).is_ok_and(|key| key.verify(message, signature))
}

struct NoteKey {
    id: KeyId,
    public: [u8; 32],
    keys: Arc<dyn KeyProvider>,
}

impl NoteKey {
    fn provided(id: &KeyId, keys: Arc<dyn KeyProvider>) -> Result<Arc<dyn Ed25519Key>, Error> {
        let public = keys.public(id).ok_or_else(|| Error::KeyMissing(id.clone()))?;
        let public = public.as_bytes().try_into();
        let public = public.map_err(|_| Error::KeyRejected("notes are signed with Ed25519"))?;
        Ok(Arc::new(Self { id: id.clone(), public, keys }))
    }
}

impl Ed25519Key for NoteKey {
    fn public_key(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.keys.sign(&self.id, message);
        let signature = signature.map_err(|error| SignError(error.to_string()))?;
        signature.try_into().map_err(|_| SignError("a signature has 64 bytes".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use karvan_evidence::note::{Note, Verifier as _};
    use karvan_types::Digest;

    use super::*;
    use crate::keys::{KeyPair, MemoryKeys};

    #[test]
    fn a_providers_keys_sign_notes_that_verify() {
        let keys = MemoryKeys::new();
        let id = |text: &str| text.parse::<KeyId>().expect("a key id");
        for (name, algorithm, seed) in [
            ("PK/node/karachi-1#log-1", Algorithm::Ed25519, 1),
            ("AZ/node/baku-1#witness-1", Algorithm::Ed25519, 2),
            ("AZ/node/baku-1#sign-1", Algorithm::EcdsaP256Sha256, 3),
        ] {
            let pair = KeyPair::from_secret(algorithm, &[seed; 32]).expect("key");
            keys.insert(&id(name), pair).expect("inserted");
        }
        let keys: Arc<dyn KeyProvider> = Arc::new(keys);
        // The log key id that Go's x/mod/sumdb/note gives for this seed and origin.
        let origin = "pk.karvan.example/evidence/1";
        let log = log_signer(origin, &id("PK/node/karachi-1#log-1"), keys.clone()).expect("log");
        assert_eq!(log.verifier_key().key_id().0, [0x75, 0x18, 0xcd, 0x80]);

        let name = "az.karvan.example/witness/1";
        let witness =
            cosigner(name, &id("AZ/node/baku-1#witness-1"), keys.clone()).expect("witness");
        let text = format!("{origin}\n70000\n{}\n", Digest::of(b"root").to_base64());
        let mut note = Note::sign(text, &[&log]).expect("signed");
        let checkpoint = note.text().parse().expect("a checkpoint");
        note.add(witness.cosign(&checkpoint, 1_790_000_000).expect("cosigned"));
        let parsed = Note::parse(note.to_string().as_bytes()).expect("parsed");
        let verifiers = [log.verifier_key(), witness.verifier_key()]
            .map(|vkey| verifier(&vkey.to_string()).expect("verifier"));
        let [a, b] = &verifiers;
        assert_eq!(parsed.verify(&[a, b]).expect("verified").len(), 2);
        let blob = &parsed.signatures()[0].blob;
        for i in 0..blob.len() {
            let mut changed = blob.clone();
            changed[i] ^= 1;
            assert!(!a.verify(parsed.text().as_bytes(), &changed), "byte {i}");
        }
        let p256 = log_signer(origin, &id("AZ/node/baku-1#sign-1"), keys);
        assert!(matches!(p256.map(|_| ()), Err(Error::KeyRejected(_))));
    }
}
