//! How far this side has told its balances, and how comparisons with the partner ended.

use karvan_store::{Record, Table, Value};
use karvan_types::{MemberId, Timestamp};
use serde::{Deserialize, Serialize};

/// How far the nightly statements have come.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// The last line of the journal of debits that was told.
    pub line: u64,
}

/// Where it is kept: one row.
pub(crate) static PROGRESS: Table =
    Table { name: "customs_ledger_progress", columns: &[], indexes: &[] };

/// Its only key.
pub(crate) const PROGRESS_KEY: &str = "statement";

impl Record for Progress {
    const TABLE: &'static Table = &PROGRESS;

    fn key(&self) -> Value {
        PROGRESS_KEY.into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// How a comparison with a statement of the partner ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// Number of the comparison.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Whose statement.
    pub with: MemberId,
    /// The partner's reference of the statement.
    pub statement: String,
    /// Whether it answered a statement of ours.
    pub answer: bool,
    /// The instant of its balances.
    pub as_of: Timestamp,
    /// How many items were compared.
    pub items: u32,
    /// In how many the ledgers differ.
    pub differing: u32,
    /// The cases of these.
    pub cases: Vec<u64>,
    /// How many results that the partner lacked were sent again.
    pub sent_again: u32,
}

/// Where comparisons are kept.
pub(crate) static COMPARISONS: Table =
    Table { name: "customs_ledger_comparison", columns: &[], indexes: &[] };

impl Record for Comparison {
    const TABLE: &'static Table = &COMPARISONS;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}
