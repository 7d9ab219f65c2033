//! Calls that a provider's system may have executed, and that all the same have no answer to show:
//! nobody is told that they were refused, and so invited to repeat them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use karvan_calls::evidence;
use karvan_calls::records::{Call, Outcome, Sent};
use karvan_calls::registry::Service;
use karvan_federation::{AZ, PK, Station, System, TestClock, World, service, until};
use karvan_store::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// How long a system that says nothing is waited for: until it has certainly been asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts a system that answers each connection's first bytes with these and closes.
async fn answer_with(bytes: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&bytes).await;
        }
    });
    url
}

/// Returns the calls of both nodes under an exchange id: the client's, the provider's.
async fn rows(az: &Station, pk: &Station, id: &'static str) -> (Call, Call) {
    let sent = az.node.store().read(move |view| -> Result<_, Error> { view.find::<Sent>(id) });
    let received = pk.node.store().read(move |view| Call::received(view, id));
    let (sent, received) = (sent.await.expect("read"), received.await.expect("read"));
    (sent.expect("a row").0, received.expect("a row"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_system_may_have_done_is_not_called_refused() {
    let world = World::new(542);
    let [az, pk] = world.start_both().await;
    let provider = &world.nation(PK).member;
    let silent = System::start(|_| None).await;
    let many = (0..91).fold(String::new(), |all, n| all + "x-" + &n.to_string() + ": 1\r\n");
    let many = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n");
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nab".to_vec();
    let (unanswered, refused) = (Outcome::Unanswered, Outcome::Refused);
    let cases = [
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e01", answer_with(half).await, unanswered),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e02", answer_with(Vec::new()).await, unanswered),
        (
            "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e03",
            answer_with(b"?\r\n\r\n".to_vec()).await,
            unanswered,
        ),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e04", answer_with(many.into()).await, unanswered),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e05", silent.url(), unanswered),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e06", "http://127.0.0.1:1".to_owned(), refused),
    ];
    let target = format!("/r1/{provider}/echo");
    for (id, url, outcome) in cases {
        let timeout = if url == silent.url() { PATIENCE } else { Duration::from_mins(1) };
        pk.offer(Service { timeout, ..service(provider, "echo", &url) }).await;
        let fields = [("karvan-exchange-id", id)];
        let first = az.caller().call("POST", &target, &fields, "pay").await;
        let text = String::from_utf8_lossy(&first.body).into_owned();
        assert_eq!(first.status, 500, "{url}: {text}");
        let (sent, received) = rows(&az, &pk, id).await;
        assert_eq!((sent.outcome, received.outcome), (outcome, outcome), "{url}: {text}");
        assert_eq!(evidence::entry(&sent), evidence::entry(&received), "{url}");
        assert!(sent.cause.is_some() && received.cause.is_some(), "{url}");
        let is_unknown = outcome == Outcome::Unanswered;
        assert_eq!(text.contains("whether the service acted is not known"), is_unknown, "{text}");
        let again = az.caller().call("POST", &target, &fields, "pay").await;
        let text = String::from_utf8_lossy(&again.body).into_owned();
        assert_eq!(again.status, 400, "{url}: {text}");
        let advice = if is_unknown { "ask the provider" } else { "call again under another id" };
        assert!(text.contains(advice), "{url}: {text}");
    }
    assert_eq!(silent.seen().len(), 1);
    az.stop().await;
    pk.stop().await;
}

/// A client's node that has no row of a call, since it was killed or had to send it again over
/// another connection, is told that it came before. Unless the first was refused it may have acted,
/// so it does not count as refused there either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_before_is_not_called_refused() {
    let world = World::new(547);
    let [az, pk] = world.start_both().await;
    let provider = &world.nation(PK).member;
    let echo = System::echo().await;
    let silent = System::start(|_| None).await;
    let (answered, unanswered, refused) =
        (Outcome::Answered, Outcome::Unanswered, Outcome::Refused);
    let cases = [
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e11", echo.url(), answered, unanswered),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e12", silent.url(), unanswered, unanswered),
        ("01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e13", "http://127.0.0.1:1".into(), refused, refused),
    ];
    let target = format!("/r1/{provider}/echo");
    for (id, url, first, again) in cases {
        let timeout = if url == silent.url() { PATIENCE } else { Duration::from_mins(1) };
        pk.offer(Service { timeout, ..service(provider, "echo", &url) }).await;
        let fields = [("karvan-exchange-id", id)];
        az.caller().call("POST", &target, &fields, "pay").await;
        let (sent, received) = rows(&az, &pk, id).await;
        assert_eq!((sent.outcome, received.outcome), (first, first), "{url}");
        let forgotten = az.node.store().write(move |tx| tx.remove::<Sent>(id));
        assert!(forgotten.await.map_err(|error: Error| error).expect("written"));
        let answer = az.caller().call("POST", &target, &fields, "pay").await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.headers["karvan-cause"], "exchange-replayed", "{url}: {text}");
        let (sent, received) = rows(&az, &pk, id).await;
        assert_eq!((sent.outcome, received.outcome), (again, first), "{url}: {text}");
        let kind = if again == refused { evidence::REFUSAL } else { evidence::UNANSWERED };
        assert!(evidence::entry(&sent).contains(kind), "{url}: {}", evidence::entry(&sent));
    }
    assert_eq!((echo.seen().len(), silent.seen().len()), (1, 1));
    az.stop().await;
    pk.stop().await;
}

