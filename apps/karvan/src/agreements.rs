//! Signed agreements as files: verified against the national lists before the node acts on them.
//!
//! Not here: what an agreement allows and who must sign it (`karvan_agreements`), and signing
//! (`crate::setup::sign_agreement`).

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use karvan_agreements::{AGREEMENTS_MAX, Agreement, AgreementBook};
use karvan_trust::lists::Snapshot;
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Digest, Timestamp};

use crate::files;

/// What a folder of agreements holds.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Those in which every signature holds and none is missing.
    pub(crate) book: AgreementBook,
    /// Why each other file does not count.
    pub(crate) problems: Vec<String>,
}

/// Reads and verifies every agreement of a folder.
pub(crate) fn load(folder: &Path, lists: &Snapshot, now: Timestamp) -> Result<Loaded> {
    let mut loaded = Loaded::default();
    for (count, path) in files::json_files(folder)?.into_iter().enumerate() {
        if count >= AGREEMENTS_MAX {
            loaded.problems.push(format!("{}: over {AGREEMENTS_MAX} files", path.display()));
            break;
        }
        let document = files::read(&path, LIST_BYTES_MAX as u64)?;
        if let Err(error) = loaded.book.add_signed(document, lists, now) {
            loaded.problems.push(format!("{}: {:#}", path.display(), anyhow::Error::from(error)));
        }
    }
    Ok(loaded)
}

/// Returns what an agreement says, for whoever decides on it.
pub(crate) fn describe(agreement: &Agreement, digest: Digest) -> String {
    let mut text = format!(
        "agreement {} version {}\n  digest       {digest}\n  purpose      {}\n  legal basis  {}\n  \
         in force     {} to {}\n",
        agreement.id,
        agreement.version,
        agreement.purpose,
        agreement.legal_basis,
        agreement.valid_from,
        agreement.valid_until
    );
    for grant in &agreement.grants {
        let (client, provider) = (&grant.client, &grant.provider);
        if !grant.documents.is_empty() {
            let _ =
                writeln!(text, "  {client} may send {} to {provider}", grant.documents.join(", "));
        }
        for service in &grant.services {
            let endpoints: Vec<_> =
                service.endpoints.iter().map(|e| format!("{} {}", e.method, e.path)).collect();
            let of_it =
                if endpoints.is_empty() { "all of it".to_owned() } else { endpoints.join(", ") };
            let _ =
                writeln!(text, "  {client} may call {} ({of_it}) of {provider}", service.service);
        }
        if !grant.feeds.is_empty() {
            let _ = writeln!(text, "  {client} may fetch {} of {provider}", grant.feeds.join(", "));
        }
        if let Some(quota) = &grant.quota {
            let _ = writeln!(text, "    at most {quota}");
        }
    }
    text
}
