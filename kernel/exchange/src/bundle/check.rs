//! What bundles of every kind are checked for: spelling, the trust they rest on, the signatures in
//! them, the agreement, and what the logs prove.
//!
//! The federation root is the anchor. Given from outside it decides; otherwise the bundle's own
//! is used and its digest is told, to be compared with the one that both nations publish.
//!
//! Not here: what a bundle of one kind says ([`super::verify`] for documents).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_agreements::Agreement;
use karvan_agreements::signed::AGREEMENT_TYP;
use karvan_evidence::note::Verifier;
use karvan_evidence::proof_file::ProofFile;
use karvan_system::memory::MemoryDisk;
use karvan_trust::document::verify_document;
use karvan_trust::keys::{KeyId, Owner, PublicKey};
use karvan_trust::lists::{Snapshot, TrustStore};
use karvan_trust::message::{self, KeyDirectory as _, Refusal};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{AgreementRef, Digest, MemberId, NodeId, Timestamp, json};
use serde::Serialize;
use serde_json::Value;

use super::{Files, Manifest, file_name, name};
use crate::evidence;
use crate::identity::STATEMENT_TYP;
use crate::records::Signed;

/// Longest signed statement read, in bytes.
pub(super) const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

/// One thing that was checked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Finding {
    /// The file or part concerned.
    pub part: String,
    /// Whether it holds.
    pub holds: bool,
    /// What is proven, or what is wrong, in plain words.
    pub text: String,
}

/// What a bundle proves.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Every check, in order.
    pub findings: Vec<Finding>,
    /// What the bundle does not prove, in plain words.
    pub gaps: Vec<String>,
    /// Digest of the federation root that everything rests on.
    pub root: Option<Digest>,
}

impl Report {
    /// Returns whether every check holds.
    pub fn holds(&self) -> bool {
        !self.findings.is_empty() && self.findings.iter().all(|finding| finding.holds)
    }

    /// Adds what holds.
    pub fn good(&mut self, part: &str, text: impl Into<String>) {
        self.findings.push(Finding { part: part.to_owned(), holds: true, text: text.into() });
    }

    /// Adds what does not hold.
    pub fn bad(&mut self, part: &str, text: impl Into<String>) {
        self.findings.push(Finding { part: part.to_owned(), holds: false, text: text.into() });
    }

    /// Adds an outcome, good with its text or bad; returns what a good one has found.
    pub fn note<T>(&mut self, part: &str, outcome: Result<(T, String), String>) -> Option<T> {
        match outcome {
            Ok((value, text)) => {
                self.good(part, text);
                Some(value)
            }
            Err(text) => {
                self.bad(part, text);
                None
            }
        }
    }
}

/// A bundle whose trust holds.
pub struct Opened {
    /// Its files.
    pub files: Files,
    /// The root and lists in it.
    pub lists: Arc<Snapshot>,
}

/// Reads a bundle of the kind `format` and checks spelling, trust and manifest; nothing when it
/// cannot be judged any further.
pub fn open(
    report: &mut Report,
    bundle: &[u8],
    root: Option<&[u8]>,
    format: &str,
) -> Option<Opened> {
    let files = match Files::from_zip(bundle) {
        Ok(files) => files,
        Err(error) => {
            report.bad("archive", format!("this is no readable bundle: {error}"));
            return None;
        }
    };
    check_spelling(report, &files, bundle);
    let lists = check_trust(report, &files, root)?;
    let opened = Opened { files, lists };
    check_manifest(report, &opened, format);
    Some(opened)
}

/// Any byte of the archive that is no file content would otherwise be free to change.
fn check_spelling(report: &mut Report, files: &Files, bundle: &[u8]) {
    match files.to_zip() {
        Ok(again) if again == bundle => {}
        Ok(again) => {
            let at = again.iter().zip(bundle).take_while(|(a, b)| a == b).count();
            report.bad("archive", format!("the archive was altered around byte {at}"));
        }
        Err(error) => report.bad("archive", format!("the archive cannot be rewritten: {error}")),
    }
}

