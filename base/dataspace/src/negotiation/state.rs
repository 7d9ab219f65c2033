//! The state machine of contract negotiation: one table.

use std::fmt;

use crate::message::Role;
use crate::state::{By, Illegal, Named, Reading, Row};

/// Where a negotiation stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// The consumer asked, or made a counter-offer.
    Requested,
    /// The provider offered.
    Offered,
    /// The consumer took the offer.
    Accepted,
    /// The provider gave the agreement.
    Agreed,
    /// The consumer verified the agreement.
    Verified,
    /// The agreement is in force.
    Finalized,
    /// Ended without an agreement.
    Terminated,
}

impl State {
    /// Every state with its name on the wire.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("REQUESTED", Self::Requested),
        ("OFFERED", Self::Offered),
        ("ACCEPTED", Self::Accepted),
        ("AGREED", Self::Agreed),
        ("VERIFIED", Self::Verified),
        ("FINALIZED", Self::Finalized),
        ("TERMINATED", Self::Terminated),
    ];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Returns the state with this name, such as one read from storage.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
    }

    /// Returns whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a message does to a negotiation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Act {
    /// A request, or a counter-offer of the consumer.
    Request,
    /// An offer of the provider.
    Offer,
    /// The event ACCEPTED.
    Accept,
    /// The agreement.
    Agree,
    /// The verification of the agreement.
    Verify,
    /// The event FINALIZED.
    Finalize,
    /// The termination.
    Terminate,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Offer,
        Self::Accept,
        Self::Agree,
        Self::Verify,
        Self::Finalize,
        Self::Terminate,
    ];

    /// Returns the word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "a contract request",
            Self::Offer => "a contract offer",
            Self::Accept => "the event ACCEPTED",
            Self::Agree => "the agreement",
            Self::Verify => "the verification of the agreement",
            Self::Finalize => "the event FINALIZED",
            Self::Terminate => "a termination",
        }
    }
}

impl Named for State {
    fn word(self) -> &'static str {
        self.name()
    }
}

impl Named for Act {
    fn word(self) -> &'static str {
        self.name()
    }
}

const fn row(from: Option<State>, act: Act, by: By, to: State) -> Row<State, Act> {
    Row { from, act, by, to }
}

/// Every allowed step; all else is refused.
pub const TABLE: &[Row<State, Act>] = {
    use Act::{Accept, Agree, Finalize, Offer, Request, Terminate, Verify};
    use State::{Accepted, Agreed, Finalized, Offered, Requested, Terminated, Verified};
    &[
        row(None, Request, By::Consumer, Requested),
        row(None, Offer, By::Provider, Offered),
        row(Some(Requested), Offer, By::Provider, Offered),
        row(Some(Requested), Agree, By::Provider, Agreed),
        row(Some(Offered), Request, By::Consumer, Requested),
        row(Some(Offered), Accept, By::Consumer, Accepted),
        row(Some(Accepted), Agree, By::Provider, Agreed),
        row(Some(Agreed), Verify, By::Consumer, Verified),
        row(Some(Verified), Finalize, By::Provider, Finalized),
        row(Some(Requested), Terminate, By::Either, Terminated),
        row(Some(Offered), Terminate, By::Either, Terminated),
        row(Some(Accepted), Terminate, By::Mostly(Role::Provider), Terminated),
        row(Some(Agreed), Terminate, By::Mostly(Role::Consumer), Terminated),
        row(Some(Verified), Terminate, By::Mostly(Role::Provider), Terminated),
    ]
};

/// Returns the state after a received message; `None` is a process that does not exist yet.
pub fn next(state: Option<State>, act: Act, sender: Role) -> Result<State, Illegal> {
    crate::state::next(TABLE, Reading::Received, (state, act, sender))
}

/// Returns the state after a message that we send, by the narrower diagram.
pub fn next_sent(state: Option<State>, act: Act, sender: Role) -> Result<State, Illegal> {
    crate::state::next(TABLE, Reading::Sent, (state, act, sender))
}

#[cfg(test)]
mod tests;
