//! The back end of simulations: tables in memory over an append-only file.
//!
//! Every transaction runs where it is polled, under one lock, without threads or timers, and
//! appends one frame to the journal: what a test sees depends on nothing but its own order. Opening
//! reads the journal back. The file grows for ever, which suits tests and tools.
//!
//! Invariants: a frame is synced before its transaction is answered; a frame that was cut by a
//! crash is dropped at open, damage before the last frame is refused; after a failed write nothing
//! is written any more.
//!
//! Not here: the layout of frames ([`frame`]), the tables in memory ([`state`]).

mod frame;
mod state;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use karvan_system::{Disk, DiskFile};
use state::{Change, JournalTx, State};

use crate::catalog::{self, Catalog};
use crate::{Backend, Error, Migration, Pending, ReadWork, WriteWork};

const JOURNAL: &str = "state.journal";

/// A store in one journal file.
pub struct JournalStore(Mutex<Journal>);

/// Faults that a test builds in, to see that its checks find them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Answers without waiting for the disk. A crash then loses acknowledged transactions.
    pub skip_sync: bool,
}

struct Journal {
    state: State,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    len: u64,
    faults: Faults,
    stopped: bool,
}

impl JournalStore {
    /// Opens the store in `folder` of `disk`, creating it when it is missing, and applies the
    /// migrations that it has not yet seen, in the order given.
    ///
    /// Fails with [`Error::Schema`] when its recorded migrations do not fit those given. Nothing
    /// keeps a second store from opening the same journal; the caller sees to that.
    pub fn open<'a>(
        folder: &Path,
        disk: &dyn Disk,
        migrations: impl IntoIterator<Item = &'a Migration>,
    ) -> Result<Self, Error> {
        let migrations: Vec<_> = migrations.into_iter().collect();
        let catalog = Catalog::of(&migrations)?;
        let path = folder.join(JOURNAL);
        let (file, len, changes) =
            load(folder, &path, disk).map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData => Error::io("reading the journal", &path, &error),
                _ => Error::io("opening the journal", &path, &error),
            })?;
        let recorded = changes
            .iter()
            .filter_map(|change| match change {
                Change::Migration(id, digest) => Some((id.clone(), *digest)),
                _ => None,
            })
            .collect();
        let pending = catalog::pending(&migrations, &recorded)?;
        let mut state = State::new(catalog);
        for change in changes {
            state.apply(change)?;
        }
        let (stopped, faults) = (false, Faults::default());
        let mut journal = Journal { state, file, path, len, faults, stopped };
        let steps: Vec<_> = pending
            .into_iter()
            .map(|(migration, digest)| Change::Migration(migration.id.to_owned(), digest))
            .collect();
        journal.append(steps.iter())?;
        Ok(Self(Mutex::new(journal)))
    }

    /// Builds faults in, for tests of tests.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        self.journal().faults = faults;
        self
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the file, its good length and every change in it.
fn load(
    folder: &Path,
    path: &Path,
    disk: &dyn Disk,
) -> io::Result<(Box<dyn DiskFile>, u64, Vec<Change>)> {
    disk.create_dir_all(folder)?;
    let mut file = disk.open(path)?;
    if file.len()? < frame::MAGIC.len() as u64 {
        // New, or its creation was cut short; no transaction came after.
        file.set_len(0)?;
        file.write_at(0, frame::MAGIC)?;
        file.sync()?;
    }
    // Whoever made the file may have failed right here, so this is done at each opening.
    disk.sync_dir(folder)?;
    let (good, changes) = frame::read_all(file.as_ref())?;
    if good < file.len()? {
        tracing::warn!(path = %path.display(), good, "cutting a torn tail off the journal");
        file.set_len(good)?;
        file.sync()?;
    }
    Ok((file, good, changes))
}

impl Journal {
    fn write(&mut self, work: WriteWork) -> Result<(), Error> {
        if self.stopped {
            return Err(Error::Stopped);
        }
        let mut tx = JournalTx::new(&mut self.state);
        let result = catch_unwind(AssertUnwindSafe(|| work(&mut tx)))
            .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())));
        let steps = tx.finish();
        let result = result.and_then(|()| self.append(steps.iter().map(|step| &step.made)));
        if result.is_err() {
            self.state.undo(steps);
        }
        result
    }

    /// Makes changes durable.
    fn append<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) -> Result<(), Error> {
        let Some(frame) = frame::encode(changes)? else { return Ok(()) };
        let write = |file: &mut Box<dyn DiskFile>| {
            file.write_at(self.len, &frame)?;
            if self.faults.skip_sync { Ok(()) } else { file.sync() }
        };
        if let Err(error) = write(&mut self.file) {
            self.stopped = true;
            return Err(Error::io("writing the journal", &self.path, &error));
        }
        self.len += frame.len() as u64;
        Ok(())
    }
}

impl Backend for JournalStore {
    fn write(&self, work: WriteWork) -> Pending<'_, Result<(), Error>> {
        Box::pin(async move { self.journal().write(work) })
    }

    fn read(&self, work: ReadWork) -> Pending<'_, Result<(), Error>> {
        Box::pin(async move {
            let journal = self.journal();
            catch_unwind(AssertUnwindSafe(|| work(&journal.state)))
                .unwrap_or_else(|panic| Err(Error::panicked(panic.as_ref())))
        })
    }
}
