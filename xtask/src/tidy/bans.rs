//! Words that code of some rings must not contain, each with the place where they may stand.
//!
//! One table and one rule function: the words are looked for outside comments and outside tests.
//! This catches what the manifests cannot show, such as the standard library's clock and files.

use super::{Findings, Rule};
use crate::workspace::{Workspace, is_within};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "pure-base",
        about: "Base has no input, output, thread, process or environment.",
        remedy: "take the value as an argument; the caller in kernel or apps does the act",
        check: |tree, findings| ban(tree, findings, &PURE_BASE),
    },
    Rule {
        name: "system-traits",
        about: "Clock, randomness and files are reached through karvan-system only (INV-9).",
        remedy: "take `&dyn Clock`, `&dyn Entropy` or `&dyn Disk` as an argument",
        check: |tree, findings| ban(tree, findings, &SYSTEM_TRAITS),
    },
    Rule {
        name: "environment",
        about: "Libraries read no environment variable.",
        remedy: "let the binary read it and pass the value down",
        check: |tree, findings| ban(tree, findings, &ENVIRONMENT),
    },
    Rule {
        name: "sql-in-store",
        about: "SQL stands in kernel/store only.",
        remedy: "declare a record table with its indexes and use the store's traits",
        check: |tree, findings| ban(tree, findings, &SQL),
    },
    Rule {
        name: "store-traits",
        about: "Sub-systems use the traits of the store, not one of its back ends.",
        remedy: "take the transaction that the handler is given",
        check: |tree, findings| ban(tree, findings, &STORE_TRAITS),
    },
    Rule {
        name: "exact-numbers",
        about: "Money and mass are never in floating point (INV-13).",
        remedy: "use karvan_types::{Amount, Quantity, Decimal}",
        check: |tree, findings| ban(tree, findings, &EXACT_NUMBERS),
    },
];

/// Words, and where they are banned.
struct Ban {
    words: &'static [&'static str],
    within: &'static [&'static str],
    except: &'static [&'static str],
}

const PURE_BASE: Ban = Ban {
    words: &["std::fs", "std::net", "std::process", "std::thread", "std::env", "tokio::"],
    within: &["base"],
    except: &[],
};

const SYSTEM_TRAITS: Ban = Ban {
    words: &[
        "SystemTime",
        // The runtime's instants are turned by a simulation, as its timers are.
        "std::time::Instant",
        "Timestamp::now",
        "Zoned::now",
        "std::fs",
        "tokio::fs",
        "getrandom",
        "Uuid::now_v7",
        "Uuid::new_v4",
        "thread_rng",
        "rand::fill",
        "SystemRandom",
    ],
    within: &["base", "kernel", "subsystems"],
    except: &["kernel/system"],
};

const ENVIRONMENT: Ban = Ban {
    words: &["env::var", "env::var_os", "env::vars", "env::set_var", "env::current_dir"],
    within: &["base", "kernel", "subsystems"],
    except: &[],
};

const SQL: Ban = Ban {
    words: &["\"SELECT ", "\"INSERT ", "\"UPDATE ", "\"DELETE FROM", "\"CREATE ", "\"PRAGMA "],
    within: &["base", "kernel", "subsystems", "apps"],
    except: &["kernel/store"],
};

const STORE_TRAITS: Ban = Ban {
    words: &["SqliteStore", "JournalStore", "karvan_store::sqlite", "karvan_store::journal"],
    within: &["subsystems"],
    except: &[],
};

const EXACT_NUMBERS: Ban =
    Ban { words: &["f32", "f64"], within: &["base", "subsystems"], except: &[] };

fn ban(tree: &Workspace, findings: &mut Findings, ban: &Ban) {
    let covered = |path: &str, folders: &[&str]| folders.iter().any(|at| is_within(path, at));
    for file in tree.files.iter().filter(|file| file.extension() == "rs") {
        if !covered(&file.path, ban.within) || covered(&file.path, ban.except) {
            continue;
        }
        for line in file.lines().iter().filter(|line| !line.in_test) {
            for word in ban.words.iter().filter(|word| holds_word(line.code(), word)) {
                findings.report(&file.path, line.number, format!("`{word}` does not belong here"));
            }
        }
    }
}

