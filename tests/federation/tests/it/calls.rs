//! Calls through two real nodes: what the provider's system sees and what the agency gets.

use karvan_calls::evidence;
use karvan_calls::records::{Call, Outcome, Received, Sent};
use karvan_federation::{AZ, Caller, PK, Station, System, World, service, until};
use karvan_store::{Error, Range};

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
        let [az, pk] = world.start_both().await;
        pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
        let caller = az.caller();
        Self { world, az, pk, system, caller }
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
        let rows = self
            .pk
            .node
            .store()
            .read(|view| -> Result<_, Error> { view.select::<Received>(&Range::all(1000)) });
        rows.await.expect("rows").into_iter().map(|row| row.0).collect()
    }
}

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
    scene.az.stop().await;
    scene.pk.stop().await;
}
