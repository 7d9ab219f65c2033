//! What is wrong with a text of a peer or of an operator, and what to do about it.

use std::fmt;

use karvan_types::{ErrorKind, json};
use serde::Serialize;

/// How many characters of a foreign value an error text shows.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// One broken rule: where, which, and the remedy. It can be shown to the author as it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// JSON pointer (RFC 6901) from the root of what was read; empty for the root itself.
    pub pointer: String,
    /// The rule that is broken, such as `must be a text`.
    pub rule: String,
    /// What the author should write instead.
    pub remedy: String,
}

impl Problem {
    /// Returns the problem as seen from a document that holds what was read at `prefix`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        self.pointer.insert_str(0, prefix);
        self
    }

    /// Returns what this means to the caller.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, rule, remedy } = self;
        if pointer.is_empty() {
            write!(f, "the root {rule}; {remedy}")
        } else {
            write!(f, "`{pointer}` {rule}; {remedy}")
        }
    }
}

impl std::error::Error for Problem {}

/// A text cannot be read as what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The body is longer than its kind of message may be.
    #[error("the body has {bytes} bytes; a {what} has at most {bytes_max}, send a shorter one")]
    TooLong {
        /// The type of message that was expected.
        what: &'static str,
        /// How long the body is.
        bytes: usize,
        /// How long it may be.
        bytes_max: usize,
    },
    /// The body is not JSON in the one reading that all parsers agree on.
    #[error("the body is not strict JSON")]
    Json(#[from] json::Error),
    /// A member is missing or breaks its rule.
    #[error(transparent)]
    Invalid(#[from] Problem),
}

impl Error {
    /// Returns what this means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. } => ErrorKind::TooLarge,
            Self::Json(_) => ErrorKind::Invalid,
            Self::Invalid(problem) => problem.kind(),
        }
    }
}

/// Returns a foreign text as error texts show it: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    let visible = |letter: char| if letter.is_control() { '\u{fffd}' } else { letter };
    let mut short: String = text.chars().take(SHOWN_CHARACTERS_MAX).map(visible).collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        short.push('…');
    }
    short
}
