//! A clock that a test moves.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use karvan_system::{Clock, SystemClock};
use karvan_types::Timestamp;

/// The machine's clock, set forward or back, or one that stands still.
#[derive(Debug, Default)]
pub struct TestClock {
    /// When it stands still.
    stands_at: Option<Timestamp>,
    offset_ms: AtomicI64,
}

impl TestClock {
    /// Makes a clock that is right.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a clock that stands at the present until it is set, so that no pause ends while a
    /// busy machine does something else.
    pub fn stopped() -> Self {
        Self { stands_at: Some(SystemClock.now()), ..Self::default() }
    }

    /// Sets it forward.
    pub fn advance(&self, by: Duration) {
        self.shift(by, 1);
    }

    /// Sets it back.
    pub fn set_back(&self, by: Duration) {
        self.shift(by, -1);
    }

    fn shift(&self, by: Duration, sign: i64) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.offset_ms.fetch_add(sign * by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let now = self.stands_at.unwrap_or_else(|| SystemClock.now());
        Timestamp::from_millis(now.as_millis() + self.offset_ms.load(Ordering::SeqCst))
    }
}
