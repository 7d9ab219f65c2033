//! The default back end: SQLite in write-ahead mode, one writer with group commit.
//!
//! One thread owns the only writing connection. It takes every waiting work into one transaction,
//! undoes those that fail, and commits once: with many writers one `fsync` serves many works, and
//! no answer leaves before it. A few threads with connections of their own read
//! snapshots. A last one copies the write-ahead log back into the database file, off the path of
//! commits. Nothing here needs a particular async runtime.
//!
//! Invariants: an answer of success means that the work is durable (`synchronous = FULL`); after
//! a failed commit or a failed disk the writer never tries again, since it cannot know what the
//! disk holds; a lock file keeps a second process out.
//!
//! Not here: the rules of names, rows and ranges (`crate::catalog`), bodies kept as files
//! ([`crate::Blobs`]).

mod checkpoint;
mod migrate;
mod reader;
mod session;
mod sql;
mod tx;
mod writer;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use karvan_system::{Disk as _, OsDisk};
use tokio::sync::{mpsc, oneshot, watch};

use crate::catalog::Catalog;
use crate::{Backend, Error, Migration, Pending, ReadWork, WriteWork};

/// Works that may wait for the writer; more wait in their own futures.
const WRITE_QUEUE_MAX: usize = 1024;
/// Reads that may wait for a reader; more wait in their own futures.
const READ_QUEUE_MAX: usize = 256;
/// Connections that read.
const READERS: usize = 2;

const DATABASE: &str = "state.db";
const LOCK: &str = "state.lock";

/// What a work and its waiter exchange.
struct Job<W> {
    work: W,
    answer: oneshot::Sender<Result<(), Error>>,
}

/// The way to a thread; `None` once the store closes.
type Queue<W> = Option<mpsc::Sender<Job<W>>>;

/// The first fatal failure, if any. Set once by the thread that met it.
type Failure = watch::Sender<Option<String>>;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writes: Queue<WriteWork>,
    reads: Queue<ReadWork>,
    failure: Arc<Failure>,
    counters: Arc<Counters>,
    readers: Vec<JoinHandle<()>>,
    writers: Vec<JoinHandle<()>>,
}

/// How much the writer did since the store was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Works that took effect or were undone.
    pub works: u64,
    /// Commits, and so waits for the disk. At most `works`; much fewer under load.
    pub commits: u64,
}

#[derive(Debug, Default)]
struct Counters {
    works: AtomicU64,
    commits: AtomicU64,
}

impl SqliteStore {
    /// Opens the store in `folder`, creating it when it is missing, and applies the migrations
    /// that it has not yet seen, in the order given.
    ///
    /// Fails with [`Error::InUse`] while another process has it open and with [`Error::Schema`]
    /// when its recorded migrations do not fit those given.
    pub fn open<'a>(
        folder: &Path,
        migrations: impl IntoIterator<Item = &'a Migration>,
    ) -> Result<Self, Error> {
        let migrations: Vec<_> = migrations.into_iter().collect();
        let catalog = Arc::new(Catalog::of(&migrations)?);
        let opening = |error: &std::io::Error| Error::io("opening the store", folder, error);
        OsDisk.create_dir_all(folder).map_err(|error| opening(&error))?;
        let lock = Arc::new(Lock::acquire(folder)?);
        let path = folder.join(DATABASE);
        let mut connection = session::connect_writer(&path)?;
        migrate::run(&mut connection, &migrations)?;
        OsDisk.sync_dir(folder).map_err(|error| opening(&error))?;

        let failure = Arc::new(watch::Sender::new(None));
        let counters = Arc::new(Counters::default());
        let (reads, queue) = mpsc::channel(READ_QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let mut readers = Vec::new();
        for _ in 0..READERS {
            let session = session::Session::new(session::connect_reader(&path)?, &catalog);
            let queue = Arc::clone(&queue);
            readers.push(start("store-reader", move || reader::run(&session, &queue))?);
        }

        let (log, checkpointer) = checkpoint::new(&mut connection, &path, &failure, &lock)?;
        let (writes, queue) = mpsc::channel(WRITE_QUEUE_MAX);
        let writer = writer::Writer {
            session: session::Session::new(connection, &catalog),
            queue,
            log,
            failure: Arc::clone(&failure),
            counters: Arc::clone(&counters),
            lock,
        };
        let writers = vec![
            start("store-writer", move || writer.run())?,
            start("store-checkpoint", move || checkpointer.run())?,
        ];
        Ok(Self { writes: Some(writes), reads: Some(reads), failure, counters, readers, writers })
    }

    /// Returns a watch that holds the text of the first fatal failure. From then on every write
    /// fails with [`Error::Stopped`] and the process should end. The watch closes once the store is
    /// dropped and its file closed.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Returns what the writer did so far.
    pub fn stats(&self) -> Stats {
        Stats {
            works: self.counters.works.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
        }
    }
}

/// The hold on a folder; released when the last thread that may write has ended.
#[derive(Debug)]
struct Lock(File);

impl Lock {
    fn acquire(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(LOCK);
        let opening = |error| Error::io("locking the store", &path, &error);
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(opening)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::InUse { folder: folder.display().to_string() })
            }
            Err(TryLockError::Error(error)) => Err(opening(error)),
        }
    }
}

impl Drop for Lock {
    /// Closing would not do: a child process that is just being started may share the file.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of the store stays until the process ends");
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
    thread.map_err(|error| Error::backend("starting a thread of the store", error))
}

/// Records a fatal failure unless one is recorded already.
fn record(failure: &Failure, cause: String) {
    failure.send_if_modified(|first| {
        let new = first.is_none();
        if new {
            *first = Some(cause);
        }
        new
    });
}

/// Hands a work over and waits for its answer.
async fn submit<W>(queue: Option<&mpsc::Sender<Job<W>>>, work: W) -> Result<(), Error> {
    let queue = queue.ok_or(Error::Stopped)?;
    let (answer, answered) = oneshot::channel();
    // Without `unconstrained` tokio may make a busy task yield before it has its place in the
    // queue, and works would overtake each other.
    let place = tokio::task::unconstrained(queue.send(Job { work, answer }));
    place.await.map_err(|_| Error::Stopped)?;
    answered.await.unwrap_or(Err(Error::Stopped))
}

impl Backend for SqliteStore {
    fn write(&self, work: WriteWork) -> Pending<'_, Result<(), Error>> {
        Box::pin(submit(self.writes.as_ref(), work))
    }

    fn read(&self, work: ReadWork) -> Pending<'_, Result<(), Error>> {
        Box::pin(submit(self.reads.as_ref(), work))
    }
}

impl Drop for SqliteStore {
    /// Finishes the works already handed in and closes the file.
    fn drop(&mut self) {
        self.reads = None;
        // A work may hold the last handle; its thread must not wait for itself, nor for a thread
        // that waits for it. Then the threads end on their own.
        let here = thread::current().id();
        if self.readers.iter().chain(&self.writers).any(|thread| thread.thread().id() == here) {
            return;
        }
        // Readers first: whoever closes last empties the write-ahead log, and they may not.
        join(&mut self.readers);
        self.writes = None;
        join(&mut self.writers);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if thread.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
    }
}
