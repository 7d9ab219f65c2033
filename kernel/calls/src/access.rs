//! Whether a system may call for the subsystem that it names in `X-Road-Client`.
//!
//! One of three is enough: a TLS client certificate that is registered for the subsystem; a token
//! of this node with the permission `calls.send` for the subsystem or its member; or, when the
//! operator allows it for the subsystem, nothing at all. X-Road has the first and the last.
//!
//! A token travels in `X-Karvan-Token`, or as a bearer token in `Authorization` (RFC 6750).
//! `Authorization` may as well be meant for the provider's system, so it is ours only when its
//! token is known here; otherwise it counts for nothing and travels on. `X-Karvan-Token` never
//! travels on.
//!
//! Invariants: a token is looked up by its digest, so that comparing leaks nothing of it; it is not
//! taken over a connection that others could read.
//!
//! Not here: whether the subsystem may call the service (agreements), whether it exists (lists).

use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use karvan_exchange::tokens::Tokens;
use karvan_subsystem::{Caller, Rejection};
use karvan_types::{Digest, ErrorKind, MemberId};

use crate::registry::Registry;

/// The header in which a system shows a token of its node.
pub const TOKEN: HeaderName = HeaderName::from_static("x-karvan-token");
/// The permission that a token needs.
pub const PERMISSION: &str = "calls.send";

/// What the connection says about the system at its other end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// Whether nobody between can read along: it is TLS, or it does not leave the machine.
    pub private: bool,
    /// The system's certificate (`karvan_trust::tls::agency::fingerprint`), possession proven.
    pub certificate: Option<Digest>,
}

/// How a system proved that it may call for a subsystem.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// By a registered certificate.
    Certificate,
    /// By a token in `X-Karvan-Token`.
    Token,
    /// By a token in `Authorization`, which is used up and must not be passed on.
    Authorization,
    /// Nothing is asked of this subsystem's systems.
    Nothing,
}

/// Judges the systems of agencies.
pub struct Access {
    registry: Arc<Registry>,
    tokens: Arc<Tokens>,
}

impl Access {
    /// Takes the settings and the tokens of the node (`karvan_exchange::NodeConfig::tokens`).
    pub fn new(registry: Arc<Registry>, tokens: Arc<Tokens>) -> Self {
        Self { registry, tokens }
    }

    /// Returns how the system proved that it may call for `client`, or what is missing.
    pub fn check(
        &self,
        headers: &HeaderMap,
        line: Line,
        client: &MemberId,
    ) -> Result<Proof, Rejection> {
        let access = self.registry.client(client);
        if line.certificate.is_some_and(|shown| access.certificates.contains(&shown)) {
            return Ok(Proof::Certificate);
        }
        if let Some(value) = headers.get(TOKEN) {
            let known = self.tokens.find(value.as_bytes());
            let known = known.ok_or_else(|| {
                refused(
                    ErrorKind::Unauthenticated,
                    "token-unknown",
                    "this node does not know the token in X-Karvan-Token; ask its operator for one"
                        .to_owned(),
                )
            })?;
            return judge(&known, line, client).map(|()| Proof::Token);
        }
        if let Some(known) = self.bearer(headers) {
            return judge(&known, line, client).map(|()| Proof::Authorization);
        }
        if access.plain_http {
            return Ok(Proof::Nothing);
        }
        Err(refused(ErrorKind::Unauthenticated, "client-not-authenticated", missing(line, client)))
    }

    fn bearer(&self, headers: &HeaderMap) -> Option<Arc<Caller>> {
        let value = headers.get(AUTHORIZATION)?.as_bytes();
        let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
        let token = scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)?;
        self.tokens.find(token)
    }
}

/// Judges a token that this node knows.
fn judge(caller: &Caller, line: Line, client: &MemberId) -> Result<(), Rejection> {
    if !line.private {
        let text = "a token was sent where others could read it: replace the token, and use https";
        return Err(refused(ErrorKind::Unauthenticated, "token-exposed", text.to_owned()));
    }
    caller.require(PERMISSION)?;
    if caller.member != *client && caller.member != client.member() {
        let text = format!(
            "the token is of {}, which may not call for {client}; use a token of that subsystem \
             or set X-Road-Client to your own",
            caller.member
        );
        return Err(refused(ErrorKind::Forbidden, "token-of-another", text));
    }
    Ok(())
}

fn missing(line: Line, client: &MemberId) -> String {
    match line.certificate {
        Some(shown) => format!(
            "the client certificate with SHA-256 {shown} is not registered for {client}; have the \
             operator register it, or send a token in X-Karvan-Token"
        ),
        None => format!(
            "nothing shows that this system may call for {client}; use a registered client \
             certificate, or send a token in X-Karvan-Token"
        ),
    }
}

fn refused(kind: ErrorKind, code: &str, text: String) -> Rejection {
    Rejection::new(kind, code, text)
}

#[cfg(test)]
mod tests;
