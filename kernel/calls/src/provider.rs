//! The provider's side of a call: verify, write ahead, ask the provider's system, sign, log,
//! answer.
//!
//! Invariants: rights are judged after the signature holds; the provider's system sees a request
//! only once it is durable here, and at most once for an exchange id; the answer leaves only after
//! its row and its entry are durable. A refusal is signed and logged like an answer.

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::ext::ReasonPhrase;
use karvan_agreements::Meter;
use karvan_exchange::client::Body;
use karvan_exchange::wire::Link;
use karvan_store::{Error, Record as _, Tx};
use karvan_subsystem::Rejection;
use karvan_types::{Digest, ErrorKind, NodeId, Timestamp};
use karvan_xroad::access::AccessPath;
use karvan_xroad::head::{HASH_BYTES, request_hash, write_response};
use karvan_xroad::header::{self, ResponseAdditions, passes_in_response};
use karvan_xroad::metadata::Service as Question;
use karvan_xroad::{Code, Method, Prefix, Spelling, Target};

use crate::body::{CALL_BYTES_MAX, Whole, drain};
use crate::evidence::{self, Side};
use crate::gateway::relation::{Parties, Relation};
use crate::gateway::{Begun, Inner, Story, target_of};
use crate::metrics::{self, Record};
use crate::open::OpenCalls;
use crate::overload::RETRY_AFTER;
use crate::quotas::Charge;
use crate::records::{Call, End, Half, Outcome, Received};
use crate::registry::Service;
use crate::wire::{self, Answer, CallField, Cause, Limit, Outgoing, Refusal, carried};
use crate::{metadata, upstream};

use opened::Opened;

mod opened;
mod refuse;

/// Whose failures these are.
const SIDE: Prefix = Prefix::ServerProxy;

/// A call that may be made.
struct Job {
    relation: Arc<Relation>,
    asked: Called,
    limit: Option<Box<Limit>>,
    /// What it was taken from.
    charge: Option<Charge>,
    /// The pattern that covers the path, for the log line.
    path: Option<Arc<str>>,
}

impl Job {
    /// Tells what is called, for figures and line.
    fn tell(&self, story: &mut Story) {
        story.known = true;
        story.path.clone_from(&self.path);
        if let Called::Service(service) = &self.asked {
            story.service_type = Some(service.kind.type_name());
        }
    }
}

/// What a service code names.
enum Called {
    /// A service of the provider.
    Service(Arc<Service>),
    /// A service about services.
    Question(Question),
}

/// What the provider's system, or the node about it, answered.
struct Answered {
    status: StatusCode,
    reason: Option<ReasonPhrase>,
    headers: HeaderMap,
    body: Whole,
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
        let opened = match self.open(&head, now) {
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
        let mut call = Some(opened.to_call(from.clone(), now));
        let is_head = opened.method == Method::Head;
        let mut story = Story::new(now);
        let (response, fault) =
            match self.serve(&head, body, &opened, (&from, &mut call), &mut story).await {
                Ok(response) => (response, None),
                Err((refusal, begun)) => {
                    let fault =
                        (refusal.code.text(Spelling::Snake), refusal.rejection.text.clone());
                    opened.warn(&refusal, &link, &from);
                    let response = self.refuse(refusal, (call.take(), begun), &link, is_head).await;
                    (response, Some(fault))
                }
            };
        let exchange = opened.verified.exchange;
        let [own, other] = self.addresses(&from);
        self.metrics.observe(&Record {
            client: Some(&opened.verified.client),
            service: story.known.then_some((&opened.provider, opened.code.as_str())),
            peer: Some(&from),
            client_address: other.as_deref(),
            service_address: own.as_deref(),
            method: opened.method.as_str(),
            path: story.path.as_deref(),
            message_id: Some(&opened.message),
            request_id: Some(&link.exchange),
            user_id: wire::text(&head.headers, header::USER_ID),
            issue: wire::text(&head.headers, header::ISSUE),
            represented_party: wire::text(&head.headers, header::REPRESENTED_PARTY),
            status: response.status().as_u16(),
            fault: fault.as_ref().map(|(code, text)| (code.as_str(), text.as_str())),
            ..story.record(metrics::Side::Provider, Some(exchange), self.node.now())
        });
        response
    }

