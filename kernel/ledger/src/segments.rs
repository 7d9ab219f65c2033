//! The primary copy of the entries: segment files, appended to with one write and one sync a batch.
//!
//! A segment is filled with zeros before it is used, so that an append changes no metadata and its
//! sync is short. The next segment is filled in slices while the current one is written to.
//!
//! Opening reads the last segment only (and an earlier one where the checkpoint is older). A batch
//! that a crash cut short leaves a bad frame within the last write; the log ends before it and the
//! rest of that write is set to zeros. Anything else that does not read back is damage.
//!
//! Invariants: the next write begins only after the previous one was synced; indexes and queue
//! numbers only rise.
//!
//! Not here: the layout of a file (`crate::segment`).

mod spare;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use karvan_system::{Disk, DiskFile};

use crate::Error;
use crate::error::disk;
use crate::segment::{FRAME_BYTES, HEADER_BYTES, Header, Item, Scanner, last_used, push_frame};

use spare::Spare;

/// Longest single write, in bytes: two full batches with their frames.
pub(crate) const WRITE_BYTES_MAX: usize = 2_304 * 1024;
/// Queue numbers whose index is kept in memory; older ones are looked up in their segment.
const RECENT_QUEUE_MAX: usize = 64 * 1024;
const EXTENSION: &str = ".segment";
/// An entry with its queue number; 0 for none.
pub(crate) type Queued = (u64, Bytes);

/// The segments of one log.
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    origin: String,
    segment_bytes: u64,
    /// Index of the first entry of each segment, rising.
    firsts: Vec<u64>,
    current: Box<dyn DiskFile>,
    offset: u64,
    next_index: u64,
    last_queue: u64,
    /// Newest queue numbers with their indexes, both rising.
    recent: VecDeque<(u64, u64)>,
    /// All queue numbers of the segment in which one was looked up last.
    older: Vec<(u64, u64)>,
    spare: Option<Spare>,
}

