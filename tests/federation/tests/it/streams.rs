//! Streams: gaps are seen, shown and healed; a peer that is away finds everything, in order.

use karvan_exchange::records::Received;
use karvan_federation::{AZ, Courier, Draft, PK, TestClock, World, open_state, until};
use karvan_store::Range;
use karvan_testkit::{HANDLED, Seen};
use karvan_types::{Digest, ExchangeId};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_6_what_was_sent_while_the_peer_was_away_arrives_in_order() {
    const DOCUMENTS: usize = 200;
    let world = World::new(50);
    let pk = world.start(PK).await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let mut ids = Vec::new();
    for number in 0..DOCUMENTS {
        ids.push(sender.send(to, HANDLED, number.to_string()).await);
    }
    // Shown as away, with everything in the queue and nothing given up.
    let node = world.nation(AZ).node.as_str();
    let reach = sender.wait_for_reach(node, "unreachable").await;
    assert!(reach["cause"].as_str().is_some_and(|cause| cause.contains(node)), "{reach}");
    assert_eq!(sender.count("/sent/accepted").await, DOCUMENTS as u64);
    let view = sender.find(ids[0]).await.expect("kept");
    assert!(!view.relay_receipt && view.evidence[0].state != "witnessed", "{view:?}");
    let status = sender.status().await;
    assert_eq!(status.pointer("/evidence/log/witnessed"), Some(&Value::Null), "degraded");
    // A restart of the sender loses nothing either.
    pk.stop().await;
    let pk = world.start(PK).await;
    let sender = pk.agency();
    assert_eq!(sender.count("/sent/accepted").await, DOCUMENTS as u64);

    let az = world.start(AZ).await;
    sender.wait_for_count("/sent/delivered", DOCUMENTS as u64).await;
    assert_eq!(sender.count("/sent/accepted").await, 0);
    sender.wait_for_reach(node, "reachable").await;
    sender.wait_for_evidence(ids[0], "witnessed").await;
    for agency in [&sender, &az.agency()] {
        for code in ["dead-letter", "stream-forked", "lost-at-peer"] {
            assert!(agency.alarms(code).await.is_empty(), "{code}");
        }
    }
    az.stop().await;
    pk.stop().await;
    assert_eq!(order_of_effects(&world, AZ).await, ids, "in order, each once (INV-2)");
}

