//! Calls through two real nodes: what the provider's system sees and what the agency gets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use karvan_calls::body::MEMORY_BYTES_MAX as MEMORY;
use karvan_calls::evidence;
use karvan_calls::records::{Call, Outcome, Sent};
use karvan_federation::{
    AZ, Caller, PK, Station, System, TestClock, World, received, service, until,
};
use karvan_store::{Error, Range};
use karvan_types::Digest;

/// Two nodes, a system of Pakistan behind `echo`, and a caller of Azerbaijan.
struct Scene {
    world: World,
    az: Station,
    pk: Station,
    system: System,
    caller: Caller,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        Self::with(seed, System::echo().await).await
    }

    async fn with(seed: u64, system: System) -> Self {
        let world = World::new(seed);
        let stations = world.start_both().await;
        Self::of(world, stations, system).await
    }

    async fn of(world: World, [az, pk]: [Station; 2], system: System) -> Self {
        pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
        let caller = az.caller();
        Self { world, az, pk, system, caller }
    }

    async fn stop(self) {
        self.az.stop().await;
        self.pk.stop().await;
    }

    fn path(&self, service: &str) -> String {
        format!("/r1/{}/{service}", self.world.nation(PK).member)
    }

    async fn sent(&self) -> Vec<Call> {
        let rows = self
            .az
            .node
            .store()
            .read(|view| -> Result<_, Error> { view.select::<Sent>(&Range::all(1000)) });
        rows.await.expect("rows").into_iter().map(|row| row.0).collect()
    }

    async fn received(&self) -> Vec<Call> {
        calls_received(&self.pk).await
    }
}

async fn calls_received(station: &Station) -> Vec<Call> {
    station.node.store().read(|view| received(view, 1000)).await.expect("rows")
}

/// The answer is there only when both rows and the one entry are (INV-16).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_goes_over_and_both_nodes_log_the_same() {
    let scene = Scene::new(501).await;
    let target = format!("{}/a%2Fb/./c;x?q=%C9%99&&x=1", scene.path("echo"));
    let fields = [("content-type", "text/plain"), ("x-road-userid", "AZ123"), ("etag", "\"1\"")];
    let answer = scene.caller.call("POST", &target, &fields, "salam").await;
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!((answer.status, &*text), (200, "salam"), "{:?}", answer.headers);
    assert_eq!(answer.headers["content-type"], "text/plain");
    let seen = scene.system.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/a%2Fb/./c;x?q=%C9%99&&x=1")
    );
    assert_eq!(seen.headers["x-road-userid"], "AZ123");
    assert_eq!(seen.headers["x-road-client"], scene.world.nation(AZ).member.as_str());
    assert!(!seen.headers.contains_key("x-karvan-token"));
    assert!(!seen.headers.keys().any(|name| name.as_str().starts_with("karvan-")));

    let (sent, received) = (scene.sent().await, scene.received().await);
    let ([sent], [received]) = (&*sent, &*received) else { panic!("{sent:?} {received:?}") };
    assert_eq!((sent.outcome, received.outcome), (Outcome::Answered, Outcome::Answered));
    assert_eq!((&sent.request, &sent.response), (&received.request, &received.response));
    assert_eq!(evidence::entry(sent), evidence::entry(received));
    assert_eq!(answer.headers["karvan-exchange-id"], sent.exchange.to_string());
    for station in [&scene.az, &scene.pk] {
        let entry = evidence::entry(sent);
        let agency = station.agency();
        until("the entry is logged", async || agency.log().await.contains(&entry).then_some(()))
            .await;
    }
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_carries_every_body() {
    const LARGEST: usize = 64 << 20;
    let scene = Scene::with(502, System::start(answer_bytes).await).await;
    let target = scene.path("echo");
    for method in ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"] {
        let sizes: &[usize] = match method {
            "PATCH" | "POST" | "PUT" => &[0, 1, MEMORY, MEMORY + 1, LARGEST],
            _ => &[0, 5, 100_000],
        };
        for &size in sizes {
            let body = content(size);
            let target = format!("{target}/bytes/{size}");
            let answer = scene.caller.call(method, &target, &[], body.clone()).await;
            let what = format!("{method} {size}: {:?}", answer.headers);
            let seen = scene.system.last();
            assert_eq!((seen.method.as_str(), seen.size), (method, size), "{what}");
            assert_eq!(seen.digest, Digest::of(&body), "{what}");
            assert_eq!(answer.status, 200, "{what}");
            let expected = if method == "HEAD" { Bytes::new() } else { body };
            assert_eq!(Digest::of(&answer.body), Digest::of(&expected), "{what}");
        }
    }
    // In pieces, so that nothing declares the length, with a trailer that is no part of the call.
    let pieces = ["salam", "", ", ", "Karachi"].map(|piece| Ok(Frame::data(piece.into())));
    let trailer: http::HeaderMap =
        [(http::header::ETAG, HeaderValue::from_static("x"))].into_iter().collect();
    let frames = pieces.into_iter().chain([Ok(Frame::trailers(trailer))]);
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
    let answer = scene.caller.send("POST", &target, &[], body).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let seen = scene.system.last();
    assert_eq!(
        (&*seen.body, &seen.headers["content-length"]),
        (&b"salam, Karachi"[..], &"14".parse().unwrap())
    );
    // One byte more than a call may have, declared and not declared.
    let longest = content(LARGEST + 1);
    let before = scene.system.seen().len();
    let declared = scene.caller.call("POST", &target, &[], longest.clone()).await;
    let pieces = (0..=64)
        .map(move |n| Ok(Frame::data(longest.slice(n << 20..((n + 1) << 20).min(LARGEST + 1)))));
    let body = StreamBody::new(futures_util::stream::iter(pieces)).boxed();
    let endless = scene.caller.send("POST", &target, &[], body).await.expect("an answer");
    for answer in [declared, endless] {
        assert_eq!(
            (answer.status, &answer.headers["karvan-cause"]),
            (400, &"body-too-long".parse().unwrap())
        );
        assert!(String::from_utf8_lossy(&answer.body).contains("as a document"));
    }
    assert_eq!(scene.system.seen().len(), before);
    // An answer that is too long is no fault of the caller.
    let answer =
        scene.caller.call("GET", &format!("{target}/bytes/{}", LARGEST + 1), &[], "").await;
    assert_eq!(
        (answer.status, &answer.headers["x-road-error"]),
        (500, &"server.serverproxy.io_error".parse().unwrap())
    );
    for station in [&scene.az, &scene.pk] {
        // A file goes with its body, which may be a moment after its last byte.
        let gone = async || (spooled(&scene.world, station) == 0).then_some(());
        until("no file stays", gone).await;
    }
    scene.stop().await;
}

