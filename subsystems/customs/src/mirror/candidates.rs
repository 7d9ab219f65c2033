//! Values worth a look: import declarations far from the partner's export value, or from the median
//! of own records. A candidate is a question and no accusation: transit hubs, rebates, quality and
//! mistakes explain many.
//!
//! When the two sides of a consignment declared in different currencies, the partner's value is
//! converted by the rates of the day of the import, which are named. What cannot be compared, for
//! want of a value or a rate, is a row of its own: nothing is passed over in silence.

use std::collections::{BTreeMap, BTreeSet};

use karvan_store::{Error, Read};
use karvan_types::{Amount, Date, Decimal};
use serde::{Deserialize, Serialize};

use super::flow::Line;
use super::linked::Linked;
use super::params::Params;
use super::{UNIT_VALUE_PLACES, VALUE_PLACES, median, rounded, signed_text};
use crate::rates::{self, Unconverted, Used};

/// Fewest other declarations that make a median.
const MEDIAN_MIN: usize = 5;

/// Which way a value deviates.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Candidate of under-invoicing: the import value is lower.
    UnderInvoicing,
    /// Candidate of over-invoicing: the import value is higher.
    OverInvoicing,
}

/// With what a value was compared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// With the partner's export declaration of the same consignment.
    Partner,
    /// With the median of other import declarations of the same code.
    OwnMedian,
}

/// How candidates are ranked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// By the amount at stake, largest first.
    #[default]
    Amount,
    /// By how far the value per kg deviates, in percent.
    UnitValue,
}

/// A value worth a look.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which way.
    pub candidate: Direction,
    /// Against what.
    pub against: Against,
    /// The import declaration.
    pub claim: String,
    /// Export declarations of the same consignment.
    pub exports: Vec<String>,
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// The month of the import.
    pub month: String,
    /// The currency of all amounts.
    pub currency: String,
    /// Declared for import, with freight and insurance.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub declared: Decimal,
    /// What was expected, on the same basis and for the same mass.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub expected: Decimal,
    /// Declared less expected.
    #[serde(with = "signed_text")]
    pub difference: Decimal,
    /// The same in percent of the expected, one decimal.
    #[serde(with = "signed_text")]
    pub percent: Decimal,
    /// Declared value per kg, four decimals.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional_signed")]
    pub unit_value: Option<Decimal>,
    /// Expected value per kg, four decimals.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::optional_signed")]
    pub expected_unit_value: Option<Decimal>,
    /// The rates by which the partner's value was converted; none when the currency is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<Used>,
}

/// Why the two sides of a consignment cannot be compared.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Obstacle {
    /// The currencies differ, and no rate is known for the day of the import.
    Currency,
    /// The value makes too many digits in the other currency; most likely it is mistyped.
    TooLarge,
    /// One of the two sides states no value.
    Value,
}

/// Goods of a consignment that both sides declared, and whose values cannot be compared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotComparable {
    /// The import declaration.
    pub claim: String,
    /// Export declarations of the same consignment.
    pub exports: Vec<String>,
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// The month of the import.
    pub month: String,
    /// Why not.
    pub obstacle: Obstacle,
    /// The currencies of both sides, each once.
    pub currencies: Vec<String>,
}

/// What was found among import lines.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// The candidates, ranked.
    pub candidates: Vec<Candidate>,
    /// What could not be compared with the partner's papers, by import declaration and code.
    pub not_comparable: Vec<NotComparable>,
}

/// Where rates of exchange are found: in the tables of a currency.
#[derive(Clone, Copy)]
pub struct Rates<'a> {
    /// The store.
    pub view: &'a dyn Read,
    /// The national currency, whose tables are taken first.
    pub national: &'a str,
}

/// Value with freight and mass of some lines; the mass is known only when each states one.
#[derive(Clone, Default)]
struct Sum {
    value: Decimal,
    mass: Option<Decimal>,
    lines: usize,
}

impl Sum {
    fn add(&mut self, value: Decimal, mass: Option<Decimal>) {
        self.value += value;
        let known = if self.lines == 0 { Some(Decimal::ZERO) } else { self.mass };
        self.mass = known.zip(mass).and_then(|(sum, mass)| sum.checked_add(mass));
        self.lines += 1;
    }

