//! What the people of this nation may ask about offers, negotiations, agreements and transfers:
//! HTTP on the local interface, with its tokens.
//!
//! | method and path | what it is | permission |
//! | --- | --- | --- |
//! | `GET /v1/catalog` | what this node offers, as the caller sees it | `agreements.read` |
//! | `GET /v1/catalog/{node or member}` | a peer's catalog | `agreements.read` |
//! | `GET /v1/catalog.jsonld`, `.ttl` | open data only (DCAT-AP); no token | |
//! | `GET`, `POST /v1/offers`, `DELETE /v1/offers/{id}` | own datasets | `.read`, `.decide` |
//! | `GET /v1/negotiations`, `/transfers` | `?waiting=true&limit=&before=` | `agreements.read` |
//! | `POST /v1/negotiations` | ask for a dataset | `agreements.request` |
//! | `GET /v1/negotiations/{pid}`, `/transfers/{pid}` | one, and its timeline | `agreements.read` |
//! | `POST …/{pid}/approve`, `/refuse`, `/counter`, `/terminate` | decide | `agreements.decide` |
//! | `POST /v1/transfers` | ask for the data of an agreement | `agreements.request` |
//! | `POST /v1/transfers/{pid}/start`, `/suspend`, `/complete`, `/terminate` | steer | `.request` |
//! | `GET /v1/transfers/{pid}/data`, `…/data/{item}` | the data | `agreements.request` |
//! | `GET /v1/agreements`, `/v1/agreements/{digest}` | what is agreed | `agreements.read` |
//! | `POST /v1/agreements/{digest}/withdraw` | end it | `agreements.decide` |
//! | `POST /v1/agreements/explain` | would this exchange be allowed? | `agreements.read` |
//!
//! A member's token sees that member's processes; one with `node.operate` all.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::IntoResponse as _;
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use karvan_exchange::local_api::{Params, Reply};
use karvan_store::{Range, Read};
use karvan_subsystem::Caller;
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{AgreementRef, ErrorKind, MemberId, json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json as object};

use crate::catalog::{Stretch, kind_of};
use crate::decide::{Decision, offer_id};
use crate::engine::{Engine, Opening};
use crate::identity::{NODE_PREFIX, Participant, member_of, participant_named, participant_of};
use crate::records::{Dataset, Process, Why};
use crate::source::Source;
use crate::{Error, views};

mod agreements;
mod data;

/// Most rows of one list.
const LIST_MAX: usize = 1_000;
/// Rows of a list when no limit is asked for.
const LIST_USUAL: usize = 100;

pub(crate) type Shared = State<Arc<Engine>>;
/// Makes the routes for people, to be merged with those of the node.
pub fn routes(engine: &Arc<Engine>) -> Router {
    Router::new()
        .route("/v1/catalog", get(own_catalog))
        .route("/v1/catalog.jsonld", get(open_jsonld))
        .route("/v1/catalog.ttl", get(open_turtle))
        .route("/v1/catalog/{*peer}", get(peer_catalog))
        .route("/v1/offers", get(list_offers).post(add_offer))
        .route("/v1/offers/{id}", delete(remove_offer))
        .route("/v1/negotiations", get(list_negotiations).post(start_negotiation))
        .route("/v1/negotiations/{pid}", get(show))
        .route("/v1/negotiations/{pid}/{verb}", post(decide))
        .route("/v1/transfers", get(list_transfers).post(start_transfer))
        .route("/v1/transfers/{pid}", get(show))
        .route("/v1/transfers/{pid}/{verb}", post(steer).get(data::whole))
        .route("/v1/transfers/{pid}/data/{item}", get(data::item))
        .merge(agreements::routes())
        .with_state(Arc::clone(engine))
}

pub(crate) fn authorize(
    engine: &Engine,
    headers: &HeaderMap,
    permission: &str,
) -> Result<Caller, Error> {
    Ok(engine.node().authorize(headers, permission)?)
}

/// Reads the input of a request; none is an empty object.
pub(crate) async fn input<T: DeserializeOwned>(request: Request) -> Result<T, Error> {
    let body = Limited::new(request.into_body(), JSON_BYTES_MAX).collect().await;
    let body = body.map_err(|error| {
        Error::new(ErrorKind::TooLarge, "body-unreadable", format!("the input: {error}"))
    })?;
    let body = body.to_bytes();
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    json::from_slice(text).map_err(|error| Error::invalid("json", format!("the input: {error}")))
}

/// Returns whether a caller acts for a member, or operates the node.
fn covers(caller: &Caller, member: Option<&MemberId>) -> bool {
    caller.may("node.operate") || member.is_some_and(|own| own.member() == caller.member.member())
}

/// Returns a process that the caller may see.
pub(crate) async fn find(engine: &Engine, caller: &Caller, pid: &str) -> Result<Process, Error> {
    let found = engine.process(pid).await?;
    let own = |process: &Process| covers(caller, member_of(&process.own).as_ref());
    found.filter(own).ok_or_else(|| Error::unknown("process", pid))
}

