//! What a disk in memory knows: the names and bytes that are seen, those that are durable, and what
//! a crash makes of them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that a disk writes together or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) files: BTreeMap<u64, Content>,
    pub(super) seen: Names,
    pub(super) durable: Names,
    /// Counts crashes; a file opened before the last one is dead.
    pub(super) life: u64,
    pub(super) operations_left: Option<u64>,
    pub(super) syncs_fail: bool,
    pub(super) syncs: u64,
}

pub(super) type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Node {
    Directory,
    File(u64),
}

impl Node {
    pub(super) fn is_file(self) -> bool {
        matches!(self, Self::File(_))
    }
}

#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) seen: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) unsynced: Vec<Change>,
}

#[derive(Debug)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Change {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
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

    /// Does the change in part: whole, not at all, or some sectors of it.
    fn tear(&self, bytes: &mut Vec<u8>, keep: &mut dyn FnMut() -> bool) {
        match self {
            Self::Write(offset, new) if keep() => {
                for (i, sector) in new.chunks(SECTOR_BYTES).enumerate() {
                    if keep() {
                        let offset = offset + (i * SECTOR_BYTES) as u64;
                        Self::Write(offset, sector.to_vec()).apply(bytes);
                    }
                }
            }
            whole if keep() => whole.apply(bytes),
            _ => {}
        }
    }
}

pub(super) fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl World {
    pub(super) fn crash(&mut self, keep: &mut dyn FnMut() -> bool) {
        self.life += 1;
        self.operations_left = None;
        self.syncs_fail = false;
        for content in self.files.values_mut() {
            for change in std::mem::take(&mut content.unsynced) {
                change.tear(&mut content.durable, keep);
            }
            content.seen.clone_from(&content.durable);
        }
        self.tear_names(keep);
        self.seen.clone_from(&self.durable);
        let live = &self.durable;
        self.files.retain(|id, _| live.values().any(|node| *node == Node::File(*id)));
    }

    /// Makes some of the changed names durable.
    fn tear_names(&mut self, keep: &mut dyn FnMut() -> bool) {
        for (path, node) in &self.seen {
            if self.durable.get(path) != Some(node) && keep() {
                self.durable.insert(path.clone(), *node);
            }
        }
        let mut gone = Vec::new();
        for (path, node) in &self.durable {
            if self.seen.contains_key(path) {
                continue;
            }
            // The old name of a renamed file stays until the new one is there.
            let to = self.seen.iter().find(|(_, seen)| seen.is_file() && *seen == node);
            if to.is_none_or(|(to, _)| self.durable.get(to) == Some(node)) && keep() {
                gone.push(path.clone());
            }
        }
        self.forget(&gone);
    }

    /// Removes names for good; a directory takes with it what it held when it was last synced.
    fn forget(&mut self, gone: &[PathBuf]) {
        self.durable.retain(|path, _| !gone.iter().any(|gone| path.starts_with(gone)));
    }

    pub(super) fn sync_names(&mut self, directory: &Path) {
        let inside = |path: &Path| path.parent() == Some(directory);
        let gone =
            self.durable.keys().filter(|path| inside(path) && !self.seen.contains_key(*path));
        let gone: Vec<PathBuf> = gone.cloned().collect();
        self.forget(&gone);
        let names = self.seen.iter().filter(|(path, _)| inside(path));
        self.durable.extend(names.map(|(path, node)| (path.clone(), *node)));
    }

    /// Counts a change, or refuses it.
    pub(super) fn change(&mut self) -> io::Result<()> {
        match &mut self.operations_left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the disk was stopped")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    pub(super) fn node(&self, path: &Path) -> io::Result<Node> {
        self.seen.get(path).copied().ok_or_else(|| missing(path))
    }

    pub(super) fn file(&mut self, id: u64, life: u64) -> io::Result<&mut Content> {
        if life != self.life {
            return Err(io::Error::other("the disk crashed since this file was opened"));
        }
        self.files.get_mut(&id).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || path.parent().is_none()
            || self.seen.get(path) == Some(&Node::Directory)
    }
}

pub(super) fn missing(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", path.display()))
}
