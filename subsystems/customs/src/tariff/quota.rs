//! Quotas: how much of some goods has the preference in a period, and who gets it.
//!
//! Requests are served in the order in which they were accepted, whoever decides first: each gets
//! what it asks for as long as something is left, the last one a part, the rest wait. What comes
//! back from a cancelled or reduced request is carried back into the period from which it was
//! taken, reopens it, and goes to those who wait, again in their order. So at any moment the
//! allocation is that of [`allocate`] over the requests that stand.
//!
//! Invariants: never more is given than the quota holds; a later request never takes from an
//! earlier one; nothing waits while something is left. A new version of the tariff may make a
//! quota smaller than what was given; then nothing is taken away and nothing more is given.
//!
//! Not here: which goods a quota is for (measures of `crate::tariff` name it), what the rest of
//! the goods pays (`crate::relief`).

mod ledger;

pub(crate) use ledger::{ACCOUNTS, LINES, REQUESTS};
pub use ledger::{
    Account, Asking, Error, Line, LineKind, Request, SHOWN_MAX, Served, accounts_of, allocated,
    of_account, release, request, requests_of, serve,
};

use karvan_types::amount::decimal_text;
use karvan_types::{Date, Decimal};
use serde::{Deserialize, Serialize};

use super::Status;
use crate::messages::text::date;

/// A quota in one period.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Short name used by the measures; the same in each period.
    pub id: String,
    /// The agreement that sets it.
    pub agreement: String,
    /// How much.
    #[serde(with = "decimal_text")]
    pub quantity: Decimal,
    /// UN/ECE Recommendation 20 unit.
    pub unit: String,
    /// First day.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day.
    #[serde(with = "date")]
    pub until: Date,
    /// Source, one of the tariff's sources.
    pub source: String,
    /// How sure we are.
    pub status: Status,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Quota {
    /// Returns the key of its account in the ledger of an importing country.
    pub fn account(&self, country: &str) -> String {
        format!("{country}:{}:{}", self.id, self.from)
    }
}

/// Gives each request, in order of acceptance, what it asks for as far as the quota reaches.
pub fn allocate(quantity: Decimal, asked: &[Decimal]) -> Vec<Decimal> {
    let mut left = quantity;
    let give = |asked: &Decimal| {
        let given = (*asked).min(left);
        left -= given;
        given
    };
    asked.iter().map(give).collect()
}

#[cfg(test)]
mod tests;
