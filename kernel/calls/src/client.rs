//! The client's side of a call: judge the agency's system, sign, carry over, verify, log, answer.
//!
//! Invariants: nothing is sent that the member's key has not signed; an answer leaves only after it
//! verified, fits its request in every id and hash, and row and entry are durable; a caller that is
//! not known to be the agency leaves no trace in the log.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use karvan_exchange::client::{Body, NoAnswer, full};
use karvan_exchange::wire::{LIST_PATH, Link};
use karvan_store::Error;
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, ExchangeId, MemberId, NodeId, Timestamp};
use karvan_xroad::access::AccessPath;
use karvan_xroad::header::RequestHeaders;
use karvan_xroad::{Code, Method, Prefix, SecurityServerId, Spelling, Target};

use crate::access::Line;
use crate::body::{CALL_BYTES_MAX, Whole, drain};
use crate::evidence::Side;
use crate::gateway::relation::{Parties, Relation};
use crate::gateway::{Begun, Entered, Inner, Story, boxed, target_of};
use crate::metadata;
use crate::metrics::{self, Record};
use crate::peers::Leave;
use crate::provider::{logging_failed, overloaded};
use crate::records::{Call, Half, Outcome, Sent};
use crate::wire::{self, Cause, Refusal};

use request::{Asked, Signed};
use verify::Verified;

mod request;
mod verify;

/// Whose failures these are.
const SIDE: Prefix = Prefix::ClientProxy;
/// The cause when a call did not get to the other node.
const UNREACHABLE: &str = "peer-unreachable";
/// How long a peer that left calls without an answer may take to answer anything.
const LIFE_SIGN_TIMEOUT: Duration = Duration::from_secs(5);
/// Where anybody asks who is there (PR-MREST).
const LIST_CLIENTS_PATH: &str = "/listClients";

/// What is known of a call when it was judged.
struct Judged<'a> {
    asked: Asked<'a>,
    relation: Arc<Relation>,
    /// The node that is called.
    peer: NodeId,
}

