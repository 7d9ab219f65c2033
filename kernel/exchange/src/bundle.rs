//! Evidence bundles: everything that proves one exchange to somebody who trusts neither operator.
//!
//! A bundle is a ZIP archive with one possible spelling: files in name order, stored uncompressed,
//! without times. It holds the lists and the agreement, the signed document with its body, both
//! receipts, and for each log entry of each node its proof under a checkpoint that the other nation
//! cosigned. A manifest with the digest of every file is signed by the node that made it.
//!
//! Invariant: any changed byte is found, and the finding names the file.
//!
//! Not here: verification ([`check`] and [`verify`]).

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use http_body_util::BodyExt as _;
use karvan_subsystem::Rejection;
use karvan_types::{
    AgreementRef, Digest, ErrorKind, ExchangeId, MemberId, NodeId, Timestamp, json,
};
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::desk::{BODY_NOT_KEPT, Direction};
use crate::node::{Inner, Node};
use crate::records::{Envelope, LeafRef, Signed, StoredAnswer};
use crate::wire;

pub mod check;
pub mod verify;

/// Longest body that goes into a bundle, in bytes; a longer one is handed over beside it.
pub const BODY_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Longest bundle accepted, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most files in a bundle.
pub const FILES_MAX: usize = 64;
/// Most nations whose lists are in a bundle for their witnesses only.
const WITNESSES_MAX: usize = 16;
/// The format's name, for documents.
pub const FORMAT: &str = "karvan-bundle/1";

/// Names of the files.
pub mod name {
    /// The signed list of all files.
    pub const MANIFEST: &str = "manifest.json";
    /// What is in the bundle, for people.
    pub const README: &str = "README.txt";
    /// The federation root.
    pub const ROOT: &str = "trust/root.json";
    /// The agreement in force.
    pub const AGREEMENT: &str = "agreement.json";
    pub(crate) const DOCUMENT_BASE: &str = "document/base.txt";
    pub(crate) const DOCUMENT_SIGNATURE: &str = "document/signature.txt";
    pub(crate) const DOCUMENT_BODY: &str = "document/body";
    pub(crate) const RELAY_BASE: &str = "relay/base.txt";
    pub(crate) const RELAY_SIGNATURE: &str = "relay/signature.txt";
    pub(crate) const RELAY_BODY: &str = "relay/body.json";
    pub(crate) const HANDOVER: &str = "handover/receipt.json";
}

/// The manifest's content.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Manifest {
    /// What kind of bundle this is, such as [`FORMAT`].
    pub format: String,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Which node made the bundle.
    pub node: NodeId,
    /// When.
    pub made_at: Timestamp,
    /// SHA-256 of each other file.
    pub files: BTreeMap<String, Digest>,
}

/// The files of a bundle.
#[derive(Clone, Debug, Default)]
pub struct Files(pub(crate) BTreeMap<String, Vec<u8>>);

impl Files {
    /// Adds a file, or replaces it.
    pub fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.0.insert(name.to_owned(), bytes.into());
    }

    /// Returns a file's bytes.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Returns the names of the files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns a file as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// Writes the archive in its one spelling.
    pub fn to_zip(&self) -> Result<Vec<u8>, zip::result::ZipError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(0o644);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in &self.0 {
            writer.start_file(name.as_str(), options)?;
            writer.write_all(bytes)?;
        }
        Ok(writer.finish()?.into_inner())
    }

    /// Reads an archive within the bounds.
    pub fn from_zip(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BUNDLE_BYTES_MAX {
            return Err(format!("the file has more than {BUNDLE_BYTES_MAX} bytes"));
        }
        let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        if archive.len() > FILES_MAX {
            return Err(format!("the archive has more than {FILES_MAX} files"));
        }
        let mut files = Self::default();
        for index in 0..archive.len() {
            let file = archive.by_index(index).map_err(|error| error.to_string())?;
            let name = file.name().map_err(|error| error.to_string())?.into_owned();
            if file.compression() != CompressionMethod::Stored {
                return Err(format!("{name} is compressed; a bundle stores its files plainly"));
            }
            let mut content = Vec::new();
            let mut limited = file.take(BUNDLE_BYTES_MAX as u64);
            limited
                .read_to_end(&mut content)
                .map_err(|error| format!("{name} cannot be read: {error}"))?;
            files.0.insert(name, content);
        }
        Ok(files)
    }
}

