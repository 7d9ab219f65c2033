//! The one thread that writes.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Log;
use super::session::Session;
use super::tx::SqliteTx;
use super::{Counters, Failure, Job};
use crate::{Error, WriteWork};

/// Most works of one commit.
const BATCH_WORKS_MAX: usize = 256;

/// The works of a commit that ran, with what to answer once it is durable. No answer leaves
/// earlier, not even a refusal: it may rest on what a neighbour in the batch wrote.
type Answers = Vec<(oneshot::Sender<Result<(), Error>>, Result<(), Error>)>;

pub(super) struct Writer {
    pub(super) session: Session,
    pub(super) queue: mpsc::Receiver<Job<WriteWork>>,
    pub(super) log: Log,
    pub(super) failure: Arc<Failure>,
    pub(super) counters: Arc<Counters>,
    /// Held as long as this thread may write.
    #[expect(dead_code, reason = "held, not used")]
    pub(super) lock: Arc<File>,
}

impl Writer {
    /// Serves the queue until it closes or something fatal happens.
    pub(super) fn run(mut self) {
        let mut answers = Answers::new();
        while let Some(first) = self.queue.blocking_recv() {
            let outcome = self.commit(first, &mut answers);
            let outcome = outcome.and_then(|()| self.log.keep_short(self.session.connection()));
            let Err(error) = outcome else {
                for (answer, result) in answers.drain(..) {
                    // A waiter that gave up is no concern: its work stands.
                    let _ = answer.send(result);
                }
                continue;
            };
            let cause = error.to_string();
            tracing::error!(cause, "the store stops");
            for (answer, _) in answers.drain(..) {
                let _ = answer.send(Err(Error::backend("committing", &cause)));
            }
            super::record(&self.failure, cause);
            return;
        }
    }

    /// Runs `first` and all that waits behind it in one transaction.
    fn commit(&mut self, first: Job<WriteWork>, answers: &mut Answers) -> Result<(), Error> {
        let mut next = Some(first);
        if self.failure.borrow().is_some() {
            return Err(Error::Stopped);
        }
        self.session.control("BEGIN IMMEDIATE")?;
        while let Some(job) = next {
            answers.push((job.answer, Ok(())));
            let result = self.run_work(job.work)?;
            if let Some((_, answer)) = answers.last_mut() {
                *answer = result;
            }
            next = if answers.len() < BATCH_WORKS_MAX { self.queue.try_recv().ok() } else { None };
        }
        self.session.control("COMMIT")?;
        self.counters.works.fetch_add(answers.len() as u64, Ordering::Relaxed);
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Runs one work in its savepoint. The outer error is fatal, the inner one is the work's.
    fn run_work(&self, work: WriteWork) -> Result<Result<(), Error>, Error> {
        self.session.control("SAVEPOINT work")?;
        let mut tx = SqliteTx(&self.session);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut tx)))
            .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())));
        if self.session.is_broken() {
            let cause = result.err().map_or_else(|| "see above".to_owned(), |e| e.to_string());
            return Err(Error::backend("writing", cause));
        }
        if result.is_err() {
            self.session.control("ROLLBACK TO work")?;
        }
        self.session.control("RELEASE work")?;
        Ok(result)
    }
}
