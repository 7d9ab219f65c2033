//! Pulling data under an agreement: tokens, ranges, pauses, and the end of the agreement.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_RANGE, ETAG, RANGE};
use http::{HeaderMap, HeaderName, Response};
use karvan_federation::{AZ, PK, Settings, Station, TestClock, World, until};
use karvan_negotiation::decide::Decision;
use karvan_negotiation::records::{Dataset, Kind, Process, Why};
use karvan_negotiation::source::Source;
use karvan_system::{Disk as _, OsDisk};
use serde_json::Value;

use crate::negotiation::{ask, service, wait_for};

const CONTENT: &[u8] = b"0123456789abcdef";
/// Shorter than the difference of clocks that nodes bear.
const TOKEN_LIFE: Duration = Duration::from_secs(30);

struct Case {
    world: World,
    az: Station,
    pk: Station,
    clock: Arc<TestClock>,
    transfer: Process,
    agreed: Process,
}

fn property(process: &Process, name: &str) -> String {
    let address = process.data_address.as_ref().expect("a started transfer has an address");
    let all = address["endpointProperties"].as_array().expect("properties");
    let found = all.iter().find(|one| one["name"] == name).expect("the property");
    found["value"].as_str().expect("a text").to_owned()
}

/// Agrees on a feed that is offered and starts its transfer; returns both processes.
pub(crate) async fn open(world: &World, pk: &Station, id: &str) -> [Process; 2] {
    let asked = ask(world, pk, id).await;
    let agreed = wait_for(pk, &asked.pid, "FINALIZED").await;
    let agreement = agreed.agreement.clone().expect("agreed");
    let transfer = pk.engine.request_transfer(&agreement, "HttpData-PULL", None, "tester");
    let transfer = transfer.await.expect("asks");
    let transfer = wait_for(pk, &transfer.pid, "STARTED").await;
    [agreed, transfer]
}

/// Fetches with the token of a transfer as the consumer's node.
pub(crate) async fn fetch(
    world: &World,
    pk: &Station,
    transfer: &Process,
    item: &str,
    fields: &[(HeaderName, &str)],
) -> Response<Bytes> {
    let (url, token) = (property(transfer, "endpoint"), property(transfer, "authorization"));
    let path = url.find("/feeds/").and_then(|at| url.get(at..)).expect("a path");
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().expect("a token"));
    for (name, text) in fields {
        headers.insert(name, text.parse().expect("a header field"));
    }
    let node = &world.nation(AZ).node;
    let path = format!("{path}{item}");
    pk.node.ask(node, "GET", &path, &headers, Bytes::new()).await.expect("an answer")
}

impl Case {
    /// Agrees on a feed and starts its transfer.
    async fn new(seed: u64, large: usize) -> Self {
        Self::with(seed, large, |_| ()).await
    }

    /// The same with settings of the provider changed.
    async fn with(seed: u64, large: usize, change: fn(&mut Settings)) -> Self {
        let world = World::new(seed);
        let clock = Arc::new(TestClock::new());
        let shared = Arc::clone(&clock);
        let changes = |settings: &mut Settings| {
            settings.clock = shared;
            change(settings);
        };
        let az = world.start_with(AZ, changes).await;
        let pk = world.start(PK).await;
        let folder = world.aside("feed");
        OsDisk.create_dir_all(&folder).expect("a folder");
        OsDisk.replace(&folder.join("small.txt"), CONTENT).expect("a file");
        let block: Vec<u8> = (0..large).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect();
        OsDisk.replace(&folder.join("large.bin"), &block).expect("a file");
        let feed = Dataset {
            kind: Kind::Feed {},
            source: Some(Source::Folder {
                path: folder,
                media_type: "application/octet-stream".to_owned(),
            }),
            formats: vec!["HttpData-PULL".to_owned()],
            ..service("prices", &world.nation(AZ).member, true)
        };
        az.engine.publish(feed).await.expect("publishes");
        let [agreed, transfer] = open(&world, &pk, "prices").await;
        Self { world, az, pk, clock, transfer, agreed }
    }

