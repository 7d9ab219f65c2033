//! Grants against a red match: the first officer proposes, a second one confirms or rejects.
//!
//! Every override is kept here, also one that a rule let an officer make alone, so that the list of
//! a month is whole.
//!
//! Invariants: an item has at most one proposal that waits; a proposal ends once.
//!
//! Not here: who may do what (`crate::subsystem`), when a second officer is needed
//! (`super::policy`).

use karvan_store::{Index, Range, Record, Table, Value};
use karvan_types::{Amount, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::matching::Rule;
use crate::messages::Decision;

/// How a proposal ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// A second officer confirmed it, and the preference was granted.
    Confirmed,
    /// A second officer rejected it.
    Rejected,
    /// Whoever proposed it took it back.
    Withdrawn,
    /// It was proposed anew, or the item was decided otherwise.
    Superseded,
    /// No second officer was needed.
    Alone,
}

/// The end of a proposal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ending {
    /// How.
    pub how: Ended,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A grant against a red match, proposed by one officer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The claim.
    pub claim: String,
    /// Its item.
    pub item: u32,
    /// Which proposal about this item, counted from 1.
    pub number: u32,
    /// Month of the proposal at the deciding side, `2026-10`.
    pub month: String,
    /// What is proposed.
    pub decision: Decision,
    /// For how much, when the officer said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// Why, coded.
    pub reason: Reason,
    /// Why, in words.
    pub text: String,
    /// The rules against which it goes.
    pub rules: Vec<Rule>,
    /// The assessment that the officer saw.
    pub assessment: u32,
    /// What the grant saves the importer, when it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saved: Option<Amount>,
    /// Who proposes.
    pub officer: String,
    /// When.
    pub at: Timestamp,
    /// Until when it can be confirmed.
    pub until: Timestamp,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
}

/// Where overrides are kept.
pub(crate) static OVERRIDES: Table = Table {
    name: "customs_override",
    columns: &["claim_item", "month"],
    indexes: &[
        Index { name: "by_claim_item", columns: &["claim_item"], unique: false },
        Index { name: "by_month", columns: &["month"], unique: false },
    ],
};

impl Record for Override {
    const TABLE: &'static Table = &OVERRIDES;

    fn key(&self) -> Value {
        format!("{}#{:05}", self.claim_item(), self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.claim_item().into(), self.month.as_str().into()]
    }
}

/// Most proposals looked at for one item.
const PROPOSALS_MAX: usize = 1000;

impl Override {
    /// Returns the key of the claimed item.
    pub fn claim_item(&self) -> String {
        crate::claim::item_key(&self.claim, self.item)
    }

    /// Returns the range of the proposals about an item, oldest first.
    pub fn of_item(claim_item: &str) -> Range {
        Range::of("by_claim_item", vec![claim_item.into()], PROPOSALS_MAX)
    }

    /// Whether it can still be confirmed, apart from its age.
    pub fn waits(&self) -> bool {
        self.ended.is_none()
    }

    /// Returns where it stands at an instant.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.ended.as_ref().map(|ending| ending.how) {
            None if now <= self.until => "waiting",
            None => "expired",
            Some(Ended::Confirmed) => "confirmed",
            Some(Ended::Rejected) => "rejected",
            Some(Ended::Withdrawn) => "withdrawn",
            Some(Ended::Superseded) => "superseded",
            Some(Ended::Alone) => "alone",
        }
    }
}

/// Who had proposed a decision that a second officer confirmed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Proposed {
    /// The first officer.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
