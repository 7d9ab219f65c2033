//! First inputs: the sample texts of the tests, messages written in every repertoire and directory,
//! and every input that once broke a property.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_customs::edifact::{self, Charset, Content, Directory, Envelope};
use karvan_customs::formats::{self, Document, Format};

use crate::customs::{context, envelope};

/// Sample texts of the customs sub-system, from this crate.
const TESTDATA: &str = "../../subsystems/customs/testdata";

/// Returns every file of a folder, in order of their names; none when there is no folder.
pub fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|p| p.is_file()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}

fn samples(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let mut found = files(&format!("{TESTDATA}/{folder}"));
    found.extend(files(&format!("regressions/{target}")));
    found
}

/// Interchanges: the expected results of the tests, and each in three more repertoires.
pub fn edifact() -> Vec<Vec<u8>> {
    let mut found = samples("edifact", "edifact");
    for text in files(&format!("{TESTDATA}/messages")) {
        for document in documents(&text) {
            let Document::Message(message) = document else { continue };
            for charset in [Charset::C, Charset::E, Charset::X] {
                let content = Content::Message(message.clone());
                let envelope = Envelope { charset, ..envelope() };
                let written = edifact::write(&content, Directory::D96B, &envelope);
                found.extend(written.map(|written| written.bytes));
            }
        }
    }
    found
}

fn documents(text: &[u8]) -> Vec<Document> {
    let contents = formats::read(text, Format::Json, context());
    let read = contents.map(|contents| contents.documents).unwrap_or_default();
    read.into_iter().map(|read| read.document).collect()
}

/// Declarations, amendments and responses, published and written ones.
pub fn wco() -> Vec<Vec<u8>> {
    let mut found = samples("wco", "wco");
    found.push(b"<Response><FunctionCode>05</FunctionCode></Response>".to_vec());
    found
}

/// Certificates.
pub fn certificate() -> Vec<Vec<u8>> {
    samples("uncefact", "coo")
}

/// Messages of every type, as they are and in their shortest form.
pub fn json() -> Vec<Vec<u8>> {
    samples("messages", "json")
}

/// Photographs of a code, baseline and progressive.
pub fn image() -> Vec<Vec<u8>> {
    samples("paper", "image")
}

/// Tokens with and without claims.
pub fn token() -> Vec<Vec<u8>> {
    let claims = r#"{"country":"AZ","date":"2026-09-10","iat":1789000000,"number":"AZPK-1",
        "sample":true,"sha256":"0000000000000000000000000000000000000000000000000000000000000000",
        "status":{"status_list":{"idx":7,"uri":"https://az.example/status"}},
        "until":"2027-09-10"}"#;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let head = part(r#"{"alg":"Ed25519","kid":"key","typ":"karvan-coo+jws"}"#);
    let mut found = vec![format!("{head}.{}.{}", part(claims), part("signature")).into_bytes()];
    found.push(b"e30.e30.AA".to_vec());
    found.extend(files("regressions/token"));
    found
}

/// Request targets.
pub fn target() -> Vec<Vec<u8>> {
    let texts = [
        "/r1/AZ/GOV/SCC/customs/certificates/AZPK-1?lang=az",
        "/r1/AZ/GOV/SCC/customs/certificates",
        "/r1/AZ/GOV/S%2FC/c%C9%99/v/a/../b//c/%2e%2e/d;x=1?",
        "/pets/./*/%41",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).chain(files("regressions/target")).collect()
}

/// Texts of the log.
pub fn evidence() -> Vec<Vec<u8>> {
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let signature = "\u{2014} az.example/log AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let checkpoint = format!("az.example/log\n42\n{hash}\n\n{signature}");
    let texts = [
        checkpoint.clone(),
        format!("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 7\n{hash}\n{hash}\n\n{checkpoint}"),
        format!("old 20\n{hash}\n\n{checkpoint}"),
        "tile/0/x001/234".to_owned(),
        "tile/entries/x001/234.p/7".to_owned(),
    ];
    texts.into_iter().map(String::into_bytes).chain(files("regressions/evidence")).collect()
}