fn content(size: usize) -> Bytes {
    (0..=250).cycle().take(size).collect()
}

/// Answers `…/bytes/N` with N bytes.
#[expect(clippy::unnecessary_wraps, reason = "a script may as well say nothing")]
fn answer_bytes(
    seen: &karvan_federation::Seen,
) -> Option<Response<BoxBody<Bytes, std::io::Error>>> {
    let size = seen.target.rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or(0);
    Some(Response::new(Full::new(content(size)).map_err(|never| match never {}).boxed()))
}

fn spooled(world: &World, station: &Station) -> usize {
    let own = if station.node.id() == &world.nation(AZ).node { AZ } else { PK };
    std::fs::read_dir(world.folder(own).join("spool")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_pass_whatever_they_are_called() {
    let odd = [
        ("signature", "sig1=:AAAA:"),
        ("signature-input", "sig1=();created=1"),
        ("content-digest", "sha-256=:AAAA:"),
        ("x-a", "1"),
        ("karvan-call", "mine"),
        ("karvan-agency-signature", "deeper"),
        ("x-a", "2"),
        ("x-utf8", "gömrük"),
        ("content-type", "text/ə"),
        ("content-type", "text/plain"),
        ("cookie", "a=b"),
    ];
    let system = System::start(move |_| {
        let mut answer =
            Response::new(Full::new(Bytes::from("x")).map_err(|never| match never {}).boxed());
        for (name, value) in odd {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            answer.headers_mut().append(name, value);
        }
        answer.headers_mut().append("x-road-error", HeaderValue::from_static("Server.Forged"));
        let reason = hyper::ext::ReasonPhrase::from_static(b"Gozel");
        answer.extensions_mut().insert(reason);
        Some(answer)
    })
    .await;
    let scene = Scene::with(503, system).await;
    let answer = scene.caller.call("POST", &scene.path("echo"), &odd, "x").await;
    assert_eq!(answer.status, 200, "{:?}", String::from_utf8_lossy(&answer.body));
    let seen = scene.system.last();
    for (what, headers) in [("the system", &seen.headers), ("the agency", &answer.headers)] {
        for (name, _) in odd {
            let wanted: Vec<_> = odd
                .iter()
                .filter(|(it, _)| *it == name)
                .map(|(_, value)| value.as_bytes())
                .collect();
            let found: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            assert_eq!(found, wanted, "{name} at {what}");
        }
    }
    assert_eq!(answer.headers["x-test-reason"], "Gozel");
    assert!(!answer.headers.contains_key("x-road-error"));
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_within_one_nation_leaves_the_same_traces() {
    let scene = Scene::new(504).await;
    let provider = &scene.world.nation(AZ).member;
    scene.az.offer(service(provider, "echo", &scene.system.url())).await;
    let target = format!("/r1/{provider}/echo");
    let answer = scene.caller.call("PUT", &target, &[], "salam").await;
    assert_eq!((answer.status, &*answer.body), (200, &b"salam"[..]));
    let sent = scene.sent().await.pop().expect("a row");
    let received = calls_received(&scene.az).await.pop().expect("a row");
    assert_eq!(evidence::entry(&sent), evidence::entry(&received));
    assert_eq!((sent.outcome, &sent.peer), (Outcome::Answered, scene.az.node.id()));
    assert_eq!(sent.entry, received.entry + 1);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_shown_and_kept() {
    // A moment for each call, so that no part of the day ends between two of them.
    let (world, clock) = (World::new(505), Arc::new(TestClock::stopped()));
    let start = |own| world.start_with(own, |settings| settings.clock = clock.clone());
    let stations = [start(AZ).await, start(PK).await];
    let scene = Scene::of(world, stations, System::echo().await).await;
    scene.pk.offer(service(&scene.world.nation(PK).member, "scarce", &scene.system.url())).await;
    for left in ["1", "0"] {
        let answer = scene.caller.call("GET", &scene.path("scarce"), &[], "").await;
        clock.advance(Duration::from_millis(1));
        assert_eq!(answer.status, 200);
        let limit = answer.headers["ratelimit"].to_str().expect("text");
        assert!(limit.starts_with(&format!("\"agreement\";r={left};t=")), "{limit}");
        assert_eq!(answer.headers["ratelimit-policy"], "\"agreement\";q=2;w=86400");
    }
    let answer = scene.caller.call("GET", &scene.path("scarce"), &[], "").await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["x-road-error"], "server.serverproxy.quota_exceeded");
    assert_eq!(answer.headers["karvan-cause"], "quota-exceeded");
    let after: u64 = answer.headers["retry-after"].to_str().expect("text").parse().expect("s");
    assert!((86_400..=87_840).contains(&after), "{after}");
    assert_eq!(scene.system.seen().len(), 2);
    refused_alike(&scene, 3, "quota-exceeded").await;
    scene.stop().await;
}

/// Both nodes have `count` rows, the last one a refusal with one entry.
async fn refused_alike(scene: &Scene, count: usize, cause: &str) {
    let (sent, received) = (scene.sent().await, scene.received().await);
    assert_eq!((sent.len(), received.len()), (count, count));
    let (sent, received) = (sent.last().expect("a row"), received.last().expect("a row"));
    assert_eq!((sent.outcome, received.outcome), (Outcome::Refused, Outcome::Refused));
    assert_eq!(sent.cause.as_ref().expect("a cause").code, cause);
    assert_eq!(sent.response, received.response);
    let entry = evidence::entry(sent);
    assert_eq!(entry, evidence::entry(received));
    assert!(entry.contains("call.refusal"), "{entry}");
    for station in [&scene.az, &scene.pk] {
        let agency = station.agency();
        until("the refusal is logged", async || agency.log().await.contains(&entry).then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_signed_and_logged_by_both_nodes() {
    let scene = Scene::new(506).await;
    let closed = karvan_calls::registry::Service {
        enabled: false,
        ..service(&scene.world.nation(PK).member, "gone", &scene.system.url())
    };
    scene.pk.offer(closed).await;
    let cases = [
        ("GET", "unheard-of", "service-unknown", "server.serverproxy.unknown_service"),
        ("HEAD", "unheard-of", "service-unknown", "server.serverproxy.unknown_service"),
        ("POST", "gone", "service-disabled", "server.serverproxy.service_disabled"),
        ("POST", "listMethods", "method-not-offered", "server.serverproxy.invalid_http_method"),
    ];
    for (count, (method, service, cause, code)) in cases.into_iter().enumerate() {
        let answer = scene.caller.call(method, &scene.path(service), &[], "").await;
        assert_eq!((answer.status, &answer.headers["x-road-error"]), (500, &code.parse().unwrap()));
        refused_alike(&scene, count + 1, cause).await;
    }
    // What the client's own node refuses is logged there alone.
    scene.pk.offer(service(&scene.world.nation(PK).member, "pets", &scene.system.url())).await;
    let answer =
        scene.caller.call("POST", &format!("{}/pets/1", scene.path("pets")), &[], "").await;
    assert_eq!(answer.headers["x-road-error"], "server.serverproxy.access_denied");
    let sent = scene.sent().await.pop().expect("a row");
    assert_eq!((sent.outcome, &sent.request), (Outcome::Refused, &None));
    assert_eq!(scene.received().await.len(), cases.len());
    // Who is not known to be the agency leaves nothing.
    let rows = scene.sent().await.len();
    let client = scene.world.nation(AZ).member.to_string();
    let fields = [("x-road-client", client.as_str())];
    let answer = scene.caller.clone().bare().call("GET", &scene.path("echo"), &fields, "").await;
    let code = "server.clientproxy.ssl_authentication_failed";
    assert_eq!((answer.status, &answer.headers["x-road-error"]), (500, &code.parse().unwrap()));
    assert_eq!(scene.sent().await.len(), rows);
    assert_eq!(scene.system.seen().len(), 0);
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_the_agency_is_used_once() {
    let scene = Scene::new(507).await;
    let id = "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e0f";
    let fields = [("karvan-exchange-id", id), ("x-road-id", "AZ-17")];
    let answer = scene.caller.call("POST", &scene.path("echo"), &fields, "x").await;
    assert_eq!((answer.status, &answer.headers["karvan-exchange-id"]), (200, &id.parse().unwrap()));
    assert_eq!(answer.headers["x-road-request-id"], id);
    assert_eq!(scene.sent().await.pop().expect("a row").message, "AZ-17");
    let again = scene.caller.call("POST", &scene.path("echo"), &fields, "x").await;
    assert_eq!(
        (again.status, &again.headers["karvan-cause"]),
        (400, &"exchange-replayed".parse().unwrap())
    );
    assert!(String::from_utf8_lossy(&again.body).contains("was answered"));
    assert_eq!((scene.system.seen().len(), scene.sent().await.len()), (1, 1));
    let wrong = [("karvan-exchange-id", "17")];
    let answer = scene.caller.call("POST", &scene.path("echo"), &wrong, "x").await;
    assert_eq!(
        (answer.status, &answer.headers["karvan-cause"]),
        (400, &"exchange-id".parse().unwrap())
    );
    scene.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_nobody_can_take_is_refused_at_home() {
    let world = World::new(509);
    let az = world.start(AZ).await;
    let target = format!("/r1/{}/echo", world.nation(PK).member);
    let answer = az.caller().call("GET", &target, &[], "").await;
    assert_eq!(answer.headers["x-road-error"], "server.clientproxy.network_error");
    assert!(String::from_utf8_lossy(&answer.body).contains("the call was not made"));
    let read = |view: &dyn karvan_store::Read| -> Result<_, Error> {
        view.select::<Sent>(&Range::all(10))
    };
    let sent = az.node.store().read(read).await.expect("rows").pop().expect("a row").0;
    assert_eq!(
        (sent.outcome, sent.cause.expect("a cause").code.as_str()),
        (Outcome::Refused, "peer-unreachable")
    );
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_hangs_up_leaves_a_call_without_answer() {
    let scene = Scene::with(508, System::start(|_| None).await).await;
    let (caller, target) = (scene.caller.clone(), scene.path("echo"));
    let fields = [("karvan-exchange-id", "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e0f")];
    let calling = tokio::spawn(async move { caller.call("GET", &target, &fields, "").await });
    until("the system is asked", async || scene.system.seen().pop()).await;
    let again = scene.caller.call("GET", &scene.path("echo"), &fields, "").await;
    assert!(String::from_utf8_lossy(&again.body).contains("is being made"), "{again:?}");
    let hung_up_at = scene.pk.node.now();
    calling.abort();
    let sent = until("the client's node ends the call", async || scene.sent().await.pop()).await;
    let received = until("the provider's too", async || scene.received().await.pop()).await;
    assert_eq!((sent.outcome, received.outcome), (Outcome::Unanswered, Outcome::Unanswered));
    assert_eq!(evidence::entry(&sent), evidence::entry(&received));
    assert_eq!(received.cause.expect("a cause").code, "caller-gone");
    assert!(received.ended_at >= hung_up_at && sent.ended_at >= hung_up_at);
    assert_eq!(scene.az.calls.gateway.drain(karvan_federation::WAIT_MAX).await, 0);
    let answer = scene.caller.call("GET", &scene.path("echo"), &[], "").await;
    assert_eq!(
        (answer.status, &answer.headers["karvan-cause"]),
        (503, &"node-draining".parse().unwrap())
    );
    assert_eq!(answer.headers["retry-after"], "1");
    scene.stop().await;
}
