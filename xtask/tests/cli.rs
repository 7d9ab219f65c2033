//! The program as a person meets it: what it prints, and how it exits.

use std::process::Command;

/// Runs xtask and asserts its success and that it says `told`, on either stream.
#[track_caller]
fn check(arguments: &[&str], success: bool, told: &[&str]) {
    let done = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output();
    let done = done.expect("the program starts");
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert_eq!(done.status.success(), success, "{arguments:?}: {text}");
    for words in told {
        assert!(text.contains(words), "{arguments:?} does not say `{words}`: {text}");
    }
}

#[test]
fn help_teaches() {
    check(&["--help"], true, &["Before you commit:", "cargo xtask tidy", "bench", "gen"]);
    check(&["test", "--help"], true, &["KARVAN_TEST_DATA", "--keep-going", "--only <STEP>"]);
    check(&["tidy", "--list"], true, &["| `ring-edges` |", "| `machine-paths` |"]);
    check(&["test", "--list"], true, &["| `clippy` |", "| `tests` |"]);
}

#[test]
fn what_does_not_exist_is_refused_with_a_hint() {
    check(&["test", "--only", "nonesuch"], false, &["no step `nonesuch`", "--list"]);
    check(&["bench", "nonesuch"], false, &["no measurement `nonesuch`", "--list"]);
    check(&["sing"], false, &["unrecognized subcommand"]);
}

#[test]
fn a_run_closes_with_the_counts_alone_on_their_line() {
    check(&["test", "--only", "generated"], true, &["\n1 passed, 0 failed, 0 skipped\n"]);
}