    fn per_kg(&self) -> Option<Decimal> {
        self.value.checked_div(self.mass?).map(|unit| rounded(unit, UNIT_VALUE_PLACES))
    }
}

/// One import declaration's goods of one code in one currency.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
struct Key<'a> {
    claim: &'a str,
    hs6: &'a str,
    currency: &'a str,
}

/// Finds and ranks candidates among import lines. `earlier` are import lines of the year before,
/// from which medians are taken too.
pub fn candidates(
    imports: &Linked,
    earlier: &[Line],
    params: &Params,
    by: RankBy,
    rates: Rates<'_>,
) -> Result<Found, Error> {
    let declared = sums(&imports.lines, params);
    let known = sums(earlier, params);
    let mut found = Found { not_comparable: without_value(imports), ..Found::default() };
    for (key, sum) in &declared {
        let others = imports.counterparts.get(key.claim).map(Vec::as_slice).unwrap_or_default();
        let Some(line) = imports.lines.iter().find(|line| line.document == key.claim) else {
            continue;
        };
        let Some(look) = params.look(line.day).map(|row| &row.value) else { continue };
        let subject = Subject { key: *key, month: line.month(), sum };
        match subject.expected_by_partner(others, params, rates, line.day)? {
            None => {}
            Some(Err(obstacle)) => {
                found.not_comparable.push(subject.not_comparable(others, obstacle));
            }
            Some(Ok(expected)) => {
                found.candidates.extend(subject.candidate(&expected, look.value_percent));
            }
        }
        if let Some(expected) = expected_by_median(*key, sum, &declared, &known) {
            found.candidates.extend(subject.candidate(&expected, look.median_percent));
        }
    }
    let rows = &mut found.candidates;
    match by {
        RankBy::Amount => rows.sort_by_key(|one| std::cmp::Reverse(one.difference.abs())),
        RankBy::UnitValue => rows.sort_by_key(|one| std::cmp::Reverse(one.percent.abs())),
    }
    found.not_comparable.sort_by(|a, b| (&a.claim, &a.hs6).cmp(&(&b.claim, &b.hs6)));
    Ok(found)
}

/// Returns a row for each code of an import without a value that the partner declared too.
fn without_value(imports: &Linked) -> Vec<NotComparable> {
    let mut rows: BTreeMap<Key<'_>, NotComparable> = BTreeMap::new();
    for line in imports.lines.iter().filter(|line| line.value.is_none()) {
        let key = Key { claim: &line.document, hs6: &line.hs6, currency: "" };
        let subject = Subject { key, month: line.month(), sum: &Sum::default() };
        let others = imports.of(line);
        if others.iter().any(|other| other.hs6 == line.hs6) {
            rows.insert(key, subject.not_comparable(others, Obstacle::Value));
        }
    }
    rows.into_values().collect()
}

fn sums<'a>(lines: &'a [Line], params: &Params) -> BTreeMap<Key<'a>, Sum> {
    let mut sums: BTreeMap<Key<'a>, Sum> = BTreeMap::new();
    for line in lines {
        let Some(value) = &line.value else { continue };
        let key = Key { claim: &line.document, hs6: &line.hs6, currency: &value.currency };
        let with_freight = params.with_freight(line).unwrap_or_default();
        sums.entry(key).or_default().add(with_freight, line.net_mass);
    }
    sums
}

/// What the median value per kg of other declarations lets expect.
fn expected_by_median(
    key: Key<'_>,
    declared: &Sum,
    all: &BTreeMap<Key<'_>, Sum>,
    earlier: &BTreeMap<Key<'_>, Sum>,
) -> Option<Expected> {
    let mass = declared.mass?;
    let same = |other: &Key<'_>| {
        other.claim != key.claim && other.hs6 == key.hs6 && other.currency == key.currency
    };
    let mut units: BTreeMap<&str, Decimal> = BTreeMap::new();
    for (other, sum) in earlier.iter().chain(all).filter(|(other, _)| same(other)) {
        units.extend(sum.per_kg().map(|unit| (other.claim, unit)));
    }
    let median = median(units.into_values().collect(), MEDIAN_MIN)?;
    let sum = Sum { value: median.checked_mul(mass)?, mass: Some(mass), lines: 1 };
    Some(Expected { against: Against::OwnMedian, sum, exports: Vec::new(), rates: Vec::new() })
}

