//! The rules of the protocol at its HTTP interface: any messages of either role, in any order.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::service::Service as _;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use karvan_dataspace::Role;
use karvan_dataspace::negotiation::state as negotiation;
use karvan_dataspace::transfer::state as transfer;
use karvan_federation::{PK, Station, World, until};
use karvan_negotiation::decide::{Decide, Decision};
use karvan_negotiation::identity::FixedToken;
use karvan_negotiation::line::{BASE_PATH, PlainLine};
use karvan_negotiation::records::{Dataset, Kind, Process, Shown, Side, Why};
use karvan_negotiation::script::{Script, Test, seed};
use karvan_negotiation::{Opening, catalog, http as dsp};
use karvan_testkit::Dice;
use karvan_types::MemberId;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::negotiation::policy;

const PEER: &str = "PEER";
const TOKEN: &str = "Bearer agreed";
const CONTEXT: &str = "https://w3id.org/dspace/2025/1/context.jsonld";

/// Decides nothing: the test does.
struct Nobody;

impl Decide for Nobody {
    fn name(&self) -> &'static str {
        "nobody"
    }

    fn decide(&self, _: &Process, _: Option<&Dataset>, _: u32) -> Decision {
        Decision::Nothing
    }
}

/// A connector that takes everything but offers in its process `c-4444`, and calls each process of
/// ours `peer-` and our id.
async fn easy_going() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(take_all);
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    at
}

async fn take_all(
    request: Request<hyper::body::Incoming>,
) -> Result<Response<String>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let said: Value = serde_json::from_slice(&body).unwrap_or_default();
    let own = said["consumerPid"].as_str().unwrap_or_default().to_owned();
    let transfer = path.starts_with("/transfers");
    let kind = if transfer { "TransferProcess" } else { "ContractNegotiation" };
    let answer = json!({
        "@context": [CONTEXT], "@type": kind, "consumerPid": own,
        "providerPid": format!("peer-{own}"), "state": "REQUESTED",
    });
    let mut answer = Response::new(answer.to_string());
    if path.contains("c-4444/offers") {
        *answer.status_mut() = StatusCode::BAD_REQUEST;
    }
    Ok(answer)
}

struct Case {
    world: World,
    station: Station,
    router: TowerToHyperService<axum::Router>,
    peer: String,
    member: MemberId,
}

impl Case {
    async fn new(seed_of_keys: u64) -> Self {
        Self::with(seed_of_keys, Arc::new(Nobody)).await
    }

    async fn with(seed_of_keys: u64, decide: Arc<dyn Decide>) -> Self {
        let world = World::new(seed_of_keys);
        let member = world.nation(PK).member.clone();
        let peer = format!("http://{}", easy_going().await);
        let own = format!("http://127.0.0.1:1{BASE_PATH}");
        let station = world
            .start_with(PK, |settings| {
                settings.decide = decide;
                settings.line = Box::new(move |_| {
                    let (value, participant) = (TOKEN.to_owned(), PEER.to_owned());
                    let identity = FixedToken { value, participant };
                    (Arc::new(identity), Arc::new(PlainLine::new(own)))
                });
            })
            .await;
        let router = TowerToHyperService::new(dsp::router(&station.engine));
        let case = Self { world, station, router, peer, member };
        case.seed().await;
        case
    }

    /// Offers a dataset, and has an agreement with the peer in either role.
    async fn seed(&self) {
        let test = |id: &str, role| Test {
            id: id.to_owned(),
            role: Some(role),
            process: None,
            dataset: (role == Side::Provider).then(|| "DATA".to_owned()),
            offer: Some("offer".to_owned()),
            agreement: Some(id.to_owned()),
            actions: Vec::new(),
        };
        let script = Script {
            peer: PEER.to_owned(),
            format: "HttpData-PULL".to_owned(),
            delay_ms: 0,
            tests: vec![test("as-provider", Side::Provider), test("as-consumer", Side::Consumer)],
        };
        seed(&self.station.engine, &script, &self.member).await.expect("seeds");
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        token: Option<&str>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(format!("{BASE_PATH}{path}"));
        request = request.header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token);
        }
        let body = http_body_util::Full::new(Bytes::from(body.to_owned()));
        let request = request.body(axum::body::Body::new(body)).expect("a request");
        let Ok(answer) = self.router.call(request).await;
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, &body.to_string(), Some(TOKEN)).await
    }

    /// Returns the state that a GET shows.
    async fn state(&self, kind: &str, pid: &str) -> String {
        let (status, shown) =
            self.send(Method::GET, &format!("/{kind}/{pid}"), "", Some(TOKEN)).await;
        assert_eq!(status, StatusCode::OK, "{shown}");
        shown["state"].as_str().expect("a state").to_owned()
    }

    /// Takes a step of our own and waits until the peer has it.
    async fn step(&self, pid: &str, decision: Decision) -> Result<(), String> {
        let done = self.station.engine.step(pid, decision, "tester").await;
        done.map_err(|error| error.to_string())?;
        self.settled(pid).await;
        Ok(())
    }

    async fn settled(&self, pid: &str) -> Process {
        until("our message is delivered", async || {
            let process = self.station.engine.process(pid).await.expect("reads")?;
            (process.pending.is_none() && process.peer_pid.is_some()).then_some(process)
        })
        .await
    }
}

