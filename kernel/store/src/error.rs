//! What can go wrong with stored state.

use std::any::Any;
use std::path::Path;

use karvan_types::{Digest, ErrorKind};

/// A storage failure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An insert met an existing key or unique index value.
    #[error("a record with this {what} exists already in table {table}")]
    Exists {
        /// The table.
        table: &'static str,
        /// `key` or the name of the unique index.
        what: String,
    },
    /// A stored record does not fit its type.
    #[error("the record {key} in table {table} cannot be read")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The record's key.
        key: String,
        /// What the reader found.
        #[source]
        source: serde_json::Error,
    },
    /// The database or its disk failed. Whether a transaction whose commit failed took effect is
    /// known only after the next start; nothing was promised for it.
    #[error("{doing} failed: {cause}; check free space and the disk, then restart the node")]
    Backend {
        /// What was attempted.
        doing: &'static str,
        /// The back end's own words.
        cause: String,
    },
    /// A row or a transaction is larger than its bound.
    #[error("{what} has {bytes} bytes; at most {bytes_max} are stored; keep large bodies as files")]
    TooLarge {
        /// What was to be stored.
        what: &'static str,
        /// Its length.
        bytes: u64,
        /// The bound.
        bytes_max: u64,
    },
    /// A call breaks the contract of tables and ranges: a defect in the calling code.
    #[error("table {table}: {rule}")]
    Misuse {
        /// The table named in the call.
        table: &'static str,
        /// The broken rule and so the remedy.
        rule: String,
    },
    /// The code of the transaction or view panicked; nothing was changed.
    #[error("the code of a transaction panicked and nothing was changed; report this defect: {0}")]
    Panicked(String),
    /// Another process holds the store.
    #[error("the store in {folder} is in use by another process; stop it or use another folder")]
    InUse {
        /// The folder of the store.
        folder: String,
    },
    /// No file holds a body with this digest.
    #[error("there is no stored body {0}")]
    NoBody(Digest),
    /// A stored body does not match the digest that names it.
    #[error("the stored body {0} is damaged; restore it from a backup or ask the sender again")]
    DamagedBody(Digest),
    /// The stored schema was made by another version.
    #[error("{0}")]
    Schema(String),
    /// The writer has stopped: the node is shutting down or met a fatal storage error before.
    #[error("the store has stopped taking work; see the log of the node for the first error")]
    Stopped,
    /// The transaction was given up on purpose by its own code; nothing was changed.
    #[error("the transaction was rolled back: {0}")]
    RolledBack(String),
}

impl Error {
    /// A failure of the disk or the database, in its own words.
    pub(crate) fn backend(doing: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::Backend { doing, cause: cause.to_string() }
    }

    /// A failure to work on one path.
    pub(crate) fn io(doing: &'static str, path: &Path, error: &std::io::Error) -> Self {
        Self::backend(doing, format_args!("{}: {error}", path.display()))
    }

    /// A panic caught from the code of a transaction or view.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panicked(text.unwrap_or_else(|| "no message".to_owned()))
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::Schema(_) | Self::InUse { .. } => ErrorKind::LocalConfig,
            Self::RolledBack(_) => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NoBody(_) => ErrorKind::NotFound,
            Self::Misuse { .. } | Self::Panicked(_) => ErrorKind::Internal,
            _ => ErrorKind::Storage,
        }
    }
}
