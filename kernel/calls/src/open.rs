//! Which calls to services of this node are open: written ahead, and not ended yet.
//!
//! The tables would tell too, but only after all rows newer than the oldest open call were read, of
//! which there is no bound: agencies may choose exchange ids, and a slow system holds its call
//! while others come and go. So their ids are kept here besides. A start begins with none, for
//! [`crate::recovery`] ends what was left.
//!
//! Invariant: changed only within the transaction that opens or ends the call's row, so what is
//! left out is open for the time of a commit at most. Its length is that of the gate
//! ([`crate::overload`]), and that of calls whose end could not be written.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use karvan_types::ExchangeId;

/// The ids of open calls; locked for a moment only.
#[derive(Debug, Default)]
pub(crate) struct OpenCalls(Mutex<BTreeSet<ExchangeId>>);

impl OpenCalls {
    /// Says that a call was written ahead.
    pub(crate) fn begun(&self, exchange: ExchangeId) {
        self.lock().insert(exchange);
    }

    /// Says that a call has its end.
    pub(crate) fn ended(&self, exchange: ExchangeId) {
        self.lock().remove(&exchange);
    }

    /// Returns the ids, the latest first.
    pub(crate) fn newest_first(&self) -> Vec<ExchangeId> {
        self.lock().iter().rev().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ExchangeId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
