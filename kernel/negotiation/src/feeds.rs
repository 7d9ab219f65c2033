//! Pulling data: a token that opens one transfer's feed, and the feed itself.
//!
//! The provider's start message carries an address and a token. The token opens the feed for the
//! consumer's node only, for a few minutes; the consumer gets a new one without negotiating, as
//! long as the transfer is started and the agreement in force.
//!
//! | method and path | what |
//! | --- | --- |
//! | `GET /feeds/{transfer}`, `/feeds/{transfer}/{item}` | data; ranges, tags |
//! | `POST /feeds/{transfer}/token` | a new address with a new token, for the consumer |
//!
//! Invariant: a token opens nothing once its transfer is suspended or over, or its agreement has
//! ended: all three are looked at on every request.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, StatusCode};
use karvan_dataspace::transfer::{self, DataAddress, TransferStart};
use karvan_dataspace::{Message as _, Pids};
use karvan_store::{Range, Tx};
use karvan_types::{Digest, ErrorKind, NodeId};
use serde_json::Value;

use crate::Error;
use crate::engine::Engine;
use crate::http::{decode, json, not_there};
use crate::identity::member_of;
use crate::line::{BASE_PATH, base64_text};
use crate::records::{Access, Dataset, Kind, Process, Side, Stage};

/// The format in which the consumer fetches.
pub const PULL: &str = "HttpData-PULL";
/// What stands before the UUID in a process id.
const UUID_PREFIX: &str = "urn:uuid:";
/// Most tokens of one transfer at a time.
const TOKENS_MAX: usize = 16;

impl Engine {
    /// Makes the address at which the consumer fetches, when it does.
    pub(crate) fn grant_access(
        &self,
        tx: &mut dyn Tx,
        process: &mut Process,
        dataset: Option<&Dataset>,
    ) -> Result<Option<DataAddress>, Error> {
        let pulls = process.format.as_deref() == Some(PULL);
        let is_feed = dataset.is_some_and(|dataset| dataset.kind == Kind::Feed {});
        if !pulls || !(is_feed || member_of(&process.counterparty).is_none()) {
            return Ok(None);
        }
        self.check_in_force(process)?;
        let secret: [u8; 32] = self.node.entropy().array();
        let token = base64_text(&secret);
        let node = match member_of(&process.counterparty) {
            Some(member) => Some(self.node.node_of(&member)?),
            None => None,
        };
        let now = self.node.now();
        let own = Range::of("process", vec![process.pid.as_str().into()], TOKENS_MAX);
        for old in tx.select::<Access>(&own)? {
            if old.expires_at <= now {
                tx.remove::<Access>(old.token.to_string())?;
            }
        }
        if tx.count(&crate::records::ACCESS, &own)? >= TOKENS_MAX as u64 {
            let text = "the transfer has many tokens; use the last one, or wait until it ends";
            return Err(Error::new(ErrorKind::Overloaded, "token", text));
        }
        tx.add(&Access {
            token: Digest::of(token.as_bytes()),
            process: process.pid.clone(),
            node,
            expires_at: now.plus(self.config.token_life),
        })?;
        let base = self.line.own_address()?;
        let root = base.strip_suffix(BASE_PATH).unwrap_or(&base);
        let uuid = process.pid.strip_prefix(UUID_PREFIX).unwrap_or(&process.pid);
        Ok(Some(DataAddress::http(&format!("{root}/feeds/{uuid}"), &token)))
    }

    /// Takes back every token of a transfer.
    pub(crate) fn revoke_access(tx: &mut dyn Tx, pid: &str) -> Result<(), Error> {
        let range = Range::of("process", vec![pid.into()], TOKENS_MAX);
        for access in tx.select::<Access>(&range)? {
            tx.remove::<Access>(access.token.to_string())?;
        }
        Ok(())
    }

