//! Verifies a whole stored log and names what was altered.
//!
//! Every entry is there three times: in a segment, in a bundle, and as a hash in a tile. The audit
//! reads all three, lets two copies outvote the third, rebuilds the tree from what they agree on
//! and compares it with every tile file and with every signed root.
//!
//! Invariant: the audit changes nothing. It needs a log that stands still: a copy, or that of a
//! stopped node.
//!
//! Not here: mending. Tiles and bundles can be rebuilt from segments, segments from bundles.

mod tiles;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use karvan_evidence::Checkpoint;
use karvan_evidence::note::Verifier;
use karvan_evidence::tree::{Tree, leaf_hash};
use karvan_system::Disk;
use karvan_types::Digest;

use crate::error::disk;
use crate::site::{CHECKPOINT, Head, Site, WITNESSED};
use crate::{Error, signed_size};

use tiles::Group;

/// Most findings reported; a log that is wholly garbled needs no longer list.
const FINDINGS_MAX: usize = 1000;

/// Keys and places that an audit needs.
pub struct AuditKeys<'k> {
    /// Checks the log's signatures.
    pub log: &'k dyn Verifier,
    /// Check the cosignatures; a line of any other key is a finding.
    pub witnesses: &'k [Arc<dyn Verifier>],
    /// The record of the largest size ever signed, if it is at hand.
    pub signed_size_file: Option<&'k Path>,
}

/// Something in a stored log that is not as it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Index of the entry that is touched, when it is one.
    pub entry: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// What an audit found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Entries found.
    pub entries: u64,
    /// The checkpoint, if its signature is good.
    pub checkpoint: Option<Checkpoint>,
    /// The newest cosigned checkpoint, if its signatures are good.
    pub witnessed: Option<Checkpoint>,
    /// What is wrong, in the order of the log; empty for a good log.
    pub findings: Vec<Finding>,
    /// A last write that does not read back and that no checkpoint covers. A loss of power leaves
    /// it, so may a hand; a node that opens the log clears it and writes its entries again from
    /// its database. A log is good when this is empty too.
    pub unfinished: Option<Finding>,
}

/// Verifies a stored log. An error means that a file could not be read at all.
pub fn audit(storage: Arc<dyn Disk>, dir: &Path, keys: &AuditKeys<'_>) -> Result<Report, Error> {
    let site = Site { disk: storage, dir: dir.to_owned() };
    let mut audit = Audit {
        site,
        report: Report::default(),
        tree: Tree::new(),
        covered: 0,
        group: None,
        roots: BTreeMap::new(),
    };
    let mut signed = Vec::new();
    audit.report.checkpoint = audit.head(CHECKPOINT, keys, &mut signed)?;
    audit.covered = audit.report.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    audit.report.witnessed = audit.head(WITNESSED, keys, &mut signed)?;
    audit.signed_size(keys, &mut signed)?;
    audit.roots.extend(signed.iter().map(|(_, checkpoint)| (checkpoint.size, None)));
    audit.take_root();
    audit.walk(keys.log.name())?;
    audit.finish_group()?;
    audit.edge()?;
    audit.report.entries = audit.tree.size();
    for (path, checkpoint) in signed {
        match audit.roots.get(&checkpoint.size).copied().flatten() {
            Some(root) if root == checkpoint.root => {}
            Some(_) => audit.find(&path, None, "its root is not that of the stored entries"),
            None => {
                let (size, have) = (checkpoint.size, audit.report.entries);
                let problem = format!("it speaks of {size} entries, {have} are stored");
                audit.find(&path, None, problem);
            }
        }
    }
    Ok(audit.report)
}

struct Audit {
    site: Site,
    report: Report,
    /// Rebuilt from the entries.
    tree: Tree,
    /// Size of the checkpoint.
    covered: u64,
    /// The bundle and lowest tile that the current entry belongs to.
    group: Option<Group>,
    /// Sizes that something was signed for, and the rebuilt root at each.
    roots: BTreeMap<u64, Option<Digest>>,
}

impl Report {
    /// Returns whether nothing is wrong and nothing is unfinished.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty() && self.unfinished.is_none()
    }
}

impl Audit {
    fn find(&mut self, file: &Path, entry: Option<u64>, problem: impl Into<String>) {
        if self.report.findings.len() < FINDINGS_MAX {
            let (file, problem) = (file.to_owned(), problem.into());
            self.report.findings.push(Finding { file, entry, problem });
        }
    }

