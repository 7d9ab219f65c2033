//! Both back ends pass the contract, and agree with each other.

use karvan_store::contract::{self, Place};
use karvan_store::{Error, Migration, SqliteStore, Store};
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