impl Inner {
    /// Answers a request of an agency's system.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        line: Line,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        let body = boxed(body);
        self.pass_on_trace(&mut head.headers);
        let mut id = [0; 10];
        self.node.entropy().fill(&mut id);
        let began_at = self.node.now();
        // Also of what is no call: its refusal names it.
        let made = ExchangeId::new(began_at, id);
        if head.uri.path() == LIST_CLIENTS_PATH {
            return self.list_clients(&head, made);
        }
        let mut client = None;
        let mut story = Story::new(began_at);
        let judged = match self.judge(line, &head, &mut client, (made, began_at)) {
            Ok(judged) => judged,
            Err(refusal) => {
                let message = wire::text(&head.headers, "x-road-id");
                tracing::info!(
                    exchange.id = %made,
                    message.id = message,
                    client = client.as_ref().map(tracing::field::display),
                    refusal.code = refusal.rejection.code,
                    "request refused: {}", refusal.rejection.text
                );
                let answer = self.to_answer(&refusal, &head, client.as_ref(), made);
                let fault = refusal.code.text(Spelling::Snake);
                // Who asked is not proven, so nobody is named.
                self.metrics.observe(&Record {
                    method: head.method.as_str(),
                    message_id: message,
                    status: answer.status().as_u16(),
                    fault: Some((&fault, &refusal.rejection.text)),
                    ..story.record(metrics::Side::Client, Some(made), self.node.now())
                });
                drain(body).await;
                return answer;
            }
        };
        let answered = self.carry(&head, body, &judged, &mut story).await;
        let (answer, fault) = match answered {
            Ok(answer) => (answer, None),
            Err(refusal) => {
                let exchange = judged.asked.exchange;
                let answer = self.to_answer(&refusal, &head, client.as_ref(), exchange);
                (answer, Some((refusal.code.text(Spelling::Snake), refusal.rejection.text)))
            }
        };
        let Judged { asked, relation, peer } = &judged;
        let id = asked.exchange.to_string();
        let [own, other] = self.addresses(peer);
        self.metrics.observe(&Record {
            client: Some(&relation.client),
            service: story.known.then_some((&relation.provider, &*asked.target.service.service)),
            peer: Some(peer),
            client_address: own.as_deref(),
            service_address: other.as_deref(),
            method: asked.method.as_str(),
            path: story.path.as_deref(),
            message_id: Some(&asked.message),
            request_id: Some(&id),
            user_id: asked.user_id,
            issue: asked.issue,
            represented_party: asked.represented_party.as_deref(),
            status: answer.status().as_u16(),
            fault: fault.as_ref().map(|(code, text)| (code.as_str(), text.as_str())),
            ..story.record(metrics::Side::Client, Some(asked.exchange), self.node.now())
        });
        answer
    }

    /// Makes the answer of a refusal in the spelling that the client wants.
    fn to_answer(
        &self,
        refusal: &Refusal,
        head: &Parts,
        client: Option<&MemberId>,
        exchange: ExchangeId,
    ) -> Response<Body> {
        let legacy = client.is_some_and(|client| self.registry.client(client).legacy_codes);
        let spelling = if legacy { Spelling::Camel } else { Spelling::Snake };
        refusal.to_answer(&head.method, &head.headers, spelling, exchange)
    }

    fn list_clients(&self, head: &Parts, exchange: ExchangeId) -> Response<Body> {
        let accept = head.headers.get_all(http::header::ACCEPT);
        let described = if head.method == http::Method::GET {
            metadata::list_clients(
                &self.node.lists(),
                self.node.id().instance(),
                head.uri.query(),
                accept.iter().map(HeaderValue::as_bytes),
                self.node.now(),
            )
            .map_err(|rejection| Refusal::new(SIDE, Code::InternalError, rejection))
        } else {
            let text = "listClients is asked with GET only";
            let rejection = Rejection::new(ErrorKind::Invalid, "method-not-offered", text);
            Err(Refusal::new(Prefix::Client, Code::InvalidHttpMethod, rejection))
        };
        match described {
            Ok(described) => {
                let mut answer = Response::new(full(described.body));
                if let Ok(kind) = HeaderValue::try_from(described.content_type) {
                    answer.headers_mut().insert(CONTENT_TYPE, kind);
                }
                answer
            }
            Err(refusal) => self.to_answer(&refusal, head, None, exchange),
        }
    }

    /// Reads a request and judges its sender; `told` is the client as soon as it is known.
    fn judge<'a>(
        &self,
        line: Line,
        head: &'a Parts,
        told: &mut Option<MemberId>,
        (made, began_at): (ExchangeId, Timestamp),
    ) -> Result<Judged<'a>, Refusal> {
        wire::check_size(&head.headers)
            .map_err(|rejection| Refusal::new(Prefix::Client, Code::BadRequest, rejection))?;
        let said = RequestHeaders::read(wire::pairs(&head.headers));
        let said = said.map_err(|error| error.by(SIDE))?;
        let client = said.client.to_member().map_err(|error| error.by(SIDE))?;
        let client = &*told.insert(client);
        let target = Target::parse(target_of(&head.uri)).map_err(|error| error.by(SIDE))?;
        let method = Method::parse(head.method.as_str()).map_err(|error| error.by(SIDE))?;
        let provider = target.service.provider().to_member().map_err(|error| error.by(SIDE))?;
        let service = &*target.service.service;
        let parties = Parties { side: Side::Client, client, provider: &provider, service };
        let relation = self.relations.find(&self.node, parties, began_at);
        let relation = relation.map_err(|rejection| rejection.by(SIDE))?;
        let proof = self.access.check(&head.headers, line, client);
        let proof = proof
            .map_err(|rejection| Refusal::new(SIDE, Code::SslAuthenticationFailed, rejection))?;
        let peer = peer_of(&relation, said.security_server.as_ref(), began_at)?;
        let ids = (made, began_at);
        let asked = Asked::new(&self.node, head, (target, method, said), proof, ids)?;
        Ok(Judged { asked, relation, peer })
    }

    /// Carries a call over and returns the answer for the agency's system.
    async fn carry(
        self: &Arc<Self>,
        head: &Parts,
        body: Body,
        judged: &Judged<'_>,
        story: &mut Story,
    ) -> Result<Response<Body>, Refusal> {
        let Judged { asked, relation, peer } = judged;
        let path = AccessPath::parse(asked.target.path).map_err(|error| error.by(SIDE));
        let term = path.and_then(|path| {
            let term = relation.term_to_send(asked.method, &path, asked.began_at);
            story.path = term.as_ref().ok().and_then(|term| term.pattern(asked.method, &path));
            // In the name of the provider's node, which would say the same.
            term.map_err(|rejection| rejection.by(Prefix::ServerProxy))
        });
        story.known = term.is_ok() && relation.is_named();
        let entered = match &term {
            Ok(_) => self.enter(asked, relation).await,
            Err(refusal) => Err(refusal.clone()),
        };
        let (term, _entered) = match (term, entered) {
            (Ok(term), Ok(entered)) => (term, entered),
            (Err(refusal), _) | (_, Err(refusal)) => {
                drain(body).await;
                return Err(self.refuse_early(judged, refusal).await);
            }
        };
        let whole = match self.spool.read(body, CALL_BYTES_MAX, true).await {
            Ok(whole) => whole,
            Err(error) => return Err(self.refuse_early(judged, error.by(Prefix::Client)).await),
        };
        story.request_size = whole.size;
        let signed = match self.sign_call(head, judged, term, &whole).await {
            Ok(signed) => signed,
            Err(refusal) => return Err(self.refuse_early(judged, refusal).await),
        };
        let begun = Begun::new(self, asked.to_call(relation, peer, &signed.half), Side::Client);
        story.sent();
        let received = self.send(head, peer, &signed, &whole).await;
        story.received();
        let received = match received {
            Err(refusal) if refusal.rejection.code == UNREACHABLE => {
                // Nobody has seen it: this node refuses it.
                begun.forget();
                return Err(self.refuse_early(judged, refusal).await);
            }
            received => received,
        };
        let judged = received.and_then(|(head, body)| {
            story.response_size = body.size;
            self.verify(judged, peer, &signed, &head, &body).map(|it| (it, body))
        });
        story.known |= matches!(judged, Ok((Verified::Answer { .. }, _)));
        finish(begun, judged).await
    }

    /// Lets a call in, unless there are too many, or it is one that was made before.
    async fn enter(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        relation: &Relation,
    ) -> Result<Entered, Refusal> {
        let counted = self.begin().map_err(|draining| overloaded(SIDE, draining))?;
        let place = self.client_gate.enter(&relation.provider, asked.began_at).await;
        let place = place.map_err(|refused| overloaded(SIDE, refused))?;
        let mut entered = counted.with(place);
        if asked.exchange_given {
            if !entered.claim(asked.exchange) {
                return Err(replayed(asked.exchange, "is being made"));
            }
            self.check_new(asked.exchange).await?;
        }
        Ok(entered)
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
        Err(replayed(exchange, text))
    }

    /// Sends the message and reads the whole answer.
    async fn send(
        self: &Arc<Self>,
        head: &Parts,
        peer: &NodeId,
        signed: &Signed,
        whole: &Whole,
    ) -> Result<(http::response::Parts, Whole), Refusal> {
        let make = || {
            let mut request = Request::new(whole.to_body());
            *request.method_mut() = head.method.clone();
            let target = head.uri.path_and_query().cloned();
            *request.uri_mut() = target.map(Into::into).unwrap_or_default();
            *request.headers_mut() = signed.headers.clone();
            request
        };
        if peer == self.node.id() {
            let answer = Box::pin(self.provide(peer.clone(), make())).await;
            return self.receive(answer).await;
        }
        let leave = self.peers.admit(peer, self.node.now()).map_err(|left| spared(peer, left))?;
        let (answer, used) = match self.node.call(peer, self.settings.timeouts, make).await {
            Ok(answer) => {
                leave.answered();
                answer.into_parts()
            }
            Err(error) => {
                self.judge_silence(peer, leave, &error).await;
                return Err(no_answer(&error));
            }
        };
        let received = self.receive(answer.map(boxed)).await?;
        used.done();
        Ok(received)
    }

    /// Counts a call without an answer. After several in a row it asks the peer for something that
    /// no system of a provider is needed for, to tell a silent node from slow systems.
    async fn judge_silence(&self, peer: &NodeId, leave: Leave, error: &NoAnswer) {
        if matches!(error, NoAnswer::Unreachable(..)) {
            return leave.unreached(self.node.now());
        }
        let Some(doubt) = leave.unanswered() else { return };
        let within = self.settings.timeouts.answer.min(LIFE_SIGN_TIMEOUT);
        let none = HeaderMap::new();
        let asking = self.node.ask(peer, "HEAD", LIST_PATH, &none, Bytes::new());
        match tokio::time::timeout(within, asking).await {
            Ok(Ok(_)) => doubt.lives(),
            _ => doubt.silent(self.node.now()),
        }
    }

    async fn receive(
        &self,
        answer: Response<Body>,
    ) -> Result<(http::response::Parts, Whole), Refusal> {
        let (head, body) = answer.into_parts();
        let whole = self.spool.read(body, CALL_BYTES_MAX, false).await;
        let whole = whole.map_err(|error| {
            let text = format!("the answer of the other node: {error}");
            Refusal::relayed(SIDE, Code::IoError, unknown(text))
        })?;
        Ok((head, whole))
    }

    /// Refuses a call of a known client that does not leave this node: signed and logged.
    async fn refuse_early(self: &Arc<Self>, judged: &Judged<'_>, refusal: Refusal) -> Refusal {
        let Judged { asked, relation, .. } = judged;
        if refusal.rejection.code == "exchange-replayed" {
            // The first call under the id has its row and its entry.
            return refusal;
        }
        let link = Link {
            exchange: asked.exchange.to_string(),
            request_signature: None,
            salt: asked.salt.clone(),
        };
        let now = self.node.now();
        let signed = match self.sign_refusal(&refusal, &link, false, now) {
            Ok(signed) => signed,
            Err(rejection) => return rejection.by(SIDE),
        };
        let call = Call {
            ended_at: now,
            request: None,
            outcome: Outcome::Refused,
            status: Some(refusal.status()),
            cause: Some(refusal.rejection.clone()),
            response: Some(signed.half),
            ..asked.to_call(relation, self.node.id(), &Half::default())
        };
        match self.end(call, Side::Client).await {
            Ok(()) => refusal,
            Err(error) => logging_failed(SIDE, &error),
        }
    }
}

