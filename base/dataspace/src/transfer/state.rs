//! The state machine of transfer processes: one table.

use std::fmt;

use crate::message::Role;
use crate::state::{By, Illegal, Named, Reading, Row};

/// Where a transfer stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// The consumer asked.
    Requested,
    /// Data may flow.
    Started,
    /// Paused by either side.
    Suspended,
    /// All data went over.
    Completed,
    /// Ended before that.
    Terminated,
}

impl State {
    /// Every state with its name on the wire.
    pub const NAMES: &[(&'static str, Self)] = &[
        ("REQUESTED", Self::Requested),
        ("STARTED", Self::Started),
        ("SUSPENDED", Self::Suspended),
        ("COMPLETED", Self::Completed),
        ("TERMINATED", Self::Terminated),
    ];

    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requested => "REQUESTED",
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// Returns the state with this name, such as one read from storage.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, state)| *state)
    }

    /// Returns whether nothing can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a message does to a transfer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Act {
    /// The request.
    Request,
    /// A start, or a resumption.
    Start,
    /// A suspension.
    Suspend,
    /// The completion.
    Complete,
    /// The termination.
    Terminate,
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 5] =
        [Self::Request, Self::Start, Self::Suspend, Self::Complete, Self::Terminate];

    /// Returns the word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "a transfer request",
            Self::Start => "a start",
            Self::Suspend => "a suspension",
            Self::Complete => "the completion",
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
    use Act::{Complete, Request, Start, Suspend, Terminate};
    use State::{Completed, Requested, Started, Suspended, Terminated};
    &[
        row(None, Request, By::Consumer, Requested),
        row(Some(Requested), Start, By::Provider, Started),
        row(Some(Requested), Terminate, By::Either, Terminated),
        row(Some(Started), Suspend, By::Either, Suspended),
        row(Some(Started), Complete, By::Either, Completed),
        row(Some(Started), Terminate, By::Either, Terminated),
        row(Some(Suspended), Start, By::Either, Started),
        row(Some(Suspended), Terminate, By::Either, Terminated),
    ]
};

/// Returns the state after a message, received or sent; `None` is a process that does not exist
/// yet.
pub fn next(state: Option<State>, act: Act, sender: Role) -> Result<State, Illegal> {
    crate::state::next(TABLE, Reading::Received, (state, act, sender))
}

#[cfg(test)]
mod tests;
