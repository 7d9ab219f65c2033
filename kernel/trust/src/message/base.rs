//! The signature base (RFC 9421, section 2.5): written from a message's parts, and read back.
//!
//! The components and their order are fixed, so the base is one pass over two arrays. Reading back
//! takes the parts out of the text, writes them again and compares: what cannot be reproduced to
//! the byte is no base of this profile.

use crate::keys::PublicKey;
use crate::message::field::{Params, signature_bytes, text};
use crate::message::{LABEL, Refusal, Tag, batch};

/// Longest stored base that is read back, in bytes.
const BASE_BYTES_MAX: usize = 64 * 1024;

/// The components of a request in order; with whether a message may lack it.
pub(super) const REQUEST: [(&str, bool); 14] = [
    ("@method", false),
    ("@authority", false),
    ("@path", false),
    ("@query", true),
    ("content-type", false),
    ("content-digest", false),
    ("karvan-exchange-id", false),
    ("karvan-agreement", false),
    ("karvan-client", false),
    ("karvan-service", false),
    ("karvan-document", true),
    ("karvan-call", true),
    ("karvan-consent", true),
    ("karvan-purpose", false),
];

/// The components of an answer in order; with whether a message may lack it.
pub(super) const RESPONSE: [(&str, bool); 6] = [
    ("@status", false),
    ("content-type", false),
    ("content-digest", false),
    ("karvan-exchange-id", false),
    ("karvan-call", true),
    (BOUND_SIGNATURE, true),
];

/// The component that binds an answer to its request's signature (RFC 9421, section 2.4).
const BOUND_SIGNATURE: &str = r#"signature";req;key="kvn"#;

const PARAMS_NAME: &str = "\"@signature-params\": ";

/// What a request's signature covers, as the texts that stand in the message.
///
/// Values are visible ASCII without spaces at their ends, at most 4096 bytes long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestParts<'a> {
    /// Method, such as `POST`.
    pub method: &'a str,
    /// Host and, unless it is 443, port of the receiving node, in lower case.
    pub authority: &'a str,
    /// Absolute path, such as `/r1/AZ/GOV/SCC/customs/declarations`.
    pub path: &'a str,
    /// Query without the question mark, when the target has one.
    pub query: Option<&'a str>,
    /// `Content-Type`; `application/octet-stream` when an empty body has no type of its own.
    pub content_type: &'a str,
    /// `Content-Digest`, from [`crate::message::content_digest`].
    pub content_digest: &'a str,
    /// `Karvan-Exchange-Id`, the text of an `ExchangeId`.
    pub exchange_id: &'a str,
    /// `Karvan-Agreement`, the text of an `AgreementRef`.
    pub agreement: &'a str,
    /// `Karvan-Client`, the member, subsystem or node in whose name the request is made.
    pub client: &'a str,
    /// `Karvan-Service`, what is called.
    pub service: &'a str,
    /// `Karvan-Document`, for documents and receipts.
    pub document: Option<&'a str>,
    /// `Karvan-Call`, for calls: binds the head of the agency's own request.
    pub call: Option<&'a str>,
    /// `Karvan-Consent`, when a person's consent is used.
    pub consent: Option<&'a str>,
    /// `Karvan-Purpose`, a code of the agreement.
    pub purpose: &'a str,
}

/// What an answer's signature covers, as the texts that stand in the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseParts<'a> {
    /// Status code, three digits.
    pub status: &'a str,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// `Content-Digest`, from [`crate::message::content_digest`].
    pub content_digest: &'a str,
    /// `Karvan-Exchange-Id`, the one of the request.
    pub exchange_id: &'a str,
    /// `Karvan-Call`, in answers to calls: binds the head of the provider's own answer.
    pub call: Option<&'a str>,
    /// The request's `Signature` field (`kvn=:…:`; a parsed base gives `:…:`). None only in a
    /// refusal of a request that carried no readable signature.
    pub request_signature: Option<&'a str>,
}

impl<'a> RequestParts<'a> {
    pub(super) const fn values(&self) -> [Option<&'a str>; 14] {
        [
            Some(self.method),
            Some(self.authority),
            Some(self.path),
            self.query,
            Some(self.content_type),
            Some(self.content_digest),
            Some(self.exchange_id),
            Some(self.agreement),
            Some(self.client),
            Some(self.service),
            self.document,
            self.call,
            self.consent,
            Some(self.purpose),
        ]
    }

