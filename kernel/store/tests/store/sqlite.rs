//! What only the SQLite back end has: threads, a file, a lock and fatal failures.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, mpsc};

use karvan_store::contract::{ITEM, SCHEMA, join};
use karvan_store::{Error, Range, Row, SqliteStore, Store, Tx, Value};
use karvan_types::ErrorKind;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, [&SCHEMA]).expect("opens")
}

fn row(key: impl Into<Value>, body: Vec<u8>) -> Row {
    Row { key: key.into(), columns: vec!["kind".into(), 1.into(), Value::Null], body }
}

async fn insert(store: &Store, row: Row) -> Result<(), Error> {
    store.write(move |tx: &mut dyn Tx| tx.insert(&ITEM, &row)).await
}

#[tokio::test]
async fn one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = open(folder.path());
    let error = SqliteStore::open(folder.path(), [&SCHEMA]).expect_err("the first one has it");
    assert_eq!(error.kind(), ErrorKind::LocalConfig);
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    drop(store);
    drop(open(folder.path()));
}

#[tokio::test]
async fn waiting_works_share_a_commit() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let backend = Arc::new(open(folder.path()));
    let store = Store::new(Arc::clone(&backend));
    // The first work holds the writer until the last one was handed in.
    let (release, released) = mpsc::sync_channel::<()>(1);
    let first: Pin<Box<dyn Future<Output = Result<(), Error>>>> =
        Box::pin(store.write(move |_| {
            let _ = released.recv();
            Ok(())
        }));
    let mut works = vec![first];
    for i in 1..1000_i64 {
        works.push(Box::pin(insert(&store, row(i, Vec::new()))));
    }
    works.push(Box::pin(async move {
        drop(release);
        Ok(())
    }));
    assert!(join(works).await.iter().all(Result::is_ok));
    let stats = backend.stats();
    assert_eq!((stats.works, stats.commits), (1000, 4));
}

#[tokio::test]
async fn a_view_does_not_move() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::new(open(folder.path()));
    let (looked, wait_for_look) = tokio::sync::oneshot::channel();
    let (written, wait_for_write) = mpsc::sync_channel(1);
    let view = store.read(move |view| {
        let before = view.count(&ITEM, &Range::all(0))?;
        let _ = looked.send(());
        wait_for_write.recv().expect("the write happens");
        Ok::<_, Error>((before, view.count(&ITEM, &Range::all(0))?))
    });
    let change = async {
        wait_for_look.await.expect("the view looks");
        insert(&store, row(1, Vec::new())).await.expect("inserts");
        // Readers do not wait for each other either.
        let seen = store.read(|view| view.count(&ITEM, &Range::all(0))).await;
        assert!(matches!(seen, Ok::<u64, Error>(1)));
        written.send(()).expect("the view waits");
    };
    let (seen, ()) = tokio::join!(view, change);
    assert_eq!(seen.expect("reads"), (0, 0));
}

#[tokio::test]
async fn damage_is_fatal() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::new(open(folder.path()));
    insert(&store, row(1, vec![b'x'; 100_000])).await.expect("inserts");
    drop(store);

    let backend = open(folder.path());
    let failed = backend.failed();
    let store = Store::new(backend);
    let file = File::options().write(true).open(folder.path().join("state.db")).expect("is there");
    let len = file.metadata().expect("is there").len();
    file.write_all_at(&vec![0xff; usize::try_from(len - 4096).expect("small")], 4096)
        .expect("damages");

    assert!(failed.borrow().is_none());
    // The code of the work hides the error; the store does not forget it.
    let hidden = store.write(|tx| {
        let _ = tx.insert(&ITEM, &row(2, Vec::new()));
        Ok(())
    });
    let error: Error = hidden.await.expect_err("the file is damaged");
    assert!(matches!(error, Error::Backend { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert_eq!(*failed.borrow(), Some(error.to_string()));
    assert!(matches!(insert(&store, row(3, Vec::new())).await, Err(Error::Stopped)));
}

#[tokio::test]
async fn the_log_stays_short() {
    const MIB: usize = 1 << 20;
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::new(open(folder.path()));
    for i in 0..160_i64 {
        insert(&store, row(i, vec![b'x'; MIB])).await.expect("inserts");
        let log = fs::metadata(folder.path().join("state.db-wal")).expect("is there").len();
        assert!(log < 80 * MIB as u64, "{log} bytes after {i} rows");
    }
}

#[tokio::test]
async fn any_sql_tool_can_read_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::new(open(folder.path()));
    insert(&store, row("k", br#"{"city":"Quetta"}"#.to_vec())).await.expect("inserts");
    let tool = rusqlite::Connection::open(folder.path().join("state.db")).expect("opens");
    let seen: (String, i64, String) = tool
        .query_row("SELECT kind, rank, body ->> 'city' FROM test_item WHERE key = 'k'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .expect("reads");
    assert_eq!(seen, ("kind".to_owned(), 1, "Quetta".to_owned()));
}

/// A work may own the last handle of its store; its thread must not wait for itself.
#[tokio::test]
async fn the_last_handle_may_go_with_a_work() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let backend = open(folder.path());
    let mut failed = backend.failed();
    let store = Store::new(backend);
    let (held, (release, released)) = (store.clone(), mpsc::sync_channel::<()>(1));
    let mut write = Box::pin(async move {
        let work = move |_: &mut dyn Tx| {
            let _ = released.recv();
            drop(held);
            Ok::<(), Error>(())
        };
        store.write(work).await
    });
    let pending = std::future::poll_fn(|cx| std::task::Poll::Ready(write.as_mut().poll(cx))).await;
    assert!(pending.is_pending());
    drop(write);
    drop(release);
    // The watch closes once every thread has ended.
    assert!(failed.changed().await.is_err());
    assert!(failed.borrow().is_none());
    drop(open(folder.path()));
}
