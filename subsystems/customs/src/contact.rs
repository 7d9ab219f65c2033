//! Receipts for what was sent, when the partner was last heard, and the times in which it could not
//! be.
//!
//! Invariants: a receipt is kept as long as its message; an outage that was over is never open
//! again.

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_types::{ExchangeId, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

/// Most outages that are looked at, the newest first.
const OUTAGES_MAX: usize = 100;

/// What the kernel knows of a message that was sent from here: the signed receipts themselves are
/// in its evidence.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The exchange.
    pub exchange: ExchangeId,
    /// When the partner's node stored it (relay receipt), and which node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<Stored>,
    /// When the news came that the recipient's system has it (handover receipt).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over_at: Option<Timestamp>,
    /// Why it was refused or given up, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A relay receipt.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    /// When it came here.
    pub at: Timestamp,
    /// The node that signed it.
    pub by: NodeId,
}

/// Where receipts are kept.
pub(crate) static RECEIPTS: Table = Table { name: "customs_receipt", columns: &[], indexes: &[] };

impl Record for Receipt {
    const TABLE: &'static Table = &RECEIPTS;

    fn key(&self) -> Value {
        self.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// When the partner's customs service was last heard.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// The partner.
    pub partner: MemberId,
    /// When something last came from it, to some minutes.
    pub heard_at: Timestamp,
}

/// Where that is kept.
pub(crate) static CONTACTS: Table = Table { name: "customs_contact", columns: &[], indexes: &[] };

impl Record for Contact {
    const TABLE: &'static Table = &CONTACTS;

    fn key(&self) -> Value {
        self.partner.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// A time in which documents of the partner could not come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outage {
    /// Number of the outage.
    pub number: u64,
    /// Since when.
    pub from: Timestamp,
    /// Until when; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Who declared it: a person, or the clock when nothing came for long.
    pub by: String,
    /// What is known about it.
    pub text: String,
}

/// Where outages are kept.
pub(crate) static OUTAGES: Table = Table {
    name: "customs_outage",
    columns: &["state"],
    indexes: &[Index { name: "by_state", columns: &["state"], unique: false }],
};

impl Record for Outage {
    const TABLE: &'static Table = &OUTAGES;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![if self.until.is_none() { "open" } else { "over" }.into()]
    }
}

impl Outage {
    /// Name of their sequence of numbers.
    pub(crate) const NUMBERS: &'static str = OUTAGES.name;

    /// Returns the outages that last, the earliest first.
    pub fn open(view: &dyn Read) -> Result<Vec<Self>, Error> {
        let range = Range::of("by_state", vec!["open".into()], OUTAGES_MAX);
        let mut open: Vec<Self> = view.select(&range)?;
        open.sort_by_key(|outage| outage.from);
        Ok(open)
    }

    /// Returns all outages, the newest first.
    pub fn all(view: &dyn Read) -> Result<Vec<Self>, Error> {
        view.select(&Range::all(OUTAGES_MAX).reversed())
    }
}
