//! Queues: numbers without gaps, lines in order whatever shares a commit, none of a failed work.

use super::{ITEM, Place, QUEUE, join, open, write};
use crate::queue::ROW_LINES_MAX;
use crate::{Error, Lines, Store, Tx};

/// More lines than go into one row.
const MANY: u64 = ROW_LINES_MAX as u64 * 2 + 10;

pub(super) async fn run<P: Place>(new_place: &impl Fn() -> P) {
    order(&new_place()).await;
    failures(&new_place()).await;
    shares(&new_place()).await;
    wrong_lines(&new_place()).await;
}

async fn read(store: &Store, lines_max: usize) -> Lines {
    let lines: Result<Lines, Error> =
        store.read(move |view| view.lines(&QUEUE, 1_000, lines_max)).await;
    lines.expect("reads")
}

/// Checks which lines there are: from `first` on to `last`, each saying its number.
async fn check(store: &Store, first: u64, last: u64) {
    let counted: Result<u64, Error> = store.read(|view| view.count_lines(&QUEUE)).await;
    assert_eq!(counted.expect("counts"), (last + 1).saturating_sub(first));
    let expected: Vec<_> = (first..=last).map(|number| (number, number.to_string())).collect();
    assert_eq!(read(store, usize::MAX).await, Lines { lines: expected, more: false });
}

fn append(tx: &mut dyn Tx) -> Result<u64, Error> {
    let next = tx.last(QUEUE.name)? + 1;
    assert_eq!(tx.append(&QUEUE, &next.to_string())?, next);
    Ok(next)
}

async fn order(place: &dyn Place) {
    let store = open(place);
    check(&store, 1, 0).await;
    let many = |tx: &mut dyn Tx| (0..MANY).try_for_each(|_| append(tx).map(drop));
    write(&store, many).await.expect("appends");
    check(&store, 1, MANY).await;
    write(&store, append).await.expect("appends");
    let some = read(&store, ROW_LINES_MAX).await;
    assert!(some.more && some.lines.len() <= ROW_LINES_MAX, "{}", some.lines.len());
    let last = some.lines.last().map_or(0, |(number, _)| *number);
    write(&store, move |tx| tx.delete_to(&QUEUE, &last.into())).await.expect("deletes");
    check(&store, last + 1, MANY + 1).await;
    drop(store);
    let store = open(place);
    check(&store, last + 1, MANY + 1).await;
    write(&store, |tx| tx.delete_to(&QUEUE, &(MANY + 1).into())).await.expect("deletes");
    // Numbers go on where they were.
    assert_eq!(write(&store, append).await.expect("appends"), MANY + 2);
    check(&store, MANY + 2, MANY + 2).await;
}

async fn failures(place: &dyn Place) {
    let store = open(place);
    write(&store, |tx| {
        append(tx)?;
        let failed = tx.nested(&mut |tx| {
            append(tx)?;
            append(tx)?;
            Err(Error::RolledBack("on purpose".to_owned()))
        });
        assert!(failed.is_err());
        append(tx)
    })
    .await
    .expect("writes");
    let works = (0..10).map(|work| {
        write(&store, move |tx| {
            append(tx)?;
            let text = "on purpose".to_owned();
            if work % 2 == 0 { Ok(()) } else { Err(Error::RolledBack(text)) }
        })
    });
    let failed = join(works).await.into_iter().filter(Result::is_err).count();
    assert_eq!(failed, 5);
    check(&store, 1, 7).await;
    drop(store);
    check(&open(place), 1, 7).await;
}

async fn shares(place: &dyn Place) {
    let store = open(place);
    let works = (0..MANY).map(|_| write(&store, append));
    let mut numbers: Vec<_> = join(works).await.into_iter().map(|it| it.expect("writes")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=MANY).collect::<Vec<_>>());
    check(&store, 1, MANY).await;
}

async fn wrong_lines(place: &dyn Place) {
    let store = open(place);
    for (table, line) in [(&QUEUE, ""), (&QUEUE, "two\nlines"), (&ITEM, "has columns")] {
        let refused = write(&store, move |tx| tx.append(table, line)).await;
        assert!(matches!(refused, Err(Error::Misuse { .. })), "{line}: {refused:?}");
    }
    check(&store, 1, 0).await;
}