/// Both sides' view of an exchange, reduced to what a bundle needs.
struct Exchange {
    envelope: Envelope,
    document: Signed,
    relay: Option<StoredAnswer>,
    handover: Option<String>,
    leaves: Vec<LeafRef>,
    peer: NodeId,
    direction: Direction,
}

impl Inner {
    /// Makes the bundle of an exchange from what is here and what the peer's log proves.
    pub(crate) async fn bundle(&self, exchange: ExchangeId) -> Result<Vec<u8>, Rejection> {
        let known = self.exchange(exchange).await?;
        let mut files = Files::default();
        let envelope = &known.envelope;
        let parties = [&envelope.sender, &envelope.recipient];
        self.add_trust(&mut files, parties, Some(&envelope.agreement))?;
        files.add(name::DOCUMENT_BASE, known.document.base.as_str());
        files.add(name::DOCUMENT_SIGNATURE, known.document.signature.as_str());
        if known.envelope.size <= BODY_BYTES_MAX {
            match self.body_of(exchange, Some(known.direction)).await {
                Ok((_, body)) => {
                    let body = body.collect().await.map_err(|error| storage(&error))?.to_bytes();
                    files.add(name::DOCUMENT_BODY, body.as_ref());
                }
                // Its sender has it; signature and digest are in the bundle all the same.
                Err(rejection) if rejection.code == BODY_NOT_KEPT => {}
                Err(rejection) => return Err(rejection),
            }
        }
        if let Some(relay) = &known.relay {
            files.add(name::RELAY_BASE, relay.signed.base.as_str());
            files.add(name::RELAY_SIGNATURE, relay.signed.signature.as_str());
            files.add(name::RELAY_BODY, relay.body.as_str());
        }
        if let Some(handover) = &known.handover {
            files.add(name::HANDOVER, handover.as_str());
        }
        for leaf in &known.leaves {
            if leaf.kind != crate::evidence::REFUSAL {
                self.add_proofs(&mut files, exchange, &known.peer, leaf).await;
            }
        }
        files.add(name::README, include_str!("bundle/readme.txt"));
        self.seal(files, FORMAT, exchange)
    }

    /// Puts the signed manifest in and writes the archive.
    fn seal(
        &self,
        mut files: Files,
        format: &str,
        exchange: ExchangeId,
    ) -> Result<Vec<u8>, Rejection> {
        let manifest = Manifest {
            format: format.to_owned(),
            exchange,
            node: self.config.node.clone(),
            made_at: self.clock.now(),
            files: files.0.iter().map(|(n, bytes)| (n.clone(), Digest::of(bytes))).collect(),
        };
        files.add(name::MANIFEST, self.sign_jws_as_node(&manifest)?);
        files.to_zip().map_err(|error| storage(&error))
    }

    async fn exchange(&self, exchange: ExchangeId) -> Result<Exchange, Rejection> {
        match self.find(exchange).await? {
            (Some(sent), _) => Ok(Exchange {
                envelope: sent.envelope.clone(),
                document: sent.signed.clone(),
                relay: sent.relay.clone(),
                handover: sent.handover.clone(),
                peer: sent.peer.clone(),
                leaves: sent.counting_leaves(),
                direction: Direction::Sent,
            }),
            (None, Some(received)) => Ok(Exchange {
                envelope: received.envelope,
                document: received.signed,
                relay: Some(received.answer),
                handover: received.handover,
                leaves: received.leaves,
                peer: received.peer,
                direction: Direction::Received,
            }),
            (None, None) => Err(Rejection::new(
                ErrorKind::NotFound,
                "document-unknown",
                format!("no document {exchange} is known to this node"),
            )),
        }
    }

