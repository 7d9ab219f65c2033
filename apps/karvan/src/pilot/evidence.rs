//! The evidence of what was exchanged: waited for, written as bundles, verified with the root
//! alone.

use std::path::{Path, PathBuf};

use anyhow::Result;
use karvan_exchange::bundle::verify::verify;
use karvan_types::limits::LIST_BYTES_MAX;
use serde::Serialize;
use serde_json::Value;

use super::desks::{Desks, wait_until};
use super::folder::Folder;
use super::nations::{BOTH, Nation};
use super::record::Sent;
use crate::failure::Failure;
use crate::files;

/// What is proven about a consignment.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Evidence {
    /// Documents that were sent.
    pub(crate) documents: usize,
    /// How far the log entries of both nodes have come, the least far: `witnessed` at best.
    pub(crate) state: String,
    /// Bundles that hold in full.
    pub(crate) verified: usize,
    /// Where the bundles are.
    pub(crate) bundles: Vec<PathBuf>,
    /// What does not hold, or is not proven.
    pub(crate) problems: Vec<String>,
}

impl Evidence {
    /// Returns whether every document is proven in full.
    pub(crate) fn holds(&self) -> bool {
        self.problems.is_empty() && self.verified == self.documents
    }

    /// Returns the evidence in a few words.
    pub(crate) fn words(&self) -> String {
        match self.documents {
            0 => "nothing sent".to_owned(),
            count => format!("{}, {} of {count} verified", self.state, self.verified),
        }
    }
}

/// The states of log entries, from the first to the last.
const STATES: [&str; 4] = ["queued", "logged", "checkpointed", "witnessed"];

fn rank(state: &str) -> usize {
    STATES.iter().position(|known| *known == state).unwrap_or_default()
}

/// Waits for the last evidence of each document, writes its bundle unless it is there, and
/// verifies the file as it stands on the disk.
pub(crate) fn collect(
    folder: &Folder,
    desks: &Desks,
    consignment: &str,
    documents: &[Sent],
) -> Result<Evidence> {
    let root = files::read(&folder.root(), LIST_BYTES_MAX as u64)?;
    let place = folder.bundles().join(consignment);
    let mut evidence = Evidence {
        documents: documents.len(),
        state: STATES[STATES.len() - 1].to_owned(),
        ..Evidence::default()
    };
    for (number, sent) in (1..).zip(documents) {
        let from = BOTH.into_iter().find(|nation| nation.folder == sent.from);
        let from = from.ok_or_else(|| {
            Failure::config(format!("a record of {consignment} names the nation `{}`", sent.from))
                .hint("restore the folder `played`, or start with another folder: --dir NEW")
        })?;
        let proven = await_evidence(desks, from, sent)?;
        let code = proven.code;
        if rank(&proven.state) < rank(&evidence.state) {
            evidence.state = proven.state;
        }
        let path = place.join(format!("{number:02}-{code}-{}.zip", sent.exchange));
        evidence.problems.extend(proven.trouble.map(|text| format!("{}: {text}", path.display())));
        if !path.exists() {
            files::make_folder(&place)?;
            let mut bundle = Vec::new();
            let from = desks.of(from, None)?;
            from.download(&format!("/v1/documents/{}/bundle", sent.exchange), &mut bundle)?;
            files::write(&path, &bundle)?;
        }
        check(&path, &root, &mut evidence)?;
        evidence.bundles.push(path);
    }
    Ok(evidence)
}

fn check(path: &Path, root: &[u8], evidence: &mut Evidence) -> Result<()> {
    let bundle = files::read(path, karvan_exchange::bundle::BUNDLE_BYTES_MAX as u64)?;
    let report = verify(&bundle, Some(root), None);
    let wrong = report.findings.iter().filter(|finding| !finding.holds);
    let wrong = wrong.map(|finding| format!("{}: {}", finding.part, finding.text));
    let problems: Vec<_> = wrong.chain(report.gaps.iter().cloned()).collect();
    if report.holds() && problems.is_empty() {
        evidence.verified += 1;
    }
    evidence
        .problems
        .extend(problems.into_iter().map(|problem| format!("{}: {problem}", path.display())));
    Ok(())
}

/// What both nodes say about a document.
struct Proven {
    /// Its type.
    code: String,
    /// What the least far of its log entries has reached.
    state: String,
    /// Why it was refused or given up.
    trouble: Option<String>,
}

/// Waits until the document has come to its end and both nodes have had its entries cosigned.
fn await_evidence(desks: &Desks, from: &Nation, sent: &Sent) -> Result<Proven> {
    let path = format!("/v1/documents/{}", sent.exchange);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut proven = None;
    wait_until(&format!("the evidence of document {}", sent.exchange), || {
        let mut views = Vec::new();
        for nation in [from, from.other()] {
            let shown = desks.of(nation, None)?.get(&path)?;
            views.extend(shown.as_array().into_iter().flatten().cloned());
        }
        let entries = views.iter().filter_map(|view| view["evidence"].as_array()).flatten();
        let least = entries.map(|entry| text(&entry["state"])).min_by_key(|state| rank(state));
        let state = least.unwrap_or_default();
        let handed_over = views.iter().all(|view| view["handover_receipt"] == true);
        let done = handed_over && rank(&state) + 1 == STATES.len();
        let first = views.first().unwrap_or(&Value::Null);
        let trouble = (first["state"] != "delivered").then(|| {
            format!("document is {}: {}", text(&first["state"]), text(&first["reason"]["text"]))
        });
        proven = Some(Proven { code: text(&first["code"]), state, trouble });
        Ok(done)
    })?;
    proven.ok_or_else(|| anyhow::anyhow!("nothing was seen of {}", sent.exchange))
}
