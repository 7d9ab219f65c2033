//! `karvan messages`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_types::{MemberId, Timestamp};
use serde_json::{Value, json};

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::files;
use crate::output::{Output, table, write};

/// List, show and prove calls to services.
#[derive(Debug, Subcommand)]
pub(crate) enum Messages {
    /// List calls, newest first.
    #[command(after_help = "Examples:\n  karvan messages list --dir pk\n  \
        karvan messages list --dir az --side provider --state refused --service certificates")]
    List(List),
    /// Show calls by exchange id or message id, with their evidence.
    #[command(after_help = "Example:\n  karvan messages show 019a… --dir pk")]
    Show(One),
    /// Fetch the evidence bundle of a call; `karvan verify` checks it.
    #[command(after_help = "Example:\n  karvan messages bundle 019a… --dir pk --out call.zip")]
    Bundle(Fetch),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only calls of this node's agencies, or only calls to their services.
    #[arg(long, value_parser = ["client", "provider"])]
    side: Option<String>,
    /// Only those in this state.
    #[arg(long, value_parser = ["open", "answered", "refused", "unanswered"])]
    state: Option<String>,
    /// Only calls of this subsystem.
    #[arg(long, value_name = "SUBSYSTEM")]
    client: Option<MemberId>,
    /// Only calls of this service: its code, or provider and code.
    #[arg(long)]
    service: Option<String>,
    /// Only calls from this instant on, such as 2026-10-02T08:00:00.000Z.
    #[arg(long, value_name = "INSTANT")]
    since: Option<Timestamp>,
    /// At most so many.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Go on after this, as the page before named it.
    #[arg(long, value_name = "NEXT")]
    after: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// The exchange id, or the message id (X-Road-Id).
    id: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Fetch {
    /// The exchange id, or the message id (X-Road-Id).
    id: String,
    /// Where to write it; standard output unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Messages, output: Output) -> Result<Outcome> {
    match command {
        Messages::List(command) => list(&command, output)?,
        Messages::Show(One { id, node }) => {
            let views = Client::open(&node)?.get(&path(&id))?;
            output.print(&views, |views| {
                let views = views.as_array().into_iter().flatten().map(describe);
                views.collect::<Vec<_>>().join("\n")
            })?;
        }
        Messages::Bundle(command) => bundle(&command, output)?,
    }
    Ok(Outcome::Done)
}

fn path(id: &str) -> String {
    format!("/v1/messages/{}", escape(id).replace('/', "%2F"))
}

fn list(command: &List, output: Output) -> Result<()> {
    let mut path = format!("/v1/messages?limit={}", command.limit);
    let text = |value: &dyn std::fmt::Display| value.to_string();
    for (name, value) in [
        ("side", command.side.clone()),
        ("state", command.state.clone()),
        ("client", command.client.as_ref().map(|it| text(it))),
        ("service", command.service.clone()),
        ("since", command.since.map(|it| text(&it))),
        ("after", command.after.clone()),
    ] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", escape(&value));
        }
    }
    let page = Client::open(&command.node)?.get(&path)?;
    output.print(&page, |page| {
        let rows: Vec<_> = page["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|view| {
                ["exchange", "side", "state", "status", "client", "service", "milliseconds"]
                    .map(|name| cell(&view[name]))
            })
            .collect();
        let mut text =
            table(["exchange", "side", "state", "status", "client", "service", "ms"], &rows);
        if let Some(next) = page["next"].as_str() {
            let _ = write!(text, "\n{}", more(rows.len(), command.limit, next));
        }
        text
    })
}

/// Says how to go on behind a page.
fn more(found: usize, limit: usize, next: &str) -> String {
    if found >= limit {
        return format!("More: --after {next}\n");
    }
    format!(
        "The search stopped after many calls that were not asked for; older ones may follow.\n\
         Go on: --after {next}\n"
    )
}

fn bundle(command: &Fetch, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let path = format!("{}/bundle", path(&command.id));
    let Some(file) = &command.out else {
        let mut bytes = Vec::new();
        client.download(&path, &mut bytes)?;
        return write(&bytes);
    };
    let mut bytes = Vec::new();
    let length = client.download(&path, &mut bytes)?;
    files::write(file, &bytes)?;
    output.print(&json!({ "file": file, "bytes": length }), |_| {
        format!("{length} bytes in {}; check them with `karvan verify`", file.display())
    })
}

fn describe(view: &Value) -> String {
    let at = |name: &str| cell(&view[name]);
    let mut text = format!(
        "{}  {}, {}\n  {} to {}\n  {} {}, status {}, {} ms\n  message {}\n  began {}, ended {}\n  \
         request {} bytes, {}\n",
        at("exchange"),
        at("side"),
        at("state"),
        at("client"),
        at("service"),
        at("method"),
        at("path"),
        at("status"),
        at("milliseconds"),
        at("message"),
        at("beganAt"),
        at("endedAt"),
        at("requestSize"),
        view["responseSize"]
            .as_u64()
            .map_or("no answer".to_owned(), |it| format!("answer {it} bytes")),
    );
    // X-Road's own services are anybody's.
    let agreement = view["agreement"].as_str().filter(|name| !name.starts_with("none;"));
    let _ = writeln!(text, "  agreement: {}", agreement.unwrap_or("none"));
    let signer = if view["state"] == "refused" { "refusal signed by" } else { "answer signed by" };
    for (label, name) in [
        ("purpose", "purpose"),
        ("user", "userId"),
        ("case", "issue"),
        ("request signed by", "requestSignedBy"),
        (signer, "responseSignedBy"),
    ] {
        if let Some(value) = view[name].as_str() {
            let _ = writeln!(text, "  {label}: {value}");
        }
    }
    if let Some(cause) = view["cause"]["text"].as_str() {
        let _ = writeln!(text, "  cause: {cause} ({})", cell(&view["cause"]["code"]));
    }
    let entry = &view["evidence"];
    if entry.is_object() {
        let [kind, index, state] = ["kind", "index", "state"].map(|name| cell(&entry[name]));
        let _ = writeln!(text, "  {kind}: entry {index}, {state}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_as_it_ended() {
        let none = "none;0;0000000000000000000000000000000000000000000000000000000000000000";
        for (state, agreement, size, parts) in [
            (
                "answered",
                "az-pk;1;00",
                Some(7),
                ["agreement: az-pk;1;00", "answer 7 bytes", "answer signed by: A"],
            ),
            ("refused", none, None, ["agreement: none\n", "no answer", "refusal signed by: A"]),
        ] {
            let view = json!({
                "state": state, "agreement": agreement, "responseSize": size,
                "responseSignedBy": "A",
            });
            let told = describe(&view);
            for part in parts {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
    }

    /// A page that is not full, or empty, does not look like the last one.
    #[test]
    fn a_short_page_says_that_more_may_follow() {
        for (found, limit, short) in [(0, 50, true), (49, 50, true), (50, 50, false)] {
            let text = more(found, limit, "019a.client");
            assert_eq!(text.contains("older ones may follow"), short, "{found} of {limit}: {text}");
            assert!(text.contains("--after 019a.client"), "{text}");
        }
    }
}