    /// Checks that every value can stand in a base without changing its meaning.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        const METHOD_BYTES_MAX: usize = 32;
        let method_fits = self.method.len() <= METHOD_BYTES_MAX
            && self.method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !method_fits {
            return Err(Refusal::FieldMalformed { field: "@method", rule: "upper-case letters" });
        }
        if self.authority.bytes().any(|b| b.is_ascii_uppercase() || b == b'@')
            || self.authority.ends_with(":443")
        {
            let rule = "the lower-case host, with a port unless it is 443";
            return Err(Refusal::FieldMalformed { field: "@authority", rule });
        }
        if !self.path.starts_with('/') || self.path.contains(['?', '#']) {
            let rule = "an absolute path without query";
            return Err(Refusal::FieldMalformed { field: "@path", rule });
        }
        if self.query.is_some_and(|query| !query.is_empty() && text("@query", query).is_err()) {
            let rule = "visible ASCII of at most 4096 bytes";
            return Err(Refusal::FieldMalformed { field: "@query", rule });
        }
        let values = self.values();
        let named = REQUEST.iter().zip(values).filter(|((name, _), _)| *name != "@query");
        named.into_iter().try_for_each(|((name, _), value)| {
            value.map_or(Ok(()), |value| text(name, value).map(|_| ()))
        })
    }
}

impl<'a> ResponseParts<'a> {
    pub(super) fn values(&self) -> [Option<&'a str>; 6] {
        [
            Some(self.status),
            Some(self.content_type),
            Some(self.content_digest),
            Some(self.exchange_id),
            self.call,
            self.request_signature.map(|field| field.strip_prefix("kvn=").unwrap_or(field)),
        ]
    }

    /// Checks that every value can stand in a base without changing its meaning.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if self.status.len() != 3 || !self.status.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refusal::FieldMalformed { field: "@status", rule: "three digits" });
        }
        text("content-type", self.content_type)?;
        text("content-digest", self.content_digest)?;
        text("karvan-exchange-id", self.exchange_id)?;
        self.call.map_or(Ok(""), |call| text("karvan-call", call))?;
        let [.., bound] = self.values();
        bound.map_or(Ok(()), |bound| signature_bytes(bound).map(|_| ()))
    }
}

/// Appends the inner list of the components that are present.
pub(super) fn push_list(names: &[(&str, bool)], values: &[Option<&str>], out: &mut String) {
    let present = names.iter().zip(values).filter(|(_, value)| value.is_some());
    out.push('(');
    for (at, ((name, _), _)) in present.enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push('"');
        out.push_str(name);
        // The bound signature's name carries its own parameters and closing quotation mark.
        out.push('"');
    }
    out.push(')');
}

/// Writes the base. `params` are the signature parameters, from the first semicolon on.
pub(super) fn write(names: &[(&str, bool)], values: &[Option<&str>], params: &str) -> String {
    let text: usize = values.iter().flatten().map(|value| value.len()).sum();
    let mut out = String::with_capacity(text + params.len() + 48 * (names.len() + 1));
    for ((name, _), value) in names.iter().zip(values) {
        let Some(value) = value else { continue };
        out.push('"');
        out.push_str(name);
        out.push_str("\": ");
        if *name == "@query" {
            out.push('?');
        }
        out.push_str(value);
        out.push('\n');
    }
    out.push_str(PARAMS_NAME);
    push_list(names, values, &mut out);
    out.push_str(params);
    out
}

/// Returns the value of `Signature-Input` that belongs to a base.
pub(super) fn signature_input(base: &str) -> String {
    // The last line; a value holds no line feed.
    let last = base.rsplit('\n').next().unwrap_or_default();
    let params = last.strip_prefix(PARAMS_NAME).unwrap_or_default();
    format!("{LABEL}={params}")
}

/// A stored signature base, taken apart again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedBase<'a> {
    /// Which kind of message was signed, and when, until when, with which key.
    pub params: Params,
    /// What was signed.
    pub parts: Parts<'a>,
}

