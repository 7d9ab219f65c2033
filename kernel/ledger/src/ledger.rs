//! The handle of a log: appending through the task, reading from what the task has published.

mod shared;

use std::sync::Arc;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::Signature;
use karvan_evidence::proof::{consistency, inclusion};
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::tile::{StaticPath, TileReader as _, decode_bundle, encode_tile, push_entry};
use karvan_system::{Clock, Disk};
use karvan_types::{Digest, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};

use crate::log::{Log, check_batch, shareable};
use crate::task::{Act, Ask};
use crate::{Config, Error, LedgerTask};

pub(crate) use shared::Shared;

/// How often a read is tried again when the task replaced a file under it.
const READ_TRIES_MAX: usize = 3;

/// How far the evidence for an entry has come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum State {
    /// The entry is durable.
    Logged,
    /// A signed checkpoint covers it.
    Checkpointed,
    /// A checkpoint that enough witnesses have cosigned covers it.
    Witnessed,
}

/// What the log has reached, for pages and metrics.
#[derive(Clone, Debug)]
pub struct Status {
    /// Number of durable entries.
    pub size: u64,
    /// Largest queue number appended.
    pub last_queued: u64,
    /// The newest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// When it was made; nothing when that was before the start.
    pub checkpointed_at: Option<Timestamp>,
    /// The newest checkpoint that enough witnesses have cosigned.
    pub witnessed: Option<Checkpoint>,
    /// What each witness last did.
    pub witnesses: Vec<WitnessStatus>,
}

/// What a witness last did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WitnessStatus {
    /// Name of the witness.
    pub name: String,
    /// Largest size it has cosigned since the start.
    pub cosigned_size: u64,
    /// When it last cosigned.
    pub cosigned_at: Option<Timestamp>,
    /// Why the last attempt failed; nothing when it did not.
    pub last_error: Option<String>,
    /// The witness holds another history of this log, or a longer one: a person must look.
    pub alarm: bool,
}

/// A log. Cheap to clone; all clones speak to one [`LedgerTask`].
#[derive(Clone)]
pub struct Ledger {
    asks: mpsc::Sender<Ask>,
    /// Bytes that may wait in the queue.
    room: Arc<tokio::sync::Semaphore>,
    shared: Arc<Shared>,
}

impl Ledger {
    /// Opens a log, creating it when its folder is empty, and returns the task that runs it.
    ///
    /// Refuses a log that was altered or put back to an earlier state.
    pub fn open(
        config: Config,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        signer: Arc<dyn karvan_evidence::note::Signer>,
    ) -> Result<(Self, LedgerTask), Error> {
        let log = Log::open(config, disk, clock, signer)?;
        let shared = Arc::clone(log.shared());
        let (asks, receiver) = mpsc::channel(crate::QUEUE_REQUESTS_MAX);
        let room = Arc::new(tokio::sync::Semaphore::new(crate::QUEUE_BYTES_MAX));
        Ok((Self { asks, room, shared }, LedgerTask::new(log, receiver)))
    }

    /// Appends an entry and returns its index. The entry is durable when this returns.
    ///
    /// Waits while the queue is full.
    pub async fn append(&self, entry: Vec<u8>) -> Result<u64, Error> {
        let indexes = self.ask_append(vec![(0, entry)]).await?;
        indexes.first().copied().ok_or(Error::Stopped)
    }

    /// Appends entries that were committed elsewhere first, each exactly once, and returns their
    /// indexes.
    ///
    /// Queue numbers start at 1 and rise strictly. An entry whose number was appended before,
    /// also before a crash, is not appended again: its index is returned. If its bytes are not
    /// those that were appended, [`Error::QueueContent`] is returned and the log stops.
    pub async fn append_queued(&self, entries: Vec<(u64, Vec<u8>)>) -> Result<Vec<u64>, Error> {
        let mut last = 0;
        for (number, _) in &entries {
            if *number <= last {
                return Err(Error::QueueOrder { number: *number, last });
            }
            last = *number;
        }
        self.ask_append(entries).await
    }

    async fn ask_append(&self, entries: Vec<(u64, Vec<u8>)>) -> Result<Vec<u64>, Error> {
        let bytes = check_batch(&entries)?;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let room = room.map_err(|_| Error::Stopped)?;
        let entries = shareable(entries);
        self.ask(|reply| Act::Append { entries, reply, room }).await
    }

    /// Makes a checkpoint now, if there is anything new, and returns its size.
    pub async fn checkpoint_now(&self) -> Result<u64, Error> {
        self.ask(|reply| Act::Checkpoint { reply }).await
    }

    /// Adds cosignatures to a recent checkpoint. They are verified first; lines of unknown keys
    /// are left out.
    pub async fn add_cosignatures(
        &self,
        size: u64,
        signatures: Vec<Signature>,
    ) -> Result<(), Error> {
        self.ask(|reply| Act::Cosign { size, signatures, reply }).await
    }

