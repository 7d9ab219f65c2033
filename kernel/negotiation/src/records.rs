//! What a node stores about offers, negotiations and transfers, and the tables for it.
//!
//! A process and its messages are kept for good: a peer may ask for a finished one at any time, and
//! together they are the evidence of how an agreement came about.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use karvan_agreements::Endpoint;
use karvan_dataspace::{Cause, Role, negotiation, transfer};
use karvan_exchange::records::{LeafRef, Signed};
use karvan_store::{Index, Migration, Record, Table, Value};
use karvan_types::{AgreementRef, Digest, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::identity::participant_of;
use crate::source::Source;

/// The schema of negotiations.
pub const MIGRATIONS: &[Migration] = &[Migration {
    id: "dataspace-0001",
    creates: &[&DATASET, &SHOWN, &PROCESS, &MESSAGE, &ACCESS],
}];

/// What members of this node offer. Key: the dataset's id.
pub static DATASET: Table = Table {
    name: "dataspace_dataset",
    columns: &["provider"],
    indexes: &[Index { name: "provider", columns: &["provider"], unique: false }],
};

/// Who sees which dataset. Key: audience, space, dataset.
pub static SHOWN: Table = Table {
    name: "dataspace_shown",
    columns: &["audience", "dataset"],
    indexes: &[
        Index { name: "audience", columns: &["audience", "dataset"], unique: true },
        Index { name: "dataset", columns: &["dataset"], unique: false },
    ],
};

/// Negotiations and transfers. Key: our own process id.
pub static PROCESS: Table = Table {
    name: "dataspace_process",
    columns: &["kind", "counterparty", "peer_pid", "agreement", "due_ms", "waiting", "opened_ms"],
    indexes: &[
        Index { name: "peer", columns: &["counterparty", "kind", "peer_pid"], unique: false },
        Index { name: "agreement", columns: &["agreement"], unique: false },
        Index { name: "due", columns: &["due_ms"], unique: false },
        Index { name: "waiting", columns: &["waiting", "opened_ms"], unique: false },
        Index { name: "kind", columns: &["kind", "opened_ms"], unique: false },
    ],
};

/// Every message of every process. Key: 1, 2, 3 …
pub static MESSAGE: Table = Table {
    name: "dataspace_message",
    columns: &["process", "due_ms"],
    indexes: &[
        Index { name: "process", columns: &["process"], unique: false },
        Index { name: "due", columns: &["due_ms"], unique: false },
    ],
};

/// Tokens that open a feed. Key: SHA-256 of the token.
pub static ACCESS: Table = Table {
    name: "dataspace_access",
    columns: &["process"],
    indexes: &[Index { name: "process", columns: &["process"], unique: false }],
};

/// What a dataset is, and so what an agreement about it allows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Kind {
    /// A service that the consumer may call.
    Service {
        /// Its code.
        code: String,
        /// What of it; all of it when empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        endpoints: Vec<Endpoint>,
    },
    /// Document types that the provider may send to the consumer.
    Documents {
        /// Their codes.
        codes: Vec<String>,
    },
    /// Data that the consumer may fetch. Where it comes from stays with the provider.
    Feed {},
}

/// Something that a member of this node offers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dataset {
    /// Its id: unique in this node, part of agreements.
    pub id: String,
    /// What it is called.
    pub title: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who offers it.
    pub provider: MemberId,
    /// What it is.
    pub kind: Kind,
    /// Where a feed comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The offer: ODRL, word for word as it was written.
    pub policy: serde_json::Value,
    /// Who sees it: `*`, nations and members.
    pub visible_to: Vec<String>,
    /// The ways in which it travels, such as `HttpData-PULL`.
    pub formats: Vec<String>,
    /// Whether an unchanged offer is agreed without asking a person.
    #[serde(default)]
    pub auto_approve: bool,
}

impl Dataset {
    /// Returns whether a participant offers it. An id that is given up may come back as another's.
    pub(crate) fn is_of(&self, participant: &str) -> bool {
        participant_of(&self.provider) == participant
    }
}

impl Record for Dataset {
    const TABLE: &'static Table = &DATASET;

