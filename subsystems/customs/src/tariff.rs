//! Dated tariff measures and the question they answer: what rates apply to this code on this day?
//!
//! A tariff is data: one TOML file per country with every rate, its validity, its source and how
//! sure we are of it (`status`). A code finds the measure with the longest matching prefix. For
//! each duty the explanation shows the general rate in force, the general rate of the agreement's
//! reference day, the preferential rate, and which of them is used: the lower one, duty by duty.
//!
//! Invariants: no two measures answer the same question on the same day, and none leaves a gap
//! between its periods; a file that breaks this is refused with the numbers of its lines.
//!
//! Not here: amounts of money (`crate::duty`), whether the goods earn the preference.

mod load;
mod measure;

pub use measure::{
    Agreement, Base, Charge, ConcessionLine, Duty, ImporterClass, Measure, MeasureKind,
    ReferenceDate, Rounding, RoundingMode, Source, Status,
};

use std::collections::BTreeMap;
use std::sync::LazyLock;

use karvan_types::amount::decimal_text;
use karvan_types::{Date, Decimal, ErrorKind};
use serde::Serialize;

use crate::codes;
use crate::messages::text::{date, optional_decimal};

/// The measures of one country.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tariff {
    /// The importing country, ISO 3166-1 alpha-2.
    pub country: String,
    /// Currency of values and amounts, ISO 4217.
    pub currency: String,
    /// Digits of a full national code.
    pub code_digits: usize,
    /// Duties in order of collection.
    pub charges: Vec<Charge>,
    /// Rounding of each line.
    pub rounding: Rounding,
    /// Sources.
    pub sources: Vec<Source>,
    /// Agreements.
    pub agreements: Vec<Agreement>,
    /// Concession lists in words.
    pub lines: Vec<ConcessionLine>,
    /// All measures by duty and code.
    measures: BTreeMap<(Duty, String), Vec<Measure>>,
}

/// A tariff file is refused, or a question has no answer in it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file is not TOML of the expected shape.
    #[error("the tariff file does not parse: {0}")]
    Syntax(String),
    /// A line of the file breaks a rule.
    #[error("line {line} of the tariff file: {rule}")]
    Line {
        /// Line number, counted from 1.
        line: usize,
        /// The rule and the remedy.
        rule: String,
    },
    /// Two lines answer the same question on the same day.
    #[error("lines {first} and {second} of the tariff file both give {what} on {day}; end one")]
    Overlap {
        /// Line number of the earlier measure.
        first: usize,
        /// Line number of the later measure.
        second: usize,
        /// Duty and code.
        what: String,
        /// First day of the overlap.
        day: Date,
    },
    /// Days without a rate between two lines.
    #[error(
        "lines {first} and {second} of the tariff file leave {what} without a rate from {day}; \
         close the gap"
    )]
    Gap {
        /// Line number of the earlier measure.
        first: usize,
        /// Line number of the later measure.
        second: usize,
        /// Duty and code.
        what: String,
        /// First day of the gap.
        day: Date,
    },
    /// The code is not a code of this tariff.
    #[error("`{code}` is not a tariff code here; give 6 to {digits} digits that begin in HS 2022")]
    Code {
        /// The code, shortened.
        code: String,
        /// Digits of a full code.
        digits: usize,
    },
    /// No general rate is known.
    #[error("no general rate of {duty} is known for {code} on {day}; add it to the tariff file")]
    NoRate {
        /// The duty.
        duty: Duty,
        /// The code.
        code: String,
        /// The day.
        day: Date,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Code { .. } => ErrorKind::Invalid,
            Self::NoRate { .. } => ErrorKind::NotFound,
            _ => ErrorKind::LocalConfig,
        }
    }
}

/// What is asked of a tariff.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// Code, 6 digits or more; the more digits, the more exact the answer.
    pub code: &'a str,
    /// The day whose rates apply.
    pub day: Date,
    /// Country of origin, ISO 3166-1 alpha-2.
    pub origin: &'a str,
    /// Kind of importer.
    pub importer: ImporterClass,
}

