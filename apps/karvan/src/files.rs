//! Files of the command line: whole, durable, and closed to others where they hold a secret.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use karvan_system::{Disk as _, OsDisk};
use karvan_types::ErrorKind;

use crate::failure::Failure;

/// Rights of a file that only its owner may read.
const OWNER_ONLY: u32 = 0o600;

/// Reads a file of at most `bytes_max`.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>> {
    let what = || format!("cannot read {}", path.display());
    let length = fs::metadata(path).with_context(what)?.len();
    if length > bytes_max {
        let text = format!("{} has {length} bytes; at most {bytes_max} are read", path.display());
        return Err(Failure::new(ErrorKind::TooLarge, text).into());
    }
    fs::read(path).with_context(what)
}

/// Replaces a file: after a crash it is there whole, old or new.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    OsDisk.replace(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a new file that only the owner may read; refuses to overwrite.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(OWNER_ONLY);
    let write = || {
        let mut file = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Returns whether others than the owner have rights on a file.
pub(crate) fn open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

/// Makes a folder and those above it, durably.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    OsDisk.create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}

/// Makes a folder that only its owner may enter.
pub(crate) fn make_private_folder(path: &Path) -> Result<()> {
    make_folder(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("cannot close {} to others", path.display()))
}

/// Returns the files of a folder that end in `.json`, in order of their names.
pub(crate) fn json_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let names = OsDisk.list(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let is_json = |name: &&String| Path::new(name).extension().is_some_and(|end| end == "json");
    Ok(names.iter().filter(is_json).map(|name| folder.join(name)).collect())
}
