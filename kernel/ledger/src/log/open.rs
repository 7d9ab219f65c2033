//! Taking up a log from its files.
//!
//! The tree comes from the partial tiles of the last checkpoint, the entries after it from the last
//! segment. Nothing is trusted: tiles must give the signed root, the unfinished bundle must hash to
//! its tile, and the second place must not know of more than is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use karvan_evidence::Checkpoint;
use karvan_evidence::note::Signer;
use karvan_evidence::tile::{TileId, TileReader, decode_bundle};
use karvan_evidence::tree::{Tree, leaf_hash, root_at};
use karvan_system::{Clock, Disk};

use super::Log;
use crate::ledger::Shared;
use crate::segments::{Segments, disk_dir};
use crate::site::{CHECKPOINT, Head, SEGMENTS, Site, WITNESSED};
use crate::{Config, Error, signed_size};

impl Log {
    /// Opens the log, creating it when there is none.
    pub(crate) fn open(
        config: Config,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        signer: Arc<dyn Signer>,
    ) -> Result<Self, Error> {
        config.check(&*signer)?;
        disk_dir(&*disk, &config.dir)?;
        disk_dir(&*disk, config.signed_size_file.parent().unwrap_or(Path::new("")))?;
        let site = Site { disk: Arc::clone(&disk), dir: config.dir.clone() };
        let head = read_head(&site, &config, CHECKPOINT)?;
        let witnessed = read_head(&site, &config, WITNESSED)?;
        let (tree, bundle) = match &head {
            Some(head) => take_up_tree(&site, &head.checkpoint)?,
            None => (Tree::new(), Vec::new()),
        };
        let covered = tree.size();
        let signed = read_signed(&site, &config, head.as_ref())?;
        let mut tail = Vec::new();
        let segments = Segments::open(
            disk,
            config.dir.join(SEGMENTS),
            signer.name(),
            config.segment_bytes,
            covered,
            |entry| tail.push(Bytes::copy_from_slice(entry)),
        )?;
        let recent: BTreeMap<_, _> =
            head.iter().map(|head| (head.checkpoint.size, head.clone())).collect();
        let shared = Arc::new(Shared::new(site.clone(), head, witnessed));
        shared.appended(tail.iter().cloned(), segments.last_queue());
        let (pending, pending_bytes, filled, late) = (Vec::new(), 0, Vec::new(), false);
        let mut log = Self {
            config,
            signer,
            clock,
            site,
            segments,
            tree,
            bundle,
            pending,
            pending_bytes,
            filled,
            late,
            recent,
            shared,
        };
        let mut root_then = (signed.size <= covered).then_some(signed.root);
        for entry in &tail {
            log.grow(entry)?;
            if log.tree.size() == signed.size {
                root_then = Some(log.tree.root());
            }
        }
        let Some(root) = root_then else {
            return Err(Error::RolledBack { have: log.tree.size(), signed: signed.size });
        };
        if root != signed.root {
            let what = "it holds another root than the log has at that size: the log was altered \
                        after it was signed; run the audit and compare with the witnesses";
            return Err(Error::damaged(&log.config.signed_size_file, what));
        }
        Ok(log)
    }
}

fn read_head(site: &Site, config: &Config, name: &str) -> Result<Option<Head>, Error> {
    let path = site.dir.join(name);
    let Some(bytes) = site.read_if_there(&path)? else { return Ok(None) };
    let parsed = Head::parse(&bytes, &*config.verifier, &config.witnesses);
    let (head, _) = parsed.map_err(|error| Error::damaged(&path, error.to_string()))?;
    Ok(Some(head))
}

/// Reads the right edge of the tree and the unfinished bundle.
fn take_up_tree(site: &Site, checkpoint: &Checkpoint) -> Result<(Tree, Vec<u8>), Error> {
    let size = checkpoint.size;
    let tiles = site.tiles(size);
    let tree = Tree::resume(size, &tiles)?;
    if tree.root() != checkpoint.root {
        let what = "its root is not that of the stored tiles; run the audit to see which are \
                    damaged";
        return Err(Error::damaged(&site.dir.join(CHECKPOINT), what));
    }
    let Some(tile) = TileId::partial(0, size) else { return Ok((tree, Vec::new())) };
    let (bundle, width) = site.bundle(tile.index, size)?;
    let hashes = tiles.read_tile(tile)?;
    let entries = decode_bundle(&bundle, width).ok();
    let good = entries.is_some_and(|entries| {
        entries.iter().map(|entry| leaf_hash(entry)).eq(hashes.iter().copied())
    });
    if !good {
        let what = format!("bundle {} does not hash to its tile; run the audit", tile.index);
        return Err(Error::damaged(&site.dir, what));
    }
    Ok((tree, bundle))
}

/// Reads the second place, and compares it with the tiles where they reach.
fn read_signed(site: &Site, config: &Config, head: Option<&Head>) -> Result<Checkpoint, Error> {
    let path = &config.signed_size_file;
    let covered = head.map_or(0, |head| head.checkpoint.size);
    let Some(signed) = signed_size::read(&*site.disk, path)? else {
        if head.is_some() {
            let what = "it is missing although the log has signed checkpoints; restore it, or \
                        compare `checkpoint` with the witnesses and write its first three lines \
                        there";
            return Err(Error::damaged(path, what));
        }
        let (origin, root) = (config.verifier.name().to_owned(), Tree::new().root());
        return Ok(Checkpoint { origin, size: 0, root });
    };
    if signed.origin != config.verifier.name() {
        return Err(Error::damaged(path, "it belongs to another log; correct the setting"));
    }
    if signed.size <= covered && root_at(signed.size, &site.tiles(covered))? != signed.root {
        return Err(Error::damaged(path, "it holds another root than the tiles give"));
    }
    Ok(signed)
}
