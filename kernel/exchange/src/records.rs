//! What a node stores about documents, and the tables for it.

use karvan_store::{Index, Migration, Record, Table, Value};
use karvan_subsystem::Rejection;
use karvan_types::{AgreementRef, Digest, ExchangeId, Instance, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{evidence, service, webhooks};

/// The schema of the exchange.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        id: "exchange-0001",
        creates: &[
            &SENT,
            &RECEIVED,
            &BODY,
            &STREAM,
            &EVIDENCE_QUEUE,
            &RECEIPT_OUT,
            &ALARM,
            &LIST_LOGGED,
        ],
    },
    Migration { id: "exchange-0002", creates: &[&AGREEMENT] },
    Migration { id: "exchange-0003", creates: &[&service::ANSWERS, &service::CONSUMERS] },
    Migration { id: "exchange-0004", creates: &[&webhooks::WEBHOOKS, &webhooks::DEAD] },
];

/// Outgoing documents.
pub static SENT: Table = Table {
    name: "document_sent",
    columns: &["peer", "state", "position", "stream", "sequence", "updated_ms"],
    indexes: &[
        Index { name: "due", columns: &["peer", "state", "position"], unique: false },
        Index { name: "stream", columns: &["stream", "sequence"], unique: true },
        Index { name: "state", columns: &["state", "updated_ms"], unique: false },
    ],
};

/// Incoming documents.
pub static RECEIVED: Table = Table {
    name: "document_received",
    columns: &["recipient", "state", "stream", "sequence", "due_ms", "received_ms"],
    indexes: &[
        Index { name: "queue", columns: &["recipient", "state", "due_ms"], unique: false },
        Index { name: "stream", columns: &["stream", "sequence"], unique: true },
        Index { name: "state", columns: &["state", "received_ms"], unique: false },
    ],
};

/// Bodies that fit in a row. Key: `s:` or `r:` and the exchange id.
pub static BODY: Table = Table { name: "document_body", columns: &[], indexes: &[] };

/// Where each stream stands. Key: `out:` or `in:` and the stream's name.
pub static STREAM: Table = Table {
    name: "document_stream",
    columns: &["direction"],
    indexes: &[Index { name: "direction", columns: &["direction"], unique: false }],
};

/// Log entries committed with their cause, waiting for the evidence log. Key: 1, 2, 3 …
pub static EVIDENCE_QUEUE: Table = Table { name: "evidence_queue", columns: &[], indexes: &[] };

/// Handover receipts that wait to be sent to the node of the document's sender.
pub static RECEIPT_OUT: Table = Table {
    name: "receipt_out",
    columns: &["peer"],
    indexes: &[Index { name: "peer", columns: &["peer"], unique: false }],
};

/// What an operator must look at.
pub static ALARM: Table = Table { name: "alarm", columns: &[], indexes: &[] };

/// Which version of each nation's list the log has. Key: the nation.
pub static LIST_LOGGED: Table = Table { name: "list_logged", columns: &[], indexes: &[] };

/// Agreements that were concluded here, or read from files. Key: digest of the text.
pub static AGREEMENT: Table = Table { name: "agreement", columns: &[], indexes: &[] };

/// How far an outgoing document has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SentState {
    /// Durable here, logged, waiting for the peer.
    Accepted,
    /// The peer's node has it durably: its relay receipt is stored.
    Relayed,
    /// The recipient's system has it: the handover receipt is stored.
    Delivered,
    /// The recipient's system refused it, signed.
    Refused,
    /// Given up, with a reason; may be sent again by hand.
    Dead,
}

/// How far an incoming document has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ReceivedState {
    /// Durable, but an earlier one of its stream is missing.
    Parked,
    /// Durable and in order, waiting for the agency's system.
    Waiting,
    /// Handed over.
    Delivered,
    /// Refused by the recipient's system, or by this node after its signature had verified.
    Refused,
}

impl SentState {
    /// Returns the stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Relayed => "relayed",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dead => "dead",
        }
    }
}

impl ReceivedState {
    /// Returns the stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parked => "parked",
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
        }
    }
}

