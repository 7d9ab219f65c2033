//! Bodies too large for a row, as files named by their SHA-256.
//!
//! A body is written to a temporary file while it is hashed, synced, and renamed to
//! `<first two digits>/<digest>`, so a name always stands for the whole content. The same content
//! twice is one file. Memory stays flat: bytes pass through in the caller's chunks.
//!
//! Invariants: what [`BlobWriter::finish`] returned survives a crash; temporaries of an earlier
//! process are removed at open.
//!
//! Not here: who still needs a body (the rows that name it), encryption, and asynchrony: every
//! call may wait for the disk, so async code calls it where blocking is allowed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use karvan_system::{Disk, DiskFile};
use karvan_types::Digest;
use karvan_types::digest::Hasher;
use karvan_types::limits::DOCUMENT_BYTES_MAX;

use crate::Error;

const TEMPORARY: &str = "tmp";
/// How much of a body is in memory while it is checked (64 KiB).
const CHUNK_BYTES: usize = 64 * 1024;

/// A folder of bodies; cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Folder>);

struct Folder {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    next_temporary: AtomicU64,
}

/// A body being written. Dropping it without [`BlobWriter::finish`] removes what was written.
pub struct BlobWriter {
    folder: Arc<Folder>,
    temporary: PathBuf,
    file: Box<dyn DiskFile>,
    hasher: Hasher,
    len: u64,
    done: bool,
}

/// A stored body.
pub struct BlobReader {
    digest: Digest,
    file: Box<dyn DiskFile>,
    len: u64,
}

impl Blobs {
    /// Opens the folder, creating it when it is missing. One process at a time may use it.
    pub fn open(path: &Path, disk: Arc<dyn Disk>) -> Result<Self, Error> {
        let temporary = path.join(TEMPORARY);
        let opening = |error| Error::io("opening the folder of bodies", path, &error);
        disk.create_dir_all(&temporary).map_err(opening)?;
        for name in disk.list(&temporary).map_err(opening)? {
            disk.remove(&temporary.join(name)).map_err(opening)?;
        }
        let next_temporary = AtomicU64::new(0);
        Ok(Self(Arc::new(Folder { path: path.to_owned(), disk, next_temporary })))
    }

    /// Starts a body of at most [`DOCUMENT_BYTES_MAX`].
    pub fn writer(&self) -> Result<BlobWriter, Error> {
        let folder = Arc::clone(&self.0);
        let number = folder.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.path.join(TEMPORARY).join(number.to_string());
        let file = folder.disk.open(&temporary).map_err(|error| writing(&temporary, &error))?;
        Ok(BlobWriter { folder, temporary, file, hasher: Hasher::new(), len: 0, done: false })
    }

    /// Opens a stored body, or fails with [`Error::NoBody`].
    pub fn reader(&self, digest: Digest) -> Result<BlobReader, Error> {
        let path = self.0.place(digest).1;
        // `Disk::open` would create it.
        if !self.0.disk.exists(&path) {
            return Err(Error::NoBody(digest));
        }
        let reading = |error| Error::io("reading a stored body", &path, &error);
        let file = self.0.disk.open(&path).map_err(reading)?;
        let len = file.len().map_err(reading)?;
        Ok(BlobReader { digest, file, len })
    }

    /// Removes a stored body, durably; returns whether there was one. The caller must know that
    /// nobody writes the same content at this time.
    pub fn remove(&self, digest: Digest) -> Result<bool, Error> {
        let (folder, path) = self.0.place(digest);
        let removing = |error| Error::io("removing a stored body", &path, &error);
        if !self.0.disk.exists(&path) {
            return Ok(false);
        }
        self.0.disk.remove(&path).map_err(removing)?;
        self.0.disk.sync_dir(&folder).map_err(removing)?;
        Ok(true)
    }
}

