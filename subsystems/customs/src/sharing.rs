//! How much of each message is released: the class of every field, and what is left out for it.
//!
//! Levels rise: L1 has what customs needs to find and move the goods and no values, L2 adds
//! values, L3 adds the full addresses of the parties. The agreement in force says the level, not
//! the sender. `data/sharing.tsv` gives every field of every message its class; a field without
//! one is never released.
//!
//! Invariants: what is released at a level contains nothing of a class above it; releasing again
//! at the same level changes nothing; the fields are named, their values never.
//!
//! Not here: when it is applied (`crate::subsystem`).

mod classes;
mod record;
mod strip;

pub(crate) use classes::level_named;
pub use classes::{Class, Classes, ClassesError, Listed};
pub(crate) use record::{INCIDENTS, RELEASED};
pub use record::{Incident, Released};
pub use strip::{Field, strip};

#[cfg(test)]
mod tests;
