//! The way of a document in both directions: receipts, push, pull, and how far evidence has come.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use karvan_exchange::bundle::verify::verify;
use karvan_exchange::delivery::Delivery;
use karvan_exchange::desk::DocumentView;
use karvan_federation::{AZ, Agency, PK, World, until};
use karvan_testkit::{HANDLED, PLAIN, REFUSE};
use karvan_types::Digest;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_go_both_ways_with_both_receipts() {
    let world = World::new(1);
    let stations = world.start_both().await;
    for (from, to) in [(AZ, PK), (PK, AZ)] {
        let (sender, receiver) = (stations[from].agency(), stations[to].agency());
        for size in [0, 1, 64 * 1024] {
            let body = vec![b'x'; size];
            let id = sender.send(&world.nation(to).member, HANDLED, body.clone()).await;
            let sent = sender.wait_for(id, "delivered").await;
            assert!(sent.relay_receipt && sent.handover_receipt, "{sent:?}");
            let mut kinds: Vec<_> = sent.evidence.iter().map(|e| e.kind.as_str()).collect();
            // The handover receipt may overtake the relay receipt.
            kinds.sort_unstable();
            assert_eq!(kinds, ["document.handover", "document.relay", "document.submission"]);

            let received = receiver.find(id).await.expect("the receiver knows it");
            assert_eq!((received.state.as_str(), received.digest), ("delivered", sent.digest));
            assert_eq!(received.sequence, sent.sequence);
            let there = receiver.get(&format!("/v1/documents/{id}/body")).await;
            assert_eq!(there.body, body);
        }
    }
    // Evidence goes from logged to checkpointed to witnessed.
    for own in [AZ, PK] {
        let agency = stations[own].agency();
        let id = agency.send(&world.nation(1 - own).member, HANDLED, "x").await;
        agency.wait_for(id, "delivered").await;
        let view = agency.wait_for_evidence(id, "witnessed").await;
        assert_eq!(view.evidence.len(), 3);
    }
    for station in stations {
        station.stop().await;
    }
}

/// Collects what is seen of one entry until it is witnessed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_is_logged_then_checkpointed_then_witnessed() {
    let world = World::new(2);
    let pk = world.start_with(PK, |settings| {
        // Long enough for the answer to the submission to leave first.
        settings.log.checkpoint_every = std::time::Duration::from_secs(3);
    });
    let pk = pk.await;
    let agency = pk.agency();
    let submitted = agency.submit(&world.nation(AZ).member, HANDLED, "x").await;
    let first: DocumentView = submitted.read();
    let mut seen: Vec<String> = vec![first.evidence[0].state.clone()];
    // Without the other nation it stops at its own checkpoint, and traffic would go on.
    until("a checkpoint", async || {
        let view = agency.find(first.exchange).await?;
        let state = view.evidence.first()?.state.clone();
        if seen.last() != Some(&state) {
            seen.push(state.clone());
        }
        (state == "checkpointed").then_some(())
    })
    .await;
    let az = world.start(AZ).await;
    agency.wait_for_evidence(first.exchange, "witnessed").await;
    assert_eq!(seen, ["logged", "checkpointed"]);
    az.stop().await;
    pk.stop().await;
}

/// An agency's own system that takes documents by push.
struct Desk {
    at: SocketAddr,
    taken: Arc<Mutex<Vec<(String, Digest)>>>,
    /// Statuses of the next answers; 200 when there is none.
    answers: Arc<Mutex<Vec<u16>>>,
}

impl Desk {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener.local_addr().expect("an address");
        let taken: Arc<Mutex<Vec<_>>> = Arc::default();
        let answers: Arc<Mutex<Vec<u16>>> = Arc::default();
        let (seen, next) = (Arc::clone(&taken), Arc::clone(&answers));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, next) = (Arc::clone(&seen), Arc::clone(&next));
                let service = hyper::service::service_fn(move |request| {
                    answer(request, Arc::clone(&seen), Arc::clone(&next))
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { at, taken, answers }
    }
}