fn offer() -> Value {
    json!({ "@type": "Offer", "@id": "offer", "target": "DATA",
            "assigner": PEER, "permission": [{ "action": "use" }] })
}

/// Writes a message of the peer to one of our processes.
fn message(case: &Case, process: &Process, name: &str) -> (String, Value) {
    let peer = process.peer_pid.as_deref().expect("known by now");
    let (provider, consumer) = match process.side {
        Side::Provider => (process.pid.as_str(), peer),
        Side::Consumer => (peer, process.pid.as_str()),
    };
    let (path, kind, more) = match name {
        "request" => ("request", "ContractRequestMessage", json!({ "offer": offer() })),
        "offer" => ("offers", "ContractOfferMessage", json!({ "offer": offer() })),
        "agree" => (
            "agreement",
            "ContractAgreementMessage",
            json!({ "agreement": {
            "@type": "Agreement", "@id": "agreed", "target": "DATA", "assigner": PEER,
            "assignee": format!("urn:karvan:member:{}", case.member),
            "timestamp": "2026-11-21T10:00:00Z", "permission": [{ "action": "use" }] } }),
        ),
        "verify" => ("agreement/verification", "ContractAgreementVerificationMessage", json!({})),
        "accept" => {
            ("events", "ContractNegotiationEventMessage", json!({ "eventType": "ACCEPTED" }))
        }
        "finalize" => {
            ("events", "ContractNegotiationEventMessage", json!({ "eventType": "FINALIZED" }))
        }
        "terminate" => ("termination", "ContractNegotiationTerminationMessage", json!({})),
        "start" => ("start", "TransferStartMessage", json!({})),
        "suspend" => ("suspension", "TransferSuspensionMessage", json!({})),
        "complete" => ("completion", "TransferCompletionMessage", json!({})),
        _ => ("termination", "TransferTerminationMessage", json!({})),
    };
    let mut body = json!({ "@context": [CONTEXT], "@type": kind,
                           "providerPid": provider, "consumerPid": consumer });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    (format!("/{}/{}/{path}", machine(process), process.pid), body)
}

fn machine(process: &Process) -> &'static str {
    if process.stage.kind() == "transfer" { "transfers" } else { "negotiations" }
}

/// The steps of each machine: their name, and what the node itself decides for them.
fn negotiation_steps() -> Vec<(&'static str, negotiation::Act, Decision)> {
    use negotiation::Act;
    vec![
        ("request", Act::Request, Decision::Counter(None)),
        ("offer", Act::Offer, Decision::Offer(None)),
        ("accept", Act::Accept, Decision::Accept),
        ("agree", Act::Agree, Decision::Agree),
        ("verify", Act::Verify, Decision::Verify),
        ("finalize", Act::Finalize, Decision::Finalize),
        ("terminate", Act::Terminate, Decision::Terminate(Why::new("test", "a test"))),
    ]
}

fn transfer_steps() -> Vec<(&'static str, transfer::Act, Decision)> {
    use transfer::Act;
    vec![
        ("start", Act::Start, Decision::Start),
        ("suspend", Act::Suspend, Decision::Suspend(Why::new("test", "a test"))),
        ("complete", Act::Complete, Decision::Complete),
        ("end", Act::Terminate, Decision::Terminate(Why::new("test", "a test"))),
    ]
}

