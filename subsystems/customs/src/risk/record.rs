//! What is kept about risk: the newest score of each consignment, every earlier one, which
//! containers it uses, what a check found, the periods of the draw, and profiles of this nation.
//!
//! Invariants: a score is never removed; a finding is only ever added; the terms of a period are
//! never changed; one name of a profile never stands for two contents.

use karvan_store::{Index, Range, Record, Table, Value};
use karvan_types::{Amount, Date, Digest, ExchangeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::draw::Terms;
use super::facts::Facts;
use super::profile::Lane;
use super::score::Scoring;
use crate::messages::TransportEquipment;
use crate::messages::text::date;

/// Most consignments of one party, or uses of one container, that are looked at.
pub const RELATED_MAX: usize = 500;
/// Most findings of one consignment.
pub const FINDINGS_MAX: usize = 20;

/// The newest score of a consignment, and what became of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RiskRecord {
    /// Key of the export declaration.
    pub export: String,
    /// Unique consignment reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<String>,
    /// The exchange that first brought the declaration; the draw rests on it.
    pub exchange: ExchangeId,
    /// The day on which it first arrived here, local.
    #[serde(with = "date")]
    pub day: Date,
    /// How many scores there are.
    pub number: u32,
    /// When the newest was made.
    pub at: Timestamp,
    /// Why it was made.
    pub because: String,
    /// The lane, draw included.
    pub lane: Lane,
    /// The rules that fired.
    pub scoring: Scoring,
    /// What was known.
    pub facts: Facts,
    /// First day of the period in which it took part in the draw, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Whether it was drawn at random.
    pub drawn: bool,
    /// What checks found, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
}

/// Where the newest scores are kept.
pub(crate) static SCORES: Table = Table {
    name: "customs_risk",
    columns: &["lane", "day"],
    indexes: &[
        Index { name: "by_lane", columns: &["lane", "day"], unique: false },
        Index { name: "by_day", columns: &["day"], unique: false },
    ],
};

impl Record for RiskRecord {
    const TABLE: &'static Table = &SCORES;

    fn key(&self) -> Value {
        self.export.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.lane.name().into(), self.day.to_string().into()]
    }
}

/// The few things about a consignment that later ones are compared with; `super::tally` stores
/// it, and counts it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trace {
    /// Key of the export declaration.
    pub export: String,
    /// The day on which it first arrived here, local.
    #[serde(with = "date")]
    pub day: Date,
    /// Who receives the goods, as compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consignee: Option<String>,
    /// Who sends them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<String>,
    /// Value, when all items are in one currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    /// Whether the declaration was cancelled.
    pub cancelled: bool,
    /// When an import declaration first named the consignment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Timestamp>,
    /// Whether a check found something; absent without a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<bool>,
}

/// Where these are kept.
pub(crate) static TRACES: Table = Table {
    name: "customs_risk_trace",
    columns: &["consignee", "day"],
    indexes: &[Index { name: "by_consignee", columns: &["consignee", "day"], unique: false }],
};

impl Record for Trace {
    const TABLE: &'static Table = &TRACES;

    fn key(&self) -> Value {
        self.export.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.consignee.as_deref().into(), self.day.to_string().into()]
    }
}

impl RiskRecord {
    /// Returns whether somebody checked the goods or papers, and whether something was found.
    pub fn outcome(&self) -> Option<bool> {
        let found = |finding: &Finding| finding.code != FindingCode::NothingFound;
        (!self.findings.is_empty()).then(|| self.findings.iter().any(found))
    }
}

/// What a check found, coded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingCode {
    /// The goods and papers agree with what was declared.
    NothingFound,
    /// Papers are missing, wrong or forged.
    Papers,
    /// The goods belong under another code.
    Classification,
    /// The goods are of another origin.
    Origin,
    /// The value is another.
    Value,
    /// There is more or less than declared.
    Quantity,
    /// There are goods that were not declared.
    Undeclared,
    /// There are goods that are forbidden or restricted.
    Prohibited,
    /// A seal or container is another, broken or opened.
    Seal,
}

/// The result of a check.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// What was found.
    pub code: FindingCode,
    /// In words.
    pub text: String,
    /// Who checked.
    pub by: String,
    /// When it was recorded.
    pub at: Timestamp,
}

