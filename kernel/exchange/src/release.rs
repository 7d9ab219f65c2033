//! What the agreements let a member send, and how much of it, for the sub-systems.
//!
//! Not here: what a level means (the sub-system whose documents they are).

use karvan_subsystem::Terms;
use karvan_types::{MemberId, Timestamp};

use crate::node::Inner;
use crate::records::Envelope;

/// The agreements in force at an instant.
pub(crate) struct AgreedTerms<'a> {
    pub(crate) node: &'a Inner,
    pub(crate) now: Timestamp,
}

impl Terms for AgreedTerms<'_> {
    fn allows(&self, sender: &MemberId, recipient: &MemberId, code: &str) -> bool {
        let book = self.node.config.agreements.book();
        book.find_document(sender, recipient, code, self.now).is_ok()
    }

    fn sharing_level(&self, sender: &MemberId, recipient: &MemberId, code: &str) -> Option<String> {
        let book = self.node.config.agreements.book();
        let allowed = book.find_document(sender, recipient, code, self.now).ok()?;
        allowed.grant.sharing_level.clone()
    }
}

impl Inner {
    /// Returns the level that the agreement of a received document allows its sender.
    pub(crate) fn level_of(&self, envelope: &Envelope) -> Option<String> {
        let book = self.config.agreements.book();
        let grants = book.get(&envelope.agreement)?.agreement.grants.iter();
        let grant = grants.into_iter().find(|grant| {
            grant.client == envelope.sender
                && grant.provider == envelope.recipient
                && grant.covers_document(&envelope.code)
        });
        grant.and_then(|grant| grant.sharing_level.clone())
    }
}
