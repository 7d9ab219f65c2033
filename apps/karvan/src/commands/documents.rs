//! `karvan documents`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use karvan_types::{ExchangeId, MemberId};
use serde_json::{Value, json};

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::files;
use crate::output::{Output, table, write};

/// Send, list, fetch and prove documents.
#[derive(Debug, Subcommand)]
pub(crate) enum Documents {
    /// List documents, newest first.
    #[command(after_help = "Example:\n  karvan documents list --dir pk --state dead")]
    List(List),
    /// Show one document with its receipts and evidence.
    #[command(after_help = "Example:\n  karvan documents show 019a…")]
    Show(One),
    /// Hand a document to the node for sending; it is durable when this returns.
    #[command(after_help = "Example:\n  karvan documents send --to AZ/GOV/SCC/customs \
        --code EXD --content-type application/json declaration.json")]
    Send(Send),
    /// Send a document again that was given up.
    #[command(after_help = "Example:\n  karvan documents resend 019a…")]
    Resend(One),
    /// Fetch the body of a document.
    #[command(after_help = "Example:\n  karvan documents body 019a… --out declaration.json")]
    Body(Fetch),
    /// Fetch the evidence bundle of a document.
    #[command(after_help = "Example:\n  karvan documents bundle 019a… --out evidence.zip")]
    Bundle(Fetch),
    /// Take the next document that waits for this member's system, on a lease.
    #[command(after_help = "Example:\n  karvan documents next --out declaration.json")]
    Next(Next),
    /// Confirm a leased document, or refuse it; the sender gets a signed receipt.
    #[command(after_help = "Example:\n  karvan documents ack 019a… --lease 019b…")]
    Ack(Ack),
    /// Compare all streams with all peers now.
    #[command(after_help = "Example:\n  karvan documents compare --json")]
    Compare(OnlyNode),
}

