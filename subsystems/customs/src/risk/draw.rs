//! A random draw that nobody can steer and everybody can check afterwards.
//!
//! Before a period begins, a random seed and the rate are fixed by publishing their digest to the
//! partner, whose receipt and whose log show the time. A consignment is drawn by HMAC-SHA-256
//! (RFC 2104) of the seed over its identity: the key of its export declaration and the id of the
//! exchange that first brought it. That id is random and made by the partner's node, so a seed
//! cannot be chosen to spare a consignment, not even by who knows it. After the period the
//! seed is revealed, and anybody who holds the commitment repeats every draw without network.
//!
//! Invariants: integers only; the rate is part of what is committed; a draw never changes, whatever
//! becomes of the consignment.
//!
//! Not here: where the random bytes come from (the caller), who stores the seed
//! (`crate::risk::record`).

use std::fmt;
use std::str::FromStr;

use karvan_types::{Date, Digest, ErrorKind, ExchangeId};
use serde::{Deserialize, Serialize};

use crate::messages::text::date;

/// What a commitment is about, in the bytes that are digested.
const COMMITMENT_DOMAIN: &[u8] = b"karvan risk draw v1\n";
/// Most consignments in one revealed file.
pub const DRAWS_MAX: usize = 200_000;

/// A seed of 32 random bytes. It is not shown by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Seed([u8; 32]);

/// A text is no seed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a seed is 64 hexadecimal digits, random ones")]
pub struct InvalidSeed;

impl Seed {
    /// Makes a seed of random bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the seed as 64 hexadecimal digits.
    pub fn to_hex(&self) -> String {
        // Digests are shown in the same way.
        Digest(self.0).to_string()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(hidden)")
    }
}

impl FromStr for Seed {
    type Err = InvalidSeed;

    fn from_str(text: &str) -> Result<Self, InvalidSeed> {
        // Digests are written in the same way, and read in capitals too.
        let Digest(bytes) = text.parse().map_err(|_| InvalidSeed)?;
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) || bytes == [bytes[0]; 32] {
            return Err(InvalidSeed);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Seed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What is fixed before a period: nothing of it may change later.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Terms {
    /// The nation that draws.
    pub nation: String,
    /// First day of the period.
    #[serde(with = "date")]
    pub from: Date,
    /// Last day.
    #[serde(with = "date")]
    pub until: Date,
    /// Of a thousand consignments so many are drawn.
    pub per_mille: u16,
    /// The seed.
    pub seed: Seed,
}

impl Terms {
    /// Returns the digest that is published before the period: SHA-256 over the domain, the nation,
    /// the two days and the rate, each ended by a line feed, and the seed's bytes.
    pub fn commitment(&self) -> Digest {
        let Self { nation, from, until, per_mille, seed } = self;
        let head = format!("{nation}\n{from}\n{until}\n{per_mille}\n");
        Digest::of_parts(&[COMMITMENT_DOMAIN, head.as_bytes(), &seed.0])
    }

    /// Returns whether a consignment is drawn.
    pub fn draws(&self, export: &str, exchange: &ExchangeId) -> bool {
        let message = format!("{export}\n{exchange}");
        let mac = Digest::keyed(&self.seed.0, &[message.as_bytes()]);
        let head = mac.as_bytes().iter().take(8).fold(0_u64, |n, byte| (n << 8) | u64::from(*byte));
        // The head lies evenly in [0, 2^64); scaled to [0, 1000) it is compared with the rate.
        (u128::from(head) * 1000) >> 64 < u128::from(self.per_mille)
    }
}

/// A consignment and whether it was drawn.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Key of the export declaration.
    pub export: String,
    /// The exchange that first brought it.
    pub exchange: ExchangeId,
    /// Whether it was drawn.
    pub drawn: bool,
}

/// A period as it is revealed: enough to repeat every draw.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Revealed {
    /// What was fixed.
    pub terms: Terms,
    /// The digest that was published.
    pub commitment: Digest,
    /// The exchange that carried it to the partner.
    pub exchange: ExchangeId,
    /// The consignments of the period.
    pub consignments: Vec<Drawn>,
}

/// A revealed period does not agree with itself.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Seed, rate and period do not give the digest.
    #[error("seed, rate and period give the digest {found}, but {committed} was committed")]
    Commitment {
        /// What they give.
        found: Digest,
        /// What was committed.
        committed: Digest,
    },
    /// A consignment was not treated as the seed says.
    #[error("{export} was {}, but the seed says otherwise", drawn(*.was))]
    Draw {
        /// The consignment.
        export: String,
        /// How it was treated.
        was: bool,
    },
    /// One consignment stands twice in the list.
    #[error("{0} stands twice in the list; each consignment is drawn once")]
    Twice(String),
    /// Too many.
    #[error("{0} consignments are more than {DRAWS_MAX}; reveal a shorter period")]
    TooMany(usize),
}

fn drawn(was: bool) -> &'static str {
    if was { "drawn" } else { "not drawn" }
}

impl Error {
    /// Returns what kind of failure this is.
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Conflict
    }
}

/// Repeats every draw of a revealed period. `committed` is the digest from a source that the
/// revealing side cannot change, such as the document in the partner's hands; without it only the
/// file's own digest is checked. Returns how many were drawn.
pub fn verify(revealed: &Revealed, committed: Option<Digest>) -> Result<usize, Vec<Error>> {
    let count = revealed.consignments.len();
    if count > DRAWS_MAX {
        return Err(vec![Error::TooMany(count)]);
    }
    let mut errors = Vec::new();
    let found = revealed.terms.commitment();
    let known = [Some(revealed.commitment), committed];
    for committed in known.into_iter().flatten().filter(|known| *known != found) {
        errors.push(Error::Commitment { found, committed });
    }
    let mut seen = std::collections::BTreeSet::new();
    for one in &revealed.consignments {
        if !seen.insert(&one.export) {
            errors.push(Error::Twice(one.export.clone()));
        }
        if revealed.terms.draws(&one.export, &one.exchange) != one.drawn {
            errors.push(Error::Draw { export: one.export.clone(), was: one.drawn });
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(revealed.consignments.iter().filter(|one| one.drawn).count())
}

#[cfg(test)]
mod tests;
