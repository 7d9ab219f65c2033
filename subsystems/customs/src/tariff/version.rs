//! Versions of tariffs that a node was given, and the shelf of those that are read already.
//!
//! The tariffs that are part of the program are the first version. A version that is imported
//! comes on top and applies from then on; what it replaces stays, under its digest, so that what
//! was computed with it can be computed again. Which *rates* apply to a claim is no question of
//! versions: measures are dated, and a claim takes those of its day.
//!
//! Invariants: a version is never changed or removed; one name is never given to two contents; a
//! version is never older than the one it replaces.
//!
//! Not here: who may import (`crate::subsystem`), what a file must hold (`super::Tariff::check`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use karvan_store::{Error as StoreError, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::{Date, Digest, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Status, Tariff, shipped, shipped_by};
use crate::messages::text::date;

/// Most versions listed of one country.
pub const VERSIONS_MAX: usize = 1000;
/// Most versions kept in memory.
const SHELF_MAX: usize = 8;

/// A version that was imported.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The importing country.
    pub country: String,
    /// Which imported version of the country, counted from 1.
    pub number: u64,
    /// Name of the version.
    pub version: String,
    /// The day on which it was published.
    #[serde(with = "date")]
    pub published: Date,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// How many measures it holds.
    pub measures: usize,
    /// How many of them are assumed.
    pub assumed: usize,
    /// When it was imported.
    pub at: Timestamp,
    /// Who imported it.
    pub by: String,
}

/// Where versions are kept, without their text.
pub(crate) static VERSIONS: Table = Table {
    name: "customs_tariff_version",
    columns: &["country", "digest"],
    indexes: &[
        Index { name: "by_country", columns: &["country"], unique: false },
        Index { name: "by_digest", columns: &["digest"], unique: true },
    ],
};

impl Record for Version {
    const TABLE: &'static Table = &VERSIONS;

    fn key(&self) -> Value {
        format!("{}#{:08}", self.country, self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.country.as_str().into(), self.digest.to_string().into()]
    }
}

/// The text of a version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Text {
    digest: Digest,
    text: String,
}

/// Where texts are kept.
pub(crate) static TEXTS: Table = Table { name: "customs_tariff_text", columns: &[], indexes: &[] };

impl Record for Text {
    const TABLE: &'static Table = &TEXTS;

    fn key(&self) -> Value {
        self.digest.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A version cannot be imported or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file breaks rules.
    #[error("{}", told(.0))]
    File(Vec<super::Error>),
    /// The name was given to another content.
    #[error("version `{0}` is here with another content; give the changed file a new name")]
    NameTaken(String),
    /// The version in force is newer.
    #[error("it was published on {found}, before the version in force of {newest}; import a later")]
    Older {
        /// When it was published.
        found: Date,
        /// When the version in force was published.
        newest: Date,
    },
    /// The version was replaced by a later one.
    #[error(
        "version `{found}` is here, but `{current}` is in force since; to go back, publish its \
         rates under a new name and day"
    )]
    Superseded {
        /// The version that was given.
        found: String,
        /// The version in force.
        current: String,
    },
    /// No version has this digest.
    #[error("no version of a tariff with digest {0} is here; list the versions")]
    Unknown(Digest),
    /// A stored version cannot be read any more.
    #[error("the stored version {0} cannot be read: {1}; restore it from a backup")]
    Damaged(Digest, super::Error),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(problems: &[super::Error]) -> String {
    let first = problems.first().map(ToString::to_string).unwrap_or_default();
    format!("the tariff file has {} problems, the first: {first}", problems.len())
}

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::File(_) => ErrorKind::Invalid,
            Self::NameTaken(_) | Self::Older { .. } | Self::Superseded { .. } => {
                ErrorKind::Conflict
            }
            Self::Unknown(_) => ErrorKind::NotFound,
            Self::Damaged(..) => ErrorKind::Storage,
            Self::Store(error) => error.kind(),
        }
    }
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The version as recorded.
    pub record: Version,
    /// The tariff.
    pub tariff: Arc<Tariff>,
    /// Whether it was here before.
    pub duplicate: bool,
}

/// The versions that are read already, shared by all calls.
#[derive(Debug, Default)]
pub struct Shelf(Mutex<BTreeMap<Digest, Arc<Tariff>>>);