impl Segments {
    /// Opens the segments and shows every entry from index `covered` on to `visit`.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        origin: &str,
        segment_bytes: u64,
        covered: u64,
        mut visit: impl FnMut(&[u8]),
    ) -> Result<Self, Error> {
        disk_dir(&*disk, &dir)?;
        let firsts = firsts(&*disk, &dir)?;
        if firsts.is_empty() {
            return Self::create(disk, dir, origin, segment_bytes);
        }
        let start = firsts.partition_point(|first| *first <= covered).saturating_sub(1);
        let mut recent = VecDeque::new();
        let mut last = None;
        for (place, first) in firsts.iter().enumerate().skip(start) {
            let path = segment_path(&dir, *first);
            let (file, header) = open_segment(&*disk, &path, origin, *first)?;
            let mut ended = Ended { queue: header.queue_before, ..Ended::default() };
            ended.scan(&path, &*file, *first, |index, queue, entry| {
                if queue > 0 {
                    remember(&mut recent, queue, index);
                }
                if index >= covered {
                    visit(entry);
                }
            })?;
            match firsts.get(place + 1) {
                Some(next) if *next == ended.index => {}
                Some(next) => {
                    let what = format!(
                        "it ends at entry {} and the next segment begins at {next}; restore it \
                         from a copy",
                        ended.index
                    );
                    return Err(Error::damaged(&path, what));
                }
                None => last = Some((path, file, ended)),
            }
        }
        let Some((path, mut file, ended)) = last else {
            return Err(Error::damaged(&dir, "no segment could be read"));
        };
        if ended.index < covered {
            let what = format!(
                "entry {} cannot be read although a checkpoint covers it; restore the segment \
                 from a copy",
                ended.index
            );
            return Err(Error::damaged(&path, what));
        }
        clear_torn_write(&path, &mut *file, ended.offset, ended.index)?;
        let (offset, next_index, last_queue) = (ended.offset, ended.index, ended.queue);
        let (origin, current, spare) = (origin.to_owned(), file, None);
        Ok(Self {
            disk,
            dir,
            origin,
            segment_bytes,
            firsts,
            current,
            offset,
            next_index,
            last_queue,
            recent,
            older: Vec::new(),
            spare,
        })
    }

    fn create(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        origin: &str,
        segment_bytes: u64,
    ) -> Result<Self, Error> {
        let mut spare = Spare::new(&*disk, &dir)?;
        spare.fill(&dir, segment_bytes, u64::MAX)?;
        let header = Header::new(origin, 0, 0);
        let current = spare.activate(&*disk, &dir, &header)?;
        Ok(Self {
            disk,
            dir,
            origin: origin.to_owned(),
            segment_bytes,
            firsts: vec![0],
            current,
            offset: HEADER_BYTES as u64,
            next_index: 0,
            last_queue: 0,
            recent: VecDeque::new(),
            older: Vec::new(),
            spare: None,
        })
    }

    pub(crate) fn next_index(&self) -> u64 {
        self.next_index
    }

    pub(crate) fn last_queue(&self) -> u64 {
        self.last_queue
    }

    /// Appends entries durably. After an error the state on disk is unknown: stop.
    pub(crate) fn append(&mut self, entries: &[Queued]) -> Result<(), Error> {
        let mut buffer = Vec::new();
        for (queue, entry) in entries {
            let frame = FRAME_BYTES + entry.len();
            if !self.fits(buffer.len() + frame) {
                self.write(&mut buffer)?;
                self.roll()?;
            } else if buffer.len() + frame > WRITE_BYTES_MAX {
                self.write(&mut buffer)?;
            }
            push_frame(&mut buffer, self.next_index, *queue, entry);
            if *queue > 0 {
                remember(&mut self.recent, *queue, self.next_index);
                self.last_queue = *queue;
            }
            self.next_index += 1;
        }
        let written = buffer.len();
        self.write(&mut buffer)?;
        self.prepare(written)
    }

    fn fits(&self, bytes: usize) -> bool {
        self.offset + bytes as u64 <= self.segment_bytes
    }

    fn write(&mut self, buffer: &mut Vec<u8>) -> Result<(), Error> {
        if buffer.is_empty() {
            return Ok(());
        }
        let path = segment_path(&self.dir, self.firsts.last().copied().unwrap_or(0));
        self.current.write_at(self.offset, buffer).map_err(disk("write", &path))?;
        self.current.sync().map_err(disk("sync", &path))?;
        self.offset += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }

    /// Fills a slice of the next segment once the current one is half full.
    fn prepare(&mut self, written: usize) -> Result<(), Error> {
        if self.offset < self.segment_bytes / 2 {
            return Ok(());
        }
        if self.spare.is_none() {
            self.spare = Some(Spare::new(&*self.disk, &self.dir)?);
        }
        // Three bytes for each one written: filled before the other half is used up.
        let goal = (self.offset - self.segment_bytes / 2).saturating_add(written as u64) * 3;
        let Some(spare) = &mut self.spare else { return Ok(()) };
        spare.fill(&self.dir, self.segment_bytes, goal)
    }

    fn roll(&mut self) -> Result<(), Error> {
        let mut spare = match self.spare.take() {
            Some(spare) => spare,
            None => Spare::new(&*self.disk, &self.dir)?,
        };
        spare.fill(&self.dir, self.segment_bytes, u64::MAX)?;
        let header = Header::new(&self.origin, self.next_index, self.last_queue);
        self.current = spare.activate(&*self.disk, &self.dir, &header)?;
        self.firsts.push(self.next_index);
        self.offset = HEADER_BYTES as u64;
        Ok(())
    }

    /// Returns the index of the entry with a queue number, if it was appended.
    pub(crate) fn find_queued(&mut self, queue: u64) -> Result<Option<u64>, Error> {
        let by_number = |pair: &(u64, u64)| pair.0;
        if self.recent.front().is_some_and(|(oldest, _)| *oldest <= queue) {
            let found = self.recent.binary_search_by_key(&queue, by_number);
            return Ok(found.ok().and_then(|at| self.recent.get(at)).map(|(_, index)| *index));
        }
        let within = self.older.first().zip(self.older.last());
        if !within.is_some_and(|(first, last)| (first.0..=last.0).contains(&queue)) {
            self.older = self.numbers_around(queue)?;
        }
        let found = self.older.binary_search_by_key(&queue, by_number);
        Ok(found.ok().and_then(|at| self.older.get(at)).map(|(_, index)| *index))
    }

    /// Reads the queue numbers and indexes of the segment that a number would be in.
    fn numbers_around(&self, queue: u64) -> Result<Vec<(u64, u64)>, Error> {
        let mut numbers = Vec::new();
        for first in self.firsts.iter().rev() {
            let path = segment_path(&self.dir, *first);
            let (file, header) = open_segment(&*self.disk, &path, &self.origin, *first)?;
            if header.queue_before >= queue {
                continue;
            }
            Ended::default().scan(&path, &*file, *first, |index, number, _| {
                if number > 0 {
                    numbers.push((number, index));
                }
            })?;
            break;
        }
        Ok(numbers)
    }
}

