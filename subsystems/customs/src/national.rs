//! What a national system handed in beside declarations: responses about them (WCO RES), and
//! EDIFACT interchanges, so that one that comes twice is known.
//!
//! Invariants: a reference names one content for ever; nothing here changes a claim, a certificate
//! or a ledger.
//!
//! Not here: what is done with them (`crate::subsystem`), the formats (`crate::wco`,
//! `crate::edifact`).

use karvan_store::{Index, Record, Table, Value};
use karvan_types::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::wco::Response;

/// A response of a national customs system about a declaration that is kept here.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseRecord {
    /// The national system's reference (`FunctionalReferenceID`).
    pub reference: String,
    /// What it is about: `export …` or `claim …`.
    pub subject: String,
    /// What its function code means, in a word or two.
    pub meaning: String,
    /// When it was handed in.
    pub at: Timestamp,
    /// Who handed it in.
    pub by: String,
    /// Digest of the XML.
    pub digest: Digest,
    /// The response.
    pub response: Response,
}

/// Where responses are kept.
pub(crate) static RESPONSES: Table = Table {
    name: "customs_response",
    columns: &["subject"],
    indexes: &[Index { name: "by_subject", columns: &["subject"], unique: false }],
};

impl Record for ResponseRecord {
    const TABLE: &'static Table = &RESPONSES;

    fn key(&self) -> Value {
        self.reference.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.subject.as_str().into()]
    }
}

/// A number that a national system assigned to a declaration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedNumber {
    /// The number as a subject: `export AZ:…` or `claim …`.
    pub assigned: String,
    /// The declaration as it is stored: `export …` or `claim …`.
    pub subject: String,
    /// The response that said so.
    pub response: String,
    /// When it was handed in.
    pub at: Timestamp,
}

/// Where assigned numbers are kept.
pub(crate) static ASSIGNED: Table =
    Table { name: "customs_assigned_number", columns: &[], indexes: &[] };

impl Record for AssignedNumber {
    const TABLE: &'static Table = &ASSIGNED;

    fn key(&self) -> Value {
        self.assigned.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// An EDIFACT interchange that was taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Interchange {
    /// Sender, as in UNB (0004).
    pub sender: String,
    /// Interchange control reference (0020).
    pub reference: String,
    /// When it was taken.
    pub at: Timestamp,
    /// Who handed it in.
    pub by: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Where it came from in an import, which may go on with it; `None` when it came alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<Imported>,
}

/// Where an interchange stands in an import.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Imported {
    /// Name of the import.
    pub import: String,
    /// Its place in the source.
    pub place: String,
}

/// Where interchanges are remembered.
pub(crate) static INTERCHANGES: Table =
    Table { name: "customs_interchange", columns: &[], indexes: &[] };

impl Record for Interchange {
    const TABLE: &'static Table = &INTERCHANGES;

    fn key(&self) -> Value {
        interchange_key(&self.sender, &self.reference).into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Returns the key of an interchange. A reference holds no line break, so no two pairs share one.
pub fn interchange_key(sender: &str, reference: &str) -> String {
    format!("{sender}\n{reference}")
}
