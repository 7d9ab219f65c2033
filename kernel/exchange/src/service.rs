//! The service for agencies' systems: what sub-systems offer over HTTP ([`Interface`]), served.
//!
//! The table of a sub-system says which request calls which operation; this module proves who
//! calls, counts, reads the request strictly, runs the operation and writes the answer. Refusals
//! are problems (RFC 9457) with JSON pointers into the body that was sent.
//!
//! | path below `/api/{sub-system}/v{n}` | what it is |
//! |---|---|
//! | `/…` of the table | the sub-system's own |
//! | `/inbox/leases`, … | what happened, for systems that ask (`inbox`) |
//! | `/openapi.json`, `/docs` | the description, for programs and for people; no token |
//!
//! Invariants: an effect and the answer stored under its key of idempotency commit together, so
//! that a crash between effect and answer doubles nothing; nothing of a request is ignored: what is
//! not in the table is refused.
//!
//! Not here: telling systems by itself (`crate::webhooks`), tokens (`crate::tokens`).

mod answer;
mod idempotency;
mod inbox;
mod request;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use karvan_agreements::meter::{Left, Meter};
use karvan_store::{Read, Tx};
use karvan_subsystem::interface::{At, Endpoint, Interface, LANGUAGES, Method};
use karvan_subsystem::{Caller, Context, Operation, Rejection, Subsystem, openapi};
use karvan_types::{Digest, ErrorKind, ExchangeId, Timestamp, json};
use serde_json::{Value, json as object};

use crate::local_api::authorize;
use crate::node::Inner;
use crate::release::AgreedTerms;
use answer::{Answer, Limit, Problem, etag};
use idempotency::Key;

pub(crate) use idempotency::ANSWERS;
pub(crate) use inbox::{CONSUMERS, read_on, shown};

/// Where the paths of all interfaces begin.
pub(crate) const ROOT: &str = "/api/";
/// What the page may load: nothing but its own style.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// The SHA-256 of the certificate that a client proved to hold; the listener puts it beside each
/// request of the connection.
#[derive(Clone, Copy, Debug)]
pub struct ClientCertificate(pub Digest);

/// What the routes of one interface share.
struct Service {
    inner: Arc<Inner>,
    subsystem: Arc<dyn Subsystem>,
    interface: &'static Interface,
    counts: Arc<Counts>,
}

/// Counts that outlive a request: allowances by token, keys that are being worked on.
#[derive(Default)]
pub(crate) struct Counts {
    /// Only known tokens get an entry, so their number bounds it.
    meters: Mutex<HashMap<String, Arc<Meter>>>,
    in_flight: idempotency::InFlight,
}

/// Makes the routes of every sub-system that has an interface.
pub(crate) fn routes(inner: &Arc<Inner>) -> Router {
    let mut router = Router::new();
    for subsystem in &inner.subsystems {
        let Some(interface) = subsystem.interface() else { continue };
        let base = interface.base(subsystem.name());
        let service = Arc::new(Service {
            inner: Arc::clone(inner),
            subsystem: Arc::clone(subsystem),
            interface,
            counts: Arc::clone(&inner.service),
        });
        router = describe(router, &base, &**subsystem);
        for endpoint in interface.endpoints {
            let path = format!("{base}{}", endpoint.path);
            let service = Arc::clone(&service);
            let handle = move |request: Request| async move {
                service.serve(Work::Endpoint(endpoint), request).await
            };
            let route = match endpoint.method {
                Method::Get => get(handle),
                Method::Post => post(handle),
            };
            router = router.route(&path, route);
        }
        for (path, act) in inbox::PATHS {
            let service = Arc::clone(&service);
            let handle = move |request: Request| async move {
                service.serve(Work::Inbox(act), request).await
            };
            router = router.route(&format!("{base}{path}"), post(handle));
        }
    }
    let known = Arc::clone(inner);
    router.method_not_allowed_fallback(move |request: Request| async move {
        let text = "the path has no such method; `Allow` names those that it has";
        let rejection = Rejection::new(ErrorKind::Invalid, "method-not-allowed", text);
        known.refuse_unserved(&request, Problem::new(405, rejection))
    })
}

