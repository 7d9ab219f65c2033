//! The smallest sub-system: it counts how often it gets each document.

use karvan_store::{Index, Migration, Read, Record, Table, Value};
use karvan_subsystem::{Caller, Context, Document, DocumentType, Operation, Rejection, Subsystem};
use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

static SEEN: Table = Table {
    name: "probe_seen",
    columns: &["order"],
    indexes: &[Index { name: "order", columns: &["order"], unique: true }],
};

/// Schema of the probe.
pub(crate) const MIGRATIONS: &[Migration] = &[Migration { id: "probe-0001", creates: &[&SEEN] }];

/// One hand-over.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Seen {
    /// The exchange.
    pub(crate) exchange: String,
    /// Its place among all hand-overs.
    pub(crate) order: u64,
    /// How often it was handed over.
    pub(crate) times: u32,
}

impl Record for Seen {
    const TABLE: &'static Table = &SEEN;

    fn key(&self) -> Value {
        self.exchange.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.order.into()]
    }
}

/// The sub-system.
pub(crate) struct Probe;

impl Subsystem for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn migrations(&self) -> &'static [Migration] {
        MIGRATIONS
    }

    fn document_types(&self) -> &'static [DocumentType] {
        &[DocumentType {
            code: "PRB",
            content_type: "application/octet-stream",
            bytes_max: 64 * 1024,
            about: "counts",
        }]
    }

    fn operations(&self) -> &'static [Operation] {
        &[]
    }

    fn receive(&self, cx: &mut Context<'_>, document: &Document<'_>) -> Result<(), Rejection> {
        let exchange = document.exchange.to_string();
        let order = cx.tx.next("probe")?;
        let known = cx.tx.find::<Seen>(exchange.as_str())?;
        let times = known.map_or(0, |seen| seen.times) + 1;
        Ok(cx.tx.save(&Seen { exchange, order, times })?)
    }

    fn operate(
        &self,
        _cx: &mut Context<'_>,
        _caller: &Caller,
        _operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection> {
        Ok(input)
    }

    fn query(
        &self,
        _view: &dyn Read,
        _now: Timestamp,
        _caller: &Caller,
        _operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection> {
        Ok(input)
    }
}
