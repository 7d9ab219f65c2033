//! Mutual TLS 1.3 over TCP, both ends judged by the national lists.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use karvan_system::Clock;
use karvan_trust::lists::TrustStore;
use karvan_trust::tls::{Tls, server_name};
use karvan_types::NodeId;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Boxed, Incoming, Network, Stream};

/// Connections of a real node.
pub struct TlsNetwork {
    listener: TcpListener,
    tls: Arc<Tls>,
    acceptor: TlsAcceptor,
    trust: Arc<TrustStore>,
    clock: Arc<dyn Clock>,
    // One per peer, made at first use: sessions resume within one configuration.
    connectors: Mutex<BTreeMap<NodeId, TlsConnector>>,
}

impl TlsNetwork {
    /// Takes a bound listener and the node's TLS identity.
    pub fn new(
        listener: TcpListener,
        tls: Arc<Tls>,
        trust: Arc<TrustStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, karvan_trust::Error> {
        let acceptor = TlsAcceptor::from(Arc::new(tls.server()?));
        let connectors = Mutex::new(BTreeMap::new());
        Ok(Self { listener, tls, acceptor, trust, clock, connectors })
    }

    fn connector(&self, peer: &NodeId) -> io::Result<TlsConnector> {
        let mut connectors = self.connectors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = connectors.get(peer) {
            return Ok(connector.clone());
        }
        let config = self.tls.client(peer).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(config));
        connectors.insert(peer.clone(), connector.clone());
        Ok(connector)
    }
}

impl Network for TlsNetwork {
    fn connect<'a>(&'a self, peer: &'a NodeId) -> Boxed<'a, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let connector = self.connector(peer)?;
            let lists = self.trust.snapshot();
            let node = lists.node(peer, self.clock.now()).map_err(io::Error::other)?;
            let name = server_name(node).map_err(io::Error::other)?;
            let host = node.authority.clone();
            let address = if has_port(&host) { host } else { format!("{host}:443") };
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let stream = connector.connect(name, stream).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn accept(&self) -> Boxed<'_, io::Result<Incoming>> {
        Box::pin(async move {
            let (stream, _) = self.listener.accept().await?;
            stream.set_nodelay(true)?;
            let (acceptor, tls) = (self.acceptor.clone(), Arc::clone(&self.tls));
            let handshake: Incoming = Box::pin(async move {
                let stream = acceptor.accept(stream).await?;
                let peer =
                    tls.peer(stream.get_ref().1.peer_certificates()).map_err(io::Error::other)?;
                Ok((Box::new(stream) as Box<dyn Stream>, peer))
            });
            Ok(handshake)
        })
    }
}

/// Returns whether an authority ends in a port; the brackets of an IPv6 address hold colons too.
fn has_port(authority: &str) -> bool {
    authority.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'))
}
