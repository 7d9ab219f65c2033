//! A log in memory: every tile of its final size, and its entries.

use std::collections::BTreeMap;

use karvan_evidence::Error;
use karvan_evidence::tile::{TileId, TileReader};
use karvan_evidence::tree::{Tree, leaf_hash};
use karvan_types::Digest;

/// Tiles by level and number, as they stand at the final size.
#[derive(Default)]
pub(crate) struct MemoryLog {
    pub(crate) tree: Tree,
    pub(crate) leaves: Vec<Digest>,
    tiles: BTreeMap<(u8, u64), Vec<Digest>>,
}

impl MemoryLog {
    pub(crate) fn new<'e>(entries: impl IntoIterator<Item = &'e [u8]>) -> Self {
        let mut log = Self::default();
        let mut full = Vec::new();
        for entry in entries {
            let leaf = leaf_hash(entry);
            log.leaves.push(leaf);
            log.tree.push(leaf, &mut full);
        }
        for (tile, hashes) in full {
            log.tiles.insert((tile.level, tile.index), hashes);
        }
        for (tile, hashes) in log.tree.partial_tiles() {
            assert_eq!(hashes.len(), usize::from(tile.width));
            log.tiles.insert((tile.level, tile.index), hashes.to_vec());
        }
        log
    }

    /// Makes a log of `count` small entries.
    pub(crate) fn numbered(count: u32) -> Self {
        let entries: Vec<_> = (0..count).map(u32::to_be_bytes).collect();
        Self::new(entries.iter().map(<[u8; 4]>::as_slice))
    }
}

impl TileReader for MemoryLog {
    type Error = Error;

    fn read_tile(&self, tile: TileId) -> Result<Vec<Digest>, Error> {
        let hashes = self.tiles.get(&(tile.level, tile.index)).expect("only tiles that exist");
        Ok(hashes[..usize::from(tile.width)].to_vec())
    }
}
