//! Single rows: adding, replacing, reading, removing, refusing.

use super::{ITEM, Place, count, item, open, write};
use crate::{Error, ROW_BYTES_MAX, Range, Row, Table, Value};

pub(super) async fn run<P: Place>(new_place: &impl Fn() -> P) {
    round_trips(&new_place()).await;
    replacing_and_removing(&new_place()).await;
    conflicts(&new_place()).await;
    misuse(&new_place()).await;
    sizes(&new_place()).await;
}

async fn round_trips(place: &dyn Place) {
    let store = open(place);
    let values = [
        Value::Int(i64::MIN),
        Value::Int(0),
        Value::Int(i64::MAX),
        "".into(),
        "a\0b".into(),
        "şəhər شہر".into(),
        Value::Bytes(Vec::new()),
        Value::Bytes(vec![0, 255, 0]),
        Value::Bytes(b"a".to_vec()),
        "a".into(),
    ];
    let bodies: [&[u8]; 4] = [b"", b"{\"a\":1}", b"\xff\xfe\0", b"nul\0inside"];
    let mut rows = Vec::new();
    for (i, value) in values.iter().enumerate() {
        let body = bodies.get(i % bodies.len()).map_or(Vec::new(), |body| body.to_vec());
        let columns = vec![value.clone(), Value::Null, value.clone()];
        rows.push(Row { key: value.clone(), columns, body });
    }
    let stored = rows.clone();
    let work = move |tx: &mut dyn crate::Tx| rows.iter().try_for_each(|r| tx.insert(&ITEM, r));
    write(&store, work).await.expect("all insert");
    drop(store);
    let store = open(place);
    for row in stored {
        let key = row.key.clone();
        let found: Result<_, Error> = store.read(move |view| view.get(&ITEM, &key)).await;
        assert_eq!(found.expect("reads"), Some(row));
    }
}

async fn replacing_and_removing(place: &dyn Place) {
    let store = open(place);
    let done = write(&store, |tx| {
        tx.put(&ITEM, &item("a", "old", 1, Some("c1")))?;
        tx.put(&ITEM, &item("a", "new", 2, Some("c2")))?;
        tx.put(&ITEM, &item("b", "old", 1, Some("c1")))?;
        assert_eq!(tx.get(&ITEM, &"a".into())?, Some(item("a", "new", 2, Some("c2"))));
        assert_eq!(tx.count(&ITEM, &Range::of("by_kind", vec!["old".into()], 0))?, 1);
        assert!(tx.delete(&ITEM, &"a".into())?);
        assert!(!tx.delete(&ITEM, &"a".into())?);
        assert_eq!(tx.get(&ITEM, &"a".into())?, None);
        tx.insert(&ITEM, &item("c", "free again", 2, Some("c2")))
    });
    done.await.expect("all allowed");
    assert_eq!(count(&store).await, 2);
}

async fn conflicts(place: &dyn Place) {
    let store = open(place);
    let done = write(&store, |tx| {
        tx.insert(&ITEM, &item("a", "k", 1, Some("c1")))?;
        tx.insert(&ITEM, &item("b", "k", 2, Some("c2")))?;
        let exists = |result: Result<(), Error>, expected: &str| match result {
            Err(Error::Exists { table: "test_item", what }) => assert_eq!(what, expected),
            other => panic!("expected that {expected} exists, got {other:?}"),
        };
        exists(tx.insert(&ITEM, &item("a", "k", 9, None)), "key");
        exists(tx.insert(&ITEM, &item("a", "k", 9, Some("c2"))), "key");
        exists(tx.insert(&ITEM, &item("n", "k", 9, Some("c2"))), "code");
        exists(tx.put(&ITEM, &item("n", "k", 9, Some("c2"))), "code");
        exists(tx.put(&ITEM, &item("a", "k", 9, Some("c2"))), "code");
        // A row may keep its own values, and NULL never conflicts.
        tx.put(&ITEM, &item("a", "again", 1, Some("c1")))?;
        tx.insert(&ITEM, &item("d", "k", 7, None))?;
        tx.insert(&ITEM, &item("e", "k", 7, None))?;
        // The refusals left nothing behind.
        assert_eq!(tx.get(&ITEM, &"n".into())?, None);
        assert_eq!(tx.get(&ITEM, &"a".into())?, Some(item("a", "again", 1, Some("c1"))));
        assert_eq!(tx.count(&ITEM, &Range::of("rank_code", vec![9.into()], 0))?, 0);
        Ok(())
    });
    done.await.expect("the transaction goes on");
    assert_eq!(count(&store).await, 4);
}

async fn misuse(place: &dyn Place) {
    const STRANGE: Table = Table { name: "test_strange", columns: &[], indexes: &[] };
    let store = open(place);
    let refused = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::Misuse { .. })), "{result:?}");
    };
    let done = write(&store, move |tx| {
        refused(tx.insert(&STRANGE, &Row { key: 1.into(), columns: vec![], body: vec![] }));
        refused(tx.insert(&ITEM, &Row { key: 1.into(), columns: vec![], body: vec![] }));
        refused(tx.put(&ITEM, &Row { key: Value::Null, ..item(1, "k", 1, None) }));
        refused(tx.get(&ITEM, &Value::Null).map(drop));
        refused(tx.scan(&ITEM, &Range::of("nowhere", vec![], 1)).map(drop));
        refused(tx.scan(&ITEM, &Range { prefix: vec![1.into()], ..Range::all(1) }).map(drop));
        refused(tx.count(&ITEM, &Range::of("code", vec![1.into(), 2.into()], 1)).map(drop));
        tx.insert(&ITEM, &item(1, "still works", 1, None))
    });
    done.await.expect("the transaction goes on");
}

async fn sizes(place: &dyn Place) {
    let store = open(place);
    let body = |len: u64| vec![b'x'; usize::try_from(len).unwrap_or(usize::MAX)];
    let large = Row { body: body(ROW_BYTES_MAX - 64), ..item("large", "k", 1, None) };
    let larger = Row { body: body(ROW_BYTES_MAX), ..item("larger", "k", 1, None) };
    let expected = large.clone();
    let done = write(&store, move |tx| {
        let refused = tx.insert(&ITEM, &larger);
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
        tx.insert(&ITEM, &large)
    });
    done.await.expect("up to the bound is stored");
    drop(store);
    let found: Result<_, Error> = open(place).read(|view| view.get(&ITEM, &"large".into())).await;
    assert!(found.expect("reads").is_some_and(|row| row == expected));
}
