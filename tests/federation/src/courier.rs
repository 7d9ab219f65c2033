//! The other end of a TLS connection to a node: it keeps no rule but those a test wants kept.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper_util::rt::TokioIo;
use karvan_system::{Clock, OsDisk, SystemClock};
use karvan_trust::keys::KeyProvider;
use karvan_trust::lists::{Certificate, TrustStore};
use karvan_trust::tls::{Tls, server_name};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{Letter, World};

/// Carries letters to one node.
pub struct Courier {
    connector: TlsConnector,
    name: ServerName<'static>,
    at: String,
}

impl Courier {
    /// Makes a courier from one nation to the node of the other, with the certificate of the first.
    pub fn new(world: &World, from: usize, to: usize) -> Self {
        let certificate = world.nation(from).certificate.clone().expect("a certified plan");
        Self::with(world, from, to, &certificate)
    }

    /// Makes a courier that shows this certificate, of the TLS key of `from`.
    pub fn with(world: &World, from: usize, to: usize, certificate: &Certificate) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let folder = world.aside(&format!("courier-{from}"));
        let trust = TrustStore::open(&folder, Arc::new(OsDisk)).expect("a folder");
        trust.install_root(&world.federation.root, clock.now()).expect("the root");
        for nation in &world.federation.nations {
            trust.accept(&nation.list, clock.now()).expect("a list");
        }
        let keys: Arc<dyn KeyProvider> = world.nation(from).keys.clone();
        let key = &world.nation(from).tls_key;
        let tls = Tls::new(Arc::new(trust), clock, key, keys, certificate).expect("an identity");
        let config = tls.client(&world.nation(to).node).expect("a configuration");
        let node = world.nation(to).content.nodes.first().expect("one node");
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: server_name(node).expect("a name"),
            at: node.authority.clone(),
        }
    }

    /// Opens a connection.
    pub async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.at).await?;
        self.connector.connect(self.name.clone(), stream).await
    }

    /// Sends a letter over a new connection and reads the answer.
    pub async fn carry(&self, letter: &Letter) -> io::Result<Response<Bytes>> {
        self.send(letter.request()).await
    }

    /// Sends any request over a new connection and reads the answer.
    pub async fn send(
        &self,
        request: Request<BoxBody<Bytes, io::Error>>,
    ) -> io::Result<Response<Bytes>> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(other)?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(other)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(other)?.to_bytes();
        driver.abort();
        Ok(Response::from_parts(head, body))
    }
}

fn other(error: hyper::Error) -> io::Error {
    io::Error::other(error)
}
