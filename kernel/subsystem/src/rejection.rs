//! A refusal that the other side can read and act on.

use karvan_types::ErrorKind;
use serde::{Deserialize, Serialize};

/// Where in a document a rule was broken, and what to do about it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pointer {
    /// JSON Pointer (RFC 6901) of the field; empty for the whole document.
    pub pointer: String,
    /// The rule that was broken.
    pub rule: String,
    /// What to change.
    pub remedy: String,
}

/// A sub-system refuses a document or an operation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{text}")]
pub struct Rejection {
    /// Kind, which fixes status and exit code.
    pub kind: ErrorKind,
    /// Stable machine-readable code, such as `customs.unknown-certificate`.
    pub code: String,
    /// What is wrong and what to do, in plain words.
    pub text: String,
    /// The fields concerned, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<Pointer>,
}

impl Rejection {
    /// Makes a rejection without field pointers.
    pub fn new(kind: ErrorKind, code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind, code: code.into(), text: text.into(), pointers: Vec::new() }
    }

    /// Adds field pointers.
    #[must_use]
    pub fn with_pointers(self, pointers: Vec<Pointer>) -> Self {
        Self { pointers, ..self }
    }
}

impl From<karvan_store::Error> for Rejection {
    fn from(error: karvan_store::Error) -> Self {
        Self::new(error.kind(), "storage", error.to_string())
    }
}
