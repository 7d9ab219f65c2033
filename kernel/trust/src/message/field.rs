//! The header fields of a signed message: strict reading, one spelling each.
//!
//! The fields are structured fields (RFC 9651), but the profile allows one label, four parameters
//! and one digest, in the one spelling a serializer gives. So they are compared and cut, never
//! parsed into trees, and what is signed is the text that was received.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName};
use karvan_types::{Digest, Timestamp};

use crate::keys::KeyId;
use crate::message::{LABEL, Refusal, Tag, batch};

/// Longest value of one covered component, in bytes.
pub(super) const FIELD_BYTES_MAX: usize = 4096;
/// Longest `Signature-Input`, in bytes.
const SIGNATURE_INPUT_BYTES_MAX: usize = 1024;

/// Names of the fields of a signed message, ready for a header map.
pub mod header {
    use http::HeaderName;

    /// RFC 9530, section 2.
    pub static CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
    /// RFC 9421, section 4.1.
    pub static SIGNATURE_INPUT: HeaderName = HeaderName::from_static("signature-input");
    /// RFC 9421, section 4.2.
    pub static SIGNATURE: HeaderName = HeaderName::from_static("signature");
    /// The exchange, a UUID of version 7.
    pub static EXCHANGE_ID: HeaderName = HeaderName::from_static("karvan-exchange-id");
    /// The agreement: `id;version;sha256`.
    pub static AGREEMENT: HeaderName = HeaderName::from_static("karvan-agreement");
    /// In whose name the request is made.
    pub static CLIENT: HeaderName = HeaderName::from_static("karvan-client");
    /// What is called.
    pub static SERVICE: HeaderName = HeaderName::from_static("karvan-service");
    /// The document, in store-and-forward messages.
    pub static DOCUMENT: HeaderName = HeaderName::from_static("karvan-document");
    /// What binds the head of an agency's request, or of the answer to it, in calls.
    pub static CALL: HeaderName = HeaderName::from_static("karvan-call");
    /// The consent that is used.
    pub static CONSENT: HeaderName = HeaderName::from_static("karvan-consent");
    /// The purpose, a code of the agreement.
    pub static PURPOSE: HeaderName = HeaderName::from_static("karvan-purpose");
}

/// Returns the value of `Content-Digest` for a body's digest (RFC 9530, section 2).
pub fn content_digest(digest: Digest) -> String {
    format!("sha-256=:{}:", digest.to_base64())
}

/// Reads a `Content-Digest` of exactly one SHA-256, in its one spelling.
pub fn parse_content_digest(value: &str) -> Result<Digest, Refusal> {
    value
        .strip_prefix("sha-256=:")
        .and_then(|rest| rest.strip_suffix(':'))
        .and_then(|base64| Digest::parse_base64(base64).ok())
        .ok_or(Refusal::FieldMalformed {
            field: "content-digest",
            rule: "sha-256=:base64: with one digest of 32 bytes",
        })
}

/// Reads the value `:…:` of a signature.
pub(super) fn signature_bytes(member: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = member
        .strip_prefix(':')
        .and_then(|rest| rest.strip_suffix(':'))
        .filter(|base64| base64.len() <= batch::BYTES_MAX.div_ceil(3) * 4)
        .and_then(|base64| STANDARD.decode(base64).ok());
    let fits = |bytes: &Vec<u8>| [false, true].iter().any(|kind| batch::has_length(bytes, *kind));
    bytes.filter(fits).ok_or(Refusal::SignatureMalformed {
        field: "signature",
        rule: "kvn=:base64: with one signature of 64 bytes, or of a batch and the way to its root",
    })
}

/// Returns whether the value of a `Signature` field is one that an answer can cover.
pub fn is_signature(field: &str) -> bool {
    let member = field.strip_prefix(LABEL).and_then(|rest| rest.strip_prefix('='));
    member.is_some_and(|member| signature_bytes(member).is_ok())
}

/// Checks one value: visible ASCII, spaces only inside, not empty, not too long.
pub(super) fn text<'a>(field: &'static str, value: &'a str) -> Result<&'a str, Refusal> {
    let bytes = value.as_bytes();
    let fits = !bytes.is_empty()
        && bytes.len() <= FIELD_BYTES_MAX
        && is_visible(bytes)
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ');
    if fits {
        Ok(value)
    } else {
        let rule = "1 to 4096 characters of visible ASCII without spaces at its ends";
        Err(Refusal::FieldMalformed { field, rule })
    }
}

/// Returns whether all bytes are visible ASCII or spaces. All are looked at, without a way out:
/// so many are compared at once.
fn is_visible(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |visible, byte| visible & (b' '..=b'~').contains(byte))
}

/// Returns the one value of a field; `name` is its name for errors.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    header: &HeaderName,
    name: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(header).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::DuplicateField(name));
    }
    let rule = "visible ASCII";
    let value = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Refusal::FieldMalformed { field: name, rule })?;
    text(name, value).map(Some)
}

/// The parameters of a signature (RFC 9421, section 2.3).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Params {
    /// Which kind of message.
    pub tag: Tag,
    /// Whether the signature covers many messages.
    pub is_batched: bool,
    /// The key that signed.
    pub key: KeyId,
    /// When it was signed; whole seconds.
    pub created: Timestamp,
    /// Until when it may be accepted; whole seconds. None for answers.
    pub expires: Option<Timestamp>,
}

