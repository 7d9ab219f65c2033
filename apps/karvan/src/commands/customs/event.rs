//! The days on which the rates of a claim may depend besides that of filing.

use anyhow::Result;
use clap::Args;
use karvan_types::{Date, ErrorKind};
use serde_json::json;

use super::{operate, show};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Report on which day the goods of a claim arrived, or its duty was paid.
///
/// Both days together are taken in one act, or neither is.
/// A tariff whose rates go by arrival or payment needs that day; until it is known the day of
/// filing stands in. What is undecided is matched anew; what is decided gets a task.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  karvan customs event KAPE-HC-00001-02-10-2026 --arrived 2026-10-01 --dir pk
  karvan customs event KAPE-HC-00001-02-10-2026 --paid 2026-10-02 --dir pk
  karvan customs event KAPE-HC-00001-02-10-2026 --arrived 2026-10-01 --paid 2026-10-02 --dir pk")]
pub(crate) struct Event {
    /// Number of the import declaration.
    claim: String,
    /// The day on which the means of transport arrived.
    #[arg(long, value_name = "DAY")]
    arrived: Option<Date>,
    /// The day on which the duty was paid.
    #[arg(long, value_name = "DAY")]
    paid: Option<Date>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Event, output: Output) -> Result<Outcome> {
    if command.arrived.is_none() && command.paid.is_none() {
        let text = "give --arrived, --paid or both";
        return Err(Failure::new(ErrorKind::Invalid, text).into());
    }
    let (arrived, paid) = (command.arrived, command.paid);
    let input = json!({ "claim": command.claim, "arrived": arrived, "paid": paid });
    let shown = operate(&command.node, "event", &input)?;
    output.print(&shown, show::claim)?;
    Ok(Outcome::Done)
}
