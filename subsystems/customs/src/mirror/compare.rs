//! What the partner reports of a month beside what own records say.
//!
//! Of its exports the partner should report exactly what it declared to this side: any difference
//! is a document that is missing, or counted in another month. Of its imports it reports what
//! arrived there, with freight and insurance; that is compared on one basis and with a tolerance.

use std::collections::{BTreeMap, BTreeSet};

use karvan_store::{Index, Record, Table, Value};
use karvan_types::amount::{INTEGER_DIGITS_MAX, is_strict};
use karvan_types::{Amount, Decimal, ErrorKind, Instance, Quantity, Timestamp};
use serde::{Deserialize, Serialize};

use super::flow::{Flow, Line};
use super::params::Params;
use super::{VALUE_PLACES, rounded};
use crate::messages::{MirrorTotal, SharingLevel, TradeFlow, UnmatchedConsignment};

/// Most pages of one report.
pub const PAGES_MAX: usize = 1000;
/// Most documents named as an explanation of one line.
const EXPLAINED_MAX: usize = 20;
/// Unit of all masses.
const KILOGRAM: &str = "KGM";

/// A page of a report, sent or received.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Who reports.
    pub nation: Instance,
    /// The direction, seen from the reporter.
    pub flow: TradeFlow,
    /// The month, `YYYY-MM`.
    pub month: String,
    /// Number of the report.
    pub id: String,
    /// Which page.
    pub page: u32,
    /// Of how many.
    pub of: u32,
    /// When it was sent or received.
    pub at: Timestamp,
    /// The figures.
    pub totals: Vec<MirrorTotal>,
    /// What has no counterpart there.
    pub unmatched: Vec<UnmatchedConsignment>,
}

/// Where reports are kept.
pub(crate) static REPORTS: Table = Table {
    name: "customs_mirror_report",
    columns: &["stream"],
    indexes: &[Index { name: "by_stream", columns: &["stream"], unique: false }],
};

impl Record for Report {
    const TABLE: &'static Table = &REPORTS;

    fn key(&self) -> Value {
        format!("{} {:05}", stream(self.nation, self.flow, &self.month), self.page).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![stream(self.nation, self.flow, &self.month).into()]
    }
}

/// Returns what all pages of one report share.
pub fn stream(nation: Instance, flow: TradeFlow, month: &str) -> String {
    let flow = match flow {
        TradeFlow::Export => "export",
        TradeFlow::Import => "import",
    };
    format!("{nation} {flow} {month}")
}

/// The figures of one code and currency as they are reported.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Number of declared items.
    pub items: u32,
    /// Net mass in kg.
    #[serde(with = "karvan_types::amount::decimal_text")]
    pub net_mass: Decimal,
    /// Value: as declared of exports, with freight and insurance of imports.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::messages::text::optional_decimal"
    )]
    pub value: Option<Decimal>,
}

/// A code and currency.
pub type Key = (String, Option<String>);

/// Computes the figures of lines. Exports count as declared; with `with_freight`, freight and
/// insurance are added to what does not hold them.
pub fn figures(lines: &[Line], params: &Params, with_freight: bool) -> BTreeMap<Key, Figures> {
    let mut rows: BTreeMap<Key, Figures> = BTreeMap::new();
    for line in lines {
        let currency = line.value.as_ref().map(|value| value.currency.clone());
        let row = rows.entry((line.hs6.clone(), currency)).or_default();
        row.items += 1;
        row.net_mass += line.net_mass.unwrap_or_default();
        let declared = line.value.as_ref().map(|value| value.value);
        let value = if with_freight { params.with_freight(line).or(declared) } else { declared };
        if let Some(value) = value {
            row.value = Some(row.value.unwrap_or_default() + value);
        }
    }
    rows
}

/// A sum of a month has more digits than a report can carry.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {what} of HS {hs6} make more than the {INTEGER_DIGITS_MAX} digits before the decimal \
     point that a report can carry; find the declaration that is mistyped and have it corrected"
)]
pub struct TooLarge {
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// What was summed up.
    pub what: &'static str,
}

impl TooLarge {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

/// Writes figures as the lines of a report; values only when the agreement shares them.
pub fn to_totals(
    figures: BTreeMap<Key, Figures>,
    level: SharingLevel,
) -> Result<Vec<MirrorTotal>, TooLarge> {
    let mut totals: Vec<MirrorTotal> = Vec::new();
    for ((hs6, currency), row) in figures {
        let value = row.value.zip(currency).filter(|_| level >= SharingLevel::L2);
        let value = value.map(|(value, currency)| Amount { value: rounded(value, 6), currency });
        let mass = row.net_mass;
        // Without currencies the lines of one code become one again.
        let last = totals.last_mut().filter(|last| last.hs6 == hs6 && last.value == value);
        if let Some(last) = last.filter(|_| value.is_none()) {
            last.count += row.items;
            last.net_mass.value += mass;
            continue;
        }
        let net_mass = Quantity { value: mass.normalize(), unit: KILOGRAM.to_owned() };
        totals.push(MirrorTotal { hs6, count: row.items, net_mass, value });
    }
    for row in &totals {
        let sums = [
            ("net masses", Some(row.net_mass.value)),
            ("values", row.value.as_ref().map(|value| value.value)),
        ];
        let is_too_large = |(_, sum): &(_, Option<Decimal>)| sum.is_some_and(|sum| !is_strict(sum));
        if let Some((what, _)) = sums.into_iter().find(is_too_large) {
            return Err(TooLarge { hs6: row.hs6.clone(), what });
        }
    }
    Ok(totals)
}

/// One line of the comparison.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Six digits of the Harmonized System.
    pub hs6: String,
    /// The currency, when values are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// From own records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ours: Option<Figures>,
    /// As the partner reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Figures>,
    /// Whether the two agree: exactly for the partner's exports, within the tolerance otherwise.
    pub agrees: bool,
    /// Consignments that may explain it: own ones of this code without a counterpart, and what the
    /// partner reports without one.
    pub explained_by: Vec<String>,
}

