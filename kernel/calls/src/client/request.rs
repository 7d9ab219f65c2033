//! The request of an agency's system, and the message that is made of it.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use karvan_exchange::Node;
use karvan_subsystem::Rejection;
use karvan_trust::message::{self, RequestParts};
use karvan_types::id::InvalidId;
use karvan_types::{Digest, ErrorKind, ExchangeId, NodeId, Timestamp};
use karvan_xroad::head::{request_hash, write_request};
use karvan_xroad::header::{RequestAdditions, RequestHeaders, passes_in_request};
use karvan_xroad::{Code, Method, Prefix, Target};

use crate::access::{Proof, TOKEN};
use crate::body::Whole;
use crate::client::{Judged, SIDE};
use crate::gateway::relation::{Relation, Term};
use crate::gateway::{Inner, target_of};
use crate::records::{Call, Half, Outcome};
use crate::wire::{self, CallField, Cause, EXCHANGE, Outgoing, Refusal};

/// A call of an agency's system that proved who it is.
pub(super) struct Asked<'a> {
    /// What is called.
    pub(super) target: Target<'a>,
    /// How.
    pub(super) method: Method,
    /// Who calls, as headers write it.
    pub(super) client: String,
    /// The service, as headers write it.
    pub(super) service: String,
    /// The message id.
    pub(super) message: String,
    /// Names the exchange.
    pub(super) exchange: ExchangeId,
    /// Whether the agency chose the exchange id, so that it can ask again under it.
    pub(super) exchange_given: bool,
    /// Salt of the log entry.
    pub(super) salt: String,
    /// The acting user.
    pub(super) user_id: Option<&'a str>,
    /// The case.
    pub(super) issue: Option<&'a str>,
    /// On whose behalf.
    pub(super) represented_party: Option<String>,
    /// When the request was here.
    pub(super) began_at: Timestamp,
    message_made: bool,
    proof: Proof,
}

impl<'a> Asked<'a> {
    /// Takes a request that was read; makes the ids that the agency left to its node.
    pub(super) fn new(
        node: &Node,
        head: &Parts,
        (target, method, said): (Target<'a>, Method, RequestHeaders<'a>),
        proof: Proof,
        (made, began_at): (ExchangeId, Timestamp),
    ) -> Result<Self, Refusal> {
        let mut salt = [0; 16];
        node.entropy().fill(&mut salt);
        let given = head.headers.get(EXCHANGE);
        let exchange = if let Some(given) = given {
            let given = given.to_str().unwrap_or_default().parse();
            given.map_err(|error: InvalidId| {
                let text = format!("Karvan-Exchange-Id: {error}; or leave it out");
                let rejection = Rejection::new(ErrorKind::Invalid, "exchange-id", text);
                Refusal::new(Prefix::Client, Code::BadRequest, rejection)
            })?
        } else {
            made
        };
        let message = match said.message_id {
            Some(message) => message.to_owned(),
            None => format!("{}-{exchange}", node.id().instance()),
        };
        Ok(Self {
            client: said.client.to_string(),
            service: target.service.to_string(),
            target,
            method,
            message,
            exchange,
            exchange_given: given.is_some(),
            salt: URL_SAFE_NO_PAD.encode(salt),
            user_id: said.user_id,
            issue: said.issue,
            represented_party: said.represented_party.map(|party| party.to_string()),
            began_at,
            message_made: said.message_id.is_none(),
            proof,
        })
    }
}

/// What went to the other node.
pub(super) struct Signed {
    /// All its header fields.
    pub(super) headers: HeaderMap,
    /// For row and log.
    pub(super) half: Half,
    /// The request hash, which the answer must repeat.
    pub(super) hash: String,
}

impl Inner {
    /// Makes and signs the message for the other node.
    pub(super) async fn sign_call(
        self: &Arc<Self>,
        head: &Parts,
        judged: &Judged<'_>,
        term: &Term,
        whole: &Whole,
    ) -> Result<Signed, Refusal> {
        self.try_sign(head, judged, term, whole).await.map_err(|rejection| {
            if rejection.code == "not-coverable" {
                return Refusal::new(Prefix::Client, Code::BadRequest, rejection);
            }
            rejection.by(SIDE)
        })
    }

    async fn try_sign(
        self: &Arc<Self>,
        head: &Parts,
        judged: &Judged<'_>,
        term: &Term,
        whole: &Whole,
    ) -> Result<Signed, Rejection> {
        let Judged { asked, relation, peer } = judged;
        let passes = |name: &HeaderName| {
            passes_in_request(name.as_str())
                && *name != TOKEN
                && *name != EXCHANGE
                && !(asked.proof == Proof::Authorization && *name == AUTHORIZATION)
        };
        let exchange = asked.exchange.to_string();
        let additions = RequestAdditions {
            request_id: &exchange,
            message_id: asked.message_made.then_some(asked.message.as_str()),
        };
        let mut serialised = Vec::with_capacity(1024);
        let kept = head.headers.iter().filter(|(name, _)| passes(name));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_bytes()));
        write_request(&mut serialised, asked.method, target_of(&head.uri), kept, additions);
        let mut out = Outgoing::new(&head.headers, passes);
        for (name, value) in additions.headers() {
            out.add(name, value)?;
        }
        let field = CallField {
            size: whole.size,
            head: Digest::of(&serialised),
            salt: Some(&asked.salt),
            typeless: out.typeless,
        };
        let authority = if relation.nodes.first() == Some(peer) {
            Cow::Borrowed(relation.authority.as_str())
        } else {
            Cow::Owned(self.node.authority_of(peer)?)
        };
        let parts = RequestParts {
            method: asked.method.as_str(),
            authority: &authority,
            path: head.uri.path(),
            query: asked.target.query,
            content_type: "",
            content_digest: &message::content_digest(whole.digest),
            exchange_id: &exchange,
            agreement: &term.text,
            client: relation.client.as_str(),
            service: &asked.service,
            document: None,
            call: Some(&field.write()),
            consent: None,
            purpose: &term.purpose,
        };
        let by = (relation.key.clone(), self.is_batched());
        let written = out.write_request(&parts, asked.began_at, by)?;
        let signed = self.sign(written).await?;
        out.put_signature(&signed)?;
        let hash = request_hash(&serialised, whole.hash);
        let half = Half {
            base: signed.base,
            signature: signed.signature,
            head: wire::kept_head(serialised),
        };
        Ok(Signed { headers: out.headers, half, hash })
    }
}

impl Asked<'_> {
    /// Returns the call as it stands before its outcome is known.
    pub(super) fn to_call(&self, relation: &Relation, peer: &NodeId, request: &Half) -> Call {
        Call {
            exchange: self.exchange,
            message: self.message.clone(),
            peer: peer.clone(),
            client: relation.client.clone(),
            service: self.service.clone(),
            began_at: self.began_at,
            ended_at: self.began_at,
            outcome: Outcome::Unanswered,
            status: None,
            cause: None,
            salt: self.salt.clone(),
            request: Some(request.clone()),
            response: None,
            entry: 0,
        }
    }
}
