//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2; verification as in
//! RFC 9162, sections 2.1.3.2 and 2.1.4.2).
//!
//! Making a proof walks the recursion of the RFC over stored tiles; checking one needs only the
//! proof, two sizes or an index, and two hashes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use karvan_types::Digest;

use crate::Error;
use crate::tile::{TileId, TileReader};
use crate::tree::{node_hash, perfect_root};

/// Largest tree size: what signed 64-bit implementations can hold.
pub const TREE_SIZE_MAX: u64 = i64::MAX as u64;
/// Most hashes in any proof.
pub const PROOF_HASHES_MAX: usize = 63;

/// Makes the proof that entry `index` is in the tree of the first `size` entries.
///
/// Order: from the sibling of the leaf up to the child of the root.
pub fn inclusion<R: TileReader>(
    reader: &R,
    index: u64,
    size: u64,
) -> Result<Vec<Digest>, R::Error> {
    if index >= size || size > TREE_SIZE_MAX {
        return Err(Error::OutOfTree { wanted: index, size }.into());
    }
    let ranges = Ranges { reader, size, cache: RefCell::default() };
    let mut path = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(ranges.hash(middle, high)?);
            high = middle;
        } else {
            path.push(ranges.hash(low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Makes the proof that the tree of the first `new` entries only appends to that of the first
/// `old`. Empty when `old` is 0 or equals `new`.
pub fn consistency<R: TileReader>(reader: &R, old: u64, new: u64) -> Result<Vec<Digest>, R::Error> {
    if old > new || new > TREE_SIZE_MAX {
        return Err(Error::OutOfTree { wanted: old, size: new }.into());
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let ranges = Ranges { reader, size: new, cache: RefCell::default() };
    let mut path = Vec::new();
    let (mut low, mut high) = (0, new);
    // Descends to the subtree that ends where the old tree ends.
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(ranges.hash(middle, high)?);
            high = middle;
        } else {
            path.push(ranges.hash(low, middle)?);
            low = middle;
        }
    }
    // The verifier knows that subtree already when it is the whole old tree.
    if low != 0 {
        path.push(ranges.hash(low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks an inclusion proof (RFC 9162, section 2.1.3.2).
pub fn verify_inclusion(
    path: &[Digest],
    index: u64,
    size: u64,
    leaf: &Digest,
    root: &Digest,
) -> Result<(), Error> {
    let wrong = Error::WrongProof { what: "inclusion" };
    if inclusion_root(path, index, size, leaf)? == *root { Ok(()) } else { Err(wrong) }
}

/// Returns the root that an inclusion proof leads to (RFC 9162, section 2.1.3.2); what it is worth
/// depends on whether that root is signed.
pub fn inclusion_root(
    path: &[Digest],
    index: u64,
    size: u64,
    leaf: &Digest,
) -> Result<Digest, Error> {
    let wrong = Error::WrongProof { what: "inclusion" };
    if index >= size || size > TREE_SIZE_MAX {
        return Err(Error::OutOfTree { wanted: index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return Err(wrong);
        }
        if node % 2 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node / 2, last / 2);
    }
    if last == 0 { Ok(hash) } else { Err(wrong) }
}

/// Checks a consistency proof (RFC 9162, section 2.1.4.2).
///
/// Old size 0 proves nothing and needs an empty proof, whatever its root is said to be.
pub fn verify_consistency(
    path: &[Digest],
    old: u64,
    old_root: &Digest,
    new: u64,
    new_root: &Digest,
) -> Result<(), Error> {
    let wrong = Error::WrongProof { what: "consistency" };
    if old > new || new > TREE_SIZE_MAX {
        return Err(Error::OutOfTree { wanted: old, size: new });
    }
    if old == 0 || old == new {
        let equal = old == 0 || old_root == new_root;
        return if path.is_empty() && equal { Ok(()) } else { Err(wrong) };
    }
    let mut rest = path.iter();
    // An old tree of complete size is a node of the new one, which the proof leaves out.
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return Err(wrong) };
    let (mut node, mut last) = (old - 1, new - 1);
    while node % 2 == 1 {
        (node, last) = (node / 2, last / 2);
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for hash in rest {
        if last == 0 {
            return Err(wrong);
        }
        if node % 2 == 1 || node == last {
            old_hash = node_hash(hash, &old_hash);
            new_hash = node_hash(hash, &new_hash);
            while node % 2 == 0 && node != 0 {
                (node, last) = (node / 2, last / 2);
            }
        } else {
            new_hash = node_hash(&new_hash, hash);
        }
        (node, last) = (node / 2, last / 2);
    }
    let leads = last == 0 && old_hash == *old_root && new_hash == *new_root;
    if leads { Ok(()) } else { Err(wrong) }
}

/// Returns the largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// Hashes of entry ranges, from tiles that are each read once.
struct Ranges<'r, R> {
    reader: &'r R,
    size: u64,
    cache: RefCell<BTreeMap<TileId, Vec<Digest>>>,
}

impl<R: TileReader> Ranges<'_, R> {
    /// Returns the hash of entries `low..high`, a range that the recursion of the RFC produces.
    fn hash(&self, low: u64, high: u64) -> Result<Digest, R::Error> {
        let count = high - low;
        if count.is_power_of_two() {
            return self.perfect(low, count);
        }
        let middle = low + split(count);
        Ok(node_hash(&self.perfect(low, middle - low)?, &self.hash(middle, high)?))
    }

    /// Returns the hash of a complete subtree of `count` entries that starts at `low`.
    fn perfect(&self, low: u64, count: u64) -> Result<Digest, R::Error> {
        let height = count.trailing_zeros();
        let level = u8::try_from(height / 8).unwrap_or(u8::MAX);
        // Where the subtree starts among the hashes of the level, and how many of them it spans.
        let start = TileId::count(level, low);
        let span = 1_usize << (height % 8);
        let offset = usize::try_from(start % 256).unwrap_or(0);
        let missing = Error::OutOfTree { wanted: low, size: self.size };
        let tile = TileId::at(level, start / 256, self.size).ok_or(missing.clone())?;
        let mut cache = self.cache.borrow_mut();
        let hashes = match cache.entry(tile) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unread) => unread.insert(self.reader.read_tile(tile)?),
        };
        Ok(perfect_root(hashes.get(offset..offset + span).ok_or(missing)?))
    }
}
