//! Seeds without planted faults hold INV-1 to INV-7; every planted fault is found.

use karvan_simulation::{Outcome, Planted, run};

/// Seeds played by default; the environment variable `KARVAN_SIMULATION_SEEDS` sets another number.
const SEEDS: u64 = 100;
/// Seeds within which a planted fault must be found.
const SEEDS_TO_FIND: u64 = 60;

fn seeds() -> u64 {
    let text = std::env::var("KARVAN_SIMULATION_SEEDS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(SEEDS)
}

fn report(outcome: &Outcome) -> String {
    format!(
        "seed {}\n  {}\nstory:\n  {}",
        outcome.seed,
        outcome.violations.join("\n  "),
        outcome.story.join("\n  ")
    )
}

#[test]
fn every_seed_holds_the_invariants() {
    let first = std::env::var("KARVAN_SIMULATION_FIRST").ok().and_then(|text| text.parse().ok());
    let first = first.unwrap_or(1);
    for seed in first..first + seeds() {
        let outcome = run(seed, Planted::Nothing);
        assert!(outcome.violations.is_empty(), "{}", report(&outcome));
        println!("seed {seed}: {}", outcome.digest);
    }
}

#[test]
fn one_seed_gives_one_run() {
    for seed in [3, 14] {
        assert_eq!(run(seed, Planted::Nothing), run(seed, Planted::Nothing));
    }
}

fn check_found(planted: Planted) {
    let found = (1..=SEEDS_TO_FIND).find_map(|seed| {
        let outcome = run(seed, planted);
        (!outcome.violations.is_empty()).then_some(outcome)
    });
    let outcome = found.unwrap_or_else(|| panic!("{planted:?} was not found"));
    println!("{planted:?} found by {}", report(&outcome));
}

#[test]
fn inv_1_receipt_before_commit_is_found() {
    check_found(Planted::ReceiptBeforeCommit);
}

#[test]
fn inv_1_a_skipped_sync_is_found() {
    check_found(Planted::FsyncSkipped);
}

#[test]
fn inv_2_a_duplicate_window_is_found() {
    check_found(Planted::DuplicateWindow);
}

#[test]
fn inv_3_a_checkpoint_before_its_tiles_is_found() {
    check_found(Planted::CheckpointBeforeTiles);
}

#[test]
fn inv_6_an_outbox_row_gone_before_the_receipt_is_found() {
    check_found(Planted::OutboxBeforeReceipt);
}