    /// Fetches with the token of the transfer as the consumer's node.
    async fn fetch(&self, item: &str, range: Option<&str>) -> Response<Bytes> {
        let range: Vec<_> = range.into_iter().map(|range| (RANGE, range)).collect();
        fetch(&self.world, &self.pk, &self.transfer, item, &range).await
    }

    async fn stop(self) {
        self.az.stop().await;
        self.pk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_is_pulled_whole_and_in_parts_and_resumed() {
    let case = Case::new(61, 3 * 1024 * 1024).await;
    let names: Vec<String> =
        serde_json::from_slice(case.fetch("", None).await.body()).expect("a list");
    assert_eq!(names, ["large.bin", "small.txt"]);
    let check = async |range: Option<&str>, status: u16, body: &[u8], shown: Option<&str>| {
        let answer = case.fetch("/small.txt", range).await;
        assert_eq!(answer.status().as_u16(), status, "{range:?}");
        assert_eq!(answer.body().as_ref(), body, "{range:?}");
        let field = answer.headers().get(CONTENT_RANGE).map(|v| v.to_str().expect("a text"));
        assert_eq!(field, shown);
    };
    check(None, 200, CONTENT, None).await;
    check(Some("bytes=0-3"), 206, b"0123", Some("bytes 0-3/16")).await;
    check(Some("bytes=10-"), 206, b"abcdef", Some("bytes 10-15/16")).await;
    check(Some("bytes=-2"), 206, b"ef", Some("bytes 14-15/16")).await;
    check(Some("bytes=16-"), 416, b"", Some("bytes */16")).await;
    for bad in ["/../small.txt", "/.hidden", "/none", "/a%2Fb"] {
        assert_eq!(case.fetch(bad, None).await.status(), 404, "{bad}");
    }
    let tags: Vec<_> = [case.fetch("/small.txt", None).await, case.fetch("/small.txt", None).await]
        .map(|answer| answer.headers().get(ETAG).cloned())
        .into();
    assert!(tags[0].is_some() && tags[0] == tags[1], "{tags:?}");

    // Through the agency's own node, streamed.
    let path = format!("/v1/transfers/{}/data/large.bin", case.transfer.pid);
    let whole = case.pk.agency().get(&path).await;
    assert_eq!((whole.status, whole.body.len()), (200, 3 * 1024 * 1024));
    assert!(whole.body.iter().enumerate().all(|(n, byte)| usize::from(*byte) == n % 251));
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_without_negotiating() {
    let short = |settings: &mut Settings| settings.negotiation.token_life = TOKEN_LIFE;
    let case = Case::with(62, 16, short).await;
    assert_eq!(case.fetch("/small.txt", None).await.status(), 200);
    case.clock.advance(TOKEN_LIFE);
    let old = case.fetch("/small.txt", None).await;
    assert_eq!(old.status(), 401, "{:?}", old.body());
    let path = format!("/v1/transfers/{}/data/small.txt", case.transfer.pid);
    let answer = case.pk.agency().get(&path).await;
    assert_eq!((answer.status, answer.body.as_ref()), (200, CONTENT));
    let known = case.pk.engine.process(&case.transfer.pid).await.expect("reads").expect("known");
    assert_ne!(property(&known, "authorization"), property(&case.transfer, "authorization"));
    let list: Value = case.pk.agency().get("/v1/negotiations").await.read();
    assert_eq!(list.as_array().map(Vec::len), Some(1), "nothing was negotiated anew");
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_dies_with_pause_and_agreement() {
    let mut case = Case::new(63, 16).await;
    let pid = case.transfer.pid.clone();
    let why = || Why::new("pause", "a test");
    case.pk.engine.step(&pid, Decision::Suspend(why()), "tester").await.expect("suspends");
    wait_for(&case.pk, &pid, "SUSPENDED").await;
    assert_eq!(case.fetch("/small.txt", None).await.status(), 401, "paused");
    // The provider resumes, with a new token.
    let theirs = case.transfer.peer_pid.clone().expect("known");
    case.az.engine.step(&theirs, Decision::Start, "tester").await.expect("resumes");
    case.transfer = wait_for(&case.pk, &pid, "STARTED").await;
    assert_eq!(case.fetch("/small.txt", None).await.status(), 200);
    // A consumer that resumes itself gets a new token through its own node.
    case.pk.engine.step(&pid, Decision::Suspend(why()), "tester").await.expect("suspends");
    wait_for(&case.pk, &pid, "SUSPENDED").await;
    case.pk.engine.step(&pid, Decision::Start, "tester").await.expect("resumes");
    wait_for(&case.pk, &pid, "STARTED").await;
    let path = format!("/v1/transfers/{pid}/data/small.txt");
    let answer = case.pk.agency().get(&path).await;
    assert_eq!((answer.status, answer.body.as_ref()), (200, CONTENT));
    case.transfer = wait_for(&case.pk, &pid, "STARTED").await;
    assert_eq!(case.fetch("/small.txt", None).await.status(), 200);

    // Without the agreement nothing opens, whatever the transfer says.
    let name = case.agreed.concluded.clone().expect("concluded");
    let member = case.world.nation(AZ).member.clone();
    case.az.engine.withdraw(&name, &member, "a test", None).await.expect("withdraws");
    assert_ne!(case.fetch("/small.txt", None).await.status(), 200);
    until("the consumer knows", async || {
        let shown: Value = case.pk.agency().get("/v1/agreements").await.read();
        let of = shown.as_array()?.iter().find(|one| one["name"] == name.to_string())?;
        (of["inForce"] == false).then_some(())
    })
    .await;
    let agreement = case.agreed.agreement.clone().expect("agreed");
    let again = case.pk.engine.request_transfer(&agreement, "HttpData-PULL", None, "tester").await;
    let again = wait_for(&case.pk, &again.expect("asks").pid, "TERMINATED").await;
    let reasons = again.cause.expect("a cause").reasons.concat();
    assert!(reasons.contains("not in force"), "{reasons}");
    case.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_are_pushed_each_once() {
    let world = World::new(64);
    let [az, pk] = world.start_both().await;
    let folder = world.aside("documents");
    OsDisk.create_dir_all(&folder).expect("a folder");
    let large = vec![b'x'; 100 * 1024];
    OsDisk.replace(&folder.join("1.txt"), CONTENT).expect("a file");
    OsDisk.replace(&folder.join("2.bin"), &large).expect("a file");
    let source = |path| Source::Folder { path, media_type: "text/plain".to_owned() };
    let documents = Dataset {
        kind: Kind::Documents { codes: vec!["PRICE".to_owned()] },
        source: Some(source(folder)),
        formats: vec!["HttpData-PUSH".to_owned()],
        ..service("prices", &world.nation(AZ).member, true)
    };
    az.engine.publish(documents).await.expect("publishes");
    let asked = ask(&world, &pk, "prices").await;
    let agreed = wait_for(&pk, &asked.pid, "FINALIZED").await;
    let agreement = agreed.agreement.expect("agreed");
    for _ in 0..2 {
        let transfer =
            pk.engine.request_transfer(&agreement, "HttpData-PUSH", None, "tester").await;
        wait_for(&pk, &transfer.expect("asks").pid, "COMPLETED").await;
        for expected in [CONTENT, large.as_slice()] {
            let lease = pk.agency().wait_for_next().await;
            let id = lease.document.exchange;
            let body = pk.agency().get(&format!("/v1/documents/{id}/body")).await;
            assert_eq!(body.body.as_ref(), expected);
            pk.agency().acknowledge(id, &lease.lease, None).await;
        }
        assert!(pk.agency().next().await.is_none(), "nothing more came");
    }
    az.stop().await;
    pk.stop().await;
}
