//! The static files of a log: tiles, entry bundles, checkpoints (C2SP tlog-tiles layout).
//!
//! Reading takes a tile as it stands at the covered size and cuts it to the width asked for, so
//! partial files of older sizes are never needed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::{Note, Verifier};
use karvan_evidence::tile::{BundleId, StaticPath, TileId, TileReader, decode_bundle, decode_tile};
use karvan_system::Disk;
use karvan_types::Digest;

use crate::Error;
use crate::error::disk;

/// Most files that wait for their sync, open, at once.
const FILES_OPEN_MAX: usize = 64;
/// The newest checkpoint with the cosignatures it has.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// The newest checkpoint that enough witnesses have cosigned.
pub(crate) const WITNESSED: &str = "witnessed";
/// The folder of the primary copy.
pub(crate) const SEGMENTS: &str = "segments";

/// A checkpoint with its note.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: Note,
}

impl Head {
    /// Reads a note and checks that the log signed it. Cosignatures of known witnesses are checked
    /// as well; their number is returned.
    pub(crate) fn parse(
        bytes: &[u8],
        log: &dyn Verifier,
        witnesses: &[Arc<dyn Verifier>],
    ) -> Result<(Self, usize), karvan_evidence::Error> {
        let note = Note::parse(bytes)?;
        let checkpoint: Checkpoint = note.text().parse()?;
        let known: Vec<&dyn Verifier> =
            [log].into_iter().chain(witnesses.iter().map(|witness| &**witness)).collect();
        let verified = note.verify(&known)?;
        let by_log = verified.iter().filter(|signature| signature.names(log)).count();
        if by_log == 0 || checkpoint.origin != log.name() {
            return Err(karvan_evidence::Error::Unsigned);
        }
        let witnesses = verified.len() - by_log;
        Ok((Self { checkpoint, note }, witnesses))
    }
}

/// The folder.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
}

impl Site {
    pub(crate) fn path(&self, file: StaticPath) -> PathBuf {
        self.dir.join(file.to_string())
    }

    pub(crate) fn read(&self, path: &Path) -> Result<Vec<u8>, Error> {
        self.disk.read(path).map_err(disk("read", path))
    }

    /// Reads a file that may be missing.
    pub(crate) fn read_if_there(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        if self.disk.exists(path) { self.read(path).map(Some) } else { Ok(None) }
    }

    /// Returns a reader of the tiles of a tree of `size` entries.
    pub(crate) fn tiles(&self, size: u64) -> Tiles<'_> {
        Tiles { site: self, size }
    }

    /// Reads the bundle with an index as it stands at `size`, with its width.
    pub(crate) fn bundle(&self, index: u64, size: u64) -> Result<(Vec<u8>, u16), Error> {
        let bundle = BundleId::at(index, size);
        let wanted = index.saturating_mul(256);
        let bundle = bundle.ok_or(Error::NotFound { wanted, size })?;
        Ok((self.read(&self.path(StaticPath::Entries(bundle)))?, bundle.width))
    }

    /// Reads one entry that the checkpoint of `size` covers.
    pub(crate) fn entry(&self, index: u64, size: u64) -> Result<Vec<u8>, Error> {
        let (bytes, width) = self.bundle(index / 256, size)?;
        let entries = decode_bundle(&bytes, width)?;
        let entry = entries.get(usize::try_from(index % 256).unwrap_or(usize::MAX));
        entry.map(|entry| entry.to_vec()).ok_or(Error::NotFound { wanted: index, size })
    }

    /// Writes files so that each is there whole or not at all, durably when this returns.
    ///
    /// They are written before the first is synced, so that the disk may take them together, and
    /// each folder is synced once.
    pub(crate) fn write(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), Error> {
        let folders: BTreeSet<&Path> = files.iter().filter_map(|(path, _)| path.parent()).collect();
        for folder in &folders {
            self.disk.create_dir_all(folder).map_err(disk("create", folder))?;
        }
        for group in files.chunks(FILES_OPEN_MAX) {
            self.write_temporaries(group)?;
        }
        for (path, _) in files {
            self.disk.rename(&temporary(path), path).map_err(disk("rename", path))?;
        }
        for folder in folders {
            self.disk.sync_dir(folder).map_err(disk("sync", folder))?;
        }
        Ok(())
    }

    fn write_temporaries(&self, files: &[(PathBuf, Vec<u8>)]) -> Result<(), Error> {
        let mut written = Vec::new();
        for (path, bytes) in files {
            let path = temporary(path);
            let mut file = self.disk.open(&path).map_err(disk("open", &path))?;
            file.set_len(0).map_err(disk("empty", &path))?;
            file.write_at(0, bytes).map_err(disk("write", &path))?;
            written.push((path, file));
        }
        for (path, file) in &mut written {
            file.sync().map_err(disk("sync", path))?;
        }
        Ok(())
    }

    /// Removes the partial files of a tile or bundle that is full now. Failing to is harmless.
    pub(crate) fn remove_partials(&self, full: StaticPath) {
        let mut folder = self.path(full).into_os_string();
        folder.push(".p");
        let folder = PathBuf::from(folder);
        if !self.disk.exists(&folder) {
            return;
        }
        for name in self.disk.list(&folder).unwrap_or_default() {
            if let Err(error) = self.disk.remove(&folder.join(name)) {
                tracing::debug!(%error, folder = %folder.display(), "partial tile stays");
            }
        }
        // Not empty when a file stayed, as was said above.
        let _ = self.disk.remove(&folder);
    }
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Reads the tiles of one tree size.
pub(crate) struct Tiles<'s> {
    site: &'s Site,
    size: u64,
}

impl TileReader for Tiles<'_> {
    type Error = Error;

    fn read_tile(&self, tile: TileId) -> Result<Vec<Digest>, Error> {
        let (wanted, size) = (tile.index, self.size);
        let stored = TileId::at(tile.level, tile.index, size);
        let stored = stored.filter(|stored| stored.width >= tile.width);
        let stored = stored.ok_or(Error::NotFound { wanted, size })?;
        let path = self.site.path(StaticPath::Tile(stored));
        let hashes = decode_tile(&self.site.read(&path)?, stored.width);
        let mut hashes = hashes.map_err(|error| Error::damaged(&path, error.to_string()))?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }
}
