//! Units of measure (UN/ECE Recommendation 20) and exact conversion between them.
//!
//! Every unit belongs to one kind (mass, count, length ...) and has a factor to the base unit of
//! that kind. Where the Recommendation gives no factor, `data/units.tsv` marks the factor as the
//! project's own. Different kinds are never converted into each other.

use std::sync::LazyLock;

use karvan_types::amount::{Decimal, FRACTION_DIGITS_MAX, RoundingStrategy, is_strict};
use karvan_types::{ErrorKind, Quantity};

use super::{find, table};

/// A unit of measure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unit {
    /// UN/ECE Recommendation 20 code.
    pub code: &'static str,
    /// What it measures, such as `mass`; only units of one kind are converted.
    pub kind: &'static str,
    /// How many base units of the kind one unit is.
    pub factor: Decimal,
    /// English name.
    pub name: &'static str,
}

/// A quantity expressed in another unit.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Converted {
    /// The quantity in the wanted unit.
    pub quantity: Quantity,
    /// Whether the number is exact; otherwise it is rounded half-even to six decimals.
    pub exact: bool,
}

/// A quantity cannot be expressed in a unit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The unit is in no list.
    #[error("`{0}` is not a known unit; use a code of UN/ECE Recommendation 20 such as KGM")]
    UnknownUnit(String),
    /// The units measure different things.
    #[error("{from} measures {from_kind} and {to} measures {to_kind}; state both quantities")]
    DifferentKinds {
        /// Unit of the quantity.
        from: &'static str,
        /// What it measures.
        from_kind: &'static str,
        /// The wanted unit.
        to: &'static str,
        /// What it measures.
        to_kind: &'static str,
    },
    /// The number has too many digits.
    #[error("{0} has too many digits to convert; use a larger unit")]
    TooLarge(Quantity),
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

static UNITS: LazyLock<Box<[Unit]>> = LazyLock::new(|| {
    table(include_str!("../../data/units.tsv"), |row| {
        let (code, kind, factor) = (row.next()?, row.next()?, row.next()?);
        let (_basis, name) = (row.next()?, row.next()?);
        Some(Unit { code, kind, factor: factor.parse().ok()?, name })
    })
});

static SPELLINGS: LazyLock<Box<[(&str, &str)]>> = LazyLock::new(|| {
    table(include_str!("../../data/unit-spellings.tsv"), |row| Some((row.next()?, row.next()?)))
});

/// Returns the unit with this code.
pub fn unit(code: &str) -> Option<&'static Unit> {
    find(&UNITS, |row| row.code, code)
}

/// Returns the unit that a national spelling such as `KG` or `M2` means, or the code itself.
pub fn by_spelling(spelling: &str) -> Option<&'static Unit> {
    let spelling = spelling.trim().trim_end_matches('.').to_ascii_uppercase();
    unit(&spelling).or_else(|| find(&SPELLINGS, |row| row.0, &spelling).and_then(|row| unit(row.1)))
}

/// Returns the quantity in the base unit of its kind, exactly.
pub fn to_base(quantity: &Quantity) -> Result<Decimal, Error> {
    let unit = known(&quantity.unit)?;
    exact_product(quantity.value, unit.factor)
        .ok_or_else(|| Error::TooLarge(quantity.clone()))
        .map(|value| value.normalize())
}

/// Expresses a quantity in another unit of the same kind.
pub fn convert(quantity: &Quantity, to: &str) -> Result<Converted, Error> {
    let (from, to) = (known(&quantity.unit)?, known(to)?);
    if from.kind != to.kind {
        return Err(Error::DifferentKinds {
            from: from.code,
            from_kind: from.kind,
            to: to.code,
            to_kind: to.kind,
        });
    }
    let base = to_base(quantity)?;
    let value = base
        .checked_div(to.factor)
        .ok_or_else(|| Error::TooLarge(quantity.clone()))?
        .round_dp_with_strategy(places(), RoundingStrategy::MidpointNearestEven)
        .normalize();
    if !is_strict(value) {
        return Err(Error::TooLarge(quantity.clone()));
    }
    let exact = exact_product(value, to.factor) == Some(base);
    Ok(Converted { quantity: Quantity { value, unit: to.code.to_owned() }, exact })
}

