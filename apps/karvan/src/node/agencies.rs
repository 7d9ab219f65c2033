//! The listeners for agencies' systems that call services: plain HTTP and TLS.
//!
//! Whether a system may call without TLS or token is decided per subsystem, by the operator
//! (`karvan services client`); a listener only says what the connection is. Every connection has a
//! place in one bounded number of places; further ones wait to be accepted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use karvan_calls::Gateway;
use karvan_calls::access::Line;
use karvan_trust::tls::{Tls, agency};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use crate::config::CallsSection;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open listeners.
pub(super) struct Agencies {
    plain: Option<TcpListener>,
    tls: Option<(TcpListener, TlsAcceptor)>,
    slots: Arc<Semaphore>,
}

impl Agencies {
    /// Opens what the operator wants.
    pub(super) async fn open(section: &CallsSection, tls: &Arc<Tls>) -> Result<Self> {
        let plain = match section.listen {
            Some(address) => Some(super::listen(address, "calls.listen").await?),
            None => None,
        };
        let tls = match section.listen_tls {
            Some(address) => {
                let acceptor = TlsAcceptor::from(Arc::new(tls.agency_server()?));
                Some((super::listen(address, "calls.listen-tls").await?, acceptor))
            }
            None => None,
        };
        Ok(Self { plain, tls, slots: Arc::new(Semaphore::new(section.connections_max)) })
    }

    /// Returns the addresses, plain and TLS.
    pub(super) fn addresses(&self) -> Result<[Option<SocketAddr>; 2]> {
        let plain = self.plain.as_ref().map(TcpListener::local_addr).transpose()?;
        let tls = self.tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        Ok([plain, tls])
    }

    /// Serves until the future is dropped.
    pub(super) async fn serve(&self, gateway: &Gateway) {
        tokio::join!(self.serve_plain(gateway), self.serve_tls(gateway));
    }

    async fn serve_plain(&self, gateway: &Gateway) {
        let Some(listener) = &self.plain else { return std::future::pending().await };
        loop {
            let (slot, stream) = self.accept(listener).await;
            let gateway = gateway.clone();
            let private = stream.peer_addr().is_ok_and(|address| address.ip().is_loopback());
            tokio::spawn(async move {
                gateway.serve_client(stream, Line { private, certificate: None }).await;
                drop(slot);
            });
        }
    }

    async fn serve_tls(&self, gateway: &Gateway) {
        let Some((listener, acceptor)) = &self.tls else { return std::future::pending().await };
        loop {
            let (slot, stream) = self.accept(listener).await;
            let (gateway, acceptor) = (gateway.clone(), acceptor.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let certificates = stream.get_ref().1.peer_certificates();
                        let certificate = agency::fingerprint(certificates);
                        let line = Line { private: true, certificate };
                        gateway.serve_client(stream, line).await;
                    }
                    Ok(Err(error)) => tracing::debug!("an agency's handshake failed: {error}"),
                    Err(_) => tracing::debug!("an agency's handshake took too long"),
                }
                drop(slot);
            });
        }
    }

    async fn accept(
        &self,
        listener: &TcpListener,
    ) -> (Option<tokio::sync::OwnedSemaphorePermit>, TcpStream) {
        // The semaphore is never closed.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let _ = stream.set_nodelay(true);
                    return (slot, stream);
                }
                Err(error) => {
                    tracing::warn!("an agency's connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}
