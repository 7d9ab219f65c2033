//! Signed HTTP messages between nodes: profile `karvan-sig/1` of RFC 9421, with RFC 9530 digests.
//!
//! A request is signed by the client's member, an answer by the provider's, and the answer's
//! signature covers the request's: one answer is therefore also the receipt of the request. Covered
//! components and their order are fixed: a base is built in one pass and compared by text.
//!
//! - request: `@method`, `@authority`, `@path`, `@query`?, `content-type`, `content-digest`,
//!   `karvan-exchange-id`, `karvan-agreement`, `karvan-client`, `karvan-service`,
//!   `karvan-document`?, `karvan-call`?, `karvan-consent`?, `karvan-purpose` (? = exactly when
//!   present);
//! - answer: `@status`, `content-type`, `content-digest`, `karvan-exchange-id`, `karvan-call`?,
//!   `"signature";req;key="kvn"` (absent only when an unsigned request is refused);
//! - one signature may cover many messages (`batch`): same base, another tag, and `Signature` holds
//!   the signature of a root with this message's way to it;
//! - label `kvn`; parameters `created`, `expires` (requests), `keyid`, `tag`, and no others. The
//!   algorithm is the key's.
//!
//! Invariants: what verifies was signed in this exact spelling; a field that is covered has exactly
//! one value; what a signer here makes, [`parse_base`] takes apart again to the byte.
//!
//! Not here: whether the exchange is allowed (agreements), whether it was seen before, hashing of
//! bodies, and the log.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_evidence::tree::leaf_hash;
use karvan_types::{Digest, NodeId, Timestamp};

pub use base::{ParsedBase, Parts, RequestParts, ResponseParts, parse_base, verify_base};
pub use batch::{BATCH_MESSAGES_MAX, sign_batch};
pub use field::{Params, content_digest, header, is_signature, parse_content_digest};
pub use refusal::Refusal;
pub use verify::{
    Expected, RequestHead, ResponseHead, VerifiedRequest, VerifiedResponse, verify_request,
    verify_response,
};

use crate::Error;
use crate::keys::{KeyId, KeyProvider, Owner, PublicKey};

mod base;
mod batch;
mod field;
mod refusal;
mod verify;

/// The one label of a signature.
pub const LABEL: &str = "kvn";
/// Longest time from `created` to `expires` of a request, in seconds.
pub const EXPIRES_SECONDS_MAX_REQUEST: u64 = 300;
/// Longest time from `created` to `expires` of a stored document or receipt, in seconds (400 days).
pub const EXPIRES_SECONDS_MAX_DOCUMENT: u64 = 400 * 86_400;

/// Which kind of message a signature is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tag {
    /// A request that is answered at once: `karvan-req/1`.
    Request,
    /// A document or receipt, signed once and sent again verbatim: `karvan-doc/1`.
    Document,
    /// An answer: `karvan-res/1`.
    Response,
}

impl Tag {
    /// Returns the value of the `tag` parameter.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "karvan-req/1",
            Self::Document => "karvan-doc/1",
            Self::Response => "karvan-res/1",
        }
    }

    /// Returns the value of the `tag` parameter when the signature covers many messages; there is
    /// none for documents, which are signed once for a long life.
    pub const fn as_batch_str(self) -> Option<&'static str> {
        match self {
            Self::Request => Some("karvan-req-batch/1"),
            Self::Document => None,
            Self::Response => Some("karvan-res-batch/1"),
        }
    }

    /// Returns the tag, and whether it is that of one signature over many messages.
    fn parse(text: &str) -> Option<(Self, bool)> {
        [Self::Request, Self::Document, Self::Response].into_iter().find_map(|tag| {
            if tag.as_str() == text {
                return Some((tag, false));
            }
            (tag.as_batch_str() == Some(text)).then_some((tag, true))
        })
    }

    /// Returns the longest time from `created` to `expires`.
    pub const fn lifetime_max(self) -> Duration {
        match self {
            Self::Request => Duration::from_secs(EXPIRES_SECONDS_MAX_REQUEST),
            Self::Document => Duration::from_secs(EXPIRES_SECONDS_MAX_DOCUMENT),
            Self::Response => Duration::ZERO,
        }
    }
}

/// A message's signature as it travels and as it is kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedHead {
    /// Value of the field `Signature-Input`.
    pub signature_input: String,
    /// Value of the field `Signature`.
    pub signature: String,
    /// The signature base, kept as evidence: with the key it re-verifies alone.
    pub base: String,
    /// The signature itself; of one over many messages with the way from this one to the root.
    pub signature_bytes: Vec<u8>,
}

/// A message whose base is written and that is still to be signed.
#[derive(Clone, Debug)]
pub struct Unsigned {
    base: String,
    key: KeyId,
    is_batched: bool,
}

impl Unsigned {
    /// Returns the key that is to sign.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// Returns whether it is to share its signature with others.
    pub fn is_batched(&self) -> bool {
        self.is_batched
    }

    /// Returns the hash of this message in the tree of a batch.
    pub fn leaf(&self) -> Digest {
        leaf_hash(self.base.as_bytes())
    }

