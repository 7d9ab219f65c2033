//! A real node: SQLite, files, mutual TLS, the log on its own thread, the local interface.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use karvan_agreements::Agreements;
use karvan_calls::registry::Service;
use karvan_exchange::network::TlsNetwork;
use karvan_exchange::tokens::{Token, Tokens};
use karvan_exchange::{Node, NodeConfig, Parts, Retry, records};
use karvan_ledger::{Config, Ledger, LedgerTask, Witness};
use karvan_negotiation::decide::{Decide, Standing};
use karvan_negotiation::identity::{Identity, MemberTokens};
use karvan_negotiation::line::{Line, NodeLine};
use karvan_negotiation::{Engine, Gateway};
use karvan_store::{Blobs, Migration, SqliteStore, Store};
use karvan_subsystem::Subsystem;
use karvan_system::{Clock, Disk, OsDisk, SystemClock, SystemEntropy};
use karvan_testkit::{Federation, Nation, Probe};
use karvan_trust::keys::{KeyId, KeyProvider};
use karvan_trust::lists::{Certificate, TrustStore};
use karvan_trust::notes;
use karvan_trust::tls::Tls;
use karvan_types::{Digest, MemberId};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::{Agency, Caller, Calls, agree_on_calls};

/// Makes the identity and the line of a node's negotiations.
pub type MakeLine = Box<dyn FnOnce(&Node) -> (Arc<dyn Identity>, Arc<dyn Line>) + Send>;

/// What is peculiar to one start of a node. Everything else follows from the federation.
pub struct Settings {
    /// Where its state is.
    pub folder: PathBuf,
    /// What time it thinks it is.
    pub clock: Arc<dyn Clock>,
    /// The lists that it is given at this start.
    pub lists: Vec<Vec<u8>>,
    /// Its certificate for TLS.
    pub certificate: Certificate,
    /// The key of that certificate.
    pub tls_key: KeyId,
    /// Settings of the exchange.
    pub node: NodeConfig,
    /// Settings of the log.
    pub log: Config,
    /// Settings of negotiations.
    pub negotiation: karvan_negotiation::Config,
    /// Who decides in negotiations.
    pub decide: Arc<dyn Decide>,
    /// How others are recognised and reached in negotiations.
    pub line: MakeLine,
    /// Sub-systems beside the probe.
    pub subsystems: Vec<Arc<dyn Subsystem>>,
}

/// A running node.
pub struct Station {
    /// The node.
    pub node: Node,
    /// Its negotiations.
    pub engine: Arc<Engine>,
    /// Its root and lists.
    pub trust: Arc<TrustStore>,
    /// Its gateway of calls.
    pub calls: Calls,
    local: SocketAddr,
    member: MemberId,
    archive: MemberId,
    tasks: JoinSet<()>,
    ended: watch::Receiver<String>,
    log: LogThread,
    closed: watch::Receiver<Option<String>>,
}

struct LogThread {
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

/// Returns the schema of a station.
pub fn migrations() -> impl Iterator<Item = &'static Migration> {
    let negotiation = karvan_negotiation::records::MIGRATIONS;
    let calls = karvan_calls::records::MIGRATIONS;
    records::MIGRATIONS.iter().chain(karvan_testkit::MIGRATIONS).chain(negotiation).chain(calls)
}

/// Returns the token of the local interface for a member: it may do everything.
pub fn token(member: &MemberId) -> String {
    format!("token of {member}")
}

