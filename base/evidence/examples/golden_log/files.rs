//! The golden log as a map from file name to content.
//!
//! Entries are the ASCII text `entry I P` with I = 0..69999 and P = I * 7919. The log key is made
//! from 32 bytes of 1, the witness key from 32 bytes of 2.

use std::collections::BTreeMap;

use karvan_evidence::note::Note;
use karvan_evidence::proof::{consistency, inclusion};
use karvan_evidence::proof_file::ProofFile;
use karvan_evidence::tile::{
    BundleId, StaticPath, TileId, TileReader, decode_tile, encode_tile, push_entry,
};
use karvan_evidence::tree::{Tree, leaf_hash};
use karvan_evidence::witness::AddCheckpoint;
use karvan_evidence::{Checkpoint, Error};
use karvan_types::Digest;

use crate::keys;

pub(crate) const ORIGIN: &str = "pk.karvan.example/evidence/1";
pub(crate) const WITNESS: &str = "az.karvan.example/witness/1";
const SIZE: u64 = 70_000;
const OLD_SIZE: u64 = 65_537;
const PROVEN_INDEX: u64 = 12_345;
const COSIGNED_AT_SECONDS: u64 = 1_785_000_000;

pub(crate) type Files = BTreeMap<String, Vec<u8>>;

struct FileTiles<'f>(&'f Files);

impl TileReader for FileTiles<'_> {
    type Error = Error;

    fn read_tile(&self, tile: TileId) -> Result<Vec<Digest>, Error> {
        decode_tile(&self.0[&StaticPath::Tile(tile).to_string()], tile.width)
    }
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index} {}", index * 7919).into_bytes()
}

/// Makes every file of the golden log.
pub(crate) fn golden_log() -> Files {
    let (signer, _) = keys::log(ORIGIN, 1);
    let (cosigner, _) = keys::witness(WITNESS, 2);
    let mut files = Files::new();
    let mut tree = Tree::new();
    let mut full = Vec::new();
    let mut old_root = None;
    for index in 0..SIZE {
        let bundle = BundleId::at(index / 256, SIZE).expect("within the log");
        let name = StaticPath::Entries(bundle).to_string();
        push_entry(files.entry(name).or_default(), &entry(index)).expect("short");
        tree.push(leaf_hash(&entry(index)), &mut full);
        if tree.size() == OLD_SIZE {
            old_root = Some(tree.root());
        }
    }
    let partial = tree.partial_tiles().map(|(tile, hashes)| (tile, hashes.to_vec()));
    for (tile, hashes) in full.into_iter().chain(partial) {
        files.insert(StaticPath::Tile(tile).to_string(), encode_tile(&hashes));
    }
    let checkpoint = |size, root| Checkpoint { origin: ORIGIN.to_owned(), size, root };
    let old = checkpoint(OLD_SIZE, old_root.expect("size was passed"));
    let new = checkpoint(SIZE, tree.root());
    let signed = Note::sign(new.to_string(), &[&signer]).expect("signs");
    let mut note = signed.clone();
    note.add(cosigner.cosign(&new, COSIGNED_AT_SECONDS).expect("cosigns"));
    let tiles = FileTiles(&files);
    let path = inclusion(&tiles, PROVEN_INDEX, SIZE).expect("in the log");
    let proof = consistency(&tiles, OLD_SIZE, SIZE).expect("in the log");
    let file = ProofFile { extra: None, index: PROVEN_INDEX, path, note: note.clone() };
    let request = AddCheckpoint { old_size: OLD_SIZE, proof, note: signed };
    let old_note = Note::sign(old.to_string(), &[&signer]).expect("signs");
    for (name, text) in [
        ("checkpoint", note.to_string()),
        ("checkpoint.old", old_note.to_string()),
        ("consistency", request.to_string()),
        ("entry.tlog-proof", file.to_string()),
        ("log.vkey", format!("{}\n", signer.verifier_key())),
        ("witness.vkey", format!("{}\n", cosigner.verifier_key())),
    ] {
        files.insert(name.to_owned(), text.into_bytes());
    }
    files.insert("entry".to_owned(), entry(PROVEN_INDEX));
    files
}
