//! What the agencies and operators of this nation may ask of the node: HTTP on loopback, with a
//! bearer token (RFC 6750) that names a member, a person and permissions.
//!
//! | method and path | what it is | permission |
//! |---|---|---|
//! | `GET /health` | whether the node runs; no token | |
//! | `GET /v1/status` | peers, queues, log, lists | `node.read` |
//! | `GET /v1/alarms` | what an operator must look at | `node.read` |
//! | `POST /v1/documents?recipient=&code=` | accept a document for sending | `documents.send` |
//! | `GET /v1/documents` | list, `?direction=&state=&limit=` | `documents.read` |
//! | `GET /v1/documents/{id}` | one document with its receipts | `documents.read` |
//! | `GET /v1/documents/{id}/body` | its body | `documents.read` |
//! | `GET /v1/documents/{id}/bundle` | its evidence bundle (ZIP) | `documents.read` |
//! | `POST /v1/documents/{id}/resend` | send a dead letter again | `documents.send` |
//! | `POST /v1/documents/next` | lease the next document for pull delivery | `documents.receive` |
//! | `POST /v1/documents/{id}/ack?lease=` | confirm or refuse it | `documents.receive` |
//! | `POST /v1/documents/{id}/extend?lease=` | keep it for one more minute | `documents.receive` |
//! | `POST /v1/agreements` | sign and install an agreement | `agreements.decide` |
//! | `POST /v1/streams/compare` | compare with all peers now | `node.operate` |
//! | `GET /v1/log/checkpoint`, `/entry/{n}`, `/proof/{n}` | the log | `node.read` |
//! | `POST /v1/subsystems/{name}/{operation}` | an operation of a sub-system | its own |
//! | `/v1/webhooks…` | places, secrets, dead letters ([`crate::webhooks`]) | `node.operate` |
//! | `/api/{sub-system}/v1/…` | what it offers to systems ([`crate::service`]) | its own |
//!
//! A member's token sees and re-sends that member's documents; one with `node.operate` all.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use karvan_subsystem::{Caller, Rejection};
use karvan_types::limits::{
    DOCUMENT_BYTES_MAX, INLINE_BODY_BYTES_MAX, JSON_BYTES_MAX, LIST_BYTES_MAX,
};
use karvan_types::{ErrorKind, ExchangeId, MemberId, json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json as object};

use crate::desk::{Direction, DocumentView, ListQuery};
use crate::node::Inner;
use crate::submit::{Content, NewDocument};
use crate::wire;

type Shared = State<Arc<Inner>>;
/// What a handler answers.
pub type Reply = Result<Response, Refused>;

/// A refusal on its way out of a handler, as a problem (RFC 9457).
pub struct Refused(pub Rejection);

impl<E: Into<Rejection>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(CONTENT_TYPE, wire::PROBLEM_JSON)], wire::problem(&self.0)).into_response()
    }
}

/// Makes the routes of the local interface.
pub(crate) fn router(inner: Arc<Inner>) -> Router {
    let service = crate::service::routes(&inner);
    let webhooks = crate::webhooks::routes(Arc::clone(&inner));
    let known = Arc::clone(&inner);
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/v1/status", get(status))
        .route("/v1/alarms", get(alarms))
        .route("/v1/documents", post(submit).get(list))
        .route("/v1/documents/next", post(next))
        .route("/v1/documents/{id}", get(show))
        .route("/v1/documents/{id}/body", get(body))
        .route("/v1/documents/{id}/bundle", get(bundle))
        .route("/v1/documents/{id}/resend", post(resend))
        .route("/v1/documents/{id}/ack", post(acknowledge))
        .route("/v1/documents/{id}/extend", post(extend))
        .route("/v1/agreements", post(agree))
        .route("/v1/streams/compare", post(compare))
        .route("/v1/log/checkpoint", get(checkpoint))
        .route("/v1/log/entry/{index}", get(entry))
        .route("/v1/log/proof/{index}", get(proof))
        .route("/v1/subsystems/{name}/{operation}", post(operation))
        .fallback(move |request: Request| async move {
            if request.uri().path().starts_with(crate::service::ROOT) {
                return known.unknown_path(&request);
            }
            let text = "there is no such path; see docs/use/local-api.md";
            Refused(Rejection::new(ErrorKind::NotFound, "path-unknown", text)).into_response()
        })
        .with_state(inner)
        .merge(service)
        .merge(webhooks)
}

/// The query of a request; what does not fit is refused as a problem, like everything else.
pub struct Params<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            Refused(Rejection::new(ErrorKind::Invalid, "query", error.body_text()))
        })
    }
}

/// Whose documents a caller may see.
struct Scope(Option<MemberId>);

impl Scope {
    fn covers(&self, view: &DocumentView) -> bool {
        self.0.as_ref().is_none_or(|member| view.sender == *member || view.recipient == *member)
    }

