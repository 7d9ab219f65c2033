//! A disk in memory that can crash, for tests and simulations.
//!
//! It keeps two worlds: what programs see and what the platter holds. [`DiskFile::sync`] carries a
//! file's bytes over, [`Disk::sync_dir`] a directory's names; [`MemoryDisk::crash`] throws the seen
//! world away. [`MemoryDisk::stop_after`] makes every later operation fail, so that a test can
//! crash a program at each of its operations in turn.
//!
//! Invariant: after a crash nothing is seen but what was synced, or, with
//! [`MemoryDisk::crash_torn`], what a real disk could have written early.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Disk, DiskFile};

/// Bytes that a disk writes together or not at all.
const SECTOR_BYTES: usize = 512;

/// A disk in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<World>>);

#[derive(Debug, Default)]
struct World {
    files: BTreeMap<u64, Content>,
    seen: Names,
    durable: Names,
    /// Counts crashes; a file opened before the last one is dead.
    life: u64,
    operations_left: Option<u64>,
    syncs_fail: bool,
    syncs: u64,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Node {
    Directory,
    File(u64),
}

#[derive(Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(len) => bytes.resize(at(*len), 0),
            Self::Write(offset, new) => {
                let (start, end) = (at(*offset), at(*offset).saturating_add(new.len()));
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                if let Some(old) = bytes.get_mut(start..end) {
                    old.copy_from_slice(new);
                }
            }
        }
    }
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

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

    /// Loses power like [`MemoryDisk::crash`], but keeps a part of what was not synced: sectors of
    /// 512 bytes and whole directories, chosen by `seed`.
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

    /// Returns how many file syncs were done.
    pub fn syncs(&self) -> u64 {
        self.world().syncs
    }
}

impl World {
    fn crash(&mut self, keep: &mut dyn FnMut() -> bool) {
        self.life += 1;
        self.operations_left = None;
        self.syncs_fail = false;
        for content in self.files.values_mut() {
            for change in content.unsynced.drain(..) {
                match &change {
                    Change::Length(_) if keep() => change.apply(&mut content.durable),
                    Change::Length(_) => {}
                    Change::Write(offset, bytes) => {
                        for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                            if keep() {
                                let offset = offset + (i * SECTOR_BYTES) as u64;
                                Change::Write(offset, sector.to_vec()).apply(&mut content.durable);
                            }
                        }
                    }
                }
            }
            content.seen.clone_from(&content.durable);
        }
        let directories: Vec<PathBuf> = self.directories().collect();
        for directory in directories {
            if keep() {
                self.sync_names(&directory);
            }
        }
        self.seen.clone_from(&self.durable);
        let live = &self.durable;
        self.files.retain(|id, _| live.values().any(|node| *node == Node::File(*id)));
    }

    fn directories(&self) -> impl Iterator<Item = PathBuf> {
        let nodes = self.seen.iter().filter(|(_, node)| **node == Node::Directory);
        nodes.map(|(path, _)| path.clone())
    }

    fn sync_names(&mut self, directory: &Path) {
        let inside = |path: &Path| path.parent() == Some(directory);
        let removed: Vec<PathBuf> = self
            .durable
            .keys()
            .filter(|path| inside(path) && !self.seen.contains_key(*path))
            .cloned()
            .collect();
        // A directory that is gone takes with it what it held when it was last synced.
        self.durable.retain(|path, _| !removed.iter().any(|gone| path.starts_with(gone)));
        let names = self.seen.iter().filter(|(path, _)| inside(path));
        self.durable.extend(names.map(|(path, node)| (path.clone(), *node)));
    }

    /// Counts a change, or refuses it.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the disk was stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.seen.get(path).copied().ok_or_else(|| missing(path))
    }

    fn file(&mut self, id: u64, life: u64) -> io::Result<&mut Content> {
        if life != self.life {
            return Err(io::Error::other("the disk crashed since this file was opened"));
        }
        self.files.get_mut(&id).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || path.parent().is_none()
            || self.seen.get(path) == Some(&Node::Directory)
    }
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
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
        Ok(Box::new(MemoryFile { disk: self.clone(), id, life }))
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
        world.sync_names(path);
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
    life: u64,
}

impl MemoryFile {
    fn record(&mut self, change: Change) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn disk_with(path: &str, bytes: &[u8]) -> (MemoryDisk, Box<dyn DiskFile>) {
        let disk = MemoryDisk::new();
        let dir = Path::new(path).parent().expect("a file in a directory");
        disk.create_dir_all(dir).expect("makes");
        let mut file = disk.open(Path::new(path)).expect("opens");
        file.write_at(0, bytes).expect("writes");
        (disk, file)
    }

