//! Sparing a provider's system that is down (the circuit breaker of M. Nygard, "Release It!").
//!
//! While half of a service's newest calls fail the breaker opens: calls are refused at once,
//! instead of each waiting for its own failure. After a pause one call is let through as a probe;
//! if it succeeds the breaker closes, if it fails the pause doubles.
//!
//! A failure is a call to which the system gave no whole answer. An answer of whatever status is a
//! success here: the system is there.
//!
//! Invariants: at most one probe is out; a probe whose caller goes away counts for nothing and
//! makes room for the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, MemberId, Timestamp};

/// For how long calls are counted together; the last two such times count.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Fewest calls by which a system is judged.
pub const CALLS_MIN: u32 = 10;
/// The first pause.
pub const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest pause.
pub const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The breakers of all services.
#[derive(Debug, Default)]
pub struct Breakers(RwLock<HashMap<MemberId, HashMap<String, Arc<Breaker>>>>);

impl Breakers {
    /// Returns the breaker of a service. Only for services that exist: each keeps one for ever.
    pub fn of(&self, member: &MemberId, code: &str) -> Arc<Breaker> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = known.get(member).and_then(|codes| codes.get(code)) {
            return Arc::clone(breaker);
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let codes = known.entry(member.clone()).or_default();
        Arc::clone(codes.entry(code.to_owned()).or_default())
    }
}

/// The breaker of one service.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// When the current window began.
    began: Timestamp,
    current: Counts,
    previous: Counts,
    /// The pause that was last taken; none since the last success of a probe.
    pause: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    calls: u32,
    failures: u32,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    #[default]
    Closed,
    Open {
        since: Timestamp,
    },
    Probing,
}

/// The system is being spared.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the provider's system failed most of its newest calls and is not asked now; try again after \
     {} s", .retry_after.as_secs()
)]
pub struct Open {
    /// When to try again, in whole seconds; the value of `Retry-After`.
    pub retry_after: Duration,
}

impl From<Open> for Rejection {
    fn from(open: Open) -> Self {
        Self::new(ErrorKind::PeerUnavailable, "provider-spared", open.to_string())
    }
}

/// Leave to call the system. Say how it ended; dropped without that, it counts for nothing.
#[derive(Debug)]
pub struct Pass {
    breaker: Arc<Breaker>,
    probe: bool,
    told: bool,
}

impl Breaker {
    /// Returns leave to call the system now, or says when to ask again.
    pub fn admit(self: &Arc<Self>, now: Timestamp) -> Result<Pass, Open> {
        let mut state = self.lock();
        let probe = match state.phase {
            Phase::Closed => false,
            // A clock that was set back must not keep it open.
            Phase::Open { since } if now >= since && now.since(since) < state.pause => {
                let left = state.pause.saturating_sub(now.since(since));
                return Err(Open { retry_after: whole_seconds(left) });
            }
            Phase::Open { .. } => {
                state.phase = Phase::Probing;
                true
            }
            Phase::Probing => return Err(Open { retry_after: Duration::from_secs(1) }),
        };
        Ok(Pass { breaker: Arc::clone(self), probe, told: false })
    }

    /// Returns whether calls are refused.
    pub fn is_open(&self) -> bool {
        self.lock().phase != Phase::Closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// Says that the system answered.
    pub fn succeeded(mut self, now: Timestamp) {
        self.told = true;
        let mut state = self.breaker.lock();
        if self.probe {
            *state = State { began: now, ..State::default() };
        }
        state.count(false, now);
    }

    /// Says that the system gave no whole answer.
    pub fn failed(mut self, now: Timestamp) {
        self.told = true;
        let mut state = self.breaker.lock();
        state.count(true, now);
        if self.probe || (state.phase == Phase::Closed && state.is_failing()) {
            state.pause = (state.pause * 2).clamp(PAUSE_FIRST, PAUSE_MAX);
            state.phase = Phase::Open { since: now };
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if self.probe && !self.told {
            // The next call is the probe.
            self.breaker.lock().phase = Phase::Open { since: Timestamp::default() };
        }
    }
}

impl State {
    fn count(&mut self, failure: bool, now: Timestamp) {
        let age = now.since(self.began);
        if age >= WINDOW || now < self.began {
            let apart = age >= WINDOW * 2 || now < self.began;
            self.previous = if apart { Counts::default() } else { self.current };
            (self.current, self.began) = (Counts::default(), now);
        }
        self.current.calls = self.current.calls.saturating_add(1);
        self.current.failures = self.current.failures.saturating_add(u32::from(failure));
    }

    fn is_failing(&self) -> bool {
        let calls = self.current.calls.saturating_add(self.previous.calls);
        let failures = self.current.failures.saturating_add(self.previous.failures);
        calls >= CALLS_MIN && failures.saturating_mul(2) >= calls
    }
}

fn whole_seconds(left: Duration) -> Duration {
    Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))
}

#[cfg(test)]
mod tests;
