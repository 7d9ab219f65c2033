//! Figures of calls for Prometheus (OpenMetrics 1.0 text), and one log line for each call.
//!
//! | series | kind | labels |
//! |---|---|---|
//! | `karvan_calls_total` | counter | side, client, provider, service, outcome |
//! | `karvan_call_faults_total` | counter | side, code |
//! | `karvan_call_duration_seconds` | histogram | side, client, provider, service |
//! | `karvan_call_remote_seconds` | histogram | side, client, provider, service |
//! | `karvan_call_bytes_total` | counter | side, client, provider, service, direction |
//! | `karvan_calls_under_way` | gauge | side, state |
//!
//! The remote time is that of the peer's node on the client's side, and that of the provider's
//! system on the provider's; what is left of the duration is this node's own.
//!
//! The log line (target `karvan::call`, level info) has the fields of X-Road's operational
//! monitoring under their names there. As JSON it can go where such records went before. Left out
//! is what only SOAP has (version of the service, sizes of MIME parts, attachments), and
//! `securityServerInternalIp`, since a node has no address of its own but those of the lists.
//!
//! Invariants: only clients and services that exist make series of their own, and no more than
//! [`SERIES_MAX`]; the others are counted together as `other`. A line holds no body and no query.
//!
//! Not here: the calls themselves, which are rows of the store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use karvan_types::{ExchangeId, MemberId, NodeId, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::overload::Gate;

mod line;

pub(crate) use line::is_wanted as writes_lines;

/// Most combinations of side, client and service that have series of their own.
pub const SERIES_MAX: usize = 2_000;
/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The label of clients and services that have no series of their own.
const OTHER: &str = "other";
/// Upper bounds of the classes of durations, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0];

/// On which side of a call a node is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The node of the client.
    Client,
    /// The node of the provider.
    Provider,
}

