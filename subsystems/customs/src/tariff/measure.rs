//! What a tariff file holds: duties, rates with validity and source, agreements, concession lists.

use std::collections::BTreeMap;
use std::fmt;

use karvan_types::{Date, Decimal};
use serde::{Deserialize, Serialize};

use super::Rate;
use crate::messages::text::{date, optional_date};

/// A duty or tax collected at import. The names are the countries' own abbreviations.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Duty {
    /// Customs duty.
    Cd,
    /// Additional customs duty (Pakistan).
    Acd,
    /// Regulatory duty (Pakistan).
    Rd,
    /// Sales tax (Pakistan).
    St,
    /// Additional sales tax (Pakistan).
    Ast,
    /// Income tax withheld at import (Pakistan).
    Wht,
    /// Excise.
    Exc,
    /// Fee for processing the declaration.
    Fee,
    /// Value added tax (Azerbaijan).
    Vat,
}

impl Duty {
    /// Returns the abbreviation.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Cd => "CD",
            Self::Acd => "ACD",
            Self::Rd => "RD",
            Self::St => "ST",
            Self::Ast => "AST",
            Self::Wht => "WHT",
            Self::Exc => "EXC",
            Self::Fee => "FEE",
            Self::Vat => "VAT",
        }
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// What the rate of a measure means.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeasureKind {
    /// The rate for goods of any origin.
    General,
    /// The rate that replaces the general one for goods of the partner.
    TargetRate,
    /// The percentage by which every part of the general rate in force is reduced for goods of the
    /// partner.
    PercentReduction,
}

/// How sure we are of a datum.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Read in the official text.
    Official,
    /// From a reliable report of the official text.
    Reported,
    /// Computed from real import records.
    Derived,
    /// Taken from a comparable agreement.
    Analogue,
    /// A placeholder that keeps the calculation testable; never collect money on it.
    Assumed,
}

impl Status {
    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Reported => "reported",
            Self::Derived => "derived",
            Self::Analogue => "analogue",
            Self::Assumed => "assumed",
        }
    }
}

/// Which kind of importer declares; some taxes differ.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImporterClass {
    /// Imports to sell.
    Commercial,
    /// Imports for its own manufacture.
    Industrial,
}

impl ImporterClass {
    /// Returns the name as it stands in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Industrial => "industrial",
        }
    }
}

/// A sum on which a duty is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Base {
    /// The customs value.
    Value,
    /// The amount of a duty computed before.
    Duty(Duty),
}

/// One duty that a country collects, in the order of collection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Charge {
    /// The duty.
    pub duty: Duty,
    /// What it is taken on.
    pub base: Vec<Base>,
}

/// Where a datum is from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Short name used by the measures.
    pub id: String,
    /// Title of the act or record.
    pub title: String,
}

/// An agreement or unilateral act that grants preference to goods of one origin.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    /// Short name used by the measures.
    pub id: String,
    /// Country of origin, ISO 3166-1 alpha-2.
    pub origin: String,
    /// First day.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day, absent while open.
    #[serde(default, with = "optional_date", skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// Source.
    pub source: String,
    /// Days whose general rate is the legal reference of the concession, by duty.
    #[serde(default)]
    pub reference_dates: BTreeMap<Duty, ReferenceDate>,
}

impl Agreement {
    /// Returns whether goods of an origin have its preferences on a day.
    pub fn grants(&self, origin: &str, day: Date) -> bool {
        self.origin == origin && self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}

/// The day whose general rate is the reference of a concession.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ReferenceDate(#[serde(with = "date")] pub Date);

/// A product description of a concession list and the codes that it was mapped to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConcessionLine {
    /// The agreement.
    pub agreement: String,
    /// Number within the list.
    pub number: u32,
    /// The goods, in short.
    pub description: String,
    /// How sure the words are.
    pub status: Status,
    /// Codes or beginnings of codes.
    pub codes: Vec<String>,
    /// How sure the mapping from words to codes is.
    pub mapping: Status,
}

/// One dated rate.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Measure {
    /// The duty.
    pub duty: Duty,
    /// What the rate means.
    pub kind: MeasureKind,
    /// Code or beginning of codes; empty for all goods.
    pub code: String,
    /// The rate; of a reduction its percentage.
    #[serde(flatten)]
    pub rate: Rate,
    /// First day.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day, absent while open.
    #[serde(with = "optional_date", skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The agreement that grants it; absent for general rates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<String>,
    /// The importers it is for; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub importer: Option<ImporterClass>,
    /// The slab of general customs duty it is for, both ends included; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customs_duty_slab: Option<(Decimal, Decimal)>,
    /// The quota within which alone the preference is given; absent without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<String>,
    /// Source, one of the tariff's sources.
    pub source: String,
    /// How sure we are.
    pub status: Status,
    /// Remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Line of the data file.
    pub line: usize,
}

impl Measure {
    /// Returns whether the rate is in force on a day.
    pub fn is_valid_on(&self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day <= until)
    }
}
