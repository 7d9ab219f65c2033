//! Both back ends answer every sequence of operations alike.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex};

use karvan_store::contract::{ITEM, QUEUE, SCHEMA};
use karvan_store::{Error, JournalStore, Lines, Range, Row, SqliteStore, Store, Tx, Value};
use karvan_system::memory::MemoryDisk;
use proptest::collection::vec;
use proptest::prelude::*;

/// One step inside a transaction.
#[derive(Clone, Debug)]
enum Step {
    Insert(Row),
    Put(Row),
    Delete(Value),
    DeleteTo(Value),
    Next(bool),
    Last(bool),
    Append(u8),
    Get(Value),
    Scan(Range),
    Count(Range),
    /// Steps in a nested part, and whether it is kept.
    Nested(Vec<Step>, bool),
}

/// Few values, so that steps meet each other.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-2_i64..3).prop_map(Value::Int),
        "[ab\0é]{0,2}".prop_map(Value::Text),
        vec(prop_oneof![Just(0_u8), Just(b'a'), Just(255)], 0..3).prop_map(Value::Bytes),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    (value(), vec(value(), 3), vec(any::<u8>(), 0..4)).prop_map(|(key, columns, body)| Row {
        key,
        columns,
        body,
    })
}

fn bound() -> impl Strategy<Value = Bound<Value>> {
    prop_oneof![
        Just(Bound::Unbounded),
        value().prop_map(Bound::Included),
        value().prop_map(Bound::Excluded),
    ]
}

fn range() -> impl Strategy<Value = Range> {
    let index = prop::sample::select(vec![
        None,
        Some("by_kind"),
        Some("code"),
        Some("rank_code"),
        Some("none"),
    ]);
    let limit = prop_oneof![4 => Just(100_usize), 1 => 0..4_usize];
    (index, vec(value(), 0..3), bound(), bound(), any::<bool>(), limit).prop_map(
        |(index, mut prefix, from, to, reverse, limit)| {
            if index.is_none() {
                prefix.clear();
            }
            Range { index, prefix, from, to, reverse, limit }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let leaf = prop_oneof![
        4 => row().prop_map(Step::Insert),
        4 => row().prop_map(Step::Put),
        2 => value().prop_map(Step::Delete),
        1 => value().prop_map(Step::DeleteTo),
        1 => any::<bool>().prop_map(Step::Next),
        1 => any::<bool>().prop_map(Step::Last),
        1 => any::<u8>().prop_map(Step::Append),
        1 => value().prop_map(Step::Get),
        3 => range().prop_map(Step::Scan),
        1 => range().prop_map(Step::Count),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        (vec(inner, 0..4), any::<bool>()).prop_map(|(steps, keep)| Step::Nested(steps, keep))
    })
}

fn refusal() -> Error {
    Error::RolledBack("as drawn".to_owned())
}

fn sequence(first: bool) -> &'static str {
    if first { "first" } else { "second" }
}

/// Takes a step and writes down what it answered.
fn take(tx: &mut dyn Tx, step: &Step, answers: &mut Vec<String>) {
    let answer = match step {
        Step::Insert(row) => format!("{:?}", tx.insert(&ITEM, row)),
        Step::Put(row) => format!("{:?}", tx.put(&ITEM, row)),
        Step::Delete(key) => format!("{:?}", tx.delete(&ITEM, key)),
        Step::DeleteTo(last) => format!("{:?}", tx.delete_to(&ITEM, last)),
        Step::Next(first) => format!("{:?}", tx.next(sequence(*first))),
        Step::Last(first) => format!("{:?}", tx.last(sequence(*first))),
        Step::Append(line) => format!("{:?}", tx.append(&QUEUE, &line.to_string())),
        Step::Get(key) => format!("{:?}", tx.get(&ITEM, key)),
        Step::Scan(range) => format!("{:?}", tx.scan(&ITEM, range)),
        Step::Count(range) => format!("{:?}", tx.count(&ITEM, range)),
        Step::Nested(steps, keep) => {
            let result = tx.nested(&mut |tx| {
                for step in steps {
                    take(tx, step, answers);
                }
                if *keep { Ok(()) } else { Err(refusal()) }
            });
            format!("{result:?}")
        }
    };
    answers.push(answer);
}

/// What a store holds at the end.
type Held = (Vec<Row>, Lines);

/// Runs transactions one after the other; returns all answers and what is there at the end.
async fn run(store: &Store, transactions: &[(Vec<Step>, bool)]) -> (Vec<String>, Held) {
    let answers = Arc::new(Mutex::new(Vec::new()));
    for (steps, keep) in transactions {
        let (steps, keep, answers) = (steps.clone(), *keep, Arc::clone(&answers));
        let done: Result<(), Error> = store
            .write(move |tx| {
                let mut answers = answers.lock().expect("not poisoned");
                for step in &steps {
                    take(tx, step, &mut answers);
                }
                if keep { Ok(()) } else { Err(refusal()) }
            })
            .await;
        assert_eq!(done.is_ok(), keep);
    }
    let held: Result<Held, Error> = store
        .read(|view| {
            let rows = view.scan(&ITEM, &Range::all(usize::MAX))?;
            Ok((rows, view.lines(&QUEUE, usize::MAX, usize::MAX)?))
        })
        .await;
    let answers = std::mem::take(&mut *answers.lock().expect("not poisoned"));
    (answers, held.expect("reads"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sqlite_and_journal_agree(
        transactions in vec((vec(step(), 1..12), prop::bool::weighted(0.8)), 1..8)
    ) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let sqlite = || SqliteStore::open(folder.path(), [&SCHEMA]).map(Store::new);
        let disk = MemoryDisk::new();
        let journal = || JournalStore::open(Path::new("state"), &disk, [&SCHEMA]).map(Store::new);
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        runtime.block_on(async {
            let expected = run(&journal().expect("opens"), &transactions).await;
            let found = run(&sqlite().expect("opens"), &transactions).await;
            prop_assert_eq!(&found, &expected);
            // And after opening again.
            let (_, held) = run(&journal().expect("opens again"), &[]).await;
            prop_assert_eq!(&held, &expected.1);
            let (_, held) = run(&sqlite().expect("opens again"), &[]).await;
            prop_assert_eq!(&held, &expected.1);
            Ok(())
        })?;
    }
}