/// A value that other papers let expect.
struct Expected {
    against: Against,
    sum: Sum,
    exports: Vec<String>,
    rates: Vec<Used>,
}

struct Subject<'a> {
    key: Key<'a>,
    month: String,
    sum: &'a Sum,
}

impl Subject<'_> {
    /// What the partner's papers let expect for the imported mass, on the day of the import;
    /// nothing when the partner declared no such goods.
    fn expected_by_partner(
        &self,
        others: &[Line],
        params: &Params,
        rates: Rates<'_>,
        day: Date,
    ) -> Result<Option<Result<Expected, Obstacle>>, Error> {
        let mut sum = Sum::default();
        let (mut exports, mut used) = (Vec::new(), Vec::<Used>::new());
        for line in others.iter().filter(|line| line.hs6 == self.key.hs6) {
            let with_freight = params.with_freight(line).zip(line.value.as_ref());
            let Some((value, stated)) = with_freight else {
                return Ok(Some(Err(Obstacle::Value)));
            };
            let stated = Amount { value, currency: stated.currency.clone() };
            let currency = self.key.currency;
            let converted = rates::convert(rates.view, rates.national, &stated, currency, day)?;
            let converted = match converted {
                Ok(converted) => converted,
                Err(Unconverted::TooLarge { .. }) => return Ok(Some(Err(Obstacle::TooLarge))),
                Err(Unconverted::NoRate { .. }) => return Ok(Some(Err(Obstacle::Currency))),
            };
            sum.add(converted.amount.value, line.net_mass);
            exports.push(line.document.clone());
            for rate in converted.rates {
                if !used.contains(&rate) {
                    used.push(rate);
                }
            }
        }
        exports.dedup();
        if sum.lines == 0 {
            return Ok(None);
        }
        // A part shipment is compared by its part of the mass; more than was exported is not.
        if let (Some(mine), Some(theirs)) = (self.sum.mass, sum.mass)
            && mine < theirs
        {
            let part = sum.value.checked_mul(mine).and_then(|value| value.checked_div(theirs));
            let Some(part) = part else { return Ok(None) };
            (sum.value, sum.mass) = (part, Some(mine));
        }
        Ok(Some(Ok(Expected { against: Against::Partner, sum, exports, rates: used })))
    }

    fn not_comparable(&self, others: &[Line], obstacle: Obstacle) -> NotComparable {
        let others = || others.iter().filter(|line| line.hs6 == self.key.hs6);
        let own = (!self.key.currency.is_empty()).then(|| self.key.currency.to_owned());
        let theirs = others().filter_map(|line| Some(line.value.as_ref()?.currency.clone()));
        let exports: BTreeSet<String> = others().map(|line| line.document.clone()).collect();
        NotComparable {
            claim: self.key.claim.to_owned(),
            exports: exports.into_iter().collect(),
            hs6: self.key.hs6.to_owned(),
            month: self.month.clone(),
            obstacle,
            currencies: own
                .into_iter()
                .chain(theirs)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
        }
    }

    fn candidate(&self, expected: &Expected, limit: Decimal) -> Option<Candidate> {
        let declared = rounded(self.sum.value, VALUE_PLACES);
        let wanted = rounded(expected.sum.value, VALUE_PLACES);
        let difference = declared - wanted;
        let percent = difference.checked_div(wanted)?.checked_mul(Decimal::ONE_HUNDRED)?;
        let candidate = if difference.is_sign_negative() {
            Direction::UnderInvoicing
        } else {
            Direction::OverInvoicing
        };
        (percent.abs() > limit).then(|| Candidate {
            candidate,
            against: expected.against,
            claim: self.key.claim.to_owned(),
            exports: expected.exports.clone(),
            hs6: self.key.hs6.to_owned(),
            month: self.month.clone(),
            currency: self.key.currency.to_owned(),
            declared,
            expected: wanted,
            difference,
            percent: rounded(percent, 1),
            unit_value: self.sum.per_kg(),
            expected_unit_value: expected.sum.per_kg(),
            rates: expected.rates.clone(),
        })
    }
}
