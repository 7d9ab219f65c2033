//! Connections between nodes, as a trait: mutual TLS in production, a simulated net in tests.

mod tls;

use std::future::Future;
use std::io;
use std::pin::Pin;

use karvan_types::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};

pub use tls::TlsNetwork;

/// A boxed future.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An open, authenticated byte stream to a node.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An accepted connection whose handshake is still to be done.
///
/// The handshake is apart from accepting, so that a slow peer never holds up the others.
pub type Incoming = Boxed<'static, io::Result<(Box<dyn Stream>, NodeId)>>;

/// Opens and accepts connections that are authenticated by the national lists.
pub trait Network: Send + Sync {
    /// Connects to a node and proves both identities.
    fn connect<'a>(&'a self, peer: &'a NodeId) -> Boxed<'a, io::Result<Box<dyn Stream>>>;

    /// Waits for the next connection. An error is about one connection, not about the listener.
    fn accept(&self) -> Boxed<'_, io::Result<Incoming>>;
}
