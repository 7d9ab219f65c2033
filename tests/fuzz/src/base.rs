//! Properties of the base crates: request targets and the texts of the evidence log.

use karvan_evidence::note::Note;
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::witness::AddCheckpoint;
use karvan_evidence::{Checkpoint, note, tile};
use karvan_xroad::access::AccessPath;
use karvan_xroad::target::TARGET_BYTES_MAX;
use karvan_xroad::{ServiceId, Target};

/// A request target that is accepted is short, its service is read back from how it is written,
/// and the path on which rights are checked reads the same when it is checked again.
pub fn target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(path) = AccessPath::parse(text) {
        assert!(path.as_str().starts_with('/'));
        assert!(!path.as_str().split('/').any(|part| matches!(part, "." | "..")), "{path:?}");
    }
    let Ok(target) = Target::parse(text) else { return };
    assert!(text.len() <= TARGET_BYTES_MAX);
    assert!(target.path.is_empty() || target.path.starts_with('/'));
    let written = target.service.to_string();
    let back = ServiceId::parse(written.as_bytes()).expect("a written service is read");
    assert_eq!(back, target.service);
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    let again = format!("/r1/{written}{}{query}", target.path);
    if again.len() <= TARGET_BYTES_MAX {
        assert_eq!(Target::parse(&again).expect("a written target is read"), target);
    }
}

/// What is accepted is written and read again as the same.
pub fn evidence(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert!(bytes.len() <= note::NOTE_BYTES_MAX);
        assert_eq!(Note::parse(note.to_string().as_bytes()).expect("a written note"), note);
        if let Ok(checkpoint) = note.text().parse::<Checkpoint>() {
            assert_eq!(checkpoint.to_string().parse::<Checkpoint>().expect("written"), checkpoint);
        }
    }
    if let Ok(file) = ProofFile::parse(bytes) {
        let back = ProofFile::parse(file.to_string().as_bytes());
        assert_eq!(back.expect("a written proof file"), file);
    }
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        let back = AddCheckpoint::parse(request.to_string().as_bytes());
        assert_eq!(back.expect("a written request"), request);
    }
    if let Ok(path) = std::str::from_utf8(bytes)
        && let Ok(found) = tile::StaticPath::parse(path)
    {
        assert_eq!(found.to_string(), path);
    }
    let _ = tile::decode_bundle(bytes, 256).map(|entries| assert!(entries.len() <= 256));
}