async fn own_catalog(State(engine): Shared, headers: HeaderMap) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let participant = Participant { id: participant_of(&caller.member), node: None };
    let page = engine.catalog_page(&participant, None, Stretch::default()).await?;
    Ok(Json(views::catalog(&engine.catalog_of(&page)?)).into_response())
}

async fn open_page(engine: &Engine) -> Result<karvan_dataspace::catalog::Catalog, Error> {
    // Nobody in particular: what is shown to everybody.
    let anybody = Participant { id: "*".to_owned(), node: None };
    let page = engine.catalog_page(&anybody, None, Stretch::default()).await?;
    engine.catalog_of(&page)
}

async fn open_jsonld(State(engine): Shared) -> Reply {
    let body = views::dcat_jsonld(&open_page(&engine).await?).to_string();
    Ok(([(CONTENT_TYPE, "application/ld+json")], body).into_response())
}

async fn open_turtle(State(engine): Shared) -> Reply {
    let body = views::dcat_turtle(&open_page(&engine).await?);
    Ok(([(CONTENT_TYPE, "text/turtle; charset=utf-8")], body).into_response())
}

async fn peer_catalog(
    State(engine): Shared,
    headers: HeaderMap,
    Path(peer): Path<String>,
) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let catalog = engine.peer_catalog(&caller.member, &participant_named(&peer)).await?;
    Ok(Json(views::catalog(&catalog)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    #[serde(default)]
    waiting: bool,
    limit: Option<usize>,
    /// Only those opened before this instant, in milliseconds: the next page.
    before: Option<i64>,
}

async fn list_offers(State(engine): Shared, headers: HeaderMap) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let own = participant_of(&caller.member);
    let all = caller.may("node.operate");
    let member = caller.member.clone();
    let read = move |view: &dyn Read| -> Result<Vec<Dataset>, karvan_store::Error> {
        if all {
            return view.select(&Range::all(LIST_MAX));
        }
        view.select(&Range::of("provider", vec![member.as_str().into()], LIST_MAX))
    };
    let datasets = engine.node().store().read(read).await?;
    Ok(Json(object!({ "provider": own, "offers": datasets })).into_response())
}

async fn add_offer(State(engine): Shared, headers: HeaderMap, request: Request) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.decide")?;
    let dataset: Dataset = input(request).await?;
    if !covers(&caller, Some(&dataset.provider)) {
        let text = format!("{} offers nothing for {}", caller.member, dataset.provider);
        return Err(Error::new(ErrorKind::Forbidden, "not-own", text).into());
    }
    let shown = object!({ "id": dataset.id });
    if let Some(Source::Query { subsystem, operation, .. }) = &dataset.source {
        // Who may not read it must not let others read it.
        caller.require(engine.node().permission_to_read(subsystem, operation)?)?;
    }
    engine.publish(dataset).await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

async fn remove_offer(State(engine): Shared, headers: HeaderMap, Path(id): Path<String>) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.decide")?;
    engine.unpublish(&id, &caller.member).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn list(engine: &Engine, headers: &HeaderMap, query: ListQuery, kind: &'static str) -> Reply {
    let caller = authorize(engine, headers, "agreements.read")?;
    let limit = query.limit.unwrap_or(LIST_USUAL).min(LIST_MAX);
    let mut range = if query.waiting {
        Range::of("waiting", vec![1_i64.into()], limit)
    } else {
        Range::of("kind", vec![kind.into()], limit)
    };
    if let Some(before) = query.before {
        range.to = std::ops::Bound::Excluded(before.into());
    }
    let range = range.reversed();
    let mut found: Vec<Process> =
        engine.node().store().read(move |view| view.select(&range)).await?;
    found.retain(|process| {
        process.stage.kind() == kind && covers(&caller, member_of(&process.own).as_ref())
    });
    let views: Vec<_> = found.iter().map(views::process).collect();
    Ok(Json(views).into_response())
}

async fn list_negotiations(
    State(engine): Shared,
    headers: HeaderMap,
    Params(query): Params<ListQuery>,
) -> Reply {
    list(&engine, &headers, query, "negotiation").await
}

async fn list_transfers(
    State(engine): Shared,
    headers: HeaderMap,
    Params(query): Params<ListQuery>,
) -> Reply {
    list(&engine, &headers, query, "transfer").await
}

