//! The handle that the rest of the node holds.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Read, Tx};

/// A future of a back end.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// Work of one transaction. An error undoes all that the work wrote.
pub type WriteWork = Box<dyn FnOnce(&mut dyn Tx) -> Result<(), Error> + Send>;
/// Work on one consistent view.
pub type ReadWork = Box<dyn FnOnce(&dyn Read) -> Result<(), Error> + Send>;

/// What a storage engine must do. Every back end passes [`crate::contract`].
pub trait Backend: Send + Sync {
    /// Runs `work` in a transaction and resolves once it is durable, or with its error once it is
    /// undone. Transactions take effect in the order in which they were handed in.
    ///
    /// Handing in is the first poll of the future, or, while the back end's queue is full, a later
    /// one that finds a place. Dropping the future after that does not take the work back.
    fn write(&self, work: WriteWork) -> Pending<'_, Result<(), Error>>;

    /// Runs `work` on the newest durable state.
    fn read(&self, work: ReadWork) -> Pending<'_, Result<(), Error>>;
}

impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn write(&self, work: WriteWork) -> Pending<'_, Result<(), Error>> {
        self.as_ref().write(work)
    }

    fn read(&self, work: ReadWork) -> Pending<'_, Result<(), Error>> {
        self.as_ref().read(work)
    }
}

/// The node's state; cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<dyn Backend>);

impl Store {
    /// Wraps a back end.
    pub fn new(backend: impl Backend + 'static) -> Self {
        Self(Arc::new(backend))
    }

    /// Runs `work` in a transaction; its result is released only once it is durable. With an error
    /// nothing was changed.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let inner = Arc::clone(&slot);
        let done = self
            .0
            .write(Box::new(move |tx| {
                let result = work(tx);
                let undo = result.is_err();
                *inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                if undo {
                    Err(Error::RolledBack("its own code refused".to_owned()))
                } else {
                    Ok(())
                }
            }))
            .await;
        settle(&slot, done)
    }

    /// Runs `work` on one consistent view of the newest durable state.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&dyn Read) -> Result<T, E> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(None));
        let inner = Arc::clone(&slot);
        let done = self
            .0
            .read(Box::new(move |view| {
                *inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(work(view));
                Ok(())
            }))
            .await;
        settle(&slot, done)
    }
}

/// The work's own error wins; a storage error voids a result that was not made durable.
fn settle<T, E: From<Error>>(
    slot: &Mutex<Option<Result<T, E>>>,
    done: Result<(), Error>,
) -> Result<T, E> {
    let result = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, done) {
        (Some(Err(error)), Err(Error::RolledBack(_))) => Err(error),
        (_, Err(error)) => Err(error.into()),
        (Some(result), Ok(())) => result,
        (None, Ok(())) => Err(Error::Stopped.into()),
    }
}
