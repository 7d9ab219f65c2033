//! The golden log: root, key id and file counts that independent implementations agreed on.

#[path = "../../examples/golden_log/files.rs"]
mod files;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::Note;
use karvan_evidence::proof::verify_consistency;
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::witness::AddCheckpoint;

use crate::keys;

#[test]
fn golden_log() {
    let files = files::golden_log();
    let text = |name: &str| String::from_utf8(files[name].clone()).expect("text");
    let note = Note::parse(&files["checkpoint"]).expect("good");
    assert_eq!(
        note.text(),
        "pk.karvan.example/evidence/1\n70000\nCLYNF2hL/Z2fzFhVXOsngntIkks10E0K5hQkAm48y/g=\n"
    );
    assert_eq!(note.signatures()[0].key_id.to_string(), "7518cd80");
    let count = |prefix: &str, partial: bool| {
        let names = files.keys().filter(|name| name.starts_with(prefix));
        names.filter(|name| name.contains(".p/") == partial).count()
    };
    assert_eq!((count("tile/0/", false), count("tile/0/", true)), (273, 1));
    assert_eq!((count("tile/1/", false), count("tile/1/", true)), (1, 1));
    assert_eq!((count("tile/2/", false), count("tile/2/", true)), (0, 1));
    assert_eq!((count("tile/entries/", false), count("tile/entries/", true)), (273, 1));
    for (name, hashes) in [
        ("tile/0/000", 256),
        ("tile/0/273.p/112", 112),
        ("tile/1/001.p/17", 17),
        ("tile/2/000.p/1", 1),
    ] {
        assert_eq!(files[name].len(), hashes * 32, "{name}");
    }
    let (_, log) = keys::log(files::ORIGIN, 1);
    let (_, witness) = keys::witness(files::WITNESS, 2);
    let proof = ProofFile::parse(&files["entry.tlog-proof"]).expect("good");
    assert_eq!(proof.path.len(), 17);
    assert_eq!(proof.verify(&files["entry"], &log, &[&witness]).map(|p| p.signatures.len()), Ok(2));
    let request = AddCheckpoint::parse(&files["consistency"]).expect("good");
    assert_eq!((request.old_size, request.proof.len()), (65_537, 15));
    let old = Note::parse(&files["checkpoint.old"]).expect("good");
    let old: Checkpoint = old.text().parse().expect("good");
    let new: Checkpoint = request.note.text().parse().expect("good");
    verify_consistency(&request.proof, old.size, &old.root, new.size, &new.root).expect("proven");
    assert_eq!(text("log.vkey").trim_end(), log.verifier_key().to_string());
}
