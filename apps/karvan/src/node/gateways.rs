//! What two nodes do with each other beside documents: calls and negotiations.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use karvan_calls::Settings;
use karvan_exchange::Node;
use karvan_exchange::client::Timeouts;
use karvan_exchange::host::PeerService;
use karvan_negotiation::decide::Standing;
use karvan_negotiation::identity::MemberTokens;
use karvan_negotiation::line::NodeLine;
use karvan_negotiation::{Engine, local};
use karvan_store::Migration;
use karvan_system::OsDisk;
use karvan_trust::tls::Tls;

use crate::config::{CallsSection, Config};
use crate::telemetry;

/// The gateways of a node.
pub(super) struct Gateways {
    /// Calls of services.
    pub(super) calls: karvan_calls::Gateway,
    /// Catalog, negotiation and transfer.
    negotiation: Arc<Engine>,
}

/// Returns what the gateways keep.
pub(super) fn migrations() -> impl Iterator<Item = &'static Migration> {
    let negotiation = karvan_negotiation::records::MIGRATIONS;
    karvan_calls::records::MIGRATIONS.iter().chain(negotiation)
}

impl Gateways {
    /// Opens them on an open node.
    pub(super) async fn open(
        node: &Node,
        calls: &CallsSection,
        data: &Path,
        tls: &Arc<Tls>,
    ) -> Result<Self> {
        let spool = data.join("spool");
        let settings = Settings {
            signatures: calls.signatures,
            timeouts: Timeouts {
                connect: calls.connect_timeout.duration(),
                answer: calls.answer_timeout.duration(),
            },
            head_timeout: calls.idle_timeout.duration(),
            trace_context: telemetry::TRACE_CONTEXT,
            ..Settings::new(spool)
        };
        let disk = Arc::new(OsDisk);
        let calls =
            karvan_calls::Gateway::open(node.clone(), settings, disk, Some(Arc::clone(tls)))
                .await?;
        let negotiation = Engine::new(
            node.clone(),
            Arc::new(MemberTokens::new(node.clone())),
            Arc::new(NodeLine::new(node.clone())),
            Arc::new(Standing),
            karvan_negotiation::Config::default(),
        );
        Ok(Self { calls, negotiation })
    }

    /// Returns the local interface of the node with theirs.
    pub(super) fn local_routes(&self, node: &Node) -> axum::Router {
        let routes = node.local_routes().merge(self.calls.local_routes());
        routes.merge(local::routes(&self.negotiation))
    }

    /// Returns what answers peers.
    pub(super) fn peer_services(&self) -> Vec<Arc<dyn PeerService>> {
        let negotiation = karvan_negotiation::Gateway::new(&self.negotiation);
        vec![self.calls.peer_service(), Arc::new(negotiation)]
    }

    /// Carries negotiations on until that fails.
    pub(super) async fn run(&self) -> Result<()> {
        Ok(Arc::clone(&self.negotiation).run().await?)
    }

    /// Lets the calls under way end before the node does.
    pub(super) async fn drain(&self, config: &Config) {
        let left = self.calls.drain(config.calls.drain.duration()).await;
        if left > 0 {
            tracing::warn!("{left} calls were still under way when the node stopped");
        }
    }
}
