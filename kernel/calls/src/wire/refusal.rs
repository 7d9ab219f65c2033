//! Why a call did not reach its service or its answer, and how that is told.
//!
//! Between nodes a refusal is a signed problem (RFC 9457) with three members more: `fault`, the
//! X-Road code; `limit`, the quota; `sent`, that the provider's system may have acted. To the
//! agency it is X-Road's error: body, status and the header `X-Road-Error`; its detail is the
//! exchange id, under which the operator finds the cause. `Karvan-Cause` has the stable code of the
//! cause for programs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use karvan_agreements::Quota;
use karvan_exchange::client::{Body, full};
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, ExchangeId, json};
use karvan_xroad::fault::BodyFormat;
use karvan_xroad::{Code, Fault, FaultCode, Prefix, Spelling, header};
use serde::{Deserialize, Serialize};

use crate::body::BodyError;
use crate::overload;
use crate::upstream::{UpstreamError, UpstreamErrorKind};

/// Most characters of a refusal's text that travel.
const TEXT_CHARS_MAX: usize = 1024;
/// How a refusal stands in `Karvan-Call`.
const IN_FIELD: &str = "refusal=:";
/// Problem types are this prefix and the cause's code.
const PROBLEM_TYPE: &str = "urn:karvan:problem:";
/// The header that tells an agency's program the cause.
pub(crate) const CAUSE: HeaderName = HeaderName::from_static("karvan-cause");
/// The header that tells the exchange.
pub(crate) const EXCHANGE: HeaderName = HeaderName::from_static("karvan-exchange-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// A quota and what is left of it (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Limit {
    /// Calls of the quota.
    pub(crate) calls: u32,
    /// Seconds that it is for.
    pub(crate) window: u64,
    /// Calls that are left.
    pub(crate) remaining: u32,
    /// Seconds until it is full again.
    pub(crate) reset: u64,
}

/// A refusal, for either side.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    /// What happened and what to do.
    pub(crate) rejection: Rejection,
    /// How X-Road calls it.
    pub(crate) code: FaultCode,
    /// When to come again.
    pub(crate) retry_after: Option<Duration>,
    /// The quota that is used up.
    pub(crate) limit: Option<Box<Limit>>,
    /// Whether the provider's system may have seen the request: then the call is not refused but
    /// unanswered, for it may have had its effect.
    pub(crate) sent: bool,
}

/// A refusal in the name of one side, by the cause alone.
pub(crate) trait Cause {
    /// Returns the refusal.
    fn by(self, prefix: Prefix) -> Refusal;
}

impl Limit {
    /// Describes a quota.
    pub(crate) fn new(quota: Quota, remaining: u32, reset: Duration) -> Self {
        let window = quota.per.duration().as_secs();
        Self { calls: quota.calls, window, remaining, reset: seconds(reset) }
    }

