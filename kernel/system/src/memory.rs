//! A disk in memory that can crash, for tests and simulations.
//!
//! It keeps two worlds: what programs see and what the platter holds. [`DiskFile::sync`] carries a
//! file's bytes over, [`Disk::sync_dir`] a directory's names; [`MemoryDisk::crash`] throws the seen
//! world away. [`MemoryDisk::stop_after`] makes every later operation fail, so that a test can
//! crash a program at each of its operations in turn.
//!
//! Invariant: after a crash nothing is seen but what was synced, or, with
//! [`MemoryDisk::crash_torn`], what a real disk could have written early.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile};

#[cfg(test)]
mod tests;
mod world;

use world::{Change, Content, Node, World, at, missing};

/// A disk in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<World>>);

impl MemoryDisk {
    /// Makes an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Loses power: forgets every byte and name that was not synced, kills open files and lifts
    /// [`MemoryDisk::stop_after`] and [`MemoryDisk::fail_syncs`].
    pub fn crash(&self) {
        self.world().crash(&mut || false);
    }

    /// Loses power like [`MemoryDisk::crash`], but keeps a part of what was not synced, chosen by
    /// `seed`: of the writes to a file some whole, some in part, by sectors of 512 bytes; and some
    /// of the names that were made or removed. A rename loses the old name only for the new one.
    pub fn crash_torn(&self, seed: u64) {
        let mut state = seed;
        self.world().crash(&mut || {
            // SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to toss a coin.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) & 1 == 1
        });
    }

    /// Lets `operations` more changes happen; every later one fails, until a crash.
    pub fn stop_after(&self, operations: u64) {
        self.world().operations_left = Some(operations);
    }

    /// Makes every sync of a file fail, or work again.
    pub fn fail_syncs(&self, fail: bool) {
        self.world().syncs_fail = fail;
    }

    /// Returns how many syncs were done, of files and of directories.
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }

    /// Returns the paths of all files, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        let world = self.world();
        let files = world.seen.iter().filter(|(_, node)| node.is_file());
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Copies what is seen to a new disk, where all of it is synced, as a backup does.
    #[must_use]
    pub fn copy(&self) -> Self {
        let world = self.world();
        let copied = |content: &Content| Content {
            seen: content.seen.clone(),
            durable: content.seen.clone(),
            unsynced: Vec::new(),
        };
        Self(Arc::new(Mutex::new(World {
            files: world.files.iter().map(|(id, content)| (*id, copied(content))).collect(),
            seen: world.seen.clone(),
            durable: world.seen.clone(),
            ..World::default()
        })))
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.change()?;
        for directory in path.ancestors().filter(|path| path.parent().is_some()) {
            if world.seen.get(directory).is_some_and(|node| *node != Node::Directory) {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            world.seen.insert(directory.to_owned(), Node::Directory);
            world.durable.insert(directory.to_owned(), Node::Directory);
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let id = match world.seen.get(path) {
            Some(Node::File(id)) => *id,
            Some(Node::Directory) => return Err(io::ErrorKind::IsADirectory.into()),
            None => {
                world.change()?;
                if !world.is_directory(path.parent().unwrap_or(Path::new(""))) {
                    return Err(missing(path));
                }
                let id = world.files.last_key_value().map_or(0, |(id, _)| id + 1);
                world.files.insert(id, Content::default());
                world.seen.insert(path.to_owned(), Node::File(id));
                id
            }
        };
        let life = world.life;
        drop(world);
        Ok(Box::new(MemoryFile { disk: self.clone(), id, life, writable: true }))
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let world = self.world();
        let id = match world.node(path)? {
            Node::File(id) => id,
            Node::Directory => return Err(io::ErrorKind::IsADirectory.into()),
        };
        let life = world.life;
        drop(world);
        Ok(Box::new(MemoryFile { disk: self.clone(), id, life, writable: false }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut world = self.world();
        let life = world.life;
        match world.node(path)? {
            Node::File(id) => Ok(world.file(id, life)?.seen.clone()),
            Node::Directory => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let world = self.world();
        if !world.is_directory(path) {
            return Err(missing(path));
        }
        let inside = world.seen.keys().filter(|name| name.parent() == Some(path));
        Ok(inside
            .filter_map(|name| name.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let world = self.world();
        world.is_directory(path) || world.seen.contains_key(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.change()?;
        let node = world.node(from)?;
        if !world.is_directory(to.parent().unwrap_or(Path::new(""))) {
            return Err(missing(to));
        }
        world.seen.remove(from);
        world.seen.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.change()?;
        world.node(path)?;
        if world.seen.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        world.seen.remove(path);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.change()?;
        if !world.is_directory(path) {
            return Err(missing(path));
        }
        world.syncs += 1;
        world.sync_names(path);
        Ok(())
    }

    fn replace_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.replace(path, bytes)
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
    life: u64,
    writable: bool,
}

impl MemoryFile {
    fn record(&mut self, change: Change) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut world = self.disk.world();
        world.change()?;
        let content = world.file(self.id, self.life)?;
        change.apply(&mut content.seen);
        content.unsynced.push(change);
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.world().file(self.id, self.life)?.seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut world = self.disk.world();
        let content = world.file(self.id, self.life)?;
        let end = at(offset).saturating_add(buffer.len());
        let bytes = content.seen.get(at(offset)..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.record(Change::Write(offset, bytes.to_vec()))
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.record(Change::Length(len))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut world = self.disk.world();
        world.change()?;
        if world.syncs_fail {
            return Err(io::Error::other("the sync failed, as the test asked"));
        }
        world.syncs += 1;
        let content = world.file(self.id, self.life)?;
        for change in content.unsynced.drain(..) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }
}
