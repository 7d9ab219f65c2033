#![doc = include_str!("../README.md")]

mod dice;
mod federation;
mod nation;
mod probe;

pub use dice::Dice;
pub use federation::{Federation, Paper, Plan};
pub use nation::{Nation, key};
pub use probe::{DEFECT, MIGRATIONS, Probe, REFUSE, Seen};

/// Code of the documents that [`Probe`] handles.
pub const HANDLED: &str = "PRB";
/// Code of the documents that no sub-system handles: they wait for an agency's own system.
pub const PLAIN: &str = "RAW";
