//! The provider's side of a call: verify, write ahead, ask the provider's system, sign, log, answer.
//!
//! Invariants: rights are judged after the signature holds; the provider's system sees a request
//! only once it is durable here, and at most once for an exchange id; the answer leaves only after
//! its row and its entry are durable. A refusal is signed and logged like an answer.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::ext::ReasonPhrase;
use karvan_exchange::client::{Body, full};
use karvan_exchange::wire::{Link, link_of};
use karvan_store::{Error, Tx};
use karvan_subsystem::Rejection;
use karvan_trust::message::{self, RequestHead, Tag, VerifiedRequest};
use karvan_types::{Digest, ErrorKind, MemberId, NodeId, Timestamp};
use karvan_xroad::access::AccessPath;
use karvan_xroad::head::{request_hash, write_request, write_response};
use karvan_xroad::header::{
    self, RequestAdditions, RequestHeaders, ResponseAdditions, passes_in_response,
};
use karvan_xroad::{Code, Method, Prefix, Target};

use crate::body::{CALL_BYTES_MAX, Whole, drain};
use crate::evidence::{self, Side};
use crate::gateway::relation::Relation;
use crate::gateway::{Begun, Inner, target_of};
use crate::records::{Call, Half, Open, Outcome, Received};
use crate::registry::Service;
use crate::upstream;
use crate::wire::{self, Answer, CallField, Cause, Limit, Outgoing, Refusal, carried};

/// Whose failures these are.
const SIDE: Prefix = Prefix::ServerProxy;

/// A call whose signature holds and whose parts agree.
struct Opened {
    verified: VerifiedRequest,
    client_text: String,
    code: String,
    provider: MemberId,
    message: String,
    method: Method,
    head: Vec<u8>,
    size: u64,
    typeless: bool,
    salt: String,
}

/// What the write-ahead transaction found.
enum Ahead {
    /// The call is new and written ahead.
    New,
    /// The provider's system is at work on it.
    Busy,
    /// It has ended like this.
    Ended(Outcome),
}

impl Inner {
    /// Answers a call that the node `from` has brought.
    pub(crate) async fn provide(
        self: &Arc<Self>,
        from: NodeId,
        request: Request<Body>,
    ) -> Response<Body> {
        let now = self.node.now();
        let (head, body) = request.into_parts();
        let opened = match self.open(&from, &head, now) {
            Ok(opened) => opened,
            Err(refusal) => {
                drain(body).await;
                return self.refuse_unread(&from, &head, &refusal, now).await;
            }
        };
        let link = Link {
            exchange: opened.verified.exchange.to_string(),
            request_signature: Some(opened.verified.signed.signature.clone()),
            salt: opened.salt.clone(),
        };
        let call = opened.to_call(from, now);
        let is_head = opened.method == Method::Head;
        match self.serve(&head, body, &opened, &call).await {
            Ok(response) => response,
            Err((refusal, begun)) => self.refuse(*refusal, call, begun, &link, is_head).await,
        }
    }

    /// Verifies a call's head; everything that needs no right.
    fn open(&self, from: &NodeId, head: &Parts, now: Timestamp) -> Result<Opened, Refusal> {
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
        let serving = lists.nodes_serving(&verified.client, now).unwrap_or_default();
        if !serving.iter().any(|node| node.id == *from) {
            let text = format!("{from} does not serve {}; see the national list", verified.client);
            let rejection = Rejection::new(ErrorKind::Forbidden, "node-not-responsible", text);
            return Err(rejection.by(SIDE));
        }
        Opened::read(head, verified)
            .map_err(|rejection| Refusal::relayed(SIDE, Code::InvalidRequest, rejection))
    }

