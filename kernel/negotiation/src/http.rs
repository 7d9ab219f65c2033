//! The protocol's routes (DSP 2025-1, HTTPS binding), for both roles below one base.
//!
//! | method and path below the base | what |
//! | --- | --- |
//! | `POST /catalog/request`, `GET /catalog/datasets/{id}` | the catalog |
//! | `POST /negotiations/request`, `/negotiations/offers` | opens a negotiation |
//! | `GET /negotiations/{pid}` | its state |
//! | `POST /negotiations/{pid}/request`, `/offers`, `/agreement` | its steps |
//! | `POST /negotiations/{pid}/agreement/verification` | its steps |
//! | `POST /negotiations/{pid}/events`, `/termination` | its steps |
//! | `POST /transfers/request`, `GET /transfers/{pid}` | opens, shows a transfer |
//! | `POST /transfers/{pid}/start`, `/suspension`, `/completion`, `/termination` | its steps |
//!
//! `GET /.well-known/dspace-version` tells the versions, at the root and below `/dsp`. A slash at
//! the end of a path makes no difference.
//!
//! Invariants: what breaks the protocol is 400, whatever else it is; 404 means that there is no
//! such thing for this caller; a body is bounded before it is read.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LINK, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use karvan_dataspace::catalog::{CatalogError, CatalogRequest};
use karvan_dataspace::message::{MESSAGE_BYTES_MAX, NIL_PID};
use karvan_dataspace::negotiation::{ContractNegotiation, ContractNegotiationError};
use karvan_dataspace::transfer::{TransferError, TransferProcess};
use karvan_dataspace::version::{Auth, BINDING, ProtocolVersion, VERSION, Versions};
use karvan_dataspace::{Cause, Pids, from_slice, to_vec};
use karvan_exchange::client::Body;
use karvan_exchange::host::PeerService;
use karvan_exchange::network::Boxed;
use karvan_types::{ErrorKind, NodeId};

use crate::Error;
use crate::catalog::{Stretch, next_link};
use crate::engine::Engine;
use crate::line::{BASE_PATH, is_json};
use crate::receive::{Received, Route};
use crate::records::{Process, Stage};

/// Where the versions are told.
const VERSION_PATH: &str = "/.well-known/dspace-version";
/// Longest path and query, in bytes.
const TARGET_BYTES_MAX: usize = 8 * 1024;

/// The node at the other end of the connection.
#[derive(Clone, Debug)]
struct Remote(NodeId);

/// Which part of the protocol a request is about: it decides the shape of a refusal.
#[derive(Clone, Copy)]
enum Part {
    Catalog,
    Negotiation,
    Transfer,
}

/// Answers peers on the node's own listener.
pub struct Gateway {
    router: Router,
}

impl Gateway {
    /// Makes the gateway of an engine.
    pub fn new(engine: &Arc<Engine>) -> Self {
        Self { router: router(engine) }
    }
}

impl PeerService for Gateway {
    fn takes(&self, path: &str) -> bool {
        path.starts_with("/dsp/")
            || path.starts_with("/feeds/")
            || path == VERSION_PATH
            || path == crate::withdraw::PATH
    }

    fn serve(
        &self,
        from: NodeId,
        mut request: http::Request<hyper::body::Incoming>,
    ) -> Boxed<'static, http::Response<Body>> {
        let router = self.router.clone();
        Box::pin(async move {
            request.extensions_mut().insert(Remote(from));
            let request = request.map(axum::body::Body::new);
            let Ok(answer) = TowerToHyperService::new(router).call(request).await;
            answer.map(|body| body.map_err(std::io::Error::other).boxed_unsync())
        })
    }
}

/// Makes the routes of the protocol and of feeds.
pub fn router(engine: &Arc<Engine>) -> Router {
    Router::new().fallback(answer).with_state(Arc::clone(engine))
}