    /// Checks the signatures of a stored checkpoint.
    fn head(
        &mut self,
        name: &str,
        keys: &AuditKeys<'_>,
        signed: &mut Vec<(PathBuf, Checkpoint)>,
    ) -> Result<Option<Checkpoint>, Error> {
        let path = self.site.dir.join(name);
        let Some(bytes) = self.site.read_if_there(&path)? else { return Ok(None) };
        let head = match Head::parse(&bytes, keys.log, keys.witnesses) {
            Ok((head, _)) => head,
            Err(error) => {
                self.find(&path, None, error.to_string());
                return Ok(None);
            }
        };
        for line in head.note.signatures() {
            let mut known = keys.witnesses.iter();
            if !line.names(keys.log) && !known.any(|witness| line.names(&**witness)) {
                let problem = format!("it has a signature by an unknown key `{}`", line.name);
                self.find(&path, None, problem);
            }
        }
        signed.push((path, head.checkpoint.clone()));
        Ok(Some(head.checkpoint))
    }

    fn signed_size(
        &mut self,
        keys: &AuditKeys<'_>,
        signed: &mut Vec<(PathBuf, Checkpoint)>,
    ) -> Result<(), Error> {
        let Some(path) = keys.signed_size_file else { return Ok(()) };
        let record = match signed_size::read(&*self.site.disk, path) {
            Ok(record) => record,
            Err(error @ Error::Disk { .. }) => return Err(error),
            Err(error) => {
                self.find(path, None, error.to_string());
                return Ok(());
            }
        };
        match record {
            None if self.covered == 0 => {}
            None => self.find(path, None, "the record of the largest signed size is missing"),
            Some(record) if record.origin != keys.log.name() => {
                self.find(path, None, "the record belongs to another log");
            }
            Some(record) => {
                if record.size < self.covered {
                    self.find(path, None, "it is smaller than the checkpoint that was signed");
                }
                signed.push((path.to_owned(), record));
            }
        }
        Ok(())
    }

    fn take_root(&mut self) {
        if let Some(root) = self.roots.get_mut(&self.tree.size()) {
            *root = Some(self.tree.root());
        }
    }

    /// Takes the next entry, or nothing when its segment cannot be read there.
    fn entry(&mut self, segment: &Path, stored: Option<&[u8]>) -> Result<(), Error> {
        let index = self.tree.size();
        self.enter_group()?;
        let Some(group) = &mut self.group else { return Ok(()) };
        let place = usize::try_from(index % 256).unwrap_or(0);
        let bundled = group.entries.get(place).map(Vec::as_slice);
        let of_segment = stored.map(leaf_hash);
        let of_bundle = bundled.map(leaf_hash);
        let of_tile = group.hashes.get(place).copied();
        let agree = |a: Option<Digest>, b: Option<Digest>| a.is_some() && a == b;
        let segment_good = agree(of_segment, of_bundle) || agree(of_segment, of_tile);
        let bundle_good = agree(of_bundle, of_segment) || agree(of_bundle, of_tile);
        let truth = match (stored, bundled) {
            (Some(entry), _) if segment_good => entry,
            (_, Some(entry)) if bundle_good => entry,
            (Some(entry), _) | (None, Some(entry)) => entry,
            (None, None) => return Ok(()),
        }
        .to_vec();
        let leaf = leaf_hash(&truth);
        group.push(&truth);
        let bundle_path = group.bundle_path.clone();
        if stored.is_some_and(|entry| leaf_hash(entry) != leaf) {
            self.find(segment, Some(index), "the entry differs from bundle and tile");
        }
        if of_bundle.is_some_and(|hash| hash != leaf) {
            self.find(&bundle_path, Some(index), "the entry differs from segment and tile");
        }
        let mut full = Vec::new();
        self.tree.push(leaf, &mut full);
        self.take_root();
        for (tile, hashes) in full {
            self.tile(tile, &hashes)?;
        }
        if self.tree.size().is_multiple_of(256) {
            self.finish_group()?;
        }
        Ok(())
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, Error> {
        if !self.site.disk.exists(folder) {
            return Ok(Vec::new());
        }
        self.site.disk.list(folder).map_err(disk("list", folder))
    }
}