    fn key(&self) -> Value {
        self.id.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.provider.as_str().into()]
    }
}

/// That an audience sees a dataset.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Shown {
    /// `*`, a nation or a member.
    pub audience: String,
    /// The dataset.
    pub dataset: String,
}

impl Record for Shown {
    const TABLE: &'static Table = &SHOWN;

    fn key(&self) -> Value {
        format!("{} {}", self.audience, self.dataset).into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.audience.as_str().into(), self.dataset.as_str().into()]
    }
}

/// Where a process stands: one of the two state machines, and its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Of a negotiation.
    Negotiation(negotiation::State),
    /// Of a transfer.
    Transfer(transfer::State),
}

/// What a message does to a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Act {
    /// To a negotiation.
    Negotiation(negotiation::Act),
    /// To a transfer.
    Transfer(transfer::Act),
}

impl Stage {
    /// Returns the state's name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Negotiation(state) => state.name(),
            Self::Transfer(state) => state.name(),
        }
    }

    /// Returns whether nothing can follow.
    pub const fn is_final(self) -> bool {
        match self {
            Self::Negotiation(state) => state.is_final(),
            Self::Transfer(state) => state.is_final(),
        }
    }

    /// Returns the word for the state machine.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Negotiation(_) => "negotiation",
            Self::Transfer(_) => "transfer",
        }
    }

    /// Returns the end without success.
    #[must_use]
    pub const fn terminated(self) -> Self {
        match self {
            Self::Negotiation(_) => Self::Negotiation(negotiation::State::Terminated),
            Self::Transfer(_) => Self::Transfer(transfer::State::Terminated),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stage = match text.split_once(':') {
            Some(("negotiation", name)) => {
                negotiation::State::from_name(name).map(Self::Negotiation)
            }
            Some(("transfer", name)) => transfer::State::from_name(name).map(Self::Transfer),
            _ => None,
        };
        stage.ok_or_else(|| format!("`{text}` is no state of a process"))
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which role this node's member plays.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// It asks for data.
    Consumer,
    /// It has the data.
    Provider,
}

impl Side {
    /// Returns the protocol's word for it.
    pub const fn role(self) -> Role {
        match self {
            Self::Consumer => Role::Consumer,
            Self::Provider => Role::Provider,
        }
    }
}

/// Why something ended or was refused.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Why {
    /// A short word for programs.
    pub code: Option<String>,
    /// Sentences for people.
    pub reasons: Vec<String>,
}

impl Why {
    /// Makes a cause of a word and one sentence.
    pub fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { code: Some(code.to_owned()), reasons: vec![reason.into()] }
    }
}

impl From<&Cause> for Why {
    fn from(cause: &Cause) -> Self {
        Self { code: cause.code.clone(), reasons: cause.sentences() }
    }
}

impl From<&Why> for Cause {
    fn from(why: &Why) -> Self {
        let reasons = why.reasons.iter().map(|reason| reason.clone().into()).collect();
        Self { code: why.code.clone(), reasons }
    }
}

/// A negotiation or a transfer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Process {
    /// What we call it.
    pub pid: String,
    /// What the other side calls it; unknown until it first answers.
    pub peer_pid: Option<String>,
    /// Our role.
    pub side: Side,
    /// Our participant id.
    pub own: String,
    /// The other side's participant id.
    pub counterparty: String,
    /// The other side's base: its messages' `callbackAddress`.
    pub address: String,
    /// Where it stands.
    pub stage: Stage,
    /// How often each state was entered.
    pub visits: BTreeMap<String, u32>,
    /// How many steps were taken.
    pub moves: u64,
    /// The dataset.
    pub dataset: String,
    /// What it is, as its provider describes it.
    pub kind: Option<Kind>,
    /// The offer that was last made, by either side (ODRL).
    pub offer: Option<serde_json::Value>,
    /// The ODRL agreement.
    pub policy: Option<serde_json::Value>,
    /// Its id.
    pub agreement: Option<String>,
    /// The signed agreement, with the signatures so far.
    pub document: Option<String>,
    /// The agreement that a new one takes the place of.
    pub replaces: Option<AgreementRef>,
    /// The name of the agreement that came into force.
    pub concluded: Option<AgreementRef>,
    /// How a transfer travels.
    pub format: Option<String>,
    /// Where its data is fetched (DSP data address); holds a token.
    pub data_address: Option<serde_json::Value>,
    /// Whether we resumed the transfer and the provider has still to say that it did too.
    #[serde(default)]
    pub resumed: bool,
    /// The message of ours that the other side does not have yet.
    pub pending: Option<u64>,
    /// When the next step is decided.
    pub decide_at: Option<Timestamp>,
    /// Whether a person must decide.
    pub waiting: bool,
    /// Why it ended, or why a step failed.
    pub cause: Option<Why>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it is given up.
    pub deadline: Timestamp,
}

