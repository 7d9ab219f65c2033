//! Webhooks: what happened, posted to an agency's system in order, signed, until it takes it.
//!
//! The same journal as the inbox (`crate::service`) is read from a place of the webhook's own, so
//! nothing is queued and none is lost while a system is away. Signatures follow Standard Webhooks
//! 1.0 (`karvan_trust::webhook`).
//!
//! Where to post stands in the operator's configuration and nowhere else; no request can name an
//! address, and a redirection is an answer like any other that is not 2xx.
//!
//! Invariants: notices go in the order of their numbers; the place moves when a notice was taken or
//! became a dead letter; a secret is shown once, when it is made.
//!
//! Not here: pushing documents (`crate::delivery`).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, Request, StatusCode};
use karvan_store::{Error, Index, Range, Record, Table, Tx, Value as Key};
use karvan_subsystem::Rejection;
use karvan_subsystem::interface::Notice;
use karvan_trust::webhook;
use karvan_types::{ErrorKind, MemberId, Timestamp, json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};

use crate::client::full;
use crate::delivery::Target;
use crate::local_api::{Params, Reply, authorize};
use crate::node::Inner;
use crate::service;

/// How often a webhook that has nothing to do looks again.
const IDLE: Duration = Duration::from_millis(500);
/// How long a system may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the secret before the newest one is used beside it.
const OVERLAP: Duration = Duration::from_hours(24);
/// How long a notice is tried when its system is away, counted from the first try.
const TRIED: Duration = Duration::from_hours(3 * 24);
/// How often a notice is tried that its system answers with a failure.
const FAILURES_MAX: u32 = 12;
/// Most notices posted in one round.
const ROUND: usize = 16;
/// Most characters of a cause that are kept.
const CAUSE_CHARS_MAX: usize = 500;
/// Most dead letters listed or replayed at once.
const DEAD_MAX: usize = 1000;
/// What a token needs.
const PERMISSION: &str = "node.operate";

/// A webhook of the configuration.
#[derive(Clone)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// The sub-system whose journal is told.
    pub subsystem: String,
    /// The member whose system is told: it gets what concerns this member.
    pub member: MemberId,
    /// Where to post.
    pub target: Arc<Target>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Where each webhook is.
pub(crate) static WEBHOOKS: Table = Table { name: "webhook", columns: &[], indexes: &[] };

