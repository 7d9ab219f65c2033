//! What readers get from a running log, on a real disk.

use std::sync::Arc;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::Note;
use karvan_evidence::proof::verify_consistency;
use karvan_evidence::tile::{decode_bundle, decode_tile};
use karvan_evidence::tree::leaf_hash;
use karvan_ledger::{Error, State};
use karvan_system::{Disk as _, OsDisk};
use karvan_types::ErrorKind;

use crate::keys;
use crate::world::{ORIGIN, World, entry, pass, witness};

fn head(note: &str) -> Checkpoint {
    Note::parse(note.as_bytes()).expect("note").text().parse().expect("checkpoint")
}

#[tokio::test(start_paused = true)]
async fn entries_states_proofs_and_files() {
    let folder = tempfile::tempdir().expect("folder");
    let world = World::new(Arc::new(OsDisk), folder.path());
    let log = world.open().expect("opens");
    assert!(log.ledger.checkpoint().is_none());
    assert_eq!(log.ledger.state(0).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    log.append_many(0..300).await;
    assert_eq!(log.ledger.state(299).expect("there"), State::Logged);
    assert_eq!(log.ledger.entry(299).expect("in memory"), entry(299));
    assert!(matches!(log.ledger.proof(299), Err(Error::NotFound { .. })));
    pass(2).await;
    world.verify();
    assert_eq!(log.ledger.state(299).expect("there"), State::Checkpointed);
    let first = head(&log.ledger.checkpoint().expect("made"));
    assert_eq!(first.size, 300);
    log.append_many(300..700).await;
    log.ledger.checkpoint_now().await.expect("made");
    world.verify();
    let second = head(&log.ledger.checkpoint().expect("made"));
    let proof = log.ledger.consistency(300, 700).expect("both covered");
    verify_consistency(&proof, 300, &first.root, 700, &second.root).expect("consistent");
    let (_, verifier) = keys::log(ORIGIN, 1);
    for index in [0, 255, 256, 299, 300, 511, 512, 699] {
        assert_eq!(log.ledger.entry(index).expect("in files"), entry(index));
        let proof = log.ledger.proof(index).expect("covered");
        proof.verify(&entry(index), &verifier, &[]).expect("proven");
    }
    for index in [700, u64::MAX] {
        assert!(matches!(log.ledger.entry(index), Err(Error::NotFound { .. })));
        assert!(matches!(log.ledger.proof(index), Err(Error::NotFound { .. })));
    }
    check_files(&log.ledger);
    log.stop().await.expect("ends well");
    world.verify();
}

fn check_files(ledger: &karvan_ledger::Ledger) {
    let read = |path: &str| ledger.static_file(path);
    let checkpoint = ledger.checkpoint().expect("made");
    assert_eq!(read("checkpoint").expect("there"), checkpoint.as_bytes());
    // Also the widths that no file has any more.
    for (path, width) in [("tile/0/000", 256), ("tile/0/001.p/44", 44), ("tile/0/002.p/188", 188)] {
        let hashes = decode_tile(&read(path).expect(path), width).expect(path);
        let index = path.as_bytes()[9] - b'0';
        assert_eq!(hashes[0], leaf_hash(&entry(u64::from(index) * 256)));
    }
    for (path, width) in [("tile/entries/001", 256), ("tile/entries/001.p/44", 44)] {
        let bytes = read(path).expect(path);
        let entries = decode_bundle(&bytes, width).expect(path);
        assert_eq!((entries.len(), entries[0]), (usize::from(width), entry(256).as_slice()));
    }
    for path in ["tile/0/003", "tile/0/002", "tile/0/002.p/189", "tile/entries/002.p/189"] {
        assert!(matches!(read(path), Err(Error::NotFound { .. })), "{path}");
    }
    for path in ["", "segments", "../second/signed-size", "/checkpoint", "witnessed"] {
        assert_eq!(read(path).map_err(|error| error.kind()), Err(ErrorKind::Invalid), "{path}");
    }
}

/// A folder of partial files goes once the full one exists, one checkpoint later.
#[tokio::test(start_paused = true)]
async fn no_empty_folders_stay() {
    let folder = tempfile::tempdir().expect("folder");
    let world = World::new(Arc::new(OsDisk), folder.path());
    let log = world.open().expect("opens");
    for round in 0..8 {
        log.append_many(round * 100..(round + 1) * 100).await;
        log.ledger.checkpoint_now().await.expect("made");
    }
    log.stop().await.expect("ends well");
    world.verify();
    // 800 entries: tile 2 became full at the last checkpoint, tile 3 is partial.
    for kind in ["tile/0", "tile/entries"] {
        let names = OsDisk.list(&world.dir.join(kind)).expect("there");
        assert_eq!(names, ["000", "001", "002", "002.p", "003.p"], "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn cosignatures_make_entries_witnessed() {
    let folder = tempfile::tempdir().expect("folder");
    let world = World::new(Arc::new(OsDisk), folder.path());
    let log = world.open().expect("opens");
    log.append_many(0..10).await;
    log.ledger.checkpoint_now().await.expect("made");
    let old = head(&log.ledger.checkpoint().expect("made"));
    log.append_many(10..20).await;
    log.ledger.checkpoint_now().await.expect("made");
    let (cosigner, verifier) = witness();
    // A cosignature of something else, and one for a size that was never signed.
    let bad = cosigner.cosign(&Checkpoint { size: 11, ..old.clone() }, 5).expect("cosigns");
    assert!(log.ledger.add_cosignatures(10, vec![bad.clone()]).await.is_err());
    assert!(log.ledger.add_cosignatures(11, vec![bad]).await.is_err());
    assert_eq!(log.ledger.state(0).expect("there"), State::Checkpointed);
    // The checkpoint was overtaken before its cosignature came: it still counts.
    let good = cosigner.cosign(&old, 5).expect("cosigns");
    log.ledger.add_cosignatures(10, vec![good]).await.expect("taken");
    world.verify();
    let (_, log_verifier) = keys::log(ORIGIN, 1);
    for (index, state, signatures) in [(9, State::Witnessed, 2), (10, State::Checkpointed, 1)] {
        assert_eq!(log.ledger.state(index).expect("there"), state);
        let proof = log.ledger.proof(index).expect("covered");
        let proven = proof.verify(&entry(index), &log_verifier, &[&verifier]).expect("proven");
        assert_eq!(proven.signatures.len(), signatures);
    }
    // The newest checkpoint is served with its cosignature.
    let new = head(&log.ledger.checkpoint().expect("made"));
    let good = cosigner.cosign(&new, 6).expect("cosigns");
    log.ledger.add_cosignatures(20, vec![good]).await.expect("taken");
    let served = log.ledger.checkpoint().expect("made");
    assert_eq!(Note::parse(served.as_bytes()).expect("note").signatures().len(), 2);
    log.stop().await.expect("ends well");
    world.verify();
    let log = world.open().expect("opens again");
    assert_eq!(log.ledger.state(19).expect("there"), State::Witnessed);
    assert_eq!(log.ledger.checkpoint(), Some(served));
    log.stop().await.expect("ends well");
}

#[tokio::test(start_paused = true)]
async fn settings_and_calls_have_bounds() {
    let folder = tempfile::tempdir().expect("folder");
    let world = World::new(Arc::new(OsDisk), folder.path());
    let mut config = world.config();
    config.segment_bytes = 1;
    assert_eq!(world.open_with(config).err().map(|e| e.kind()), Some(ErrorKind::LocalConfig));
    let mut config = world.config();
    config.signed_size_file = world.dir.join("signed-size");
    assert_eq!(world.open_with(config).err().map(|e| e.kind()), Some(ErrorKind::LocalConfig));
    let mut config = world.config();
    config.verifier = Arc::new(keys::log(ORIGIN, 9).1);
    assert_eq!(world.open_with(config).err().map(|e| e.kind()), Some(ErrorKind::LocalConfig));
    let log = world.open().expect("opens");
    for (entry, kind) in [(Vec::new(), ErrorKind::TooLarge), (vec![0; 65_536], ErrorKind::TooLarge)]
    {
        assert_eq!(log.ledger.append(entry).await.map_err(|error| error.kind()), Err(kind));
    }
    let many = (1..=1025).map(|number| (number, vec![1])).collect();
    assert!(matches!(log.ledger.append_queued(many).await, Err(Error::BatchSize { .. })));
    assert_eq!(log.ledger.append(vec![7; 65_535]).await.expect("longest"), 0);
    log.ledger.checkpoint_now().await.expect("made");
    world.verify();
    let ledger = log.ledger.clone();
    log.stop().await.expect("ends well");
    assert!(matches!(ledger.append(vec![1]).await, Err(Error::Stopped)));
}
