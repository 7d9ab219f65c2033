//! `karvan services`: what a node offers, how its own agencies' systems prove who they are, and
//! agreements about calls.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::failure::{self, Failure};
use crate::files;
use crate::output::{Output, table};

mod allow;
mod client;

/// Longest file of certificates or of an OpenAPI description, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Offer services to agencies abroad and at home, and allow calls.
#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Offer a service of a member of this node, or change it; what no option names stays.
    #[command(after_help = "Example:\n  karvan services add AZ/GOV/SCC/customs/certificates \
        --url http://10.0.0.7:8080/api --dir az\n  \
        karvan services add AZ/GOV/SCC/customs/certificates --timeout 10 --dir az")]
    Add(Add),
    /// List the services of the node.
    #[command(after_help = "Example:\n  karvan services list --dir az")]
    List(OnlyNode),
    /// Show one service.
    #[command(after_help = "Example:\n  \
        karvan services show AZ/GOV/SCC/customs/certificates --dir az")]
    Show(One),
    /// Remove a service; calls to it are refused from now on.
    #[command(after_help = "Example:\n  \
        karvan services remove AZ/GOV/SCC/customs/certificates --dir az")]
    Remove(One),
    /// Pass calls on again.
    #[command(after_help = "Example:\n  \
        karvan services enable AZ/GOV/SCC/customs/certificates --dir az")]
    Enable(One),
    /// Pass no more calls on, and tell callers why.
    #[command(after_help = "Example:\n  karvan services disable \
        AZ/GOV/SCC/customs/certificates --notice 'back at 14:00 UTC' --dir az")]
    Disable(Disable),
    /// Let a client call a service: make the agreement, or sign the other side's.
    Allow(Box<allow::Allow>),
    /// Set how the systems of a client of this node prove who they are, or show it; what no option
    /// names stays.
    #[command(after_help = "Examples:\n  karvan services client PK/GOV/FBR/customs --dir pk\n  \
        karvan services client PK/GOV/FBR/customs --certificate system.pem --dir pk\n  \
        karvan services client PK/GOV/FBR/customs --plain-http=false --dir pk")]
    Client(client::ClientSettings),
}