impl Params {
    /// Writes the parameters from the first semicolon on.
    pub(super) fn write(&self) -> String {
        let created = self.created.as_seconds();
        let expires =
            self.expires.map_or(String::new(), |at| format!(";expires={}", at.as_seconds()));
        let batch = self.tag.as_batch_str().filter(|_| self.is_batched);
        let (key, tag) = (&self.key, batch.unwrap_or(self.tag.as_str()));
        format!(";created={created}{expires};keyid=\"{key}\";tag=\"{tag}\"")
    }

    /// Reads the parameters from the first semicolon on, in any order.
    pub(super) fn parse(mut rest: &str) -> Result<Self, Refusal> {
        let (mut created, mut expires, mut key, mut tag) = (None, None, None, None);
        while !rest.is_empty() {
            let (name, value, after) = cut_parameter(rest)?;
            match name {
                "created" => put(&mut created, "created", seconds("created", value)?)?,
                "expires" => put(&mut expires, "expires", seconds("expires", value)?)?,
                "keyid" => put(&mut key, "keyid", quoted("keyid", value)?)?,
                "tag" => put(&mut tag, "tag", quoted("tag", value)?)?,
                "alg" => return Err(Refusal::AlgorithmNamed),
                _ => return Err(Refusal::ParameterUnknown(name.chars().take(32).collect())),
            }
            rest = after;
        }
        let tag = tag.ok_or(Refusal::ParameterMissing("tag"))?;
        let unknown = || Refusal::TagUnknown(tag.chars().take(32).collect());
        let (tag, is_batched) = Tag::parse(tag).ok_or_else(unknown)?;
        let created = created.ok_or(Refusal::ParameterMissing("created"))?;
        let key = key.ok_or(Refusal::ParameterMissing("keyid"))?.parse().map_err(|_| {
            Refusal::ParameterMalformed { name: "keyid", rule: "owner#name, of a listed key" }
        })?;
        match (tag, expires) {
            (Tag::Response, Some(_)) => Err(Refusal::ParameterUnknown("expires".to_owned())),
            (Tag::Request | Tag::Document, None) => Err(Refusal::ParameterMissing("expires")),
            _ => Ok(Self { tag, is_batched, key, created, expires }),
        }
    }
}

fn put<T>(slot: &mut Option<T>, name: &'static str, value: T) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::ParameterDuplicate(name)),
    }
}

/// Cuts `;name=value` off; a quoted value keeps its quotation marks.
fn cut_parameter(text: &str) -> Result<(&str, &str, &str), Refusal> {
    let cut = || {
        let (name, rest) = text.strip_prefix(';')?.split_once('=')?;
        let end = match rest.strip_prefix('"') {
            Some(inside) => inside.find('"')? + 2,
            None => rest.find(';').unwrap_or(rest.len()),
        };
        let (value, after) = rest.split_at_checked(end)?;
        Some((name, value, after))
    };
    cut().ok_or(Refusal::SignatureMalformed {
        field: "signature-input",
        rule: "kvn=(components);name=value… without spaces around the semicolons",
    })
}

fn seconds(name: &'static str, value: &str) -> Result<Timestamp, Refusal> {
    // An sf-integer has at most 15 digits; a leading zero would be a second spelling.
    let digits = (1..=15).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_digit())
        && (value == "0" || !value.starts_with('0'));
    let seconds = if digits { value.parse().ok() } else { None };
    seconds
        .map(Timestamp::from_seconds)
        .ok_or(Refusal::ParameterMalformed { name, rule: "whole seconds since 1970" })
}

fn quoted<'a>(name: &'static str, value: &'a str) -> Result<&'a str, Refusal> {
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inside| inside.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'\\'))
        .ok_or(Refusal::ParameterMalformed { name, rule: "a quoted string without escapes" })
}

/// What `Signature-Input` and `Signature` say, not yet verified.
pub(super) struct Claimed<'a> {
    /// The inner list of components, with its brackets.
    pub(super) list: &'a str,
    /// The parameters' text, from the first semicolon on.
    pub(super) raw_params: &'a str,
    pub(super) params: Params,
    pub(super) signature: Vec<u8>,
    /// The whole `Signature` field.
    pub(super) field: &'a str,
}

impl<'a> Claimed<'a> {
    pub(super) fn read(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let input = single(headers, &header::SIGNATURE_INPUT, "signature-input")?
            .ok_or(Refusal::SignatureMissing)?;
        let field =
            single(headers, &header::SIGNATURE, "signature")?.ok_or(Refusal::SignatureMissing)?;
        let list_and_params = Some(input)
            .filter(|input| input.len() <= SIGNATURE_INPUT_BYTES_MAX)
            .and_then(|input| input.strip_prefix(LABEL)?.strip_prefix('='))
            .and_then(|rest| rest.split_at_checked(rest.find(')')? + 1))
            .filter(|(list, _)| list.starts_with('('));
        let (list, raw_params) = list_and_params.ok_or(Refusal::SignatureMalformed {
            field: "signature-input",
            rule: "kvn=(components);parameters with the one label `kvn`",
        })?;
        let member = field.strip_prefix(LABEL).and_then(|rest| rest.strip_prefix('='));
        let signature = signature_bytes(member.unwrap_or_default())?;
        let params = Params::parse(raw_params)?;
        if !batch::has_length(&signature, params.is_batched) {
            let (field, rule) = ("signature", "of the length that its tag says");
            return Err(Refusal::SignatureMalformed { field, rule });
        }
        Ok(Self { list, raw_params, params, signature, field })
    }
}