impl Process {
    /// Returns when something is to be done about it.
    pub fn due(&self) -> Option<Timestamp> {
        if self.pending.is_some() || self.stage.is_final() {
            return None;
        }
        Some(self.decide_at.map_or(self.deadline, |at| at.min(self.deadline)))
    }

    /// Returns how often its present state was entered.
    pub fn visit(&self) -> u32 {
        self.visits.get(self.stage.name()).copied().unwrap_or(0)
    }
}

impl Record for Process {
    const TABLE: &'static Table = &PROCESS;

    fn key(&self) -> Value {
        self.pid.as_str().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![
            self.stage.kind().into(),
            self.counterparty.as_str().into(),
            self.peer_pid.as_deref().into(),
            self.agreement.as_deref().into(),
            self.due().map(Timestamp::as_millis).into(),
            self.waiting.then_some(1_i64).into(),
            self.opened_at.as_millis().into(),
        ]
    }
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the other side.
    Out,
    /// From the other side.
    In,
}

/// A message on its way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Sending {
    /// When it is tried next.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The process before it; nothing when the message opens one.
    pub before: Option<Box<Process>>,
}

/// A message as it travelled.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Message {
    /// Number in the order of making.
    pub number: u64,
    /// The process, or what else it is about.
    pub process: String,
    /// Which way it went.
    pub direction: Direction,
    /// Its `@id`.
    pub id: Option<String>,
    /// What it is: its `@type`.
    pub kind: String,
    /// In whose name it was sent.
    pub from: String,
    /// For whom.
    pub to: String,
    /// The recipient's base.
    pub address: String,
    /// The path below it.
    pub path: String,
    /// The body, byte for byte.
    pub body: String,
    /// The header fields of its signature.
    pub headers: Vec<(String, String)>,
    /// Its signature, unless the line has none.
    pub signed: Option<Signed>,
    /// Salt of its log entry.
    pub salt: String,
    /// Its log entry.
    pub leaf: LeafRef,
    /// Who decided it: a person or a rule.
    pub by: Option<String>,
    /// The state that it led to.
    pub stage: Option<Stage>,
    /// The number of the step.
    pub moves: u64,
    /// When it was made or received.
    pub at: Timestamp,
    /// When the other side took it.
    pub delivered_at: Option<Timestamp>,
    /// How it is sent, while it is on its way.
    pub sending: Option<Sending>,
    /// Why the last attempt failed.
    pub trouble: Option<String>,
}

impl Record for Message {
    const TABLE: &'static Table = &MESSAGE;

    fn key(&self) -> Value {
        self.number.into()
    }

    fn columns(&self) -> Vec<Value> {
        let due = self.sending.as_ref().map(|sending| sending.due_at.as_millis());
        vec![self.process.as_str().into(), due.into()]
    }
}

/// A token that opens a feed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Access {
    /// SHA-256 of the token.
    pub token: Digest,
    /// The transfer.
    pub process: String,
    /// The node that may use it; nothing when the line knows no nodes.
    pub node: Option<NodeId>,
    /// First instant at which it opens nothing.
    pub expires_at: Timestamp,
}

impl Record for Access {
    const TABLE: &'static Table = &ACCESS;

    fn key(&self) -> Value {
        self.token.to_string().into()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.process.as_str().into()]
    }
}