/// Opens a process in a role of ours; returns it as it is once both sides know it.
async fn open(case: &Case, side: Side, transfer: bool, number: u64) -> Process {
    let engine = &case.station.engine;
    let pid = match (side, transfer) {
        (Side::Consumer, false) => {
            let opening = Opening {
                own: case.member.clone(),
                counterparty: PEER.to_owned(),
                address: Some(case.peer.clone()),
                dataset: "DATA".to_owned(),
                kind: None,
                offer: offer(),
                replaces: None,
            };
            engine.request(opening, "tester").await.expect("asks").pid
        }
        (Side::Consumer, true) => {
            let address = Some(case.peer.clone());
            let asked = engine.request_transfer("as-consumer", "HttpData-PULL", address, "tester");
            asked.await.expect("asks").pid
        }
        (Side::Provider, _) => {
            let mut body = json!({ "@context": [CONTEXT], "consumerPid": format!("c-{number}"),
                                   "callbackAddress": case.peer });
            let (path, more) = if transfer {
                let more = json!({ "@type": "TransferRequestMessage", "agreementId": "as-provider",
                                   "format": "HttpData-PULL" });
                ("/transfers/request", more)
            } else {
                (
                    "/negotiations/request",
                    json!({ "@type": "ContractRequestMessage", "offer": offer() }),
                )
            };
            if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
                body.extend(more);
            }
            let (status, first) = case.post(path, &body).await;
            assert_eq!(status, StatusCode::CREATED, "{first}");
            // The same request again is the same process.
            let (_, again) = case.post(path, &body).await;
            assert_eq!(first["providerPid"], again["providerPid"]);
            first["providerPid"].as_str().expect("an id").to_owned()
        }
    };
    case.settled(&pid).await
}