impl Settings {
    /// Makes the usual settings: fast retries and checkpoints, nothing periodic.
    pub fn new(federation: &Federation, own: usize, folder: PathBuf) -> Self {
        let nation = federation.nations.get(own).expect("two nations");
        let other = federation.nations.get(1 - own).expect("two nations");
        let known = |member: &MemberId| Token {
            sha256: Digest::of(token(member).as_bytes()),
            member: member.clone(),
            user: "tester".to_owned(),
            permissions: vec!["*".to_owned()],
        };
        let hour = Duration::from_hours(1);
        let node = NodeConfig {
            agreements: Arc::new(Agreements::new(agree_on_calls(federation))),
            tokens: Arc::new(Tokens::new(&[known(&nation.member), known(&nation.archive)])),
            retry: Retry { first: Duration::from_millis(50), longest: Duration::from_millis(400) },
            compare_every: hour,
            list_refresh: hour,
            answer_timeout: crate::WAIT_MAX,
            ..NodeConfig::new(nation.node.clone())
        };
        let verifier = |vkey: &str| Arc::new(notes::verifier(vkey).expect("made by us"));
        let own = verifier(&nation.log_vkey());
        let mut log = Config::new(folder.join("log"), folder.join("signed-size"), own);
        log.witnesses = vec![verifier(&other.witness_vkey())];
        log.checkpoint_every = Duration::from_millis(100);
        Self {
            folder,
            clock: Arc::new(SystemClock),
            lists: federation.nations.iter().map(|nation| nation.list.clone()).collect(),
            certificate: nation.certificate.clone().expect("a certified plan"),
            tls_key: nation.tls_key.clone(),
            node,
            log,
            negotiation: karvan_negotiation::Config::default(),
            decide: Arc::new(Standing),
            line: Box::new(|node| {
                let line = Arc::new(NodeLine::new(node.clone()));
                (Arc::new(MemberTokens::new(node.clone())), line)
            }),
            subsystems: Vec::new(),
        }
    }
}

impl Station {
    /// Opens the state and runs the node.
    pub async fn start(federation: &Federation, own: usize, settings: Settings) -> Result<Self> {
        let nation = federation.nations.get(own).context("two nations")?;
        let folder = &settings.folder;
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        disk.create_dir_all(folder)?;
        let trust = TrustStore::open(&folder.join("trust"), Arc::clone(&disk))?;
        let now = settings.clock.now();
        trust.install_root(&federation.root, now).context("the root")?;
        for list in &settings.lists {
            trust.accept(list, now).context("a list")?;
        }
        let trust = Arc::new(trust);
        let added = settings.subsystems.iter().flat_map(|subsystem| subsystem.migrations());
        let store = SqliteStore::open(&folder.join("state"), migrations().chain(added))?;
        let closed = store.failed();
        let (ledger, task) = open_log(nation, &settings, &disk)?;
        let log = LogThread::start(task)?;
        let (network, tls) = network(nation, &settings, &trust).await?;
        let probe: Arc<dyn Subsystem> = Arc::new(Probe);
        let parts = Parts {
            store: Store::new(store),
            blobs: Blobs::open(&folder.join("bodies"), Arc::clone(&disk))?,
            entropy: Arc::new(SystemEntropy),
            ledger,
            witness: open_witness(nation, &settings, &disk)?,
            keys: nation.keys.clone(),
            network: Arc::new(network),
            trust: Arc::clone(&trust),
            subsystems: [probe].into_iter().chain(settings.subsystems).collect(),
            clock: settings.clock,
        };
        let node = Node::open(settings.node, parts).await?;
        let (identity, line) = (settings.line)(&node);
        let (decide, negotiation) = (settings.decide, settings.negotiation);
        let engine = Engine::new(node.clone(), identity, line, decide, negotiation);
        let calls = Calls::open(&node, folder, tls).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let local = listener.local_addr()?;
        let (end, ended) = watch::channel(String::new());
        let mut tasks = JoinSet::new();
        let negotiation = karvan_negotiation::local::routes(&engine);
        let routes = node.local_routes().merge(negotiation).merge(calls.gateway.local_routes());
        tasks.spawn(serve(listener, routes));
        tasks.spawn(calls.serve());
        let peers = calls.gateway.peer_service();
        let running = node.clone();
        let gateway = Arc::new(Gateway::new(&engine));
        tasks.spawn(async move {
            let outcome = running.run(vec![gateway, peers]).await;
            end.send_replace(format!("{outcome:?}"));
        });
        let negotiating = Arc::clone(&engine);
        tasks.spawn(async move {
            negotiating.run().await.expect("the store of a node works");
        });
        let (member, archive) = (nation.member.clone(), nation.archive.clone());
        Ok(Self { node, engine, trust, calls, local, member, archive, tasks, ended, log, closed })
    }

