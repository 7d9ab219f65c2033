//! The add-checkpoint exchange of C2SP tlog-witness: request, judgement, answers.
//!
//! A log posts its newest checkpoint with a proof that it extends the one the witness saw last;
//! the witness answers with a cosignature, or refuses with a status and a reason.
//!
//! Not here: storing what was seen, which must be atomic with [`judge`] and durable before the
//! answer (`karvan-ledger`), and HTTP (`karvan-exchange`).

use std::fmt;

use karvan_types::Digest;

use crate::Error;
use crate::checkpoint::Checkpoint;
use crate::note::{NOTE_BYTES_MAX, Note, Verifier};
use crate::proof::{PROOF_HASHES_MAX, verify_consistency};
use crate::text::{decimal, hashes, head};
use crate::tree::empty_root;

/// Longest request accepted, in bytes: the head, the proof lines and the note.
pub const REQUEST_BYTES_MAX: usize = 64 + PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX;
/// Media type of the 409 answer.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";
const WHAT: &str = "add-checkpoint request";

/// The body of an add-checkpoint request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AddCheckpoint {
    /// Size that the log believes the witness saw last.
    pub old_size: u64,
    /// Consistency proof from that size to the checkpoint.
    pub proof: Vec<Digest>,
    /// The new checkpoint, signed by the log.
    pub note: Note,
}

impl AddCheckpoint {
    /// Parses a request body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let malformed = |rule| Error::Malformed { what: WHAT, rule };
        if bytes.len() > REQUEST_BYTES_MAX {
            let (unit, max) = ("bytes", REQUEST_BYTES_MAX);
            return Err(Error::TooLarge { what: WHAT, unit, actual: bytes.len(), max });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it must be UTF-8"))?;
        let (mut lines, note) = head(WHAT, text)?;
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal);
        let old_size = old_size.ok_or(malformed("its first line must be `old <size>`"))?;
        let proof = hashes(WHAT, lines)?;
        Ok(Self { old_size, proof, note: Note::parse(note.as_bytes())? })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.note)
    }
}

/// Why a witness refuses. The text is the answer's body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request cannot be read, or its sizes contradict each other.
    #[error("{0}\n")]
    Malformed(String),
    /// The origin is not one this witness serves.
    #[error("the log is not known to this witness\n")]
    UnknownLog,
    /// No valid signature by the log's key.
    #[error("{0}\n")]
    Unsigned(Error),
    /// The witness last saw another size, which the body tells.
    #[error("{seen}\n")]
    OtherSize {
        /// Size that the witness saw last.
        seen: u64,
    },
    /// The log signed two histories, or sent a wrong proof.
    #[error("{0}\n")]
    Inconsistent(Error),
}

impl Refusal {
    /// Returns the HTTP status (C2SP tlog-witness).
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::Unsigned(_) => 403,
            Self::UnknownLog => 404,
            Self::OtherSize { .. } => 409,
            Self::Inconsistent(_) => 422,
        }
    }

    /// Returns the media type of the body.
    pub const fn media_type(&self) -> &'static str {
        if matches!(self, Self::OtherSize { .. }) { SIZE_MEDIA_TYPE } else { "text/plain" }
    }
}

/// Reads the size in the body of a 409 answer.
pub fn parse_size(body: &str) -> Result<u64, Error> {
    let rule = "the body of a 409 answer must be the witness's size and a newline";
    let size = body.strip_suffix('\n').and_then(decimal);
    size.ok_or(Error::Malformed { what: "witness answer", rule })
}

/// Reads the origin that a request speaks for, before anything is verified.
pub fn claimed_checkpoint(request: &AddCheckpoint) -> Result<Checkpoint, Refusal> {
    request.note.text().parse().map_err(|error: Error| Refusal::Malformed(error.to_string()))
}

/// Decides about a request of a known log, given its key and the checkpoint seen last.
///
/// On success the caller stores the checkpoint, durably, and only then cosigns it.
pub fn judge(
    request: &AddCheckpoint,
    log: &dyn Verifier,
    seen: Option<&Checkpoint>,
) -> Result<Checkpoint, Refusal> {
    let checkpoint = claimed_checkpoint(request)?;
    if checkpoint.origin != log.name() {
        return Err(Refusal::UnknownLog);
    }
    request.note.verify(&[log]).map_err(Refusal::Unsigned)?;
    let old = request.old_size;
    if old > checkpoint.size {
        let text = "the old size is larger than the size of the checkpoint";
        return Err(Refusal::Malformed(text.to_owned()));
    }
    let (seen_size, seen_root) = seen.map_or((0, empty_root()), |seen| (seen.size, seen.root));
    if old != seen_size {
        return Err(Refusal::OtherSize { seen: seen_size });
    }
    verify_consistency(&request.proof, old, &seen_root, checkpoint.size, &checkpoint.root)
        .map_err(Refusal::Inconsistent)?;
    if checkpoint.size == 0 && checkpoint.root != empty_root() {
        return Err(Refusal::Inconsistent(Error::WrongProof { what: "consistency" }));
    }
    Ok(checkpoint)
}
