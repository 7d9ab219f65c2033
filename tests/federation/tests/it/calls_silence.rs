//! A node that says nothing: it holds a caller for a bounded time, and then nobody.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use karvan_calls::access::Line;
use karvan_calls::records::{Outcome, Sent};
use karvan_calls::registry::Service;
use karvan_calls::{Gateway, Settings};
use karvan_exchange::client::Timeouts;
use karvan_federation::{AZ, Caller, PK, System, TestClock, World, service};
use karvan_store::{Error, Range};
use karvan_system::OsDisk;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Serves a gateway; returns a caller of it, and what serves.
async fn serve(gateway: Gateway, world: &World) -> (Caller, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let caller =
        Caller::new(listener.local_addr().expect("bound"), world.nation(AZ).member.clone());
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let gateway = gateway.clone();
            let line = Line { private: true, certificate: None };
            tokio::spawn(async move { gateway.serve_client(stream, line).await });
        }
    });
    (caller, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_is_given_up_and_then_spared() {
    let world = World::new(545);
    let clock = Arc::new(TestClock::stopped());
    let az = world.start_with(AZ, |settings| settings.clock = clock).await;
    // It accepts connections, as the kernel of a stopped process does, and never reads.
    let frozen = &world.nation(PK).content.nodes[0].authority;
    let frozen = TcpListener::bind(frozen).await.expect("a free address");
    let patience = Duration::from_millis(200);
    let timeouts = Timeouts::new(patience);
    let settings = Settings { timeouts, ..Settings::new(world.aside("spool")) };
    let gateway = Gateway::open(az.node.clone(), settings, Arc::new(OsDisk), None).await;
    let gateway = gateway.expect("opens");
    let (caller, serving) = serve(gateway, &world).await;
    let target = format!("/r1/{}/echo", world.nation(PK).member);
    let mut answers = Vec::new();
    for _ in 0..6 {
        let began = Instant::now();
        let answer = caller.call("GET", &target, &[], "").await;
        answers.push((answer, began.elapsed()));
    }
    let (spared, waited) = answers.pop().expect("six");
    for (answer, waited) in answers {
        assert_eq!(answer.headers["x-road-error"], "server.clientproxy.io_error");
        assert!(waited >= patience, "{waited:?}");
    }
    assert_eq!(spared.headers["x-road-error"], "server.clientproxy.network_error");
    assert_eq!(spared.headers["karvan-cause"], "peer-unreachable");
    let after: u64 = spared.headers["retry-after"].to_str().expect("text").parse().expect("s");
    assert!((1..=2).contains(&after), "{after}");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    serving.abort();
    drop(frozen);
    az.stop().await;
}

/// Whom no connection reaches has seen nothing: the call is refused, and may be repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_takes_too_long_is_given_up_before_the_call_is_made() {
    let world = World::new(548);
    let patience = Duration::from_millis(200);
    // Both accept connections and never shake hands: the other node, and a provider's system.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let provider = &world.nation(AZ).member;
    let az = world.start(AZ).await;
    let url = format!("https://{}", silent.local_addr().expect("bound"));
    az.offer(Service { connect_timeout: patience, ..service(provider, "echo", &url) }).await;
    let frozen = &world.nation(PK).content.nodes[0].authority;
    let frozen = TcpListener::bind(frozen).await.expect("a free address");
    let timeouts = Timeouts { connect: patience, answer: Duration::from_mins(2) };
    let settings = Settings { timeouts, ..Settings::new(world.aside("spool")) };
    let gateway = Gateway::open(az.node.clone(), settings, Arc::new(OsDisk), None).await;
    let (abroad, serving) = serve(gateway.expect("opens"), &world).await;
    for (caller, provider, code) in [
        (abroad, PK, "server.clientproxy.network_error"),
        (az.caller(), AZ, "server.serverproxy.io_error"),
    ] {
        let began = Instant::now();
        let target = format!("/r1/{}/echo", world.nation(provider).member);
        let answer = caller.call("POST", &target, &[], "x").await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.headers["x-road-error"], code, "{text}");
        assert!(!text.contains("is not known"), "{text}");
        assert!((patience..Duration::from_secs(10)).contains(&began.elapsed()), "{text}");
    }
    let rows =
        az.node.store().read(|view| -> Result<_, Error> { view.select::<Sent>(&Range::all(10)) });
    let outcomes: Vec<_> = rows.await.expect("rows").iter().map(|row| row.0.outcome).collect();
    assert_eq!(outcomes, [Outcome::Refused; 2]);
    serving.abort();
    drop((frozen, silent));
    az.stop().await;
}

/// The node of a slow provider is well: calls to it are made, however many were too slow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_a_slow_system_behind_it_is_not_spared() {
    let world = World::new(549);
    let [az, pk] = world.start_both().await;
    let system = System::start(|seen| {
        let body = Full::new(Bytes::from("done")).map_err(|never| match never {});
        (!seen.target.ends_with("/slow")).then(|| Response::new(body.boxed()))
    })
    .await;
    pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    // Ample for the answer that does come.
    let timeouts = Timeouts::new(Duration::from_secs(5));
    let settings = Settings { timeouts, ..Settings::new(world.aside("spool")) };
    let gateway = Gateway::open(az.node.clone(), settings, Arc::new(OsDisk), None).await;
    let (caller, serving) = serve(gateway.expect("opens"), &world).await;
    let target = format!("/r1/{}/echo", world.nation(PK).member);
    let slow = (0..12).map(async |_| caller.call("GET", &format!("{target}/slow"), &[], "").await);
    for answer in futures_util::future::join_all(slow).await {
        assert_eq!(answer.headers["x-road-error"], "server.clientproxy.io_error", "{answer:?}");
    }
    let answer = caller.call("GET", &target, &[], "").await;
    assert_eq!((answer.status, &*answer.body), (200, &b"done"[..]), "{answer:?}");
    serving.abort();
    az.stop().await;
    pk.stop().await;
}
