//! `karvan webhooks`: the systems that a node tells what happened.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::output::{Output, table};

/// Look after the systems that a node tells what happened.
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// List the webhooks of the configuration: how far each is, and why one waits.
    #[command(after_help = "Example:\n  karvan webhooks list --dir pk")]
    List(All),
    /// Make a new secret and print it, once; the one before it stays in use for a day.
    #[command(after_help = "Example:\n  karvan webhooks secret psw --dir pk\n\n\
        Until its first secret is made a webhook posts nothing. Hand the secret to the system,\n\
        which checks `webhook-signature` with it (Standard Webhooks 1.0).")]
    Secret(One),
    /// List the notices that were given up.
    #[command(after_help = "Example:\n  karvan webhooks dead psw --dir pk")]
    Dead(One),
    /// Post dead letters once more, or everything from a place on.
    #[command(after_help = "Examples:\n  karvan webhooks replay psw --dir pk\n  \
        karvan webhooks replay psw --number 17 --dir pk\n  \
        karvan webhooks replay psw --after 100 --dir pk")]
    Replay(Replay),
}

#[derive(Args, Debug)]
pub(crate) struct All {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// Its name in the configuration.
    name: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Its name in the configuration.
    name: String,
    /// Only the dead letter with this number.
    #[arg(long, conflicts_with = "after")]
    number: Option<u64>,
    /// All notices after this one, also those that were taken.
    #[arg(long)]
    after: Option<u64>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Webhooks, output: Output) -> Result<Outcome> {
    match command {
        Webhooks::List(All { node }) => {
            let rows = Client::open(&node)?.get("/v1/webhooks")?;
            output.print(&rows, list)?;
        }
        Webhooks::Secret(One { name, node }) => {
            let path = format!("/v1/webhooks/{}/secret", escape(&name));
            let made = Client::open(&node)?.post(&path)?.unwrap_or_default();
            output.print(&made, |made| {
                format!(
                    "{}\n\nIt is not shown again. The one before it is used beside it until {}.\n",
                    cell(&made["secret"]),
                    cell(&made["earlierUntil"])
                )
            })?;
        }
        Webhooks::Dead(One { name, node }) => {
            let path = format!("/v1/webhooks/{}/dead-letters", escape(&name));
            let rows = Client::open(&node)?.get(&path)?;
            output.print(&rows, dead)?;
        }
        Webhooks::Replay(Replay { name, number, after, node }) => {
            let query = match (number, after) {
                (Some(number), _) => format!("?number={number}"),
                (None, Some(after)) => format!("?after={after}"),
                (None, None) => String::new(),
            };
            let path = format!("/v1/webhooks/{}/replay{query}", escape(&name));
            let done = Client::open(&node)?.post(&path)?.unwrap_or_default();
            output.print(&done, |done| {
                if after.is_some() {
                    return "the webhook goes on from that place\n".to_owned();
                }
                format!("{} dead letters are posted once more\n", cell(&done["replayed"]))
            })?;
        }
    }
    Ok(Outcome::Done)
}

fn list(rows: &Value) -> String {
    let rows: Vec<_> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| {
            ["name", "url", "delivered", "through", "deadLetters", "secrets", "cause"]
                .map(|name| cell(&row[name]))
        })
        .collect();
    if rows.is_empty() {
        return "the configuration names no webhook\n".to_owned();
    }
    table(["name", "url", "delivered", "through", "dead", "secrets", "waits because"], &rows)
}

fn dead(rows: &Value) -> String {
    let rows: Vec<_> = rows
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| ["number", "state", "at", "cause"].map(|name| cell(&row[name])))
        .collect();
    if rows.is_empty() {
        return "no dead letters\n".to_owned();
    }
    table(["number", "state", "at", "why"], &rows)
}
