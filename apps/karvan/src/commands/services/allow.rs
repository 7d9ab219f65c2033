//! `karvan services allow`: an agreement about calls, made or countersigned at a running node.
//!
//! Rights are agreements, and an agreement needs the signatures of both nations. Between members of
//! one nation the node's signature is enough and it is in force at once; otherwise a file goes to
//! the other side, comes back signed, and is handed in here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use karvan_agreements::meter::Period;
use karvan_agreements::{Agreement, Endpoint, Grant, Quota, ServiceGrant};
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{AgreementRef, Date, ErrorKind, MemberId, Timestamp};
use karvan_xroad::ServiceId;
use serde_json::{Value, json};

use crate::client::{Client, NodeArgs};
use crate::commands::Outcome;
use crate::commands::status::cell;
use crate::failure::{self, Failure};
use crate::files;
use crate::output::Output;

/// Let a client call a service: make the agreement, or sign the other side's.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  karvan services allow AZ/GOV/SCC/customs/certificates --client PK/GOV/FBR/customs \\
    --purpose customs-control --legal-basis 'Customs cooperation agreement, article 7' \\
    --until 2027-12-31 --endpoint 'GET /*' --quota 600/minute --dir az
  karvan services allow --document pk-az-certificates-1.json --dir pk

The first makes the agreement and signs it for Azerbaijan; the second, at the other node, adds
Pakistan's signature, and then once more at the first node, where it comes into force too.")]
pub(crate) struct Allow {
    /// Provider and service code.
    #[arg(required_unless_present = "document")]
    service: Option<String>,
    /// Who may call.
    #[arg(long, value_name = "SUBSYSTEM", required_unless_present = "document")]
    client: Option<MemberId>,
    /// Why, as a code; travels with each call.
    #[arg(long, value_name = "CODE", required_unless_present = "document")]
    purpose: Option<String>,
    /// The legal basis, in words.
    #[arg(long, value_name = "TEXT", required_unless_present = "document")]
    legal_basis: Option<String>,
    /// The first day on which it no longer allows anything (UTC).
    #[arg(long, value_name = "DATE", required_unless_present = "document")]
    until: Option<Date>,
    /// The first day on which it allows something (UTC); at once unless given.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// A method and path pattern, such as 'GET /lines/*'; may be repeated; the whole service
    /// unless given.
    #[arg(long = "endpoint", value_name = "METHOD PATH")]
    endpoints: Vec<String>,
    /// How often, such as 600/minute; as often as it likes unless given. The provider's node
    /// counts, also across restarts (per second it begins anew).
    #[arg(long, value_name = "CALLS/PERIOD")]
    quota: Option<String>,
    /// The agreement's name; made of nations and service unless given.
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
    /// Its version, counted from 1.
    #[arg(long = "revision", value_name = "VERSION", default_value_t = 1)]
    revision: u32,
    /// Hand in a document that was signed before, instead of making one.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service", "client", "purpose"])]
    document: Option<PathBuf>,
    /// Where to write the signed document; NAME-VERSION.json unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: &Allow, output: Output) -> Result<Outcome> {
    let client = Client::open(&command.node)?;
    let outcome = if let Some(file) = &command.document {
        client.post_file("/v1/agreements", "application/jose+json", file)?
    } else {
        client.post_json("/v1/agreements", &serde_json::to_value(draft(command)?)?)?
    };
    let name: AgreementRef = cell(&outcome["agreement"]).parse()?;
    let usual = format!("{}-{}.json", name.id, name.version);
    let document = outcome["document"].as_str().unwrap_or_default();
    let handed_in = command.document.as_deref().map(std::fs::read).transpose()?;
    let known = match &handed_in {
        // What came signed by all is with the others already.
        Some(handed_in) => handed_in == document.as_bytes(),
        // Between members of one nation nobody else has to get it.
        None => outcome["installed"] == true,
    };
    let file = (!known || command.out.is_some())
        .then(|| command.out.clone().unwrap_or_else(|| PathBuf::from(usual)));
    if let Some(file) = &file {
        files::write(file, document.as_bytes())?;
    }
    let value = json!({
        "agreement": name,
        "installed": outcome["installed"],
        "missing": outcome["missing"],
        "file": file,
        "warning": command.service.as_deref().and_then(|it| not_offered(&client, it, &outcome)),
    });
    output.print(&value, |value| {
        let warning = value["warning"].as_str().map(|text| format!("\nwarning: {text}\n"));
        describe(&name, value, file.as_deref()) + &warning.unwrap_or_default()
    })?;
    Ok(Outcome::Done)
}

/// Returns a warning when the provider's node, which this is when it signs for the provider, offers
/// no such service: an agreement may come first, or hold a typing error.
fn not_offered(client: &Client, service: &str, outcome: &Value) -> Option<String> {
    let mut missing = outcome["missing"].as_array().into_iter().flatten().map(cell);
    let signs = missing.all(|nation| !service.starts_with(&format!("{nation}/")));
    let known = client.get(&super::path(service));
    let unknown = known.is_err_and(|error| failure::kind(&error) == ErrorKind::NotFound);
    (signs && unknown).then(|| {
        format!(
            "this node offers no service {service} yet; `karvan services list` shows what it offers"
        )
    })
}

