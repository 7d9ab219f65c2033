//! A risk profile: one versioned TOML file of a nation with lanes, draw, windows and rules.
//!
//! A rule fires when all of its conditions hold. Every condition names a fact, a test and what it
//! is tested against; nothing else can be said, so loading proves that a rule cannot fail, loop or
//! compare apples with pears. All problems are told at once, each with its line and remedy.
//!
//! Invariants: each rule and parameter has a source and a status; a rule of a day is the one whose
//! validity covers that day; the sentence of a rule names only known facts.

mod load;

pub use load::{FILE_BYTES_MAX, FORMAT, PROBLEMS_MAX, Problem, RULES_MAX};

use karvan_types::{Date, Decimal, Digest};
use serde::{Deserialize, Serialize};

use crate::messages::text::{date, optional_date};
use crate::tariff::Status;

/// The lanes of the Azerbaijani corridor, lightest first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Released without a check.
    Green,
    /// Released; checked afterwards.
    Blue,
    /// Papers are checked before release.
    Yellow,
    /// Goods are examined before release.
    Red,
}

impl Lane {
    /// Every lane, lightest first.
    pub const ALL: [Self; 4] = [Self::Green, Self::Blue, Self::Yellow, Self::Red];

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    /// Returns what it means for the goods.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Green => "release without a check",
            Self::Blue => "release, check the papers afterwards",
            Self::Yellow => "check the papers before release",
            Self::Red => "examine the goods before release",
        }
    }
}

/// From how many points on a lane is taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lanes {
    /// Blue from so many points on.
    pub blue: u32,
    /// Yellow.
    pub yellow: u32,
    /// Red.
    pub red: u32,
    /// How sure we are.
    pub status: Status,
    /// From where we know it.
    pub source: String,
}

impl Lanes {
    /// Returns the lane of a number of points.
    pub const fn of(&self, points: u32) -> Lane {
        if points >= self.red {
            Lane::Red
        } else if points >= self.yellow {
            Lane::Yellow
        } else if points >= self.blue {
            Lane::Blue
        } else {
            Lane::Green
        }
    }
}

/// The random draw beside the rules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DrawRule {
    /// Of a thousand consignments so many are drawn.
    pub per_mille: u16,
    /// Least lane of a drawn consignment.
    pub lane: Lane,
    /// How sure we are.
    pub status: Status,
    /// From where we know it.
    pub source: String,
}

/// How far back facts of history look.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Days of history of exporter and consignee.
    pub history_days: u16,
    /// Days within which a container cannot serve two consignments.
    pub parallel_days: u16,
    /// How sure we are.
    pub status: Status,
    /// From where we know it.
    pub source: String,
}

/// A value under which goods are controlled less, so that consignments gather just below it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Limit {
    /// The value.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value: Decimal,
    /// Its currency.
    pub currency: String,
    /// How far below counts as just under, in percent of the limit.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub within_percent: Decimal,
    /// How sure we are.
    pub status: Status,
    /// From where we know it.
    pub source: String,
}

impl Limit {
    /// Returns whether a value lies just under the limit.
    pub fn is_just_under(&self, value: Decimal, currency: &str) -> bool {
        let rest = (Decimal::ONE_HUNDRED - self.within_percent) / Decimal::ONE_HUNDRED;
        currency == self.currency && value < self.value && value >= self.value * rest
    }
}

/// How a condition tests its fact.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// There is a text among those of the fact.
    AnyOf(Vec<String>),
    /// All are known, and none of these texts is among them.
    NoneOf(Vec<String>),
    /// A text begins with one of these.
    StartsWith(Vec<String>),
    /// There is at least one text.
    Some,
    /// It is known that there is none.
    None,
    /// The number is at least this.
    AtLeast(#[serde(with = "karvan_types::amount::decimal_text")] Decimal),
    /// The number is at most this.
    AtMost(#[serde(with = "karvan_types::amount::decimal_text")] Decimal),
    /// The fact is not known.
    Unknown,
}

/// One condition of a rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Condition {
    /// Name of the fact.
    pub fact: String,
    /// The test.
    pub is: Test,
}

/// One rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rule {
    /// Name, unique among the rules of a day.
    pub id: String,
    /// Points that it adds.
    pub points: u32,
    /// Least lane when it fires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// What the officer reads; `{fact}` stands for a value.
    pub text: String,
    /// What must hold, all of it.
    pub when: Vec<Condition>,
    /// First day.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day, if it has ended.
    #[serde(default, with = "optional_date", skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How sure we are.
    pub status: Status,
    /// From where we know it.
    pub source: String,
    /// Line in the file, counted from 1.
    pub line: usize,
}

impl Rule {
    /// Returns whether the rule holds on a day.
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}

/// A profile.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Profile {
    /// The nation whose profile it is.
    pub nation: String,
    /// Name of the version.
    pub version: String,
    /// When it was published.
    #[serde(with = "date")]
    pub published: Date,
    /// SHA-256 of the file.
    pub digest: Digest,
    /// Thresholds of the lanes.
    pub lanes: Lanes,
    /// The random draw.
    pub draw: DrawRule,
    /// How far back history goes.
    pub windows: Windows,
    /// A limit under which consignments gather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Profile {
    /// Reads a profile, or tells every problem of the file, at most [`PROBLEMS_MAX`].
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        load::read(text)
    }

    /// Returns the profile that is part of the program, for a nation that has none of its own.
    pub fn shipped(nation: &str) -> Option<&'static str> {
        match nation {
            "AZ" => Some(include_str!("../../data/risk/azerbaijan.toml")),
            "PK" => Some(include_str!("../../data/risk/pakistan.toml")),
            _ => None,
        }
    }
}
