//! The table is compared with a second writing of it, cell by cell.

use proptest::prelude::*;

use super::*;
use Role::{Consumer, Provider};

/// The allowed steps in letters: state before, act, senders, state after. `-` is a process that
/// does not exist.
const EXPECTED: &str = "
    -          Request    C   REQUESTED
    REQUESTED  Start      P   STARTED
    REQUESTED  Terminate  CP  TERMINATED
    STARTED    Suspend    CP  SUSPENDED
    STARTED    Complete   CP  COMPLETED
    STARTED    Terminate  CP  TERMINATED
    SUSPENDED  Start      CP  STARTED
    SUSPENDED  Terminate  CP  TERMINATED
";

fn expected(state: Option<State>, act: Act, sender: Role) -> Option<State> {
    let letter = if sender == Consumer { 'C' } else { 'P' };
    let rows = EXPECTED.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.len() == 4);
    let found = rows.find(|row| {
        row[0] == state.map_or("-", State::name)
            && row[1] == format!("{act:?}")
            && row[2].contains(letter)
    });
    found.map(|row| State::from_name(row[3]).expect("a state"))
}

#[test]
fn every_cell_of_the_table() {
    let mut allowed = 0;
    let states = std::iter::once(None).chain(State::NAMES.iter().map(|(_, state)| Some(*state)));
    for state in states {
        for act in Act::ALL {
            for sender in Role::ALL {
                let heard = next(state, act, sender).ok();
                assert_eq!(heard, expected(state, act, sender), "{state:?} {act:?} {sender:?}");
                allowed += usize::from(heard.is_some());
            }
        }
    }
    assert_eq!(allowed, 14);
}

#[test]
fn refusals_say_what_would_be_allowed() {
    let error = next(Some(State::Requested), Act::Complete, Consumer).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the completion by the consumer is not allowed in state REQUESTED; the consumer may send \
         a termination"
    );
}

#[test]
fn names_go_both_ways() {
    for (name, state) in State::NAMES {
        assert_eq!((state.name(), State::from_name(name)), (*name, Some(*state)));
        let ends = Act::ALL
            .iter()
            .all(|act| Role::ALL.iter().all(|role| next(Some(*state), *act, *role).is_err()));
        assert_eq!(state.is_final(), ends, "{name}");
    }
}

proptest! {
    #[test]
    fn no_sequence_leaves_the_table(
        steps in proptest::collection::vec((0..Act::ALL.len(), any::<bool>()), 0..40)
    ) {
        let mut state = None;
        for (act, consumer) in steps {
            let sender = if consumer { Consumer } else { Provider };
            let after = next(state, Act::ALL[act], sender).ok();
            prop_assert_eq!(after, expected(state, Act::ALL[act], sender));
            state = after.or(state);
        }
    }
}
