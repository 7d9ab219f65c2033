//! What a node stores about calls, and the tables for it.
//!
//! A call that has ended is one row on either side, under its exchange id. While the provider's
//! system is at work the request is a row of its own: the write-ahead record from which a restart
//! learns that a call was never answered.
//!
//! A row's `party` is the member of this node: the client's of a call that was sent, the provider's
//! of one that was received.
//!
//! Bodies are not kept: their digests are in the signature bases, beside all head fields.

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

const COLUMNS: &[&str] = &["message", "party"];
const INDEXES: &[Index] = &[
    Index { name: "message", columns: &["message"], unique: false },
    Index { name: "party", columns: &["party"], unique: false },
];

/// Calls of this node's agencies. Key: the exchange id.
pub static SENT: Table = Table { name: "call_sent", columns: COLUMNS, indexes: INDEXES };

/// Calls to services of this node. Key: the exchange id.
pub static RECEIVED: Table = Table { name: "call_received", columns: COLUMNS, indexes: INDEXES };

/// Calls that a provider's system is answering. Key: the exchange id.
pub static OPEN: Table = Table { name: "call_open", columns: &[], indexes: &[] };

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
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Half {
    /// The signature base (RFC 9421, section 2.5).
    pub base: String,
    /// Value of the `Signature` field.
    pub signature: String,
    /// The head as X-Road serialises it (PR-REST 4.4); `base64:` and its base64 when it is no
    /// UTF-8. Of a refusal the problem (RFC 9457) that the node answered with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Half>,
    /// The answer or refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
}

/// Gives a call its place in a table.
macro_rules! kept_in {
    ($(#[$about:meta])* $name:ident, $table:ident, $call:ident => $columns:expr) => {
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
                $columns
            }
        }
    };
}

kept_in!(
    /// A row of [`SENT`].
    Sent, SENT, call => vec![call.message.as_str().into(), call.client.member().as_str().into()]
);
kept_in!(
    /// A row of [`RECEIVED`].
    Received, RECEIVED, call => vec![call.message.as_str().into(), call.provider().into()]
);
kept_in!(
    /// A row of [`OPEN`].
    Open, OPEN, _call => Vec::new()
);
