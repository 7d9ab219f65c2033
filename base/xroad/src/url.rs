//! The address that is called at the provider (X-Road's behaviour; PR-REST 4.1 is silent on it).

use std::fmt;

use crate::Error;

/// Longest base address of a service, in bytes.
pub const BASE_BYTES_MAX: usize = 2048;

/// The base address of a service: an absolute `http` or `https` URL without user, query and
/// fragment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceUrl(String);

impl ServiceUrl {
    /// Reads a base address from the configuration.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let error = |rule| Error::ServiceUrl { rule };
        if text.len() > BASE_BYTES_MAX {
            return Err(error("it must have at most 2048 bytes"));
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or(error("it must begin with https:// or http://"))?;
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte)) {
            return Err(error("it must be visible ASCII without query and fragment"));
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with(':') || authority.contains('@') {
            return Err(error("it must name a host, and no user"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the address for a raw service path and query, which stay as they are; of two
    /// slashes where base and path meet one is dropped.
    pub fn join(&self, path: &str, query: Option<&str>) -> String {
        let drop = if path.starts_with('/') { self.0.strip_suffix('/') } else { None };
        let base = drop.unwrap_or(&self.0);
        let (mark, query) = query.map_or(("", ""), |query| ("?", query));
        [base, path, mark, query].concat()
    }

    /// Returns the base address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
