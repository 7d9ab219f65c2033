//! The state of a log and the acts that change it, without waiting: append, checkpoint, cosign.
//!
//! Order of one entry: segment synced, then answered; at the next checkpoint tiles and bundles
//! synced, then the size recorded in the second place, then the checkpoint signed and stored.
//!
//! Invariants: a checkpoint is never signed before its tiles are durable (INV-3); the tree never
//! shrinks or forks (INV-4): no checkpoint is signed below the largest ever signed.
//!
//! Not here: queueing and timing (`crate::task`), reading by others (`crate::ledger`).

mod open;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use karvan_evidence::Checkpoint;
use karvan_evidence::note::{Note, Signature, Signer};
use karvan_evidence::tile::{BundleId, StaticPath, encode_tile, push_entry};
use karvan_evidence::tree::{Tree, leaf_hash};
use karvan_system::Clock;
use karvan_types::limits::LOG_ENTRY_BYTES_MAX;

use crate::ledger::Shared;
use crate::segments::{Queued, Segments};
use crate::site::{CHECKPOINT, Head, Site, WITNESSED};
use crate::{Config, Error, signed_size};

/// Most entries in one batch: one write, one sync.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Most bytes of entries in one batch.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of finished bundles that wait in memory before a checkpoint is made early.
const PENDING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Signed checkpoints that still take cosignatures.
const RECENT_NOTES_MAX: usize = 64;

/// The log.
pub(crate) struct Log {
    config: Config,
    signer: Arc<dyn Signer>,
    clock: Arc<dyn Clock>,
    site: Site,
    segments: Segments,
    tree: Tree,
    /// Bytes of the unfinished bundle.
    bundle: Vec<u8>,
    /// Finished tiles and bundles that are not in files yet, and how many bytes they have.
    pending: Vec<(StaticPath, Vec<u8>)>,
    pending_bytes: usize,
    /// Tiles and bundles that became full at the last checkpoint.
    filled: Vec<StaticPath>,
    /// A planted fault left the tiles of the last checkpoint unwritten.
    late: bool,
    /// Newest signed checkpoints by size.
    recent: BTreeMap<u64, Head>,
    shared: Arc<Shared>,
}

impl Log {
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Appends entries durably and returns the index of the first. Any error is fatal.
    pub(crate) fn append(&mut self, entries: Vec<Queued>) -> Result<u64, Error> {
        let first = self.segments.next_index();
        self.segments.append(&entries)?;
        for (_, entry) in &entries {
            self.grow(entry)?;
        }
        let entries = entries.into_iter().map(|(_, entry)| entry);
        self.shared.appended(entries, self.segments.last_queue());
        if self.pending_bytes > PENDING_BYTES_MAX {
            self.checkpoint()?;
        }
        Ok(first)
    }

    fn grow(&mut self, entry: &[u8]) -> Result<(), Error> {
        let index = self.tree.size() / 256;
        let mut full = Vec::new();
        self.tree.push(leaf_hash(entry), &mut full);
        push_entry(&mut self.bundle, entry)?;
        for (tile, hashes) in full {
            self.pending.push((StaticPath::Tile(tile), encode_tile(&hashes)));
        }
        if self.tree.size().is_multiple_of(256) {
            let bundle = std::mem::take(&mut self.bundle);
            self.pending_bytes += bundle.len();
            self.pending.push((StaticPath::Entries(BundleId { index, width: 256 }), bundle));
        }
        Ok(())
    }

    /// Returns the indexes of queued entries: compares those that are known, then appends the new.
    ///
    /// The outer error is fatal, the inner one is the caller's.
    pub(crate) fn append_queued(
        &mut self,
        entries: Vec<Queued>,
    ) -> Result<Result<Vec<u64>, Error>, Error> {
        let known = entries.partition_point(|(number, _)| *number <= self.segments.last_queue());
        let mut indexes = Vec::with_capacity(entries.len());
        for (number, entry) in entries.iter().take(known) {
            match self.find_queued(*number, entry) {
                Ok(index) => indexes.push(index),
                Err(error @ Error::QueueOrder { .. }) => return Ok(Err(error)),
                Err(error) => return Err(error),
            }
        }
        let fresh: Vec<_> = entries.into_iter().skip(known).collect();
        if !fresh.is_empty() {
            let count = fresh.len() as u64;
            let first = self.append(fresh)?;
            indexes.extend(first..first + count);
        }
        Ok(Ok(indexes))
    }

    fn find_queued(&mut self, number: u64, entry: &[u8]) -> Result<u64, Error> {
        let last = self.segments.last_queue();
        let index = self.segments.find_queued(number)?;
        let index = index.ok_or(Error::QueueOrder { number, last })?;
        if self.shared.entry(index)? == entry {
            Ok(index)
        } else {
            Err(Error::QueueContent { number, index })
        }
    }

