use karvan_types::Timestamp;
use proptest::prelude::*;

use super::*;

fn seed() -> Seed {
    Seed::new(std::array::from_fn(|place| u8::try_from(place * 7 % 251).unwrap_or_default()))
}

fn terms(per_mille: u16) -> Terms {
    let day = |text: &str| text.parse().expect("a date");
    Terms {
        nation: "PK".to_owned(),
        from: day("2026-12-01"),
        until: day("2026-12-31"),
        per_mille,
        seed: seed(),
    }
}

fn exchange(n: u64) -> ExchangeId {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    ExchangeId::new(Timestamp::from_seconds(1_796_000_000), random)
}

fn revealed(count: u64) -> Revealed {
    let terms = terms(100);
    let consignments = (0..count).map(|n| {
        let (export, exchange) = (format!("AZ:EX-{n:05}"), exchange(n));
        let drawn = terms.draws(&export, &exchange);
        Drawn { export, exchange, drawn }
    });
    let consignments = consignments.collect();
    Revealed { commitment: terms.commitment(), exchange: exchange(0), consignments, terms }
}

#[test]
fn seeds_are_read_strictly() {
    let text = seed().to_hex();
    assert_eq!(text.parse::<Seed>(), Ok(seed()));
    let hidden = format!("{:?}", terms(1));
    assert!(!hidden.contains(&text), "{hidden}");
    for bad in ["", "00", &"0".repeat(64), &"ab".repeat(32), &text.to_uppercase(), &text[..63]] {
        assert!(bad.parse::<Seed>().is_err(), "{bad}");
    }
}

#[test]
fn everything_fixed_is_in_the_commitment() {
    let base = terms(30);
    let other = |change: fn(&mut Terms)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed.commitment()
    };
    assert_eq!(other(|_| ()), base.commitment());
    let changes: [fn(&mut Terms); 5] = [
        |terms| terms.nation = "AZ".to_owned(),
        |terms| terms.from = terms.until,
        |terms| terms.until = terms.from,
        |terms| terms.per_mille = 31,
        |terms| terms.seed = Seed::new(std::array::from_fn(|n| u8::from(n == 3))),
    ];
    for change in changes {
        assert_ne!(other(change), base.commitment());
    }
}

#[test]
fn a_manipulated_draw_is_found() {
    let honest = revealed(500);
    let drawn = verify(&honest, Some(honest.terms.commitment())).expect("honest");
    assert!((20..=90).contains(&drawn), "{drawn} of 500 at 100 of 1000");
    let check = |change: fn(&mut Revealed), wanted: &str| {
        let mut changed = honest.clone();
        change(&mut changed);
        let errors = verify(&changed, Some(honest.commitment)).expect_err(wanted);
        assert!(errors.iter().any(|e| e.to_string().contains(wanted)), "{errors:?}");
    };
    check(
        |r| {
            let spared = r.consignments.iter_mut().find(|one| one.drawn).expect("one");
            spared.drawn = false;
        },
        "was not drawn, but the seed says otherwise",
    );
    check(
        |r| {
            let picked = r.consignments.iter_mut().find(|one| !one.drawn).expect("one");
            picked.drawn = true;
        },
        "was drawn, but",
    );
    check(|r| r.terms.per_mille = 0, "was committed");
    check(|r| r.terms.seed = Seed::new(std::array::from_fn(|n| u8::from(n == 3))), "committed");
    // A file whose own digest was made to fit is caught by the document in the partner's hands.
    check(
        |r| {
            r.terms.per_mille = 0;
            r.commitment = r.terms.commitment();
            r.consignments.iter_mut().for_each(|one| one.drawn = false);
        },
        "was committed",
    );
    check(
        |r| {
            let first = r.consignments.first().expect("one").clone();
            r.consignments.push(first);
        },
        "stands twice",
    );
}

#[test]
fn the_edges_of_the_rate_draw_none_and_all() {
    for n in 0..2_000 {
        let (export, exchange) = (format!("AZ:{n}"), exchange(n));
        assert!(!terms(0).draws(&export, &exchange));
        assert!(terms(1000).draws(&export, &exchange));
    }
}

proptest! {
    #[test]
    fn a_higher_rate_only_adds(n: u64, low in 0_u16..=1000, high in 0_u16..=1000) {
        let (low, high) = (low.min(high), low.max(high));
        let (export, exchange) = (format!("AZ:{n}"), exchange(n));
        let few = terms(low).draws(&export, &exchange);
        let many = terms(high).draws(&export, &exchange);
        prop_assert!(!few || many);
    }
}