/// A score as it was at one time, kept for ever.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScoreRecord {
    /// Key of the export declaration.
    pub export: String,
    /// Which score of this consignment, counted from 1.
    pub number: u32,
    /// When.
    pub at: Timestamp,
    /// Why it was made.
    pub because: String,
    /// The lane, draw included.
    pub lane: Lane,
    /// The rules that fired.
    pub scoring: Scoring,
}

/// Where earlier scores are kept.
pub(crate) static HISTORY: Table = Table { name: "customs_risk_score", columns: &[], indexes: &[] };

impl Record for ScoreRecord {
    const TABLE: &'static Table = &HISTORY;

    fn key(&self) -> Value {
        format!("{}{:05}", Self::place(&self.export), self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl ScoreRecord {
    /// Returns how the keys of a consignment's scores begin; digits follow. A `#` in the number is
    /// doubled, so that no other consignment's scores stand among them.
    fn place(export: &str) -> String {
        format!("{}#", export.replace('#', "##"))
    }

    /// Returns the range of the scores of a consignment, oldest first.
    pub fn of(export: &str, limit: usize) -> Range {
        let place = Self::place(export);
        Range::all(limit).from(format!("{place}0")).to(format!("{place}:"))
    }
}

/// A consignment uses a container.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ContainerUse {
    /// Number of the container, in capitals and without spaces.
    pub container: String,
    /// Key of the export declaration.
    pub export: String,
    /// The day on which the declaration first arrived.
    #[serde(with = "date")]
    pub day: Date,
}

/// Where these are kept.
pub(crate) static CONTAINERS: Table = Table {
    name: "customs_risk_container",
    columns: &["container", "day"],
    indexes: &[Index { name: "by_container", columns: &["container", "day"], unique: false }],
};

impl Record for ContainerUse {
    const TABLE: &'static Table = &CONTAINERS;

    fn key(&self) -> Value {
        format!("{} {}", self.container, self.export).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.container.as_str().into(), self.day.to_string().into()]
    }
}

/// What a transport report says about a consignment, whether the declaration is here or not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Notice {
    /// Key of the export declaration.
    pub export: String,
    /// Number of the report.
    pub report: String,
    /// Containers and seals.
    pub equipment: Vec<TransportEquipment>,
    /// Countries of the route.
    pub route: Vec<String>,
}

/// Where these are kept.
pub(crate) static NOTICES: Table = Table {
    name: "customs_risk_notice",
    columns: &["export"],
    indexes: &[Index { name: "by_export", columns: &["export"], unique: false }],
};

impl Record for Notice {
    const TABLE: &'static Table = &NOTICES;

    fn key(&self) -> Value {
        format!("{} {}", self.export, self.report).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.export.as_str().into()]
    }
}

/// A period of the draw: fixed before it began.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Period {
    /// What was fixed. Holds the seed: shown only after the period.
    pub terms: Terms,
    /// The digest that the partner got.
    pub commitment: Digest,
    /// The exchange that carried it.
    pub exchange: ExchangeId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// When the seed was first revealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revealed: Option<Timestamp>,
}

/// Where periods are kept.
pub(crate) static PERIODS: Table =
    Table { name: "customs_risk_period", columns: &[], indexes: &[] };

impl Record for Period {
    const TABLE: &'static Table = &PERIODS;

    fn key(&self) -> Value {
        self.terms.from.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A profile that this node was given.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProfileVersion {
    /// Which one, counted from 1; the last is in force.
    pub number: u64,
    /// Name of the version.
    pub version: String,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// When it was imported.
    pub at: Timestamp,
    /// Who imported it.
    pub by: String,
    /// The file.
    pub text: String,
}

/// Where profiles are kept.
pub(crate) static PROFILES: Table =
    Table { name: "customs_risk_profile", columns: &[], indexes: &[] };

impl Record for ProfileVersion {
    const TABLE: &'static Table = &PROFILES;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Returns the range of consignments for a consignee since a day, newest first.
pub fn of_consignee(party: &str, since: Date) -> Range {
    Range::of("by_consignee", vec![party.into()], RELATED_MAX).from(since.to_string()).reversed()
}
