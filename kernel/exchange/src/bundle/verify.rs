//! Verification of a bundle, offline: public keys in, plain words out.
//!
//! The federation root is the anchor. Given from outside it decides; otherwise the bundle's own
//! is used and its digest is told, to be compared with the one that both nations publish.

use std::collections::BTreeMap;
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
use karvan_trust::keys::{KeyId, Owner};
use karvan_trust::lists::{Snapshot, TrustStore};
use karvan_trust::message::{self, KeyDirectory as _, Parts};
use karvan_types::limits::LIST_BYTES_MAX;
use karvan_types::{Digest, Timestamp, json};
use serde::Serialize;
use serde_json::Value;

use super::{FORMAT, Files, Manifest, file_name, name};
use crate::evidence;
use crate::handover::{Disposition, HANDOVER_TYPE, HandoverReceipt};
use crate::identity::STATEMENT_TYP;
use crate::records::{Envelope, Signed};
use crate::wire;

/// Longest signed statement read, in bytes.
const STATEMENT_BYTES_MAX: usize = 1024 * 1024;

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

    fn good(&mut self, part: &str, text: impl Into<String>) {
        self.findings.push(Finding { part: part.to_owned(), holds: true, text: text.into() });
    }

    fn bad(&mut self, part: &str, text: impl Into<String>) {
        self.findings.push(Finding { part: part.to_owned(), holds: false, text: text.into() });
    }

    fn note<T>(&mut self, part: &str, outcome: Result<(T, String), String>) -> Option<T> {
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

/// Verifies a bundle. `root` is the federation root from outside, as the signed document;
/// `document` is the document itself when it is too large for the bundle.
pub fn verify(bundle: &[u8], root: Option<&[u8]>, document: Option<&[u8]>) -> Report {
    let mut report = Report::default();
    let files = match Files::from_zip(bundle) {
        Ok(files) => files,
        Err(error) => {
            report.bad("archive", format!("this is no readable bundle: {error}"));
            return report;
        }
    };
    check_spelling(&mut report, &files, bundle);
    let Some(lists) = check_trust(&mut report, &files, root) else { return report };
    check_manifest(&mut report, &files, &lists);
    let Some((envelope, signed, at)) = check_document(&mut report, &files, &lists, document) else {
        return report;
    };
    check_agreement(&mut report, &files, &lists, &envelope, at);
    let mut statements = BTreeMap::new();
    let salt = &envelope.salt;
    statements.insert(evidence::SUBMISSION, evidence::message_statement(salt, &signed));
    if let Some(relay) = check_relay(&mut report, &files, &lists, &envelope, &signed) {
        statements.insert(evidence::RELAY, evidence::message_statement(salt, &relay));
    }
    if let Some(jws) = check_handover(&mut report, &files, &lists, &envelope, &signed) {
        statements.insert(evidence::HANDOVER, evidence::document_statement(salt, &jws));
    }
    check_proofs(&mut report, &files, &lists, &statements);
    report
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

fn check_manifest(report: &mut Report, files: &Files, lists: &Snapshot) {
    let outcome = read_manifest(files, lists).and_then(|(manifest, at)| {
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

fn read_manifest(files: &Files, lists: &Snapshot) -> Result<(Manifest, Timestamp), String> {
    let bytes = files.get(name::MANIFEST).ok_or("manifest.json is missing")?;
    let made_at = |manifest: &Manifest| manifest.made_at;
    let (manifest, owner) = statement::<Manifest>(bytes, lists, made_at)?;
    if owner != Owner::Node(manifest.node.clone()) || manifest.format != FORMAT {
        return Err("the manifest is not signed by the node that it names".to_owned());
    }
    let at = manifest.made_at;
    Ok((manifest, at))
}

/// Verifies a signed statement at the instant that it names itself.
fn statement<T: serde::de::DeserializeOwned>(
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
fn key_at(
    lists: &Snapshot,
    id: &KeyId,
    at: Timestamp,
) -> Result<karvan_trust::keys::PublicKey, message::Refusal> {
    lists.key(id, at, at).map(|entry| entry.public.clone())
}

fn check_document(
    report: &mut Report,
    files: &Files,
    lists: &Snapshot,
    document: Option<&[u8]>,
) -> Option<(Envelope, Signed, Timestamp)> {
    let outcome = verify_message(files, lists, name::DOCUMENT_BASE, name::DOCUMENT_SIGNATURE)
        .and_then(|(signed, owner, at)| {
            let envelope =
                wire::envelope_of_base(&signed.base).map_err(|rejection| rejection.text)?;
            if !owner.speaks_for(envelope.sender.as_str()) {
                return Err(format!("{owner} signed in the name of {}", envelope.sender));
            }
            let text = format!(
                "{} signed at {at} a document `{}` for {} (number {} of that stream, {} bytes, \
                 purpose: {})",
                envelope.sender,
                envelope.code,
                envelope.recipient,
                envelope.sequence,
                envelope.size,
                envelope.purpose
            );
            Ok(((envelope, signed, at), text))
        });
    let (envelope, signed, at) = report.note("document", outcome)?;
    match files.get(name::DOCUMENT_BODY).or(document) {
        Some(body) if Digest::of(body) == envelope.digest => {
            report.good(name::DOCUMENT_BODY, "the document is the one that was signed");
        }
        Some(_) => report.bad(name::DOCUMENT_BODY, "the document is not the one that was signed"),
        None => report.gaps.push("the document itself is not here; give it with --document".into()),
    }
    Some((envelope, signed, at))
}

type Message = (Signed, Owner, Timestamp);

fn verify_message(
    files: &Files,
    lists: &Snapshot,
    base: &str,
    signature: &str,
) -> Result<Message, String> {
    let text = |name: &str| files.text(name).ok_or_else(|| format!("{name} is missing"));
    let (base_text, signature_text) = (text(base)?, text(signature)?);
    let bytes = signature_text
        .strip_prefix("kvn=:")
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .ok_or_else(|| format!("{signature} is no signature field with the label kvn"))?;
    let params =
        message::parse_base(base_text).map_err(|refusal| format!("{base}: {refusal}"))?.params;
    let key = key_at(lists, &params.key, params.created)
        .map_err(|refusal| format!("{base}: {refusal}"))?;
    message::verify_base(base_text, &bytes, &key)
        .map_err(|refusal| format!("{base}: {refusal}"))?;
    let owner = params.key.owner().ok_or("the key's name has no owner")?;
    let signed = Signed {
        base: base_text.to_owned(),
        signature_input: String::new(),
        signature: signature_text.to_owned(),
    };
    Ok((signed, owner, params.created))
}

fn check_relay(
    report: &mut Report,
    files: &Files,
    lists: &Snapshot,
    envelope: &Envelope,
    document: &Signed,
) -> Option<Signed> {
    if files.get(name::RELAY_BASE).is_none() {
        report.gaps.push("there is no relay receipt: the receiving node may not have it".into());
        return None;
    }
    let outcome = verify_message(files, lists, name::RELAY_BASE, name::RELAY_SIGNATURE).and_then(
        |(signed, owner, at)| {
            let parsed = message::parse_base(&signed.base).map_err(|r| r.to_string())?;
            let Parts::Response(parts) = parsed.parts else {
                return Err("relay/base.txt is that of a request".to_owned());
            };
            let bound = parts.request_signature.map(|bound| format!("kvn={bound}"));
            if bound.as_deref() != Some(&document.signature)
                && parts.request_signature != Some(&document.signature)
            {
                return Err("the relay receipt belongs to another document".to_owned());
            }
            let body = files.get(name::RELAY_BODY).ok_or("relay/body.json is missing")?;
            let digest = message::content_digest(Digest::of(body));
            if digest != parts.content_digest {
                return Err("relay/body.json was altered".to_owned());
            }
            let right = owner.instance() == envelope.recipient.instance();
            let said = if parts.status == "200" { "had it durably" } else { "refused it" };
            if !right {
                return Err(format!("{owner} is no node of {}", envelope.recipient.instance()));
            }
            let text =
                format!("{owner} {said} at {at}, and signed that over the sender's signature");
            Ok((signed, text))
        },
    );
    report.note("relay", outcome)
}

fn check_handover(
    report: &mut Report,
    files: &Files,
    lists: &Snapshot,
    envelope: &Envelope,
    document: &Signed,
) -> Option<String> {
    let Some(bytes) = files.get(name::HANDOVER) else {
        report.gaps.push("there is no handover receipt: the recipient's system may lack it".into());
        return None;
    };
    let outcome = statement::<HandoverReceipt>(bytes, lists, |receipt| receipt.at).and_then(
        |(receipt, owner)| {
            let fits = receipt.kind == HANDOVER_TYPE
                && receipt.exchange == envelope.exchange
                && receipt.sender == envelope.sender
                && receipt.recipient == envelope.recipient
                && receipt.document_digest == envelope.digest
                && receipt.signature_digest == Digest::of(document.signature.as_bytes());
            if !fits || !owner.speaks_for(envelope.recipient.as_str()) {
                return Err("the handover receipt belongs to another document".to_owned());
            }
            let text = match (receipt.disposition, &receipt.reason) {
                (Disposition::Delivered, _) => {
                    format!("{}'s system took it at {}", receipt.recipient, receipt.at)
                }
                (Disposition::Refused, reason) => format!(
                    "{}'s system refused it at {}: {}",
                    receipt.recipient,
                    receipt.at,
                    reason.as_ref().map_or("no reason", |reason| reason.text.as_str())
                ),
            };
            Ok((String::from_utf8_lossy(bytes).into_owned(), text))
        },
    );
    report.note("handover", outcome)
}

fn check_agreement(
    report: &mut Report,
    files: &Files,
    lists: &Snapshot,
    envelope: &Envelope,
    at: Timestamp,
) {
    let name = &envelope.agreement;
    let Some(bytes) = files.get(name::AGREEMENT) else {
        report.gaps.push(format!("the text of agreement {} is not here", name.id));
        return;
    };
    let key = |id: &KeyId| key_at(lists, id, at);
    let outcome = verify_document(bytes, AGREEMENT_TYP, LIST_BYTES_MAX, &key)
        .map_err(|error| error.to_string())
        .and_then(|verified| {
            if verified.digest != name.digest {
                return Err("this is not the agreement that the document names".to_owned());
            }
            let agreement: Agreement = verified.read().map_err(|error| error.to_string())?;
            let Envelope { sender, recipient, code, purpose, .. } = envelope;
            // A signature says its time in whole seconds, cut; the agreement may begin within one.
            let within = at.plus(Duration::from_millis(999));
            if !(agreement.in_force(at) || agreement.in_force(within))
                || !agreement.allows_document(sender, recipient, code)
                || agreement.purpose != *purpose
            {
                return Err(format!(
                    "agreement {} did not let {sender} send `{code}` to {recipient} for the \
                     purpose `{purpose}` at {at}",
                    name.id
                ));
            }
            let owners: Vec<_> = verified.signers.iter().filter_map(KeyId::owner).collect();
            for nation in [sender.instance(), recipient.instance()] {
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

fn check_proofs(
    report: &mut Report,
    files: &Files,
    lists: &Snapshot,
    statements: &BTreeMap<&str, Digest>,
) {
    let nodes: Vec<_> = lists.nations().flat_map(|nation| &nation.list.nodes).collect();
    let verifier = |vkey: &str| karvan_trust::notes::verifier(vkey).ok().map(shared);
    for node in &nodes {
        let Some(log) = node.log.as_ref().and_then(|log| verifier(&log.vkey)) else { continue };
        let foreign: Vec<Arc<dyn Verifier>> = nodes
            .iter()
            .filter(|other| other.id.instance() != node.id.instance())
            .filter_map(|other| other.witness.as_ref().and_then(|witness| verifier(&witness.vkey)))
            .collect();
        let folder = format!("proofs/{}", file_name(&node.id));
        for (kind, statement) in statements {
            let file = format!("{folder}/{kind}.tlog-proof");
            let Some(bytes) = files.get(&file) else {
                report.gaps.push(format!("no proof of {kind} from the log of {}", node.id));
                continue;
            };
            let entry_file = format!("{folder}/{kind}.entry");
            let entry = evidence::leaf(kind, *statement);
            let outcome = if files.text(&entry_file) == Some(&entry) {
                check_proof(kind, &entry, bytes, &*log, &foreign)
            } else {
                Err(format!("{entry_file} is not the entry of this {kind}"))
            };
            if let Some(witnessed) = report.note(&file, outcome)
                && !witnessed
            {
                report.gaps.push(format!("{file} is not cosigned by the other nation yet"));
            }
        }
    }
}

fn shared(verifier: impl Verifier + 'static) -> Arc<dyn Verifier> {
    Arc::new(verifier)
}

fn check_proof(
    kind: &str,
    entry: &str,
    proof: &[u8],
    log: &dyn Verifier,
    foreign: &[Arc<dyn Verifier>],
) -> Result<(bool, String), String> {
    let parsed = ProofFile::parse(proof).map_err(|error| error.to_string())?;
    let witnesses: Vec<&dyn Verifier> = foreign.iter().map(AsRef::as_ref).collect();
    let proven =
        parsed.verify(entry.as_bytes(), log, &witnesses).map_err(|error| error.to_string())?;
    let cosigners: Vec<_> = witnesses
        .iter()
        .filter(|witness| proven.signatures.iter().any(|signature| signature.names(**witness)))
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
