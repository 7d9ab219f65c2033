//! What must happen by when: timers, kept in the store, each about one subject.
//!
//! A timer has a kind, which says whose code takes it up, a subject, and what it is about, such as
//! an exchange or a claimed item. The three name it: setting the same one again moves it. When it
//! is due it is taken out and given to its owner, who may set the next one.
//!
//! Invariants: a timer is taken once; what is taken at once is bounded ([`BATCH_MAX`]).
//!
//! Not here: what follows from each kind (`crate::subsystem`), how long each waits
//! (`data/clocks.toml`).

use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::Timestamp;
use serde::{Deserialize, Serialize};

/// Most timers taken in one batch.
pub const BATCH_MAX: usize = 50;
/// Most timers of one subject, or about one thing, that are looked at.
const SAME_MAX: usize = 100;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal, $about:literal;)*) => {
        /// Why a timer runs; decides whose code takes it up.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        pub enum TimerKind {
            $($(#[doc = $doc])* #[serde(rename = $name)] $kind,)*
        }

        impl TimerKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Returns the stable name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// Says in words what is waited for.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => $about,)*
                }
            }
        }
    };
}

kinds! {
    /// A message was sent; the partner's node should have stored it by then.
    Receipt = "receipt", "the partner's receipt";
    /// The receipt is late and a task is open; then the operators are alarmed.
    ReceiptLate = "receipt-late", "the partner's receipt, which is late";
    /// A message was stored; the partner should have accepted or refused it by then.
    Validation = "validation", "the partner's validation";
    /// The validation is late and a task is open; then the operators are alarmed.
    ValidationLate = "validation-late", "the partner's validation, which is late";
    /// A message came before the one on which it builds; then the partner is asked for that one.
    ParkedAsk = "parked-ask", "the document on which a message builds";
    /// It still waits; then the operators are alarmed.
    ParkedAlarm = "parked-alarm", "the document on which a message builds, asked for already";
    /// The partner was asked whether it knows a certificate.
    NumberAsked = "number-asked", "the partner's word whether it knows a certificate";
    /// Every month: figures are told to the partner.
    MonthlyMirror = "monthly-mirror", "the monthly report of figures";
    /// Every night: what was sent is told to the partner.
    NightlySequence = "nightly-sequence", "the nightly comparison of what was sent";
    /// Certificates were debited: the balances are told to the partner at night.
    Balances = "balances", "the nightly statement of balances";
    /// An announced consignment should have arrived by then.
    Arrival = "arrival", "the arrival of announced goods";
    /// An answer to a verification is due in some days; then whoever waits or is asked is reminded.
    VerificationReminder = "verification-reminder", "a reminder of an answer that is due";
    /// The last day for the answer to a verification; then nobody waits any more.
    VerificationDue = "verification-due", "the answer to a verification";
    /// A security ends before the decision; then it must be renewed, or the decision made.
    SecurityEnds = "security-ends", "the end of a security";
    /// The balance of a certificate changed, and more claims on it are open than were looked at.
    BalanceChanged = "balance-changed", "a new match of the open claims on a certificate";
    /// A certificate came on which more was granted on paper than one transaction debits.
    GrantsUnseen = "grants-unseen", "the debit of grants that were made on paper";
    /// Nothing has come from the partner for long, though something is expected.
    PartnerSilent = "partner-silent", "a sign of life from the partner";
}

/// Something that must happen by an instant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// Why it runs.
    pub kind: TimerKind,
    /// What it belongs to, such as `certificate AZ:…`.
    pub subject: String,
    /// What exactly is waited for, such as an exchange or a claimed item; unique with the rest.
    pub about: String,
    /// Since when it runs.
    pub since: Timestamp,
    /// When it is due.
    pub due: Timestamp,
    /// What else its owner needs to know, or a person wants to read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Where timers are kept.
pub(crate) static TIMERS: Table = Table {
    name: "customs_timer",
    columns: &["due", "subject", "about"],
    indexes: &[
        Index { name: "by_due", columns: &["due"], unique: false },
        Index { name: "by_subject", columns: &["subject"], unique: false },
        Index { name: "by_about", columns: &["about"], unique: false },
    ],
};

