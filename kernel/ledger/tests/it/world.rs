//! A log with its keys, on any disk. Every act ends with an audit of the whole log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use karvan_evidence::cosignature::Cosigner;
use karvan_evidence::note::{Ed25519Verifier, Verifier};
use karvan_ledger::{AuditKeys, Config, Error, Finding, Ledger, Report, audit};
use karvan_system::{Clock, Disk};
use karvan_types::Timestamp;
use tokio::task::JoinHandle;

use crate::keys;

pub(crate) const ORIGIN: &str = "pk.karvan.example/evidence/1";
pub(crate) const WITNESS: &str = "az.karvan.example/witness/1";

/// A clock that stands still.
pub(crate) struct StoppedClock;

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_785_000_000)
    }
}

/// Where a log lives.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) signed_size_file: PathBuf,
}

/// A log whose task runs.
pub(crate) struct Running {
    pub(crate) ledger: Ledger,
    task: JoinHandle<Result<(), Error>>,
    stop: tokio::sync::oneshot::Sender<()>,
}

impl World {
    pub(crate) fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        let signed_size_file = root.join("second/signed-size");
        Self { disk, dir: root.join("log"), signed_size_file }
    }

    pub(crate) fn config(&self) -> Config {
        let verifier = Arc::new(keys::log(ORIGIN, 1).1);
        let mut config = Config::new(self.dir.clone(), self.signed_size_file.clone(), verifier);
        config.witnesses = vec![witness_verifier()];
        config.segment_bytes = 128 * 1024;
        config
    }

    pub(crate) fn open(&self) -> Result<Running, Error> {
        self.open_with(self.config())
    }

    pub(crate) fn open_with(&self, config: Config) -> Result<Running, Error> {
        let signer = Arc::new(keys::log(ORIGIN, 1).0);
        let disk = Arc::clone(&self.disk);
        let (ledger, task) = Ledger::open(config, disk, Arc::new(StoppedClock), signer)?;
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(task.run(async move {
            let _ = stopped.await;
        }));
        Ok(Running { ledger, task, stop })
    }

    pub(crate) fn audit(&self) -> Report {
        let (_, log) = keys::log(ORIGIN, 1);
        let witnesses = [witness_verifier()];
        let keys = AuditKeys {
            log: &log,
            witnesses: &witnesses,
            signed_size_file: Some(&self.signed_size_file),
        };
        audit(Arc::clone(&self.disk), &self.dir, &keys).expect("readable")
    }

    /// Returns all that is not as it should be.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let report = self.audit();
        report.findings.into_iter().chain(report.unfinished).collect()
    }

    pub(crate) fn verify(&self) {
        assert_eq!(self.findings(), []);
    }
}

impl Running {
    /// Ends the task in order.
    pub(crate) async fn stop(self) -> Result<(), Error> {
        drop(self.stop);
        self.task.await.expect("no panic")
    }

    /// Ends the task where it is, as a crash does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(crate) async fn append_many(&self, range: std::ops::Range<u64>) {
        for index in range {
            assert_eq!(self.ledger.append(entry(index)).await.expect("appended"), index);
        }
    }
}

/// Returns the entry that tests put at an index: 20 to about 250 bytes.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    let filler = usize::try_from(index * 7 % 231).expect("small");
    format!("entry {index:014}{}", "x".repeat(filler)).into_bytes()
}

pub(crate) fn witness_verifier() -> Arc<dyn Verifier> {
    Arc::new(witness().1)
}

pub(crate) fn witness() -> (Cosigner, Ed25519Verifier) {
    keys::witness(WITNESS, 2)
}

/// Changes one byte of a file, durably.
pub(crate) fn flip(disk: &dyn Disk, path: &Path, at: usize, mask: u8) {
    let mut file = disk.open(path).expect("opens");
    let (at, mut byte) = (at as u64, [0]);
    file.read_at(at, &mut byte).expect("has that byte");
    file.write_at(at, &[byte[0] ^ mask]).expect("writes");
    file.sync().expect("syncs");
}

/// Lets every other task go on until the paused clock has moved.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