/// What is compared.
pub struct Comparing<'a> {
    /// Own lines of the month.
    pub lines: &'a [Line],
    /// Documents among them without a counterpart here.
    pub lonely: &'a BTreeSet<String>,
    /// The partner's pages.
    pub pages: &'a [Report],
    /// The direction, seen from the partner.
    pub flow: TradeFlow,
    /// The parameters.
    pub params: &'a Params,
}

/// Compares a month, code by code.
pub fn compare(what: &Comparing<'_>) -> Vec<Compared> {
    let theirs = reported(what.pages);
    let with_values = theirs.keys().any(|(_, currency)| currency.is_some());
    let with_freight = what.flow == TradeFlow::Import;
    let mut ours = figures(what.lines, what.params, with_freight);
    if !with_values && !theirs.is_empty() {
        ours = without_values(ours);
    }
    let tolerance = what
        .lines
        .first()
        .filter(|_| with_freight)
        .and_then(|line| what.params.look(line.day))
        .map_or(Decimal::ZERO, |row| row.value.gap_percent);
    let keys: BTreeSet<&Key> = ours.keys().chain(theirs.keys()).collect();
    keys.into_iter()
        .map(|key| {
            let (mine, other) = (ours.get(key), theirs.get(key));
            let agrees = match (mine, other) {
                (Some(mine), Some(other)) => agree(mine, other, tolerance),
                _ => false,
            };
            let explained_by = if agrees { Vec::new() } else { explain(&key.0, what) };
            let (hs6, currency) = key.clone();
            Compared {
                hs6,
                currency,
                ours: mine.cloned(),
                theirs: other.cloned(),
                agrees,
                explained_by,
            }
        })
        .collect()
}

fn reported(pages: &[Report]) -> BTreeMap<Key, Figures> {
    let mut rows: BTreeMap<Key, Figures> = BTreeMap::new();
    for total in pages.iter().flat_map(|page| &page.totals) {
        let currency = total.value.as_ref().map(|value| value.currency.clone());
        let row = rows.entry((total.hs6.clone(), currency)).or_default();
        row.items = row.items.saturating_add(total.count);
        row.net_mass = row.net_mass.saturating_add(total.net_mass.value);
        if let Some(value) = &total.value {
            row.value = Some(row.value.unwrap_or_default().saturating_add(value.value));
        }
    }
    rows
}

fn without_values(rows: BTreeMap<Key, Figures>) -> BTreeMap<Key, Figures> {
    let mut merged: BTreeMap<Key, Figures> = BTreeMap::new();
    for ((hs6, _), row) in rows {
        let into = merged.entry((hs6, None)).or_default();
        into.items += row.items;
        into.net_mass += row.net_mass;
    }
    merged
}

fn agree(mine: &Figures, other: &Figures, tolerance: Decimal) -> bool {
    let near = |a: Decimal, b: Decimal| {
        let limit = b.checked_mul(tolerance).map(|limit| limit / Decimal::ONE_HUNDRED);
        limit.is_some_and(|limit| (a - b).abs() <= limit.abs())
    };
    let values = match (mine.value, other.value) {
        (Some(a), Some(b)) => near(rounded(a, VALUE_PLACES), rounded(b, VALUE_PLACES)),
        _ => true,
    };
    // Items and masses of imports follow other declarations, so only values and masses are near.
    let counts = mine.items == other.items || !tolerance.is_zero();
    counts && near(mine.net_mass, other.net_mass) && values
}

fn explain(hs6: &str, what: &Comparing<'_>) -> Vec<String> {
    let own = what.lines.iter().filter(|line| line.hs6 == hs6);
    let own = own.filter(|line| what.lonely.contains(&line.document));
    let mut found: Vec<String> = own
        .map(|line| match line.flow {
            Flow::Export => format!("{} has no import declaration here", line.document),
            Flow::Import => format!("{} has no export declaration here", line.document),
        })
        .collect();
    let theirs = what.pages.iter().flat_map(|page| &page.unmatched);
    found.extend(theirs.map(|one| {
        let (kind, id) = (&one.document.document_type, &one.document.id);
        format!("{kind} {id} has no counterpart at the partner")
    }));
    found.dedup();
    found.truncate(EXPLAINED_MAX);
    found
}
