//! `karvan services`: what a node offers, how its own agencies' systems prove who they are, and
//! agreements about calls.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_types::{Digest, MemberId};
use serde_json::{Value, json};

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs, escape};
use crate::output::{Output, table};
use crate::{files, setup};

mod allow;

/// Longest file of certificates or of an OpenAPI description, in bytes.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Offer services to agencies abroad and at home, and allow calls.
#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Offer a service of a member of this node, or set it anew.
    #[command(after_help = "Example:\n  karvan services add AZ/GOV/SCC/customs/certificates \
        --url http://10.0.0.7:8080/api --dir az")]
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
    /// Set how the systems of a client of this node prove who they are, or show it.
    #[command(after_help = "Examples:\n  karvan services client PK/GOV/FBR/customs --dir pk\n  \
        karvan services client PK/GOV/FBR/customs --certificate system.pem --dir pk\n  \
        karvan services client PK/GOV/FBR/customs --plain-http --dir pk")]
    Client(ClientSettings),
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
    /// Where the provider's system is.
    #[arg(long, value_name = "URL")]
    url: String,
    /// Its OpenAPI 3 description: an address, or a file.
    #[arg(long, value_name = "URL|FILE")]
    openapi: Option<String>,
    /// How long the system may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
    /// Most connections to the system at one time.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    connections: u32,
    /// The authorities that vouch for an https system (PEM); else those of the machine.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Do not verify the certificate of an https system.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
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

#[derive(Args, Debug)]
pub(crate) struct ClientSettings {
    /// The client subsystem.
    client: MemberId,
    /// Let anybody who reaches the listener call for it, without certificate and token.
    #[arg(long)]
    plain_http: bool,
    /// A certificate that its systems show (PEM); may be repeated.
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// Send error codes as X-Road wrote them up to 7.7.
    #[arg(long)]
    legacy_codes: bool,
    /// Go back to a token or nothing.
    #[arg(long, conflicts_with_all = ["plain_http", "certificates", "legacy_codes"])]
    reset: bool,
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
        Services::Client(command) => client(&command, output)?,
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

fn add(command: &Add, output: Output) -> Result<()> {
    let text = |file: &PathBuf| {
        files::read(file, FILE_BYTES_MAX).map(|it| String::from_utf8_lossy(&it).into_owned())
    };
    let mut service = json!({
        "baseUrl": command.url,
        "timeoutMs": u64::from(command.timeout) * 1000,
        "connectionsMax": command.connections,
        "verifyTls": !command.insecure,
    });
    if let Some(openapi) = &command.openapi {
        let is_url = openapi.starts_with("http://") || openapi.starts_with("https://");
        let description = if is_url { openapi.clone() } else { text(&PathBuf::from(openapi))? };
        service["kind"] = json!({ "type": "openapi", "description": description });
    }
    if let Some(ca) = &command.ca {
        service["authorities"] = text(ca)?.into();
    }
    let set = Client::open(&command.node)?.put(&path(&command.service), &service)?;
    output.print(&set, |set| {
        let name = &command.service;
        format!(
            "{}\nNobody may call it without an agreement: karvan services allow {name} --help\n",
            describe(set).trim_end()
        )
    })
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
        "{}/{}\n  {} at {}\n  {}, {} ms at most, {} connections\n",
        cell(&service["member"]),
        cell(&service["code"]),
        cell(&service["kind"]["type"]),
        cell(&service["baseUrl"]),
        if service["enabled"] == true { "enabled" } else { "disabled" },
        cell(&service["timeoutMs"]),
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

fn client(command: &ClientSettings, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let path = format!("/v1/clients/{}", escape_parts(command.client.as_str()));
    let shown = !command.plain_http && !command.legacy_codes && command.certificates.is_empty();
    let settings = if command.reset {
        client.delete(&path)?;
        client.get(&path)?
    } else if shown {
        client.get(&path)?
    } else {
        let certificates = command.certificates.iter().map(|file| {
            setup::read_certificate(file).map(|certificate| Digest::of(&certificate.0).to_string())
        });
        let certificates = certificates.collect::<Result<Vec<_>>>()?;
        let settings = json!({
            "plainHttp": command.plain_http,
            "certificates": certificates,
            "legacyCodes": command.legacy_codes,
        });
        client.put(&path, &settings)?
    };
    output.print(&settings, describe_client)
}

fn describe_client(settings: &Value) -> String {
    let certificates = settings["certificates"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = format!("{}\n", cell(&settings["subsystem"]));
    text.push_str("  with a token that has the permission calls.send\n");
    for certificate in certificates {
        let _ = writeln!(text, "  or with the certificate with SHA-256 {}", cell(certificate));
    }
    if settings["plainHttp"] == true {
        text.push_str("  or without any proof, for whoever reaches the listener\n");
    }
    if settings["legacyCodes"] == true {
        text.push_str("  gets error codes as X-Road wrote them up to 7.7\n");
    }
    text
}
