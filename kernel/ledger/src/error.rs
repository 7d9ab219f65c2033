//! The one error of this crate.

use std::io;
use std::path::{Path, PathBuf};

use karvan_types::ErrorKind;
use karvan_types::limits::LOG_ENTRY_BYTES_MAX;

use crate::log::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX};

/// Something the log could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read, written or synced. The task has stopped: what is on disk is known
    /// again only after a restart.
    #[error("cannot {act} `{}`; mend the disk and start again", path.display())]
    Disk {
        /// What was being done.
        act: &'static str,
        /// To which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A stored file does not hold what was written.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// The log holds less than it once signed for, as after a restored backup.
    #[error(
        "the log has {have} entries but signed a checkpoint of {signed}; fetch the missing entries \
         from the peer before signing again"
    )]
    RolledBack {
        /// Entries found.
        have: u64,
        /// Largest size ever signed.
        signed: u64,
    },
    /// A format was broken or a signature does not verify.
    #[error(transparent)]
    Format(#[from] karvan_evidence::Error),
    /// An entry is empty or too long.
    #[error("an entry has 1 to {LOG_ENTRY_BYTES_MAX} bytes, not {0}")]
    EntrySize(usize),
    /// One call brought more than one batch.
    #[error(
        "one call takes up to {BATCH_ENTRIES_MAX} entries and {BATCH_BYTES_MAX} bytes, not \
         {entries} and {bytes}"
    )]
    BatchSize {
        /// Entries in the call.
        entries: usize,
        /// Bytes in the call.
        bytes: usize,
    },
    /// Queue numbers must rise, and none may be passed over and brought later.
    #[error("queue number {number} comes after {last}; numbers must rise and start at 1")]
    QueueOrder {
        /// The number.
        number: u64,
        /// The largest number before it.
        last: u64,
    },
    /// A queue number came again with other bytes, as after a restored database. The task has
    /// stopped: log and database tell different stories.
    #[error(
        "queue number {number} came with other bytes than entry {index} of the log has; the \
         database or the log was put back to an older state: restore both from one backup, then \
         compare with the peer"
    )]
    QueueContent {
        /// The number.
        number: u64,
        /// The entry that already has it.
        index: u64,
    },
    /// The log has no such entry, or no checkpoint covers it yet.
    #[error("the log has nothing at {wanted}; it covers {size} entries")]
    NotFound {
        /// Index or size asked for.
        wanted: u64,
        /// Entries covered.
        size: u64,
    },
    /// The task has ended, so nothing can be appended.
    #[error("the evidence log has stopped; see the node's log for the cause")]
    Stopped,
    /// A setting cannot work.
    #[error("the setting `{field}` of the evidence log {rule}")]
    Config {
        /// The setting.
        field: &'static str,
        /// What it must be.
        rule: String,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Disk { .. } | Self::Stopped => ErrorKind::Storage,
            Self::Damaged { .. } | Self::RolledBack { .. } | Self::QueueContent { .. } => {
                ErrorKind::Evidence
            }
            Self::Format(error) => error.kind(),
            Self::EntrySize(_) | Self::BatchSize { .. } => ErrorKind::TooLarge,
            Self::QueueOrder { .. } => ErrorKind::Conflict,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Config { .. } => ErrorKind::LocalConfig,
        }
    }

    /// Returns whether a file is missing.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

/// Says what was being done to which file, for `map_err`.
pub(crate) fn disk(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Disk { act, path: path.to_owned(), source }
}
