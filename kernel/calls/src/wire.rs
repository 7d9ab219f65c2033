//! Calls as signed HTTP messages between nodes, and back.
//!
//! A call travels as the agency made it: its method, raw path and query, and every header that the
//! protocol passes on, in their order but for fields of one name, which the HTTP library puts
//! together where the first of them stood (RFC 9110, section 5.3, allows it). Beside them stand the
//! fields of profile `karvan-sig/1`. A field of the agency's own that has the name of one of those
//! travels with the prefix `karvan-agency-`, and gets its name back at the other end.
//!
//! `Karvan-Call` is a dictionary (RFC 9651): `size`, the length of the body; `head`, the SHA-256 of
//! the head as X-Road serialises it, so that the signature covers every header; `salt`, of the log
//! entry, in requests; `typeless`, when `Content-Type` is the profile's and not the agency's.
//!
//! A refusal has no `Karvan-Call`: it is a problem (RFC 9457), signed by the node. An answer is
//! signed by the provider's member, so nobody can pass one off as the other. Since an answer to
//! `HEAD` has no body, the problem is then the field: `refusal=:base64:`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use karvan_subsystem::Rejection;
use karvan_trust::keys::KeyId;
use karvan_trust::message::{self, RequestParts, ResponseParts, SignedHead, Tag, Unsigned, header};
use karvan_types::{Digest, ErrorKind, Timestamp};
use karvan_xroad::header::FILTERED;

pub(crate) use refusal::{Cause, EXCHANGE, Limit, Refusal};

mod refusal;

/// What an agency's field gets before its name when a node's field has that name.
const PREFIX: &str = "karvan-agency-";
/// Names of the nodes' own fields beside all that begin with `karvan-`.
const SIGNATURE_FIELDS: [&str; 3] = ["content-digest", "signature", "signature-input"];
/// The type that the profile wants covered when the agency names none.
const NO_TYPE: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Bytes of base64 of a salt of 16 bytes.
const SALT_BYTES: usize = 22;
/// Longest content type that the profile covers, in bytes.
const TYPE_BYTES_MAX: usize = 4096;

/// Most header fields of a request or answer; the nodes' own come on top, and a listener of peers
/// takes 100.
pub(crate) const HEADERS_MAX: usize = 80;
/// Most bytes of all header fields of a request or answer (32 KiB).
pub(crate) const HEADERS_BYTES_MAX: usize = 32 * 1024;

/// Refuses header fields that are too many or too long to be carried.
pub(crate) fn check_size(headers: &HeaderMap) -> Result<(), Rejection> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if headers.len() <= HEADERS_MAX && bytes <= HEADERS_BYTES_MAX {
        return Ok(());
    }
    let text = format!(
        "{} header fields of {bytes} bytes; at most {HEADERS_MAX} of {HEADERS_BYTES_MAX} bytes in \
         all are carried",
        headers.len()
    );
    Err(Rejection::new(ErrorKind::TooLarge, "headers-too-long", text))
}

/// What `Karvan-Call` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct CallField<'a> {
    /// Length of the body in bytes.
    pub(crate) size: u64,
    /// SHA-256 of the serialised head.
    pub(crate) head: Digest,
    /// Salt of the log entry; in requests.
    pub(crate) salt: Option<&'a str>,
    /// Whether `Content-Type` was put there for the signature.
    pub(crate) typeless: bool,
}

impl<'a> CallField<'a> {
    /// Writes the field in its one spelling.
    pub(crate) fn write(&self) -> String {
        let mut text = String::with_capacity(128);
        text.push_str("size=");
        text.push_str(&self.size.to_string());
        text.push_str(", head=:");
        STANDARD.encode_string(self.head.as_bytes(), &mut text);
        text.push(':');
        if let Some(salt) = self.salt {
            text.extend([", salt=\"", salt, "\""]);
        }
        if self.typeless {
            text.push_str(", typeless");
        }
        text
    }

