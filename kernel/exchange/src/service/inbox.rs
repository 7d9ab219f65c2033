//! The inbox of notices: what happened, in order, for systems that ask.
//!
//! A notice is a line of the sub-system's own journal, so nothing is written for an inbox and none
//! can fill up. Each name of a token has a place in the journal and at most one lease.
//!
//! Invariant: the place moves only by an acknowledgement; what was leased and not acknowledged
//! comes again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts as _, Path, Query};
use http::request::Parts;
use karvan_store::{Record, Table, Tx, Value};
use karvan_subsystem::interface::{Kind, Notice};
use karvan_subsystem::openapi::NOTICES_MAX;
use karvan_subsystem::{Caller, Rejection, Subsystem};
use karvan_types::{ErrorKind, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json as object;

use super::Service;
use super::answer::{Answer, Problem};
use super::request::unfit;

/// What a token needs.
pub(super) const PERMISSION: &str = "documents.receive";
/// How long a batch is kept for who leased it.
const LEASE: Duration = Duration::from_mins(1);
/// Most pages of the journal looked through for one request.
const PAGES_MAX: usize = 50;

/// What a request to the inbox does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Lease,
    Acknowledge,
    Extend,
}

/// The paths below the interface's.
pub(super) const PATHS: [(&str, Act); 3] = [
    ("/inbox/leases", Act::Lease),
    ("/inbox/leases/{lease}/acknowledgement", Act::Acknowledge),
    ("/inbox/leases/{lease}/extension", Act::Extend),
];

/// Where readers of journals are.
pub(crate) static CONSUMERS: Table = Table { name: "notice_consumer", columns: &[], indexes: &[] };

/// Where one reader is.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Consumer {
    id: String,
    /// The last line that was acknowledged.
    through: u64,
    lease: Option<Lease>,
    /// The lease that was acknowledged last: to say it twice is no error.
    last: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Lease {
    id: String,
    until: Timestamp,
    through: u64,
}

impl Record for Consumer {
    const TABLE: &'static Table = &CONSUMERS;

    fn key(&self) -> Value {
        self.id.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Writes a notice as systems read it.
pub(crate) fn shown(notice: &Notice) -> serde_json::Value {
    object!({
        "type": notice.kind,
        "timestamp": notice.at,
        "number": notice.number,
        "data": notice.data,
    })
}

/// Returns the notices of a member after a line, and the last line looked at.
pub(crate) fn read_on(
    subsystem: &dyn Subsystem,
    tx: &dyn Tx,
    member: &MemberId,
    after: u64,
    limit: usize,
) -> Result<(Vec<Notice>, u64), Rejection> {
    let mut seen = after;
    for _ in 0..PAGES_MAX {
        let page = subsystem.notices(tx, member, seen, limit)?;
        if !page.rows.is_empty() || page.seen == seen {
            return Ok((page.rows, page.seen));
        }
        seen = page.seen;
    }
    Ok((Vec::new(), seen))
}

/// Does what a request asks.
pub(super) async fn run(
    service: &Service,
    act: Act,
    parts: &mut Parts,
    caller: Caller,
) -> Result<Answer, Problem> {
    let (lease, limit) = parameters(act, parts).await?;
    let now = service.inner.clock.now();
    let fresh = ExchangeId::new(now, service.inner.entropy.array()).to_string();
    let subsystem = Arc::clone(&service.subsystem);
    let output = service
        .inner
        .store
        .write(move |tx| {
            let id = format!("{}|{}|{}", subsystem.name(), caller.member, caller.user);
            let found: Option<Consumer> = tx.find(id.as_str())?;
            let mut reader = found.unwrap_or(Consumer { id, through: 0, lease: None, last: None });
            let output = match act {
                Act::Lease => {
                    let from = Batch { subsystem: &*subsystem, member: &caller.member, limit };
                    reader.lease(tx, &from, &fresh, now)?
                }
                Act::Acknowledge => reader.acknowledge(&lease)?,
                Act::Extend => reader.extend(&lease, now)?,
            };
            tx.save(&reader)?;
            Ok::<_, Rejection>(output)
        })
        .await?;
    Answer::of(200, &output)
}

/// Reads the lease of the path and the limit of the query.
async fn parameters(act: Act, parts: &mut Parts) -> Result<(String, usize), Problem> {
    let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, &()).await;
    let mut path = path.map(|path| path.0).unwrap_or_default();
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| unfit("", "QUERY", error.body_text()))?;
    let mut limit = NOTICES_MAX;
    for (at, (name, text)) in query.0.iter().enumerate() {
        if !matches!(act, Act::Lease) || name != "limit" || at > 0 {
            return Err(unfit("", "QUERY", "only `limit` of a lease may stand in the query, once"));
        }
        let kind = Kind::Number { min: 1, max: NOTICES_MAX as u64 };
        let value = kind
            .read(text)
            .map_err(|wanted| unfit("/limit", "PARAMETER", format!("`limit` must be {wanted}")))?;
        limit = value.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(NOTICES_MAX);
    }
    let lease = path.remove("lease").unwrap_or_default();
    if !matches!(act, Act::Lease) && lease.parse::<ExchangeId>().is_err() {
        let text = "the path names a lease as `/inbox/leases` gave it";
        return Err(unfit("/lease", "PARAMETER", text));
    }
    Ok((lease, limit))
}

struct Batch<'a> {
    subsystem: &'a dyn Subsystem,
    member: &'a MemberId,
    limit: usize,
}

impl Consumer {
    fn lease(
        &mut self,
        tx: &dyn Tx,
        from: &Batch<'_>,
        id: &str,
        now: Timestamp,
    ) -> Result<serde_json::Value, Rejection> {
        if let Some(lease) = self.lease.as_ref().filter(|lease| lease.until > now) {
            let text = format!(
                "a batch is leased until {}; acknowledge it, extend it, or wait",
                lease.until
            );
            return Err(Rejection::new(ErrorKind::Conflict, "inbox-leased", text));
        }
        let (rows, seen) = read_on(from.subsystem, tx, from.member, self.through, from.limit)?;
        if rows.is_empty() {
            // Nothing of this is for the member: it need not be looked through again.
            (self.through, self.lease) = (seen, None);
            return Ok(object!({ "lease": null, "until": null, "notices": [] }));
        }
        let notices: Vec<_> = rows.iter().map(shown).collect();
        let until = now.plus(LEASE);
        self.lease = Some(Lease { id: id.to_owned(), until, through: seen });
        Ok(object!({ "lease": id, "until": until, "notices": notices }))
    }

    fn acknowledge(&mut self, id: &str) -> Result<serde_json::Value, Rejection> {
        if let Some(lease) = self.lease.take_if(|lease| lease.id == id) {
            (self.through, self.last) = (lease.through, Some(lease.id));
        } else if self.last.as_deref() != Some(id) {
            return Err(lapsed());
        }
        Ok(object!({ "through": self.through }))
    }

    fn extend(&mut self, id: &str, now: Timestamp) -> Result<serde_json::Value, Rejection> {
        let lease = self.lease.as_mut().filter(|lease| lease.id == id && lease.until > now);
        let lease = lease.ok_or_else(lapsed)?;
        lease.until = now.plus(LEASE);
        Ok(object!({ "lease": lease.id, "until": lease.until }))
    }
}

fn lapsed() -> Rejection {
    let text = "the lease is not the current one; lease the batch again";
    Rejection::new(ErrorKind::Conflict, "lease-lapsed", text)
}
