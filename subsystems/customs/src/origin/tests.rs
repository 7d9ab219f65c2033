//! Whole evaluations, bad input, published rule sets, and laws that hold for all input.

use super::*;

mod published_sets;

#[test]
fn the_shipped_set_is_tidy() {
    let text = include_bytes!("../../data/origin/az-pk-pta.json");
    let set = RuleSet::parse("az-pk-pta.json", text).expect("valid");
    assert_eq!(set.findings(), []);
    assert_eq!(built_in(), Some(&set));
}
