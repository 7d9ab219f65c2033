//! `karvan catalog`: what is offered, here and by peers, and asking for it.
//!
//! Not here: what follows once it is asked for (`super::agreements`), and the data itself
//! (`super::transfers`).

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{ErrorKind, NodeId, json};
use serde_json::{Map, Value, json as object};

use super::Outcome;
use super::agreements::{brief, items};
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, table};

/// The member of a dataset that says what it is, as JSON in a text.
const KIND_MEMBER: &str = "urn:karvan:dsp:v1:kind";
/// The left operand of a constraint on the purpose.
const PURPOSE: &str = "urn:karvan:policy:v1:purpose";

/// Offer services, document types and data to the partner, and ask for what it offers.
#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// List what this node offers, or what a peer offers to you.
    #[command(after_help = "Examples:\n  karvan catalog list --dir pk\n  \
        karvan catalog list --peer PK/GOV/FBR/customs --dir az")]
    List(List),
    /// Show one dataset with its offers: what it is, and under which rules it is to be had.
    #[command(after_help = "Example:\n  karvan catalog show certificates \
        --peer PK/GOV/FBR/customs --dir az")]
    Show(Show),
    /// Ask the provider for a dataset; a negotiation begins.
    ///
    /// Unless you name other rules you take the offer as it is; other rules are a question to the
    /// people of the other side. `karvan agreements list` shows what became of it.
    #[command(after_help = "Examples:\n  karvan catalog request certificates \
        --peer PK/GOV/FBR/customs --dir az\n  karvan catalog request certificates \
        --peer PK/GOV/FBR/customs --purpose transit --dir az")]
    Request(Box<Request>),
    /// Offer a dataset, or set one of yours anew; `show --json` prints the form of the file.
    #[command(after_help = "Example:\n  karvan catalog offer certificates.json --dir pk\n\nThe \
        file:\n  {\"id\": \"certificates\", \"title\": \"Certificates of origin\",\n   \
        \"provider\": \"PK/GOV/FBR/customs\", \"kind\": {\"service\": {\"code\": \
        \"certificates\"}},\n   \"formats\": [\"Karvan-CALL\"], \"visibleTo\": [\"AZ\"],\n   \
        \"policy\": {\"@type\": \"Offer\", \"@id\": \"certificates-1\",\n              \
        \"permission\": [{\"action\": \"use\"}]}}\n\ndocs/use/agreements.md explains each field.")]
    Offer(Offer),
    /// Take a dataset out of the catalog; agreements about it stay.
    #[command(after_help = "Example:\n  karvan catalog withdraw certificates --dir pk")]
    Withdraw(Withdraw),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Ask this member or node instead, such as AZ/GOV/SCC/customs.
    #[arg(long, value_name = "MEMBER|NODE")]
    peer: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Id of the dataset.
    dataset: String,
    /// Ask this member or node instead, such as AZ/GOV/SCC/customs.
    #[arg(long, value_name = "MEMBER|NODE")]
    peer: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Request {
    /// Id of the dataset.
    dataset: String,
    /// Who offers it: the member, or its node.
    #[arg(long, value_name = "MEMBER|NODE")]
    peer: String,
    /// Id of the offer, when there are several.
    #[arg(long, value_name = "ID")]
    offer: Option<String>,
    /// Ask for this purpose instead of the one that is offered.
    #[arg(long, value_name = "PURPOSE", conflicts_with = "policy")]
    purpose: Option<String>,
    /// Ask for these rules (ODRL) instead of those that are offered.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The agreement that the new one takes the place of: `id;version;digest`.
    #[arg(long, value_name = "AGREEMENT")]
    replaces: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Offer {
    /// The dataset in JSON.
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Withdraw {
    /// Id of the dataset.
    dataset: String,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Catalog, output: Output) -> Result<Outcome> {
    match command {
        Catalog::List(command) => list(&command, output),
        Catalog::Show(command) => show(&command, output),
        Catalog::Request(command) => request(&command, output),
        Catalog::Offer(Offer { file, node }) => {
            let dataset = read_json(&file)?;
            let shown = Client::open(&node)?.post_json("/v1/offers", &dataset)?;
            output.print(&shown, |shown| format!("{} is offered\n", cell(&shown["id"])))?;
            Ok(Outcome::Done)
        }
        Catalog::Withdraw(Withdraw { dataset, node }) => {
            Client::open(&node)?.delete(&format!("/v1/offers/{}", segment(&dataset)))?;
            let told = object!({ "id": dataset, "offered": false });
            output.print(&told, |_| format!("{dataset} is offered no more\n"))?;
            Ok(Outcome::Done)
        }
    }
}

/// Escapes an id for one segment of a path.
pub(super) fn segment(id: &str) -> String {
    escape(id).replace('/', "%2F")
}

/// Reads a JSON file.
pub(super) fn read_json(file: &std::path::Path) -> Result<Value> {
    let bytes = files::read(file, JSON_BYTES_MAX as u64)?;
    json::parse(&bytes).map_err(|error| {
        Failure::new(ErrorKind::Invalid, format!("{}: {error}", file.display()))
            .hint("write strict JSON; docs/use/agreements.md shows the form")
            .into()
    })
}

fn peer_catalog(client: &Client, peer: &str) -> Result<Value> {
    client.get(&format!("/v1/catalog/{}", escape(peer)))
}

fn list(command: &List, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    if let Some(peer) = &command.peer {
        output.print(&peer_catalog(&client, peer)?, describe_catalog)?;
    } else {
        output.print(&client.get("/v1/offers")?, describe_offers)?;
    }
    Ok(Outcome::Done)
}

fn describe_catalog(shown: &Value) -> String {
    let rows: Vec<_> = items(&shown["catalog"]["dataset"])
        .map(|dataset| {
            let offers: Vec<_> =
                items(&dataset["hasPolicy"]).map(|offer| cell(&offer["@id"])).collect();
            let publisher = brief(&dataset["publisher"]);
            let title = cell(&dataset["title"]);
            [cell(&dataset["@id"]), title, publisher, kind_of(dataset), offers.join(", ")]
        })
        .collect();
    let mut text = if rows.is_empty() {
        "it offers you nothing\n".to_owned()
    } else {
        table(["dataset", "title", "provider", "what it is", "offers"], &rows)
    };
    for problem in items(&shown["problems"]) {
        let (pointer, rule) = (cell(&problem["pointer"]), cell(&problem["rule"]));
        let _ = writeln!(text, "left out: {pointer}: {rule}");
    }
    text
}

fn describe_offers(shown: &Value) -> String {
    let rows: Vec<_> = items(&shown["offers"])
        .map(|dataset| {
            let seen: Vec<_> = items(&dataset["visibleTo"]).map(cell).collect();
            let decides = if dataset["autoApprove"] == true { "at once" } else { "a person" };
            let kind = describe_kind(&dataset["kind"]);
            let [id, title, provider] =
                ["id", "title", "provider"].map(|name| cell(&dataset[name]));
            [id, title, provider, kind, seen.join(", "), decides.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        return "nothing is offered here; `karvan catalog offer --help` shows how\n".to_owned();
    }
    table(["dataset", "title", "provider", "what it is", "seen by", "agreed by"], &rows)
}

/// Reads what a dataset of a catalog is.
fn kind_of(dataset: &Value) -> String {
    let text = dataset[KIND_MEMBER].as_str().unwrap_or_default();
    json::parse(text.as_bytes()).map_or_else(|_| "-".to_owned(), |kind| describe_kind(&kind))
}

fn describe_kind(kind: &Value) -> String {
    let codes = |kind: &Value| items(&kind["codes"]).map(cell).collect::<Vec<_>>().join(", ");
    let kinds = kind.as_object().and_then(|kinds| kinds.iter().next());
    match kinds.map(|(name, kind)| (name.as_str(), kind)) {
        Some(("service", kind)) => format!("service {}", cell(&kind["code"])),
        Some(("documents", kind)) => format!("documents {}", codes(kind)),
        Some(("feed", _)) => "feed".to_owned(),
        _ => "-".to_owned(),
    }
}

/// Finds a dataset by its id.
fn find(catalog: &Value, id: &str, where_to_look: &str) -> Result<Value> {
    let found = items(&catalog["dataset"]).find(|dataset| dataset["@id"] == id);
    found.cloned().ok_or_else(|| {
        let text = format!("there is no dataset `{id}`, or you may not see it");
        Failure::new(ErrorKind::NotFound, text).hint(where_to_look).into()
    })
}

fn show(command: &Show, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let Some(peer) = &command.peer else {
        let shown = client.get("/v1/offers")?;
        let found = items(&shown["offers"]).find(|dataset| dataset["id"] == *command.dataset);
        let found = found.ok_or_else(|| {
            let text = format!("this node offers no dataset `{}`", command.dataset);
            Failure::new(ErrorKind::NotFound, text)
                .hint("`karvan catalog list` shows what it offers; --peer asks another one")
        })?;
        output.print(found, pretty)?;
        return Ok(Outcome::Done);
    };
    let shown = peer_catalog(&client, peer)?;
    let hint = format!("`karvan catalog list --peer {peer}` shows what you may see");
    let dataset = find(&shown["catalog"], &command.dataset, &hint)?;
    output.print(&dataset, |dataset| {
        let mut text = format!(
            "{}  {}\n  offered by {}\n  what it is {}\n",
            cell(&dataset["@id"]),
            cell(&dataset["title"]),
            brief(&dataset["publisher"]),
            kind_of(dataset),
        );
        let formats: Vec<_> =
            items(&dataset["distribution"]).map(|way| cell(&way["format"])).collect();
        let _ = writeln!(text, "  travels as {}", formats.join(", "));
        for offer in items(&dataset["hasPolicy"]) {
            let _ = write!(text, "\noffer {}\n{}", cell(&offer["@id"]), pretty(offer));
        }
        text
    })?;
    Ok(Outcome::Done)
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn request(command: &Request, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let asks_node = command.peer.parse::<NodeId>().is_ok();
    let dataset = if asks_node || command.purpose.is_some() {
        let shown = peer_catalog(&client, &command.peer)?;
        let hint = format!("`karvan catalog list --peer {}` shows what you may see", command.peer);
        Some(find(&shown["catalog"], &command.dataset, &hint)?)
    } else {
        None
    };
    let provider = match &dataset {
        Some(dataset) if asks_node => brief(&dataset["publisher"]),
        _ => command.peer.clone(),
    };
    let mut start = Map::new();
    start.insert("provider".to_owned(), provider.into());
    start.insert("dataset".to_owned(), command.dataset.clone().into());
    let given = [("offer", &command.offer), ("replaces", &command.replaces)];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)))
    {
        start.insert(name.to_owned(), value.clone().into());
    }
    let policy = match (&command.policy, &command.purpose, &dataset) {
        (Some(file), ..) => Some(read_json(file)?),
        (None, Some(purpose), Some(dataset)) => Some(for_purpose(dataset, command, purpose)?),
        _ => None,
    };
    if let Some(policy) = policy {
        start.insert("policy".to_owned(), policy);
    }
    let process = client.post_json("/v1/negotiations", &start.into())?;
    output.print(&process, |process| {
        let pid = cell(&process["pid"]);
        format!(
            "{pid}  {}\nSee what becomes of it:\n  karvan agreements show {pid}\n",
            cell(&process["state"])
        )
    })?;
    Ok(Outcome::Done)
}

/// Returns the rules of an offer with another purpose.
fn for_purpose(dataset: &Value, command: &Request, purpose: &str) -> Result<Value> {
    let wanted = command.offer.as_deref();
    let mut offers = items(&dataset["hasPolicy"]);
    let offer = offers.find(|offer| wanted.is_none_or(|id| offer["@id"] == id));
    let mut policy = offer.cloned().with_context(|| {
        Failure::new(ErrorKind::NotFound, "the dataset has no such offer")
            .hint("`karvan catalog show` lists its offers")
    })?;
    let constraint = object!({ "leftOperand": PURPOSE, "operator": "eq", "rightOperand": purpose });
    let permissions = policy.get_mut("permission").and_then(Value::as_array_mut);
    for permission in permissions.into_iter().flatten().filter_map(Value::as_object_mut) {
        let constraints = permission.entry("constraint").or_insert_with(|| object!([]));
        if let Some(constraints) = constraints.as_array_mut() {
            constraints.retain(|known| known["leftOperand"] != PURPOSE);
            constraints.push(constraint.clone());
        }
    }
    Ok(policy)
}
