//! What agencies and operators may ask about calls, on the local interface; and what peers may.
//!
//! | method and path | what it is | permission |
//! |---|---|---|
//! | `GET /v1/messages` | calls, newest first | `calls.read` |
//! | `GET /v1/messages/{id}` | all calls with an exchange id or a message id | `calls.read` |
//! | `GET /v1/messages/{id}/bundle` | the evidence bundle of one (ZIP) | `calls.read` |
//! | `GET /karvan/v1/proofs/{exchange}/{kind}` | for peers: the proof of a common log entry | |
//!
//! The list is filtered with `?side=&state=&client=&service=&since=` and paged with `limit=` and
//! `after=`, the `next` of the page before. A member's token sees that member's calls, as client
//! and as provider; one with `node.operate` all.
//!
//! Invariants: to others a call is as if it were unknown; one request reads a bounded number of
//! rows, so a page may be short, even empty, and still name a next one; without a next one nothing
//! that was asked for is missing.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::routing::get;
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use karvan_exchange::Node;
use karvan_exchange::client::{Body, full};
use karvan_exchange::local_api::{Params, Reply};
use karvan_exchange::wire::{PROBLEM_JSON, PROOFS_PATH, problem};
use karvan_store::{Error, Range, Read, Record, Value};
use karvan_subsystem::Rejection;
use karvan_trust::message::EXPIRES_SECONDS_MAX_REQUEST;
use karvan_types::limits::CLOCK_SKEW_SECONDS_MAX;
use karvan_types::{ErrorKind, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::bundle;
use crate::evidence::Side;
use crate::open::OpenCalls;
use crate::records::{Call, Outcome, Received, Sent};

use view::View;

mod view;

/// The permission that a reader needs.
pub const PERMISSION: &str = "calls.read";
/// Most calls of one page.
pub const PAGE_MAX: usize = 500;
/// Calls of one page when nothing is asked.
const PAGE: usize = 100;
/// Rows read at once.
const BATCH: usize = 200;
/// Most rows of one table that are read for a page.
const SCANNED_MAX: usize = 10_000;
/// Most calls that are shown under one id.
const SAME_MAX: usize = 100;
/// How much older than the call its exchange id may be, for `since` to find it: the id is made
/// before the request is signed, by a clock that differs.
const ID_AGE_MAX: Duration =
    Duration::from_secs(EXPIRES_SECONDS_MAX_REQUEST + CLOCK_SKEW_SECONDS_MAX);

/// Makes the routes, to be merged with those of the node.
pub(crate) fn routes(node: Node, open: Arc<OpenCalls>) -> Router {
    let listing = Router::new().route("/v1/messages", get(list)).with_state((node.clone(), open));
    Router::new()
        .route("/v1/messages/{id}", get(show))
        .route("/v1/messages/{id}/bundle", get(make_bundle))
        .with_state(node)
        .merge(listing)
}

/// How a call stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Stand {
    /// The provider's system is at work on it.
    Open,
    /// It was answered.
    Answered,
    /// A node refused it.
    Refused,
    /// The answer is not known.
    Unanswered,
}

impl Stand {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Answered => Self::Answered,
            Outcome::Refused => Self::Refused,
            Outcome::Unanswered => Self::Unanswered,
        }
    }
}

/// Which of its parties is at this node.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Client,
    Provider,
}

/// What a list is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    side: Option<Part>,
    state: Option<Stand>,
    client: Option<MemberId>,
    /// A service code, or provider and code.
    service: Option<String>,
    since: Option<Timestamp>,
    #[serde(default = "page")]
    limit: usize,
    after: Option<String>,
}

const fn page() -> usize {
    PAGE
}

/// Whose calls a caller may see; all when nobody is named.
struct Scope(Option<MemberId>);

impl Scope {
    fn read(node: &Node, headers: &HeaderMap) -> Result<Self, Rejection> {
        let caller = node.authorize(headers, PERMISSION)?;
        let all = caller.may("node.operate");
        Ok(Self((!all).then_some(caller.member)))
    }

    fn covers(&self, known: &Known) -> bool {
        let Some(member) = &self.0 else { return true };
        let party = match known.side {
            Side::Client => Some(known.call.client.clone()),
            Side::Provider => bundle::provider(&known.call.service).ok(),
        };
        party.is_some_and(|party| party == *member || party.member() == *member)
    }
}

