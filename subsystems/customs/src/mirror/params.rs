//! What lies between the figures of the two sides when nobody made a mistake: freight, insurance,
//! time on the way, and from when on a difference is worth a look. Dated data with source and
//! status (`data/mirror.toml`).
//!
//! Invariant: on every day from the first row on there is a general row of each kind; a table
//! without one from the first day of the agreement on is refused.

use std::time::Duration;

use karvan_types::{Date, Decimal, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::flow::Line;
use super::{VALUE_PLACES, rounded};
use crate::messages::text::{date, optional_date};
use crate::tariff::Status;

const SHIPPED: &str = include_str!("../../data/mirror.toml");
/// First day on which the agreement applied.
const SINCE: &str = "2024-12-16";

/// Terms under which the price holds freight and insurance.
const WITH_BOTH: [&str; 5] = ["CIF", "CIP", "DAP", "DPU", "DDP"];
/// Terms under which it holds freight alone.
const WITH_FREIGHT: [&str; 2] = ["CFR", "CPT"];

/// A value for a time, perhaps for one mode of transport only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Row<T> {
    /// Mode of transport; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The value.
    #[serde(flatten)]
    pub value: T,
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
}

/// What freight and insurance add.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cif {
    /// Freight in percent of the free on board value.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub freight_percent: Decimal,
    /// Insurance in percent of the free on board value.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub insurance_percent: Decimal,
}

/// A number of days: how long goods may be on their way, or how long after a month is reported.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Arrival {
    /// Days.
    pub days: u16,
}

/// From when on a difference is worth a look.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Look {
    /// Gap of a month's totals, in percent.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub gap_percent: Decimal,
    /// Value of one consignment against the partner's, in percent.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value_percent: Decimal,
    /// Value per kg against the median of own records, in percent.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub median_percent: Decimal,
    /// Days after which an import without an export declaration is reported.
    pub unannounced_days: u16,
}

/// All parameters.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    cif: Vec<Row<Cif>>,
    arrival: Vec<Row<Arrival>>,
    look: Vec<Row<Look>>,
    report: Vec<Row<Arrival>>,
}

/// The parameters cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML of the expected shape.
    #[error("the parameters of the mirror cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A kind has no general row from the first day on.
    #[error("the parameters of the mirror have no general `{0}` from {SINCE} on; add one")]
    Missing(&'static str),
}

impl Error {
    /// Returns the kind.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

impl Params {
    /// Returns the shipped parameters.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED)
    }

    /// Reads parameters.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let params: Self = toml::from_str(text)?;
        let since = |row_from: Date| row_from.to_string().as_str() <= SINCE;
        let has = |found: bool, name| if found { Ok(()) } else { Err(Error::Missing(name)) };
        has(params.cif.iter().any(|r| r.mode.is_none() && since(r.from)), "cif")?;
        has(params.arrival.iter().any(|r| r.mode.is_none() && since(r.from)), "arrival")?;
        has(params.look.iter().any(|r| r.mode.is_none() && since(r.from)), "look")?;
        has(params.report.iter().any(|r| r.mode.is_none() && since(r.from)), "report")?;
        Ok(params)
    }

    /// Returns how many days after the end of a month its figures go to the partner.
    pub fn report_days(&self, day: Date) -> u16 {
        find(&self.report, None, day).map_or(0, |row| row.value.days)
    }

    /// Returns what freight and insurance add for a mode on a day.
    pub fn cif(&self, mode: Option<&str>, day: Date) -> Option<&Row<Cif>> {
        find(&self.cif, mode, day)
    }

    /// Returns how long goods that left at an instant may be on their way.
    pub fn wait(&self, mode: Option<&str>, departed: Timestamp) -> Duration {
        let day = departed.utc_date();
        let row = self.arrival(mode, day).or_else(|| self.arrival.first());
        Duration::from_hours(24 * u64::from(row.map_or(u16::MAX, |row| row.value.days)))
    }

    /// Returns how long goods may be on their way on a day: for each mode, and in general.
    pub fn arrivals(&self, day: Date) -> Vec<&Row<Arrival>> {
        let holds = |row: &&Row<Arrival>| {
            self.arrival(row.mode.as_deref(), day).is_some_and(|found| std::ptr::eq(found, *row))
        };
        self.arrival.iter().filter(holds).collect()
    }

    /// Returns how long goods may be on their way.
    pub fn arrival(&self, mode: Option<&str>, day: Date) -> Option<&Row<Arrival>> {
        find(&self.arrival, mode, day)
    }

    /// Returns from when on a difference is worth a look.
    pub fn look(&self, day: Date) -> Option<&Row<Look>> {
        find(&self.look, None, day)
    }

    /// Returns the value of a line with freight and insurance, rounded half up to two decimals.
    /// What
    /// the terms of delivery hold already is not added again; without terms an export counts as
    /// free on board, an import as with both.
    pub fn with_freight(&self, line: &Line) -> Option<Decimal> {
        let value = line.value.as_ref()?.value;
        let add = &self.cif(line.mode.as_deref(), line.day)?.value;
        let terms = line.terms.as_deref().unwrap_or(match line.flow {
            super::Flow::Export => "FOB",
            super::Flow::Import => "CIF",
        });
        let percent = if !line.is_fob && WITH_BOTH.contains(&terms) {
            Decimal::ZERO
        } else if !line.is_fob && WITH_FREIGHT.contains(&terms) {
            add.insurance_percent
        } else {
            add.freight_percent.checked_add(add.insurance_percent)?
        };
        let factor = Decimal::ONE_HUNDRED.checked_add(percent)?;
        Some(rounded(value.checked_mul(factor)? / Decimal::ONE_HUNDRED, VALUE_PLACES))
    }
}

fn find<'a, T>(rows: &'a [Row<T>], mode: Option<&str>, day: Date) -> Option<&'a Row<T>> {
    rows.iter()
        .filter(|row| row.from <= day && row.until.is_none_or(|until| day <= until))
        .filter(|row| row.mode.is_none() || row.mode.as_deref() == mode)
        .max_by_key(|row| (row.mode.is_some(), row.from))
}