    /// Writes the two fields.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Self { calls, window, remaining, reset } = self;
        let limit = format!("\"agreement\";r={remaining};t={reset}");
        let policy = format!("\"agreement\";q={calls};w={window}");
        for (name, text) in [(RATE_LIMIT, limit), (RATE_LIMIT_POLICY, policy)] {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Rounds up, so that nobody comes back too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

impl Refusal {
    /// Makes a refusal with a code.
    pub(crate) fn new(prefix: Prefix, code: Code, rejection: Rejection) -> Self {
        Self::of(FaultCode::new(prefix, code), rejection)
    }

    /// Makes a refusal of a relayed message that one side could not read.
    pub(crate) fn relayed(prefix: Prefix, code: Code, rejection: Rejection) -> Self {
        Self::of(FaultCode::relayed(prefix, code), rejection)
    }

    const fn of(code: FaultCode, rejection: Rejection) -> Self {
        Self { rejection, code, retry_after: None, limit: None, sent: false }
    }

    /// Says that the provider's system may have seen the request, and so may have acted.
    pub(crate) fn after_sending(mut self) -> Self {
        if !self.sent {
            let text = &mut self.rejection.text;
            text.push_str("; whether the service acted is not known: ask before you repeat it");
            self.sent = true;
        }
        self
    }

    /// Adds when to come again.
    pub(crate) fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Returns the HTTP status: X-Road's, but for what its clients do not know: 429 for a quota
    /// that is used up, 503 for a node or service that has too much to do.
    pub(crate) fn status(&self) -> u16 {
        match self.code.code {
            Code::QuotaExceeded => StatusCode::TOO_MANY_REQUESTS.as_u16(),
            Code::Overloaded | Code::MaintenanceMode => StatusCode::SERVICE_UNAVAILABLE.as_u16(),
            _ => self.code.http_status(),
        }
    }

    /// Writes the problem that travels between nodes, in canonical JSON.
    pub(crate) fn problem(&self) -> Vec<u8> {
        let problem = Problem {
            kind: format!("{PROBLEM_TYPE}{}", self.rejection.code),
            title: self.rejection.kind.label().to_owned(),
            status: self.status(),
            detail: self.rejection.text.chars().take(TEXT_CHARS_MAX).collect(),
            fault: self.code.text(Spelling::Snake),
            retry_after: self.retry_after.map(seconds),
            limit: self.limit.clone(),
            sent: self.sent,
        };
        json::canonical(&problem).unwrap_or_default()
    }

    /// Writes the problem as the field `Karvan-Call`, for answers that have no body.
    pub(crate) fn field(&self) -> String {
        format!("{IN_FIELD}{}:", STANDARD.encode(self.problem()))
    }

    /// Reads the field; `None` when it is another.
    pub(crate) fn read_field(field: &str) -> Option<Self> {
        let encoded = field.strip_prefix(IN_FIELD)?.strip_suffix(':')?;
        Self::read(&STANDARD.decode(encoded).ok()?)
    }

    /// Reads a problem of a peer; `None` when it is none.
    pub(crate) fn read(problem: &[u8]) -> Option<Self> {
        let problem: Problem = json::from_slice(problem).ok()?;
        let rejection = Rejection {
            kind: ErrorKind::from_label(&problem.title)?,
            code: problem.kind.strip_prefix(PROBLEM_TYPE)?.to_owned(),
            text: problem.detail,
            pointers: Vec::new(),
        };
        Some(Self {
            rejection,
            code: FaultCode::parse(&problem.fault)?,
            retry_after: problem.retry_after.map(Duration::from_secs),
            limit: problem.limit,
            sent: problem.sent,
        })
    }

    /// Makes the answer that an agency gets.
    pub(crate) fn to_answer(
        &self,
        method: &Method,
        request: &HeaderMap,
        spelling: Spelling,
        exchange: ExchangeId,
    ) -> Response<Body> {
        let format = BodyFormat::from_accept(
            request.get_all(http::header::ACCEPT).iter().map(HeaderValue::as_bytes),
        );
        let detail = exchange.to_string();
        let fault = Fault { code: self.code, message: self.rejection.text.clone(), detail };
        let body = if *method == Method::HEAD { Vec::new() } else { fault.body(format, spelling) };
        let mut answer = Response::new(full(body));
        *answer.status_mut() = StatusCode::from_u16(self.status()).unwrap_or_default();
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        let mut put = |name: HeaderName, text: String| {
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        };
        put(HeaderName::from_static(header::ERROR), self.code.text(spelling));
        put(CAUSE, self.rejection.code.clone());
        put(EXCHANGE, exchange.to_string());
        if let Some(after) = self.retry_after {
            put(RETRY_AFTER, seconds(after).max(1).to_string());
        }
        if let Some(limit) = &self.limit {
            limit.write(headers);
        }
        answer
    }
}

/// A problem as it travels.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    detail: String,
    fault: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<Box<Limit>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sent: bool,
}

impl Cause for Rejection {
    fn by(self, prefix: Prefix) -> Refusal {
        let code = match (self.code.as_str(), self.kind) {
            (_, ErrorKind::Forbidden) if self.code != "member-not-served" => Code::AccessDenied,
            ("not-listed", ErrorKind::NotFound)
            | ("member-not-served" | "member-without-node", _) => Code::UnknownMember,
            ("not-listed" | "list-expired", _) => Code::GlobalConfOutdated,
            ("signature-missing", _) => Code::MissingSignature,
            ("signature-malformed" | "component-list", _) => Code::MalformedSignature,
            ("signature-wrong", _) => Code::InvalidSignatureValue,
            ("key-missing", _) => Code::KeyNotFound,
            ("key-expired" | "key-not-yet-valid" | "key-unknown", _) => Code::CertValidation,
            ("signing-failed", _) => Code::CannotCreateSignature,
            ("body-too-long", _) => return Refusal::new(Prefix::Client, Code::BadRequest, self),
            (_, ErrorKind::Unauthenticated | ErrorKind::Evidence) => Code::SignatureVerification,
            (_, ErrorKind::Storage) => Code::DatabaseError,
            (_, ErrorKind::Overloaded) => Code::Overloaded,
            (_, ErrorKind::PeerUnavailable) => Code::NetworkError,
            (_, ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Conflict) => {
                Code::InvalidRequest
            }
            _ => Code::InternalError,
        };
        Refusal::new(prefix, code, self)
    }
}

impl Cause for karvan_xroad::Error {
    fn by(self, _prefix: Prefix) -> Refusal {
        let rejection = Rejection::new(self.kind(), "request-malformed", self.to_string());
        Refusal { code: self.code(), ..Refusal::new(Prefix::Client, Code::BadRequest, rejection) }
    }
}

impl Cause for karvan_trust::message::Refusal {
    fn by(self, prefix: Prefix) -> Refusal {
        karvan_exchange::wire::reject(&self).by(prefix)
    }
}

impl Cause for karvan_store::Error {
    fn by(self, prefix: Prefix) -> Refusal {
        Rejection::from(self).by(prefix)
    }
}

impl Cause for UpstreamError {
    fn by(self, _prefix: Prefix) -> Refusal {
        tracing::warn!("a provider's system gave no answer: {self}");
        let busy = self.kind == UpstreamErrorKind::Busy;
        let code = if busy { "overloaded" } else { "provider-system" };
        let rejection = Rejection::new(self.kind(), code, self.kind.public_text());
        let refusal = Refusal {
            retry_after: busy.then_some(overload::RETRY_AFTER),
            ..Refusal::of(self.kind.code(), rejection)
        };
        if self.sent { refusal.after_sending() } else { refusal }
    }
}

impl Cause for BodyError {
    fn by(self, prefix: Prefix) -> Refusal {
        let upstream = match &self {
            Self::Broken(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            _ => None,
        };
        if let Some(error) = upstream {
            return UpstreamError::clone(error).by(prefix);
        }
        let (kind, code, fault) = match &self {
            Self::TooLong(_) => (ErrorKind::TooLarge, "body-too-long", Code::BadRequest),
            Self::Slow => (ErrorKind::Invalid, "body-slow", Code::IoError),
            Self::Broken(_) => (ErrorKind::Invalid, "body-incomplete", Code::IoError),
            Self::Disk(_) => (ErrorKind::Storage, "storage", Code::IoError),
            Self::NoRoom => (ErrorKind::Overloaded, "no-room", Code::Overloaded),
        };
        let refusal = Refusal::new(prefix, fault, Rejection::new(kind, code, self.to_string()));
        match self {
            Self::NoRoom => refusal.retry_after(overload::RETRY_AFTER),
            _ => refusal,
        }
    }
}
