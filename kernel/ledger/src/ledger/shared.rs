//! What the task has published for readers. Written by the task only, except for the witness
//! statuses, which their pushes write.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use karvan_types::Timestamp;
use tokio::sync::watch;

use super::{Status, WitnessStatus};
use crate::Error;
use crate::site::{Head, Site};

pub(crate) struct Shared {
    pub(crate) site: Site,
    published: RwLock<Published>,
    witnesses: Mutex<BTreeMap<String, WitnessStatus>>,
    checkpoints: watch::Sender<u64>,
}

struct Published {
    /// Entries that no checkpoint covers yet; the first has the index `covered`.
    tail: VecDeque<Bytes>,
    covered: u64,
    last_queued: u64,
    head: Option<Head>,
    checkpointed_at: Option<Timestamp>,
    witnessed: Option<Head>,
}

impl Shared {
    pub(crate) fn new(site: Site, head: Option<Head>, witnessed: Option<Head>) -> Self {
        let covered = head.as_ref().map_or(0, |head| head.checkpoint.size);
        let (tail, last_queued, checkpointed_at) = (VecDeque::new(), 0, None);
        let published = Published { tail, covered, last_queued, head, checkpointed_at, witnessed };
        let (checkpoints, _) = watch::channel(covered);
        Self { site, published: RwLock::new(published), witnesses: Mutex::default(), checkpoints }
    }

    fn read(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Published> {
        self.published.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn witnesses(&self) -> MutexGuard<'_, BTreeMap<String, WitnessStatus>> {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn appended(&self, entries: impl Iterator<Item = Bytes>, last_queued: u64) {
        let mut published = self.write();
        published.tail.extend(entries);
        published.last_queued = last_queued;
    }

    pub(crate) fn checkpointed(&self, head: Head, now: Timestamp) {
        let size = head.checkpoint.size;
        let mut published = self.write();
        let new = usize::try_from(size - published.covered).unwrap_or(usize::MAX);
        let new = new.min(published.tail.len());
        published.tail.drain(..new);
        published.covered = size;
        published.head = Some(head);
        published.checkpointed_at = Some(now);
        drop(published);
        self.checkpoints.send_replace(size);
    }

    /// Replaces the newest checkpoint by the same one with more cosignatures.
    pub(crate) fn cosigned(&self, head: &Head) {
        let mut published = self.write();
        if head.checkpoint.size == published.covered {
            published.head = Some(head.clone());
        }
    }

    pub(crate) fn witnessed(&self, head: Head) {
        self.write().witnessed = Some(head);
    }

    pub(crate) fn size(&self) -> u64 {
        let published = self.read();
        published.covered + published.tail.len() as u64
    }

    /// Returns the size of the newest checkpoint.
    pub(crate) fn covered(&self) -> u64 {
        self.read().covered
    }

    pub(crate) fn head(&self) -> Option<Head> {
        self.read().head.clone()
    }

    pub(crate) fn witnessed_head(&self) -> Option<Head> {
        self.read().witnessed.clone()
    }

    pub(crate) fn witnessed_size(&self) -> Option<u64> {
        self.read().witnessed.as_ref().map(|head| head.checkpoint.size)
    }

    pub(crate) fn checkpoints(&self) -> watch::Receiver<u64> {
        self.checkpoints.subscribe()
    }

    /// Returns an entry that no checkpoint covers yet; nothing when one does.
    pub(crate) fn tail_entry(&self, index: u64) -> Result<Option<Bytes>, Error> {
        let published = self.read();
        let Some(place) = index.checked_sub(published.covered) else { return Ok(None) };
        let entry = usize::try_from(place).ok().and_then(|place| published.tail.get(place));
        let size = published.covered + published.tail.len() as u64;
        entry.cloned().map(Some).ok_or(Error::NotFound { wanted: index, size })
    }

    pub(crate) fn status(&self) -> Status {
        let published = self.read();
        let checkpoint = |head: &Option<Head>| head.as_ref().map(|head| head.checkpoint.clone());
        Status {
            size: published.covered + published.tail.len() as u64,
            last_queued: published.last_queued,
            checkpoint: checkpoint(&published.head),
            checkpointed_at: published.checkpointed_at,
            witnessed: checkpoint(&published.witnessed),
            witnesses: self.witnesses().values().cloned().collect(),
        }
    }
}
