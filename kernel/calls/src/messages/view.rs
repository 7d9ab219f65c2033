//! A call as it is told on the local interface: the fields of X-Road's operational monitoring, and
//! how far its evidence has come.

use karvan_exchange::Node;
use karvan_subsystem::Rejection;
use karvan_trust::message::{Parts, parse_base};
use karvan_types::{ExchangeId, MemberId, NodeId, Timestamp};
use karvan_xroad::header;
use serde::Serialize;

use super::{Known, Part, Stand};
use crate::bundle::verify::value;
use crate::evidence::Side;
use crate::records::{Call, Half};
use crate::wire::CallField;

/// A call.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct View<'a> {
    exchange: ExchangeId,
    message: &'a str,
    side: Part,
    state: Stand,
    client: &'a MemberId,
    service: &'a str,
    peer: &'a NodeId,
    began_at: Timestamp,
    /// Nothing while it is being answered.
    ended_at: Option<Timestamp>,
    milliseconds: Option<u64>,
    status: Option<u16>,
    cause: Option<&'a Rejection>,
    #[serde(flatten)]
    request: Option<Asked<'a>>,
    response_size: Option<u64>,
    evidence: Option<Evidence>,
    #[serde(flatten)]
    details: Option<Details<'a>>,
}

/// What the signed request says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    agreement: &'a str,
    purpose: &'a str,
    request_size: Option<u64>,
}

/// How far the log entry has come.
#[derive(Serialize)]
struct Evidence {
    kind: &'static str,
    index: u64,
    state: &'static str,
}

/// What is told of a single call only.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Details<'a> {
    query: Option<&'a str>,
    user_id: Option<&'a str>,
    issue: Option<&'a str>,
    represented_party: Option<&'a str>,
    request_digest: Option<&'a str>,
    response_digest: Option<&'a str>,
    request_signed_by: Option<String>,
    response_signed_by: Option<String>,
}

impl<'a> View<'a> {
    /// Tells of a call.
    pub(super) fn of(node: &Node, known: &'a Known) -> Self {
        let Known { call, side, stand } = known;
        let ended = *stand != Stand::Open;
        let state = |index| node.entry_state(index);
        let kind = call.outcome.kind();
        Self {
            exchange: call.exchange,
            message: &call.message,
            side: match side {
                Side::Client => Part::Client,
                Side::Provider => Part::Provider,
            },
            state: *stand,
            client: &call.client,
            service: &call.service,
            peer: &call.peer,
            began_at: call.began_at,
            ended_at: ended.then_some(call.ended_at),
            milliseconds: ended.then(|| milliseconds(call)),
            status: call.status,
            cause: call.cause.as_ref(),
            request: call.request.as_ref().and_then(Asked::of),
            response_size: call.response.as_ref().and_then(response_size),
            evidence: ended.then(|| Evidence { kind, index: call.entry, state: state(call.entry) }),
            details: None,
        }
    }

    /// Adds what is told of a single call only.
    pub(super) fn detailed(self, known: &'a Known) -> Self {
        let [request, response] = [&known.call.request, &known.call.response];
        let head = request.as_ref().map(|half| half.head.as_str()).unwrap_or_default();
        let value = |name| std::str::from_utf8(value(head.as_bytes(), name)?).ok();
        let details = Details {
            query: request.as_ref().and_then(|half| match parse_base(&half.base).ok()?.parts {
                Parts::Request(parts) => parts.query,
                Parts::Response(_) => None,
            }),
            user_id: value(header::USER_ID),
            issue: value(header::ISSUE),
            represented_party: value(header::REPRESENTED_PARTY),
            request_digest: request.as_ref().and_then(digest),
            response_digest: response.as_ref().and_then(digest),
            request_signed_by: request.as_ref().and_then(signer),
            response_signed_by: response.as_ref().and_then(signer),
        };
        Self { details: Some(details), ..self }
    }
}

impl<'a> Asked<'a> {
    fn of(half: &'a Half) -> Option<Self> {
        let Parts::Request(parts) = parse_base(&half.base).ok()?.parts else { return None };
        Some(Self {
            method: parts.method,
            path: parts.path,
            agreement: parts.agreement,
            purpose: parts.purpose,
            request_size: size(parts.call),
        })
    }
}

fn milliseconds(call: &Call) -> u64 {
    u64::try_from(call.ended_at.since(call.began_at).as_millis()).unwrap_or(u64::MAX)
}

fn size(field: Option<&str>) -> Option<u64> {
    Some(CallField::read(field?).ok()?.size)
}

fn response_size(half: &Half) -> Option<u64> {
    match parse_base(&half.base).ok()?.parts {
        Parts::Response(parts) => size(parts.call),
        Parts::Request(_) => None,
    }
}

fn digest(half: &Half) -> Option<&str> {
    Some(match parse_base(&half.base).ok()?.parts {
        Parts::Request(parts) => parts.content_digest,
        Parts::Response(parts) => parts.content_digest,
    })
}

fn signer(half: &Half) -> Option<String> {
    Some(parse_base(&half.base).ok()?.params.key.to_string())
}
