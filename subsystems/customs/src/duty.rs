//! The duty on one item of goods, with and without the preference, line by line.
//!
//! Each duty is taken on the sum that the tariff names (the customs value, or the value and duties
//! before it), on the quantity, or both, at the general rate on one side and at the rate that is
//! used when the preference is granted on the other. Both sides run through the whole stack,
//! because a lower customs duty also lowers the taxes on top of it. A line is the sum of the parts
//! of its rate, rounded once by the tariff's own rule. Where value and quantity decide which rate
//! is lower, both are worked out on the same sum and quantity and the lower amount is taken.
//!
//! Invariants: exact decimals; no line is dearer with the preference; each total is the sum of its
//! lines.
//!
//! A part of an item has its part of the quantities as a fraction, so a third of them is a third.
//!
//! Not here: which rate is used and why (`crate::tariff`), whether the goods earn the preference.

mod share;

pub use share::Share;

use karvan_types::amount::{RoundingStrategy, decimal_text, is_strict};
use karvan_types::{Amount, Decimal, ErrorKind, Quantity};
use serde::Serialize;

use crate::codes::units::{self, exact_product};
use crate::tariff::{
    self, Base, Charge, Duty, Explanation, Measure, Query, Rate, RateLine, Rounding, Status,
    Tariff, Winner,
};

/// Decimal places to which the value of a part of the goods is rounded.
const PART_DECIMALS: u32 = 2;
/// Decimal places of a quantity that is shown.
const QUANTITY_DECIMALS: u32 = 6;

/// The goods that duty is taken on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Goods {
    /// The customs value.
    pub value: Amount,
    /// Quantities of the whole item in different units, the one to prefer first.
    pub quantities: Vec<Quantity>,
    /// Which part of these quantities the goods are.
    pub share: Share,
    /// Whether amounts that are fixed per item are due on these goods; they are not on the second
    /// part of a divided item.
    pub bears_fixed: bool,
}

impl Goods {
    /// Makes the goods of a whole item.
    pub const fn new(value: Amount, quantities: Vec<Quantity>) -> Self {
        Self { value, quantities, share: Share::ALL, bears_fixed: true }
    }

    /// Divides an item into a share and the rest. What is fixed per item goes with the share,
    /// unless there is none. Nothing when the value leaves the exact range.
    pub fn divide(&self, share: Share) -> Option<(Self, Self)> {
        let half_up = RoundingStrategy::MidpointAwayFromZero;
        let value = share.of_number(self.value.value, Decimal::ONE)?;
        let value = value.round_dp_with_strategy(PART_DECIMALS, half_up);
        let part = |value, share: Share, bears_fixed| Self {
            value: Amount { value, currency: self.value.currency.clone() },
            quantities: self.quantities.clone(),
            share,
            bears_fixed: self.bears_fixed && bears_fixed,
        };
        let has_share = !share.is_none();
        Some((
            part(value, share, has_share),
            part(self.value.value - value, share.rest(), !has_share),
        ))
    }
}

/// The duty on one item.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Assessment<'a> {
    /// The customs value, in the currency of all amounts.
    pub value: Amount,
    /// One line per duty, in order of collection.
    pub lines: Vec<Line<'a>>,
    /// Sum without the preference.
    #[serde(with = "decimal_text")]
    pub total_general: Decimal,
    /// Sum with the preference.
    #[serde(with = "decimal_text")]
    pub total_preferential: Decimal,
    /// What the preference saves.
    #[serde(with = "decimal_text")]
    pub saved: Decimal,
    /// How each line was rounded.
    pub rounding: &'a Rounding,
    /// The least sure status among the rates used; nobody pays on an assumed one.
    pub status: Option<Status>,
    /// The rates, with their sources.
    pub rates: Explanation<'a>,
}

