//! Counting an allowance without a lock.
//!
//! The period slides: the calls of the last period are counted in `PARTS` parts of it, and those
//! of a part come back together once the youngest of them is a whole period old. So an allowance
//! may be used at once, in no period does more than it pass, and it comes back at most a part of a
//! period late. The count lives in memory; `kept` says what of it outlives the process.
//!
//! Invariant: a call is counted in the total before it is counted in its part, and what is in a
//! part comes back once, with the first call that finds its place wanted by a later part, so the
//! total is never too low.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

pub use kept::Portion;

mod kept;

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

/// The parts of the last period, and the one that is only partly in it.
const KEPT: usize = 61;
/// Parts in which a period is counted.
const PARTS: u64 = KEPT as u64 - 1;

/// The count of one quota.
#[derive(Debug)]
pub struct Meter {
    quota: Quota,
    /// Calls in all parts that are kept.
    total: AtomicU32,
    /// The newest part in which something was asked, counted from the beginning of the era.
    newest: AtomicU64,
    /// What was counted in each part; a part's place is the rest of its number.
    parts: [AtomicU64; KEPT],
    /// Locked only where calls are made durable, one after the other.
    kept: kept::Shared,
}

/// What a place holds: which part, told by the quotient of its number, and its calls. Both are one
/// number, so that no call is counted in a part that another thread takes away.
#[derive(Clone, Copy)]
struct Held {
    round: u32,
    calls: u32,
}

impl Held {
    const fn of(packed: u64) -> Self {
        let [r0, r1, r2, r3, c0, c1, c2, c3] = packed.to_be_bytes();
        let (round, calls) = ([r0, r1, r2, r3], [c0, c1, c2, c3]);
        Self { round: u32::from_be_bytes(round), calls: u32::from_be_bytes(calls) }
    }

    fn packed(self) -> u64 {
        (u64::from(self.round) << u32::BITS) | u64::from(self.calls)
    }
}

impl Meter {
    /// Makes a full allowance.
    pub fn new(quota: Quota) -> Self {
        let parts = std::array::from_fn(|_| AtomicU64::new(0));
        let (total, newest) = (AtomicU32::new(0), AtomicU64::new(0));
        Self { quota, total, newest, parts, kept: kept::Shared::default() }
    }

