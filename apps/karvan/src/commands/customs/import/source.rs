//! What there is to import: files in the order of their names, the entries of archives, a stream.
//!
//! Nothing of an archive is unpacked to disk, and no link is followed. An entry that expands beyond
//! reason is given up; archives within archives are refused.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use karvan_types::ErrorKind;
use zip::ZipArchive;

use super::records::{self, Record, Sink};
use crate::failure::Failure;

/// How the name of a report ends that was not named by the caller.
pub(super) const REPORT_SUFFIX: &str = ".report.ndjson";
/// Most files of one folder.
const FOLDER_FILES_MAX: usize = 100_000;
/// Most folders inside one another.
const DEPTH_MAX: usize = 16;
/// Most entries of an archive.
const ENTRIES_MAX: usize = 100_000;
/// Most bytes that one byte of an archive may become.
const EXPANSION_MAX: u64 = 200;
/// Bytes that an entry may have whatever it was packed into.
const EXPANSION_FREE_BYTES: u64 = 1024 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 256 * 1024;

/// A source and how much of it was read.
pub(super) struct Source {
    path: PathBuf,
    /// The report, which may lie within the folder that is imported.
    except: Option<PathBuf>,
    read: Arc<AtomicU64>,
}

impl Source {
    pub(super) fn new(path: &Path, report: Option<&Path>) -> Self {
        // It may not exist yet.
        let except = report.and_then(|report| {
            let folder = report.parent().filter(|folder| *folder != Path::new(""));
            let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
            Some(folder.join(report.file_name()?))
        });
        Self { path: path.to_owned(), except, read: Arc::default() }
    }

    /// Returns the counter of bytes that were read.
    pub(super) fn progress(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    /// Hands every record over, in order.
    pub(super) fn read(&self, sink: &mut Sink<'_>) -> Result<()> {
        if self.path == Path::new("-") {
            return records::read(self.counted(stdin().lock()), "stdin", false, sink);
        }
        let shown = || format!("cannot read {}", self.path.display());
        if fs::metadata(&self.path).with_context(shown)?.is_dir() {
            return self.folder(&self.path, "", 0, sink);
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        File::open(&self.path).with_context(shown)?;
        self.file(&self.path, &name, sink)
    }

    fn counted<R: Read>(&self, inner: R) -> BufReader<Counted<R>> {
        BufReader::with_capacity(READ_BYTES, Counted { inner, read: Arc::clone(&self.read) })
    }

    fn folder(&self, folder: &Path, shown: &str, depth: usize, sink: &mut Sink<'_>) -> Result<()> {
        let names = match names(folder) {
            Ok(names) if depth < DEPTH_MAX && names.len() <= FOLDER_FILES_MAX => names,
            found => {
                let text = match found {
                    Err(error) => format!("the folder cannot be read: {error}"),
                    Ok(_) => format!(
                        "at most {DEPTH_MAX} folders lie in one another and {FOLDER_FILES_MAX} \
                         files in one; divide it"
                    ),
                };
                return sink(Record::refused(format!("{shown}/"), "unreadable", text));
            }
        };
        for name in names {
            let path = folder.join(&name);
            let name = name.to_string_lossy();
            if name.starts_with('.') || self.is_report(&path) {
                continue;
            }
            let shown =
                if shown.is_empty() { name.into_owned() } else { format!("{shown}/{name}") };
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => self.folder(&path, &shown, depth + 1, sink)?,
                Ok(found) if found.is_file() => self.file(&path, &shown, sink)?,
                Ok(_) => {
                    let text = "this is a link or no regular file, and is not followed";
                    sink(Record::refused(shown, "unreadable", text))?;
                }
                Err(error) => sink(Record::refused(shown, "unreadable", error.to_string()))?,
            }
        }
        Ok(())
    }

    /// Whether this is a report, which is no source.
    fn is_report(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(REPORT_SUFFIX)
            || self.except.as_ref().is_some_and(|report| {
                path.file_name() == report.file_name()
                    && path.canonicalize().is_ok_and(|path| path == *report)
            })
    }

    fn file(&self, path: &Path, shown: &str, sink: &mut Sink<'_>) -> Result<()> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                let text = format!("the file cannot be read: {error}");
                return sink(Record::refused(shown.to_owned(), "unreadable", text));
            }
        };
        if has_extension(shown, &["zip"]) {
            return self.archive(file, shown, sink);
        }
        records::read(self.counted(file), shown, is_lines(shown), sink)
    }

    fn archive(&self, file: File, shown: &str, sink: &mut Sink<'_>) -> Result<()> {
        let refuse = |place: String, text: String| Record::refused(place, "archive", text);
        let file = Counted { inner: file, read: Arc::clone(&self.read) };
        let mut archive = match ZipArchive::new(file) {
            Ok(archive) if archive.len() <= ENTRIES_MAX => archive,
            Ok(_) => {
                let text = format!("the archive has more than {ENTRIES_MAX} entries; divide it");
                return sink(refuse(shown.to_owned(), text));
            }
            Err(error) => {
                let text = format!("the archive cannot be read: {error}");
                return sink(refuse(shown.to_owned(), text));
            }
        };
        let name_of = |archive: &ZipArchive<_>, index| match archive.name_for_index(index) {
            Some(Ok(name)) => name.into_owned(),
            _ => format!("entry {index}"),
        };
        let mut entries: Vec<_> =
            (0..archive.len()).map(|index| (name_of(&archive, index), index)).collect();
        entries.sort();
        for (name, index) in entries {
            let place = format!("{shown}/{name}");
            let entry = match archive.by_index(index) {
                Ok(entry) => entry,
                Err(error) => {
                    sink(refuse(place, format!("the entry cannot be read: {error}")))?;
                    continue;
                }
            };
            if entry.is_dir() {
                continue;
            }
            if leads_out(&name) {
                let text = "the name of the entry leads out of the archive".to_owned();
                sink(refuse(place, text))?;
            } else if has_extension(&name, &["zip"]) {
                let text = "an archive within an archive is not opened; unpack it".to_owned();
                sink(refuse(place, text))?;
            } else {
                let left = entry.compressed_size().saturating_mul(EXPANSION_MAX);
                let guarded = Guarded { inner: entry, left: left.max(EXPANSION_FREE_BYTES) };
                let reader = BufReader::with_capacity(READ_BYTES, guarded);
                records::read(reader, &place, is_lines(&name), sink)?;
            }
        }
        Ok(())
    }
}

