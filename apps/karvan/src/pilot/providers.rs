//! The agencies' own systems of the pilot: what is behind the services that the nodes offer.
//!
//! One small HTTP server on loopback plays three systems. `certificates` of Azerbaijan's customs
//! answers from the ledger of certificates at its own node; `tariff` of Pakistan's customs answers
//! from the shipped tariff, with the status of each rate; `trouble` is slow, fails or breaks off as
//! it is told, to show what a caller sees then.
//!
//! Not here: registering them (`crate::pilot::services`). They know nothing of nodes and X-Road, as
//! the systems of agencies should not have to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use karvan_customs::tariff::{self, ImporterClass};
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{Date, ErrorKind};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::folder::Folder;
use super::nations::AZ;
use crate::client::{Client, NodeArgs};
use crate::commands::customs::CUSTOMS;
use crate::failure;
use crate::node::local;

/// Longest time that `trouble` lets a caller wait.
const SLOW_MAX: Duration = Duration::from_mins(2);

/// The running systems; they end with the process.
pub(super) struct Providers {
    /// Where they listen.
    pub(super) address: SocketAddr,
}

/// Where Azerbaijan's system asks for certificates.
struct Registry {
    args: NodeArgs,
}

impl Providers {
    /// Starts all three on a free port of loopback.
    pub(super) fn start(folder: &Folder) -> Result<Self> {
        let args = NodeArgs {
            dir: Some(folder.home(&AZ).root().to_owned()),
            node: None,
            token_file: None,
            acting_as: Some(AZ.customs()?),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listen = (Ipv4Addr::LOCALHOST, 0);
        let listener = runtime.block_on(TcpListener::bind(listen)).context("no port is free")?;
        let address = listener.local_addr()?;
        let routes = routes(Arc::new(Registry { args }));
        let serve = move || match runtime.block_on(local::serve(listener, routes)) {};
        std::thread::Builder::new().name("providers".to_owned()).spawn(serve)?;
        Ok(Self { address })
    }

    /// Returns the base URL of one of them.
    pub(super) fn url(&self, system: &str) -> String {
        format!("http://{}/{system}", self.address)
    }
}

fn routes(registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/certificates/{number}", get(certificate))
        .route("/tariff/lines/{code}", get(line))
        .route("/trouble/slow/{seconds}", get(slow))
        .route("/trouble/status/{code}", get(status))
        .route("/trouble/broken", get(broken))
        .with_state(registry)
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let body = json!({ "title": status.canonical_reason(), "status": status.as_u16(),
        "detail": detail });
    (status, [("content-type", "application/problem+json")], body.to_string()).into_response()
}

/// Says what stands in the ledger about a certificate of origin.
async fn certificate(
    State(registry): State<Arc<Registry>>,
    Path(number): Path<String>,
) -> Response {
    let asked = number.clone();
    let look = move || -> Result<Value> {
        let client = Client::open(&registry.args)?;
        client.operate(CUSTOMS, "show", &json!({ "certificate": asked }))
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(Ok(found)) => Json(found).into_response(),
        Ok(Err(error)) if failure::kind(&error) == ErrorKind::NotFound => {
            let text = format!("no certificate `{number}` was issued; check the number");
            problem(StatusCode::NOT_FOUND, &text)
        }
        Ok(Err(error)) => problem(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the look-up failed"),
    }
}

/// Says which rates apply to a tariff line of Pakistan, from which source and how sure each is.
async fn line(Path(code): Path<String>, Query(query): Query<BTreeMap<String, String>>) -> Response {
    let unknown = query.keys().find(|name| !["date", "origin"].contains(&name.as_str()));
    if let Some(name) = unknown {
        let text = format!("`{name}` is not asked for; use date and origin");
        return problem(StatusCode::BAD_REQUEST, &text);
    }
    let day = match query.get("date").map(|day| day.parse::<Date>()) {
        None => SystemClock.now().utc_date(),
        Some(Ok(day)) => day,
        Some(Err(_)) => return problem(StatusCode::BAD_REQUEST, "date is such as 2026-10-02"),
    };
    let origin = query.get("origin").map_or("AZ", String::as_str).to_ascii_uppercase();
    let code: String = code.chars().filter(|c| !". ".contains(*c)).collect();
    let asked =
        tariff::Query { code: &code, day, origin: &origin, importer: ImporterClass::Commercial };
    let Some(found) = tariff::of("PK") else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "there is no tariff");
    };
    match found.explain(asked) {
        Ok(rates) => Json(rates).into_response(),
        Err(error) => {
            let status = StatusCode::from_u16(error.kind().http_status());
            problem(status.unwrap_or(StatusCode::BAD_REQUEST), &error.to_string())
        }
    }
}

/// Answers late.
async fn slow(Path(seconds): Path<f64>) -> Response {
    let wait = Duration::try_from_secs_f64(seconds).unwrap_or(SLOW_MAX).min(SLOW_MAX);
    tokio::time::sleep(wait).await;
    Json(json!({ "waited": wait.as_secs_f64() })).into_response()
}

/// Answers with the status that is asked for.
async fn status(Path(code): Path<u16>) -> Response {
    match StatusCode::from_u16(code) {
        Ok(status) if code >= 200 => problem(status, "this system answers as it is told"),
        _ => problem(StatusCode::BAD_REQUEST, "a status is a number from 200 to 999"),
    }
}

/// Breaks off in the middle of its answer.
async fn broken() -> Response {
    let pieces = futures_util::stream::iter([
        Ok(bytes::Bytes::from_static(b"{\"begun\":")),
        Err(std::io::Error::other("broken off on purpose")),
    ]);
    axum::body::Body::from_stream(pieces).into_response()
}
