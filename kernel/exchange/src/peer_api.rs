//! What peers may ask of this node, over mutual TLS.
//!
//! | method and path | what it is |
//! |---|---|
//! | `POST /karvan/v1/documents/{id}` | a document; answered with its relay receipt |
//! | `POST /karvan/v1/receipts` | handover receipts |
//! | `POST /karvan/v1/streams` | comparison of streams |
//! | `GET /karvan/v1/list` | this nation's list |
//! | `GET /karvan/v1/proofs/{id}/{kind}` | proof of a common log entry (tlog-proof) |
//! | `POST /witness/add-checkpoint` | C2SP tlog-witness |
//! | `GET /log/…` | the log itself (C2SP tlog-tiles) |

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, ExchangeId, NodeId};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::Body;
use crate::host::PeerService;
use crate::network::Incoming as Handshake;
use crate::node::Inner;
use crate::wire;

/// Longest control message, in bytes.
const CONTROL_BYTES_MAX: usize = 1024 * 1024;
/// Most connections open at once.
const CONNECTIONS_MAX: usize = 4096;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request head may take to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The node at the other end of the connection.
#[derive(Clone, Debug)]
struct Remote(NodeId);

type Shared = State<Arc<Inner>>;

/// Everything that answers peers.
#[derive(Clone)]
struct Site {
    services: Arc<[Arc<dyn PeerService>]>,
    router: Router,
}

impl Site {
    async fn answer(
        &self,
        from: NodeId,
        mut request: http::Request<Incoming>,
    ) -> http::Response<Body> {
        let path = request.uri().path();
        if let Some(service) = self.services.iter().find(|service| service.takes(path)) {
            return service.serve(from, request).await;
        }
        request.extensions_mut().insert(Remote(from));
        let request = request.map(axum::body::Body::new);
        let Ok(answer) = TowerToHyperService::new(self.router.clone()).call(request).await;
        answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync())
    }
}

fn router(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/karvan/v1/documents/{id}", post(document))
        .route(wire::RECEIPTS_PATH, post(receipts))
        .route(wire::STREAMS_PATH, post(streams))
        .route(wire::LIST_PATH, get(list))
        .route("/karvan/v1/proofs/{id}/{kind}", get(proof))
        .route(wire::WITNESS_PATH, post(witness))
        .route("/log/{*path}", get(log))
        .with_state(inner)
}

impl Inner {
    /// Accepts connections of peers until the node stops.
    pub(crate) async fn run_peer_api(
        self: Arc<Self>,
        services: Vec<Arc<dyn PeerService>>,
    ) -> Result<(), crate::Error> {
        let site = Site { services: services.into(), router: router(Arc::clone(&self)) };
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Owned here, so that connections end with the node and not when their peers hang up.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
            let incoming = match self.network.accept().await {
                Ok(incoming) => incoming,
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let site = site.clone();
            connections.spawn(async move {
                serve(incoming, site).await;
                drop(slot);
            });
        }
    }
}

async fn serve(incoming: Handshake, site: Site) {
    let (stream, from) = match tokio::time::timeout(HANDSHAKE_TIMEOUT, incoming).await {
        Ok(Ok(accepted)) => accepted,
        Ok(Err(error)) => {
            tracing::warn!("a connection was refused: {error}");
            return;
        }
        Err(_) => {
            tracing::warn!("a connection was dropped: no handshake within {HANDSHAKE_TIMEOUT:?}");
            return;
        }
    };
    let service = service_fn(move |request| {
        let (site, from) = (site.clone(), from.clone());
        async move { Ok::<_, Infallible>(site.answer(from, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        // An answer's signature covers its fields: none may come in by itself.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!("a connection ended: {error}");
    }
}

fn refusal(rejection: &Rejection) -> Response {
    let status = StatusCode::from_u16(rejection.kind.http_status())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(CONTENT_TYPE, wire::PROBLEM_JSON)], wire::problem(rejection)).into_response()
}

async fn read(request: Request) -> Result<Bytes, Rejection> {
    let body = Limited::new(request.into_body(), CONTROL_BYTES_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        Rejection::new(
            ErrorKind::TooLarge,
            "body-unreadable",
            format!("the body cannot be read within {CONTROL_BYTES_MAX} bytes: {error}"),
        )
    })
}

fn signed(outcome: Result<String, Rejection>) -> Response {
    match outcome {
        Ok(jws) => ([(CONTENT_TYPE, "application/jose+json")], jws).into_response(),
        Err(rejection) => refusal(&rejection),
    }
}

async fn document(
    State(inner): Shared,
    axum::Extension(Remote(from)): axum::Extension<Remote>,
    request: Request,
) -> Response {
    inner.receive(&from, request).await.map(axum::body::Body::new)
}

async fn receipts(
    State(inner): Shared,
    axum::Extension(Remote(from)): axum::Extension<Remote>,
    request: Request,
) -> Response {
    let outcome = match read(request).await {
        Ok(body) => inner.take_receipts(&from, &body).await,
        Err(rejection) => Err(rejection),
    };
    signed(outcome)
}

async fn streams(
    State(inner): Shared,
    axum::Extension(Remote(from)): axum::Extension<Remote>,
    request: Request,
) -> Response {
    let outcome = match read(request).await {
        Ok(body) => inner.answer_compare(&from, &body).await,
        Err(rejection) => Err(rejection),
    };
    signed(outcome)
}

async fn list(State(inner): Shared) -> Response {
    match inner.own_list() {
        Ok(bytes) => ([(CONTENT_TYPE, "application/jose+json")], bytes).into_response(),
        Err(rejection) => refusal(&rejection),
    }
}

async fn proof(State(inner): Shared, Path((id, kind)): Path<(String, String)>) -> Response {
    let Ok(id) = id.parse::<ExchangeId>() else {
        let text = "the exchange id is no UUID of version 7";
        return refusal(&Rejection::new(ErrorKind::Invalid, "exchange-id", text));
    };
    match inner.proof_of(id, &kind).await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response(),
        Err(rejection) => refusal(&rejection),
    }
}

async fn witness(State(inner): Shared, request: Request) -> Response {
    let body = match read(request).await {
        Ok(body) => body,
        Err(rejection) => return refusal(&rejection),
    };
    let (status, text) = inner.witness_checkpoint(&body).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status == StatusCode::CONFLICT { "text/x.tlog.size" } else { "text/plain" };
    (status, [(CONTENT_TYPE, kind)], text).into_response()
}

async fn log(State(inner): Shared, Path(path): Path<String>) -> Response {
    match inner.log_file(&path) {
        Some((bytes, kind)) => ([(CONTENT_TYPE, kind)], bytes).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
