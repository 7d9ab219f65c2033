//! Sparing callers a node that says nothing.
//!
//! When a peer has left [`FAILURES_MIN`] calls in a row without any answer, further ones are
//! refused at once for a pause, so that not each of them waits for its own time to be over. Then
//! one is let through as a probe; any answer, a refusal too, ends the pauses, and each further
//! silence doubles them. This differs from [`crate::breaker`], which judges systems of providers
//! by the share of calls that fail: a peer serves many of them, and one that answers is well.
//!
//! Invariants: no lock; at most one probe is out in a pause; a probe whose caller goes away makes
//! room for the next one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
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
}

/// Leave to call a peer. Say how it ended; dropped without that, it counts for nothing.
pub(crate) struct Leave {
    peer: Arc<Peer>,
    probe: bool,
}

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
}

impl Leave {
    /// Says that the peer answered, whatever it said.
    pub(crate) fn answered(mut self) {
        self.probe = false;
        if self.peer.failures.load(Ordering::Relaxed) > 0 {
            self.peer.failures.store(0, Ordering::Relaxed);
            self.peer.until.store(0, Ordering::Relaxed);
        }
    }

    /// Says that the peer gave no answer.
    pub(crate) fn failed(mut self, now: Timestamp) {
        self.probe = false;
        let failures = self.peer.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if let Some(more) = failures.checked_sub(FAILURES_MIN) {
            let pause = PAUSE_FIRST * 2_u32.pow(more.min(DOUBLINGS_MAX));
            self.peer.until.store(now.plus(pause.min(PAUSE_MAX)).as_millis(), Ordering::Relaxed);
        }
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
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000 + seconds)
    }

    /// Lets `count` calls end without an answer.
    fn fail(peers: &Peers, peer: &NodeId, count: u32, now: Timestamp) {
        let leaves: Vec<_> = (0..count).map(|_| peers.admit(peer, now)).collect();
        for leave in leaves {
            leave.map_err(drop).expect("leave").failed(now);
        }
    }

    fn seconds(refused: Result<Leave, Duration>) -> Option<u64> {
        refused.err().map(|left| left.as_secs())
    }

    #[test]
    fn a_silent_peer_is_spared_and_probed() {
        let (peers, peer): (Peers, NodeId) = (Peers::default(), "PK/node/one".parse().expect("id"));
        fail(&peers, &peer, FAILURES_MIN - 1, at(0));
        assert!(peers.admit(&peer, at(0)).is_ok());
        fail(&peers, &peer, 1, at(0));
        assert_eq!(seconds(peers.admit(&peer, at(0))), Some(2));
        assert!(peers.admit(&"PK/node/two".parse().expect("id"), at(0)).is_ok());
        // One probe; the others wait for it.
        let probe = peers.admit(&peer, at(2)).map_err(drop).expect("a probe");
        assert_eq!(seconds(peers.admit(&peer, at(2))), Some(60));
        probe.failed(at(3));
        assert_eq!(seconds(peers.admit(&peer, at(3))), Some(4), "the pause doubles");
        // A probe whose caller goes away makes room for the next, whose answer ends it all.
        drop(peers.admit(&peer, at(7)).map_err(drop).expect("a probe"));
        peers.admit(&peer, at(7)).map_err(drop).expect("a probe").answered();
        fail(&peers, &peer, FAILURES_MIN - 1, at(8));
        assert!(peers.admit(&peer, at(8)).is_ok(), "it is counted anew");
    }

    #[test]
    fn pauses_have_an_end_whatever_the_clock_does() {
        let (peers, peer): (Peers, NodeId) = (Peers::default(), "PK/node/one".parse().expect("id"));
        fail(&peers, &peer, 50, at(0));
        assert_eq!(seconds(peers.admit(&peer, at(0))), Some(60));
        assert!(peers.admit(&peer, at(-10_000)).is_ok(), "a clock that was set back");
    }
}
