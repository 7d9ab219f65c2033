//! What operators manage on the local interface, beside the calls themselves.
//!
//! | method and path | what it is | permission |
//! |---|---|---|
//! | `GET /v1/services` | all services of this node | `node.read` |
//! | `GET /v1/services/{subsystem}/{code}` | one | `node.read` |
//! | `PUT /v1/services/{subsystem}/{code}` | set it | `services.manage` |
//! | `DELETE /v1/services/{subsystem}/{code}` | remove it | `services.manage` |
//! | `GET /v1/clients` | all client subsystems with settings | `node.read` |
//! | `GET /v1/clients/{subsystem}` | one | `node.read` |
//! | `PUT /v1/clients/{subsystem}` | set it | `services.manage` |
//! | `DELETE /v1/clients/{subsystem}` | back to a token or nothing | `services.manage` |
//! | `GET /metrics` | figures, OpenMetrics; no token | |
//! | `GET /ready` | whether calls can be taken now; no token | |
//!
//! A subsystem is four parts with slashes between, such as `PK/GOV/FBR/customs`. A token manages
//! what belongs to its member; one with `node.operate` all. `/health` is the exchange's own, and
//! says only that the process answers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use karvan_exchange::Node;
use karvan_exchange::local_api::Reply;
use karvan_exchange::records::EVIDENCE_QUEUE;
use karvan_store::Error;
use karvan_subsystem::{Caller, Rejection};
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{ErrorKind, MemberId, json};
use karvan_xroad::{ClientId, ServiceId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json as object};

use crate::metadata::describe;
use crate::metrics::{self, Metrics};
use crate::registry::{ClientAccess, Registry, Service, ServiceKind, openapi};
use crate::upstream::Upstream;

const SERVICES: &str = "/v1/services/";
const CLIENTS: &str = "/v1/clients/";
const MANAGE: &str = "services.manage";
const READ: &str = "node.read";
/// How long a trial transaction may take while the node counts as ready.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How many entries may wait for the evidence log while the node counts as ready.
const EVIDENCE_WAITING_MAX: u64 = 100_000;

/// What the routes work on.
#[derive(Clone)]
pub struct Admin {
    /// The node.
    pub node: Node,
    /// Its services and clients.
    pub registry: Arc<Registry>,
    /// Its way to providers' systems, for descriptions.
    pub upstream: Arc<Upstream>,
    /// Its figures.
    pub metrics: Arc<Metrics>,
    /// Tells whether the node is about to stop and takes no more calls.
    pub draining: Arc<dyn Fn() -> bool + Send + Sync>,
}

type Shared = State<Admin>;

/// Makes the routes, to be merged with [`Node::local_routes`].
pub fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/v1/services", get(services))
        .route("/v1/services/{*id}", get(service).put(put_service).delete(remove_service))
        .route("/v1/clients", get(clients))
        .route("/v1/clients/{*id}", get(client).put(put_client).delete(remove_client))
        .route("/metrics", get(figures))
        .route("/ready", get(ready))
        .with_state(admin)
}

async fn services(State(admin): Shared, headers: HeaderMap) -> Reply {
    admin.node.authorize(&headers, READ)?;
    let all = admin.registry.services();
    Ok(Json(all.iter().map(Arc::as_ref).collect::<Vec<_>>()).into_response())
}

async fn service(State(admin): Shared, headers: HeaderMap, uri: Uri) -> Reply {
    admin.node.authorize(&headers, READ)?;
    let (member, code) = named_service(&uri)?;
    let found = admin.registry.find(&member, &code);
    Ok(Json(&*found.ok_or_else(|| no_service(&member, &code))?).into_response())
}

