//! The mirror: what one side declared for export beside what the other declared for import.
//!
//! Each side keeps a line per declared item ([`flow`]) and computes by itself.
//!
//! Invariants: exact decimals, rounded once and as stated; a gap is a candidate for a look, never
//! an accusation.
//!
//! Not here: whose data may be shown (`crate::subsystem`).

pub mod flow;

pub use flow::{Flow, Line, month_of, party_key};

use karvan_types::Decimal;
use karvan_types::amount::RoundingStrategy;

/// Decimals of a value per kg.
pub const UNIT_VALUE_PLACES: u32 = 4;

/// Rounds half up (away from zero).
pub(crate) fn rounded(value: Decimal, places: u32) -> Decimal {
    value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero).normalize()
}

/// Returns the median, the lower one of two middle values; nothing of fewer than `least` values.
pub(crate) fn median(mut values: Vec<Decimal>, least: usize) -> Option<Decimal> {
    values.sort_unstable();
    let middle = values.len().checked_sub(1)? / 2;
    values.get(middle).copied().filter(|_| values.len() >= least)
}
