//! The token in the QR code: what it claims, and its compact spelling.
//!
//! A signed JSON document with one signature (RFC 7515, section 7.2.1) and a compact signature
//! (section 7.1) hold the same three values; [`compact`] and [`expand`] respell one as the other.
//! The key id in the protected header names the issuer's key.
//!
//! Not here: whether the signature holds, and what the claims are worth (`super::check`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_types::{Date, Digest, Instance, json};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::messages::text::date;
use crate::messages::{CertificateOfOrigin, Party};

/// Longest token read, in characters: nothing longer fits into any QR code (ISO/IEC 18004).
pub const TOKEN_CHARS_MAX: usize = 2953;
/// Longest name of a kind that is shown, in characters.
const KIND_CHARS_MAX: usize = 40;
/// Longest address of a list of statuses, in characters.
pub const ADDRESS_CHARS_MAX: usize = 200;

/// What the issuer signs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The issuing country.
    pub country: Instance,
    /// Day of issue of the certificate, at the issuer.
    #[serde(with = "date")]
    pub date: Date,
    /// When the token was signed, in seconds since 1970 (RFC 7519, section 4.1.6).
    pub iat: i64,
    /// Number of the certificate, as printed.
    pub number: String,
    /// The data are fictitious.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sample: bool,
    /// SHA-256 of the certificate's canonical text (RFC 8785), hexadecimal.
    pub sha256: Digest,
    /// Where its status is told.
    pub status: StatusClaim,
    /// Last day on which the certificate may be presented.
    #[serde(with = "date")]
    pub until: Date,
}

/// The reference to a status (draft-ietf-oauth-status-list, section 6.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StatusClaim {
    /// The list.
    pub status_list: StatusReference,
}

/// A place on a list of statuses.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReference {
    /// The place, counted from zero.
    pub idx: u64,
    /// Address of the list.
    pub uri: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl StatusReference {
    /// Makes a reference; the address is `https`, as long as a code can carry.
    pub fn new(idx: u64, uri: &str) -> Result<Self, Error> {
        let printable = uri.chars().all(|c| c.is_ascii_graphic());
        let host = uri.strip_prefix("https://").is_some_and(|rest| !rest.starts_with(['/', '?']));
        if !host || !printable || uri.len() > ADDRESS_CHARS_MAX || uri == "https://" {
            return Err(Error::Address(ADDRESS_CHARS_MAX));
        }
        Ok(Self { idx, uri: uri.to_owned() })
    }
}

/// Returns whether the parties of a certificate say that they are fictitious.
pub fn is_sample(certificate: &CertificateOfOrigin) -> bool {
    let producer = certificate.producer.iter();
    let parties = producer.chain([&certificate.exporter, &certificate.consignee]);
    parties.filter_map(|party: &Party| party.name.as_deref()).any(|n| n.contains(super::FICTITIOUS))
}

/// A signed JSON document with its signatures (RFC 7515, section 7.2.1).
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct General {
    payload: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    protected: String,
    signature: String,
}

/// Respells a signed document with exactly one signature compactly.
pub fn compact(document: &[u8]) -> Result<String, Error> {
    let General { payload, signatures } = json::from_slice(document)?;
    match signatures.as_slice() {
        [Signature { protected, signature }] => Ok(format!("{protected}.{payload}.{signature}")),
        _ => Err(Error::Token("a token has exactly one signature")),
    }
}

/// Respells a compact signature as a signed document, which the kernel can verify. `chars_max`
/// bounds it.
pub fn expand(token: &str, chars_max: usize) -> Result<Vec<u8>, Error> {
    let token = token.trim();
    if token.len() > chars_max {
        return Err(Error::Token("it is too long"));
    }
    let base64url = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let parts: Vec<&str> = token.split('.').collect();
    let [protected, payload, signature] = parts.as_slice() else {
        return Err(Error::Token("it has not three parts"));
    };
    if ![protected, payload, signature].into_iter().all(|part| base64url(part)) {
        return Err(Error::Token("a part is not base64url"));
    }
    let (protected, signature) = ((*protected).to_owned(), (*signature).to_owned());
    let signatures = vec![Signature { protected, signature }];
    Ok(json::canonical(&General { payload: (*payload).to_owned(), signatures })?)
}

/// Returns the kind (`typ`) that a compact signature tells of itself, verified by nobody; bounded
/// to what is fit to be shown.
pub(super) fn kind_of(token: &str) -> Option<String> {
    let protected = token.trim().split('.').next()?;
    let header = URL_SAFE_NO_PAD.decode(protected).ok()?;
    let kind = json::parse(&header).ok()?;
    Some(kind.get("typ")?.as_str()?.chars().take(KIND_CHARS_MAX).collect())
}
