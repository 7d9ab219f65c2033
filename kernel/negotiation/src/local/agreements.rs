//! Agreements for people: what is agreed, whether an exchange would be allowed, and ending one.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::HeaderMap;
use karvan_agreements::Entry;
use karvan_dataspace::policy::{Context, Origin, Wording};
use karvan_subsystem::{Caller, Rejection};
use karvan_types::{Digest, MemberId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reply, Shared, authorize, covers, input};
use crate::Error;
use crate::engine::Engine;

pub(super) fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/v1/agreements", get(list))
        .route("/v1/agreements/explain", post(explain))
        .route("/v1/agreements/{digest}", get(show))
        .route("/v1/agreements/{digest}/withdraw", post(withdraw))
}

fn view(entry: &Entry, now: Timestamp) -> Value {
    json!({
        "name": entry.name.to_string(),
        "inForce": entry.in_force(now),
        "withdrawn": entry.withdrawn,
        "agreement": entry.agreement,
    })
}

fn is_own(caller: &Caller, entry: &Entry) -> bool {
    entry.agreement.parties().iter().any(|party| covers(caller, Some(party)))
}

async fn list(State(engine): Shared, headers: HeaderMap) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let (book, now) = (engine.node().agreements().book(), engine.node().now());
    let own = book.iter().filter(|entry| is_own(&caller, entry));
    let views: Vec<_> = own.map(|entry| view(entry, now)).collect();
    Ok(Json(views).into_response())
}

/// Finds an agreement by the digest of its text.
fn find<'a>(
    book: &'a karvan_agreements::AgreementBook,
    caller: &Caller,
    digest: &str,
) -> Result<&'a Entry, Error> {
    let wanted: Option<Digest> = digest.parse().ok();
    let found = book.iter().find(|entry| Some(entry.name.digest) == wanted);
    found.filter(|entry| is_own(caller, entry)).ok_or_else(|| Error::unknown("agreement", digest))
}

async fn show(State(engine): Shared, headers: HeaderMap, Path(digest): Path<String>) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let (book, now) = (engine.node().agreements().book(), engine.node().now());
    let entry = find(&book, &caller, &digest)?;
    let mut shown = view(entry, now);
    if let Value::Object(members) = &mut shown {
        let document = String::from_utf8_lossy(&entry.document).into_owned();
        members.insert("document".to_owned(), document.into());
        let kept = engine.node().agreed(entry.name.digest).await?;
        let withdrawal = kept.and_then(|kept| kept.withdrawn);
        members.insert("withdrawal".to_owned(), json!(withdrawal));
    }
    Ok(Json(shown).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    reason: String,
}

async fn withdraw(
    State(engine): Shared,
    headers: HeaderMap,
    Path(digest): Path<String>,
    request: Request,
) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.decide")?;
    let end: End = input(request).await?;
    let book = engine.node().agreements().book();
    let name = find(&book, &caller, &digest)?.name.clone();
    engine.withdraw(&name, &caller.member, &end.reason, None).await?;
    let (book, now) = (engine.node().agreements().book(), engine.node().now());
    Ok(Json(view(find(&book, &caller, &digest)?, now)).into_response())
}

/// An exchange that nobody makes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Question {
    client: MemberId,
    provider: MemberId,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    document: Option<String>,
    #[serde(default)]
    feed: Option<String>,
    #[serde(default)]
    purpose: Option<String>,
    #[serde(default)]
    legal_basis: Option<String>,
}

async fn explain(State(engine): Shared, headers: HeaderMap, request: Request) -> Reply {
    let caller = authorize(&engine, &headers, "agreements.read")?;
    let question: Question = input(request).await?;
    let both = [&question.client, &question.provider];
    if !both.iter().any(|member| covers(&caller, Some(member))) {
        return Err(Error::unknown("exchange of yours", "").into());
    }
    Ok(answer(&engine, &question)?.into_response())
}

fn answer(engine: &Engine, question: &Question) -> Result<Response, Error> {
    let (book, now) = (engine.node().agreements().book(), engine.node().now());
    let (client, provider) = (&question.client, &question.provider);
    let found = match (&question.service, &question.document, &question.feed) {
        (Some(service), None, None) => book.find_service(client, provider, service, now, |_| true),
        (None, Some(code), None) => book.find_document(client, provider, code, now),
        (None, None, Some(feed)) => book.find_feed(client, provider, feed, now),
        _ => {
            let text = "name exactly one of `service`, `document` and `feed`";
            return Err(Error::invalid("question", text));
        }
    };
    let lists = engine.node().lists();
    let members: Vec<_> = [client, provider]
        .into_iter()
        .map(|member| {
            let listed = lists.nodes_serving(member, now);
            let problem = listed.as_ref().err().map(ToString::to_string);
            let served = listed.is_ok_and(|nodes| !nodes.is_empty());
            json!({ "member": member, "served": served, "problem": problem })
        })
        .collect();
    let all_served = members.iter().all(|member| member.get("served") == Some(&Value::Bool(true)));
    let verdict = match &found {
        Ok(allowed) => {
            let decision = allowed.entry.agreement.policy.as_ref().map(|policy| {
                decide(policy, question, allowed.entry.agreement.purpose.clone(), now)
            });
            let by_policy = decision.as_ref().and_then(|decision| decision.get("allowed"));
            let allowed_by_policy = by_policy.is_none_or(|allowed| *allowed == Value::Bool(true));
            json!({
                "allowed": all_served && allowed_by_policy,
                "agreement": allowed.entry.name.to_string(),
                "quota": allowed.grant.quota.map(|quota| quota.to_string()),
                "policy": decision,
                "members": members,
            })
        }
        Err(Rejection { code, text, .. }) => json!({
            "allowed": false,
            "missing": { "code": code, "text": text },
            "members": members,
        }),
    };
    Ok(Json(verdict).into_response())
}

/// Judges the ODRL text of an agreement, with the whole tree of reasons.
fn decide(policy: &Value, question: &Question, purpose: String, now: Timestamp) -> Value {
    let read = Wording::from_value(policy).map_err(|problem| vec![problem]);
    let rules = match read.and_then(|wording| wording.understand(Origin::Peer, &[])) {
        Ok(rules) => rules,
        Err(problems) => return json!({ "allowed": false, "problems": problems }),
    };
    let mut context = Context::at(now);
    context.caller = Some(question.client.clone());
    context.purpose = Some(question.purpose.clone().unwrap_or(purpose));
    context.legal_basis.clone_from(&question.legal_basis);
    // A dry run counts nothing: the quota is judged when the exchange is made.
    context.used.second = Some(0);
    context.used.minute = Some(0);
    context.used.hour = Some(0);
    context.used.day = Some(0);
    json!(rules.decide(&context))
}
