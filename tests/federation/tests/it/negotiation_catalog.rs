//! What is left of a catalog when somebody in it is trusted no more.

use std::sync::Arc;
use std::time::Duration;

use karvan_federation::{AZ, PK, Station, TestClock, World, until};
use karvan_negotiation::identity::participant_of;
use karvan_negotiation::records::Dataset;
use karvan_system::{Clock as _, SystemClock, SystemEntropy};
use karvan_testkit::key;
use karvan_trust::keys::Algorithm;
use karvan_trust::lists::{Member, NationalList};
use karvan_types::{ErrorKind, MemberId};
use serde_json::Value;

use crate::negotiation::service;

/// Replaces a nation's list by the next one.
fn relist(world: &mut World, own: usize, change: impl FnOnce(&mut NationalList)) {
    let nation = &mut world.federation.nations[own];
    nation.content.sequence_number += 1;
    change(&mut nation.content);
    nation.list = nation.sign_list(&nation.content);
}

/// Adds another member of Azerbaijan that its node serves.
fn add_member(world: &mut World, id: &MemberId) {
    let nation = world.nation(AZ);
    let name = key(id.as_str(), "sign-1");
    nation.keys.generate(&name, Algorithm::Ed25519, &SystemEntropy).expect("a fresh key");
    let (begin, lasts) = (world.federation.plan.begin, world.federation.plan.lasts);
    let member = Member {
        id: id.clone(),
        name: "a committee for tests".to_owned(),
        roles: Vec::new(),
        subsystems: Vec::new(),
        keys: vec![nation.listed(id.as_str(), "sign-1", begin, lasts)],
    };
    relist(world, AZ, |list| {
        list.members.push(member);
        list.nodes[0].members.push(id.clone());
    });
}

fn titled(title: &str, provider: &MemberId) -> Dataset {
    Dataset {
        title: title.to_owned(),
        visible_to: vec!["*".to_owned()],
        ..service(title, provider, true)
    }
}

/// Returns the titles in a catalog that a node shows to its agency.
async fn titles(station: &Station, path: &str) -> Vec<String> {
    let catalog: Value = station.agency().get(path).await.read();
    let datasets = catalog["catalog"]["dataset"]
        .as_array()
        .unwrap_or_else(|| panic!("no datasets in {catalog}"));
    datasets.iter().map(|one| one["title"].as_str().expect("a title").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_removed_hides_nobody_else() {
    let mut world = World::new(75);
    let gone: MemberId = "AZ/GOV/STAT".parse().expect("an id");
    add_member(&mut world, &gone);
    let [az, pk] = world.start_both().await;
    let stays = world.nation(AZ).member.clone();
    for (title, provider) in [("a-stays", &stays), ("b-goes", &gone), ("c-stays", &stays)] {
        az.engine.publish(titled(title, provider)).await.expect("publishes");
    }
    let (own, peer) = ("/v1/catalog", format!("/v1/catalog/{}", world.nation(AZ).node));
    let all = ["a-stays", "b-goes", "c-stays"];
    assert_eq!(titles(&az, own).await, all);
    assert_eq!(titles(&pk, &peer).await, all);

    relist(&mut world, AZ, |list| {
        list.members.retain(|member| member.id != gone);
        list.nodes[0].members.retain(|member| *member != gone);
    });
    let now = SystemClock.now();
    az.trust.accept(&world.nation(AZ).list, now).expect("the next list");
    let left = ["a-stays", "c-stays"];
    assert_eq!(titles(&az, own).await, left);
    assert_eq!(titles(&pk, &peer).await, left);
    let open = az.agency().get("/v1/catalog.ttl").await;
    let open = String::from_utf8_lossy(&open.body).into_owned();
    assert!(open.contains("c-stays") && !open.contains("b-goes"), "{open}");
    // Neither does it stand in its own way: nobody can ask for what it offered.
    let client = &world.nation(PK).member;
    let refused =
        pk.engine.peer_dataset(client, &participant_of(&stays), "b-goes").await.expect_err("gone");
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    pk.trust.accept(&world.nation(AZ).list, now).expect("the next list");
    pk.engine
        .peer_dataset(client, &participant_of(&gone), "b-goes")
        .await
        .expect_err("no longer listed");
    pk.engine.peer_dataset(client, &participant_of(&stays), "c-stays").await.expect("as before");
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nation_whose_list_has_ended_hides_nobody_else() {
    let mut world = World::new(76);
    let clock = Arc::new(TestClock::new());
    let hour = Duration::from_hours(1);
    let ends = clock.now().plus(hour);
    relist(&mut world, AZ, |list| list.next_update = ends);
    let az = world.start(AZ).await;
    let shared = Arc::clone(&clock);
    let pk = world.start_with(PK, |settings| settings.clock = shared).await;
    az.engine.publish(titled("of-baku", &world.nation(AZ).member)).await.expect("publishes");
    pk.engine.publish(titled("of-karachi", &world.nation(PK).member)).await.expect("publishes");
    let peer = format!("/v1/catalog/{}", world.nation(AZ).node);
    assert_eq!(titles(&pk, &peer).await, ["of-baku"]);

    clock.advance(hour);
    until("nothing of a nation without a list is shown", async || {
        let answer = pk.agency().get(&peer).await;
        (answer.status >= 400).then_some(())
    })
    .await;
    assert_eq!(titles(&pk, "/v1/catalog").await, ["of-karachi"]);
    az.stop().await;
    pk.stop().await;
}
