//! Nodes that are killed amid calls, and the memory that calls take.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::Response;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use karvan_calls::evidence;
use karvan_calls::records::{Call, Outcome, RECEIVED, Sent};
use karvan_federation::{
    AZ, PK, Process, Seen, System, World, open_state, received, service, until,
};
use karvan_store::{Range, Tx};
use karvan_testkit::Dice;
use tokio::sync::watch;

/// Registers `echo` of a nation in the state of a node that does not run.
async fn prepare(world: &World, own: usize, url: &str) {
    let station = world.start(own).await;
    station.offer(service(&world.nation(own).member, "echo", url)).await;
    station.stop().await;
}

/// What the provider's system saw was durable before, and is logged after (INV-15).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_provider_node_tells_that_the_answer_is_unknown() {
    let world = World::new(541);
    world.write_paper();
    let system = System::start(|seen| {
        let answer =
            || Response::new(Full::new(Bytes::from("done")).map_err(|no| match no {}).boxed());
        (!seen.target.ends_with("/hang")).then(answer)
    })
    .await;
    prepare(&world, PK, &system.url()).await;
    let mut provider = Process::new(&world, PK, Path::new(env!("CARGO_BIN_EXE_karvan-test-node")));
    provider.start().await.expect("it starts");
    let az = world.start(AZ).await;
    let (caller, path) = (az.caller(), format!("/r1/{}/echo", world.nation(PK).member));
    let done = caller.call("POST", &format!("{path}/done"), &[], "x").await;
    assert_eq!(done.status, 200);
    let id = "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e0f";
    let fields = [("karvan-exchange-id", id)];
    let hanging = format!("{path}/hang");
    let calling = caller.call("POST", &hanging, &fields, "x");
    let killing = async {
        until("the system is asked", async || {
            system.seen().into_iter().find(|seen| seen.target.ends_with("/hang"))
        })
        .await;
        provider.kill().await.expect("it is killed");
    };
    let (answer, ()) = tokio::join!(calling, killing);
    let text = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.headers["x-road-error"], "server.clientproxy.io_error", "{text}");
    assert!(text.contains("whether the service acted is not known"), "{text}");

    let agency = provider.start().await.expect("it starts again");
    let sent = az.node.store().read(move |view| view.find::<Sent>(id)).await;
    let sent = sent.map_err(|error: karvan_store::Error| error).expect("read").expect("a row").0;
    assert_eq!(sent.outcome, Outcome::Unanswered);
    let entry = evidence::entry(&sent);
    assert!(entry.contains("call.unanswered"));
    for agency in [agency, az.agency()] {
        until("both nodes log it", async || agency.log().await.contains(&entry).then_some(()))
            .await;
    }
    // Whoever asks again under the id is told, and the system is left alone.
    let asked = system.seen().len();
    let again = caller.call("POST", &format!("{path}/done"), &fields, "x").await;
    let text = String::from_utf8_lossy(&again.body);
    assert!(again.status == 400 && text.contains("its answer is not known"), "{text}");
    assert_eq!(system.seen().len(), asked);
    az.stop().await;
    provider.kill().await.expect("it is killed");
    // What was released before stands.
    let rows = open_state(&world.folder(PK)).expect("its state").change(|tx| received(tx, 10));
    let rows = rows.await;
    let outcomes: Vec<_> = rows.iter().map(|call| (call.outcome, call.status)).collect();
    assert_eq!(outcomes.len(), 2, "{outcomes:?}");
    assert!(outcomes.contains(&(Outcome::Answered, Some(200))), "{outcomes:?}");
    assert!(outcomes.contains(&(Outcome::Unanswered, None)), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_does_not_grow_with_bodies() {
    const MIB: usize = 1 << 20;
    let world = World::new(542);
    world.write_paper();
    let system = System::start(|seen| {
        let size = seen.target.rsplit('/').next().and_then(|size| size.parse().ok()).unwrap_or(0);
        let bytes: Bytes = vec![7; size].into();
        let body: BoxBody<_, _> = Full::new(bytes).map_err(|no| match no {}).boxed();
        Some(Response::new(body))
    })
    .await;
    prepare(&world, PK, &system.url()).await;
    let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
    let mut nodes = [AZ, PK].map(|own| Process::new(&world, own, program));
    for node in &mut nodes {
        node.start().await.expect("it starts");
    }
    let caller = nodes[AZ].caller(world.nation(AZ).member.clone());
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    let warm = caller.call("POST", &format!("{path}/{MIB}"), &[], vec![7; MIB]).await;
    assert_eq!(warm.status, 200, "{}", String::from_utf8_lossy(&warm.body));
    let before = nodes.each_ref().map(|node| node.memory_peak_kib().expect("measured"));
    let calls = (0..4).map(async |_| {
        let piece = Bytes::from(vec![7; MIB]);
        let pieces = (0..64).map(move |_| Ok(Frame::data(piece.clone())));
        let body = BodyExt::boxed(StreamBody::new(stream::iter(pieces)));
        caller.send("POST", &format!("{path}/{}", 64 * MIB), &[], body).await.expect("an answer")
    });
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!((answer.status, answer.body.len()), (200, 64 * MIB));
    }
    for (node, before) in nodes.iter().zip(before) {
        let grown = node.memory_peak_kib().expect("measured") - before;
        // Four calls at once of 64 MiB each way, with at most a few pieces of each in memory.
        assert!(grown < 40 * 1024, "{grown} KiB beyond {before} KiB");
    }
    for node in &mut nodes {
        node.kill().await.expect("it is killed");
    }
}

