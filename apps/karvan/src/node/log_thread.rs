//! The evidence log on a thread of its own, so that its waits for the disk hold up nobody.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_ledger::{Config as LogConfig, Ledger};
use karvan_system::{Clock, Disk};
use karvan_trust::lists::TrustStore;
use karvan_trust::notes::verifier;
use tokio::sync::oneshot;

use super::identity::{Identity, witness_verifiers};
use crate::config::Config;

type Outcome = Result<(), karvan_ledger::Error>;

/// The running log.
pub(super) struct LogThread {
    stop: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<Outcome>,
    over: bool,
}

/// Opens the log and starts its thread.
pub(super) fn start(
    config: &Config,
    identity: &Identity,
    trust: &TrustStore,
    disk: &Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
) -> Result<(Ledger, LogThread)> {
    let signer = identity.log_signer()?;
    let own = verifier(&signer.verifier_key().to_string())?;
    let settings = LogConfig {
        witnesses: witness_verifiers(&trust.snapshot(), config.node.id.instance()),
        checkpoint_every: config.log.checkpoint_every.duration(),
        ..LogConfig::new(config.log_folder(), config.log.signed_size_file.clone(), Arc::new(own))
    };
    let (ledger, task) =
        Ledger::open(settings, Arc::clone(disk), Arc::clone(clock), Arc::new(signer))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (stop, stopped) = oneshot::channel();
    let (tell, ended) = oneshot::channel();
    let work = move || {
        let shutdown = async {
            // An error means that the other end is gone, and so the node.
            let _ = stopped.await;
        };
        let _ = tell.send(runtime.block_on(task.run(shutdown)));
    };
    std::thread::Builder::new().name("evidence-log".to_owned()).spawn(work)?;
    Ok((ledger, LogThread { stop: Some(stop), ended, over: false }))
}

impl LogThread {
    /// Waits for the log to end by itself, which it does only when it failed.
    pub(super) async fn ended(&mut self) -> Result<()> {
        let outcome = (&mut self.ended).await;
        self.over = true;
        outcome.context("the thread of the evidence log died")?.context("the evidence log failed")
    }

    /// Lets the log serve what waits, make its last checkpoint, and end.
    pub(super) async fn stop(&mut self) -> Result<()> {
        if self.over {
            return Ok(());
        }
        drop(self.stop.take());
        self.ended().await
    }
}
