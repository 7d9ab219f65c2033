//! Compares stored tiles and bundles with the tree that the audit rebuilds.

use std::path::PathBuf;

use karvan_evidence::tile::{
    BundleId, StaticPath, TileId, decode_bundle, decode_tile, encode_tile, push_entry,
};
use karvan_types::Digest;

use super::Audit;
use crate::Error;

/// The 256 entries that share a bundle and a lowest tile.
pub(super) struct Group {
    index: u64,
    pub(super) bundle_path: PathBuf,
    /// Entries of the stored bundle; empty when it cannot be read.
    pub(super) entries: Vec<Vec<u8>>,
    /// Hashes of the stored tile; empty when it cannot be read.
    pub(super) hashes: Vec<Digest>,
    /// The bundle as it should be, and where each entry ends in it.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Group {
    pub(super) fn push(&mut self, entry: &[u8]) {
        // An entry that was read from a segment or bundle is never too long for one.
        let _ = push_entry(&mut self.bytes, entry);
        self.ends.push(self.bytes.len());
    }
}

impl Audit {
    /// Reads the bundle and the tile of the next entry when it is the first of its group.
    pub(super) fn enter_group(&mut self) -> Result<(), Error> {
        let index = self.tree.size() / 256;
        if self.group.as_ref().is_some_and(|group| group.index == index) {
            return Ok(());
        }
        let mut group = Group {
            index,
            bundle_path: PathBuf::new(),
            entries: Vec::new(),
            hashes: Vec::new(),
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        if let Some(bundle) = BundleId::at(index, self.covered) {
            group.bundle_path = self.site.path(StaticPath::Entries(bundle));
            match self.site.read_if_there(&group.bundle_path)? {
                None => self.find(&group.bundle_path, None, "the bundle is missing"),
                Some(bytes) => match decode_bundle(&bytes, bundle.width) {
                    Ok(entries) => {
                        group.entries = entries.into_iter().map(<[u8]>::to_vec).collect();
                    }
                    Err(error) => self.find(&group.bundle_path, None, error.to_string()),
                },
            }
        }
        if let Some(tile) = TileId::at(0, index, self.covered) {
            let path = self.site.path(StaticPath::Tile(tile));
            let bytes = self.site.read_if_there(&path)?.unwrap_or_default();
            // A tile that is missing or cut short is reported when it is compared.
            group.hashes = decode_tile(&bytes, tile.width).unwrap_or_default();
        }
        self.group = Some(group);
        Ok(())
    }

    /// Returns how long the entry is in its bundle.
    pub(super) fn bundled_length(&mut self, index: u64) -> Result<Option<usize>, Error> {
        self.enter_group()?;
        let place = usize::try_from(index % 256).unwrap_or(0);
        let group = self.group.as_ref().filter(|group| group.index == index / 256);
        Ok(group.and_then(|group| group.entries.get(place)).map(Vec::len))
    }

    /// Compares the stored versions of the current bundle that are not full.
    pub(super) fn finish_group(&mut self) -> Result<(), Error> {
        let Some(group) = self.group.take() else { return Ok(()) };
        for (path, width) in
            self.partials(StaticPath::Entries(BundleId { index: group.index, width: 256 }))?
        {
            if path == group.bundle_path {
                // Compared entry by entry already.
                continue;
            }
            let stored = self.site.read(&path)?;
            let end = width.checked_sub(1).and_then(|last| group.ends.get(last)).copied();
            if end.and_then(|end| group.bytes.get(..end)) != Some(&stored) {
                self.find(&path, None, "the bundle differs from the stored entries");
            }
        }
        Ok(())
    }

    /// Compares the stored versions of a tile with its rebuilt hashes.
    pub(super) fn tile(&mut self, tile: TileId, hashes: &[Digest]) -> Result<(), Error> {
        let full = StaticPath::Tile(TileId { width: 256, ..tile });
        let path = self.site.path(full);
        if tile.is_full() {
            let required = TileId::at(tile.level, tile.index, self.covered) == Some(tile);
            match self.site.read_if_there(&path)? {
                Some(stored) => self.compare(&path, &stored, hashes),
                None if required => self.find(&path, None, "the tile is missing"),
                None => {}
            }
        }
        for (path, width) in self.partials(full)? {
            let stored = self.site.read(&path)?;
            match hashes.get(..width) {
                Some(hashes) => self.compare(&path, &stored, hashes),
                None => self.find(&path, None, "the log has no tile of this width"),
            }
        }
        Ok(())
    }

    fn compare(&mut self, path: &std::path::Path, stored: &[u8], hashes: &[Digest]) {
        let right = encode_tile(hashes);
        if stored == right {
            return;
        }
        let place = stored.chunks(32).zip(right.chunks(32)).position(|(a, b)| a != b);
        let problem = match place {
            Some(place) => format!("hash {place} differs from that of the stored entries"),
            None => "it has another length than its width says".to_owned(),
        };
        self.find(path, None, problem);
    }

    /// Compares the tiles that are not full, and looks for those that the checkpoint needs.
    pub(super) fn edge(&mut self) -> Result<(), Error> {
        let tree = self.tree.clone();
        for (tile, hashes) in tree.partial_tiles() {
            self.tile(tile, hashes)?;
        }
        let mut level = 0;
        while TileId::count(level, self.covered) > 0 {
            if let Some(tile) = TileId::partial(level, self.covered) {
                let path = self.site.path(StaticPath::Tile(tile));
                if !self.site.disk.exists(&path) {
                    self.find(&path, None, "the tile is missing");
                }
            }
            level += 1;
        }
        Ok(())
    }

    /// Lists the partial files of a tile or bundle, with their widths.
    fn partials(&mut self, full: StaticPath) -> Result<Vec<(PathBuf, usize)>, Error> {
        let mut folder = self.site.path(full).into_os_string();
        folder.push(".p");
        let folder = PathBuf::from(folder);
        let mut found = Vec::new();
        for name in self.list(&folder)? {
            let path = folder.join(&name);
            match name.parse() {
                Ok(width) => found.push((path, width)),
                // An interrupted write.
                Err(_) if path.extension().is_some_and(|end| end == "tmp") => {}
                Err(_) => self.find(&path, None, "no such file belongs here"),
            }
        }
        Ok(found)
    }
}
