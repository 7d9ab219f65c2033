//! The one error of this crate.

use karvan_types::ErrorKind;
use karvan_types::id::InvalidId;

use crate::fault::{Code, Fault, FaultCode, Prefix};

/// A part of a message breaks the protocol.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field breaks its rule.
    #[error("{what} is malformed: {rule}")]
    Malformed {
        /// The field, such as `the header X-Road-Client`.
        what: &'static str,
        /// The rule that was broken, and so what to mend.
        rule: &'static str,
    },
    /// A field is longer, or has more parts, than its named bound.
    #[error("{what} has {actual} {unit}; at most {max} are accepted")]
    TooLong {
        /// The field.
        what: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        actual: usize,
        /// How many are accepted.
        max: usize,
    },
    /// A header that every request needs is absent.
    #[error("the header {name} is missing; {rule}")]
    MissingHeader {
        /// The header's name.
        name: &'static str,
        /// What it must hold.
        rule: &'static str,
    },
    /// The HTTP method is none that the protocol carries.
    #[error("the method is not carried; use DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT or TRACE")]
    Method,
    /// The address of a service in the configuration cannot be called.
    #[error("the address of the service is malformed: {rule}")]
    ServiceUrl {
        /// The rule that was broken.
        rule: &'static str,
    },
    /// An identifier has no form as a Karvan member id.
    #[error("the identifier cannot be a member's: {0}")]
    Member(#[from] InvalidId),
    /// A provider's service description cannot be handed out.
    #[error("the service description cannot be handed out: {rule}")]
    Description {
        /// The rule that was broken.
        rule: &'static str,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed { .. }
            | Self::MissingHeader { .. }
            | Self::Method
            | Self::Member(_) => ErrorKind::Invalid,
            Self::TooLong { .. } => ErrorKind::TooLarge,
            Self::ServiceUrl { .. } => ErrorKind::LocalConfig,
            Self::Description { .. } => ErrorKind::PeerMisbehaved,
        }
    }

    /// Returns the X-Road error code that tells a consumer of this failure.
    ///
    /// What is wrong with a request is `client.bad_request`, as the specification says; X-Road's
    /// own code answers some of these cases with `internal_error` and status 500.
    pub const fn code(&self) -> FaultCode {
        let (prefix, code) = match self {
            Self::Method => (Prefix::Client, Code::InvalidHttpMethod),
            Self::ServiceUrl { .. } => (Prefix::ServerProxy, Code::ServiceMalformedUrl),
            Self::Description { .. } => (Prefix::ServerProxy, Code::InternalError),
            _ => (Prefix::Client, Code::BadRequest),
        };
        FaultCode::new(prefix, code)
    }

    /// Returns the answer to the consumer; `detail` is the id under which the log has the cause.
    pub fn fault(&self, detail: String) -> Fault {
        Fault { code: self.code(), message: self.to_string(), detail }
    }
}
