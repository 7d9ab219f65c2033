//! Keeps the write-ahead log short, off the path of commits.
//!
//! Whenever the log grew by [`STEP_PAGES`], a thread of its own copies it into the database file
//! while the writer goes on. Under steady load that never catches up entirely, so the log could
//! not start over; past [`PAGES_MAX`] the writer itself copies the short rest between two commits.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

use super::session::{Session, connect_writer};
use super::{Failure, Lock};
use crate::Error;

/// Pages of growth after which the log is copied in the background (4 MiB).
const STEP_PAGES: u32 = 1024;
/// Pages after which the writer waits for the copy (64 MiB).
const PAGES_MAX: u32 = 16 * 1024;

/// The writer's side.
pub(super) struct Log {
    pages: Arc<AtomicU32>,
    asked_at: u32,
    signal: SyncSender<()>,
}

/// The thread's side; its fields drop in the order of the writer's.
pub(super) struct Checkpointer {
    connection: Connection,
    signals: Receiver<()>,
    #[expect(dead_code, reason = "held as long as this thread may write")]
    lock: Arc<Lock>,
    failure: Arc<Failure>,
}

/// Makes both sides; `writer` is the connection whose commits are counted.
pub(super) fn new(
    writer: &mut Connection,
    path: &Path,
    failure: &Arc<Failure>,
    lock: &Arc<Lock>,
) -> Result<(Log, Checkpointer), Error> {
    let pages = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&pages);
    writer
        .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            seen.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))
        .map_err(super::session::opening)?;
    let (signal, signals) = sync_channel(1);
    let connection = connect_writer(path)?;
    let (lock, failure) = (Arc::clone(lock), Arc::clone(failure));
    Ok((Log { pages, asked_at: 0, signal }, Checkpointer { connection, signals, lock, failure }))
}

impl Log {
    /// Starts what keeps the log short, if it is due; called after each commit.
    pub(super) fn keep_short(&mut self, writer: &Connection) -> Result<(), Error> {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages > PAGES_MAX {
            return Session::checkpoint(writer).map_err(|e| Error::backend("checkpointing", e));
        }
        if pages < self.asked_at {
            // The log started over.
            self.asked_at = 0;
        }
        if pages >= self.asked_at + STEP_PAGES {
            self.asked_at = pages;
            // Full means that one is asked for already.
            let _ = self.signal.try_send(());
        }
        Ok(())
    }
}

impl Checkpointer {
    /// Serves signals until the writer is gone.
    pub(super) fn run(self) {
        for () in &self.signals {
            if let Err(error) = Session::checkpoint(&self.connection) {
                let cause = format!("checkpointing failed: {error}");
                tracing::error!(cause, "the store stops");
                super::record(&self.failure, cause);
                return;
            }
        }
    }
}
