//! Counting an allowance without a lock.
//!
//! The generic cell rate algorithm: one number, the instant at which the allowance would be full
//! again, moved by compare-and-swap. A client may use its whole allowance at once and gets it back
//! evenly over the period, so that at no time more than twice the allowance passes within one
//! period. The count lives in memory and starts anew with the process.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

/// How often something may be used.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Quota {
    /// Number of calls.
    pub calls: u32,
    /// In which time.
    pub per: Period,
}

/// The time that a quota is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One second.
    Second,
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours.
    Day,
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.calls, self.per.as_str())
    }
}

impl Period {
    /// Returns its name, as agreements write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Returns its length.
    pub const fn duration(self) -> Duration {
        match self {
            Self::Second => Duration::from_secs(1),
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_hours(1),
            Self::Day => Duration::from_hours(24),
        }
    }
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Left {
    /// Calls that may be made now.
    pub remaining: u32,
    /// When the allowance is full again.
    pub reset: Duration,
}

/// An allowance that is used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted {
    /// When the next call may be made.
    pub retry_after: Duration,
    /// When the allowance is full again.
    pub reset: Duration,
}

/// The count of one quota.
#[derive(Debug)]
pub struct Meter {
    quota: Quota,
    /// Microseconds of the era at which the allowance is full again.
    full_at: AtomicU64,
}

impl Meter {
    /// Makes a full allowance.
    pub fn new(quota: Quota) -> Self {
        Self { quota, full_at: AtomicU64::new(0) }
    }

    /// Returns what it counts.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Uses one call, or says when the next one is free.
    pub fn take(&self, now: Timestamp) -> Result<Left, Exhausted> {
        let now = micros(now);
        let period = u64::try_from(self.quota.per.duration().as_micros()).unwrap_or(u64::MAX);
        let step = (period / u64::from(self.quota.calls.max(1))).max(1);
        let mut seen = self.full_at.load(Ordering::Relaxed);
        loop {
            let next = seen.max(now) + step;
            if next - now > period {
                return Err(Exhausted {
                    retry_after: Duration::from_micros(next - now - period),
                    reset: Duration::from_micros(seen - now),
                });
            }
            let swapped = self.full_at.compare_exchange_weak(
                seen,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => {
                    let free = (period - (next - now)) / step;
                    return Ok(Left {
                        remaining: u32::try_from(free).unwrap_or(u32::MAX),
                        reset: Duration::from_micros(next - now),
                    });
                }
                Err(newer) => seen = newer,
            }
        }
    }
}

fn micros(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    #[test]
    fn an_allowance_is_used_up_and_comes_back_evenly() {
        let meter = Meter::new(Quota { calls: 3, per: Period::Second });
        for remaining in [2, 1, 0] {
            assert_eq!(meter.take(at(0)).expect("within the allowance").remaining, remaining);
        }
        let used_up = meter.take(at(0)).expect_err("three calls are the allowance");
        assert_eq!(used_up.retry_after.as_millis(), 333);
        assert!(meter.take(at(333)).is_err(), "a third of a second is 333.33 ms");
        assert_eq!(meter.take(at(334)).expect("one is free again").remaining, 0);
        assert_eq!(meter.take(at(5_000)).expect("all are free again").remaining, 2);
    }

    #[test]
    fn many_threads_get_exactly_the_allowance() {
        let meter = Meter::new(Quota { calls: 1_000, per: Period::Day });
        let taken: usize = std::thread::scope(|scope| {
            let runs = [(); 4]
                .map(|()| scope.spawn(|| (0..1_000).filter(|_| meter.take(at(0)).is_ok()).count()));
            runs.into_iter().map(|run| run.join().expect("no panic")).sum()
        });
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let meter = Meter::new(Quota { calls: 1, per: Period::Minute });
        assert!(meter.take(at(0)).is_ok());
        assert!(meter.take(at(-30_000)).is_err());
    }
}
