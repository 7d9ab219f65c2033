//! What a node does for itself while it runs: it takes over root and lists that the operator
//! installs, and keeps its certificate young.
//!
//! New versions are looked for in the operator's folder at start and every `exchange.list-refresh`;
//! what is accepted is logged. The certificate is renewed at half of its life when the key of the
//! nation's authority is held here, otherwise the node warns; one that was renewed elsewhere and
//! put in place is taken over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use karvan_exchange::evidence;
use karvan_exchange::records::ListLogged;
use karvan_store::{Store, Tx};
use karvan_system::Clock;
use karvan_trust::ca::{expires, needs_renewal};
use karvan_trust::keys::SealedKeys;
use karvan_trust::lists::{Accepted, Certificate, ListError, TrustStore};
use karvan_trust::tls::Tls;
use karvan_types::Timestamp;
use karvan_types::limits::LIST_BYTES_MAX;

use crate::config::Config;
use crate::{files, setup};

/// How often a warning about the certificate is repeated.
const WARN_EVERY: Duration = Duration::from_hours(1);

/// The running upkeep of one node.
pub(super) struct Upkeep<'c> {
    pub(super) config: &'c Config,
    pub(super) trust: Arc<TrustStore>,
    pub(super) store: Store,
    pub(super) keys: Arc<SealedKeys>,
    pub(super) tls: Arc<Tls>,
    pub(super) certificate: Certificate,
    pub(super) clock: Arc<dyn Clock>,
}

impl Upkeep<'_> {
    /// Runs until dropped. Only a failing store ends it.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut warned = Timestamp::default();
        loop {
            tokio::time::sleep(self.config.exchange.list_refresh.duration()).await;
            let now = self.clock.now();
            if let Err(error) = self.renew(now)
                && now.since(warned) >= WARN_EVERY
            {
                warned = now;
                tracing::warn!("the node's certificate: {error:#}");
            }
            take_lists(self.config, &self.trust, &self.store, now).await?;
        }
    }

    fn renew(&mut self, now: Timestamp) -> Result<()> {
        let certificate = current_certificate(self.config, &self.trust, &self.keys, now)?;
        if certificate != self.certificate {
            self.tls.renew(&certificate)?;
            tracing::info!(ends = %expires(&certificate)?, "the certificate was renewed");
            self.certificate = certificate;
        }
        if needs_renewal(&self.certificate, now)? {
            let ends = expires(&self.certificate)?;
            anyhow::bail!("it ends at {ends}; renew it with `karvan init renew`");
        }
        Ok(())
    }
}

/// Returns the certificate of the file, renewed first when that is due and possible.
pub(super) fn current_certificate(
    config: &Config,
    trust: &TrustStore,
    keys: &Arc<SealedKeys>,
    now: Timestamp,
) -> Result<Certificate> {
    let path = &config.peer.certificate;
    let certificate = setup::read_certificate(path)?;
    if !needs_renewal(&certificate, now)? {
        return Ok(certificate);
    }
    let (lists, id) = (trust.snapshot(), &config.node.id);
    let node = lists.node(id, now).map_err(karvan_trust::Error::from)?;
    let authorities = lists.authorities(id.instance(), now).map_err(karvan_trust::Error::from)?;
    match setup::renew(id, &node.authority, authorities, keys, now) {
        Ok(renewed) => {
            setup::write_certificate(path, &renewed)?;
            Ok(renewed)
        }
        // The old one still serves until its end; the caller warns.
        Err(_) => Ok(certificate),
    }
}

/// Takes root and lists over from the operator's folder. A refused file is told and passed over:
/// the node goes on under what it has.
pub(super) async fn take_lists(
    config: &Config,
    trust: &TrustStore,
    store: &Store,
    now: Timestamp,
) -> Result<()> {
    let folder = &config.trust.folder;
    let root = folder.join("root.json");
    let mut paths = vec![root.clone()];
    paths.extend(files::json_files(folder)?.into_iter().filter(|path| *path != root));
    for path in paths.into_iter().filter(|path| path.exists()) {
        let first = path == root && trust.root_document().is_none();
        match take(&path, first, trust, now) {
            Ok(accepted) if accepted.new => {
                tracing::info!(file = %path.display(), number = accepted.sequence, "taken over");
                store.write(move |tx| log(tx, &accepted)).await?;
            }
            Ok(_) => {}
            // A peer's newer list has come from the peer itself.
            Err(error) if is_older(&error) => tracing::debug!("{}: {error:#}", path.display()),
            Err(error) => tracing::warn!("{} is refused: {error:#}", path.display()),
        }
    }
    Ok(())
}

/// Logs a root or list once; the node itself logs the lists that come from peers.
fn log(tx: &mut dyn Tx, accepted: &Accepted) -> Result<(), karvan_store::Error> {
    evidence::record(tx, evidence::LIST, accepted.digest)?;
    let Some(nation) = accepted.nation else { return Ok(()) };
    tx.save(&ListLogged { nation, sequence: accepted.sequence, digest: accepted.digest })
}

fn take(path: &Path, first: bool, trust: &TrustStore, now: Timestamp) -> Result<Accepted> {
    let document = files::read(path, LIST_BYTES_MAX as u64)?;
    let accepted =
        if first { trust.install_root(&document, now) } else { trust.accept(&document, now) };
    Ok(accepted?)
}

fn is_older(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<karvan_trust::Error>(),
        Some(karvan_trust::Error::List(ListError::RollBack { .. }))
    )
}
