//! What a sub-system may do while it handles something.

use karvan_store::{Error, Tx};
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

/// What an operator must look at, raised by a sub-system.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// Stable code, such as `customs.waits-too-long`.
    pub code: &'static str,
    /// What is the matter and what to do, in plain words, without personal data.
    pub text: String,
}

/// What an act asks the kernel for; it commits with the act or not at all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Wanted {
    /// Documents to send, each with the id under which it travels.
    pub documents: Vec<(ExchangeId, Outgoing)>,
    /// Alarms to raise.
    pub warnings: Vec<Warning>,
    /// Whether the body of the document in hand is not to be kept.
    pub drop_body: bool,
}

/// What the agreements in force say, for sub-systems that release documents in part, or send some
/// only where that is agreed.
pub trait Terms {
    /// Returns whether an agreement in force lets a member send documents of a type to another.
    fn allows(&self, sender: &MemberId, recipient: &MemberId, code: &str) -> bool;

    /// Returns how much of a document the agreement under which it would now travel lets its
    /// sender release, in the words of the sub-system; nothing when it does not say.
    fn sharing_level(&self, sender: &MemberId, recipient: &MemberId, code: &str) -> Option<String>;
}

/// The transaction in hand, the instant, and the documents to send with it.
pub struct Context<'a> {
    /// The transaction. Everything written through it commits with the receipt.
    pub tx: &'a mut dyn Tx,
    /// The instant of this act.
    pub now: Timestamp,
    wanted: Wanted,
    ids: &'a mut dyn FnMut() -> ExchangeId,
    terms: Option<&'a dyn Terms>,
}

impl<'a> Context<'a> {
    /// Makes a context. `ids` supplies a fresh exchange id for each document sent.
    pub fn new(tx: &'a mut dyn Tx, now: Timestamp, ids: &'a mut dyn FnMut() -> ExchangeId) -> Self {
        Self { tx, now, wanted: Wanted::default(), ids, terms: None }
    }

    /// Adds what the agreements in force say.
    #[must_use]
    pub fn with_terms(self, terms: &'a dyn Terms) -> Self {
        Self { terms: Some(terms), ..self }
    }

    /// Returns whether an agreement in force lets a member send documents of a type to another; a
    /// context without [`Terms`] allows all. What is sent without it is refused by the kernel, and
    /// the act with it.
    pub fn allows(&self, sender: &MemberId, recipient: &MemberId, code: &str) -> bool {
        self.terms.is_none_or(|terms| terms.allows(sender, recipient, code))
    }

    /// Returns how much of a document the agreement in force lets its sender release; see
    /// [`Terms`].
    pub fn sharing_level(
        &self,
        sender: &MemberId,
        recipient: &MemberId,
        code: &str,
    ) -> Option<String> {
        self.terms.and_then(|terms| terms.sharing_level(sender, recipient, code))
    }

    /// Returns the documents handed over for sending so far, each with its id, to be changed
    /// before they are signed.
    pub fn outgoing_mut(&mut self) -> &mut Vec<(ExchangeId, Outgoing)> {
        &mut self.wanted.documents
    }

    /// Asks that the body of the document in hand is not kept, since it holds what this side must
    /// not have; its digest, signature and receipts stay.
    pub fn drop_body(&mut self) {
        self.wanted.drop_body = true;
    }

    /// Hands a document over for sending; it is signed, logged and queued in this transaction.
    /// Returns the id under which it will travel.
    pub fn send(&mut self, document: Outgoing) -> ExchangeId {
        let id = (self.ids)();
        self.wanted.documents.push((id, document));
        id
    }

    /// Raises an alarm for the operators of this node, with an entry in the evidence log.
    pub fn warn(&mut self, code: &'static str, text: impl Into<String>) {
        self.wanted.warnings.push(Warning { code, text: text.into() });
    }

    /// Does a part of the act by itself: when it is refused, what it wrote and what it asked
    /// for are taken back, and the rest of the act goes on.
    pub fn nested<T>(
        &mut self,
        work: impl FnOnce(&mut Context<'_>) -> Result<T, Rejection>,
    ) -> Result<T, Rejection> {
        let Self { tx, now, wanted, ids, terms } = self;
        let (mut work, mut found) = (Some(work), None);
        let done = tx.nested(&mut |tx| {
            let Some(work) = work.take() else { return Ok(()) };
            let mut part = Context { terms: *terms, ..Context::new(tx, *now, &mut **ids) };
            let result = work(&mut part);
            let kept = result.is_ok();
            if kept {
                wanted.documents.append(&mut part.wanted.documents);
                wanted.warnings.append(&mut part.wanted.warnings);
                wanted.drop_body |= part.wanted.drop_body;
            }
            found = Some(result);
            if kept { Ok(()) } else { Err(Error::RolledBack("a part was refused".to_owned())) }
        });
        match (found, done) {
            (Some(Err(refusal)), Err(Error::RolledBack(_))) => Err(refusal),
            (_, Err(error)) => Err(error.into()),
            (Some(result), Ok(())) => result,
            (None, Ok(())) => Err(Error::Stopped.into()),
        }
    }

    /// Ends the act and returns what it asks for.
    pub fn finish(self) -> Wanted {
        self.wanted
    }
}
