use std::collections::BTreeMap;
use std::convert::Infallible;

use super::*;
use crate::Quota;

/// What is on the disk of a node: portions by their places.
type Written = BTreeMap<usize, Portion>;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_040 + seconds)
}

fn put(written: &mut Written) -> impl FnMut(Portion) -> Result<(), Infallible> {
    |portion| {
        written.insert(portion.place, portion);
        Ok(())
    }
}

/// Takes and makes a call; returns whether the allowance had one.
fn call(meter: &Meter, written: &mut Written, now: Timestamp) -> bool {
    let taken = meter.take(now).is_ok();
    if taken {
        meter.keep(now, put(written)).unwrap_or_else(|never| match never {});
    }
    taken
}

/// Starts a process on what is written.
fn start(quota: Quota, written: &Written, now: Timestamp) -> Meter {
    let meter = Meter::new(quota);
    for portion in written.values().filter(|portion| now < portion.until) {
        meter.restore(portion.began, portion.calls);
    }
    meter
}

/// A caller that asks each `step` seconds, of a node that is killed after each `life` seconds:
/// in no period more passes than the allowance, and in all at most `lost` for each kill less than
/// would have without.
#[track_caller]
fn check(calls: u32, per: Period, (step, life): (usize, i64), lost: usize) {
    let quota = Quota { calls, per };
    let period = i64::try_from(per.duration().as_secs()).expect("few");
    let times = || (0..period * 5 / 2).step_by(step);
    let undisturbed = Meter::new(quota);
    let expected = times().filter(|second| undisturbed.take(at(*second)).is_ok()).count();
    let (mut written, mut meter, mut born, mut kills) = (Written::new(), Meter::new(quota), 0, 0);
    let mut made = Vec::new();
    for second in times() {
        if second - born >= life {
            (meter, born, kills) = (start(quota, &written, at(second)), second, kills + 1);
        }
        if call(&meter, &mut written, at(second)) {
            made.push(second);
        }
    }
    let before = |end: &i64| made.partition_point(|it| *it <= end - period);
    let most = made.iter().enumerate().map(|(number, end)| number + 1 - before(end)).max();
    let most = most.expect("some pass");
    let what = format!("{quota}, asked each {step} s, killed {kills} times each {life} s");
    assert!(most <= usize::try_from(calls).expect("few"), "{most} in a period: {what}");
    assert!(made.len() <= expected, "{} of {expected}: {what}", made.len());
    assert!(made.len() + kills * lost >= expected, "{} of {expected}: {what}", made.len());
}

#[test]
fn a_killed_process_gives_no_allowance_back() {
    for life in [1, 7, 100, 3_000] {
        // Small allowances are written call by call: nothing is lost.
        check(2, Period::Minute, (1, life), 0);
        check(30, Period::Minute, (1, life), 0);
        check(5, Period::Hour, (60, life), 0);
    }
    for life in [50, 333, 40_000] {
        check(600, Period::Hour, (1, life), 5);
        check(1_500, Period::Hour, (1, life), 14);
        check(20_000, Period::Day, (4, life), 63);
    }
}

#[test]
fn most_calls_are_written_with_others() {
    let cases = [
        (50, Period::Day, 1, 50),
        (1_000, Period::Day, 10, 100),
        (60_000, Period::Day, 64, 938),
        (1_000, Period::Second, 0, 0),
    ];
    for (calls, per, first, writes) in cases {
        let (meter, mut written, mut count) = (Meter::new(Quota { calls, per }), Vec::new(), 0);
        for _ in 0..calls {
            let write = |portion: Portion| {
                written.push(portion.calls);
                count += 1;
                Ok::<_, Infallible>(())
            };
            assert_eq!(meter.keep(at(0), write), Ok(()));
        }
        assert_eq!((written.first().copied().unwrap_or(0), count), (first, writes), "{calls}");
        assert!(written.iter().all(|it| *it <= calls), "{written:?}");
    }
}

/// A part that is over is written as it was, and a call that comes late counts in the newest one.
#[test]
fn a_part_that_is_over_is_exact() {
    let quota = Quota { calls: 1_000, per: Period::Hour };
    let (meter, mut written) = (Meter::new(quota), Written::new());
    let counts = |written: &Written| {
        let mut counts: Vec<_> = written.values().map(|it| (it.began, it.calls)).collect();
        counts.sort();
        counts
    };
    assert!(call(&meter, &mut written, at(0)));
    assert_eq!(counts(&written), [(at(0), 10)]);
    assert!(call(&meter, &mut written, at(60)));
    assert!(call(&meter, &mut written, at(59)));
    assert_eq!(counts(&written), [(at(0), 1), (at(60), 10)]);
    let again = start(quota, &written, at(70));
    assert_eq!(again.take(at(70)).map(|left| left.remaining), Ok(1_000 - 11 - 1));
    // An hour and a part later the first is free, and its place taken by another.
    assert!(call(&again, &mut written, at(60 * 61)));
    assert_eq!(counts(&written), [(at(60), 10), (at(60 * 61), 10)]);
}

#[test]
fn what_cannot_be_written_is_not_counted_as_written() {
    let quota = Quota { calls: 1_000, per: Period::Hour };
    let (meter, mut written) = (Meter::new(quota), Written::new());
    assert_eq!(meter.keep(at(0), |_| Err("full")), Err("full"));
    assert!(call(&meter, &mut written, at(0)));
    assert_eq!(written.len(), 1, "the next call writes");
    assert_eq!(meter.keep(at(60), |_| Err("full")), Err("full"));
    assert!(call(&meter, &mut written, at(60)));
    assert_eq!(written.values().map(|it| it.calls).sum::<u32>(), 11);
}