fn check_trust(report: &mut Report, files: &Files, root: Option<&[u8]>) -> Option<Arc<Snapshot>> {
    let inside = files.get(name::ROOT);
    let outcome = load_trust(files, root.or(inside));
    let (lists, digest) = report.note("trust", outcome)?;
    report.root = Some(digest);
    if root.is_none() {
        report.gaps.push(format!(
            "the federation root came with the bundle: compare its digest {digest} with the one \
             that both nations publish, or give --root"
        ));
    } else if let (Some(root), Some(inside)) = (root, inside)
        && root != inside
    {
        report
            .gaps
            .push("the bundle carries another version of the root than the one given".into());
    }
    Some(lists)
}

type Loaded = ((Arc<Snapshot>, Digest), String);

fn load_trust(files: &Files, root: Option<&[u8]>) -> Result<Loaded, String> {
    let root = root.ok_or("the bundle lacks trust/root.json")?;
    let store = TrustStore::open(Path::new("trust"), Arc::new(MemoryDisk::default()))
        .map_err(|error| error.to_string())?;
    let accepted = store
        .install_root(root, issued(root)?)
        .map_err(|error| format!("trust/root.json: {error}"))?;
    let mut nations = Vec::new();
    for (file, bytes) in &files.0 {
        if file.starts_with("trust/list-") {
            let list =
                store.accept(bytes, issued(bytes)?).map_err(|error| format!("{file}: {error}"))?;
            nations.extend(list.nation.map(|nation| nation.to_string()));
        }
    }
    let text = format!(
        "the federation root is signed by every nation in it; the lists of {} are signed under it",
        nations.join(" and ")
    );
    Ok(((store.snapshot(), accepted.digest), text))
}

/// Reads when a root or list was issued: the instant at which its signatures are judged.
fn issued(document: &[u8]) -> Result<Timestamp, String> {
    let payload = karvan_trust::document::unverified_payload(document, LIST_BYTES_MAX)
        .map_err(|error| error.to_string())?;
    let value: Value = json::parse(&payload).map_err(|error| error.to_string())?;
    let text = value.get("issueDateTime").and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|_| "a root or list lacks its issueDateTime".to_owned())
}

fn check_manifest(report: &mut Report, opened: &Opened, format: &str) {
    let files = &opened.files;
    let outcome = read_manifest(opened, format).and_then(|(manifest, at)| {
        for (file, digest) in &manifest.files {
            match files.get(file) {
                None => return Err(format!("{file} is missing")),
                Some(bytes) if Digest::of(bytes) != *digest => {
                    return Err(format!("{file} was altered: its digest is not the manifest's"));
                }
                Some(_) => {}
            }
        }
        let extra =
            files.0.keys().find(|f| *f != name::MANIFEST && !manifest.files.contains_key(*f));
        if let Some(extra) = extra {
            return Err(format!("{extra} was added: the manifest does not name it"));
        }
        let text = format!(
            "all {} files are as {} put them in at {at}",
            manifest.files.len(),
            manifest.node
        );
        Ok(((), text))
    });
    report.note(name::MANIFEST, outcome);
}

fn read_manifest(opened: &Opened, format: &str) -> Result<(Manifest, Timestamp), String> {
    let bytes = opened.files.get(name::MANIFEST).ok_or("manifest.json is missing")?;
    let made_at = |manifest: &Manifest| manifest.made_at;
    let (manifest, owner) = statement::<Manifest>(bytes, &opened.lists, made_at)?;
    if owner != Owner::Node(manifest.node.clone()) {
        return Err("the manifest is not signed by the node that it names".to_owned());
    }
    if manifest.format != format {
        let found = manifest.format.chars().take(64).collect::<String>();
        return Err(format!("this is a bundle of the kind `{found}` and not `{format}`"));
    }
    let at = manifest.made_at;
    Ok((manifest, at))
}