    #[test]
    fn a_crash_forgets_what_was_not_synced() {
        let path = Path::new("dir/a");
        // Neither bytes nor name.
        let (disk, _) = disk_with("dir/a", b"lost");
        disk.crash();
        assert!(disk.exists(Path::new("dir")) && !disk.exists(path));
        // Bytes without name.
        let (disk, mut file) = disk_with("dir/a", b"lost");
        file.sync().expect("syncs");
        disk.crash();
        assert!(!disk.exists(path));
        // Name without bytes.
        let (disk, _) = disk_with("dir/a", b"lost");
        disk.sync_dir(Path::new("dir")).expect("syncs");
        disk.crash();
        assert_eq!(disk.read(path).expect("reads"), b"");
        // Both, then more bytes and a rename that are lost again.
        let (disk, mut file) = disk_with("dir/a", b"kept");
        file.sync().expect("syncs");
        disk.sync_dir(Path::new("dir")).expect("syncs");
        file.write_at(2, b"changed").expect("writes");
        file.set_len(3).expect("cuts");
        disk.rename(path, Path::new("dir/b")).expect("renames");
        assert_eq!(disk.read(Path::new("dir/b")).expect("reads"), b"kec");
        disk.crash();
        assert_eq!(disk.list(Path::new("dir")).expect("lists"), ["a"]);
        assert_eq!(disk.read(path).expect("reads"), b"kept");
        assert!(file.sync().is_err(), "a file opened before the crash is dead");
    }

    #[test]
    fn a_torn_crash_keeps_some_sectors() {
        let mut kept = [0; 3];
        for seed in 0..64 {
            let (disk, _) = disk_with("dir/a", &[7; 2 * SECTOR_BYTES]);
            disk.sync_dir(Path::new("dir")).expect("syncs");
            disk.crash_torn(seed);
            let bytes = disk.read(Path::new("dir/a")).expect("reads");
            let whole = |sector: &&[u8]| **sector == [7; SECTOR_BYTES];
            let sectors = bytes.chunks(SECTOR_BYTES).filter(whole).count();
            *kept.get_mut(sectors).expect("at most two sectors") += 1;
        }
        assert!(kept.iter().all(|count| *count > 0), "{kept:?}");
    }

    #[test]
    fn replace_is_atomic_at_every_stop() {
        let path = Path::new("dir/a");
        let mut outcomes = Vec::new();
        for operations in 0.. {
            let (disk, mut file) = disk_with("dir/a", b"old");
            file.sync().expect("syncs");
            disk.sync_dir(Path::new("dir")).expect("syncs");
            disk.stop_after(operations);
            let done = disk.replace(path, b"new").is_ok();
            disk.crash();
            let content = disk.read(path).expect("one of both is there");
            assert!(content == b"old" && !done || content == b"new", "{operations}");
            outcomes.push(content);
            if done {
                break;
            }
        }
        assert!(outcomes.len() > 4 && outcomes.first().is_some_and(|old| old == b"old"));
    }

    #[test]
    fn an_empty_directory_can_be_removed() {
        let (disk, mut file) = disk_with("dir/sub/a", b"x");
        let sub = Path::new("dir/sub");
        file.sync().expect("syncs");
        disk.sync_dir(sub).expect("syncs");
        let full = disk.remove(sub).map_err(|error| error.kind());
        assert_eq!(full, Err(io::ErrorKind::DirectoryNotEmpty));
        // Removed, but nothing of it synced: a crash brings all of it back.
        let remove = || {
            disk.remove(&sub.join("a")).expect("removes");
            disk.remove(sub).expect("is empty now");
            assert!(!disk.exists(sub));
        };
        remove();
        disk.crash();
        assert_eq!(disk.read(&sub.join("a")).expect("reads"), b"x");
        // Once the name of the directory is gone for good, so is what was in it.
        remove();
        disk.sync_dir(Path::new("dir")).expect("syncs");
        disk.crash();
        assert!(disk.list(Path::new("dir")).expect("lists").is_empty());
        assert!(!disk.exists(&sub.join("a")));
    }

    #[test]
    fn syncs_fail_on_request() {
        let (disk, mut file) = disk_with("dir/a", b"x");
        disk.fail_syncs(true);
        assert!(file.sync().is_err());
        disk.fail_syncs(false);
        file.sync().expect("works again");
        assert_eq!(disk.syncs(), 1);
    }
}
