//! Private keys in memory.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use karvan_system::Entropy;
use zeroize::Zeroizing;

use crate::Error;
use crate::keys::{Algorithm, PublicKey};

/// A private key with its public half. The library wipes its memory when it is dropped.
pub struct KeyPair {
    private: Private,
    public: PublicKey,
}

// Both are pointers into the library's own memory, so boxing would gain nothing.
enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// DER of RFC 5915 around a P-256 scalar without the optional public key, in two pieces.
const EC_PRIVATE_HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
const EC_PRIVATE_TAIL: [u8; 12] =
    [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// How often a scalar is drawn before giving up. One draw fails with a chance of 2^-32.
const SCALAR_DRAWS_MAX: usize = 8;

impl KeyPair {
    /// Makes a new key from random bytes.
    pub fn generate(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Self, Error> {
        Self::generate_with_secret(algorithm, entropy).map(|(pair, _)| pair)
    }

    /// Makes a new key and also returns its 32 private bytes, for sealing.
    pub(super) fn generate_with_secret(
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<(Self, Zeroizing<[u8; 32]>), Error> {
        let mut secret = Zeroizing::new([0; 32]);
        for _ in 0..SCALAR_DRAWS_MAX {
            entropy.fill(secret.as_mut());
            if let Ok(pair) = Self::from_secret(algorithm, &secret) {
                return Ok((pair, secret));
            }
        }
        Err(Error::Crypto("make a key from random bytes"))
    }

    /// Makes the key from its 32 private bytes: the seed (RFC 8032) or the scalar (P-256).
    pub fn from_secret(algorithm: Algorithm, secret: &[u8; 32]) -> Result<Self, Error> {
        let rejected = |_| Error::KeyRejected("the private bytes are out of the curve's range");
        let (private, public) = match algorithm {
            Algorithm::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(secret).map_err(rejected)?;
                let public = PublicKey::new(algorithm, pair.public_key().as_ref())?;
                (Private::Ed25519(pair), public)
            }
            Algorithm::EcdsaP256Sha256 => {
                let der = [&EC_PRIVATE_HEAD[..], secret, &EC_PRIVATE_TAIL].concat();
                let der = Zeroizing::new(der);
                let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_private_key_der(signing, &der).map_err(rejected)?;
                let public = PublicKey::new(algorithm, pair.public_key().as_ref())?;
                (Private::P256(pair), public)
            }
        };
        Ok(Self { private, public })
    }

    /// Returns the public half.
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = match &self.private {
            Private::Ed25519(pair) => pair.try_sign(message),
            Private::P256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        let signature = signature.map_err(|_| Error::Crypto("sign"))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "private key of {:?}", self.public)
    }
}
