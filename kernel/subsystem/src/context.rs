//! What a sub-system may do while it handles something.

use karvan_store::Tx;
use karvan_types::{ErrorKind, ExchangeId, MemberId, Timestamp};

use crate::{Outgoing, Rejection};

/// Who calls an operation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The member for which the caller acts.
    pub member: MemberId,
    /// Name of the person or program, as on its token; goes into decisions.
    pub user: String,
    /// Permissions of its token; `*` is all.
    pub permissions: Vec<String>,
}

impl Caller {
    /// Returns whether the caller holds a permission.
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|held| held == "*" || held == permission)
    }

    /// Refuses a caller who lacks a permission.
    pub fn require(&self, permission: &str) -> Result<(), Rejection> {
        if self.may(permission) {
            return Ok(());
        }
        Err(Rejection::new(
            ErrorKind::Forbidden,
            "permission-missing",
            format!("{} lacks the permission `{permission}`; ask the operator", self.user),
        ))
    }
}

/// The transaction in hand, the instant, and the documents to send with it.
pub struct Context<'a> {
    /// The transaction. Everything written through it commits with the receipt.
    pub tx: &'a mut dyn Tx,
    /// The instant of this act.
    pub now: Timestamp,
    outgoing: Vec<Outgoing>,
    ids: &'a mut dyn FnMut() -> ExchangeId,
    sent: Vec<ExchangeId>,
}

impl<'a> Context<'a> {
    /// Makes a context. `ids` supplies a fresh exchange id for each document sent.
    pub fn new(tx: &'a mut dyn Tx, now: Timestamp, ids: &'a mut dyn FnMut() -> ExchangeId) -> Self {
        Self { tx, now, outgoing: Vec::new(), ids, sent: Vec::new() }
    }

    /// Hands a document over for sending; it is signed, logged and queued in this transaction.
    /// Returns the id under which it will travel.
    pub fn send(&mut self, document: Outgoing) -> ExchangeId {
        let id = (self.ids)();
        self.sent.push(id);
        self.outgoing.push(document);
        id
    }

    /// Ends the act and returns the documents to send, each with its id.
    pub fn finish(self) -> Vec<(ExchangeId, Outgoing)> {
        self.sent.into_iter().zip(self.outgoing).collect()
    }
}