fn describe(name: &AgreementRef, outcome: &Value, file: Option<&Path>) -> String {
    let text = format!("agreement {} version {}", name.id, name.version);
    let missing: Vec<_> = outcome["missing"].as_array().into_iter().flatten().map(cell).collect();
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    if outcome["installed"] != true {
        let who = missing.join(" and ");
        return format!(
            "{text} is signed by this side and in {file}\n\nNot in force yet: {who} has to sign. \
             Send the file there; they run\n\n  karvan services allow --document {file} --dir \
             FOLDER\n\nand send back what it writes; hand that in here the same way.\n"
        );
    }
    if file.is_empty() {
        return format!("{text} is in force at this node\n");
    }
    format!(
        "{text} is in force at this node, signed by all, and in {file}\n\nThe other node knows it \
         once it is handed in there:\n\n  karvan services allow --document {file} --dir FOLDER\n"
    )
}

fn invalid(text: String, hint: &str) -> Failure {
    Failure::new(ErrorKind::Invalid, text).hint(hint)
}

fn draft(command: &Allow) -> Result<Agreement> {
    let missing = || invalid("an option is missing".to_owned(), "see --help");
    let name = command.service.as_deref().ok_or_else(missing)?;
    let form = "write it as AZ/GOV/SCC/customs/certificates";
    let service = ServiceId::parse(name.as_bytes())
        .map_err(|error| invalid(format!("`{name}` names no service: {error}"), form))?;
    let provider = service
        .provider()
        .to_member()
        .map_err(|error| invalid(format!("`{name}` names no provider: {error}"), form))?;
    let client = command.client.clone().ok_or_else(missing)?;
    let endpoints = command.endpoints.iter().map(|text| endpoint(text)).collect::<Result<_>>()?;
    let code = service.service.into_owned();
    let id = command.id.clone().unwrap_or_else(|| usual_id(&client, &provider, &code));
    let now = SystemClock.now();
    let agreement = Agreement {
        id,
        version: command.revision,
        purpose: command.purpose.clone().ok_or_else(missing)?,
        legal_basis: command.legal_basis.clone().ok_or_else(missing)?,
        valid_from: command.from.map_or(Ok(now), midnight)?,
        valid_until: midnight(command.until.ok_or_else(missing)?)?,
        grants: vec![Grant {
            services: vec![ServiceGrant { service: code, endpoints }],
            quota: command.quota.as_deref().map(quota).transpose()?,
            ..Grant::new(client, provider)
        }],
        policy: None,
    };
    agreement.check()?;
    Ok(agreement)
}

/// Makes a name of the two nations and the service.
fn usual_id(client: &MemberId, provider: &MemberId, service: &str) -> String {
    let text = format!("{}-{}-{service}", client.instance(), provider.instance());
    let plain = |letter: char| {
        let keep = letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        if keep { letter.to_ascii_lowercase() } else { '-' }
    };
    text.chars().map(plain).collect()
}

fn midnight(day: Date) -> Result<Timestamp> {
    let text = format!("{day}T00:00:00.000Z");
    text.parse().with_context(|| invalid(format!("{day} is no day"), "write 2027-12-31"))
}

fn endpoint(text: &str) -> Result<Endpoint> {
    let (method, path) = text.trim().split_once(' ').ok_or_else(|| {
        let hint = "write method and path pattern, such as 'GET /lines/*' or '* **'";
        invalid(format!("`{text}` is no endpoint"), hint)
    })?;
    Ok(Endpoint { method: method.to_ascii_uppercase(), path: path.trim().to_owned() })
}

fn quota(text: &str) -> Result<Quota> {
    let read = || {
        let (calls, per) = text.split_once('/')?;
        let periods = [Period::Second, Period::Minute, Period::Hour, Period::Day];
        let per = periods.into_iter().find(|period| period.as_str() == per)?;
        Some(Quota { calls: calls.parse().ok()?, per })
    };
    let hint = "write calls and period, such as 600/minute; periods are second, minute, hour, day";
    Ok(read().ok_or_else(|| invalid(format!("`{text}` is no quota"), hint))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_and_endpoints_are_read() {
        for (text, good) in [
            ("600/minute", true),
            ("1/day", true),
            ("/day", false),
            ("5", false),
            ("5/week", false),
        ] {
            let read = quota(text);
            assert_eq!(read.is_ok(), good, "{text}");
            assert!(read.is_err() || read.is_ok_and(|quota| quota.to_string() == text), "{text}");
        }
        let read = endpoint("get  /lines/*").expect("an endpoint");
        assert_eq!((read.method.as_str(), read.path.as_str()), ("GET", "/lines/*"));
        assert!(endpoint("/lines").is_err());
    }

    #[test]
    fn names_are_made_of_nations_and_service() {
        let member = |text: &str| text.parse().expect("a member");
        let (client, provider) = (member("PK/GOV/FBR/customs"), member("AZ/GOV/SCC/customs"));
        assert_eq!(usual_id(&client, &provider, "Lines v1"), "pk-az-lines-v1");
    }
}