    /// Does what a verified call asks for. A refusal comes with the call when it was written ahead.
    async fn serve(
        self: &Arc<Self>,
        head: &Parts,
        body: Body,
        opened: &Opened,
        call: &Call,
    ) -> Result<Response<Body>, (Box<Refusal>, Option<Begun>)> {
        let early = |refusal: Refusal| (Box::new(refusal), None);
        let target = Target::parse(target_of(&head.uri)).map_err(|error| early(error.by(SIDE)))?;
        let permitted = self.permit(opened, &target, call.began_at);
        let (relation, service, limit) = match permitted {
            Ok(permitted) => permitted,
            Err(refusal) => {
                drain(body).await;
                return Err(early(refusal));
            }
        };
        let _counted = self.begin().map_err(|rejection| early(rejection.by(SIDE)))?;
        let bytes_max = opened.size.min(CALL_BYTES_MAX);
        let whole = self.spool.read(body, bytes_max, true).await;
        let whole = whole.map_err(|error| early(error.by(SIDE)))?;
        let same = opened.verified.check_body(whole.digest);
        same.map_err(|refusal| early(refusal.by(SIDE)))?;
        let request = upstream_request(head, &target, &service, opened, &whole)
            .map_err(|refusal| early(refusal))?;
        let begun = self.write_ahead(call).await.map_err(early)?;
        let answered = self.ask(&service, request, opened, &relation, limit, &whole).await;
        let (response, half) = match answered {
            Ok(answered) => answered,
            Err(refusal) => return Err((Box::new(refusal), Some(begun))),
        };
        let status = response.status().as_u16();
        let ended = begun.end(|call| {
            call.outcome = Outcome::Answered;
            call.status = Some(status);
            call.response = Some(half);
        });
        match ended.await {
            Ok(()) => Ok(response),
            Err(error) => Err(early(logging_failed(SIDE, &error))),
        }
    }

