//! Keys: their names, their public halves, and who signs with the private ones.
//!
//! A key is named `<owner>#<name>`; the owner is a nation, a member, a subsystem or a node, so that
//! a name alone says who speaks. Private keys stay behind [`KeyProvider`]; nothing above it can
//! tell a sealed file from a hardware module.
//!
//! Invariants: an algorithm is a property of the key, never of a message; a [`PublicKey`] exists
//! only when its bytes were parsed, once; private bytes in memory are wiped when dropped.
//!
//! Not here: which keys a nation has published and until when (`crate::lists`).

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use karvan_system::Entropy;
use karvan_types::id::InvalidId;
use karvan_types::limits::ID_BYTES_MAX;
use karvan_types::{Instance, MemberId, NodeId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use pair::KeyPair;
pub use public::PublicKey;
pub use sealed::{SealedKeys, Unlock, new_key_file};

use crate::Error;

mod pair;
mod public;
mod sealed;

/// Who a key belongs to.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Owner {
    /// A nation: its list and root keys.
    Nation(Instance),
    /// A member or one of its subsystems.
    Member(MemberId),
    /// A node.
    Node(NodeId),
}

impl Owner {
    /// Returns the nation the owner belongs to.
    pub fn instance(&self) -> Instance {
        match self {
            Self::Nation(instance) => *instance,
            Self::Member(member) => member.instance(),
            Self::Node(node) => node.instance(),
        }
    }

    /// Returns whether this owner may sign in the name of `party`, the text of a member,
    /// subsystem or node: it is that party, or the member a subsystem belongs to.
    pub fn speaks_for(&self, party: &str) -> bool {
        match self {
            Self::Nation(_) => false,
            Self::Node(node) => node.as_str() == party,
            Self::Member(member) => party.strip_prefix(member.as_str()).is_some_and(|rest| {
                rest.is_empty() || (rest.starts_with('/') && member.member() == *member)
            }),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nation(instance) => instance.fmt(f),
            Self::Member(member) => member.fmt(f),
            Self::Node(node) => node.fmt(f),
        }
    }
}

impl FromStr for Owner {
    type Err = InvalidId;

    /// Parses the text of an instance, node or member. The middle part `node` is reserved for
    /// nodes, so no text has two readings.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('/').nth(1) {
            None => text.parse().map(Self::Nation),
            Some("node") => text.parse().map(Self::Node),
            Some(_) => text.parse().map(Self::Member),
        }
    }
}

/// The name of a key, unique in all lists: `AZ/GOV/SCC/customs#sign-1`.
///
/// At most 255 bytes of `A-Z a-z 0-9 . _ - / #`, so it needs no escaping in header fields.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyId(String);

impl KeyId {
    /// Makes the name of `owner`'s key `name` (1 to 64 of `A-Z a-z 0-9 . _ -`).
    pub fn new(owner: &Owner, name: &str) -> Result<Self, InvalidId> {
        format!("{owner}#{name}").parse()
    }

    /// Returns the whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns who the name says the key belongs to.
    pub fn owner(&self) -> Option<Owner> {
        self.0.split_once('#').and_then(|(owner, _)| owner.parse().ok())
    }

    /// Returns a file name for this key, different for each key.
    fn file_name(&self) -> String {
        // Neither `+` nor `@` can occur in a name.
        let mut name = self.0.replace('/', "+").replace('#', "@");
        name.push_str(".key.json");
        name
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good_name = |name: &str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        match text.split_once('#') {
            Some((owner, name))
                if text.len() <= ID_BYTES_MAX
                    && good_name(name)
                    && owner.parse::<Owner>().is_ok() =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(InvalidId {
                what: "key id",
                value: text.chars().take(80).collect(),
                rule: "owner#name, such as AZ/GOV/SCC/customs#sign-1 or PK/node/karachi-1#log-1",
            }),
        }
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The signature algorithms in use.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032): the default, and the only one for logs and witnesses.
    Ed25519,
    /// ECDSA on P-256 with SHA-256 (FIPS 186-5), signatures as r‖s (RFC 9421, section 3.3.4).
    EcdsaP256Sha256,
}

/// Length of a signature of either algorithm, in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// Signs with private keys it never shows: a folder of sealed files, later a hardware module.
pub trait KeyProvider: Send + Sync {
    /// Signs `message`; the signature is [`SIGNATURE_BYTES`] long.
    fn sign(&self, key: &KeyId, message: &[u8]) -> Result<Vec<u8>, Error>;

    /// Returns the public half of a key held here.
    fn public(&self, key: &KeyId) -> Option<PublicKey>;
}

/// Keys held in memory only: what [`SealedKeys`] opens into, and what tests use.
#[derive(Default)]
pub struct MemoryKeys {
    // Written only when a key is made; every signature reads.
    pairs: RwLock<HashMap<KeyId, KeyPair>>,
}

impl MemoryKeys {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a new key and returns its public half.
    pub fn generate(
        &self,
        id: &KeyId,
        algorithm: Algorithm,
        entropy: &dyn Entropy,
    ) -> Result<PublicKey, Error> {
        let pair = KeyPair::generate(algorithm, entropy)?;
        let public = pair.public().clone();
        self.insert(id, pair)?;
        Ok(public)
    }

    /// Adds a key.
    pub fn insert(&self, id: &KeyId, pair: KeyPair) -> Result<(), Error> {
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        if pairs.contains_key(id) {
            return Err(Error::KeyExists(id.clone()));
        }
        pairs.insert(id.clone(), pair);
        Ok(())
    }

    /// Returns the names of all keys, sorted.
    pub fn ids(&self) -> Vec<KeyId> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        let mut ids: Vec<_> = pairs.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }
}

impl KeyProvider for MemoryKeys {
    fn sign(&self, key: &KeyId, message: &[u8]) -> Result<Vec<u8>, Error> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs.get(key).ok_or_else(|| Error::KeyMissing(key.clone()))?.sign(message)
    }

    fn public(&self, key: &KeyId) -> Option<PublicKey> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        pairs.get(key).map(|pair| pair.public().clone())
    }
}

#[cfg(test)]
mod tests;
