//! Why a message is refused: one variant and one code per rule of the profile.

use karvan_types::{ErrorKind, Timestamp};

use crate::keys::KeyId;
use crate::message::{EXPIRES_SECONDS_MAX_DOCUMENT, EXPIRES_SECONDS_MAX_REQUEST};

/// A rule of profile `karvan-sig/1` that a message breaks.
///
/// The text says what to do; [`Refusal::code`] is for machines and stays stable.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// `Signature` or `Signature-Input` is absent.
    #[error("the message is not signed: send Signature and Signature-Input with the label `kvn`")]
    SignatureMissing,
    /// `Signature` or `Signature-Input` does not parse, or carries another label.
    #[error("{field} does not parse: {rule}")]
    SignatureMalformed {
        /// The header field.
        field: &'static str,
        /// The rule, and so the remedy.
        rule: &'static str,
    },
    /// The signature is not the key's over this message.
    #[error("the signature by `{0}` does not fit the message: something was changed on the way")]
    SignatureWrong(KeyId),
    /// Now is after `expires` (with the allowed skew).
    #[error("the signature expired at {expires}, and it is {now}: sign again")]
    SignatureExpired {
        /// The end the signer chose.
        expires: Timestamp,
        /// The verifier's clock.
        now: Timestamp,
    },
    /// `created` is in the future, or an answer is older than its request.
    #[error("signed at {created}, and it is {now}: more than 60 s apart; set the clocks right")]
    ClockSkew {
        /// When the signer says it signed.
        created: Timestamp,
        /// The verifier's clock, or for an answer the time of the request.
        now: Timestamp,
    },
    /// `expires` is not after `created`, or too far.
    #[error(
        "`expires` must be after `created`, by at most {EXPIRES_SECONDS_MAX_REQUEST} s \
         (karvan-req/1) or {EXPIRES_SECONDS_MAX_DOCUMENT} s (karvan-doc/1)"
    )]
    LifetimeTooLong,
    /// The key is on no list.
    #[error("the key `{0}` is on no national list known here: publish it, or wait for the list")]
    KeyUnknown(KeyId),
    /// The key was no longer valid when the message was signed.
    #[error("the key `{key}` was valid until {until}: sign with its successor")]
    KeyExpired {
        /// The key.
        key: KeyId,
        /// The first instant it is not valid.
        until: Timestamp,
    },
    /// The key was not valid yet when the message was signed.
    #[error("the key `{key}` is valid from {from}: sign with its predecessor until then")]
    KeyNotYetValid {
        /// The key.
        key: KeyId,
        /// The first instant it is valid.
        from: Timestamp,
    },
    /// The national list that names the key is past its `nextUpdate`.
    #[error("the list of {nation} ended at {ended}: its operator must publish a new one")]
    ListExpired {
        /// The nation.
        nation: String,
        /// The list's (or the root's) `nextUpdate`.
        ended: Timestamp,
    },
    /// The key belongs to somebody else than the party the message names.
    #[error("the key `{key}` does not belong to {party}: sign with a key of {party}")]
    OwnerMismatch {
        /// The key.
        key: KeyId,
        /// Who had to sign.
        party: String,
    },
    /// `alg` is given; the key alone fixes the algorithm.
    #[error("the parameter `alg` is not allowed: the key fixes the algorithm")]
    AlgorithmNamed,
    /// A parameter outside the profile.
    #[error("the signature parameter `{0}` is not part of karvan-sig/1: leave it out")]
    ParameterUnknown(String),
    /// A parameter given twice.
    #[error("the signature parameter `{0}` is given twice")]
    ParameterDuplicate(&'static str),
    /// A parameter is absent.
    #[error("the signature parameter `{0}` is missing")]
    ParameterMissing(&'static str),
    /// A parameter's value does not parse.
    #[error("the signature parameter `{name}` must be {rule}")]
    ParameterMalformed {
        /// The parameter.
        name: &'static str,
        /// The rule, and so the remedy.
        rule: &'static str,
    },
    /// The tag is unknown, or of another kind of message.
    #[error("the tag `{0}` does not fit here: use karvan-req/1, karvan-doc/1 or karvan-res/1")]
    TagUnknown(String),
    /// The covered components are not exactly the profile's.
    #[error("the covered components must be exactly {expected}")]
    ComponentList {
        /// The inner list that this message must have.
        expected: String,
    },
    /// A covered field or derived component is absent.
    #[error("{0} is missing")]
    FieldMissing(&'static str),
    /// A field that must occur once occurs again.
    #[error("{0} occurs more than once")]
    DuplicateField(&'static str),
    /// A field's value breaks its rule.
    #[error("{field} must be {rule}")]
    FieldMalformed {
        /// The field or derived component.
        field: &'static str,
        /// The rule, and so the remedy.
        rule: &'static str,
    },
    /// `Content-Digest` is absent.
    #[error("Content-Digest is missing: send sha-256 of the body, also when it is empty")]
    DigestMissing,
    /// The body is not the one that was signed.
    #[error("the body does not fit Content-Digest: it was changed on the way")]
    DigestMismatch,
    /// The message was signed for another node.
    #[error("signed for `{found}`, but this is `{expected}`")]
    AuthorityWrong {
        /// What the request names.
        found: String,
        /// What this node is called.
        expected: String,
    },
    /// The answer names another exchange than the request.
    #[error("the answer belongs to another exchange")]
    ExchangeMismatch,
    /// A stored signature base is not one this profile makes.
    #[error("the signature base is not of karvan-sig/1: {0}")]
    BaseMalformed(&'static str),
}

impl Refusal {
    /// Returns the stable code that goes into a signed refusal.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature-missing",
            Self::SignatureMalformed { .. } => "signature-malformed",
            Self::SignatureWrong(_) => "signature-wrong",
            Self::SignatureExpired { .. } => "signature-expired",
            Self::ClockSkew { .. } => "clock-skew",
            Self::LifetimeTooLong => "lifetime-too-long",
            Self::KeyUnknown(_) => "key-unknown",
            Self::KeyExpired { .. } => "key-expired",
            Self::KeyNotYetValid { .. } => "key-not-yet-valid",
            Self::ListExpired { .. } => "list-expired",
            Self::OwnerMismatch { .. } => "owner-mismatch",
            Self::AlgorithmNamed => "algorithm-named",
            Self::ParameterUnknown(_) => "parameter-unknown",
            Self::ParameterDuplicate(_) => "parameter-duplicate",
            Self::ParameterMissing(_) => "parameter-missing",
            Self::ParameterMalformed { .. } => "parameter-malformed",
            Self::TagUnknown(_) => "tag-unknown",
            Self::ComponentList { .. } => "component-list",
            Self::FieldMissing(_) => "field-missing",
            Self::DuplicateField(_) => "duplicate-field",
            Self::FieldMalformed { .. } => "field-malformed",
            Self::DigestMissing => "digest-missing",
            Self::DigestMismatch => "digest-mismatch",
            Self::AuthorityWrong { .. } => "authority-wrong",
            Self::ExchangeMismatch => "exchange-mismatch",
            Self::BaseMalformed(_) => "base-malformed",
        }
    }

    /// Returns whose turn it is to act.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::SignatureMissing
            | Self::SignatureWrong(_)
            | Self::SignatureExpired { .. }
            | Self::ClockSkew { .. }
            | Self::KeyUnknown(_)
            | Self::KeyExpired { .. }
            | Self::KeyNotYetValid { .. }
            | Self::ListExpired { .. }
            | Self::OwnerMismatch { .. } => ErrorKind::Unauthenticated,
            Self::DigestMismatch | Self::BaseMalformed(_) => ErrorKind::Evidence,
            _ => ErrorKind::Invalid,
        }
    }
}
