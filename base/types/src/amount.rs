//! Exact amounts of money and quantities of goods. No floating point anywhere.

use std::fmt;

pub use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Most digits before the decimal point (WCO Data Model format n..16,6).
pub const INTEGER_DIGITS_MAX: usize = 16;
/// Most digits after the decimal point.
pub const FRACTION_DIGITS_MAX: usize = 6;

/// A number breaks the strict decimal form.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is not a plain decimal number: up to 16 digits, then optionally a dot and up to 6 \
     digits; no sign, exponent, grouping or other digits than 0 to 9{hint}",
    hint = decimal_hint(.0)
)]
pub struct InvalidDecimal(pub String);

/// Says what to do about the commonest other notations.
fn decimal_hint(text: &str) -> &'static str {
    let has = |sign| text.contains(sign);
    if text.chars().any(|c| c.is_numeric() && !c.is_ascii_digit()) {
        "; write the digits of other scripts as 0 to 9"
    } else if has(',') && has('.') {
        "; leave out the signs between thousands and write the decimal mark as a dot"
    } else if has(',') {
        "; write the decimal mark as a dot, and no sign between thousands"
    } else if text.starts_with('-') {
        "; a correction downwards is a new version, not a negative number"
    } else if text.bytes().any(|b| b == b'e' || b == b'E') {
        "; write the number out, without exponent"
    } else {
        ""
    }
}

/// Parses a non-negative decimal strictly: `1234.56`, never `1,234.56`, `1E3`, `-5` or `٣`.
pub fn parse_decimal(text: &str) -> Result<Decimal, InvalidDecimal> {
    let error = || InvalidDecimal(text.chars().take(40).collect());
    let (integer, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, max| {
        (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(integer, INTEGER_DIGITS_MAX) || !digits(fraction, FRACTION_DIGITS_MAX) {
        return Err(error());
    }
    text.parse().map_err(|_| error())
}

/// Returns whether a number that was computed can be written so that [`parse_decimal`] reads it.
/// What is not, must not be stored or sent.
pub fn is_strict(value: Decimal) -> bool {
    let places = usize::try_from(value.scale()).is_ok_and(|scale| scale <= FRACTION_DIGITS_MAX);
    places && !value.is_sign_negative() && value < TOO_LARGE
}

/// The smallest number with more digits than [`INTEGER_DIGITS_MAX`].
const TOO_LARGE: Decimal = Decimal::from_parts(1_874_919_424, 2_328_306, 0, false, 0);

/// Serde form of a strict decimal: always a JSON string (see [`parse_decimal`]).
pub mod decimal_text {
    use super::Decimal;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the number as a string.
    pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads a strict decimal string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_decimal(&text).map_err(serde::de::Error::custom)
    }
}

/// Stands for a strict decimal string where the schema of a message is made.
#[derive(Clone, Copy, Debug)]
pub enum DecimalText {}

/// An amount of money in one currency.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// The number, in whole units of the currency.
    #[serde(with = "decimal_text")]
    pub value: Decimal,
    /// ISO 4217 alphabetic code.
    pub currency: String,
}

/// A quantity in one unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quantity {
    /// The number.
    #[serde(with = "decimal_text")]
    pub value: Decimal,
    /// UN/ECE Recommendation 20 unit code, such as `KGM`.
    pub unit: String,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.currency)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_decimals() {
        for good in ["0", "1234.56", "0.000001", "9999999999999999.999999"] {
            assert_eq!(parse_decimal(good).map(|d| d.to_string()), Ok(good.to_owned()));
        }
        for (number, strict) in [
            ("0", true),
            ("9999999999999999.999999", true),
            ("10000000000000000", false),
            ("0.0000001", false),
            ("-1", false),
        ] {
            let decimal: Decimal = number.parse().expect(number);
            assert_eq!(is_strict(decimal), strict, "{number}");
            assert_eq!(parse_decimal(&decimal.to_string()).is_ok(), strict, "{number}");
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-5",
            "+5",
            "1E5",
            "NaN",
            "1,234.56",
            "1.234,56",
            "٣",
            " 1",
            "1 ",
            "0x1",
            "1_000",
            "12345678901234567",
            "0.1234567",
            "1.2.3",
        ] {
            assert!(parse_decimal(bad).is_err(), "{bad}");
        }
        for (bad, hint) in [
            ("1.234,56", "write the decimal mark as a dot"),
            ("1234,56", "write the decimal mark as a dot"),
            ("1E5", "without exponent"),
            ("-5", "is a new version"),
            ("\u{661}\u{662}", "write the digits of other scripts as 0 to 9"),
        ] {
            let error = parse_decimal(bad).expect_err(bad).to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
