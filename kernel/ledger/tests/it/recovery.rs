//! What survives crashes, and what must stop a start.

use std::path::Path;
use std::sync::Arc;

use karvan_ledger::{Error, Faults};
use karvan_system::Disk as _;
use karvan_system::memory::MemoryDisk;
use karvan_types::ErrorKind;

use crate::world::{World, entry, flip};

fn world() -> (MemoryDisk, World) {
    let disk = MemoryDisk::default();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    (disk, world)
}

/// Runs appends and checkpoints until the disk dies at a given act; returns how many entries were
/// acknowledged and the largest size signed.
async fn run_until_death(world: &World, from: u64) -> (u64, u64) {
    let Ok(log) = world.open() else { return (from, 0) };
    let (mut acknowledged, mut signed) = (from, 0);
    'life: for round in 0..12_u64 {
        let count = 1 + (from + round * 37) % 90;
        for _ in 0..count {
            match log.ledger.append(entry(acknowledged)).await {
                Ok(index) => assert_eq!(index, acknowledged),
                Err(_) => break 'life,
            }
            acknowledged += 1;
        }
        match log.ledger.checkpoint_now().await {
            Ok(size) => signed = size,
            Err(_) => break,
        }
    }
    log.kill().await;
    (acknowledged, signed)
}

