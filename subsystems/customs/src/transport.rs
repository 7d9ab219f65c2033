//! What transport reports said about an export declaration, and cargo reports of carriers that
//! name declarations which are not here.
//!
//! Invariants: a report is kept once per declaration that it names; a later report changes no
//! earlier one. A cargo report is kept while one of its consignments is not matched.

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_types::{ExchangeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::edifact::CargoReport;
use crate::messages::{RoutePlace, TransportEquipment, TransportEvent, TransportMeans};

/// Most reports about one declaration that are looked at.
pub const REPORTS_MAX: usize = 200;

/// One report about one declaration.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Key of the export declaration.
    pub export: String,
    /// Number of the report.
    pub number: String,
    /// The exchange that brought it; none when a carrier reported to this side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<ExchangeId>,
    /// What happened.
    pub event: TransportEvent,
    /// When it happened.
    pub event_at: Timestamp,
    /// When this side took it into account.
    pub at: Timestamp,
    /// When the goods are expected at the last place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Timestamp>,
    /// Means of transport.
    pub means: TransportMeans,
    /// The route.
    pub route: Vec<RoutePlace>,
    /// Containers and seals.
    pub equipment: Vec<TransportEquipment>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// Where reports are kept.
pub(crate) static TRANSPORTS: Table = Table {
    name: "customs_transport",
    columns: &["export"],
    indexes: &[Index { name: "by_export", columns: &["export"], unique: false }],
};

impl Record for Report {
    const TABLE: &'static Table = &TRANSPORTS;

    fn key(&self) -> Value {
        format!("{} {}", self.export, self.number).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.export.as_str().into()]
    }
}

impl Report {
    /// Returns the reports about a declaration, in the order of what happened.
    pub fn of(view: &dyn Read, export: &str) -> Result<Vec<Self>, Error> {
        let range = Range::of("by_export", vec![export.into()], REPORTS_MAX);
        let mut reports: Vec<Self> = view.select(&range)?;
        reports.sort_by_key(|report| report.event_at);
        Ok(reports)
    }
}

/// A name by which cargo is reported, and what it leads to: an export declaration that states it,
/// or a cargo report that waits for one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Named {
    name: String,
    /// Subject: `export` or `cargo`, and its key.
    pub(crate) subject: String,
}

/// Where these names are kept.
pub(crate) static NAMED: Table = Table {
    name: "customs_cargo_name",
    columns: &["name"],
    indexes: &[Index { name: "by_name", columns: &["name"], unique: false }],
};

impl Record for Named {
    const TABLE: &'static Table = &NAMED;

    fn key(&self) -> Value {
        format!("{} {}", self.name, self.subject).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.name.as_str().into()]
    }
}

impl Named {
    pub(crate) const fn new(name: String, subject: String) -> Self {
        Self { name, subject }
    }

    /// Returns what a name leads to, the keys of one kind: `export` or `cargo`.
    pub(crate) fn keys(view: &dyn Read, name: &str, kind: &str) -> Result<Vec<String>, Error> {
        let rows: Vec<Self> = view.select(&Range::of("by_name", vec![name.into()], REPORTS_MAX))?;
        let key = |row: &Self| Some(row.subject.strip_prefix(kind)?.trim_start().to_owned());
        Ok(rows.iter().filter_map(key).collect())
    }
}

/// Returns the name of a transport document.
pub(crate) fn document_name(number: &str) -> String {
    format!("document {}", number.trim().to_uppercase())
}

/// A cargo report of which not every consignment is matched.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Cargo {
    /// Its number.
    pub(crate) number: String,
    /// When it came.
    pub(crate) at: Timestamp,
    /// Who handed it in: member and person.
    pub(crate) by: String,
    /// The names that lead to no declaration yet.
    pub(crate) waits_for: Vec<String>,
    pub(crate) report: CargoReport,
}

/// Where these reports are kept.
pub(crate) static CARGO: Table = Table { name: "customs_cargo", columns: &[], indexes: &[] };

impl Record for Cargo {
    const TABLE: &'static Table = &CARGO;

    fn key(&self) -> Value {
        self.number.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}
