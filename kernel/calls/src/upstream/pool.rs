//! The connections to one service's system.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use karvan_exchange::client::Body;
use karvan_exchange::network::Stream;
use karvan_system::Clock;
use karvan_trust::tls::Tls;
use karvan_trust::tls::upstream::Verification;
use karvan_types::Timestamp;
use karvan_xroad::url::ServiceUrl;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::{UpstreamError, UpstreamErrorKind, host_of};
use crate::registry::Service;

/// How long a connection may wait for its next call. Below the shortest usual patience of servers
/// (5 s), so that a request seldom meets a connection that the system is just closing.
const IDLE_MAX: Duration = Duration::from_secs(4);
/// Most calls that wait for a connection, for each that there may be.
const WAITING_PER_CONNECTION: usize = 16;
/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most headers of an answer.
const HEADERS_MAX: usize = 128;

/// The connections to one service's system.
pub(super) struct Pool {
    /// The settings that it was made for.
    settings: (String, bool, Option<String>, u32),
    address: (String, u16),
    /// How long connecting, with its handshake, may take.
    connect_timeout: Duration,
    host: HeaderValue,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    slots: Arc<Semaphore>,
    /// Calls that wait for a connection.
    waiting: AtomicUsize,
    idle: Mutex<Vec<Idle>>,
}

/// An open connection, which counts against the bound while it is in use.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    _slot: Slot,
}