async fn answer(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let target = request.uri().path_and_query().map_or("", |target| target.as_str());
    if target.len() > TARGET_BYTES_MAX {
        return refusal(Part::Catalog, &Error::invalid("path", "the path is too long"), None);
    }
    let path = request.uri().path().to_owned();
    let from = request.extensions().get::<Remote>().map(|remote| remote.0.clone());
    if let Some(rest) = path.strip_prefix("/feeds/") {
        return crate::feeds::serve(&engine, from, rest, request).await;
    }
    if path == crate::withdraw::PATH {
        return crate::withdraw::serve(&engine, from, request).await;
    }
    if path.ends_with(VERSION_PATH) && request.method() == Method::GET {
        return versions(&path);
    }
    let rest = path.strip_prefix(BASE_PATH).unwrap_or("-").trim_end_matches('/');
    let segments: Vec<String> = rest.split('/').skip(1).map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (part, pid) = match segments.as_slice() {
        ["transfers", pid, ..] => (Part::Transfer, Some((*pid).to_owned())),
        ["negotiations", pid, ..] => (Part::Negotiation, Some((*pid).to_owned())),
        _ => (Part::Catalog, None),
    };
    let outcome = match (request.method().clone(), segments.as_slice()) {
        (Method::POST, ["catalog", "request"]) => catalog(&engine, from, request).await,
        (Method::GET, ["catalog", "datasets", id]) => {
            dataset(&engine, from, id, request.headers().clone()).await
        }
        (Method::GET, ["negotiations" | "transfers", pid]) => {
            show(&engine, from, part, pid, request.headers().clone()).await
        }
        (Method::POST, segments) => match route(segments) {
            Some((route, pid)) => message(&engine, from, route, pid, request).await,
            None => Err(Error::unknown("path", &path)),
        },
        _ => Err(Error::unknown("path", &path)),
    };
    outcome.unwrap_or_else(|error| refusal(part, &error, pid.as_deref()))
}

/// Returns what a path below the base is for; without a process id it opens one.
fn route<'a>(segments: &[&'a str]) -> Option<(Route, Option<&'a str>)> {
    Some(match *segments {
        ["negotiations", "request"] => (Route::Request, None),
        ["negotiations", "offers"] => (Route::Offers, None),
        ["negotiations", pid, "request"] => (Route::Request, Some(pid)),
        ["negotiations", pid, "offers"] => (Route::Offers, Some(pid)),
        ["negotiations", pid, "agreement"] => (Route::Agreement, Some(pid)),
        ["negotiations", pid, "agreement", "verification"] => (Route::Verification, Some(pid)),
        ["negotiations", pid, "events"] => (Route::Events, Some(pid)),
        ["negotiations", pid, "termination"] => (Route::Termination, Some(pid)),
        ["transfers", "request"] => (Route::TransferRequest, None),
        ["transfers", pid, "start"] => (Route::Start, Some(pid)),
        ["transfers", pid, "suspension"] => (Route::Suspension, Some(pid)),
        ["transfers", pid, "completion"] => (Route::Completion, Some(pid)),
        ["transfers", pid, "termination"] => (Route::TransferTermination, Some(pid)),
        _ => return None,
    })
}

async fn message(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    route: Route,
    pid: Option<&str>,
    request: Request,
) -> Result<Response, Error> {
    let caller = engine.identity.authenticate(from.as_ref(), request.headers())?;
    let (head, body) = request.into_parts();
    if !is_json(&head.headers) {
        return Err(Error::invalid("content-type", "send application/json"));
    }
    let body = read(body).await?;
    let seal = engine.line.open(&caller, &head, &body)?;
    let path = head.uri.path().to_owned();
    let received = Received { caller, route, path, body: body.to_vec(), seal };
    Ok(match pid {
        None => acknowledge(StatusCode::CREATED, &engine.receive_first(received).await?),
        Some(pid) => acknowledge(StatusCode::OK, &engine.receive(pid, received).await?),
    })
}

/// Reads a body within its bound.
pub(crate) async fn read(body: axum::body::Body) -> Result<Bytes, Error> {
    let body = Limited::new(body, MESSAGE_BYTES_MAX).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| {
        let text = format!("the body cannot be read within {MESSAGE_BYTES_MAX} bytes: {error}");
        Error::invalid("body", text)
    })
}

