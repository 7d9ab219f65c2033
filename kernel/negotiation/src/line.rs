//! How messages travel to the other side: between nodes, or to any connector on loopback.
//!
//! Between nodes a message goes over mutual TLS and is signed by its member (profile
//! `karvan-sig/1`, tag `karvan-doc/1`): once for its whole life, so that a message that is sent
//! again is the same message, and both nodes log the same bytes.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Response, request};
use karvan_exchange::Node;
use karvan_exchange::network::Boxed;
use karvan_exchange::records::Signed;
use karvan_trust::message::{self, RequestHead, RequestParts, Tag};
use karvan_types::{AgreementRef, Digest, ErrorKind, ExchangeId, NodeId, Timestamp};

use crate::Error;
use crate::identity::{NODE_PREFIX, Participant, member_of};

pub use plain::PlainLine;

mod plain;

/// The path of the protocol below a node's authority.
pub const BASE_PATH: &str = "/dsp/2025-1";
/// What the signature of a message says about its service.
const SERVICE: &str = "dataspace";
/// What it says about its purpose.
const PURPOSE: &str = "negotiation";
/// How long a message may be on its way (30 days).
const LIFE: Duration = Duration::from_hours(30 * 24);
/// Longest salt that is read, in bytes.
const SALT_BYTES_MAX: usize = 64;

/// What is to be signed.
pub struct Draft<'a> {
    /// Who sends.
    pub own: &'a str,
    /// For whom.
    pub peer: &'a str,
    /// The recipient's base.
    pub address: &'a str,
    /// The path below it.
    pub path: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// The agreement that it is about, if there is one.
    pub agreement: Option<&'a AgreementRef>,
    /// When it is made.
    pub now: Timestamp,
}

/// A signature, and the header fields that carry it.
#[derive(Clone, Debug)]
pub struct Seal {
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The evidence.
    pub signed: Signed,
    /// Salt of the log entry.
    pub salt: String,
}

/// A request to the other side.
pub struct Parcel<'a> {
    /// Its base.
    pub address: &'a str,
    /// Method.
    pub method: &'a str,
    /// Path below the base, with a query.
    pub path: &'a str,
    /// The `Authorization` value.
    pub token: &'a str,
    /// Further header fields.
    pub headers: &'a [(String, String)],
    /// The body.
    pub body: Bytes,
}

/// Carries messages, and knows which addresses are whose.
pub trait Line: Send + Sync {
    /// Returns our own base, which peers get as `callbackAddress`.
    fn own_address(&self) -> Result<String, Error>;

    /// Returns the base of a participant, or of a node by its audience, for a first message.
    fn address_of(&self, participant: &str) -> Result<String, Error>;

    /// Checks that an address is the caller's own: nothing is ever sent to any other.
    fn check_address(&self, caller: &Participant, address: &str) -> Result<(), Error>;