    /// Finds the transfer that a token opens now.
    async fn admit(
        &self,
        from: Option<&NodeId>,
        pid: &str,
        headers: &HeaderMap,
    ) -> Result<Process, Error> {
        let refuse = |text: &str| Error::new(ErrorKind::Unauthenticated, "token", text);
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| refuse("send the token of the transfer's data address"))?;
        let (key, pid) = (Digest::of(token.as_bytes()).to_string(), pid.to_owned());
        let found = self
            .node
            .store()
            .read(move |view| -> Result<_, Error> {
                Ok((view.find::<Access>(key)?, view.find::<Process>(pid)?))
            })
            .await?;
        let (Some(access), Some(process)) = found else {
            return Err(refuse("the token opens nothing here"));
        };
        if access.process != process.pid || access.node.as_ref() != from {
            return Err(refuse("the token opens nothing here"));
        }
        if access.expires_at <= self.node.now() {
            return Err(refuse("the token is over; ask for a new one at …/token"));
        }
        if process.stage != Stage::Transfer(transfer::State::Started) {
            return Err(refuse("the transfer is not started"));
        }
        self.check_in_force(&process)?;
        Ok(process)
    }

    async fn renew(
        self: &Arc<Self>,
        from: Option<&NodeId>,
        pid: &str,
        headers: &HeaderMap,
    ) -> Result<Value, Error> {
        let caller = self.identity.authenticate(from, headers)?;
        let process = self.process_for(pid, &caller).await?;
        let started = process.stage == Stage::Transfer(transfer::State::Started);
        if process.side != Side::Provider || !started {
            return Err(Error::invalid("invalid-state", "only a started transfer has tokens"));
        }
        let (engine, pid) = (Arc::clone(self), pid.to_owned());
        let address = self
            .node
            .store()
            .write(move |tx| -> Result<Option<DataAddress>, Error> {
                let found = tx.find::<Process>(pid.as_str())?;
                let mut process = found.ok_or_else(|| Error::unknown("process", &pid))?;
                let dataset = tx.find::<Dataset>(process.dataset.as_str())?;
                engine.grant_access(tx, &mut process, dataset.as_ref())
            })
            .await?;
        let address = address.ok_or_else(|| Error::invalid("format", "nothing is pulled here"))?;
        Ok(address_value(address))
    }
}

/// Returns the address in the words of the protocol.
pub(crate) fn address_value(address: DataAddress) -> Value {
    let pids = Pids { provider: String::new(), consumer: String::new() };
    let start = TransferStart { id: None, pids, data_address: Some(address) };
    start.to_value().get("dataAddress").cloned().unwrap_or_default()
}

/// Answers a request below `/feeds/`.
pub(crate) async fn serve(
    engine: &Arc<Engine>,
    from: Option<NodeId>,
    rest: &str,
    request: Request,
) -> Response {
    let (uuid, item) = rest.split_once('/').map_or((rest, None), |(uuid, item)| (uuid, Some(item)));
    let pid = format!("{UUID_PREFIX}{uuid}");
    let item = item.filter(|item| !item.is_empty()).map(decode);
    let (head, _) = request.into_parts();
    let outcome = match (&head.method, item.as_deref()) {
        (&Method::POST, Some("token")) => engine
            .renew(from.as_ref(), &pid, &head.headers)
            .await
            .map(|address| json(StatusCode::OK, address.to_string().into_bytes())),
        (&Method::GET, item) => fetch(engine, from.as_ref(), &pid, item, &head.headers).await,
        _ => return not_there(),
    };
    outcome.unwrap_or_else(|error| {
        let body = serde_json::json!({ "code": error.code(), "detail": error.to_string() });
        json(error.status(), body.to_string().into_bytes())
    })
}

async fn fetch(
    engine: &Arc<Engine>,
    from: Option<&NodeId>,
    pid: &str,
    item: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let process = engine.admit(from, pid, headers).await?;
    let dataset = engine.dataset(&process.dataset).await?;
    let dataset = dataset.filter(|dataset| dataset.is_of(&process.own));
    let source = dataset.and_then(|dataset| Some((dataset.source?, dataset.provider)));
    let (source, provider) = source.ok_or_else(|| Error::unknown("feed", &process.dataset))?;
    source.serve(engine.node(), &provider, item, headers).await
}
