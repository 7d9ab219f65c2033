//! Counts what a step's output says about its tests.

use std::collections::BTreeSet;

/// How many checks passed, failed, and were skipped, and why.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// The texts after `SKIPPED `.
    pub(super) reasons: BTreeSet<String>,
}

/// A test that lacks something prints this word, what it is, and why, on a line of its own.
const SKIPPED: &str = "SKIPPED ";

impl Counts {
    /// Counts the tests in the output of a step. Without result lines the step counts as one.
    pub(super) fn of(text: &str, passed: bool) -> Self {
        let mut counts = Self::default();
        let mut results = false;
        for line in text.lines() {
            if let Some(tail) = line.strip_prefix("test result: ") {
                results = true;
                counts.passed += number_before(tail, " passed");
                counts.failed += number_before(tail, " failed");
                counts.skipped += number_before(tail, " ignored");
            } else if let Some(reason) = line.strip_prefix(SKIPPED) {
                counts.reasons.insert(reason.to_owned());
            }
        }
        let told = counts.reasons.len() as u64;
        // Cargo takes a test that returns early for a passed one.
        counts.passed = counts.passed.saturating_sub(told);
        counts.skipped += told;
        if !passed {
            counts.failed = counts.failed.max(1);
        } else if !results && told == 0 {
            counts.passed = 1;
        }
        counts
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.reasons.extend(other.reasons.iter().cloned());
    }
}

/// Returns the number that stands right before `word`, 0 when there is none.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, passed: bool, expected: (u64, u64, u64)) {
        let counts = Counts::of(text, passed);
        assert_eq!((counts.passed, counts.failed, counts.skipped), expected, "{text}");
    }

    #[test]
    fn output_is_counted() {
        let one = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n";
        let two = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        check("", true, (1, 0, 0));
        check("", false, (0, 1, 0));
        check(one, true, (12, 0, 1));
        check(&format!("{one}{two}"), false, (15, 2, 1));
        check(one, false, (12, 1, 1));
        check(&format!("SKIPPED rates: no data\n{one}"), true, (11, 0, 2));
        check(&format!("SKIPPED a: x\nSKIPPED a: x\n{one}"), true, (11, 0, 2));
        check("SKIPPED the whole step: no data\n", true, (0, 0, 1));
        check("the word SKIPPED inside a line", true, (1, 0, 0));
        check("test result: ok. 0 passed; 0 failed; 0 ignored", true, (0, 0, 0));
    }

    #[test]
    fn counts_add_up() {
        let mut total = Counts::of("SKIPPED a: x\n", true);
        total.add(&Counts::of("", false));
        assert_eq!((total.passed, total.failed, total.skipped), (0, 1, 1));
        assert!(total.reasons.contains("a: x"));
    }
}
