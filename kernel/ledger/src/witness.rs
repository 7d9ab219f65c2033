//! Witnesses the logs of others: cosigns a checkpoint only when it extends the last one seen
//! (C2SP tlog-witness).
//!
//! For each log the last cosigned checkpoint is kept in `<hex SHA-256 of the origin>/checkpoint`.
//! A request that the log signed and that contradicts it is kept whole in `conflicts/`: with the
//! stored checkpoint it proves, to anyone, that the log showed two histories.
//!
//! Invariants: check and save are one step under one lock; what is saved is durable before the
//! cosignature leaves; the size seen of a log never shrinks (INV-4).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use karvan_evidence::cosignature::Cosigner;
use karvan_evidence::note::{Note, Verifier};
use karvan_evidence::witness::{AddCheckpoint, Refusal, claimed_checkpoint, judge};
use karvan_evidence::{Checkpoint, note};
use karvan_system::{Clock, Disk};
use karvan_types::Digest;

use crate::Error;
use crate::error::disk;

/// Most conflicting requests kept; later ones are only counted as refused.
const CONFLICTS_MAX: usize = 256;
const CONFLICTS: &str = "conflicts";

/// A log that this witness serves.
pub struct KnownLog {
    /// Checks the log's signatures; its name is the log's origin.
    pub verifier: Arc<dyn note::Verifier>,
}

/// What a validly signed request contradicts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// Origin of the log.
    pub origin: String,
    /// Size that this witness saw last.
    pub seen_size: u64,
    /// Size of the checkpoint in the request.
    pub size: u64,
    /// File that keeps the request; nothing when too many are kept already.
    pub file: Option<PathBuf>,
}

/// A request that was not cosigned.
#[derive(Debug)]
pub enum Refused {
    /// To be answered with the refusal's status and text. With a conflict the node raises an
    /// alarm: the log forked, was rolled back, or sent a wrong proof.
    Refused {
        /// The answer.
        refusal: Refusal,
        /// What was kept, when the log itself signed the contradiction.
        conflict: Option<Box<Conflict>>,
    },
    /// The witness itself failed; to be answered with 500.
    Failed(Error),
}

/// A witness.
pub struct Witness {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    cosigner: Cosigner,
    /// Held from the check to the durable save.
    step: Mutex<()>,
}

impl Witness {
    /// Opens a witness in a folder.
    pub fn open(
        dir: PathBuf,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        cosigner: Cosigner,
    ) -> Result<Self, Error> {
        crate::segments::disk_dir(&*disk, &dir.join(CONFLICTS))?;
        Ok(Self { dir, disk, clock, cosigner, step: Mutex::new(()) })
    }

    /// Returns the public key to hand to others.
    pub fn verifier_key(&self) -> &note::VerifierKey {
        self.cosigner.verifier_key()
    }

    /// Judges an add-checkpoint request and returns the cosignature line. Blocks on the disk.
    pub fn add_checkpoint(&self, body: &[u8], logs: &[KnownLog]) -> Result<String, Refused> {
        let refused = |refusal| Refused::Refused { refusal, conflict: None };
        let request = AddCheckpoint::parse(body);
        let request = request.map_err(|error| refused(Refusal::Malformed(error.to_string())))?;
        let claimed = claimed_checkpoint(&request).map_err(refused)?;
        let log = logs.iter().find(|log| log.verifier.name() == claimed.origin);
        let log = &*log.ok_or(refused(Refusal::UnknownLog))?.verifier;
        let _step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = self.seen(log).map_err(Refused::Failed)?;
        let checkpoint = match judge(&request, log, seen.as_ref()) {
            Ok(checkpoint) => checkpoint,
            Err(refusal) => {
                let conflict = self.conflict(&claimed, seen.as_ref(), &refusal, body);
                return Err(Refused::Refused {
                    conflict: conflict.map_err(Refused::Failed)?,
                    refusal,
                });
            }
        };
        if seen.as_ref() != Some(&checkpoint) {
            self.save(&checkpoint, &request.note).map_err(Refused::Failed)?;
        }
        let seconds = u64::try_from(self.clock.now().as_seconds()).unwrap_or(0);
        let signature = self.cosigner.cosign(&checkpoint, seconds);
        Ok(signature.map_err(|error| Refused::Failed(error.into()))?.to_string())
    }

    /// Returns the last cosigned checkpoint of a log, as the log signed it.
    pub fn checkpoint(&self, origin: &str) -> Result<Option<String>, Error> {
        let path = self.path(origin);
        if !self.disk.exists(&path) {
            return Ok(None);
        }
        let bytes = self.disk.read(&path).map_err(disk("read", &path))?;
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| Error::damaged(&path, "it is not text; restore it"))
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(Digest::of(origin.as_bytes()).to_string()).join("checkpoint")
    }

    fn seen(&self, log: &dyn Verifier) -> Result<Option<Checkpoint>, Error> {
        let path = self.path(log.name());
        let Some(text) = self.checkpoint(log.name())? else { return Ok(None) };
        // A key that was rotated cannot verify an old note; the text is what counts here.
        let parsed = Note::parse(text.as_bytes()).and_then(|note| note.text().parse());
        let what = "it is not a checkpoint; restore it: a witness must not forget what it saw";
        parsed.map(Some).map_err(|_| Error::damaged(&path, what))
    }

    fn save(&self, checkpoint: &Checkpoint, note: &Note) -> Result<(), Error> {
        let path = self.path(&checkpoint.origin);
        crate::segments::disk_dir(&*self.disk, path.parent().unwrap_or(Path::new("")))?;
        let saved = self.disk.replace(&path, note.to_string().as_bytes());
        saved.map_err(disk("replace", &path))
    }

    /// Keeps a request that the log signed and that contradicts what was seen.
    fn conflict(
        &self,
        claimed: &Checkpoint,
        seen: Option<&Checkpoint>,
        refusal: &Refusal,
        body: &[u8],
    ) -> Result<Option<Box<Conflict>>, Error> {
        let seen_size = seen.map_or(0, |seen| seen.size);
        let rolled_back = matches!(refusal, Refusal::OtherSize { .. }) && claimed.size < seen_size;
        if !rolled_back && !matches!(refusal, Refusal::Inconsistent(_)) {
            return Ok(None);
        }
        let folder = self.dir.join(CONFLICTS);
        let name = format!("{}.txt", Digest::of(claimed.to_string().as_bytes()));
        let path = folder.join(&name);
        let kept = self.disk.list(&folder).map_err(disk("list", &folder))?;
        let file = if kept.contains(&name) {
            Some(path)
        } else if kept.len() < CONFLICTS_MAX {
            self.disk.replace(&path, body).map_err(disk("replace", &path))?;
            Some(path)
        } else {
            None
        };
        let (origin, size) = (claimed.origin.clone(), claimed.size);
        tracing::error!(origin, size, seen_size, "a log contradicts what it showed before");
        Ok(Some(Box::new(Conflict { origin, seen_size, size, file })))
    }
}
