//! A thread that reads snapshots.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc;

use super::Job;
use super::session::Session;
use crate::{Error, ReadWork};

/// Serves the queue, which all readers share, until it closes.
pub(super) fn run(session: &Session, queue: &Mutex<mpsc::Receiver<Job<ReadWork>>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(Job { work, answer }) = job else { return };
        // A waiter that gave up is no concern.
        let _ = answer.send(view(session, work));
    }
}

/// Runs one work inside one read transaction, and so on one snapshot.
fn view(session: &Session, work: ReadWork) -> Result<(), Error> {
    session.control("BEGIN DEFERRED")?;
    let result = catch_unwind(AssertUnwindSafe(|| work(session)))
        .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())));
    session.control("ROLLBACK")?;
    result
}
