//! The file that an operator writes: one TOML file, every key with its meaning and default.
//!
//! Unknown keys are refused, and so are values that could not work; each problem names file, line,
//! key and remedy, all problems at once where that is possible. No secret stands in the file: it
//! names files and environment variables that hold them. Relative paths begin at the file's folder.
//!
//! Not here: what the values do (`crate::node`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use karvan_exchange::delivery::Delivery;
use karvan_types::{ErrorKind, MemberId, NodeId};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;

mod check;
pub(crate) mod service;
mod span;

pub(crate) use span::Span;

/// Longest configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Where the local interface listens unless told otherwise.
const LOCAL_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7480);
/// Time between checkpoints while entries arrive.
const CHECKPOINT_EVERY: Span = Span::from_secs(1);
/// How long a document is tried.
const DELIVERY_DEADLINE: Span = Span::from_secs(30 * 86_400);
/// Documents in flight to one peer.
const RELAY_WINDOW: usize = 64;
/// The first pause before a document is tried again; it doubles with each failure.
const RETRY_FIRST: Span = Span::from_secs(1);
/// The longest such pause.
const RETRY_LONGEST: Span = Span::from_secs(600);
/// How often streams are compared with the peers.
const COMPARE_EVERY: Span = Span::from_secs(86_400);
/// How often the peers' lists, and this node's own, are looked at.
const LIST_REFRESH: Span = Span::from_secs(60);
/// How long a stream may have a gap before an alarm.
const GAP_ALARM_AFTER: Span = Span::from_secs(3600);
/// Connections of agencies' systems that may be open at once.
const CALLS_CONNECTIONS_MAX: usize = 16_384;
/// How long calls under way may take to end when the node stops.
const CALLS_DRAIN: Span = Span::from_secs(30);
/// How long the other node may take to answer a call: what a service has when nothing was set for
/// it (60 s), and half as much again.
const CALLS_ANSWER_TIMEOUT: Span = Span::from_secs(90);
/// How much of that time a new connection to it may take, its handshake included.
const CALLS_CONNECT_TIMEOUT: Span = Span::from_secs(10);
/// How long an agency's connection may wait for the head of its next request.
const CALLS_IDLE_TIMEOUT: Span = Span::from_secs(30);
/// What is logged. A line for each call is for those who ask: rows and figures tell the same.
const LOG_FILTER: &str = "info,karvan::call=off";

/// The whole file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    pub(crate) node: NodeSection,
    pub(crate) keys: KeysSection,
    pub(crate) peer: PeerSection,
    #[serde(default)]
    pub(crate) local: LocalSection,
    #[serde(default)]
    pub(crate) trust: TrustSection,
    #[serde(default)]
    pub(crate) log: LogSection,
    #[serde(default)]
    pub(crate) exchange: ExchangeSection,
    #[serde(default)]
    pub(crate) agreements: AgreementsSection,
    #[serde(default)]
    pub(crate) calls: CallsSection,
    #[serde(default)]
    pub(crate) telemetry: TelemetrySection,
    #[serde(default)]
    pub(crate) service: service::ServiceSection,
    /// How documents reach members whose types no sub-system handles; pull when not named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) delivery: Vec<DeliverySection>,
    /// Systems that are told what happened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) webhook: Vec<service::WebhookSection>,
    /// Switches the customs sub-system on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) customs: Option<karvan_customs::subsystem::Config>,
}

/// Who the node is and where it keeps its state.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct NodeSection {
    /// Its identifier on the national list.
    pub(crate) id: NodeId,
    /// Folder of the state.
    #[serde(default = "data_folder")]
    pub(crate) data: PathBuf,
}

/// The node's private keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KeysSection {
    /// Folder of sealed keys.
    pub(crate) folder: PathBuf,
    /// What opens it.
    pub(crate) unlock: Unlock,
}

/// What opens the folder of keys.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unlock {
    /// A file, as `karvan init` makes it.
    KeyFile(PathBuf),
    /// An environment variable that holds the passphrase.
    PassphraseEnv(String),
}

/// The interface towards other nodes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PeerSection {
    /// Address and port to listen at; the port is the one on the national list.
    pub(crate) listen: SocketAddr,
    /// The node's certificate (PEM).
    #[serde(default = "certificate_file")]
    pub(crate) certificate: PathBuf,
}

/// The interface towards the agencies and operators of this nation.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LocalSection {
    /// Address and port to listen at, on loopback; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// The known tokens: digests, holders and permissions.
    pub(crate) token_file: PathBuf,
}

/// Root and lists.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TrustSection {
    /// Folder where the operator puts the root and new lists; they are taken over while it runs.
    pub(crate) folder: PathBuf,
}

/// The evidence log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct LogSection {
    /// Time between checkpoints while entries arrive.
    pub(crate) checkpoint_every: Span,
    /// Keeps the largest size ever signed; best on another volume than the state.
    pub(crate) signed_size_file: PathBuf,
}

/// Traffic.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ExchangeSection {
    pub(crate) delivery_deadline: Span,
    pub(crate) relay_window: usize,
    pub(crate) retry_first: Span,
    pub(crate) retry_longest: Span,
    pub(crate) compare_every: Span,
    pub(crate) list_refresh: Span,
    pub(crate) gap_alarm_after: Span,
}

/// Agreements.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct AgreementsSection {
    /// Folder of signed agreements, read at start.
    pub(crate) folder: PathBuf,
}

