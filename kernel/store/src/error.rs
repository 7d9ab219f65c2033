//! What can go wrong with stored state.

use karvan_types::ErrorKind;

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
    /// The database or its disk failed; the transaction did not happen.
    #[error("{doing} failed: {cause}; check free space and the disk, then restart the node")]
    Backend {
        /// What was attempted.
        doing: &'static str,
        /// The back end's own words.
        cause: String,
    },
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
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::Schema(_) => ErrorKind::LocalConfig,
            Self::RolledBack(_) => ErrorKind::Invalid,
            _ => ErrorKind::Storage,
        }
    }
}
