//! A call as it came over: verified, and its parts compared with each other. Rights are not judged
//! here.

use http::request::Parts;
use karvan_exchange::wire::Link;
use karvan_subsystem::Rejection;
use karvan_trust::message::{self, RequestHead, Tag, VerifiedRequest};
use karvan_types::{Digest, ErrorKind, MemberId, NodeId, Timestamp};
use karvan_xroad::head::write_request;
use karvan_xroad::header::{self, RequestAdditions, RequestHeaders};
use karvan_xroad::{Code, Method, Target};

use crate::gateway::{Inner, target_of};
use crate::provider::SIDE;
use crate::records::{Call, Half, Outcome};
use crate::wire::{self, CallField, Cause, Refusal, carried};

/// A call whose signature holds and whose parts agree.
pub(super) struct Opened {
    pub(super) verified: VerifiedRequest,
    pub(super) client: String,
    pub(super) code: String,
    pub(super) provider: MemberId,
    pub(super) message: String,
    pub(super) method: Method,
    pub(super) head: Vec<u8>,
    pub(super) size: u64,
    pub(super) typeless: bool,
    pub(super) salt: String,
}

impl Inner {
    /// Verifies a call's head; everything that needs no right.
    pub(super) fn open(&self, head: &Parts, now: Timestamp) -> Result<Opened, Refusal> {
        let own = self.own(now).map_err(|rejection| rejection.by(SIDE))?;
        let lists = self.node.lists();
        let received = RequestHead {
            method: head.method.as_str(),
            authority: wire::text(&head.headers, "host").unwrap_or_default(),
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
        };
        let verified = message::verify_request(&received, &own.authority, &*lists, now)
            .map_err(|refusal| refusal.by(SIDE))?;
        if verified.tag != Tag::Request {
            let tag = verified.tag.as_str().to_owned();
            return Err(message::Refusal::TagUnknown(tag).by(SIDE));
        }
        Opened::read(head, verified)
            .map_err(|rejection| Refusal::relayed(SIDE, Code::InvalidRequest, rejection))
    }
}

impl Opened {
    /// Reads the parts of a verified head and compares them with each other.
    fn read(head: &Parts, verified: VerifiedRequest) -> Result<Self, Rejection> {
        let malformed = |error: karvan_xroad::Error| {
            Rejection::new(error.kind(), "request-malformed", error.to_string())
        };
        let differs = |text: &str| Rejection::new(ErrorKind::Invalid, "call-inconsistent", text);
        let text = target_of(&head.uri);
        let target = Target::parse(text).map_err(malformed)?;
        let method = Method::parse(head.method.as_str()).map_err(malformed)?;
        let field = CallField::read(verified.call.as_deref().unwrap_or_default())?;
        let salt = field.salt.ok_or_else(|| differs("karvan-call has no salt; add one"))?;
        let headers = || carried(&head.headers, field.typeless);
        let said =
            RequestHeaders::read(headers().map(|field| (field.name, field.value.as_bytes())))
                .map_err(malformed)?;
        if said.client.to_member().map_err(malformed)? != verified.client {
            return Err(differs("karvan-client and x-road-client must name the same"));
        }
        if target.service.to_string() != verified.service {
            return Err(differs("karvan-service and the path must name the same service"));
        }
        let exchange = verified.exchange.to_string();
        if wire::text(&head.headers, header::REQUEST_ID) != Some(&exchange) {
            return Err(differs("x-road-request-id must be the exchange id"));
        }
        let message = said.message_id.ok_or_else(|| differs("x-road-id is missing"))?;
        // One that the client's node made stands behind its request id.
        let mut order = head.headers.keys().map(http::HeaderName::as_str);
        let made = order.find(|name| [header::ID, header::REQUEST_ID].contains(name))
            == Some(header::REQUEST_ID);
        let additions =
            RequestAdditions { request_id: &exchange, message_id: made.then_some(message) };
        let mut serialised = Vec::with_capacity(1024);
        let kept = headers().filter(|field| !(made && field.name == header::ID));
        let kept = kept.map(|field| (field.name, field.value.as_bytes()));
        write_request(&mut serialised, method, text, kept, additions);
        if Digest::of(&serialised) != field.head {
            return Err(differs("the head is not the one that was signed; send it unchanged"));
        }
        let provider = target.service.provider().to_member().map_err(malformed)?;
        Ok(Self {
            client: said.client.to_string(),
            code: target.service.service.into_owned(),
            message: message.to_owned(),
            size: field.size,
            typeless: field.typeless,
            salt: salt.to_owned(),
            head: serialised,
            provider,
            method,
            verified,
        })
    }

    /// Logs that the call is refused.
    pub(super) fn warn(&self, refusal: &Refusal, link: &Link, from: &NodeId) {
        tracing::warn!(
            peer.id = %from,
            exchange.id = link.exchange,
            message.id = self.message,
            client = %self.verified.client,
            service = self.verified.service,
            refusal.code = refusal.rejection.code,
            "call refused: {}",
            refusal.rejection.text
        );
    }

    /// Returns the call as it stands before its outcome is known.
    pub(super) fn to_call(&self, from: NodeId, now: Timestamp) -> Call {
        let signed = &self.verified.signed;
        Call {
            exchange: self.verified.exchange,
            message: self.message.clone(),
            peer: from,
            client: self.verified.client.clone(),
            service: self.verified.service.clone(),
            began_at: now,
            ended_at: now,
            outcome: Outcome::Unanswered,
            status: None,
            cause: None,
            salt: self.salt.clone(),
            request: Some(Half {
                base: signed.base.clone(),
                signature: signed.signature.clone(),
                head: wire::kept_head(self.head.clone()),
            }),
            response: None,
            entry: 0,
        }
    }
}