/// One duty on both sides.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Line<'a> {
    /// The duty.
    pub duty: Duty,
    /// Without the preference.
    pub general: Step<'a>,
    /// With the preference.
    pub preferential: Step<'a>,
    /// The general rate on the reference day of the concession, which is shown and not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_rate: Option<Rate>,
    /// The rate of the concession, used or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concession_rate: Option<Rate>,
    /// Which rate the preferential side uses; never [`Winner::ByAmount`].
    pub winner: Winner,
}

/// How one amount came about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step<'a> {
    /// The sum on which the duty is taken.
    #[serde(with = "decimal_text")]
    pub base: Decimal,
    /// The quantity in the unit of the rate, when it has a part per unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// The rate.
    #[serde(flatten)]
    pub rate: Rate,
    /// The amount before rounding.
    #[serde(with = "decimal_text")]
    pub exact: Decimal,
    /// The amount, rounded.
    #[serde(with = "decimal_text")]
    pub amount: Decimal,
    /// Source of the rate.
    pub source: &'a str,
    /// How sure the rate is.
    pub status: Status,
    /// Line of the tariff file.
    pub line: usize,
}

/// A duty cannot be computed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tariff has no answer.
    #[error(transparent)]
    Tariff(#[from] tariff::Error),
    /// The value is in another currency.
    #[error("the customs value is in {found}; convert it to {expected} first")]
    Currency {
        /// Currency of the value.
        found: String,
        /// Currency of the tariff.
        expected: String,
    },
    /// The rate is per unit and no quantity is in such a unit.
    #[error("the rate of {duty} is per {unit}; state the quantity in {unit}")]
    Quantity {
        /// The duty.
        duty: Duty,
        /// UN/ECE Recommendation 20 unit of the rate.
        unit: &'static str,
    },
    /// The numbers leave the exact range.
    #[error("the customs value {0} is too large to compute a duty exactly; split the item")]
    TooLarge(Amount),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Tariff(error) => error.kind(),
            Self::Currency { .. } | Self::Quantity { .. } | Self::TooLarge(_) => ErrorKind::Invalid,
        }
    }
}

/// Computes the duty on goods.
pub fn assess<'a>(
    tariff: &'a Tariff,
    query: Query<'_>,
    goods: &Goods,
) -> Result<Assessment<'a>, Error> {
    let value = &goods.value;
    if value.currency != tariff.currency {
        let (found, expected) = (value.currency.clone(), tariff.currency.clone());
        return Err(Error::Currency { found, expected });
    }
    let rates = tariff.explain(query)?;
    let mut lines: Vec<Line<'a>> = Vec::with_capacity(rates.rates.len());
    for (charge, rate) in tariff.charges.iter().zip(&rates.rates) {
        let line = Stack { tariff, goods, charge, lines: &lines }.line(rate)?;
        lines.push(line);
    }
    let total = |side: fn(&Line<'a>) -> Decimal| {
        let mut lines = lines.iter();
        let total = lines.try_fold(Decimal::ZERO, |sum, line| sum.checked_add(side(line)));
        total.filter(|total| is_strict(*total))
    };
    let too_large = || Error::TooLarge(value.clone());
    let total_general = total(|line| line.general.amount).ok_or_else(too_large)?;
    let total_preferential = total(|line| line.preferential.amount).ok_or_else(too_large)?;
    Ok(Assessment {
        value: value.clone(),
        status: lines.iter().map(|line| line.preferential.status).max(),
        lines,
        total_general,
        total_preferential,
        saved: total_general - total_preferential,
        rounding: &tariff.rounding,
        rates,
    })
}

/// One charge on top of the lines before it.
struct Stack<'s, 'a> {
    tariff: &'a Tariff,
    goods: &'s Goods,
    charge: &'a Charge,
    lines: &'s [Line<'a>],
}