/// Returns the exchanges in the order in which the probe of a stopped node got them.
async fn order_of_effects(world: &World, own: usize) -> Vec<ExchangeId> {
    let state = open_state(&world.folder(own)).expect("opens");
    let seen = state.change(|tx| tx.select::<Seen>(&Range::of("order", Vec::new(), 1000)));
    let seen = seen.await;
    assert!(seen.iter().all(|seen| seen.times == 1));
    seen.into_iter().map(|seen| seen.exchange.parse().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_parks_what_comes_after_it_and_is_alarmed() {
    let world = World::new(51);
    let clock = Arc::new(TestClock::new());
    let overdue = Duration::from_mins(5);
    let start = || {
        world.start_with(AZ, |settings| {
            settings.clock = clock.clone();
            settings.node.gap_alarm_after = overdue;
        })
    };
    let az = start().await;
    let courier = Courier::new(&world, PK, AZ);
    let keys = &*world.nation(PK).keys;
    let mut previous = Digest::default();
    let mut letters = Vec::new();
    for sequence in 1..=4 {
        let mut draft = Draft::new(&world, PK, AZ, sequence, HANDLED);
        draft.envelope.previous = previous;
        let letter = draft.sign(keys);
        previous = Digest::of(letter.signed.signature.as_bytes());
        letters.push(letter);
    }
    for number in [2, 0, 3] {
        let answer = courier.carry(&letters[number]).await.expect("answered");
        assert_eq!(answer.status(), 200, "a receipt also for what is parked");
    }
    let agency = az.agency();
    let state = async |number: usize| {
        let id = letters[number].draft.envelope.exchange;
        agency.find(id).await.map(|view| view.state)
    };
    assert_eq!(state(0).await.as_deref(), Some("delivered"));
    assert_eq!(state(2).await.as_deref(), Some("parked"));
    assert_eq!(state(3).await.as_deref(), Some("parked"));
    assert_eq!(agency.count("/received/parked").await, 2);
    clock.advance(overdue);
    let alarm = agency.wait_for_alarm("stream-gap").await;
    assert!(alarm.text.contains("number 2 of stream"), "{}", alarm.text);
    // A restart keeps what is parked; the missing one sets all free, in order.
    az.stop().await;
    let az = start().await;
    let agency = az.agency();
    courier.carry(&letters[1]).await.expect("answered");
    agency.wait_for_count("/received/delivered", 4).await;
    assert_eq!(agency.count("/received/parked").await, 0);
    az.stop().await;
    let ids: Vec<_> = letters.iter().map(|letter| letter.draft.envelope.exchange).collect();
    assert_eq!(order_of_effects(&world, AZ).await, ids);
}

/// Returns what the sender's comparison found in its one stream.
fn finding(report: &Value, node: &str) -> Value {
    report[node]["streams"][0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_shows_what_the_peer_lost_and_heals_it() {
    let world = World::new(52);
    let [az, pk] = world.start_both().await;
    let (sender, to) = (pk.agency(), world.nation(AZ).member.clone());
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(sender.send(&to, HANDLED, number.to_string()).await);
    }
    sender.wait_for_count("/sent/delivered", 6).await;
    let node = world.nation(AZ).node.as_str();
    let report: Value = sender.post("/v1/streams/compare", "").await.read();
    let found = finding(&report, node);
    assert_eq!(
        (&found["taken"], &found["missing"]),
        (&Value::from(6), &Value::from(Vec::<u8>::new()))
    );

    // Azerbaijan loses the last two behind its own back, as after an old backup.
    az.stop().await;
    let state = open_state(&world.folder(AZ)).expect("opens");
    let lost = [ids[4], ids[5]];
    state
        .change(move |tx| {
            let mut stream: Vec<karvan_exchange::records::StreamRecord> =
                tx.select(&Range::of("direction", vec!["in".into()], 10))?;
            let stream = stream.first_mut().expect("a stream");
            let fourth = Range::of("stream", vec![stream.name.as_str().into()], 1).from(4_u64);
            let fourth = tx.select::<Received>(&fourth)?.pop().expect("the fourth");
            stream.sequence = 4;
            stream.head = Digest::of(fourth.signed.signature.as_bytes());
            tx.save(stream)?;
            for id in lost {
                tx.remove::<Received>(id.to_string())?;
                tx.remove::<Seen>(id.to_string())?;
                tx.delete(&karvan_exchange::records::BODY, &format!("r:{id}").into())?;
            }
            Ok(())
        })
        .await;
    let az = world.start(AZ).await;
    assert!(az.agency().find(ids[5]).await.is_none());
    let report = until("the peer answers", async || {
        let report: Value = sender.post("/v1/streams/compare", "").await.read();
        report[node].get("streams").is_some().then_some(report)
    })
    .await;
    let found = finding(&report, node);
    assert_eq!(found["taken"], 4);
    assert_eq!(found["missing"], serde_json::json!([[5, 6]]));
    assert_eq!(sender.alarms("lost-at-peer").await.len(), 2);
    for id in [ids[4], ids[5]] {
        sender.wait_for(id, "delivered").await;
        az.agency().wait_for(id, "delivered").await;
    }
    let report: Value = sender.post("/v1/streams/compare", "").await.read();
    assert_eq!(finding(&report, node)["missing"], serde_json::json!([]));
    az.stop().await;
    pk.stop().await;
}

/// A document that is here, parked and receipted, whose sender gave it up for want of the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_1_a_void_number_does_not_skip_a_document_that_is_here() {
    let world = World::new(53);
    let pk = world
        .start_with(PK, |settings| settings.node.delivery_deadline = Duration::from_secs(2))
        .await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let first = sender.send(to, HANDLED, "first").await;
    let second = sender.send(to, HANDLED, "second").await;
    for id in [first, second] {
        assert_eq!(sender.wait_for_death(id).await.code, "deadline-passed");
    }
    pk.stop().await;
    // The second one had reached Azerbaijan, and its answer was lost: here the answer is lost
    // because a courier brought the sender's own bytes.
    let az = world.start(AZ).await;
    let state = open_state(&world.folder(PK)).expect("opens");
    let sent = state.change(move |tx| {
        Ok(tx.find::<karvan_exchange::records::Sent>(second.to_string())?.expect("kept"))
    });
    let sent = sent.await;
    let mut draft = Draft::new(&world, PK, AZ, 2, HANDLED);
    draft.envelope = sent.envelope.clone();
    draft.path = format!("{}{second}", karvan_exchange::wire::DOCUMENTS_PATH);
    draft.body = "second".into();
    let mut letter = draft.sign(&*world.nation(PK).keys);
    letter.put("signature", &sent.signed.signature);
    letter.put("signature-input", &sent.signed.signature_input);
    let answer = Courier::new(&world, PK, AZ).carry(&letter).await.expect("answered");
    assert_eq!(answer.status(), 200, "{}", String::from_utf8_lossy(answer.body()));
    assert_eq!(az.agency().find(second).await.expect("here").state, "parked");

    // Pakistan comes back and tells both numbers void.
    let pk = world.start(PK).await;
    az.agency().wait_for(second, "delivered").await;
    assert!(az.agency().find(first).await.is_none());
    let third = pk.agency().send(to, HANDLED, "third").await;
    pk.agency().wait_for(third, "delivered").await;
    for id in [first, second] {
        assert_eq!(pk.agency().resend(id).await.status, 202);
        pk.agency().wait_for(id, "delivered").await;
    }
    az.stop().await;
    pk.stop().await;
    assert_eq!(order_of_effects(&world, AZ).await, [second, third, first]);
}