/// Verifies a signed statement at the instant that it names itself.
pub(super) fn statement<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    lists: &Snapshot,
    at: impl Fn(&T) -> Timestamp,
) -> Result<(T, Owner), String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let payload = karvan_trust::document::unverified_payload(bytes, STATEMENT_BYTES_MAX)
        .map_err(|error| text(&error))?;
    let claimed: T = json::from_slice(&payload).map_err(|error| text(&error))?;
    let at = at(&claimed);
    let key = |id: &KeyId| key_at(lists, id, at);
    let verified = verify_document(bytes, STATEMENT_TYP, STATEMENT_BYTES_MAX, &key)
        .map_err(|error| text(&error))?;
    let [signer] = verified.signers.as_slice() else {
        return Err("a statement has exactly one signature".to_owned());
    };
    let owner = signer.owner().ok_or("the key's name has no owner")?;
    Ok((verified.read().map_err(|error| text(&error))?, owner))
}

/// Finds a key that was valid at an instant, on the lists as the bundle has them: evidence stays
/// evidence after a list's end, but what was signed after it is none.
fn key_at(lists: &Snapshot, id: &KeyId, at: Timestamp) -> Result<PublicKey, Refusal> {
    lists.key(id, at, at).map(|entry| entry.public.clone())
}

/// A signed HTTP message of a bundle whose signature holds.
pub struct Message {
    /// Its signature base and signature.
    pub signed: Signed,
    /// Who signed.
    pub owner: Owner,
    /// When, in whole seconds.
    pub at: Timestamp,
}

/// Verifies the signed HTTP message in two files.
pub fn message(opened: &Opened, base: &str, signature: &str) -> Result<Message, String> {
    let text = |name: &str| opened.files.text(name).ok_or_else(|| format!("{name} is missing"));
    let (base_text, signature_text) = (text(base)?, text(signature)?);
    let bytes = signature_text
        .strip_prefix("kvn=:")
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .ok_or_else(|| format!("{signature} is no signature field with the label kvn"))?;
    let params =
        message::parse_base(base_text).map_err(|refusal| format!("{base}: {refusal}"))?.params;
    let key = key_at(&opened.lists, &params.key, params.created)
        .map_err(|refusal| format!("{base}: {refusal}"))?;
    message::verify_base(base_text, &bytes, &key)
        .map_err(|refusal| format!("{base}: {refusal}"))?;
    let owner = params.key.owner().ok_or("the key's name has no owner")?;
    let signed = Signed {
        base: base_text.to_owned(),
        signature_input: String::new(),
        signature: signature_text.to_owned(),
    };
    Ok(Message { signed, owner, at: params.created })
}

/// What an agreement must have allowed.
pub struct Deed<'a> {
    /// The agreement by which it was done.
    pub agreement: &'a AgreementRef,
    /// Who did it.
    pub client: &'a MemberId,
    /// To whom.
    pub provider: &'a MemberId,
    /// For which purpose.
    pub purpose: &'a str,
    /// When, in whole seconds.
    pub at: Timestamp,
    /// In words, between client and provider, such as "send `EXD` to".
    pub what: String,
}

/// Checks that the agreement in the bundle is the one named, was signed by both sides, and allowed
/// a deed; `covers` judges its grants.
pub fn agreement(
    report: &mut Report,
    opened: &Opened,
    deed: &Deed<'_>,
    covers: impl Fn(&Agreement) -> bool,
) {
    let Deed { agreement: name, client, provider, purpose, at, what } = deed;
    let Some(bytes) = opened.files.get(name::AGREEMENT) else {
        report.gaps.push(format!("the text of agreement {} is not here", name.id));
        return;
    };
    let key = |id: &KeyId| key_at(&opened.lists, id, *at);
    let outcome = verify_document(bytes, AGREEMENT_TYP, LIST_BYTES_MAX, &key)
        .map_err(|error| error.to_string())
        .and_then(|verified| {
            if verified.digest != name.digest {
                return Err("this is not the agreement that the sender names".to_owned());
            }
            let agreement: Agreement = verified.read().map_err(|error| error.to_string())?;
            // A signature says its time in whole seconds, cut; the agreement may begin within one.
            let within = at.plus(Duration::from_millis(999));
            if !(agreement.in_force(*at) || agreement.in_force(within))
                || !covers(&agreement)
                || agreement.purpose != *purpose
            {
                return Err(format!(
                    "agreement {} did not let {client} {what} {provider} for the purpose \
                     `{purpose}` at {at}",
                    name.id
                ));
            }
            let owners: Vec<_> = verified.signers.iter().filter_map(KeyId::owner).collect();
            for nation in [client.instance(), provider.instance()] {
                let signed =
                    |owner: &Owner| matches!(owner, Owner::Member(_)) && owner.instance() == nation;
                if !owners.iter().any(signed) {
                    return Err(format!("no member of {nation} has signed the agreement"));
                }
            }
            let who: Vec<_> = verified.signers.iter().map(ToString::to_string).collect();
            let text = format!(
                "agreement {} version {} allowed it, signed by {}",
                name.id,
                name.version,
                who.join(" and ")
            );
            Ok(((), text))
        });
    report.note(name::AGREEMENT, outcome);
}

