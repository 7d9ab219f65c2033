//! Entries that were committed elsewhere first are appended exactly once.

use std::path::Path;
use std::sync::Arc;

use karvan_ledger::Error;
use karvan_system::memory::MemoryDisk;
use karvan_types::ErrorKind;

use crate::world::{World, entry, witness};

fn queued(numbers: std::ops::Range<u64>) -> Vec<(u64, Vec<u8>)> {
    numbers.map(|number| (number, entry(number))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_number_is_appended_once() {
    let disk = MemoryDisk::default();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    assert_eq!(log.ledger.append_queued(queued(1..4)).await.expect("new"), [0, 1, 2]);
    assert_eq!(log.ledger.append(b"between".to_vec()).await.expect("new"), 3);
    // Part known, part new; a gap in the numbers is no harm.
    let mut again = queued(2..5);
    again.push((9, entry(9)));
    assert_eq!(log.ledger.append_queued(again).await.expect("mixed"), [1, 2, 4, 5]);
    assert_eq!((log.ledger.last_queued(), log.ledger.size()), (9, 6));
    let bad = log.ledger.append_queued(vec![(7, entry(7))]).await;
    assert!(matches!(bad, Err(Error::QueueOrder { number: 7, last: 9 })));
    for numbers in [vec![0], vec![10, 10], vec![11, 10]] {
        let entries = numbers.into_iter().map(|number| (number, entry(number))).collect();
        assert!(matches!(log.ledger.append_queued(entries).await, Err(Error::QueueOrder { .. })));
    }
    assert_eq!(log.ledger.append_queued(Vec::new()).await.expect("nothing"), [] as [u64; 0]);
    assert_eq!(log.ledger.size(), 6);
    log.ledger.checkpoint_now().await.expect("made");
    world.verify();
    log.kill().await;
    disk.crash_torn(1);
    let log = world.open().expect("opens");
    assert_eq!(log.ledger.last_queued(), 9);
    assert_eq!(log.ledger.append_queued(queued(1..5)).await.expect("known"), [0, 1, 2, 4]);
    log.stop().await.expect("ends well");
    world.verify();
}

/// A number that comes again with other bytes is never taken for appended: the log stops, with the
/// cause for the caller and for the node. So it is for entries in memory, in tiles, after a restart
/// and in earlier segments.
#[tokio::test(start_paused = true)]
async fn a_rewritten_queue_stops_the_log() {
    let disk = MemoryDisk::new();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    for first in (1..2_001).step_by(500) {
        log.ledger.append_queued(queued(first..first + 500)).await.expect("new");
    }
    log.ledger.checkpoint_now().await.expect("made");
    log.ledger.append_queued(queued(2_001..2_011)).await.expect("new");
    let mut log = Some(log);
    for number in [2_010, 2_001, 2_000, 1_000, 1, 2_010] {
        let running = log.take().unwrap_or_else(|| world.open().expect("opens"));
        // What comes before it is known, what comes after it is new.
        let mut entries = queued(number.max(3) - 2..number + 1);
        entries.last_mut().expect("some").1.push(0);
        entries.push((3_000, entry(3_000)));
        let index = number - 1;
        let same = |error: &Error| match error {
            Error::QueueContent { number: n, index: i } => (*n, *i) == (number, index),
            _ => false,
        };
        let told = running.ledger.append_queued(entries).await.expect_err("refused");
        assert!(same(&told) && told.kind() == ErrorKind::Evidence, "{told}");
        assert!(matches!(running.ledger.append(entry(0)).await, Err(Error::Stopped)));
        let ended = running.stop().await.expect_err("the task ended");
        assert!(same(&ended), "{ended}");
        disk.crash();
    }
    let log = world.open().expect("opens");
    assert_eq!((log.ledger.last_queued(), log.ledger.size()), (2_010, 2_010));
    assert_eq!(log.ledger.append_queued(queued(1..2)).await.expect("known"), [0]);
    log.stop().await.expect("ends well");
    world.verify();
}

/// The numbers of earlier segments are found too, and those of a segment that has none.
#[tokio::test(start_paused = true)]
async fn numbers_are_found_across_segments() {
    let disk = MemoryDisk::default();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    for first in (1..3_000).step_by(500) {
        log.ledger.append_queued(queued(first..first + 500)).await.expect("new");
    }
    for _ in 0..6 {
        log.ledger.append(vec![1; 60_000]).await.expect("new");
    }
    log.ledger.checkpoint_now().await.expect("made");
    log.stop().await.expect("ends well");
    world.verify();
    let log = world.open().expect("opens");
    assert_eq!((log.ledger.last_queued(), log.ledger.size()), (3_000, 3_006));
    for number in [1, 499, 500, 501, 1_777, 3_000] {
        let index = log.ledger.append_queued(queued(number..number + 1)).await.expect("known");
        assert_eq!(index, [number - 1]);
    }
    assert_eq!(log.ledger.append_queued(queued(3_001..3_002)).await.expect("new"), [3_006]);
    log.stop().await.expect("ends well");
    world.verify();
}

/// A checkpoint syncs each file once and each folder once, however many files are due.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_shares_the_syncs_of_folders() {
    let disk = MemoryDisk::new();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    // Full tiles and bundles, partial tiles of two levels, a partial bundle.
    for (size, files, folders) in [(1_000, 3 + 3 + 2 + 1, 5), (50_000, 192 + 192 + 2 + 1, 5)] {
        log.append_many(log.ledger.size()..size).await;
        let before = disk.syncs();
        assert_eq!(log.ledger.checkpoint_now().await.expect("made"), size);
        // The second place and the checkpoint are a file and a folder each.
        assert_eq!(disk.syncs() - before, files + folders + 4, "{size}");
    }
    // A cosignature makes two files new, in one folder.
    let checkpoint = log.ledger.status().checkpoint.expect("made");
    let cosignature = witness().0.cosign(&checkpoint, 5).expect("cosigns");
    let before = disk.syncs();
    log.ledger.add_cosignatures(checkpoint.size, vec![cosignature]).await.expect("taken");
    assert_eq!(disk.syncs() - before, 2 + 1);
    log.stop().await.expect("ends well");
    world.verify();
}

/// Many callers at once: every entry gets its own index, and what was gathered is one batch.
#[tokio::test(start_paused = true)]
async fn callers_share_a_sync() {
    let disk = MemoryDisk::default();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    let before = disk.syncs();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200_u64 {
        let ledger = log.ledger.clone();
        calls.spawn(async move { (ledger.append(entry(number)).await.expect("new"), number) });
    }
    let mut indexes = Vec::new();
    while let Some(done) = calls.join_next().await {
        let (index, number) = done.expect("no panic");
        assert_eq!(log.ledger.entry(index).expect("there"), entry(number));
        indexes.push(index);
    }
    indexes.sort_unstable();
    assert_eq!(indexes, (0..200).collect::<Vec<_>>());
    assert!(disk.syncs() - before < 10, "{} syncs for 200 entries", disk.syncs() - before);
    log.stop().await.expect("ends well");
    world.verify();
}
