//! Risk of a consignment before it arrives: which lane, and why.
//!
//! The facts of a consignment ([`facts`]) meet the rules of a profile ([`profile`]), a dated file
//! that each nation keeps for itself and never sends. Points and lanes come out with an explanation
//! of every rule that fired ([`score`]). Beside the rules stands a random draw that nobody can
//! steer and everybody can check afterwards ([`draw`]). What officers found feeds the hit rates
//! ([`stats`]).
//!
//! Why a table of conditions and no expression language: conditions are read by people who keep
//! them, are checked against the types of the facts when the file is loaded, take bounded time, and
//! compute with exact decimals. The Common Expression Language knows only binary floating point.
//!
//! Invariants: the same facts, profile and seed give the same lane; a rule never runs code; a score
//! that an officer saw is kept; nothing here leaves the nation but the digest of a seed.
//!
//! Not here: how facts are gathered from the store and who may see them (`crate::subsystem`).

pub mod draw;
pub mod facts;
pub(crate) mod gather;
pub mod profile;
pub mod record;
pub mod score;
pub mod stats;
pub(crate) mod tally;

pub use facts::{Fact, Facts};
pub use profile::{Lane, Profile};
pub use score::{Fired, Scoring, evaluate};
