//! The table is compared with a second writing of it, cell by cell.

use proptest::prelude::*;

use super::*;
use Role::{Consumer, Provider};

/// The allowed steps in letters: state before, act, senders who may be heard, senders who may send,
/// state after. `-` is a process that does not exist.
const EXPECTED: &str = "
    -          Request    C   C   REQUESTED
    -          Offer      P   P   OFFERED
    REQUESTED  Offer      P   P   OFFERED
    REQUESTED  Agree      P   P   AGREED
    REQUESTED  Terminate  CP  CP  TERMINATED
    OFFERED    Request    C   C   REQUESTED
    OFFERED    Accept     C   C   ACCEPTED
    OFFERED    Terminate  CP  CP  TERMINATED
    ACCEPTED   Agree      P   P   AGREED
    ACCEPTED   Terminate  CP  P   TERMINATED
    AGREED     Verify     C   C   VERIFIED
    AGREED     Terminate  CP  C   TERMINATED
    VERIFIED   Finalize   P   P   FINALIZED
    VERIFIED   Terminate  CP  P   TERMINATED
";

fn expected(state: Option<State>, act: Act, sender: Role, column: usize) -> Option<State> {
    let letter = if sender == Consumer { 'C' } else { 'P' };
    let rows = EXPECTED.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut rows = rows.filter(|row| row.len() == 5);
    let found = rows.find(|row| {
        row[0] == state.map_or("-", State::name)
            && row[1] == format!("{act:?}")
            && row[column].contains(letter)
    });
    found.map(|row| State::from_name(row[4]).expect("a state"))
}

fn states() -> impl Iterator<Item = Option<State>> {
    std::iter::once(None).chain(State::NAMES.iter().map(|(_, state)| Some(*state)))
}

#[test]
fn every_cell_of_the_table() {
    let mut allowed = 0;
    for state in states() {
        for act in Act::ALL {
            for sender in Role::ALL {
                let heard = next(state, act, sender).ok();
                assert_eq!(heard, expected(state, act, sender, 2), "{state:?} {act:?} {sender:?}");
                let sent = next_sent(state, act, sender).ok();
                assert_eq!(sent, expected(state, act, sender, 3), "{state:?} {act:?} {sender:?}");
                allowed += usize::from(heard.is_some());
            }
        }
    }
    assert_eq!(allowed, 19);
}

#[test]
fn refusals_say_what_would_be_allowed() {
    let check = |state, act, sender, expected: &str| {
        assert_eq!(next(state, act, sender).expect_err("refused").to_string(), expected);
    };
    check(
        Some(State::Offered),
        Act::Verify,
        Consumer,
        "the verification of the agreement by the consumer is not allowed in state OFFERED; the \
         consumer may send a contract request, the event ACCEPTED, a termination",
    );
    check(
        Some(State::Finalized),
        Act::Terminate,
        Provider,
        "a termination by the provider is not allowed in state FINALIZED; the provider may send \
         nothing",
    );
    check(
        None,
        Act::Agree,
        Provider,
        "the agreement by the provider is not allowed before the process exists; the provider may \
         send a contract offer",
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
    assert_eq!(State::from_name("requested"), None);
}

proptest! {
    #[test]
    fn no_sequence_leaves_the_table(
        steps in proptest::collection::vec((0..Act::ALL.len(), any::<bool>()), 0..40)
    ) {
        let mut state = None;
        for (act, consumer) in steps {
            let sender = if consumer { Consumer } else { Provider };
            let after = next(state, Act::ALL[act], sender);
            prop_assert_eq!(after.clone().ok(), expected(state, Act::ALL[act], sender, 2));
            if state.is_some_and(State::is_final) {
                prop_assert!(after.is_err());
            }
            // What we may send, a peer must be able to hear.
            if let Ok(sent) = next_sent(state, Act::ALL[act], sender) {
                prop_assert_eq!(after.clone(), Ok(sent));
            }
            state = after.ok().or(state);
        }
    }
}
