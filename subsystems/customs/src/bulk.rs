//! Imports of many records: how far each has come, and what became of every record.
//!
//! An import has a name. Its records are counted from 1 in the order of their source, and the
//! digests of their bytes are chained, so that whoever goes on with it can tell whether the source
//! is still the same. What became of each record is a line of the import's report; the lines are
//! kept in the batches in which they were made.
//!
//! Invariants: position, chain, lines and the effect of the records commit together, so no record
//! is lost or taken twice however often an import is broken off; lines are only ever added.
//!
//! Not here: taking a record in (`crate::subsystem`), reading a source (the command line).

mod read;

pub(crate) use read::{Content, Taken, describe_cargo, describe_response, read};
pub use read::{check, describe};

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_subsystem::{Pointer, Rejection};
use karvan_types::{Digest, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::decision::Verdict;
use crate::matching::Light;
use crate::messages::SharingLevel;

/// Most records of one batch. A batch is one transaction, during which nobody else can write.
pub const BATCH_RECORDS_MAX: usize = 100;
/// Longest batch as JSON text, in bytes.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest record, in bytes; a longer one is refused.
pub const RECORD_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest name of an import, in characters.
pub const NAME_CHARS_MAX: usize = 80;
/// Most fields that a line of the report names.
const POINTERS_MAX: usize = 20;
/// Most values that were not carried over which a line of the report names, and most notes.
const READING_MAX: usize = 50;
/// Longest place of a record in its source, in characters.
pub const PLACE_CHARS_MAX: usize = 300;
/// Most records of one import that may wait for another one; further ones are rejected.
pub const WAITING_MAX: u64 = 10_000;
/// Most batches of lines that are read at once.
const PAGE_BATCHES: usize = 20;

/// What became of a record.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was taken into account.
    Accepted,
    /// It breaks a rule and changed nothing.
    Rejected,
    /// It was here already with the same content, and changed nothing.
    Duplicate,
    /// It builds on a document that is not here; it is kept and taken up when that arrives.
    Parked,
    /// It breaks no rule that can be checked without a node; nothing was imported.
    Valid,
    /// Its interchange says that it is a test (0035): it breaks no rule, and nothing was filed.
    Checked,
}

/// How many records had which outcome; a record that was parked counts as what it became.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Accepted, or valid when nothing is imported.
    pub accepted: u64,
    /// Rejected.
    pub rejected: u64,
    /// Duplicates.
    pub duplicate: u64,
    /// Parked now.
    pub parked: u64,
    /// Checked only, since they came as a test.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub checked: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    /// Counts one more record.
    pub const fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Accepted | Outcome::Valid => self.accepted += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::Parked => self.parked += 1,
            Outcome::Checked => self.checked += 1,
        }
    }
}

/// An import and how far it has come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// Its name, given by whoever imports.
    pub name: String,
    /// The member for which it is.
    pub by: MemberId,
    /// When it began.
    pub began_at: Timestamp,
    /// When the last batch came.
    pub updated_at: Timestamp,
    /// How many records of the source were taken.
    pub position: u64,
    /// Digest over the digests of these records, in order.
    pub chain: Digest,
    /// How many lines the report has.
    pub lines: u64,
    /// What became of the records.
    pub counts: Counts,
}

/// Returns the chain of an import before its first record.
pub fn empty_chain() -> Digest {
    Digest::of(b"karvan-import/1")
}

/// Returns the chain after one more record.
pub fn extend_chain(chain: Digest, record: Digest) -> Digest {
    Digest::of_parts(&[chain.as_bytes(), record.as_bytes()])
}

/// Where imports are kept.
pub(crate) static IMPORTS: Table =
    Table { name: "customs_import", columns: &["updated"], indexes: &[UPDATED] };

const UPDATED: Index = Index { name: "by_updated", columns: &["updated"], unique: false };

impl Record for Import {
    const TABLE: &'static Table = &IMPORTS;

    fn key(&self) -> Value {
        self.name.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.updated_at.as_millis().into()]
    }
}

/// What became of a claimed item.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Item {
    /// Its number.
    pub item: u32,
    /// How the papers agree.
    pub light: Light,
    /// What is proposed.
    pub proposal: Verdict,
}

