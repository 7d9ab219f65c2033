//! What was left out of which message, and what a partner sent though it was not agreed.

use karvan_store::{Index, Record, Table, Value};
use karvan_types::{Digest, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Field;
use crate::messages::SharingLevel;

/// A message that this side sent, and what was left out of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Released {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Document type.
    pub code: String,
    /// Number of the document.
    pub id: String,
    /// Version of the document.
    pub version: u64,
    /// To whom it went.
    pub recipient: MemberId,
    /// When.
    pub at: Timestamp,
    /// The level at which it was released.
    pub level: SharingLevel,
    /// From where that level is: `agreement`, or `configuration` when the agreement says none.
    pub level_from: String,
    /// SHA-256 of the canonical document as it was handed in.
    pub handed_in: Digest,
    /// What was left out.
    pub left_out: Vec<Field>,
}

/// Where that is kept.
pub(crate) static RELEASED: Table = Table {
    name: "customs_released",
    columns: &["id", "at"],
    indexes: &[
        Index { name: "by_id", columns: &["id"], unique: false },
        Index { name: "by_at", columns: &["at"], unique: false },
    ],
};

impl Record for Released {
    const TABLE: &'static Table = &RELEASED;

    fn key(&self) -> Value {
        self.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.id.as_str().into(), self.at.as_millis().into()]
    }
}

/// A partner sent more than is agreed: a privacy incident.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// Number of the incident.
    pub number: u64,
    /// When the message arrived.
    pub at: Timestamp,
    /// The exchange that brought it.
    pub exchange: ExchangeId,
    /// Document type.
    pub code: String,
    /// The sender's reference of the message.
    pub reference: String,
    /// Number of the document.
    pub id: String,
    /// Who sent it.
    pub sender: MemberId,
    /// The level that is agreed.
    pub level: SharingLevel,
    /// From where that level is: `agreement`, or `configuration` when the agreement says none.
    pub level_from: String,
    /// SHA-256 of the message as signed, which is not kept.
    pub signed: Digest,
    /// The fields that were taken out before anything was stored; never their values.
    pub taken_out: Vec<Field>,
}

/// Where incidents are kept.
pub(crate) static INCIDENTS: Table =
    Table { name: "customs_privacy_incident", columns: &[], indexes: &[] };

impl Record for Incident {
    const TABLE: &'static Table = &INCIDENTS;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}
