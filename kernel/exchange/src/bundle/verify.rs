//! Verification of a document's bundle, offline: public keys in, plain words out.
//!
//! Not here: what every bundle is checked for ([`super::check`]).

use std::collections::BTreeMap;

use karvan_trust::message::{self, Parts};
use karvan_types::{Digest, MemberId};

use super::check::{Deed, Log, Message, Opened, agreement, message as signed_message, statement};
use super::{FORMAT, check, name};
use crate::evidence;
use crate::handover::{Disposition, HANDOVER_TYPE, HandoverReceipt};
use crate::records::{Envelope, Signed};
use crate::wire;

pub use super::check::{Finding, Report};

/// Verifies a bundle. `root` is the federation root from outside, as the signed document;
/// `document` is the document itself when it is too large for the bundle.
pub fn verify(bundle: &[u8], root: Option<&[u8]>, document: Option<&[u8]>) -> Report {
    let mut report = Report::default();
    let Some(opened) = check::open(&mut report, bundle, root, FORMAT) else { return report };
    let Some((envelope, message)) = check_document(&mut report, &opened, document) else {
        return report;
    };
    check_agreement(&mut report, &opened, &envelope, &message);
    let signed = message.signed;
    let mut statements = BTreeMap::new();
    let salt = &envelope.salt;
    statements.insert(evidence::SUBMISSION, evidence::message_statement(salt, &signed));
    if let Some(relay) = check_relay(&mut report, &opened, &envelope, &signed) {
        statements.insert(evidence::RELAY, evidence::message_statement(salt, &relay));
    }
    if let Some(jws) = check_handover(&mut report, &opened, &envelope, &signed) {
        statements.insert(evidence::HANDOVER, evidence::document_statement(salt, &jws));
    }
    let parties = [&envelope.sender, &envelope.recipient].map(MemberId::instance);
    let logs = Log::all(&opened.lists);
    for log in logs.iter().filter(|log| parties.contains(&log.node.instance())) {
        for (kind, statement) in &statements {
            if !log.check(&mut report, &opened.files, kind, *statement) {
                report.gaps.push(format!("no proof of {kind} from the log of {}", log.node));
            }
        }
    }
    report
}

fn check_document(
    report: &mut Report,
    opened: &Opened,
    document: Option<&[u8]>,
) -> Option<(Envelope, Message)> {
    let outcome =
        signed_message(opened, name::DOCUMENT_BASE, name::DOCUMENT_SIGNATURE).and_then(|message| {
            let Message { signed, owner, at } = &message;
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
            Ok(((envelope, message), text))
        });
    let (envelope, message) = report.note("document", outcome)?;
    match opened.files.get(name::DOCUMENT_BODY).or(document) {
        Some(body) if Digest::of(body) == envelope.digest => {
            report.good(name::DOCUMENT_BODY, "the document is the one that was signed");
        }
        Some(_) => report.bad(name::DOCUMENT_BODY, "the document is not the one that was signed"),
        None => report.gaps.push("the document itself is not here; give it with --document".into()),
    }
    Some((envelope, message))
}

fn check_agreement(report: &mut Report, opened: &Opened, envelope: &Envelope, document: &Message) {
    let Envelope { sender, recipient, code, .. } = envelope;
    let deed = Deed {
        agreement: &envelope.agreement,
        client: sender,
        provider: recipient,
        purpose: &envelope.purpose,
        at: document.at,
        what: format!("send `{code}` to"),
    };
    agreement(report, opened, &deed, |text| text.allows_document(sender, recipient, code));
}

fn check_relay(
    report: &mut Report,
    opened: &Opened,
    envelope: &Envelope,
    document: &Signed,
) -> Option<Signed> {
    if opened.files.get(name::RELAY_BASE).is_none() {
        report.gaps.push("there is no relay receipt: the receiving node may not have it".into());
        return None;
    }
    let outcome = signed_message(opened, name::RELAY_BASE, name::RELAY_SIGNATURE).and_then(
        |Message { signed, owner, at }| {
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
            let body = opened.files.get(name::RELAY_BODY).ok_or("relay/body.json is missing")?;
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
    opened: &Opened,
    envelope: &Envelope,
    document: &Signed,
) -> Option<String> {
    let Some(bytes) = opened.files.get(name::HANDOVER) else {
        report.gaps.push("there is no handover receipt: the recipient's system may lack it".into());
        return None;
    };
    let outcome = statement::<HandoverReceipt>(bytes, &opened.lists, |receipt| receipt.at)
        .and_then(|(receipt, owner)| {
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
        });
    report.note("handover", outcome)
}
