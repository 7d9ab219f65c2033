//! `karvan status` and `karvan alarms`.

use anyhow::Result;
use serde_json::Value;

use super::Outcome;
use crate::client::{Client, NodeArgs};
use crate::output::{Output, table};

/// Show how a node is doing: queues, log, peers, lists.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  karvan status --dir pk")]
pub(crate) struct Status {
    #[command(flatten)]
    node: NodeArgs,
}

/// List what an operator must look at, newest first.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  karvan alarms --dir pk")]
pub(crate) struct Alarms {
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Status, output: Output) -> Result<Outcome> {
    let status = Client::open(&command.node)?.get("/v1/status")?;
    output.print(&status, describe)?;
    Ok(Outcome::Done)
}

pub(crate) fn alarms(command: &Alarms, output: Output) -> Result<Outcome> {
    let alarms = Client::open(&command.node)?.get("/v1/alarms")?;
    output.print(&alarms, |alarms| {
        let rows: Vec<_> = items(alarms)
            .map(|alarm| [cell(&alarm["at"]), cell(&alarm["code"]), cell(&alarm["text"])])
            .collect();
        if rows.is_empty() {
            "no alarms".to_owned()
        } else {
            table(["at", "code", "what and what to do"], &rows)
        }
    })?;
    Ok(Outcome::Done)
}

fn describe(status: &Value) -> String {
    let counts = |name: &str| {
        let states = status[name].as_object().into_iter().flatten();
        let states: Vec<_> = states.map(|(state, count)| format!("{state} {count}")).collect();
        states.join(", ")
    };
    let log = &status["evidence"]["log"];
    let mut text = format!(
        "{}  since {}\n\nsent      {}\nreceived  {}\nlog       {} entries, {} checkpointed, {} \
         witnessed, {} queued\n",
        cell(&status["node"]),
        cell(&status["startedAt"]),
        counts("sent"),
        counts("received"),
        cell(&log["size"]),
        cell(&log["checkpointed"]),
        cell(&log["witnessed"]),
        cell(&status["evidence"]["queued"]),
    );
    let peers: Vec<_> = items(&status["peers"])
        .filter(|peer| peer["node"] != status["node"])
        .map(|peer| {
            let reach = &peer["reach"];
            let since = if reach["state"] == "unknown" { &Value::Null } else { &reach["since"] };
            [&peer["node"], &reach["state"], since, &reach["cause"]].map(cell)
        })
        .collect();
    if !peers.is_empty() {
        text = text + "\n" + &table(["peer", "state", "since", "cause"], &peers);
    }
    let lists: Vec<_> = items(&status["lists"])
        .map(|list| ["nation", "sequence", "ends", "inForce"].map(|name| cell(&list[name])))
        .collect();
    text + "\n" + &table(["list of", "number", "ends", "in force"], &lists)
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns a value as a cell of a table.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
