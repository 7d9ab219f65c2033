//! Exchange rates as dated data: read from files, kept at the node, and used for one comparison.
//!
//! A table belongs to a currency, that of the authority which published it: `units` of a foreign
//! currency are worth `value` of it, from one day until another. A rate without an end holds until
//! the next one of its currency, but at most [`DAYS_MAX`] days: what is older is unknown, and an
//! unknown rate is never guessed.
//!
//! Fixed parities that need no import stand in `data/parities.toml`.
//!
//! Invariants: a rate that was imported never changes; both amounts of a conversion are kept beside
//! the rate, its day and its source.
//!
//! Not here: which values are compared (`crate::matching`), and duties, whose customs value is
//! stated in the national currency.

mod load;
mod store;

use std::sync::LazyLock;

pub use load::{Error, Problem, RATES_MAX, Rate, RateTable, Status};
pub use store::{Imported, Stored, TableRecord, import, rates_of, tables};
pub(crate) use store::{RATES, TABLES};

use karvan_store::{Error as StoreError, Read};
use karvan_types::amount::{
    Decimal, FRACTION_DIGITS_MAX, INTEGER_DIGITS_MAX, RoundingStrategy, is_strict,
};
use karvan_types::{Amount, Date, ErrorKind, Instance};
use serde::{Deserialize, Serialize};

/// Longest time for which a rate without an end holds, in days.
pub const DAYS_MAX: i32 = 31;

/// A rate in use: so many `units` of `from` are worth `value` of `to`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// The foreign currency.
    pub currency: String,
    /// How many units of it.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub units: Decimal,
    /// What they are worth.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub value: Decimal,
    /// The currency of the table.
    pub base: String,
    /// First day of the rate.
    pub from: Date,
    /// How sure the rate is.
    pub status: Status,
    /// From where it is known.
    pub source: String,
}

impl std::fmt::Display for Used {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (units, currency, value) = (self.units, &self.currency, self.value);
        write!(f, "{units} {currency} = {value} {} ({}, {})", self.base, self.from, self.status)
    }
}

/// An amount in another currency, with what it was converted by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Converted {
    /// As stated.
    pub stated: Amount,
    /// In the other currency, rounded half-even to six decimals.
    pub amount: Amount,
    /// The day whose rates were taken.
    pub day: Date,
    /// The rates.
    pub rates: Vec<Used>,
}

impl Converted {
    /// Says by which rates.
    pub fn basis(&self) -> String {
        self.rates.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// An amount that cannot be said in another currency.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unconverted {
    /// No rate holds on the day.
    #[error(
        "no rate of {} and {to} is known for {day}; import the rates of that day",
        .stated.currency
    )]
    NoRate {
        /// What was to be converted.
        stated: Amount,
        /// The currency wanted.
        to: String,
        /// The day whose rates count.
        day: Date,
    },
    /// The rates are known, and the result has more digits than an amount may have.
    #[error(
        "{stated} by the rates of {day} make more {to} than the {INTEGER_DIGITS_MAX} digits before \
         the decimal point that an amount may have; correct the amount, or the rate of that day"
    )]
    TooLarge {
        /// What was to be converted.
        stated: Amount,
        /// The currency wanted.
        to: String,
        /// The day whose rates count.
        day: Date,
    },
}

impl Unconverted {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoRate { .. } => ErrorKind::NotFound,
            Self::TooLarge { .. } => ErrorKind::Invalid,
        }
    }
}

static PARITIES: LazyLock<Option<RateTable>> =
    LazyLock::new(|| RateTable::check(include_str!("../data/parities.toml")).ok());

/// Returns the currency of a country of the exchange.
pub fn national_currency(country: Instance) -> Option<&'static str> {
    match country.as_str() {
        "AZ" => Some("AZN"),
        "PK" => Some("PKR"),
        _ => None,
    }
}

/// Returns the shipped table of fixed parities.
pub fn parities() -> Option<&'static RateTable> {
    PARITIES.as_ref()
}

/// Converts an amount by the rates of `day`: those of the table of `national`, failing that the
/// fixed parities.
pub fn convert(
    view: &dyn Read,
    national: &str,
    stated: &Amount,
    to: &str,
    day: Date,
) -> Result<Result<Converted, Unconverted>, StoreError> {
    let currency = || to.to_owned();
    let whole = |(value, rates): (Option<Decimal>, Vec<Used>)| {
        let stated = stated.clone();
        match value.map(|value| Amount { value, currency: currency() }) {
            Some(amount) => Ok(Converted { stated, amount, day, rates }),
            None => Err(Unconverted::TooLarge { stated, to: currency(), day }),
        }
    };
    if stated.currency == to {
        return Ok(whole((Some(stated.value), Vec::new())));
    }
    let own = [
        store::rate_on(view, national, &stated.currency, day)?,
        store::rate_on(view, national, to, day)?,
    ];
    if let Some(found) = across(stated, to, national, &own) {
        return Ok(whole(found));
    }
    let fixed = parities().and_then(|table| {
        let rates = [table.rate_on(&stated.currency, day), table.rate_on(to, day)];
        across(stated, to, &table.currency, &rates)
    });
    let unknown = || Unconverted::NoRate { stated: stated.clone(), to: currency(), day };
    Ok(fixed.ok_or_else(unknown).and_then(whole))
}

/// Converts by way of the currency of a table; the rates are of the two currencies against it.
/// Nothing when one of them is not known; no number when the result is too large.
fn across(
    stated: &Amount,
    to: &str,
    base: &str,
    [from_rate, to_rate]: &[Option<Used>; 2],
) -> Option<(Option<Decimal>, Vec<Used>)> {
    let mut used = Vec::new();
    let mut value = Some(stated.value);
    if stated.currency != base {
        let rate = from_rate.as_ref()?;
        value = value.and_then(|value| value.checked_mul(rate.value)?.checked_div(rate.units));
        used.push(rate.clone());
    }
    if to != base {
        let rate = to_rate.as_ref()?;
        value = value.and_then(|value| value.checked_mul(rate.units)?.checked_div(rate.value));
        used.push(rate.clone());
    }
    let places = u32::try_from(FRACTION_DIGITS_MAX).unwrap_or(0);
    let strategy = RoundingStrategy::MidpointNearestEven;
    let value = value.map(|value| value.round_dp_with_strategy(places, strategy).normalize());
    Some((value.filter(|value| is_strict(*value)), used))
}

#[cfg(test)]
mod tests;
