//! The bearer tokens that a node knows: replaced as a whole while it runs, read without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use karvan_subsystem::Caller;
use karvan_types::{Digest, MemberId};
use serde::{Deserialize, Serialize};

/// A bearer token of the local interface, as the node keeps it: only its digest.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Token {
    /// SHA-256 of the token's text.
    pub sha256: Digest,
    /// The member for which the holder acts.
    pub member: MemberId,
    /// Name of the person or program.
    pub user: String,
    /// Permissions; `*` is all.
    pub permissions: Vec<String>,
}

/// The tokens in force.
#[derive(Debug, Default)]
pub struct Tokens(ArcSwap<HashMap<Digest, Arc<Caller>>>);

impl Tokens {
    /// Starts with these tokens.
    pub fn new(tokens: &[Token]) -> Self {
        Self(ArcSwap::from_pointee(callers(tokens)))
    }

    /// Puts others in their place; those that are missing count no more from the next request on.
    pub fn replace(&self, tokens: &[Token]) {
        self.0.store(Arc::new(callers(tokens)));
    }

    /// Returns who shows this text, if the node knows it. Looking digests up leaks no timing about
    /// the token itself.
    pub fn find(&self, text: &[u8]) -> Option<Arc<Caller>> {
        self.0.load().get(&Digest::of(text.trim_ascii())).cloned()
    }

    /// Returns the holder of the token that is made out to this name.
    pub fn find_user(&self, user: &str) -> Option<Arc<Caller>> {
        self.0.load().values().find(|caller| caller.user == user).cloned()
    }
}

fn callers(tokens: &[Token]) -> HashMap<Digest, Arc<Caller>> {
    let caller = |token: &Token| Caller {
        member: token.member.clone(),
        user: token.user.clone(),
        permissions: token.permissions.clone(),
    };
    tokens.iter().map(|token| (token.sha256, Arc::new(caller(token)))).collect()
}