    /// Returns an agency that acts for the nation's first subsystem.
    pub fn agency(&self) -> Agency {
        Agency::new(self.local, token(&self.member))
    }

    /// Returns an agency that acts for the nation's second subsystem.
    pub fn archive(&self) -> Agency {
        Agency::new(self.local, token(&self.archive))
    }

    /// Returns a system of the nation's first subsystem that calls.
    pub fn caller(&self) -> Caller {
        Caller::new(self.calls.at(), self.member.clone())
    }

    /// Registers a service of this node.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn offer(&self, service: Service) {
        let registry = self.calls.gateway.registry();
        registry.put(&self.node, service).await.expect("a good service");
    }

    /// Returns the address of the local interface.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Waits until the node ends by itself, which it does only when it fails, and returns why.
    pub async fn ended(&mut self) -> String {
        let changed = self.ended.wait_for(|ended| !ended.is_empty()).await;
        changed.map_or_else(|_| "its task died".to_owned(), |ended| ended.clone())
    }

    /// Stops the node and waits until nothing of it is left.
    ///
    /// # Panics
    /// When something still holds its state: [`Node::run`] promises that dropping it stops it.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        drop(self.engine);
        drop(self.calls);
        drop(self.node);
        let _ = self.log.stop.send(());
        let thread = self.log.thread;
        tokio::task::spawn_blocking(move || thread.join()).await.expect("joins").expect("ends");
        let closing = async { while self.closed.changed().await.is_ok() {} };
        let closed = tokio::time::timeout(crate::WAIT_MAX, closing).await;
        closed.expect("the state of a stopped node is closed");
    }
}

fn open_log(
    nation: &Nation,
    settings: &Settings,
    disk: &Arc<dyn Disk>,
) -> Result<(Ledger, LedgerTask)> {
    let signer = notes::log_signer(&nation.origin, &nation.log_key, nation.keys.clone())?;
    let clock = Arc::clone(&settings.clock);
    Ok(Ledger::open(settings.log.clone(), Arc::clone(disk), clock, Arc::new(signer))?)
}

fn open_witness(nation: &Nation, settings: &Settings, disk: &Arc<dyn Disk>) -> Result<Witness> {
    let cosigner = notes::cosigner(&nation.witness_name, &nation.witness_key, nation.keys.clone())?;
    let clock = Arc::clone(&settings.clock);
    Ok(Witness::open(settings.folder.join("witness"), Arc::clone(disk), clock, cosigner)?)
}

async fn network(
    nation: &Nation,
    settings: &Settings,
    trust: &Arc<TrustStore>,
) -> Result<(TlsNetwork, Arc<Tls>)> {
    let keys: Arc<dyn KeyProvider> = nation.keys.clone();
    let (key, certificate) = (&settings.tls_key, &settings.certificate);
    let clock = || Arc::clone(&settings.clock);
    let tls = Arc::new(Tls::new(Arc::clone(trust), clock(), key, keys, certificate)?);
    let address = &nation.content.nodes.first().context("a listed node")?.authority;
    let listener = TcpListener::bind(address).await.with_context(|| format!("bind {address}"))?;
    Ok((TlsNetwork::new(listener, Arc::clone(&tls), Arc::clone(trust), clock())?, tls))
}

impl LogThread {
    fn start(task: LedgerTask) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            let shutdown = async {
                let _ = stopped.await;
            };
            // A log that fails stops answering, and so ends the node.
            let _ = runtime.block_on(task.run(shutdown));
        };
        let thread = std::thread::Builder::new().name("evidence-log".to_owned()).spawn(work)?;
        Ok(Self { stop, thread })
    }
}

/// Serves the local interface; its connections end with it.
async fn serve(listener: TcpListener, routes: axum::Router) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(routes.clone());
        connections.spawn(async move {
            let http = hyper::server::conn::http1::Builder::new();
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}