/// All rates for one code on one day, with their sources.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Explanation {
    /// The importing country.
    pub country: String,
    /// The code asked for.
    pub code: String,
    /// Short description of its six digits.
    pub description: &'static str,
    /// The day.
    #[serde(with = "date")]
    pub day: Date,
    /// Country of origin.
    pub origin: String,
    /// Kind of importer.
    pub importer: ImporterClass,
    /// The words of the concession list that cover the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concession: Option<ConcessionLine>,
    /// One line per duty, in order of collection.
    pub rates: Vec<RateLine>,
}

impl Explanation {
    /// Returns whether any duty is lower with the preference.
    pub fn has_advantage(&self) -> bool {
        self.rates.iter().any(|line| line.winner == Winner::Preference)
    }

    /// Returns the least sure status among the rates that are used.
    pub fn status(&self) -> Option<Status> {
        self.rates.iter().map(|line| line.used().status).max()
    }
}

/// The rates of one duty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RateLine {
    /// The duty.
    pub duty: Duty,
    /// The general rate in force on the day.
    pub general: Measure,
    /// The general rate on the reference day of the concession.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Measure>,
    /// The measure that grants the preference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferential: Option<Measure>,
    /// The rate that the preference makes, in percent.
    #[serde(with = "optional_decimal", skip_serializing_if = "Option::is_none")]
    pub preferential_percent: Option<Decimal>,
    /// The rate that is used when the preference is granted, in percent.
    #[serde(with = "decimal_text")]
    pub used_percent: Decimal,
    /// Which rate that is.
    pub winner: Winner,
}

impl RateLine {
    /// Returns the measure whose rate is used when the preference is granted.
    pub fn used(&self) -> &Measure {
        match (&self.preferential, self.winner) {
            (Some(measure), Winner::Preference) => measure,
            _ => &self.general,
        }
    }
}

/// Which of the two rates is used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Winner {
    /// There is no preference for this duty.
    NoPreference,
    /// The preferential rate is lower.
    Preference,
    /// Both are the same.
    Equal,
    /// The general rate has become lower than the preferential one and is used.
    General,
}

static TARIFFS: LazyLock<Vec<Tariff>> =
    LazyLock::new(|| EMBEDDED.iter().filter_map(|text| Tariff::parse(text).ok()).collect());

/// The files that are part of the program; a test holds them valid.
const EMBEDDED: [&str; 2] =
    [include_str!("../data/tariff/azerbaijan.toml"), include_str!("../data/tariff/pakistan.toml")];

/// Returns the tariff of an importing country that is part of the program.
pub fn of(country: &str) -> Option<&'static Tariff> {
    TARIFFS.iter().find(|tariff| tariff.country == country)
}

impl Tariff {
    /// Reads a tariff file and refuses gaps, overlaps and dangling names.
    pub fn parse(text: &str) -> Result<Self, Error> {
        load::parse(text)
    }

    /// Returns the source with this short name.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }

    /// Returns every measure, by duty and code.
    pub fn measures(&self) -> impl Iterator<Item = &Measure> {
        self.measures.values().flatten()
    }

