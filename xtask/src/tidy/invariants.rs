//! The numbered invariants of `ARCHITECTURE.md`: each is named by a test or by a rule here.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Rule};
use crate::workspace::{File, Line, Workspace};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "invariants-tested",
        about: "Every invariant of ARCHITECTURE.md is named by a test or a tidy rule.",
        remedy: "write a test that fails when the invariant breaks, and name the number in it",
        check: invariants_tested,
    },
    Rule {
        name: "invariants-known",
        about: "Every invariant that code or docs name stands in ARCHITECTURE.md, once.",
        remedy: "correct the number, or write the invariant down",
        check: invariants_known,
    },
];

const HOME: &str = "ARCHITECTURE.md";
const MARK: &str = "INV-";
/// An invariant is defined on a line that begins so, followed by its number.
const DEFINITION: &str = "- **INV-";

fn invariants_tested(tree: &Workspace, findings: &mut Findings) {
    let mut named = BTreeSet::new();
    for file in tree.files.iter().filter(|file| matches!(file.extension(), "rs" | "py" | "go")) {
        let rule = file.path.starts_with("xtask/src/tidy");
        let lines = file.lines();
        let tests = lines.iter().filter(|line| line.in_test || rule);
        named.extend(tests.flat_map(|line| named_in(file, line)));
    }
    for (number, line) in defined(tree) {
        if !named.contains(&number) {
            findings.report(HOME, line, format!("no test names {MARK}{number}"));
        }
    }
}

fn invariants_known(tree: &Workspace, findings: &mut Findings) {
    let defined = defined(tree);
    let speaks = |file: &&File| matches!(file.extension(), "rs" | "md" | "py" | "go");
    for file in tree.files.iter().filter(speaks) {
        for line in file.lines() {
            for number in named_in(file, &line) {
                if !defined.contains_key(&number) {
                    let what = format!("{HOME} defines no {MARK}{number}");
                    findings.report(&file.path, line.number, what);
                }
            }
        }
    }
    for (line, number) in definitions(tree) {
        if defined.get(&number) != Some(&line) {
            findings.report(HOME, line, format!("{MARK}{number} is defined twice"));
        }
    }
}

/// Returns the lines that define an invariant, with its number.
fn definitions(tree: &Workspace) -> Vec<(usize, u32)> {
    let text = tree.file(HOME).map_or("", File::text);
    let lines = text.lines().enumerate().filter(|(_, text)| text.starts_with(DEFINITION));
    lines
        .filter_map(|(index, text)| numbers(text).first().map(|&number| (index + 1, number)))
        .collect()
}

/// Returns each defined number with the first line that defines it.
fn defined(tree: &Workspace) -> BTreeMap<u32, usize> {
    let mut first = BTreeMap::new();
    for (line, number) in definitions(tree) {
        first.entry(number).or_insert(line);
    }
    first
}

/// Returns the invariants that a line names in its comment, or as the name of a test
/// (`inv_3_…`). A string is no name: an invoice may be called so too.
fn named_in(file: &File, line: &Line<'_>) -> Vec<u32> {
    let mut named = numbers(file.remarks(line));
    named.extend(line.text.split("fn inv_").skip(1).filter_map(leading_number));
    named
}

fn numbers(text: &str) -> Vec<u32> {
    text.split(MARK).skip(1).filter_map(leading_number).collect()
}

fn leading_number(text: &str) -> Option<u32> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::testkit::check;
    use super::MARK;

    /// Checks a tree of an architecture that defines 1 and 10, and one other file. The text is
    /// written with `#` for the mark and `%` for the name of a test, so that this file itself names
    /// no invariant.
    #[track_caller]
    fn at(rule: &str, path: &str, text: &str, expected: &[&str]) {
        let text = text.replace('#', MARK).replace('%', "fn inv_");
        let home = format!("# A\n\n- **{MARK}1** one\n- **{MARK}10** ten\n");
        check(rule, &[("ARCHITECTURE.md", &home), (path, &text)], expected);
    }

    #[test]
    fn invariants_need_a_test() {
        let at = |path, text, expected| at("invariants-tested", path, text, expected);
        at("a/tests/a.rs", "// #1 and #10\n", &[]);
        at("a/tests/a.rs", "%1_x() {}\n%10_y() {}\n", &[]);
        at("a/tests/a.rs", "// #10\n", &["ARCHITECTURE.md:3"]);
        at("xtask/src/tidy/a.rs", "//! #10 and #1\n", &[]);
        let both = &["ARCHITECTURE.md:3", "ARCHITECTURE.md:4"];
        at("a/src/a.rs", "// #1 and #10 are only mentioned\n", both);
        at("a/tests/a.rs", "// #100\n", both);
        at("a/tests/a.rs", "let invoices = [\"#1\", \"#10\"];\n", both);
    }

    #[test]
    fn invariants_need_a_definition() {
        let at = |path, text, expected| at("invariants-known", path, text, expected);
        at("a/src/a.rs", "// #1\n", &[]);
        at("a/src/a.rs", "\n// #2\n", &["a/src/a.rs:2"]);
        at("docs/a.md", "#11\n", &["docs/a.md:1"]);
        at("a/src/a.rs", "let invoice = \"#11\";\n", &[]);
        let twice = format!("- **{MARK}1** a\n- **{MARK}1** b\n");
        check("invariants-known", &[("ARCHITECTURE.md", &twice)], &["ARCHITECTURE.md:2"]);
    }
}
