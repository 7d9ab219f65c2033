//! Keeping a node fast when more is asked of it than it can do.
//!
//! A [`Gate`] lets a bounded number of calls run. A few more wait for a moment; the rest are told
//! at once to come back, which costs less than a call that ends when its caller has given up. How
//! long a call may wait is chosen by controlled delay (K. Nichols, V. Jacobson, ACM Queue 10(5),
//! 2012) in the form for servers (B. Maurer, "Fail at Scale", ACM Queue 13(8), 2015): a queue that
//! was empty a short while ago holds a burst, whose calls may wait for the whole interval; one that
//! stood for longer holds overload, where waiting helps nobody, and calls wait for the target only
//! and the newest goes first, for its caller is the likeliest to be there still.
//!
//! Each provider has a share of the places (a bulkhead), so that one whose system hangs leaves the
//! places of the others alone.
//!
//! Invariants: neither running nor waiting calls exceed their bounds; a place whose caller goes
//! away, at whatever moment, is free again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, MemberId, Timestamp};
use tokio::sync::oneshot;

/// How long a queue may stand before it counts as overload, and how long a burst may wait.
pub const INTERVAL: Duration = Duration::from_millis(100);
/// How long a call may wait in overload.
pub const TARGET: Duration = Duration::from_millis(5);
/// What refused callers are told to wait for before they try again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Providers counted before those without calls are forgotten.
const SHARES_KEPT: usize = 4_096;

/// The bounds of a gate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Most calls that run at one time.
    pub running_max: usize,
    /// Most calls that wait.
    pub waiting_max: usize,
    /// Most calls of one provider, running and waiting.
    pub share_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { running_max: 2048, waiting_max: 512, share_max: 1024 }
    }
}

/// Why a call was not let in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reason {
    /// As many calls wait as may.
    Full,
    /// No place became free in time.
    Waited,
    /// The provider's share is used up.
    Share,
}

/// A call was not let in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}; try again after {} s", .reason.text(), .retry_after.as_secs())]
pub struct Overloaded {
    /// Why.
    pub reason: Reason,
    /// When to try again; the value of `Retry-After`.
    pub retry_after: Duration,
}

impl Reason {
    /// Returns the stable word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Waited => "waited",
            Self::Share => "share",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Full | Self::Waited => "this node has more calls than it can take",
            Self::Share => "too many calls to this provider are under way",
        }
    }
}

impl From<Overloaded> for Rejection {
    fn from(overloaded: Overloaded) -> Self {
        Self::new(ErrorKind::Overloaded, "overloaded", overloaded.to_string())
    }
}

/// Lets a bounded number of calls run.
#[derive(Debug)]
pub struct Gate {
    bounds: Bounds,
    /// Locked for a moment only, never while something waits.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    running: usize,
    waiting: VecDeque<(u64, oneshot::Sender<()>)>,
    next: u64,
    shares: HashMap<MemberId, usize>,
    /// When somebody last found nobody waiting.
    empty_at: Timestamp,
    /// Whether the queue stands.
    overload: bool,
}

/// A call's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Arc<Gate>,
    provider: MemberId,
}

impl Gate {
    /// Makes a gate.
    pub fn new(bounds: Bounds) -> Arc<Self> {
        let state = State {
            running: 0,
            waiting: VecDeque::new(),
            next: 0,
            shares: HashMap::new(),
            empty_at: Timestamp::default(),
            overload: false,
        };
        Arc::new(Self { bounds, state: Mutex::new(state) })
    }

    /// Returns a place for a call to a provider, perhaps after waiting for it, at most
    /// [`INTERVAL`].
    pub async fn enter(
        self: &Arc<Self>,
        provider: &MemberId,
        now: Timestamp,
    ) -> Result<Permit, Overloaded> {
        let (mut place, patience) = match self.knock(provider, now)? {
            Knock::In(permit) => return Ok(permit),
            Knock::Wait(place, patience) => (place, patience),
        };
        let called = tokio::time::timeout(patience, &mut place.called).await;
        if matches!(called, Ok(Ok(()))) {
            return Ok(place.enter());
        }
        Err(refuse(Reason::Waited))
    }

    fn knock(self: &Arc<Self>, provider: &MemberId, now: Timestamp) -> Result<Knock, Overloaded> {
        let mut state = self.lock();
        if state.share(provider) >= self.bounds.share_max {
            return Err(refuse(Reason::Share));
        }
        if state.waiting.is_empty() {
            (state.empty_at, state.overload) = (now, false);
            if state.running < self.bounds.running_max {
                state.running += 1;
                state.take_share(provider);
                let (gate, provider) = (Arc::clone(self), provider.clone());
                return Ok(Knock::In(Permit { gate, provider }));
            }
        }
        if state.waiting.len() >= self.bounds.waiting_max {
            return Err(refuse(Reason::Full));
        }
        state.overload = now.since(state.empty_at) > INTERVAL;
        let patience = if state.overload { TARGET } else { INTERVAL };
        let (call, called) = oneshot::channel();
        let number = state.next;
        state.next += 1;
        state.waiting.push_back((number, call));
        state.take_share(provider);
        let (gate, provider) = (Arc::clone(self), provider.clone());
        let place = Place { gate, provider, number, called, entered: false };
        Ok(Knock::Wait(place, patience))
    }

    /// Returns how many calls run and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn share(&self, provider: &MemberId) -> usize {
        self.shares.get(provider).copied().unwrap_or(0)
    }

    fn take_share(&mut self, provider: &MemberId) {
        if let Some(share) = self.shares.get_mut(provider) {
            *share += 1;
            return;
        }
        if self.shares.len() >= SHARES_KEPT {
            self.shares.retain(|_, share| *share > 0);
        }
        self.shares.insert(provider.clone(), 1);
    }

    fn give_share(&mut self, provider: &MemberId) {
        if let Some(share) = self.shares.get_mut(provider) {
            *share = share.saturating_sub(1);
        }
    }

    /// Hands a free place to somebody who waits, or notes that it is free.
    fn hand_on(&mut self) {
        loop {
            let next =
                if self.overload { self.waiting.pop_back() } else { self.waiting.pop_front() };
            let Some((_, call)) = next else {
                self.running = self.running.saturating_sub(1);
                return;
            };
            if call.send(()).is_ok() {
                return;
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.give_share(&self.provider);
        state.hand_on();
    }
}

enum Knock {
    In(Permit),
    Wait(Place, Duration),
}

/// A place in the queue.
struct Place {
    gate: Arc<Gate>,
    provider: MemberId,
    number: u64,
    called: oneshot::Receiver<()>,
    /// Whether the place has become a permit, which now frees it.
    entered: bool,
}

impl Place {
    fn enter(mut self) -> Permit {
        self.entered = true;
        Permit { gate: Arc::clone(&self.gate), provider: self.provider.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.entered {
            return;
        }
        // Nobody can call any more; if somebody did, the place goes to the next one.
        self.called.close();
        let was_called = self.called.try_recv().is_ok();
        let mut state = self.gate.lock();
        state.waiting.retain(|(number, _)| *number != self.number);
        state.give_share(&self.provider);
        if was_called {
            state.hand_on();
        }
    }
}

fn refuse(reason: Reason) -> Overloaded {
    Overloaded { reason, retry_after: RETRY_AFTER }
}

#[cfg(test)]
mod tests;