impl Shelf {
    /// Returns the version in force of a country: the newest imported one, or the shipped one.
    pub fn current(&self, view: &dyn Read, country: &str) -> Result<Option<Arc<Tariff>>, Error> {
        match newest(view, country)? {
            Some(version) => self.find(view, version.digest).map(Some),
            None => Ok(shipped(country).cloned()),
        }
    }

    /// Returns the version with this digest, shipped or imported.
    pub fn find(&self, view: &dyn Read, digest: Digest) -> Result<Arc<Tariff>, Error> {
        if let Some(found) = self.read(|shelf| shelf.get(&digest).cloned()) {
            return Ok(found);
        }
        if let Some(found) = shipped_by(digest) {
            return Ok(found.clone());
        }
        let tariff =
            Tariff::parse(&text(view, digest)?).map_err(|error| Error::Damaged(digest, error))?;
        Ok(self.put(Arc::new(tariff)))
    }

    fn read<T>(&self, work: impl FnOnce(&mut BTreeMap<Digest, Arc<Tariff>>) -> T) -> T {
        // A panic of another holder leaves whole entries, so the shelf stays usable.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, tariff: Arc<Tariff>) -> Arc<Tariff> {
        self.read(|shelf| {
            if shelf.len() >= SHELF_MAX {
                shelf.clear();
            }
            shelf.insert(tariff.digest, tariff.clone());
        });
        tariff
    }
}

/// Returns the text of an imported version.
pub fn text(view: &dyn Read, digest: Digest) -> Result<String, Error> {
    let stored: Option<Text> = view.find(digest.to_string())?;
    Ok(stored.ok_or(Error::Unknown(digest))?.text)
}

fn newest(view: &dyn Read, country: &str) -> Result<Option<Version>, StoreError> {
    let range = Range::of("by_country", vec![country.into()], 1).reversed();
    Ok(view.select(&range)?.pop())
}

/// Returns the imported versions of a country, newest first.
pub fn versions(view: &dyn Read, country: &str) -> Result<Vec<Version>, StoreError> {
    view.select(&Range::of("by_country", vec![country.into()], VERSIONS_MAX).reversed())
}

/// Stores a file as the version in force of its country. The version in force again changes
/// nothing; one that was replaced is refused, because it would not come into force.
pub fn import(tx: &mut dyn Tx, text: &str, by: &str, at: Timestamp) -> Result<Imported, Error> {
    let tariff = Tariff::check(text).map_err(Error::File)?;
    let earlier = versions(tx, &tariff.country)?;
    if let Some(record) = earlier.iter().find(|version| version.digest == tariff.digest) {
        if let Some(current) = earlier.first().filter(|newest| newest.digest != tariff.digest) {
            let current = current.version.clone();
            return Err(Error::Superseded { found: tariff.version, current });
        }
        let record = record.clone();
        return Ok(Imported { record, tariff: Arc::new(tariff), duplicate: true });
    }
    let part_of_program = shipped(&tariff.country);
    let names = earlier.iter().map(|version| (&version.version, version.digest));
    let mut names = names.chain(part_of_program.map(|tariff| (&tariff.version, tariff.digest)));
    if names.any(|(name, digest)| *name == tariff.version && digest != tariff.digest) {
        return Err(Error::NameTaken(tariff.version));
    }
    let newest = earlier.first().map(|version| version.published);
    let newest = newest.or(part_of_program.map(|tariff| tariff.published));
    if let Some(newest) = newest.filter(|newest| tariff.published < *newest) {
        return Err(Error::Older { found: tariff.published, newest });
    }
    let record = Version {
        number: tx.next(&format!("customs_tariff_version:{}", tariff.country))?,
        country: tariff.country.clone(),
        version: tariff.version.clone(),
        published: tariff.published,
        digest: tariff.digest,
        measures: tariff.measures().len(),
        assumed: tariff.measures().iter().filter(|m| m.status == Status::Assumed).count(),
        at,
        by: by.to_owned(),
    };
    tx.add(&Text { digest: tariff.digest, text: text.to_owned() })?;
    tx.add(&record)?;
    Ok(Imported { record, tariff: Arc::new(tariff), duplicate: false })
}
