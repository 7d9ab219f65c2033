//! What happened: every message raw, every event in words, parked messages, tasks for officers.
//!
//! A *subject* names what something is about: `certificate AZ:…`, `export AZ:…` or `claim …`.
//!
//! Invariants: a message is kept exactly as it was signed, also when it was refused; events are
//! only ever added; a task is closed, never removed.

use karvan_store::{Error, Index, Range, Read, Record, Table, Tx, Value};
use karvan_types::{Digest, ExchangeId, MemberId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::messages::ValidationError;

/// Direction of a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It came from another member.
    In,
    /// It was sent from here.
    Out,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Received and taken into account, or sent and accepted by the receiver.
    Accepted,
    /// Refused by this side or by the receiver, with pointers.
    Rejected,
    /// Received before the message on which it builds; kept until that arrives.
    Parked,
    /// Sent and not answered yet.
    Sent,
    /// Received again with the same content; nothing changed.
    Duplicate,
}

/// A message of either direction.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MessageRecord {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Direction.
    pub direction: Direction,
    /// Document type, such as `COO`.
    pub code: String,
    /// Who signed it.
    pub sender: MemberId,
    /// For whom it is.
    pub recipient: MemberId,
    /// The sender's own reference (`FunctionalReferenceID`).
    pub reference: String,
    /// What it is about.
    pub subject: String,
    /// When it was received or sent.
    pub at: Timestamp,
    /// What became of it.
    pub state: MessageState,
    /// What the refusing side wants changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ValidationError>,
    /// Digest of the bytes.
    pub digest: Digest,
    /// The message as signed.
    pub raw: String,
}

/// Where messages are kept.
pub(crate) static MESSAGES: Table = Table {
    name: "customs_message",
    columns: &["subject", "sender", "reference", "state"],
    indexes: &[
        Index { name: "by_subject", columns: &["subject"], unique: false },
        Index { name: "by_reference", columns: &["sender", "reference"], unique: false },
    ],
};

impl Record for MessageRecord {
    const TABLE: &'static Table = &MESSAGES;

    fn key(&self) -> Value {
        // The same exchange has one id on both sides, which may share one store.
        let direction = if self.direction == Direction::In { "in" } else { "out" };
        format!("{}:{direction}", self.exchange).into()
    }

    fn columns(&self) -> Vec<Value> {
        let state = match self.state {
            MessageState::Accepted => "accepted",
            MessageState::Rejected => "rejected",
            MessageState::Parked => "parked",
            MessageState::Sent => "sent",
            MessageState::Duplicate => "duplicate",
        };
        vec![
            self.subject.as_str().into(),
            self.sender.as_str().into(),
            self.reference.as_str().into(),
            state.into(),
        ]
    }
}

/// Most messages of one sender's reference that are looked at.
const SAME_REFERENCE_MAX: usize = 20;

impl MessageRecord {
    /// Returns the earlier messages of this sender under this reference, oldest first.
    pub fn of_reference(
        tx: &dyn Tx,
        sender: &MemberId,
        reference: &str,
    ) -> Result<Vec<Self>, Error> {
        let prefix = vec![sender.as_str().into(), reference.into()];
        tx.select(&Range::of("by_reference", prefix, SAME_REFERENCE_MAX))
    }
}

/// A line of the history of a subject.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    /// Number of the line.
    pub line: u64,
    /// What it is about.
    pub subject: String,
    /// When.
    pub at: Timestamp,
    /// The member, and the person where there is one.
    pub by: String,
    /// What happened, in words.
    pub text: String,
}

/// Where events are kept.
pub(crate) static EVENTS: Table = Table {
    name: "customs_event",
    columns: &["subject"],
    indexes: &[Index { name: "by_subject", columns: &["subject"], unique: false }],
};

impl Record for Event {
    const TABLE: &'static Table = &EVENTS;

    fn key(&self) -> Value {
        self.line.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.subject.as_str().into()]
    }
}

