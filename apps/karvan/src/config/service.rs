//! The sections of the service for agencies' systems: its listener, and whom the node tells.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_exchange::delivery::Target;
use karvan_exchange::webhooks::Webhook;
use karvan_trust::tls::Tls;
use karvan_trust::tls::upstream::{AUTHORITIES_BYTES_MAX, Verification};
use karvan_types::{Digest, MemberId};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;

/// Requests that one token may make in a minute.
const REQUESTS_PER_MINUTE: u32 = 6_000;

/// The service for agencies' systems.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ServiceSection {
    /// Address at which the service alone is offered with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen_tls: Option<SocketAddr>,
    /// Requests that one token may make in a minute.
    pub(crate) requests_per_minute: u32,
    /// Client certificates that stand for a token.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) certificate: Vec<CertificateSection>,
}

/// A client certificate that stands for a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CertificateSection {
    /// SHA-256 of the certificate (DER), in hexadecimal.
    pub(crate) sha256: Digest,
    /// The user of the token.
    pub(crate) user: String,
}

/// A system that is told what happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct WebhookSection {
    /// Its name.
    pub(crate) name: String,
    /// The sub-system whose journal is told.
    #[serde(default = "customs")]
    pub(crate) subsystem: String,
    /// The member that it belongs to.
    pub(crate) member: MemberId,
    /// Where to post: `https://host/path`, or `http:` on the agency's own network.
    pub(crate) url: String,
    /// File of the authorities that its certificate may be from (PEM); the operating system's
    /// unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authorities: Option<PathBuf>,
}

fn customs() -> String {
    "customs".to_owned()
}

impl Default for ServiceSection {
    fn default() -> Self {
        let requests_per_minute = REQUESTS_PER_MINUTE;
        Self { listen_tls: None, requests_per_minute, certificate: Vec::new() }
    }
}

impl WebhookSection {
    /// Returns it as the node takes it.
    pub(crate) fn webhook(&self, tls: &Tls) -> Result<Webhook> {
        let secure = self.url.starts_with("https:");
        let config = match &self.authorities {
            _ if !secure => None,
            None => Some(tls.upstream(Verification::System)?),
            Some(path) => {
                let pem = files::read(path, AUTHORITIES_BYTES_MAX as u64)?;
                let pem = String::from_utf8(pem).context("the authorities are no PEM text")?;
                Some(tls.upstream(Verification::Authorities(&pem))?)
            }
        };
        let target = Target::parse(&self.url, config.map(Arc::new)).map_err(|error| {
            Failure::config(format!("webhook `{}`: {error}", self.name))
                .hint("write https://host/path, or http://host:port/path on your own network")
        })?;
        Ok(Webhook {
            name: self.name.clone(),
            subsystem: self.subsystem.clone(),
            member: self.member.clone(),
            target: Arc::new(target),
        })
    }
}
