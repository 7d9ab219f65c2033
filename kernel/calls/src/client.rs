//! The client's side of a call: judge the agency's system, sign, carry over, verify, log, answer.
//!
//! Invariants: nothing is sent that the member's key has not signed; an answer leaves only after it
//! verified, fits its request in every id and hash, and row and entry are durable; a caller that is
//! not known to be the agency leaves no trace in the log.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use karvan_exchange::client::{Body, NoAnswer};
use karvan_exchange::wire::Link;
use karvan_store::Error;
use karvan_subsystem::Rejection;
use karvan_trust::keys::Owner;
use karvan_trust::message::{self, Expected, Provider, RequestParts, ResponseHead};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, NodeId, Timestamp};
use karvan_xroad::access::AccessPath;
use karvan_xroad::head::{request_hash, write_request, write_response};
use karvan_xroad::header::{
    RequestAdditions, RequestHeaders, ResponseAdditions, passes_in_request, passes_in_response,
};
use karvan_xroad::{ClientId, Code, Method, Prefix, Spelling, Target};

use crate::access::{Line, Proof, TOKEN};
use crate::body::{CALL_BYTES_MAX, Whole, drain};
use crate::evidence::Side;
use crate::gateway::relation::{Relation, Term};
use crate::gateway::{Begun, Inner, boxed, target_of};
use crate::provider::{logging_failed, reason_of};
use crate::records::{Call, Half, Outcome, Sent};
use crate::wire::{self, CallField, Cause, EXCHANGE, Outgoing, Refusal, carried};

/// Whose failures these are.
const SIDE: Prefix = Prefix::ClientProxy;

/// A call of an agency's system that proved who it is.
struct Asked<'a> {
    client: ClientId<'a>,
    target: Target<'a>,
    text: &'a str,
    method: Method,
    message: String,
    /// Whether the message id was made here.
    made: bool,
    exchange: ExchangeId,
    salt: String,
    proof: Proof,
    began_at: Timestamp,
}

/// A refusal, and the exchange when there is one.
struct Refused {
    refusal: Box<Refusal>,
    exchange: Option<ExchangeId>,
    client: Option<MemberId>,
}

/// What went to the other node.
struct Signed {
    headers: HeaderMap,
    half: Half,
    hash: String,
}