    /// Answers which rates apply and why.
    pub fn explain(&self, query: Query<'_>) -> Result<Explanation, Error> {
        let code = query.code;
        let is_code = (6..=self.code_digits).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_digit());
        let hs = code.get(..6).filter(|_| is_code).and_then(codes::hs).ok_or_else(|| {
            Error::Code { code: code.chars().take(20).collect(), digits: self.code_digits }
        })?;
        let rates: Result<Vec<_>, _> =
            self.charges.iter().map(|charge| self.rate_line(charge.duty, query)).collect();
        let concession = self.lines.iter().find(|line| {
            self.is_granted(&line.agreement, query)
                && line.codes.iter().any(|prefix| code.starts_with(prefix.as_str()))
        });
        Ok(Explanation {
            country: self.country.clone(),
            code: code.to_owned(),
            description: hs.description,
            day: query.day,
            origin: query.origin.to_owned(),
            importer: query.importer,
            concession: concession.cloned(),
            rates: rates?,
        })
    }

    fn rate_line(&self, duty: Duty, query: Query<'_>) -> Result<RateLine, Error> {
        let general = self.general(duty, query)?.clone();
        let found = self.preferential(duty, query, general.percent);
        let reference = found.and_then(|(measure, _)| {
            let id = measure.agreement.as_ref()?;
            let agreement = self.agreements.iter().find(|agreement| agreement.id == *id)?;
            let day = agreement.reference_dates.get(&duty)?.0;
            self.general(duty, Query { day, ..query }).ok().cloned()
        });
        let (used_percent, winner) = match found {
            None => (general.percent, Winner::NoPreference),
            Some((_, percent)) if percent < general.percent => (percent, Winner::Preference),
            Some((_, percent)) if percent == general.percent => (percent, Winner::Equal),
            Some(_) => (general.percent, Winner::General),
        };
        Ok(RateLine {
            duty,
            general,
            reference,
            preferential: found.map(|(measure, _)| measure.clone()),
            preferential_percent: found.map(|(_, percent)| percent),
            used_percent,
            winner,
        })
    }

    /// Returns the general rate: the longest prefix that has one for this importer and slab.
    fn general(&self, duty: Duty, query: Query<'_>) -> Result<&Measure, Error> {
        let mut of_customs_duty = None;
        self.longest(duty, query, |measure| {
            if measure.kind != MeasureKind::General {
                return false;
            }
            let Some((from, to)) = measure.customs_duty_slab else { return true };
            // A slab never hangs on a duty that hangs on a slab: the loader allows it for others
            // than customs duty only.
            let percent = *of_customs_duty.get_or_insert_with(|| {
                self.general(Duty::Cd, query).map(|measure| measure.percent).ok()
            });
            percent.is_some_and(|percent| from <= percent && percent <= to)
        })
        .next()
        .ok_or_else(|| Error::NoRate {
            duty,
            code: query.code.to_owned(),
            day: query.day,
        })
    }

    /// Returns the preference and the rate it makes of the general rate; the lowest of several.
    fn preferential(
        &self,
        duty: Duty,
        query: Query<'_>,
        general: Decimal,
    ) -> Option<(&Measure, Decimal)> {
        self.longest(duty, query, |measure| {
            measure.agreement.as_ref().is_some_and(|id| self.is_granted(id, query))
        })
        .map(|measure| match measure.kind {
            MeasureKind::PercentReduction => {
                let kept = (Decimal::ONE_HUNDRED - measure.percent) / Decimal::ONE_HUNDRED;
                (measure, (general * kept).normalize())
            }
            MeasureKind::General | MeasureKind::TargetRate => (measure, measure.percent),
        })
        .min_by_key(|(_, percent)| *percent)
    }

    fn is_granted(&self, agreement: &str, query: Query<'_>) -> bool {
        self.agreements.iter().any(|found| {
            found.id == agreement
                && found.origin == query.origin
                && found.from <= query.day
                && found.until.is_none_or(|until| query.day <= until)
        })
    }

    /// Returns the fitting measures of the longest prefix that has any.
    fn longest<'a>(
        &'a self,
        duty: Duty,
        query: Query<'_>,
        mut fits: impl FnMut(&Measure) -> bool,
    ) -> impl Iterator<Item = &'a Measure> {
        let mut found = Vec::new();
        for length in (0..=query.code.len()).rev() {
            let Some(prefix) = query.code.get(..length) else { continue };
            let Some(list) = self.measures.get(&(duty, prefix.to_owned())) else { continue };
            found.extend(list.iter().filter(|measure| {
                measure.is_valid_on(query.day)
                    && measure.importer.is_none_or(|class| class == query.importer)
                    && fits(measure)
            }));
            if !found.is_empty() {
                break;
            }
        }
        found.into_iter()
    }
}

#[cfg(test)]
mod tests;
