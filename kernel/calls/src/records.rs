//! What a node stores about calls, and the tables for it.
//!
//! On the client's side a call is one row, written when it has ended. On the provider's side it is
//! two, both written once: the request before the provider's system sees it, which is the
//! write-ahead record, and its end. A request without an end is open; how many there are follows
//! from two sequences, so that a restart knows when it has found them all.
//!
//! All rows have the exchange id as their key.
//!
//! A row's `party` is the member of this node: the client's of a call that was sent, the provider's
//! of one that was received.
//!
//! The texts of both messages are columns as they were signed: within JSON each of their many
//! quotes and line ends would be escaped. Bodies are not kept: their digests are in the signature
//! bases, beside all head fields.

use std::borrow::Cow;

use karvan_store::{Error, Index, Migration, Range, Read, Record, Table, Value};
use karvan_subsystem::Rejection;
use karvan_types::{ExchangeId, MemberId, NodeId, Timestamp};
use karvan_xroad::ServiceId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{evidence, quotas, registry};

/// The schema of calls.
pub const MIGRATIONS: &[Migration] = &[
    Migration { id: "calls-0001", creates: &[&SENT, &RECEIVED, &ENDED] },
    Migration { id: "calls-0002", creates: registry::TABLES },
    Migration { id: "calls-0003", creates: &[&quotas::QUOTA] },
];

const INDEXES: &[Index] = &[
    Index { name: "message", columns: &["message"], unique: false },
    Index { name: "party", columns: &["party"], unique: false },
];

/// Calls of this node's agencies that have ended.
pub static SENT: Table = Table {
    name: "call_sent",
    columns: &[
        "message",
        "party",
        "request_base",
        "request_signature",
        "request_head",
        "response_base",
        "response_signature",
        "response_head",
    ],
    indexes: INDEXES,
};

/// Requests to services of this node.
pub static RECEIVED: Table = Table {
    name: "call_received",
    columns: &["message", "party", "request_base", "request_signature", "request_head"],
    indexes: INDEXES,
};

/// How the calls of [`RECEIVED`] ended.
pub static ENDED: Table = Table {
    name: "call_ended",
    columns: &["response_base", "response_signature", "response_head"],
    indexes: &[],
};

/// The sequence that counts the rows of [`RECEIVED`].
pub(crate) const RECEIVED_COUNT: &str = "call-received";
/// The sequence that counts the rows of [`ENDED`].
pub(crate) const ENDED_COUNT: &str = "call-ended";
/// Rows read at once when open calls are looked for.
const BATCH: usize = 256;

/// How a call ended.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The provider's system answered, with whatever status.
    Answered,
    /// A node refused it, signed.
    Refused,
    /// The answer is not known: the call may have had its effect or not.
    Unanswered,
}

impl Outcome {
    /// Returns the kind of the log entry.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Answered => evidence::EXCHANGE,
            Self::Refused => evidence::REFUSAL,
            Self::Unanswered => evidence::UNANSWERED,
        }
    }
}

/// A signed message as it is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Half {
    /// The signature base (RFC 9421, section 2.5).
    pub base: String,
    /// Value of the `Signature` field.
    pub signature: String,
    /// The head as X-Road serialises it (PR-REST 4.4); `base64:` and its base64 when it is no
    /// UTF-8. Of a refusal the problem (RFC 9457) that the node answered with.
    pub head: String,
}

/// A call, on either side.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Names the exchange.
    pub exchange: ExchangeId,
    /// The message id (`X-Road-Id`), by the agency or made for it.
    pub message: String,
    /// The other node; this one for a call that stays here.
    pub peer: NodeId,
    /// Who called.
    pub client: MemberId,
    /// What was called: provider and service code.
    pub service: String,
    /// When the request was here.
    #[serde(with = "millis")]
    pub began_at: Timestamp,
    /// When the outcome was known.
    #[serde(with = "millis")]
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it was refused, or why the answer is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Rejection>,
    /// Salt of the log entry.
    pub salt: String,
    /// The request; nothing when it was refused before it was signed.
    #[serde(skip)]
    pub request: Option<Half>,
    /// The answer or refusal.
    #[serde(skip)]
    pub response: Option<Half>,
    /// Index of its entry in this node's log.
    pub entry: u64,
}

