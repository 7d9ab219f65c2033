//! One simulated machine: a node with its disk, clock and network, and the agency that feeds it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use karvan_agreements::Agreements;
use karvan_exchange::network::{Boxed, Incoming, Network, Stream};
use karvan_exchange::submit::{Content, NewDocument};
use karvan_exchange::{Faults, Node, NodeConfig, Parts, Retry, records};
use karvan_ledger::{Config, Ledger, Witness};
use karvan_store::{Blobs, JournalStore, Migration, Store};
use karvan_system::memory::MemoryDisk;
use karvan_system::{Clock, Disk};
use karvan_testkit::{Dice, Federation, HANDLED, Nation, Plan, Probe};
use karvan_trust::keys::KeyProvider;
use karvan_trust::lists::TrustStore;
use karvan_trust::notes;
use karvan_types::{ExchangeId, NodeId, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Mutex as AsyncMutex;
use turmoil::net::{TcpListener, TcpStream};

const PORT: u16 = 7443;
/// The instant at which every simulation begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// Folder of the evidence log on the simulated disk.
pub(crate) const LOG: &str = "/data/log";
/// Record of the largest size ever signed, on another volume.
pub(crate) const SIGNED_SIZE: &str = "/safe/signed-size";
/// Folder of the state.
pub(crate) const STATE: &str = "/data/state";
/// Folder of the witness.
pub(crate) const WITNESS: &str = "/data/witness";

/// A fault planted into both nodes, to prove that the simulation finds it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Planted {
    /// None: the code as it is.
    #[default]
    Nothing,
    /// The relay receipt goes out before the transaction.
    ReceiptBeforeCommit,
    /// Transactions are acknowledged without a sync.
    FsyncSkipped,
    /// Duplicates are recognised for a while only.
    DuplicateWindow,
    /// A checkpoint is signed before its tiles are durable.
    CheckpointBeforeTiles,
    /// A document leaves the outbox before its relay receipt is stored.
    OutboxBeforeReceipt,
}

/// Why a machine cannot run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What an agency has been promised so far; survives all crashes, as paper would.
#[derive(Default)]
pub(crate) struct Promises {
    /// Documents to hand in, in order.
    pub(crate) planned: Vec<ExchangeId>,
    /// How many of them were acknowledged.
    pub(crate) acknowledged: usize,
}

/// What outlives a crash of a machine.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) federation: Arc<Federation>,
    pub(crate) own: usize,
    pub(crate) disk: MemoryDisk,
    pub(crate) dice: Arc<Dice>,
    pub(crate) planted: Planted,
    pub(crate) promises: Arc<Mutex<Promises>>,
    pub(crate) answers_lost: Arc<Mutex<bool>>,
    /// Why its nodes ended by themselves.
    pub(crate) ends: Arc<Mutex<Vec<String>>>,
}

/// Simulated wall clock.
#[derive(Clone, Copy)]
struct SimClock;

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        BEGIN.plus(turmoil::sim_elapsed().unwrap_or_default())
    }
}

/// Connections without TLS: each side says who it is, and is believed.
struct SimNetwork {
    own: NodeId,
    peers: Vec<(NodeId, &'static str)>,
    listener: AsyncMutex<Option<TcpListener>>,
    answers_lost: Arc<Mutex<bool>>,
}

async fn hello(stream: &mut TcpStream, own: &NodeId) -> io::Result<NodeId> {
    const ID_BYTES: usize = 64;
    let mut name = [b' '; ID_BYTES];
    name.iter_mut().zip(own.as_str().bytes()).for_each(|(to, from)| *to = from);
    stream.write_all(&name).await?;
    let mut other = [0; ID_BYTES];
    stream.read_exact(&mut other).await?;
    let text = String::from_utf8_lossy(&other).trim().to_owned();
    text.parse().map_err(io::Error::other)
}

impl Network for SimNetwork {
    fn connect<'a>(&'a self, peer: &'a NodeId) -> Boxed<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let known = self.peers.iter().find(|(id, _)| id == peer);
            let (_, host) = known.ok_or_else(|| io::Error::other("unknown peer"))?;
            let mut stream = TcpStream::connect((*host, PORT)).await?;
            hello(&mut stream, &self.own).await?;
            let lost = Arc::clone(&self.answers_lost);
            Ok(Box::new(crate::world::Lossy::new(stream, lost)) as Box<dyn Stream>)
        })
    }

    fn accept(&self) -> Boxed<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let mut listener = self.listener.lock().await;
            if listener.is_none() {
                *listener = Some(TcpListener::bind(("0.0.0.0", PORT)).await?);
            }
            let listener = listener.as_ref().ok_or_else(|| io::Error::other("not bound"))?;
            let (mut stream, _) = listener.accept().await?;
            let own = self.own.clone();
            let incoming: Incoming = Box::pin(async move {
                let peer = hello(&mut stream, &own).await?;
                Ok((Box::new(stream) as Box<dyn Stream>, peer))
            });
            Ok(incoming)
        })
    }
}

/// Makes the federation of a run.
pub(crate) fn federation(dice: &Dice) -> Federation {
    let plan = Plan {
        begin: BEGIN,
        lasts: Duration::from_hours(365 * 24),
        authorities: ["az", "pk"].map(|host| format!("{host}:{PORT}")),
        certified: false,
        certified_at: BEGIN,
    };
    Federation::new(plan, dice)
}

/// The schema of a simulated node.
pub(crate) fn migrations() -> impl Iterator<Item = &'static Migration> {
    records::MIGRATIONS.iter().chain(karvan_testkit::MIGRATIONS)
}

