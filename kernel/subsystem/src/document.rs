//! Documents as a sub-system sees them.

use karvan_types::{AgreementRef, Digest, ExchangeId, MemberId, NodeId, Timestamp};

use crate::Rejection;

/// A type of document that a sub-system handles.
#[derive(Clone, Copy, Debug)]
pub struct DocumentType {
    /// Code, unique within the node, such as `EXD`. Also the last part of the service name.
    pub code: &'static str,
    /// The media type that bodies must have.
    pub content_type: &'static str,
    /// Longest body handed to the handler, in bytes; longer ones are refused on arrival.
    pub bytes_max: u64,
    /// One sentence for help texts.
    pub about: &'static str,
}

/// A document that arrived, verified and in order.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Names the exchange on both sides.
    pub exchange: ExchangeId,
    /// The agreement that allows it.
    pub agreement: &'a AgreementRef,
    /// Who signed it.
    pub sender: &'a MemberId,
    /// Roles of the sender on its nation's list, such as `certificate-issuer`.
    pub sender_roles: &'a [String],
    /// For whom it is.
    pub recipient: &'a MemberId,
    /// Code of its type.
    pub code: &'a str,
    /// When the sender signed it.
    pub signed_at: Timestamp,
    /// SHA-256 of the body as signed.
    pub digest: Digest,
    /// How much of it the agreement lets the sender release, when it says so.
    pub sharing_level: Option<&'a str>,
    /// The body, exactly as signed.
    pub body: &'a [u8],
}

/// A document that a sub-system wants sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// Who sends it; a member that this node serves.
    pub sender: MemberId,
    /// For whom it is.
    pub recipient: MemberId,
    /// Code of its type.
    pub code: &'static str,
    /// Media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// News of a document that was sent from here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Progress {
    /// The exchange.
    pub exchange: ExchangeId,
    /// Code of its type.
    pub code: String,
    /// Who sent it.
    pub sender: MemberId,
    /// For whom it is.
    pub recipient: MemberId,
    /// What happened.
    pub news: News,
}

/// How far a document has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum News {
    /// The peer's node stored it, and signed the relay receipt.
    Stored {
        /// Which node.
        by: NodeId,
    },
    /// The recipient's system took it, and its member signed the handover receipt.
    HandedOver,
    /// The recipient's system refused it, with a signed reason.
    Refused(Rejection),
    /// It was given up: refused by the peer's node, or not taken in time.
    GivenUp(Rejection),
}
