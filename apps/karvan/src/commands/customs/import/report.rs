//! The report of an import: a file with one JSON line for each record, in the order in which they
//! were taken. The node has the same lines, so whatever is missing here comes from there.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use karvan_types::ErrorKind;
use serde_json::Value;

use crate::failure::Failure;

/// A report that is being written.
pub(super) struct Report {
    path: PathBuf,
    file: File,
    /// Whole lines in the file.
    lines: u64,
}

impl Report {
    /// Opens a report and goes to its end; a line that was cut off is taken away.
    pub(super) fn open(path: &Path, is_new: bool) -> Result<Self> {
        let what = || format!("cannot write the report {}", path.display());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(is_new);
        let mut file = options.open(path).with_context(what)?;
        let (mut lines, mut whole) = (0, 0);
        let mut reader = BufReader::new(&file);
        loop {
            let length = reader.skip_until(b'\n').with_context(what)?;
            if length == 0 {
                break;
            }
            whole += length as u64;
            lines += 1;
        }
        if whole > 0 {
            file.seek(SeekFrom::Start(whole - 1)).with_context(what)?;
            let mut last = [0];
            std::io::Read::read_exact(&mut file, &mut last).with_context(what)?;
            if last != *b"\n" {
                (whole, lines) = cut(path, whole, lines).with_context(what)?;
            }
        }
        file.set_len(whole).with_context(what)?;
        file.seek(SeekFrom::End(0)).with_context(what)?;
        Ok(Self { path: path.to_owned(), file, lines })
    }

    /// Returns how many lines it has; refuses more than the node knows of.
    pub(super) fn lines(&self, known: u64) -> Result<u64> {
        if self.lines <= known {
            return Ok(self.lines);
        }
        let text = format!(
            "the report {} has {} lines, but this import made only {known}",
            self.path.display(),
            self.lines
        );
        Err(Failure::new(ErrorKind::Conflict, text)
            .hint("it belongs to another import; name another file with --report")
            .into())
    }

    /// Adds lines.
    pub(super) fn add(&mut self, lines: &[Value]) -> Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file
            .write_all(&text)
            .with_context(|| format!("cannot write the report {}", self.path.display()))?;
        self.lines += lines.len() as u64;
        Ok(())
    }

    /// Makes it durable.
    pub(super) fn finish(&self) -> Result<()> {
        let sync = self.file.sync_all();
        sync.with_context(|| format!("cannot write the report {}", self.path.display()))
    }
}

/// Returns length and lines without the last line, which was cut off.
fn cut(path: &Path, whole: u64, lines: u64) -> std::io::Result<(u64, u64)> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut kept = 0;
    for _ in 1..lines {
        kept += reader.skip_until(b'\n')? as u64;
    }
    Ok((kept.min(whole), lines - 1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_taken_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("report");
        for (before, lines, after) in [
            ("", 0, "{\"n\":1}\n"),
            ("{\"a\":1}\n", 1, "{\"a\":1}\n{\"n\":1}\n"),
            ("{\"a\":1}\n{\"b", 1, "{\"a\":1}\n{\"n\":1}\n"),
            ("{\"b", 0, "{\"n\":1}\n"),
        ] {
            std::fs::write(&path, before).expect("written");
            let mut report = Report::open(&path, false).expect("opened");
            assert_eq!(report.lines(9).expect("fits"), lines, "{before}");
            report.add(&[json!({ "n": 1 })]).expect("added");
            assert!(report.lines(0).is_err());
            drop(report);
            assert_eq!(std::fs::read_to_string(&path).expect("read"), after);
        }
        drop(Report::open(&path, true).expect("opened"));
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "");
    }
}
