//! Why a certificate may not be debited finally for now: a verification that is not settled, or an
//! act of an officer of this side.
//!
//! Not here: which verification suspends (`crate::verification`), setting and lifting
//! (`crate::subsystem`).

use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

use super::Certificate;

/// Why the use of a certificate is suspended, and since when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Who suspended it, or opened the verification.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// The verification from which it follows; none when an officer suspended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<String>,
    /// The items of the certificate that are concerned; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<u32>,
}

impl Suspension {
    /// Whether an item of the certificate is concerned.
    pub fn covers(&self, item: u32) -> bool {
        self.items.is_empty() || self.items.contains(&item)
    }
}

impl Certificate {
    /// Returns the suspension by an officer of this side.
    pub fn suspended_by_officer(&self) -> Option<&Suspension> {
        self.suspensions.iter().find(|suspension| suspension.verification.is_none())
    }
}