async fn answer(
    request: http::Request<hyper::body::Incoming>,
    seen: Arc<Mutex<Vec<(String, Digest)>>>,
    next: Arc<Mutex<Vec<u16>>>,
) -> Result<http::Response<String>, hyper::Error> {
    let id = request.headers()["karvan-exchange-id"].to_str().expect("a text").to_owned();
    let body = request.into_body().collect().await?.to_bytes();
    let status = next.lock().expect("a lock").pop().unwrap_or(200);
    if status == 200 {
        seen.lock().expect("a lock").push((id, Digest::of(&body)));
    }
    let mut answer = http::Response::new(format!("answered with {status}"));
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn push_reaches_the_agency_once_and_is_tried_again_when_it_is_away() {
    let world = World::new(3);
    let desk = Desk::open().await;
    let az = world
        .start_with(AZ, |settings| {
            let url = format!("http://{}/inbox", desk.at);
            let member = world.nation(AZ).archive.clone();
            settings.node.delivery.insert(member, Delivery::Push { url });
        })
        .await;
    let pk = world.start(PK).await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).archive);

    let small = sender.send(to, PLAIN, "small").await;
    let large = sender.send(to, PLAIN, vec![7; 3 << 20]).await;
    for id in [small, large] {
        sender.wait_for(id, "delivered").await;
    }
    let mut taken = desk.taken.lock().expect("a lock").clone();
    taken.sort();
    let digest = Digest::of(&vec![7; 3 << 20]);
    let mut expected = vec![(small.to_string(), Digest::of(b"small")), (large.to_string(), digest)];
    expected.sort();
    assert_eq!(taken, expected, "each once, and whole (INV-2)");

    *desk.answers.lock().expect("a lock") = vec![503, 500, 429];
    let late = sender.send(to, PLAIN, "later").await;
    sender.wait_for(late, "delivered").await;
    assert!(desk.answers.lock().expect("a lock").is_empty(), "three answers meant: later");

    *desk.answers.lock().expect("a lock") = vec![422];
    let refused = sender.send(to, PLAIN, "unwanted").await;
    let view = sender.wait_for(refused, "refused").await;
    let reason = view.reason.expect("a reason");
    assert_eq!(reason.code, "refused-by-agency");
    assert!(reason.text.contains("answered with 422"), "{}", reason.text);
    pk.stop().await;
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_that_hangs_holds_up_no_other() {
    let world = World::new(7);
    let desk = Desk::open().await;
    // Accepts connections and never answers.
    let hole = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let nation = world.nation(AZ);
    let az = world
        .start_with(AZ, |settings| {
            let push = |at: SocketAddr| Delivery::Push { url: format!("http://{at}/inbox") };
            let hole = hole.local_addr().expect("an address");
            settings.node.delivery.insert(nation.archive.clone(), push(hole));
            settings.node.delivery.insert(nation.member.clone(), push(desk.at));
        })
        .await;
    let pk = world.start(PK).await;
    for _ in 0..3 {
        let stuck = pk.agency().send(&nation.archive, PLAIN, "stuck").await;
        pk.agency().wait_for(stuck, "relayed").await;
    }
    let _held = hole.accept().await.expect("the node tries");
    let id = pk.agency().send(&nation.member, PLAIN, "free").await;
    pk.agency().wait_for(id, "delivered").await;
    pk.stop().await;
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pull_leases_a_document_until_it_is_confirmed_or_refused() {
    let world = World::new(4);
    let clock = Arc::new(karvan_federation::TestClock::new());
    let time = Arc::clone(&clock);
    let az = world.start_with(AZ, move |settings| settings.clock = time).await;
    let pk = world.start(PK).await;
    let (sender, receiver) = (pk.agency(), az.agency());
    let to = &world.nation(AZ).member;

    let id = sender.send(to, PLAIN, "pull me").await;
    sender.wait_for(id, "relayed").await;
    let lease = receiver.wait_for_next().await;
    assert_eq!(lease.document.exchange, id);
    assert!(receiver.next().await.is_none(), "it is leased");
    assert!(az.archive().next().await.is_none(), "it is another's");

    // The lease lapses, and the document is offered again under another one.
    clock.advance(std::time::Duration::from_secs(61));
    let again = receiver.wait_for_next().await;
    assert_eq!(again.document.exchange, id);
    assert_ne!(again.lease, lease.lease);
    let stale = receiver.acknowledge(id, &lease.lease, None).await;
    assert_eq!((stale.status, stale.code()), (409, "lease-lapsed".to_owned()));
    let foreign = az.archive().acknowledge(id, &again.lease, None).await;
    assert_eq!(foreign.status, 404);

    let taken = receiver.acknowledge(id, &again.lease, None).await;
    assert_eq!(taken.read::<Vec<DocumentView>>()[0].state, "delivered");
    sender.wait_for(id, "delivered").await;
    // Said twice, and said otherwise afterwards: nothing changes (INV-2).
    for refuse in [None, Some("changed-my-mind")] {
        let twice = receiver.acknowledge(id, &again.lease, refuse).await;
        assert_eq!(twice.read::<Vec<DocumentView>>()[0].state, "delivered");
    }

    let id = sender.send(to, PLAIN, "refuse me").await;
    let lease = receiver.wait_for_next().await;
    assert_eq!(receiver.acknowledge(id, &lease.lease, Some("not-ours")).await.status, 200);
    let view = sender.wait_for(id, "refused").await;
    let reason = view.reason.expect("a reason");
    assert_eq!((reason.code.as_str(), reason.text.as_str()), ("refused-by-agency", "not-ours"));
    assert!(receiver.next().await.is_none());
    pk.stop().await;
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_11_the_log_holds_neither_payload_nor_names() {
    let world = World::new(5);
    let [az, pk] = world.start_both().await;
    let secret = "passport AA1234567 of Leyla";
    for (agency, to) in [(az.agency(), PK), (pk.agency(), AZ)] {
        for (code, body) in [(HANDLED, secret.as_bytes()), (HANDLED, REFUSE), (PLAIN, b"plain")] {
            agency.send(&world.nation(to).member, code, body).await;
        }
        let refused = agency.submit(&world.nation(to).member, "NOPE", secret).await;
        assert_eq!(refused.code(), "agreement-missing");
    }
    for agency in [az.agency(), pk.agency()] {
        agency.wait_for_count("/sent/delivered", 1).await;
        agency.wait_for_count("/sent/refused", 1).await;
        agency.wait_for_count("/sent/relayed", 1).await;
    }
    check_entries(&az.agency()).await;
    check_entries(&pk.agency()).await;
    az.stop().await;
    pk.stop().await;
    let words: Vec<String> = [AZ, PK]
        .iter()
        .flat_map(|&own| {
            let nation = world.nation(own);
            [nation.member.member().to_string(), nation.node.to_string()]
        })
        .chain([secret.to_owned(), "refuse".to_owned(), "passport".to_owned()])
        .collect();
    for own in [AZ, PK] {
        let mut files = 0;
        for file in files_below(&world.folder(own).join("log")) {
            let bytes = std::fs::read(&file).expect("readable");
            // Segments are allocated ahead.
            let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let text = String::from_utf8_lossy(&bytes[..used]);
            for word in &words {
                assert!(!text.contains(word), "{} holds `{word}`", file.display());
            }
            files += 1;
        }
        assert!(files > 3, "segments, tiles, entries and checkpoints were read");
    }
}

async fn check_entries(agency: &Agency) {
    // The log takes entries after the exchange answered.
    let look = async || Some(agency.log().await).filter(|entries| entries.len() > 8);
    for entry in until("the log holds more than eight entries", look).await {
        let value: serde_json::Value = serde_json::from_str(&entry).expect("canonical JSON");
        let members: Vec<_> = value.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(members, ["kind", "statement", "v"], "{entry}");
        assert_eq!(value["statement"].as_str().map(str::len), Some(64), "{entry}");
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bundle_of_either_side_proves_the_exchange() {
    let world = World::new(6);
    let [az, pk] = world.start_both().await;
    let id = pk.agency().send(&world.nation(AZ).member, HANDLED, "prove me").await;
    pk.agency().wait_for(id, "delivered").await;
    for station in [&az, &pk] {
        station.agency().wait_for_evidence(id, "witnessed").await;
    }
    for station in [&az, &pk] {
        let bundle = station.agency().bundle(id).await;
        let report = verify(&bundle, Some(&world.federation.root), None);
        assert!(report.holds(), "{report:#?}");
        assert!(report.gaps.is_empty(), "{report:#?}");
        let proofs = report.findings.iter().filter(|f| f.text.contains("cosigned by")).count();
        assert_eq!(proofs, 6, "three acts in two logs: {report:#?}");
    }
    az.stop().await;
    pk.stop().await;
}
