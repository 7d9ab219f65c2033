//! Words and paths that no text of the project holds, and links that lead nowhere.

use std::collections::BTreeSet;

use super::bans::holds_word;
use super::{Findings, Rule};
use crate::workspace::{File, Line, Workspace};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "machine-paths",
        about: "No path of somebody's machine.",
        remedy: "take the folder from an argument, a temporary directory or an environment \
                 variable",
        check: machine_paths,
    },
    Rule {
        name: "banned-words",
        about: "No word that puts work off or hides it.",
        remedy: "do it now, or open an issue and write `TODO(#number)`",
        check: banned_words,
    },
    Rule {
        name: "dead-links",
        about: "Every relative link in a Markdown file leads to a file or folder of the tree.",
        remedy: "mend or delete the link",
        check: dead_links,
    },
];

const MACHINE_PATHS: &[&str] = &["/work/", "/home/", "/root/", "/Users/"];

/// A word, whether it is only sought in comments, and why it is banned.
struct Word {
    text: &'static str,
    in_comments: bool,
    reason: &'static str,
}

/// `XXX` is also the code of no currency (ISO 4217), so words of remarks are sought in comments.
const WORDS: &[Word] = &[
    Word { text: "FIXME", in_comments: true, reason: "mend it before the commit" },
    Word { text: "XXX", in_comments: true, reason: "say what is wrong, in an issue" },
    Word { text: "hack", in_comments: true, reason: "say why it is needed, or do it well" },
    Word { text: "unimplemented!", in_comments: false, reason: "it panics when called" },
    Word { text: "todo!", in_comments: false, reason: "it panics when called" },
    Word { text: "dbg!", in_comments: false, reason: "it prints what may be personal data" },
];

fn machine_paths(tree: &Workspace, findings: &mut Findings) {
    for file in tree.files.iter().filter(|file| !file.is_testdata()) {
        for line in file.lines() {
            for path in MACHINE_PATHS.iter().filter(|path| begins_path(line.text, path)) {
                findings.report(&file.path, line.number, format!("`{path}` is a machine's path"));
            }
        }
    }
}

/// Returns whether `text` holds `path` from the root, not as the tail of a longer one.
fn begins_path(text: &str, path: &str) -> bool {
    let longer = |letter: char| letter.is_alphanumeric() || "._-}~*/".contains(letter);
    let before = text.match_indices(path).map(|(at, _)| text.get(..at).unwrap_or_default());
    before.map(|rest| rest.chars().next_back()).any(|last| !last.is_some_and(longer))
}

fn banned_words(tree: &Workspace, findings: &mut Findings) {
    let written = |file: &&File| {
        matches!(file.extension(), "rs" | "md" | "py" | "go" | "sh" | "toml") && !file.is_testdata()
    };
    for file in tree.files.iter().filter(written) {
        for line in file.lines() {
            for reason in banned_in(&line, file.remarks(&line)) {
                findings.report(&file.path, line.number, reason);
            }
        }
    }
}

fn banned_in(line: &Line<'_>, remarks: &str) -> Vec<String> {
    let place = |word: &Word| if word.in_comments { remarks } else { line.code() };
    let found = WORDS.iter().filter(|word| holds_word(place(word), word.text));
    let mut reasons: Vec<_> =
        found.map(|Word { text, reason, .. }| format!("`{text}`: {reason}")).collect();
    if holds_word(remarks, "TODO") && !remarks.contains("TODO(#") {
        reasons.push("`TODO` without an issue's number".to_owned());
    }
    reasons
}

fn dead_links(tree: &Workspace, findings: &mut Findings) {
    let mut known = BTreeSet::new();
    for file in &tree.files {
        let slashes = file.path.match_indices('/').map(|(at, _)| at);
        known.extend(slashes.filter_map(|at| file.path.get(..at)));
        known.insert(file.path.as_str());
    }
    let markdown = |file: &&File| file.extension() == "md" && !file.is_testdata();
    for file in tree.files.iter().filter(markdown) {
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, text) in file.text().lines().enumerate() {
            for link in links(text) {
                let target = resolve(folder, link);
                if !target.is_some_and(|target| known.contains(target.as_str())) {
                    findings.report(&file.path, index + 1, format!("`{link}` leads nowhere"));
                }
            }
        }
    }
}

/// Returns the relative targets of the links in a line of Markdown, without their fragments.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets.filter(|target| !target.is_empty() && !target.contains(':'))
}

/// Joins a link to the folder of its file; `None` when it leaves the tree.
fn resolve(folder: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::testkit::check;

    #[track_caller]
    fn at(rule: &str, path: &str, line: &str, found: bool) {
        let place = format!("{path}:1");
        let expected = if found { vec![place.as_str()] } else { vec![] };
        check(rule, &[(path, line)], &expected);
    }

    #[test]
    fn paths_of_machines() {
        let at = |path, line, found| at("machine-paths", path, line, found);
        at("a/src/a.rs", "open(\"/home/me/data\")", true);
        at("docs/a.md", "in /home/somebody/karvan", true);
        at(".ci/run", "cd /root/karvan", true);
        at("docs/a.md", "see docs/work/plan.md", false);
        at("docs/a.md", "https://a.example/home/", false);
        at("a/testdata/a.txt", "/home/", false);
    }

    #[test]
    fn words_that_put_off() {
        let at = |path, line, found| at("banned-words", path, line, found);
        at("a/src/a.rs", "// FIXME later", true);
        at("a/src/a.rs", "// an ugly hack", true);
        at("a/src/a.rs", "// of the hackathon", false);
        at("a/src/a.rs", "let none = \"XXX\"; // no currency", false);
        at("a/src/a.rs", "let a = 1; // XXX", true);
        at("a/src/a.rs", "    dbg!(a);", true);
        at("a/src/a.rs", "    unimplemented!()", true);
        at("a/src/a.rs", "    todo!()", true);
        at("a/src/a.rs", "// TODO", true);
        at("a/src/a.rs", "// TODO(#12): more", false);
        at("docs/a.md", "FIXME", true);
        at("a/b.py", "pass  # TODO", true);
        at("a/b.py", "pass  # TODO(#3)", false);
    }

    #[test]
    fn links_lead_somewhere() {
        let tree = |text: &'static str| [("docs/a.md", text), ("docs/adr/b.md", "b\n")];
        let found = &["docs/a.md:1"];
        let check = |text, expected| check("dead-links", &tree(text), expected);
        check("[b](adr/b.md) and [b](adr/b.md#top)", &[]);
        check("[docs](../docs/adr/) and [here](#top)", &[]);
        check("[web](https://a.example/x)", &[]);
        check("[b](b.md)", found);
        check("[b](../../b.md)", found);
    }
}
