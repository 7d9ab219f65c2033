//! A disk in memory that keeps only what was synced when it crashes.
//!
//! Written bytes survive a crash after the file's `sync`, names after `sync_dir` of their folder.
//! What was not synced survives in part: each write, at random, whole, torn at 512 bytes, or not
//! at all; each name change too. The seed makes it repeatable.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use karvan_system::{Disk, DiskFile};

const BLOCK: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<u64, FileState>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    folders: BTreeSet<PathBuf>,
    next: u64,
    /// Counts every write, sync, rename and removal.
    acts: u64,
    /// From this act on everything fails, as if the process had died.
    dies_at: Option<u64>,
    /// File syncs fail from now on.
    sync_fails: bool,
}

#[derive(Default)]
struct FileState {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                bytes.resize(bytes.len().max(at + data.len()), 0);
                bytes[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Length(length) => bytes.resize(*length, 0),
        }
    }
}

/// A small generator (xorshift), enough to choose what a crash forgets.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

impl MemoryDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic holds it")
    }

    fn act(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.acts += 1;
        if state.dies_at.is_some_and(|at| state.acts >= at) {
            return Err(io::Error::other("the machine is off"));
        }
        Ok(state)
    }

    /// Returns how many changing acts there were.
    pub(crate) fn acts(&self) -> u64 {
        self.state().acts
    }

    /// Lets everything fail from an act on, until [`MemoryDisk::crash`].
    pub(crate) fn die_at(&self, act: u64) {
        self.state().dies_at = Some(act);
    }

    /// Lets every sync fail.
    pub(crate) fn fail_syncs(&self) {
        self.state().sync_fails = true;
    }

    /// Turns the machine off and on: what was not synced survives only by chance.
    pub(crate) fn crash(&self, seed: u64) {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let state = &mut *self.state();
        state.dies_at = None;
        state.sync_fails = false;
        for file in state.files.values_mut() {
            let mut bytes = file.durable.clone();
            for change in file.unsynced.drain(..) {
                match (chance.below(3), change) {
                    (0, _) => {}
                    (1, Change::Write(at, data)) => {
                        let blocks = data.len().div_ceil(BLOCK) as u64;
                        let kept = usize::try_from(chance.below(blocks + 1)).expect("small");
                        let kept = (kept * BLOCK).min(data.len());
                        Change::Write(at, data[..kept].to_vec()).apply(&mut bytes);
                    }
                    (_, change) => change.apply(&mut bytes),
                }
            }
            file.now.clone_from(&bytes);
            file.durable = bytes;
        }
        let all: BTreeSet<_> =
            state.names.keys().chain(state.durable_names.keys()).cloned().collect();
        for name in all {
            if chance.below(2) == 0 {
                match state.names.get(&name).copied() {
                    Some(file) => state.durable_names.insert(name, file),
                    None => state.durable_names.remove(&name),
                };
            }
        }
        state.names.clone_from(&state.durable_names);
    }

    /// Returns the names of all files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes one byte of a file.
    pub(crate) fn flip(&self, path: &Path, at: usize, mask: u8) {
        let state = &mut *self.state();
        let file = state.files.get_mut(&state.names[path]).expect("exists");
        file.now[at] ^= mask;
        file.durable[at] ^= mask;
    }

    /// Copies all files and names, as a backup does.
    pub(crate) fn copy(&self) -> Self {
        let state = self.state();
        let copied = |file: &FileState| FileState {
            now: file.now.clone(),
            durable: file.now.clone(),
            unsynced: Vec::new(),
        };
        Self(Arc::new(Mutex::new(State {
            files: state.files.iter().map(|(id, file)| (*id, copied(file))).collect(),
            names: state.names.clone(),
            durable_names: state.names.clone(),
            folders: state.folders.clone(),
            next: state.next,
            ..State::default()
        })))
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    id: u64,
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.act()?.folders.extend(path.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.act()?;
        if let Some(id) = state.names.get(path).copied() {
            return Ok(Box::new(MemoryFile { disk: self.clone(), id }));
        }
        if !path.parent().is_some_and(|parent| state.folders.contains(parent)) {
            return Err(missing(path));
        }
        let id = state.next;
        state.next += 1;
        state.files.insert(id, FileState::default());
        state.names.insert(path.to_owned(), id);
        Ok(Box::new(MemoryFile { disk: self.clone(), id }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let id = state.names.get(path).ok_or_else(|| missing(path))?;
        Ok(state.files[id].now.clone())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if !state.folders.contains(path) {
            return Err(missing(path));
        }
        let here = state.names.keys().filter(|name| name.parent() == Some(path));
        Ok(here.map(|name| name.file_name().expect("file").to_string_lossy().into()).collect())
    }

    fn exists(&self, path: &Path) -> bool {
        let state = self.state();
        state.names.contains_key(path) || state.folders.contains(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.act()?;
        let id = state.names.remove(from).ok_or_else(|| missing(from))?;
        state.names.insert(to.to_owned(), id);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.act()?.names.remove(path).map(drop).ok_or_else(|| missing(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.act()?;
        state.durable_names.retain(|name, _| name.parent() != Some(path));
        let here = state.names.iter().filter(|(name, _)| name.parent() == Some(path));
        state.durable_names.extend(here.map(|(name, id)| (name.clone(), *id)));
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[&self.id].now.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.disk.state();
        let at = usize::try_from(offset).expect("small");
        let bytes = state.files[&self.id].now.get(at..at + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let change = Change::Write(usize::try_from(offset).expect("small"), bytes.to_vec());
        self.change(change)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(len).expect("small")))
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.act()?;
        if state.sync_fails {
            return Err(io::Error::other("planted"));
        }
        let file = state.files.get_mut(&self.id).expect("open");
        file.unsynced.clear();
        file.durable.clone_from(&file.now);
        Ok(())
    }
}

impl MemoryFile {
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.disk.act()?;
        let file = state.files.get_mut(&self.id).expect("open");
        change.apply(&mut file.now);
        file.unsynced.push(change);
        Ok(())
    }
}
