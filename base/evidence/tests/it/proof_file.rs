//! The offline proof file: round trip, and every byte of it counts.

use karvan_evidence::note::{Note, SIGNATURES_MAX};
use karvan_evidence::proof::inclusion;
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::{Checkpoint, Error};

use crate::keys;
use crate::tiles::MemoryLog;

const ORIGIN: &str = "pk.karvan.example/evidence/1";

fn file(extra: Option<Vec<u8>>) -> ProofFile {
    let log = MemoryLog::numbered(300);
    let (origin, root) = (ORIGIN.to_owned(), log.tree.root());
    let checkpoint = Checkpoint { origin, size: 300, root };
    let mut note = Note::sign(checkpoint.to_string(), &[&keys::log(ORIGIN, 1).0]).expect("signs");
    note.add(keys::witness("witness", 2).0.cosign(&checkpoint, 9).expect("cosigns"));
    let path = inclusion(&log, 77, 300).expect("in the log");
    ProofFile { extra, index: 77, path, note }
}

#[test]
fn every_byte_counts() {
    let (_, log) = keys::log(ORIGIN, 1);
    let (_, witness) = keys::witness("witness", 2);
    let entry = 77_u32.to_be_bytes();
    for extra in [None, Some(Vec::new()), Some(vec![1, 2, 3])] {
        let file = file(extra);
        let text = file.to_string();
        let parsed = ProofFile::parse(text.as_bytes()).expect("good");
        assert_eq!(parsed, file);
        let proven = parsed.verify(&entry, &log, &[&witness]).expect("good");
        assert_eq!((proven.checkpoint.size, proven.signatures.len()), (300, 2));
        for (place, byte) in text.bytes().enumerate() {
            for flip in [1_u8, 2, 4, 0x20, 0x80, byte ^ b'\n'] {
                let mut bad = text.clone().into_bytes();
                bad[place] ^= flip;
                let Ok(changed) = ProofFile::parse(&bad) else { continue };
                let Ok(found) = changed.verify(&entry, &log, &[&witness]) else { continue };
                assert_eq!(changed.to_string().into_bytes(), bad, "one spelling, byte {place}");
                // Outside coverage: nothing, the unproven `extra`, or the cosignature's own line,
                // which then counts as an unknown key's.
                assert_eq!(found.checkpoint, proven.checkpoint);
                let same = flip == 0 || changed.extra != file.extra;
                assert!(same || found.signatures.len() == 1, "byte {place} flip {flip}");
            }
        }
    }
}

#[test]
fn wrong_entry_log_or_shape() {
    let (_, log) = keys::log(ORIGIN, 1);
    let good = file(None);
    let entry = 77_u32.to_be_bytes();
    assert!(good.verify(b"other", &log, &[]).is_err());
    assert_eq!(good.verify(&entry, &keys::log("other", 1).1, &[]), Err(Error::Unsigned));
    let mut unsigned = good.clone();
    unsigned.note =
        Note::parse(format!("{}\n{}", good.note.text(), good.note.signatures()[1]).as_bytes())
            .expect("one line");
    let (_, witness) = keys::witness("witness", 2);
    assert_eq!(unsigned.verify(&entry, &log, &[&witness]), Err(Error::Unsigned));
    let text = good.to_string();
    let signature = good.note.signatures()[1].to_string();
    for bad in [
        String::new(),
        text.replacen("@v1", "@v2", 1),
        text.replacen("index 77", "index 077", 1),
        text.replacen("index 77\n", "", 1),
        text.replacen("index 77", "extra A\nindex 77", 1),
        text.replacen("index 77", &format!("extra {}\nindex 77", "AAAA".repeat(30_000)), 1),
        text.replacen("\n\n", "\n", 1),
        format!("{text}{}", signature.repeat(SIGNATURES_MAX)),
    ] {
        assert!(ProofFile::parse(bad.as_bytes()).is_err(), "{bad:.80}");
    }
}
