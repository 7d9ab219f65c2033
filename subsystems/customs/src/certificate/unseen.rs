//! What was granted on a certificate that is not here: on paper, before the exchange began or while
//! the partner could not be heard.
//!
//! It is kept until the certificate comes and is debited from it then; until then every other claim
//! on that number shows it.
//!
//! Invariant: a claimed item has at most one line, that of its decision that stands.

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_types::{Quantity, Timestamp};
use serde::{Deserialize, Serialize};

/// Most lines of one certificate that another claim on its number looks at.
pub const UNSEEN_MAX: usize = 1000;

/// A grant without a ledger to debit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    /// The claimed item, `claim#item`.
    pub claim_item: String,
    /// Key of the certificate that it quotes.
    pub certificate: String,
    /// Item of that certificate, as quoted.
    pub item: u32,
    /// How much was granted, in the unit of the claim.
    pub quantity: Quantity,
    /// Key of the decision.
    pub decision: String,
    /// The person who decided.
    pub user: String,
    /// When.
    pub at: Timestamp,
}

/// Where these lines are kept.
pub(crate) static UNSEEN: Table = Table {
    name: "customs_unseen_grant",
    columns: &["certificate"],
    indexes: &[Index { name: "by_certificate", columns: &["certificate"], unique: false }],
};

impl Record for Unseen {
    const TABLE: &'static Table = &UNSEEN;

    fn key(&self) -> Value {
        self.claim_item.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.certificate.as_str().into()]
    }
}

impl Unseen {
    /// Returns what was granted on a certificate that is not here, in the order of claims, at most
    /// `limit` lines.
    pub fn on(view: &dyn Read, certificate: &str, limit: usize) -> Result<Vec<Self>, Error> {
        view.select(&Range::of("by_certificate", vec![certificate.into()], limit))
    }
}