/// A line of the report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Which record, counted from 1.
    pub record: u64,
    /// Where it stands in the source.
    pub place: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Document type, such as `COO`; `RES`, `CARGO` or `decision` for what is no message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// Number of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The sender's own reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The agreement under which a cargo report was read, which its answer (CUSRES) repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreement_id: Option<String>,
    /// The sharing level beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing_level: Option<SharingLevel>,
    /// What it is about, as history and tasks name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The claimed items of an import declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// Code of the refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The refusal in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The fields concerned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pointers: Vec<Pointer>,
    /// Whether the record was parked before and was taken up now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken_up: bool,
    /// Values of the record for which the document that was made of it has no place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_carried_over: Vec<NotCarried>,
    /// How many more are not carried over than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_listed: u64,
    /// Values that the record does not state and that were filled in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<FilledIn>,
}

/// A value that was not carried over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NotCarried {
    /// Its place in the format, with the value where the format names it.
    pub field: String,
    /// Why it was not carried over.
    pub why: String,
}

/// A value that was filled in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct FilledIn {
    /// Its path in the document.
    pub path: String,
    /// What was filled in and why.
    pub text: String,
}

/// The interchange of which a record is one message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whole {
    /// Where it stands in the source.
    pub(crate) place: String,
    /// Digest of its bytes.
    pub(crate) digest: Digest,
}

impl Line {
    /// Makes a line about a record of which nothing else is known.
    pub fn new(record: u64, place: &str, outcome: Outcome) -> Self {
        Self {
            record,
            place: place.chars().take(PLACE_CHARS_MAX).collect(),
            outcome,
            document: None,
            id: None,
            reference: None,
            agreement_id: None,
            sharing_level: None,
            subject: None,
            items: Vec::new(),
            rule: None,
            text: None,
            pointers: Vec::new(),
            taken_up: false,
            not_carried_over: Vec::new(),
            not_listed: 0,
            notes: Vec::new(),
        }
    }

    /// Says why the record was not taken.
    #[must_use]
    pub fn refused(self, refusal: Rejection) -> Self {
        let mut pointers = refusal.pointers;
        pointers.truncate(POINTERS_MAX);
        Self { rule: Some(refusal.code), text: Some(refusal.text), pointers, ..self }
    }
}

/// Lines that were made in one batch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Batch {
    pub(crate) import: String,
    /// Number of its first line, counted from 0.
    pub(crate) first: u64,
    pub(crate) lines: Vec<Line>,
}

/// Where batches of lines are kept.
pub(crate) static BATCHES: Table = Table {
    name: "customs_import_batch",
    columns: &["import", "first"],
    indexes: &[Index { name: "by_import", columns: &["import", "first"], unique: true }],
};

impl Record for Batch {
    const TABLE: &'static Table = &BATCHES;

    fn key(&self) -> Value {
        numbered(&self.import, self.first).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.import.as_str().into(), self.first.into()]
    }
}

/// A record that waits for another one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Waiting {
    pub(crate) import: String,
    /// Which record, counted from 1.
    pub(crate) number: u64,
    pub(crate) place: String,
    /// Subject of the document that is missing.
    pub(crate) subject: String,
    pub(crate) content: Content,
    /// The interchange to which it belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interchange: Option<Whole>,
}

/// Where waiting records are kept.
pub(crate) static WAITING: Table = Table {
    name: "customs_import_waiting",
    columns: &["import", "subject", "number"],
    indexes: &[
        Index { name: "by_subject", columns: &["import", "subject", "number"], unique: false },
        Index { name: "by_number", columns: &["import", "number"], unique: false },
    ],
};

impl Record for Waiting {
    const TABLE: &'static Table = &WAITING;

    fn key(&self) -> Value {
        numbered(&self.import, self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.import.as_str().into(), self.subject.as_str().into(), self.number.into()]
    }
}

/// Returns the key of what has a number within an import.
fn numbered(import: &str, number: u64) -> String {
    format!("{import}#{number:012}")
}

/// Returns lines of a report from one on, at most those of some batches.
pub(crate) fn lines_from(view: &dyn Read, import: &str, first: u64) -> Result<Vec<Line>, Error> {
    let range = || Range::of("by_import", vec![import.into()], PAGE_BATCHES);
    let before = Range { limit: 1, ..range() }.to(first).reversed();
    let start = view.select::<Batch>(&before)?.pop().map_or(first, |batch| batch.first);
    let mut lines = Vec::new();
    for batch in view.select::<Batch>(&range().from(start))? {
        let numbered = (batch.first..).zip(batch.lines);
        lines.extend(numbered.filter(|(number, _)| *number >= first).map(|(_, line)| line));
    }
    Ok(lines)
}