    /// Checks what lists, agreement, quota and registry say about a call.
    fn permit(
        &self,
        opened: &Opened,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<(Arc<Relation>, Arc<Service>, Option<Limit>), Refusal> {
        let parties = [&opened.verified.client, &opened.provider];
        let code = opened.code.as_str();
        let relation = self
            .relations
            .find(&self.node, Side::Provider, parties, code, now)
            .map_err(|rejection| rejection.by(SIDE))?;
        let path = AccessPath::parse(target.path).map_err(|error| error.by(SIDE))?;
        let named = &opened.verified.agreement;
        let term = relation
            .term(Some(named), opened.method, &path, now)
            .map_err(|rejection| rejection.by(SIDE))?;
        if opened.verified.purpose != term.purpose {
            let (id, purpose) = (&named.id, &term.purpose);
            let text = format!("agreement {id} is for the purpose `{purpose}` only");
            let rejection = Rejection::new(ErrorKind::Forbidden, "purpose-mismatch", text);
            return Err(rejection.by(SIDE));
        }
        let service = self.registry.find(&opened.provider, code).ok_or_else(|| {
            let text = format!("{} has no service `{code}`; see listMethods", opened.provider);
            let rejection = Rejection::new(ErrorKind::NotFound, "service-unknown", text);
            Refusal::new(SIDE, Code::UnknownService, rejection)
        })?;
        if !service.enabled {
            let notice = service.notice.as_deref().unwrap_or("try again later");
            let text = format!("the provider has disabled `{code}`: {notice}");
            let rejection = Rejection::new(ErrorKind::PeerUnavailable, "service-disabled", text);
            return Err(Refusal::new(SIDE, Code::ServiceDisabled, rejection));
        }
        let Some(meter) = &term.meter else { return Ok((relation, service, None)) };
        let quota = meter.quota();
        let limit = match meter.take(now) {
            Ok(left) => Limit::new(quota, left.remaining, left.reset),
            Err(exhausted) => {
                let text = format!("the agreement allows {quota}; come back when some is free");
                let rejection = Rejection::new(ErrorKind::Overloaded, "quota-exceeded", text);
                let refusal = Refusal::new(SIDE, Code::QuotaExceeded, rejection);
                let limit = Limit::new(quota, 0, exhausted.reset);
                return Err(Refusal {
                    limit: Some(limit),
                    ..refusal.retry_after(exhausted.retry_after)
                });
            }
        };
        Ok((relation, service, Some(limit)))
    }

    /// Makes the request durable before the provider's system sees it.
    async fn write_ahead(self: &Arc<Self>, call: &Call) -> Result<Begun, Refusal> {
        let begun = Begun::new(self, call.clone(), Side::Provider);
        let row = call.clone();
        let found = self.node.store().write(move |tx| written_ahead(tx, row)).await;
        let text = match found {
            Ok(Ahead::New) => return Ok(begun),
            Err(error) => {
                begun.forget();
                return Err(logging_failed(SIDE, &error));
            }
            Ok(Ahead::Busy) => "it is being answered",
            Ok(Ahead::Ended(Outcome::Answered)) => "it was answered; the answer is not kept",
            Ok(Ahead::Ended(Outcome::Refused)) => "it was refused; call again under another id",
            Ok(Ahead::Ended(Outcome::Unanswered)) => {
                "whether the provider's system acted is not known; ask the provider"
            }
        };
        begun.forget();
        let text = format!("the exchange {} came before: {text}", call.exchange);
        let rejection = Rejection::new(ErrorKind::Conflict, "exchange-replayed", text);
        Err(Refusal::new(SIDE, Code::InvalidRequest, rejection))
    }

    /// Asks the provider's system and signs what it answers.
    async fn ask(
        &self,
        service: &Service,
        request: Request<Body>,
        opened: &Opened,
        relation: &Relation,
        limit: Option<Limit>,
        asked: &Whole,
    ) -> Result<(Response<Body>, Half), Refusal> {
        let answer = self.upstream.send(service, request, service.timeout).await;
        let (head, body) = answer.map_err(|error| error.by(SIDE))?.into_parts();
        let body = body.map_err(std::io::Error::other).boxed_unsync();
        let whole = self.spool.read(body, CALL_BYTES_MAX, false).await;
        let whole = whole.map_err(|error| too_long_answer(error.by(SIDE)))?;
        let mut headers = head.headers;
        if let Some(limit) = limit {
            limit.write(&mut headers);
        }
        let reason = head.extensions.get::<ReasonPhrase>().cloned();
        self.sign(opened, relation, (head.status, reason, headers), asked, &whole)
            .map_err(|rejection| rejection.by(SIDE))
    }

    /// Signs an answer of the provider's system in the name of the provider.
    fn sign(
        &self,
        opened: &Opened,
        relation: &Relation,
        (status, reason, headers): (StatusCode, Option<ReasonPhrase>, HeaderMap),
        asked: &Whole,
        whole: &Whole,
    ) -> Result<(Response<Body>, Half), Rejection> {
        let exchange = opened.verified.exchange.to_string();
        let hash = request_hash(&opened.head, asked.hash);
        let additions = ResponseAdditions {
            message_id: &opened.message,
            client: &opened.client_text,
            service: &opened.verified.service,
            request_id: &exchange,
            request_hash: &hash,
        };
        let mut serialised = Vec::with_capacity(1024);
        let phrase = reason_of(status, reason.as_ref());
        write_response(&mut serialised, status.as_u16(), &phrase, wire::pairs(&headers), additions);
        let mut out = Outgoing::new(&headers, |name| passes_in_response(name.as_str()));
        for (name, value) in additions.headers() {
            out.add(name, &value)?;
        }
        let field = CallField {
            size: whole.size,
            head: Digest::of(&serialised),
            salt: None,
            typeless: out.typeless,
        };
        let field = field.write();
        let answer = Answer {
            status,
            digest: whole.digest,
            exchange: &exchange,
            call: Some(&field),
            request_signature: Some(&opened.verified.signed.signature),
        };
        let keys = self.node.keys();
        let signed = out.sign_answer(&answer, self.node.now(), &relation.key, keys)?;
        let mut response = Response::new(whole.to_body());
        *response.status_mut() = status;
        *response.headers_mut() = out.headers;
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        let head = wire::kept_head(serialised);
        Ok((response, Half { base: signed.base, signature: signed.signature, head }))
    }

    /// Refuses a verified call: signed, stored unless the id is taken, logged.
    async fn refuse(
        self: &Arc<Self>,
        refusal: Refusal,
        call: Call,
        begun: Option<Begun>,
        link: &Link,
        head: bool,
    ) -> Response<Body> {
        let now = self.node.now();
        let signed = match self.sign_refusal(&refusal, link, head, now) {
            Ok(signed) => signed,
            Err(rejection) => return unsigned(&rejection),
        };
        tracing::warn!(
            peer.id = %call.peer,
            exchange.id = %call.exchange,
            refusal.code = refusal.rejection.code,
            "call refused: {}", refusal.rejection.text
        );
        let (status, half) = (refusal.status(), signed.half);
        let change = move |call: &mut Call| {
            call.outcome = Outcome::Refused;
            call.status = Some(status);
            call.cause = Some(refusal.rejection);
            call.response = Some(half);
        };
        let ended = if let Some(begun) = begun {
            begun.end(change).await
        } else {
            let mut call = call;
            change(&mut call);
            self.node.store().write(move |tx| evidence::refuse(tx, call)).await
        };
        if let Err(error) = ended {
            tracing::error!("a refusal could not be logged: {error}");
        }
        signed.response
    }

    /// Refuses what proves nothing: signed and logged, not stored.
    async fn refuse_unread(
        &self,
        from: &NodeId,
        head: &Parts,
        refusal: &Refusal,
        now: Timestamp,
    ) -> Response<Body> {
        tracing::warn!(
            peer.id = %from,
            refusal.code = refusal.rejection.code,
            "call refused: {}", refusal.rejection.text
        );
        let salt = wire::text(&head.headers, "karvan-call");
        let salt = salt.and_then(|field| CallField::read(field).ok()?.salt);
        let link = Link { salt: salt.unwrap_or_default().to_owned(), ..link_of(head) };
        let is_head = head.method == http::Method::HEAD;
        let signed = match self.sign_refusal(refusal, &link, is_head, now) {
            Ok(signed) => signed,
            Err(rejection) => return unsigned(&rejection),
        };
        let statement = evidence::refusal_statement(&link.salt, &signed.half);
        let logged: Result<_, Error> = self
            .node
            .store()
            .write(move |tx| karvan_exchange::evidence::record(tx, evidence::REFUSAL, statement))
            .await;
        if let Err(error) = logged {
            tracing::error!("a refusal could not be logged: {error}");
        }
        signed.response
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
            client_text: said.client.to_string(),
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

    /// Returns the call as it stands before its outcome is known.
    fn to_call(&self, from: NodeId, now: Timestamp) -> Call {
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

/// Makes the request that the provider's system gets.
fn upstream_request(
    head: &Parts,
    target: &Target<'_>,
    service: &Service,
    opened: &Opened,
    body: &Whole,
) -> Result<Request<Body>, Refusal> {
    let uri = upstream::target(service, target.path, target.query);
    let mut request = Request::new(body.to_body());
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri.map_err(|error| error.by(SIDE))?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len());
    for field in carried(&head.headers, opened.typeless) {
        field.hand_on(headers);
    }
    Ok(request)
}

fn written_ahead(tx: &mut dyn Tx, call: Call) -> Result<Ahead, Error> {
    if let Some(Received(known)) = tx.find(call.exchange.to_string())? {
        return Ok(Ahead::Ended(known.outcome));
    }
    match tx.add(&Open(call)) {
        Ok(()) => Ok(Ahead::New),
        Err(Error::Exists { .. }) => Ok(Ahead::Busy),
        Err(error) => Err(error),
    }
}

/// Returns the phrase of a status line.
pub(crate) fn reason_of(status: StatusCode, reason: Option<&ReasonPhrase>) -> String {
    reason.map_or_else(
        || status.canonical_reason().unwrap_or_default().to_owned(),
        |reason| String::from_utf8_lossy(reason.as_bytes()).into_owned(),
    )
}

/// Makes the refusal of a call whose row or entry cannot be written.
pub(crate) fn logging_failed(side: Prefix, error: &Error) -> Refusal {
    tracing::error!("a call cannot be logged: {error}");
    let text = "this node cannot log the call, so nothing is released; tell its operator";
    let rejection = Rejection::new(ErrorKind::Storage, "logging-failed", text);
    Refusal::new(side, Code::LoggingFailed, rejection)
}

/// An answer that is too long is no fault of the client.
fn too_long_answer(refusal: Refusal) -> Refusal {
    if refusal.rejection.code != "body-too-long" {
        return refusal;
    }
    let text =
        format!("the answer has more than {CALL_BYTES_MAX} bytes; have it sent as a document");
    let rejection = Rejection::new(ErrorKind::TooLarge, "answer-too-long", text);
    Refusal::new(SIDE, Code::IoError, rejection)
}

/// Answers when not even a refusal can be signed.
fn unsigned(rejection: &Rejection) -> Response<Body> {
    tracing::error!("a refusal could not be signed: {rejection}");
    let mut bare = Response::new(full("this node cannot sign answers now\n"));
    *bare.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    bare.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    bare
}
