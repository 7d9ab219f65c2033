//! The two public rule sets: every code is answered, and what can be evaluated is counted.

use std::env;

use super::*;
use crate::codes;

/// What became of the codes and ranges of one set.
#[derive(Debug, Default, Eq, PartialEq)]
struct Counts {
    ranges: usize,
    /// Ranges whose whole rule is evaluable, and those of which some part is.
    ranges_fully: usize,
    ranges_partly: usize,
    codes: usize,
    /// Codes all of whose rules are evaluable, codes with an evaluable part, and the rest.
    fully: usize,
    partly: usize,
    text_only: usize,
    /// Codes under several descriptions.
    several: usize,
    /// Codes of HS 2022 without a rule.
    without: usize,
}

fn set(name: &str) -> Option<RuleSet> {
    let folder = env::var_os("KARVAN_TEST_DATA")?;
    let path = Path::new(&folder).join("customs/roo-examples").join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(published::parse_any(name, &text).unwrap_or_else(|error| panic!("{error}")))
}

fn product(code: &str, entry: Option<&str>) -> Product {
    Product {
        goods: "goods".to_owned(),
        code: code.to_owned(),
        hs_edition: codes::HS_EDITION,
        produced_in: "TR".to_owned(),
        destination: "GB".to_owned(),
        entry: entry.map(str::to_owned),
        ex_works: Some(100.into()),
        net_mass: Some(100.into()),
        wholly_obtained: Some(None),
        materials: Some(vec![Material {
            name: "a material".to_owned(),
            code: "010121".to_owned(),
            hs_edition: codes::HS_EDITION,
            origin: Some("none".to_owned()),
            value: Some(99.into()),
            mass: Some(99.into()),
            ..Material::default()
        }]),
        processes: Some(Vec::new()),
        processes_complete: Some(true),
        ..Product::default()
    }
}

/// Asks every code of HS 2022 and counts.
fn ask(set: &RuleSet) -> Counts {
    let mut counts = Counts { ranges: set.entries.len(), ..Counts::default() };
    let is_full = |entry: &&Entry| entry.rule.is_machine_readable();
    counts.ranges_fully = set.entries.iter().filter(is_full).count();
    counts.ranges_partly =
        set.entries.iter().filter(|e| !is_full(e) && e.rule.has_machine_part()).count();
    for code in (10_000..980_000).map(|code| format!("{code:06}")) {
        if codes::hs(&code).is_none() {
            continue;
        }
        let found = set.find(&code).expect("a code");
        let rules: Vec<_> = found.entries.iter().chain(&found.additional).copied().collect();
        if rules.is_empty() {
            counts.without += 1;
            continue;
        }
        counts.codes += 1;
        counts.several += usize::from(found.entries.len() > 1);
        let report = evaluate(set, &product(&code, None));
        let text = serde_json::to_string(&report).expect("JSON");
        let [entry, ..] = found.entries.as_slice() else { panic!("{code}") };
        if rules.iter().all(|entry| entry.rule.is_machine_readable()) {
            counts.fully += 1;
            let named = evaluate(set, &product(&code, Some(&entry.id)));
            assert_ne!(named.origin, Verdict::NeedsPerson, "{code}: {text}");
        } else if rules.iter().any(|entry| entry.rule.has_machine_part()) {
            counts.partly += 1;
        } else {
            counts.text_only += 1;
            assert_eq!(report.origin, Verdict::NeedsPerson, "{code}: {text}");
            assert!(text.contains("rule text not machine-readable"), "{code}: {text}");
        }
    }
    counts
}

fn check(name: &str, expected: &Counts) {
    let Some(set) = set(name) else {
        eprintln!("SKIPPED published_sets {name}: KARVAN_TEST_DATA is not set");
        return;
    };
    let counts = ask(&set);
    eprintln!("{name}: {counts:?}");
    assert_eq!(counts, *expected, "{name}");
}

#[test]
fn every_code_of_the_preference_scheme_is_answered() {
    let expected = Counts {
        ranges: 293,
        ranges_fully: 196,
        ranges_partly: 73,
        codes: 5593,
        fully: 4643,
        partly: 619,
        text_only: 331,
        several: 106,
        without: 19,
    };
    check("uk-gsp.json", &expected);
}

#[test]
fn every_code_of_the_turkiye_agreement_is_answered() {
    let expected = Counts {
        ranges: 344,
        ranges_fully: 271,
        ranges_partly: 44,
        codes: 5519,
        fully: 4840,
        partly: 624,
        text_only: 55,
        several: 299,
        without: 93,
    };
    check("uk-turkiye.json", &expected);
}

/// Sentences as published, and what was read from them.
#[test]
fn sentences_of_both_dialects() {
    for (name, code, expected) in [
        ("uk-gsp.json", "740811", "Every material without origin is of another heading"),
        ("uk-gsp.json", "020110", "Needs a person"),
        ("uk-turkiye.json", "740811", "is at most 50 % of the ex-works price"),
        ("uk-turkiye.json", "730423", "and none is of 7213-7217, 7221-7223, 7225-7229"),
        ("uk-turkiye.json", "390110", "Chemical reaction [chemical-reaction]"),
        ("uk-turkiye.json", "330210", "those of 330210 may make up 20 %"),
        (
            "uk-turkiye.json",
            "200410",
            "of 1701, 1702 without origin is at most 40 % of the net mass",
        ),
    ] {
        let Some(set) = set(name) else {
            eprintln!("SKIPPED sentences_of_both_dialects: KARVAN_TEST_DATA is not set");
            return;
        };
        let report = evaluate(&set, &product(code, None));
        let text = serde_json::to_string(&report).expect("JSON");
        assert!(text.contains(expected), "{name} {code}: {text}");
    }
}