/// Returns the names in a folder, in order.
fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = fs::read_dir(folder)?.take(FOLDER_FILES_MAX + 1);
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn has_extension(name: &str, wanted: &[&str]) -> bool {
    let extension = Path::new(name).extension().and_then(OsStr::to_str).unwrap_or_default();
    wanted.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted))
}

/// Whether the name of a file says that each line is a record.
fn is_lines(name: &str) -> bool {
    has_extension(name, &["ndjson", "jsonl"])
}

/// Whether a path goes up, or begins at a root or a drive.
fn leads_out(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    name.starts_with(['/', '\\']) || name.contains(':') || parts.any(|part| part == "..")
}

/// Returns how many bytes there are to read, as far as that is known: nothing of a stream.
pub(super) fn length(path: &Path) -> Result<Option<u64>> {
    fn sum(path: &Path, depth: usize) -> u64 {
        let Ok(found) = fs::symlink_metadata(path) else { return 0 };
        if !found.is_dir() || depth > DEPTH_MAX {
            return found.len();
        }
        let entries = fs::read_dir(path).into_iter().flatten().take(FOLDER_FILES_MAX);
        entries.filter_map(|entry| Some(sum(&entry.ok()?.path(), depth + 1))).sum()
    }
    if path == Path::new("-") {
        return Ok(None);
    }
    fs::metadata(path).map_err(|error| {
        let text = format!("cannot read {}: {error}", path.display());
        Failure::new(ErrorKind::NotFound, text).hint("give a folder, a file, or - for a stream")
    })?;
    Ok(Some(sum(path, 0)))
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

impl<R: io::Seek> io::Seek for Counted<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Gives an entry up that expands too far.
struct Guarded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Guarded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(length as u64) else {
            let text = format!(
                "it expands to more than {EXPANSION_MAX} times its packed size; unpack it yourself"
            );
            return Err(io::Error::other(text));
        };
        self.left = left;
        Ok(length)
    }
}
