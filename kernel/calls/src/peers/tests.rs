use super::*;

/// What happens at a node that calls a peer.
enum Step {
    /// So many calls, under way together, get no connection.
    Unreached(u32),
    /// So many calls, under way together, get no answer; then the peer answers something.
    Slow(u32),
    /// So many calls, under way together, get no answer, and the peer answers nothing.
    Silent(u32),
    /// A call gets no answer, and its caller goes away before it knew whether the peer answers.
    Gone,
    /// A call is answered.
    Answered,
    /// A call is let through, and its caller goes away.
    Dropped,
    /// Seconds pass.
    Pass(i64),
    /// A call is let through, which is not over yet.
    Free,
    /// A call is refused for so many seconds.
    Spared(u64),
}

use Step::{Answered, Dropped, Free, Gone, Pass, Silent, Slow, Spared, Unreached};

#[track_caller]
fn check(steps: &[Step]) {
    let (peers, peer): (Peers, NodeId) = (Peers::default(), "PK/node/one".parse().expect("id"));
    let mut now = Timestamp::from_seconds(1_790_000_000);
    let (mut probes, mut number) = (Vec::new(), 0);
    let leave = |number: usize, now| match peers.admit(&peer, now) {
        Ok(leave) => leave,
        Err(left) => panic!("step {number}: spared for {left:?}"),
    };
    for step in steps {
        number += 1;
        let together = |count: &u32| (0..*count).map(|_| leave(number, now)).collect::<Vec<_>>();
        match step {
            Unreached(count) => together(count).into_iter().for_each(|it| it.unreached(now)),
            Slow(count) => {
                together(count).into_iter().filter_map(Leave::unanswered).for_each(Doubt::lives);
            }
            Silent(count) => {
                let doubts = together(count).into_iter().filter_map(Leave::unanswered);
                doubts.for_each(|doubt| doubt.silent(now));
            }
            Gone => drop(leave(number, now).unanswered()),
            Answered => leave(number, now).answered(),
            Dropped => drop(leave(number, now)),
            Pass(seconds) => {
                now = Timestamp::from_seconds(now.as_seconds() + seconds);
            }
            Free => probes.push(leave(number, now)),
            Spared(seconds) => {
                let left = peers.admit(&peer, now).err().map(|left| left.as_secs());
                assert_eq!(left, Some(*seconds), "step {number}");
            }
        }
    }
    let other = "PK/node/two".parse().expect("id");
    assert!(peers.admit(&other, now).is_ok(), "others are not concerned");
}

#[test]
fn a_peer_that_gives_no_connection_is_spared_and_probed() {
    check(&[Unreached(4), Free, Unreached(1), Spared(2), Pass(1), Spared(1)]);
    check(&[Unreached(4), Answered, Unreached(4), Free]);
    // One probe, for which the others wait; then the pauses double up to the longest.
    check(&[Unreached(5), Pass(2), Free, Spared(60)]);
    let mut steps = vec![Unreached(5)];
    for pause in [2_i64, 4, 8, 16, 32, 60, 60] {
        steps.extend([Spared(pause.unsigned_abs()), Pass(pause), Unreached(1)]);
    }
    check(&steps);
    check(&[Unreached(5), Pass(2), Unreached(1), Pass(4), Answered, Unreached(4), Free]);
    // The pauses begin anew after an answer.
    check(&[Unreached(5), Pass(2), Unreached(1), Pass(4), Answered, Unreached(5), Spared(2)]);
    // A probe whose caller goes away makes room for the next.
    check(&[Unreached(5), Pass(2), Dropped, Answered, Free]);
}

/// A network that fails for a moment, while many calls are under way, costs a moment.
#[test]
fn calls_that_were_under_way_together_begin_one_pause() {
    check(&[Unreached(50), Spared(2)]);
    check(&[Silent(50), Spared(2)]);
}

#[test]
fn a_peer_with_slow_systems_behind_it_is_not_spared() {
    check(&[Slow(5), Free]);
    check(&[Slow(50), Slow(50), Free]);
    check(&[Slow(5), Slow(4), Free]);
    // The same calls, while the peer answers nothing.
    check(&[Silent(4), Free, Silent(1), Spared(2)]);
    check(&[Silent(4), Unreached(1), Spared(2)]);
    // A probe that is slow shows as well that the peer is there again.
    check(&[Silent(5), Pass(2), Slow(1), Free, Slow(4), Free]);
    check(&[Unreached(5), Pass(2), Silent(1), Spared(4)]);
}

#[test]
fn a_doubt_whose_caller_goes_away_makes_room_for_the_next() {
    check(&[Silent(4), Gone, Gone, Free, Silent(1), Spared(2)]);
    check(&[Silent(5), Pass(2), Gone, Slow(1), Free]);
}

#[test]
fn a_clock_that_was_set_back_keeps_nobody_away() {
    check(&[Unreached(5), Spared(2), Pass(-10_000), Free]);
}
