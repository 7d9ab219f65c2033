//! Public keys, written as JSON Web Keys (RFC 7517; Ed25519 per RFC 8037, P-256 per RFC 7518).

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_types::Digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::keys::Algorithm;

/// A public key, parsed and ready. Cloning is cheap.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: Arc<[u8]>,
    // Parsing costs about as much as a tenth of a verification; it is paid once, here.
    parsed: Arc<ParsedPublicKey>,
    /// What was verified last, newest first.
    verified: Arc<Mutex<VecDeque<Digest>>>,
}

/// Verified texts that a key remembers: more batches than peers have under way at one time.
const VERIFIED_MAX: usize = 64;

/// Length of a P-256 point: the marker 4 and two coordinates (SEC 1, section 2.3.3).
const P256_POINT_BYTES: usize = 65;

impl PublicKey {
    /// Takes 32 bytes (Ed25519) or an uncompressed point of 65 bytes (P-256).
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, Error> {
        let parsed = match algorithm {
            Algorithm::Ed25519 if bytes.len() == 32 => ParsedPublicKey::new(&ED25519, bytes),
            Algorithm::EcdsaP256Sha256 if bytes.len() == P256_POINT_BYTES => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes)
            }
            _ => {
                return Err(Error::KeyRejected(
                    "a public key has 32 (Ed25519) or 65 bytes (P-256)",
                ));
            }
        };
        let parsed =
            parsed.map_err(|_| Error::KeyRejected("the bytes are no point of the curve"))?;
        let (parsed, verified) = (Arc::new(parsed), Arc::default());
        Ok(Self { algorithm, bytes: bytes.into(), parsed, verified })
    }

    /// Returns the algorithm this key is for, and no other.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the bytes as [`PublicKey::new`] takes them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns whether `signature` is this key's over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    /// Does as [`PublicKey::verify`] for what is likely to come again soon: a signature that was
    /// good lately is not computed again.
    pub(crate) fn verify_again(&self, message: &[u8], signature: &[u8]) -> bool {
        let both = Digest::of_parts(&[signature, message]);
        // Held while it verifies: what comes at the same time waits and finds the answer.
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.contains(&both) {
            return true;
        }
        let good = self.verify(message, signature);
        if good {
            verified.truncate(VERIFIED_MAX - 1);
            verified.push_front(both);
        }
        good
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.algorithm, URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

/// The JSON form. Unknown members are ignored (RFC 7517, section 4), a private one is refused.
#[derive(Deserialize, Serialize)]
struct Jwk {
    kty: String,
    crv: String,
    x: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
    #[serde(skip_serializing)]
    d: Option<serde::de::IgnoredAny>,
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let jwk = match self.algorithm {
            Algorithm::Ed25519 => Jwk {
                kty: "OKP".to_owned(),
                crv: "Ed25519".to_owned(),
                x: URL_SAFE_NO_PAD.encode(&self.bytes),
                y: None,
                d: None,
            },
            Algorithm::EcdsaP256Sha256 => {
                let (x, y) = self.bytes.get(1..).unwrap_or_default().split_at(32);
                Jwk {
                    kty: "EC".to_owned(),
                    crv: "P-256".to_owned(),
                    x: URL_SAFE_NO_PAD.encode(x),
                    y: Some(URL_SAFE_NO_PAD.encode(y)),
                    d: None,
                }
            }
        };
        jwk.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let jwk = Jwk::deserialize(deserializer)?;
        if jwk.d.is_some() {
            return Err(D::Error::custom(
                "the JWK holds a private key (`d`); publish the public one",
            ));
        }
        let coordinate = |text: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() == 32);
            bytes.ok_or_else(|| D::Error::custom("a JWK coordinate is 32 bytes in base64url"))
        };
        let x = coordinate(&jwk.x)?;
        let key = match (jwk.kty.as_str(), jwk.crv.as_str(), jwk.y.as_deref()) {
            ("OKP", "Ed25519", None) => Self::new(Algorithm::Ed25519, &x),
            ("EC", "P-256", Some(y)) => {
                let point = [&[4_u8][..], &x, &coordinate(y)?].concat();
                Self::new(Algorithm::EcdsaP256Sha256, &point)
            }
            _ => return Err(D::Error::custom("a JWK here is OKP with Ed25519, or EC with P-256")),
        };
        key.map_err(D::Error::custom)
    }
}