#[derive(Args, Debug)]
pub(crate) struct OnlyNode {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only those sent, or only those received.
    #[arg(long, value_parser = ["sent", "received"])]
    direction: Option<String>,
    /// Only those in this state: accepted, relayed, delivered, refused, dead, parked, waiting.
    #[arg(long)]
    state: Option<String>,
    /// At most so many of each direction.
    #[arg(long, default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// The exchange id.
    id: ExchangeId,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Send {
    /// The file to send.
    file: PathBuf,
    /// The recipient.
    #[arg(long, value_name = "MEMBER")]
    to: MemberId,
    /// Code of the document type, as the agreement names it.
    #[arg(long)]
    code: String,
    /// Media type of the file.
    #[arg(long, default_value = "application/octet-stream")]
    content_type: String,
    /// Your own exchange id: handing in twice under one id sends once.
    #[arg(long, value_name = "ID")]
    exchange: Option<ExchangeId>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Fetch {
    /// The exchange id.
    id: ExchangeId,
    /// Where to write it; standard output unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Next {
    /// Where to write the body; it is not fetched unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Ack {
    /// The exchange id.
    id: ExchangeId,
    /// The lease that `next` printed.
    #[arg(long)]
    lease: String,
    /// Refuse the document, with this reason for the sender.
    #[arg(long, value_name = "REASON")]
    refuse: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Documents, output: Output) -> Result<Outcome> {
    match command {
        Documents::List(command) => list(&command, output),
        Documents::Show(One { id, node }) => {
            let views = Client::open(&node)?.get(&format!("/v1/documents/{id}"))?;
            output.print(&views, describe_all)?;
            Ok(Outcome::Done)
        }
        Documents::Send(command) => send(&command, output),
        Documents::Resend(One { id, node }) => {
            let view = Client::open(&node)?.post(&format!("/v1/documents/{id}/resend"))?;
            output.print(&view.unwrap_or_default(), describe)?;
            Ok(Outcome::Done)
        }
        Documents::Body(command) => {
            let path = format!("/v1/documents/{}/body", command.id);
            fetch(&command, &path, output)
        }
        Documents::Bundle(command) => {
            let path = format!("/v1/documents/{}/bundle", command.id);
            fetch(&command, &path, output)
        }
        Documents::Next(command) => next(&command, output),
        Documents::Ack(command) => acknowledge(&command, output),
        Documents::Compare(OnlyNode { node }) => compare(&node, output),
    }
}

fn list(command: &List, output: Output) -> Result<Outcome> {
    let mut path = format!("/v1/documents?limit={}", command.limit);
    for (name, value) in [("direction", &command.direction), ("state", &command.state)] {
        if let Some(value) = value {
            let _ = write!(path, "&{name}={}", escape(value));
        }
    }
    let views = Client::open(&command.node)?.get(&path)?;
    output.print(&views, |views| {
        let rows: Vec<_> = views
            .as_array()
            .into_iter()
            .flatten()
            .map(|view| {
                ["exchange", "direction", "state", "code", "sender", "recipient", "size", "at"]
                    .map(|name| cell(&view[name]))
            })
            .collect();
        table(["exchange", "way", "state", "code", "from", "to", "bytes", "at"], &rows)
    })?;
    Ok(Outcome::Done)
}

fn send(command: &Send, output: Output) -> Result<Outcome> {
    let mut path = format!(
        "/v1/documents?recipient={}&code={}",
        escape(command.to.as_str()),
        escape(&command.code)
    );
    if let Some(exchange) = command.exchange {
        let _ = write!(path, "&exchange={exchange}");
    }
    let client = Client::open(&command.node)?;
    let view = client.post_file(&path, &command.content_type, &command.file)?;
    output.print(&view, describe)?;
    Ok(Outcome::Done)
}

fn fetch(command: &Fetch, path: &str, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let Some(out) = &command.out else {
        client.download(path, &mut std::io::stdout().lock())?;
        return Ok(Outcome::Done);
    };
    let bytes = download(&client, path, out)?;
    output.print(&json!({ "exchange": command.id, "file": out, "bytes": bytes }), |_| {
        format!("{} ({bytes} bytes)", out.display())
    })?;
    Ok(Outcome::Done)
}

/// Downloads beside the file first: one that breaks off leaves nothing that looks whole.
fn download(client: &Client, path: &str, out: &Path) -> Result<u64> {
    let mut partial = out.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    let what = || format!("cannot write {}", out.display());
    let mut file = File::create(&partial).with_context(what)?;
    let fetched = client.download(path, &mut file);
    let moved = fetched.and_then(|bytes| {
        file.flush().with_context(what)?;
        file.sync_all().with_context(what)?;
        std::fs::rename(&partial, out).with_context(what)?;
        Ok(bytes)
    });
    if moved.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    moved
}

fn next(command: &Next, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let lease = client.post("/v1/documents/next")?.unwrap_or_default();
    if let (Some(out), Some(id)) = (&command.out, lease["document"]["exchange"].as_str()) {
        let folder = out.parent().unwrap_or(Path::new(""));
        files::make_folder(folder)?;
        download(&client, &format!("/v1/documents/{id}/body?direction=received"), out)?;
    }
    output.print(&lease, |lease| {
        if lease.is_null() {
            return "no document waits".to_owned();
        }
        let id = cell(&lease["document"]["exchange"]);
        format!(
            "{}\nConfirm until {}:\n  karvan documents ack {id} --lease {}\n",
            describe(&lease["document"]),
            cell(&lease["until"]),
            cell(&lease["lease"])
        )
    })?;
    Ok(Outcome::Done)
}

fn acknowledge(command: &Ack, output: Output) -> Result<Outcome> {
    let mut path = format!("/v1/documents/{}/ack?lease={}", command.id, escape(&command.lease));
    if let Some(reason) = &command.refuse {
        let _ = write!(path, "&refuse={}", escape(reason));
    }
    let views = Client::open(&command.node)?.post(&path)?.unwrap_or_default();
    output.print(&views, describe_all)?;
    Ok(Outcome::Done)
}

/// A peer that could not be asked, or that lacks documents, fails the check.
fn compare(node: &NodeArgs, output: Output) -> Result<Outcome> {
    let report = Client::open(node)?.post("/v1/streams/compare")?.unwrap_or_default();
    let mut lines = Vec::new();
    let mut good = true;
    for (peer, outcome) in report.as_object().into_iter().flatten() {
        if let Some(error) = outcome["error"]["text"].as_str() {
            good = false;
            lines.push(format!("✗ {peer}: {error}"));
        }
        for stream in outcome["streams"].as_array().into_iter().flatten() {
            let missing = stream["missing"].as_array().is_some_and(|missing| !missing.is_empty());
            good &= !missing;
            let mark = if missing { '✗' } else { '✓' };
            let (name, taken) = (cell(&stream["stream"]), cell(&stream["taken"]));
            let gaps =
                if missing { format!(", lacks {}", stream["missing"]) } else { String::new() };
            lines.push(format!("{mark} {peer}: {name}: has all up to {taken}{gaps}"));
        }
    }
    if output.json {
        output.print(&report, |_| String::new())?;
    } else {
        write((lines.join("\n") + "\n").as_bytes())?;
    }
    Ok(if good { Outcome::Done } else { Outcome::CheckFailed })
}

fn describe_all(views: &Value) -> String {
    let views = views.as_array().into_iter().flatten().map(describe);
    views.collect::<Vec<_>>().join("\n")
}

fn describe(view: &Value) -> String {
    let receipt = |name: &str| if view[name] == true { "here" } else { "not yet" };
    let mut text = format!(
        "{}  {} {}\n  {} to {}, type {}, number {}\n  {} bytes, SHA-256 {}\n  relay receipt {}, \
         handover receipt {}\n",
        cell(&view["exchange"]),
        cell(&view["direction"]),
        cell(&view["state"]),
        cell(&view["sender"]),
        cell(&view["recipient"]),
        cell(&view["code"]),
        cell(&view["sequence"]),
        cell(&view["size"]),
        cell(&view["digest"]),
        receipt("relay_receipt"),
        receipt("handover_receipt"),
    );
    if let Some(reason) = view["reason"]["text"].as_str() {
        let _ = writeln!(text, "  reason: {reason}");
    }
    for entry in view["evidence"].as_array().into_iter().flatten() {
        let [kind, index, state] = ["kind", "index", "state"].map(|name| cell(&entry[name]));
        let _ = writeln!(text, "  {kind}: entry {index}, {state}");
    }
    text
}