/// Makes the routes of every interface, for a listener that serves nothing else.
pub(crate) fn alone(inner: &Arc<Inner>) -> Router {
    let known = Arc::clone(inner);
    let unknown = move |request: Request| async move { known.unknown_path(&request) };
    routes(inner).fallback(unknown)
}

fn describe(router: Router, base: &str, subsystem: &dyn Subsystem) -> Router {
    let document = openapi::document(subsystem).unwrap_or_default();
    let page = Bytes::from(openapi::page(&document));
    let text = Bytes::from(serde_json::to_vec_pretty(&document).unwrap_or_default());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = HeaderValue::from_static(PAGE_POLICY);
    router
        .route(
            &format!("{base}/openapi.json"),
            get(move || async move { ([(CONTENT_TYPE, "application/json")], text) }),
        )
        .route(
            &format!("{base}/docs"),
            get(move || async move {
                ([(CONTENT_TYPE, html), (CONTENT_SECURITY_POLICY, policy)], page)
            }),
        )
}

/// What a request is for.
#[derive(Clone, Copy)]
enum Work {
    Endpoint(&'static Endpoint),
    Inbox(inbox::Act),
}

impl Service {
    async fn serve(&self, work: Work, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let Named { id, malformed, language } = self.inner.name(&parts.headers);
        let mut limit = None;
        let outcome = match malformed {
            Some(problem) => Err(problem),
            None => self.attempt(work, &mut parts, body, &mut limit).await,
        };
        let mut response = match outcome {
            Ok(answer) => answer.into_response(&id),
            Err(problem) => {
                let (status, code) = (problem.status, &problem.rejection.code);
                tracing::info!(request.id = id, status, code, "a request was refused");
                problem.into_response(&id, Some((self.interface, language)))
            }
        };
        if let Some(limit) = limit {
            limit.write(response.headers_mut());
        }
        response
    }

    async fn attempt(
        &self,
        work: Work,
        parts: &mut Parts,
        body: axum::body::Body,
        limit: &mut Option<Limit>,
    ) -> Result<Answer, Problem> {
        let known = match work {
            Work::Endpoint(endpoint) => Some(self.operation(endpoint)?),
            Work::Inbox(_) => None,
        };
        let permission = known.map_or(inbox::PERMISSION, |known| known.permission);
        let caller = self.caller(parts, permission)?;
        *limit = Some(self.count(&caller)?);
        request::accepts_json(&parts.headers)?;
        let language = request::language(&parts.headers)?;
        match work {
            Work::Inbox(act) => inbox::run(self, act, parts, caller).await,
            Work::Endpoint(endpoint) => {
                let values = request::values(endpoint, parts).await?;
                let bytes = match endpoint.body {
                    Some(form) => Some(request::body(&parts.headers, form.media, body).await?),
                    None => None,
                };
                let mut input = request::input(endpoint, &values, bytes.as_deref())?;
                let language = speak(endpoint, &mut input, language);
                let known = known.ok_or_else(defect)?;
                let call = Call { endpoint, known, caller, values, input, language };
                if known.writes {
                    self.write(call, parts, bytes).await
                } else {
                    self.read(call, parts).await
                }
            }
        }
    }

    /// Returns who calls: by token, or by the certificate that the connection has proven.
    fn caller(&self, parts: &Parts, permission: &str) -> Result<Caller, Problem> {
        let proven = parts.extensions.get::<ClientCertificate>();
        let Some(proven) = proven.filter(|_| !parts.headers.contains_key(AUTHORIZATION)) else {
            return Ok(authorize(&self.inner, &parts.headers, permission)?);
        };
        let config = &self.inner.config;
        let user = config.certificates.iter().find(|(known, _)| *known == proven.0);
        let caller = user.and_then(|(_, user)| config.tokens.find_user(user));
        let Some(caller) = caller else {
            let text = "this node does not know the certificate; ask its operator to register it";
            return Err(
                Rejection::new(ErrorKind::Unauthenticated, "certificate-unknown", text).into()
            );
        };
        caller.require(permission)?;
        Ok(Caller::clone(&caller))
    }