async fn put_service(
    State(admin): Shared,
    headers: HeaderMap,
    uri: Uri,
    request: Request,
) -> Reply {
    let caller = admin.node.authorize(&headers, MANAGE)?;
    let (member, code) = named_service(&uri)?;
    admin.may_manage(&caller, &member)?;
    let named = [("member", member.as_str()), ("code", code.as_str())];
    let mut service: Service = read(request, &named).await?;
    service.check()?;
    if service.endpoints.is_empty() && service.kind != ServiceKind::Rest {
        let described = describe(&admin.upstream, &service).await?;
        service.endpoints = openapi::endpoints(&described.body).unwrap_or_else(|error| {
            tracing::warn!(service = %code, "no endpoints are listed: {error}");
            Vec::new()
        });
    }
    let new = admin.registry.put(&admin.node, service.clone()).await?;
    tracing::info!(user = %caller.user, service = %code, provider = %member, new, "service set");
    Ok((created(new), Json(service)).into_response())
}

async fn remove_service(State(admin): Shared, headers: HeaderMap, uri: Uri) -> Reply {
    let caller = admin.node.authorize(&headers, MANAGE)?;
    let (member, code) = named_service(&uri)?;
    admin.may_manage(&caller, &member)?;
    if !admin.registry.remove(&admin.node, &member, &code).await? {
        return Err(no_service(&member, &code).into());
    }
    admin.upstream.forget(&member, &code);
    tracing::info!(user = %caller.user, service = %code, provider = %member, "service removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn clients(State(admin): Shared, headers: HeaderMap) -> Reply {
    admin.node.authorize(&headers, READ)?;
    let all = admin.registry.clients();
    Ok(Json(all.iter().map(Arc::as_ref).collect::<Vec<_>>()).into_response())
}

async fn client(State(admin): Shared, headers: HeaderMap, uri: Uri) -> Reply {
    admin.node.authorize(&headers, READ)?;
    Ok(Json(&*admin.registry.client(&named_client(&uri)?)).into_response())
}

async fn put_client(State(admin): Shared, headers: HeaderMap, uri: Uri, request: Request) -> Reply {
    let caller = admin.node.authorize(&headers, MANAGE)?;
    let subsystem = named_client(&uri)?;
    admin.may_manage(&caller, &subsystem)?;
    let client: ClientAccess = read(request, &[("subsystem", subsystem.as_str())]).await?;
    let new = admin.registry.put_client(&admin.node, client.clone()).await?;
    tracing::info!(user = %caller.user, client = %subsystem, plain_http = client.plain_http,
        certificates = client.certificates.len(), "client set");
    Ok((created(new), Json(client)).into_response())
}

async fn remove_client(State(admin): Shared, headers: HeaderMap, uri: Uri) -> Reply {
    let caller = admin.node.authorize(&headers, MANAGE)?;
    let subsystem = named_client(&uri)?;
    admin.may_manage(&caller, &subsystem)?;
    if !admin.registry.remove_client(&admin.node, &subsystem).await? {
        let text = format!("{subsystem} has no settings of its own");
        return Err(Rejection::new(ErrorKind::NotFound, "client-unknown", text).into());
    }
    tracing::info!(user = %caller.user, client = %subsystem, "client removed");
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn figures(State(admin): Shared) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], admin.metrics.render()).into_response()
}

async fn ready(State(admin): Shared) -> Response {
    let node = &admin.node;
    let problems = [
        (admin.draining)().then(|| "the node is stopping".to_owned()),
        admin.store_problem().await,
        node.lists().nation(node.id().instance(), node.now()).err().map(|it| it.to_string()),
    ];
    let problems: Vec<_> = problems.into_iter().flatten().collect();
    let ready = problems.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(object!({ "ready": ready, "problems": problems }))).into_response()
}

impl Admin {
    /// Checks that a caller may manage what belongs to a subsystem, and that this node serves it.
    fn may_manage(&self, caller: &Caller, subsystem: &MemberId) -> Result<(), Rejection> {
        let own = caller.member == *subsystem || caller.member == subsystem.member();
        if !own && !caller.may("node.operate") {
            let text = format!(
                "the token is of {} and manages nothing of {subsystem}; use a token of that member",
                caller.member
            );
            return Err(Rejection::new(ErrorKind::Forbidden, "token-of-another", text));
        }
        let lists = self.node.lists();
        let nodes = lists.nodes_serving(subsystem, self.node.now()).map_err(|error| {
            Rejection::new(error.kind(), "member-not-listed", error.to_string())
        })?;
        if !nodes.iter().any(|node| node.id == *self.node.id()) {
            let text = format!("this node does not serve {subsystem}; its nation's list says who");
            return Err(Rejection::new(ErrorKind::Forbidden, "member-elsewhere", text));
        }
        Ok(())
    }

