//! What a person should look at in a rule set: overlaps, gaps, texts.

use serde::Serialize;

use super::{RuleSet, is_inside};
use crate::codes;
use crate::origin::codes::CodeRange;

/// Most findings of one kind.
const FINDINGS_MAX: usize = 200;
/// First and last code of goods: chapters 01 to 97, filled up to ten digits.
const GOODS: (u64, u64) = (100_000_000, 9_799_999_999);
/// Ten-digit codes that begin with the same six digits.
const SIX_DIGITS: u64 = 10_000;

/// Something to look at; none of it makes the set unusable.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
#[non_exhaustive]
pub enum Finding {
    /// Two entries cover some codes and neither is narrower: the description must decide.
    Overlap {
        /// Id of an entry.
        first: String,
        /// Id of another.
        second: String,
        /// Codes of the first.
        codes: String,
        /// Codes of the second.
        others: String,
    },
    /// Codes of the Harmonized System without an entry.
    Gap {
        /// First six-digit code.
        from: String,
        /// Last six-digit code.
        to: String,
        /// How many six-digit codes.
        count: usize,
    },
    /// A rule holds words that only a person can read.
    Text {
        /// Id of the entry.
        entry: String,
        /// Whether the other parts of the rule are machine-readable.
        partly: bool,
    },
}

pub(super) fn findings(set: &RuleSet) -> Vec<Finding> {
    let mut found = overlaps(set);
    // The list of codes in this program is of one edition.
    if set.hs_edition == codes::HS_EDITION {
        found.extend(gaps(set));
    }
    found.extend(set.entries.iter().filter(|entry| !entry.rule.is_machine_readable()).map(
        |entry| Finding::Text { entry: entry.id.clone(), partly: entry.rule.has_machine_part() },
    ));
    found
}

fn overlaps(set: &RuleSet) -> Vec<Finding> {
    let main = set.entries.iter().filter(|entry| !entry.additional);
    let mut ranges: Vec<_> =
        main.flat_map(|entry| entry.codes.iter().map(move |range| (entry, range))).collect();
    ranges.sort_by_key(|(_, range)| range.span());
    let mut found = Vec::new();
    for (index, (first, range)) in ranges.iter().enumerate() {
        let later = ranges.iter().skip(index + 1);
        for (second, other) in later.take_while(|(_, other)| other.span().0 <= range.span().1) {
            let narrows = is_inside(range, other) || is_inside(other, range);
            if !narrows && found.len() < FINDINGS_MAX {
                found.push(Finding::Overlap {
                    first: first.id.clone(),
                    second: second.id.clone(),
                    codes: range.to_string(),
                    others: other.to_string(),
                });
            }
        }
    }
    found
}

fn gaps(set: &RuleSet) -> Vec<Finding> {
    let main = set.entries.iter().filter(|entry| !entry.additional);
    let mut spans: Vec<_> = main.flat_map(|entry| &entry.codes).map(CodeRange::span).collect();
    spans.sort_unstable();
    let mut found = Vec::new();
    let mut next = GOODS.0;
    for (first, last) in spans.into_iter().chain([(GOODS.1 + 1, GOODS.1 + 1)]) {
        if next < first && found.len() < FINDINGS_MAX {
            found.extend(gap(next, first));
        }
        next = next.max(last + 1);
    }
    found
}

/// Returns the gap when it holds codes of the Harmonized System; `end` is the first code after it.
fn gap(from: u64, end: u64) -> Option<Finding> {
    let sixes = (from.div_ceil(SIX_DIGITS)..end / SIX_DIGITS).map(|six| format!("{six:06}"));
    let lacking: Vec<_> = sixes.filter(|six| codes::hs(six).is_some()).collect();
    let (from, to) = (lacking.first()?.clone(), lacking.last()?.clone());
    Some(Finding::Gap { from, to, count: lacking.len() })
}
