//! The one error of this crate.

use karvan_types::ErrorKind;

use crate::note::KeyId;

/// A format was broken, or what it claims does not verify.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text or file breaks a rule of its format.
    #[error("the {what} is malformed: {rule}")]
    Malformed {
        /// The format, such as `signed note`.
        what: &'static str,
        /// The rule that was broken and so what to mend.
        rule: &'static str,
    },
    /// A text or file is longer, or has more parts, than its named bound.
    #[error("the {what} has {actual} {unit}; at most {max} are accepted")]
    TooLarge {
        /// The format.
        what: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        actual: usize,
        /// How many are accepted.
        max: usize,
    },
    /// No signature on a note belongs to a known key.
    #[error("the note has no signature by a known key; check the configured verifier keys")]
    Unsigned,
    /// A signature that names a known key does not verify, so the whole note is refused.
    #[error("the signature by `{name}` (key {id}) does not verify; the note was altered")]
    BadSignature {
        /// The key's name.
        name: String,
        /// The key's id.
        id: KeyId,
    },
    /// Two known keys share a name and an id, so a signature cannot be assigned to one of them.
    #[error("two verifier keys are called `{name}` with id {id}; remove one")]
    AmbiguousKey {
        /// The shared name.
        name: String,
        /// The shared id.
        id: KeyId,
    },
    /// The key could not sign.
    #[error("the key `{name}` cannot sign: {reason}")]
    Signer {
        /// The key's name.
        name: String,
        /// What the key provider said.
        reason: String,
    },
    /// A proof was asked for a range that the tree does not have.
    #[error("a tree of {size} entries has nothing at {wanted}; ask for a smaller number")]
    OutOfTree {
        /// The index or older size asked for.
        wanted: u64,
        /// The tree size.
        size: u64,
    },
    /// A proof does not lead to the root it should lead to.
    #[error("the {what} proof does not lead to the root hash of the checkpoint")]
    WrongProof {
        /// `inclusion` or `consistency`.
        what: &'static str,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. } => ErrorKind::Invalid,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Unsigned | Self::BadSignature { .. } | Self::WrongProof { .. } => {
                ErrorKind::Evidence
            }
            Self::AmbiguousKey { .. } | Self::Signer { .. } => ErrorKind::LocalConfig,
            Self::OutOfTree { .. } => ErrorKind::NotFound,
        }
    }
}
