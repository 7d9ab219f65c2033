//! The data of a transfer, for the agency that asked for it: streamed through, resumable.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use karvan_exchange::client::{Answer, Timeouts, full};
use karvan_types::{ErrorKind, json};
use serde_json::Value;

use super::{Reply, Shared, authorize, find};
use crate::Error;
use crate::engine::Engine;
use crate::identity::member_of;
use crate::line::Parcel;
use crate::records::{Process, Side};
use crate::source::{PASSED_IN, PASSED_OUT};
use crate::step::escape;

/// How long the provider's node may take to begin its answer.
const BEGIN_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) async fn whole(
    State(engine): Shared,
    headers: HeaderMap,
    Path((pid, verb)): Path<(String, String)>,
) -> Reply {
    if verb != "data" {
        return Err(Error::unknown("path", &verb).into());
    }
    fetch(&engine, &headers, &pid, None).await
}

pub(super) async fn item(
    State(engine): Shared,
    headers: HeaderMap,
    Path((pid, item)): Path<(String, String)>,
) -> Reply {
    fetch(&engine, &headers, &pid, Some(&item)).await
}

async fn fetch(engine: &Arc<Engine>, headers: &HeaderMap, pid: &str, item: Option<&str>) -> Reply {
    let caller = authorize(engine, headers, "agreements.request")?;
    let mut process = find(engine, &caller, pid).await?;
    if process.side != Side::Consumer {
        return Err(
            Error::invalid("side", "only the consumer fetches; this is the provider").into()
        );
    }
    let mut answer = get(engine, &process, item, headers).await?;
    if answer.response.status() == StatusCode::UNAUTHORIZED {
        // The token is over; the agreement need not be.
        process = engine.renew_token(&process).await?;
        answer = get(engine, &process, item, headers).await?;
    }
    Ok(pass(answer).await?)
}

/// Returns the text of a property of the transfer's data address.
fn property(process: &Process, name: &str) -> Option<String> {
    let all = process.data_address.as_ref()?.get("endpointProperties")?.as_array()?;
    let found = all.iter().find(|one| one.get("name").and_then(Value::as_str) == Some(name))?;
    Some(found.get("value")?.as_str()?.to_owned())
}

async fn get(
    engine: &Engine,
    process: &Process,
    item: Option<&str>,
    headers: &HeaderMap,
) -> Result<Answer, Error> {
    let missing = || {
        let text = "the provider has not told where the data is; wait until the transfer starts";
        Error::new(ErrorKind::Conflict, "not-started", text)
    };
    let token = property(process, "authorization").ok_or_else(missing)?;
    let url = property(process, "endpoint").ok_or_else(missing)?;
    let peer = member_of(&process.counterparty);
    let peer = peer.ok_or_else(|| Error::invalid("participant", "the provider is no member"))?;
    let node = engine.node().node_of(&peer)?;
    let authority = engine.node().authority_of(&node)?;
    // Only the provider's own node is ever asked, whatever the address says.
    let path = url.strip_prefix(&format!("https://{authority}")).ok_or_else(|| {
        let text = format!("the data address {url} is not at the provider's node");
        Error::new(ErrorKind::PeerMisbehaved, "data-address", text)
    })?;
    let path = match item {
        Some(item) => format!("{path}/{}", escape(Some(item))),
        None => path.to_owned(),
    };
    let make = || {
        let mut request = Request::new(full(Bytes::new()));
        *request.uri_mut() = path.parse().unwrap_or_default();
        let fields = request.headers_mut();
        let own = [(HOST, authority.clone()), (AUTHORIZATION, format!("Bearer {token}"))];
        for (name, value) in own {
            if let Ok(value) = value.parse() {
                fields.insert(name, value);
            }
        }
        for name in &PASSED_IN {
            if let Some(value) = headers.get(name) {
                fields.insert(name.clone(), value.clone());
            }
        }
        request
    };
    engine.node().call(&node, Timeouts::new(BEGIN_TIMEOUT), make).await.map_err(|error| {
        Error::new(ErrorKind::PeerUnavailable, "peer-unreachable", error.to_string())
    })
}

/// Passes an answer on as it comes.
async fn pass(answer: Answer) -> Result<Response, Error> {
    let (response, used) = answer.into_parts();
    let (head, body) = response.into_parts();
    if head.status.is_client_error() && head.status != StatusCode::RANGE_NOT_SATISFIABLE
        || head.status.is_server_error()
    {
        let limited = http_body_util::Limited::new(body, REFUSAL_BYTES_MAX).collect().await;
        let body = limited.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Err(refused(head.status, &body));
    }
    // The connection is given back when the last block has gone.
    let state = (body, Some(used));
    let blocks = futures_util::stream::try_unfold(state, |(mut body, mut used)| async move {
        loop {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some((data, (body, used))));
                    }
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => {
                    if let Some(used) = used.take() {
                        used.done();
                    }
                    return Ok(None);
                }
            }
        }
    });
    let mut passed = (head.status, Body::from_stream(blocks)).into_response();
    for name in &PASSED_OUT {
        if let Some(value) = head.headers.get(name) {
            passed.headers_mut().insert(name.clone(), value.clone());
        }
    }
    Ok(passed)
}

/// Makes an error of the provider's refusal, in its words.
fn refused(status: StatusCode, body: &[u8]) -> Error {
    let told = json::parse(body).unwrap_or_default();
    let said = told.get("detail").and_then(Value::as_str).map(str::to_owned);
    let said = said.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    // What is wrong for the state that the transfer is in may be right later.
    let kind = match status {
        StatusCode::BAD_REQUEST => ErrorKind::Conflict,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        status if status.is_server_error() => ErrorKind::PeerUnavailable,
        _ => ErrorKind::Forbidden,
    };
    Error::new(kind, "feed-refused", format!("the provider answers {status}: {said}"))
}

/// Longest refusal of a provider that is read, in bytes.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

impl Engine {
    /// Asks the provider for a new token of a started transfer, without negotiating.
    async fn renew_token(&self, process: &Process) -> Result<Process, Error> {
        let uuid = process.peer_pid.as_deref().unwrap_or_default();
        let uuid = uuid.strip_prefix("urn:uuid:").unwrap_or(uuid);
        let base = self.line.address_of(&process.counterparty)?;
        let address = base.strip_suffix(crate::line::BASE_PATH).unwrap_or(&base);
        let token = self.identity.token_for(&process.own, &process.counterparty, address)?;
        let path = format!("/feeds/{}/token", escape(Some(uuid)));
        let parcel = Parcel {
            address,
            method: "POST",
            path: &path,
            token: &token,
            headers: &[],
            body: Bytes::new(),
        };
        let answer = self.line.send(parcel).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(answer.status(), answer.body()));
        }
        let address = json::parse(answer.body()).map_err(karvan_dataspace::Error::from)?;
        let pid = process.pid.clone();
        self.node
            .store()
            .write(move |tx| -> Result<Process, Error> {
                let found = tx.find::<Process>(pid.as_str())?;
                let mut process = found.ok_or_else(|| Error::unknown("process", &pid))?;
                process.data_address = Some(address);
                tx.save(&process)?;
                Ok(process)
            })
            .await
    }
}
