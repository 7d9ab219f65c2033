//! Both back ends pass the contract, and agree with each other.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use karvan_store::contract::{self, Place};
use karvan_store::{Error, JournalStore, Migration, SqliteStore, Store};
use karvan_system::memory::MemoryDisk;
use tempfile::TempDir;

struct SqlitePlace(TempDir);

impl Place for SqlitePlace {
    fn open(&self, migrations: &[&'static Migration]) -> Result<Store, Error> {
        SqliteStore::open(self.0.path(), migrations.iter().copied()).map(Store::new)
    }
}

fn new_sqlite() -> SqlitePlace {
    SqlitePlace(tempfile::tempdir().expect("temporary folder"))
}

#[tokio::test]
async fn sqlite_passes() {
    contract::check(new_sqlite).await;
}

struct JournalPlace(MemoryDisk);

impl Place for JournalPlace {
    fn open(&self, migrations: &[&'static Migration]) -> Result<Store, Error> {
        let migrations = migrations.iter().copied();
        JournalStore::open(Path::new("node/state"), &self.0, migrations).map(Store::new)
    }
}

/// Resolves a future that never waits, as all of this back end's are.
fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the journal must not wait"),
    }
}

#[test]
fn journal_passes_without_a_runtime() {
    at_once(contract::check(|| JournalPlace(MemoryDisk::new())));
}