fn known(code: &str) -> Result<&'static Unit, Error> {
    unit(code).ok_or_else(|| Error::UnknownUnit(code.chars().take(20).collect()))
}

fn places() -> u32 {
    u32::try_from(FRACTION_DIGITS_MAX).unwrap_or(0)
}

/// Multiplies without rounding: the library shortens a product that does not fit its 96 bits.
pub(crate) fn exact_product(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (a, b) = (a.normalize(), b.normalize());
    let product = a.checked_mul(b)?;
    (product.is_zero() || product.scale() == a.scale() + b.scale()).then_some(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use karvan_types::amount::parse_decimal;

    fn quantity(text: &str) -> Quantity {
        let (value, unit) = text.split_once(' ').expect("value and unit");
        Quantity { value: parse_decimal(value).expect("decimal"), unit: unit.to_owned() }
    }

    fn check(from: &str, to: &str, exact: bool) {
        let wanted = quantity(to);
        let found = convert(&quantity(from), &wanted.unit).expect("convertible");
        assert_eq!((found.quantity.to_string(), found.exact), (to.to_owned(), exact), "{from}");
    }

    #[test]
    fn lists_are_complete_and_sorted() {
        use super::super::tests::check_table;
        check_table(include_str!("../../data/units.tsv"), &UNITS, |row| row.code);
        check_table(include_str!("../../data/unit-spellings.tsv"), &SPELLINGS, |row| row.0);
        for (spelling, code) in SPELLINGS.iter() {
            assert!(unit(code).is_some() && unit(spelling).is_none(), "{spelling}");
        }
        for row in UNITS.iter() {
            assert!(row.factor > Decimal::ZERO, "{}", row.code);
        }
    }

    #[test]
    fn converts_exactly_within_a_kind() {
        check("20 TNE", "20000 KGM", true);
        check("20000 KGM", "20 TNE", true);
        check("44000 LBR", "19958.06428 KGM", true);
        check("1 KGM", "2.204623 LBR", false);
        check("3 DZN", "36 C62", true);
        check("2 CEN", "200 H87", true);
        check("12 PR", "2 DZN", true);
        check("1 DTN", "100000 GRM", true);
        check("1000 LTR", "1 MTQ", true);
        check("1 GRO", "144 NAR", true);
        check("10 MTK", "107.639104 FTK", false);
        check("0 KGM", "0 LBR", true);
        assert_eq!(to_base(&quantity("1.5 TNE")).map(|v| v.to_string()), Ok("1500".to_owned()));
    }

    #[test]
    fn refuses_what_has_no_common_measure() {
        for (from, to, reason) in [
            ("1 KGM", "C62", "measures mass and C62 measures count"),
            ("1 MTR", "MTK", "length"),
            ("1 XYZ", "KGM", "not a known unit"),
            ("1 KGM", "kg", "not a known unit"),
            ("9999999999999999.999999 LBR", "KGM", "too many digits"),
        ] {
            let error = convert(&quantity(from), to).expect_err(from).to_string();
            assert!(error.contains(reason), "{from}: {error}");
        }
    }

    #[test]
    fn national_spellings_map_to_codes() {
        for (spelling, code) in [
            ("KG", "KGM"),
            ("kgs.", "KGM"),
            ("U", "C62"),
            ("NO", "C62"),
            ("PRS", "PR"),
            ("M2", "MTK"),
        ] {
            assert_eq!(by_spelling(spelling).map(|unit| unit.code), Some(code));
        }
        assert_eq!(by_spelling("FATHOM"), None);
    }
}
