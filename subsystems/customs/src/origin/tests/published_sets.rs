//! The two public rule sets: every code is answered, and the counts are stated.

use std::env;
use std::fs;
use std::path::Path;

use super::*;

/// Prints the rules of both sets, one line per sentence kind.
#[test]
fn every_code_of_both_sets_is_answered() {
    let Some(folder) = env::var_os("KARVAN_TEST_DATA") else {
        eprintln!("SKIPPED every_code_of_both_sets_is_answered: KARVAN_TEST_DATA is not set");
        return;
    };
    for name in ["uk-gsp.json", "uk-turkiye.json"] {
        let path = Path::new(&folder).join("customs/roo-examples").join(name);
        let set = published::parse_any(name, &fs::read(&path).expect("the set")).expect("valid");
        let mut seen = std::collections::BTreeSet::new();
        for e in &set.entries {
            let s = format!("{:?}", e.rule);
            if seen.insert(s.clone()) { eprintln!("{} {s}", e.id); }
        }
        let full = set.entries.iter().filter(|e| e.rule.is_machine_readable()).count();
        let part = set.entries.iter().filter(|e| e.rule.has_machine_part()).count();
        eprintln!("TOTAL {name} {} full {full} part {part}", set.entries.len());
    }
}
