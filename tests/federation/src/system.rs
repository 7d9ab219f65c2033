//! The system of a provider: it remembers what it was asked and answers as a test says.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use karvan_types::Digest;
use karvan_types::digest::Hasher;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A body that may come in pieces.
type Body = BoxBody<Bytes, std::io::Error>;
type Script = dyn Fn(&Seen) -> Option<Response<Body>> + Send + Sync;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method.
    pub method: String,
    /// Path and query, raw.
    pub target: String,
    /// Header fields.
    pub headers: HeaderMap,
    /// Length of the body.
    pub size: usize,
    /// Digest of the body.
    pub digest: Digest,
    /// The body itself while it is short.
    pub body: Bytes,
}

/// A running system.
pub struct System {
    at: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl System {
    /// Starts a system that answers 200 with the body that it got and its content type.
    pub async fn echo() -> Self {
        Self::start(|seen| {
            let mut answer = Response::new(full(seen.body.clone()));
            if let Some(kind) = seen.headers.get("content-type") {
                answer.headers_mut().insert("content-type", kind.clone());
            }
            Some(answer)
        })
        .await
    }

    /// Starts a system that answers as `script` says, and not at all when it says nothing.
    pub async fn start(
        script: impl Fn(&Seen) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, log): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&seen));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (script, log) = (Arc::clone(&script), Arc::clone(&log));
                    async move {
                        let seen = see(request).await;
                        log.lock().unwrap_or_else(PoisonError::into_inner).push(seen.clone());
                        match script(&seen) {
                            Some(answer) => Ok::<_, Infallible>(answer),
                            None => std::future::pending().await,
                        }
                    }
                });
                connections.spawn(async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { at, seen, _tasks: tasks }
    }

    /// Returns its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Returns what it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns what it was asked last.
    ///
    /// # Panics
    /// When it was asked nothing.
    pub fn last(&self) -> Seen {
        self.seen().pop().expect("it was asked")
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

async fn see(request: Request<Incoming>) -> Seen {
    const KEPT_BYTES_MAX: usize = 1 << 20;
    let (head, mut body) = request.into_parts();
    let (mut size, mut digest, mut kept) = (0, Hasher::new(), Vec::new());
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            size += data.len();
            digest.update(data);
            if size <= KEPT_BYTES_MAX {
                kept.extend_from_slice(data);
            }
        }
    }
    Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        size,
        digest: digest.finish(),
        body: kept.into(),
    }
}
