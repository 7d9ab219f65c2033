//! Documents as signed HTTP messages, and back.
//!
//! A document is `POST /karvan/v1/documents/{exchange id}` with the body as it is; its envelope is
//! in the header fields of profile `karvan-sig/1`. `Karvan-Service` is the recipient and the
//! document type; `Karvan-Document` is a dictionary (RFC 9651) of the number in the stream, the
//! digest of the previous signature, the length and the salt, in this order and spelling.
//!
//! The answer is the relay receipt, or a problem (RFC 9457); either is signed by the node and bound
//! to the request's signature.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use karvan_subsystem::{Pointer, Rejection};
use karvan_trust::keys::{KeyId, KeyProvider};
use karvan_trust::message::{
    self, Expected, KeyDirectory, Parts, Provider, RequestHead, RequestParts, ResponseHead,
    ResponseParts, SignedHead, Tag, header, is_signature,
};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, NodeId, Timestamp, json};
use serde::{Deserialize, Serialize};

use crate::client::{Body, full};
use crate::records::{Envelope, Sent, Signed, StoredAnswer};
use crate::relay::PeerRequest;

/// Where documents are sent.
pub const DOCUMENTS_PATH: &str = "/karvan/v1/documents/";
/// Where handover receipts are sent.
pub const RECEIPTS_PATH: &str = "/karvan/v1/receipts";
/// Where streams are compared.
pub const STREAMS_PATH: &str = "/karvan/v1/streams";
/// Where a node's national list is read.
pub const LIST_PATH: &str = "/karvan/v1/list";
/// Where proofs of common log entries are read.
pub const PROOFS_PATH: &str = "/karvan/v1/proofs/";
/// Where a log asks for a cosignature (C2SP tlog-witness).
pub const WITNESS_PATH: &str = "/witness/add-checkpoint";
/// Where the log is read (C2SP tlog-tiles).
pub const LOG_PATH: &str = "/log/";

/// Media type of a problem (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Problem types are this prefix and the refusal's code.
pub(crate) const PROBLEM_TYPE: &str = "urn:karvan:problem:";

/// What an answer must be bound to.
#[derive(Clone, Debug)]
pub struct Link {
    /// The exchange, or the one of no exchange when the request names none.
    pub exchange: String,
    /// The request's `Signature` field, when it has a readable one.
    pub request_signature: Option<String>,
    /// Salt for the log entry.
    pub salt: String,
}

/// A document whose signature holds.
#[derive(Clone, Debug)]
pub struct Opened {
    /// What it is.
    pub envelope: Envelope,
    /// The evidence.
    pub signed: Signed,
    /// When it was signed.
    pub signed_at: Timestamp,
    /// What the answer is bound to.
    pub link: Link,
}

impl From<SignedHead> for Signed {
    fn from(head: SignedHead) -> Self {
        Self { base: head.base, signature_input: head.signature_input, signature: head.signature }
    }
}

/// Turns a broken rule of the signature profile into a refusal.
pub fn reject(refusal: &message::Refusal) -> Rejection {
    Rejection::new(refusal.kind(), refusal.code(), refusal.to_string())
}

fn malformed(field: &'static str, rule: &str) -> Rejection {
    Rejection::new(ErrorKind::Invalid, "field-malformed", format!("{field} must be {rule}"))
}

/// Signs a document for its whole life: retries send the same bytes.
pub fn sign_document(
    keys: &dyn KeyProvider,
    key: &KeyId,
    envelope: &Envelope,
    authority: &str,
    created: Timestamp,
    expires: Timestamp,
) -> Result<Signed, Rejection> {
    let texts = Texts::of(envelope);
    let signed = message::sign_request(
        &texts.parts(envelope, authority),
        Tag::Document,
        created,
        expires.since(created).min(Tag::Document.lifetime_max()),
        key,
        keys,
    );
    signed.map(Signed::from).map_err(|error| {
        Rejection::new(error.kind(), "signing-failed", format!("cannot sign: {error}"))
    })
}

/// The header texts of an envelope.
struct Texts {
    path: String,
    digest: String,
    exchange: String,
    agreement: String,
    service: String,
    document: String,
}

