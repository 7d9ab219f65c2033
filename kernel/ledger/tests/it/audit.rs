//! Single altered bytes anywhere in a stored log are found, and the right file is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karvan_system::Disk as _;
use karvan_system::memory::MemoryDisk;

use crate::world::{World, flip, witness};

/// Makes a log with two segments, full and partial tiles of two levels, a tail that no checkpoint
/// covers, and a cosigned checkpoint.
async fn stored_log() -> (MemoryDisk, World) {
    let disk = MemoryDisk::default();
    let world = World::new(Arc::new(disk.clone()), Path::new("/"));
    let log = world.open().expect("opens");
    log.append_many(0..300).await;
    log.ledger.checkpoint_now().await.expect("made");
    log.append_many(300..900).await;
    log.ledger.checkpoint_now().await.expect("made");
    let checkpoint = log.ledger.status().checkpoint.expect("made");
    let cosignature = witness().0.cosign(&checkpoint, 5).expect("cosigns");
    log.ledger.add_cosignatures(900, vec![cosignature]).await.expect("taken");
    log.append_many(900..910).await;
    log.kill().await;
    (disk, world)
}

#[tokio::test(start_paused = true)]
async fn every_file_is_covered() {
    let (disk, world) = stored_log().await;
    world.verify();
    let mut kinds = BTreeSet::new();
    for file in disk.files() {
        if file.ends_with("spare") {
            continue;
        }
        let bytes = disk.read(&file).expect("readable");
        kinds.insert(file.parent().expect("folder").to_owned());
        let step = (bytes.len() / 60).max(1);
        for at in (0..bytes.len()).step_by(step).chain(bytes.len().checked_sub(1)) {
            let mask = if at % 2 == 0 { 1 } else { 0x40 };
            flip(&disk, &file, at, mask);
            let findings = world.findings();
            let named = findings.iter().any(|finding| finding.file == file);
            assert!(named, "{} byte {at}: {findings:?}", file.display());
            let others = findings.iter().find(|finding| finding.file != file);
            assert!(others.is_none(), "{} byte {at}: {others:?}", file.display());
            flip(&disk, &file, at, mask);
        }
    }
    world.verify();
    let folders = ["second", "log", "log/segments", "log/tile/0", "log/tile/entries"];
    for folder in folders.map(|folder| Path::new("/").join(folder)) {
        assert!(kinds.contains(&folder), "{}", folder.display());
    }
}

#[tokio::test(start_paused = true)]
async fn the_touched_entry_is_named() {
    let (disk, world) = stored_log().await;
    let check = |file: &str, at: usize, entry: Option<u64>, problem: &str| {
        let file: PathBuf = world.dir.join(file);
        flip(&disk, &file, at, 2);
        let findings = world.findings();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((&findings[0].file, findings[0].entry), (&file, entry));
        assert!(findings[0].problem.contains(problem), "{}", findings[0].problem);
        flip(&disk, &file, at, 2);
    };
    // Entry 0 has 20 bytes: it begins after the header and its frame's head.
    check("segments/00000000000000000000.segment", 64 + 16 + 3, Some(0), "checksum");
    check("segments/00000000000000000000.segment", 64 + 16 + 20 + 5, Some(1), "checksum");
    check("tile/entries/000", 2 + 3, Some(0), "differs");
    check("tile/entries/003.p/132", 2 + 3, Some(768), "differs");
    check("tile/0/001", 32 * 7, None, "hash 7 ");
    check("tile/1/000.p/3", 70, None, "hash 2 ");
}

#[tokio::test(start_paused = true)]
async fn missing_files_are_named() {
    let (disk, world) = stored_log().await;
    for file in disk.files() {
        let optional = ["spare", "checkpoint", "witnessed", "44", "1"];
        let name = file.file_name().expect("name").to_string_lossy().into_owned();
        if optional.contains(&name.as_str()) {
            continue;
        }
        let copy = disk.copy();
        copy.remove(&file).expect("there");
        let damaged = World { disk: Arc::new(copy), ..world.clone() };
        let findings = damaged.findings();
        assert!(!findings.is_empty(), "{}", file.display());
        if !name.ends_with(".segment") {
            assert!(findings.iter().all(|finding| finding.file == file), "{findings:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_cut_short_is_told_from_damage() {
    let (disk, world) = stored_log().await;
    let segments = world.dir.join("segments");
    let last = disk.files().into_iter().rfind(|file| {
        file.starts_with(&segments) && file.extension().is_some_and(|kind| kind == "segment")
    });
    let last = last.expect("a segment");
    let end = disk.read(&last).expect("readable");
    let end = end.iter().rposition(|byte| *byte != 0).expect("entries");
    // In the last entry, which no checkpoint covers, and in the zeros after it.
    for at in [end - 3, end + 40] {
        flip(&disk, &last, at, 2);
        let report = world.audit();
        assert_eq!(report.findings, [], "byte {at}");
        let unfinished = report.unfinished.clone().expect("told");
        assert_eq!(unfinished.file, last);
        assert!(unfinished.problem.contains("start the node"), "{}", unfinished.problem);
        assert!(!report.is_good());
        flip(&disk, &last, at, 2);
    }
    // An entry that a checkpoint covers is damaged, whatever segment it is in.
    flip(&disk, &last, 64 + 16 + 3, 2);
    let report = world.audit();
    assert_eq!(report.unfinished, None);
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    flip(&disk, &last, 64 + 16 + 3, 2);
    flip(&disk, &last, end - 3, 2);
    world.open().expect("opens").stop().await.expect("stops");
    world.verify();
}
