//! Where a certificate, an export declaration, a claimed item and a verification stand, and what
//! may happen to them next: four tables, one type of status.
//!
//! A status is changed by an event and in no other way: [`Status`] begins at the chart's start and
//! [`Status::step`] looks the event up in the chart's table. What the table does not hold is
//! refused, so no document and no operation can bring anything into a state that is not drawn in
//! `docs/use/choreography.md`.
//!
//! Invariants: every state of a chart is reached from its start; a state and an event lead to one
//! state.
//!
//! Not here: what follows from a step (`crate::subsystem`).

mod certificate;
mod claim;
mod export;
mod verification;

pub use certificate::{CertificateEvent, CertificateState};
pub use claim::{ClaimEvent, ItemState};
pub use export::{ExportEvent, ExportState};
pub use verification::{VerificationEvent, VerificationState};

use std::fmt::{Debug, Write as _};
use std::ops::Deref;

use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Whose act an event is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// The issuer of the certificate.
    Issuer,
    /// The customs service of the exporting side.
    ExportCustoms,
    /// The customs service of the importing side, by its rules.
    ImportCustoms,
    /// The customs service of either side.
    Customs,
    /// An officer of the importing side.
    Officer,
    /// The node of the receiving side.
    Node,
    /// Time.
    Clock,
}

impl Who {
    /// Returns the word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::ExportCustoms => "exporting customs",
            Self::ImportCustoms => "importing customs",
            Self::Customs => "customs of either side",
            Self::Officer => "officer",
            Self::Node => "receiving node",
            Self::Clock => "clock",
        }
    }
}

/// A line of a table: in this state, this event, by whom, leads there.
#[derive(Clone, Copy, Debug)]
pub struct Row<S, E> {
    /// The state before.
    pub from: S,
    /// What happens.
    pub event: E,
    /// The state after.
    pub to: S,
    /// Whose act it is.
    pub who: Who,
}

/// A state machine as a table.
pub trait Chart: Copy + Debug + DeserializeOwned + Eq + Serialize + 'static {
    /// What can happen.
    type Event: Copy + Debug + Eq + 'static;
    /// What it is a machine of, in words.
    const OF: &'static str;
    /// The first state.
    const START: Self;
    /// Every state.
    const STATES: &'static [Self];
    /// Every event.
    const EVENTS: &'static [Self::Event];
    /// The table.
    const ROWS: &'static [Row<Self, Self::Event>];

    /// Returns the stable name of a state.
    fn word(self) -> &'static str;
    /// Returns the stable name of an event.
    fn event_word(event: Self::Event) -> &'static str;
}

/// Where one thing stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent, bound = "S: Chart")]
pub struct Status<S>(S);

/// An event does not happen to a thing in this state.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{of} that is {state} has no `{event}`; look where it stands before trying again")]
pub struct Forbidden {
    /// What it is.
    pub of: &'static str,
    /// The state.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}

impl Forbidden {
    /// Returns the kind.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

impl From<Forbidden> for Rejection {
    fn from(error: Forbidden) -> Self {
        Self::new(error.kind(), "customs.wrong-state", error.to_string())
    }
}

impl<S: Chart> Default for Status<S> {
    fn default() -> Self {
        Self(S::START)
    }
}

impl<S> Deref for Status<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Chart> PartialEq<S> for Status<S> {
    fn eq(&self, state: &S) -> bool {
        self.0 == *state
    }
}

impl<S: Chart> Status<S> {
    /// Returns the state.
    pub const fn get(self) -> S {
        self.0
    }

    /// Returns the state after an event, if the table has one.
    pub fn after(self, event: S::Event) -> Option<S> {
        S::ROWS.iter().find(|row| row.from == self.0 && row.event == event).map(|row| row.to)
    }

    /// Takes a step; an event that the table does not hold for this state changes nothing.
    pub fn step(&mut self, event: S::Event) -> Result<S, Forbidden> {
        let forbidden =
            || Forbidden { of: S::OF, state: self.0.word(), event: S::event_word(event) };
        self.0 = self.after(event).ok_or_else(forbidden)?;
        Ok(self.0)
    }

    /// Takes a step that need not be possible, such as news that came late; returns whether it was.
    pub fn follow(&mut self, event: S::Event) -> bool {
        self.step(event).is_ok()
    }
}

/// Draws a chart as a Mermaid state diagram.
pub fn diagram<S: Chart>() -> String {
    let mut text = "stateDiagram-v2\n".to_owned();
    let id = |state: S| state.word().replace('-', "_");
    for state in S::STATES.iter().filter(|state| state.word().contains('-')) {
        let _ = writeln!(text, "    state \"{}\" as {}", state.word(), id(*state));
    }
    let _ = writeln!(text, "    [*] --> {}", id(S::START));
    for row in S::ROWS.iter().filter(|row| row.from != row.to) {
        let event = S::event_word(row.event);
        let _ = writeln!(text, "    {} --> {}: {event}", id(row.from), id(row.to));
    }
    text
}

/// Writes a chart as a table in Markdown.
pub fn table<S: Chart>() -> String {
    let mut text = "| state | event | by | state after |\n|---|---|---|---|\n".to_owned();
    for row in S::ROWS {
        let (from, to, event) = (row.from.word(), row.to.word(), S::event_word(row.event));
        let _ = writeln!(text, "| {from} | {event} | {} | {to} |", row.who.name());
    }
    text
}

/// Makes an enumeration whose values have stable names.
macro_rules! words {
    ($(#[doc = $about:literal])* $name:ident: $all:ident
        { $($(#[doc = $doc:literal])* $value:ident = $word:literal,)* }) => {
        $(#[doc = $about])*
        #[derive(
            Clone, Copy, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd,
            serde::Serialize,
        )]
        pub enum $name {
            $($(#[doc = $doc])* #[serde(rename = $word)] $value,)*
        }

        const $all: &[$name] = &[$($name::$value,)*];

        impl $name {
            /// Returns the stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }
    };
}

/// Makes a table: each line is states, event, by whom, state after.
macro_rules! chart {
    ($state:ident, $event:ident, $of:literal, $start:ident:
        $($($from:ident)|+ , $what:ident, $who:ident => $to:ident;)*) => {
        impl $crate::states::Chart for $state {
            type Event = $event;
            const OF: &'static str = $of;
            const START: Self = Self::$start;
            const STATES: &'static [Self] = STATES;
            const EVENTS: &'static [$event] = EVENTS;
            const ROWS: &'static [$crate::states::Row<Self, $event>] = &[$($(
                $crate::states::Row {
                    from: Self::$from,
                    event: $event::$what,
                    to: Self::$to,
                    who: $crate::states::Who::$who,
                },
            )+)*];

            fn word(self) -> &'static str {
                self.name()
            }

            fn event_word(event: $event) -> &'static str {
                event.name()
            }
        }
    };
}

pub(crate) use {chart, words};

#[cfg(test)]
mod tests;
