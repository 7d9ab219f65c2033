//! The house rules that a compiler does not know, each a small function over the tree.
//!
//! A rule is a row of [`RULES`] with its remedy; it reports findings as file and line. What one
//! file is excused from stands in `exemptions.rs` with the reason, and an excuse that excuses
//! nothing is a finding itself, so the list only holds what is needed.
//!
//! Invariants: a rule changes nothing; each has a test that plants a violation and sees it found
//! (`every_rule_is_tried` below keeps count).
//!
//! Not here: formatting (`cargo fmt`), and what clippy can say (`Cargo.toml`, `clippy.toml`).

mod bans;
mod exemptions;
mod invariants;
mod manifests;
mod rings;
mod sizes;
mod testdata;
mod texts;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::workspace::Workspace;
use exemptions::{EXEMPTIONS, Exemption};

/// One rule.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// What holds, as a sentence.
    pub(crate) about: &'static str,
    /// What to do about a finding.
    pub(crate) remedy: &'static str,
    check: fn(&Workspace, &mut Findings),
}

/// All rules, grouped by what they look at.
pub(crate) const RULES: &[&[Rule]] = &[
    rings::RULES,
    manifests::RULES,
    bans::RULES,
    sizes::RULES,
    texts::RULES,
    invariants::RULES,
    testdata::RULES,
];

/// The name under which a useless exemption is reported.
const STALE: &str = "stale-exemption";

/// A place that breaks a rule.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Finding {
    path: String,
    /// Counted from 1; 0 means the file as a whole.
    line: usize,
    rule: &'static str,
    what: String,
    remedy: &'static str,
}

/// Collects what one rule finds.
struct Findings {
    rule: &'static str,
    remedy: &'static str,
    found: Vec<Finding>,
}

impl Findings {
    fn report(&mut self, path: &str, line: usize, what: String) {
        let (rule, remedy) = (self.rule, self.remedy);
        self.found.push(Finding { path: path.to_owned(), line, rule, what, remedy });
    }
}

/// What a run over the tree came to.
pub(crate) struct Outcome {
    findings: Vec<Finding>,
    rules: usize,
    files: usize,
    packages: usize,
    exemptions: usize,
}

impl Outcome {
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns the findings and the summary as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let Finding { path, line, rule, what, remedy } = finding;
            let place = if *line == 0 { path.clone() } else { format!("{path}:{line}") };
            let _ = writeln!(text, "{place}: [{rule}] {what}\n    remedy: {remedy}");
        }
        let _ = writeln!(
            text,
            "tidy: {} rules over {} files in {} packages, {} exemptions, {} findings",
            self.rules,
            self.files,
            self.packages,
            self.exemptions,
            self.findings.len()
        );
        text
    }
}

/// Checks all rules.
pub(crate) fn check(tree: &Workspace) -> Outcome {
    let mut findings: Vec<_> =
        RULES.iter().copied().flatten().flat_map(|rule| apply(rule, tree)).collect();
    findings = excuse(findings, EXEMPTIONS);
    findings.sort();
    Outcome {
        findings,
        rules: RULES.iter().copied().flatten().count(),
        files: tree.files.len(),
        packages: tree.packages.len(),
        exemptions: EXEMPTIONS.len(),
    }
}

/// Returns the rules as a Markdown table.
pub(crate) fn rule_table() -> String {
    let mut text = "| rule | what holds | remedy |\n| --- | --- | --- |\n".to_owned();
    for Rule { name, about, remedy, .. } in RULES.iter().copied().flatten() {
        let _ = writeln!(text, "| `{name}` | {about} | {remedy} |");
    }
    text
}

fn apply(rule: &Rule, tree: &Workspace) -> Vec<Finding> {
    let mut findings = Findings { rule: rule.name, remedy: rule.remedy, found: Vec::new() };
    (rule.check)(tree, &mut findings);
    findings.found
}

/// Takes away what is exempt, and adds the exemptions that took nothing away.
fn excuse(findings: Vec<Finding>, exemptions: &[Exemption]) -> Vec<Finding> {
    let mut used = BTreeSet::new();
    let excused = |finding: &Finding| {
        exemptions.iter().position(|exemption| exemption.covers(finding.rule, &finding.path))
    };
    let mut left = Vec::new();
    for finding in findings {
        match excused(&finding) {
            Some(index) => {
                used.insert(index);
            }
            None => left.push(finding),
        }
    }
    let stale = exemptions.iter().enumerate().filter(|(index, _)| !used.contains(index));
    left.extend(stale.map(|(_, exemption)| Finding {
        path: exemption.path.to_owned(),
        line: 0,
        rule: STALE,
        what: format!("nothing here breaks `{}`", exemption.rule),
        remedy: "delete its line in xtask/src/tidy/exemptions.rs",
    }));
    left
}

#[cfg(test)]
pub(crate) mod testkit {
    //! Plants trees for the rules' tests.

    use super::{RULES, apply};
    use crate::workspace::Workspace;

    /// Asserts that `rule` finds exactly `expected`, as `path:line`, in a tree of `files`.
    #[track_caller]
    pub(crate) fn check(rule: &str, files: &[(&str, &str)], expected: &[&str]) {
        assert_eq!(found(rule, &Workspace::planted(files)), expected, "{rule}: {files:?}");
    }

    /// Returns the places where `rule` finds something.
    #[track_caller]
    pub(crate) fn found(rule: &str, tree: &Workspace) -> Vec<String> {
        let rule = RULES.iter().copied().flatten().find(|known| known.name == rule);
        let findings = apply(rule.expect("a rule of this name"), tree);
        findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::File;

    fn finding(rule: &'static str, path: &str) -> Finding {
        let (path, what) = (path.to_owned(), String::new());
        Finding { path, line: 3, rule, what, remedy: "mend it" }
    }

    #[test]
    fn every_rule_is_tried() {
        let tree = Workspace::load().unwrap();
        let rules = |file: &&File| file.path.starts_with("xtask/src/tidy/");
        let lines: Vec<_> = tree.files.iter().filter(rules).flat_map(File::lines).collect();
        for rule in RULES.iter().copied().flatten() {
            let name = format!("\"{}\"", rule.name);
            let tried = lines.iter().any(|line| line.in_test && line.text.contains(&name));
            assert!(tried, "no test plants a violation of {name}");
        }
    }

    #[test]
    fn names_of_rules_are_unique() {
        let names: Vec<_> = RULES.iter().copied().flatten().map(|rule| rule.name).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn exemptions_excuse_once_named_and_are_reported_when_stale() {
        let exemptions = [
            Exemption { rule: "sizes", path: "a/b", reason: "tried here" },
            Exemption { rule: "sizes", path: "never", reason: "tried here" },
        ];
        let findings = vec![finding("sizes", "a/b/c.rs"), finding("width", "a/b/c.rs")];
        let left = excuse(findings, &exemptions);
        let seen: Vec<_> = left.iter().map(|f| (f.rule, f.path.as_str())).collect();
        assert_eq!(seen, [("width", "a/b/c.rs"), (STALE, "never")]);
    }

    #[test]
    fn findings_name_place_rule_and_remedy() {
        let findings = vec![finding("sizes", "a/b.rs")];
        let outcome = Outcome { findings, rules: 1, files: 2, packages: 3, exemptions: 4 };
        assert!(!outcome.is_clean());
        assert_eq!(
            outcome.text(),
            "a/b.rs:3: [sizes] \n    remedy: mend it\n\
             tidy: 1 rules over 2 files in 3 packages, 4 exemptions, 1 findings\n"
        );
    }
}
