//! What every back end must do: one suite, run from the tests of each.
//!
//! A back end passes when [`check`] returns; a breach panics with what was found. Nothing here
//! needs a particular runtime, and nothing sleeps.
//!
//! Not here: what a crash leaves behind, which each back end tests with its own kind of crash.

mod migrations;
mod queues;
mod ranges;
mod rows;
mod transactions;

use std::future::{Future, poll_fn};
use std::task::Poll;

use crate::{Error, Index, Migration, Row, Store, Table, Tx, Value};

/// Where one store lives.
pub trait Place {
    /// Opens the store; after an earlier one was dropped, with all that it acknowledged.
    fn open(&self, migrations: &[&'static Migration]) -> Result<Store, Error>;
}

/// Runs the whole suite, each case in a place of its own.
pub async fn check<P: Place>(new_place: impl Fn() -> P) {
    migrations::run(&new_place).await;
    rows::run(&new_place).await;
    ranges::run(&new_place).await;
    transactions::run(&new_place).await;
    queues::run(&new_place).await;
}

/// The table that the suite works on.
pub const ITEM: Table = Table {
    name: "test_item",
    columns: &["kind", "rank", "code"],
    indexes: &[
        Index { name: "by_kind", columns: &["kind", "rank"], unique: false },
        Index { name: "code", columns: &["code"], unique: true },
        Index { name: "rank_code", columns: &["rank", "code"], unique: true },
    ],
};

/// The queue that the suite works on.
pub const QUEUE: Table = Table { name: "test_queue", columns: &[], indexes: &[] };

/// The schema that the suite works on.
pub const SCHEMA: Migration = Migration { id: "test-0001", creates: &[&ITEM, &QUEUE] };

fn open(place: &dyn Place) -> Store {
    place.open(&[&SCHEMA]).expect("a fresh or well closed place opens")
}

/// A row of [`ITEM`]; equal code and rank are refused, so most rows leave the code out.
fn item(key: impl Into<Value>, kind: &str, rank: i64, code: Option<&str>) -> Row {
    let columns = vec![kind.into(), rank.into(), code.into()];
    Row { key: key.into(), columns, body: format!("{kind} {rank}").into_bytes() }
}

async fn write<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut dyn Tx) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    store.write(work).await
}

async fn count(store: &Store) -> u64 {
    let counted: Result<u64, Error> =
        store.read(|view| view.count(&ITEM, &crate::Range::all(0))).await;
    counted.expect("counting works")
}

/// Drives all futures at once, polling them in order, and returns their results in order.
pub async fn join<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    poll_fn(|cx| {
        let mut ready = true;
        for (future, output) in &mut futures {
            if output.is_none() {
                match future.as_mut().poll(cx) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => ready = false,
                }
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, output)| output).collect()
}
