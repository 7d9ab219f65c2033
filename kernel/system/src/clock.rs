//! The current instant.

use karvan_types::Timestamp;

/// Tells the current instant. Timers are tokio's; this is the wall clock that goes into evidence.
pub trait Clock: Send + Sync {
    /// Returns the current instant in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}
