//! Whole evaluations, bad input, published rule sets, and laws that hold for all input.

mod laws;
mod published_sets;

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::*;

/// A change of the files that the cases start from, by JSON pointer; null removes.
type Patch = Map<String, Value>;

fn testdata(name: &str) -> Vec<u8> {
    let path = format!("{}/testdata/origin/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn patched(name: &str, patch: &Patch) -> Vec<u8> {
    let mut file: Value = karvan_types::json::parse(&testdata(name)).expect("strict JSON");
    for (pointer, value) in patch {
        let (parent, field) = pointer.rsplit_once('/').expect("a JSON pointer");
        let target = file.pointer_mut(parent).unwrap_or_else(|| panic!("{name} has no {parent}"));
        let target = target.as_object_mut().unwrap_or_else(|| panic!("{parent} is no object"));
        if value.is_null() {
            assert!(target.remove(field).is_some(), "{name} has no {pointer}");
        } else {
            target.insert(field.to_owned(), value.clone());
        }
    }
    serde_json::to_vec(&file).expect("JSON")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    rule: Option<Value>,
    #[serde(default)]
    set: Patch,
    #[serde(default)]
    product: Patch,
    #[serde(default)]
    about: Option<String>,
    expect: Value,
    #[serde(default)]
    missing: Vec<String>,
    #[serde(default)]
    because: Vec<String>,
    actual: Option<String>,
    status: Option<Value>,
}

fn check(mut case: Case) {
    let name = &case.name;
    if let Some(rule) = case.rule {
        case.set.insert("/entries/0/rule".to_owned(), rule);
    }
    let set = RuleSet::parse("set.json", &patched("set.json", &case.set));
    let set = set.unwrap_or_else(|error| panic!("{name}: {error}"));
    let product = Product::parse("product.json", &patched("product.json", &case.product));
    let product = product.unwrap_or_else(|error| panic!("{name}: {error}"));
    let report = evaluate(&set, &product);
    let [origin, conditions] = report.steps.steps.as_slice() else { panic!("two branches") };
    let branch = if case.about.as_deref() == Some("conditions") { conditions } else { origin };
    let shown = serde_json::to_string_pretty(branch).expect("JSON");
    assert_eq!(
        serde_json::to_value(branch.verdict).expect("a word"),
        case.expect,
        "{name}: {shown}"
    );
    let facts = branch.open_facts();
    let places: Vec<_> = facts.iter().map(|fact| fact.pointer.as_str()).collect();
    if !case.missing.is_empty() || !branch.verdict.is_open() {
        assert_eq!(places, case.missing, "{name}: {shown}");
    }
    for key in &case.because {
        assert!(shown.contains(&format!("\"key\": \"{key}\"")), "{name} lacks {key}: {shown}");
    }
    if let Some(actual) = &case.actual {
        assert!(shown.contains(&format!("\"actual\": \"{actual}\"")), "{name}: {shown}");
    }
    if let Some(status) = case.status {
        assert_eq!(serde_json::to_value(branch.status()).expect("a word"), status, "{name}");
    }
    assert_eq!(branch.verdict.is_open(), !facts.is_empty(), "{name}: an open verdict names facts");
    assert!(!shown.contains("{?}") && !shown.contains("?."), "{name}: {shown}");
}

#[test]
fn cases() {
    let cases: Vec<Case> = serde_json::from_slice(&testdata("cases.json")).expect("cases");
    assert!(cases.len() >= 40, "{} cases", cases.len());
    cases.into_iter().for_each(check);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    file: String,
    #[serde(default)]
    patch: Patch,
    text: Option<String>,
    at: Option<String>,
    says: String,
}

#[test]
fn bad_input_is_refused_with_place_rule_and_remedy() {
    let table: Vec<Bad> = serde_json::from_slice(&testdata("bad.json")).expect("table");
    assert!(table.len() >= 20, "{} rows", table.len());
    for bad in table {
        let name = format!("{} {:?} {:?}", bad.file, bad.patch, bad.text);
        let file = format!("{}.json", bad.file);
        let text = bad.text.map_or_else(|| patched(&file, &bad.patch), String::into_bytes);
        let refused = match bad.file.as_str() {
            "product" => Product::parse(&file, &text).map(drop),
            _ => published::parse_any(&file, &text).map(drop),
        };
        let error = refused.expect_err(&name);
        assert!(error.to_string().contains(&bad.says), "{name}: {error}");
        assert!(error.to_string().starts_with(&file), "{name}: {error}");
        match (&error, bad.at) {
            (Error::Refused { problems, .. }, Some(at)) => {
                let hit = problems.iter().find(|problem| problem.pointer == at);
                assert!(hit.is_some_and(|p| !p.remedy.is_empty()), "{name}: {error}");
            }
            (_, at) => assert_eq!(at, None, "{name}: {error}"),
        }
    }
}

#[test]
fn the_shipped_set_is_tidy() {
    let text = include_bytes!("../../data/origin/az-pk-pta.json");
    let set = RuleSet::parse("az-pk-pta.json", text).expect("valid");
    assert_eq!(set.findings(), []);
    assert_eq!(built_in(), Some(&set));
    let surest = set.entries.iter().map(|entry| entry.basis.status).min();
    // The official text is not public, so nothing may pretend to be from it.
    assert!(surest >= Some(crate::tariff::Status::Analogue), "{surest:?}");
}

#[test]
fn common_rules_are_said_in_words() {
    let words = |set: &RuleSet| -> Vec<_> {
        set.common_rules().iter().map(|(sentence, _)| sentence.english()).collect()
    };
    let shipped = words(built_in().expect("valid"));
    assert_eq!(shipped.len(), 9, "{shipped:#?}");
    let test_set = RuleSet::parse("set.json", &testdata("set.json")).expect("valid");
    let said = words(&test_set);
    for expected in [
        "In force from 2024-12-16 until 2030-12-31.",
        "Originating materials of AZ, PK count as its own, with a proof of origin.",
        "Materials up to 10 % of the ex-works price may break a rule on classification, but not \
         for goods of 50-63.",
        "The certificate is valid for 12 months from its issue.",
    ] {
        assert!(said.iter().any(|one| one == expected), "{expected}: {said:#?}");
    }
    assert!(shipped.iter().chain(&said).all(|one| !one.contains(['{', '?'])), "{shipped:#?}");
}

#[test]
fn headlines_say_why() {
    let set = RuleSet::parse("set.json", &testdata("set.json")).expect("valid");
    let product = |patch: &[(&str, Value)]| {
        let patch = patch.iter().map(|(at, value)| ((*at).to_owned(), value.clone())).collect();
        Product::parse("product.json", &patched("product.json", &patch)).expect("valid")
    };
    for (patch, expected) in [
        (
            vec![],
            "Originating, and the conditions of the claim are met. By: Rule wire for copper wire \
             (7408)",
        ),
        (
            vec![("/processes/done", Value::from(vec!["packing"]))],
            "Not originating. More than minimal operations are done: Only minimal operations are \
             done: packing.",
        ),
        (
            vec![("/certificate/presented", Value::from("2027-03-06"))],
            "Originating, but a condition of the claim is not met. The certificate is valid when \
             it is presented: Presented on 2027-03-06, but valid until 2027-03-05.",
        ),
        (
            vec![("/materials", Value::Null), ("/destination", Value::from("GE"))],
            "The claim does not hold, whether the goods originate or not. The goods go to another \
             party: They go to GE, which is no party.",
        ),
        (
            vec![("/materials", Value::Null)],
            "It cannot be said whether the goods originate: facts are missing.",
        ),
    ] {
        assert_eq!(evaluate(&set, &product(&patch)).headline.english(), expected);
    }
}

#[test]
fn the_narrowest_entry_holds() {
    let set = built_in().expect("valid");
    for (code, expected) in [
        ("740811", "copper-wire"),
        ("7408.11 00", "copper-wire"),
        ("740710", "general"),
        ("080222", "hazelnuts"),
        ("080221", "general"),
        ("730423", "oil-pipes"),
    ] {
        let found = set.find(code).expect(code);
        let ids: Vec<_> = found.entries.iter().map(|entry| entry.id.as_str()).collect();
        assert_eq!(ids, [expected], "{code}");
    }
    assert!(set.find("7408").is_err());
}

#[test]
fn overlaps_and_gaps_are_reported() {
    let wire = |codes: &[&str], id: &str| {
        serde_json::json!({ "id": id, "codes": codes, "goods": "x", "rule": { "text": "y" },
            "status": "official", "source": "made-up" })
    };
    let entries = serde_json::json!([
        wire(&["01-73", "75-97"], "most"),
        wire(&["7401-7405"], "first"),
        wire(&["7404-7419"], "second"),
        wire(&["7408"], "inner"),
    ]);
    let patch = [("/entries".to_owned(), entries)].into_iter().collect();
    let set = RuleSet::parse("set.json", &patched("set.json", &patch)).expect("valid");
    let found: Vec<_> = set.findings();
    let overlap = Finding::Overlap {
        first: "first".to_owned(),
        second: "second".to_owned(),
        codes: "7401-7405".to_owned(),
        others: "7404-7419".to_owned(),
    };
    assert_eq!(found.first(), Some(&overlap), "{found:?}");
    let texts = found.iter().filter(|one| matches!(one, Finding::Text { partly: false, .. }));
    assert_eq!(texts.count(), 4);
    let none = [("/entries".to_owned(), serde_json::json!([wire(&["01-83"], "a")]))];
    let none = none.into_iter().collect();
    let set = RuleSet::parse("set.json", &patched("set.json", &none)).expect("valid");
    let gap = set.findings().into_iter().find(|one| matches!(one, Finding::Gap { .. }));
    let Some(Finding::Gap { from, to, count }) = gap else { panic!("no gap") };
    assert!(
        from.starts_with("8401") && to.starts_with("97") && count > 1000,
        "{from} {to} {count}"
    );
}

/// The samples are in the folder of samples, each with the verdict that its text promises.
#[test]
fn samples_do_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/origin");
    let mut count = 0;
    for file in fs::read_dir(&folder).expect("samples").map(|file| file.expect("a file").path()) {
        let text = fs::read(&file).expect("a sample");
        let name = file.display().to_string();
        let product = Product::parse(&name, &text).unwrap_or_else(|error| panic!("{error}"));
        let report = evaluate(built_in().expect("valid"), &product);
        let about: Value = serde_json::from_slice(&text).expect("JSON");
        let about = about["about"].as_str().expect("about").to_owned();
        let (origin, claim) = (word(report.origin), word(report.preference));
        assert!(about.starts_with("Fictitious"), "{name}");
        let promise = format!("Origin: {origin}. Claim: {claim}.");
        assert!(about.ends_with(&promise), "{name}: {promise}\n{:#?}", report.missing);
        assert!(report.status >= Some(crate::tariff::Status::Analogue) || claim != "met");
        count += 1;
    }
    assert!(count >= 6, "{count} samples");
}

fn word(verdict: Verdict) -> String {
    serde_json::to_value(verdict).ok().and_then(|v| v.as_str().map(str::to_owned)).expect("a word")
}
