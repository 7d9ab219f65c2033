//! Dated tariff measures and the question they answer: what rates apply to this code on this day?
//!
//! A tariff is data: one versioned TOML file per country with every rate, its validity, its source
//! and how sure we are of it (`status`); `docs/use/tariff.md` describes the file. A code finds the
//! measure with the longest matching prefix. For each duty the explanation shows the general rate
//! in force, the general rate of the agreement's reference day, the preferential rate, and which
//! of them is used: the lower one, duty by duty. Where only the goods can tell which one that is,
//! `crate::duty` decides by the amounts.
//!
//! Invariants: no two measures answer the same question on the same day, and none leaves a gap
//! between its periods; a file that breaks this is refused with the numbers of its lines. A look-up
//! copies no measure and walks no list of all measures.
//!
//! Not here: amounts of money (`crate::duty`), whether the goods earn the preference.

pub mod diff;
mod error;
mod index;
mod load;
mod measure;
pub mod quota;
mod rate;
mod rules;
pub mod version;

pub use error::Error;
pub(crate) use load::Lines;
pub use load::{FILE_BYTES_MAX, FORMAT, MEASURES_MAX, PROBLEMS_MAX};
pub use measure::{
    Agreement, Base, Charge, ConcessionLine, Duty, ImporterClass, Measure, MeasureKind,
    ReferenceDate, Source, Status,
};
pub use quota::Quota;
pub use rate::{Rate, Specific};
pub use rules::{Events, RateDate, RateDateRule, RateDay, Rounding, RoundingMode};

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use karvan_types::{Date, Decimal, Digest};
use serde::Serialize;

use crate::codes;
use crate::messages::text::date;
use index::{Found, Index};

/// The measures of one country, one version of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tariff {
    /// Name of the version.
    pub version: String,
    /// The day on which the version was published.
    pub published: Date,
    /// SHA-256 of the file.
    pub digest: Digest,
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
    /// Which day's rates apply.
    pub rate_date: RateDate,
    /// Sources.
    pub sources: Vec<Source>,
    /// Agreements.
    pub agreements: Vec<Agreement>,
    /// Quotas, one entry per period.
    pub quotas: Vec<Quota>,
    /// Concession lists in words.
    pub lines: Vec<ConcessionLine>,
    /// All measures by code and duty.
    index: Index,
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
pub struct Explanation<'a> {
    /// The importing country.
    pub country: &'a str,
    /// Version of the tariff.
    pub version: &'a str,
    /// SHA-256 of its file.
    pub digest: Digest,
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
    pub concession: Option<&'a ConcessionLine>,
    /// One line per duty, in order of collection.
    pub rates: Vec<RateLine<'a>>,
}

impl Explanation<'_> {
    /// Returns whether any duty is lower with the preference, or may be.
    pub fn has_advantage(&self) -> bool {
        self.rates.iter().any(|line| matches!(line.winner, Winner::Preference | Winner::ByAmount))
    }

    /// Returns the least sure status among the rates that are used.
    pub fn status(&self) -> Option<Status> {
        self.rates.iter().map(|line| line.used().status).max()
    }

    /// Returns the quota that limits the preference, if one does.
    pub fn quota(&self) -> Option<&str> {
        let mut granted = self.rates.iter().filter_map(|line| line.preferential);
        granted.find_map(|measure| measure.quota.as_deref())
    }
}

/// The rates of one duty.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct RateLine<'a> {
    /// The duty.
    pub duty: Duty,
    /// The general rate in force on the day.
    pub general: &'a Measure,
    /// The general rate on the reference day of the concession.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<&'a Measure>,
    /// The measure that grants the preference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferential: Option<&'a Measure>,
    /// The rate that the preference makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferential_rate: Option<Rate>,
    /// The rate that is used when the preference is granted; absent when the goods decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_rate: Option<Rate>,
    /// Which rate that is.
    pub winner: Winner,
}

impl RateLine<'_> {
    /// Returns the measure whose rate is used when the preference is granted.
    pub fn used(&self) -> &Measure {
        match (self.preferential, self.winner) {
            (Some(measure), Winner::Preference | Winner::ByAmount) => measure,
            _ => self.general,
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
    /// Which one is lower depends on value and quantity; the lower amount is used.
    ByAmount,
}

static TARIFFS: LazyLock<Vec<Arc<Tariff>>> = LazyLock::new(|| {
    EMBEDDED.iter().filter_map(|text| Tariff::parse(text).ok()).map(Arc::new).collect()
});

/// The files that are part of the program; a test holds them valid.
const EMBEDDED: [&str; 2] =
    [include_str!("../data/tariff/azerbaijan.toml"), include_str!("../data/tariff/pakistan.toml")];

/// Returns the tariff of an importing country that is part of the program.
pub fn of(country: &str) -> Option<&'static Tariff> {
    shipped(country).map(Arc::as_ref)
}

/// Returns the tariff of an importing country that is part of the program, to be shared.
pub fn shipped(country: &str) -> Option<&'static Arc<Tariff>> {
    TARIFFS.iter().find(|tariff| tariff.country == country)
}

/// Returns the tariff with this digest that is part of the program.
fn shipped_by(digest: Digest) -> Option<&'static Arc<Tariff>> {
    TARIFFS.iter().find(|tariff| tariff.digest == digest)
}

