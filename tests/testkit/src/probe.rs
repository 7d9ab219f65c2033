//! The smallest sub-system: it counts how often it gets each document, and refuses or fails on
//! demand, and sends what is due.

use std::time::Duration;

use karvan_store::{Index, Migration, Range, Read, Record, Table, Value};
use karvan_subsystem::{
    Caller, Context, Document, DocumentType, Operation, Outgoing, Rejection, Subsystem,
};
use karvan_types::{ErrorKind, MemberId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

static SEEN: Table = Table {
    name: "probe_seen",
    columns: &["order"],
    indexes: &[Index { name: "order", columns: &["order"], unique: true }],
};

static DUE: Table = Table {
    name: "probe_due",
    columns: &["at"],
    indexes: &[Index { name: "by_at", columns: &["at"], unique: false }],
};

/// A body that the handler refuses, and that due work fails on.
pub const REFUSE: &[u8] = b"refuse";
/// A body on which the handler, and due work, panics.
pub const DEFECT: &[u8] = b"defect";
/// How far what fails is put off.
const PUT_OFF: Duration = Duration::from_hours(1000);

/// Schema of the probe.
pub const MIGRATIONS: &[Migration] = &[
    Migration { id: "probe-0001", creates: &[&SEEN] },
    Migration { id: "probe-0002", creates: &[&DUE] },
];

/// A document to send later.
#[derive(Debug, Deserialize, Serialize)]
struct Due {
    #[serde(default)]
    number: u64,
    at: Timestamp,
    sender: MemberId,
    recipient: MemberId,
    body: String,
}

impl Record for Due {
    const TABLE: &'static Table = &DUE;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.at.as_millis().into()]
    }
}

fn first_due(view: &dyn Read, now: Timestamp) -> Result<Option<Due>, Rejection> {
    let range = Range::of("by_at", Vec::new(), 1).to(now.as_millis());
    Ok(view.select(&range)?.pop())
}

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
            Operation {
                name: "later",
                permission: "probe.write",
                writes: true,
                about: "sends a document at an instant",
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
        cx: &mut Context<'_>,
        _caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection> {
        if operation == "later" {
            let mut due: Due = serde_json::from_value(input.clone()).map_err(|error| {
                Rejection::new(ErrorKind::Invalid, "probe.later", error.to_string())
            })?;
            due.number = cx.tx.next(DUE.name)?;
            cx.tx.add(&due)?;
        }
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

    fn due(&self, view: &dyn Read, now: Timestamp) -> Result<bool, Rejection> {
        Ok(first_due(view, now)?.is_some())
    }

    fn run_due(&self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        let Some(due) = first_due(cx.tx, cx.now)? else { return Ok(()) };
        // Written first: a refusal and a panic must undo it.
        cx.tx.remove::<Due>(due.number)?;
        assert!(due.body.as_bytes() != DEFECT, "the probe fails on demand");
        if due.body.as_bytes() == REFUSE {
            let text = "the probe refuses on demand";
            return Err(Rejection::new(ErrorKind::Invalid, "probe.refused", text));
        }
        cx.warn("probe-due", format!("sent what was due at {}", due.at));
        cx.send(Outgoing {
            sender: due.sender,
            recipient: due.recipient,
            code: crate::HANDLED,
            content_type: "application/octet-stream",
            body: due.body.into_bytes(),
        });
        Ok(())
    }

    fn put_off(&self, cx: &mut Context<'_>, _cause: &Rejection) -> Result<(), Rejection> {
        let Some(mut due) = first_due(cx.tx, cx.now)? else { return Ok(()) };
        due.at = cx.now.plus(PUT_OFF);
        Ok(cx.tx.save(&due)?)
    }
}
