//! Witness requests and the judgement about them.

use karvan_evidence::Checkpoint;
use karvan_evidence::note::{Ed25519Verifier, Note, NoteSigner};
use karvan_evidence::proof::consistency;
use karvan_evidence::tree::root_at;
use karvan_evidence::witness::{AddCheckpoint, Refusal, judge, parse_size};
use karvan_types::Digest;

use crate::keys;
use crate::tiles::MemoryLog;

const ORIGIN: &str = "pk.karvan.example/evidence/1";

struct World {
    log: MemoryLog,
    signer: NoteSigner,
    verifier: Ed25519Verifier,
}

impl World {
    fn new() -> Self {
        let (signer, verifier) = keys::log(ORIGIN, 1);
        Self { log: MemoryLog::numbered(300), signer, verifier }
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        let root = root_at(size, &self.log).expect("in the log");
        Checkpoint { origin: ORIGIN.to_owned(), size, root }
    }

    fn request(&self, old_size: u64, checkpoint: &Checkpoint) -> AddCheckpoint {
        let note = Note::sign(checkpoint.to_string(), &[&self.signer]).expect("signs");
        let proof = consistency(&self.log, old_size, checkpoint.size).unwrap_or_default();
        AddCheckpoint { old_size, proof, note }
    }
}

#[test]
fn judgements() {
    let world = World::new();
    let check = |old: u64, new: u64, seen: Option<u64>, status: u16| {
        let seen = seen.map(|size| world.checkpoint(size));
        let request = world.request(old, &world.checkpoint(new));
        let bytes = request.to_string();
        let request = AddCheckpoint::parse(bytes.as_bytes()).expect("one spelling");
        assert_eq!(request.to_string(), bytes);
        let judged = judge(&request, &world.verifier, seen.as_ref());
        let got = judged.as_ref().map_or_else(Refusal::status, |_| 200);
        assert_eq!(got, status, "old {old} new {new}: {judged:?}");
    };
    check(0, 5, None, 200);
    check(0, 0, None, 200);
    check(5, 300, Some(5), 200);
    check(5, 5, Some(5), 200);
    check(0, 5, Some(5), 409);
    check(4, 5, Some(5), 409);
    check(5, 6, Some(7), 409);
    check(5, 6, None, 409);
    check(6, 5, Some(6), 400);
}

#[test]
fn lies_are_refused() {
    let world = World::new();
    let seen = world.checkpoint(100);
    let judged = |request: &AddCheckpoint| {
        judge(request, &world.verifier, Some(&seen)).map_or_else(|error| error.status(), |_| 200)
    };
    let fork = Checkpoint { root: Digest::of(b"fork"), ..world.checkpoint(100) };
    assert_eq!(judged(&world.request(100, &fork)), 422);
    let fork = Checkpoint { root: Digest::of(b"fork"), ..world.checkpoint(200) };
    assert_eq!(judged(&world.request(100, &fork)), 422);
    let mut request = world.request(100, &world.checkpoint(200));
    request.proof.pop();
    assert_eq!(judged(&request), 422);
    let mut request = world.request(100, &world.checkpoint(100));
    request.proof.push(Digest::of(b"surplus"));
    assert_eq!(judged(&request), 422);
    let other = Checkpoint { origin: "other".into(), ..world.checkpoint(200) };
    assert_eq!(judged(&world.request(100, &other)), 404);
    let mut request = world.request(100, &world.checkpoint(200));
    request.note = Note::sign(request.note.text().into(), &[&keys::log(ORIGIN, 9).0]).expect("ok");
    assert_eq!(judged(&request), 403);
    let empty = Checkpoint { root: Digest::of(b"not empty"), ..world.checkpoint(0) };
    let request = world.request(0, &empty);
    let refusal = judge(&request, &world.verifier, None).expect_err("root of nothing");
    assert_eq!(refusal.status(), 422);
}

#[test]
fn the_409_answer_tells_the_size() {
    let refusal = Refusal::OtherSize { seen: 17 };
    assert_eq!(parse_size(&refusal.to_string()), Ok(17));
    assert_eq!(refusal.media_type(), "text/x.tlog.size");
    for bad in ["", "17", "\n", "017\n", "17\n\n", "-1\n", "99999999999999999999\n"] {
        assert!(parse_size(bad).is_err(), "{bad}");
    }
}

#[test]
fn bad_requests_are_refused() {
    let world = World::new();
    let good = world.request(5, &world.checkpoint(6)).to_string();
    let proof_line = format!("{}\n", Digest::of(b"x").to_base64());
    for bad in [
        String::new(),
        good.replacen("old 5", "old 05", 1),
        good.replacen("old 5", "old  5", 1),
        good.replacen("old 5", "new 5", 1),
        good.replacen("\n\n", "\n", 1),
        good.replacen('\n', "\nAAAA\n", 1),
        good.replacen('\n', &format!("\n{}", proof_line.repeat(64)), 1),
        format!("{good}\n"),
        good.trim_end().to_owned(),
        format!("{good}{}", "x".repeat(600_000)),
    ] {
        assert!(AddCheckpoint::parse(bad.as_bytes()).is_err(), "{bad:.60}");
    }
}
