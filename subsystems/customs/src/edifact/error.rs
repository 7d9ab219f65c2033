//! What can be wrong with an interchange, where, and the code that the answer to it states.

use std::fmt;

use karvan_types::ErrorKind;

use super::syntax::{COMPONENTS_MAX, ELEMENTS_MAX, SEGMENT_BYTES_MAX};
use super::{MESSAGE_BYTES_MAX, SEGMENTS_MAX};

/// A place in an interchange.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Position {
    /// Segment of the interchange, counted from 1; `UNA` is none.
    pub segment: u64,
    /// Segment of the message, counted from 1 for `UNH`; 0 outside of a message.
    pub segment_in_message: u64,
    /// Tag of the segment, empty when it could not be read.
    pub tag: String,
    /// Data element of the segment, counted from 1; 0 when the whole segment is meant.
    pub element: usize,
    /// Component of the data element, counted from 1; 0 when the whole element is meant.
    pub component: usize,
    /// Byte of the interchange, counted from 0.
    pub byte: u64,
    /// Reference of the message, empty outside of a message.
    pub message: String,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "segment {}", self.segment)?;
        if !self.tag.is_empty() {
            write!(f, " ({})", self.tag)?;
        }
        if self.element > 0 {
            write!(f, ", element {}", self.element)?;
        }
        if self.component > 0 {
            write!(f, ", component {}", self.component)?;
        }
        write!(f, ", byte {}", self.byte)
    }
}

/// An interchange or a message of it was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{position}: {rule}")]
pub struct Error {
    /// Where.
    pub position: Box<Position>,
    /// The rule that is broken.
    pub rule: Rule,
}