    async fn ask<T>(
        &self,
        act: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Act,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.asks.send(Ask(act(reply))).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Returns the number of durable entries.
    pub fn size(&self) -> u64 {
        self.shared.size()
    }

    /// Returns the largest queue number appended, 0 for none.
    pub fn last_queued(&self) -> u64 {
        self.shared.status().last_queued
    }

    /// Returns what the log has reached.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Reads one entry.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        self.shared.entry(index)
    }

    /// Returns how far the evidence for an entry has come.
    pub fn state(&self, index: u64) -> Result<State, Error> {
        let size = self.shared.size();
        if index >= size {
            return Err(Error::NotFound { wanted: index, size });
        }
        if self.shared.witnessed_size().is_some_and(|witnessed| index < witnessed) {
            return Ok(State::Witnessed);
        }
        let covered = index < self.shared.covered();
        Ok(if covered { State::Checkpointed } else { State::Logged })
    }

    /// Returns the newest checkpoint as a note, with the cosignatures it has.
    pub fn checkpoint(&self) -> Option<String> {
        self.shared.head().map(|head| head.note.to_string())
    }

    /// Returns the newest checkpoint that enough witnesses have cosigned, as a note.
    pub fn witnessed_checkpoint(&self) -> Option<String> {
        self.shared.witnessed_head().map(|head| head.note.to_string())
    }

    /// Returns a receiver that sees the size of each new checkpoint.
    pub fn checkpoints(&self) -> watch::Receiver<u64> {
        self.shared.checkpoints()
    }

    /// Reads a file of the static layout by its C2SP tlog-tiles path, without leading slash.
    ///
    /// [`Error::NotFound`] and malformed paths are the reader's to answer with 404.
    pub fn static_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = StaticPath::parse(path)?;
        self.retry(|size| match path {
            StaticPath::Checkpoint => {
                let note = self.checkpoint().ok_or(Error::NotFound { wanted: 0, size });
                note.map(String::into_bytes)
            }
            StaticPath::Tile(tile) => {
                Ok(encode_tile(&self.shared.site.tiles(size).read_tile(tile)?))
            }
            StaticPath::Entries(bundle) => {
                let (bytes, width) = self.shared.site.bundle(bundle.index, size)?;
                if width < bundle.width {
                    let wanted = bundle.index.saturating_mul(256) + u64::from(bundle.width);
                    return Err(Error::NotFound { wanted, size });
                }
                let mut cut = Vec::new();
                let entries = decode_bundle(&bytes, width)?;
                let entries = entries.into_iter().take(usize::from(bundle.width));
                entries.into_iter().try_for_each(|entry| push_entry(&mut cut, entry))?;
                Ok(cut)
            }
        })
    }

    /// Makes the offline proof of an entry, under the newest witnessed checkpoint when that covers
    /// it, else under the newest one.
    pub fn proof(&self, index: u64) -> Result<ProofFile, Error> {
        let covers = |head: &crate::site::Head| index < head.checkpoint.size;
        let head = self.shared.witnessed_head().filter(covers);
        let head = head.or_else(|| self.shared.head().filter(covers));
        let missing = Error::NotFound { wanted: index, size: self.shared.covered() };
        let head = head.ok_or(missing)?;
        let size = head.checkpoint.size;
        let path =
            self.retry(|covered| inclusion(&self.shared.site.tiles(covered), index, size))?;
        Ok(ProofFile { extra: None, index, path, note: head.note })
    }

    /// Makes the proof that the log of size `new` extends that of size `old`; both must be covered
    /// by the newest checkpoint.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, Error> {
        let covered = self.shared.covered();
        if new > covered {
            return Err(Error::NotFound { wanted: new, size: covered });
        }
        self.retry(|covered| consistency(&self.shared.site.tiles(covered), old, new))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn retry<T>(&self, read: impl Fn(u64) -> Result<T, Error>) -> Result<T, Error> {
        self.shared.retry(read)
    }
}

impl Shared {
    /// Reads one entry, from memory when no checkpoint covers it yet.
    pub(crate) fn entry(&self, index: u64) -> Result<Vec<u8>, Error> {
        if let Some(entry) = self.tail_entry(index)? {
            return Ok(entry.to_vec());
        }
        self.retry(|size| self.site.entry(index, size))
    }

    /// Reads files of the covered size; when a newer checkpoint replaced them meanwhile, again.
    fn retry<T>(&self, read: impl Fn(u64) -> Result<T, Error>) -> Result<T, Error> {
        let mut result = read(self.covered());
        for _ in 1..READ_TRIES_MAX {
            match &result {
                Err(error) if error.is_missing() => result = read(self.covered()),
                _ => break,
            }
        }
        result
    }
}