/// Calls that find no free connection are told to come back, and never reach the system.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_busy_system_are_shed_before_it() {
    let world = World::new(543);
    let [az, pk] = world.start_both().await;
    let provider = &world.nation(PK).member;
    // Its first answer has no end until the test says so, whatever the machine does meanwhile.
    let end = Arc::new(Semaphore::new(0));
    let ending = Arc::clone(&end);
    let slow = System::start(move |seen| {
        let ending = Arc::clone(&ending);
        let body = stream::once(async move {
            let _ = ending.acquire().await;
            Ok(Frame::data(Bytes::from("ok")))
        });
        let quick = || Full::from("ok").map_err(|never| match never {}).boxed();
        let is_quick = seen.target.ends_with("quick");
        Some(Response::new(if is_quick { quick() } else { StreamBody::new(body).boxed() }))
    })
    .await;
    let timeout = Duration::from_secs(20);
    let offered = service(provider, "echo", &slow.url());
    pk.offer(Service { timeout, connections_max: 1, ..offered }).await;
    let target = format!("/r1/{provider}/echo");
    let caller = az.caller();
    let (held, path) = (caller.clone(), target.clone());
    let held = tokio::spawn(async move { held.call("POST", &path, &[], "x").await });
    until("the system is asked", async || slow.seen().pop()).await;
    let calls = [(); 15].map(|()| caller.call("POST", &target, &[], "x"));
    let answers = futures_util::future::join_all(calls).await;
    end.close();
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert_eq!(answer.headers["x-road-error"], "server.serverproxy.overloaded");
        assert_eq!(answer.headers["karvan-cause"], "overloaded");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!((held.await.expect("called").status, slow.seen().len()), (200, 1));
    // Calls that were shed say nothing of the system: the next one is made.
    let answer = caller.call("GET", &format!("{target}/quick"), &[], "").await;
    assert_eq!(answer.status, 200, "{:?}", answer.headers);
    az.stop().await;
    pk.stop().await;
}

/// A system that fails call after call is spared, and its callers are told when to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_failing_system_are_spared() {
    let world = World::new(546);
    let clock = Arc::new(TestClock::stopped());
    let start = |own| world.start_with(own, |settings| settings.clock = clock.clone());
    let (az, pk) = (start(AZ).await, start(PK).await);
    let provider = &world.nation(PK).member;
    pk.offer(service(provider, "echo", "http://127.0.0.1:1")).await;
    let target = format!("/r1/{provider}/echo");
    for _ in 0..karvan_calls::breaker::CALLS_MIN {
        let answer = az.caller().call("GET", &target, &[], "").await;
        assert_eq!(answer.headers["karvan-cause"], "provider-system");
    }
    let answer = az.caller().call("GET", &target, &[], "").await;
    assert_eq!(answer.headers["karvan-cause"], "provider-spared");
    assert_eq!(answer.headers["x-road-error"], "server.serverproxy.network_error");
    assert!(answer.headers.contains_key("retry-after"), "{:?}", answer.headers);
    az.stop().await;
    pk.stop().await;
}