    /// Returns the largest queue number appended.
    pub(crate) fn last_queue(&self) -> u64 {
        self.segments.last_queue()
    }

    /// Makes a checkpoint of all entries, when there are new ones. Any error is fatal.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.late) {
            self.write_tiles()?;
        }
        let size = self.tree.size();
        if size == self.shared.covered() {
            return Ok(());
        }
        let origin = self.signer.name().to_owned();
        let checkpoint = Checkpoint { origin, size, root: self.tree.root() };
        if self.config.faults.checkpoint_before_tiles {
            self.late = true;
        } else {
            self.write_tiles()?;
        }
        let head = self.sign(checkpoint)?;
        if self.recent.len() == RECENT_NOTES_MAX {
            self.recent.pop_first();
        }
        self.recent.insert(size, head.clone());
        self.shared.checkpointed(head, self.clock.now());
        Ok(())
    }

    fn write_tiles(&mut self) -> Result<(), Error> {
        let mut files = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let full: Vec<_> = files.iter().map(|(file, _)| *file).collect();
        for (tile, hashes) in self.tree.partial_tiles() {
            files.push((StaticPath::Tile(tile), encode_tile(hashes)));
        }
        let size = self.tree.size();
        if let Some(bundle) = BundleId::at(size / 256, size) {
            files.push((StaticPath::Entries(bundle), self.bundle.clone()));
        }
        let files = files.into_iter().map(|(file, bytes)| (self.site.path(file), bytes));
        self.site.write(&files.collect::<Vec<_>>())?;
        // Readers of the checkpoint before may still want the partial files: one round later.
        for file in std::mem::replace(&mut self.filled, full) {
            self.site.remove_partials(file);
        }
        Ok(())
    }

    fn sign(&self, checkpoint: Checkpoint) -> Result<Head, Error> {
        signed_size::write(&*self.site.disk, &self.config.signed_size_file, &checkpoint)?;
        let note = Note::sign(checkpoint.to_string(), &[&*self.signer])?;
        self.store(&[CHECKPOINT], &note)?;
        Ok(Head { checkpoint, note })
    }

    fn store(&self, names: &[&str], note: &Note) -> Result<(), Error> {
        let bytes = note.to_string().into_bytes();
        let files = names.iter().map(|name| (self.site.dir.join(name), bytes.clone()));
        self.site.write(&files.collect::<Vec<_>>())
    }

    /// Adds cosignatures to a recent checkpoint and stores it again.
    ///
    /// The outer error is fatal, the inner one says that a signature does not verify.
    pub(crate) fn cosign(
        &mut self,
        size: u64,
        signatures: Vec<Signature>,
    ) -> Result<Result<(), Error>, Error> {
        let covered = self.shared.covered();
        let Some(head) = self.recent.get(&size) else {
            return Ok(Err(Error::NotFound { wanted: size, size: covered }));
        };
        let mut note = head.note.clone();
        for signature in signatures {
            // Lines of unknown keys are not kept: nobody here could answer for them.
            if self.config.witnesses.iter().any(|witness| signature.names(&**witness)) {
                note.add(signature);
            }
        }
        let bytes = note.to_string();
        let parsed = Head::parse(bytes.as_bytes(), &*self.config.verifier, &self.config.witnesses);
        let (head, cosigned) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error.into())),
        };
        let newest = self.shared.witnessed_size();
        let witnessed =
            cosigned >= self.config.quorum && newest.is_none_or(|newest| size >= newest);
        let places = [(CHECKPOINT, size == covered), (WITNESSED, witnessed)];
        let names = places.iter().filter(|(_, due)| *due).map(|(name, _)| *name);
        self.store(&names.collect::<Vec<_>>(), &head.note)?;
        if witnessed {
            self.shared.witnessed(head.clone());
        }
        self.shared.cosigned(&head);
        self.recent.insert(size, head);
        Ok(Ok(()))
    }
}

/// Checks what one call brings, before it is queued.
pub(crate) fn check_batch(entries: &[(u64, Vec<u8>)]) -> Result<usize, Error> {
    let bytes = entries.iter().map(|(_, entry)| entry.len()).sum();
    if entries.len() > BATCH_ENTRIES_MAX || bytes > BATCH_BYTES_MAX {
        return Err(Error::BatchSize { entries: entries.len(), bytes });
    }
    let bad = |length: &usize| *length == 0 || *length > LOG_ENTRY_BYTES_MAX;
    match entries.iter().map(|(_, entry)| entry.len()).find(bad) {
        Some(length) => Err(Error::EntrySize(length)),
        None => Ok(bytes),
    }
}

/// Makes the entries of a call shareable.
pub(crate) fn shareable(entries: Vec<(u64, Vec<u8>)>) -> Vec<Queued> {
    entries.into_iter().map(|(number, entry)| (number, Bytes::from(entry))).collect()
}
