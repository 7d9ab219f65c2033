//! The smallest sub-system: it counts how often it gets each document, and refuses or fails on
//! demand.

use karvan_store::{Index, Migration, Range, Read, Record, Table, Value};
use karvan_subsystem::{Caller, Context, Document, DocumentType, Operation, Rejection, Subsystem};
use karvan_types::{ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

static SEEN: Table = Table {
    name: "probe_seen",
    columns: &["order"],
    indexes: &[Index { name: "order", columns: &["order"], unique: true }],
};

/// A body that the handler refuses.
pub const REFUSE: &[u8] = b"refuse";
/// A body on which the handler panics.
pub const DEFECT: &[u8] = b"defect";

/// Schema of the probe.
pub const MIGRATIONS: &[Migration] = &[Migration { id: "probe-0001", creates: &[&SEEN] }];

/// One hand-over.
#[derive(Debug, Deserialize, Serialize)]
pub struct Seen {
    /// The exchange.
    pub exchange: String,
    /// Its place among all hand-overs.
    pub order: u64,
    /// How often it was handed over.
    pub times: u32,
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
pub struct Probe;

impl Subsystem for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }

    fn migrations(&self) -> &'static [Migration] {
        MIGRATIONS
    }

    fn document_types(&self) -> &'static [DocumentType] {
        &[DocumentType {
            code: crate::HANDLED,
            content_type: "application/octet-stream",
            bytes_max: 64 * 1024,
            about: "counts",
        }]
    }

    fn operations(&self) -> &'static [Operation] {
        &[
            Operation {
                name: "count",
                permission: "probe.read",
                writes: false,
                about: "says how many documents were handed over, and who asks",
            },
            Operation {
                name: "note",
                permission: "probe.write",
                writes: true,
                about: "returns its input",
            },
        ]
    }

    fn receive(&self, cx: &mut Context<'_>, document: &Document<'_>) -> Result<(), Rejection> {
        let exchange = document.exchange.to_string();
        let order = cx.tx.next("probe")?;
        let known = cx.tx.find::<Seen>(exchange.as_str())?;
        let times = known.map_or(0, |seen| seen.times) + 1;
        // Written first: a refusal and a panic must undo it.
        cx.tx.save(&Seen { exchange, order, times })?;
        assert!(document.body != DEFECT, "the probe fails on demand");
        if document.body == REFUSE {
            let text = "the probe refuses on demand";
            return Err(Rejection::new(ErrorKind::Invalid, "probe.refused", text));
        }
        Ok(())
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
        view: &dyn Read,
        _now: Timestamp,
        caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection> {
        caller.require("probe.read")?;
        // A long text makes a long answer.
        let Some(label) = input.get("label").and_then(serde_json::Value::as_str) else {
            let text = format!("`{operation}` needs a text `label`; add it to the input");
            return Err(Rejection::new(ErrorKind::Invalid, "probe.label", text));
        };
        let seen = view.count(&SEEN, &Range::all(1))?;
        let (member, permissions) = (&caller.member, &caller.permissions);
        Ok(json!({ "label": label, "seen": seen, "member": member, "permissions": permissions }))
    }
}
