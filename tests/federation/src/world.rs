//! Two nations with free addresses and temporary folders.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use karvan_system::{Clock as _, SystemClock};
use karvan_testkit::{Dice, Federation, Nation, Plan};
use tempfile::TempDir;

use crate::{Settings, Station};

/// Place of Azerbaijan.
pub const AZ: usize = 0;
/// Place of Pakistan.
pub const PK: usize = 1;

/// How long before now everything began.
const AGE: Duration = Duration::from_hours(24);
/// How long lists, keys and agreements last.
const YEAR: Duration = Duration::from_hours(365 * 24);

/// A federation, and where its nodes keep their state.
pub struct World {
    /// The seed of its keys.
    pub seed: u64,
    /// The nations.
    pub federation: Federation,
    home: TempDir,
}

/// Returns an address that nobody listens on, on a loopback host of its own: a node that comes back
/// to it finds it free.
pub fn free_address() -> SocketAddr {
    static COUNTER: AtomicU8 = AtomicU8::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 64 + number % 64, high, low.max(1));
    let listener = TcpListener::bind((host, 0)).expect("the loopback network has free addresses");
    listener.local_addr().expect("a bound listener has an address")
}

impl World {
    /// Makes two nations that began yesterday.
    pub fn new(seed: u64) -> Self {
        let now = SystemClock.now();
        let plan = Plan {
            begin: now.minus(AGE),
            lasts: YEAR,
            authorities: [free_address().to_string(), free_address().to_string()],
            certified: true,
            certified_at: now.minus(AGE),
        };
        Self::of_plan(seed, plan)
    }

    /// Makes two nations by a plan.
    pub fn of_plan(seed: u64, plan: Plan) -> Self {
        let federation = Federation::new(plan, &Dice::new(seed));
        let home = tempfile::tempdir().expect("a temporary folder");
        Self { seed, federation, home }
    }

    /// Returns a nation.
    pub fn nation(&self, own: usize) -> &Nation {
        self.federation.nations.get(own).expect("two nations")
    }

    /// Returns the folder of a nation's node.
    pub fn folder(&self, own: usize) -> PathBuf {
        self.home.path().join(self.nation(own).host)
    }

    /// Returns a folder for anything else.
    pub fn aside(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Returns the usual settings of a nation's node.
    pub fn settings(&self, own: usize) -> Settings {
        Settings::new(&self.federation, own, self.folder(own))
    }

    /// Starts a nation's node with the usual settings.
    pub async fn start(&self, own: usize) -> Station {
        self.start_with(own, |_| ()).await
    }

    /// Starts a nation's node with changed settings.
    pub async fn start_with(&self, own: usize, change: impl FnOnce(&mut Settings)) -> Station {
        let mut settings = self.settings(own);
        change(&mut settings);
        let started = Station::start(&self.federation, own, settings).await;
        started
            .unwrap_or_else(|error| panic!("{} does not start: {error:#}", self.nation(own).host))
    }

    /// Starts both nodes.
    pub async fn start_both(&self) -> [Station; 2] {
        [self.start(AZ).await, self.start(PK).await]
    }
}