impl Texts {
    fn of(envelope: &Envelope) -> Self {
        Self {
            path: format!("{DOCUMENTS_PATH}{}", envelope.exchange),
            digest: message::content_digest(envelope.digest),
            exchange: envelope.exchange.to_string(),
            agreement: envelope.agreement.to_string(),
            service: format!("{}/{}", envelope.recipient, envelope.code),
            document: format!(
                "seq={}, prev=\"{}\", size={}, salt=\"{}\"",
                envelope.sequence, envelope.previous, envelope.size, envelope.salt
            ),
        }
    }

    fn parts<'a>(&'a self, envelope: &'a Envelope, authority: &'a str) -> RequestParts<'a> {
        RequestParts {
            method: "POST",
            authority,
            path: &self.path,
            query: None,
            content_type: &envelope.content_type,
            content_digest: &self.digest,
            exchange_id: &self.exchange,
            agreement: &self.agreement,
            client: envelope.sender.as_str(),
            service: &self.service,
            document: Some(&self.document),
            call: None,
            consent: None,
            purpose: &envelope.purpose,
        }
    }
}

/// Makes the request that carries a document.
pub(crate) fn document_request(
    envelope: &Envelope,
    signed: &Signed,
    authority: &str,
    body: Body,
) -> PeerRequest {
    let texts = Texts::of(envelope);
    Request::builder()
        .method(Method::POST)
        .uri(&texts.path)
        .header(HOST, authority)
        .header(CONTENT_TYPE, &envelope.content_type)
        .header(CONTENT_LENGTH, envelope.size)
        .header(&header::CONTENT_DIGEST, &texts.digest)
        .header(&header::EXCHANGE_ID, &texts.exchange)
        .header(&header::AGREEMENT, &texts.agreement)
        .header(&header::CLIENT, envelope.sender.as_str())
        .header(&header::SERVICE, &texts.service)
        .header(&header::DOCUMENT, &texts.document)
        .header(&header::PURPOSE, &envelope.purpose)
        .header(&header::SIGNATURE_INPUT, &signed.signature_input)
        .header(&header::SIGNATURE, &signed.signature)
        .body(body)
        .map_err(|error| std::io::Error::other(error.to_string()))
}

/// Verifies a received document head and reads its envelope.
pub fn open_document(
    directory: &dyn KeyDirectory,
    head: &http::request::Parts,
    authority: &str,
    now: Timestamp,
) -> Result<Opened, Rejection> {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let received = RequestHead {
        method: head.method.as_str(),
        authority: host,
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &head.headers,
    };
    let verified = message::verify_request(&received, authority, directory, now)
        .map_err(|refusal| reject(&refusal))?;
    if verified.tag != Tag::Document {
        return Err(reject(&message::Refusal::TagUnknown(verified.tag.as_str().to_owned())));
    }
    if head.uri.path().strip_prefix(DOCUMENTS_PATH) != Some(&verified.exchange.to_string()) {
        return Err(malformed("@path", "the documents path with the exchange id"));
    }
    let link = Link {
        exchange: verified.exchange.to_string(),
        request_signature: Some(verified.signed.signature.clone()),
        salt: String::new(),
    };
    let envelope = read_envelope(
        verified.exchange,
        verified.client,
        &verified.service,
        verified.document.as_deref().unwrap_or_default(),
        verified.agreement,
        verified.purpose,
        verified.content_type,
        verified.content_digest,
    )?;
    let link = Link { salt: envelope.salt.clone(), ..link };
    Ok(Opened { envelope, signed: verified.signed.into(), signed_at: verified.created, link })
}

/// Reads the envelope of a stored signature base, for evidence bundles.
pub fn envelope_of_base(base: &str) -> Result<Envelope, Rejection> {
    let parsed = message::parse_base(base).map_err(|refusal| reject(&refusal))?;
    let Parts::Request(parts) = parsed.parts else {
        return Err(malformed("signature base", "that of a document"));
    };
    let text = |field: &'static str| move |_| malformed(field, "well formed");
    read_envelope(
        parts.exchange_id.parse().map_err(|_| malformed("karvan-exchange-id", "a UUID"))?,
        parts.client.parse().map_err(|_| malformed("karvan-client", "a member"))?,
        parts.service,
        parts.document.unwrap_or_default(),
        parts.agreement.parse().map_err(|_| malformed("karvan-agreement", "id;version;sha256"))?,
        parts.purpose.to_owned(),
        parts.content_type.to_owned(),
        message::parse_content_digest(parts.content_digest).map_err(text("content-digest"))?,
    )
}

