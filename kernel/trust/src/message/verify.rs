//! Verification of a received message head, rule by rule, cheapest rule first.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use karvan_types::limits::CLOCK_SKEW_SECONDS_MAX;
use karvan_types::{AgreementRef, Digest, ExchangeId, MemberId, Timestamp};

use crate::keys::{KeyId, Owner, PublicKey};
use crate::message::base::{self, RequestParts, ResponseParts};
use crate::message::field::{Claimed, header, parse_content_digest, single};
use crate::message::{KeyDirectory, Provider, Refusal, SignedHead, Tag};

const SKEW: Duration = Duration::from_secs(CLOCK_SKEW_SECONDS_MAX);

/// A received request head.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The `Host` field or `:authority`, as received.
    pub authority: &'a str,
    /// The path of the target, as received.
    pub path: &'a str,
    /// The query of the target, without the question mark.
    pub query: Option<&'a str>,
    /// All header fields.
    pub headers: &'a HeaderMap,
}

/// A received answer head.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status code.
    pub status: u16,
    /// All header fields.
    pub headers: &'a HeaderMap,
}

/// What the sender of a request knows about the answer it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The request's `Signature` field, `kvn=:…:`.
    pub request_signature: &'a str,
    /// When the request was signed.
    pub request_created: Timestamp,
    /// The exchange.
    pub exchange: ExchangeId,
    /// Who may sign.
    pub provider: Provider<'a>,
}

/// A request whose signature and fields hold. The body is still to be compared:
/// [`VerifiedRequest::check_body`].
#[derive(Clone, Debug)]
pub struct VerifiedRequest {
    /// `Tag::Request` or `Tag::Document`.
    pub tag: Tag,
    /// The key that signed.
    pub key: KeyId,
    /// Whose key it is: the client, or the member the client subsystem belongs to.
    pub owner: Owner,
    /// When it was signed.
    pub created: Timestamp,
    /// Until when it may be accepted.
    pub expires: Timestamp,
    /// Media type of the body.
    pub content_type: String,
    /// Digest the body must have.
    pub content_digest: Digest,
    /// The exchange.
    pub exchange: ExchangeId,
    /// The agreement it is made under.
    pub agreement: AgreementRef,
    /// In whose name it is made. A node's name is one too, for what nodes say to each other.
    pub client: MemberId,
    /// What is called.
    pub service: String,
    /// The document, if any.
    pub document: Option<String>,
    /// What binds the head of an agency's request, if it is a call.
    pub call: Option<String>,
    /// The consent, if any.
    pub consent: Option<String>,
    /// The purpose.
    pub purpose: String,
    /// The evidence to keep.
    pub signed: SignedHead,
}

/// An answer whose signature and fields hold. The body is still to be compared.
#[derive(Clone, Debug)]
pub struct VerifiedResponse {
    /// The key that signed.
    pub key: KeyId,
    /// Whose key it is: the provider's member or subsystem, or its node.
    pub owner: Owner,
    /// When it was signed.
    pub created: Timestamp,
    /// The status code.
    pub status: u16,
    /// Media type of the body.
    pub content_type: String,
    /// Digest the body must have.
    pub content_digest: Digest,
    /// What binds the head of a provider's answer, if it answers a call.
    pub call: Option<String>,
    /// Whether the signature covers the request's. Always for a status below 400; an unbound
    /// refusal is no receipt of the request.
    pub bound: bool,
    /// The evidence to keep.
    pub signed: SignedHead,
}

impl VerifiedRequest {
    /// Compares the body, by the digest the receiver computed itself.
    pub fn check_body(&self, computed: Digest) -> Result<(), Refusal> {
        check_body(self.content_digest, computed)
    }
}

impl VerifiedResponse {
    /// Compares the body, by the digest the receiver computed itself.
    pub fn check_body(&self, computed: Digest) -> Result<(), Refusal> {
        check_body(self.content_digest, computed)
    }
}

fn check_body(signed: Digest, computed: Digest) -> Result<(), Refusal> {
    if signed == computed { Ok(()) } else { Err(Refusal::DigestMismatch) }
}

