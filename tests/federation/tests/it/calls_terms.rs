//! Agreements as calls meet them: which one counts, and which takes nothing from the others.

use karvan_agreements::{Agreement, Endpoint, Grant, ServiceGrant};
use karvan_federation::{AZ, PK, System, World, service};
use karvan_types::Digest;

/// An agreement whose endpoint nobody can call stops no call under a good one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agreement_that_cannot_be_applied_stops_nobody() {
    let world = World::new(541);
    let [az, pk] = world.start_both().await;
    let system = System::echo().await;
    let (client, provider) = (&world.nation(AZ).member, &world.nation(PK).member);
    let endpoint = Endpoint { method: "FETCH".to_owned(), path: "/x".to_owned() };
    let grant = |service: &str| Grant {
        services: vec![ServiceGrant {
            service: service.to_owned(),
            endpoints: vec![endpoint.clone()],
        }],
        ..Grant::new(client.clone(), provider.clone())
    };
    let broken = Agreement {
        id: "broken".to_owned(),
        grants: vec![grant("echo"), grant("only-broken")],
        ..world.federation.agreement.clone()
    };
    assert!(broken.check().is_err(), "nobody signs such an agreement now");
    for station in [&az, &pk] {
        station.node.agreements().change(|book| {
            book.add(broken.clone(), Digest::of(b"broken"), b"signed before".to_vec());
        });
    }
    for code in ["echo", "only-broken"] {
        pk.offer(service(provider, code, &system.url())).await;
    }
    let caller = az.caller();
    let answer = caller.call("GET", &format!("/r1/{provider}/echo"), &[], "").await;
    assert_eq!(answer.status, 200, "{:?}", answer.headers);
    let answer = caller.call("GET", &format!("/r1/{provider}/only-broken"), &[], "").await;
    assert_eq!(answer.headers["x-road-error"], "server.serverproxy.access_denied");
    assert_eq!(system.seen().len(), 1);
    az.stop().await;
    pk.stop().await;
}
