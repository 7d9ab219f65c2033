//! The witness: cosigns what grows, refuses what forks, and forgets nothing in a crash.

use std::path::Path;
use std::sync::Arc;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::{Note, Signature};
use karvan_evidence::witness::AddCheckpoint;
use karvan_ledger::{Conflict, KnownLog, Ledger, Refused, Witness};
use karvan_system::Disk as _;
use karvan_system::memory::MemoryDisk;
use karvan_types::Digest;

use crate::keys;
use crate::world::{ORIGIN, StoppedClock, World, witness};

fn open(disk: &MemoryDisk) -> Witness {
    let (cosigner, _) = witness();
    let clock = Arc::new(StoppedClock);
    Witness::open("/witness".into(), Arc::new(disk.clone()), clock, cosigner).expect("opens")
}

fn known() -> [KnownLog; 1] {
    [KnownLog { verifier: Arc::new(keys::log(ORIGIN, 1).1) }]
}

fn signed(checkpoint: &Checkpoint) -> Note {
    Note::sign(checkpoint.to_string(), &[&keys::log(ORIGIN, 1).0]).expect("signs")
}

fn request(ledger: &Ledger, old_size: u64, checkpoint: &Checkpoint) -> Vec<u8> {
    let proof = ledger.consistency(old_size, checkpoint.size).unwrap_or_default();
    AddCheckpoint { old_size, proof, note: signed(checkpoint) }.to_string().into_bytes()
}

fn status(answer: &Result<String, Refused>) -> (u16, Option<&Conflict>) {
    match answer {
        Ok(_) => (200, None),
        Err(Refused::Refused { refusal, conflict }) => (refusal.status(), conflict.as_deref()),
        Err(Refused::Failed(_)) => (500, None),
    }
}

/// Makes a log and its checkpoints of 10, 20 and 30 entries.
async fn log_of_30() -> (Ledger, Vec<Checkpoint>) {
    let world = World::new(Arc::new(MemoryDisk::default()), Path::new("/"));
    let log = world.open().expect("opens");
    let mut checkpoints = Vec::new();
    for round in 0..3 {
        log.append_many(round * 10..(round + 1) * 10).await;
        log.ledger.checkpoint_now().await.expect("made");
        checkpoints.extend(log.ledger.status().checkpoint);
    }
    let ledger = log.ledger.clone();
    log.stop().await.expect("ends well");
    (ledger, checkpoints)
}

#[tokio::test(start_paused = true)]
async fn a_growing_log_is_cosigned() {
    let (ledger, checkpoints) = log_of_30().await;
    let disk = MemoryDisk::default();
    let witness_server = open(&disk);
    assert_eq!(witness_server.checkpoint(ORIGIN).expect("readable"), None);
    let mut old = 0;
    for checkpoint in &checkpoints {
        let answer = witness_server.add_checkpoint(&request(&ledger, old, checkpoint), &known());
        let lines = Signature::parse_lines(&answer.expect("cosigned")).expect("lines");
        let mut note = signed(checkpoint);
        note.add(lines[0].clone());
        note.verify(&[&witness().1]).expect("good cosignature");
        let stored = witness_server.checkpoint(ORIGIN).expect("readable").expect("stored");
        assert_eq!(stored, signed(checkpoint).to_string());
        old = checkpoint.size;
    }
    // Every answer was durable before it left, whatever the crash forgets.
    for seed in 0..20 {
        let copy = disk.copy();
        copy.crash_torn(seed);
        let answer = open(&copy).add_checkpoint(&request(&ledger, 10, &checkpoints[1]), &known());
        assert_eq!(status(&answer).0, 409);
    }
}

/// What the witness has seen of a log never shrinks (INV-4).
#[tokio::test(start_paused = true)]
async fn a_crash_never_rolls_the_witness_back() {
    let (ledger, checkpoints) = log_of_30().await;
    for act in 0..25 {
        let disk = MemoryDisk::default();
        let first = request(&ledger, 0, &checkpoints[0]);
        open(&disk).add_checkpoint(&first, &known()).expect("cosigned");
        let witness_server = open(&disk);
        disk.stop_after(act);
        let answer =
            witness_server.add_checkpoint(&request(&ledger, 10, &checkpoints[1]), &known());
        disk.crash_torn(act + 1);
        let stored = open(&disk).checkpoint(ORIGIN).expect("readable").expect("stored");
        let stored: Checkpoint =
            Note::parse(stored.as_bytes()).expect("note").text().parse().expect("checkpoint");
        assert!(stored == checkpoints[0] || stored == checkpoints[1], "act {act}");
        if answer.is_ok() {
            assert_eq!(stored, checkpoints[1], "act {act}");
        }
    }
}

/// A log that shrinks or forks gets no cosignature, and what it showed is kept (INV-4).
#[tokio::test(start_paused = true)]
async fn forks_and_rollbacks_are_kept() {
    let (ledger, checkpoints) = log_of_30().await;
    let disk = MemoryDisk::default();
    let witness_server = open(&disk);
    let ask = |body: &[u8]| witness_server.add_checkpoint(body, &known());
    ask(&request(&ledger, 0, &checkpoints[1])).expect("cosigned");
    let check = |body: &[u8], want: u16, conflict: bool| {
        let answer = ask(body);
        let (status, found) = status(&answer);
        assert_eq!((status, found.is_some()), (want, conflict), "{answer:?}");
        if let Some(found) = found {
            let kept = disk.read(found.file.as_ref().expect("kept")).expect("there");
            assert_eq!((kept.as_slice(), found.seen_size), (body, 20));
        }
    };
    // Same size, other root; then a longer fork; then an earlier state.
    let fork = Checkpoint { root: Digest::of(b"fork"), ..checkpoints[1].clone() };
    check(&request(&ledger, 20, &fork), 422, true);
    let fork = Checkpoint { root: Digest::of(b"fork"), ..checkpoints[2].clone() };
    check(&request(&ledger, 20, &fork), 422, true);
    check(&request(&ledger, 0, &checkpoints[0]), 409, true);
    // Plain mistakes are refused without alarm.
    check(&request(&ledger, 10, &checkpoints[2]), 409, false);
    check(b"nonsense", 400, false);
    let foreign = Checkpoint { origin: "other".into(), ..checkpoints[2].clone() };
    check(&request(&ledger, 20, &foreign), 404, false);
    let unsigned = AddCheckpoint {
        old_size: 20,
        proof: ledger.consistency(20, 30).expect("covered"),
        note: Note::sign(checkpoints[2].to_string(), &[&keys::log(ORIGIN, 9).0]).expect("signs"),
    };
    check(unsigned.to_string().as_bytes(), 403, false);
    // A forger cannot fill the folder: only what the log signed is kept.
    let kept = disk.list(Path::new("/witness/conflicts")).expect("there").len();
    assert_eq!(kept, 3);
    ask(&request(&ledger, 20, &checkpoints[2])).expect("the true history goes on");
}
