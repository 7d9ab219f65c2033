//! The segment file: a header, then one frame for each entry, then zeros.
//!
//! | bytes | header            | | bytes | frame                                  |
//! |------:|-------------------|-|------:|----------------------------------------|
//! |    16 | magic             | |     4 | CRC32C, see below                      |
//! |     8 | index of the first entry | | 4 | length of the entry; 0 ends the segment |
//! |     8 | last queue number before | | 8 | queue number; 0 for none           |
//! |    16 | start of SHA-256 of the origin | | n | the entry                     |
//! |     4 | CRC32C of the above | | | |
//! |    12 | zeros             | | | |
//!
//! Numbers are big-endian. A frame's CRC covers its index too, which is not stored: bytes that were
//! left over or moved from another place do not pass.
//!
//! Not here: which segments there are and where to append (`crate::segments`).

use karvan_system::DiskFile;
use karvan_types::Digest;
use karvan_types::limits::LOG_ENTRY_BYTES_MAX;

/// Length of the header, in bytes.
pub(crate) const HEADER_BYTES: usize = 64;
/// Length of what precedes each entry, in bytes.
pub(crate) const FRAME_BYTES: usize = 16;
/// Shortest segment: the longest entry must fit.
pub(crate) const SEGMENT_BYTES_MIN: u64 = 128 * 1024;
/// How much of a file is read at once.
const WINDOW_BYTES: usize = 1024 * 1024;
const MAGIC: &[u8; 16] = b"karvan-segment1\n";

/// What a segment says about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) first_index: u64,
    pub(crate) queue_before: u64,
    origin: [u8; 16],
}

impl Header {
    pub(crate) fn new(origin: &str, first_index: u64, queue_before: u64) -> Self {
        let mut tag = [0; 16];
        tag.copy_from_slice(Digest::of(origin.as_bytes()).as_bytes().split_at(16).0);
        Self { first_index, queue_before, origin: tag }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let parts: [&[u8]; 4] = [
            MAGIC,
            &self.first_index.to_be_bytes(),
            &self.queue_before.to_be_bytes(),
            &self.origin,
        ];
        let head = parts.concat();
        let crc = crc32c::crc32c(&head).to_be_bytes();
        for (to, from) in bytes.iter_mut().zip(head.iter().chain(&crc)) {
            *to = *from;
        }
        bytes
    }

    /// Reads a header; nothing when a single bit of it is not as [`Header::encode`] writes it.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let first_index = u64::from_be_bytes(*bytes.get(16..)?.first_chunk()?);
        let queue_before = u64::from_be_bytes(*bytes.get(24..)?.first_chunk()?);
        let origin = *bytes.get(32..)?.first_chunk()?;
        let header = Self { first_index, queue_before, origin };
        (header.encode() == *bytes).then_some(header)
    }

    pub(crate) fn is_of(&self, origin: &str) -> bool {
        *self == Self::new(origin, self.first_index, self.queue_before)
    }
}

/// Appends a frame to a buffer.
pub(crate) fn push_frame(out: &mut Vec<u8>, index: u64, queue: u64, entry: &[u8]) {
    let length = u32::try_from(entry.len()).unwrap_or(u32::MAX).to_be_bytes();
    let queue = queue.to_be_bytes();
    out.extend_from_slice(&frame_crc(index, length, queue, entry).to_be_bytes());
    out.extend_from_slice(&length);
    out.extend_from_slice(&queue);
    out.extend_from_slice(entry);
}

fn frame_crc(index: u64, length: [u8; 4], queue: [u8; 8], entry: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&index.to_be_bytes());
    let crc = crc32c::crc32c_append(crc, &length);
    let crc = crc32c::crc32c_append(crc, &queue);
    crc32c::crc32c_append(crc, entry)
}

/// What stands at one place of a segment.
pub(crate) enum Item<'s> {
    /// A good frame.
    Frame { index: u64, queue: u64, entry: &'s [u8] },
    /// The zeros after the last frame, or no room for another.
    End,
    /// Neither.
    Bad,
}

