//! What a rate is made of: a share of a sum of money, an amount per unit of goods, a fixed amount,
//! or several of them together (a compound rate, whose parts are added).
//!
//! Invariants: no part is negative; amounts are in the currency of the tariff.
//!
//! Not here: what a rate makes of goods (`crate::duty`).

use std::cmp::Ordering;
use std::fmt;

use karvan_types::Decimal;
use karvan_types::amount::decimal_text;
use serde::Serialize;

use crate::codes::units;
use crate::messages::text::optional_decimal;

/// A rate of duty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Rate {
    /// Ad valorem: percent of the sum that the charge is taken on; zero when there is none.
    #[serde(with = "decimal_text")]
    pub percent: Decimal,
    /// Amount per unit of goods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub specific: Option<Specific>,
    /// Amount per item of a declaration, whatever its value and quantity.
    #[serde(with = "optional_decimal", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Decimal>,
}

/// An amount per unit of goods.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Specific {
    /// Amount for one unit.
    #[serde(with = "decimal_text")]
    pub amount: Decimal,
    /// UN/ECE Recommendation 20 unit.
    pub unit: &'static str,
}

impl Rate {
    /// Makes an ad valorem rate.
    pub fn percent(percent: Decimal) -> Self {
        Self { percent, ..Self::default() }
    }

    /// Returns this rate with every part reduced by a percentage of itself, from 0 to 100.
    #[must_use]
    pub fn reduced_by(self, percent: Decimal) -> Self {
        let kept = (Decimal::ONE_HUNDRED - percent) / Decimal::ONE_HUNDRED;
        let part = |value: Decimal| (value * kept).normalize();
        Self {
            percent: part(self.percent),
            specific: self
                .specific
                .map(|specific| Specific { amount: part(specific.amount), ..specific }),
            fixed: self.fixed.map(part),
        }
    }

    /// Compares two rates without knowing the goods; `None` when that depends on the goods, because
    /// one part is higher and another lower or the units measure different things.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        let parts = [
            self.percent.cmp(&other.percent),
            compare_specific(self.specific, other.specific)?,
            self.fixed.unwrap_or_default().cmp(&other.fixed.unwrap_or_default()),
        ];
        let mut whole = Ordering::Equal;
        for part in parts {
            if whole == Ordering::Equal {
                whole = part;
            } else if part != Ordering::Equal && part != whole {
                return None;
            }
        }
        Some(whole)
    }
}

fn compare_specific(one: Option<Specific>, other: Option<Specific>) -> Option<Ordering> {
    let (one, other) = match (one, other) {
        (None, None) => return Some(Ordering::Equal),
        (Some(one), None) => return Some(one.amount.cmp(&Decimal::ZERO)),
        (None, Some(other)) => return Some(Decimal::ZERO.cmp(&other.amount)),
        (Some(one), Some(other)) => (one, other),
    };
    let (unit, other_unit) = (units::unit(one.unit)?, units::unit(other.unit)?);
    if unit.kind != other_unit.kind {
        return None;
    }
    // Both sides per base unit of the kind, multiplied out so that nothing is divided.
    let left = one.amount.checked_mul(other_unit.factor)?;
    Some(left.cmp(&other.amount.checked_mul(unit.factor)?))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { percent, specific, fixed } = self;
        if !percent.is_zero() || (specific.is_none() && fixed.is_none()) {
            write!(f, "{percent} %")?;
            if specific.is_some() || fixed.is_some() {
                f.write_str(" + ")?;
            }
        }
        if let Some(Specific { amount, unit }) = specific {
            write!(f, "{amount} per {unit}")?;
            if fixed.is_some() {
                f.write_str(" + ")?;
            }
        }
        fixed.map_or(Ok(()), |fixed| write!(f, "{fixed} per item"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use karvan_types::amount::parse_decimal;

    fn decimal(text: &str) -> Decimal {
        parse_decimal(text).expect("a decimal")
    }

    /// Reads `15 0.4/KGM 60`: percent, specific and fixed part, `-` where there is none.
    fn rate(text: &str) -> Rate {
        let parts: Vec<_> = text.split(' ').collect();
        let specific = parts[1].split_once('/').map(|(amount, unit)| Specific {
            amount: decimal(amount),
            unit: units::unit(unit).expect("a unit").code,
        });
        let fixed = parts.get(2).map(|fixed| decimal(fixed));
        Rate { percent: decimal(parts[0]), specific, fixed }
    }

    #[test]
    fn rates_are_compared_where_the_goods_do_not_matter() {
        use Ordering::{Equal, Greater, Less};
        for (one, other, expected) in [
            ("5 -", "10 -", Some(Less)),
            ("5 -", "5 -", Some(Equal)),
            ("5 0.4/KGM", "5 -", Some(Greater)),
            ("0 400/TNE", "0 0.4/KGM", Some(Equal)),
            ("0 401/TNE", "0 0.4/KGM", Some(Greater)),
            ("5 0.4/KGM", "10 0.4/KGM 3", Some(Less)),
            ("5 0.4/KGM", "10 -", None),
            ("0 1/KGM", "0 1/LTR", None),
            ("0 - 3", "1 -", None),
        ] {
            let (one, other) = (rate(one), rate(other));
            assert_eq!(one.compare(&other), expected, "{one} against {other}");
            assert_eq!(other.compare(&one), expected.map(Ordering::reverse), "{other}");
        }
    }

    #[test]
    fn a_reduction_touches_every_part() {
        let reduced = rate("20 0.4/KGM 60").reduced_by(decimal("30"));
        assert_eq!(reduced, rate("14 0.28/KGM 42"));
        assert_eq!(reduced.to_string(), "14 % + 0.28 per KGM + 42 per item");
        assert_eq!(rate("0 -").to_string(), "0 %");
        assert_eq!(rate("0 1/KGM").to_string(), "1 per KGM");
    }
}
