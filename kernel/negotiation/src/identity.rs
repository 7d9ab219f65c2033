//! Who a caller is: a short-lived signed token beside mutual TLS, and a trait for other ways.
//!
//! A participant is a member or subsystem, `urn:karvan:member:PK/GOV/FBR/customs`. Its token is a
//! JWT (RFC 7519) as a compact JWS in `Authorization: Bearer`: `iss` and `sub` are the participant,
//! `aud` is the node that is called (`urn:karvan:node:AZ/node/baku-1`), `cnf` names the calling
//! node, and the member's key on its national list signs. Its shape is that of a self-issued token
//! of DCP, so that DCP can take its place.
//!
//! Invariants: a token counts only over a connection of the node that it names, which serves the
//! member; a token counts once; none from before the start of this process counts, so that a
//! restart forgets nothing that matters.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use karvan_exchange::Node;
use karvan_trust::keys::{Algorithm, KeyId};
use karvan_trust::message::KeyDirectory as _;
use karvan_types::limits::CLOCK_SKEW_SECONDS_MAX;
use karvan_types::{ErrorKind, ExchangeId, MemberId, NodeId, Timestamp, json};
use serde::{Deserialize, Serialize};

use crate::Error;

pub use foreign::{FixedToken, MockClaims};

mod foreign;

/// What stands before a member's id in a participant id.
pub const MEMBER_PREFIX: &str = "urn:karvan:member:";
/// What stands before a node's id in an audience.
pub const NODE_PREFIX: &str = "urn:karvan:node:";
/// How long a token lasts, in seconds.
const TOKEN_SECONDS: u64 = 120;
/// Longest life of a peer's token that is accepted, in seconds.
const TOKEN_SECONDS_MAX: u64 = 300;
/// Longest token that is read, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Most tokens remembered as used.
const USED_MAX: usize = 100_000;

/// Returns the participant id of a member.
pub fn participant_of(member: &MemberId) -> String {
    format!("{MEMBER_PREFIX}{member}")
}

/// Returns the member that a participant id names.
pub fn member_of(participant: &str) -> Option<MemberId> {
    participant.strip_prefix(MEMBER_PREFIX)?.parse().ok()
}

/// Reads how people name a participant: a member, a node, or a participant id as it is.
pub(crate) fn participant_named(name: &str) -> String {
    match (name.parse::<NodeId>(), name.parse::<MemberId>()) {
        (Ok(node), _) => format!("{NODE_PREFIX}{node}"),
        (_, Ok(member)) => participant_of(&member),
        _ => name.to_owned(),
    }
}

/// Who a request comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Participant {
    /// Its id.
    pub id: String,
    /// The node at the other end of the connection, where there is one.
    pub node: Option<NodeId>,
}

impl Participant {
    /// Returns the names under which datasets may be shown to it.
    pub fn audiences(&self) -> Vec<String> {
        let mut all = vec!["*".to_owned(), self.id.clone()];
        if let Some(member) = member_of(&self.id) {
            all.extend([
                member.instance().to_string(),
                member.member().to_string(),
                member.to_string(),
            ]);
        }
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// Recognises callers, and says who we are.
pub trait Identity: Send + Sync {
    /// Returns who sent a request over the connection of `from`.
    fn authenticate(
        &self,
        from: Option<&NodeId>,
        headers: &HeaderMap,
    ) -> Result<Participant, Error>;

    /// Returns the `Authorization` value with which `own` calls `peer` at its base.
    fn token_for(&self, own: &str, peer: &str, address: &str) -> Result<String, Error>;
}

/// Tokens signed by members, over mutual TLS.
pub struct MemberTokens {
    node: Node,
    started: Timestamp,
    // The ids of used tokens, with the instant at which each may be forgotten.
    used: Mutex<HashMap<String, Timestamp>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: KeyId,
    typ: String,
}

#[derive(Deserialize, Serialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
    cnf: Confirmation,
}

/// The key or party that a token is bound to (RFC 7800): here the node that mutual TLS proves.
#[derive(Deserialize, Serialize)]
struct Confirmation {
    #[serde(rename = "urn:karvan:node")]
    node: NodeId,
}

fn refuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthenticated, "token", text)
}

const fn alg(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Ed25519 => "EdDSA",
        Algorithm::EcdsaP256Sha256 => "ES256",
    }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    let bytes = URL_SAFE_NO_PAD.decode(text);
    let bytes = bytes.map_err(|_| refuse("a part of the token is no base64url"))?;
    json::from_slice(&bytes).map_err(|error| refuse(format!("the token: {error}")))
}

impl MemberTokens {
    /// Makes the identity of a node's members.
    pub fn new(node: Node) -> Self {
        let started = node.now();
        Self { node, started, used: Mutex::default() }
    }