impl Folder {
    /// Returns the directory and the path of a body.
    fn place(&self, digest: Digest) -> (PathBuf, PathBuf) {
        let name = digest.to_string();
        let folder = self.path.join(name.chars().take(2).collect::<String>());
        let path = folder.join(name);
        (folder, path)
    }
}

fn writing(path: &Path, error: &std::io::Error) -> Error {
    Error::io("writing a body", path, error)
}

impl BlobWriter {
    /// Adds bytes. Each call is one write, so callers bring chunks, not single bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let len = self.len + bytes.len() as u64;
        if len > DOCUMENT_BYTES_MAX {
            let bytes_max = DOCUMENT_BYTES_MAX;
            return Err(Error::TooLarge { what: "a body", bytes: len, bytes_max });
        }
        self.file.write_at(self.len, bytes).map_err(|error| writing(&self.temporary, &error))?;
        self.hasher.update(bytes);
        self.len = len;
        Ok(())
    }

    /// Makes the body durable and returns its digest, which names it, and its length in bytes.
    pub fn finish(mut self) -> Result<(Digest, u64), Error> {
        let digest = std::mem::take(&mut self.hasher).finish();
        let (directory, path) = self.folder.place(digest);
        let disk = &self.folder.disk;
        self.file
            .sync()
            .and_then(|()| disk.create_dir_all(&directory))
            .and_then(|()| disk.rename(&self.temporary, &path))
            .map_err(|error| writing(&path, &error))?;
        self.done = true;
        // The folder too: another writer may have made the directory without having synced it yet.
        disk.sync_dir(&directory)
            .and_then(|()| disk.sync_dir(&self.folder.path))
            .map_err(|error| writing(&path, &error))?;
        Ok((digest, self.len))
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.done
            && let Err(error) = self.folder.disk.remove(&self.temporary)
        {
            tracing::warn!(%error, "a temporary body stays until the next start");
        }
    }
}