/// Plays random steps of both sides; each goes as the table says, and nowhere else.
async fn play<A: Copy>(
    case: &Case,
    (side, number): (Side, u64),
    steps: &[(&'static str, A, Decision)],
    next: impl Fn(&str, A, Role, bool) -> Result<&'static str, ()>,
    dice: &Dice,
) -> usize {
    const STEPS: usize = 8;
    let transfer = steps.len() == transfer_steps().len();
    let process = open(case, side, transfer, number).await;
    let mut state = process.stage.name();
    let mut refused = 0;
    for _ in 0..STEPS {
        let at = usize::try_from(dice.below(steps.len() as u64)).expect("small");
        let (name, act, decision) = &steps[at];
        let ours = dice.below(2) == 0;
        let sender = if ours { side.role() } else { side.role().other() };
        let expected = next(state, *act, sender, ours);
        let said = if ours {
            case.step(&process.pid, decision.clone()).await
        } else {
            let (path, body) = message(case, &process, name);
            let (status, answer) = case.post(&path, &body).await;
            match status {
                StatusCode::OK => {
                    // It may have an answer of its own, such as to a resumption.
                    case.settled(&process.pid).await;
                    Ok(())
                }
                StatusCode::BAD_REQUEST => {
                    let reason = answer["reason"][0].as_str().unwrap_or_default();
                    assert!(!reason.is_empty(), "{answer}");
                    Err(reason.to_owned())
                }
                other => panic!("{name} in {state} is answered with {other}: {answer}"),
            }
        };
        if let Ok(next) = expected {
            assert_eq!(said, Ok(()), "{name} by {sender:?} in {state}");
            state = next;
        } else {
            assert!(said.is_err(), "{name} by {sender:?} in {state} is not in the table");
            refused += 1;
        }
        assert_eq!(case.state(machine(&process), &process.pid).await, state, "after {name}");
    }
    refused
}

/// INV-19.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_leaves_the_table() {
    let case = Case::new(81).await;
    let dice = Dice::new(81);
    let mut refused = 0;
    for number in 0..20 {
        for side in [Side::Consumer, Side::Provider] {
            let next = |state: &str, act, sender, ours| {
                let state = negotiation::State::from_name(state);
                let judged = if ours {
                    negotiation::next_sent(state, act, sender)
                } else {
                    negotiation::next(state, act, sender)
                };
                judged.map(negotiation::State::name).map_err(drop)
            };
            refused += play(&case, (side, number), &negotiation_steps(), next, &dice).await;
            // A provider confirms that we resumed by one more start, which changes nothing.
            let resumed = Cell::new(false);
            let next = |state: &str, act, sender, ours: bool| {
                let start = act == transfer::Act::Start;
                if resumed.get() && start && !ours {
                    resumed.set(false);
                    return Ok("STARTED");
                }
                let next = transfer::next(transfer::State::from_name(state), act, sender);
                let next = next.map(transfer::State::name).map_err(drop);
                if next.is_ok() {
                    resumed.set(start && ours && side == Side::Consumer);
                }
                next
            };
            refused += play(&case, (side, number), &transfer_steps(), next, &dice).await;
        }
    }
    assert!(refused > 150, "illegal steps were tried: {refused}");
    drop(case.router);
    case.station.stop().await;
    drop(case.world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_the_other_side_refuses_is_taken_back() {
    let case = Case::new(85).await;
    let process = open(&case, Side::Provider, false, 4444).await;
    case.step(&process.pid, Decision::Offer(None)).await.expect("is tried");
    let after = case.settled(&process.pid).await;
    assert_eq!((after.stage.name(), after.waiting), ("REQUESTED", true));
    let cause = after.cause.expect("a cause").reasons.concat();
    assert!(cause.contains("400"), "{cause}");
    // It can go on from there.
    case.step(&process.pid, Decision::Agree).await.expect("agrees");
    assert_eq!(case.state("negotiations", &process.pid).await, "AGREED");
    drop(case.router);
    case.station.stop().await;
}

/// Thinks long about OFFERED, decides nothing, and agrees to what was accepted.
struct Slow {
    thinks: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
}

impl Decide for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn decide(&self, process: &Process, _: Option<&Dataset>, _: u32) -> Decision {
        match process.stage.name() {
            "OFFERED" => {
                self.thinks.add_permits(1);
                while self.go_on.try_acquire().is_err() {
                    std::thread::yield_now();
                }
                Decision::Nothing
            }
            "ACCEPTED" => Decision::Agree,
            _ => Decision::Nothing,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_about_one_state_is_not_taken_for_the_next() {
    let (thinks, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let slow = Slow { thinks: Arc::clone(&thinks), go_on: Arc::clone(&go_on) };
    let case = Case::with(84, Arc::new(slow)).await;
    let process = open(&case, Side::Provider, false, 1).await;
    case.step(&process.pid, Decision::Offer(None)).await.expect("offers");
    thinks.acquire().await.expect("open").forget();
    // While the node thinks about its offer, the other side takes it.
    let (path, body) = message(&case, &process, "accept");
    assert_eq!(case.post(&path, &body).await.0, 200);
    go_on.add_permits(1);
    until("the agreement", async || {
        (case.state("negotiations", &process.pid).await == "AGREED").then_some(())
    })
    .await;
    drop(case.router);
    case.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_are_those_of_the_binding() {
    let case = Case::new(82).await;
    let request = json!({ "@context": [CONTEXT], "@type": "ContractRequestMessage",
        "consumerPid": "c", "callbackAddress": case.peer, "offer": offer() });
    let check = async |change: &dyn Fn(&mut Value), status: u16, part: &str| {
        let mut body = request.clone();
        change(&mut body);
        let (found, answer) = case.post("/negotiations/request", &body).await;
        assert_eq!(found.as_u16(), status, "{answer}");
        assert!(answer.to_string().contains(part), "{part} in {answer}");
    };
    check(&|body| body["offer"]["target"] = "NONE".into(), 400, "dataset").await;
    check(&|body| body["offer"]["@id"] = "other".into(), 400, "offer").await;
    check(&|body| body["@type"] = "Other".into(), 400, "@type").await;
    check(&|body| body["consumerPid"] = Value::Null, 400, "consumerPid").await;
    check(&|body| body["callbackAddress"] = "http://10.0.0.1/dsp".into(), 400, "loopback").await;
    check(&|body| body["callbackAddress"] = "ftp://127.0.0.1".into(), 400, "callbackAddress").await;
    check(&|_| (), 201, "REQUESTED").await;

    let get = |path: &'static str, token| case.send(Method::GET, path, "", token);
    let (status, answer) = get("/negotiations/none", Some(TOKEN)).await;
    assert_eq!(
        (status.as_u16(), answer["@type"].as_str()),
        (404, Some("ContractNegotiationError"))
    );
    let (status, answer) = get("/transfers/none/", Some(TOKEN)).await;
    assert_eq!((status.as_u16(), answer["@type"].as_str()), (404, Some("TransferError")));
    let (status, answer) = get("/catalog/datasets/none", Some(TOKEN)).await;
    assert_eq!((status.as_u16(), answer["@type"].as_str()), (404, Some("CatalogError")));
    assert_eq!(
        get("/catalog/datasets/DATA/", Some(TOKEN)).await.0,
        200,
        "a slash makes no difference"
    );
    assert_eq!(get("/catalog/datasets/%44ATA", Some(TOKEN)).await.0, 200);
    assert_eq!(get("/catalog/datasets/DATA", None).await.0, 401);
    assert_eq!(get("/catalog/datasets/DATA", Some("Bearer other")).await.0, 401);
    let bodies = [("{", 400), ("[]", 400), ("{\"a\":1,\"a\":2}", 400), ("", 400)];
    for (body, status) in bodies {
        let found = case.send(Method::POST, "/negotiations/request", body, Some(TOKEN)).await;
        assert_eq!(found.0.as_u16(), status, "{body}");
    }
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
    assert_eq!(case.send(Method::POST, "/negotiations/request", &large, Some(TOKEN)).await.0, 400);
    let deep = "[".repeat(100) + &"]".repeat(100);
    assert_eq!(case.send(Method::POST, "/transfers/request", &deep, Some(TOKEN)).await.0, 400);
    drop(case.router);
    case.station.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_large_catalog_costs_a_page() {
    const DATASETS: usize = 10_000;
    let case = Case::new(83).await;
    let member = case.member.clone();
    case.station
        .node
        .store()
        .write(move |tx| -> Result<(), karvan_store::Error> {
            for number in 0..DATASETS {
                let id = format!("D{number:05}");
                // Every tenth is for somebody else.
                let audience = if number % 10 == 0 { "AZ/GOV/SCC" } else { "*" };
                // Every thousandth cannot be read as an offer.
                let broken = number % 1_000 == 1;
                let policy = if broken { json!({ "@id": 5 }) } else { policy(&id) };
                tx.save(&Shown { audience: audience.to_owned(), dataset: id.clone() })?;
                tx.save(&Dataset {
                    title: id.clone(),
                    id,
                    description: None,
                    provider: member.clone(),
                    kind: Kind::Documents { codes: vec!["RAW".to_owned()] },
                    source: None,
                    policy,
                    visible_to: vec![audience.to_owned()],
                    formats: vec!["Karvan-DOCUMENT".to_owned()],
                    auto_approve: false,
                })?;
            }
            Ok(())
        })
        .await
        .expect("writes");
    let audiences = ["*".to_owned(), PEER.to_owned()];
    let page =
        case.station.node.store().read(move |view| catalog::page(view, &audiences, None, (0, 100)));
    let page = page.await.expect("reads");
    assert_eq!(page.datasets.len(), 100);
    assert!(page.rows <= 2 * 101 + 100, "{} rows for a page of 100", page.rows);

    // All pages together show each dataset once, but those that are broken or not for the peer.
    let asked = json!({ "@context": [CONTEXT], "@type": "CatalogRequestMessage" }).to_string();
    let (mut path, mut seen) = ("/catalog/request".to_owned(), Vec::new());
    loop {
        let uri = format!("{BASE_PATH}{path}");
        let body = http_body_util::Full::new(Bytes::from(asked.clone()));
        let request = Request::post(uri).header(AUTHORIZATION, TOKEN);
        let request = request.body(axum::body::Body::new(body)).expect("a request");
        let Ok(answer) = case.router.call(request).await;
        assert_eq!(answer.status(), 200);
        let link = answer.headers().get("link").map(|v| v.to_str().expect("a text").to_owned());
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let shown: Value = serde_json::from_slice(&body).expect("a catalog");
        for dataset in shown["dataset"].as_array().expect("datasets") {
            seen.push(dataset["@id"].as_str().expect("an id").to_owned());
        }
        let Some(link) = link else { break };
        let next = link.split(BASE_PATH).nth(1).and_then(|rest| rest.split('>').next());
        path = next.expect("a link below the base").to_owned();
    }
    let unique: std::collections::BTreeSet<_> =
        seen.iter().filter(|id| id.starts_with('D')).collect();
    // `DATA` is offered by the seed.
    assert_eq!(unique.len(), 9_000 - 10 + 1);
    assert_eq!(seen.len(), unique.len() + 1, "and the seed of the agreements");
    drop(case.router);
    case.station.stop().await;
}