#[expect(clippy::too_many_arguments, reason = "one argument per covered field, two callers")]
fn read_envelope(
    exchange: ExchangeId,
    sender: MemberId,
    service: &str,
    document: &str,
    agreement: karvan_types::AgreementRef,
    purpose: String,
    content_type: String,
    digest: Digest,
) -> Result<Envelope, Rejection> {
    const SERVICE_RULE: &str = "recipient and document type, such as PK/GOV/FBR/customs/EXD";
    let (recipient, code) =
        service.rsplit_once('/').ok_or_else(|| malformed("karvan-service", SERVICE_RULE))?;
    let recipient: MemberId =
        recipient.parse().map_err(|_| malformed("karvan-service", SERVICE_RULE))?;
    let parameters = read_parameters(document).ok_or_else(|| {
        malformed("karvan-document", "seq=N, prev=\"sha256\", size=N, salt=\"text\"")
    })?;
    let (sequence, previous, size, salt) = parameters;
    Ok(Envelope {
        exchange,
        sender,
        recipient,
        code: code.to_owned(),
        agreement,
        purpose,
        content_type,
        digest,
        size,
        sequence,
        previous,
        salt,
    })
}

fn read_parameters(text: &str) -> Option<(u64, Digest, u64, String)> {
    const SALT_BYTES: usize = 22;
    let rest = text.strip_prefix("seq=")?;
    let (sequence, rest) = rest.split_once(", prev=\"")?;
    let (previous, rest) = rest.split_once("\", size=")?;
    let (size, rest) = rest.split_once(", salt=\"")?;
    let salt = rest.strip_suffix('"')?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|n| n.to_string() == text);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if salt.len() != SALT_BYTES || !salt.bytes().all(plain) {
        return None;
    }
    Some((number(sequence)?, previous.parse().ok()?, number(size)?, salt.to_owned()))
}

/// Returns what an answer to this head can be bound to, whatever the head is worth.
pub fn link_of(head: &http::request::Parts) -> Link {
    let text = |name: &http::HeaderName| {
        head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    // Exactly the form that the profile can cover; anything else makes an answer that is not bound.
    let signature = text(&header::SIGNATURE).filter(|signature| is_signature(signature));
    // The sender logs a refusal with the document's salt, so it is used here too when readable.
    let salt = text(&header::DOCUMENT).and_then(|document| read_parameters(&document));
    let exchange = text(&header::EXCHANGE_ID).filter(|id| id.parse::<ExchangeId>().is_ok());
    Link {
        exchange: exchange
            .unwrap_or_else(|| ExchangeId::new(Timestamp::default(), [0; 10]).to_string()),
        request_signature: signature,
        salt: salt.map_or(String::new(), |(.., salt)| salt),
    }
}

/// What an answer says.
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'a str,
    /// The body, UTF-8.
    pub body: Vec<u8>,
}

/// Signs an answer with a node's key.
pub fn sign_answer(
    keys: &dyn KeyProvider,
    key: &KeyId,
    answer: Answer<'_>,
    link: &Link,
    now: Timestamp,
) -> Result<StoredAnswer, Rejection> {
    let failed = |text: String| Rejection::new(ErrorKind::Internal, "signing-failed", text);
    let status_text = answer.status.to_string();
    let digest = message::content_digest(Digest::of(&answer.body));
    let parts = ResponseParts {
        status: &status_text,
        content_type: answer.content_type,
        content_digest: &digest,
        exchange_id: &link.exchange,
        call: None,
        request_signature: link.request_signature.as_deref(),
    };
    let signed = message::sign_response(&parts, now, key, keys)
        .map_err(|error| failed(format!("cannot sign: {error}")))?;
    Ok(StoredAnswer {
        status: answer.status,
        content_type: answer.content_type.to_owned(),
        body: String::from_utf8(answer.body).map_err(|error| failed(error.to_string()))?,
        signed: signed.into(),
    })
}