/// Writes an event.
pub fn note(
    tx: &mut dyn Tx,
    at: Timestamp,
    subject: &str,
    by: &str,
    text: impl Into<String>,
) -> Result<(), Error> {
    let line = tx.next(EVENTS.name)?;
    let (subject, by) = (subject.to_owned(), by.to_owned());
    tx.add(&Event { line, subject, at, by, text: text.into() })
}

/// A message that came before the one on which it builds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Parked {
    /// The exchange that brought it; its message is kept under the same id.
    pub exchange: ExchangeId,
    /// Subject whose arrival releases it.
    pub waits_for: String,
    /// Roles of its sender on the day it arrived.
    pub sender_roles: Vec<String>,
    /// When it arrived.
    pub at: Timestamp,
}

/// Where parked messages wait.
pub(crate) static PARKED: Table = Table {
    name: "customs_parked",
    columns: &["waits_for"],
    indexes: &[Index { name: "by_subject", columns: &["waits_for"], unique: false }],
};

impl Record for Parked {
    const TABLE: &'static Table = &PARKED;

    fn key(&self) -> Value {
        self.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.waits_for.as_str().into()]
    }
}

/// Why an officer has something to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// A document was amended after a decision rested on it.
    AmendedAfterDecision,
    /// A document was cancelled after a decision rested on it.
    CancelledAfterDecision,
    /// The value looks too low: valuation looks at it.
    Valuation,
    /// The partner was asked a question, or asks one; a claim waits for the answer.
    PartnerQuery,
    /// One reference came with two contents.
    SameReferenceOtherContent,
    /// The partner debited more than is certified.
    Overdrawn,
    /// The partner refused a document.
    RefusedByPartner,
    /// A quota has more for an item that was decided when it was short.
    QuotaReopened,
    /// The national customs system wants something done about a declaration.
    NationalResponse,
    /// The partner's receipt or validation of a message is late.
    AnswerMissing,
    /// A message was not delivered.
    NotDelivered,
    /// A message waits too long for the one on which it builds.
    WaitsTooLong,
    /// A certificate came from a member that is not known as an issuer.
    IssuerNotKnown,
    /// Nothing comes from the partner.
    PartnerSilent,
    /// Announced goods have not arrived.
    NeverArrived,
    /// A grant against a red match waits for a second officer.
    OverrideToConfirm,
    /// Money is to be collected, given back or refunded after a decision.
    DutySettlement,
    /// A security ends before the decision.
    SecurityEnds,
    /// Papers differ so much that the issuer should verify the certificate.
    VerificationSuggested,
    /// The partner asks to verify a certificate; an answer is due.
    VerificationAsked,
    /// An answer to a verification is due soon.
    VerificationDue,
    /// A verification was answered, or the time for the answer has passed.
    VerificationEnded,
    /// A consignment is in the red lane: its goods are examined before release.
    RedLane,
    /// The partner's figures of a month differ from own records.
    MirrorDiffers,
    /// A cargo report names a consignment of which no export declaration is here.
    CargoUnmatched,
}

impl TaskKind {
    /// All kinds.
    pub const ALL: [Self; 25] = [
        Self::AmendedAfterDecision,
        Self::CancelledAfterDecision,
        Self::Valuation,
        Self::PartnerQuery,
        Self::SameReferenceOtherContent,
        Self::Overdrawn,
        Self::RefusedByPartner,
        Self::QuotaReopened,
        Self::NationalResponse,
        Self::AnswerMissing,
        Self::NotDelivered,
        Self::WaitsTooLong,
        Self::IssuerNotKnown,
        Self::PartnerSilent,
        Self::NeverArrived,
        Self::OverrideToConfirm,
        Self::DutySettlement,
        Self::SecurityEnds,
        Self::VerificationSuggested,
        Self::VerificationAsked,
        Self::VerificationDue,
        Self::VerificationEnded,
        Self::RedLane,
        Self::MirrorDiffers,
        Self::CargoUnmatched,
    ];

