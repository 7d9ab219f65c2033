//! The state of a stopped node, behind its back.

use std::path::Path;

use anyhow::Result;
use karvan_store::{Error, SqliteStore, Store, Tx};
use tokio::sync::watch;

use crate::migrations;

/// An opened state; closed again after each use.
pub struct State {
    store: Store,
    closed: watch::Receiver<Option<String>>,
}

/// Opens the state in the folder of a stopped node.
pub fn open_state(folder: &Path) -> Result<State> {
    let store = SqliteStore::open(&folder.join("state"), migrations())?;
    let closed = store.failed();
    Ok(State { store: Store::new(store), closed })
}

impl State {
    /// Runs one transaction and closes the state.
    ///
    /// # Panics
    /// When the transaction fails.
    pub async fn change<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
    ) -> T {
        let done = self.store.write(work).await.expect("the transaction commits");
        drop(self.store);
        while self.closed.changed().await.is_ok() {}
        done
    }
}
