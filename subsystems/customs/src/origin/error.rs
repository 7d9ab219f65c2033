//! What can be wrong with a rule set or a product, and how to mend it.

use std::fmt;

use karvan_types::ErrorKind;
use serde::Serialize;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// Place in the file as a JSON pointer (RFC 6901); empty for the file itself.
    pub pointer: String,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.pointer.is_empty() { "the file" } else { &self.pointer };
        write!(f, "at {at}: {}; {}", self.rule, self.remedy)
    }
}

/// A file was refused, or a question has no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not strict JSON; the text names line and column.
    #[error("{file} is not strict JSON: {text}; mend that place")]
    Syntax {
        /// Name of the file.
        file: String,
        /// What is wrong, with line and column.
        text: String,
    },
    /// The content breaks rules.
    #[error("{file}: {}", list(.problems))]
    Refused {
        /// Name of the file.
        file: String,
        /// Every problem found, up to a bound.
        problems: Vec<Problem>,
    },
    /// The text is no commodity code.
    #[error("`{0}` is no commodity code; give 6 to 10 digits, dots and spaces do not count")]
    Code(String),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n  ")
}