/// Verifies a request head against the published keys. `authority` is what this node is called.
pub fn verify_request(
    head: &RequestHead<'_>,
    authority: &str,
    directory: &dyn KeyDirectory,
    now: Timestamp,
) -> Result<VerifiedRequest, Refusal> {
    let claimed = Claimed::read(head.headers)?;
    let params = &claimed.params;
    let expires = match params.expires {
        Some(expires) if params.tag != Tag::Response => expires,
        _ => return Err(Refusal::TagUnknown(params.tag.as_str().to_owned())),
    };
    let parts = request_parts(head)?;
    parts.check()?;
    if head.authority != authority {
        let (found, expected) = (head.authority.to_owned(), authority.to_owned());
        return Err(Refusal::AuthorityWrong { found, expected });
    }
    let values = parts.values();
    require_list(&base::REQUEST, &values, claimed.list)?;
    let content_digest = parse_content_digest(parts.content_digest)?;
    let exchange = typed("karvan-exchange-id", parts.exchange_id, "a UUID of version 7")?;
    let agreement = typed("karvan-agreement", parts.agreement, "id;version;sha256")?;
    let client: MemberId =
        typed("karvan-client", parts.client, "a member, subsystem or node, such as PK/GOV/FBR")?;

    if params.created > now.plus(SKEW) {
        return Err(Refusal::ClockSkew { created: params.created, now });
    }
    if now > expires.plus(SKEW) {
        return Err(Refusal::SignatureExpired { expires, now });
    }
    if expires <= params.created || expires.since(params.created) > params.tag.lifetime_max() {
        return Err(Refusal::LifetimeTooLong);
    }
    let entry = directory.key(&params.key, params.created, now)?;
    if !entry.owner.speaks_for(client.as_str()) {
        let party = client.to_string();
        return Err(Refusal::OwnerMismatch { key: params.key.clone(), party });
    }
    let signed = verify_signature(&base::REQUEST, &values, &claimed, &entry.public)?;
    Ok(VerifiedRequest {
        tag: params.tag,
        key: entry.id.clone(),
        owner: entry.owner.clone(),
        created: params.created,
        expires,
        content_type: parts.content_type.to_owned(),
        content_digest,
        exchange,
        agreement,
        client,
        service: parts.service.to_owned(),
        document: parts.document.map(str::to_owned),
        call: parts.call.map(str::to_owned),
        consent: parts.consent.map(str::to_owned),
        purpose: parts.purpose.to_owned(),
        signed,
    })
}

/// Verifies an answer head against the published keys and the request it answers.
///
/// An answer has no `expires`: it lives as long as the request whose signature it covers, so a
/// stored receipt that is sent again verbatim verifies like the first time.
pub fn verify_response(
    head: &ResponseHead<'_>,
    expected: &Expected<'_>,
    directory: &dyn KeyDirectory,
    now: Timestamp,
) -> Result<VerifiedResponse, Refusal> {
    let claimed = Claimed::read(head.headers)?;
    let params = &claimed.params;
    if params.tag != Tag::Response {
        return Err(Refusal::TagUnknown(params.tag.as_str().to_owned()));
    }
    let headers = head.headers;
    let mut status = [0; 3];
    let mut parts = ResponseParts {
        status: digits(head.status, &mut status),
        content_type: required(headers, &CONTENT_TYPE, "content-type")?,
        content_digest: digest_field(headers)?,
        exchange_id: required(headers, &header::EXCHANGE_ID, "karvan-exchange-id")?,
        call: single(headers, &header::CALL, "karvan-call")?,
        request_signature: Some(expected.request_signature),
    };
    // Only a refusal may leave the request's signature out: the request may have had none.
    let bound = head.status < 400 || claimed.list.contains("\"signature\"");
    if !bound {
        parts.request_signature = None;
    }
    parts.check()?;
    let values = parts.values();
    require_list(&base::RESPONSE, &values, claimed.list)?;
    let content_digest = parse_content_digest(parts.content_digest)?;
    let exchange: ExchangeId =
        typed("karvan-exchange-id", parts.exchange_id, "a UUID of version 7")?;
    if exchange != expected.exchange {
        return Err(Refusal::ExchangeMismatch);
    }
    if params.created > now.plus(SKEW) {
        return Err(Refusal::ClockSkew { created: params.created, now });
    }
    if params.created.plus(SKEW) < expected.request_created {
        let now = expected.request_created;
        return Err(Refusal::ClockSkew { created: params.created, now });
    }
    let entry = directory.key(&params.key, params.created, now)?;
    let Provider { member, node } = expected.provider;
    if !entry.owner.speaks_for(member) && !entry.owner.speaks_for(node.as_str()) {
        let party = member.to_owned();
        return Err(Refusal::OwnerMismatch { key: params.key.clone(), party });
    }
    let signed = verify_signature(&base::RESPONSE, &values, &claimed, &entry.public)?;
    Ok(VerifiedResponse {
        key: entry.id.clone(),
        owner: entry.owner.clone(),
        created: params.created,
        status: head.status,
        content_type: parts.content_type.to_owned(),
        content_digest,
        call: parts.call.map(str::to_owned),
        bound,
        signed,
    })
}