impl Call {
    /// Returns the member whose service was called, without its subsystem.
    fn provider(&self) -> Option<String> {
        let service = ServiceId::parse(self.service.as_bytes()).ok()?;
        Some(service.provider().to_member().ok()?.member().as_str().to_owned())
    }

    /// Returns the call to a service of this node under an exchange id, when it has ended.
    ///
    /// # Errors
    ///
    /// As reading a row.
    pub fn received(view: &dyn Read, id: &str) -> Result<Option<Self>, Error> {
        let row = view.find::<Received>(id)?;
        let call = row.map(|row| row.joined(view)).transpose()?;
        Ok(call.and_then(|(call, has_ended)| has_ended.then_some(call)))
    }

    /// Returns the columns that name a call, for a party of this node.
    fn names(&self, party: Value) -> [Value; 2] {
        [self.message.as_str().into(), party]
    }
}

/// Returns the columns of a message.
fn texts(half: Option<&Half>) -> [Value; 3] {
    half.map_or([const { Value::Null }; 3], |half| {
        [&half.base, &half.signature, &half.head].map(|text| text.as_str().into())
    })
}

/// Takes a message from its columns.
fn take_half(columns: &mut impl Iterator<Item = Value>) -> Option<Half> {
    let mut text = || match columns.next() {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    let [base, signature, head] = [text(), text(), text()];
    Some(Half { base: base?, signature: signature?, head: head.unwrap_or_default() })
}

/// A row of [`SENT`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Sent(pub Call);

impl Record for Sent {
    const TABLE: &'static Table = &SENT;

    fn key(&self) -> Value {
        self.0.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        let call = &self.0;
        let names = call.names(call.client.member().as_str().into());
        let [request, response] = [&call.request, &call.response].map(|half| texts(half.as_ref()));
        names.into_iter().chain(request).chain(response).collect()
    }

    fn take_columns(&mut self, columns: Vec<Value>) {
        let mut columns = columns.into_iter().skip(2);
        self.0.request = take_half(&mut columns);
        self.0.response = take_half(&mut columns);
    }
}

/// A row of [`RECEIVED`]: of the call only what is known before it ends.
#[derive(Clone, Debug)]
pub struct Received(pub Call);

/// What a row of [`RECEIVED`] keeps as JSON.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    exchange: ExchangeId,
    message: Cow<'a, str>,
    peer: Cow<'a, NodeId>,
    client: Cow<'a, MemberId>,
    service: Cow<'a, str>,
    #[serde(with = "millis")]
    began_at: Timestamp,
    salt: Cow<'a, str>,
}

impl Serialize for Received {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = &self.0;
        let asked = Asked {
            exchange: call.exchange,
            message: Cow::Borrowed(&call.message),
            peer: Cow::Borrowed(&call.peer),
            client: Cow::Borrowed(&call.client),
            service: Cow::Borrowed(&call.service),
            began_at: call.began_at,
            salt: Cow::Borrowed(&call.salt),
        };
        asked.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let asked = Asked::deserialize(deserializer)?;
        Ok(Self(Call {
            exchange: asked.exchange,
            message: asked.message.into_owned(),
            peer: asked.peer.into_owned(),
            client: asked.client.into_owned(),
            service: asked.service.into_owned(),
            began_at: asked.began_at,
            ended_at: asked.began_at,
            outcome: Outcome::Unanswered,
            status: None,
            cause: None,
            salt: asked.salt.into_owned(),
            request: None,
            response: None,
            entry: 0,
        }))
    }
}

impl Record for Received {
    const TABLE: &'static Table = &RECEIVED;

    fn key(&self) -> Value {
        self.0.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        let names = self.0.names(self.0.provider().into());
        names.into_iter().chain(texts(self.0.request.as_ref())).collect()
    }

    fn take_columns(&mut self, columns: Vec<Value>) {
        self.0.request = take_half(&mut columns.into_iter().skip(2));
    }
}

impl Received {
    /// Returns the call with its end, and whether it has one.
    ///
    /// # Errors
    ///
    /// As reading a row.
    pub fn joined(self, view: &dyn Read) -> Result<(Call, bool), Error> {
        let mut call = self.0;
        let ended = view.find::<End>(call.exchange.to_string())?;
        let has_ended = ended.is_some();
        if let Some(ended) = ended {
            call.ended_at = ended.ended_at;
            call.outcome = ended.outcome;
            call.status = ended.status;
            call.cause = ended.cause;
            call.entry = ended.entry;
            call.response = ended.response;
        }
        Ok((call, has_ended))
    }
}

