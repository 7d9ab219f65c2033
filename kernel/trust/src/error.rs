//! What can go wrong with keys, lists and certificates. Refused messages are
//! [`crate::message::Refusal`].

use std::io;
use std::path::{Path, PathBuf};

use karvan_types::{ErrorKind, json};

use crate::ca::CertificateError;
use crate::keys::KeyId;
use crate::lists::ListError;
use crate::message::Refusal;

/// A failure of this crate outside message verification.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The provider holds no private key of this name.
    #[error("there is no private key `{0}` here; generate it, or name one that exists")]
    KeyMissing(KeyId),
    /// A key of this name exists; keys are never overwritten.
    #[error("the key `{0}` exists already; choose another name, keys are never overwritten")]
    KeyExists(KeyId),
    /// The bytes are no key of the algorithm, or the key is unsafe.
    #[error("not a usable key: {0}")]
    KeyRejected(&'static str),
    /// The key folder's master key does not open.
    #[error(
        "the passphrase or key file does not open {}; use the one it was made with (or restore \
         the file, if it was altered)", .0.display()
    )]
    Locked(PathBuf),
    /// A stored file was changed since it was written, or belongs elsewhere.
    #[error("{} is damaged or out of place; restore it from backup", .0.display())]
    Altered(PathBuf),
    /// The key folder was made already.
    #[error("{} is a key folder already; open it instead of creating it", .0.display())]
    FolderExists(PathBuf),
    /// A file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A certificate or certificate request is refused.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The other end of a connection is not, or no longer, who it must be.
    #[error("the peer's certificate is refused: {}", reason(.0))]
    Tls(rustls::Error),
    /// There is no authority to verify an agency's system by.
    #[error("no authority to verify the system by: {0}; give certificates in PEM")]
    NoAuthorities(&'static str),
    /// A note, its name or its verifier key is malformed.
    #[error(transparent)]
    Note(#[from] karvan_evidence::Error),
    /// The cryptography library failed where it must not.
    #[error("the cryptography library failed to {0}")]
    Crypto(&'static str),
    /// A message cannot be signed, or a document's signer may not sign.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A root or list is refused, or does not name what was asked for.
    #[error(transparent)]
    List(#[from] ListError),
    /// A signed document is not of the form that is signed here.
    #[error("not a signed document: {0}")]
    DocumentMalformed(&'static str),
    /// A signed document is longer than its bound.
    #[error("the signed document has {bytes} bytes; at most {bytes_max} are accepted")]
    DocumentTooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A text is no strict JSON, or not of the expected shape.
    #[error(transparent)]
    Json(#[from] json::Error),
}

impl Error {
    /// Makes a function that turns a system error into one that names the act and the file.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// Returns whose turn it is to act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::KeyMissing(_) => ErrorKind::NotFound,
            Self::KeyExists(_) | Self::FolderExists(_) => ErrorKind::Conflict,
            Self::KeyRejected(_)
            | Self::Json(_)
            | Self::DocumentMalformed(_)
            | Self::NoAuthorities(_)
            | Self::Certificate(_) => ErrorKind::Invalid,
            Self::DocumentTooLong { .. } => ErrorKind::TooLarge,
            Self::Locked(_) => ErrorKind::LocalConfig,
            Self::Altered(_) | Self::Io { .. } => ErrorKind::Storage,
            Self::Tls(_) => ErrorKind::Unauthenticated,
            Self::Note(error) => error.kind(),
            Self::Crypto(_) => ErrorKind::Internal,
            Self::Refused(refusal) => refusal.kind(),
            Self::List(error) => error.kind(),
        }
    }
}

/// Returns the text of our own reason inside a TLS error, or of the error.
fn reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(own)) => {
            own.0.to_string()
        }
        other => other.to_string(),
    }
}
