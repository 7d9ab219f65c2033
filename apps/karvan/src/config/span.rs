//! Durations as people write them: `30s`, `10m`, `24h`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest duration in a configuration: ten years.
const LONGEST: Duration = Duration::from_hours(3650 * 24);
/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A duration that is not zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Span(Duration);

/// The text is no duration.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is not a duration; write a whole number of ms, s, m, h or d, such as 30s, 10m or 24h, \
     from 1ms to 3650d"
)]
pub(crate) struct InvalidSpan(String);

impl Span {
    pub(crate) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    pub(crate) const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || InvalidSpan(text.chars().take(40).collect());
        let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| error())?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let duration = Duration::from_millis(number.checked_mul(*millis).ok_or_else(error)?);
        if duration.is_zero() || duration > LONGEST { Err(error()) } else { Ok(Self(duration)) }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let unit = UNITS.iter().find(|(_, unit)| millis.is_multiple_of(*unit));
        let (name, unit) = unit.copied().unwrap_or(("ms", 1));
        write!(f, "{}{name}", millis / unit)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, millis, shown) in [
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "90s"),
            ("60s", 60_000, "1m"),
            ("24h", 86_400_000, "1d"),
            ("250ms", 250, "250ms"),
        ] {
            let span: Span = text.parse().expect(text);
            assert_eq!(
                (span.duration(), span.to_string()),
                (Duration::from_millis(millis), shown.into())
            );
        }
        for bad in [
            "",
            "5",
            "s",
            "0s",
            "1.5h",
            "-1s",
            "1 s",
            "10 minutes",
            "9999999d",
            "99999999999999999999s",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