/// Reads the frames of one segment in order.
pub(crate) struct Scanner<'f> {
    file: &'f dyn DiskFile,
    length: u64,
    offset: u64,
    index: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'f> Scanner<'f> {
    pub(crate) fn new(file: &'f dyn DiskFile, first_index: u64) -> std::io::Result<Self> {
        let (length, offset) = (file.len()?, HEADER_BYTES as u64);
        Ok(Self { file, length, offset, index: first_index, window: Vec::new(), window_at: 0 })
    }

    /// Returns where the next frame begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the index of the next frame.
    pub(crate) fn index(&self) -> u64 {
        self.index
    }

    /// Steps over a bad frame whose entry is known to have `bytes` bytes.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.offset += (FRAME_BYTES + bytes) as u64;
        self.index += 1;
    }

    /// Reads the next frame and, when it is good, steps over it.
    pub(crate) fn next(&mut self) -> std::io::Result<Item<'_>> {
        let Some(head) = self.bytes(FRAME_BYTES)? else { return Ok(Item::End) };
        let Some((crc, length, queue)) = split_head(head) else { return Ok(Item::Bad) };
        if (crc, length, queue) == ([0; 4], [0; 4], [0; 8]) {
            return Ok(Item::End);
        }
        let index = self.index;
        let bytes = u32::from_be_bytes(length) as usize;
        if bytes == 0 || bytes > LOG_ENTRY_BYTES_MAX {
            return Ok(Item::Bad);
        }
        let Some(frame) = self.bytes(FRAME_BYTES + bytes)? else { return Ok(Item::Bad) };
        let good = frame
            .get(FRAME_BYTES..)
            .is_some_and(|entry| frame_crc(index, length, queue, entry) == u32::from_be_bytes(crc));
        if !good {
            return Ok(Item::Bad);
        }
        let start = self.offset;
        self.skip(bytes);
        let at = usize::try_from(start - self.window_at).unwrap_or(0) + FRAME_BYTES;
        let entry = self.window.get(at..at + bytes).unwrap_or_default();
        Ok(Item::Frame { index, queue: u64::from_be_bytes(queue), entry })
    }

    /// Returns the next `count` bytes without stepping; nothing past the end of the file.
    fn bytes(&mut self, count: usize) -> std::io::Result<Option<&[u8]>> {
        let end = self.offset + count as u64;
        if end > self.length {
            return Ok(None);
        }
        if self.offset < self.window_at || end > self.window_at + self.window.len() as u64 {
            let rest = usize::try_from(self.length - self.offset).unwrap_or(usize::MAX);
            self.window.resize(rest.min(WINDOW_BYTES.max(count)), 0);
            self.window_at = self.offset;
            self.file.read_at(self.offset, &mut self.window)?;
        }
        let at = usize::try_from(self.offset - self.window_at).unwrap_or(0);
        Ok(self.window.get(at..at + count))
    }
}

type Head = ([u8; 4], [u8; 4], [u8; 8]);

fn split_head(head: &[u8]) -> Option<Head> {
    let (crc, rest) = head.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    Some((*crc, *length, *rest.first_chunk::<8>()?))
}

/// Returns where the last byte that is not zero ends, at or after `from`.
pub(crate) fn last_used(file: &dyn DiskFile, from: u64) -> std::io::Result<u64> {
    let length = file.len()?;
    let mut window = Vec::new();
    let (mut at, mut used) = (from, from);
    while at < length {
        let rest = usize::try_from(length - at).unwrap_or(usize::MAX);
        window.resize(rest.min(WINDOW_BYTES), 0);
        file.read_at(at, &mut window)?;
        if let Some(last) = window.iter().rposition(|byte| *byte != 0) {
            used = at + last as u64 + 1;
        }
        at += window.len() as u64;
    }
    Ok(used)
}
