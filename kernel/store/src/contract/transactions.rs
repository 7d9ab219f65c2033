//! Transactions: all or nothing, order, sequences, views and many writers.

use super::{ITEM, Place, count, item, join, open, write};
use crate::{Error, Range, Store, Value};

pub(super) async fn run<P: Place>(new_place: &impl Fn() -> P) {
    rollback(&new_place()).await;
    panics(&new_place()).await;
    nesting(&new_place()).await;
    sequences(&new_place()).await;
    own_errors(&new_place()).await;
    order(&new_place()).await;
    many_writers(&new_place()).await;
    views(&new_place()).await;
}

/// Works that every back end must take at once without letting one overtake another.
const ORDERED_WORKS_MIN: u64 = 500;

fn refuse() -> Error {
    Error::RolledBack("on purpose".to_owned())
}

async fn rollback(place: &dyn Place) {
    let store = open(place);
    let keep = |tx: &mut dyn crate::Tx| tx.insert(&ITEM, &item("a", "k", 1, Some("c1")));
    write(&store, keep).await.expect("inserts");
    let undone = write::<()>(&store, |tx| {
        tx.put(&ITEM, &item("a", "changed", 2, Some("c2")))?;
        tx.insert(&ITEM, &item("b", "k", 1, Some("c1")))?;
        tx.delete(&ITEM, &"a".into())?;
        tx.put(&ITEM, &item("a", "again", 1, Some("c3")))?;
        assert_eq!(tx.delete_to(&ITEM, &"b".into())?, 2);
        assert_eq!(tx.count(&ITEM, &Range::all(0))?, 0);
        tx.insert(&ITEM, &item("c", "k", 1, Some("c1")))?;
        Err(refuse())
    });
    assert!(undone.await.is_err());
    let check = async |store: &Store| {
        let range = Range::of("code", vec!["c1".into()], 9);
        let rows: Result<_, Error> = store.read(move |view| view.scan(&ITEM, &range)).await;
        assert_eq!(rows.expect("reads"), [item("a", "k", 1, Some("c1"))]);
        assert_eq!(count(store).await, 1);
    };
    check(&store).await;
    drop(store);
    check(&open(place)).await;
}

async fn panics(place: &dyn Place) {
    let store = open(place);
    let panicked = write::<()>(&store, |tx| {
        tx.insert(&ITEM, &item("a", "k", 1, None))?;
        tx.nested(&mut |_| panic!("a defect, on purpose"))?;
        Ok(())
    });
    let error = panicked.await.expect_err("a panic is an error");
    assert!(matches!(&error, Error::Panicked(text) if text.contains("on purpose")), "{error}");
    let viewed: Result<(), Error> = store.read(|_| panic!("a defect, on purpose")).await;
    assert!(matches!(viewed, Err(Error::Panicked(_))));
    assert_eq!(count(&store).await, 0);
    let insert = |tx: &mut dyn crate::Tx| tx.insert(&ITEM, &item("a", "k", 1, None));
    write(&store, insert).await.expect("the writer lives on");
}

async fn nesting(place: &dyn Place) {
    let store = open(place);
    let done = write(&store, |tx| {
        tx.insert(&ITEM, &item("outer", "k", 1, None))?;
        assert_eq!(tx.next("n")?, 1);
        let failed = tx.nested(&mut |tx| {
            tx.insert(&ITEM, &item("inner", "k", 2, None))?;
            tx.put(&ITEM, &item("outer", "changed", 2, None))?;
            assert_eq!(tx.next("n")?, 2);
            tx.nested(&mut |tx| tx.insert(&ITEM, &item("innermost", "k", 3, None)))?;
            assert_eq!(tx.count(&ITEM, &Range::all(0))?, 3);
            Err(refuse())
        });
        assert!(matches!(failed, Err(Error::RolledBack(text)) if text == "on purpose"));
        assert_eq!(tx.count(&ITEM, &Range::all(0))?, 1);
        assert_eq!(tx.next("n")?, 2);
        tx.nested(&mut |tx| {
            tx.insert(&ITEM, &item("kept", "k", 4, None))?;
            let lost = tx.nested(&mut |tx| {
                tx.delete(&ITEM, &"outer".into())?;
                Err(refuse())
            });
            assert!(lost.is_err());
            Ok(())
        })
    });
    done.await.expect("the outer one stands");
    let rows: Result<_, Error> = store.read(|view| view.scan(&ITEM, &Range::all(9))).await;
    assert_eq!(rows.expect("reads"), [item("kept", "k", 4, None), item("outer", "k", 1, None)]);
}

