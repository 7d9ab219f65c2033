//! The common shape of the two state machines: one table of rows, and one way to look it up.
//!
//! Where the prose of the protocol allows more than its diagram (a termination by either side in
//! any state that is not final), a received message is judged by the prose, and a message that we
//! send by the diagram. Such rows are marked.

use karvan_types::ErrorKind;

use crate::message::Role;

/// One allowed step.
#[derive(Clone, Copy, Debug)]
pub struct Row<S, A> {
    /// The state before; `None` before the process exists.
    pub from: Option<S>,
    /// What is said.
    pub act: A,
    /// Who may say it.
    pub by: By,
    /// The state after.
    pub to: S,
}

/// Who may take a step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum By {
    /// Only the consumer.
    Consumer,
    /// Only the provider.
    Provider,
    /// Either side.
    Either,
    /// This side by the diagram, the other one only by the prose.
    Mostly(Role),
}

impl By {
    fn may_receive(self, sender: Role) -> bool {
        match self {
            Self::Consumer => sender == Role::Consumer,
            Self::Provider => sender == Role::Provider,
            Self::Either | Self::Mostly(_) => true,
        }
    }

    fn may_send(self, sender: Role) -> bool {
        match self {
            Self::Mostly(role) => sender == role,
            _ => self.may_receive(sender),
        }
    }
}

/// A message does not fit the state of its process, or its sender. The state stays as it was.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Illegal {
    /// A sentence for the peer: what was not allowed, and what would be.
    pub reason: String,
}

impl Illegal {
    /// Returns what this means to the caller. The protocol's own answer is status 400, never 404.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

/// Which of the two readings of the protocol a step is judged by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reading {
    Received,
    Sent,
}

/// A state or an act, which has a word for people.
pub(crate) trait Named: Copy + PartialEq {
    fn word(self) -> &'static str;
}

/// Returns the state after a step.
pub(crate) fn next<S: Named, A: Named>(
    table: &[Row<S, A>],
    reading: Reading,
    (state, act, sender): (Option<S>, A, Role),
) -> Result<S, Illegal> {
    let allowed = |row: &&Row<S, A>| {
        row.from == state
            && match reading {
                Reading::Received => row.by.may_receive(sender),
                Reading::Sent => row.by.may_send(sender),
            }
    };
    if let Some(row) = table.iter().filter(allowed).find(|row| row.act == act) {
        return Ok(row.to);
    }
    let place = state.map_or_else(
        || "before the process exists".to_owned(),
        |state| format!("in state {}", state.word()),
    );
    let others: Vec<_> = table.iter().filter(allowed).map(|row| row.act.word()).collect();
    let may = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
    let (who, what) = (sender.name(), act.word());
    let reason = format!("{what} by the {who} is not allowed {place}; the {who} may send {may}");
    Err(Illegal { reason })
}
