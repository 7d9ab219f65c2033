//! Instants and dates. The only module that names the time library.
//!
//! Nothing here reads a clock: the current instant is always an argument.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A calendar date without time zone, written `YYYY-MM-DD` (ISO 8601).
pub type Date = jiff::civil::Date;

/// An instant in UTC with millisecond resolution, written per RFC 3339 with `Z`.
///
/// Input must carry an offset; it is converted to UTC and truncated to milliseconds.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 instant with an offset.
#[derive(Debug, Clone, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is not a date and time with offset (RFC 3339, such as 2026-11-21T08:30:00Z){hint}",
    hint = date_hint(.0)
)]
pub struct InvalidTimestamp(pub String);

/// Names of months and eras of the Islamic calendar, as they stand in papers.
const HIJRI: [&str; 8] = ["AH", "hijri", "muharram", "safar", "rabi", "rajab", "ramadan", "هـ"];

/// Says what to do about a date in another notation; nothing when none is recognised.
pub fn date_hint(text: &str) -> &'static str {
    let lower = text.to_lowercase();
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let sign_at = |at: usize| bytes.get(at).is_some_and(|b| matches!(b, b'/' | b'.' | b'-'));
    let begins_with_year =
        (0..4).all(is_digit) && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if HIJRI.iter().any(|word| text.contains(word) || lower.contains(word)) {
        "; write the day of the Gregorian calendar"
    } else if text.chars().any(|c| c.is_numeric() && !c.is_ascii_digit()) {
        "; write the digits of other scripts as 0 to 9"
    } else if !begins_with_year && is_digit(0) && (sign_at(1) || sign_at(2) || sign_at(4)) {
        "; write the year with four digits, then month and day: YYYY-MM-DD"
    } else if begins_with_year && text.get(..10).is_some_and(|day| day.parse::<Date>().is_err()) {
        "; there is no such day in the calendar"
    } else if begins_with_year && bytes.get(10) == Some(&b'T') {
        "; add the offset of the clock, such as +05:00"
    } else {
        ""
    }
}

impl Timestamp {
    /// Makes an instant from milliseconds since 1970-01-01T00:00:00Z.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Makes an instant from whole seconds since 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Returns milliseconds since 1970-01-01T00:00:00Z.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Returns whole seconds since 1970-01-01T00:00:00Z, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Returns this instant moved later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// Returns this instant moved earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// Returns how long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the UTC calendar date.
    pub fn utc_date(self) -> Date {
        self.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date()
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or_default()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| InvalidTimestamp(text.chars().take(64).collect()))?;
        Ok(Self(parsed.as_millisecond()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_is_required_and_converted() {
        let baku: Timestamp = "2026-11-21T12:30:00.1239+04:00".parse().expect("valid");
        assert_eq!(baku.to_string(), "2026-11-21T08:30:00.123Z");
        assert!("2026-11-21T12:30:00".parse::<Timestamp>().is_err());
        assert!("2026-06-31T12:30:00Z".parse::<Timestamp>().is_err());
        assert_eq!(baku.to_string().parse(), Ok(baku));
    }

    #[test]
    fn other_notations_are_told_what_to_do() {
        for (text, hint) in [
            ("2026-11-21T12:30:00", "add the offset"),
            ("2026-06-31T12:30:00Z", "no such day"),
            ("31/06/2026", "four digits"),
            ("26-06-30T10:00:00Z", "four digits"),
            ("30.06.26", "four digits"),
            ("14 Ramadan 1447 AH", "Gregorian"),
            ("1447-09-14 هـ", "Gregorian"),
            ("\u{6f2}\u{6f0}\u{6f2}\u{6f6}", "0 to 9"),
        ] {
            let error = text.parse::<Timestamp>().expect_err(text).to_string();
            assert!(error.contains(hint), "{error}");
        }
        assert_eq!(date_hint(""), "");
    }
}
