//! Settings of a log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use karvan_evidence::note::{Signer, Verifier};

use crate::Error;
use crate::segment::SEGMENT_BYTES_MIN;

/// Settings of a log. [`Config::new`] fills in what a node normally wants.
#[derive(Clone)]
pub struct Config {
    /// Folder of the log.
    pub dir: PathBuf,
    /// File that keeps the largest size ever signed. It must not be in `dir`, and should be on
    /// another volume: a restored backup of `dir` is found out by it. Its folder is made when it is
    /// missing.
    pub signed_size_file: PathBuf,
    /// Checks the log's own signatures.
    pub verifier: Arc<dyn Verifier>,
    /// Check the cosignatures of the witnesses that are asked.
    pub witnesses: Vec<Arc<dyn Verifier>>,
    /// Number of witnesses whose cosignatures make an entry [`crate::State::Witnessed`].
    pub quorum: usize,
    /// Length of a segment file, in bytes.
    pub segment_bytes: u64,
    /// Time between checkpoints while entries arrive.
    pub checkpoint_every: Duration,
    /// Defects planted by a test; none in a node.
    pub faults: Faults,
}

/// Defects that a simulation plants to see whether it finds them. Never set outside tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Signs and stores a checkpoint, and writes the tiles that it covers only when the next one
    /// is due.
    pub checkpoint_before_tiles: bool,
}

impl Config {
    /// Makes the settings of a log without witnesses: segments of 64 MiB, a checkpoint a second.
    pub fn new(dir: PathBuf, signed_size_file: PathBuf, verifier: Arc<dyn Verifier>) -> Self {
        Self {
            dir,
            signed_size_file,
            verifier,
            witnesses: Vec::new(),
            quorum: 1,
            segment_bytes: 64 * 1024 * 1024,
            checkpoint_every: Duration::from_secs(1),
            faults: Faults::default(),
        }
    }

    pub(crate) fn check(&self, signer: &dyn Signer) -> Result<(), Error> {
        let fail = |field, rule: &str| Err(Error::Config { field, rule: rule.to_owned() });
        if self.segment_bytes < SEGMENT_BYTES_MIN {
            return fail("segment_bytes", &format!("must be at least {SEGMENT_BYTES_MIN}"));
        }
        if self.signed_size_file.starts_with(&self.dir) {
            return fail("signed_size_file", "must not be inside the folder of the log");
        }
        if self.verifier.name() != signer.name() || self.verifier.key_id() != signer.key_id() {
            return fail("verifier", "must be the public key of the signer");
        }
        if self.quorum == 0 || self.checkpoint_every.is_zero() {
            return fail("quorum", "and the time between checkpoints must not be zero");
        }
        Ok(())
    }
}
