//! The one future that owns the log: it takes requests from a bounded queue, gathers those that
//! wait into one batch, and makes checkpoints in time.
//!
//! Invariants: a request is answered only when its entries are durable; after a fatal error (the
//! disk failed, the queue was rewritten) nothing more is written and every waiting caller is told
//! that the log has stopped.

use std::future::Future;
use std::pin::pin;

use karvan_evidence::note::Signature;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::sleep;

use crate::Error;
use crate::log::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Log};
use crate::segments::Queued;

/// Requests that may wait; further callers wait for room.
pub const QUEUE_REQUESTS_MAX: usize = 4096;
/// Bytes of entries that may wait; further callers wait for room.
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// A request to the task.
pub(crate) struct Ask(pub(crate) Act);

/// What is requested. A caller that no longer waits for the reply is no error.
pub(crate) enum Act {
    Append { entries: Vec<Queued>, reply: Reply<Vec<u64>>, room: OwnedSemaphorePermit },
    Checkpoint { reply: Reply<u64> },
    Cosign { size: u64, signatures: Vec<Signature>, reply: Reply<()> },
}

/// Runs a log. Spawns nothing and blocks only on the disk.
#[must_use = "a log does nothing until its task runs"]
pub struct LedgerTask {
    log: Log,
    asks: mpsc::Receiver<Ask>,
}

/// A request whose entries wait for the batch to be written.
struct Waiting {
    count: u64,
    reply: Reply<Vec<u64>>,
    room: OwnedSemaphorePermit,
}

impl LedgerTask {
    pub(crate) fn new(log: Log, asks: mpsc::Receiver<Ask>) -> Self {
        Self { log, asks }
    }

    /// Runs until `shutdown` ends or every handle is gone; then serves what waits and makes a last
    /// checkpoint. An error means that the disk failed: the process must stop, so that the next
    /// start recovers what is known to be durable.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let result = self.serve(shutdown).await;
        if let Err(error) = &result {
            tracing::error!(%error, "the evidence log stops");
        }
        result
    }

    async fn serve(&mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let every = self.log.config().checkpoint_every;
        let mut shutdown = pin!(shutdown);
        let mut tick = pin!(sleep(every));
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = &mut tick => {
                    self.log.checkpoint()?;
                    tick.set(sleep(every));
                }
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.gather(ask)?,
                    None => break,
                },
            }
        }
        self.asks.close();
        while let Some(ask) = self.asks.recv().await {
            self.gather(ask)?;
        }
        self.log.checkpoint()
    }

    /// Serves a request together with those that wait behind it.
    fn gather(&mut self, first: Ask) -> Result<(), Error> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(Ask(act)) = next {
            match act {
                Act::Append { entries, reply, room } => {
                    if batch.takes(&entries, self.log.last_queue()) {
                        let count = entries.len() as u64;
                        batch.add(entries, Waiting { count, reply, room });
                    } else {
                        batch.write(&mut self.log)?;
                        self.append_queued(entries, reply)?;
                        drop(room);
                    }
                }
                Act::Checkpoint { reply } => {
                    batch.write(&mut self.log)?;
                    self.log.checkpoint()?;
                    let _ = reply.send(Ok(self.log.shared().covered()));
                }
                Act::Cosign { size, signatures, reply } => {
                    let _ = reply.send(self.log.cosign(size, signatures)?);
                }
            }
            next = if batch.is_full() { None } else { self.asks.try_recv().ok() };
        }
        batch.write(&mut self.log)
    }

    /// Serves a request some of whose entries may have been appended before.
    fn append_queued(&mut self, entries: Vec<Queued>, reply: Reply<Vec<u64>>) -> Result<(), Error> {
        let answer = self.log.append_queued(entries);
        if let Err(Error::QueueContent { number, index }) = answer {
            // The cause lies with the caller's entries, so it is told more than that all is over.
            let _ = reply.send(Err(Error::QueueContent { number, index }));
            return Err(Error::QueueContent { number, index });
        }
        let _ = reply.send(answer?);
        Ok(())
    }
}

/// Entries of several requests that are written together.
#[derive(Default)]
struct Batch {
    entries: Vec<Queued>,
    bytes: usize,
    last_queue: u64,
    waiting: Vec<Waiting>,
}

impl Batch {
    /// Returns whether all entries are new, so that they only need to be appended.
    fn takes(&self, entries: &[Queued], last_queue: u64) -> bool {
        let last = self.last_queue.max(last_queue);
        entries.iter().all(|(number, _)| *number == 0 || *number > last)
    }

    fn add(&mut self, entries: Vec<Queued>, waiting: Waiting) {
        self.bytes += entries.iter().map(|(_, entry)| entry.len()).sum::<usize>();
        let last = entries.last().map_or(0, |(number, _)| *number);
        self.last_queue = self.last_queue.max(last);
        self.entries.extend(entries);
        self.waiting.push(waiting);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= BATCH_ENTRIES_MAX || self.bytes >= BATCH_BYTES_MAX
    }

    /// Writes what was gathered and answers the callers.
    fn write(&mut self, log: &mut Log) -> Result<(), Error> {
        let Self { entries, waiting, .. } = std::mem::take(self);
        let mut next = if entries.is_empty() { 0 } else { log.append(entries)? };
        for Waiting { count, reply, room } in waiting {
            let _ = reply.send(Ok((next..next + count).collect()));
            drop(room);
            next += count;
        }
        Ok(())
    }
}
