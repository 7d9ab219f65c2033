//! Which of the held keys are those that the national list names for this node.

use std::sync::Arc;

use anyhow::Result;
use karvan_evidence::cosignature::Cosigner;
use karvan_evidence::note::{NoteSigner, Verifier};
use karvan_system::Clock;
use karvan_trust::keys::{KeyId, Owner, SealedKeys};
use karvan_trust::lists::{Certificate, Node, Snapshot, TrustStore};
use karvan_trust::notes::{cosigner, log_signer, verifier};
use karvan_trust::tls::Tls;
use karvan_types::{Instance, NodeId, Timestamp};

use crate::config::Config;
use crate::failure::Failure;
use crate::setup;

/// This node by its nation's list, and its keys.
pub(super) struct Identity {
    entry: Node,
    keys: Arc<SealedKeys>,
}

impl Identity {
    pub(super) fn new(
        config: &Config,
        trust: &TrustStore,
        keys: &Arc<SealedKeys>,
        now: Timestamp,
    ) -> Result<Self> {
        let id = &config.node.id;
        let entry = trust.snapshot().node(id, now).cloned().map_err(|error| {
            let error = karvan_trust::Error::from(error);
            Failure::config(format!("{id} cannot run under the installed lists: {error}"))
                .hint("install root and lists with `karvan init install`, or issue a new list")
        })?;
        let port = entry.authority.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        if port.unwrap_or(443) != config.peer.listen.port() {
            let (at, listen) = (&entry.authority, config.peer.listen);
            tracing::warn!("the list says {at}, this node listens on {listen}: forward the port");
        }
        Ok(Self { entry, keys: Arc::clone(keys) })
    }

    fn held(&self, kind: &str) -> Vec<KeyId> {
        setup::keys_of(&self.keys, &Owner::Node(self.entry.id.clone()), kind)
    }

    fn missing(&self, kind: &str) -> anyhow::Error {
        let text = format!("no {kind} key in the folder of keys is the one on the national list");
        let hint = "bring the key back, or publish the new key with the next list";
        Failure::config(format!("{}: {text}", self.entry.id)).hint(hint).into()
    }

    /// Returns the signer of this node's log.
    pub(super) fn log_signer(&self) -> Result<NoteSigner> {
        let listed = self.entry.log.as_ref().ok_or_else(|| self.missing("log"))?;
        let signers = self.held("log").into_iter();
        signers
            .filter_map(|key| log_signer(&listed.name, &key, self.keys.clone()).ok())
            .find(|signer| signer.verifier_key().to_string() == listed.vkey)
            .ok_or_else(|| self.missing("log"))
    }

    /// Returns the cosigner of this node's witness.
    pub(super) fn cosigner(&self) -> Result<Cosigner> {
        let listed = self.entry.witness.as_ref().ok_or_else(|| self.missing("witness"))?;
        let cosigners = self.held("witness").into_iter();
        cosigners
            .filter_map(|key| cosigner(&listed.name, &key, self.keys.clone()).ok())
            .find(|cosigner| cosigner.verifier_key().to_string() == listed.vkey)
            .ok_or_else(|| self.missing("witness"))
    }

    /// Returns the TLS identity with the key that the certificate is for.
    pub(super) fn tls(
        &self,
        trust: &Arc<TrustStore>,
        clock: &Arc<dyn Clock>,
        certificate: &Certificate,
    ) -> Result<Tls> {
        let mut keys = self.held("tls").into_iter();
        let opened = keys.find_map(|key| {
            let keys = self.keys.clone();
            Tls::new(Arc::clone(trust), Arc::clone(clock), &key, keys, certificate).ok()
        });
        opened.ok_or_else(|| {
            let text = "no TLS key in the folder of keys fits the certificate";
            Failure::config(format!("{}: {text}", self.entry.id))
                .hint("issue a new certificate with `karvan init renew`")
                .into()
        })
    }
}

/// Returns the verifier of a listed node's log.
pub(crate) fn log_verifier(lists: &Snapshot, node: &NodeId) -> Option<Arc<dyn Verifier>> {
    let nodes = lists.nations().flat_map(|nation| &nation.list.nodes);
    let log = nodes.filter(|entry| entry.id == *node).find_map(|entry| entry.log.as_ref())?;
    Some(Arc::new(verifier(&log.vkey).ok()?))
}

/// Returns the verifiers of the witnesses of all other nations.
pub(crate) fn witness_verifiers(lists: &Snapshot, nation: Instance) -> Vec<Arc<dyn Verifier>> {
    let others = lists.nations().filter(|other| other.list.scheme_territory != nation);
    let witnesses =
        others.flat_map(|other| &other.list.nodes).filter_map(|node| node.witness.as_ref());
    let verifiers = witnesses.filter_map(|witness| verifier(&witness.vkey).ok());
    verifiers.map(|verifier| Arc::new(verifier) as Arc<dyn Verifier>).collect()
}
