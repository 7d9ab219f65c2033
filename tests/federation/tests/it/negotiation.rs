//! Negotiations and transfers between two nodes over mutual TLS.

use std::sync::Arc;
use std::time::Duration;

use karvan_federation::{AZ, PK, Settings, Station, TestClock, World, until};
use karvan_negotiation::decide::{Decision, People};
use karvan_negotiation::identity::participant_of;
use karvan_negotiation::records::{Dataset, Kind, Process, Why};
use karvan_negotiation::{Opening, catalog};
use karvan_types::MemberId;
use serde_json::{Value, json};

pub(crate) fn policy(id: &str) -> Value {
    json!({
        "@type": "Offer", "@id": id,
        "permission": [{ "action": "use", "constraint": [
            { "leftOperand": "urn:karvan:policy:v1:purpose", "operator": "eq",
              "rightOperand": "customs-risk-analysis" },
            { "leftOperand": "urn:karvan:policy:v1:quota", "operator": "lteq",
              "rightOperand": "60/minute" }
        ] }]
    })
}

pub(crate) fn service(id: &str, provider: &MemberId, auto_approve: bool) -> Dataset {
    Dataset {
        id: id.to_owned(),
        title: "vehicle register".to_owned(),
        description: None,
        provider: provider.clone(),
        kind: Kind::Service { code: "vehicles".to_owned(), endpoints: Vec::new() },
        source: None,
        policy: policy(&format!("offer-{id}")),
        visible_to: vec!["PK".to_owned()],
        formats: vec!["Karvan-CALL".to_owned()],
        auto_approve,
    }
}

/// Asks as the member of Pakistan for a dataset of the member of Azerbaijan, by the catalog.
pub(crate) async fn ask(world: &World, pk: &Station, id: &str) -> Process {
    let (own, provider) = (&world.nation(PK).member, &world.nation(AZ).member);
    let shown = pk.engine.peer_dataset(own, &participant_of(provider), id).await;
    let shown = shown.expect("the dataset is shown");
    let opening = Opening {
        own: own.clone(),
        counterparty: participant_of(provider),
        address: None,
        dataset: id.to_owned(),
        kind: catalog::kind_of(&shown),
        offer: shown.offers[0].to_value(),
        replaces: None,
    };
    pk.engine.request(opening, "tester").await.expect("the request is taken")
}

pub(crate) async fn wait_for(station: &Station, pid: &str, state: &str) -> Process {
    until(&format!("{pid} in {state}"), async || {
        let process = station.engine.process(pid).await.expect("reads")?;
        (process.stage.name() == state && process.pending.is_none()).then_some(process)
    })
    .await
}