async fn sequences(place: &dyn Place) {
    let store = open(place);
    let take = |name: &'static str, keep: bool| {
        write(&store, move |tx| {
            let number = tx.next(name)?;
            if keep { Ok(number) } else { Err(Error::RolledBack(number.to_string())) }
        })
    };
    assert!(matches!(take("a", true).await, Ok(1)));
    assert!(take("a", false).await.is_err());
    assert!(matches!(take("a", true).await, Ok(2)));
    assert!(matches!(take("b", true).await, Ok(1)));
    drop(store);
    let next = write(&open(place), |tx| Ok((tx.next("a")?, tx.next("a")?, tx.next("b")?))).await;
    assert_eq!(next.expect("numbers"), (3, 4, 2));
}

/// The work's own error type comes back as it was.
async fn own_errors(place: &dyn Place) {
    #[derive(Debug, PartialEq)]
    enum Own {
        Mine(u8),
        Storage(String),
    }
    impl From<Error> for Own {
        fn from(error: Error) -> Self {
            Self::Storage(error.to_string())
        }
    }
    let store = open(place);
    let mine: Result<(), Own> = store.write(|_| Err(Own::Mine(7))).await;
    assert_eq!(mine, Err(Own::Mine(7)));
    let viewed: Result<(), Own> = store.read(|_| Err(Own::Mine(8))).await;
    assert_eq!(viewed, Err(Own::Mine(8)));
    let bad: Result<(), Own> = store.write(|tx| Ok(tx.get(&ITEM, &Value::Null).map(drop)?)).await;
    assert!(matches!(bad, Err(Own::Storage(text)) if text.contains("key")));
}

/// Effect follows the order of handing in while there is room; beyond any queue nothing is lost.
async fn order(place: &dyn Place) {
    let store = open(place);
    let take = async |works: u64, name: &'static str| -> Vec<u64> {
        let numbers = join((0..works).map(|_| write(&store, move |tx| tx.next(name)))).await;
        numbers.into_iter().map(|number| number.expect("numbers")).collect()
    };
    assert!(take(ORDERED_WORKS_MIN, "few").await.into_iter().eq(1..=ORDERED_WORKS_MIN));
    let mut many = take(8 * ORDERED_WORKS_MIN, "many").await;
    many.sort_unstable();
    assert!(many.into_iter().eq(1..=8 * ORDERED_WORKS_MIN));
}

/// Works that share a commit do not share a fate.
async fn many_writers(place: &dyn Place) {
    const WRITERS: i64 = 300;
    let store = open(place);
    let results = join((0..WRITERS).map(|i| {
        write(&store, move |tx| {
            tx.insert(&ITEM, &item(i, "k", i, None))?;
            // Every third refuses itself, every third meets its neighbour.
            match i % 3 {
                0 => Err(refuse()),
                1 => tx.insert(&ITEM, &item(i + 1, "neighbour", i, None)),
                _ => Ok(()),
            }
        })
    }))
    .await;
    for (i, result) in (0..).zip(&results) {
        match i % 3 {
            0 => assert!(matches!(result, Err(Error::RolledBack(_))), "{i}: {result:?}"),
            1 => assert!(result.is_ok(), "{i}: {result:?}"),
            _ => assert!(matches!(result, Err(Error::Exists { .. })), "{i}: {result:?}"),
        }
    }
    drop(store);
    assert_eq!(count(&open(place)).await, 200);
}

/// A view taken after an answer holds what was answered.
async fn views(place: &dyn Place) {
    let store = open(place);
    for i in 0..20 {
        let insert = move |tx: &mut dyn crate::Tx| tx.insert(&ITEM, &item(i, "k", i, None));
        write(&store, insert).await.expect("inserts");
        let seen: Result<_, Error> = store
            .read(move |view| Ok((view.count(&ITEM, &Range::all(0))?, view.get(&ITEM, &i.into())?)))
            .await;
        let (counted, row) = seen.expect("reads");
        assert_eq!((counted, row.is_some()), (i.unsigned_abs() + 1, true));
    }
}