/// Returns whether `text` holds `word` as a whole, not as a part of a longer name.
pub(super) fn holds_word(text: &str, word: &str) -> bool {
    let in_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|rest| rest.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|rest| rest.chars().next());
        let joined = |side: Option<char>, edge: Option<char>| {
            side.is_some_and(in_name) && edge.is_some_and(in_name)
        };
        !joined(before, word.chars().next()) && !joined(after, word.chars().next_back())
    })
}

#[cfg(test)]
mod tests {
    use super::super::testkit::check;
    use super::holds_word;

    #[test]
    fn base_is_pure() {
        let at = |line: &str, expected: &[&str]| {
            check("pure-base", &[("base/types/src/a.rs", line)], expected);
        };
        at("use std::fs;\n", &["base/types/src/a.rs:1"]);
        at("tokio::spawn(a);\n", &["base/types/src/a.rs:1"]);
        at("use std::fmt;\n// std::fs is for others\n", &[]);
        at("#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n", &[]);
    }

    #[test]
    fn inv_9_clock_randomness_and_files_only_in_system() {
        let text = "let now = SystemTime::now();\n";
        check("system-traits", &[("kernel/store/src/a.rs", text)], &["kernel/store/src/a.rs:1"]);
        check("system-traits", &[("subsystems/x/src/a.rs", text)], &["subsystems/x/src/a.rs:1"]);
        check("system-traits", &[("kernel/system/src/a.rs", text)], &[]);
        check("system-traits", &[("apps/karvan/src/a.rs", text)], &[]);
        check("system-traits", &[("kernel/store/tests/a.rs", text)], &[]);
        let disk = "let text = std::fs::read(path)?;\n";
        check("system-traits", &[("kernel/ledger/src/a.rs", disk)], &["kernel/ledger/src/a.rs:1"]);
        let random = "ring::SystemRandom::new()\n";
        check("system-traits", &[("kernel/trust/src/a.rs", random)], &["kernel/trust/src/a.rs:1"]);
    }

    #[test]
    fn other_bans_have_their_places() {
        let at = |rule: &str, path: &str, line: &str, found: bool| {
            let place = format!("{path}:1");
            let expected = if found { vec![place.as_str()] } else { vec![] };
            check(rule, &[(path, line)], &expected);
        };
        at("environment", "kernel/trust/src/a.rs", "std::env::var(\"HOME\")", true);
        at("environment", "apps/karvan/src/a.rs", "std::env::var(\"HOME\")", false);
        at("sql-in-store", "kernel/ledger/src/a.rs", "run(\"SELECT 1\")", true);
        at("sql-in-store", "kernel/store/src/a.rs", "run(\"SELECT 1\")", false);
        at("store-traits", "subsystems/x/src/a.rs", "use karvan_store::SqliteStore;", true);
        at("store-traits", "apps/karvan/src/a.rs", "use karvan_store::SqliteStore;", false);
        // INV-13
        at("exact-numbers", "subsystems/x/src/a.rs", "let duty: f64 = 0.2;", true);
        at("exact-numbers", "base/types/src/a.rs", "a as f32", true);
        at("exact-numbers", "base/types/src/a.rs", "let buf64 = 1;", false);
        at("exact-numbers", "kernel/ledger/src/a.rs", "let ratio: f64 = 0.2;", false);
    }

    #[test]
    fn words_are_whole() {
        assert!(holds_word("a f64 b", "f64"));
        assert!(holds_word("f64", "f64"));
        assert!(!holds_word("buf64", "f64"));
        assert!(!holds_word("f64x2", "f64"));
        assert!(holds_word("tokio::spawn", "tokio::"));
        assert!(!holds_word("my_tokio::spawn", "tokio::"));
    }
}
