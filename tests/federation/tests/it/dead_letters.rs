//! What the sender does about a refusal: the document becomes a dead letter with that reason, later
//! ones flow, and sending it again after the cause is mended delivers it.

use std::sync::Arc;
use std::time::Duration;

use karvan_agreements::{AgreementBook, Agreements};
use karvan_exchange::bundle::verify::verify;
use karvan_exchange::records::{Sent, SentState};
use karvan_federation::{AZ, Agency, PK, Settings, Station, TestClock, World, open_state, until};
use karvan_store::Range;
use karvan_subsystem::Rejection;
use karvan_system::{Clock as _, SystemClock, SystemEntropy};
use karvan_testkit::{DEFECT, HANDLED, Nation, PLAIN, REFUSE, Seen, key};
use karvan_trust::keys::Algorithm;
use karvan_trust::lists::NationalList;
use karvan_types::ExchangeId;

/// Starts Pakistan as usual and Azerbaijan with changed settings, sends two documents that are
/// refused, mends Azerbaijan, and sees both arrive after being sent again.
async fn refused_then_mended(
    seed: u64,
    code: &str,
    wrong: impl Fn(&World, &mut Settings),
) -> Rejection {
    let world = World::new(seed);
    let pk = world.start(PK).await;
    let az = world.start_with(AZ, |settings| wrong(&world, settings)).await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let first = sender.send(to, HANDLED, "first").await;
    let second = sender.send(to, HANDLED, "second").await;
    let reason = sender.wait_for_death(first).await;
    assert_eq!(reason.code, code, "{}", reason.text);
    assert_eq!(sender.wait_for_death(second).await.code, code);
    let view = sender.find(first).await.expect("known");
    assert!(view.evidence.iter().any(|entry| entry.kind == "document.refusal"), "{view:?}");
    assert_eq!(sender.alarms("dead-letter").await.len(), 2);
    assert_eq!(az.agency().count("/received/delivered").await, 0);

    az.stop().await;
    let az = world.start(AZ).await;
    for id in [first, second] {
        assert_eq!(sender.resend(id).await.status, 202);
        sender.wait_for(id, "delivered").await;
    }
    let twice = sender.resend(first).await;
    assert_eq!((twice.status, twice.code()), (409, "not-dead".to_owned()));
    let third = sender.send(to, HANDLED, "third").await;
    sender.wait_for(third, "delivered").await;
    assert_eq!(az.agency().count("/received/delivered").await, 3);
    assert!(az.agency().alarms("stream-forked").await.is_empty());
    az.stop().await;
    pk.stop().await;
    reason
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_agreement() {
    let reason = refused_then_mended(40, "agreement-unknown", |_, settings| {
        settings.node.agreements = Arc::default();
    })
    .await;
    assert!(reason.text.contains("agreement test version 1"), "{}", reason.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_agreement_that_has_ended() {
    refused_then_mended(41, "agreement-not-in-force", |world, settings| {
        let entry = world.federation.agreements.iter().next().expect("one");
        let mut ended = entry.agreement.clone();
        ended.valid_until = SystemClock.now().minus(Duration::from_hours(1));
        let mut book = AgreementBook::default();
        book.add(ended, entry.name.digest, entry.document.to_vec());
        settings.node.agreements = Arc::new(Agreements::new(book));
    })
    .await;
}

/// A slow clock stops traffic until it is set right; nothing has to be sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_slow_is_waited_for() {
    let world = World::new(42);
    let clock = Arc::new(TestClock::new());
    clock.set_back(Duration::from_mins(30));
    let time = Arc::clone(&clock);
    let az = world.start_with(AZ, move |settings| settings.clock = time).await;
    let pk = world.start(PK).await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let id = sender.send(to, HANDLED, "x").await;
    until("the cause is told", async || {
        waits(&sender, world.nation(AZ).node.as_str()).await.contains("clocks").then_some(())
    })
    .await;
    assert_eq!(sender.find(id).await.expect("kept").state, "accepted");
    clock.advance(Duration::from_mins(30));
    sender.wait_for(id, "delivered").await;
    assert!(sender.alarms("dead-letter").await.is_empty());
    az.stop().await;
    pk.stop().await;
}

/// Adds the next version of a nation's list, and keeps the first as the one that is known before.
fn publish(world: &mut World, own: usize, change: impl FnOnce(&Nation, &mut NationalList)) {
    let mut content = world.nation(own).content.clone();
    content.sequence_number += 1;
    change(world.nation(own), &mut content);
    let list = world.nation(own).sign_list(&content);
    let nation = &mut world.federation.nations[own];
    (nation.content, nation.list) = (content, list);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_that_the_receiver_does_not_know_yet() {
    let mut world = World::new(43);
    let old = world.nation(PK).list.clone();
    let member = world.nation(PK).member.member();
    let new = key(member.as_str(), "sign-2");
    let keys = Arc::clone(&world.nation(PK).keys);
    keys.generate(&new, Algorithm::EcdsaP256Sha256, &SystemEntropy).expect("a fresh key");
    let (begin, lasts) = (world.federation.plan.begin, world.federation.plan.lasts);
    publish(&mut world, PK, |nation, list| {
        list.members[0].keys.insert(0, nation.listed(member.as_str(), "sign-2", begin, lasts));
    });
    let pk = world.start(PK).await;
    let az = world.start_with(AZ, |settings| settings.lists[PK] = old.clone()).await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let first = sender.send(to, HANDLED, "first").await;
    assert_eq!(sender.wait_for_death(first).await.code, "key-unknown");
    // The new list arrives; nothing has to be restarted.
    az.trust.accept(&world.nation(PK).list, SystemClock.now()).expect("the next version");
    sender.resend(first).await;
    sender.wait_for(first, "delivered").await;
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_a_recipient_whom_the_node_no_longer_serves() {
    let mut world = World::new(44);
    let old = world.nation(AZ).list.clone();
    publish(&mut world, AZ, |_, list| list.nodes[0].members.clear());
    let pk = world.start_with(PK, |settings| settings.lists[AZ] = old).await;
    let az = world.start(AZ).await;
    let id = pk.agency().send(&world.nation(AZ).member, HANDLED, "x").await;
    assert_eq!(pk.agency().wait_for_death(id).await.code, "member-not-served");
    // The sender's node refuses at once when its own list says so.
    pk.trust.accept(&world.nation(AZ).list, SystemClock.now()).expect("the next version");
    let answer = pk.agency().submit(&world.nation(AZ).member, HANDLED, "x").await;
    assert_eq!((answer.status, answer.code()), (404, "member-without-node".to_owned()));
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_and_a_defect_of_the_handler_hold_nothing_up() {
    let world = World::new(45);
    let [az, pk] = world.start_both().await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let mut ids = Vec::new();
    for body in [&b"1"[..], REFUSE, b"2", DEFECT, b"3"] {
        ids.push(sender.send(to, HANDLED, body).await);
    }
    for (id, state) in ids.iter().zip(["delivered", "refused", "delivered", "refused", "delivered"])
    {
        let view = sender.wait_for(*id, state).await;
        assert!(view.relay_receipt && view.handover_receipt, "refused, but signed");
        let there = az.agency().find(*id).await.expect("kept");
        assert_eq!(there.state, state);
    }
    let reason = async |id| sender.find(id).await.and_then(|view| view.reason).expect("a reason");
    assert_eq!(reason(ids[1]).await.code, "probe.refused");
    assert_eq!(reason(ids[3]).await.code, "handler-defect");
    let alarms = az.agency().alarms("document-refused").await;
    let about: Vec<_> = alarms.iter().filter_map(|alarm| alarm.exchange).collect();
    assert_eq!(about, [ids[3], ids[1]]);
    assert!(alarms[0].text.contains("sub-system failed"), "{}", alarms[0].text);
    // What the handler wrote before it failed is undone.
    az.stop().await;
    pk.stop().await;
    assert_eq!(seen(&world).await, 3);
}

async fn seen(world: &World) -> usize {
    let state = open_state(&world.folder(AZ)).expect("opens");
    state.change(|tx| Ok(tx.select::<Seen>(&Range::all(100))?.len())).await
}

/// Waits until a document has waited for the peer, and says why.
async fn waits(sender: &Agency, peer: &str) -> String {
    let reach = sender.wait_for_reach(peer, "unreachable").await;
    reach["cause"].as_str().expect("a cause").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_12_an_expired_list_stops_traffic_and_the_next_one_lets_it_go() {
    let mut world = World::new(46);
    let mut content = world.nation(PK).content.clone();
    content.next_update = SystemClock.now().plus(Duration::from_hours(2));
    let list = world.nation(PK).sign_list(&content);
    let nation = &mut world.federation.nations[PK];
    (nation.content, nation.list) = (content, list);

    let old = world.nation(PK).list.clone();
    publish(&mut world, PK, |_, list| {
        list.next_update = SystemClock.now().plus(Duration::from_hours(500));
    });

    // Azerbaijan has the version that ends soon, Pakistan has published the next one.
    let clock = Arc::new(TestClock::new());
    let time = || Arc::clone(&clock);
    let az = world
        .start_with(AZ, |settings| {
            settings.clock = time();
            settings.lists[PK] = old.clone();
        })
        .await;
    let pk = world.start_with(PK, |settings| settings.clock = time()).await;
    let sender = pk.agency();
    let to = world.nation(AZ).member.clone();
    let id = sender.send(&to, HANDLED, "in time").await;
    sender.wait_for(id, "delivered").await;

    clock.advance(Duration::from_hours(3));
    // An open connection is refused as a new one is.
    let open = sender.send(&to, HANDLED, "over an open connection").await;
    waits(&sender, world.nation(AZ).node.as_str()).await;
    pk.stop().await;
    let pk = world.start_with(PK, |settings| settings.clock = time()).await;
    let sender = pk.agency();
    let id = sender.send(&to, HANDLED, "too late").await;
    waits(&sender, world.nation(AZ).node.as_str()).await;
    let answer = az.agency().submit(&world.nation(PK).member, HANDLED, "x").await;
    assert_eq!(answer.code(), "not-listed");
    let status = az.agency().status().await;
    let expired = status["lists"].as_array().expect("lists").iter().find(|l| l["nation"] == "PK");
    assert_eq!(expired.expect("the list")["inForce"], false);
    for id in [open, id] {
        assert_eq!(sender.find(id).await.expect("kept").state, "accepted", "not given up");
    }

    // Restarted under the ended list, Azerbaijan finds its witness again under the next one.
    az.stop().await;
    let az = world
        .start_with(AZ, |settings| {
            settings.clock = time();
            settings.lists.truncate(1);
        })
        .await;
    az.trust.accept(&world.nation(PK).list, clock.now()).expect("the next version");
    for id in [open, id] {
        sender.wait_for(id, "delivered").await;
        az.agency().wait_for_evidence(id, "witnessed").await;
    }
    az.stop().await;
    pk.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_12_a_rolled_back_list_is_refused_and_alarmed() {
    let mut world = World::new(47);
    let old = world.nation(AZ).list.clone();
    publish(&mut world, AZ, |_, list| list.scheme_operator_name.push_str(", renamed"));
    // Pakistan knows version 2; Azerbaijan was restored from a backup and offers version 1.
    let az = world.start_with(AZ, |settings| settings.lists[AZ] = old.clone()).await;
    let pk = world
        .start_with(PK, |settings| settings.node.list_refresh = Duration::from_millis(5))
        .await;
    let alarm = pk.agency().wait_for_alarm("list-refused").await;
    assert!(alarm.text.contains("number 1 is older than number 2"), "{}", alarm.text);
    assert!(pk.trust.accept(&old, SystemClock.now()).is_err(), "by hand neither");
    // The version in force serves on.
    let id = pk.agency().send(&world.nation(AZ).member, HANDLED, "x").await;
    pk.agency().wait_for(id, "delivered").await;
    let status = pk.agency().status().await;
    let list = status["lists"].as_array().expect("lists").iter().find(|l| l["nation"] == "AZ");
    assert_eq!(list.expect("the list")["sequence"], 2);
    assert_eq!(
        pk.agency().alarms("list-refused").await.len(),
        1,
        "one alarm, not one for each offer"
    );
    pk.stop().await;
    // Nor does a restart forget.
    let restarted = Station::start(&world.federation, PK, {
        let mut settings = world.settings(PK);
        settings.lists[AZ] = old;
        settings
    });
    let error = restarted.await.err().expect("refused");
    assert!(format!("{error:#}").contains("is older than"), "{error:#}");
    az.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_the_peer_never_takes_lapses_and_can_be_sent_again() {
    let world = World::new(48);
    let clock = Arc::new(TestClock::new());
    let time = Arc::clone(&clock);
    let pk = world
        .start_with(PK, move |settings| {
            settings.clock = time;
            settings.node.delivery_deadline = Duration::from_mins(5);
        })
        .await;
    let (sender, to) = (pk.agency(), &world.nation(AZ).member);
    let lapsed = sender.send(to, HANDLED, "lapses").await;
    waits(&sender, world.nation(AZ).node.as_str()).await;
    clock.advance(Duration::from_mins(6));
    let reason = sender.wait_for_death(lapsed).await;
    assert_eq!(reason.code, "deadline-passed");
    let late = sender.send(to, HANDLED, "after it").await;

    // Both clocks agree again, and the peer is back.
    let time = Arc::clone(&clock);
    let az = world.start_with(AZ, move |settings| settings.clock = time).await;
    sender.wait_for(late, "delivered").await;
    let answer = sender.resend(lapsed).await;
    assert_eq!(answer.status, 202);
    sender.wait_for(lapsed, "delivered").await;
    for id in [lapsed, late] {
        for station in [&az, &pk] {
            proven(&world, &station.agency(), id).await;
        }
    }
    az.stop().await;
    pk.stop().await;
}

/// The peer took the document, its answer was lost, and the sender gave up and signed again: the
/// peer answers with the receipt of the first signature (INV-7), and that must count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_signed_again_is_proven_by_the_receipt_of_its_first_signature() {
    let world = World::new(49);
    let clock = Arc::new(TestClock::new());
    let start = |own: usize| {
        let time = Arc::clone(&clock);
        world.start_with(own, move |settings| {
            settings.clock = time;
            settings.node.delivery_deadline = Duration::from_mins(5);
        })
    };
    let [az, pk] = [start(AZ).await, start(PK).await];
    let (to, code) = (world.nation(AZ).member.clone(), PLAIN);
    let id = pk.agency().send(&to, code, "answer lost").await;
    pk.agency().wait_for(id, "relayed").await;
    az.stop().await;
    pk.stop().await;
    // As if the answer had never come.
    let state = open_state(&world.folder(PK)).expect("opens");
    state
        .change(move |tx| {
            let mut sent: Sent = tx.find(id.to_string())?.expect("the record");
            sent.state = SentState::Accepted;
            sent.relay = None;
            sent.leaves.truncate(1);
            tx.save(&sent)
        })
        .await;
    let pk = start(PK).await;
    clock.advance(Duration::from_mins(6));
    let sender = pk.agency();
    assert_eq!(sender.wait_for_death(id).await.code, "deadline-passed");
    assert_eq!(sender.resend(id).await.status, 202);
    let az = start(AZ).await;
    sender.wait_for(id, "relayed").await;
    // Nothing else waits behind it.
    let next = sender.send(&to, HANDLED, "next").await;
    sender.wait_for(next, "delivered").await;
    let lease = az.agency().wait_for_next().await;
    assert_eq!(az.agency().acknowledge(id, &lease.lease, None).await.status, 200);
    sender.wait_for(id, "delivered").await;
    assert!(az.agency().next().await.is_none(), "offered once (INV-2)");
    for station in [&az, &pk] {
        proven(&world, &station.agency(), id).await;
    }
    az.stop().await;
    pk.stop().await;
}

/// Waits until the bundle of an exchange proves everything.
async fn proven(world: &World, agency: &Agency, id: ExchangeId) {
    until(&format!("the bundle of {id} proves everything"), async || {
        let bundle = agency.bundle(id).await;
        let report = verify(&bundle, Some(&world.federation.root), None);
        assert!(report.holds(), "{report:#?}");
        report.gaps.is_empty().then_some(())
    })
    .await;
}
