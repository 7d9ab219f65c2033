//! What transport reports said about an export declaration.
//!
//! Invariants: a report is kept once per declaration that it names; a later report changes no
//! earlier one.

use karvan_store::{Error, Index, Range, Read, Record, Table, Value};
use karvan_types::{ExchangeId, Timestamp};
use serde::{Deserialize, Serialize};

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
    /// The exchange that brought it.
    pub exchange: ExchangeId,
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
