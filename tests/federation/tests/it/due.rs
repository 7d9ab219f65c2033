//! What a sub-system does by the clock: once, in order, and whatever fails holds up nothing else.

use std::sync::Arc;
use std::time::Duration;

use karvan_federation::{AZ, Agency, PK, TestClock, World, until};
use karvan_system::Clock as _;
use karvan_types::Timestamp;
use serde_json::json;

async fn later(world: &World, agency: &Agency, at: Timestamp, body: &str) {
    let (sender, recipient) = (&world.nation(AZ).member, &world.nation(PK).member);
    let input = json!({ "at": at, "sender": sender, "recipient": recipient, "body": body });
    let answer = agency.post("/v1/subsystems/probe/later", input.to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_is_done_once_and_failures_hold_up_nothing() {
    let world = World::new(170);
    let clock = Arc::new(TestClock::new());
    let az = world.start_with(AZ, |settings| settings.clock = clock.clone()).await;
    let pk = world.start_with(PK, |settings| settings.clock = clock.clone()).await;
    let agency = az.agency();
    let now = clock.now();
    let hour = Duration::from_hours(1);
    for (body, minutes) in [("defect", 0), ("refuse", 1), ("first", 2), ("second", 3)] {
        later(&world, &agency, now.plus(Duration::from_mins(minutes)), body).await;
    }
    later(&world, &agency, now.plus(2 * hour), "third").await;

    clock.advance(Duration::from_mins(4));
    pk.agency().wait_for_count("/received/delivered", 2).await;
    let sent = agency.alarms("probe-due").await;
    assert_eq!(sent.len(), 2, "an alarm commits with what it is about");
    until("both failures are counted", async || {
        (agency.status().await["dueWorkFailed"] == 2).then_some(())
    })
    .await;
    let failed = agency.wait_for_alarm("due-work-failed").await;
    assert!(failed.text.contains("probe"), "{}", failed.text);
    // The receipts come back in their own time; what is not due stays.
    agency.wait_for_count("/sent/delivered", 2).await;
    assert_eq!(agency.count("/sent/accepted").await, 0, "what is not due stays");

    // The node goes on, also after a restart.
    az.stop().await;
    clock.advance(2 * hour);
    let az = world.start_with(AZ, |settings| settings.clock = clock.clone()).await;
    pk.agency().wait_for_count("/received/delivered", 3).await;
    assert_eq!(az.agency().count("/dueWorkFailed").await, 0, "what was put off stays put off");
    az.stop().await;
    pk.stop().await;
}
