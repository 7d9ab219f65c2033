//! Evidence bundles of calls: everything that proves one call to somebody who trusts neither
//! operator, also when it was refused or its answer is not known.
//!
//! The archive is the one of documents (`karvan_exchange::bundle`) with other files: both signed
//! messages with their heads, the node's account of the call, root, lists, agreement, and the
//! proofs of the one entry that both logs have. Bodies are not kept, so none is in it; their
//! digests are, and whoever has a body gives it to the verification.
//!
//! Invariant: any changed byte is found, and the finding names the file.
//!
//! Not here: verification ([`verify`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_exchange::Node;
use karvan_exchange::bundle::{Files, name};
use karvan_exchange::records::LeafRef;
use karvan_subsystem::Rejection;
use karvan_trust::message::{Parts, parse_base};
use karvan_types::{AgreementRef, ErrorKind, MemberId, json};
use karvan_xroad::ServiceId;

use crate::evidence;
use crate::records::{Call, Half, Outcome};

pub mod verify;

/// The format's name.
pub const FORMAT: &str = "karvan-call-bundle/1";

/// The node's account of the call: its row without the messages.
const ACCOUNT: &str = "call.json";
/// What a node says when it refuses (RFC 9457); the refusal's signature covers its digest.
const PROBLEM: &str = "answer/problem.json";
const REQUEST: Message = Message {
    base: "request/base.txt",
    signature: "request/signature.txt",
    head: "request/head.txt",
};
const ANSWER: Message =
    Message { base: "answer/base.txt", signature: "answer/signature.txt", head: "answer/head.txt" };
/// Stands before a kept head that is no UTF-8.
const BASE64: &str = "base64:";

/// The files of one signed message.
struct Message {
    base: &'static str,
    signature: &'static str,
    head: &'static str,
}

/// Makes the bundle of a call that has ended, from what is here and what the other node's log
/// proves.
pub async fn make(node: &Node, call: &Call) -> Result<Vec<u8>, Rejection> {
    let damaged = |error: &dyn std::fmt::Display| {
        let text = format!("the stored call {} cannot be read: {error}", call.exchange);
        Rejection::new(ErrorKind::Storage, "storage", text)
    };
    let mut files = Files::default();
    let provider = provider(&call.service).map_err(|error| damaged(&error))?;
    let agreement = call.request.as_ref().and_then(agreement_of);
    node.add_trust(&mut files, [&call.client, &provider], agreement.as_ref())?;
    if let Some(request) = &call.request {
        add_message(&mut files, &REQUEST, request, REQUEST.head);
    }
    if let Some(response) = &call.response {
        let refused = call.outcome == Outcome::Refused;
        add_message(&mut files, &ANSWER, response, if refused { PROBLEM } else { ANSWER.head });
    }
    let account = Call { request: None, response: None, ..call.clone() };
    files.add(ACCOUNT, json::canonical(&account).map_err(|error| damaged(&error))?);
    let kind = call.outcome.kind().to_owned();
    let leaf = LeafRef { kind, index: call.entry, entry: evidence::entry(call) };
    // A request that was refused before it was signed is in this node's log only.
    let other = if call.request.is_some() { &call.peer } else { node.id() };
    node.add_proofs(&mut files, call.exchange, other, &leaf).await;
    files.add(name::README, include_str!("bundle/readme.txt"));
    node.seal_bundle(files, FORMAT, call.exchange)
}

fn add_message(files: &mut Files, names: &Message, half: &Half, head: &str) {
    files.add(names.base, half.base.as_str());
    files.add(names.signature, half.signature.as_str());
    let encoded = half.head.strip_prefix(BASE64);
    match encoded.and_then(|encoded| STANDARD.decode(encoded).ok()) {
        Some(bytes) => files.add(head, bytes),
        None if half.head.is_empty() => {}
        None => files.add(head, half.head.as_str()),
    }
}

/// Returns the agreement that a request names.
fn agreement_of(request: &Half) -> Option<AgreementRef> {
    match parse_base(&request.base).ok()?.parts {
        Parts::Request(parts) => parts.agreement.parse().ok(),
        Parts::Response(_) => None,
    }
}

/// Returns who provides a service.
pub(crate) fn provider(service: &str) -> Result<MemberId, karvan_xroad::Error> {
    ServiceId::parse(service.as_bytes())?.provider().to_member()
}