impl<'a> Stack<'_, 'a> {
    fn line(&self, rates: &RateLine<'a>) -> Result<Line<'a>, Error> {
        let bases =
            (self.base(|line| line.general.amount), self.base(|line| line.preferential.amount));
        let (Some(base), Some(preferred_base)) = bases else { return Err(self.too_large()) };
        let general = self.step(base, rates.general.rate, rates.general)?;
        let as_general = || self.step(preferred_base, rates.general.rate, rates.general);
        let (preferential, winner) = match (rates.preferential, rates.preferential_rate) {
            (Some(measure), Some(rate)) if rates.winner == Winner::Preference => {
                (self.step(preferred_base, rate, measure)?, Winner::Preference)
            }
            (Some(measure), Some(rate)) if rates.winner == Winner::ByAmount => {
                let (one, other) = (self.step(preferred_base, rate, measure)?, as_general()?);
                match one.exact.cmp(&other.exact) {
                    std::cmp::Ordering::Less => (one, Winner::Preference),
                    std::cmp::Ordering::Equal => (other, Winner::Equal),
                    std::cmp::Ordering::Greater => (other, Winner::General),
                }
            }
            _ => (as_general()?, rates.winner),
        };
        Ok(Line {
            duty: rates.duty,
            general,
            preferential,
            reference_rate: rates.reference.map(|measure| measure.rate),
            concession_rate: rates.preferential_rate,
            winner,
        })
    }

    fn base(&self, side: fn(&Line<'a>) -> Decimal) -> Option<Decimal> {
        self.charge.base.iter().try_fold(Decimal::ZERO, |sum, part| {
            sum.checked_add(match part {
                Base::Value => self.goods.value.value,
                Base::Duty(duty) => side(self.lines.iter().find(|line| line.duty == *duty)?),
            })
        })
    }

    fn step(&self, base: Decimal, rate: Rate, measure: &'a Measure) -> Result<Step<'a>, Error> {
        let by_value = exact_product(base, rate.percent).map(|sum| sum / Decimal::ONE_HUNDRED);
        let mut exact = by_value.ok_or_else(|| self.too_large())?;
        let mut quantity = None;
        if let Some(specific) = rate.specific {
            let (counted, amount) = self.by_quantity(specific, measure.duty)?;
            exact = exact.checked_add(amount).ok_or_else(|| self.too_large())?;
            quantity = Some(counted);
        }
        if let Some(fixed) = rate.fixed.filter(|_| self.goods.bears_fixed) {
            exact = exact.checked_add(fixed).ok_or_else(|| self.too_large())?;
        }
        let amount = self.tariff.rounding.round(exact);
        let (source, status) = (measure.source.as_str(), measure.status);
        let exact = exact.normalize();
        Ok(Step { base, quantity, rate, exact, amount, source, status, line: measure.line })
    }

    /// Returns the quantity in the unit of the rate, for show, and the amount, from the quantity
    /// as stated so that nothing is rounded in between.
    fn by_quantity(
        &self,
        specific: tariff::Specific,
        duty: Duty,
    ) -> Result<(Quantity, Decimal), Error> {
        let missing = || Error::Quantity { duty, unit: specific.unit };
        let wanted = units::unit(specific.unit).ok_or_else(missing)?;
        let stated = || {
            let units = self.goods.quantities.iter();
            units.filter_map(|quantity| Some((quantity, units::unit(&quantity.unit)?)))
        };
        let same = stated().find(|(_, unit)| unit.code == wanted.code);
        let (quantity, unit) = same
            .or_else(|| stated().find(|(_, unit)| unit.kind == wanted.kind))
            .ok_or_else(missing)?;
        let in_base = exact_product(quantity.value, unit.factor);
        let of_goods = |number| self.goods.share.of_number(number, wanted.factor);
        let amount =
            in_base.and_then(|in_base| exact_product(in_base, specific.amount)).and_then(of_goods);
        let counted = in_base.and_then(of_goods);
        match (counted, amount) {
            (Some(value), Some(amount)) => {
                // Shown as quantities are written; the amount is of the exact one.
                let value = value.round_dp(QUANTITY_DECIMALS).normalize();
                Ok((Quantity { value, unit: wanted.code.to_owned() }, amount))
            }
            _ => Err(self.too_large()),
        }
    }

    fn too_large(&self) -> Error {
        Error::TooLarge(self.goods.value.clone())
    }
}

#[cfg(test)]
mod tests;
