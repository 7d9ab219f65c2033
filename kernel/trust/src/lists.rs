//! Who belongs to the federation: the root both nations sign, and each nation's own list.
//!
//! The **federation root** names the nations and the keys that sign their lists; a new root needs a
//! signature of every nation in it and of every nation in the root before it. A **national list**
//! names members, subsystems, keys and nodes of one nation and is signed by that nation alone, so
//! neither edits the other's. Names follow ETSI TS 119 602 where it has them; the form is a signed
//! document (`crate::document`). Unknown members of the JSON are kept and ignored, so that a list
//! may say more than an older node understands.
//!
//! Invariants: a list's keys, nodes and members all belong to its nation; a key name and a public
//! key occur once; accepted sequence numbers never go down, across restarts too
//! ([`TrustStore`]); nothing of a list is used after its `nextUpdate`.
//!
//! Not here: fetching lists (`karvan-exchange`), and writing them to the evidence log.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_types::{ErrorKind, Instance, MemberId, NodeId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use snapshot::{Nation, Party, Snapshot};
pub use store::{Accepted, TrustStore};

use crate::keys::{KeyId, PublicKey};

mod check;
mod snapshot;
mod store;

/// The `typ` of a signed federation root.
pub const ROOT_TYP: &str = "karvan-root+jws";
/// The `typ` of a signed national list.
pub const LIST_TYP: &str = "karvan-list+jws";

/// The two-of-two document that says which nations take part.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FederationRoot {
    /// Counts versions, strictly upwards.
    pub sequence_number: u64,
    /// When this version was made.
    pub issue_date_time: Timestamp,
    /// When it ends.
    pub next_update: Timestamp,
    /// The nations.
    pub nations: Vec<RootNation>,
}

/// One nation in the root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RootNation {
    /// The nation.
    pub scheme_territory: Instance,
    /// Who runs its list.
    pub scheme_operator_name: String,
    /// Keys of the nation that sign its lists and the next root, such as `AZ#root-1`.
    pub keys: Vec<RootKey>,
    /// Its certificate authorities, used while its list names none.
    #[serde(default)]
    pub certificate_authorities: Vec<Certificate>,
}

/// A nation's key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RootKey {
    /// Its name.
    pub kid: KeyId,
    /// The key.
    pub jwk: PublicKey,
}

/// A nation's list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NationalList {
    /// The nation.
    pub scheme_territory: Instance,
    /// Who runs the list.
    pub scheme_operator_name: String,
    /// Counts versions, strictly upwards.
    pub sequence_number: u64,
    /// When this version was made.
    pub issue_date_time: Timestamp,
    /// When it ends.
    pub next_update: Timestamp,
    /// Authorities that certify the nation's nodes; empty: the root's.
    #[serde(default)]
    pub certificate_authorities: Vec<Certificate>,
    /// Time-stamping authorities whose tokens the nation recognises.
    #[serde(default)]
    pub timestamp_authorities: Vec<TimestampAuthority>,
    /// The members.
    pub members: Vec<Member>,
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// A time-stamping authority (RFC 3161).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TimestampAuthority {
    /// Its name, for people.
    pub name: String,
    /// Where tokens are asked for: `https://…` or `http://…` (tokens are signed themselves).
    pub url: String,
    /// The certificate its tokens chain to.
    pub certificate: Certificate,
}

/// A member: a ministry, agency or company.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Member {
    /// Its identifier, without subsystem.
    pub id: MemberId,
    /// Its name, for people.
    pub name: String,
    /// What it is entitled to be, as codes such as `certificate-issuer`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Its subsystems.
    #[serde(default)]
    pub subsystems: Vec<Subsystem>,
    /// Keys of the member and of its subsystems, past ones too: they verify old evidence.
    #[serde(default)]
    pub keys: Vec<ListedKey>,
}