async fn catalog(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    request: Request,
) -> Result<Response, Error> {
    let caller = engine.identity.authenticate(from.as_ref(), request.headers())?;
    let after = after(request.uri().query())?;
    let body = read(request.into_body()).await?;
    let asked: CatalogRequest = from_slice(&body)?;
    let stretch = Stretch::of_filter(&asked.filter)?;
    let page = engine.catalog_page(&caller, after, stretch).await?;
    let mut answer = json(StatusCode::OK, to_vec(&engine.catalog_of(&page)?));
    if let Some(next) = &page.next {
        let link = HeaderValue::from_str(&next_link(&engine.line.own_address()?, next));
        let link = link.map_err(|_| Error::invalid("dataset", "an id cannot stand in a link"))?;
        answer.headers_mut().insert(LINK, link);
    }
    Ok(answer)
}

fn after(query: Option<&str>) -> Result<Option<String>, Error> {
    let Some(query) = query else { return Ok(None) };
    match query.strip_prefix("after=") {
        Some(after) if !after.contains('&') => Ok(Some(decode(after))),
        _ => Err(Error::invalid("query", "the only parameter is `after`, from a link")),
    }
}

async fn dataset(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    id: &str,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let caller = engine.identity.authenticate(from.as_ref(), &headers)?;
    Ok(json(StatusCode::OK, to_vec(&engine.shown(&caller, id).await?)))
}

async fn show(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    part: Part,
    pid: &str,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let caller = engine.identity.authenticate(from.as_ref(), &headers)?;
    let process = engine.process_for(pid, &caller).await?;
    match (part, process.stage) {
        (Part::Transfer, Stage::Transfer(_)) | (Part::Negotiation, Stage::Negotiation(_)) => {
            Ok(acknowledge(StatusCode::OK, &process))
        }
        _ => Err(Error::unknown("process", pid)),
    }
}

fn acknowledge(status: StatusCode, process: &Process) -> Response {
    let nil = || NIL_PID.to_owned();
    let pids = crate::step::pids(process).unwrap_or_else(|| match process.side {
        crate::records::Side::Consumer => Pids { consumer: process.pid.clone(), provider: nil() },
        crate::records::Side::Provider => Pids { consumer: nil(), provider: process.pid.clone() },
    });
    let body = match process.stage {
        Stage::Negotiation(state) => to_vec(&ContractNegotiation { id: None, pids, state }),
        Stage::Transfer(state) => to_vec(&TransferProcess { id: None, pids, state }),
    };
    json(status, body)
}

pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn versions(path: &str) -> Response {
    let below = if path.starts_with("/dsp") { "/2025-1" } else { BASE_PATH };
    let auth = Auth {
        protocol: "karvan-member-token".to_owned(),
        version: "1".to_owned(),
        profile: Vec::new(),
    };
    let version = ProtocolVersion {
        version: VERSION.to_owned(),
        path: below.to_owned(),
        binding: BINDING.to_owned(),
        service_id: None,
        identifier_type: None,
        auth: Some(auth),
    };
    json(StatusCode::OK, to_vec(&Versions { protocol_versions: vec![version] }))
}

fn refusal(part: Part, error: &Error, pid: Option<&str>) -> Response {
    if error.kind() == ErrorKind::Internal || error.kind() == ErrorKind::Storage {
        tracing::error!("a request failed: {error}");
    }
    let cause = Cause::new(error.code(), error.to_string());
    let id = || pid.unwrap_or(NIL_PID).to_owned();
    let pids = || Pids { provider: id(), consumer: id() };
    let body = match part {
        Part::Catalog => to_vec(&CatalogError { id: None, cause }),
        Part::Negotiation => to_vec(&ContractNegotiationError { id: None, pids: pids(), cause }),
        Part::Transfer => to_vec(&TransferError { id: None, pids: pids(), cause }),
    };
    let mut answer = json(error.status(), body);
    if error.status() == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// Returns an empty 404, for what must not tell what is there.
pub(crate) fn not_there() -> Response {
    StatusCode::NOT_FOUND.into_response()
}

/// Takes percent-encoding off a segment; what is no UTF-8 names nothing that is here.
pub(crate) fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let decoded = if byte == b'%' { digit().zip(digit()) } else { None };
        match decoded {
            Some((high, low)) => bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?')),
            None => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}
