//! How long is waited for what, as dated data with source and status (`data/clocks.toml`). For the
//! arrival of goods it is told by mode of transport with the mirror (`crate::mirror::params`).
//!
//! Invariant: every kind of timer that this table serves has a row from the day on which the
//! agreement came into force; loading refuses a table without it.

use std::sync::LazyLock;
use std::time::Duration;

use karvan_types::{Date, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::timers::TimerKind;

const SHIPPED: &str = include_str!("../data/clocks.toml");

static TABLE: LazyLock<Option<Clocks>> = LazyLock::new(|| Clocks::shipped().ok());

/// Returns how long a timer that starts at `at` runs by the shipped table.
pub fn wait(kind: TimerKind, at: Timestamp) -> Duration {
    // A sub-system is not made when the table does not load, so there always is one.
    let longest = Duration::from_mins(MINUTES_MAX);
    TABLE.as_ref().map_or(longest, |table| table.wait(kind, at))
}

/// Longest wait that a row may name, in minutes: ten years.
const MINUTES_MAX: u64 = 10 * 366 * 24 * 60;

/// The kinds of timers that take their wait from this table.
pub const SERVED: [TimerKind; 9] = [
    TimerKind::Receipt,
    TimerKind::ReceiptLate,
    TimerKind::Validation,
    TimerKind::ValidationLate,
    TimerKind::ParkedAsk,
    TimerKind::ParkedAlarm,
    TimerKind::NumberAsked,
    TimerKind::NightlySequence,
    TimerKind::PartnerSilent,
];

/// How sure a row is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// In an official text.
    Official,
    /// Told by a credible source.
    Reported,
    /// As in a comparable agreement.
    Analogue,
    /// A working value.
    Assumed,
}

/// One wait and its period of validity.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Which timer.
    pub clock: TimerKind,
    /// How long it runs, in minutes.
    pub minutes: u64,
    /// What is waited for and what happens then.
    pub about: String,
    /// First day.
    pub from: Date,
    /// Last day, if it was closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// How sure it is.
    pub status: Status,
    /// From where it is known.
    pub source: String,
}

/// The table.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Clocks {
    /// The agreement that it is for.
    pub agreement: String,
    /// The day on which that came into force.
    pub in_force: Date,
    /// The rows.
    #[serde(rename = "clock")]
    pub rows: Vec<Row>,
}

/// A table of waits cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML of the expected shape.
    #[error("the table of waits cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A kind has no row from the first day on.
    #[error("the table of waits has no row for `{0}` from {1} on; add one")]
    Missing(&'static str, Date),
    /// A wait is out of bounds.
    #[error("`{0}` waits {1} minutes; use 1 to {MINUTES_MAX}")]
    Bounds(&'static str, u64),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

impl Clocks {
    /// Returns the waits shipped with Karvan.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse(SHIPPED)
    }

    /// Reads a table.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let clocks: Self = toml::from_str(text)?;
        for row in &clocks.rows {
            if !(1..=MINUTES_MAX).contains(&row.minutes) {
                return Err(Error::Bounds(row.clock.name(), row.minutes));
            }
        }
        match SERVED.into_iter().find(|&kind| clocks.row(kind, clocks.in_force).is_none()) {
            Some(kind) => Err(Error::Missing(kind.name(), clocks.in_force)),
            None => Ok(clocks),
        }
    }

    /// Returns the row that holds on a day: the newest.
    pub fn row(&self, kind: TimerKind, day: Date) -> Option<&Row> {
        let holds = |row: &&Row| {
            row.clock == kind && row.from <= day && row.until.is_none_or(|until| day <= until)
        };
        self.rows.iter().filter(holds).max_by_key(|row| row.from)
    }

    /// Returns how long a timer that starts at `at` runs. Before the agreement the first row holds.
    pub fn wait(&self, kind: TimerKind, at: Timestamp) -> Duration {
        let row = self.row(kind, at.utc_date().max(self.in_force));
        Duration::from_mins(row.map_or(MINUTES_MAX, |row| row.minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_served_kind_has_a_wait_with_a_source() {
        let clocks = Clocks::shipped().expect("loads");
        for kind in SERVED {
            let row = clocks.row(kind, clocks.in_force).expect("a row");
            assert!(row.source.len() > 10 && row.about.len() > 10, "{row:?}");
        }
        let now = Timestamp::from_seconds(1_790_000_000);
        assert_eq!(clocks.wait(TimerKind::Receipt, now), Duration::from_mins(5));
        assert_eq!(clocks.wait(TimerKind::ParkedAlarm, now), Duration::from_hours(24));
        let early = Timestamp::from_seconds(1_000_000_000);
        assert_eq!(clocks.wait(TimerKind::Receipt, early), Duration::from_mins(5));
    }

    #[test]
    fn the_newest_row_holds_and_bad_tables_are_refused() {
        let newer = r#"
            [[clock]]
            clock = "receipt"
            minutes = 10
            about = "longer"
            from = "2027-01-01"
            status = "official"
            source = "protocol"
        "#;
        let clocks = Clocks::parse(&format!("{SHIPPED}{newer}")).expect("loads");
        let minutes = |day: &str| {
            clocks.row(TimerKind::Receipt, day.parse().expect("a date")).map(|row| row.minutes)
        };
        assert_eq!(minutes("2026-12-31"), Some(5));
        assert_eq!(minutes("2027-01-01"), Some(10));
        for (from, to, reason) in [
            ("minutes = 5\n", "minutes = 0\n", "waits 0 minutes"),
            ("minutes = 5\n", "minutes = 99999999\n", "waits 99999999 minutes"),
            ("clock = \"receipt\"", "clock = \"receipt-late\"", "no row for `receipt`"),
            ("clock = \"receipt\"", "clock = \"lunch\"", "cannot be read"),
        ] {
            let error = Clocks::parse(&SHIPPED.replace(from, to)).expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(error.kind(), ErrorKind::LocalConfig);
        }
    }
}