/// A row of [`ENDED`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    exchange: ExchangeId,
    #[serde(with = "millis")]
    ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Rejection>,
    entry: u64,
    #[serde(skip)]
    response: Option<Half>,
}

impl From<Call> for End {
    fn from(call: Call) -> Self {
        let Call { exchange, ended_at, outcome, status, cause, entry, response, .. } = call;
        Self { exchange, ended_at, outcome, status, cause, entry, response }
    }
}

impl Record for End {
    const TABLE: &'static Table = &ENDED;

    fn key(&self) -> Value {
        self.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        texts(self.response.as_ref()).into()
    }

    fn take_columns(&mut self, columns: Vec<Value>) {
        self.response = take_half(&mut columns.into_iter());
    }
}

/// Returns the calls that have not ended. Exchange ids begin with the time, so they are among the
/// newest, but for callers whose clocks are behind; all are found.
pub(crate) fn open(view: &dyn Read) -> Result<Vec<Call>, Error> {
    let count = view.last(RECEIVED_COUNT)?.saturating_sub(view.last(ENDED_COUNT)?);
    let mut open = Vec::new();
    let mut range = Range::all(BATCH).reversed();
    while (open.len() as u64) < count {
        let rows = view.select::<Received>(&range)?;
        let Some(last) = rows.last() else { break };
        range = range.before(last.key());
        for row in rows {
            let (call, has_ended) = row.joined(view)?;
            if !has_ended {
                open.push(call);
            }
        }
    }
    if (open.len() as u64) < count {
        tracing::error!(count, found = open.len(), "rows of open calls are missing");
    }
    Ok(open)
}

/// Instants of rows, as milliseconds since 1970: a text would cost more than all other fields.
mod millis {
    use super::{Deserialize as _, Deserializer, Serializer, Timestamp};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(at.as_millis())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(name: &str, head: &str) -> Half {
        let base = format!("\"@status\": {name}\n\"date\": x");
        Half { base, signature: format!("kvn=:{name}:"), head: head.to_owned() }
    }

    /// A row gives back what was put into it, with either message missing or without a head.
    #[test]
    fn rows_keep_both_messages() {
        let request = half("request", "GET\r\n/\r\n");
        for (request, response) in [
            (Some(request.clone()), Some(half("answer", "200\r\nOK\r\n"))),
            (Some(request), None),
            (None, Some(half("refusal", ""))),
            (None, None),
        ] {
            let call = Call {
                exchange: ExchangeId::new(Timestamp::default(), [7; 10]),
                message: "PK-1".to_owned(),
                peer: "AZ/node/baku-1".parse().expect("a node"),
                client: "PK/GOV/FBR/customs".parse().expect("a member"),
                service: "AZ/GOV/SCC/customs/tariff".to_owned(),
                began_at: Timestamp::default(),
                ended_at: Timestamp::default(),
                outcome: Outcome::Answered,
                status: Some(200),
                cause: None,
                salt: "salt".to_owned(),
                request,
                response,
                entry: 4,
            };
            let row = Sent(call.clone());
            let columns = row.columns();
            assert_eq!(columns.len(), SENT.columns.len());
            assert_eq!(columns.get(1), Some(&Value::from("PK/GOV/FBR")));
            let back: Sent = again(&row, columns);
            assert_eq!(back.0, call);

            let row = Received(call.clone());
            let columns = row.columns();
            assert_eq!(columns.len(), RECEIVED.columns.len());
            assert_eq!(columns.get(1), Some(&Value::from("AZ/GOV/SCC")));
            let back: Received = again(&row, columns);
            let begun = Call {
                outcome: Outcome::Unanswered,
                status: None,
                response: None,
                entry: 0,
                ..call.clone()
            };
            assert_eq!(back.0, begun);

            let row = End::from(call.clone());
            let columns = row.columns();
            assert_eq!(columns.len(), ENDED.columns.len());
            let back: End = again(&row, columns);
            assert_eq!((back.status, back.entry), (call.status, call.entry));
            assert_eq!(back.response, call.response);
        }
    }

    fn again<R: Record>(row: &R, columns: Vec<Value>) -> R {
        let json = serde_json::to_string(row).expect("writes");
        assert!(!json.contains("@status"), "{json}");
        let mut back: R = serde_json::from_str(&json).expect("reads");
        back.take_columns(columns);
        back
    }
}
