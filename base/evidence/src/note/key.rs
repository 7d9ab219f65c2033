//! Names and ids of note keys, and their public text form.

use std::fmt;
use std::str::FromStr;

use karvan_types::Digest;

use crate::Error;
use crate::text::{base64, to_base64};

/// Longest key name accepted, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest public key accepted, in bytes; ML-DSA-44 has 1,312.
const KEY_BYTES_MAX: usize = 4096;
const WHAT: &str = "verifier key";

/// Says which key of a name made a signature. Text form: 8 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(pub [u8; 4]);

impl KeyId {
    /// Computes the id: the first bytes of SHA-256 over name, newline, type byte and public key.
    pub fn new(name: &str, kind: KeyKind, public_key: &[u8]) -> Self {
        let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[kind as u8], public_key]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a key signs, and with which algorithm.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum KeyKind {
    /// Ed25519 over the note text.
    Ed25519 = 0x01,
    /// Ed25519 over `cosignature/v1`, a time and the checkpoint text.
    CosignatureV1 = 0x04,
}

/// A public note key (`vkey`): `<name>+<id>+<base64 of type byte and key>`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct VerifierKey {
    name: String,
    kind: KeyKind,
    public_key: [u8; 32],
}

impl VerifierKey {
    /// Names a public key.
    pub fn new(name: &str, kind: KeyKind, public_key: [u8; 32]) -> Result<Self, Error> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), kind, public_key })
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Returns the raw Ed25519 public key.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public_key
    }

    /// Returns the id.
    pub fn key_id(&self) -> KeyId {
        KeyId::new(&self.name, self.kind, &self.public_key)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [[self.kind as u8].as_slice(), &self.public_key].concat();
        write!(f, "{}+{}+{}", self.name, self.key_id(), to_base64(&bytes))
    }
}

impl FromStr for VerifierKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |rule| Error::Malformed { what: WHAT, rule };
        let (unit, max, actual) = ("bytes", NAME_BYTES_MAX + KEY_BYTES_MAX, text.len());
        if actual > max {
            return Err(Error::TooLarge { what: WHAT, unit, actual, max });
        }
        // A name has no `+`, base64 may have some.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("it is written <name>+<id>+<key>"));
        };
        let bytes = base64(key).ok_or(malformed("its key must be padded base64"))?;
        let (kind, public_key) = match bytes.split_first() {
            Some((1, key)) => (KeyKind::Ed25519, key),
            Some((4, key)) => (KeyKind::CosignatureV1, key),
            _ => return Err(malformed("its type must be 1 (Ed25519) or 4 (cosignature/v1)")),
        };
        let public_key = public_key.try_into();
        let public_key = public_key.map_err(|_| malformed("an Ed25519 key has 32 bytes"))?;
        let key = Self::new(name, kind, public_key)?;
        if key.key_id().to_string() != id {
            return Err(malformed("its id does not fit its name and key"));
        }
        Ok(key)
    }
}

/// Checks a key name: not empty, no Unicode space, no `+`, no control character.
pub fn check_name(name: &str) -> Result<(), Error> {
    let what = "key name";
    if name.len() > NAME_BYTES_MAX {
        let (unit, max) = ("bytes", NAME_BYTES_MAX);
        return Err(Error::TooLarge { what, unit, actual: name.len(), max });
    }
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    if name.is_empty() || name.contains(bad) {
        let rule = "it must not be empty and have no space, control character or `+`";
        return Err(Error::Malformed { what, rule });
    }
    Ok(())
}
