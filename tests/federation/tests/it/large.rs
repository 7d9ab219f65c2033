//! The largest document goes through both nodes without memory growing with it; one byte more is
//! refused. The nodes are processes, so that their memory is theirs alone.

use std::path::Path;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use karvan_exchange::desk::DocumentView;
use karvan_federation::{AZ, Agency, Answer, PK, Process, World};
use karvan_testkit::{HANDLED, PLAIN};
use karvan_types::digest::Hasher;
use karvan_types::limits::DOCUMENT_BYTES_MAX;
use karvan_types::{Digest, MemberId};

/// Bytes handed over at once.
const PIECE: usize = 64 * 1024;
/// How much a node may grow for a document of 64 MiB.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

/// Pieces that differ, so that a piece lost or doubled is noticed.
fn pieces(size: u64) -> impl Iterator<Item = Bytes> {
    let whole = size.div_ceil(PIECE as u64);
    (0..whole).map(move |number| {
        let left = size - number * PIECE as u64;
        let length = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        Bytes::from(vec![u8::try_from(number % 251).unwrap_or(0); length])
    })
}

fn digest(size: u64) -> Digest {
    let mut hasher = Hasher::new();
    pieces(size).for_each(|piece| hasher.update(&piece));
    hasher.finish()
}

async fn submit(agency: &Agency, to: &MemberId, size: u64) -> anyhow::Result<Answer> {
    let frames = pieces(size).map(|piece| Ok(Frame::data(piece)));
    let body = StreamBody::new(stream::iter(frames)).boxed();
    let path = format!("/v1/documents?recipient={to}&code={PLAIN}");
    agency.ask("POST", &path, "application/octet-stream", body).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_document_goes_through_in_flat_memory() {
    let world = World::new(70);
    world.write_paper();
    let program = Path::new(env!("CARGO_BIN_EXE_karvan-test-node"));
    let [mut az, mut pk] = [AZ, PK].map(|own| Process::new(&world, own, program));
    let receiver = az.start().await.expect("starts");
    let sender = pk.start().await.expect("starts");
    let to = &world.nation(AZ).member;

    // Everything that a node allocates once, it has allocated after a smaller one.
    let small = submit(&sender, to, 1 << 20).await.expect("answered");
    sender.wait_for(small.read::<DocumentView>().exchange, "relayed").await;
    let lease = receiver.wait_for_next().await;
    receiver.acknowledge(lease.document.exchange, &lease.lease, None).await;
    let before = [&az, &pk].map(|node| node.memory_peak_kib().expect("measured"));

    let large = submit(&sender, to, DOCUMENT_BYTES_MAX).await.expect("answered");
    let sent: DocumentView = large.read();
    assert_eq!((sent.size, sent.digest), (DOCUMENT_BYTES_MAX, digest(DOCUMENT_BYTES_MAX)));
    let relayed = sender.wait_for(sent.exchange, "relayed").await;
    assert!(relayed.relay_receipt);
    let lease = receiver.wait_for_next().await;
    assert_eq!((lease.document.exchange, lease.document.digest), (sent.exchange, sent.digest));
    let taken = receiver.get(&format!("/v1/documents/{}/body", sent.exchange)).await;
    assert_eq!(Digest::of(&taken.body), sent.digest, "whole, on the other side");
    drop(taken);
    receiver.acknowledge(sent.exchange, &lease.lease, None).await;
    sender.wait_for(sent.exchange, "delivered").await;

    let after = [&az, &pk].map(|node| node.memory_peak_kib().expect("measured"));
    for (nation, (before, after)) in ["az", "pk"].iter().zip(before.iter().zip(after)) {
        println!("{nation}: {before} KiB before, {after} KiB after 64 MiB");
        assert!(after < before + GROWTH_KIB_MAX, "{nation} grew from {before} to {after} KiB");
    }

    // One byte more: refused with its cause, and nothing of it stays.
    let larger = submit(&sender, to, DOCUMENT_BYTES_MAX + 1).await.expect("answered");
    assert_eq!((larger.status, larger.code()), (413, "document-too-large".to_owned()));
    assert!(String::from_utf8_lossy(&larger.body).contains("67108864"));
    let leftovers = std::fs::read_dir(world.folder(PK).join("bodies/tmp")).expect("a folder");
    assert_eq!(leftovers.count(), 0, "no temporary body stays");
    let id = sender.send(to, HANDLED, "x").await;
    sender.wait_for(id, "delivered").await;
    az.kill().await.expect("ended");
    pk.kill().await.expect("ended");
}