/// Makes the HTTP answer of a stored one: the same bytes each time.
pub(crate) fn answer(stored: &StoredAnswer, exchange: &str) -> Response<Body> {
    let digest = message::content_digest(Digest::of(stored.body.as_bytes()));
    let built = Response::builder()
        .status(stored.status)
        .header(CONTENT_TYPE, &stored.content_type)
        .header(&header::CONTENT_DIGEST, digest)
        .header(&header::EXCHANGE_ID, exchange)
        .header(&header::SIGNATURE_INPUT, &stored.signed.signature_input)
        .header(&header::SIGNATURE, &stored.signed.signature)
        .body(full(stored.body.clone()));
    built.unwrap_or_else(|_| {
        let mut bare = Response::new(full(Bytes::new()));
        *bare.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        bare
    })
}

/// Verifies a peer's answer to a document; returns it as it is to be kept, with the signature of
/// the document that it is bound to. That may be a lapsed one: a peer answers what it took before
/// with the receipt of that time.
pub fn verify_answer<'s>(
    directory: &dyn KeyDirectory,
    sent: &'s Sent,
    peer: &NodeId,
    answer: &Response<Bytes>,
    now: Timestamp,
) -> Result<(StoredAnswer, &'s Signed), Rejection> {
    let head = ResponseHead { status: answer.status().as_u16(), headers: answer.headers() };
    let verify = |signed: &'s Signed| {
        let request = message::parse_base(&signed.base)?;
        let expected = Expected {
            request_signature: &signed.signature,
            request_created: request.params.created,
            exchange: sent.envelope.exchange,
            provider: Provider { member: sent.envelope.recipient.as_str(), node: peer },
        };
        Ok((message::verify_response(&head, &expected, directory, now)?, signed))
    };
    let mut outcomes = sent.signatures().map(verify);
    let first = outcomes.next().unwrap_or(Err(message::Refusal::SignatureMissing));
    let (verified, signed) = first
        .or_else(|refusal| outcomes.find_map(Result::ok).ok_or(refusal))
        .map_err(|refusal: message::Refusal| reject(&refusal))?;
    verified.check_body(Digest::of(answer.body())).map_err(|refusal| reject(&refusal))?;
    if !verified.bound {
        return Err(Rejection::new(
            ErrorKind::PeerMisbehaved,
            "answer-unbound",
            "the peer's refusal is not bound to the request that was sent",
        ));
    }
    let body = String::from_utf8(answer.body().to_vec())
        .map_err(|_| malformed("the answer's body", "UTF-8"))?;
    let stored = StoredAnswer {
        status: verified.status,
        content_type: verified.content_type,
        body,
        signed: verified.signed.into(),
    };
    Ok((stored, signed))
}

/// A problem as it travels (RFC 9457), with the members of a rejection.
#[derive(Debug, Deserialize, Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pointers: Vec<Pointer>,
}

/// Writes a refusal as a problem, in canonical JSON.
pub fn problem(rejection: &Rejection) -> Vec<u8> {
    let problem = Problem {
        kind: format!("{PROBLEM_TYPE}{}", rejection.code),
        title: rejection.kind.label().to_owned(),
        status: rejection.kind.http_status(),
        detail: rejection.text.clone(),
        pointers: rejection.pointers.clone(),
    };
    json::canonical(&problem).unwrap_or_default()
}

/// Reads a problem; whatever is unreadable counts as the peer's fault.
pub fn read_problem(answer: &Response<Bytes>) -> Rejection {
    match json::from_slice::<Problem>(answer.body()) {
        Ok(problem) => Rejection {
            kind: ErrorKind::from_label(&problem.title).unwrap_or(ErrorKind::PeerMisbehaved),
            code: problem.kind.strip_prefix(PROBLEM_TYPE).unwrap_or("unknown").to_owned(),
            text: problem.detail,
            pointers: problem.pointers,
        },
        Err(_) => Rejection::new(
            ErrorKind::PeerMisbehaved,
            "answer-unreadable",
            format!("the peer answered {} without a readable problem", answer.status()),
        ),
    }
}