/// A subsystem of a member.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Subsystem {
    /// Its identifier.
    pub id: MemberId,
    /// Its name, for people.
    pub name: String,
    /// Roles beside those of its member.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// A published signing key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedKey {
    /// Its name.
    pub kid: KeyId,
    /// The key.
    pub jwk: PublicKey,
    /// First instant at which it may sign.
    pub not_before: Timestamp,
    /// First instant at which it may no longer sign.
    pub not_after: Timestamp,
}

/// A node.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Node {
    /// Its identifier.
    pub id: NodeId,
    /// Where other nodes reach it: `https://host[:port]`.
    pub endpoint: String,
    /// What requests to it name as `@authority`: host in lower case, with a port unless it is 443.
    pub authority: String,
    /// Keys with which the node itself signs messages.
    #[serde(default)]
    pub keys: Vec<ListedKey>,
    /// Its evidence log.
    #[serde(default)]
    pub log: Option<NoteKey>,
    /// Its witness.
    #[serde(default)]
    pub witness: Option<NoteKey>,
    /// The members and subsystems it serves. A member stands for all its subsystems.
    #[serde(default)]
    pub members: Vec<MemberId>,
}

/// A key of signed notes (C2SP signed-note).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NoteKey {
    /// The log's origin or the witness's name.
    pub name: String,
    /// The verifier key text.
    pub vkey: String,
}

/// A certificate in DER. In JSON: base64, as in `x5c` of RFC 7517.
#[derive(Clone, Eq, PartialEq)]
pub struct Certificate(pub Vec<u8>);

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", karvan_types::Digest::of(&self.0))
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Why a root or list is refused, or what it does not name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// No root was installed.
    #[error("this node has no federation root: install the one handed over by the operators")]
    RootMissing,
    /// A root is there already.
    #[error("this node has a federation root: later ones must be signed under it, not installed")]
    RootExists,
    /// A nation's signature is absent.
    #[error("not signed by {nation} with a key of {by}: have its operator sign it")]
    NotSigned {
        /// Who did not sign.
        nation: Instance,
        /// Whose keys count.
        by: &'static str,
    },
    /// The nation is not in the root.
    #[error("{0} is not in the federation root: agree on a new root first")]
    NationUnknown(Instance),
    /// An older version than the one that is known.
    #[error("{what} number {offered} is older than number {known}, which was accepted before")]
    RollBack {
        /// Root or list.
        what: String,
        /// What was offered.
        offered: u64,
        /// What is known.
        known: u64,
    },
    /// Another content under a known number: its signer contradicts itself.
    #[error("{what} number {number} exists with other content: keep both, and alarm its operator")]
    Forked {
        /// Root or list.
        what: String,
        /// The number.
        number: u64,
    },
    /// It is over.
    #[error("{what} ended at {ended}: its operator must publish a new one")]
    Expired {
        /// Root or list.
        what: String,
        /// Its `nextUpdate`.
        ended: Timestamp,
    },
    /// It begins later.
    #[error("{what} is dated {issued}, which is in the future: set the clocks right")]
    NotYetValid {
        /// Root or list.
        what: String,
        /// Its `issueDateTime`.
        issued: Timestamp,
    },
    /// The content breaks a rule.
    #[error("{field}: {rule}")]
    Invalid {
        /// Where.
        field: String,
        /// The rule, and so the remedy.
        rule: &'static str,
    },
    /// No list of this nation was accepted yet.
    #[error("there is no list of {0} here yet: fetch it")]
    ListMissing(Instance),
    /// The member, subsystem or node is not on its nation's list.
    #[error("{0} is not on the list of its nation: have its operator publish it")]
    Unlisted(String),
}

impl ListError {
    /// Returns whose turn it is to act.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::RootMissing | Self::RootExists => ErrorKind::LocalConfig,
            Self::RollBack { .. } | Self::Forked { .. } | Self::NotSigned { .. } => {
                ErrorKind::Evidence
            }
            Self::Expired { .. } | Self::NationUnknown(_) => ErrorKind::Unauthenticated,
            Self::NotYetValid { .. } | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::ListMissing(_) | Self::Unlisted(_) => ErrorKind::NotFound,
        }
    }
}

#[cfg(test)]
mod tests;