fn request_parts<'a>(head: &RequestHead<'a>) -> Result<RequestParts<'a>, Refusal> {
    let headers = head.headers;
    Ok(RequestParts {
        method: head.method,
        authority: head.authority,
        path: head.path,
        query: head.query,
        content_type: required(headers, &CONTENT_TYPE, "content-type")?,
        content_digest: digest_field(headers)?,
        exchange_id: required(headers, &header::EXCHANGE_ID, "karvan-exchange-id")?,
        agreement: required(headers, &header::AGREEMENT, "karvan-agreement")?,
        client: required(headers, &header::CLIENT, "karvan-client")?,
        service: required(headers, &header::SERVICE, "karvan-service")?,
        document: single(headers, &header::DOCUMENT, "karvan-document")?,
        call: single(headers, &header::CALL, "karvan-call")?,
        consent: single(headers, &header::CONSENT, "karvan-consent")?,
        purpose: required(headers, &header::PURPOSE, "karvan-purpose")?,
    })
}

fn required<'a>(
    headers: &'a HeaderMap,
    header: &http::HeaderName,
    name: &'static str,
) -> Result<&'a str, Refusal> {
    single(headers, header, name)?.ok_or(Refusal::FieldMissing(name))
}

fn digest_field(headers: &HeaderMap) -> Result<&str, Refusal> {
    single(headers, &header::CONTENT_DIGEST, "content-digest")?.ok_or(Refusal::DigestMissing)
}

fn typed<T: std::str::FromStr>(
    field: &'static str,
    value: &str,
    rule: &'static str,
) -> Result<T, Refusal> {
    value.parse().map_err(|_| Refusal::FieldMalformed { field, rule })
}

/// Writes a status code as text; one outside 0 to 999 gives an empty text, which is refused later.
fn digits(status: u16, buffer: &mut [u8; 3]) -> &str {
    for (digit, power) in buffer.iter_mut().zip([100, 10, 1]) {
        *digit = b'0' + u8::try_from(status / power % 10).unwrap_or(0);
    }
    if status > 999 { "" } else { std::str::from_utf8(buffer).unwrap_or_default() }
}

fn require_list(
    names: &[(&str, bool)],
    values: &[Option<&str>],
    found: &str,
) -> Result<(), Refusal> {
    let mut expected = String::with_capacity(256);
    base::push_list(names, values, &mut expected);
    if expected == found { Ok(()) } else { Err(Refusal::ComponentList { expected }) }
}

fn verify_signature(
    names: &[(&str, bool)],
    values: &[Option<&str>],
    claimed: &Claimed<'_>,
    key: &PublicKey,
) -> Result<SignedHead, Refusal> {
    let base = base::write(names, values, claimed.raw_params);
    // Only a program that is built to be measured takes what nobody signed.
    let unsigned = cfg!(feature = "measure") && claimed.signature.iter().all(|byte| *byte == 0);
    if !unsigned && !base::fits(&base, &claimed.params, &claimed.signature, key) {
        return Err(Refusal::SignatureWrong(claimed.params.key.clone()));
    }
    Ok(SignedHead {
        signature_input: base::signature_input(&base),
        signature: claimed.field.to_owned(),
        base,
        signature_bytes: claimed.signature.clone(),
    })
}
