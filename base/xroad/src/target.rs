//! The target of a request: `/r1/{instance}/{class}/{member}/{subsystem}/{service}[/path][?query]`
//! (PR-REST 4.1).
//!
//! The raw target is cut at its slashes into at most eight pieces; the five identifier parts are
//! decoded one by one, so `%2F` in a part is not a cut. What follows them, the service path, and
//! the query stay the bytes that came: the provider gets them as they are.
//!
//! Invariants: all five parts are present (the specification lets the subsystem be absent, X-Road's
//! code does not); [`Target::path`] is empty or begins with a slash.
//!
//! Not here: the decoded copy of the service path that rights are checked on, and with it the
//! refusal of broken escapes and of dot segments with two readings (`crate::access`).

use crate::Error;
use crate::id::{Parts, ServiceId};

/// Longest request target, in bytes.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;

const WHAT: &str = "the request target";

/// A request target taken apart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target<'a> {
    /// The service that is called.
    pub service: ServiceId<'a>,
    /// The raw service path: empty, or from its slash on.
    pub path: &'a str,
    /// The raw query without its question mark; `Some("")` for a lone question mark.
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads the raw path and query of a request line.
    pub fn parse(target: &'a str) -> Result<Self, Error> {
        const VERSION: &str = "it must begin with /r1/; no other protocol version is spoken";
        const SHAPE: &str = "it must be /r1/instance/class/member/subsystem/service, which a path \
                             and a query may follow";
        const VISIBLE: &str = "it must hold visible ASCII characters only, and no `#`";
        if target.len() > TARGET_BYTES_MAX {
            let (actual, max) = (target.len(), TARGET_BYTES_MAX);
            return Err(Error::TooLong { what: WHAT, unit: "bytes", actual, max });
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Error::Malformed { what: WHAT, rule: VISIBLE });
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let ids = path.strip_prefix("/r1/");
        let ids = ids.ok_or(Error::Malformed { what: WHAT, rule: VERSION })?;
        let mut parts = Parts::of(WHAT, SHAPE, ids);
        let service = ServiceId::take(&mut parts)?;
        Ok(Self { service, path: parts.remaining(ids), query })
    }
}
