//! `karvan services client`: how the systems of a client subsystem prove who they are.
//!
//! Invariant: what an option does not name stays as it is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use karvan_types::{Digest, ErrorKind, MemberId};
use serde_json::{Value, json};

use super::escape_parts;
use crate::client::{Client, NodeArgs};
use crate::commands::status::cell;
use crate::failure::Failure;
use crate::output::Output;
use crate::setup;

#[derive(Args, Debug)]
pub(crate) struct ClientSettings {
    /// The client subsystem.
    client: MemberId,
    /// Let anybody who reaches the listener call for it, without certificate and token, or no
    /// longer (--plain-http=false).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    plain_http: Option<bool>,
    /// A certificate that its systems show (PEM), beside those that count already; may be
    /// repeated.
    #[arg(long = "certificate", value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// A certificate that counts no longer: its file (PEM) or its SHA-256; may be repeated.
    #[arg(long = "remove-certificate", value_name = "FILE|SHA-256")]
    removed: Vec<String>,
    /// Send error codes as X-Road wrote them up to 7.7, or no longer (--legacy-codes=false).
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
        default_missing_value = "true")]
    legacy_codes: Option<bool>,
    /// Go back to a token or nothing.
    #[arg(long,
        conflicts_with_all = ["plain_http", "certificates", "removed", "legacy_codes"])]
    reset: bool,
    #[command(flatten)]
    node: NodeArgs,
}

pub(super) fn run(command: &ClientSettings, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let path = format!("/v1/clients/{}", escape_parts(command.client.as_str()));
    if command.reset {
        client.delete(&path)?;
    }
    let known = client.get(&path)?;
    let wanted = merge(command, known.clone())?;
    let settings = if wanted == known { known } else { client.put(&path, &wanted)? };
    output.print(&settings, describe)
}

/// Returns the settings with what the command changes.
fn merge(command: &ClientSettings, mut settings: Value) -> Result<Value> {
    if let Some(plain) = command.plain_http {
        settings["plainHttp"] = plain.into();
    }
    if let Some(legacy) = command.legacy_codes {
        settings["legacyCodes"] = legacy.into();
    }
    let mut certificates: Vec<String> =
        settings["certificates"].as_array().into_iter().flatten().map(cell).collect();
    for removed in &command.removed {
        let digest = named(removed)?;
        let at = certificates.iter().position(|known| *known == digest).with_context(|| {
            let hint = format!("karvan services client {} shows those that do", command.client);
            let text = format!("the certificate with SHA-256 {digest} does not count");
            Failure::new(ErrorKind::NotFound, text).hint(hint)
        })?;
        certificates.remove(at);
    }
    for file in &command.certificates {
        let digest = digest(file)?;
        if !certificates.contains(&digest) {
            certificates.push(digest);
        }
    }
    if !command.removed.is_empty() || !command.certificates.is_empty() {
        settings["certificates"] = json!(certificates);
    }
    Ok(settings)
}

/// Returns the digest of a certificate that is named by it or by its file.
fn named(text: &str) -> Result<String> {
    match text.parse::<Digest>() {
        Ok(digest) => Ok(digest.to_string()),
        Err(_) => digest(Path::new(text)),
    }
}

fn digest(file: &Path) -> Result<String> {
    setup::read_certificate(file).map(|certificate| Digest::of(&certificate.0).to_string())
}

fn describe(settings: &Value) -> String {
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
