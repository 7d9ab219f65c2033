//! The listener for agencies and operators of this nation, on loopback, and the one with TLS that
//! offers the service for agencies' systems, and nothing else, on their network.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::{Extension, Router};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use karvan_exchange::service::ClientCertificate;
use karvan_trust::tls::{Tls, agency};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// Most connections open at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long a request head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the routes until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, routes: Router) -> Infallible {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("a local connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // A body that is written in pieces would wait for the delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let routes = routes.clone();
        tokio::spawn(async move {
            converse(stream, routes).await;
            drop(slot);
        });
    }
}

/// Answers the requests of one connection.
async fn converse(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, routes: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
    if let Err(error) = served {
        tracing::debug!("a local connection ended: {error}");
    }
}

/// The listener with TLS, when the operator wants it.
pub(super) struct Secure(Option<(TcpListener, TlsAcceptor)>);

impl Secure {
    /// Opens it.
    pub(super) async fn open(address: Option<SocketAddr>, tls: &Tls) -> Result<Self> {
        let Some(address) = address else { return Ok(Self(None)) };
        let acceptor = TlsAcceptor::from(Arc::new(tls.agency_server()?));
        Ok(Self(Some((super::listen(address, "service.listen-tls").await?, acceptor))))
    }

    /// Returns its URL.
    pub(super) fn address(&self) -> Result<Option<String>> {
        let address = self.0.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?;
        Ok(address.map(|address| format!("https://{address}")))
    }

    /// Serves the routes until the future is dropped; each request has the certificate beside it
    /// that the connection has proven.
    pub(super) async fn serve(&self, routes: Router) -> Infallible {
        let Some((listener, acceptor)) = &self.0 else { return std::future::pending().await };
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            let (acceptor, mut routes) = (acceptor.clone(), routes.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let certificates = stream.get_ref().1.peer_certificates();
                        if let Some(proven) = agency::fingerprint(certificates) {
                            routes = routes.layer(Extension(ClientCertificate(proven)));
                        }
                        converse(stream, routes).await;
                    }
                    Ok(Err(error)) => tracing::debug!("an agency's handshake failed: {error}"),
                    Err(_) => tracing::debug!("an agency's handshake took too long"),
                }
                drop(slot);
            });
        }
    }
}