/// A call as a table has it.
struct Known {
    call: Call,
    side: Side,
    stand: Stand,
}

impl Known {
    /// Takes a call of this node's agency.
    fn sent(Sent(call): Sent) -> Self {
        Self { stand: Stand::of(call.outcome), call, side: Side::Client }
    }

    /// Takes a call to a service of this node, with its end.
    fn received(view: &dyn Read, row: Received) -> Result<Self, Error> {
        let (call, has_ended) = row.joined(view)?;
        let stand = if has_ended { Stand::of(call.outcome) } else { Stand::Open };
        Ok(Self { call, side: Side::Provider, stand })
    }

    fn place(&self) -> Place {
        Place { exchange: self.call.exchange.to_string(), side: rank(self.side) }
    }
}

/// Where in the list a call stands: the later exchange first, of one the provider's side first.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    exchange: String,
    side: u8,
}

const fn rank(side: Side) -> u8 {
    match side {
        Side::Provider => 0,
        Side::Client => 1,
    }
}

impl Place {
    fn read(text: &str) -> Result<Self, Rejection> {
        let (id, side) = text.split_once('.').unwrap_or((text, "client"));
        let exchange: Result<ExchangeId, _> = id.parse();
        let side = match side {
            "provider" => Some(0),
            "client" => Some(1),
            _ => None,
        };
        if let (Ok(exchange), Some(side)) = (exchange, side) {
            return Ok(Self { exchange: exchange.to_string(), side });
        }
        let text = "`after` is the `next` of the page before, as it was given";
        Err(Rejection::new(ErrorKind::Invalid, "query", text))
    }

    fn write(&self) -> String {
        let side = if self.side == 0 { "provider" } else { "client" };
        format!("{}.{side}", self.exchange)
    }

    /// Returns whether it comes before another or is the same.
    fn up_to(&self, other: &Self) -> bool {
        (&other.exchange, self.side) <= (&self.exchange, other.side)
    }
}

impl Query {
    fn wants(&self, known: &Known) -> bool {
        let call = &known.call;
        let side = match known.side {
            Side::Client => Part::Client,
            Side::Provider => Part::Provider,
        };
        self.side.is_none_or(|wanted| wanted == side)
            && self.state.is_none_or(|wanted| wanted == known.stand)
            && self.client.as_ref().is_none_or(|wanted| *wanted == call.client)
            && self.since.is_none_or(|since| call.began_at >= since)
            && self.service.as_ref().is_none_or(|wanted| {
                call.service == *wanted
                    || call.service.rsplit_once('/').is_some_and(|(_, code)| code == wanted)
            })
    }
}

/// What was read of one table.
#[derive(Default)]
struct Scanned {
    found: Vec<Known>,
    /// The last row that was looked at, when there may be more.
    end: Option<Place>,
}

/// Reads the calls of a table that a query wants, newest first.
fn scan<R: Record>(
    view: &dyn Read,
    side: Side,
    (query, scope, after): (&Query, &Scope, Option<&Place>),
    take: fn(&dyn Read, R) -> Result<Known, Error>,
) -> Result<Scanned, Error> {
    let mut scanned = Scanned::default();
    let mut to = match after {
        None => Bound::Unbounded,
        Some(after) if rank(side) > after.side => Bound::Included(after.exchange.as_str().into()),
        Some(after) => Bound::Excluded(after.exchange.as_str().into()),
    };
    let mut rows = 0;
    loop {
        let party = scope.0.as_ref().map(MemberId::member);
        let range = match &party {
            Some(party) => Range::of("party", vec![party.as_str().into()], BATCH),
            None => Range::all(BATCH),
        };
        let from = match query.since {
            Some(since) => {
                let id = ExchangeId::new(since.minus(ID_AGE_MAX), [0; 10]);
                Bound::Included(Value::from(id.to_string()))
            }
            None => Bound::Unbounded,
        };
        let batch = view.select::<R>(&Range { from, to, ..range }.reversed())?;
        let count = batch.len();
        rows += count;
        let mut last = None;
        for row in batch {
            let known = take(view, row)?;
            last = Some(known.place());
            if query.wants(&known) && scope.covers(&known) {
                scanned.found.push(known);
                if scanned.found.len() == query.limit {
                    scanned.end = last;
                    return Ok(scanned);
                }
            }
        }
        let Some(last) = last.filter(|_| count == BATCH) else { return Ok(scanned) };
        if rows >= SCANNED_MAX {
            scanned.end = Some(last);
            return Ok(scanned);
        }
        to = Bound::Excluded(last.exchange.into());
    }
}