/// What both sides know of a document, in its own words.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Envelope {
    /// Names the exchange.
    pub exchange: ExchangeId,
    /// Who sends.
    pub sender: MemberId,
    /// For whom.
    pub recipient: MemberId,
    /// Code of the document type.
    pub code: String,
    /// The agreement that allows it.
    pub agreement: AgreementRef,
    /// The purpose, from the agreement.
    pub purpose: String,
    /// Media type of the body.
    pub content_type: String,
    /// SHA-256 of the body.
    pub digest: Digest,
    /// Length of the body in bytes.
    pub size: u64,
    /// Number within the stream from sender to recipient, from 1.
    pub sequence: u64,
    /// Digest of the signature of the stream's previous document; zero for the first.
    pub previous: Digest,
    /// Salt of the log entries, so that they tell nothing to those who lack it.
    pub salt: String,
}

impl Envelope {
    /// Returns the name of the stream.
    pub fn stream(&self) -> String {
        stream_name(&self.sender, &self.recipient)
    }
}

/// Returns the name of the stream from one member to another.
pub fn stream_name(sender: &MemberId, recipient: &MemberId) -> String {
    format!("{sender}>{recipient}")
}

/// A signature as it travelled, with the text that it covers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Signed {
    /// The signature base (RFC 9421, section 2.5).
    pub base: String,
    /// Value of the `Signature-Input` field.
    pub signature_input: String,
    /// Value of the `Signature` field.
    pub signature: String,
}

/// An answer as it was first given; a duplicate gets the same bytes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: String,
    /// The body, canonical JSON.
    pub body: String,
    /// Signature over it, bound to the request's signature.
    pub signed: Signed,
}

/// Which log entry records an act.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeafRef {
    /// The act.
    pub kind: String,
    /// Index in this node's log.
    pub index: u64,
    /// The entry itself.
    pub entry: String,
}

/// An outgoing document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sent {
    /// What it is.
    pub envelope: Envelope,
    /// The recipient's node.
    pub peer: NodeId,
    /// Place in the queue towards that node.
    pub position: u64,
    /// How far it has come.
    pub state: SentState,
    /// Signature of the sending member.
    pub signed: Signed,
    /// Its lapsed signatures: the peer may have taken the document under one, and its answer got
    /// lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed: Vec<Signed>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When the state last changed.
    pub updated_at: Timestamp,
    /// When the signature lapses and it is given up.
    pub expires_at: Timestamp,
    /// Where the body is when it is no row.
    pub blob: bool,
    /// Why it was refused or given up.
    pub reason: Option<Rejection>,
    /// The peer's relay receipt or refusal.
    pub relay: Option<StoredAnswer>,
    /// The recipient's handover receipt (JWS).
    pub handover: Option<String>,
    /// Its log entries here.
    pub leaves: Vec<LeafRef>,
}

impl Sent {
    /// Returns the signatures under which the peer may have taken it, the newest first.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = &Signed> {
        std::iter::once(&self.signed).chain(self.lapsed.iter().rev())
    }

    /// Makes the signature under which the peer took it the one that counts.
    pub(crate) fn settle_on(&mut self, taken: &Signed) {
        if let Some(lapsed) = self.lapsed.iter_mut().find(|lapsed| *lapsed == taken) {
            std::mem::swap(lapsed, &mut self.signed);
        }
    }

    /// Returns the log entries without those of signatures that do not count.
    pub(crate) fn counting_leaves(self) -> Vec<LeafRef> {
        let statement = evidence::message_statement(&self.envelope.salt, &self.signed);
        let submission = evidence::leaf(evidence::SUBMISSION, statement);
        let counts = |leaf: &LeafRef| leaf.kind != evidence::SUBMISSION || leaf.entry == submission;
        self.leaves.into_iter().filter(counts).collect()
    }
}

impl Record for Sent {
    const TABLE: &'static Table = &SENT;

    fn key(&self) -> Value {
        self.envelope.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.peer.as_str().into(),
            self.state.as_str().into(),
            self.position.into(),
            self.envelope.stream().into(),
            self.envelope.sequence.into(),
            self.updated_at.as_millis().into(),
        ]
    }
}

