#![doc = include_str!("../README.md")]

mod context;
mod document;
pub mod interface;
pub mod openapi;
mod rejection;
pub mod testkit;

pub use context::{Caller, Context, Terms, Wanted, Warning};
pub use document::{Document, DocumentType, News, Outgoing, Progress};
pub use rejection::{Pointer, Rejection};

use karvan_store::{Migration, Read};
use karvan_types::{MemberId, Timestamp};

use crate::interface::{Interface, Notices};

/// An operation that people and scripts call through the node's local interface.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Name within the sub-system, such as `claim`.
    pub name: &'static str,
    /// Permission that the caller's token must hold, such as `customs.decide`.
    pub permission: &'static str,
    /// Whether it runs in a transaction ([`Subsystem::operate`]) or on a view
    /// ([`Subsystem::query`]).
    pub writes: bool,
    /// One sentence for help texts.
    pub about: &'static str,
}

/// One field of cooperation over the kernel.
///
/// All methods are synchronous and work on what they are handed: they must not wait, read a clock
/// or make random choices, so that a node replays alike inside the simulation.
pub trait Subsystem: Send + Sync {
    /// Returns the name: lower case, also the prefix of its tables.
    fn name(&self) -> &'static str;

    /// Returns its schema, in order.
    fn migrations(&self) -> &'static [Migration];

    /// Returns the document types that it handles.
    fn document_types(&self) -> &'static [DocumentType];

    /// Returns the operations that it offers.
    fn operations(&self) -> &'static [Operation];

    /// Takes effect of a received document, inside the transaction of its receipt.
    ///
    /// A [`Rejection`] undoes what this call wrote; the sender gets it as a signed refusal and the
    /// document is kept as a dead letter.
    fn receive(&self, cx: &mut Context<'_>, document: &Document<'_>) -> Result<(), Rejection>;

    /// Runs an operation that writes; its effect and the documents that it sends commit together.
    fn operate(
        &self,
        cx: &mut Context<'_>,
        caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection>;

    /// Runs an operation that only reads.
    fn query(
        &self,
        view: &dyn Read,
        now: Timestamp,
        caller: &Caller,
        operation: &str,
        input: serde_json::Value,
    ) -> Result<serde_json::Value, Rejection>;

    /// Is told how far a document of one of its types has come, in the transaction that stores the
    /// receipt or the refusal. A failure undoes what this call wrote, is alarmed, and leaves the
    /// receipt.
    fn progressed(&self, cx: &mut Context<'_>, progress: &Progress) -> Result<(), Rejection> {
        let _ = (cx, progress);
        Ok(())
    }

    /// Tells whether something waits that is due at `now`. Asked about once a second, so it must
    /// be one cheap look; nothing is due unless a sub-system says so.
    fn due(&self, view: &dyn Read, now: Timestamp) -> Result<bool, Rejection> {
        let _ = (view, now);
        Ok(false)
    }

    /// Does one bounded batch of what is due; its effect and the documents that it sends commit
    /// together. Called again while [`Subsystem::due`] says so.
    fn run_due(&self, cx: &mut Context<'_>) -> Result<(), Rejection> {
        let _ = cx;
        Ok(())
    }

    /// Is told, in a transaction of its own, that the last batch failed and was undone, so that
    /// what cannot be done now is put off and does not hold up the rest.
    fn put_off(&self, cx: &mut Context<'_>, cause: &Rejection) -> Result<(), Rejection> {
        let _ = (cx, cause);
        Ok(())
    }

    /// Returns what it offers to agencies' systems over HTTP; nothing unless it says so.
    fn interface(&self) -> Option<&'static Interface> {
        None
    }

    /// Returns what happened after line `after` of its journal and concerns this member, among at
    /// most `limit` lines looked at. Lines are never changed, removed or put in between.
    fn notices(
        &self,
        view: &dyn Read,
        member: &MemberId,
        after: u64,
        limit: usize,
    ) -> Result<Notices, Rejection> {
        let _ = (view, member, limit);
        Ok(Notices { rows: Vec::new(), seen: after })
    }
}
