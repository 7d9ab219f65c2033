//! The largest checkpoint ever signed, kept in a second place.
//!
//! It is written before a checkpoint is signed. A log folder that was put back to an earlier state
//! is then found out: it holds less than this file says was signed, or something else.

use std::path::Path;

use karvan_evidence::Checkpoint;
use karvan_system::Disk;

use crate::Error;
use crate::error::disk;

/// Reads the record; nothing when there is none yet.
pub(crate) fn read(storage: &dyn Disk, path: &Path) -> Result<Option<Checkpoint>, Error> {
    if !storage.exists(path) {
        return Ok(None);
    }
    let bytes = storage.read(path).map_err(disk("read", path))?;
    let parsed = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    let what = "it is not a checkpoint text; restore it from the log's `checkpoint`";
    parsed.map(Some).ok_or_else(|| Error::damaged(path, what))
}

/// Writes the record durably.
pub(crate) fn write(storage: &dyn Disk, path: &Path, checkpoint: &Checkpoint) -> Result<(), Error> {
    storage.replace(path, checkpoint.to_string().as_bytes()).map_err(disk("replace", path))
}
