//! A part of the goods as a fraction, which is never rounded to a decimal.

use karvan_types::Decimal;

use crate::codes::units::exact_product;

/// A part of the goods, from nothing to all, in lowest terms.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Share {
    part: Decimal,
    whole: Decimal,
}

impl Share {
    /// All of the goods.
    pub const ALL: Self = Self { part: Decimal::ONE, whole: Decimal::ONE };
    /// Nothing of them.
    pub const NONE: Self = Self { part: Decimal::ZERO, whole: Decimal::ONE };

    /// Makes the share that `part` is of `whole`: nothing when one of them is not above zero, and
    /// never more than all.
    pub fn of(part: Decimal, whole: Decimal) -> Self {
        if part <= Decimal::ZERO || whole <= Decimal::ZERO {
            Self::NONE
        } else if part >= whole {
            Self::ALL
        } else {
            lowest_terms(part, whole).unwrap_or(Self { part, whole })
        }
    }

    /// Returns the rest of the goods.
    #[must_use]
    pub fn rest(self) -> Self {
        Self { part: self.whole - self.part, whole: self.whole }
    }

    /// Whether this is nothing.
    pub const fn is_none(self) -> bool {
        self.part.is_zero()
    }

    /// Whether this share is at least `part` of `whole`.
    pub fn is_at_least(self, part: Decimal, whole: Decimal) -> bool {
        let (mine, other) = (self.part.checked_mul(whole), part.checked_mul(self.whole));
        matches!((mine, other), (Some(mine), Some(other)) if mine >= other)
    }

    /// Returns this share of a number, divided by `divisor` in the same step so that it is rounded
    /// once, to the precision of a decimal; nothing when the numbers leave the exact range.
    pub fn of_number(self, number: Decimal, divisor: Decimal) -> Option<Decimal> {
        exact_product(number, self.part)?.checked_div(exact_product(self.whole, divisor)?)
    }
}

fn lowest_terms(part: Decimal, whole: Decimal) -> Option<Share> {
    let scale = part.scale().max(whole.scale());
    let integer = |number: Decimal| {
        number.mantissa().checked_mul(10_i128.checked_pow(scale - number.scale())?)
    };
    let (part, whole) = (integer(part)?, integer(whole)?);
    let divisor = greatest_common_divisor(part, whole);
    let reduced = |number: i128| Decimal::try_from_i128_with_scale(number / divisor, 0).ok();
    Some(Share { part: reduced(part)?, whole: reduced(whole)? })
}

/// Returns the greatest common divisor of two numbers above zero (Euclid's algorithm).
const fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn check(part: &str, whole: &str, lowest: (&str, &str)) {
        let share = Share::of(decimal(part), decimal(whole));
        assert_eq!((share.part, share.whole), (decimal(lowest.0), decimal(lowest.1)));
        assert_eq!(share.rest().part + share.part, share.whole, "{part} of {whole}");
    }

    #[test]
    fn a_share_is_a_fraction_in_lowest_terms() {
        check("10000", "30000", ("1", "3"));
        check("0.333333", "1", ("333333", "1000000"));
        check("12.5", "100.000", ("1", "8"));
        check("7", "7", ("1", "1"));
        check("8", "7", ("1", "1"));
        check("0", "7", ("0", "1"));
        check("-1", "7", ("0", "1"));
        check("1", "0", ("0", "1"));
        let third = Share::of(decimal("10000"), decimal("30000"));
        assert_eq!(third.of_number(decimal("900000"), Decimal::ONE), Some(decimal("300000")));
        assert_eq!(third.rest().of_number(decimal("90"), decimal("4")), Some(decimal("15")));
        let large = Share::of(Decimal::ONE, Decimal::MAX);
        assert_eq!(large.of_number(Decimal::MAX, Decimal::ONE), Some(Decimal::ONE));
        assert_eq!(large.rest().of_number(Decimal::MAX, Decimal::ONE), None);
    }
}