/// Makes the refusal of an id under which a call was made before.
fn replayed(exchange: ExchangeId, text: &str) -> Refusal {
    let text = format!("the call {exchange} {text}");
    let rejection = Rejection::new(ErrorKind::Conflict, "exchange-replayed", text);
    Refusal::new(Prefix::Client, Code::InvalidRequest, rejection)
}

/// Ends a call as its answer says, and lets the answer go once that is durable.
async fn finish(
    begun: Begun,
    judged: Result<(Verified, Whole), Refusal>,
) -> Result<Response<Body>, Refusal> {
    let (ended, released) = match judged {
        Ok((Verified::Answer { half, mut answer }, body)) => {
            let status = answer.status().as_u16();
            *answer.body_mut() = body.to_body();
            let ended = begun.end(|call| {
                call.outcome = Outcome::Answered;
                call.status = Some(status);
                call.response = Some(half);
            });
            (ended.await, Ok(answer))
        }
        Ok((Verified::Refusal { half, refusal }, _)) => {
            let ended = begun.end(|call| {
                if refusal.sent {
                    call.cause = Some(refusal.rejection.clone());
                    return;
                }
                call.outcome = Outcome::Refused;
                call.status = Some(refusal.status());
                call.cause = Some(refusal.rejection.clone());
                call.response = Some(half);
            });
            (ended.await, Err(*refusal))
        }
        Err(refusal) => {
            let ended = begun.end(|call| call.cause = Some(refusal.rejection.clone()));
            (ended.await, Err(refusal))
        }
    };
    match ended {
        Ok(()) => released,
        Err(error) => Err(logging_failed(SIDE, &error)),
    }
}

