//! `karvan pilot`.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::RangedU64ValueParser;
use clap::{Args, value_parser};

use super::Outcome;
use crate::output::Output;
use crate::pilot::{self, Load, Options};

/// Most consignments of one run.
const CONSIGNMENTS_MAX: u64 = 1_000_000;
/// Most consignments played at the same time.
const AT_ONCE_MAX: u64 = 256;

const EXAMPLES: &str = "\
Examples:
  karvan pilot
  karvan pilot --once --dir two-nations
  karvan pilot --once --consignments 1000

Ends with 0 if every outcome was the expected one and every bundle verifies, else with 1.";

/// Run two nations on this machine and play customs consignments between them.
///
/// Makes both nations' keys, lists, root and agreement in the data folder, starts both nodes as
/// processes of their own, plays the shipped consignments through their local interfaces, writes
/// and verifies the evidence, and stays until Ctrl-C. A second start goes on where the first ended.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pilot {
    /// The data folder; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "karvan-data")]
    dir: PathBuf,
    /// End after playing, instead of keeping both nodes running.
    #[arg(long)]
    once: bool,
    /// Drive this many generated consignments instead of the shipped ones, and measure.
    #[arg(long, value_name = "N", value_parser = at_most(CONSIGNMENTS_MAX))]
    consignments: Option<u64>,
    /// Generate the same consignments again as with this seed before; a new one each time unless
    /// given.
    #[arg(long, requires = "consignments")]
    seed: Option<u64>,
    /// How many generated consignments are played at the same time.
    #[arg(long, value_name = "N", default_value_t = 16, requires = "consignments",
        value_parser = at_most(AT_ONCE_MAX))]
    at_once: u64,
}

fn at_most(most: u64) -> RangedU64ValueParser {
    value_parser!(u64).range(1..=most)
}

pub(crate) fn run(command: &Pilot, output: Output) -> Result<Outcome> {
    let load = match command.consignments {
        None => None,
        Some(count) => Some(Load {
            count: usize::try_from(count)?,
            seed: command.seed,
            at_once: usize::try_from(command.at_once)?,
        }),
    };
    let options = Options { dir: std::path::absolute(&command.dir)?, once: command.once, load };
    Ok(if pilot::run(&options, output)? { Outcome::Done } else { Outcome::CheckFailed })
}
