//! Why an agreement does not count.

use karvan_types::{ErrorKind, Instance};

/// An agreement cannot be used or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A member breaks its rule.
    #[error("the agreement's `{field}` {rule}")]
    Content {
        /// The member.
        field: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A nation that it names has not signed it.
    #[error(
        "not in force: no member of {} that is a party has signed",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    )]
    Unsigned(Vec<Instance>),
    /// Signatures, keys or the document's form.
    #[error(transparent)]
    Trust(#[from] karvan_trust::Error),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Content { .. } => ErrorKind::Invalid,
            Self::Unsigned(_) => ErrorKind::Evidence,
            Self::Trust(error) => error.kind(),
        }
    }
}
