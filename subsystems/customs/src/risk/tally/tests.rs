use karvan_store::{Migration, SqliteStore, Store};
use proptest::prelude::*;

use super::super::record::TRACES;
use super::*;

static MIGRATION: [Migration; 1] =
    [Migration { id: "tally-test-0001", creates: &[&TRACES, &TALLIES, &DENIALS] }];

const DAYS: i8 = 6;

fn day(number: i8) -> Date {
    Date::constant(2026, 3, 1 + number)
}

/// A state of one consignment; the same number comes again when its declaration changes.
fn trace() -> impl Strategy<Value = Trace> {
    let party = || proptest::option::of(prop_oneof![Just("A"), Just("A 2026-03-02"), Just("Ə")]);
    let kinds = (any::<bool>(), proptest::option::of(any::<bool>()));
    (0..8_u8, 0..DAYS, party(), party(), kinds).prop_map(
        |(number, on, consignee, exporter, (cancelled, found))| Trace {
            export: format!("AZ:EX-{number}"),
            day: day(on),
            consignee: consignee.map(str::to_owned),
            exporter: exporter.map(str::to_owned),
            value: None,
            cancelled,
            arrived: None,
            found,
        },
    )
}

/// What the counts must say, by looking at every trace.
fn counted(traces: &[Trace], (part, party): (Part, &str), own: &str, since: Date) -> History {
    let until = day(4);
    let of_party = || traces.iter().filter(|trace| part.of(trace) == Some(party));
    let first = of_party().map(|trace| trace.day).min().map_or(until, |first| first.min(until));
    let others = of_party()
        .filter(|trace| trace.export != own && trace.day >= since && trace.day <= until)
        .fold(Counts::default(), |sum, trace| sum.plus(Counts::of(trace)));
    History { first, others }
}

fn check(changes: &[Trace]) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::new(SqliteStore::open(folder.path(), &MIGRATION).expect("a store"));
    let changes = changes.to_vec();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let seen = runtime.block_on(store.write(move |tx| {
        for change in &changes {
            super::store(tx, change)?;
        }
        let traces: Vec<Trace> = tx.select(&Range::all(100))?;
        let mut seen = Vec::new();
        for part in [Part::Consignee, Part::Exporter] {
            for party in ["A", "A 2026-03-02", "Ə", "nobody"] {
                for own in ["AZ:EX-0", "AZ:EX-unknown"] {
                    for since in [day(0), day(2)] {
                        let wanted = counted(&traces, (part, party), own, since);
                        let own: Option<Trace> = tx.find(own)?;
                        let found = history(tx, (part, party), own.as_ref(), (since, day(4)))?;
                        seen.push((wanted, found));
                    }
                }
            }
        }
        // No day is left of which there is no trace.
        let tallies: Vec<Tally> = tx.select(&Range::all(100))?;
        let parties = |trace: &Trace| {
            [Part::Consignee, Part::Exporter].map(|p| p.of(trace).map(|party| p.column(party)))
        };
        let is_known = |tally: &Tally| {
            let of_day = traces.iter().filter(|trace| trace.day == tally.day);
            of_day.flat_map(parties).flatten().any(|party| party == tally.party)
        };
        assert!(tallies.iter().all(is_known), "{tallies:?}");
        Ok::<_, Error>(seen)
    }));
    for (wanted, found) in seen.expect("written") {
        prop_assert_eq!(wanted, found);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn counts_are_those_of_the_traces(changes in proptest::collection::vec(trace(), 0..24)) {
        check(&changes)?;
    }
}