/// What is known of a call when it ends. Times of the wall clock are for the log line, durations
/// for the figures.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// On which side this node is.
    pub side: Side,
    /// The exchange.
    pub exchange: Option<ExchangeId>,
    /// When the request had come in.
    pub request_in: Timestamp,
    /// When it went on, to the peer or the provider's system.
    pub request_out: Option<Timestamp>,
    /// When the answer had come in.
    pub response_in: Option<Timestamp>,
    /// When the answer went out.
    pub response_out: Timestamp,
    /// How long the call took at this node, all in all.
    pub elapsed: Duration,
    /// For how much of that the node waited for the peer or the provider's system.
    pub remote: Option<Duration>,
    /// The client subsystem, when it exists.
    pub client: Option<&'a MemberId>,
    /// The providing subsystem and the service code, when the service exists.
    pub service: Option<(&'a MemberId, &'a str)>,
    /// How X-Road calls the kind of the service; only its own node knows.
    pub service_type: Option<&'static str>,
    /// The node at the other end.
    pub peer: Option<&'a NodeId>,
    /// Where the client's node is, as lists name it.
    pub client_address: Option<&'a str>,
    /// Where the provider's node is.
    pub service_address: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The pattern of the endpoint by which the call is allowed; paths may hold personal data.
    pub path: Option<&'a str>,
    /// `X-Road-Id`.
    pub message_id: Option<&'a str>,
    /// `X-Road-Request-Id`.
    pub request_id: Option<&'a str>,
    /// `X-Road-UserId`.
    pub user_id: Option<&'a str>,
    /// `X-Road-Issue`.
    pub issue: Option<&'a str>,
    /// `X-Road-Represented-Party`.
    pub represented_party: Option<&'a str>,
    /// Bytes of the request's body.
    pub request_size: u64,
    /// Bytes of the answer's body.
    pub response_size: u64,
    /// The status of the answer.
    pub status: u16,
    /// The error code and text, when the exchange failed. An error of the provider's system is no
    /// fault of the exchange.
    pub fault: Option<(&'a str, &'a str)>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Names {
    side: &'static str,
    client: String,
    provider: String,
    service: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Outcomes {
    #[prometheus(flatten)]
    names: Names,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Directions {
    #[prometheus(flatten)]
    names: Names,
    direction: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Faults {
    side: &'static str,
    code: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct States {
    side: &'static str,
    state: &'static str,
}

/// The figures of one combination, found once and then counted without a lock on the families.
#[derive(Debug)]
struct Series {
    success: Counter,
    provider_error: Counter,
    fault: Counter,
    duration: Histogram,
    remote: Histogram,
    request_bytes: Counter,
    response_bytes: Counter,
}

type Codes = HashMap<String, Arc<Series>>;
/// Client, provider, code.
type Known = HashMap<MemberId, HashMap<MemberId, Codes>>;

/// The figures of a node's calls.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<Outcomes, Counter>,
    faults: Family<Faults, Counter>,
    duration: Family<Names, Histogram, fn() -> Histogram>,
    remote: Family<Names, Histogram, fn() -> Histogram>,
    bytes: Family<Directions, Counter>,
    under_way: Family<States, Gauge>,
    gates: Mutex<Vec<(Side, Arc<Gate>)>>,
    /// Per side; the count is that of both.
    known: RwLock<([Known; 2], usize)>,
    others: [Arc<Series>; 2],
}

impl Side {
    const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Provider => "provider",
        }
    }

    const fn index(self) -> usize {
        self as usize
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Starts with no calls.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("karvan");
        let calls = Family::default();
        let faults = Family::default();
        let duration = Family::new_with_constructor(histogram as fn() -> Histogram);
        let remote = Family::new_with_constructor(histogram as fn() -> Histogram);
        let (bytes, under_way) = (Family::default(), Family::default());
        registry.register("calls", "Calls by how they ended", Family::clone(&calls));
        registry.register("call_faults", "Failures of exchange, by code", Family::clone(&faults));
        let about = "Time from request to answer, in seconds";
        registry.register("call_duration_seconds", about, Family::clone(&duration));
        let about = "Part of it spent waiting for the peer or the provider's system, in seconds";
        registry.register("call_remote_seconds", about, Family::clone(&remote));
        registry.register("call_bytes", "Bytes of bodies", Family::clone(&bytes));
        registry.register("calls_under_way", "Calls now", Family::clone(&under_way));
        let make = |side| Arc::new(series(&calls, &duration, &remote, &bytes, &other(side)));
        let others = [make(Side::Client), make(Side::Provider)];
        Self {
            registry,
            calls,
            faults,
            duration,
            remote,
            bytes,
            under_way,
            gates: Mutex::default(),
            known: RwLock::default(),
            others,
        }
    }

    /// Shows how many calls run and wait at a gate.
    pub fn watch(&self, side: Side, gate: Arc<Gate>) {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner).push((side, gate));
    }

    /// Counts a call that ended, and writes its line.
    pub fn observe(&self, record: &Record<'_>) {
        let series = self.series(record);
        match record.fault {
            Some((code, _)) => {
                series.fault.inc();
                let labels = Faults { side: record.side.label(), code: code.to_owned() };
                self.faults.get_or_create(&labels).inc();
            }
            None if record.status >= 400 => _ = series.provider_error.inc(),
            None => _ = series.success.inc(),
        }
        series.duration.observe(record.elapsed.as_secs_f64());
        if let Some(remote) = record.remote {
            series.remote.observe(remote.as_secs_f64());
        }
        series.request_bytes.inc_by(record.request_size);
        series.response_bytes.inc_by(record.response_size);
        line::write(record);
    }

    fn series(&self, record: &Record<'_>) -> Arc<Series> {
        let side = record.side;
        let [of_client, of_provider] = &self.others;
        let other = || Arc::clone(if side == Side::Client { of_client } else { of_provider });
        let Some((client, (provider, code))) = record.client.zip(record.service) else {
            return other();
        };
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let found = known.0.get(side.index()).and_then(|clients| clients.get(client));
            let found = found.and_then(|providers| providers.get(provider)?.get(code));
            if let Some(found) = found {
                return Arc::clone(found);
            }
            if known.1 >= SERIES_MAX {
                return other();
            }
        }
        let names = Names {
            side: side.label(),
            client: client.to_string(),
            provider: provider.to_string(),
            service: code.to_owned(),
        };
        let made = Arc::new(series(&self.calls, &self.duration, &self.remote, &self.bytes, &names));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (sides, count) = &mut *known;
        if let Some(clients) = sides.get_mut(side.index()) {
            let providers = clients.entry(client.clone()).or_default();
            let codes = providers.entry(provider.clone()).or_default();
            *count += usize::from(codes.insert(code.to_owned(), Arc::clone(&made)).is_none());
        }
        made
    }

    /// Writes all figures as OpenMetrics text.
    pub fn render(&self) -> String {
        for (side, gate) in self.gates.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let (running, waiting) = gate.load();
            for (state, count) in [("running", running), ("waiting", waiting)] {
                let labels = States { side: side.label(), state };
                let gauge = self.under_way.get_or_create(&labels);
                gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
            }
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _: Result<(), fmt::Error> = encode(&mut text, &self.registry);
        text
    }
}

fn other(side: Side) -> Names {
    let [client, provider, service] = [OTHER, OTHER, OTHER].map(str::to_owned);
    Names { side: side.label(), client, provider, service }
}

fn series(
    calls: &Family<Outcomes, Counter>,
    duration: &Family<Names, Histogram, fn() -> Histogram>,
    remote: &Family<Names, Histogram, fn() -> Histogram>,
    bytes: &Family<Directions, Counter>,
    names: &Names,
) -> Series {
    let ended = |outcome| calls.get_or_create_owned(&Outcomes { names: names.clone(), outcome });
    let carried =
        |direction| bytes.get_or_create_owned(&Directions { names: names.clone(), direction });
    Series {
        success: ended("success"),
        provider_error: ended("provider_error"),
        fault: ended("fault"),
        duration: duration.get_or_create_owned(names),
        remote: remote.get_or_create_owned(names),
        request_bytes: carried("request"),
        response_bytes: carried("response"),
    }
}

#[cfg(test)]
mod tests;