/// Finds the process of the other side.
pub(crate) async fn other_side(station: &Station, process: &Process) -> Process {
    let pid = until("the peer's process id", async || {
        station.engine.process(process.peer_pid.as_deref()?).await.expect("reads")
    });
    pid.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_offer_is_agreed_and_opens_at_once() {
    let world = World::new(41);
    let [az, pk] = world.start_both().await;
    let (client, provider) = (&world.nation(PK).member, &world.nation(AZ).member);
    az.engine.publish(service("vehicles", provider, true)).await.expect("publishes");
    let now = pk.node.now();
    let allowed = |station: &Station| {
        let book = station.node.agreements().book();
        book.find_service(client, provider, "vehicles", station.node.now(), |_| true).is_ok()
    };
    assert!(!allowed(&az) && !allowed(&pk), "nothing is agreed yet");

    let asked = ask(&world, &pk, "vehicles").await;
    let done = wait_for(&pk, &asked.pid, "FINALIZED").await;
    assert!(allowed(&pk), "open at the consumer");
    let theirs = wait_for(&az, done.peer_pid.as_deref().expect("known"), "FINALIZED").await;
    assert!(allowed(&az), "open at the provider");
    assert_eq!(done.concluded, theirs.concluded);
    assert_eq!(done.document, theirs.document, "both hold the agreement with both signatures");

    let name = done.concluded.expect("concluded");
    let book = az.node.agreements().book();
    let entry = book.get(&name).expect("in the book");
    assert_eq!(entry.agreement.purpose, "customs-risk-analysis");
    assert_eq!(
        entry.agreement.grants[0].quota.map(|q| q.to_string()).as_deref(),
        Some("60/minute")
    );
    assert!(entry.agreement.valid_from >= now.minus(Duration::from_secs(1)));

    // Both sides kept the same messages, and logged the same bytes for each.
    let (ours, others) =
        (pk.engine.messages(&asked.pid).await, az.engine.messages(&theirs.pid).await);
    let (ours, others) = (ours.expect("reads"), others.expect("reads"));
    let entries = |messages: &[karvan_negotiation::records::Message]| {
        let mut entries: Vec<_> = messages.iter().map(|m| m.leaf.entry.clone()).collect();
        entries.sort();
        entries
    };
    assert_eq!(ours.len(), 4, "request, agreement, verification, finalized");
    assert_eq!(entries(&ours), entries(&others));
    assert!(ours.iter().all(|message| message.signed.is_some()));
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_counter_accept_and_refuse_with_reasons() {
    let world = World::new(42);
    let az = world.start_with(AZ, |settings| settings.decide = Arc::new(People)).await;
    let pk = world.start(PK).await;
    let provider = &world.nation(AZ).member;
    az.engine.publish(service("vehicles", provider, true)).await.expect("publishes");

    // A counter-offer, taken by the consumer.
    let asked = ask(&world, &pk, "vehicles").await;
    let asked = wait_for(&pk, &asked.pid, "REQUESTED").await;
    let theirs = other_side(&az, &asked).await;
    until("the request waits for a person", async || {
        az.engine.process(&theirs.pid).await.expect("reads").filter(|p| p.waiting)
    })
    .await;
    let mut offer = policy("offer-2");
    offer["permission"][0]["constraint"][1]["rightOperand"] = "10/minute".into();
    az.engine.step(&theirs.pid, Decision::Offer(Some(offer)), "officer").await.expect("offers");
    wait_for(&pk, &asked.pid, "OFFERED").await;
    pk.engine.step(&asked.pid, Decision::Accept, "tester").await.expect("accepts");
    let done = wait_for(&pk, &asked.pid, "FINALIZED").await;
    let book = pk.node.agreements().book();
    let entry = book.get(done.concluded.as_ref().expect("concluded")).expect("in the book");
    assert_eq!(
        entry.agreement.grants[0].quota.map(|q| q.to_string()).as_deref(),
        Some("10/minute")
    );

    // A refusal, whose reason the other side can read.
    let asked = ask(&world, &pk, "vehicles").await;
    let asked = wait_for(&pk, &asked.pid, "REQUESTED").await;
    let theirs = other_side(&az, &asked).await;
    let why = Why::new("no-basis", "the law of 2024 does not cover this");
    az.engine.step(&theirs.pid, Decision::Terminate(why.clone()), "officer").await.expect("ends");
    let ended = wait_for(&pk, &asked.pid, "TERMINATED").await;
    assert_eq!(ended.cause, Some(why));
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_nobody_asked_for_is_taken() {
    let world = World::new(44);
    let [az, pk] = world.start_both().await;
    let (consumer, provider) = (&world.nation(PK).member, &world.nation(AZ).member);
    let dataset = service("vehicles", provider, false);
    az.engine.publish(dataset.clone()).await.expect("publishes");
    let opening = Opening {
        own: provider.clone(),
        counterparty: participant_of(consumer),
        address: None,
        dataset: dataset.id,
        kind: Some(dataset.kind),
        offer: dataset.policy,
        replaces: None,
    };
    let offered = az.engine.offer(opening, "officer").await.expect("offers");
    let offered = wait_for(&az, &offered.pid, "OFFERED").await;
    let theirs = other_side(&pk, &offered).await;
    pk.engine.step(&theirs.pid, Decision::Accept, "tester").await.expect("accepts");
    let done = wait_for(&pk, &theirs.pid, "FINALIZED").await;
    let ours = wait_for(&az, &offered.pid, "FINALIZED").await;
    assert!(done.concluded.is_some() && done.concluded == ours.concluded);
    let book = pk.node.agreements().book();
    let now = pk.node.now();
    assert!(book.find_service(consumer, provider, "vehicles", now, |_| true).is_ok());
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_decides_ends_at_its_deadline() {
    let world = World::new(43);
    let deadline = Duration::from_secs(30);
    let clock = Arc::new(TestClock::new());
    let shared = Arc::clone(&clock);
    let change = |settings: &mut Settings| {
        settings.clock = shared;
        settings.decide = Arc::new(People);
        settings.negotiation.state_deadline = deadline;
    };
    let az = world.start_with(AZ, change).await;
    let pk = world.start(PK).await;
    az.engine
        .publish(service("vehicles", &world.nation(AZ).member, true))
        .await
        .expect("publishes");
    let asked = ask(&world, &pk, "vehicles").await;
    let asked = wait_for(&pk, &asked.pid, "REQUESTED").await;
    other_side(&az, &asked).await;
    clock.advance(deadline);
    let ended = wait_for(&pk, &asked.pid, "TERMINATED").await;
    assert_eq!(ended.cause.and_then(|cause| cause.code).as_deref(), Some("deadline"));
    az.stop().await;
    pk.stop().await;
}
