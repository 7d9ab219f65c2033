use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_seconds(1_790_000_000).plus(Duration::from_millis(millis))
}

/// Makes calls one after the other; `true` succeeds.
fn calls(breaker: &Arc<Breaker>, millis: u64, outcomes: &[bool]) {
    for (number, success) in outcomes.iter().enumerate() {
        let pass = breaker.admit(at(millis)).unwrap_or_else(|open| panic!("{number}: {open}"));
        if *success { pass.succeeded(at(millis)) } else { pass.failed(at(millis)) }
    }
}

fn failing() -> Arc<Breaker> {
    let breaker = Arc::new(Breaker::default());
    calls(&breaker, 0, &[false; CALLS_MIN as usize]);
    assert!(breaker.is_open());
    breaker
}

#[test]
fn half_of_enough_calls_open_it() {
    for (outcomes, open) in [
        (&[false; 9][..], false),
        (&[false; 10][..], true),
        (&[true, true, true, true, true, true, false, false, false, false, false][..], false),
        (&[true, true, true, true, true, false, false, false, false, false][..], true),
    ] {
        let breaker = Arc::new(Breaker::default());
        calls(&breaker, 0, outcomes);
        assert_eq!(breaker.is_open(), open, "{outcomes:?}");
    }
}

#[test]
fn old_calls_are_forgotten() {
    for (later, open) in [(9_999, true), (10_000, true), (20_000, false)] {
        let breaker = Arc::new(Breaker::default());
        calls(&breaker, 0, &[false; 9]);
        calls(&breaker, later, &[false]);
        assert_eq!(breaker.is_open(), open, "{later} ms");
    }
}

#[test]
fn one_probe_at_a_time_closes_it_or_doubles_the_pause() {
    let breaker = failing();
    let open = breaker.admit(at(1)).expect_err("open");
    assert_eq!(open.retry_after, Duration::from_secs(2));
    assert_eq!(Rejection::from(open).kind, ErrorKind::PeerUnavailable);
    let mut now = 2_000;
    for pause in [4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let probe = breaker.admit(at(now)).expect("the probe");
        assert!(breaker.admit(at(now)).is_err(), "a second probe");
        probe.failed(at(now));
        assert!(breaker.admit(at(now + pause - 1)).is_err());
        now += pause;
    }
    breaker.admit(at(now)).expect("the probe").succeeded(at(now));
    assert!(!breaker.is_open());
    // It starts afresh: one failure after a hundred old ones does not open it.
    calls(&breaker, now, &[false; 5]);
    assert!(!breaker.is_open());
}

#[test]
fn a_lost_probe_and_a_clock_set_back_do_not_keep_it_open() {
    let breaker = failing();
    drop(breaker.admit(at(2_000)).expect("the probe"));
    breaker.admit(at(2_000)).expect("the next probe").succeeded(at(2_000));
    assert!(!breaker.is_open());

    let breaker = failing();
    let earlier = Timestamp::from_seconds(1_700_000_000);
    breaker.admit(earlier).expect("the probe").succeeded(earlier);
    assert!(!breaker.is_open());
}

#[test]
fn services_do_not_share_a_breaker() {
    let breakers = Breakers::default();
    let member: MemberId = "PK/GOV/FBR/customs".parse().expect("a member");
    calls(&breakers.of(&member, "pets"), 0, &[false; 10]);
    assert!(breakers.of(&member, "pets").is_open());
    assert!(!breakers.of(&member, "wolves").is_open());
}