impl Machine {
    pub(crate) fn nation(&self) -> &Nation {
        &self.federation.nations[self.own]
    }

    pub(crate) fn other(&self) -> &Nation {
        &self.federation.nations[1 - self.own]
    }

    /// Returns the settings of its log.
    pub(crate) fn log_config(&self) -> Config {
        let verifier = |vkey: &str| Arc::new(notes::verifier(vkey).expect("made by us"));
        let own = verifier(&self.nation().log_vkey());
        let mut config = Config::new(LOG.into(), SIGNED_SIZE.into(), own);
        config.witnesses = vec![verifier(&self.other().witness_vkey())];
        config.segment_bytes = 256 * 1024;
        config.faults.checkpoint_before_tiles = self.planted == Planted::CheckpointBeforeTiles;
        config
    }

    fn node_config(&self) -> NodeConfig {
        let second = Duration::from_secs(1);
        let window = (self.planted == Planted::DuplicateWindow).then_some(second);
        NodeConfig {
            agreements: Arc::new(Agreements::new(self.federation.agreements.clone())),
            retry: Retry { first: Duration::from_millis(200), longest: 2 * second },
            compare_every: 20 * second,
            list_refresh: 30 * second,
            answer_timeout: 3 * second,
            relay_window: 8,
            faults: Faults {
                receipt_before_commit: self.planted == Planted::ReceiptBeforeCommit,
                duplicate_window: window,
                outbox_before_receipt: self.planted == Planted::OutboxBeforeReceipt,
            },
            ..NodeConfig::new(self.nation().node.clone())
        }
    }

    fn store(&self, disk: &dyn Disk) -> Result<Store, Failure> {
        let faults = karvan_store::Faults { skip_sync: self.planted == Planted::FsyncSkipped };
        let store = JournalStore::open(Path::new(STATE), disk, migrations());
        Ok(Store::new(store?.with_faults(faults)))
    }

    fn parts(&self) -> Result<(Parts, karvan_ledger::LedgerTask), Failure> {
        let nation = self.nation();
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        disk.create_dir_all(Path::new("/safe"))?;
        let clock: Arc<dyn Clock> = Arc::new(SimClock);
        let keys: Arc<dyn KeyProvider> = nation.keys.clone();
        let trust = TrustStore::open(Path::new("/data/trust"), Arc::clone(&disk))?;
        trust.install_root(&self.federation.root, clock.now())?;
        for nation in &self.federation.nations {
            trust.accept(&nation.list, clock.now())?;
        }
        let signer = notes::log_signer(&nation.origin, &nation.log_key, Arc::clone(&keys));
        let signer = Arc::new(signer.expect("an Ed25519 key"));
        let (ledger, task) =
            Ledger::open(self.log_config(), Arc::clone(&disk), Arc::clone(&clock), signer)?;
        let cosigner =
            notes::cosigner(&nation.witness_name, &nation.witness_key, Arc::clone(&keys));
        let witness = Witness::open(
            WITNESS.into(),
            Arc::clone(&disk),
            Arc::clone(&clock),
            cosigner.expect("an Ed25519 key"),
        );
        let nodes = self.federation.nations.iter();
        let parts = Parts {
            store: self.store(&*disk)?,
            blobs: Blobs::open(Path::new("/data/bodies"), Arc::clone(&disk))?,
            clock,
            entropy: self.dice.clone(),
            ledger,
            witness: witness?,
            trust: Arc::new(trust),
            keys,
            network: Arc::new(SimNetwork {
                own: nation.node.clone(),
                peers: nodes.map(|nation| (nation.node.clone(), nation.host)).collect(),
                listener: AsyncMutex::new(None),
                answers_lost: Arc::clone(&self.answers_lost),
            }),
            subsystems: vec![Arc::new(Probe)],
        };
        Ok((parts, task))
    }

    /// Runs the machine until it crashes.
    pub(crate) async fn run(self) -> turmoil::Result {
        // A disk that fails stops the node; fate then crashes the machine.
        let ended = self.run_node().await;
        let ended = format!("{:?}: {}: {ended:?}", turmoil::sim_elapsed(), self.nation().host);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
        std::future::pending().await
    }

    async fn run_node(&self) -> Result<(), Failure> {
        let (parts, task) = self.parts()?;
        let node = Node::open(self.node_config(), parts).await?;
        let logging = tokio::spawn(task.run(std::future::pending()));
        let agency = tokio::spawn(self.clone().feed(node.clone()));
        let ended = tokio::select! {
            ended = node.run(Vec::new()) => ended.map_err(Failure::from),
            ended = logging => Err(format!("the log ended: {ended:?}").into()),
        };
        agency.abort();
        ended
    }

    /// Hands documents in until all are acknowledged, the same one again after a failure.
    async fn feed(self, node: Node) {
        loop {
            let next = {
                let promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
                promises.planned.get(promises.acknowledged).copied()
            };
            let Some(exchange) = next else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let size = usize::from(exchange.as_bytes()[15]) * 4;
            let document = NewDocument {
                exchange,
                sender: self.nation().member.clone(),
                recipient: self.other().member.clone(),
                code: HANDLED.to_owned(),
                content_type: "application/octet-stream".to_owned(),
                content: Content::Inline(vec![exchange.as_bytes()[14]; size]),
            };
            if node.submit(document).await.is_ok() {
                let mut promises = self.promises.lock().unwrap_or_else(PoisonError::into_inner);
                promises.acknowledged += 1;
            }
            tokio::time::sleep(Duration::from_millis(20 + self.dice.below(200))).await;
        }
    }
}
