//! The catalogue of bad input and fraud: every case gets the response that it must get.
//!
//! A case is a file `testdata/catalogue/NN-slug.json`; its format is in the README beside it.
//! `KARVAN_CASE=9 cargo test -p karvan-customs --test two_sides catalogue` plays case 9 alone.

mod case;
mod play;
mod source;
mod trust;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{env, fs};

use case::Case;

/// Cases of the catalogue.
const CASES: u32 = 55;
/// The cases without a file, one a line: number and what it is about.
const MISSING: &str = include_str!("../../testdata/catalogue/MISSING.txt");
/// Names the one case to play.
const ONLY: &str = "KARVAN_CASE";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/catalogue")
}

/// Returns every case with the name of its file, by number.
fn cases() -> Vec<(String, Case)> {
    let entries = fs::read_dir(folder()).expect("the folder of the catalogue");
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a case");
        let case = Case::read(&text).unwrap_or_else(|trouble| panic!("{name}: {trouble}"));
        found.push((name, case));
    }
    found.sort_by_key(|(name, case)| (case.number, name.clone()));
    found
}

#[tokio::test]
async fn every_case_gets_its_response() {
    let only: Option<u32> = env::var(ONLY).ok().map(|number| number.parse().expect("a number"));
    let mut troubles = Vec::new();
    for (name, case) in cases() {
        if only.is_none_or(|only| only == case.number)
            && let Err(trouble) = play::case(&case).await
        {
            troubles.push(format!("{name}: {trouble}"));
        }
    }
    assert!(troubles.is_empty(), "{}", troubles.join("\n\n"));
}

#[test]
fn what_is_missing_is_told() {
    let present: BTreeSet<u32> = cases().iter().map(|(_, case)| case.number).collect();
    let expected: Vec<u32> = (1..=CASES).filter(|number| !present.contains(number)).collect();
    let lines = MISSING.lines().filter(|line| !line.is_empty());
    let told: Vec<u32> = lines
        .map(|line| line.split(' ').next().and_then(|number| number.parse().ok()))
        .map(|number| number.expect("a number at the beginning of each line"))
        .collect();
    println!("missing of {CASES} cases: {expected:?}");
    assert_eq!(told, expected, "MISSING.txt lists exactly the cases that have no file");
}

#[test]
fn each_file_is_named_after_its_case() {
    for (name, case) in cases() {
        let number = name.split('-').next().and_then(|digits| digits.parse().ok());
        assert_eq!(number, Some(case.number), "{name}");
        assert!(name.starts_with(&format!("{:02}-", case.number)), "{name}");
        assert!((1..=CASES).contains(&case.number), "{name}");
    }
}
