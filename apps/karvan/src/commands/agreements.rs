//! `karvan agreements`: negotiations that wait for a person beside the agreements in force.
//!
//! A negotiation is named by its process id (`urn:uuid:…`), an agreement by `id;version;digest`,
//! by its digest, or by its id alone when only one bears it.
//!
//! Not here: what is offered (`super::catalog`), and what an agreement allows
//! (`karvan_agreements`).

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_types::{AgreementRef, Digest, ErrorKind, MemberId};
use serde_json::{Map, Value, json};

use super::catalog::read_json;
use super::processes::{self, List, Process, Reasoned, steer};
use super::status::cell;
use super::{Outcome, init};
use crate::client::{Client, NodeArgs};
use crate::failure::Failure;
use crate::output::Output;

mod show;

pub(super) use show::{brief, describe_process, describe_timeline, items, process_table};

/// Where negotiations are in the local interface.
const NEGOTIATIONS: &str = "/v1/negotiations";

/// Decide about what the partner asks for, and see and end what is agreed.
#[derive(Debug, Subcommand)]
pub(crate) enum Agreements {
    /// List what waits for a decision, what is under way, and what is agreed.
    #[command(after_help = "Example:\n  karvan agreements list --dir pk")]
    List(List),
    /// Show an agreement, or a negotiation with every message of both sides and its evidence.
    #[command(after_help = "Examples:\n  karvan agreements show urn:uuid:019a… --dir pk\n  \
        karvan agreements show notes --dir pk")]
    Show(One),
    /// Say yes to what the other side asks for or offers.
    #[command(after_help = "Example:\n  karvan agreements approve urn:uuid:019a… --dir pk")]
    Approve(Process),
    /// Say no; the negotiation ends, and the other side is told why.
    #[command(after_help = "Example:\n  karvan agreements refuse urn:uuid:019a… \
        --reason 'no legal basis for transit' --dir pk")]
    Refuse(Reasoned),
    /// Answer with other rules: an offer of ours, or another request.
    #[command(after_help = "Example:\n  karvan agreements counter urn:uuid:019a… \
        --policy rules.json --dir pk\n\nThe file holds ODRL rules, such as \
        {\"permission\": [{\"action\": \"use\"}]}.")]
    Counter(Counter),
    /// End a negotiation that is under way.
    #[command(after_help = "Example:\n  karvan agreements terminate urn:uuid:019a… \
        --reason 'asked for by mistake' --dir az")]
    Terminate(Reasoned),
    /// Say whether an exchange would be allowed now, and if not what is missing.
    #[command(after_help = "Example:\n  karvan agreements explain --client AZ/GOV/SCC/customs \
        --provider PK/GOV/FBR/customs --service certificates --dir az\n\nExit code 1 says that it \
        would not be allowed.")]
    Explain(Box<Explain>),
    /// Sign an agreement that was drafted outside of a negotiation, after showing what it says.
    #[command(after_help = "Example:\n  karvan agreements sign draft.json --dir pk \
        --out signed.json")]
    Sign(init::Agreement),
    /// End an agreement before its time; it closes here at once, there when the peer is reached.
    #[command(after_help = "Example:\n  karvan agreements withdraw notes \
        --reason 'the treaty ends' --dir pk")]
    Withdraw(Withdraw),
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// Process id of a negotiation, or name of an agreement.
    id: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Counter {
    #[command(flatten)]
    process: Process,
    /// The rules (ODRL).
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
}

