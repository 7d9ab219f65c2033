//! The composition root: the whole program on one screen.
//!
//! [`run`] opens the parts in the order in which they need each other, makes the node of them,
//! serves its local interface, and ends all in the reverse order. It has a runtime of its own, so
//! two nodes can run in one process.
//!
//! Invariants: what was acknowledged is durable at every instant, so an end may come at any time;
//! a part that fails ends the node, and the failure's kind is the exit code.
//!
//! Not here: what the parts do. Who this node is by keys and lists (`identity`), the evidence
//! log's thread (`log_thread`), the listener for agencies (`local`), lists and certificate while
//! it runs (`upkeep`).

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use karvan_agreements::meter::Period;
use karvan_agreements::{Agreements, Quota};
use karvan_exchange::network::TlsNetwork;
use karvan_exchange::tokens::Tokens;
use karvan_exchange::{Node, NodeConfig, Parts, Retry, records};
use karvan_ledger::Witness;
use karvan_store::{Blobs, SqliteStore, Store};
use karvan_subsystem::Subsystem;
use karvan_system::{Clock, Disk, OsDisk, SystemClock, SystemEntropy};
use karvan_trust::lists::TrustStore;
use karvan_trust::tls::Tls;
use karvan_types::NodeId;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::config::Config;
use crate::failure::Failure;
use crate::{agreements, files, setup, subsystems};

mod agencies;
mod gateways;
mod identity;
pub(crate) mod local;
mod log_thread;
mod reload;
mod upkeep;

pub(crate) use identity::{log_verifier, witness_verifiers};

/// What a running node says about itself, in the folder of its state.
pub(crate) const READY_FILE: &str = "ready.json";
/// How long connections in flight may take to end when the node stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// A node that accepts connections.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ready {
    pub(crate) node: NodeId,
    /// Where peers connect.
    pub(crate) peer: SocketAddr,
    /// URL of the local interface.
    pub(crate) local: String,
    /// URL at which agencies' systems call services without TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calls: Option<String>,
    /// URL at which they call with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) calls_tls: Option<String>,
    /// URL of the service for agencies' systems with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
    /// The process.
    pub(crate) pid: u32,
}

/// Runs a node until `stop` ends or a part fails. `on_ready` is called once it accepts connections.
pub(crate) fn run(
    config: &Config,
    on_ready: impl FnOnce(&Ready),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_parts(config, on_ready, stop));
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

async fn run_parts(
    config: &Config,
    on_ready: impl FnOnce(&Ready),
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let (clock, disk): (Arc<dyn Clock>, Arc<dyn Disk>) = (Arc::new(SystemClock), Arc::new(OsDisk));
    let data = &config.node.data;

    let subsystems = subsystems::registered(config.customs.as_ref())?;
    let state = Arc::new(open_state(config, &subsystems)?);
    let store = Store::new(Arc::clone(&state));
    let keys = setup::open_keys(&config.keys)?;
    let trust = Arc::new(TrustStore::open(&data.join("trust"), Arc::clone(&disk))?);
    upkeep::take_lists(config, &trust, &store, clock.now()).await?;

    let identity = identity::Identity::new(config, &trust, &keys, clock.now())?;
    let certificate = upkeep::current_certificate(config, &trust, &keys, clock.now())?;
    let tls = Arc::new(identity.tls(&trust, &clock, &certificate)?);
    let peers = listen(config.peer.listen, "peer.listen").await?;
    let peer = peers.local_addr()?;
    let network = TlsNetwork::new(peers, Arc::clone(&tls), Arc::clone(&trust), Arc::clone(&clock))?;
    let witness = Witness::open(
        data.join("witness"),
        Arc::clone(&disk),
        Arc::clone(&clock),
        identity.cosigner()?,
    )?;
    let (ledger, mut log) = log_thread::start(config, &identity, &trust, &disk, &clock)?;

    let parts = Parts {
        clock: Arc::clone(&clock),
        entropy: Arc::new(SystemEntropy),
        store: store.clone(),
        blobs: Blobs::open(&data.join("bodies"), disk)?,
        ledger,
        witness,
        trust: Arc::clone(&trust),
        keys: keys.clone(),
        network: Arc::new(network),
        subsystems,
    };
    let node = Node::open(node_config(config, &trust, &tls, clock.now())?, parts).await?;
    let gateways = gateways::Gateways::open(&node, &config.calls, data, &tls).await?;
    let agencies = agencies::Agencies::open(&config.calls, &tls).await?;
    let local = listen(config.local.listen, "local.listen").await?;
    let service = local::Secure::open(config.service.listen_tls, &tls).await?;
    let addresses = agencies.addresses()?;
    let ready = announce(config, peer, local.local_addr()?, addresses, service.address()?)?;
    on_ready(&ready);

    let upkeep = upkeep::Upkeep { config, trust, store, keys, tls, certificate, clock };
    let outcome = tokio::select! {
        ended = node.run(gateways.peer_services()) => ended.map_err(Into::into),
        ended = gateways.run() => ended,
        never = local::serve(local, gateways.local_routes(&node)) => match never {},
        never = service.serve(node.service_routes()) => match never {},
        () = agencies.serve(&gateways.calls) => Ok(()),
        ended = upkeep.run() => ended,
        ended = reload::at_hangup(config, &node) => ended,
        failed = state_failure(&state) => Err(failed.into()),
        ended = log.ended() => ended,
        () = async { stop.await; gateways.drain(config).await } => Ok(()),
    };
    let _ = std::fs::remove_file(data.join(READY_FILE));
    drop(node);
    outcome.and(log.stop().await)
}

