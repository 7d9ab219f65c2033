//! Signed notes, keys, cosignatures: good, bad and mutated.

use karvan_evidence::note::{
    KeyId, Note, SIGNATURES_MAX, Signature, Signer as _, Verifier, VerifierKey,
};
use karvan_evidence::{Checkpoint, Error, cosignature};
use karvan_types::Digest;

use crate::keys;

fn checkpoint() -> Checkpoint {
    let (origin, root) = ("pk.karvan.example/evidence/1".to_owned(), Digest::of(b"root"));
    Checkpoint { origin, size: 7, root }
}

#[test]
fn sign_cosign_parse_verify() {
    let (signer, log) = keys::log("pk.karvan.example/evidence/1", 1);
    let (cosigner, witness) = keys::witness("az.karvan.example/witness/1", 2);
    let (_, stranger) = keys::log("stranger", 3);
    let mut note = Note::sign(checkpoint().to_string(), &[&signer]).expect("signs");
    note.add(cosigner.cosign(&checkpoint(), 1_700_000_000).expect("cosigns"));
    let bytes = note.to_string();
    let parsed = Note::parse(bytes.as_bytes()).expect("good");
    assert_eq!((&parsed, parsed.to_string()), (&note, bytes));
    let verified = parsed.verify(&[&log, &witness, &stranger]).expect("both good");
    assert_eq!(verified.len(), 2);
    assert_eq!(cosignature::time(verified[1]), Some(1_700_000_000));
    assert_eq!(parsed.verify(&[&witness]).map(|all| all.len()), Ok(1));
    assert_eq!(parsed.verify(&[&stranger]), Err(Error::Unsigned));
    assert_eq!(parsed.verify(&[]), Err(Error::Unsigned));
    let twice: [&dyn Verifier; 2] = [&log, &log];
    assert!(matches!(parsed.verify(&twice), Err(Error::AmbiguousKey { .. })));
    // A second signature of the same key takes the place of the first.
    note.add(cosigner.cosign(&checkpoint(), 1_700_000_001).expect("cosigns"));
    assert_eq!(note.signatures().len(), 2);
}

#[test]
fn a_known_key_that_fails_refuses_the_note() {
    let (signer, log) = keys::log("log", 1);
    let (cosigner, witness) = keys::witness("witness", 2);
    let mut note = Note::sign(checkpoint().to_string(), &[&signer]).expect("signs");
    let mut bad = cosigner.cosign(&checkpoint(), 5).expect("cosigns");
    bad.blob[20] ^= 1;
    note.add(bad);
    assert!(matches!(note.verify(&[&log, &witness]), Err(Error::BadSignature { .. })));
    assert!(note.verify(&[&log]).is_ok(), "unknown keys are ignored");
    // The same name with another id is an unknown key.
    note.add(Signature { name: "log".into(), key_id: KeyId([0; 4]), blob: vec![1] });
    assert!(note.verify(&[&log]).is_ok());
}

/// Changes every byte of a note in several ways: it is refused, or only an ignored line changed
/// and the text with the verified signatures is the same.
#[test]
fn every_byte_counts() {
    let (signer, log) = keys::log("pk.karvan.example/evidence/1", 1);
    let (cosigner, witness) = keys::witness("az.karvan.example/witness/1", 2);
    let mut note = Note::sign(checkpoint().to_string(), &[&signer]).expect("signs");
    note.add(cosigner.cosign(&checkpoint(), 9).expect("cosigns"));
    let bytes = note.to_string().into_bytes();
    let good = note.verify(&[&log, &witness]).expect("good");
    for place in 0..bytes.len() {
        for flip in [1_u8, 2, 0x10, 0x20, 0x80, bytes[place] ^ b'\n', bytes[place] ^ b' '] {
            let mut bad = bytes.clone();
            bad[place] ^= flip;
            if flip == 0 {
                continue;
            }
            let Ok(parsed) = Note::parse(&bad) else { continue };
            let Ok(verified) = parsed.verify(&[&log, &witness]) else { continue };
            assert_eq!(parsed.to_string().into_bytes(), bad, "one spelling, byte {place}");
            assert_eq!(parsed.text(), note.text(), "byte {place} flip {flip}");
            // One line became an unknown key's; the other one is untouched.
            assert!(verified.len() == 1 && good.contains(&verified[0]), "byte {place}");
        }
    }
    for cut in 0..bytes.len() {
        let parsed = Note::parse(&bytes[..cut]);
        assert!(parsed.is_err() || parsed.is_ok_and(|note| note.signatures().len() == 1), "{cut}");
    }
}

#[test]
fn bad_notes_are_refused() {
    let line = "\u{2014} name AAAAAAA=\n";
    assert!(Note::parse(format!("text\n\n{line}").as_bytes()).is_ok());
    assert!(Note::parse(format!("one\n\ntwo\n\n{line}").as_bytes()).is_ok(), "last empty line");
    for bad in [
        String::new(),
        "text\n".to_owned(),
        "text\n\n".to_owned(),
        format!("text\n{line}"),
        format!("\n{line}"),
        format!("te\txt\n\n{line}"),
        format!("te\rxt\n\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("text\n\n{line}\n"),
        "text\n\n- name AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014}name AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} name\n".to_owned(),
        "text\n\n\u{2014}  AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} na+me AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} na\u{a0}me AAAAAAA=\n".to_owned(),
        "text\n\n\u{2014} name AAAAAAA\n".to_owned(),
        "text\n\n\u{2014} name AAAAAAB=\n".to_owned(),
        "text\n\n\u{2014} name AAAAAA==\n".to_owned(),
        "text\n\n\u{2014} name AAAAAAA= \n".to_owned(),
        format!("text\n\n{}", line.repeat(SIGNATURES_MAX + 1)),
        format!("{}\n\n{line}", "x".repeat(600_000)),
    ] {
        assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:.80}");
    }
    assert!(Note::parse(b"te\xffxt\n\n\xe2\x80\x94 name AAAAAAA=\n").is_err());
    assert!(Note::parse(format!("text\n\n{}", line.repeat(SIGNATURES_MAX)).as_bytes()).is_ok());
    let (signer, _) = keys::log("log", 1);
    assert!(Note::sign("no newline".into(), &[&signer]).is_err());
}

#[test]
fn verifier_keys_have_one_spelling() {
    let (signer, _) = keys::log("pk.karvan.example/evidence/1", 1);
    let text = signer.verifier_key().to_string();
    assert_eq!(text.parse::<VerifierKey>().as_ref(), Ok(signer.verifier_key()));
    assert!(text.starts_with("pk.karvan.example/evidence/1+7518cd80+"), "{text}");
    let (cosigner, _) = keys::witness("az", 2);
    let cosigner_text = cosigner.verifier_key().to_string();
    assert_eq!(cosigner_text.parse().as_ref(), Ok(cosigner.verifier_key()));
    assert_ne!(signer.key_id(), cosigner.verifier_key().key_id());
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        let Ok(bad) = String::from_utf8(bytes) else { continue };
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    for bad in ["", "name", "name+00000000", "name+00000000+", "a b+00000000+AAAA", &text[1..]] {
        assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
    }
    assert!(text.replace("7518cd80", "7518CD80").parse::<VerifierKey>().is_err());
}
