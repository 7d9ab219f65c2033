//! Keys of idempotency (draft-ietf-httpapi-idempotency-key-header): once per key, whatever is
//! repeated.
//!
//! The answer is stored in the transaction of the effect: after `kill -9` either both are there or
//! neither. A refusal changes nothing and is not stored, so a mended request may use its key again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName};
use karvan_store::{Error, Index, Range, Record, Table, Tx, Value};
use karvan_subsystem::interface::LANGUAGES;
use karvan_subsystem::openapi::KEY_CHARS_MAX;
use karvan_subsystem::{Caller, Rejection};
use karvan_types::{Digest, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, Problem};
use super::request::field;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// Most answers that a request clears away after their time.
const CLEARED_MAX: usize = 20;
/// Most keys that are worked on at once.
const IN_FLIGHT_MAX: usize = 4096;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Answers by key.
pub(crate) static ANSWERS: Table = Table {
    name: "service_answer",
    columns: &["expires_ms"],
    indexes: &[Index { name: "expires", columns: &["expires_ms"], unique: false }],
};

/// An answer that is kept.
#[derive(Debug, Deserialize, Serialize)]
struct Kept {
    key: String,
    /// Of method, path, query and body.
    print: Digest,
    status: u16,
    body: String,
    language: String,
    expires: Timestamp,
}

impl Record for Kept {
    const TABLE: &'static Table = &ANSWERS;

    fn key(&self) -> Value {
        self.key.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.expires.as_millis().into()]
    }
}

/// A caller's key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key(String);

impl Key {
    /// Reads the key, bare or as a quoted string.
    pub(super) fn read(headers: &HeaderMap, caller: &Caller) -> Result<Option<Self>, Problem> {
        let Some(text) = field(headers, &KEY)? else { return Ok(None) };
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let fits = (1..=KEY_CHARS_MAX).contains(&bare.len())
            && bare.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(Problem::header(format!(
                "`Idempotency-Key` is 1 to {KEY_CHARS_MAX} visible ASCII characters, quoted or not"
            )));
        }
        // Callers cannot see or block each other's keys.
        Ok(Some(Self(format!("{}|{}|{bare}", caller.member, caller.user))))
    }
}

/// Returns what makes two requests the same.
pub(super) fn fingerprint(parts: &Parts, body: Option<&[u8]>) -> Digest {
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Digest::of_parts(&[
        parts.method.as_str().as_bytes(),
        b"\n",
        target.as_bytes(),
        b"\n",
        body.unwrap_or_default(),
    ])
}

/// Returns the stored answer of a key; refuses a key that was used for something else.
pub(super) fn find(
    tx: &dyn Tx,
    key: &Key,
    print: Digest,
    now: Timestamp,
) -> Result<Option<Answer>, Problem> {
    let kept: Option<Kept> = tx.find(key.0.as_str())?;
    match kept.filter(|kept| kept.expires > now) {
        None => Ok(None),
        Some(kept) if kept.print == print => Ok(Some(Answer {
            status: kept.status,
            body: kept.body.into_bytes(),
            tag: None,
            replayed: true,
            language: LANGUAGES.into_iter().find(|known| *known == kept.language).unwrap_or("en"),
        })),
        Some(_) => {
            let text = "this `Idempotency-Key` was used for another request; give each its own";
            Err(Rejection::new(ErrorKind::Invalid, "key-reused", text).into())
        }
    }
}

/// Stores an answer, and clears some away whose time is over.
pub(super) fn keep(
    tx: &mut dyn Tx,
    key: &Key,
    print: Digest,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Error> {
    let over = Range { index: Some("expires"), ..Range::all(CLEARED_MAX) }.to(now.as_millis());
    for kept in tx.select::<Kept>(&over)? {
        tx.remove::<Kept>(kept.key)?;
    }
    tx.save(&Kept {
        key: key.0.clone(),
        print,
        status: answer.status,
        body: String::from_utf8_lossy(&answer.body).into_owned(),
        language: answer.language.to_owned(),
        expires: now.plus(KEPT),
    })
}

/// The keys that are being worked on.
#[derive(Debug, Default)]
pub(super) struct InFlight(Mutex<HashSet<Key>>);

/// A key that is being worked on, until this is dropped.
pub(super) struct Flight<'a> {
    keys: &'a InFlight,
    key: Key,
}

impl InFlight {
    /// Takes a key up, unless it is being worked on already.
    pub(super) fn enter(&self, key: &Key) -> Result<Flight<'_>, Problem> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= IN_FLIGHT_MAX {
            let text = "too much is being worked on; try again in 1 s";
            return Err(Rejection::new(ErrorKind::Overloaded, "overloaded", text).into());
        }
        if keys.insert(key.clone()) {
            return Ok(Flight { keys: self, key: key.clone() });
        }
        let text = "a request with this `Idempotency-Key` is being worked on; ask again shortly";
        Err(Rejection::new(ErrorKind::Conflict, "key-in-use", text).into())
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
