//! The one table of error kinds: what a failure means to the caller, to a script and to a graph.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What kind of failure an error is, and so whose turn it is to act.
///
/// Each kind maps to an HTTP status (RFC 9110), a process exit code, a metric label and a problem
/// type (RFC 9457). The text of an error says what happened; the kind says what to do with it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input breaks a rule; the sender must change it.
    Invalid,
    /// No valid identity was shown (certificate, token, signature).
    Unauthenticated,
    /// The identity is known but no agreement or permission covers the act.
    Forbidden,
    /// The named thing does not exist here.
    NotFound,
    /// The act contradicts what is stored, such as one id with two contents.
    Conflict,
    /// The body or document is larger than its named bound.
    TooLarge,
    /// A bound on rate, queue or concurrency was reached; try later.
    Overloaded,
    /// The other node or agency broke the protocol.
    PeerMisbehaved,
    /// The other node or agency cannot be reached now.
    PeerUnavailable,
    /// The operator's configuration or files must be mended.
    LocalConfig,
    /// Storage failed or holds damaged data.
    Storage,
    /// Evidence does not verify: a signature, proof, digest or log was altered.
    Evidence,
    /// A defect in Karvan itself.
    Internal,
}

impl ErrorKind {
    /// Every kind, for tables and completeness tests.
    pub const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Overloaded,
        Self::PeerMisbehaved,
        Self::PeerUnavailable,
        Self::LocalConfig,
        Self::Storage,
        Self::Evidence,
        Self::Internal,
    ];

    /// Returns label, HTTP status and process exit code: the table itself.
    const fn row(self) -> (&'static str, u16, u8) {
        match self {
            Self::Invalid => ("invalid", 422, 3),
            Self::Unauthenticated => ("unauthenticated", 401, 4),
            Self::Forbidden => ("forbidden", 403, 5),
            Self::NotFound => ("not-found", 404, 6),
            Self::Conflict => ("conflict", 409, 7),
            Self::TooLarge => ("too-large", 413, 8),
            Self::Overloaded => ("overloaded", 503, 9),
            Self::PeerMisbehaved => ("peer-misbehaved", 502, 10),
            Self::PeerUnavailable => ("peer-unavailable", 504, 11),
            Self::LocalConfig => ("configuration", 500, 12),
            Self::Storage => ("storage", 500, 13),
            Self::Evidence => ("evidence", 422, 14),
            Self::Internal => ("internal", 500, 70),
        }
    }

    /// Returns the stable name used as metric label, in JSON output and in refusals.
    pub const fn label(self) -> &'static str {
        self.row().0
    }

    /// Returns the HTTP status code (RFC 9110, section 15).
    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// Returns the exit code of the command line. 0 is success, 1 a failed check, 2 wrong usage.
    pub const fn exit_code(self) -> u8 {
        self.row().2
    }

    /// Returns the kind with this label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.label() == label)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        Self::from_label(&label).ok_or_else(|| {
            serde::de::Error::custom(format!("`{label}` is not the label of an error kind"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_exit_codes_are_unique() {
        let mut labels: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.label()).collect();
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.exit_code()).collect();
        labels.sort_unstable();
        labels.dedup();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!((labels.len(), codes.len()), (ErrorKind::ALL.len(), ErrorKind::ALL.len()));
        for kind in ErrorKind::ALL {
            assert_eq!(ErrorKind::from_label(kind.label()), Some(kind));
        }
    }
}
