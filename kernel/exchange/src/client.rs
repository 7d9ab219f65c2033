//! A pool of HTTP/1.1 connections to one place: a peer's node, or an agency's system.
//!
//! HTTP/1.1 and many pooled connections rather than HTTP/2: signatures do not compress, and the
//! measured cost per exchange is lower.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use karvan_types::NodeId;

use crate::network::{Boxed, Stream};
use crate::node::{Node, Peer};

/// The body type of requests and answers.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Most idle connections kept; as many calls to one peer go without a handshake.
const IDLE_MAX: usize = 2048;
/// How long connecting, with its handshake, may take when nothing else is said.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The place cannot be reached, or broke off.
#[derive(Debug, thiserror::Error)]
#[error("{place} cannot be reached: {cause}")]
pub struct Unreachable {
    place: String,
    cause: String,
}

/// How long a request to a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Until there is a connection, its handshake included.
    pub connect: Duration,
    /// Until the head of the answer is there, all in all.
    pub answer: Duration,
}

impl Timeouts {
    /// Allows the usual time for the connection.
    pub const fn new(answer: Duration) -> Self {
        Self { connect: CONNECT_TIMEOUT, answer }
    }
}

/// Why a request to a peer brought no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswer {
    /// The peer cannot be reached; it has not seen the request.
    #[error("{0} cannot be reached: {1}")]
    Unreachable(NodeId, String),
    /// The connection broke, or the peer was too slow; it may have seen the request.
    #[error("{0} has the request, or not: {1}")]
    Unknown(NodeId, String),
}

/// An answer whose body is still to be read.
pub struct Answer {
    /// Its head, and the body as it comes.
    pub response: Response<Incoming>,
    connection: SendRequest<Body>,
    peer: Arc<Peer>,
}

impl Answer {
    /// Takes the answer apart; the connection serves the next request once the body was read and
    /// [`Used::done`] called.
    pub fn into_parts(self) -> (Response<Incoming>, Used) {
        (self.response, Used { connection: self.connection, peer: self.peer })
    }
}

/// A connection whose answer is being read.
pub struct Used {
    connection: SendRequest<Body>,
    peer: Arc<Peer>,
}

impl Used {
    /// Gives the connection back: the answer was read to its end.
    pub fn done(self) {
        self.peer.pool.give_back(self.connection);
    }
}

impl Node {
    /// Sends a request to a peer and returns the head of the answer.
    ///
    /// When an idle connection turns out to be closed the request goes once more over a fresh one:
    /// only for requests of which the peer acts on the first alone.
    pub async fn call(
        &self,
        peer: &NodeId,
        within: Timeouts,
        mut make: impl FnMut() -> Request<Body>,
    ) -> Result<Answer, NoAnswer> {
        let peer = self.0.peer(peer);
        let sending = async {
            let mut seen = false;
            if let Some(mut idle) = peer.pool.take() {
                match idle.try_send_request(make()).await {
                    Ok(response) => return Ok((response, idle)),
                    Err(error) => seen = error.message().is_none(),
                }
            }
            let unreachable = |cause| {
                let id = peer.id.clone();
                if seen { NoAnswer::Unknown(id, cause) } else { NoAnswer::Unreachable(id, cause) }
            };
            let line = self.0.line(&peer);
            let connecting = tokio::time::timeout(within.connect, connect(&line));
            let mut fresh = connecting
                .await
                .map_err(|_| unreachable(format!("no connection within {:?}", within.connect)))?
                .map_err(unreachable)?;
            fresh.ready().await.map_err(|error| unreachable(error.to_string()))?;
            let response = fresh.send_request(make()).await;
            let lost = |error: hyper::Error| NoAnswer::Unknown(peer.id.clone(), error.to_string());
            Ok((response.map_err(lost)?, fresh))
        };
        let sent = tokio::time::timeout(within.answer, sending).await.unwrap_or_else(|_| {
            let cause = format!("no answer within {:?}", within.answer);
            Err(NoAnswer::Unknown(peer.id.clone(), cause))
        });
        match sent {
            Ok((response, connection)) => {
                peer.set_reachable(self.now());
                Ok(Answer { response, connection, peer })
            }
            Err(error) => {
                if matches!(error, NoAnswer::Unreachable(..)) {
                    peer.set_unreachable(self.now(), &error.to_string());
                }
                Err(error)
            }
        }
    }
}

/// Opens a connection to the pool's one place.
pub trait Dial: Send + Sync {
    /// Returns the name of the place, for messages.
    fn place(&self) -> String;

    /// Connects.
    fn dial(&self) -> Boxed<'_, std::io::Result<Box<dyn Stream>>>;
}

/// Connections to one place that wait for their next request.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<SendRequest<Body>>>,
}

/// Makes a body of bytes in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl Pool {
    /// Sends a request and reads the whole answer within `timeout`.
    ///
    /// `make` may be called twice: an idle connection may turn out to be closed, and then the
    /// request goes once more over a fresh one. Only requests that may be repeated come here.
    pub async fn send(
        &self,
        dial: &dyn Dial,
        timeout: Duration,
        mut make: impl FnMut() -> std::io::Result<Request<Body>>,
    ) -> Result<Response<Bytes>, Unreachable> {
        let fail = |cause: String| Unreachable { place: dial.place(), cause };
        while let Some(mut idle) = self.take() {
            let request = make().map_err(|error| fail(error.to_string()))?;
            match tokio::time::timeout(timeout, exchange(&mut idle, request)).await {
                Ok(Ok(answer)) => {
                    self.give_back(idle);
                    return Ok(answer);
                }
                Ok(Err(_)) => {}
                Err(_) => return Err(fail(format!("no answer within {timeout:?}"))),
            }
        }
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connect(dial));
        let mut fresh = connecting
            .await
            .map_err(|_| fail(format!("no connection within {CONNECT_TIMEOUT:?}")))?
            .map_err(&fail)?;
        let request = make().map_err(|error| fail(error.to_string()))?;
        let answer = tokio::time::timeout(timeout, exchange(&mut fresh, request))
            .await
            .map_err(|_| fail(format!("no answer within {timeout:?}")))?
            .map_err(fail)?;
        self.give_back(fresh);
        Ok(answer)
    }

    /// Closes all idle connections, for a peer that was distrusted or whose line broke.
    pub fn clear(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn take(&self) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn give_back(&self, connection: SendRequest<Body>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

async fn connect(dial: &dyn Dial) -> Result<SendRequest<Body>, String> {
    let stream = dial.dial().await.map_err(|error| error.to_string())?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // An error here shows again at the request in flight, where it is reported.
        let _ = connection.await;
    });
    Ok(sender)
}

async fn exchange(
    connection: &mut SendRequest<Body>,
    request: Request<Body>,
) -> Result<Response<Bytes>, String> {
    connection.ready().await.map_err(|error| error.to_string())?;
    let answer = connection.send_request(request).await.map_err(|error| error.to_string())?;
    let (parts, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX)
        .collect()
        .await
        .map_err(|error| error.to_string())?
        .to_bytes();
    Ok(Response::from_parts(parts, body))
}
