//! Signed notes (C2SP signed-note v1.0.0): a short text with signature lines.
//!
//! The text is divided from its signatures at the last empty line. A signature line names its key
//! by name and four-byte id, so a reader tells known from unknown keys before any cryptography:
//! unknown ones are ignored, and one failing signature of a known key refuses the whole note.
//!
//! Invariant: a [`Note`] that was parsed writes back to exactly the bytes it came from.
//!
//! Not here: the signature algorithm (a caller lends it through [`Ed25519Key`] and
//! [`Ed25519Verify`]), what the text says (`crate::checkpoint`).

mod ed25519;
mod key;

use std::fmt;

use crate::Error;
use crate::text::{base64, to_base64};

pub use ed25519::{Ed25519Key, Ed25519Verifier, Ed25519Verify, NoteSigner, SignError};
pub use key::{KeyId, KeyKind, NAME_BYTES_MAX, VerifierKey, check_name};

/// Longest note accepted, in bytes; room for 64 post-quantum signatures.
pub const NOTE_BYTES_MAX: usize = 512 * 1024;
/// Most signature lines accepted (C2SP signed-note asks for at least 16).
pub const SIGNATURES_MAX: usize = 64;

const WHAT: &str = "signed note";
/// Em dash and space: the start of every signature line.
const LINE_START: &str = "\u{2014} ";

/// Signs note texts under one name.
pub trait Signer: Send + Sync {
    /// Returns the key's name.
    fn name(&self) -> &str;
    /// Returns the key's id.
    fn key_id(&self) -> KeyId;
    /// Returns the signature blob for a note text, without the key id.
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Checks the signatures of one key.
pub trait Verifier: Send + Sync {
    /// Returns the key's name.
    fn name(&self) -> &str;
    /// Returns the key's id.
    fn key_id(&self) -> KeyId;
    /// Returns whether the blob is this key's signature of the note text.
    fn verify(&self, text: &[u8], signature: &[u8]) -> bool;
}

/// One signature line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub key_id: KeyId,
    /// What the algorithm made; for a cosignature it begins with the time.
    pub blob: Vec<u8>,
}

impl Signature {
    /// Parses one signature line, without its newline.
    pub fn parse(line: &str) -> Result<Self, Error> {
        let rule =
            "a signature line is an em dash, the key name and the base64 of id and signature";
        let malformed = Error::Malformed { what: WHAT, rule };
        let rest = line.strip_prefix(LINE_START).ok_or(malformed.clone())?;
        let (name, blob) = rest.split_once(' ').ok_or(malformed.clone())?;
        check_name(name)?;
        let bytes = base64(blob).ok_or(malformed.clone())?;
        let (id, blob) = bytes.split_first_chunk::<4>().ok_or(malformed.clone())?;
        if blob.is_empty() {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), key_id: KeyId(*id), blob: blob.to_vec() })
    }

    /// Parses lines that each end in a newline; at least one.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, Error> {
        let rule = "there must be signature lines, each ending in a newline";
        let lines = text.strip_suffix('\n').ok_or(Error::Malformed { what: WHAT, rule })?;
        let actual = lines.split('\n').count();
        if actual > SIGNATURES_MAX {
            let (unit, max) = ("signatures", SIGNATURES_MAX);
            return Err(Error::TooLarge { what: WHAT, unit, actual, max });
        }
        lines.split('\n').map(Self::parse).collect()
    }

    /// Returns whether this line names the verifier's key.
    pub fn names(&self, verifier: &dyn Verifier) -> bool {
        self.name == verifier.name() && self.key_id == verifier.key_id()
    }
}

/// Writes the line with its newline.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.key_id.0.as_slice(), &self.blob].concat();
        writeln!(f, "{LINE_START}{} {}", self.name, to_base64(&bytes))
    }
}

/// A text with its signatures. Parsing proves nothing about them: see [`Note::verify`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Signs a text with each of `signers`.
    pub fn sign(text: String, signers: &[&dyn Signer]) -> Result<Self, Error> {
        check_text(&text)?;
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            let blob = signer.sign(text.as_bytes()).map_err(|error| Error::Signer {
                name: signer.name().to_owned(),
                reason: error.0,
            })?;
            let (name, key_id) = (signer.name().to_owned(), signer.key_id());
            signatures.push(Signature { name, key_id, blob });
        }
        Ok(Self { text, signatures })
    }

    /// Parses a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |rule| Error::Malformed { what: WHAT, rule };
        if bytes.len() > NOTE_BYTES_MAX {
            let (unit, max) = ("bytes", NOTE_BYTES_MAX);
            return Err(Error::TooLarge { what: WHAT, unit, actual: bytes.len(), max });
        }
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("it must be UTF-8"))?;
        let divider = note.rfind("\n\n");
        let divider = divider.ok_or(malformed("an empty line must divide text and signatures"))?;
        let (text, signatures) = note.split_at(divider + 1);
        check_text(text)?;
        let signatures = signatures.strip_prefix('\n').unwrap_or_default();
        Ok(Self { text: text.to_owned(), signatures: Signature::parse_lines(signatures)? })
    }

    /// Returns the signed text, with its last newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signature lines in their order.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature line; one of the same key is replaced.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|old| old.name != signature.name || old.key_id != signature.key_id);
        self.signatures.push(signature);
    }

    /// Checks every signature of a known key and returns those lines; at least one.
    ///
    /// Whether they are enough is the caller's policy.
    pub fn verify(&self, verifiers: &[&dyn Verifier]) -> Result<Vec<&Signature>, Error> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            let mut known = verifiers.iter().filter(|verifier| signature.names(**verifier));
            let Some(verifier) = known.next() else { continue };
            let (name, id) = (signature.name.clone(), signature.key_id);
            if known.next().is_some() {
                return Err(Error::AmbiguousKey { name, id });
            }
            if !verifier.verify(self.text.as_bytes(), &signature.blob) {
                return Err(Error::BadSignature { name, id });
            }
            verified.push(signature);
        }
        if verified.is_empty() { Err(Error::Unsigned) } else { Ok(verified) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| fmt::Display::fmt(signature, f))
    }
}

fn check_text(text: &str) -> Result<(), Error> {
    let malformed = |rule| Err(Error::Malformed { what: WHAT, rule });
    if !text.ends_with('\n') {
        return malformed("the text must end in a newline");
    }
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return malformed("the text must have no control characters except newline");
    }
    Ok(())
}