/// Calls of one run.
const CALLS: usize = 120;
/// Calls at one time.
const AT_ONCE: usize = 8;
/// More rows than a run makes.
const ROWS_MAX: usize = 100_000;
/// Kills in one run.
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agency_got_is_on_record_whenever_nodes_are_killed() {
    let seeds = std::env::var("KARVAN_CRASH_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 0..seeds.unwrap_or(3_u64) {
        kill_amid_calls(seed).await;
    }
}

/// Kills either node again and again amid calls; then every answer that an agency got has its row
/// and its entry on both sides, and no row is left open.
async fn kill_amid_calls(seed: u64) {
    let world = World::new(560 + seed);
    world.write_paper();
    let system = System::echo().await;
    prepare(&world, PK, &system.url()).await;
    let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
    let mut nodes = [AZ, PK].map(|own| Process::new(&world, own, program));
    for node in &mut nodes {
        node.start().await.expect("it starts");
    }
    let member = world.nation(AZ).member.clone();
    let path = format!("/r1/{}/echo", world.nation(PK).member);
    let caller = watch::Sender::new(nodes[AZ].caller(member.clone()));
    let done = AtomicUsize::new(0);
    let calling = stream::iter(0..CALLS).map(async |number| {
        let answered = async || {
            let now = caller.borrow().clone();
            let body = BodyExt::boxed(
                Full::new(Bytes::from(number.to_string())).map_err(|no| match no {}),
            );
            let answer = now.send("POST", &path, &[], body).await.ok()?;
            (answer.status == 200).then_some(answer)
        };
        // Until then each is another call.
        let answer = until("a call is answered", answered).await;
        done.fetch_add(1, Ordering::SeqCst);
        assert_eq!(answer.body, number.to_string());
        answer.headers["karvan-exchange-id"].to_str().expect("text").to_owned()
    });
    let calling = calling.buffer_unordered(AT_ONCE);
    let dice = Dice::new(seed);
    let killing = async {
        for kill in 1..=KILLS {
            let due = kill * CALLS / (KILLS + 1);
            until("it is time", async || (done.load(Ordering::SeqCst) >= due).then_some(())).await;
            let own = usize::try_from(dice.below(2)).expect("0 or 1");
            tokio::time::sleep(Duration::from_micros(dice.below(3_000))).await;
            nodes[own].kill().await.expect("it is killed");
            nodes[own].start().await.expect("it starts again");
            caller.send_replace(nodes[AZ].caller(member.clone()));
        }
    };
    let (released, ()) = tokio::join!(calling.collect::<Vec<String>>(), killing);
    assert_eq!(released.len(), CALLS);
    for node in &mut nodes {
        node.kill().await.expect("it is killed");
    }
    // Opening them ends what is open.
    for own in [AZ, PK] {
        world.start(own).await.stop().await;
    }
    let (sent, received) = (ended(&world, AZ).await, ended(&world, PK).await);
    for id in &released {
        let (sent, received) = (&sent[id], &received[id]);
        assert_eq!((sent.outcome, received.outcome), (Outcome::Answered, Outcome::Answered));
        assert_eq!(evidence::entry(sent), evidence::entry(received));
    }
    // The system saw no call twice, and none that is not on record.
    let seen = system.seen();
    let id = |seen: &Seen| seen.headers["x-road-request-id"].to_str().expect("text").to_owned();
    let ids: BTreeSet<_> = seen.iter().map(id).collect();
    assert_eq!(ids.len(), seen.len());
    let lost: Vec<_> = ids.iter().filter(|id| !received.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Returns all calls of a stopped node by their ids; none is open.
async fn ended(world: &World, own: usize) -> BTreeMap<String, Call> {
    let state = open_state(&world.folder(own)).expect("its state");
    let read = |tx: &mut dyn Tx| {
        // Most are refused ones, made while a node was away.
        let sent = tx.select::<Sent>(&Range::all(ROWS_MAX))?;
        let received = received(tx, ROWS_MAX)?;
        assert!(sent.len() < ROWS_MAX && received.len() < ROWS_MAX, "not all were read");
        let requests = tx.count(&RECEIVED, &Range::all(ROWS_MAX))?;
        assert_eq!(requests, received.len() as u64, "some are open");
        let calls = sent.into_iter().map(|row| row.0).chain(received);
        Ok(calls.map(|call| (call.exchange.to_string(), call)).collect())
    };
    state.change(read).await
}