    /// Reads the field.
    pub(crate) fn read(text: &'a str) -> Result<Self, Rejection> {
        let read = || {
            let rest = text.strip_prefix("size=")?;
            let (size, rest) = rest.split_once(", head=:")?;
            let (head, rest) = rest.split_once(':')?;
            let (rest, typeless) = match rest.strip_suffix(", typeless") {
                Some(rest) => (rest, true),
                None => (rest, false),
            };
            let salt = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(", salt=\"")?.strip_suffix('"')?),
            };
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            if salt.is_some_and(|salt| salt.len() != SALT_BYTES || !salt.bytes().all(plain)) {
                return None;
            }
            let field = Self {
                size: size.parse().ok()?,
                head: Digest::parse_base64(head).ok()?,
                salt,
                typeless,
            };
            (field.write() == text).then_some(field)
        };
        read().ok_or_else(|| {
            let rule = "karvan-call must be size=N, head=:sha256:, salt=\"text\" (in requests), \
                        typeless (when the agency names no content type)";
            Rejection::new(ErrorKind::Invalid, "field-malformed", rule)
        })
    }
}

/// The header fields of a message between nodes, while it is being made.
pub(crate) struct Outgoing {
    /// What is sent.
    pub(crate) headers: HeaderMap,
    /// Whether the content type is the profile's.
    pub(crate) typeless: bool,
}

impl Outgoing {
    /// Takes the fields that an agency's message carries on; `passes` says which.
    pub(crate) fn new(from: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> Self {
        let mut headers = HeaderMap::with_capacity(from.len() + 16);
        let mut types = from.get_all(CONTENT_TYPE).iter();
        // One that the signature cannot cover goes as any other field.
        let coverable = match (types.next(), types.next()) {
            (Some(kind), None) => is_coverable(kind),
            _ => false,
        };
        for (name, value) in from.iter().filter(|(name, _)| passes(name)) {
            let name = if is_ours(name.as_str()) || (!coverable && *name == CONTENT_TYPE) {
                prefixed(name)
            } else {
                name.clone()
            };
            headers.append(name, value.clone());
        }
        if !coverable {
            headers.append(CONTENT_TYPE, NO_TYPE);
        }
        Self { headers, typeless: !coverable }
    }

    /// Adds a field that this node says in the name of the protocol.
    pub(crate) fn add(&mut self, name: &'static str, value: &str) -> Result<(), Rejection> {
        self.headers.append(HeaderName::from_static(name), field_value(value)?);
        Ok(())
    }

    /// Puts in a field of the signature profile.
    pub(crate) fn put(&mut self, name: &HeaderName, value: &str) -> Result<(), Rejection> {
        self.headers.insert(name, field_value(value)?);
        Ok(())
    }

    /// Starts a message of a node's own.
    pub(crate) fn of_type(kind: &'static str) -> Self {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { headers, typeless: false }
    }

    /// Returns the content type that the signature covers.
    pub(crate) fn content_type(&self) -> &str {
        let value = self.headers.get(CONTENT_TYPE);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Writes the base of the message as an answer and puts the fields that it covers in.
    pub(crate) fn write_answer(
        &mut self,
        answer: &Answer<'_>,
        now: Timestamp,
        by: (KeyId, bool),
    ) -> Result<Unsigned, Rejection> {
        let digest = message::content_digest(answer.digest);
        let parts = ResponseParts {
            status: answer.status.as_str(),
            content_type: self.content_type(),
            content_digest: &digest,
            exchange_id: answer.exchange,
            call: answer.call,
            request_signature: answer.request_signature,
        };
        let written = message::write_response(&parts, now, by).map_err(|error| unsigned(&error))?;
        self.put(&header::CONTENT_DIGEST, &digest)?;
        self.put(&header::EXCHANGE_ID, answer.exchange)?;
        if let Some(call) = answer.call {
            self.put(&header::CALL, call)?;
        }
        Ok(written)
    }

    /// Writes the base of the message as a request and puts the fields that it covers in.
    pub(crate) fn write_request(
        &mut self,
        parts: &RequestParts<'_>,
        now: Timestamp,
        by: (KeyId, bool),
    ) -> Result<Unsigned, Rejection> {
        let lifetime = Tag::Request.lifetime_max();
        let covered = RequestParts { content_type: self.content_type(), ..*parts };
        let written = message::write_request(&covered, Tag::Request, now, lifetime, by)
            .map_err(|error| unsigned(&error))?;
        self.put(&HOST, parts.authority)?;
        self.put(&header::CONTENT_DIGEST, parts.content_digest)?;
        self.put(&header::EXCHANGE_ID, parts.exchange_id)?;
        self.put(&header::AGREEMENT, parts.agreement)?;
        self.put(&header::CLIENT, parts.client)?;
        self.put(&header::SERVICE, parts.service)?;
        if let Some(call) = parts.call {
            self.put(&header::CALL, call)?;
        }
        self.put(&header::PURPOSE, parts.purpose)?;
        Ok(written)
    }

    /// Puts the signature in.
    pub(crate) fn put_signature(&mut self, signed: &SignedHead) -> Result<(), Rejection> {
        self.put(&header::SIGNATURE_INPUT, &signed.signature_input)?;
        self.put(&header::SIGNATURE, &signed.signature)
    }
}

/// What an answer's signature covers beside its content type.
pub(crate) struct Answer<'a> {
    /// Status.
    pub(crate) status: StatusCode,
    /// Digest of the body.
    pub(crate) digest: Digest,
    /// The exchange.
    pub(crate) exchange: &'a str,
    /// `Karvan-Call`.
    pub(crate) call: Option<&'a str>,
    /// The request's `Signature` field, when it has a readable one.
    pub(crate) request_signature: Option<&'a str>,
}

pub(crate) fn unsigned(error: &karvan_trust::Error) -> Rejection {
    let text = format!("this node cannot sign: {error}");
    // What the profile cannot cover is the sender's to change; all else is this node's trouble.
    let code = if error.kind() == ErrorKind::Invalid { "not-coverable" } else { "signing-failed" };
    Rejection::new(error.kind(), code, text)
}

/// Makes a field's value of a text that holds none of the forbidden bytes.
pub(crate) fn field_value(text: &str) -> Result<HeaderValue, Rejection> {
    HeaderValue::from_str(text).map_err(|_| {
        let text = "a header value holds control characters; leave them out";
        Rejection::new(ErrorKind::Invalid, "field-malformed", text)
    })
}

fn is_coverable(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    let inside = bytes.iter().all(|b| matches!(b, b' '..=b'~'));
    inside && !bytes.is_empty() && bytes.trim_ascii() == bytes && bytes.len() <= TYPE_BYTES_MAX
}

/// Returns whether a field between nodes is the nodes' own; also true of prefixed names, which get
/// a second prefix.
fn is_ours(name: &str) -> bool {
    name.starts_with("karvan-") || SIGNATURE_FIELDS.contains(&name)
}

fn prefixed(name: &HeaderName) -> HeaderName {
    let name = HeaderName::try_from(format!("{PREFIX}{name}"));
    // A name with letters before it is a name.
    name.unwrap_or(CONTENT_LENGTH)
}

/// A field of an agency as it came from the other node.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its value.
    pub(crate) value: &'a HeaderValue,
    travelled_as: &'a HeaderName,
}

