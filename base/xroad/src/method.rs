//! The methods that the protocol carries.

use crate::Error;

/// An HTTP method of PR-REST; written in upper case, and there are no others.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(missing_docs, reason = "the variants are the methods of RFC 9110 and RFC 5789")]
pub enum Method {
    Delete,
    Get,
    Head,
    Options,
    Patch,
    Post,
    Put,
    Trace,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 8] = [
        Self::Delete,
        Self::Get,
        Self::Head,
        Self::Options,
        Self::Patch,
        Self::Post,
        Self::Put,
        Self::Trace,
    ];

    /// Reads the method of a request line.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|method| method.as_str() == text).ok_or(Error::Method)
    }

    /// Returns the name as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
        }
    }
}
