//! The answer to a call: whose it is, and whether it is the answer to this call.

use bytes::Bytes;
use http::{HeaderMap, Response};
use hyper::ext::ReasonPhrase;
use karvan_exchange::client::{Body, full};
use karvan_subsystem::Rejection;
use karvan_trust::keys::Owner;
use karvan_trust::message::{self, Expected, Provider, ResponseHead};
use karvan_types::{Digest, ErrorKind, NodeId};
use karvan_xroad::Code;
use karvan_xroad::head::write_response;
use karvan_xroad::header::{ResponseAdditions, passes_in_response};

use crate::body::Whole;
use crate::client::request::Signed;
use crate::client::{Judged, SIDE};
use crate::gateway::Inner;
use crate::provider::reason_of;
use crate::records::Half;
use crate::wire::{self, CallField, Cause, EXCHANGE, Outgoing, Refusal, carried};

/// An answer that is the provider's or its node's.
pub(super) enum Verified {
    /// The provider's system answered; the body is still to be put in.
    Answer { half: Half, answer: Response<Body> },
    /// Its node refused.
    Refusal { half: Half, refusal: Box<Refusal> },
}

impl Inner {
    /// Verifies an answer and compares it with the request in every part.
    pub(super) fn verify(
        &self,
        judged: &Judged<'_>,
        peer: &NodeId,
        signed: &Signed,
        head: &http::response::Parts,
        body: &Whole,
    ) -> Result<Verified, Refusal> {
        let Judged { asked, relation, .. } = judged;
        let expected = Expected {
            request_signature: &signed.half.signature,
            request_created: asked.began_at,
            exchange: asked.exchange,
            provider: Provider { member: relation.provider.as_str(), node: peer },
        };
        let received = ResponseHead { status: head.status.as_u16(), headers: &head.headers };
        let lists = self.node.lists();
        let relayed = |refusal: message::Refusal| {
            let refusal = refusal.by(SIDE);
            Refusal::relayed(SIDE, refusal.code.code, refusal.rejection)
        };
        let verified = message::verify_response(&received, &expected, &*lists, self.node.now())
            .map_err(relayed)?;
        verified.check_body(body.digest).map_err(relayed)?;
        if !verified.bound {
            return Err(inconsistent("the answer is not bound to the request"));
        }
        let mut half = Half {
            base: verified.signed.base,
            signature: verified.signed.signature,
            head: String::new(),
        };
        let field = verified.call.unwrap_or_default();
        if matches!(verified.owner, Owner::Node(_)) {
            let refusal = Refusal::read_field(&field)
                .or_else(|| body.in_memory().and_then(|body| Refusal::read(body)))
                .filter(|refusal| refusal.status() == verified.status)
                .ok_or_else(|| inconsistent("the refusal of the other node cannot be read"))?;
            half.head = wire::kept_head(body.in_memory().map(|it| it.to_vec()).unwrap_or_default());
            return Ok(Verified::Refusal { half, refusal: Box::new(refusal) });
        }
        let (half, answer) = compare(judged, signed, head, body, (&field, half))?;
        Ok(Verified::Answer { half, answer })
    }
}

/// Compares an answer with its request: ids, hash, headers, length. Returns the answer for the
/// agency, whose body is still to be put in.
fn compare(
    judged: &Judged<'_>,
    signed: &Signed,
    head: &http::response::Parts,
    body: &Whole,
    (field, mut half): (&str, Half),
) -> Result<(Half, Response<Body>), Refusal> {
    let asked = &judged.asked;
    let field = CallField::read(field)
        .map_err(|_| inconsistent("the answer of the other node has no karvan-call"))?;
    let exchange = asked.exchange.to_string();
    let additions = ResponseAdditions {
        message_id: &asked.message,
        client: &asked.client,
        service: &asked.service,
        request_id: &exchange,
        request_hash: &signed.hash,
    };
    let reason = head.extensions.get::<ReasonPhrase>();
    let phrase = reason_of(head.status, reason);
    let mut serialised = Vec::with_capacity(1024);
    let fields = || carried(&head.headers, field.typeless);
    let pairs = fields().map(|field| (field.name, field.value.as_bytes()));
    write_response(&mut serialised, head.status.as_u16(), &phrase, pairs, additions);
    if Digest::of(&serialised) != field.head || body.size != field.size {
        return Err(inconsistent("ids, hash or headers of the answer are not of this request"));
    }
    let mut headers = HeaderMap::with_capacity(head.headers.len());
    for field in fields().filter(|field| passes_in_response(field.name)) {
        field.hand_on(&mut headers);
    }
    let mut out = Outgoing { headers, typeless: false };
    for (name, value) in additions.headers() {
        out.add(name, value).map_err(|rejection| rejection.by(SIDE))?;
    }
    out.put(&EXCHANGE, &exchange).map_err(|rejection| rejection.by(SIDE))?;
    half.head = wire::kept_head(serialised);
    let mut answer = Response::new(full(Bytes::new()));
    *answer.status_mut() = head.status;
    *answer.headers_mut() = out.headers;
    if let Some(reason) = reason {
        answer.extensions_mut().insert(reason.clone());
    }
    Ok((half, answer))
}

/// An answer that is not the one to this request.
fn inconsistent(text: &str) -> Refusal {
    let text = format!("{text}; whether the service acted is not known");
    let rejection = Rejection::new(ErrorKind::PeerMisbehaved, "answer-inconsistent", text);
    Refusal::new(SIDE, Code::InconsistentResponse, rejection)
}
