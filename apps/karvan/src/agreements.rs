//! Signed agreements as files: verified against the national lists before the node acts on them.
//!
//! Each nation that an agreement names must have signed it, with the key of a member that is a
//! party to it. The signers' keys are judged now, by the newest lists even when those have ended:
//! an ended list stops traffic, not the reading of what was agreed.
//!
//! Not here: what an agreement allows (`karvan_exchange::agreement`), and signing
//! (`crate::setup::sign_agreement`).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use karvan_exchange::agreement::{AGREEMENTS_MAX, Agreement, AgreementBook};
use karvan_exchange::bundle::verify::AGREEMENT_TYP;
use karvan_trust::document::{VerifiedDocument, verify_document};
use karvan_trust::keys::{KeyId, Owner, PublicKey};
use karvan_trust::lists::Snapshot;
use karvan_trust::message::{KeyDirectory as _, Refusal};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{AgreementRef, Digest, ErrorKind, Instance, MemberId, Timestamp};

use crate::failure::Failure;
use crate::files;

/// Longest purpose, in bytes; it travels in a header field.
const PURPOSE_BYTES_MAX: usize = 64;

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
        match verify(&document, lists, now).and_then(|verified| complete(&verified)) {
            Ok((agreement, digest)) => loaded.book.add(agreement, digest, document),
            Err(error) => loaded.problems.push(format!("{}: {error:#}", path.display())),
        }
    }
    Ok(loaded)
}

/// Verifies the signatures that a document has.
pub(crate) fn verify(
    document: &[u8],
    lists: &Snapshot,
    now: Timestamp,
) -> Result<VerifiedDocument> {
    let key = |id: &KeyId| key_of(lists, id, now);
    Ok(verify_document(document, AGREEMENT_TYP, LIST_BYTES_MAX, &key)?)
}

fn key_of(lists: &Snapshot, id: &KeyId, now: Timestamp) -> Result<PublicKey, Refusal> {
    let nation = id.owner().map(|owner| owner.instance());
    let list = lists.nations().find(|each| Some(each.list.scheme_territory) == nation);
    let in_force = list.map_or(now, |list| now.min(list.ends.minus(Duration::from_millis(1))));
    lists.key(id, now, in_force).map(|entry| entry.public.clone())
}

/// Returns an agreement that every nation in it has signed.
fn complete(verified: &VerifiedDocument) -> Result<(Agreement, Digest)> {
    let agreement: Agreement = verified.read()?;
    check(&agreement)?;
    let missing = unsigned(&agreement, &verified.signers);
    if missing.is_empty() {
        return Ok((agreement, verified.digest));
    }
    let text = format!("not in force: no member of {} that is a party has signed", list(&missing));
    let hint = "have it signed there with `karvan init agreement`, and install the result";
    Err(Failure::new(ErrorKind::Evidence, text).hint(hint).into())
}

/// Returns the nations whose signature is missing.
pub(crate) fn unsigned(agreement: &Agreement, signers: &[KeyId]) -> Vec<Instance> {
    let parties = parties(agreement);
    let nations: BTreeSet<_> = parties.iter().map(MemberId::instance).collect();
    let signed = |nation: &Instance| {
        signers.iter().filter_map(KeyId::owner).any(|owner| {
            matches!(owner, Owner::Member(_))
                && owner.instance() == *nation
                && parties.iter().any(|party| owner.speaks_for(party.as_str()))
        })
    };
    nations.into_iter().filter(|nation| !signed(nation)).collect()
}

/// Returns everyone whom an agreement names.
pub(crate) fn parties(agreement: &Agreement) -> BTreeSet<MemberId> {
    let grants = agreement.grants.iter();
    grants.flat_map(|grant| [grant.client.clone(), grant.provider.clone()]).collect()
}

/// Checks the content before anybody signs or uses it.
pub(crate) fn check(agreement: &Agreement) -> Result<(), Failure> {
    let digest = Digest::default();
    let name = AgreementRef { id: agreement.id.clone(), version: agreement.version, digest };
    let is_code = |text: &str| {
        (1..=PURPOSE_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let rules = [
        (name.to_string().parse() == Ok(name), "id", "is letters, digits, dot, underscore, hyphen"),
        (agreement.version > 0, "version", "counts from 1"),
        (is_code(&agreement.purpose), "purpose", "is a code such as customs-risk-analysis"),
        (!agreement.legal_basis.trim().is_empty(), "legalBasis", "names the legal basis"),
        (agreement.valid_from < agreement.valid_until, "validUntil", "is after validFrom"),
        (!agreement.grants.is_empty(), "grants", "holds at least one grant"),
    ];
    match rules.into_iter().find(|(holds, ..)| !holds) {
        None => Ok(()),
        Some((_, field, rule)) => {
            Err(Failure::new(ErrorKind::Invalid, format!("the agreement's `{field}` {rule}")))
        }
    }
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
        let _ = writeln!(
            text,
            "  {} may send {} to {}",
            grant.client,
            grant.documents.join(", "),
            grant.provider
        );
    }
    text
}

fn list(nations: &[Instance]) -> String {
    nations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}