impl Field<'_> {
    /// Adds it to the message that the agency's system gets.
    pub(crate) fn hand_on(self, headers: &mut HeaderMap) {
        let name = if self.travelled_as.as_str() == self.name {
            Ok(self.travelled_as.clone())
        } else {
            HeaderName::from_bytes(self.name.as_bytes())
        };
        // What is left of a name without its prefix may be no name: nobody sent such a field.
        if let Ok(name) = name {
            headers.append(name, self.value.clone());
        }
    }
}

/// Returns the agency's own fields in a message between nodes, in their order.
pub(crate) fn carried(headers: &HeaderMap, typeless: bool) -> impl Iterator<Item = Field<'_>> {
    headers.iter().filter_map(move |(travelled_as, value)| {
        let name = travelled_as.as_str();
        if let Some(name) = name.strip_prefix(PREFIX) {
            return Some(Field { name, value, travelled_as });
        }
        let stays = is_ours(name)
            || FILTERED.contains(&name)
            || (typeless && *travelled_as == CONTENT_TYPE);
        (!stays).then_some(Field { name, value, travelled_as })
    })
}

/// Returns names and values as `karvan_xroad` takes them.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// Returns the text that is kept of a serialised head.
pub(crate) fn kept_head(head: Vec<u8>) -> String {
    String::from_utf8(head)
        .unwrap_or_else(|error| format!("base64:{}", STANDARD.encode(error.as_bytes())))
}

/// Returns the value of a field that must be text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests;
