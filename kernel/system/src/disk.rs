//! Files, with durability spelled out.
//!
//! A written byte is durable after [`DiskFile::sync`]; a created, renamed or removed name is
//! durable after [`Disk::sync_dir`] of its directory. Nothing else promises anything, so a
//! simulated disk may forget whatever was not synced.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The mode of a file that its owner may read and write, and nobody else.
const OWNER_ONLY: u32 = 0o600;

/// A folder tree of files.
pub trait Disk: Send + Sync {
    /// Creates a directory and its parents, durably.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Opens a file for reading and writing, creating it empty when it is missing. The name of a
    /// new file is durable only after [`Disk::sync_dir`].
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading; one that is missing is an error. Writing to it is one too.
    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Reads a whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the names in a directory, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Returns whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> bool;

    /// Renames a file over another; durable after [`Disk::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file or an empty directory; durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Replaces a file so that a crash leaves either the old or the new content, durably.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = temporary_name(path);
        let mut file = self.open(&temporary)?;
        file.set_len(0)?;
        settle(self, file, &temporary, path, bytes)
    }

    /// Replaces a file as [`Disk::replace`] does; from before its first byte is written only its
    /// owner may read the new one. A disk without rights has nothing to add.
    fn replace_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
}

/// Writes an empty temporary file and gives it its name, durably.
fn settle<D: Disk + ?Sized>(
    disk: &D,
    mut file: Box<dyn DiskFile>,
    temporary: &Path,
    path: &Path,
    bytes: &[u8],
) -> io::Result<()> {
    file.write_at(0, bytes)?;
    file.sync()?;
    drop(file);
    disk.rename(temporary, path)?;
    disk.sync_dir(parent(path))
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Returns the length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Returns whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly `buffer.len()` bytes at `offset`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all bytes at `offset`, growing the file as needed.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or zero-extends the file.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Makes all written bytes and the length durable (`fdatasync`).
    ///
    /// After an error the state of the file is unknown: the caller must stop, never retry, because
    /// the page cache may have dropped the data.
    fn sync(&mut self) -> io::Result<()>;
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    path.with_file_name(name)
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() || path.as_os_str().is_empty() {
            return Ok(());
        }
        self.create_dir_all(parent(path))?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        self.sync_dir(parent(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        Ok(Box::new(OsFile(options.open(path)?)))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = File::open(path)?;
        // A directory opens too, and cannot be read.
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Box::new(OsFile(file)))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let directory = fs::symlink_metadata(path)?.is_dir();
        if directory { fs::remove_dir(path) } else { fs::remove_file(path) }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn replace_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = temporary_name(path);
        // What an interrupted call left may be open to others.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(OWNER_ONLY);
        let file = Box::new(OsFile(options.open(&temporary)?));
        settle(self, file, &temporary, path, bytes)
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}
