//! Reads a stored log by its public layout (C2SP tlog-tiles), without its node.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use karvan_evidence::note::{Note, Verifier};
use karvan_evidence::proof::inclusion;
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::tile::{BundleId, StaticPath, TileId, TileReader, decode_bundle, decode_tile};
use karvan_evidence::{Checkpoint, tree};
use karvan_system::OsDisk;
use karvan_trust::lists::TrustStore;
use karvan_types::{Digest, ErrorKind};
use serde_json::{Value, json};

use super::read;
use crate::failure::Failure;
use crate::node::{log_verifier, witness_verifiers};

/// Entries of one bundle.
const BUNDLE_ENTRIES: u64 = 256;

/// Returns the newest checkpoint.
pub(super) fn checkpoint(data: &Path) -> Result<String> {
    let bytes = read(&data.join("log").join("checkpoint"))?;
    String::from_utf8(bytes).context("the checkpoint is no text")
}

fn head(data: &Path) -> Result<(Note, Checkpoint)> {
    let note = Note::parse(checkpoint(data)?.as_bytes())?;
    let checkpoint = note.text().parse()?;
    Ok((note, checkpoint))
}

fn not_found(index: u64, size: u64) -> Failure {
    let text = format!("the log has no entry {index} under its checkpoint of size {size}");
    Failure::new(ErrorKind::NotFound, text)
}

/// Returns one entry, in the form in which a node answers.
pub(super) fn entry(data: &Path, index: u64) -> Result<Value> {
    let (_, checkpoint) = head(data)?;
    let missing = || not_found(index, checkpoint.size);
    let bundle = BundleId::at(index / BUNDLE_ENTRIES, checkpoint.size).ok_or_else(missing)?;
    let bytes = read(&data.join("log").join(StaticPath::Entries(bundle).to_string()))?;
    let entries = decode_bundle(&bytes, bundle.width)?;
    let place = usize::try_from(index % BUNDLE_ENTRIES).unwrap_or(usize::MAX);
    let entry = entries.get(place).ok_or_else(missing)?;
    Ok(json!({
        "index": index,
        "entry": String::from_utf8_lossy(entry),
        "leafHash": tree::leaf_hash(entry).to_base64(),
    }))
}

/// Returns the proof of one entry under the newest checkpoint.
pub(super) fn proof(data: &Path, index: u64) -> Result<String> {
    let (note, checkpoint) = head(data)?;
    if index >= checkpoint.size {
        return Err(not_found(index, checkpoint.size).into());
    }
    let tiles = Tiles { folder: &data.join("log"), size: checkpoint.size };
    let path = inclusion(&tiles, index, checkpoint.size)?;
    Ok(ProofFile { extra: None, index, path, note }.to_string())
}

struct Tiles<'f> {
    folder: &'f Path,
    size: u64,
}

/// Why a tile cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error("{0}")]
    File(String),
    #[error(transparent)]
    Format(#[from] karvan_evidence::Error),
}

impl TileReader for Tiles<'_> {
    type Error = Unreadable;

    fn read_tile(&self, tile: TileId) -> Result<Vec<Digest>, Self::Error> {
        let stored = TileId::at(tile.level, tile.index, self.size);
        let stored =
            stored.ok_or_else(|| Unreadable::File("the log has no such tile".to_owned()))?;
        let path = self.folder.join(StaticPath::Tile(stored).to_string());
        let bytes = read(&path).map_err(|error| Unreadable::File(format!("{error:#}")))?;
        let mut hashes = decode_tile(&bytes, stored.width)?;
        hashes.truncate(usize::from(tile.width));
        Ok(hashes)
    }
}

type Verifiers = (Arc<dyn Verifier>, Vec<Arc<dyn Verifier>>);

/// Returns the verifiers of a stored log and of its witnesses, from the lists beside it.
pub(super) fn verifiers(data: &Path) -> Result<Verifiers> {
    let lists = TrustStore::open(&data.join("trust"), Arc::new(OsDisk))?.snapshot();
    // What the log calls itself only chooses among the listed keys; the audit checks with them.
    let (_, checkpoint) = head(data)?;
    let origin = &checkpoint.origin;
    let nodes = lists.nations().flat_map(|nation| &nation.list.nodes);
    let mut owners = nodes.filter(|node| node.log.as_ref().is_some_and(|log| log.name == *origin));
    let unlisted = || {
        Failure::new(ErrorKind::Evidence, format!("no node on the lists has the log `{origin}`"))
    };
    let node = owners.next().ok_or_else(unlisted)?;
    let log = log_verifier(&lists, &node.id).ok_or_else(unlisted)?;
    Ok((log, witness_verifiers(&lists, node.id.instance())))
}