/// Returns the node that is called: the one that the agency wants, or the first that serves. A
/// node has no owner of its own here, so its identifier begins with any member that it serves.
fn peer_of(
    relation: &Relation,
    wanted: Option<&SecurityServerId<'_>>,
    now: Timestamp,
) -> Result<NodeId, Refusal> {
    let found = match wanted {
        None => relation.nodes.first(),
        Some(wanted) => relation.nodes.iter().find(|node| {
            node.name() == wanted.server
                && node.instance().as_str() == wanted.instance
                && wanted
                    .to_string()
                    .rsplit_once('/')
                    .is_some_and(|(owner, _)| relation.serves(node, owner, now))
        }),
    };
    found.cloned().ok_or_else(|| {
        let text = format!(
            "X-Road-Security-Server names no node that serves {}; write instance, class and member \
             that it serves and its name, or leave it out",
            relation.provider
        );
        let rejection = Rejection::new(ErrorKind::Invalid, "security-server-unknown", text);
        Refusal::new(SIDE, Code::InvalidSecurityServer, rejection)
    })
}

fn unknown(text: impl Into<String>) -> Rejection {
    Rejection::new(ErrorKind::PeerUnavailable, "answer-unknown", text)
}

/// Makes the refusal of a call to a node that is not asked now.
fn spared(peer: &NodeId, left: Duration) -> Refusal {
    let text = format!(
        "{peer} left the newest calls without an answer; the call was not made: try again later"
    );
    let rejection = Rejection::new(ErrorKind::PeerUnavailable, UNREACHABLE, text);
    Refusal::new(SIDE, Code::NetworkError, rejection).retry_after(left)
}

fn no_answer(error: &NoAnswer) -> Refusal {
    if let NoAnswer::Unreachable(..) = error {
        let text = format!("{error}; the call was not made: try again later");
        let rejection = Rejection::new(ErrorKind::PeerUnavailable, UNREACHABLE, text);
        return Refusal::new(SIDE, Code::NetworkError, rejection);
    }
    let text = format!("{error}; whether the service acted is not known");
    Refusal::new(SIDE, Code::IoError, unknown(text))
}
