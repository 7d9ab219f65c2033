//! The class of every field, as data.

use std::collections::BTreeMap;

use karvan_types::ErrorKind;
use serde::Serialize;

use crate::messages::{DocumentType, SharingLevel};

/// The shipped table.
const SHIPPED: &str = include_str!("../../data/sharing.tsv");
/// Stands for the elements of a list in the path of a field.
pub(super) const EACH: &str = "*";

/// The class of one field.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Class {
    /// The lowest level at which it is released.
    pub level: SharingLevel,
    /// How sure we are: analogue, or assumed.
    pub status: String,
    /// From where we know it.
    pub source: String,
}

/// A place in a message: its own class, if it has one, and what is below it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) class: Option<Class>,
    pub(super) below: BTreeMap<String, Place>,
}

/// The classes of all fields of all messages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Classes {
    pub(super) documents: BTreeMap<&'static str, Place>,
    /// The highest class of each document.
    highest: BTreeMap<&'static str, SharingLevel>,
}

/// A field with its class.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Listed<'a> {
    /// Path of the field, with `*` for the elements of lists.
    pub field: String,
    /// Its class.
    #[serde(flatten)]
    pub class: &'a Class,
}

fn list<'a>(place: &'a Place, at: String, rows: &mut Vec<Listed<'a>>) {
    for (name, below) in &place.below {
        list(below, format!("{at}/{name}"), rows);
    }
    if let Some(class) = &place.class {
        rows.push(Listed { field: at, class });
    }
}

/// The table of classes cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("line {line} of the release classes: {rule}")]
pub struct ClassesError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What it must be.
    pub rule: &'static str,
}

impl ClassesError {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

/// Returns the level with this name.
pub(crate) fn level_named(name: &str) -> Option<SharingLevel> {
    match name {
        "L1" => Some(SharingLevel::L1),
        "L2" => Some(SharingLevel::L2),
        "L3" => Some(SharingLevel::L3),
        _ => None,
    }
}

impl Classes {
    /// Reads the shipped classes.
    pub fn shipped() -> Result<Self, ClassesError> {
        Self::parse(SHIPPED)
    }

    /// Reads a table of classes: document, field, level, status and source, parted by tabs.
    pub fn parse(text: &str) -> Result<Self, ClassesError> {
        let mut documents: BTreeMap<&'static str, Place> = BTreeMap::new();
        for (line, row) in (1..).zip(text.lines()) {
            if row.is_empty() || row.starts_with('#') {
                continue;
            }
            let fail = |rule| ClassesError { line, rule };
            let cells: Vec<&str> = row.split('\t').collect();
            let [document, field, level, status, source] = cells[..] else {
                return Err(fail("has five cells: document, field, level, status, source"));
            };
            let document = DocumentType::from_code(document)
                .ok_or_else(|| fail("begins with a document type of customs"))?;
            let level = level_named(level).ok_or_else(|| fail("names a level, L1, L2 or L3"))?;
            if !["official", "analogue", "assumed"].contains(&status) || source.is_empty() {
                return Err(fail("has a status (official, analogue, assumed) and a source"));
            }
            let path = field.strip_prefix('/').ok_or_else(|| fail("names a field, `/Name/…`"))?;
            let mut place = documents.entry(document.code()).or_default();
            for name in path.split('/') {
                place = place.below.entry(name.to_owned()).or_default();
            }
            let class = Class { level, status: status.to_owned(), source: source.to_owned() };
            if place.class.replace(class).is_some() {
                return Err(fail("names a field that has a class already"));
            }
        }
        let mut classes = Self { documents, highest: BTreeMap::new() };
        for kind in DocumentType::ALL {
            let rows = classes.listed(kind);
            if let Some(highest) = rows.iter().map(|row| row.class.level).max() {
                classes.highest.insert(kind.code(), highest);
            }
        }
        // An amendment can carry a value of any field.
        classes.highest.insert(DocumentType::Amendment.code(), SharingLevel::L3);
        Ok(classes)
    }

    /// Returns the class of a field, by its path with `*` for the elements of lists.
    pub fn class(&self, document: DocumentType, field: &str) -> Option<&Class> {
        let mut place = self.documents.get(document.code())?;
        for name in field.strip_prefix('/')?.split('/') {
            place = place.below.get(name)?;
        }
        place.class.as_ref()
    }

    /// Returns the highest class that a field of a document has.
    pub fn highest(&self, document: DocumentType) -> SharingLevel {
        self.highest.get(document.code()).copied().unwrap_or(SharingLevel::L3)
    }

    /// Returns every field of a document with its class.
    pub fn listed(&self, document: DocumentType) -> Vec<Listed<'_>> {
        let mut rows = Vec::new();
        if let Some(place) = self.documents.get(document.code()) {
            list(place, String::new(), &mut rows);
        }
        rows
    }

    /// Returns the level of the value that an amendment gives a field, by its path in element names
    /// with occurrences in brackets: that of the deepest part of the path that has a class. A path
    /// that leads nowhere has the highest.
    pub(super) fn level_of_path(&self, document: DocumentType, path: &str) -> SharingLevel {
        self.level_on_path(document, path).unwrap_or(SharingLevel::L3)
    }

    /// Returns the level of the deepest part of a path that has a class; `None` for a path to parts
    /// that are above all fields, such as an item.
    pub(super) fn level_on_path(&self, document: DocumentType, path: &str) -> Option<SharingLevel> {
        let mut place = self.documents.get(document.code())?;
        let mut level = None;
        for part in path.trim_start_matches('/').split('/') {
            let name = part.split_once('[').map_or(part, |(name, _)| name);
            let Some(next) = place.below.get(name) else { break };
            place = next.below.get(EACH).unwrap_or(next);
            level = place.class.as_ref().or(next.class.as_ref()).map(|c| c.level).or(level);
        }
        level
    }
}
