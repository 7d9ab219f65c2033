//! The Merkle tree of RFC 6962, section 2.1, grown one leaf at a time.
//!
//! A [`Tree`] holds only the unfinished tile of each level: at most 255 hashes for every factor of
//! 256 in its size. A finished tile is handed out once and forgotten; its root moves one level up.
//!
//! Invariants: the size only grows; every hash in the edge is the root of a complete subtree.
//!
//! Not here: proofs (`crate::proof`), paths and encodings (`crate::tile`).

use karvan_types::Digest;

use crate::Error;
use crate::tile::{TILE_WIDTH, TileId, TileReader};

const LEAF: &[u8] = &[0];
const NODE: &[u8] = &[1];

/// Returns the hash of one entry (RFC 6962, section 2.1: prefix 0x00).
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[LEAF, entry])
}

/// Returns the hash of two subtrees (RFC 6962, section 2.1: prefix 0x01).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[NODE, left.as_bytes(), right.as_bytes()])
}

/// Returns the root of the tree without entries: the hash of nothing.
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// A finished tile: its id and its 256 hashes.
pub type FullTile = (TileId, Vec<Digest>);

/// A growing tree.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    size: u64,
    /// The unfinished tile of each level, lowest level first.
    edge: Vec<Vec<Digest>>,
}

impl Tree {
    /// Makes the empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a tree of `size` entries from the partial tiles of exactly that size.
    ///
    /// The caller compares [`Tree::root`] with the signed root: the tiles are not trusted here.
    pub fn resume<R: TileReader>(size: u64, reader: &R) -> Result<Self, R::Error> {
        let mut edge = Vec::new();
        let mut level = 0;
        while TileId::count(level, size) > 0 {
            let hashes = match TileId::partial(level, size) {
                Some(tile) => reader.read_tile(tile)?,
                None => Vec::new(),
            };
            edge.push(hashes);
            level += 1;
        }
        Ok(Self { size, edge })
    }

    /// Returns the number of entries.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the hash of one entry; tiles that it finishes are appended to `full`.
    pub fn push(&mut self, leaf: Digest, full: &mut Vec<FullTile>) {
        let mut carry = leaf;
        let mut level: u8 = 0;
        loop {
            if self.edge.len() <= usize::from(level) {
                self.edge.push(Vec::new());
            }
            let Some(hashes) = self.edge.get_mut(usize::from(level)) else { break };
            hashes.push(carry);
            if hashes.len() < TILE_WIDTH {
                break;
            }
            let hashes = std::mem::replace(hashes, Vec::with_capacity(TILE_WIDTH));
            carry = perfect_root(&hashes);
            full.push((TileId::full(level, self.size >> (8 * (u32::from(level) + 1))), hashes));
            level += 1;
        }
        self.size += 1;
    }

    /// Returns the root hash.
    pub fn root(&self) -> Digest {
        let mut peaks = Vec::new();
        for hashes in self.edge.iter().rev() {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                let (peak, after) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(perfect_root(peak));
                rest = after;
            }
        }
        let joined = peaks.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
        joined.unwrap_or_else(empty_root)
    }

    /// Returns the partial tiles that a checkpoint of this size needs.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileId, &[Digest])> {
        (0u8..).zip(&self.edge).filter_map(|(level, hashes)| {
            TileId::partial(level, self.size).map(|tile| (tile, hashes.as_slice()))
        })
    }
}

/// Returns the root of a complete subtree from its hashes, whose number is a power of two.
pub(crate) fn perfect_root(hashes: &[Digest]) -> Digest {
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.chunks(2).map(pair).collect();
    }
    row.first().copied().unwrap_or_else(empty_root)
}

fn pair(hashes: &[Digest]) -> Digest {
    match hashes {
        [left, right] => node_hash(left, right),
        [single, ..] => *single,
        [] => empty_root(),
    }
}

/// Returns the root of the tree's first `size` entries, read from tiles.
pub fn root_at<R: TileReader>(size: u64, reader: &R) -> Result<Digest, R::Error> {
    if size > crate::proof::TREE_SIZE_MAX {
        return Err(Error::OutOfTree { wanted: size, size: crate::proof::TREE_SIZE_MAX }.into());
    }
    Ok(Tree::resume(size, reader)?.root())
}
