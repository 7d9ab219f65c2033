//! A text that is read twice: what is read of it the first time is kept in a file without a name.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write as _};

use karvan_types::Digest;
use karvan_types::digest::Hasher;

/// Passes bytes on and keeps them.
pub(super) struct Kept<R> {
    inner: R,
    file: File,
    hasher: Hasher,
}

impl<R: Read> Kept<R> {
    /// Begins to keep what is read of a source, among the temporary files of the system.
    pub(super) fn new(inner: R) -> io::Result<Self> {
        Ok(Self { inner, file: tempfile::tempfile()?, hasher: Hasher::new() })
    }

    /// Returns what was kept, from its beginning, and its SHA-256.
    pub(super) fn finish(mut self) -> io::Result<(File, Digest)> {
        self.file.rewind()?;
        Ok((self.file, self.hasher.finish()))
    }
}

impl<R: Read> Read for Kept<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let new = buffer.get(..length).unwrap_or_default();
        self.file.write_all(new)?;
        self.hasher.update(new);
        Ok(length)
    }
}
