//! The one thread that writes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Log;
use super::session::Session;
use super::tx::SqliteTx;
use super::{Counters, Failure, Job, Lock};
use crate::{Error, WriteWork};

/// Most works of one commit.
const BATCH_WORKS_MAX: usize = 256;

/// The works of a commit that ran, with what to answer once it is durable. No answer leaves
/// earlier, not even a refusal: it may rest on what a neighbour in the batch wrote.
type Answers = Vec<(oneshot::Sender<Result<(), Error>>, Result<(), Error>)>;

/// Its fields drop in this order: the file closes, then the lock opens, then the watch of failures
/// closes.
pub(super) struct Writer {
    pub(super) session: Session,
    pub(super) queue: mpsc::Receiver<Job<WriteWork>>,
    pub(super) log: Log,
    #[expect(dead_code, reason = "held as long as this thread may write")]
    pub(super) lock: Arc<Lock>,
    pub(super) failure: Arc<Failure>,
    pub(super) counters: Arc<Counters>,
}

impl Writer {
    /// Serves the queue until it closes or something fatal happens.
    pub(super) fn run(mut self) {
        let mut answers = Answers::new();
        while let Some(first) = self.queue.blocking_recv() {
            let outcome = self.commit(first, &mut answers);
            if let Err(error) = &outcome {
                // Before any waiter learns of it.
                self.stop(error);
            }
            for (answer, result) in answers.drain(..) {
                let result = match &outcome {
                    Ok(()) => result,
                    Err(Error::Backend { doing, cause }) => Err(Error::backend(doing, cause)),
                    Err(_) => Err(Error::Stopped),
                };
                // A waiter that gave up is no concern: its work stands.
                let _ = answer.send(result);
            }
            if outcome.is_err() {
                return;
            }
            if let Err(error) = self.log.keep_short(self.session.connection()) {
                self.stop(&error);
                return;
            }
        }
    }

    fn stop(&self, error: &Error) {
        tracing::error!(%error, "the store stops");
        super::record(&self.failure, error.to_string());
    }

    /// Runs `first` and all that waits behind it in one transaction.
    fn commit(&mut self, first: Job<WriteWork>, answers: &mut Answers) -> Result<(), Error> {
        // First of all, so that it is answered whatever happens.
        answers.push((first.answer, Ok(())));
        if self.failure.borrow().is_some() {
            return Err(Error::Stopped);
        }
        self.session.control("BEGIN IMMEDIATE")?;
        let mut work = first.work;
        loop {
            let result = self.run_work(work)?;
            if let Some((_, answer)) = answers.last_mut() {
                *answer = result;
            }
            if answers.len() >= BATCH_WORKS_MAX {
                break;
            }
            let Ok(job) = self.queue.try_recv() else { break };
            answers.push((job.answer, Ok(())));
            work = job.work;
        }
        self.session.write_shared()?;
        self.session.control("COMMIT")?;
        self.counters.works.fetch_add(answers.len() as u64, Ordering::Relaxed);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Runs one work. The outer error is fatal, the inner one is the work's.
    fn run_work(&self, work: WriteWork) -> Result<Result<(), Error>, Error> {
        let mut tx = SqliteTx::new(&self.session);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut tx)))
            .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())));
        // The work may have hidden it.
        self.session.unbroken()?;
        if result.is_err() {
            tx.undo()?;
        }
        Ok(result)
    }
}
