//! Tiles, entry bundles and their paths (C2SP tlog-tiles v0.1.0).
//!
//! Tile `n` of level `l` holds up to 256 hashes of subtrees of 256^l entries. A full tile never
//! changes; a partial one exists for each tree size that got a checkpoint. Bundles hold the entries
//! themselves, 256 to a file.
//!
//! Invariants: a path has one spelling, and [`StaticPath::parse`] accepts nothing else, so a path
//! from outside can be joined to a folder; a width is never zero.
//!
//! Not here: which tiles a proof needs (`crate::proof`), files (`karvan-ledger`).

use std::fmt;

use karvan_types::Digest;
use karvan_types::limits::LOG_ENTRY_BYTES_MAX;

use crate::Error;
use crate::text::decimal;

/// Number of hashes in a full tile, and of entries in a full bundle.
pub const TILE_WIDTH: usize = 256;
/// Highest tile level (C2SP tlog-tiles allows 0 to 63; 2^63 entries need no more than 7).
pub const LEVEL_MAX: u8 = 63;
/// Longest path accepted, in bytes.
pub const PATH_BYTES_MAX: usize = 64;

/// Names one tile: level, number within the level, and how many of its hashes are meant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TileId {
    /// Level; 0 holds entry hashes.
    pub level: u8,
    /// Number of the tile within its level.
    pub index: u64,
    /// Number of hashes, 1 to 256; 256 is the full tile.
    pub width: u16,
}

impl TileId {
    /// Names a full tile.
    pub const fn full(level: u8, index: u64) -> Self {
        Self { level, index, width: 256 }
    }

    /// Returns how many hashes a level has, in a tree of `size` entries.
    pub fn count(level: u8, size: u64) -> u64 {
        size.checked_shr(8 * u32::from(level)).unwrap_or(0)
    }

    /// Names the partial tile of a level in a tree of `size` entries, if it has one.
    pub fn partial(level: u8, size: u64) -> Option<Self> {
        let count = Self::count(level, size);
        let width = u16::try_from(count % 256).unwrap_or(0);
        (width > 0).then_some(Self { level, index: count / 256, width })
    }

    /// Names tile `index` of a level as it stands in a tree of `size` entries, if it exists.
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let count = Self::count(level, size);
        if index < count / 256 {
            return Some(Self::full(level, index));
        }
        Self::partial(level, size).filter(|tile| tile.index == index)
    }

    /// Returns whether the tile is full.
    pub const fn is_full(&self) -> bool {
        self.width == 256
    }
}

/// Names one entry bundle: its number, and how many of its entries are meant.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BundleId {
    /// Number of the bundle: the entry index divided by 256.
    pub index: u64,
    /// Number of entries, 1 to 256; 256 is the full bundle.
    pub width: u16,
}

impl BundleId {
    /// Names bundle `index` as it stands in a tree of `size` entries, if it exists.
    pub fn at(index: u64, size: u64) -> Option<Self> {
        TileId::at(0, index, size).map(|tile| Self { index, width: tile.width })
    }
}

/// One file of the static layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StaticPath {
    /// The newest checkpoint.
    Checkpoint,
    /// A tile of hashes.
    Tile(TileId),
    /// A bundle of entries.
    Entries(BundleId),
}

impl StaticPath {
    /// Parses a path without leading slash, such as `tile/0/x001/067.p/12`.
    pub fn parse(path: &str) -> Result<Self, Error> {
        if path.len() > PATH_BYTES_MAX {
            let (what, unit, max) = ("tile path", "bytes", PATH_BYTES_MAX);
            return Err(Error::TooLarge { what, unit, actual: path.len(), max });
        }
        let rule = "expected `checkpoint`, `tile/<level>/<N>[.p/<width>]` or \
                    `tile/entries/<N>[.p/<width>]` (C2SP tlog-tiles)";
        parse_path(path).ok_or(Error::Malformed { what: "tile path", rule })
    }

    /// Returns whether the file never changes once it exists, so that it may be cached for ever.
    pub fn is_immutable(&self) -> bool {
        !matches!(self, Self::Checkpoint)
    }
}

fn parse_path(path: &str) -> Option<StaticPath> {
    if path == "checkpoint" {
        return Some(StaticPath::Checkpoint);
    }
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => {
            let width = decimal(width).and_then(|width| u16::try_from(width).ok())?;
            (number, Some(width).filter(|width| (1..=255).contains(width))?)
        }
        None => (rest, 256),
    };
    let index = parse_index(number)?;
    if level == "entries" {
        return Some(StaticPath::Entries(BundleId { index, width }));
    }
    let level = decimal(level).and_then(|level| u8::try_from(level).ok())?;
    (level <= LEVEL_MAX).then_some(StaticPath::Tile(TileId { level, index, width }))
}

/// Parses `x001/x234/067` as 1234067: groups of three digits, all but the last marked with `x`.
fn parse_index(text: &str) -> Option<u64> {
    let mut index: u64 = 0;
    let mut groups = text.split('/').peekable();
    let single = !text.contains('/');
    while let Some(group) = groups.next() {
        let digits = if groups.peek().is_some() { group.strip_prefix('x')? } else { group };
        if digits.len() != 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        // The first of several groups must not be zero, or a number would have two paths.
        if index == 0 && !single && digits == "000" {
            return None;
        }
        index = index.checked_mul(1000)?.checked_add(digits.parse().ok()?)?;
    }
    Some(index)
}

