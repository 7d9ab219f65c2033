//! What stops a node. Refusals of single messages are [`karvan_subsystem::Rejection`].

use karvan_types::ErrorKind;

/// A failure that ends a part of the node.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node's state cannot be read or written.
    #[error("the node's store failed")]
    Store(#[from] karvan_store::Error),
    /// The evidence log cannot be read or written.
    #[error("the evidence log failed")]
    Ledger(#[from] karvan_ledger::Error),
    /// Keys, lists or certificates.
    #[error("keys or lists failed")]
    Trust(#[from] karvan_trust::Error),
    /// The log has other entries than the database queued.
    #[error(
        "the evidence log and the database diverge: entries {queued:?} were appended at \
         {appended:?}; restore both from one backup, then compare with the peer"
    )]
    LogDiverged {
        /// Queue numbers, each one more than the index that it must get.
        queued: Vec<u64>,
        /// Indexes in the log.
        appended: Vec<u64>,
    },
    /// The configuration contradicts itself or the lists.
    #[error("{0}")]
    Config(String),
    /// A file or socket failed.
    #[error("{doing} failed")]
    Io {
        /// What was attempted.
        doing: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Ledger(error) => error.kind(),
            Self::Trust(error) => error.kind(),
            Self::LogDiverged { .. } => ErrorKind::Evidence,
            Self::Config(_) => ErrorKind::LocalConfig,
            Self::Io { .. } => ErrorKind::Storage,
        }
    }
}