#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = false, args = ["service", "document", "feed"])]
pub(crate) struct Explain {
    /// Who would call, fetch or send.
    #[arg(long, value_name = "MEMBER")]
    client: MemberId,
    /// Who would be called, fetched from or sent to.
    #[arg(long, value_name = "MEMBER")]
    provider: MemberId,
    /// The service that would be called.
    #[arg(long, value_name = "CODE")]
    service: Option<String>,
    /// The type of the document that would be sent.
    #[arg(long, value_name = "CODE")]
    document: Option<String>,
    /// The dataset that would be fetched.
    #[arg(long, value_name = "DATASET")]
    feed: Option<String>,
    /// For which purpose, when it is not that of the agreement.
    #[arg(long, value_name = "PURPOSE")]
    purpose: Option<String>,
    /// On which legal basis.
    #[arg(long, value_name = "TEXT")]
    legal_basis: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Withdraw {
    /// Name of the agreement: `id;version;digest`, its digest, or its id.
    agreement: String,
    /// Why; the other side reads it, and it is kept as evidence.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Agreements, output: Output) -> Result<Outcome> {
    match command {
        Agreements::List(command) => list(&command, output)?,
        Agreements::Show(command) => show(&command, output)?,
        Agreements::Approve(process) => {
            steer((NEGOTIATIONS, &process), "approve", &json!({}), output)?;
        }
        Agreements::Refuse(Reasoned { process, reason }) => {
            steer((NEGOTIATIONS, &process), "refuse", &json!({ "reason": reason }), output)?;
        }
        Agreements::Counter(Counter { process, policy }) => {
            let said = json!({ "policy": read_json(&policy)? });
            steer((NEGOTIATIONS, &process), "counter", &said, output)?;
        }
        Agreements::Terminate(Reasoned { process, reason }) => {
            steer((NEGOTIATIONS, &process), "terminate", &json!({ "reason": reason }), output)?;
        }
        Agreements::Explain(command) => return explain(&command, output),
        Agreements::Sign(command) => init::agreement(&command, output)?,
        Agreements::Withdraw(command) => withdraw(&command, output)?,
    }
    Ok(Outcome::Done)
}

fn list(command: &List, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let (waiting, limit) = (command.waiting, command.limit);
    let path = format!("{NEGOTIATIONS}?waiting={waiting}&limit={limit}");
    let negotiations = client.get(&path)?;
    let agreements = if waiting { json!([]) } else { client.get("/v1/agreements")? };
    let all = json!({ "negotiations": negotiations, "agreements": agreements });
    output.print(&all, show::describe_list)
}

fn show(command: &One, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    if command.id.starts_with(processes::PREFIX) {
        let shown = client.get(&processes::path(NEGOTIATIONS, &command.id))?;
        return output.print(&shown, show::describe_timeline);
    }
    let digest = digest_of(&client, &command.id)?;
    let shown = client.get(&format!("/v1/agreements/{digest}"))?;
    output.print(&shown, show::describe_agreement)
}

/// Finds the digest of an agreement by one of its names.
fn digest_of(client: &Client, name: &str) -> Result<Digest> {
    if let Ok(digest) = name.parse() {
        return Ok(digest);
    }
    if let Ok(name) = name.parse::<AgreementRef>() {
        return Ok(name.digest);
    }
    let all = client.get("/v1/agreements")?;
    let named = |entry: &&Value| {
        entry["agreement"]["id"] == name || entry["agreement"]["policy"]["@id"] == name
    };
    let found: Vec<AgreementRef> = items(&all)
        .filter(named)
        .filter_map(|entry| entry["name"].as_str()?.parse().ok())
        .collect();
    match found.as_slice() {
        [one] => Ok(one.digest),
        [] => {
            Err(Failure::new(ErrorKind::NotFound, format!("there is no agreement `{name}` here"))
                .hint("`karvan agreements list` shows them; a negotiation begins with urn:uuid:")
                .into())
        }
        several => {
            let names: Vec<_> = several.iter().map(ToString::to_string).collect();
            let text = format!("several agreements are called `{name}`: {}", names.join(", "));
            Err(Failure::new(ErrorKind::Conflict, text).hint("give one of these names").into())
        }
    }
}

fn explain(command: &Explain, output: Output) -> Result<Outcome> {
    let mut question = Map::new();
    question.insert("client".to_owned(), command.client.as_str().into());
    question.insert("provider".to_owned(), command.provider.as_str().into());
    let optional = [
        ("service", &command.service),
        ("document", &command.document),
        ("feed", &command.feed),
        ("purpose", &command.purpose),
        ("legalBasis", &command.legal_basis),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            question.insert(name.to_owned(), value.clone().into());
        }
    }
    let client = Client::open(&command.node)?;
    let verdict = client.post_json("/v1/agreements/explain", &question.into())?;
    output.print(&verdict, show::describe_verdict)?;
    Ok(if verdict["allowed"] == true { Outcome::Done } else { Outcome::CheckFailed })
}

fn withdraw(command: &Withdraw, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let digest = digest_of(&client, &command.agreement)?;
    let said = json!({ "reason": command.reason });
    let shown = client.post_json(&format!("/v1/agreements/{digest}/withdraw"), &said)?;
    output.print(&shown, |shown| format!("{} is withdrawn\n", cell(&shown["name"])))
}
