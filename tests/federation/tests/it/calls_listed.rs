//! What the list of calls says about a node with many of them: nothing that was asked for is
//! silently missing.

use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use karvan_calls::records::{Call, End, Outcome, Received};
use karvan_federation::{PK, Station, System, World, received, service, until};
use karvan_store::{Error, Tx};
use karvan_types::{ExchangeId, Timestamp};

/// More rows than one request reads.
const MANY: u16 = 10_500;
/// Ids that agencies chose, the earlier first; their calls hang.
const HANGING: [&str; 3] = [
    "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e01",
    "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e02",
    "01939c2e-7b1a-7c3d-8e4f-5a6b7c8d9e03",
];

/// Adds answered calls like `call`, later than all others.
async fn add_later(station: &Station, call: Call) {
    let add = move |tx: &mut dyn Tx| -> Result<(), Error> {
        for number in 0..MANY {
            let [high, low] = number.to_be_bytes();
            let at = Timestamp::from_millis(4_000_000_000_000);
            let exchange = ExchangeId::new(at, [0, 0, 0, 0, 0, 0, 0, 0, high, low]);
            let call = Call { exchange, message: exchange.to_string(), ..call.clone() };
            tx.add(&Received(call.clone()))?;
            tx.add(&End::from(call))?;
        }
        Ok(())
    };
    station.node.store().write(add).await.expect("written");
}

/// Asks for pages until there is no next one; returns the exchange ids, and the number of pages.
async fn list(station: &Station, query: &str) -> (Vec<String>, usize) {
    let (agency, mut seen, mut after) = (station.agency(), Vec::new(), String::new());
    for pages in 1.. {
        let path = format!("/v1/messages?{query}{after}");
        let page: serde_json::Value = agency.get(&path).await.read();
        let messages = page["messages"].as_array().expect("messages");
        let ids = messages.iter().map(|it| it["exchange"].as_str().expect("an id"));
        seen.extend(ids.map(ToOwned::to_owned));
        let Some(next) = page["next"].as_str() else { return (seen, pages) };
        after = format!("&after={next}");
    }
    unreachable!("it ends with the last page")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_asked_for_are_found_behind_many_others() {
    let world = World::new(546);
    let [az, pk] = world.start_both().await;
    let system = System::start(|seen| {
        let body = Full::new(Bytes::from("done")).map_err(|never| match never {});
        (!seen.target.ends_with("/hang")).then(|| Response::new(body.boxed()))
    })
    .await;
    pk.offer(service(&world.nation(PK).member, "echo", &system.url())).await;
    let caller = az.caller();
    let path = format!("/r1/{}", world.nation(PK).member);
    assert_eq!(caller.call("GET", &format!("{path}/echo"), &[], "").await.status, 200);
    let refused = caller.call("GET", &format!("{path}/gone"), &[], "").await;
    let refused = refused.headers["karvan-exchange-id"].to_str().expect("text").to_owned();
    // The id is made before the call is here, and by another clock.
    let now = pk.node.now();
    let [made, since] = [2, 1].map(|minutes| now.minus(Duration::from_mins(minutes)));
    let made = ExchangeId::new(made, [7; 10]).to_string();
    caller.call("GET", &format!("{path}/echo"), &[("karvan-exchange-id", &made)], "").await;
    assert!(list(&pk, &format!("since={since}")).await.0.contains(&made));
    let mut hanging = Vec::new();
    for id in HANGING {
        let (caller, path) = (az.caller(), format!("{path}/echo/hang"));
        hanging.push(tokio::spawn(async move {
            caller.call("GET", &path, &[("karvan-exchange-id", id)], "").await
        }));
    }
    until("the system is asked", async || (system.seen().len() > HANGING.len() + 1).then_some(()))
        .await;
    let read = pk.node.store().read(|view| received(view, 10)).await;
    let read = read.map_err(|error: Error| error).expect("read");
    let answered = read.into_iter().find(|call| call.outcome == Outcome::Answered);
    add_later(&pk, answered.expect("one was answered")).await;

    let [first, second, third] = HANGING.map(ToOwned::to_owned);
    let cases = [
        ("state=open", vec![third.clone(), second.clone(), first.clone()], 1),
        ("state=open&limit=2", vec![third.clone(), second.clone(), first.clone()], 2),
        ("state=open&limit=1", vec![third, second.clone(), first.clone()], 3),
        ("state=open&side=client", vec![], 1),
        ("state=open&service=gone", vec![], 1),
        ("state=open&service=echo&client=AZ/GOV/SCC/nobody", vec![], 1),
        ("state=open&since=2100-01-01T00:00:00.000Z", vec![], 1),
        // These stand behind more rows than one request reads: an empty page names the next.
        ("state=refused", vec![refused], 2),
        ("state=unanswered", vec![], 2),
    ];
    for (query, expected, pages) in cases {
        assert_eq!(list(&pk, query).await, (expected, pages), "{query}");
    }
    let after = format!("state=open&after={second}.provider");
    assert_eq!(list(&pk, &after).await, (vec![first.clone()], 1));
    // An id that an agency made long ago hides an open call from no search by time.
    let (found, _) = list(&pk, "state=open&since=2025-01-01T00:00:00.000Z").await;
    assert_eq!(found.len(), HANGING.len());

    // A call that ends, here since its caller hangs up, is open no more.
    for call in hanging {
        call.abort();
    }
    until("none is open", async || list(&pk, "state=open").await.0.is_empty().then_some(())).await;
    let (unanswered, _) = list(&pk, "state=unanswered").await;
    assert_eq!(unanswered.len(), HANGING.len());
    az.stop().await;
    pk.stop().await;
}