    fn sign(&self, claims: &Claims, key: &KeyId) -> Result<String, Error> {
        let internal = |error: String| Error::new(ErrorKind::LocalConfig, "token", error);
        let keys = self.node.keys();
        let public = keys.public(key);
        let public = public.ok_or_else(|| internal(format!("the key {key} is not held here")))?;
        let header = Header {
            alg: alg(public.algorithm()).to_owned(),
            kid: key.clone(),
            typ: "JWT".to_owned(),
        };
        let write = |bytes: Result<Vec<u8>, json::Error>| {
            bytes.map(|b| URL_SAFE_NO_PAD.encode(b)).map_err(|error| internal(error.to_string()))
        };
        let head = write(json::canonical(&header))?;
        let input = format!("{head}.{}", write(json::canonical(claims))?);
        let signature = keys.sign(key, input.as_bytes());
        let signature = signature.map_err(|error| internal(error.to_string()))?;
        Ok(format!("Bearer {input}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Verifies form and signature, and that the signer speaks for the subject.
    fn open(&self, token: &str, now: Timestamp) -> Result<Claims, Error> {
        let parts: Vec<_> = token.split('.').collect();
        let &[head, payload, signature] = parts.as_slice() else {
            return Err(refuse("the token is no compact JWS; send header.payload.signature"));
        };
        let header: Header = part(head)?;
        let claims: Claims = part(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature);
        let signature = signature.map_err(|_| refuse("the signature is no base64url"))?;
        let lists = self.node.lists();
        let key = lists.key(&header.kid, Timestamp::from_seconds(claims.iat), now);
        let key = key.map_err(|refusal| refuse(refusal.to_string()))?;
        if header.typ != "JWT" || header.alg != alg(key.public.algorithm()) {
            return Err(refuse("`typ` must be JWT and `alg` that of the key"));
        }
        let input = token.len() - parts.last().map_or(0, |last| last.len() + 1);
        if !key.public.verify(token.get(..input).unwrap_or_default().as_bytes(), &signature) {
            return Err(refuse("the signature of the token is wrong"));
        }
        let speaks = member_of(&claims.sub).is_some_and(|m| key.owner.speaks_for(m.as_str()));
        if claims.iss != claims.sub || !speaks {
            return Err(refuse(format!("{} may not speak for {}", key.owner, claims.sub)));
        }
        Ok(claims)
    }

    fn check_life(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        let skew = Duration::from_secs(CLOCK_SKEW_SECONDS_MAX);
        let (iat, exp) = (Timestamp::from_seconds(claims.iat), Timestamp::from_seconds(claims.exp));
        if iat > now.plus(skew) || exp.plus(skew) <= now || exp <= iat {
            return Err(refuse(format!("the token is from {iat} to {exp}, and it is {now}")));
        }
        if exp.since(iat) > Duration::from_secs(TOKEN_SECONDS_MAX) {
            return Err(refuse(format!("a token lasts at most {TOKEN_SECONDS_MAX} seconds")));
        }
        if claims.iat < self.started.as_seconds() {
            let text = "the token is older than this process; make a new one";
            return Err(Error::new(ErrorKind::Overloaded, "token", text));
        }
        Ok(())
    }

    fn use_once(&self, claims: &Claims, now: Timestamp) -> Result<(), Error> {
        let skew = Duration::from_secs(CLOCK_SKEW_SECONDS_MAX);
        let until = Timestamp::from_seconds(claims.exp).plus(skew);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= USED_MAX {
            used.retain(|_, until| now < *until);
            if used.len() >= USED_MAX {
                let text = "too many tokens are in use; try again in a minute";
                return Err(Error::new(ErrorKind::Overloaded, "token", text));
            }
        }
        if used.insert(format!("{} {}", claims.iss, claims.jti), until).is_some() {
            return Err(refuse("the token was used before; make one for each request"));
        }
        Ok(())
    }
}

impl Identity for MemberTokens {
    fn authenticate(
        &self,
        from: Option<&NodeId>,
        headers: &HeaderMap,
    ) -> Result<Participant, Error> {
        let from = from.ok_or_else(|| refuse("connect over mutual TLS as a listed node"))?;
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.filter(|token| token.len() <= TOKEN_BYTES_MAX);
        let token = token.ok_or_else(|| refuse("send `Authorization: Bearer` with a token"))?;
        let now = self.node.now();
        let claims = self.open(token, now)?;
        self.check_life(&claims, now)?;
        if claims.aud != format!("{NODE_PREFIX}{}", self.node.id()) {
            return Err(refuse(format!("the token is for {}, not for this node", claims.aud)));
        }
        let member = member_of(&claims.sub).ok_or_else(|| refuse("`sub` is no member"))?;
        if claims.cnf.node != *from || self.node.node_of(&member)? != *from {
            return Err(refuse(format!("{from} does not serve {member}, or the token is not its")));
        }
        self.use_once(&claims, now)?;
        Ok(Participant { id: claims.sub, node: Some(from.clone()) })
    }

    fn token_for(&self, own: &str, peer: &str, _: &str) -> Result<String, Error> {
        let wrong = |id: &str| Error::invalid("participant", format!("`{id}` is no member"));
        let member = member_of(own).ok_or_else(|| wrong(own))?;
        let audience = if peer.starts_with(NODE_PREFIX) {
            peer.to_owned()
        } else {
            let peer = member_of(peer).ok_or_else(|| wrong(peer))?;
            format!("{NODE_PREFIX}{}", self.node.node_of(&peer)?)
        };
        let now = self.node.now();
        let claims = Claims {
            iss: own.to_owned(),
            sub: own.to_owned(),
            aud: audience,
            jti: ExchangeId::new(now, self.node.entropy().array()).to_string(),
            iat: now.as_seconds(),
            exp: now.plus(Duration::from_secs(TOKEN_SECONDS)).as_seconds(),
            cnf: Confirmation { node: self.node.id().clone() },
        };
        self.sign(&claims, &self.node.member_key(&member)?)
    }
}
