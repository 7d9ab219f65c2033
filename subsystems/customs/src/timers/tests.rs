use std::time::Duration;

use karvan_store::{Migration, SqliteStore, Store};
use karvan_subsystem::Rejection;

use super::*;

const MIGRATIONS: &[Migration] = &[Migration { id: "customs-0004", creates: &[&TIMERS] }];

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000).plus(Duration::from_mins(minutes))
}

fn timer(kind: TimerKind, about: &str, due: u64) -> Timer {
    Timer::new(kind, "claim 1", about, at(0), at(due))
}

async fn check(work: impl FnOnce(&mut dyn Tx) -> Result<(), Error> + Send + 'static) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(SqliteStore::open(folder.path(), MIGRATIONS).expect("a store"));
    let done = store.write(move |tx| Ok::<_, Rejection>(work(tx)?)).await;
    done.expect("committed");
}

#[tokio::test]
async fn the_earliest_is_taken_first_and_once() {
    check(|tx| {
        for (about, due) in [("c", 30), ("a", 10), ("b", 20)] {
            set(tx, &timer(TimerKind::Receipt, about, due))?;
        }
        let names = |taken: Vec<Timer>| taken.into_iter().map(|t| t.about).collect::<Vec<_>>();
        assert_eq!(names(take_due(tx, at(9), 10)?), Vec::<String>::new());
        assert_eq!(names(take_due(tx, at(25), 1)?), ["a"]);
        assert_eq!(names(take_due(tx, at(25), 10)?), ["b"], "each once");
        assert_eq!(names(take_due(tx, at(30), 10)?), ["c"], "due to the millisecond");
        assert_eq!(names(take_due(tx, at(999), 10)?), Vec::<String>::new());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_same_timer_is_moved_and_others_stay() {
    check(|tx| {
        set(tx, &timer(TimerKind::Receipt, "a", 10))?;
        set(tx, &timer(TimerKind::Receipt, "a", 50).with_note("moved"))?;
        set(tx, &timer(TimerKind::Validation, "a", 60))?;
        set(tx, &timer(TimerKind::Validation, "b", 70))?;
        assert!(take_due(tx, at(49), 10)?.is_empty(), "moved");
        let stopped = cancel_about(tx, "a", &[TimerKind::Receipt])?;
        assert_eq!(stopped.iter().map(|t| t.note.as_str()).collect::<Vec<_>>(), ["moved"]);
        assert!(!cancel(tx, TimerKind::Receipt, "claim 1", "a")?, "stopped before");
        assert!(cancel(tx, TimerKind::Validation, "claim 1", "a")?);
        let stopped = cancel_subject(tx, "claim 1", TimerKind::ALL)?;
        assert_eq!(stopped.len(), 1);
        assert!(take_due(tx, at(999), 10)?.is_empty());
        Ok(())
    })
    .await;
}

#[test]
fn names_are_unique() {
    let names: std::collections::BTreeSet<_> = TimerKind::ALL.iter().map(|k| k.name()).collect();
    assert_eq!(names.len(), TimerKind::ALL.len());
    for kind in TimerKind::ALL {
        assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
    }
}
