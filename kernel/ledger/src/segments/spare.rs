//! The next segment while it is being filled with zeros.

use std::path::Path;

use karvan_system::{Disk, DiskFile};

use super::segment_path;
use crate::Error;
use crate::error::disk;
use crate::segment::Header;

/// How much of the next segment is filled and synced at once, in bytes.
const FILL_BYTES: usize = 4 * 1024 * 1024;
/// The next segment while it is being filled.
const SPARE: &str = "spare";

/// A file of zeros that becomes the next segment.
pub(super) struct Spare {
    file: Box<dyn DiskFile>,
    filled: u64,
}

impl Spare {
    pub(super) fn new(storage: &dyn Disk, dir: &Path) -> Result<Self, Error> {
        let path = dir.join(SPARE);
        let mut file = storage.open(&path).map_err(disk("open", &path))?;
        file.set_len(0).map_err(disk("empty", &path))?;
        Ok(Self { file, filled: 0 })
    }

    /// Writes zeros until `goal` or the whole length is reached, in synced slices.
    pub(super) fn fill(&mut self, dir: &Path, segment_bytes: u64, goal: u64) -> Result<(), Error> {
        let path = dir.join(SPARE);
        while self.filled < goal.min(segment_bytes) {
            let rest = usize::try_from(segment_bytes - self.filled).unwrap_or(usize::MAX);
            let zeros = vec![0; rest.min(FILL_BYTES)];
            self.file.write_at(self.filled, &zeros).map_err(disk("write", &path))?;
            self.file.sync().map_err(disk("sync", &path))?;
            self.filled += zeros.len() as u64;
        }
        Ok(())
    }

    /// Gives the filled file its header and its name, durably.
    pub(super) fn activate(
        mut self,
        storage: &dyn Disk,
        dir: &Path,
        header: &Header,
    ) -> Result<Box<dyn DiskFile>, Error> {
        let (from, to) = (dir.join(SPARE), segment_path(dir, header.first_index));
        self.file.write_at(0, &header.encode()).map_err(disk("write", &from))?;
        self.file.sync().map_err(disk("sync", &from))?;
        storage.rename(&from, &to).map_err(disk("rename", &from))?;
        storage.sync_dir(dir).map_err(disk("sync", dir))?;
        Ok(self.file)
    }
}