impl BlobReader {
    /// Returns the length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the body has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reads exactly `buffer.len()` bytes at `offset`.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let read = self.file.read_at(offset, buffer);
        read.map_err(|error| {
            Error::backend("reading a stored body", format_args!("{}: {error}", self.digest))
        })
    }

    /// Reads the whole body once, in order, handing it to `sink` in chunks, and fails with
    /// [`Error::DamagedBody`] at the end when it is not what its name says.
    pub fn copy_to(&self, mut sink: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut hasher = Hasher::new();
        let mut offset = 0;
        while offset < self.len {
            let len = usize::try_from(self.len - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            let Some(chunk) = buffer.get_mut(..len) else { break };
            self.read_at(offset, chunk)?;
            hasher.update(chunk);
            sink(chunk)?;
            offset += len as u64;
        }
        if hasher.finish() == self.digest { Ok(()) } else { Err(Error::DamagedBody(self.digest)) }
    }

    /// Reads a body of at most `bytes_max` into memory and checks it.
    pub fn read_all(&self, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if self.len > bytes_max {
            return Err(Error::TooLarge { what: "a body", bytes: self.len, bytes_max });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.copy_to(|chunk| {
            bytes.extend_from_slice(chunk);
            Ok(())
        })?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use karvan_system::memory::MemoryDisk;

    use super::*;

    fn open(disk: &MemoryDisk) -> Blobs {
        Blobs::open(Path::new("node/bodies"), Arc::new(disk.clone())).expect("opens")
    }

    fn store(blobs: &Blobs, chunks: &[&[u8]]) -> Result<(Digest, u64), Error> {
        let mut writer = blobs.writer()?;
        chunks.iter().try_for_each(|chunk| writer.write(chunk))?;
        writer.finish()
    }

    fn names(disk: &MemoryDisk, folder: &str) -> Vec<String> {
        disk.list(&Path::new("node/bodies").join(folder)).expect("lists")
    }

    #[test]
    fn stored_once_read_back_and_removed() {
        let disk = MemoryDisk::new();
        let blobs = open(&disk);
        let large = vec![7; 2 * CHUNK_BYTES + 3];
        for content in [&b""[..], b"short", &large] {
            let (half, rest) = content.split_at(content.len() / 2);
            let (digest, len) = store(&blobs, &[half, rest]).expect("stores");
            assert_eq!((digest, len), (Digest::of(content), content.len() as u64));
            assert_eq!(store(&blobs, &[content]).expect("again"), (digest, len));
            let reader = blobs.reader(digest).expect("is there");
            assert_eq!((reader.len(), reader.is_empty()), (len, content.is_empty()));
            assert_eq!(reader.read_all(len).expect("reads"), content);
            assert!(blobs.remove(digest).expect("removes"));
            assert!(!blobs.remove(digest).expect("is gone"));
            disk.crash();
            assert!(matches!(blobs.reader(digest), Err(Error::NoBody(d)) if d == digest));
        }
        let (digest, _) = store(&blobs, &[b"0123456789"]).expect("stores");
        let reader = blobs.reader(digest).expect("is there");
        let mut middle = [0; 4];
        reader.read_at(3, &mut middle).expect("reads");
        assert_eq!(&middle, b"3456");
        assert!(reader.read_at(8, &mut middle).is_err());
        assert!(matches!(reader.read_all(9), Err(Error::TooLarge { bytes: 10, .. })));
    }

    #[test]
    fn bounds_are_kept() {
        let mut writer = open(&MemoryDisk::new()).writer().expect("starts");
        let chunk = vec![0; 1 << 20];
        for _ in 0..DOCUMENT_BYTES_MAX >> 20 {
            writer.write(&chunk).expect("within the bound");
        }
        assert!(matches!(writer.write(b"x"), Err(Error::TooLarge { .. })));
    }

    #[test]
    fn damage_is_found() {
        let disk = MemoryDisk::new();
        let blobs = open(&disk);
        let (digest, _) = store(&blobs, &[b"truth"]).expect("stores");
        let name = digest.to_string();
        let path = Path::new("node/bodies").join(&name[..2]).join(&name);
        disk.open(&path).and_then(|mut file| file.write_at(0, b"l")).expect("damages");
        let read = blobs.reader(digest).expect("is there").read_all(100);
        assert!(matches!(read, Err(Error::DamagedBody(d)) if d == digest));
    }

    #[test]
    fn temporaries_never_stay() {
        let disk = MemoryDisk::new();
        let blobs = open(&disk);
        let mut writer = blobs.writer().expect("starts");
        writer.write(b"given up").expect("writes");
        drop(writer);
        assert!(names(&disk, TEMPORARY).is_empty());
        // A process that ends without unwinding, its names already on the platter.
        std::mem::forget(blobs.writer().expect("starts"));
        disk.sync_dir(Path::new("node/bodies/tmp")).expect("syncs");
        disk.crash();
        assert_eq!(names(&disk, TEMPORARY).len(), 1);
        open(&disk);
        assert!(names(&disk, TEMPORARY).is_empty());
    }

    #[test]
    fn finished_bodies_survive_a_crash_at_any_operation() {
        let content = vec![42; 3 * CHUNK_BYTES];
        let mut finished = 0;
        for operations in 0..20 {
            let disk = MemoryDisk::new();
            let blobs = open(&disk);
            disk.stop_after(operations);
            let stored = store(&blobs, &[&content[..9], &content[9..]]);
            disk.crash_torn(operations);
            let found = open(&disk).reader(Digest::of(&content));
            if stored.is_ok() {
                finished += 1;
                assert_eq!(found.expect("survives").read_all(1 << 20).expect("whole"), content);
            } else if let Ok(reader) = found {
                // The rename may have reached the platter early, but only with all bytes.
                assert_eq!(reader.read_all(1 << 20).expect("whole"), content);
            }
        }
        assert!((1..20).contains(&finished), "{finished}");
    }
}
