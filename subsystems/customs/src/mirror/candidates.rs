//! Values worth a look: import declarations far from the partner's export value, or from the median
//! of own records. A candidate is a question and no accusation: transit hubs, rebates, quality and
//! mistakes explain many.

use std::collections::BTreeMap;

use karvan_types::Decimal;
use serde::{Deserialize, Serialize};

use super::flow::Line;
use super::linked::Linked;
use super::params::Params;
use super::{UNIT_VALUE_PLACES, VALUE_PLACES, median, rounded, signed_text};

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
}

/// Value with freight and mass of some lines; the mass is known only when each states one.
#[derive(Clone, Default)]
struct Sum {
    value: Decimal,
    mass: Option<Decimal>,
    lines: usize,
}

impl Sum {
    fn add(&mut self, line: &Line, params: &Params) {
        self.value += params.with_freight(line).unwrap_or_default();
        let known = if self.lines == 0 { Some(Decimal::ZERO) } else { self.mass };
        self.mass = known.zip(line.net_mass).and_then(|(sum, mass)| sum.checked_add(mass));
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
) -> Vec<Candidate> {
    let declared = sums(&imports.lines, params);
    let known = sums(earlier, params);
    let mut found = Vec::new();
    for (key, sum) in &declared {
        let others = imports.counterparts.get(key.claim).map(Vec::as_slice).unwrap_or_default();
        let Some(line) = imports.lines.iter().find(|line| line.document == key.claim) else {
            continue;
        };
        let Some(look) = params.look(line.day).map(|row| &row.value) else { continue };
        let mut judge = |against, expected: &Sum, limit, exports| {
            let subject = Subject { key: *key, month: line.month(), sum, exports };
            found.extend(subject.candidate(against, expected, limit));
        };
        if let Some((expected, exports)) = expected_by_partner(*key, sum, others, params) {
            judge(Against::Partner, &expected, look.value_percent, exports);
        }
        if let Some(expected) = expected_by_median(*key, sum, &declared, &known) {
            judge(Against::OwnMedian, &expected, look.median_percent, Vec::new());
        }
    }
    match by {
        RankBy::Amount => found.sort_by_key(|one| std::cmp::Reverse(one.difference.abs())),
        RankBy::UnitValue => found.sort_by_key(|one| std::cmp::Reverse(one.percent.abs())),
    }
    found
}

fn sums<'a>(lines: &'a [Line], params: &Params) -> BTreeMap<Key<'a>, Sum> {
    let mut sums: BTreeMap<Key<'a>, Sum> = BTreeMap::new();
    for line in lines {
        let Some(value) = &line.value else { continue };
        let key = Key { claim: &line.document, hs6: &line.hs6, currency: &value.currency };
        sums.entry(key).or_default().add(line, params);
    }
    sums
}

/// What the partner's papers let expect for the imported mass.
fn expected_by_partner(
    key: Key<'_>,
    declared: &Sum,
    others: &[Line],
    params: &Params,
) -> Option<(Sum, Vec<String>)> {
    let mut sum = Sum::default();
    let mut exports = Vec::new();
    for line in others.iter().filter(|line| line.hs6 == key.hs6) {
        if line.value.as_ref()?.currency != key.currency {
            return None;
        }
        sum.add(line, params);
        exports.push(line.document.clone());
    }
    exports.dedup();
    if sum.lines == 0 {
        return None;
    }
    // A part shipment is compared by its part of the mass; more than was exported is not.
    if let (Some(mine), Some(theirs)) = (declared.mass, sum.mass)
        && mine < theirs
    {
        sum.value = sum.value.checked_mul(mine)?.checked_div(theirs)?;
        sum.mass = Some(mine);
    }
    Some((sum, exports))
}

/// What the median value per kg of other declarations lets expect.
fn expected_by_median(
    key: Key<'_>,
    declared: &Sum,
    all: &BTreeMap<Key<'_>, Sum>,
    earlier: &BTreeMap<Key<'_>, Sum>,
) -> Option<Sum> {
    let mass = declared.mass?;
    let same = |other: &Key<'_>| {
        other.claim != key.claim && other.hs6 == key.hs6 && other.currency == key.currency
    };
    let mut units: BTreeMap<&str, Decimal> = BTreeMap::new();
    for (other, sum) in earlier.iter().chain(all).filter(|(other, _)| same(other)) {
        units.extend(sum.per_kg().map(|unit| (other.claim, unit)));
    }
    let median = median(units.into_values().collect(), MEDIAN_MIN)?;
    Some(Sum { value: median.checked_mul(mass)?, mass: Some(mass), lines: 1 })
}

struct Subject<'a> {
    key: Key<'a>,
    month: String,
    sum: &'a Sum,
    exports: Vec<String>,
}

impl Subject<'_> {
    fn candidate(self, against: Against, expected: &Sum, limit: Decimal) -> Option<Candidate> {
        let declared = rounded(self.sum.value, VALUE_PLACES);
        let wanted = rounded(expected.value, VALUE_PLACES);
        let difference = declared - wanted;
        let percent = (difference * Decimal::ONE_HUNDRED).checked_div(wanted)?;
        let candidate = if difference.is_sign_negative() {
            Direction::UnderInvoicing
        } else {
            Direction::OverInvoicing
        };
        (percent.abs() > limit).then(|| Candidate {
            candidate,
            against,
            claim: self.key.claim.to_owned(),
            exports: self.exports,
            hs6: self.key.hs6.to_owned(),
            month: self.month,
            currency: self.key.currency.to_owned(),
            declared,
            expected: wanted,
            difference,
            percent: rounded(percent, 1),
            unit_value: self.sum.per_kg(),
            expected_unit_value: expected.per_kg(),
        })
    }
}
