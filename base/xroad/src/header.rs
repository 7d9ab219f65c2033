//! Headers: which are read, which are removed and which are added, in both directions
//! (PR-REST 4.3 and 4.4).
//!
//! Names are compared without regard to case. Values are bytes; headers stay in the order in which
//! the caller gives them, duplicates included. Where a header of the protocol is repeated its last
//! value counts.
//!
//! Unlike X-Road, an answer loses `X-Road-Service` and `X-Road-Error` too when the provider set
//! them: otherwise a provider could pass its answer off as one by the exchange.

use crate::Error;
use crate::id::{self, ClientId, RepresentedParty, SecurityServerId};

/// Who calls; every request has it.
pub const CLIENT: &str = "x-road-client";
/// The id of the message, by the consumer or, when it gave none, by its node.
pub const ID: &str = "x-road-id";
/// The official or citizen who acts; opaque.
pub const USER_ID: &str = "x-road-userid";
/// The case that the call belongs to; opaque.
pub const ISSUE: &str = "x-road-issue";
/// The security server that the consumer wants.
pub const SECURITY_SERVER: &str = "x-road-security-server";
/// Who the consumer acts for.
pub const REPRESENTED_PARTY: &str = "x-road-represented-party";
/// The service, in answers.
pub const SERVICE: &str = "x-road-service";
/// The id that the node gives to each request.
pub const REQUEST_ID: &str = "x-road-request-id";
/// The hash of the request, in answers.
pub const REQUEST_HASH: &str = "x-road-request-hash";
/// The error code; present when the exchange answers and not the provider.
pub const ERROR: &str = "x-road-error";

/// Headers that belong to one connection or would tell of the software behind it: they pass in
/// neither direction.
pub const FILTERED: [&str; 13] = [
    "transfer-encoding",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "upgrade",
    "connection",
    "user-agent",
    "host",
    "content-length",
    "server",
    "expect",
];

/// What the exchange reads in a request.
pub(crate) const READ: [&str; 6] = [CLIENT, ID, USER_ID, ISSUE, SECURITY_SERVER, REPRESENTED_PARTY];

/// What only a node may say in a request.
const NOT_FROM_CONSUMER: [&str; 2] = [REQUEST_ID, REQUEST_HASH];

/// What only a node may say in an answer.
const NOT_FROM_PROVIDER: [&str; 6] = [ID, CLIENT, REQUEST_ID, REQUEST_HASH, SERVICE, ERROR];

/// Returns whether a header of a consumer's request is passed on.
pub fn passes_in_request(name: &str) -> bool {
    !is_one_of(name, &FILTERED) && !is_one_of(name, &NOT_FROM_CONSUMER)
}

/// Returns whether a header of a provider's answer is passed on.
pub fn passes_in_response(name: &str) -> bool {
    !is_one_of(name, &FILTERED) && !is_one_of(name, &NOT_FROM_PROVIDER)
}

fn is_one_of(name: &str, list: &[&str]) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// What the headers of a request say to the exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestHeaders<'a> {
    /// Who calls.
    pub client: ClientId<'a>,
    /// The message id, when the consumer gave one.
    pub message_id: Option<&'a str>,
    /// The acting user, as the consumer names him.
    pub user_id: Option<&'a str>,
    /// The case, as the consumer names it.
    pub issue: Option<&'a str>,
    /// The wanted security server.
    pub security_server: Option<SecurityServerId<'a>>,
    /// Who the consumer acts for.
    pub represented_party: Option<RepresentedParty<'a>>,
}

impl<'a> RequestHeaders<'a> {
    /// Reads the headers of a request in one pass.
    pub fn read(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, Error> {
        const CLIENT_RULE: &str = "set it to instance/class/member/subsystem of the caller";
        let mut last: [Option<&'a [u8]>; READ.len()] = [None; READ.len()];
        for (name, value) in headers {
            for (known, place) in READ.iter().zip(&mut last) {
                if known.eq_ignore_ascii_case(name) {
                    *place = Some(value);
                }
            }
        }
        let [client, id, user_id, issue, server, party] = last;
        let absent = Error::MissingHeader { name: "X-Road-Client", rule: CLIENT_RULE };
        Ok(Self {
            client: ClientId::parse(client.ok_or(absent)?)?,
            message_id: id.map(id::message_id).transpose()?,
            user_id: user_id.map(|it| id::remark("the header X-Road-UserId", it)).transpose()?,
            issue: issue.map(|it| id::remark("the header X-Road-Issue", it)).transpose()?,
            security_server: server.map(SecurityServerId::parse).transpose()?,
            represented_party: party.map(RepresentedParty::parse).transpose()?,
        })
    }
}

/// What the consumer's node adds to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestAdditions<'a> {
    /// A new UUID.
    pub request_id: &'a str,
    /// The message id that the node made because the consumer gave none.
    pub message_id: Option<&'a str>,
}

impl<'a> RequestAdditions<'a> {
    /// Returns the headers in the order in which they are added, after all others.
    pub fn headers(self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let id = self.message_id.map(|id| (ID, id));
        std::iter::once((REQUEST_ID, self.request_id)).chain(id)
    }
}

/// What the provider's node adds to an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseAdditions<'a> {
    /// The message id of the request, given or made.
    pub message_id: &'a str,
    /// Who called, as `ClientId` displays itself.
    pub client: &'a str,
    /// What was called, as `ServiceId` displays itself.
    pub service: &'a str,
    /// The UUID that the consumer's node gave to the request.
    pub request_id: &'a str,
    /// The hash of the request (`crate::head::request_hash`).
    pub request_hash: &'a str,
}

impl<'a> ResponseAdditions<'a> {
    /// Returns the headers in the order in which they are added, after all others.
    pub const fn headers(self) -> [(&'static str, &'a str); 5] {
        [
            (ID, self.message_id),
            (CLIENT, self.client),
            (SERVICE, self.service),
            (REQUEST_ID, self.request_id),
            (REQUEST_HASH, self.request_hash),
        ]
    }
}
