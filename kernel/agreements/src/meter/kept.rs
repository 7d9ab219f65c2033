//! What of a count is written down, so that it outlives the process.
//!
//! A count is written ahead in blocks: before a call is made that goes beyond what is written of
//! its part of the period, a whole block more is written, together with what makes the call
//! durable. When a later part begins, the part before is written as it was. So what is written is
//! never less than what was made, and more by less than a block.
//!
//! Invariant: the count that is kept here changes only when its writing succeeded. Whoever writes
//! does it in the order in which the calls are made durable.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use karvan_types::Timestamp;

use super::{KEPT, Meter, PARTS, Period, micros};

/// Most calls that are written ahead.
const BLOCK_CALLS_MAX: u32 = 64;
/// Of an allowance one call in so many may be written ahead.
const BLOCKS_MIN: u32 = 100;

/// The calls of one part of a period, as they are written down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Portion {
    /// The place that it takes; what it held before counts no more.
    pub place: usize,
    /// When the part began.
    pub began: Timestamp,
    /// From when on its calls count no more.
    pub until: Timestamp,
    /// How many they are, at most.
    pub calls: u32,
}

/// What is written of the newest part.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    part: u64,
    /// Calls that were made.
    made: u32,
    /// Calls that are written.
    written: u32,
}

impl Meter {
    /// Says that a call, taken from the allowance at `at`, is about to be made. `write` puts
    /// portions where they become durable before the call is made; it is not asked to for most
    /// calls, and never for an allowance of a second, which is over before a restart is.
    ///
    /// # Errors
    ///
    /// Those of `write`; then nothing that it wrote for this call may become durable.
    pub fn keep<E>(
        &self,
        at: Timestamp,
        mut write: impl FnMut(Portion) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.quota.per == Period::Second {
            return Ok(());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = *kept;
        // One that comes after calls of a later part counts among those, and so for longer.
        let part = micros(at) / self.part_micros();
        if part > kept.part {
            if kept.written > kept.made {
                write(self.portion(kept.part, kept.made))?;
            }
            next = Kept { part, ..Kept::default() };
        }
        next.made = next.made.saturating_add(1);
        if next.made > next.written {
            let block = (self.quota.calls / BLOCKS_MIN).clamp(1, BLOCK_CALLS_MAX);
            let ahead = next.made.saturating_add(block - 1);
            next.written = ahead.min(self.quota.calls).max(next.made);
            write(self.portion(next.part, next.written))?;
        }
        *kept = next;
        Ok(())
    }

    /// Counts the calls that an earlier process wrote down, before any call is taken.
    pub fn restore(&self, began: Timestamp, calls: u32) {
        let part = micros(began) / self.part_micros();
        self.restore_part(part, calls);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if part > kept.part {
            *kept = Kept { part, made: calls, written: calls };
        }
    }

    fn portion(&self, part: u64, calls: u32) -> Portion {
        let length = Duration::from_micros(self.part_micros());
        let start = part.saturating_mul(self.part_micros()) / 1_000;
        let began = Timestamp::from_millis(i64::try_from(start).unwrap_or(i64::MAX));
        let until = began.plus(self.quota.per.duration()).plus(length);
        let place = usize::try_from(part % (PARTS + 1)).unwrap_or(KEPT);
        Portion { place, began, until, calls }
    }
}

/// The newest part as it is written, for one writer at a time.
pub(super) type Shared = Mutex<Kept>;

#[cfg(test)]
mod tests;
