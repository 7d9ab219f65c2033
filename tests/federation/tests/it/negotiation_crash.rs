//! A node that stops at any point of a negotiation goes on where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Response, request};
use karvan_exchange::network::Boxed;
use karvan_federation::{AZ, PK, Station, World, until};
use karvan_negotiation::Error;
use karvan_negotiation::identity::{MemberTokens, Participant};
use karvan_negotiation::line::{Draft, Line, NodeLine, Parcel, Seal};
use tokio::sync::Notify;

use crate::negotiation::{ask, service, wait_for};

/// Where the line breaks for ever.
#[derive(Clone, Copy, Debug)]
enum Break {
    /// The message never leaves.
    Before,
    /// The other side takes it, and its answer never comes.
    After,
}

/// A line that hangs at its `nth` message.
struct Broken {
    line: NodeLine,
    at: Break,
    left: AtomicU32,
    hangs: Arc<Notify>,
}

impl Line for Broken {
    fn own_address(&self) -> Result<String, Error> {
        self.line.own_address()
    }

    fn address_of(&self, participant: &str) -> Result<String, Error> {
        self.line.address_of(participant)
    }

    fn check_address(&self, caller: &Participant, address: &str) -> Result<(), Error> {
        self.line.check_address(caller, address)
    }

    fn seal(&self, draft: &Draft<'_>) -> Result<Option<Seal>, Error> {
        self.line.seal(draft)
    }

    fn open(
        &self,
        caller: &Participant,
        head: &request::Parts,
        body: &[u8],
    ) -> Result<Option<Seal>, Error> {
        self.line.open(caller, head, body)
    }

    fn send<'a>(&'a self, parcel: Parcel<'a>) -> Boxed<'a, Result<Response<Bytes>, Error>> {
        let is_message = parcel.method == "POST" && parcel.path.starts_with("/negotiations");
        if !is_message || self.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return self.line.send(parcel);
        }
        Box::pin(async move {
            if matches!(self.at, Break::After) {
                self.line.send(parcel).await?;
            }
            self.hangs.notify_one();
            std::future::pending().await
        })
    }
}

/// Starts a node whose line hangs at its `nth` message.
async fn start_broken(world: &World, own: usize, at: Break, nth: u32) -> (Station, Arc<Notify>) {
    let hangs = Arc::new(Notify::new());
    let signal = Arc::clone(&hangs);
    let station = world
        .start_with(own, |settings| {
            settings.line = Box::new(move |node| {
                let line = NodeLine::new(node.clone());
                let left = AtomicU32::new(nth);
                let line = Broken { line, at, left, hangs: signal };
                (Arc::new(MemberTokens::new(node.clone())), Arc::new(line))
            });
        })
        .await;
    (station, hangs)
}

/// Stops one side at its `nth` message, starts it again, and waits for the end.
async fn check(seed: u64, broken: usize, at: Break, nth: u32) {
    let world = World::new(seed);
    let (station, hangs) = start_broken(&world, broken, at, nth).await;
    let other = world.start(1 - broken).await;
    let [az, pk] = if broken == AZ { [&station, &other] } else { [&other, &station] };
    az.engine
        .publish(service("vehicles", &world.nation(AZ).member, true))
        .await
        .expect("publishes");
    let asked = ask(&world, pk, "vehicles").await;
    tokio::time::timeout(karvan_federation::WAIT_MAX, hangs.notified()).await.expect("it hangs");
    station.stop().await;

    let station = world.start(broken).await;
    let [az, pk] = if broken == AZ { [&station, &other] } else { [&other, &station] };
    let done = wait_for(pk, &asked.pid, "FINALIZED").await;
    let theirs = wait_for(az, done.peer_pid.as_deref().expect("known"), "FINALIZED").await;
    assert_eq!(done.concluded, theirs.concluded, "{at:?} {nth}");
    assert!(done.concluded.is_some());
    for (station, process) in [(pk, &done), (az, &theirs)] {
        let messages = station.engine.messages(&process.pid).await.expect("reads");
        let kinds: Vec<_> = messages.iter().map(|message| message.kind.as_str()).collect();
        assert_eq!(kinds.len(), 4, "each message counts once, {at:?} {nth}: {kinds:?}");
        let name = process.concluded.as_ref().expect("concluded");
        until("it is in force", async || {
            let book = station.node.agreements().book();
            book.get(name).is_some_and(|entry| entry.in_force(station.node.now())).then_some(())
        })
        .await;
    }
    station.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumer_stops_before_a_message() {
    check(71, PK, Break::Before, 1).await;
    check(72, PK, Break::Before, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_consumer_stops_before_an_answer() {
    check(73, PK, Break::After, 1).await;
    check(74, PK, Break::After, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_stops_before_a_message() {
    check(75, AZ, Break::Before, 1).await;
    check(76, AZ, Break::Before, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_provider_stops_before_an_answer() {
    check(77, AZ, Break::After, 1).await;
    check(78, AZ, Break::After, 2).await;
}