/// Leave to use one connection.
pub(super) struct Slot(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

/// A place among the calls that wait.
struct Waiting<'a> {
    count: &'a AtomicUsize,
    ahead: usize,
}

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        Self { count, ahead: count.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Idle {
    sender: SendRequest<Body>,
    since: Timestamp,
}

impl Pool {
    pub(super) fn new(service: &Service, tls: Option<&Tls>) -> Result<Self, UpstreamError> {
        let bad = |text: String| UpstreamError::new(UpstreamErrorKind::Address, text);
        let url = ServiceUrl::parse(&service.base_url).map_err(|error| bad(error.to_string()))?;
        let malformed = || bad(format!("`{url}` has a malformed host or port"));
        let host = host_of(&url).ok_or_else(malformed)?;
        let authority: http::uri::Authority =
            host.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
        let secure = url.as_str().starts_with("https://");
        let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" if secure => 443,
            "" => 80,
            port => port.trim_start_matches(':').parse().map_err(|_| malformed())?,
        };
        let tls = if secure { Some(connector(service, tls, &name)?) } else { None };
        Ok(Self {
            settings: settings(service),
            address: (name, port),
            connect_timeout: service.connect_timeout,
            host,
            tls,
            slots: Arc::new(Semaphore::new(service.connections_max as usize)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
        })
    }

    /// Returns whether it still serves the settings of a service.
    pub(super) fn fits(&self, service: &Service) -> bool {
        let (url, verify, authorities, connections) = &self.settings;
        *url == service.base_url
            && *verify == service.verify_tls
            && *authorities == service.authorities
            && *connections == service.connections_max
            && self.connect_timeout == service.connect_timeout
    }

    /// Returns the value of `Host`.
    pub(super) const fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Takes leave to use one connection, perhaps after waiting for it: a bounded number of calls
    /// may wait, each for at most `patience`.
    pub(super) async fn slot(&self, patience: Duration) -> Result<Slot, UpstreamError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(Slot(slot));
        }
        let connections = self.settings.3 as usize;
        let busy = || {
            let text = format!("all {connections} connections are in use");
            UpstreamError::new(UpstreamErrorKind::Busy, text)
        };
        let place = Waiting::new(&self.waiting);
        if place.ahead >= connections.saturating_mul(WAITING_PER_CONNECTION) {
            return Err(busy());
        }
        let waiting = Arc::clone(&self.slots).acquire_owned();
        match tokio::time::timeout(patience, waiting).await {
            Ok(Ok(slot)) => Ok(Slot(slot)),
            _ => Err(busy()),
        }
    }

    /// Sends a request over an idle connection or a new one. `sent` says, whenever this future is
    /// dropped or ends, whether the system may have seen the request.
    pub(super) async fn send(
        &self,
        slot: Slot,
        mut request: Request<Body>,
        clock: &dyn Clock,
        sent: &AtomicBool,
    ) -> Result<(Response<Incoming>, Connection), UpstreamError> {
        while let Some(mut sender) = self.take(clock.now()) {
            // After the last answer the connection's task may still have to clear its table.
            if sender.ready().await.is_err() {
                continue;
            }
            sent.store(true, Ordering::Relaxed);
            match sender.try_send_request(request).await {
                Ok(answer) => return Ok((answer, Connection { sender, _slot: slot })),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) => {
                        sent.store(false, Ordering::Relaxed);
                        request = unsent;
                    }
                    None => return Err(UpstreamError::of_hyper(failed.error())),
                },
            }
        }
        let mut sender = tokio::time::timeout(self.connect_timeout, self.connect())
            .await
            .map_err(|_| UpstreamError::timeout(self.connect_timeout))??;
        sent.store(true, Ordering::Relaxed);
        match sender.try_send_request(request).await {
            Ok(answer) => Ok((answer, Connection { sender, _slot: slot })),
            Err(mut failed) => {
                sent.store(failed.take_message().is_none(), Ordering::Relaxed);
                Err(UpstreamError::of_hyper(failed.error()))
            }
        }
    }

    /// Keeps a connection whose answer was read to its end.
    pub(super) fn give_back(&self, connection: Connection, now: Timestamp) {
        if !connection.sender.is_closed() {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(Idle { sender: connection.sender, since: now });
        }
    }

    /// Takes the connection that was used last; those that waited too long are closed.
    fn take(&self, now: Timestamp) -> Option<SendRequest<Body>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = idle.pop()?;
        if newest.sender.is_closed() || now.since(newest.since) > IDLE_MAX {
            // The others have waited longer still.
            idle.retain(|other| !other.sender.is_closed() && now.since(other.since) <= IDLE_MAX);
            return idle.pop().map(|idle| idle.sender);
        }
        Some(newest.sender)
    }

    /// Returns how many connections wait that are still open.
    #[cfg(test)]
    pub(super) fn idle_open(&self) -> usize {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.iter().filter(|waiting| !waiting.sender.is_closed()).count()
    }

    async fn connect(&self) -> Result<SendRequest<Body>, UpstreamError> {
        let (host, port) = &self.address;
        let unknown = |cause: String| {
            UpstreamError::new(UpstreamErrorKind::UnknownHost, format!("`{host}`: {cause}"))
        };
        let addresses = tokio::net::lookup_host((host.as_str(), *port)).await;
        let addresses: Vec<_> = addresses.map_err(|error| unknown(error.to_string()))?.collect();
        if addresses.is_empty() {
            return Err(unknown("the name has no address".to_owned()));
        }
        let stream = TcpStream::connect(&*addresses).await;
        let stream = stream.map_err(|error| UpstreamError::of_io(&error))?;
        stream.set_nodelay(true).map_err(|error| UpstreamError::of_io(&error))?;
        let Some((connector, name)) = &self.tls else { return shake_hands(stream).await };
        let stream = connector.connect(name.clone(), stream).await.map_err(|error| {
            UpstreamError::new(UpstreamErrorKind::Tls, format!("TLS with `{host}`: {error}"))
        })?;
        shake_hands(stream).await
    }
}

async fn shake_hands(stream: impl Stream + 'static) -> Result<SendRequest<Body>, UpstreamError> {
    let (sender, connection) = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| UpstreamError::of_hyper(&error))?;
    tokio::spawn(async move {
        // An error here shows again at the request in flight, where it is reported.
        let _ = connection.await;
    });
    Ok(sender)
}

fn settings(service: &Service) -> (String, bool, Option<String>, u32) {
    let url = service.base_url.clone();
    (url, service.verify_tls, service.authorities.clone(), service.connections_max)
}

fn connector(
    service: &Service,
    tls: Option<&Tls>,
    host: &str,
) -> Result<(TlsConnector, ServerName<'static>), UpstreamError> {
    let fail = |text: String| UpstreamError::new(UpstreamErrorKind::Tls, text);
    let tls = tls.ok_or_else(|| fail("this node has no TLS identity here".to_owned()))?;
    let verification = match &service.authorities {
        _ if !service.verify_tls => Verification::Off,
        Some(pem) => Verification::Authorities(pem),
        None => Verification::System,
    };
    let config = tls.upstream(verification).map_err(|error| fail(error.to_string()))?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| fail(format!("`{host}` is no host name: {error}")))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}