fn open_state(config: &Config, subsystems: &[Arc<dyn Subsystem>]) -> Result<SqliteStore> {
    let migrations = subsystems.iter().flat_map(|subsystem| subsystem.migrations());
    let migrations = records::MIGRATIONS.iter().chain(gateways::migrations()).chain(migrations);
    Ok(SqliteStore::open(&config.node.data.join("state"), migrations)?)
}

/// Resolves when the store has met a fatal failure.
async fn state_failure(state: &SqliteStore) -> Failure {
    let mut failed = state.failed();
    let cause = match failed.wait_for(Option::is_some).await {
        Ok(cause) => cause.clone().unwrap_or_default(),
        Err(_) => "its threads have ended".to_owned(),
    };
    Failure::new(karvan_types::ErrorKind::Storage, format!("the store failed: {cause}"))
        .hint("mend the disk, then start the node again; nothing acknowledged is lost")
}

async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        Failure::config(format!("cannot listen on {address} (`{key}`)"))
            .hint("stop what listens there, or write another address")
    })
}

fn node_config(
    config: &Config,
    trust: &TrustStore,
    tls: &Tls,
    now: karvan_types::Timestamp,
) -> Result<NodeConfig> {
    let loaded = agreements::load(&config.agreements.folder, &trust.snapshot(), now)?;
    for problem in &loaded.problems {
        tracing::error!("an agreement does not count: {problem}");
    }
    let (exchange, service) = (&config.exchange, &config.service);
    let certificates = service.certificate.iter().map(|known| (known.sha256, known.user.clone()));
    let webhooks = config.webhook.iter().map(|entry| entry.webhook(tls));
    let delivery = config.delivery.iter().map(|entry| (entry.member.clone(), entry.delivery()));
    Ok(NodeConfig {
        agreements: Arc::new(Agreements::new(loaded.book)),
        delivery: delivery.collect(),
        tokens: Arc::new(Tokens::new(&setup::read_token_file(&config.local.token_file)?)),
        delivery_deadline: exchange.delivery_deadline.duration(),
        relay_window: exchange.relay_window,
        retry: Retry {
            first: exchange.retry_first.duration(),
            longest: exchange.retry_longest.duration(),
        },
        gap_alarm_after: exchange.gap_alarm_after.duration(),
        compare_every: exchange.compare_every.duration(),
        list_refresh: exchange.list_refresh.duration(),
        requests: Quota { calls: service.requests_per_minute, per: Period::Minute },
        certificates: certificates.collect(),
        webhooks: webhooks.collect::<Result<_>>()?,
        ..NodeConfig::new(config.node.id.clone())
    })
}

/// Writes the addresses where scripts wait for them.
fn announce(
    config: &Config,
    peer: SocketAddr,
    local: SocketAddr,
    [calls, calls_tls]: [Option<SocketAddr>; 2],
    service: Option<String>,
) -> Result<Ready> {
    let ready = Ready {
        node: config.node.id.clone(),
        peer,
        local: format!("http://{local}"),
        calls: calls.map(|address| format!("http://{address}")),
        calls_tls: calls_tls.map(|address| format!("https://{address}")),
        service,
        pid: std::process::id(),
    };
    files::write(&config.node.data.join(READY_FILE), &serde_json::to_vec(&ready)?)?;
    Ok(ready)
}
