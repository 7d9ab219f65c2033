//! The days on which the rates of a claim may depend besides that of filing.

use anyhow::Result;
use clap::Args;
use karvan_types::{Date, ErrorKind};
use serde_json::{Value, json};

use super::{operate, show};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// Report on which day the goods of a claim arrived, or its duty was paid.
///
/// A tariff whose rates go by arrival or payment needs that day; until it is known the day of
/// filing stands in. What is undecided is matched anew; what is decided gets a task.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  karvan customs event KAPE-HC-00001-02-10-2026 --arrived 2026-10-01 --dir pk
  karvan customs event KAPE-HC-00001-02-10-2026 --paid 2026-10-02 --dir pk")]
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
    let days = [("arrived", command.arrived), ("paid", command.paid)];
    let mut shown = Value::Null;
    for (event, day) in days.into_iter().filter_map(|(event, day)| Some((event, day?))) {
        let input = json!({ "claim": command.claim, "event": event, "day": day });
        shown = operate(&command.node, "event", &input)?;
    }
    if shown.is_null() {
        let text = "give --arrived, --paid or both";
        return Err(Failure::new(ErrorKind::Invalid, text).into());
    }
    output.print(&shown, show::claim)?;
    Ok(Outcome::Done)
}