/// An incoming document.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Received {
    /// What it is.
    pub envelope: Envelope,
    /// The node that relayed it.
    pub peer: NodeId,
    /// How far it has come.
    pub state: ReceivedState,
    /// The sender's signature, verified.
    pub signed: Signed,
    /// When the sender signed.
    pub signed_at: Timestamp,
    /// When it became durable here.
    pub received_at: Timestamp,
    /// When it is next offered to the agency's system.
    pub due_at: Timestamp,
    /// Attempts to push it to the agency's system.
    pub attempts: u32,
    /// Token of the current lease, while one is out.
    pub lease: Option<String>,
    /// Where the body is when it is no row.
    pub blob: bool,
    /// Why it was refused.
    pub reason: Option<Rejection>,
    /// The relay receipt or refusal that was given.
    pub answer: StoredAnswer,
    /// The handover receipt (JWS).
    pub handover: Option<String>,
    /// Its log entries here.
    pub leaves: Vec<LeafRef>,
}

impl Received {
    /// Returns whether an envelope that came under the same id is that of this document.
    pub(crate) fn is(&self, envelope: &Envelope) -> bool {
        let first = &self.envelope;
        first.digest == envelope.digest
            && first.sender == envelope.sender
            && first.recipient == envelope.recipient
            && first.code == envelope.code
            && first.sequence == envelope.sequence
    }
}

impl Record for Received {
    const TABLE: &'static Table = &RECEIVED;

    fn key(&self) -> Value {
        self.envelope.exchange.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.envelope.recipient.as_str().into(),
            self.state.as_str().into(),
            self.envelope.stream().into(),
            self.envelope.sequence.into(),
            self.due_at.as_millis().into(),
            self.received_at.as_millis().into(),
        ]
    }
}

/// Direction of a stream as this node sees it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards a peer.
    Out,
    /// From a peer.
    In,
}

impl Direction {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::In => "in",
        }
    }
}

/// Where a stream stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StreamRecord {
    /// Direction.
    pub direction: Direction,
    /// Name.
    pub name: String,
    /// The other node.
    pub peer: NodeId,
    /// Last number given out, or last number taken in order.
    pub sequence: u64,
    /// Digest of that document's signature.
    pub head: Digest,
    /// Numbers after `sequence` that the sender declared void (given up before arrival).
    pub void: Vec<u64>,
    /// When the stream first had a gap that is still open.
    pub gap_since: Option<Timestamp>,
}

impl StreamRecord {
    /// Returns the primary key of a stream.
    pub fn key_of(direction: Direction, name: &str) -> String {
        format!("{}:{name}", direction.as_str())
    }

    /// Makes a stream before its first document.
    pub fn new(direction: Direction, name: String, peer: NodeId) -> Self {
        let head = Digest::default();
        Self { direction, name, peer, sequence: 0, head, void: Vec::new(), gap_since: None }
    }
}

impl Record for StreamRecord {
    const TABLE: &'static Table = &STREAM;

    fn key(&self) -> Value {
        Self::key_of(self.direction, &self.name).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.direction.as_str().into()]
    }
}

/// A handover receipt on its way back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReceiptOut {
    /// Number in the order of making.
    pub number: u64,
    /// The node of the document's sender.
    pub peer: NodeId,
    /// The exchange.
    pub exchange: ExchangeId,
    /// The signed receipt (JWS).
    pub receipt: String,
}

impl Record for ReceiptOut {
    const TABLE: &'static Table = &RECEIPT_OUT;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.peer.as_str().into()]
    }
}

/// The version of a nation's list that was last logged.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ListLogged {
    /// The nation.
    pub nation: Instance,
    /// Its sequence number.
    pub sequence: u64,
    /// Digest of its canonical text.
    pub digest: Digest,
}

impl Record for ListLogged {
    const TABLE: &'static Table = &LIST_LOGGED;

    fn key(&self) -> Value {
        self.nation.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

/// Something that an operator must look at.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Alarm {
    /// Number in the order of raising.
    pub number: u64,
    /// When it was raised.
    pub at: Timestamp,
    /// Stable code, such as `id-reused`.
    pub code: String,
    /// What happened and what to do.
    pub text: String,
    /// The exchange concerned, if one is.
    pub exchange: Option<ExchangeId>,
    /// The peer concerned, if one is.
    pub peer: Option<NodeId>,
    /// Salt of its log entry.
    pub salt: String,
}

impl Record for Alarm {
    const TABLE: &'static Table = &ALARM;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}
