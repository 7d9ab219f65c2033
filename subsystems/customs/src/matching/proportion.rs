//! Proportions of numbers as they were declared, which may have as many digits as their formats
//! allow.
//!
//! Invariant: nothing here overflows. A result that is too large for a decimal is the largest one,
//! which is above every limit.

use karvan_types::Decimal;

/// Returns the part of `value` that `part` is of `whole`, which must not be zero.
pub(super) fn proportion(value: Decimal, part: Decimal, whole: Decimal) -> Decimal {
    let product = value.checked_mul(part).and_then(|product| product.checked_div(whole));
    // The other order rounds the 28th digit, where the product is too long.
    let quotient = || value.checked_div(whole).and_then(|quotient| quotient.checked_mul(part));
    product.or_else(quotient).unwrap_or(Decimal::MAX)
}

/// Returns how many percent of `whole`, which must not be zero, a number is.
pub(super) fn percent(of: Decimal, whole: Decimal) -> Decimal {
    proportion(of, Decimal::ONE_HUNDRED, whole)
}

/// Returns a number less so many percent of it.
pub(super) fn below(value: Decimal, percent: Decimal) -> Decimal {
    value.saturating_sub(proportion(value, percent, Decimal::ONE_HUNDRED))
}

/// Returns a number and so many percent of it.
pub(super) fn above(value: Decimal, percent: Decimal) -> Decimal {
    value.saturating_add(proportion(value, percent, Decimal::ONE_HUNDRED))
}

/// Adds numbers.
pub(super) fn sum(numbers: impl Iterator<Item = Decimal>) -> Decimal {
    numbers.fold(Decimal::ZERO, Decimal::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_of_long_numbers_are_found() {
        let check = |value: &str, part: &str, whole: &str, expected: &str| {
            let number = |text: &str| text.parse::<Decimal>().expect("a number");
            let found = proportion(number(value), number(part), number(whole));
            assert_eq!(found.normalize().to_string(), expected, "{value} {part} {whole}");
        };
        check("30", "10", "20", "15");
        check("100", "1", "3", "33.333333333333333333333333333");
        let long = "9999999999999999";
        check(long, long, long, long);
        check(long, long, "1", &Decimal::MAX.to_string());
        check(&Decimal::MAX.to_string(), "50", "100", "39614081257132168796771975168");
        assert_eq!(percent(Decimal::MAX, Decimal::MAX), Decimal::ONE_HUNDRED);
        assert_eq!(above(Decimal::MAX, Decimal::TWO), Decimal::MAX);
        assert_eq!(below(Decimal::from(200), Decimal::TWO), Decimal::from(196));
        assert_eq!(sum([Decimal::MAX, Decimal::ONE].into_iter()), Decimal::MAX);
    }
}