    pub(crate) fn add_trust(
        &self,
        files: &mut Files,
        parties: [&MemberId; 2],
        agreement: Option<&AgreementRef>,
    ) -> Result<(), Rejection> {
        let missing = |what: &str| {
            Rejection::new(ErrorKind::NotFound, "list-missing", format!("this node has no {what}"))
        };
        files.add(name::ROOT, self.trust.root_document().ok_or_else(|| missing("root"))?);
        let [one, other] = parties.map(MemberId::instance);
        let mut nations = vec![one, other];
        if one == other {
            // What stays at home is cosigned abroad.
            let lists = self.lists();
            let abroad = lists.nations().map(|nation| nation.list.scheme_territory);
            nations.extend(abroad.filter(|nation| *nation != one).take(WITNESSES_MAX));
        }
        for nation in nations {
            let list = self.trust.document(nation).ok_or_else(|| missing("list"))?;
            files.add(&format!("trust/list-{nation}.json"), list);
        }
        let book = self.config.agreements.book();
        if let Some(text) = agreement.and_then(|agreement| book.document(agreement)) {
            files.add(name::AGREEMENT, text);
        }
        Ok(())
    }

    /// Adds the proof of an entry from this node's log and, when it answers, from the peer's.
    async fn add_proofs(
        &self,
        files: &mut Files,
        exchange: ExchangeId,
        other: &NodeId,
        leaf: &LeafRef,
    ) {
        let own = format!("proofs/{}/{}", file_name(&self.config.node), leaf.kind);
        // Before the next checkpoint there is no proof yet; verification tells that as a gap.
        if let Ok(proof) = self.proof(leaf.index) {
            files.add(&format!("{own}.tlog-proof"), proof);
            files.add(&format!("{own}.entry"), leaf.entry.as_str());
        }
        if *other == self.config.node {
            return;
        }
        let path = format!("{}{exchange}/{}", wire::PROOFS_PATH, leaf.kind);
        match self.fetch(&self.wake.peer(other), &path).await {
            Ok(proof) => {
                let other = format!("proofs/{}/{}", file_name(other), leaf.kind);
                files.add(&format!("{other}.tlog-proof"), proof.as_ref());
                files.add(&format!("{other}.entry"), leaf.entry.as_str());
            }
            Err(cause) => tracing::warn!(peer.id = %other, "no proof from the peer: {cause}"),
        }
    }
}

/// What other gateways of the node make their bundles with.
impl Node {
    /// Adds to a bundle what somebody needs to judge an exchange between two members: root, lists,
    /// and the agreement's text.
    pub fn add_trust(
        &self,
        files: &mut Files,
        parties: [&MemberId; 2],
        agreement: Option<&AgreementRef>,
    ) -> Result<(), Rejection> {
        self.0.add_trust(files, parties, agreement)
    }

    /// Adds the proof of a common log entry from this node's log and, when it answers, from the
    /// log of the node `other`.
    pub async fn add_proofs(
        &self,
        files: &mut Files,
        exchange: ExchangeId,
        other: &NodeId,
        leaf: &LeafRef,
    ) {
        self.0.add_proofs(files, exchange, other, leaf).await;
    }

    /// Signs the manifest of a bundle of the kind `format` and writes the archive.
    pub fn seal_bundle(
        &self,
        files: Files,
        format: &str,
        exchange: ExchangeId,
    ) -> Result<Vec<u8>, Rejection> {
        self.0.seal(files, format, exchange)
    }
}

/// Returns the kind of a bundle as its manifest says, unverified; nothing when it has no readable
/// one.
pub fn format_of(bundle: &[u8]) -> Option<String> {
    let files = Files::from_zip(bundle).ok()?;
    let manifest = files.get(name::MANIFEST)?;
    let bytes_max = check::STATEMENT_BYTES_MAX;
    let payload = karvan_trust::document::unverified_payload(manifest, bytes_max).ok()?;
    Some(json::from_slice::<Manifest>(&payload).ok()?.format)
}

/// Returns a node's id as a file name.
pub fn file_name(node: &NodeId) -> String {
    node.as_str().replace('/', "_")
}

fn storage(error: &dyn std::fmt::Display) -> Rejection {
    Rejection::new(ErrorKind::Storage, "storage", format!("the bundle cannot be made: {error}"))
}
