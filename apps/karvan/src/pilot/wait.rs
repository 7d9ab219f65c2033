//! Time as other processes take it: measured, and waited for.
//!
//! What is waited for here happens in other processes, so there is no event to await and no clock
//! to hand in.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Pauses between two looks: short at first, because most things take milliseconds.
const PAUSES: [Duration; 4] = [
    Duration::from_millis(3),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(60),
];

/// Measures from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(clippy::disallowed_methods, reason = "measures other processes, in real time")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Looks again and again, with growing pauses, until it holds or the time is over; returns whether
/// it held.
#[expect(clippy::disallowed_methods, reason = "another process tells of no event")]
pub(crate) fn until(at_most: Duration, mut holds: impl FnMut() -> Result<bool>) -> Result<bool> {
    let watch = Stopwatch::start();
    let mut pauses = PAUSES.into_iter();
    let mut pause = Duration::ZERO;
    while !holds()? {
        if watch.elapsed() >= at_most {
            return Ok(false);
        }
        pause = pauses.next().unwrap_or(pause);
        std::thread::sleep(pause);
    }
    Ok(true)
}