/// Reads a page, and where the next one begins.
fn read_page(
    view: &dyn Read,
    query: &Query,
    scope: &Scope,
    after: Option<&Place>,
) -> Result<(Vec<Known>, Option<Place>), Error> {
    let asked = (query, scope, after);
    let sent = scan::<Sent>(view, Side::Client, asked, |_, row| Ok(Known::sent(row)))?;
    let received = scan::<Received>(view, Side::Provider, asked, Known::received)?;
    let mut found: Vec<_> = sent.found.into_iter().chain(received.found).collect();
    found.sort_by(|a, b| {
        let order = b.call.exchange.as_bytes().cmp(a.call.exchange.as_bytes());
        order.then(rank(a.side).cmp(&rank(b.side)))
    });
    // Behind the place where one table was left, what it still has would be missing.
    let mut next = None;
    for end in [sent.end, received.end].into_iter().flatten() {
        found.retain(|known| known.place().up_to(&end));
        if next.as_ref().is_none_or(|next| end.up_to(next)) {
            next = Some(end);
        }
    }
    if found.len() > query.limit {
        found.truncate(query.limit);
        next = found.last().map(Known::place);
    }
    Ok((found, next))
}

/// Reads a page of open calls, and where the next one begins. `open` are their ids, the latest
/// first.
fn read_open(
    view: &dyn Read,
    query: &Query,
    scope: &Scope,
    after: Option<&Place>,
    open: &[ExchangeId],
) -> Result<(Vec<Known>, Option<Place>), Error> {
    let mut found: Vec<Known> = Vec::new();
    for id in open {
        let id = id.to_string();
        if after.is_some_and(|after| id >= after.exchange) {
            continue;
        }
        let Some(row) = view.find::<Received>(id)? else { continue };
        let known = Known::received(view, row)?;
        if query.wants(&known) && scope.covers(&known) {
            if found.len() == query.limit {
                let next = found.last().map(Known::place);
                return Ok((found, next));
            }
            found.push(known);
        }
    }
    Ok((found, None))
}

async fn list(
    State((node, open)): State<(Node, Arc<OpenCalls>)>,
    headers: HeaderMap,
    Params(query): Params<Query>,
) -> Reply {
    let scope = Scope::read(&node, &headers)?;
    if query.limit == 0 || query.limit > PAGE_MAX {
        let text = format!("`limit` is 1 to {PAGE_MAX}; ask for further pages with `after`");
        return Err(Rejection::new(ErrorKind::Invalid, "query", text).into());
    }
    let after = query.after.as_deref().map(Place::read).transpose()?;
    let open = (query.state == Some(Stand::Open)).then(|| open.newest_first());
    let read = move |view: &dyn Read| match &open {
        Some(open) => read_open(view, &query, &scope, after.as_ref(), open),
        None => read_page(view, &query, &scope, after.as_ref()),
    };
    let (found, next) = node.store().read(move |view| read(view)).await?;
    let messages: Vec<_> = found.iter().map(|known| View::of(&node, known)).collect();
    let next = next.map(|next| next.write());
    Ok(Json(serde_json::json!({ "messages": messages, "next": next })).into_response())
}