/// Where a scan ended.
#[derive(Default)]
struct Ended {
    offset: u64,
    index: u64,
    queue: u64,
}

impl Ended {
    /// Shows every good frame up to the end or the first bad one.
    fn scan(
        &mut self,
        path: &Path,
        file: &dyn DiskFile,
        first: u64,
        mut visit: impl FnMut(u64, u64, &[u8]),
    ) -> Result<(), Error> {
        let mut scanner = Scanner::new(file, first).map_err(disk("read", path))?;
        while let Item::Frame { index, queue, entry } =
            scanner.next().map_err(disk("read", path))?
        {
            visit(index, queue, entry);
            self.queue = self.queue.max(queue);
        }
        (self.offset, self.index) = (scanner.offset(), scanner.index());
        Ok(())
    }
}

/// Sets to zero what an interrupted write left behind the last good frame.
fn clear_torn_write(
    path: &Path,
    file: &mut dyn DiskFile,
    offset: u64,
    index: u64,
) -> Result<(), Error> {
    let used = last_used(file, offset).map_err(disk("read", path))?;
    let torn = usize::try_from(used - offset).unwrap_or(usize::MAX);
    if torn > WRITE_BYTES_MAX {
        let what = format!(
            "entry {index} cannot be read, and more follows it than one interrupted write leaves; \
             restore the segment from a copy"
        );
        return Err(Error::damaged(path, what));
    }
    if torn > 0 {
        tracing::warn!(index, torn, "cleared a write that the last stop interrupted");
        file.write_at(offset, &vec![0; torn]).map_err(disk("write", path))?;
        file.sync().map_err(disk("sync", path))?;
    }
    Ok(())
}

fn remember(recent: &mut VecDeque<(u64, u64)>, queue: u64, index: u64) {
    if recent.len() == RECENT_QUEUE_MAX {
        recent.pop_front();
    }
    recent.push_back((queue, index));
}

pub(crate) fn disk_dir(storage: &dyn Disk, dir: &Path) -> Result<(), Error> {
    storage.create_dir_all(dir).map_err(disk("create", dir))
}

/// Returns the name of the segment that begins at an index.
pub(crate) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}{EXTENSION}"))
}

/// Returns the index of the first entry of each segment, from the file names.
pub(crate) fn firsts(storage: &dyn Disk, dir: &Path) -> Result<Vec<u64>, Error> {
    let mut firsts = Vec::new();
    for name in storage.list(dir).map_err(disk("list", dir))? {
        let Some(number) = name.strip_suffix(EXTENSION) else { continue };
        let number = number.parse().ok().filter(|_| number.len() == 20);
        let what = "its name is not that of a segment; move it away";
        firsts.push(number.ok_or_else(|| Error::damaged(&dir.join(&name), what))?);
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Opens a segment and checks its header.
pub(crate) fn open_segment(
    storage: &dyn Disk,
    path: &Path,
    origin: &str,
    first: u64,
) -> Result<(Box<dyn DiskFile>, Header), Error> {
    let file = storage.open(path).map_err(disk("open", path))?;
    let mut bytes = [0; HEADER_BYTES];
    let long_enough = file.len().map_err(disk("read", path))? >= HEADER_BYTES as u64;
    if long_enough {
        file.read_at(0, &mut bytes).map_err(disk("read", path))?;
    }
    let header = Header::decode(&bytes)
        .filter(|header| long_enough && header.is_of(origin) && header.first_index == first);
    let what = "its header is not that of this log; restore the segment from a copy";
    Ok((file, header.ok_or_else(|| Error::damaged(path, what))?))
}