impl Inner {
    /// Answers a request of an agency's system.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        line: Line,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (head, body) = request.into_parts();
        match self.call(line, &head, boxed(body)).await {
            Ok(answer) => answer,
            Err(Refused { refusal, exchange, client }) => {
                let legacy =
                    client.is_some_and(|client| self.registry.client(&client).legacy_codes);
                let spelling = if legacy { Spelling::Camel } else { Spelling::Snake };
                refusal.to_answer(&head.method, &head.headers, spelling, exchange)
            }
        }
    }

    async fn call(
        self: &Arc<Self>,
        line: Line,
        head: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Refused> {
        let mut told = None;
        let outcome = self.judge(line, head, &mut told);
        let (asked, relation) = match outcome {
            Ok(judged) => judged,
            Err(refusal) => {
                drain(body).await;
                return Err(Refused { refusal: Box::new(refusal), exchange: None, client: told });
            }
        };
        let exchange = asked.exchange;
        let answered = self.carry(head, body, &asked, &relation).await;
        answered.map_err(|refusal| Refused { refusal, exchange: Some(exchange), client: told })
    }

    /// Reads a request and judges its sender; `told` is the client as soon as it is known.
    fn judge<'a>(
        &self,
        line: Line,
        head: &'a Parts,
        told: &mut Option<MemberId>,
    ) -> Result<(Asked<'a>, Arc<Relation>), Refusal> {
        let began_at = self.node.now();
        if head.headers.contains_key(TRANSFER_ENCODING) && head.headers.contains_key(CONTENT_LENGTH)
        {
            let text = "the request has Transfer-Encoding and Content-Length; send one of them";
            let rejection = Rejection::new(ErrorKind::Invalid, "framing-ambiguous", text);
            return Err(Refusal::new(Prefix::Client, Code::BadRequest, rejection));
        }
        let text = target_of(&head.uri);
        let target = Target::parse(text).map_err(|error| error.by(SIDE))?;
        let method = Method::parse(head.method.as_str()).map_err(|error| error.by(SIDE))?;
        let said = RequestHeaders::read(wire::pairs(&head.headers));
        let said = said.map_err(|error| error.by(SIDE))?;
        let client = said.client.to_member().map_err(|error| error.by(SIDE))?;
        *told = Some(client.clone());
        let provider = target.service.provider().to_member().map_err(|error| error.by(SIDE))?;
        let relation = self
            .relations
            .find(&self.node, Side::Client, [&client, &provider], &target.service.service, began_at)
            .map_err(|rejection| rejection.by(SIDE))?;
        let proof = self
            .access
            .check(&head.headers, line, &client)
            .map_err(|rejection| Refusal::new(SIDE, Code::SslAuthenticationFailed, rejection))?;
        let mut random = [0; 26];
        self.node.entropy().fill(&mut random);
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = random;
        let exchange = match head.headers.get(EXCHANGE) {
            Some(given) => given_exchange(given.to_str().unwrap_or_default())?,
            None => ExchangeId::new(began_at, id),
        };
        let salt = random.get(id.len()..).unwrap_or_default();
        let made = said.message_id.is_none();
        let message = said
            .message_id
            .map_or_else(|| format!("{}-{exchange}", self.node.id().instance()), str::to_owned);
        let asked = Asked {
            client: said.client,
            target,
            text,
            method,
            message,
            made,
            exchange,
            salt: URL_SAFE_NO_PAD.encode(salt),
            proof,
            began_at,
        };
        Ok((asked, relation))
    }

    /// Carries a call over and returns the answer for the agency's system.
    async fn carry(
        self: &Arc<Self>,
        head: &Parts,
        body: Body,
        asked: &Asked<'_>,
        relation: &Relation,
    ) -> Result<Response<Body>, Box<Refusal>> {
        let early = async |refusal| Err(self.refuse_early(asked, relation, refusal).await);
        let path = AccessPath::parse(asked.target.path).map_err(|error| error.by(SIDE));
        let term = path.and_then(|path| {
            let term = relation.term(None, asked.method, &path, asked.began_at);
            term.map_err(|rejection| rejection.by(SIDE))
        });
        let term = match term {
            Ok(term) => term,
            Err(refusal) => {
                drain(body).await;
                return early(refusal).await;
            }
        };
        let _counted = match self.begin() {
            Ok(counted) => counted,
            Err(rejection) => return early(rejection.by(SIDE)).await,
        };
        if head.headers.contains_key(EXCHANGE)
            && let Err(refusal) = self.check_new(asked.exchange).await
        {
            return Err(Box::new(refusal));
        }
        let whole = match self.spool.read(body, CALL_BYTES_MAX, true).await {
            Ok(whole) => whole,
            Err(error) => return early(error.by(Prefix::Client)).await,
        };
        let signed = match self.sign_call(head, asked, relation, term, &whole) {
            Ok(signed) => signed,
            Err(rejection) => {
                let refusal = if rejection.code == "not-coverable" {
                    Refusal::new(Prefix::Client, Code::BadRequest, rejection)
                } else {
                    rejection.by(SIDE)
                };
                return early(refusal).await;
            }
        };
        let Some(peer) = relation.nodes.first() else {
            let text = format!("no node serves {}", relation.provider);
            let rejection = Rejection::new(ErrorKind::NotFound, "member-without-node", text);
            return early(rejection.by(SIDE)).await;
        };
        let begun = Begun::new(self, asked.to_call(relation, peer, &signed.half), Side::Client);
        self.exchange(head, asked, relation, peer, signed, &whole, begun).await.map_err(Box::new)
    }

    /// Refuses an id under which this node has carried a call before.
    async fn check_new(&self, exchange: ExchangeId) -> Result<(), Refusal> {
        let known = self
            .node
            .store()
            .read(move |view| -> Result<_, Error> { view.find::<Sent>(exchange.to_string()) });
        let known = known.await.map_err(|error| error.by(SIDE))?;
        let Some(Sent(known)) = known else { return Ok(()) };
        let text = match known.outcome {
            Outcome::Answered => "was answered; the answer is not kept",
            Outcome::Refused => "was refused; call again under another id",
            Outcome::Unanswered => {
                "may have had its effect: its answer is not known; ask the provider"
            }
        };
        let text = format!("the call {exchange} {text}");
        let rejection = Rejection::new(ErrorKind::Conflict, "exchange-replayed", text);
        Err(Refusal::new(Prefix::Client, Code::InvalidRequest, rejection))
    }

    /// Makes and signs the message for the other node.
    fn sign_call(
        &self,
        head: &Parts,
        asked: &Asked<'_>,
        relation: &Relation,
        term: &Term,
        whole: &Whole,
    ) -> Result<Signed, Rejection> {
        let passes = |name: &HeaderName| {
            passes_in_request(name.as_str())
                && *name != TOKEN
                && *name != EXCHANGE
                && !(asked.proof == Proof::Authorization && *name == AUTHORIZATION)
        };
        let exchange = asked.exchange.to_string();
        let additions = RequestAdditions {
            request_id: &exchange,
            message_id: asked.made.then_some(asked.message.as_str()),
        };
        let mut serialised = Vec::with_capacity(1024);
        let kept = head.headers.iter().filter(|(name, _)| passes(name));
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_bytes()));
        write_request(&mut serialised, asked.method, asked.text, kept, additions);
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
        let parts = RequestParts {
            method: asked.method.as_str(),
            authority: &relation.authority,
            path: head.uri.path(),
            query: asked.target.query,
            content_type: "",
            content_digest: &message::content_digest(whole.digest),
            exchange_id: &exchange,
            agreement: &term.text,
            client: relation.client.as_str(),
            service: &asked.target.service.to_string(),
            document: None,
            call: Some(&field.write()),
            consent: None,
            purpose: &term.purpose,
        };
        let signed = out.sign_request(&parts, asked.began_at, &relation.key, self.node.keys())?;
        let hash = request_hash(&serialised, whole.hash);
        let half = Half {
            base: signed.base,
            signature: signed.signature,
            head: wire::kept_head(serialised),
        };
        Ok(Signed { headers: out.headers, half, hash })
    }

    /// Sends the message and judges what comes back.
    #[expect(clippy::too_many_arguments, reason = "one call's parts, one caller")]
    async fn exchange(
        self: &Arc<Self>,
        head: &Parts,
        asked: &Asked<'_>,
        relation: &Relation,
        peer: &NodeId,
        signed: Signed,
        whole: &Whole,
        begun: Begun,
    ) -> Result<Response<Body>, Refusal> {
        let make = || {
            let mut request = Request::new(whole.to_body());
            *request.method_mut() = head.method.clone();
            *request.uri_mut() =
                head.uri.path_and_query().cloned().map(Into::into).unwrap_or_default();
            *request.headers_mut() = signed.headers.clone();
            request
        };
        let received = if peer == self.node.id() {
            let answer = Box::pin(self.provide(peer.clone(), make())).await;
            self.receive(answer).await
        } else {
            match self.node.call(peer, self.settings.answer_timeout, make).await {
                Ok(answer) => {
                    let (answer, used) = answer.into_parts();
                    let received = self.receive(answer.map(boxed)).await;
                    if received.is_ok() {
                        used.done();
                    }
                    received
                }
                Err(error) => Err(no_answer(error)),
            }
        };
        let judged = received.and_then(|(head, body)| {
            self.verify(asked, relation, peer, &signed, &head, &body).map(|it| (it, body))
        });
        match judged {
            Ok((Verified::Answer { half, headers, status, reason }, body)) => {
                let ended = begun.end(|call| {
                    call.outcome = Outcome::Answered;
                    call.status = Some(status.as_u16());
                    call.response = Some(half);
                });
                ended.await.map_err(|error| logging_failed(SIDE, &error))?;
                let mut answer = Response::new(body.to_body());
                *answer.status_mut() = status;
                *answer.headers_mut() = headers;
                if let Some(reason) = reason {
                    answer.extensions_mut().insert(reason);
                }
                Ok(answer)
            }
            Ok((Verified::Refusal { half, refusal }, _)) => {
                let (status, cause) = (refusal.status(), refusal.rejection.clone());
                let ended = begun.end(|call| {
                    call.outcome = Outcome::Refused;
                    call.status = Some(status);
                    call.cause = Some(cause);
                    call.response = Some(half);
                });
                ended.await.map_err(|error| logging_failed(SIDE, &error))?;
                Err(*refusal)
            }
            Err(refusal) => {
                let cause = refusal.rejection.clone();
                let ended = begun.end(|call| call.cause = Some(cause));
                ended.await.map_err(|error| logging_failed(SIDE, &error))?;
                Err(refusal)
            }
        }
    }

    /// Reads an answer to its end.
    async fn receive(
        &self,
        answer: Response<Body>,
    ) -> Result<(http::response::Parts, Whole), Refusal> {
        let (head, body) = answer.into_parts();
        let whole = self.spool.read(body, CALL_BYTES_MAX, false).await;
        let whole = whole.map_err(|error| {
            let code = Code::IoError;
            Refusal { code: Refusal::relayed(SIDE, code, unknown("")).code, ..error.by(SIDE) }
        })?;
        Ok((head, whole))
    }

    /// Verifies an answer and compares it with the request in every part.
    fn verify(
        &self,
        asked: &Asked<'_>,
        relation: &Relation,
        peer: &NodeId,
        signed: &Signed,
        head: &http::response::Parts,
        body: &Whole,
    ) -> Result<Verified, Refusal> {
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
            Refusal { code: Refusal::relayed(SIDE, refusal.code.code, unknown("")).code, ..refusal }
        };
        let verified = message::verify_response(&received, &expected, &*lists, self.node.now())
            .map_err(relayed)?;
        verified.check_body(body.digest).map_err(relayed)?;
        let inconsistent = |text: &str| {
            let text = format!("{text}; whether the service acted is not known");
            let rejection = Rejection::new(ErrorKind::PeerMisbehaved, "answer-inconsistent", text);
            Refusal::new(SIDE, Code::InconsistentResponse, rejection)
        };
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
            return Ok(Verified::Refusal { half, refusal: Box::new(refusal) });
        }
        let field = CallField::read(&field)
            .map_err(|_| inconsistent("the answer of the other node has no karvan-call"))?;
        let exchange = asked.exchange.to_string();
        let additions = ResponseAdditions {
            message_id: &asked.message,
            client: &asked.client.to_string(),
            service: &asked.target.service.to_string(),
            request_id: &exchange,
            request_hash: &signed.hash,
        };
        let reason = head.extensions.get::<ReasonPhrase>();
        let phrase = reason_of(head.status, reason);
        let mut serialised = Vec::with_capacity(1024);
        let fields = || carried(&head.headers, field.typeless);
        let pairs = fields().map(|field| (field.name, field.value.as_bytes()));
        write_response(&mut serialised, verified.status, &phrase, pairs, additions);
        if Digest::of(&serialised) != field.head || body.size != field.size {
            return Err(inconsistent("ids, hash or headers of the answer are not of this request"));
        }
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        for field in fields().filter(|field| passes_in_response(field.name)) {
            field.hand_on(&mut headers);
        }
        let mut out = Outgoing { headers, typeless: false };
        for (name, value) in additions.headers() {
            out.add(name, &value).map_err(|rejection| rejection.by(SIDE))?;
        }
        out.put(&EXCHANGE, &exchange).map_err(|rejection| rejection.by(SIDE))?;
        half.head = wire::kept_head(serialised);
        let (status, reason) = (head.status, reason.cloned());
        Ok(Verified::Answer { half, headers: out.headers, status, reason })
    }

    /// Refuses a call of a known client that did not leave this node: signed and logged.
    async fn refuse_early(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        relation: &Relation,
        refusal: Refusal,
    ) -> Box<Refusal> {
        let link = Link {
            exchange: asked.exchange.to_string(),
            request_signature: None,
            salt: asked.salt.clone(),
        };
        let now = self.node.now();
        let signed = match self.sign_refusal(&refusal, &link, false, now) {
            Ok(signed) => signed,
            Err(rejection) => return Box::new(rejection.by(SIDE)),
        };
        let mut call = asked.to_call(relation, self.node.id(), &Half::default());
        call.ended_at = now;
        call.request = None;
        call.outcome = Outcome::Refused;
        call.status = Some(refusal.status());
        call.cause = Some(refusal.rejection.clone());
        call.response = Some(signed.half);
        match self.end(call, Side::Client).await {
            Ok(()) => Box::new(refusal),
            Err(error) => Box::new(logging_failed(SIDE, &error)),
        }
    }
}