    /// Returns what is wrong with the store or the way to the evidence log.
    async fn store_problem(&self) -> Option<String> {
        let trial = async {
            self.node.store().write(|_| Ok::<_, Error>(())).await?;
            self.node.store().read(|view| view.count_lines(&EVIDENCE_QUEUE)).await
        };
        match tokio::time::timeout(STORE_PATIENCE, trial).await {
            Err(_) => Some(format!("the store did not answer within {STORE_PATIENCE:?}")),
            Ok(Err(error)) => Some(error.to_string()),
            Ok(Ok(waiting)) if waiting > EVIDENCE_WAITING_MAX => {
                Some(format!("{waiting} entries wait for the evidence log"))
            }
            Ok(Ok(_)) => None,
        }
    }
}

/// Reads the service's name from the raw path, for its parts may hold escaped slashes.
fn named_service(uri: &Uri) -> Result<(MemberId, String), Rejection> {
    let id = uri.path().strip_prefix(SERVICES).unwrap_or_default();
    let id = ServiceId::parse(id.as_bytes()).map_err(|error| bad_path(&error, "service"))?;
    let member = id.provider().to_member().map_err(|error| bad_path(&error, "service"))?;
    Ok((member, id.service.into_owned()))
}

fn named_client(uri: &Uri) -> Result<MemberId, Rejection> {
    let id = uri.path().strip_prefix(CLIENTS).unwrap_or_default();
    let id = ClientId::parse(id.as_bytes()).and_then(|id| id.to_member());
    id.map_err(|error| bad_path(&error, "client"))
}

fn bad_path(error: &karvan_xroad::Error, what: &str) -> Rejection {
    let form = match what {
        "service" => "/v1/services/PK/GOV/FBR/customs/code",
        _ => "/v1/clients/PK/GOV/FBR/customs",
    };
    let text = format!("the path names no {what} ({error}); write such as {form}");
    Rejection::new(ErrorKind::Invalid, "path", text)
}

fn no_service(member: &MemberId, code: &str) -> Rejection {
    let text = format!(
        "{member} has no service `{code}` here; `karvan services list` (GET /v1/services) shows \
         those that there are"
    );
    Rejection::new(ErrorKind::NotFound, "service-unknown", text)
}

const fn created(new: bool) -> StatusCode {
    if new { StatusCode::CREATED } else { StatusCode::OK }
}

/// Reads settings whose names stand in the path; in the body they may be left out, and otherwise
/// must be the same.
async fn read<T: DeserializeOwned>(
    request: Request,
    named: &[(&str, &str)],
) -> Result<T, Rejection> {
    let body = Limited::new(request.into_body(), JSON_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        Rejection::new(ErrorKind::TooLarge, "body-unreadable", format!("the settings: {error}"))
    })?;
    merge(&body.to_bytes(), named)
}

fn merge<T: DeserializeOwned>(body: &[u8], named: &[(&str, &str)]) -> Result<T, Rejection> {
    let invalid = |text: String| Rejection::new(ErrorKind::Invalid, "setting-refused", text);
    let mut value = json::parse(body).map_err(|error| invalid(error.to_string()))?;
    let settings = value.as_object_mut();
    let settings = settings.ok_or_else(|| invalid("the body is no JSON object".to_owned()))?;
    for (field, expected) in named {
        let found = settings.entry(*field).or_insert_with(|| Value::from(*expected));
        if *found != *expected {
            let text = format!("`{field}` is not `{expected}`, as the path says; leave it out");
            return Err(invalid(text));
        }
    }
    serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests;