    /// Signs it alone; when it is tagged for a batch, as a batch of one.
    pub fn sign(self, keys: &dyn KeyProvider) -> Result<SignedHead, Error> {
        let bytes = if self.is_batched {
            sign_batch(&[self.leaf()], &self.key, keys)?.pop().unwrap_or_default()
        } else {
            keys.sign(&self.key, self.base.as_bytes())?
        };
        self.signed_with(bytes)
    }

    /// Completes it with its part of [`sign_batch`], made of its leaf and with its key.
    pub fn signed_with(self, signature_bytes: Vec<u8>) -> Result<SignedHead, Error> {
        if !batch::has_length(&signature_bytes, self.is_batched) {
            return Err(Error::Crypto("sign with 64 bytes"));
        }
        Ok(SignedHead {
            signature_input: base::signature_input(&self.base),
            signature: format!("{LABEL}=:{}:", STANDARD.encode(&signature_bytes)),
            base: self.base,
            signature_bytes,
        })
    }
}

/// A published key, as a list has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyEntry {
    /// Its name.
    pub id: KeyId,
    /// The key.
    pub public: PublicKey,
    /// Who signs with it.
    pub owner: Owner,
    /// First instant at which it may sign.
    pub not_before: Timestamp,
    /// First instant at which it may no longer sign.
    pub not_after: Timestamp,
}

impl KeyEntry {
    /// Returns the entry when the key may sign at `at`.
    pub fn valid_at(&self, at: Timestamp) -> Result<&Self, Refusal> {
        if at < self.not_before {
            return Err(Refusal::KeyNotYetValid { key: self.id.clone(), from: self.not_before });
        }
        if at >= self.not_after {
            return Err(Refusal::KeyExpired { key: self.id.clone(), until: self.not_after });
        }
        Ok(self)
    }
}

/// Finds published keys: the trust store's snapshot, or a list in an evidence bundle.
pub trait KeyDirectory {
    /// Returns the key that was valid at `at`, from a list that is in force at `now`.
    ///
    /// Refuses with `key-unknown`, `key-expired`, `key-not-yet-valid` or `list-expired`.
    fn key(&self, id: &KeyId, at: Timestamp, now: Timestamp) -> Result<&KeyEntry, Refusal>;
}

/// Who may sign an answer: the member that was asked, or its node.
#[derive(Clone, Copy, Debug)]
pub struct Provider<'a> {
    /// Member or subsystem whose service was called.
    pub member: &'a str,
    /// The node the request was sent to.
    pub node: &'a NodeId,
}

/// Signs a request (`Tag::Request`) or a stored document or receipt (`Tag::Document`).
///
/// `created` is cut to whole seconds; `lifetime` is at most [`Tag::lifetime_max`]. The key must
/// belong to `parts.client` or to the member of that subsystem.
pub fn sign_request(
    parts: &RequestParts<'_>,
    tag: Tag,
    created: Timestamp,
    lifetime: Duration,
    key: &KeyId,
    keys: &dyn KeyProvider,
) -> Result<SignedHead, Error> {
    let (key, is_batched) = (key.clone(), false);
    write_request(parts, tag, created, lifetime, (key, is_batched))?.sign(keys)
}

/// Writes the base of a request, as for [`sign_request`]; `is_batched` says whether its signature
/// is to cover many messages.
pub fn write_request(
    parts: &RequestParts<'_>,
    tag: Tag,
    created: Timestamp,
    lifetime: Duration,
    (key, is_batched): (KeyId, bool),
) -> Result<Unsigned, Error> {
    parts.check()?;
    if lifetime > tag.lifetime_max() || lifetime < Duration::from_secs(1) {
        return Err(Refusal::LifetimeTooLong.into());
    }
    if !key.owner().is_some_and(|owner| owner.speaks_for(parts.client)) {
        let party = parts.client.to_owned();
        return Err(Refusal::OwnerMismatch { key, party }.into());
    }
    let expires = Some(Timestamp::from_seconds(created.as_seconds()).plus(lifetime));
    let is_batched = is_batched && tag.as_batch_str().is_some();
    let params = Params { tag, is_batched, key, created, expires };
    let base = base::write(&base::REQUEST, &parts.values(), &params.write());
    Ok(Unsigned { base, key: params.key, is_batched })
}

/// Signs an answer or a refusal.
pub fn sign_response(
    parts: &ResponseParts<'_>,
    created: Timestamp,
    key: &KeyId,
    keys: &dyn KeyProvider,
) -> Result<SignedHead, Error> {
    write_response(parts, created, (key.clone(), false))?.sign(keys)
}

/// Writes the base of an answer; `is_batched` says whether its signature is to cover many messages.
pub fn write_response(
    parts: &ResponseParts<'_>,
    created: Timestamp,
    (key, is_batched): (KeyId, bool),
) -> Result<Unsigned, Error> {
    parts.check()?;
    let params = Params { tag: Tag::Response, is_batched, key, created, expires: None };
    let base = base::write(&base::RESPONSE, &parts.values(), &params.write());
    Ok(Unsigned { base, key: params.key, is_batched })
}

#[cfg(test)]
mod tests;