    /// Returns the stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AmendedAfterDecision => "amended-after-decision",
            Self::CancelledAfterDecision => "cancelled-after-decision",
            Self::Valuation => "valuation",
            Self::PartnerQuery => "partner-query",
            Self::SameReferenceOtherContent => "same-reference-other-content",
            Self::Overdrawn => "overdrawn",
            Self::RefusedByPartner => "refused-by-partner",
            Self::QuotaReopened => "quota-reopened",
            Self::RedLane => "red-lane",
            Self::MirrorDiffers => "mirror-differs",
            Self::CargoUnmatched => "cargo-unmatched",
            Self::NationalResponse => "national-response",
            Self::AnswerMissing => "answer-missing",
            Self::NotDelivered => "not-delivered",
            Self::WaitsTooLong => "waits-too-long",
            Self::IssuerNotKnown => "issuer-not-known",
            Self::PartnerSilent => "partner-silent",
            Self::NeverArrived => "never-arrived",
            Self::OverrideToConfirm => "override-to-confirm",
            Self::DutySettlement => "duty-settlement",
            Self::SecurityEnds => "security-ends",
            Self::VerificationSuggested => "verification-suggested",
            Self::VerificationAsked => "verification-asked",
            Self::VerificationDue => "verification-due",
            Self::VerificationEnded => "verification-ended",
        }
    }
}

/// Something that an officer must look at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Number of the task.
    pub number: u64,
    /// Why.
    pub kind: TaskKind,
    /// What it is about.
    pub subject: String,
    /// What to do, in words.
    pub text: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was closed, by whom, and what was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closing>,
}

/// How a task ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Closing {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What was done.
    pub text: String,
}

/// Where tasks are kept.
pub(crate) static TASKS: Table = Table {
    name: "customs_task",
    columns: &["state", "subject", "kind"],
    indexes: &[
        Index { name: "by_state", columns: &["state"], unique: false },
        Index { name: "by_subject", columns: &["subject", "state"], unique: false },
    ],
};

impl Record for Task {
    const TABLE: &'static Table = &TASKS;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        let state = if self.closed.is_some() { "closed" } else { "open" };
        vec![state.into(), self.subject.as_str().into(), self.kind.name().into()]
    }
}

/// Most open tasks of one subject that are looked at.
const OPEN_TASKS_MAX: usize = 100;

/// Opens a task, unless the same one is open already.
pub fn open_task(
    tx: &mut dyn Tx,
    at: Timestamp,
    kind: TaskKind,
    subject: &str,
    text: String,
) -> Result<(), Error> {
    let open = vec![subject.into(), "open".into()];
    let open: Vec<Task> = tx.select(&Range::of("by_subject", open, OPEN_TASKS_MAX))?;
    if open.iter().any(|task| task.kind == kind && task.text == text) {
        return Ok(());
    }
    let number = tx.next(TASKS.name)?;
    let subject = subject.to_owned();
    tx.add(&Task { number, kind, subject, text, opened_at: at, closed: None })
}

/// Returns whether a task of a kind about a subject is open.
pub fn is_open(view: &dyn Read, subject: &str, kind: TaskKind) -> Result<bool, Error> {
    let open = vec![subject.into(), "open".into()];
    let open: Vec<Task> = view.select(&Range::of("by_subject", open, OPEN_TASKS_MAX))?;
    Ok(open.iter().any(|task| task.kind == kind))
}

/// Closes the open tasks of a subject that are of one of these kinds and whose text begins so.
pub fn close_tasks(
    tx: &mut dyn Tx,
    subject: &str,
    kinds: &[TaskKind],
    prefix: &str,
    closing: &Closing,
) -> Result<(), Error> {
    let open = vec![subject.into(), "open".into()];
    for mut task in tx.select::<Task>(&Range::of("by_subject", open, OPEN_TASKS_MAX))? {
        if kinds.contains(&task.kind) && task.text.starts_with(prefix) {
            task.closed = Some(closing.clone());
            tx.save(&task)?;
        }
    }
    Ok(())
}