/// An answer that is the provider's or its node's.
enum Verified {
    /// The provider's system answered.
    Answer {
        half: Half,
        headers: HeaderMap,
        status: http::StatusCode,
        reason: Option<ReasonPhrase>,
    },
    /// Its node refused.
    Refusal { half: Half, refusal: Box<Refusal> },
}

impl Asked<'_> {
    /// Returns the call as it stands before its outcome is known.
    fn to_call(&self, relation: &Relation, peer: &NodeId, request: &Half) -> Call {
        Call {
            exchange: self.exchange,
            message: self.message.clone(),
            peer: peer.clone(),
            client: relation.client.clone(),
            service: self.target.service.to_string(),
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

fn given_exchange(text: &str) -> Result<ExchangeId, Refusal> {
    text.parse().map_err(|error: karvan_types::id::InvalidId| {
        let rejection = Rejection::new(ErrorKind::Invalid, "exchange-id", error.to_string());
        Refusal::new(Prefix::Client, Code::BadRequest, rejection)
    })
}

fn unknown(text: impl Into<String>) -> Rejection {
    Rejection::new(ErrorKind::PeerUnavailable, "answer-unknown", text)
}

fn no_answer(error: NoAnswer) -> Refusal {
    match error {
        NoAnswer::Unreachable(..) => {
            let text = format!("{error}; the call was not made: try again later");
            let rejection = Rejection::new(ErrorKind::PeerUnavailable, "peer-unreachable", text);
            Refusal::new(SIDE, Code::NetworkError, rejection)
        }
        _ => {
            let text = format!("{error}; whether the service acted is not known");
            Refusal::new(SIDE, Code::IoError, unknown(text))
        }
    }
}