    /// Does what a verified call asks for. A refusal comes with the call when it was written ahead.
    async fn serve(
        self: &Arc<Self>,
        head: &Parts,
        body: Body,
        opened: &Opened,
        (from, call): (&NodeId, &mut Option<Call>),
        story: &mut Story,
    ) -> Result<Response<Body>, (Refusal, Option<Begun>)> {
        let early = |refusal: Refusal| (refusal, None);
        let target = Target::parse(target_of(&head.uri)).map_err(|error| early(error.by(SIDE)))?;
        let mut job = match self.permit(opened, &target, from, story.began_at) {
            Ok(job) => job,
            Err(refusal) => {
                drain(body).await;
                return Err(early(refusal));
            }
        };
        job.tell(story);
        let entered = match self.begin() {
            Ok(counted) => self
                .provider_gate
                .enter(&opened.provider, story.began_at)
                .await
                .map(|place| (counted, place))
                .map_err(|refused| overloaded(SIDE, refused)),
            Err(draining) => Err(overloaded(SIDE, draining)),
        };
        let _entered = match entered {
            Ok(entered) => entered,
            Err(refusal) => {
                drain(body).await;
                return Err(early(refusal));
            }
        };
        let bytes_max = opened.size.min(CALL_BYTES_MAX);
        let whole = self.spool.read(body, bytes_max, true).await;
        let whole = whole.map_err(|error| early(error.by(SIDE)))?;
        story.request_size = whole.size;
        let same = opened.verified.check_body(whole.digest);
        same.map_err(|refusal| early(refusal.by(SIDE)))?;
        let begun = self.write_ahead(call, job.charge.take()).await.map_err(early)?;
        let answered = match &job.asked {
            Called::Question(question) => self.describe(*question, opened, &target, &job).await,
            Called::Service(service) => {
                let request = upstream_request(head, &target, service, opened, &whole);
                match request {
                    Ok(request) => self.ask(service, request, &job, story).await,
                    Err(refusal) => Err(refusal),
                }
            }
        };
        let signed = match answered {
            Ok(answered) => {
                story.response_size = answered.body.size;
                let signed = self.sign_answer(opened, &job.relation, answered, whole.hash).await;
                signed.map_err(|rejection| job.asked.refuse_after(rejection.by(SIDE)))
            }
            Err(refusal) => Err(refusal),
        };
        let (response, half) = match signed {
            Ok(signed) => signed,
            Err(refusal) => return Err((refusal, Some(begun))),
        };
        let status = response.status().as_u16();
        let ended = begun.end(|call| {
            call.outcome = Outcome::Answered;
            call.status = Some(status);
            call.response = Some(half);
        });
        match ended.await {
            Ok(()) => Ok(response),
            Err(error) => Err(early(job.asked.refuse_after(logging_failed(SIDE, &error)))),
        }
    }

    /// Checks what lists, agreement, quota and registry say about a call.
    fn permit(
        &self,
        opened: &Opened,
        target: &Target<'_>,
        from: &NodeId,
        now: Timestamp,
    ) -> Result<Job, Refusal> {
        let parties = Parties {
            side: Side::Provider,
            client: &opened.verified.client,
            provider: &opened.provider,
            service: &opened.code,
        };
        let relation = self.relations.find(&self.node, parties, now);
        let relation = relation.map_err(|rejection| rejection.by(SIDE))?;
        if !relation.nodes.contains(from) {
            let client = &relation.client;
            let text = format!("{from} does not serve {client}; see the national list");
            let rejection = Rejection::new(ErrorKind::Forbidden, "node-not-responsible", text);
            return Err(rejection.by(SIDE));
        }
        let asked = self.called(opened)?;
        if let Called::Question(_) = asked {
            return Ok(Job { relation, asked, limit: None, charge: None, path: None });
        }
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
        let limit = term.quota.as_ref().map(|quota| count(&quota.meter, now)).transpose()?;
        let charge = term.quota.as_ref().map(|quota| quota.charge(now));
        let path = term.pattern(opened.method, &path);
        Ok(Job { relation, asked, limit, charge, path })
    }

