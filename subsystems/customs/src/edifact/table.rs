//! How the parts of a canonical message and the segments of an EDIFACT message belong together.
//!
//! One table per message says it once, for reading and for writing. A row names segment, the fixed
//! qualifiers, and the fields with their places; rows of a repeated part make a group, whose first
//! segment opens a new occurrence.
//!
//! Not here: the tables (`super::tables`), walking them (`super::fill`, `super::take`).

/// A directory of UN/EDIFACT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Directory {
    /// D.96B.
    D96B,
    /// D.09A.
    D09A,
}

impl Directory {
    /// Both directories.
    pub const ALL: [Self; 2] = [Self::D96B, Self::D09A];

    /// Returns version and release as UNH states them.
    pub const fn parts(self) -> [&'static str; 2] {
        match self {
            Self::D96B => ["D", "96B"],
            Self::D09A => ["D", "09A"],
        }
    }

    /// Returns the directory of a name such as `D.96B`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|directory| directory.parts().join(".") == name)
    }
}

/// Most characters of a component: in D.96B and in D.09A.
#[derive(Clone, Copy, Debug)]
pub(super) struct Width(pub(super) usize, pub(super) usize);

impl Width {
    /// Returns the width in one directory.
    pub(super) const fn of(self, directory: Directory) -> usize {
        match directory {
            Directory::D96B => self.0,
            Directory::D09A => self.1,
        }
    }
}

/// The form of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// Text in one component.
    Text(Width),
    /// Text over so many components, and over repetitions of the segment.
    Long(Width, usize),
    /// A whole number.
    Number,
    /// A decimal.
    Decimal,
    /// An amount: value, then currency.
    Amount,
    /// A quantity: unit, then value (C174).
    Measure,
    /// An instant: value, then the format 304 (C507).
    Instant,
    /// A day: value, then the format 102.
    Date,
    /// A word that a code stands for: code, word.
    Code(&'static [(&'static str, &'static str)]),
    /// A list of commodity codes, one composite each from this element on.
    Commodities,
}

/// A field: its path below the part that the row belongs to, element, component, form.
///
/// Two fields with one path are alternatives: the first that fits is written, either is read.
pub(super) type Field = (&'static str, usize, usize, Form);

/// A fixed value that tells the row: element, component, value.
pub(super) type Key = (usize, usize, &'static str);

/// One segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) tag: &'static str,
    /// Path of the part to which the fields belong, below the occurrence; empty for itself.
    pub(super) base: &'static str,
    pub(super) keys: &'static [Key],
    pub(super) fields: &'static [Field],
    /// The one directory that has the row, if it is not in both.
    pub(super) only: Option<Directory>,
}

/// One line of a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
    /// A segment.
    One(Row),
    /// A repeated part: its path, and the rows of each occurrence, the opening one first.
    Many(&'static str, &'static [Node]),
    /// A row of the sections of a message, which closes all groups: UNS and its letter.
    Section(&'static str),
}

/// Makes a row of both directories.
pub(super) const fn row(tag: &'static str, keys: &'static [Key], fields: &'static [Field]) -> Node {
    below("", tag, keys, fields)
}

/// Makes a row of one directory.
pub(super) const fn only(
    directory: Directory,
    tag: &'static str,
    keys: &'static [Key],
    fields: &'static [Field],
) -> Node {
    Node::One(Row { tag, base: "", keys, fields, only: Some(directory) })
}

/// Makes a row whose fields belong to a part.
pub(super) const fn below(
    base: &'static str,
    tag: &'static str,
    keys: &'static [Key],
    fields: &'static [Field],
) -> Node {
    Node::One(Row { tag, base, keys, fields, only: None })
}
