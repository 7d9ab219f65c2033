use std::path::Path;
use std::{env, fs};

use super::*;
use crate::messages::{DocumentType, Message as Canonical, SharingLevel};
use crate::wco::Context;

mod qualifiers;
mod refusals;
mod round_trips;

/// Set to rewrite the expectation files from what is found.
const UPDATE: &str = "KARVAN_UPDATE_EXPECTED";

fn context() -> Context<'static> {
    Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: "2026-10-02T06:00:00Z".parse().expect("an instant"),
        subject: DocumentType::Export,
    }
}

fn envelope(charset: Charset) -> Envelope<'static> {
    Envelope {
        charset,
        sender: "AZ/GOV/SCC",
        recipient: "PK/GOV/FBR",
        reference: "26100200000001",
        prepared_at: "2026-10-02T06:00:00Z".parse().expect("an instant"),
    }
}

/// Reads one of the example messages.
fn message(code: &str) -> Content {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("testdata/messages/{code}.json"));
    let text = fs::read(path).expect("an example");
    Content::Message(Canonical::parse(code, &text).expect("a message"))
}

/// Compares with the file of this name, or writes it.
fn expect(name: &str, found: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/edifact").join(name);
    if env::var_os(UPDATE).is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, found).expect("writing an expectation");
        return;
    }
    let expected = fs::read(&path).unwrap_or_default();
    let text = String::from_utf8_lossy(found);
    assert!(expected == found, "{} differs; set {UPDATE}=1 to accept:\n{text}", path.display());
}