/// The log of a listed node, and the witnesses of other nations that may cosign it.
pub struct Log {
    /// The node.
    pub node: NodeId,
    signer: Arc<dyn Verifier>,
    foreign: Vec<Arc<dyn Verifier>>,
}

impl Log {
    /// Returns the logs of all nodes on the lists.
    pub fn all(lists: &Snapshot) -> Vec<Self> {
        let nodes: Vec<_> = lists.nations().flat_map(|nation| &nation.list.nodes).collect();
        let verifier = |vkey: &str| karvan_trust::notes::verifier(vkey).ok().map(shared);
        let log = |node: &&karvan_trust::lists::Node| {
            let signer = node.log.as_ref().and_then(|log| verifier(&log.vkey))?;
            let foreign =
                nodes.iter().filter(|other| other.id.instance() != node.id.instance()).filter_map(
                    |other| other.witness.as_ref().and_then(|witness| verifier(&witness.vkey)),
                );
            Some(Self { node: node.id.clone(), signer, foreign: foreign.collect() })
        };
        nodes.iter().filter_map(log).collect()
    }

    /// Checks the proof of an entry in this log; returns whether the bundle has one.
    pub fn check(&self, report: &mut Report, files: &Files, kind: &str, statement: Digest) -> bool {
        let folder = format!("proofs/{}", file_name(&self.node));
        let file = format!("{folder}/{kind}.tlog-proof");
        let Some(bytes) = files.get(&file) else { return false };
        let entry_file = format!("{folder}/{kind}.entry");
        let entry = evidence::leaf(kind, statement);
        let outcome = if files.text(&entry_file) == Some(&entry) {
            self.check_proof(kind, &entry, bytes)
        } else {
            Err(format!("{entry_file} is not the entry of this {kind}"))
        };
        if let Some(witnessed) = report.note(&file, outcome)
            && !witnessed
        {
            report.gaps.push(format!("{file} is not cosigned by the other nation yet"));
        }
        true
    }

    fn check_proof(&self, kind: &str, entry: &str, proof: &[u8]) -> Result<(bool, String), String> {
        let parsed = ProofFile::parse(proof).map_err(|error| error.to_string())?;
        let witnesses: Vec<&dyn Verifier> = self.foreign.iter().map(AsRef::as_ref).collect();
        let proven = parsed
            .verify(entry.as_bytes(), &*self.signer, &witnesses)
            .map_err(|error| error.to_string())?;
        let cosigners: Vec<_> = witnesses
            .iter()
            .filter(|witness| proven.signatures.iter().any(|signed| signed.names(**witness)))
            .map(|witness| witness.name())
            .collect();
        let by = if cosigners.is_empty() {
            "not cosigned".to_owned()
        } else {
            format!("cosigned by {}", cosigners.join(" and "))
        };
        let text = format!(
            "{kind} is entry {} of log {} under its checkpoint of size {}, {by}",
            parsed.index, proven.checkpoint.origin, proven.checkpoint.size
        );
        Ok((!cosigners.is_empty(), text))
    }
}

fn shared(verifier: impl Verifier + 'static) -> Arc<dyn Verifier> {
    Arc::new(verifier)
}
