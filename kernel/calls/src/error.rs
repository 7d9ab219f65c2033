//! The error of this crate: what keeps the gateway from starting or going on.
//!
//! Not here: what an agency or peer is told (`crate::wire::Refusal`).

use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;

/// The gateway cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node's state cannot be read or written.
    #[error("the state of calls: {0}")]
    Store(#[from] karvan_store::Error),
    /// The folder for bodies on their way cannot be used.
    #[error("the folder for bodies on their way: {0}; make it writable for the node")]
    Spool(std::io::Error),
    /// The program was built to be measured, and nobody said that this is meant.
    #[cfg(feature = "measure")]
    #[error(transparent)]
    NotMeant(#[from] crate::measure::NotMeant),
    /// A part refuses its settings.
    #[error("{0}")]
    Settings(Rejection),
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Spool(_) => ErrorKind::LocalConfig,
            #[cfg(feature = "measure")]
            Self::NotMeant(_) => ErrorKind::LocalConfig,
            Self::Settings(rejection) => rejection.kind,
        }
    }
}
