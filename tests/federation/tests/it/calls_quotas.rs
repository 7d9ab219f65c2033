//! Quotas of a provider's node that is killed: what was used before counts after.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http_body_util::{BodyExt, Full};
use karvan_federation::{AZ, Caller, PK, Process, Station, System, World, service, until};

/// Calls that are under way at one time.
const AT_ONCE: usize = 8;
/// An agreement allows so many calls of `rationed` in an hour.
const ALLOWED: usize = 300;
/// Of them so many are written at once.
const BLOCK: usize = 3;
/// After so many calls of `rationed` the node is killed.
const KILLED_AFTER: [usize; 3] = [40, 111, 200];

/// A node of Azerbaijan, and one of Pakistan with services whose calls are counted, that can be
/// killed.
struct Scene {
    world: World,
    az: Station,
    provider: Process,
    system: System,
}

impl Scene {
    async fn new(seed: u64, codes: &[&str]) -> Self {
        let world = World::new(seed);
        world.write_paper();
        let system = System::echo().await;
        let station = world.start(PK).await;
        for code in codes {
            station.offer(service(&world.nation(PK).member, code, &system.url())).await;
        }
        station.stop().await;
        let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
        let mut provider = Process::new(&world, PK, program);
        provider.start().await.expect("it starts");
        let az = world.start(AZ).await;
        Self { world, az, provider, system }
    }

    fn target(&self, code: &str) -> String {
        format!("/r1/{}/{code}", self.world.nation(PK).member)
    }

    async fn stop(mut self) {
        self.provider.kill().await.expect("it is killed");
        self.az.stop().await;
    }
}

/// Calls until a node says what became of it: answered, or refused for the quota.
async fn call(caller: &Caller, target: &str) -> bool {
    let answered = async || {
        let body = BodyExt::boxed(Full::new(Bytes::from("x")).map_err(|never| match never {}));
        let answer = caller.send("POST", target, &[], body).await.ok()?;
        match (answer.status, answer.headers.get("karvan-cause")) {
            (200, _) => Some(true),
            (429, Some(cause)) if cause == "quota-exceeded" => Some(false),
            // The node is away; what is called next is another call.
            _ => None,
        }
    };
    until("a call is answered or over the quota", answered).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_quota_is_the_same_after_a_kill() {
    let mut scene = Scene::new(621, &["scarce"]).await;
    let (caller, target) = (scene.az.caller(), scene.target("scarce"));
    for expected in [true, true, false] {
        assert_eq!(call(&caller, &target).await, expected, "two calls a day are allowed");
        scene.provider.kill().await.expect("it is killed");
        scene.provider.start().await.expect("it starts again");
    }
    assert_eq!(scene.system.seen().len(), 2);
    let refused = caller.call("POST", &target, &[], "x").await;
    assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    scene.stop().await;
}

/// Many calls at once, and kills amid them: never one too many, and at most a block too few for
/// each kill, beside those that were under way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_never_passed_however_often_the_node_is_killed() {
    let mut scene = Scene::new(622, &["rationed"]).await;
    let (caller, target) = (scene.az.caller(), scene.target("rationed"));
    let done = AtomicUsize::new(0);
    let calling = stream::iter(0..ALLOWED + AT_ONCE).map(async |_| {
        let allowed = call(&caller, &target).await;
        done.fetch_add(1, Ordering::SeqCst);
        allowed
    });
    let calling = calling.buffer_unordered(AT_ONCE).collect::<Vec<bool>>();
    let killing = async {
        for due in KILLED_AFTER {
            until("it is time", async || (done.load(Ordering::SeqCst) >= due).then_some(())).await;
            scene.provider.kill().await.expect("it is killed");
            scene.provider.start().await.expect("it starts again");
        }
    };
    let (answers, ()) = tokio::join!(calling, killing);
    let (allowed, seen) =
        (answers.iter().filter(|allowed| **allowed).count(), scene.system.seen().len());
    assert!(allowed <= seen && seen <= ALLOWED, "{allowed} answered of {seen} made");
    let lost = KILLED_AFTER.len() * (BLOCK - 1 + AT_ONCE);
    assert!(seen + lost >= ALLOWED, "{seen} made, and no more was allowed");
    scene.stop().await;
}