fn key(kind: TimerKind, subject: &str, about: &str) -> String {
    format!("{} {subject} {about}", kind.name())
}

impl Record for Timer {
    const TABLE: &'static Table = &TIMERS;

    fn key(&self) -> Value {
        key(self.kind, &self.subject, &self.about).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.due.as_millis().into(), self.subject.as_str().into(), self.about.as_str().into()]
    }
}

impl Timer {
    /// Makes a timer that runs from `since` to `due`.
    pub fn new(
        kind: TimerKind,
        subject: &str,
        about: &str,
        since: Timestamp,
        due: Timestamp,
    ) -> Self {
        let (subject, about) = (subject.to_owned(), about.to_owned());
        Self { kind, subject, about, since, due, note: String::new() }
    }

    /// Adds a note.
    #[must_use]
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Sets a timer, or moves the one of the same kind, subject and thing.
pub fn set(tx: &mut dyn Tx, timer: &Timer) -> Result<(), Error> {
    tx.save(timer)
}

/// Returns one timer.
pub fn find(
    view: &dyn Read,
    kind: TimerKind,
    subject: &str,
    about: &str,
) -> Result<Option<Timer>, Error> {
    view.find(key(kind, subject, about))
}

/// Stops one timer; returns whether it ran.
pub fn cancel(tx: &mut dyn Tx, kind: TimerKind, subject: &str, about: &str) -> Result<bool, Error> {
    tx.remove::<Timer>(key(kind, subject, about))
}

/// Stops the timers of these kinds about one thing; returns those that ran.
pub fn cancel_about(
    tx: &mut dyn Tx,
    about: &str,
    kinds: &[TimerKind],
) -> Result<Vec<Timer>, Error> {
    let range = Range::of("by_about", vec![about.into()], SAME_MAX);
    let mut stopped: Vec<Timer> = tx.select(&range)?;
    stopped.retain(|timer| kinds.contains(&timer.kind));
    for timer in &stopped {
        tx.remove::<Timer>(timer.key())?;
    }
    Ok(stopped)
}

/// Stops the timers of these kinds of a subject; returns those that ran.
pub fn cancel_subject(
    tx: &mut dyn Tx,
    subject: &str,
    kinds: &[TimerKind],
) -> Result<Vec<Timer>, Error> {
    let range = Range::of("by_subject", vec![subject.into()], SAME_MAX);
    let mut stopped: Vec<Timer> = tx.select(&range)?;
    stopped.retain(|timer| kinds.contains(&timer.kind));
    for timer in &stopped {
        tx.remove::<Timer>(timer.key())?;
    }
    Ok(stopped)
}

fn due_range(now: Timestamp, limit: usize) -> Range {
    Range::of("by_due", Vec::new(), limit).to(now.as_millis())
}

/// Returns whether a timer is due.
pub fn is_due(view: &dyn Read, now: Timestamp) -> Result<bool, Error> {
    Ok(!view.scan(&TIMERS, &due_range(now, 1))?.is_empty())
}

/// Takes out the timers that are due, the oldest first, at most `limit`.
pub fn take_due(tx: &mut dyn Tx, now: Timestamp, limit: usize) -> Result<Vec<Timer>, Error> {
    let due: Vec<Timer> = tx.select(&due_range(now, limit))?;
    for timer in &due {
        tx.remove::<Timer>(timer.key())?;
    }
    Ok(due)
}

/// Returns the timers in the order in which they fall due, of one subject or of all.
pub fn list(view: &dyn Read, subject: Option<&str>, limit: usize) -> Result<Vec<Timer>, Error> {
    let Some(subject) = subject else {
        return view.select(&Range::of("by_due", Vec::new(), limit));
    };
    let mut timers: Vec<Timer> =
        view.select(&Range::of("by_subject", vec![subject.into()], limit))?;
    timers.sort_by_key(|timer| timer.due);
    Ok(timers)
}

#[cfg(test)]
mod tests;