/// Finds all calls that an exchange id or message id names.
async fn find(node: &Node, scope: &Scope, id: &str) -> Result<Vec<Known>, Rejection> {
    let (id, asked) = (id.to_owned(), id.to_owned());
    let read = move |view: &dyn Read| -> Result<Vec<Known>, Error> {
        let mut found = Vec::new();
        let by_message = Range::of("message", vec![id.as_str().into()], SAME_MAX).reversed();
        let mut sent = view.select::<Sent>(&by_message)?;
        let mut received = view.select::<Received>(&by_message)?;
        let key = id.parse::<ExchangeId>().ok().map(|exchange| exchange.to_string());
        if let Some(key) = &key {
            sent.extend(view.find::<Sent>(key.as_str())?);
            received.extend(view.find::<Received>(key.as_str())?);
        }
        found.extend(sent.into_iter().map(Known::sent));
        for row in received {
            found.push(Known::received(view, row)?);
        }
        // A message id may be the exchange id too.
        found.sort_by_key(|known| (known.call.exchange.to_string(), rank(known.side)));
        found.dedup_by_key(|known| known.place());
        Ok(found)
    };
    let found = node.store().read(move |view| read(view)).await?;
    let found: Vec<_> = found.into_iter().filter(|known| scope.covers(known)).collect();
    if found.is_empty() {
        let text = format!(
            "no call `{asked}` is known to this node; give the exchange id (Karvan-Exchange-Id) or \
             the message id (X-Road-Id)"
        );
        return Err(Rejection::new(ErrorKind::NotFound, "call-unknown", text));
    }
    Ok(found)
}

async fn show(State(node): State<Node>, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    let scope = Scope::read(&node, &headers)?;
    let found = find(&node, &scope, &id).await?;
    let views: Vec<_> = found.iter().map(|known| View::of(&node, known).detailed(known)).collect();
    Ok(Json(views).into_response())
}

async fn make_bundle(
    State(node): State<Node>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Reply {
    let scope = Scope::read(&node, &headers)?;
    let found = find(&node, &scope, &id).await?;
    let mut ids: Vec<_> = found.iter().map(|known| known.call.exchange.to_string()).collect();
    ids.dedup();
    if ids.len() > 1 {
        let text = format!("`{id}` names {} calls; ask by one of {}", ids.len(), ids.join(", "));
        return Err(Rejection::new(ErrorKind::Conflict, "message-id-repeated", text).into());
    }
    let Some(known) = found.iter().find(|known| known.stand != Stand::Open) else {
        let text = "the call is being answered; ask again when it has ended";
        return Err(Rejection::new(ErrorKind::Conflict, "call-open", text).into());
    };
    let bytes = bundle::make(&node, &known.call).await?;
    Ok(([(CONTENT_TYPE, "application/zip")], bytes).into_response())
}

/// Returns whether a peer asks for the proof of a call's entry.
pub(crate) fn is_proof(path: &str) -> bool {
    path.strip_prefix(PROOFS_PATH)
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(_, kind)| kind.starts_with("call."))
}

/// Answers a peer that asks for the proof of a call's entry.
pub(crate) async fn proof(node: &Node, path: &str) -> http::Response<Body> {
    let (status, kind, body) = match find_proof(node, path).await {
        Ok(proof) => (StatusCode::OK, "text/plain; charset=utf-8", proof.into_bytes()),
        Err(rejection) => {
            let status = StatusCode::from_u16(rejection.kind.http_status()).unwrap_or_default();
            (status, PROBLEM_JSON, problem(&rejection))
        }
    };
    let mut answer = http::Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

async fn find_proof(node: &Node, path: &str) -> Result<String, Rejection> {
    let rest = path.strip_prefix(PROOFS_PATH).unwrap_or_default();
    let (id, kind) = rest.split_once('/').unwrap_or_default();
    let exchange: ExchangeId = id.parse().map_err(|_| {
        let text = "the exchange id is no UUID of version 7";
        Rejection::new(ErrorKind::Invalid, "exchange-id", text)
    })?;
    let read = move |view: &dyn Read| -> Result<[Option<Call>; 2], Error> {
        let key = exchange.to_string();
        let received = Call::received(view, &key)?;
        Ok([view.find::<Sent>(key)?.map(|row| row.0), received])
    };
    let calls = node.store().read(move |view| read(view)).await?;
    let call = calls.into_iter().flatten().find(|call| call.outcome.kind() == kind);
    let call = call.ok_or_else(|| {
        let text = format!("exchange {exchange} has no log entry `{kind}` here");
        Rejection::new(ErrorKind::NotFound, "entry-unknown", text)
    })?;
    node.proof(call.entry)
}

#[cfg(test)]
mod tests;