    /// Returns a document, or refuses as if it were unknown: to others it is.
    async fn find(
        &self,
        inner: &Inner,
        exchange: ExchangeId,
    ) -> Result<Vec<DocumentView>, Rejection> {
        let views = inner.show(exchange).await?;
        if views.iter().any(|view| self.covers(view)) {
            return Ok(views);
        }
        Err(crate::desk::not_found(exchange))
    }
}

/// Checks that a token may read documents, and whose: an operator's all, a member's its own.
fn authorize_reader(inner: &Inner, headers: &HeaderMap) -> Result<Scope, Rejection> {
    let caller = authorize(inner, headers, "documents.read")?;
    let all = caller.may("node.operate");
    Ok(Scope((!all).then_some(caller.member)))
}

/// Checks the token and its permission.
pub(crate) fn authorize(
    inner: &Inner,
    headers: &HeaderMap,
    permission: &str,
) -> Result<Caller, Rejection> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or_else(|| {
            Rejection::new(
                ErrorKind::Unauthenticated,
                "token-missing",
                "send `Authorization: Bearer` with a token of this node",
            )
        })?;
    let Some(known) = inner.config.tokens.find(token.as_bytes()) else {
        return Err(Rejection::new(
            ErrorKind::Unauthenticated,
            "token-unknown",
            "this node does not know the token; ask its operator",
        ));
    };
    known.require(permission)?;
    Ok(Caller::clone(&known))
}

fn exchange_id(text: &str) -> Result<ExchangeId, Rejection> {
    text.parse().map_err(|error: karvan_types::id::InvalidId| {
        Rejection::new(ErrorKind::Invalid, "exchange-id", error.to_string())
    })
}

async fn status(State(inner): Shared, headers: HeaderMap) -> Reply {
    authorize(&inner, &headers, "node.read")?;
    Ok(Json(inner.status().await?).into_response())
}

async fn alarms(State(inner): Shared, headers: HeaderMap) -> Reply {
    authorize(&inner, &headers, "node.read")?;
    Ok(Json(inner.alarms().await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitQuery {
    recipient: MemberId,
    code: String,
    #[serde(default)]
    exchange: Option<ExchangeId>,
}

async fn submit(
    State(inner): Shared,
    headers: HeaderMap,
    Params(query): Params<SubmitQuery>,
    request: Request,
) -> Reply {
    let caller = authorize(&inner, &headers, "documents.send")?;
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("application/octet-stream")
        .to_owned();
    let content = take_body(&inner, request).await?;
    let fresh = || ExchangeId::new(inner.clock.now(), inner.entropy.array());
    let document = NewDocument {
        exchange: query.exchange.unwrap_or_else(fresh),
        sender: caller.member,
        recipient: query.recipient.clone(),
        code: query.code.clone(),
        content_type,
        content,
    };
    let sent = inner.submit(document).await?;
    Ok((StatusCode::ACCEPTED, Json(inner.describe_sent(&sent))).into_response())
}

/// Reads a body, to memory while it is small, to disk beyond that.
async fn take_body(inner: &Inner, request: Request) -> Result<Content, Rejection> {
    let too_large = || {
        Rejection::new(
            ErrorKind::TooLarge,
            "document-too-large",
            format!("at most {DOCUMENT_BYTES_MAX} bytes are accepted; split the document"),
        )
    };
    let storage = |error: karvan_store::Error| Rejection::from(error);
    let mut body = request.into_body();
    let (mut bytes, mut writer, mut size) = (Vec::new(), None, 0_u64);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Rejection::new(ErrorKind::Invalid, "body-incomplete", format!("broken off: {error}"))
        })?;
        let Some(data) = frame.data_ref() else { continue };
        size += data.len() as u64;
        if size > DOCUMENT_BYTES_MAX {
            return Err(too_large());
        }
        if writer.is_none() && size <= INLINE_BODY_BYTES_MAX {
            bytes.extend_from_slice(data);
            continue;
        }
        let file = if let Some(file) = &mut writer {
            file
        } else {
            let mut file = inner.blobs.writer().map_err(storage)?;
            file.write(&bytes).map_err(storage)?;
            bytes = Vec::new();
            writer.insert(file)
        };
        file.write(data).map_err(storage)?;
    }
    let Some(file) = writer else { return Ok(Content::Inline(bytes)) };
    let (digest, size) = file.finish().map_err(storage)?;
    Ok(Content::Blob { digest, size })
}

async fn list(State(inner): Shared, headers: HeaderMap, Params(query): Params<ListQuery>) -> Reply {
    let scope = authorize_reader(&inner, &headers)?;
    let mut views = inner.list(query).await?;
    views.retain(|view| scope.covers(view));
    Ok(Json(views).into_response())
}

