//! Calls to the systems of providers, over pooled HTTP/1.1 connections.
//!
//! Each service has a pool of its own, so that one that hangs holds up nobody else; the number of
//! its connections is bounded, and a call waits for a free one for a part of its time only: a
//! longer queue would be answered when its callers have gone. The time begins with the connection.
//! An answer's body is read from the connection as it comes; when it has been read to its end the
//! connection goes back to the pool.
//!
//! Invariants: a request is sent once; it moves to another connection only while not one byte of
//! it was written. No redirect is followed, no cookie kept, nothing decompressed: what the system
//! says is what the caller gets. No more than the time given is spent on a call, its body included.
//!
//! Not here: which headers pass (`karvan_xroad::header`), whether a system is worth asking
//! ([`crate::breaker`]).

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use karvan_exchange::client::Body;
use karvan_system::Clock;
use karvan_trust::tls::Tls;
use karvan_types::MemberId;
use karvan_xroad::url::ServiceUrl;
use tokio::time::Sleep;

use crate::registry::Service;

pub use error::{UpstreamError, UpstreamErrorKind};

use pool::{Connection, Pool};

mod error;
mod pool;

/// Which part of its time a call may wait for a connection beforehand.
const PATIENCE_SHARE: u32 = 10;
/// How long any call may wait for one.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

/// The providers' systems, as one node reaches them.
pub struct Upstream {
    clock: Arc<dyn Clock>,
    tls: Option<Arc<Tls>>,
    pools: RwLock<HashMap<MemberId, HashMap<String, Arc<Pool>>>>,
}

impl Upstream {
    /// Makes the client. Without a TLS identity only `http` systems can be called.
    pub fn new(clock: Arc<dyn Clock>, tls: Option<Arc<Tls>>) -> Self {
        Self { clock, tls, pools: RwLock::default() }
    }

    /// Sends a request to a service's system and returns its answer when the head is there.
    ///
    /// The request's URI comes from [`target`]; `Host` is set here, all other headers are the
    /// caller's. `within` is for the whole call, the answer's body included; the service's own
    /// bound holds beside it.
    pub async fn send(
        &self,
        service: &Service,
        mut request: Request<Body>,
        within: Duration,
    ) -> Result<Response<Answer>, UpstreamError> {
        let pool = self.pool(service)?;
        request.headers_mut().insert(HOST, pool.host().clone());
        let within = within.min(service.timeout);
        let slot = pool.slot((within / PATIENCE_SHARE).max(PATIENCE_MIN)).await?;
        let mut timer = Box::pin(tokio::time::sleep(within));
        let sent = AtomicBool::new(false);
        let answer = tokio::select! {
            biased;
            answer = pool.send(slot, request, &*self.clock, &sent) => answer,
            () = &mut timer => Err(UpstreamError::timeout(within)),
        };
        let answer = answer.map_err(|error| {
            if sent.load(Ordering::Relaxed) { error.after_sending() } else { error }
        })?;
        let (response, connection) = answer;
        let clock = Arc::clone(&self.clock);
        Ok(response.map(|body| {
            let mut answer = Answer { body, timer, connection: Some(connection), pool, clock };
            answer.settle();
            answer
        }))
    }

    /// Returns the pool of a service, made anew when its settings changed.
    fn pool(&self, service: &Service) -> Result<Arc<Pool>, UpstreamError> {
        {
            let pools = self.pools.read().unwrap_or_else(PoisonError::into_inner);
            let known = pools.get(&service.member).and_then(|codes| codes.get(&service.code));
            if let Some(pool) = known.filter(|pool| pool.fits(service)) {
                return Ok(Arc::clone(pool));
            }
        }
        let pool = Arc::new(Pool::new(service, self.tls.as_deref())?);
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        let codes = pools.entry(service.member.clone()).or_default();
        codes.insert(service.code.clone(), Arc::clone(&pool));
        Ok(pool)
    }

    /// Forgets the connections of a service that was removed.
    pub fn forget(&self, member: &MemberId, code: &str) {
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(codes) = pools.get_mut(member) {
            codes.remove(code);
        }
    }
}

/// Returns what is asked of a service's system: the path of its base address, the raw service path
/// and the raw query, as they came.
pub fn target(service: &Service, path: &str, query: Option<&str>) -> Result<Uri, UpstreamError> {
    let base = ServiceUrl::parse(&service.base_url)
        .map_err(|error| UpstreamError::new(UpstreamErrorKind::Address, error.to_string()))?;
    let url = base.join(path, query);
    // Behind `scheme://` the path begins at the first slash or question mark.
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let rest = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
    let text = if rest.starts_with('/') { rest.to_owned() } else { ["/", rest].concat() };
    let malformed = |error: http::uri::InvalidUri| {
        UpstreamError::new(UpstreamErrorKind::Address, format!("`{text}` is no target: {error}"))
    };
    Ok(Uri::from(PathAndQuery::try_from(text.as_str()).map_err(malformed)?))
}

/// The body of an answer. Read it to its end and the connection serves the next call; drop it
/// before and the connection is closed.
pub struct Answer {
    body: Incoming,
    timer: Pin<Box<Sleep>>,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
}

impl Answer {
    fn settle(&mut self) {
        if self.body.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            self.pool.give_back(connection, self.clock.now());
        }
    }
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = UpstreamError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UpstreamError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            ready!(this.timer.as_mut().poll(cx));
            this.connection = None;
            let text = "the system stopped in the middle of its answer".to_owned();
            let error = UpstreamError::new(UpstreamErrorKind::Timeout, text).after_sending();
            return Poll::Ready(Some(Err(error)));
        };
        match frame {
            Some(Err(error)) => {
                this.connection = None;
                Poll::Ready(Some(Err(UpstreamError::of_hyper(&error).after_sending())))
            }
            Some(Ok(frame)) => {
                this.settle();
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                if let Some(connection) = this.connection.take() {
                    this.pool.give_back(connection, this.clock.now());
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the value of `Host` for a base address.
fn host_of(url: &ServiceUrl) -> Option<HeaderValue> {
    let rest = url.as_str().split_once("://")?.1;
    HeaderValue::from_str(rest.split('/').next()?).ok()
}

#[cfg(test)]
mod tests;