/// The rule that an interchange breaks, and the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The source could not be read.
    #[error("the text cannot be read: {0}")]
    Unreadable(String),
    /// Too long.
    #[error("the interchange has more than {0} bytes; split it")]
    Size(u64),
    /// A segment is too long.
    #[error("a segment has more than {SEGMENT_BYTES_MAX} bytes; is its terminator missing?")]
    SegmentSize,
    /// A message is too long.
    #[error(
        "a message has more than {MESSAGE_BYTES_MAX} bytes or {SEGMENTS_MAX} segments; split it"
    )]
    MessageSize,
    /// Too many messages.
    #[error("there are more than {0} messages; split the interchange")]
    Messages(u64),
    /// Too many data elements or components.
    #[error(
        "a segment has more than {ELEMENTS_MAX} data elements, or an element more than \
         {COMPONENTS_MAX} components"
    )]
    Elements,
    /// The text ends too early.
    #[error("the text ends before {0}; send it whole")]
    Truncated(&'static str),
    /// There is no interchange.
    #[error("the text begins with neither UNA nor UNB; send an interchange")]
    NoInterchange,
    /// The service characters cannot be told apart.
    #[error("the service characters of UNA are not six different signs; use `:+.? '`")]
    ServiceCharacters,
    /// The repertoire is not known.
    #[error("the syntax `{0}` is not known; use UNOA to UNOL, UNOW, UNOX or UNOY")]
    Charset(String),
    /// The syntax version is not known.
    #[error("the syntax version `{0}` is not known; use 1, 2, 3 or 4")]
    Version(String),
    /// A byte is not in the repertoire.
    #[error("the byte 0x{byte:02X} is no character of {charset}; declare the right one in UNB")]
    Character {
        /// The byte.
        byte: u8,
        /// The declared repertoire.
        charset: &'static str,
    },
    /// The text ends or the segment ends after a release character.
    #[error("a release character stands before nothing; double it to mean itself")]
    Release,
    /// A repeated data element.
    #[error("repeated data elements are not supported; repeat the segment")]
    Repetition,
    /// The tag is not three letters or digits.
    #[error("`{0}` is not a segment tag of three capital letters")]
    Tag(String),
    /// A service segment in the wrong place.
    #[error("{found} stands where {expected} must stand")]
    Misplaced {
        /// The tag that was found.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A segment that the message does not have.
    #[error("`{tag}` is no segment of {message}; take it out")]
    Segment {
        /// The tag.
        tag: String,
        /// Message and directory.
        message: String,
    },
    /// A segment of which there is one.
    #[error("there is a second {0}; send each document in a message of its own")]
    Second(&'static str),
    /// A required value is missing.
    #[error("{0} is missing; add it")]
    Missing(&'static str),
    /// The reference at the end is not the one at the beginning.
    #[error("the reference `{found}` is not `{expected}` of {begin}")]
    Reference {
        /// The reference at the end.
        found: String,
        /// The one at the beginning.
        expected: String,
        /// The segment at the beginning.
        begin: &'static str,
    },
    /// A count is wrong.
    #[error("the count says `{stated}`, but there are {found} {what}")]
    Count {
        /// As stated.
        stated: String,
        /// As counted.
        found: u64,
        /// What was counted.
        what: &'static str,
    },
    /// Groups and messages beside each other.
    #[error("messages stand inside and outside of groups; put all or none into groups")]
    Mixed,
    /// Nothing inside.
    #[error("{0} holds nothing; leave it out")]
    Empty(&'static str),
    /// A reference is used twice, or the interchange came before.
    #[error("the reference `{0}` was used before; it is not processed again")]
    Duplicate(String),
    /// Another message type or directory.
    #[error("`{0}` is not read; send CUSDEC, CUSRES or CUSCAR of directory D.96B or D.09A")]
    MessageType(String),
    /// A message that can be read and converted, but is not handed in.
    #[error(
        "`{0}` is not filed; hand in declarations and cancellations as CUSDEC, and read the others \
         with `karvan customs convert`"
    )]
    NotFiled(String),
    /// A value does not fit.
    #[error("the value `{value}` of {field} does not fit: {rule}")]
    Value {
        /// Path of the field in the canonical message.
        field: String,
        /// The value, shortened.
        value: String,
        /// The rule and the remedy.
        rule: String,
    },
    /// The decimal mark is wrong.
    #[error("the number `{0}` is not plain digits with the decimal mark that UNA declares")]
    Decimal(String),
    /// The message as a whole does not make a canonical message.
    #[error("the message does not make a {document_type}: {rule}")]
    Content {
        /// Which message.
        document_type: &'static str,
        /// What is wrong.
        rule: String,
    },
}

impl Rule {
    /// Returns the syntax error code (data element 0085).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Charset(_) | Self::Version(_) => "2",
            Self::Value { .. } => "12",
            Self::Missing(_) | Self::Truncated(_) | Self::Content { .. } => "13",
            Self::MessageType(_) | Self::NotFiled(_) => "14",
            Self::Misplaced { .. } | Self::Tag(_) | Self::Segment { .. } => "15",
            Self::Elements => "16",
            Self::Unreadable(_) | Self::NoInterchange => "18",
            Self::Decimal(_) => "19",
            Self::ServiceCharacters => "20",
            Self::Character { .. } => "21",
            Self::Release => "22",
            Self::Duplicate(_) => "26",
            Self::Reference { .. } => "28",
            Self::Count { .. } => "29",
            Self::Mixed => "30",
            Self::Empty(_) => "32",
            Self::Repetition | Self::Second(_) | Self::Messages(_) => "35",
            Self::Size(_) | Self::SegmentSize | Self::MessageSize => "39",
        }
    }
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self.rule {
            Rule::Size(_) | Rule::SegmentSize | Rule::MessageSize => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        }
    }

    /// Returns whether only one message is refused; the next can be read.
    pub const fn is_of_message(&self) -> bool {
        !self.position.message.is_empty()
            && !matches!(self.rule, Rule::Truncated(_) | Rule::Size(_) | Rule::Unreadable(_))
    }
}