    fn operation(&self, endpoint: &Endpoint) -> Result<Operation, Problem> {
        let (_, known) = self.inner.operation(self.subsystem.name(), endpoint.operation)?;
        Ok(known)
    }

    /// Uses one request of the caller's allowance.
    fn count(&self, caller: &Caller) -> Result<Limit, Problem> {
        let quota = self.inner.config.requests;
        let meter = {
            let mut meters = self.counts.meters.lock().unwrap_or_else(PoisonError::into_inner);
            let name = format!("{}|{}", caller.member, caller.user);
            Arc::clone(meters.entry(name).or_insert_with(|| Arc::new(Meter::new(quota))))
        };
        match meter.take(self.inner.clock.now()) {
            Ok(Left { remaining, reset }) => Ok(Limit { quota, remaining, reset }),
            Err(used_up) => Err(Problem::rate(quota, used_up)),
        }
    }

    async fn read(&self, call: Call, parts: &Parts) -> Result<Answer, Problem> {
        let subsystem = Arc::clone(&self.subsystem);
        let now = self.inner.clock.now();
        let Call { endpoint, known, caller, input, language, .. } = call;
        let output: Value = self
            .inner
            .store
            .read(move |view| subsystem.query(view, now, &caller, known.name, input))
            .await?;
        let answer = Answer { language, ..Answer::of(endpoint.answer.status, &output)? }.tagged();
        let seen = request::tags(&parts.headers, &IF_NONE_MATCH)?;
        Ok(if seen.is_some_and(|seen| seen.weakly_names(&answer)) {
            answer.not_modified()
        } else {
            answer
        })
    }

    /// Runs an operation that writes, once per key of idempotency.
    async fn write(
        &self,
        call: Call,
        parts: &Parts,
        body: Option<Bytes>,
    ) -> Result<Answer, Problem> {
        let key = Key::read(&parts.headers, &call.caller)?;
        let expected = match call.endpoint.changes {
            Some(_) => request::tags(&parts.headers, &IF_MATCH)?,
            None => None,
        };
        let flight = match &key {
            Some(key) => Some(self.counts.in_flight.enter(key)?),
            None => None,
        };
        let print = idempotency::fingerprint(parts, body.as_deref());
        let (inner, subsystem) = (Arc::clone(&self.inner), Arc::clone(&self.subsystem));
        let (shared, interface) = (Arc::clone(&inner), self.interface);
        let now = inner.clock.now();
        let answer = inner
            .store
            .write(move |tx| -> Result<Answer, Problem> {
                if let Some(key) = &key
                    && let Some(stored) = idempotency::find(tx, key, print, now)?
                {
                    return Ok(stored);
                }
                if let (Some(expected), Some(shown)) =
                    (&expected, call.endpoint.changes.and_then(|id| interface.endpoint(id)))
                {
                    expected.must_name(&call.state_of(&*subsystem, &*tx, shown, now)?)?;
                }
                let Call { endpoint, known, caller, input, language, .. } = call;
                let output = shared.operate(tx, &*subsystem, &caller, known.name, input)?;
                let answer = Answer::of(endpoint.answer.status, &output)?;
                let answer = Answer { language, ..answer };
                if let Some(key) = &key {
                    idempotency::keep(tx, key, print, &answer, now)?;
                }
                Ok(answer)
            })
            .await;
        drop(flight);
        answer
    }
}

/// How a request and its answer are told apart from others.
struct Named {
    id: String,
    /// Why the id that the caller gave is not taken.
    malformed: Option<Problem>,
    /// The language of refusals.
    language: &'static str,
}

impl Inner {
    fn name(&self, headers: &HeaderMap) -> Named {
        let fresh = || ExchangeId::new(self.clock.now(), self.entropy.array()).to_string();
        let (id, malformed) = match request::request_id(headers) {
            Ok(given) => (given.unwrap_or_else(fresh), None),
            Err(problem) => (fresh(), Some(problem)),
        };
        let [english, ..] = LANGUAGES;
        let language = request::language(headers).unwrap_or(english);
        Named { id, malformed, language }
    }