impl Tariff {
    /// Reads a tariff file and refuses gaps, overlaps and dangling names; tells the first problem.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let unnamed = || Error::File("it was refused".to_owned());
        load::read(text).map_err(|problems| problems.into_iter().next().unwrap_or_else(unnamed))
    }

    /// Reads a tariff file, or tells what is wrong with it, at most [`PROBLEMS_MAX`] problems by
    /// line.
    pub fn check(text: &str) -> Result<Self, Vec<Error>> {
        load::read(text)
    }

    /// Returns the source with this short name.
    pub fn source(&self, id: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.id == id)
    }

    /// Returns the agreement with this short name.
    pub fn agreement(&self, id: &str) -> Option<&Agreement> {
        self.agreements.iter().find(|agreement| agreement.id == id)
    }

    /// Returns the period of a quota in which a day falls.
    pub fn quota(&self, id: &str, day: Date) -> Option<&Quota> {
        self.quotas.iter().find(|quota| quota.id == id && quota.from <= day && day <= quota.until)
    }

    /// Returns every measure, by code, duty and first day.
    pub fn measures(&self) -> &[Measure] {
        self.index.all()
    }

    /// Answers which rates apply and why.
    pub fn explain(&self, query: Query<'_>) -> Result<Explanation<'_>, Error> {
        let code = query.code;
        let is_code = (6..=self.code_digits).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_digit());
        let hs = code.get(..6).filter(|_| is_code).and_then(codes::hs).ok_or_else(|| {
            Error::Code { code: code.chars().take(20).collect(), digits: self.code_digits }
        })?;
        let asked = Asked { tariff: self, query, found: self.index.find(code) };
        let rates: Result<Vec<_>, _> =
            self.charges.iter().map(|charge| asked.rate_line(charge.duty)).collect();
        let concession = self.lines.iter().find(|line| {
            asked.is_granted(&line.agreement)
                && line.codes.iter().any(|prefix| code.starts_with(prefix.as_str()))
        });
        Ok(Explanation {
            country: &self.country,
            version: &self.version,
            digest: self.digest,
            code: code.to_owned(),
            description: hs.description,
            day: query.day,
            origin: query.origin.to_owned(),
            importer: query.importer,
            concession,
            rates: rates?,
        })
    }
}

/// A question with the measures whose beginning of codes fits.
struct Asked<'a, 'q> {
    tariff: &'a Tariff,
    query: Query<'q>,
    found: Found<'a>,
}

impl<'a> Asked<'a, '_> {
    fn rate_line(&self, duty: Duty) -> Result<RateLine<'a>, Error> {
        let general = self.general(duty, self.query.day)?;
        let found = self.preferential(duty, general.rate);
        let reference = found.and_then(|(measure, _)| {
            let agreement = self.tariff.agreement(measure.agreement.as_deref()?)?;
            let day = agreement.reference_dates.get(&duty)?.0;
            self.general(duty, day).ok()
        });
        let (used_rate, winner) = match found {
            None => (Some(general.rate), Winner::NoPreference),
            Some((_, rate)) => match rate.compare(&general.rate) {
                Some(Ordering::Less) => (Some(rate), Winner::Preference),
                Some(Ordering::Equal) => (Some(rate), Winner::Equal),
                Some(Ordering::Greater) => (Some(general.rate), Winner::General),
                None => (None, Winner::ByAmount),
            },
        };
        Ok(RateLine {
            duty,
            general,
            reference,
            preferential: found.map(|(measure, _)| measure),
            preferential_rate: found.map(|(_, rate)| rate),
            used_rate,
            winner,
        })
    }

    /// Returns the general rate: the longest prefix that has one for this importer and slab.
    fn general(&self, duty: Duty, day: Date) -> Result<&'a Measure, Error> {
        let mut of_customs_duty = None;
        self.longest(duty, day, |measure| {
            if measure.kind != MeasureKind::General {
                return false;
            }
            let Some((from, to)) = measure.customs_duty_slab else { return true };
            // A slab never hangs on a duty that hangs on a slab: the loader allows it for others
            // than customs duty only.
            let percent: Option<Decimal> = *of_customs_duty.get_or_insert_with(|| {
                self.general(Duty::Cd, day).map(|measure| measure.rate.percent).ok()
            });
            percent.is_some_and(|percent| from <= percent && percent <= to)
        })
        .into_iter()
        .next()
        .ok_or_else(|| Error::NoRate { duty, code: self.query.code.to_owned(), day })
    }

    /// Returns the preference and the rate it makes of the general rate; the lowest of several
    /// agreements, or the first of those that only the goods can tell apart.
    fn preferential(&self, duty: Duty, general: Rate) -> Option<(&'a Measure, Rate)> {
        let granted = self.longest(duty, self.query.day, |measure| {
            measure.agreement.as_ref().is_some_and(|id| self.is_granted(id))
        });
        let rates = granted.into_iter().map(|measure| match measure.kind {
            MeasureKind::PercentReduction => (measure, general.reduced_by(measure.rate.percent)),
            MeasureKind::General | MeasureKind::TargetRate => (measure, measure.rate),
        });
        rates.reduce(
            |best, next| {
                if next.1.compare(&best.1) == Some(Ordering::Less) { next } else { best }
            },
        )
    }

    fn is_granted(&self, agreement: &str) -> bool {
        let Query { origin, day, .. } = self.query;
        self.tariff.agreement(agreement).is_some_and(|found| found.grants(origin, day))
    }

    /// Returns the fitting measures of the longest prefix that has any.
    fn longest(
        &self,
        duty: Duty,
        day: Date,
        mut fits: impl FnMut(&Measure) -> bool,
    ) -> Vec<&'a Measure> {
        for list in self.found.of(duty) {
            let found: Vec<_> = (list.iter())
                .filter(|measure| {
                    measure.is_valid_on(day)
                        && measure.importer.is_none_or(|class| class == self.query.importer)
                        && fits(measure)
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
