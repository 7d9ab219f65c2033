//! Sparing callers a node that says nothing.
//!
//! When a peer has left [`FAILURES_MIN`] calls in a row without any answer, further ones are
//! refused at once for a pause, so that not each of them waits for its own time to be over. Then
//! one is let through as a probe; any answer, a refusal too, ends the pauses, and each further
//! silence of a probe doubles them. This differs from [`crate::breaker`], which judges systems of
//! providers by the share of calls that fail: a peer serves many of them, and one that answers is
//! well.
//!
//! A peer that gave no connection is silent. A call that it took and did not answer may as well
//! wait for the provider's system behind a peer that is well: then the last of these calls leaves a
//! [`Doubt`], and its caller finds out whether the peer answers anything.
//!
//! Invariants: no lock; at most one probe is out in a pause, and at most one doubt about a peer; a
//! probe or a doubt whose caller goes away makes room for the next one; calls that were under way
//! when a pause began do not prolong it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use karvan_types::{NodeId, Timestamp};

/// Calls in a row without an answer, after which a peer is spared.
pub(crate) const FAILURES_MIN: u32 = 5;
/// The first pause.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest pause, and how long a probe may keep others waiting.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Times that the first pause doubles before it is the longest.
const DOUBLINGS_MAX: u32 = 5;

/// What is known of each peer's silence.
#[derive(Debug, Default)]
pub(crate) struct Peers(ArcSwap<HashMap<NodeId, Arc<Peer>>>);

/// What is known of one peer's silence.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Calls without an answer since the last one with it.
    failures: AtomicU32,
    /// Milliseconds of the era at which the pause ends; 0 while there is none.
    until: AtomicI64,
    /// Probes without an answer since the pauses began.
    probes: AtomicU32,
    /// Whether somebody is finding out if it answers anything.
    doubted: AtomicBool,
}

/// Leave to call a peer. Say how it ended; dropped without that, it counts for nothing.
pub(crate) struct Leave {
    peer: Arc<Peer>,
    probe: bool,
}

/// Calls in a row had no answer. Say whether the peer answers anything; dropped without that, the
/// next call without an answer leaves a doubt.
#[must_use]
pub(crate) struct Doubt(Leave);

impl Peers {
    /// Returns leave to call a peer now, or when to ask again. Only for listed nodes: what is
    /// known of each is kept for ever.
    pub(crate) fn admit(&self, peer: &NodeId, now: Timestamp) -> Result<Leave, Duration> {
        if let Some(known) = self.0.load().get(peer) {
            return known.admit(now);
        }
        self.0.rcu(|known| {
            let mut known = HashMap::clone(known);
            known.entry(peer.clone()).or_default();
            known
        });
        let known = self.0.load().get(peer).cloned().unwrap_or_default();
        known.admit(now)
    }
}

impl Peer {
    fn admit(self: &Arc<Self>, now: Timestamp) -> Result<Leave, Duration> {
        let leave = |probe| Leave { peer: Arc::clone(self), probe };
        let until = self.until.load(Ordering::Relaxed);
        if until == 0 {
            return Ok(leave(false));
        }
        let left =
            Duration::from_millis(until.saturating_sub(now.as_millis()).try_into().unwrap_or(0));
        // A clock that was set back must not keep it closed.
        if !left.is_zero() && left <= PAUSE_MAX {
            return Err(left);
        }
        let probing = now.plus(PAUSE_MAX).as_millis();
        let swapped =
            self.until.compare_exchange(until, probing, Ordering::Relaxed, Ordering::Relaxed);
        swapped.map(|_| leave(true)).map_err(|_| PAUSE_FIRST)
    }

    fn count(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

impl Leave {
    /// Says that the peer answered, whatever it said.
    pub(crate) fn answered(mut self) {
        self.probe = false;
        if self.peer.failures.load(Ordering::Relaxed) > 0 {
            self.peer.failures.store(0, Ordering::Relaxed);
            self.peer.probes.store(0, Ordering::Relaxed);
            self.peer.until.store(0, Ordering::Relaxed);
        }
    }

    /// Says that no connection to the peer came about.
    pub(crate) fn unreached(self, now: Timestamp) {
        if self.peer.count() >= FAILURES_MIN {
            self.spare(now);
        }
    }

    /// Says that the peer took the call, or may have taken it, and gave no answer. Returns a doubt
    /// when the caller is to find out whether it answers anything.
    pub(crate) fn unanswered(self) -> Option<Doubt> {
        let failures = self.peer.count();
        let judged = !self.probe && self.peer.until.load(Ordering::Relaxed) != 0;
        let doubted =
            failures >= FAILURES_MIN && !judged && !self.peer.doubted.swap(true, Ordering::Relaxed);
        doubted.then(|| Doubt(self))
    }

    /// Begins a pause, or the next one; those who called before it have nothing to add.
    fn spare(mut self, now: Timestamp) {
        let Peer { until, probes, .. } = &*self.peer;
        if std::mem::take(&mut self.probe) {
            let doublings = probes.fetch_add(1, Ordering::Relaxed).saturating_add(1);
            let pause = PAUSE_FIRST * 2_u32.pow(doublings.min(DOUBLINGS_MAX));
            until.store(now.plus(pause.min(PAUSE_MAX)).as_millis(), Ordering::Relaxed);
        } else {
            let end = now.plus(PAUSE_FIRST).as_millis();
            let _ = until.compare_exchange(0, end, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Doubt {
    /// Says that the peer answers: it is well, and what is slow stands behind it.
    pub(crate) fn lives(self) {
        self.settle(Leave::answered);
    }

    /// Says that the peer does not answer.
    pub(crate) fn silent(self, now: Timestamp) {
        self.settle(|leave| leave.spare(now));
    }

    fn settle(mut self, how: impl FnOnce(Leave)) {
        let peer = Arc::clone(&self.0.peer);
        how(Leave { peer, probe: std::mem::take(&mut self.0.probe) });
    }
}

impl Drop for Doubt {
    fn drop(&mut self) {
        self.0.peer.doubted.store(false, Ordering::Relaxed);
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.probe {
            // Long ago: the next call is the probe.
            self.peer.until.store(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