    /// Returns what it counts.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Uses one call, or says when the next one is free.
    pub fn take(&self, now: Timestamp) -> Result<Left, Exhausted> {
        let now = micros(now);
        let newest = self.advance(now / self.part_micros());
        let calls = self.quota.calls;
        let taken = self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |total| {
            total.checked_add(1).filter(|total| *total <= calls)
        });
        let Ok(before) = taken else { return Err(self.exhausted(newest, now)) };
        self.count(newest, 1);
        let remaining = calls.saturating_sub(before).saturating_sub(1);
        Ok(Left { remaining, reset: self.free_in(newest, now) })
    }

    /// Counts calls that were made in a part.
    fn restore_part(&self, part: u64, calls: u32) {
        self.advance(part);
        self.total.fetch_add(calls, Ordering::Relaxed);
        self.count(part, calls);
    }

    /// Takes back the calls of parts that are over; returns the newest part. A clock that was set
    /// back stays in the part in which it was.
    fn advance(&self, to: u64) -> u64 {
        let newest = self.newest.fetch_max(to, Ordering::Relaxed);
        let over = newest.saturating_add(1).max(to.saturating_sub(PARTS));
        for part in over..=to {
            self.count(part, 0);
        }
        newest.max(to)
    }

    /// Counts calls in a part. The first to come to a part takes back what its place held before.
    fn count(&self, part: u64, more: u32) {
        let (place, round) = self.place(part);
        let Some(place) = place else { return };
        let counted = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
            let held = Held::of(packed);
            let calls = match held.round.cmp(&round) {
                Less => more,
                Equal => held.calls.saturating_add(more),
                Greater => return None,
            };
            Some(Held { round, calls }.packed())
        });
        let over = match counted.map(Held::of) {
            Ok(before) if before.round < round => before.calls,
            Ok(_) => 0,
            // A whole period has passed since the time was read.
            Err(_) => more,
        };
        self.total.fetch_sub(over, Ordering::Relaxed);
    }

    /// Returns the place of a part, and how it is told from others that have the same.
    fn place(&self, part: u64) -> (Option<&AtomicU64>, u32) {
        let place = usize::try_from(part % (PARTS + 1)).ok().and_then(|at| self.parts.get(at));
        (place, u32::try_from(part / (PARTS + 1)).unwrap_or(u32::MAX))
    }

    fn part_micros(&self) -> u64 {
        let period = self.quota.per.duration();
        (u64::try_from(period.as_micros()).unwrap_or(u64::MAX) / PARTS).max(1)
    }

    /// Returns how long the calls of a part count still.
    fn free_in(&self, part: u64, now: u64) -> Duration {
        let free = part.saturating_add(PARTS + 1).saturating_mul(self.part_micros());
        Duration::from_micros(free.saturating_sub(now))
    }

    fn exhausted(&self, newest: u64, now: u64) -> Exhausted {
        let is_used = |part: &u64| {
            let (place, round) = self.place(*part);
            let held = place.map(|place| Held::of(place.load(Ordering::Relaxed)));
            held.is_some_and(|held| held.round == round && held.calls > 0)
        };
        let mut used = (newest.saturating_sub(PARTS)..=newest).filter(is_used);
        // Other threads may be about to count theirs; then all is of now.
        let oldest = used.next().unwrap_or(newest);
        let youngest = used.last().unwrap_or(oldest);
        Exhausted { retry_after: self.free_in(oldest, now), reset: self.free_in(youngest, now) }
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
    fn an_allowance_is_used_up_and_comes_back_a_period_later() {
        let meter = Meter::new(Quota { calls: 3, per: Period::Minute });
        for (second, remaining) in [(0, 2), (10, 1), (20, 0)] {
            let left = meter.take(at(second * 1_000)).expect("within the allowance");
            assert_eq!(left.remaining, remaining);
        }
        let used_up = meter.take(at(30_000)).expect_err("three calls are the allowance");
        assert_eq!((used_up.retry_after.as_secs(), used_up.reset.as_secs()), (31, 51));
        assert!(meter.take(at(60_000)).is_err(), "within a minute of the first");
        assert_eq!(meter.take(at(61_000)).expect("the first is back").remaining, 0);
        assert!(meter.take(at(62_000)).is_err());
        assert_eq!(meter.take(at(500_000)).expect("all are back").remaining, 2);
    }

    /// In no period does more pass than the allowance, whenever it is asked for.
    #[test]
    fn no_period_holds_more_than_the_allowance() {
        for (calls, step) in [(4, 700), (4, 8_300), (7, 1_000), (1, 250), (60, 900)] {
            let meter = Meter::new(Quota { calls, per: Period::Minute });
            let taken: Vec<i64> =
                (0..600).map(|n| n * step).filter(|ms| meter.take(at(*ms)).is_ok()).collect();
            let most = taken
                .iter()
                .map(|end| taken.iter().filter(|it| (0..60_000).contains(&(end - **it))).count());
            let most = most.max().expect("some pass");
            let asked = usize::try_from(60_000 / step).expect("few");
            let expected = usize::try_from(calls).expect("few").min(asked + 1);
            assert_eq!(most, expected, "{calls} asked for each {step} ms");
        }
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

    /// One thread has moved on to a new part and is about to take back what its place held, when
    /// another one counts a call there.
    #[test]
    fn what_is_counted_in_a_new_part_stays() {
        let meter = Meter::new(Quota { calls: 2, per: Period::Minute });
        assert!(meter.take(at(-61_000)).is_ok(), "in the place of the part that follows");
        let part = micros(at(0)) / meter.part_micros();
        meter.newest.fetch_max(part, Ordering::Relaxed);
        assert!(meter.take(at(0)).is_ok());
        meter.count(part, 0);
        assert_eq!(meter.take(at(0)).map(|left| left.remaining), Ok(0));
        assert!(meter.take(at(0)).is_err(), "two calls are the allowance");
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_away() {
        let meter = Meter::new(Quota { calls: 1, per: Period::Minute });
        assert!(meter.take(at(0)).is_ok());
        assert!(meter.take(at(-30_000)).is_err());
    }
}
