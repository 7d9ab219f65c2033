//! The offline proof of one log entry (draft C2SP tlog-proof, `c2sp.org/tlog-proof@v1`).
//!
//! A file carries the entry's index, its inclusion proof and the checkpoint with its signatures;
//! with the entry and public keys it is checked without a network.

use std::fmt;

use karvan_types::Digest;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::note::{NOTE_BYTES_MAX, Note, Signature, Verifier};
use crate::proof::{PROOF_HASHES_MAX, verify_inclusion};
use crate::text::{base64, decimal, hashes, head, to_base64};

/// Longest `extra` value, in bytes.
pub const EXTRA_BYTES_MAX: usize = 64 * 1024;
/// Longest file accepted, in bytes.
pub const PROOF_FILE_BYTES_MAX: usize =
    128 + EXTRA_BYTES_MAX * 4 / 3 + PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX;
/// Extension of the file's name.
pub const EXTENSION: &str = "tlog-proof";
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
const WHAT: &str = "tlog-proof file";

/// A proof file's content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProofFile {
    /// Data that the application needs to rebuild the entry. Nothing proves it.
    pub extra: Option<Vec<u8>>,
    /// Index of the entry.
    pub index: u64,
    /// Inclusion proof, leaf end first.
    pub path: Vec<Digest>,
    /// Checkpoint with the log's signature and cosignatures.
    pub note: Note,
}

/// What a proof file was found to prove.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proven {
    /// The checkpoint that the entry is under.
    pub checkpoint: Checkpoint,
    /// The verified signatures: the log's, and the cosignatures by known witnesses.
    pub signatures: Vec<Signature>,
}

impl ProofFile {
    /// Parses a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |rule| Error::Malformed { what: WHAT, rule };
        if bytes.len() > PROOF_FILE_BYTES_MAX {
            let (unit, max) = ("bytes", PROOF_FILE_BYTES_MAX);
            return Err(Error::TooLarge { what: WHAT, unit, actual: bytes.len(), max });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it must be UTF-8"))?;
        let (mut lines, note) = head(WHAT, text)?;
        if lines.next() != Some(FIRST_LINE) {
            return Err(malformed("its first line must be `c2sp.org/tlog-proof@v1`"));
        }
        let mut line = lines.next().unwrap_or_default();
        let mut extra = None;
        if let Some(value) = line.strip_prefix("extra ") {
            let value = base64(value).filter(|value| value.len() <= EXTRA_BYTES_MAX);
            extra = Some(value.ok_or(malformed("`extra` must be base64 of at most 64 KiB"))?);
            line = lines.next().unwrap_or_default();
        }
        let index = line.strip_prefix("index ").and_then(decimal);
        let index = index.ok_or(malformed("it must have a line `index <number>`"))?;
        let path = hashes(WHAT, lines)?;
        Ok(Self { extra, index, path, note: Note::parse(note.as_bytes())? })
    }

    /// Checks that an entry is in the log of `log`, under a checkpoint that its key signed.
    ///
    /// Cosignatures of `witnesses` are checked too; which of them are needed is the caller's
    /// policy, read from the answer.
    pub fn verify(
        &self,
        entry: &[u8],
        log: &dyn Verifier,
        witnesses: &[&dyn Verifier],
    ) -> Result<Proven, Error> {
        let checkpoint: Checkpoint = self.note.text().parse()?;
        if checkpoint.origin != log.name() {
            return Err(Error::Unsigned);
        }
        let verifiers: Vec<_> = [log].into_iter().chain(witnesses.iter().copied()).collect();
        let signatures = self.note.verify(&verifiers)?;
        if !signatures.iter().any(|signature| signature.names(log)) {
            return Err(Error::Unsigned);
        }
        let leaf = crate::tree::leaf_hash(entry);
        let (size, root) = (checkpoint.size, checkpoint.root);
        verify_inclusion(&self.path, self.index, size, &leaf, &root)?;
        Ok(Proven { checkpoint, signatures: signatures.into_iter().cloned().collect() })
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.note)
    }
}