#[derive(Args, Debug)]
pub(crate) struct OnlyNode {
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// Provider and service code, such as AZ/GOV/SCC/customs/certificates.
    service: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Provider and service code, such as AZ/GOV/SCC/customs/certificates.
    service: String,
    /// Where the provider's system is; a new service needs it.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Its OpenAPI 3 description in JSON or YAML: an address, or a file.
    #[arg(long, value_name = "URL|FILE")]
    openapi: Option<String>,
    /// How long the system may take, in seconds; a minute unless set.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// How much of that time a new connection may take, in seconds; 30 unless set.
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<u32>,
    /// Most connections to the system at one time; 64 unless set. Calls beyond them are told to
    /// come back.
    #[arg(long, value_name = "COUNT")]
    connections: Option<u32>,
    /// The authorities that vouch for an https system (PEM); else those of the machine.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not verify the certificate of an https system, or do so again (--insecure=false).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true", conflicts_with = "ca")]
    insecure: Option<bool>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Disable {
    /// Provider and service code.
    service: String,
    /// What callers are told.
    #[arg(long, value_name = "TEXT")]
    notice: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Services, output: Output) -> Result<Outcome> {
    match command {
        Services::Add(command) => add(&command, output)?,
        Services::List(OnlyNode { node }) => {
            let services = Client::open(&node)?.get("/v1/services")?;
            output.print(&services, list)?;
        }
        Services::Show(One { service, node }) => {
            let service = Client::open(&node)?.get(&path(&service))?;
            output.print(&service, describe)?;
        }
        Services::Remove(One { service, node }) => {
            Client::open(&node)?.delete(&path(&service))?;
            let value = json!({ "service": service, "removed": true });
            output.print(&value, |_| format!("{service} is removed; calls to it are refused"))?;
        }
        Services::Enable(One { service, node }) => change(&node, &service, true, None, output)?,
        Services::Disable(Disable { service, notice, node }) => {
            change(&node, &service, false, notice.as_deref(), output)?;
        }
        Services::Allow(command) => return allow::run(&command, output),
        Services::Client(command) => client::run(&command, output)?,
    }
    Ok(Outcome::Done)
}

fn path(service: &str) -> String {
    format!("/v1/services/{}", escape_parts(service))
}

/// Escapes all but what may already be escaped: the parts of a name are written as in calls.
fn escape_parts(name: &str) -> String {
    escape(name).replace("%25", "%")
}

/// Offers a service, or changes one that is offered: what no option names stays, as whether it is
/// enabled.
fn add(command: &Add, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let path = path(&command.service);
    let known = match client.get(&path) {
        Err(error) if failure::kind(&error) == ErrorKind::NotFound => {
            if command.url.is_none() {
                let text = format!("{} is not offered yet", command.service);
                let failure = Failure::new(ErrorKind::NotFound, text);
                return Err(failure.hint("a new service needs --url").into());
            }
            json!({})
        }
        known => known?,
    };
    let set = client.put(&path, &merge(command, known)?)?;
    output.print(&set, |set| {
        let name = &command.service;
        format!(
            "{}\nNobody may call it without an agreement: karvan services allow {name} --help\n",
            describe(set).trim_end()
        )
    })
}

/// Returns the settings of a service with what the command changes.
fn merge(command: &Add, mut service: Value) -> Result<Value> {
    let text = |file: &PathBuf| {
        files::read(file, FILE_BYTES_MAX).map(|it| String::from_utf8_lossy(&it).into_owned())
    };
    if let Some(url) = &command.url {
        service["baseUrl"] = url.as_str().into();
    }
    if let Some(seconds) = command.timeout {
        service["timeoutMs"] = (u64::from(seconds) * 1000).into();
    }
    if let Some(seconds) = command.connect_timeout {
        service["connectTimeoutMs"] = (u64::from(seconds) * 1000).into();
    }
    if let Some(count) = command.connections {
        service["connectionsMax"] = count.into();
    }
    if let Some(insecure) = command.insecure {
        service["verifyTls"] = (!insecure).into();
    }
    if let Some(openapi) = &command.openapi {
        let is_url = openapi.starts_with("http://") || openapi.starts_with("https://");
        let description = if is_url { openapi.clone() } else { text(&PathBuf::from(openapi))? };
        service["kind"] = json!({ "type": "openapi", "description": description });
        // The endpoints are those of the description; the node reads them from the new one.
        service["endpoints"] = json!([]);
    }
    if let Some(ca) = &command.ca {
        service["authorities"] = text(ca)?.into();
        service["verifyTls"] = true.into();
    }
    Ok(service)
}

fn change(
    node: &NodeArgs,
    service: &str,
    enabled: bool,
    notice: Option<&str>,
    output: Output,
) -> Result<()> {
    let client = Client::open(node)?;
    let mut known = client.get(&path(service))?;
    known["enabled"] = enabled.into();
    if let Some(settings) = known.as_object_mut() {
        settings.remove("notice");
        if let Some(notice) = notice {
            settings.insert("notice".to_owned(), notice.into());
        }
    }
    let set = client.put(&path(service), &known)?;
    output.print(&set, describe)
}

fn list(services: &Value) -> String {
    let rows: Vec<_> = services
        .as_array()
        .into_iter()
        .flatten()
        .map(|service| {
            let state = if service["enabled"] == true { "enabled" } else { "disabled" };
            [
                format!("{}/{}", cell(&service["member"]), cell(&service["code"])),
                cell(&service["kind"]["type"]),
                state.to_owned(),
                cell(&service["baseUrl"]),
            ]
        })
        .collect();
    if rows.is_empty() {
        return "no services; offer one with `karvan services add`".to_owned();
    }
    table(["service", "kind", "state", "system"], &rows)
}

fn describe(service: &Value) -> String {
    let mut text = format!(
        "{}/{}\n  {} at {}\n  {}, {} ms at most, {} of them to connect, {} connections\n",
        cell(&service["member"]),
        cell(&service["code"]),
        cell(&service["kind"]["type"]),
        cell(&service["baseUrl"]),
        if service["enabled"] == true { "enabled" } else { "disabled" },
        cell(&service["timeoutMs"]),
        cell(&service["connectTimeoutMs"]),
        cell(&service["connectionsMax"]),
    );
    if let Some(notice) = service["notice"].as_str() {
        let _ = writeln!(text, "  callers are told: {notice}");
    }
    for endpoint in service["endpoints"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  {} {}", cell(&endpoint["method"]), cell(&endpoint["path"]));
    }
    text
}