impl fmt::Display for StaticPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Checkpoint => return f.write_str("checkpoint"),
            Self::Tile(tile) => {
                write!(f, "tile/{}/", tile.level)?;
                (tile.index, tile.width)
            }
            Self::Entries(bundle) => {
                f.write_str("tile/entries/")?;
                (bundle.index, bundle.width)
            }
        };
        write_index(f, index)?;
        if width < 256 { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

fn write_index(f: &mut fmt::Formatter<'_>, index: u64) -> fmt::Result {
    let mut scale = 1;
    while index / scale >= 1000 {
        scale *= 1000;
    }
    while scale > 1 {
        write!(f, "x{:03}/", index / scale % 1000)?;
        scale /= 1000;
    }
    write!(f, "{:03}", index % 1000)
}

/// Reads stored tiles.
pub trait TileReader {
    /// What can go wrong.
    type Error: From<Error>;

    /// Returns exactly `tile.width` hashes. A reader that only has a wider version of the tile
    /// cuts it: the first hashes are the same.
    fn read_tile(&self, tile: TileId) -> Result<Vec<Digest>, Self::Error>;
}

/// Writes the bytes of a tile.
pub fn encode_tile(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Reads the bytes of a tile that must hold exactly `width` hashes.
pub fn decode_tile(bytes: &[u8], width: u16) -> Result<Vec<Digest>, Error> {
    if bytes.len() != usize::from(width) * 32 {
        let rule = "its length must be 32 bytes for each hash of its width";
        return Err(Error::Malformed { what: "tile", rule });
    }
    let (hashes, _) = bytes.as_chunks::<32>();
    Ok(hashes.iter().map(|hash| Digest(*hash)).collect())
}

/// Appends one entry to the bytes of a bundle: 16-bit big-endian length, then the entry.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let (what, unit, max) = ("log entry", "bytes", LOG_ENTRY_BYTES_MAX);
    let length = u16::try_from(entry.len());
    let length = length.map_err(|_| Error::TooLarge { what, unit, actual: entry.len(), max })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Reads the bytes of a bundle that must hold exactly `width` entries.
pub fn decode_bundle(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, Error> {
    let what = "entry bundle";
    let cut = Error::Malformed { what, rule: "an entry is shorter than its length says" };
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bytes;
    while !rest.is_empty() && entries.len() < usize::from(width) {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(cut.clone())?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (entry, after) = after.split_at_checked(length).ok_or(cut.clone())?;
        entries.push(entry);
        rest = after;
    }
    if !rest.is_empty() || entries.len() != usize::from(width) {
        let rule = "it must hold as many entries as its width says";
        return Err(Error::Malformed { what, rule });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_spelling() {
        for path in [
            "checkpoint",
            "tile/0/000",
            "tile/0/x001/x234/067",
            "tile/63/999.p/1",
            "tile/2/x018/x446/x744/x073/x709/551.p/255",
            "tile/entries/x273/000.p/112",
        ] {
            let parsed = StaticPath::parse(path).expect(path);
            assert_eq!(parsed.to_string(), path);
        }
        let million = StaticPath::Tile(TileId { level: 1, index: 1_000_000, width: 256 });
        assert_eq!(million.to_string(), "tile/1/x001/x000/000");
        assert_eq!(StaticPath::parse("tile/1/x001/x000/000"), Ok(million));
    }

    #[test]
    fn bad_paths_are_refused() {
        let long = format!("tile/0/{}000", "x001/".repeat(20));
        for path in [
            "",
            "/checkpoint",
            "checkpoint/",
            "tile/0",
            "tile/0/",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/0/0",
            "tile/0/0000",
            "tile/0/x000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/x001/x002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/",
            "tile/0/000.p/1/",
            "tile/0/../000",
            "tile/0/+01",
            "tile/entries/../../checkpoint",
            "tile/data/000",
            "tile/0/x999/x999/x999/x999/x999/x999/999",
            "tile/0/٠٠٠",
            long.as_str(),
        ] {
            assert!(StaticPath::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn bundles_and_tiles_round_trip_and_refuse_other_widths() {
        let mut bytes = Vec::new();
        for entry in [b"one".as_slice(), b"", b"three"] {
            push_entry(&mut bytes, entry).expect("short");
        }
        assert_eq!(decode_bundle(&bytes, 3), Ok(vec![b"one".as_slice(), b"", b"three"]));
        for (cut, width) in [(bytes.len(), 2), (bytes.len(), 4), (bytes.len() - 1, 3), (1, 1)] {
            assert!(decode_bundle(&bytes[..cut], width).is_err(), "{cut} {width}");
        }
        assert!(push_entry(&mut bytes, &vec![0; 65_536]).is_err());
        let hashes = [Digest::of(b"a"), Digest::of(b"b")];
        let bytes = encode_tile(&hashes);
        assert_eq!(decode_tile(&bytes, 2), Ok(hashes.to_vec()));
        assert!(decode_tile(&bytes, 1).is_err() && decode_tile(&bytes[1..], 2).is_err());
    }

    #[test]
    fn tiles_of_a_size() {
        assert_eq!(TileId::partial(0, 256), None);
        assert_eq!(TileId::partial(0, 70_000), Some(TileId { level: 0, index: 273, width: 112 }));
        assert_eq!(TileId::partial(1, 70_000), Some(TileId { level: 1, index: 1, width: 17 }));
        assert_eq!(TileId::partial(2, 70_000), Some(TileId { level: 2, index: 0, width: 1 }));
        assert_eq!(TileId::at(0, 272, 70_000), Some(TileId::full(0, 272)));
        assert_eq!(TileId::at(0, 274, 70_000), None);
        assert_eq!(TileId::count(9, u64::MAX), 0);
    }
}