/// Calls of services (X-Road message protocol for REST).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct CallsSection {
    /// Address for agencies' systems that call without TLS; port 0 takes a free one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address for agencies' systems that call with TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen_tls: Option<SocketAddr>,
    /// Connections that may be open at once.
    pub(crate) connections_max: usize,
    /// How long calls under way may take to end when the node stops.
    pub(crate) drain: Span,
    /// How long the other node may take to answer a call.
    pub(crate) answer_timeout: Span,
    /// How much of that time a new connection to it may take.
    pub(crate) connect_timeout: Span,
    /// How long an agency's connection may wait for the head of its next request.
    pub(crate) idle_timeout: Span,
    /// Whether one signature may cover many calls when there are many.
    pub(crate) signatures: karvan_calls::Signatures,
}

/// What the node tells about itself on standard error.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TelemetrySection {
    /// What is logged: a level, or levels per part, such as `info,karvan_exchange=debug`.
    pub(crate) log: String,
    /// How.
    pub(crate) format: LogFormat,
    /// URL of a collector for traces (OTLP over HTTP); needs the feature `otel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) traces: Option<String>,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// How documents reach one member.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct DeliverySection {
    pub(crate) member: MemberId,
    pub(crate) mode: DeliveryMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
}

/// The ways of delivery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryMode {
    /// The agency's system asks.
    Pull,
    /// The node posts to `url`.
    Push,
}

fn data_folder() -> PathBuf {
    "data".into()
}

fn certificate_file() -> PathBuf {
    "node.crt".into()
}

impl Default for LocalSection {
    fn default() -> Self {
        Self { listen: LOCAL_LISTEN, token_file: "tokens.json".into() }
    }
}

impl Default for TrustSection {
    fn default() -> Self {
        Self { folder: "lists".into() }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { checkpoint_every: CHECKPOINT_EVERY, signed_size_file: "signed-size".into() }
    }
}

impl Default for ExchangeSection {
    fn default() -> Self {
        Self {
            delivery_deadline: DELIVERY_DEADLINE,
            relay_window: RELAY_WINDOW,
            retry_first: RETRY_FIRST,
            retry_longest: RETRY_LONGEST,
            compare_every: COMPARE_EVERY,
            list_refresh: LIST_REFRESH,
            gap_alarm_after: GAP_ALARM_AFTER,
        }
    }
}

impl Default for AgreementsSection {
    fn default() -> Self {
        Self { folder: "agreements".into() }
    }
}

impl Default for CallsSection {
    fn default() -> Self {
        Self {
            listen: None,
            listen_tls: None,
            connections_max: CALLS_CONNECTIONS_MAX,
            drain: CALLS_DRAIN,
            answer_timeout: CALLS_ANSWER_TIMEOUT,
            connect_timeout: CALLS_CONNECT_TIMEOUT,
            idle_timeout: CALLS_IDLE_TIMEOUT,
            signatures: karvan_calls::Signatures::default(),
        }
    }
}

impl Default for TelemetrySection {
    fn default() -> Self {
        Self { log: LOG_FILTER.to_owned(), format: LogFormat::default(), traces: None }
    }
}

impl DeliverySection {
    /// Returns it as the node takes it.
    pub(crate) fn delivery(&self) -> Delivery {
        match (self.mode, &self.url) {
            (DeliveryMode::Push, Some(url)) => Delivery::Push { url: url.clone() },
            _ => Delivery::Pull,
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = files::read(path, CONFIG_BYTES_MAX).map_err(|error| {
            Failure::config(format!("{error:#}"))
                .hint("name the file that `karvan init` made, such as --config DIR/node.toml")
        })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Failure::config(format!("{} is not UTF-8 text", path.display())))?;
        let folder = std::path::absolute(path)?.parent().map(Path::to_owned).unwrap_or_default();
        let config = Self::parse(&text, path)?.resolve(&folder);
        let problems = config.problems(&text);
        if problems.is_empty() {
            return Ok(config);
        }
        let told: Vec<_> =
            problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect();
        Err(Failure::new(ErrorKind::LocalConfig, told.join("\n")).into())
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| check::line_at(text, span.start));
            let key = text.lines().nth(line - 1).and_then(|line| line.split_once('='));
            let key = key.map(|(key, _)| format!("`{}`: ", key.trim())).unwrap_or_default();
            let message = error.message().replace('\n', "; ");
            Failure::config(format!("{}:{line}: {key}{message}", path.display()))
                .hint("docs/operate/README.md names every key with its default")
        })
    }

    /// Makes every path absolute.
    fn resolve(mut self, folder: &Path) -> Self {
        let paths = [
            &mut self.node.data,
            &mut self.keys.folder,
            &mut self.peer.certificate,
            &mut self.local.token_file,
            &mut self.trust.folder,
            &mut self.log.signed_size_file,
            &mut self.agreements.folder,
        ];
        for path in paths {
            *path = folder.join(&*path);
        }
        if let Unlock::KeyFile(path) = &mut self.keys.unlock {
            *path = folder.join(&*path);
        }
        self
    }

    /// Returns the effective configuration as TOML, with every default.
    pub(crate) fn show(&self) -> Result<String> {
        Ok(toml::to_string_pretty(self)?)
    }

    /// Returns the folder of the evidence log.
    pub(crate) fn log_folder(&self) -> PathBuf {
        self.node.data.join("log")
    }
}

#[cfg(test)]
mod tests;