async fn show(State(engine): Shared, headers: HeaderMap, Path(pid): Path<String>) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let process = find(&engine, &caller, &pid).await?;
    let messages = engine.messages(&pid).await?;
    Ok(Json(views::timeline(&engine, &process, &messages)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    /// Who offers it: a member; on a line to other connectors their participant id.
    provider: String,
    /// The dataset.
    dataset: String,
    /// The offer, when it is not the dataset's first.
    #[serde(default)]
    offer: Option<String>,
    /// Other rules than those offered; the provider must be asked.
    #[serde(default)]
    policy: Option<Value>,
    /// The agreement that the new one takes the place of.
    #[serde(default)]
    replaces: Option<AgreementRef>,
}

async fn start_negotiation(State(engine): Shared, headers: HeaderMap, request: Request) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.request")?;
    let start: Start = input(request).await?;
    let provider = participant_named(&start.provider);
    if provider.starts_with(NODE_PREFIX) {
        let text = "`provider` is a node; name the member that offers the dataset";
        return Err(Error::invalid("provider", text).into());
    }
    let dataset = engine.peer_dataset(&caller.member, &provider, &start.dataset).await?;
    let wanted = start.offer.as_deref();
    let offer = dataset.offers.iter().find(|offer| wanted.is_none_or(|id| offer.id == id));
    let offer = offer.ok_or_else(|| Error::unknown("offer", wanted.unwrap_or("of the dataset")))?;
    let mut rules = offer.to_value();
    if let Some(policy) = start.policy {
        rules = with_id(policy, &offer.id);
    }
    let opening = Opening {
        own: caller.member.clone(),
        counterparty: provider,
        address: None,
        kind: kind_of(&dataset),
        dataset: start.dataset,
        offer: rules,
        replaces: start.replaces,
    };
    let process = engine.request(opening, &caller.user).await?;
    Ok((StatusCode::CREATED, Json(views::process(&process))).into_response())
}

/// Gives rules the id of the offer that they are about.
fn with_id(mut policy: Value, id: &str) -> Value {
    if let Value::Object(members) = &mut policy {
        members.insert("@type".to_owned(), "Offer".into());
        members.insert("@id".to_owned(), id.into());
    }
    policy
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    policy: Option<Value>,
}

impl Said {
    fn why(self, code: &str) -> Result<Why, Error> {
        let reason = self.reason.filter(|reason| !reason.trim().is_empty());
        let text = "`reason` is required: the other side and the record must know why";
        let reason = reason.ok_or_else(|| Error::invalid("reason", text))?;
        Ok(Why::new(code, reason))
    }
}

async fn decide(
    State(engine): Shared,
    headers: HeaderMap,
    Path((pid, verb)): Path<(String, String)>,
    request: Request,
) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.decide")?;
    let process = find(&engine, &caller, &pid).await?;
    let said: Said = input(request).await?;
    let decision = match verb.as_str() {
        "approve" => Decision::forward(&process).ok_or_else(|| {
            let state = process.stage.name();
            Error::new(
                ErrorKind::Conflict,
                "invalid-state",
                format!("nothing to approve in {state}"),
            )
        })?,
        "refuse" => Decision::Terminate(said.why("refused")?),
        "terminate" => Decision::Terminate(said.why("terminated")?),
        "counter" => {
            let policy =
                said.policy.ok_or_else(|| Error::invalid("policy", "`policy` is required"))?;
            let id = process.offer.as_ref().and_then(offer_id).unwrap_or_default().to_owned();
            let policy = Some(with_id(policy, &id));
            match process.side {
                crate::records::Side::Provider => Decision::Offer(policy),
                crate::records::Side::Consumer => Decision::Counter(policy),
            }
        }
        other => return Err(Error::unknown("decision", other).into()),
    };
    let process = engine.step(&pid, decision, &caller.user).await?;
    Ok(Json(views::process(&process)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fetch {
    /// The ODRL id of the agreement.
    agreement: String,
    /// Such as `HttpData-PULL`.
    format: String,
}

async fn start_transfer(State(engine): Shared, headers: HeaderMap, request: Request) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.request")?;
    let fetch: Fetch = input(request).await?;
    let (agreement, format) = (fetch.agreement, fetch.format);
    let own = engine.concluded(&agreement, |member| *member == caller.member).await;
    let concluded = match own {
        // Another subsystem of the caller's member, or whoever it is for an operator.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            engine.concluded(&agreement, |member| covers(&caller, Some(member))).await?
        }
        own => own?,
    };
    let process = engine.begin_transfer(concluded, &format, None, &caller.user).await?;
    Ok((StatusCode::CREATED, Json(views::process(&process))).into_response())
}

async fn steer(
    State(engine): Shared,
    headers: HeaderMap,
    Path((pid, verb)): Path<(String, String)>,
    request: Request,
) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.request")?;
    find(&engine, &caller, &pid).await?;
    let said: Said = input(request).await?;
    let decision = match verb.as_str() {
        "start" => Decision::Start,
        "suspend" => Decision::Suspend(said.why("suspended")?),
        "complete" => Decision::Complete,
        "terminate" => Decision::Terminate(said.why("terminated")?),
        other => return Err(Error::unknown("step", other).into()),
    };
    let process = engine.step(&pid, decision, &caller.user).await?;
    Ok(Json(views::process(&process)).into_response())
}
