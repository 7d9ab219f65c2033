//! Why a message, a decision or a question is refused, and the HTTP status that says so.

use http::StatusCode;
use karvan_dataspace::{Illegal, Problem};
use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;

/// Something cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The message does not fit the state of its process, or its sender.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The message cannot be read.
    #[error(transparent)]
    Unreadable(#[from] karvan_dataspace::Error),
    /// A rule of ours, or of the agreement, is broken.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The node's state cannot be read or written.
    #[error("the node's store failed")]
    Store(#[from] karvan_store::Error),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Unreadable(problem.into())
    }
}

impl Error {
    /// Makes a refusal.
    pub(crate) fn new(kind: ErrorKind, code: &str, text: impl Into<String>) -> Self {
        Self::Rejected(Rejection::new(kind, code, text))
    }

    /// Makes the refusal of a message that breaks a rule.
    pub(crate) fn invalid(code: &str, text: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, text)
    }

    /// Makes the answer about a process that is unknown, or not the caller's: to others it is.
    pub(crate) fn unknown(what: &str, id: &str) -> Self {
        let id: String = id.chars().take(80).collect();
        Self::new(ErrorKind::NotFound, "unknown", format!("there is no {what} `{id}` here"))
    }

    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Illegal(error) => error.kind(),
            Self::Unreadable(error) => error.kind(),
            Self::Rejected(rejection) => rejection.kind,
            Self::Store(error) => error.kind(),
        }
    }

    /// Returns the word for programs.
    pub fn code(&self) -> &str {
        match self {
            Self::Illegal(_) => "invalid-state",
            Self::Unreadable(_) => "malformed",
            Self::Rejected(rejection) => &rejection.code,
            Self::Store(_) => "storage",
        }
    }

    /// Returns the status of the answer to a peer (DSP 2025-1, HTTPS binding).
    ///
    /// Peers end a process over any 4xx, so there is one only for what will not mend by itself;
    /// and 404 is only for what is not there.
    pub fn status(&self) -> StatusCode {
        match self.kind() {
            ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Overloaded
            | ErrorKind::PeerUnavailable
            | ErrorKind::LocalConfig
            | ErrorKind::Storage
            | ErrorKind::Internal => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// The refusal as the local interface shows it.
impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error {
            Error::Rejected(rejection) => rejection,
            other => Self::new(other.kind(), other.code().to_owned(), other.to_string()),
        }
    }
}