    /// Returns what the service code of a call names.
    fn called(&self, opened: &Opened) -> Result<Called, Refusal> {
        let code = opened.code.as_str();
        if let Some(question) = Question::from_code(code) {
            if opened.method == Method::Get {
                return Ok(Called::Question(question));
            }
            let text = format!("`{code}` is asked with GET only");
            let rejection = Rejection::new(ErrorKind::Invalid, "method-not-offered", text);
            return Err(Refusal::new(SIDE, Code::InvalidHttpMethod, rejection));
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
        Ok(Called::Service(service))
    }

    /// Makes the request durable before the provider's system sees it; takes the call when it did.
    async fn write_ahead(
        self: &Arc<Self>,
        call: &mut Option<Call>,
        charge: Option<Charge>,
    ) -> Result<Begun, Refusal> {
        let Some(ahead) = call.take() else {
            let text = "a call is written ahead once";
            return Err(Rejection::new(ErrorKind::Internal, "written-ahead", text).by(SIDE));
        };
        let id = ahead.exchange.to_string();
        let row = Received(ahead.clone());
        let begun = Begun::new(self, ahead, Side::Provider);
        let open = Arc::clone(&self.open);
        let found = self
            .node
            .store()
            .write(move |tx| written_ahead(tx, &row, charge.as_ref(), &open))
            .await;
        // Whether the first call under the id may have acted: then none under it counts as refused.
        let (text, acted) = match found {
            Ok(Ahead::New) => return Ok(begun),
            Err(error) => {
                *call = begun.forget();
                return Err(logging_failed(SIDE, &error));
            }
            Ok(Ahead::Busy) => ("it is being answered", true),
            Ok(Ahead::Ended(Outcome::Answered)) => {
                ("it was answered; the answer is not kept", true)
            }
            Ok(Ahead::Ended(Outcome::Refused)) => {
                ("it was refused; call again under another id", false)
            }
            Ok(Ahead::Ended(Outcome::Unanswered)) => {
                ("whether the provider's system acted is not known; ask the provider", true)
            }
        };
        *call = begun.forget();
        let text = format!("the exchange {id} came before: {text}");
        let rejection = Rejection::new(ErrorKind::Conflict, "exchange-replayed", text);
        Err(Refusal { sent: acted, ..Refusal::new(SIDE, Code::InvalidRequest, rejection) })
    }

    /// Answers a question about services.
    async fn describe(
        &self,
        question: Question,
        opened: &Opened,
        target: &Target<'_>,
        job: &Job,
    ) -> Result<Answered, Refusal> {
        let asked = metadata::Asked {
            question,
            client: &opened.verified.client,
            provider: &opened.provider,
            query: target.query,
            now: self.node.now(),
        };
        let book = job.relation.book();
        let described = metadata::answer(asked, &self.registry, book, &self.upstream).await;
        let described =
            described.map_err(|rejection| Refusal::new(SIDE, Code::InternalError, rejection))?;
        let mut headers = HeaderMap::new();
        let kind = wire::field_value(&described.content_type);
        let kind = kind.map_err(|rejection| rejection.by(SIDE))?;
        headers.insert(http::header::CONTENT_TYPE, kind);
        let body = Whole::new(described.body.into(), false);
        Ok(Answered { status: StatusCode::OK, reason: None, headers, body })
    }

    /// Asks the provider's system.
    async fn ask(
        &self,
        service: &Service,
        mut request: Request<Body>,
        job: &Job,
        story: &mut Story,
    ) -> Result<Answered, Refusal> {
        self.pass_on_trace(request.headers_mut());
        let breaker = self.breakers.of(&service.member, &service.code);
        let pass = breaker.admit(self.node.now()).map_err(|open| {
            let after = open.retry_after;
            Refusal::new(SIDE, Code::NetworkError, open.into()).retry_after(after)
        })?;
        story.sent();
        let answered = self.upstream.send(service, request, service.timeout).await;
        let answered = match answered {
            Err(error) => Err(error.by(SIDE)),
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let body = body.map_err(std::io::Error::other).boxed_unsync();
                let whole = self.spool.read(body, CALL_BYTES_MAX, false).await;
                whole
                    .map(|whole| (head, whole))
                    .map_err(|error| answer_refusal(error.by(SIDE)).after_sending())
            }
        };
        story.received();
        let now = self.node.now();
        let (head, body) = match answered {
            Ok(answered) => {
                pass.succeeded(now);
                answered
            }
            Err(refusal) => {
                // That a call got no connection, or its answer no room here, says nothing of the
                // system.
                if !matches!(refusal.rejection.kind, ErrorKind::Overloaded | ErrorKind::Storage) {
                    pass.failed(now);
                }
                return Err(refusal);
            }
        };
        if head.status.is_informational() {
            let text = "the provider's system wants another protocol; calls carry HTTP only";
            let rejection = Rejection::new(ErrorKind::PeerMisbehaved, "provider-system", text);
            return Err(Refusal::new(SIDE, Code::IoError, rejection).after_sending());
        }
        let mut headers = head.headers;
        wire::check_size(&headers)
            .map_err(|error| Refusal::new(SIDE, Code::IoError, error).after_sending())?;
        if let Some(limit) = &job.limit {
            limit.write(&mut headers);
        }
        let reason = head.extensions.get::<ReasonPhrase>().cloned();
        Ok(Answered { status: head.status, reason, headers, body })
    }