/// The parts of either kind of message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parts<'a> {
    /// A request or document.
    Request(RequestParts<'a>),
    /// An answer.
    Response(ResponseParts<'a>),
}

/// Takes a stored base apart. Says nothing about who signed it: see [`verify_base`].
pub fn parse_base(base: &str) -> Result<ParsedBase<'_>, Refusal> {
    if base.len() > BASE_BYTES_MAX {
        return Err(Refusal::BaseMalformed("it is longer than 64 KiB"));
    }
    let last = base.rsplit('\n').next().unwrap_or_default();
    let list = last.strip_prefix(PARAMS_NAME).and_then(|list| list.split_once(')'));
    let Some((_, raw)) = list else {
        return Err(Refusal::BaseMalformed("the last line is not @signature-params"));
    };
    let params = Params::parse(raw)?;
    if params.tag == Tag::Response {
        let values @ [status, content_type, content_digest, exchange_id, call, signature] =
            read(&RESPONSE, base)?;
        require_same(base, &write(&RESPONSE, &values, raw))?;
        let parts = ResponseParts {
            status: status.unwrap_or_default(),
            content_type: content_type.unwrap_or_default(),
            content_digest: content_digest.unwrap_or_default(),
            exchange_id: exchange_id.unwrap_or_default(),
            call,
            request_signature: signature,
        };
        parts.check()?;
        return Ok(ParsedBase { params, parts: Parts::Response(parts) });
    }
    let values = read(&REQUEST, base)?;
    let [
        method,
        authority,
        path,
        query,
        content_type,
        content_digest,
        exchange_id,
        agreement,
        client,
        service,
        document,
        call,
        consent,
        purpose,
    ] = values;
    require_same(base, &write(&REQUEST, &values, raw))?;
    let parts = RequestParts {
        method: method.unwrap_or_default(),
        authority: authority.unwrap_or_default(),
        path: path.unwrap_or_default(),
        query,
        content_type: content_type.unwrap_or_default(),
        content_digest: content_digest.unwrap_or_default(),
        exchange_id: exchange_id.unwrap_or_default(),
        agreement: agreement.unwrap_or_default(),
        client: client.unwrap_or_default(),
        service: service.unwrap_or_default(),
        document,
        call,
        consent,
        purpose: purpose.unwrap_or_default(),
    };
    parts.check()?;
    Ok(ParsedBase { params, parts: Parts::Request(parts) })
}

/// Verifies a stored base against a stored signature and the key it names, and takes it apart.
///
/// This is all a third party needs years later. Whether the key was that party's at the time is
/// for the caller to check, against the list in force (`params.key`, `params.created`).
pub fn verify_base<'a>(
    base: &'a str,
    signature: &[u8],
    key: &PublicKey,
) -> Result<ParsedBase<'a>, Refusal> {
    let parsed = parse_base(base)?;
    if fits(base, &parsed.params, signature, key) {
        Ok(parsed)
    } else {
        Err(Refusal::SignatureWrong(parsed.params.key))
    }
}

/// Returns whether a signature is the key's over a base, alone or in a batch as the tag says.
pub(super) fn fits(base: &str, params: &Params, signature: &[u8], key: &PublicKey) -> bool {
    if params.is_batched {
        batch::verify(base, signature, &params.key, key)
    } else {
        key.verify(base.as_bytes(), signature)
    }
}

fn require_same(base: &str, written: &str) -> Result<(), Refusal> {
    if base == written {
        Ok(())
    } else {
        Err(Refusal::BaseMalformed("its lines and its component list are not the profile's"))
    }
}

/// Reads the value of each line that has the next expected name.
fn read<'a, const N: usize>(
    names: &[(&'static str, bool); N],
    base: &'a str,
) -> Result<[Option<&'a str>; N], Refusal> {
    let mut values = [None; N];
    let mut lines = base.split('\n').peekable();
    for ((name, optional), slot) in names.iter().zip(&mut values) {
        let value = lines.peek().and_then(|line| {
            let value = line.strip_prefix('"')?.strip_prefix(name)?.strip_prefix("\": ")?;
            if *name == "@query" { value.strip_prefix('?') } else { Some(value) }
        });
        match value {
            Some(value) => {
                *slot = Some(value);
                lines.next();
            }
            None if *optional => {}
            None => return Err(Refusal::FieldMissing(name)),
        }
    }
    Ok(values)
}