async fn show(State(inner): Shared, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    let (scope, id) = (authorize_reader(&inner, &headers)?, exchange_id(&id)?);
    Ok(Json(scope.find(&inner, id).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyQuery {
    #[serde(default)]
    direction: Option<Direction>,
}

async fn body(
    State(inner): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
    Params(query): Params<BodyQuery>,
) -> Reply {
    let (scope, id) = (authorize_reader(&inner, &headers)?, exchange_id(&id)?);
    scope.find(&inner, id).await?;
    let (content_type, body) = inner.body_of(id, query.direction).await?;
    Ok(([(CONTENT_TYPE, content_type)], axum::body::Body::new(body)).into_response())
}

async fn bundle(State(inner): Shared, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    let (scope, id) = (authorize_reader(&inner, &headers)?, exchange_id(&id)?);
    scope.find(&inner, id).await?;
    let bytes = inner.bundle(id).await?;
    Ok(([(CONTENT_TYPE, "application/zip")], bytes).into_response())
}

async fn resend(State(inner): Shared, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    let caller = authorize(&inner, &headers, "documents.send")?;
    let (scope, id) = (authorize_reader(&inner, &headers)?, exchange_id(&id)?);
    scope.find(&inner, id).await?;
    let sent = inner.resend(id, &caller).await?;
    Ok((StatusCode::ACCEPTED, Json(inner.describe_sent(&sent))).into_response())
}

async fn next(State(inner): Shared, headers: HeaderMap) -> Reply {
    let caller = authorize(&inner, &headers, "documents.receive")?;
    Ok(match inner.lease_next(&caller.member).await? {
        Some(lease) => Json(lease).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AckQuery {
    lease: String,
    /// Refuses the document with this text.
    #[serde(default)]
    refuse: Option<String>,
}

async fn acknowledge(
    State(inner): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
    Params(query): Params<AckQuery>,
) -> Reply {
    let caller = authorize(&inner, &headers, "documents.receive")?;
    let outcome = match query.refuse {
        None => Ok(()),
        Some(text) => Err(Rejection::new(ErrorKind::Invalid, "refused-by-agency", text)),
    };
    let id = exchange_id(&id)?;
    inner.acknowledge(id, &caller.member, &query.lease, outcome).await?;
    Ok(Json(inner.show(id).await?).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendQuery {
    lease: String,
}

async fn extend(
    State(inner): Shared,
    headers: HeaderMap,
    Path(id): Path<String>,
    Params(query): Params<ExtendQuery>,
) -> Reply {
    let caller = authorize(&inner, &headers, "documents.receive")?;
    let until = inner.extend(exchange_id(&id)?, &caller.member, &query.lease).await?;
    Ok(Json(object!({ "lease": query.lease, "until": until })).into_response())
}

async fn agree(State(inner): Shared, headers: HeaderMap, request: Request) -> Reply {
    let caller = authorize(&inner, &headers, "agreements.decide")?;
    let body = Limited::new(request.into_body(), LIST_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        Rejection::new(ErrorKind::TooLarge, "body-unreadable", format!("the agreement: {error}"))
    })?;
    let outcome = crate::Node(inner).agree(&caller, &body.to_bytes()).await?;
    Ok(Json(outcome).into_response())
}

async fn compare(State(inner): Shared, headers: HeaderMap) -> Reply {
    authorize(&inner, &headers, "node.operate")?;
    Ok(Json(inner.compare_all().await).into_response())
}

async fn checkpoint(State(inner): Shared, headers: HeaderMap) -> Reply {
    authorize(&inner, &headers, "node.read")?;
    Ok(inner.checkpoint()?.into_response())
}

async fn entry(State(inner): Shared, headers: HeaderMap, Path(index): Path<u64>) -> Reply {
    authorize(&inner, &headers, "node.read")?;
    Ok(Json(inner.entry(index)?).into_response())
}

async fn proof(State(inner): Shared, headers: HeaderMap, Path(index): Path<u64>) -> Reply {
    authorize(&inner, &headers, "node.read")?;
    Ok(inner.proof(index)?.into_response())
}

async fn operation(
    State(inner): Shared,
    headers: HeaderMap,
    Path((name, operation)): Path<(String, String)>,
    request: Request,
) -> Reply {
    let (subsystem, known) = inner.operation(&name, &operation)?;
    let caller = authorize(&inner, &headers, known.permission)?;
    let body = Limited::new(request.into_body(), JSON_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        Rejection::new(ErrorKind::TooLarge, "body-unreadable", format!("the input: {error}"))
    })?;
    let body = body.to_bytes();
    let input = if body.is_empty() { object!({}) } else { parse(&body)? };
    let now = inner.clock.now();
    if !known.writes {
        let output: Value = inner
            .store
            .read(move |view| subsystem.query(view, now, &caller, &operation, input))
            .await?;
        return Ok(Json(output).into_response());
    }
    let shared = Arc::clone(&inner);
    let output: Value = inner
        .store
        .write(move |tx| shared.operate(tx, &*subsystem, &caller, &operation, input))
        .await?;
    Ok(Json(output).into_response())
}

fn parse(body: &[u8]) -> Result<Value, Rejection> {
    json::parse(body).map_err(|error| {
        Rejection::new(ErrorKind::Invalid, "json", format!("the input is refused: {error}"))
    })
}
