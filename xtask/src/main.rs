#![doc = include_str!("../README.md")]

mod bench;
mod fuzz;
mod generate;
mod picture;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The chores of this repository",
    after_help = "Before you commit:   cargo xtask tidy\n\
                  Before you push:     cargo xtask test\n\
                  Only one step again: cargo xtask test --only clippy\n\n\
                  CONTRIBUTING.md tells how a change is made."
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check the house rules that a compiler does not know
    #[command(after_help = "Each finding names file:line, the rule, and the remedy. \
                            docs/reference/checks.md lists the rules.")]
    Tidy {
        /// Print the rules instead of checking them
        #[arg(long)]
        list: bool,
    },
    /// Run every check that a commit must pass, as CI does
    #[command(after_help = "The output of each step goes to target/xtask/STEP.log; the end of a \
                            failed one is shown. Set KARVAN_TEST_DATA to the folder of public \
                            test data, or the tests that need it are counted as skipped.")]
    Test(test::Options),
    /// Run the measurements, all or by name
    #[command(after_help = "Example: cargo xtask bench claims --records 1000000")]
    Bench(bench::Options),
    /// Look for inputs that break a reader, guided by coverage
    #[command(after_help = "Needs a C++ compiler. Inputs and logs stay in target/xtask/fuzz, so \
                            that the next run goes on; docs/develop/fuzzing.md tells what to do \
                            with a finding.\n\n\
                            Example: cargo xtask fuzz edifact --seconds 300")]
    Fuzz(fuzz::Options),
    /// Write the files that are made from the code
    Gen {
        /// Change nothing; fail and name the files that are stale
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one chore and returns whether all is well.
fn run(cli: &Cli) -> anyhow::Result<bool> {
    match &cli.chore {
        Chore::Tidy { list: true } => {
            print!("{}", tidy::rule_table());
            Ok(true)
        }
        Chore::Tidy { list: false } => {
            let outcome = tidy::check(&Workspace::load()?);
            print!("{}", outcome.text());
            Ok(outcome.is_clean())
        }
        Chore::Test(options) => test::run(options),
        Chore::Bench(options) => bench::run(options),
        Chore::Fuzz(options) => fuzz::run(options),
        Chore::Gen { check } => generate::run(*check),
    }
}