/// Dies at every stage of work many times over: nothing acknowledged is lost, nothing signed is
/// taken back, and the log verifies each time (INV-3, INV-4).
#[tokio::test(start_paused = true)]
async fn no_crash_loses_an_acknowledged_entry() {
    for seed in 1..=120_u64 {
        let (disk, world) = world();
        let mut acknowledged = 0;
        for life in 0..4_u64 {
            disk.stop_after(seed * 7 * (life + 1) % 400);
            let (now, signed) = run_until_death(&world, acknowledged).await;
            disk.crash_torn(seed * 31 + life);
            let log = world.open().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            let size = log.ledger.size();
            assert!(size >= now && size >= signed, "seed {seed}: {size} of {now}, {signed}");
            for index in (0..size).step_by(13).chain(size.checked_sub(1)) {
                assert_eq!(log.ledger.entry(index).expect("there"), entry(index), "seed {seed}");
            }
            log.stop().await.expect("ends well");
            world.verify();
            acknowledged = size;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_where_it_was() {
    let (_, world) = world();
    let mut next = 0;
    for count in [0, 1, 255, 1, 256, 700, 3] {
        let log = world.open().expect("opens");
        log.append_many(next..next + count).await;
        next += count;
        log.stop().await.expect("ends well");
        world.verify();
    }
    let log = world.open().expect("opens");
    assert_eq!(log.ledger.size(), next);
    log.stop().await.expect("ends well");
}

/// Once a sync has failed nothing more is written, and every caller hears of it.
#[tokio::test(start_paused = true)]
async fn a_failed_sync_stops_the_log() {
    let (disk, world) = world();
    let log = world.open().expect("opens");
    log.append_many(0..5).await;
    disk.fail_syncs(true);
    assert!(matches!(log.ledger.append(entry(5)).await, Err(Error::Stopped)));
    assert!(matches!(log.ledger.append(entry(5)).await, Err(Error::Stopped)));
    assert_eq!(log.stop().await.map_err(|error| error.kind()), Err(ErrorKind::Storage));
    disk.crash_torn(7);
    let log = world.open().expect("opens");
    assert!(log.ledger.size() >= 5);
    log.stop().await.expect("ends well");
    world.verify();
}

/// A folder that was put back to an earlier state is refused, whatever state that is (INV-4).
#[tokio::test(start_paused = true)]
async fn a_rolled_back_log_does_not_open() {
    let (disk, world) = world();
    let mut backups = vec![disk.copy()];
    let log = world.open().expect("opens");
    for round in 0..4 {
        log.append_many(round * 100..(round + 1) * 100).await;
        log.ledger.checkpoint_now().await.expect("made");
        backups.push(disk.copy());
    }
    log.stop().await.expect("ends well");
    let newest = disk.read(&world.signed_size_file).expect("written");
    backups.pop();
    for (round, backup) in backups.into_iter().enumerate() {
        backup.create_dir_all(Path::new("/second")).expect("created");
        backup.replace(&world.signed_size_file, &newest).expect("replaced");
        let restored = World { disk: Arc::new(backup), ..world.clone() };
        let error = restored.open().err().expect("refused");
        let have = round as u64 * 100;
        assert!(matches!(error, Error::RolledBack { have: h, signed: 400 } if h == have));
        assert!(!restored.findings().is_empty());
    }
    // The second place itself must not be lost or forged either.
    let lost = disk.copy();
    lost.remove(&world.signed_size_file).expect("there");
    let lost = World { disk: Arc::new(lost), ..world.clone() };
    assert!(matches!(lost.open().err(), Some(Error::Damaged { .. })));
    let forged = disk.copy();
    let text = String::from_utf8(newest).expect("text").replace("400", "399");
    forged.replace(&world.signed_size_file, text.as_bytes()).expect("replaced");
    let forged = World { disk: Arc::new(forged), ..world.clone() };
    assert!(matches!(forged.open().err(), Some(Error::Damaged { .. })));
}

/// The folder of the second place is made by the first start; its loss later is not passed over.
#[tokio::test(start_paused = true)]
async fn the_second_place_is_made_once() {
    let (disk, mut world) = world();
    world.signed_size_file = "/other/volume/signed-size".into();
    let log = world.open().expect("opens");
    log.append_many(0..5).await;
    log.stop().await.expect("ends well");
    disk.crash();
    world.open().expect("opens again").stop().await.expect("ends well");
    world.verify();
    disk.remove(&world.signed_size_file).expect("there");
    disk.remove(Path::new("/other/volume")).expect("empty");
    assert!(matches!(world.open().err(), Some(Error::Damaged { .. })));
}

/// Damage below the checkpoint is not taken for an interrupted write.
#[tokio::test(start_paused = true)]
async fn damage_is_not_mistaken_for_a_torn_write() {
    let (disk, world) = world();
    let log = world.open().expect("opens");
    log.append_many(0..100).await;
    log.stop().await.expect("ends well");
    let segment = world.dir.join("segments/00000000000000000000.segment");
    for at in [0, 20, 64, 70, 3_000] {
        flip(&disk, &segment, at, 4);
        let error = world.open().err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Evidence, "{at}: {error}");
        assert!(error.to_string().contains("segment"), "{error}");
        flip(&disk, &segment, at, 4);
    }
    for file in ["checkpoint", "tile/0/000.p/100", "tile/entries/000.p/100"] {
        flip(&disk, &world.dir.join(file), 40, 1);
        assert_eq!(world.open().err().map(|error| error.kind()), Some(ErrorKind::Evidence));
        flip(&disk, &world.dir.join(file), 40, 1);
    }
    world.open().expect("mended").stop().await.expect("ends well");
}

/// The planted fault is one that a crash brings to light (INV-3).
#[tokio::test(start_paused = true)]
async fn a_checkpoint_before_its_tiles_is_found_out() {
    let (disk, world) = world();
    let mut config = world.config();
    config.faults = Faults { checkpoint_before_tiles: true };
    let log = world.open_with(config).expect("opens");
    log.append_many(0..5).await;
    log.ledger.checkpoint_now().await.expect("made");
    log.kill().await;
    disk.crash_torn(3);
    assert!(world.open().is_err());
    assert!(world.findings().iter().any(|finding| finding.problem.contains("missing")));
}

/// Partial tiles go away once the full one exists, one checkpoint later.
#[tokio::test(start_paused = true)]
async fn old_partial_tiles_are_removed() {
    let (disk, world) = world();
    let log = world.open().expect("opens");
    for round in 0..8 {
        log.append_many(round * 100..(round + 1) * 100).await;
        log.ledger.checkpoint_now().await.expect("made");
    }
    log.stop().await.expect("ends well");
    world.verify();
    let partials: Vec<_> = disk
        .files()
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(".p/"))
        .map(|path| path.strip_prefix("/log/tile").expect("tile").display().to_string())
        .filter(|path| path.starts_with("0/"))
        .collect();
    // 800 entries: tile 2 became full at the last checkpoint, tile 3 is partial.
    assert_eq!(partials, ["0/002.p/188", "0/002.p/88", "0/003.p/32"]);
}
