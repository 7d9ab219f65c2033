//! Why a provider's system gave no answer.

use std::io;
use std::time::Duration;

use karvan_types::ErrorKind;
use karvan_xroad::{Code, FaultCode, Prefix};

/// What happened on the way to a provider's system.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum UpstreamErrorKind {
    /// Nobody listens at the address.
    Refused,
    /// The connection ended before the answer did.
    Reset,
    /// The host's name has no address.
    UnknownHost,
    /// The time was over.
    Timeout,
    /// The system's certificate is not accepted, or no TLS connection came about.
    Tls,
    /// The configured address cannot be called.
    Address,
    /// As many calls as the system may have are under way.
    Busy,
    /// Another failure of the connection, or what came is no HTTP.
    Io,
}

/// A provider's system gave no whole answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct UpstreamError {
    /// What happened.
    pub kind: UpstreamErrorKind,
    /// The cause and what to do, for the operator. It may name inside addresses.
    pub text: String,
    /// Whether the system may have seen the request, and so may have acted.
    pub sent: bool,
}

impl UpstreamErrorKind {
    /// Returns the code under which X-Road tells callers of it.
    pub const fn code(self) -> FaultCode {
        let code = match self {
            Self::Refused | Self::Reset => Code::NetworkError,
            Self::UnknownHost => Code::UnknownHost,
            Self::Timeout | Self::Io => Code::IoError,
            Self::Tls => Code::IncorrectCertificate,
            Self::Address => Code::ServiceMalformedUrl,
            Self::Busy => Code::Overloaded,
        };
        FaultCode::new(Prefix::ServerProxy, code)
    }

    /// Returns what callers are told: enough to know whose turn it is, and no inside address.
    pub const fn public_text(self) -> &'static str {
        match self {
            Self::Refused => "the provider's system accepts no connection; tell the provider",
            Self::Reset => "the provider's system broke off; tell the provider",
            Self::UnknownHost => "the provider's system is not found; tell the provider",
            Self::Timeout => "the provider's system did not answer in time; tell the provider",
            Self::Tls => "no secure connection to the provider's system; tell the provider",
            Self::Address => "the provider's service has no usable address; tell the provider",
            Self::Io => "the provider's system could not be understood; tell the provider",
            Self::Busy => "the provider's system has as many calls as it may have; try again soon",
        }
    }
}

impl UpstreamError {
    pub(crate) fn new(kind: UpstreamErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), sent: false }
    }

    /// Says that the system may have seen the request.
    pub(crate) fn after_sending(self) -> Self {
        Self { sent: true, ..self }
    }

    pub(super) fn timeout(within: Duration) -> Self {
        let text = format!("no answer within {} ms", within.as_millis());
        Self::new(UpstreamErrorKind::Timeout, text)
    }

    /// Returns whose turn it is to act.
    pub const fn kind(&self) -> ErrorKind {
        match self.kind {
            UpstreamErrorKind::Address => ErrorKind::LocalConfig,
            UpstreamErrorKind::Busy => ErrorKind::Overloaded,
            _ => ErrorKind::PeerUnavailable,
        }
    }

    pub(super) fn of_io(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => UpstreamErrorKind::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => UpstreamErrorKind::Reset,
            io::ErrorKind::TimedOut => UpstreamErrorKind::Timeout,
            _ => UpstreamErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }

    pub(super) fn of_hyper(error: &hyper::Error) -> Self {
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(inner) = cause {
            if let Some(io) = inner.downcast_ref::<io::Error>() {
                let found = Self::of_io(io);
                return Self::new(found.kind, format!("{error}: {inner}"));
            }
            cause = inner.source();
        }
        let reset = error.is_incomplete_message() || error.is_canceled() || error.is_closed();
        let kind = if reset { UpstreamErrorKind::Reset } else { UpstreamErrorKind::Io };
        Self::new(kind, error.to_string())
    }
}
