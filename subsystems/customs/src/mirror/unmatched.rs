//! Consignments that only one side knows: announced and never arrived, arrived and never announced.

use karvan_types::{Amount, Date};
use serde::{Deserialize, Serialize};

use super::flow::{Flow, Line};
use super::linked::Linked;
use super::params::Params;
use crate::messages::UnmatchedReason;
use crate::messages::text::date;

/// A consignment without a counterpart.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unmatched {
    /// What is missing.
    pub reason: UnmatchedReason,
    /// Key of the export declaration or claim that is here.
    pub document: String,
    /// Unique consignment reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ucr: Option<String>,
    /// Day of departure or of filing.
    #[serde(with = "date")]
    pub day: Date,
    /// Days since then.
    pub age_days: u32,
    /// After how many days it is reported.
    pub limit_days: u16,
    /// Mode of transport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Codes of the goods, six digits.
    pub hs6: Vec<String>,
    /// Value as declared, when all items are in one currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Amount>,
    /// Whether it is from before the exchange began: then nothing can be here, and nothing follows.
    pub before_exchange: bool,
}

/// Lists what has no counterpart and is older than it may be, oldest first.
pub fn unmatched(linked: &Linked, params: &Params, today: Date, go_live: Date) -> Vec<Unmatched> {
    let mut found: Vec<Unmatched> = linked
        .lines
        .chunk_by(|a, b| a.document == b.document)
        .filter_map(|lines| {
            let first = lines.first()?;
            if !linked.of(first).is_empty() {
                return None;
            }
            let (reason, limit_days) = match first.flow {
                Flow::Export => {
                    let row = params.arrival(first.mode.as_deref(), first.day)?;
                    (UnmatchedReason::NeverArrived, row.value.days)
                }
                Flow::Import => {
                    let days = params.look(first.day)?.value.unannounced_days;
                    (UnmatchedReason::NoExportRecord, days)
                }
            };
            let age_days = u32::try_from((today - first.day).get_days()).unwrap_or_default();
            (age_days > u32::from(limit_days)).then(|| Unmatched {
                reason,
                document: first.document.clone(),
                ucr: first.ucr.clone(),
                day: first.day,
                age_days,
                limit_days,
                mode: first.mode.clone(),
                hs6: codes(lines),
                value: sum(lines),
                before_exchange: first.day < go_live,
            })
        })
        .collect();
    found.sort_by(|a, b| (a.day, &a.document).cmp(&(b.day, &b.document)));
    found
}

fn codes(lines: &[Line]) -> Vec<String> {
    let mut codes: Vec<String> = lines.iter().map(|line| line.hs6.clone()).collect();
    codes.sort();
    codes.dedup();
    codes
}

fn sum(lines: &[Line]) -> Option<Amount> {
    let first = lines.first()?.value.clone()?;
    lines.iter().skip(1).try_fold(first, |sum, line| {
        let value = line.value.as_ref().filter(|value| value.currency == sum.currency)?;
        Some(Amount { value: sum.value.checked_add(value.value)?, ..sum })
    })
}