    /// Refuses a path that no interface has.
    pub(crate) fn unknown_path(&self, request: &Request) -> Response {
        let text = "there is no such path; `/openapi.json` and `/docs` of the interface name all";
        let rejection = Rejection::new(ErrorKind::NotFound, "path-unknown", text);
        self.refuse_unserved(request, rejection.into())
    }

    /// Refuses what reached no endpoint, in the words of the interface whose paths it is among.
    fn refuse_unserved(&self, request: &Request, problem: Problem) -> Response {
        let Named { id, language, .. } = self.name(request.headers());
        let mut offered = self.subsystems.iter().filter_map(|subsystem| {
            subsystem.interface().map(|interface| (interface.base(subsystem.name()), interface))
        });
        let reader = offered.find(|(base, _)| request.uri().path().starts_with(base.as_str()));
        problem.into_response(&id, reader.map(|(_, interface)| (interface, language)))
    }

    /// Runs an operation that writes; its effect and the documents that it sends commit together.
    pub(crate) fn operate(
        &self,
        tx: &mut dyn Tx,
        subsystem: &dyn Subsystem,
        caller: &Caller,
        operation: &str,
        input: Value,
    ) -> Result<Value, Rejection> {
        let now = self.clock.now();
        let mut ids = || ExchangeId::new(now, self.entropy.array());
        let terms = AgreedTerms { node: self, now };
        let mut cx = Context::new(&mut *tx, now, &mut ids).with_terms(&terms);
        let mut output = subsystem.operate(&mut cx, caller, operation, input)?;
        let wanted = cx.finish();
        let sent: Vec<_> = wanted.documents.iter().map(|(id, _)| id.to_string()).collect();
        self.fulfil(tx, wanted, None, now)?;
        if let Value::Object(members) = &mut output {
            members.insert("exchanges".to_owned(), object!(sent));
        }
        Ok(output)
    }
}

/// A request that was read.
struct Call {
    endpoint: &'static Endpoint,
    known: Operation,
    caller: Caller,
    values: BTreeMap<&'static str, Value>,
    input: Value,
    language: &'static str,
}

/// Says in the input in which language texts are wanted; returns the one that they will have.
fn speak(endpoint: &Endpoint, input: &mut Value, wanted: &'static str) -> &'static str {
    let [first, ..] = LANGUAGES;
    if let (true, Some(members)) = (endpoint.speaks && wanted != first, input.as_object_mut()) {
        members.insert("lang".to_owned(), wanted.into());
        return wanted;
    }
    first
}

impl Call {
    /// Returns the tags of what is about to be changed, as it is in this transaction: one for each
    /// language in which it may have been read.
    fn state_of(
        &self,
        subsystem: &dyn Subsystem,
        view: &dyn Read,
        shown: &Endpoint,
        now: Timestamp,
    ) -> Result<Vec<String>, Problem> {
        let in_path = shown.parameters.iter().filter(|parameter| parameter.at == At::Path);
        let named = in_path.filter_map(|parameter| {
            self.values.get(parameter.name).map(|value| (parameter.name, value.clone()))
        });
        let asked = request::input(shown, &named.collect(), None)?;
        let mut tags = Vec::new();
        for language in LANGUAGES.into_iter().take(if shown.speaks { LANGUAGES.len() } else { 1 }) {
            let mut input = asked.clone();
            speak(shown, &mut input, language);
            let output = subsystem.query(view, now, &self.caller, shown.operation, input)?;
            tags.push(etag(&json::canonical(&output).map_err(|_| defect())?));
        }
        Ok(tags)
    }
}

fn defect() -> Problem {
    let text = "the node contradicts itself; tell its operator the request id";
    Rejection::new(ErrorKind::Internal, "defect", text).into()
}