/// Notices that were given up.
pub(crate) static DEAD: Table = Table {
    name: "webhook_dead",
    columns: &["webhook", "state"],
    indexes: &[Index { name: "by_state", columns: &["webhook", "state"], unique: false }],
};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Secret {
    text: String,
    since: Timestamp,
    /// When it is no longer used; the newest has no end.
    until: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Place {
    name: String,
    /// The last line that was taken or given up.
    through: u64,
    /// How often the next notice was tried.
    attempts: u32,
    /// Tries that its system answered, with a failure.
    failures: u32,
    first_try: Option<Timestamp>,
    due: Timestamp,
    cause: Option<String>,
    delivered: u64,
    last_delivered: Option<Timestamp>,
    secrets: Vec<Secret>,
}

impl Record for Place {
    const TABLE: &'static Table = &WEBHOOKS;

    fn key(&self) -> Key {
        self.name.as_str().into()
    }

    fn columns(&self) -> Vec<Key> {
        Vec::new()
    }
}

/// What is to become of a dead letter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum DeadState {
    /// It lies there.
    Dead,
    /// It is posted once more.
    Replay,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Dead {
    webhook: String,
    number: u64,
    state: DeadState,
    notice: Value,
    at: Timestamp,
    cause: String,
}

impl Record for Dead {
    const TABLE: &'static Table = &DEAD;

    fn key(&self) -> Key {
        format!("{}:{:020}", self.webhook, self.number).into()
    }

    fn columns(&self) -> Vec<Key> {
        let state = if self.state == DeadState::Dead { "dead" } else { "replay" };
        vec![self.webhook.as_str().into(), state.into()]
    }
}

/// What became of one post.
enum Posted {
    Taken,
    /// Its system refuses it for good.
    Refused(String),
    /// Its system answered, with a failure.
    Failed(String),
    /// Its system cannot be reached.
    Away(String),
}

fn place(tx: &dyn Tx, name: &str) -> Result<Place, Error> {
    Ok(tx.find(name)?.unwrap_or_else(|| Place {
        name: name.to_owned(),
        through: 0,
        attempts: 0,
        failures: 0,
        first_try: None,
        due: Timestamp::default(),
        cause: None,
        delivered: 0,
        last_delivered: None,
        secrets: Vec::new(),
    }))
}

impl Inner {
    /// Posts notices until the node stops.
    pub(crate) async fn run_webhooks(self: Arc<Self>) -> Result<(), crate::Error> {
        if self.config.webhooks.is_empty() {
            return std::future::pending().await;
        }
        // Side by side, so that one system that hangs holds up its own notices only.
        let runs = self.config.webhooks.iter().map(|webhook| self.run_webhook(webhook));
        futures_util::future::try_join_all(runs).await?;
        Ok(())
    }

    async fn run_webhook(self: &Arc<Self>, webhook: &Webhook) -> Result<(), crate::Error> {
        loop {
            if self.webhook_round(webhook).await? == 0 {
                tokio::time::sleep(IDLE).await;
            }
        }
    }

    /// Posts what is due; returns how many notices were taken or given up.
    async fn webhook_round(self: &Arc<Self>, webhook: &Webhook) -> Result<usize, crate::Error> {
        let (found, again) = self.webhook_due(webhook).await?;
        let mut done = 0;
        if let Some(dead) = again {
            let posted = self.post_notice(webhook, &found.secrets, dead.number, &dead.notice).await;
            done += usize::from(matches!(posted, Posted::Taken));
            self.settle_replay(dead, posted).await?;
        }
        for notice in found.notices {
            let body = service::shown(&notice);
            let posted = self.post_notice(webhook, &found.secrets, notice.number, &body).await;
            if !self.settle_notice(webhook, notice.number, body, posted).await? {
                return Ok(done);
            }
            done += 1;
        }
        Ok(done)
    }

    /// Returns the notices that are due, with the secrets in use, and a dead letter to replay.
    async fn webhook_due(
        self: &Arc<Self>,
        webhook: &Webhook,
    ) -> Result<(Due, Option<Dead>), crate::Error> {
        let now = self.clock.now();
        let Some(subsystem) =
            self.subsystems.iter().find(|known| known.name() == webhook.subsystem).cloned()
        else {
            return Ok((Due::default(), None));
        };
        let (name, member) = (webhook.name.clone(), webhook.member.clone());
        let due = self
            .store
            .write(move |tx| -> Result<_, Rejection> {
                let mut at = place(tx, &name)?;
                at.secrets.retain(|secret| secret.until.is_none_or(|until| until > now));
                let secrets: Vec<_> = at.secrets.iter().map(|secret| secret.text.clone()).collect();
                if secrets.is_empty() {
                    // Nobody could tell such a post from a forged one.
                    return Ok((Due::default(), None));
                }
                let replay = vec![name.as_str().into(), "replay".into()];
                let again: Option<Dead> = tx.select(&Range::of("by_state", replay, 1))?.pop();
                if at.due > now {
                    return Ok((Due { secrets, notices: Vec::new() }, again));
                }
                let (notices, seen) =
                    service::read_on(&*subsystem, tx, &member, at.through, ROUND)?;
                if notices.is_empty() && seen > at.through {
                    at.through = seen;
                    tx.save(&at)?;
                }
                Ok((Due { secrets, notices }, again))
            })
            .await;
        due.map_err(|rejection| crate::Error::Config(rejection.text))
    }

    async fn post_notice(
        &self,
        webhook: &Webhook,
        secrets: &[String],
        number: u64,
        notice: &Value,
    ) -> Posted {
        let id = format!("{}-{}-{number}", webhook.subsystem, webhook.name);
        let seconds = self.clock.now().as_seconds();
        let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
        let body = json::canonical(notice).unwrap_or_default();
        let signature = match webhook::sign(&secrets, &id, seconds, &body) {
            Ok(signature) => signature,
            Err(error) => return Posted::Away(error.to_string()),
        };
        let target = &webhook.target;
        let make = || {
            Request::post(target.path())
                .header(HOST, target.authority())
                .header(CONTENT_TYPE, "application/json")
                .header(CONTENT_LENGTH, body.len())
                .header("webhook-id", &id)
                .header("webhook-timestamp", seconds)
                .header("webhook-signature", &signature)
                .body(full(body.clone()))
                .map_err(|error| std::io::Error::other(error.to_string()))
        };
        match target.send(ANSWER_TIMEOUT, make).await {
            Err(unreachable) => Posted::Away(unreachable.to_string()),
            Ok(answer) if answer.status().is_success() => Posted::Taken,
            Ok(answer) => {
                let text: String = String::from_utf8_lossy(answer.body())
                    .chars()
                    .filter(|letter| !letter.is_control())
                    .take(CAUSE_CHARS_MAX)
                    .collect();
                let cause = format!("the system answered {}: {text}", answer.status());
                let later = [408, 425, 429].contains(&answer.status().as_u16());
                if answer.status().is_client_error() && !later {
                    Posted::Refused(cause)
                } else {
                    Posted::Failed(cause)
                }
            }
        }
    }

    /// Notes what became of a notice; returns whether the next one may go.
    async fn settle_notice(
        self: &Arc<Self>,
        webhook: &Webhook,
        number: u64,
        notice: Value,
        posted: Posted,
    ) -> Result<bool, crate::Error> {
        let inner = Arc::clone(self);
        let (name, now) = (webhook.name.clone(), self.clock.now());
        let settled = self
            .store
            .write(move |tx| -> Result<bool, Error> {
                let mut at = place(tx, &name)?;
                let cause = match posted {
                    Posted::Taken => {
                        at.pass(number);
                        (at.delivered, at.last_delivered) = (at.delivered + 1, Some(now));
                        tx.save(&at)?;
                        return Ok(true);
                    }
                    Posted::Refused(cause) => Err(cause),
                    Posted::Failed(cause) => {
                        at.failures += 1;
                        if at.failures >= FAILURES_MAX { Err(cause) } else { Ok(cause) }
                    }
                    Posted::Away(cause) => Ok(cause),
                };
                let first = *at.first_try.get_or_insert(now);
                match cause {
                    Ok(cause) if now.since(first) < TRIED => {
                        tracing::warn!(webhook = name, "a notice is tried again later: {cause}");
                        at.due = now.plus(inner.config.retry.pause(at.attempts, &*inner.entropy));
                        at.attempts = at.attempts.saturating_add(1);
                        at.cause = Some(cause);
                        tx.save(&at)?;
                        Ok(false)
                    }
                    Ok(cause) | Err(cause) => {
                        let text = format!(
                            "webhook `{name}` gave notice {number} up: {cause}; mend the system, \
                             then replay it"
                        );
                        inner.alarm(tx, "webhook-dead", text, None, now)?;
                        let dead = DeadState::Dead;
                        let webhook = name;
                        tx.save(&Dead { webhook, number, state: dead, notice, at: now, cause })?;
                        at.pass(number);
                        tx.save(&at)?;
                        Ok(true)
                    }
                }
            })
            .await?;
        Ok(settled)
    }

    async fn settle_replay(
        self: &Arc<Self>,
        mut dead: Dead,
        posted: Posted,
    ) -> Result<(), crate::Error> {
        self.store
            .write(move |tx| -> Result<(), Error> {
                match posted {
                    Posted::Taken => drop(tx.remove::<Dead>(dead.key())?),
                    Posted::Refused(cause) | Posted::Failed(cause) | Posted::Away(cause) => {
                        (dead.state, dead.cause) = (DeadState::Dead, cause);
                        tx.save(&dead)?;
                    }
                }
                Ok(())
            })
            .await?;
        Ok(())
    }
}

/// What a round posts.
#[derive(Default)]
struct Due {
    secrets: Vec<String>,
    notices: Vec<Notice>,
}

impl Place {
    /// Leaves a notice behind.
    fn pass(&mut self, number: u64) {
        self.through = number;
        (self.attempts, self.failures, self.first_try, self.cause) = (0, 0, None, None);
        self.due = Timestamp::default();
    }
}

/// The routes for operators.
pub(crate) fn routes(inner: Arc<Inner>) -> Router {
    Router::new()
        .route("/v1/webhooks", get(list))
        .route("/v1/webhooks/{name}/secret", post(renew_secret))
        .route("/v1/webhooks/{name}/dead-letters", get(dead_letters))
        .route("/v1/webhooks/{name}/replay", post(replay))
        .with_state(inner)
}

type Shared = State<Arc<Inner>>;

fn known(inner: &Inner, name: &str) -> Result<(), Rejection> {
    if inner.config.webhooks.iter().any(|webhook| webhook.name == name) {
        return Ok(());
    }
    let names: Vec<_> = inner.config.webhooks.iter().map(|known| known.name.as_str()).collect();
    let text = match names.as_slice() {
        [] => "the configuration names no webhook; add a [[webhook]] section".to_owned(),
        names => format!("the configuration names no such webhook, but {}", names.join(", ")),
    };
    Err(Rejection::new(ErrorKind::NotFound, "webhook-unknown", text))
}

async fn list(State(inner): Shared, headers: HeaderMap) -> Reply {
    authorize(&inner, &headers, PERMISSION)?;
    let webhooks = inner.config.webhooks.clone();
    let rows = inner
        .store
        .write(move |tx| -> Result<Vec<Value>, Error> {
            let mut rows = Vec::new();
            for webhook in &webhooks {
                let at = place(tx, &webhook.name)?;
                let dead =
                    Range::of("by_state", vec![webhook.name.as_str().into(), "dead".into()], 0);
                rows.push(object!({
                    "name": webhook.name,
                    "subsystem": webhook.subsystem,
                    "member": webhook.member,
                    "url": webhook.target.url(),
                    "through": at.through,
                    "delivered": at.delivered,
                    "lastDelivered": at.last_delivered,
                    "attempts": at.attempts,
                    "cause": at.cause,
                    "secrets": at.secrets.len(),
                    "deadLetters": tx.count(&DEAD, &dead)?,
                }));
            }
            Ok(rows)
        })
        .await?;
    Ok(Json(rows).into_response())
}

/// Makes a new secret; the one before it is used beside it for a day.
async fn renew_secret(State(inner): Shared, headers: HeaderMap, Path(name): Path<String>) -> Reply {
    let caller = authorize(&inner, &headers, PERMISSION)?;
    known(&inner, &name)?;
    let (now, text) = (inner.clock.now(), webhook::generate(&*inner.entropy));
    let until = now.plus(OVERLAP);
    let shown = object!({ "webhook": name, "secret": text, "earlierUntil": until });
    tracing::info!(webhook = name, user = caller.user, "a webhook got a new secret");
    inner
        .store
        .write(move |tx| -> Result<(), Error> {
            let mut at = place(tx, &name)?;
            // At most two are in use: a third would outlive the rotation that it was replaced by.
            let newest = at.secrets.pop().map(|secret| Secret { until: Some(until), ..secret });
            at.secrets = newest.into_iter().collect();
            at.secrets.push(Secret { text, since: now, until: None });
            tx.save(&at)
        })
        .await?;
    Ok((StatusCode::CREATED, Json(shown)).into_response())
}

async fn dead_letters(State(inner): Shared, headers: HeaderMap, Path(name): Path<String>) -> Reply {
    authorize(&inner, &headers, PERMISSION)?;
    known(&inner, &name)?;
    let rows = inner
        .store
        .read(move |view| {
            let all = vec![name.as_str().into()];
            view.select::<Dead>(&Range::of("by_state", all, DEAD_MAX))
        })
        .await
        .map_err(|error: Error| Rejection::from(error))?;
    Ok(Json(rows).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayQuery {
    /// Only the dead letter of this notice.
    #[serde(default)]
    number: Option<u64>,
    /// All notices after this one again, whether taken or not.
    #[serde(default)]
    after: Option<u64>,
}

/// Posts dead letters once more, or everything from a place on.
async fn replay(
    State(inner): Shared,
    headers: HeaderMap,
    Path(name): Path<String>,
    Params(query): Params<ReplayQuery>,
) -> Reply {
    authorize(&inner, &headers, PERMISSION)?;
    known(&inner, &name)?;
    let count = inner
        .store
        .write(move |tx| -> Result<usize, Rejection> {
            if let Some(after) = query.after {
                let mut at = place(tx, &name)?;
                if query.number.is_some() || after > at.through {
                    let text = format!(
                        "give either `number` or `after`, and `after` at most {}",
                        at.through
                    );
                    return Err(Rejection::new(ErrorKind::Invalid, "replay", text));
                }
                at.pass(after);
                tx.save(&at)?;
                return Ok(0);
            }
            let dead = vec![name.as_str().into(), "dead".into()];
            let mut count = 0;
            for mut letter in tx.select::<Dead>(&Range::of("by_state", dead, DEAD_MAX))? {
                if query.number.is_none_or(|number| number == letter.number) {
                    letter.state = DeadState::Replay;
                    tx.save(&letter)?;
                    count += 1;
                }
            }
            match query.number {
                Some(number) if count == 0 => {
                    let text = format!("notice {number} is no dead letter; list them");
                    Err(Rejection::new(ErrorKind::NotFound, "no-dead-letter", text))
                }
                _ => Ok(count),
            }
        })
        .await?;
    Ok((StatusCode::ACCEPTED, Json(object!({ "replayed": count }))).into_response())
}
