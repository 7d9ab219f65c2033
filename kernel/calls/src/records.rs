//! What a node stores about calls, and the tables for it.
//!
//! A call that has ended is one row on either side, under its exchange id. While the provider's
//! system is at work the request is a row of its own: the write-ahead record from which a restart
//! learns that a call was never answered.
//!
//! A row's `party` is the member of this node: the client's of a call that was sent, the provider's
//! of one that was received.
//!
//! The texts of both messages are columns as they were signed: within JSON each of their many
//! quotes and line ends would be escaped. Bodies are not kept: their digests are in the signature
//! bases, beside all head fields.

use karvan_store::{Index, Migration, Record, Table, Value};
use karvan_subsystem::Rejection;
use karvan_types::{ExchangeId, MemberId, NodeId, Timestamp};
use karvan_xroad::ServiceId;
use serde::{Deserialize, Serialize};

use crate::{evidence, registry};

/// The schema of calls.
pub const MIGRATIONS: &[Migration] = &[
    Migration { id: "calls-0001", creates: &[&SENT, &RECEIVED, &OPEN] },
    Migration { id: "calls-0002", creates: registry::TABLES },
];

const COLUMNS: &[&str] = &[
    "message",
    "party",
    "request_base",
    "request_signature",
    "request_head",
    "response_base",
    "response_signature",
    "response_head",
];
/// Where the texts of the messages begin.
const TEXTS_FROM: usize = 2;
const INDEXES: &[Index] = &[
    Index { name: "message", columns: &["message"], unique: false },
    Index { name: "party", columns: &["party"], unique: false },
];

/// Calls of this node's agencies. Key: the exchange id.
pub static SENT: Table = Table { name: "call_sent", columns: COLUMNS, indexes: INDEXES };

/// Calls to services of this node. Key: the exchange id.
pub static RECEIVED: Table = Table { name: "call_received", columns: COLUMNS, indexes: INDEXES };

/// Calls that a provider's system is answering. Key: the exchange id.
pub static OPEN: Table = Table { name: "call_open", columns: COLUMNS, indexes: &[] };

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
    pub began_at: Timestamp,
    /// When the outcome was known.
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

    /// Returns the columns of a row, for a party of this node.
    fn columns(&self, party: Value) -> Vec<Value> {
        let mut columns = Vec::with_capacity(COLUMNS.len());
        columns.extend([self.message.as_str().into(), party]);
        for half in [&self.request, &self.response] {
            let texts = half.as_ref().map(|half| [&half.base, &half.signature, &half.head]);
            match texts {
                Some(texts) => columns.extend(texts.map(|text| text.as_str().into())),
                None => columns.extend([Value::Null, Value::Null, Value::Null]),
            }
        }
        columns
    }

    /// Takes the texts of both messages from the columns of a row.
    fn take_columns(&mut self, columns: Vec<Value>) {
        let mut texts = columns.into_iter().skip(TEXTS_FROM).map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        });
        let mut half = || {
            let [base, signature, head] = [texts.next(), texts.next(), texts.next()];
            let (base, signature) = (base.flatten()?, signature.flatten()?);
            Some(Half { base, signature, head: head.flatten().unwrap_or_default() })
        };
        (self.request, self.response) = (half(), half());
    }
}

/// Gives a call its place in a table.
macro_rules! kept_in {
    ($(#[$about:meta])* $name:ident, $table:ident, $call:ident => $party:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, Deserialize, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub Call);

        impl Record for $name {
            const TABLE: &'static Table = &$table;

            fn key(&self) -> Value {
                self.0.exchange.to_string().into()
            }

            fn columns(&self) -> Vec<Value> {
                let $call = &self.0;
                $call.columns($party)
            }

            fn take_columns(&mut self, columns: Vec<Value>) {
                self.0.take_columns(columns);
            }
        }
    };
}

kept_in!(
    /// A row of [`SENT`].
    Sent, SENT, call => call.client.member().as_str().into()
);
kept_in!(
    /// A row of [`RECEIVED`].
    Received, RECEIVED, call => call.provider().into()
);
kept_in!(
    /// A row of [`OPEN`].
    Open, OPEN, call => Value::Null
);

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
            let row = Received(call.clone());
            let columns = row.columns();
            assert_eq!(columns.len(), COLUMNS.len());
            assert_eq!(columns.get(1), Some(&Value::from("AZ/GOV/SCC")));
            let json = serde_json::to_string(&row).expect("writes");
            assert!(!json.contains("@status"), "{json}");
            let mut back: Received = serde_json::from_str(&json).expect("reads");
            back.take_columns(columns);
            assert_eq!(back.0, call);
        }
    }
}
