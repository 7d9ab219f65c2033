//! A node that says nothing: it holds a caller for a bounded time, and then nobody.

use std::sync::Arc;
use std::time::Duration;

use karvan_calls::access::Line;
use karvan_calls::{Gateway, Settings};
use karvan_federation::{AZ, Caller, PK, World};
use karvan_system::OsDisk;
use tokio::net::TcpListener;
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_peer_is_given_up_and_then_spared() {
    let world = World::new(545);
    let az = world.start(AZ).await;
    // It accepts connections, as the kernel of a stopped process does, and never reads.
    let frozen = &world.nation(PK).content.nodes[0].authority;
    let frozen = TcpListener::bind(frozen).await.expect("a free address");
    let patience = Duration::from_millis(200);
    let settings = Settings { answer_timeout: patience, ..Settings::new(world.aside("spool")) };
    let gateway = Gateway::open(az.node.clone(), settings, Arc::new(OsDisk), None).await;
    let gateway = gateway.expect("opens");
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
