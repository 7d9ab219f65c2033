//! Reads all segments in order and hands each entry to the audit.

use std::path::Path;

use karvan_system::DiskFile;

use super::{Audit, Finding};
use crate::Error;
use crate::error::disk;
use crate::segment::{HEADER_BYTES, Header, Item, Scanner, last_used};
use crate::segments::{WRITE_BYTES_MAX, firsts, segment_path};
use crate::site::SEGMENTS;

impl Audit {
    pub(super) fn walk(&mut self, origin: &str) -> Result<(), Error> {
        let dir = self.site.dir.join(SEGMENTS);
        let firsts =
            if self.site.disk.exists(&dir) { firsts(&*self.site.disk, &dir)? } else { Vec::new() };
        let mut queue = 0;
        for (place, first) in firsts.iter().enumerate() {
            let path = segment_path(&dir, *first);
            self.fill_gap(&path, *first)?;
            if self.tree.size() != *first {
                self.find(&path, None, "its first entry does not follow the one before");
                return Ok(());
            }
            let end = firsts.get(place + 1).copied();
            self.segment(&path, origin, *first, end, &mut queue)?;
        }
        self.fill_gap(&dir, self.covered)
    }

    /// Takes entries that no segment holds from their bundles, and says so.
    fn fill_gap(&mut self, path: &Path, until: u64) -> Result<(), Error> {
        let from = self.tree.size();
        if from < until {
            self.find(path, Some(from), format!("entries {from} to {} are missing", until - 1));
        }
        while self.tree.size() < until {
            let before = self.tree.size();
            self.entry(path, None)?;
            if self.tree.size() == before {
                break;
            }
        }
        Ok(())
    }

    fn segment(
        &mut self,
        path: &Path,
        origin: &str,
        first: u64,
        end: Option<u64>,
        queue: &mut u64,
    ) -> Result<(), Error> {
        let file = self.site.disk.open(path).map_err(disk("open", path))?;
        let mut bytes = [0; HEADER_BYTES];
        if file.len().map_err(disk("read", path))? < HEADER_BYTES as u64 {
            self.find(path, None, "it is too short for its header");
            return Ok(());
        }
        file.read_at(0, &mut bytes).map_err(disk("read", path))?;
        if Header::decode(&bytes) != Some(Header::new(origin, first, *queue)) {
            self.find(path, None, "its header is not what this log would have written");
        }
        let mut scanner = Scanner::new(&*file, first).map_err(disk("read", path))?;
        loop {
            let index = scanner.index();
            match scanner.next().map_err(disk("read", path))? {
                Item::Frame { queue: number, entry, .. } => {
                    *queue = number.max(*queue);
                    let entry = entry.to_vec();
                    self.entry(path, Some(&entry))?;
                }
                Item::End => break,
                Item::Bad => {
                    if end.is_none() && self.cut_short(path, &*file, &scanner)? {
                        return Ok(());
                    }
                    self.find(path, Some(index), "the frame does not have its checksum");
                    // The bundle tells how long the entry was, and so where the next frame is.
                    let Some(length) = self.bundled_length(index)? else { return Ok(()) };
                    self.entry(path, None)?;
                    scanner.skip(length);
                }
            }
            if end == Some(scanner.index()) {
                break;
            }
        }
        let (offset, index) = (scanner.offset(), scanner.index());
        if last_used(&*file, offset).map_err(disk("read", path))? > offset
            && !(end.is_none() && self.cut_short(path, &*file, &scanner)?)
        {
            self.find(path, Some(index), "there are bytes after the last entry");
        }
        Ok(())
    }

    /// Returns whether what follows the last good frame of the last segment is what one interrupted
    /// write leaves, by the rule by which opening the log clears it; and says so.
    fn cut_short(
        &mut self,
        path: &Path,
        file: &dyn DiskFile,
        scanner: &Scanner<'_>,
    ) -> Result<bool, Error> {
        let (offset, index) = (scanner.offset(), scanner.index());
        // Bundles are written for entries that were synced.
        if index < self.covered || self.bundled_length(index)?.is_some() {
            return Ok(false);
        }
        let used = last_used(file, offset).map_err(disk("read", path))?;
        let torn = used - offset <= WRITE_BYTES_MAX as u64;
        if torn {
            let problem = "the last write does not read back and no checkpoint covers it: the \
                           power was lost, or a hand was there; start the node, which writes its \
                           entries again from its database, and audit again"
                .to_owned();
            self.report.unfinished =
                Some(Finding { file: path.to_owned(), entry: Some(index), problem });
        }
        Ok(torn)
    }
}
