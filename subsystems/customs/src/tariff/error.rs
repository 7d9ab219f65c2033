//! What can be wrong with a tariff file, or with a question to it.

use karvan_types::{Date, ErrorKind};

use super::Duty;

/// A tariff file is refused, or a question has no answer in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not TOML of the expected shape.
    #[error("the tariff file does not parse: {0}")]
    Syntax(String),
    /// A line of the file breaks a rule.
    #[error("line {line} of the tariff file: {rule}")]
    Line {
        /// Line number, counted from 1.
        line: usize,
        /// The rule and the remedy.
        rule: String,
    },
    /// A value of the whole file breaks a rule.
    #[error("the tariff file: {0}")]
    File(String),
    /// Two lines answer the same question on the same day.
    #[error("lines {first} and {second} of the tariff file both give {what} on {day}; end one")]
    Overlap {
        /// Line number of the earlier measure.
        first: usize,
        /// Line number of the later measure.
        second: usize,
        /// Duty and code.
        what: String,
        /// First day of the overlap.
        day: Date,
    },
    /// Days without a rate between two lines.
    #[error(
        "lines {first} and {second} of the tariff file leave {what} without a rate from {day}; \
         close the gap"
    )]
    Gap {
        /// Line number of the earlier measure.
        first: usize,
        /// Line number of the later measure.
        second: usize,
        /// Duty and code.
        what: String,
        /// First day of the gap.
        day: Date,
    },
    /// The code is not a code of this tariff.
    #[error("`{code}` is not a tariff code here; give 6 to {digits} digits that begin in HS 2022")]
    Code {
        /// The code, shortened.
        code: String,
        /// Digits of a full code.
        digits: usize,
    },
    /// No general rate is known.
    #[error("no general rate of {duty} is known for {code} on {day}; add it to the tariff file")]
    NoRate {
        /// The duty.
        duty: Duty,
        /// The code.
        code: String,
        /// The day.
        day: Date,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Code { .. } => ErrorKind::Invalid,
            Self::NoRate { .. } => ErrorKind::NotFound,
            _ => ErrorKind::LocalConfig,
        }
    }
}