    /// Signs an answer in the name of the provider.
    async fn sign_answer(
        self: &Arc<Self>,
        opened: &Opened,
        relation: &Relation,
        answered: Answered,
        asked: Option<[u8; HASH_BYTES]>,
    ) -> Result<(Response<Body>, Half), Rejection> {
        let Answered { status, reason, headers, body } = answered;
        let exchange = opened.verified.exchange.to_string();
        let hash = request_hash(&opened.head, asked);
        let additions = ResponseAdditions {
            message_id: &opened.message,
            client: &opened.client,
            service: &opened.verified.service,
            request_id: &exchange,
            request_hash: &hash,
        };
        let mut serialised = Vec::with_capacity(1024);
        let phrase = reason_of(status, reason.as_ref());
        let pairs = wire::pairs(&headers);
        write_response(&mut serialised, status.as_u16(), &phrase, pairs, additions);
        let mut out = Outgoing::new(&headers, |name| passes_in_response(name.as_str()));
        for (name, value) in additions.headers() {
            out.add(name, value)?;
        }
        let field = CallField {
            size: body.size,
            head: Digest::of(&serialised),
            salt: None,
            typeless: out.typeless,
        };
        let field = field.write();
        let answer = Answer {
            status,
            digest: body.digest,
            exchange: &exchange,
            call: Some(&field),
            request_signature: Some(&opened.verified.signed.signature),
        };
        let by = (relation.key.clone(), self.is_batched());
        let written = out.write_answer(&answer, self.node.now(), by)?;
        let signed = self.sign(written).await?;
        out.put_signature(&signed)?;
        let mut response = Response::new(body.to_body());
        *response.status_mut() = status;
        *response.headers_mut() = out.headers;
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        let head = wire::kept_head(serialised);
        Ok((response, Half { base: signed.base, signature: signed.signature, head }))
    }
}

impl Called {
    /// Marks a refusal that comes after the answer: a service has acted, a question does nothing.
    fn refuse_after(&self, refusal: Refusal) -> Refusal {
        match self {
            Self::Service(_) => refusal.after_sending(),
            Self::Question(_) => refusal,
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

fn written_ahead(
    tx: &mut dyn Tx,
    request: &Received,
    charge: Option<&Charge>,
    open: &OpenCalls,
) -> Result<Ahead, Error> {
    match evidence::write_ahead(tx, request) {
        Ok(()) => {
            charge.map_or(Ok(()), |charge| charge.keep(tx))?;
            open.begun(request.0.exchange);
            Ok(Ahead::New)
        }
        Err(Error::Exists { .. }) => {
            let ended = tx.find::<End>(request.key())?;
            Ok(ended.map_or(Ahead::Busy, |ended| Ahead::Ended(ended.outcome)))
        }
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

/// Uses one call of a quota.
fn count(meter: &Meter, now: Timestamp) -> Result<Box<Limit>, Refusal> {
    let quota = meter.quota();
    match meter.take(now) {
        Ok(left) => Ok(Box::new(Limit::new(quota, left.remaining, left.reset))),
        Err(exhausted) => {
            let text = format!("the agreement allows {quota}; come back when some is free");
            let rejection = Rejection::new(ErrorKind::Overloaded, "quota-exceeded", text);
            let refusal = Refusal::new(SIDE, Code::QuotaExceeded, rejection);
            let limit = Some(Box::new(Limit::new(quota, 0, exhausted.reset)));
            Err(Refusal { limit, ..refusal.retry_after(exhausted.retry_after) })
        }
    }
}

/// Makes the refusal of a call that was not let in.
pub(crate) fn overloaded(side: Prefix, refused: impl Into<Rejection>) -> Refusal {
    Refusal::new(side, Code::Overloaded, refused.into()).retry_after(RETRY_AFTER)
}

/// An answer that is too long or too slow is no fault of the client; one for which there is no room
/// is no invitation to come again.
fn answer_refusal(refusal: Refusal) -> Refusal {
    let system = (ErrorKind::PeerMisbehaved, "provider-system");
    let ((kind, code), text) = match refusal.rejection.code.as_str() {
        "body-too-long" => {
            let hint = "have it sent as a document";
            (system, format!("the answer has more than {CALL_BYTES_MAX} bytes; {hint}"))
        }
        "body-slow" => (system, "the answer of the provider's system took too long".to_owned()),
        "no-room" => {
            let text = "the provider's node has no room for the answer now";
            ((ErrorKind::Overloaded, "no-room"), text.to_owned())
        }
        _ => return refusal,
    };
    let rejection = Rejection::new(kind, code, text);
    Refusal::new(SIDE, Code::IoError, rejection)
}