    /// Signs a message; `None` when messages of this line have no signature.
    fn seal(&self, draft: &Draft<'_>) -> Result<Option<Seal>, Error>;

    /// Verifies the signature of a received message.
    fn open(
        &self,
        caller: &Participant,
        head: &request::Parts,
        body: &[u8],
    ) -> Result<Option<Seal>, Error>;

    /// Sends a request and reads the whole answer. An error means that there was none.
    fn send<'a>(&'a self, parcel: Parcel<'a>) -> Boxed<'a, Result<Response<Bytes>, Error>>;
}

/// Puts header fields together.
pub(crate) fn header_map(parcel: &Parcel<'_>) -> Result<HeaderMap, Error> {
    let bad = |name: &str| Error::invalid("header", format!("the field {name} cannot be sent"));
    let mut headers = HeaderMap::new();
    let fixed = [("content-type", "application/json"), ("authorization", parcel.token)];
    let own = parcel.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in fixed.into_iter().chain(own) {
        let key: HeaderName = name.parse().map_err(|_| bad(name))?;
        let mut value = HeaderValue::from_str(value).map_err(|_| bad(name))?;
        value.set_sensitive(key == AUTHORIZATION);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Between nodes: mutual TLS, and every message signed by its member.
pub struct NodeLine {
    node: Node,
}

impl NodeLine {
    /// Makes the line of a node.
    pub fn new(node: Node) -> Self {
        Self { node }
    }

    fn base_of(&self, node: &NodeId) -> Result<String, Error> {
        Ok(format!("https://{}{BASE_PATH}", self.node.authority_of(node)?))
    }

    /// Returns the node whose base an address is.
    fn node_at(&self, address: &str) -> Result<NodeId, Error> {
        let (authority, _) = split(address);
        let same = |id: &NodeId| self.node.authority_of(id).is_ok_and(|own| own == authority);
        let known = self.node.all_nodes().into_iter().find(same);
        known.filter(|_| address.starts_with("https://")).ok_or_else(|| {
            let text = format!("`{address}` is not at a listed node; use https://<authority>");
            Error::invalid("callback-address", text)
        })
    }
}

/// Takes an address apart: authority and path.
fn split(address: &str) -> (&str, &str) {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.find('/').map_or((rest, ""), |at| rest.split_at(at))
}

impl Line for NodeLine {
    fn own_address(&self) -> Result<String, Error> {
        self.base_of(self.node.id())
    }

    fn address_of(&self, participant: &str) -> Result<String, Error> {
        if let Some(node) = participant.strip_prefix(NODE_PREFIX).and_then(|id| id.parse().ok()) {
            return self.base_of(&node);
        }
        let member = member_of(participant).ok_or_else(|| {
            let text = format!("`{participant}` is neither a member nor a node; write PK/GOV/…");
            Error::invalid("participant", text)
        })?;
        self.base_of(&self.node.node_of(&member)?)
    }

    fn check_address(&self, caller: &Participant, address: &str) -> Result<(), Error> {
        let own = caller.node.as_ref().map(|node| self.base_of(node)).transpose()?;
        if own.as_deref() == Some(address) {
            return Ok(());
        }
        let text = format!("`{address}` is not the base of the calling node; name its own");
        Err(Error::invalid("callback-address", text))
    }

    fn seal(&self, draft: &Draft<'_>) -> Result<Option<Seal>, Error> {
        let wrong = || Error::invalid("participant", format!("`{}` is no member", draft.own));
        let member = member_of(draft.own).ok_or_else(wrong)?;
        let key = self.node.member_key(&member)?;
        let random: [u8; 10] = self.node.entropy().array();
        let exchange = ExchangeId::new(draft.now, random).to_string();
        let random: [u8; 16] = self.node.entropy().array();
        let salt = base64_text(&random);
        let none = AgreementRef { id: "none".to_owned(), version: 0, digest: Digest::default() };
        let agreement = draft.agreement.unwrap_or(&none).to_string();
        let digest = message::content_digest(Digest::of(draft.body));
        let service = format!(
            "{}/{SERVICE}",
            member_of(draft.peer).map_or_else(String::new, |m| m.to_string())
        );
        let document = format!("salt=\"{salt}\"");
        let (authority, base) = split(draft.address);
        let path = format!("{base}{}", draft.path);
        let parts = RequestParts {
            method: "POST",
            authority,
            path: &path,
            query: None,
            content_type: "application/json",
            content_digest: &digest,
            exchange_id: &exchange,
            agreement: &agreement,
            client: member.as_str(),
            service: &service,
            document: Some(&document),
            consent: None,
            call: None,
            purpose: PURPOSE,
        };
        let signed =
            message::sign_request(&parts, Tag::Document, draft.now, LIFE, &key, self.node.keys());
        let signed = Signed::from(signed.map_err(|error| {
            Error::new(error.kind(), "signing-failed", format!("cannot sign: {error}"))
        })?);
        let headers = [
            ("content-digest", digest.as_str()),
            ("karvan-exchange-id", &exchange),
            ("karvan-agreement", &agreement),
            ("karvan-client", member.as_str()),
            ("karvan-service", &service),
            ("karvan-document", &document),
            ("karvan-purpose", PURPOSE),
            ("signature-input", &signed.signature_input),
            ("signature", &signed.signature),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Ok(Some(Seal { headers, signed, salt }))
    }

    fn open(
        &self,
        caller: &Participant,
        head: &request::Parts,
        body: &[u8],
    ) -> Result<Option<Seal>, Error> {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let received = RequestHead {
            method: head.method.as_str(),
            authority: host,
            path: head.uri.path(),
            query: head.uri.query(),
            headers: &head.headers,
        };
        let own = self.node.authority_of(self.node.id())?;
        let lists = self.node.lists();
        let refuse = |refusal: &message::Refusal| {
            Error::new(ErrorKind::Unauthenticated, refusal.code(), refusal.to_string())
        };
        let verified = message::verify_request(&received, &own, &*lists, self.node.now());
        let verified = verified.map_err(|refusal| refuse(&refusal))?;
        verified.check_body(Digest::of(body)).map_err(|refusal| refuse(&refusal))?;
        if member_of(&caller.id).as_ref() != Some(&verified.client) || verified.tag != Tag::Document
        {
            let text = format!("signed by {}, but {} must sign", verified.client, caller.id);
            return Err(Error::new(ErrorKind::Unauthenticated, "owner-mismatch", text));
        }
        let document = verified.document.as_deref().unwrap_or_default();
        let salt = document.strip_prefix("salt=\"").and_then(|rest| rest.strip_suffix('"'));
        let salt = salt.filter(|salt| (1..=SALT_BYTES_MAX).contains(&salt.len()));
        let salt = salt.ok_or_else(|| {
            let text = "karvan-document must be salt=\"…\" with 1 to 64 characters";
            Error::invalid("field-malformed", text)
        })?;
        let salt = salt.to_owned();
        Ok(Some(Seal { headers: Vec::new(), signed: Signed::from(verified.signed), salt }))
    }

    fn send<'a>(&'a self, parcel: Parcel<'a>) -> Boxed<'a, Result<Response<Bytes>, Error>> {
        Box::pin(async move {
            let node = self.node_at(parcel.address)?;
            let headers = header_map(&parcel)?;
            let path = format!("{}{}", split(parcel.address).1, parcel.path);
            Ok(self.node.ask(&node, parcel.method, &path, &headers, parcel.body).await?)
        })
    }
}

pub(crate) fn base64_text(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns whether a header says that the body is JSON; peers may leave it out.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_none_or(|kind| kind.starts_with("application/json") || kind.contains("+json"))
}
