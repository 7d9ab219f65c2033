//! The mirror: what one side declared for export beside what the other declared for import.
//!
//! Each side keeps a line per declared item ([`flow`]), links the lines of both sides ([`linked`])
//! and computes from them consignments without a counterpart ([`unmatched`]), totals with an
//! explained gap ([`totals`]) and values worth a look ([`candidates`]). What the partner reports of
//! a month is compared with own figures ([`compare`]). Results go out as tables ([`sheet`], CSV and
//! [`parquet`]) and as a picture ([`chart`]).
//!
//! Invariants: exact decimals, rounded once and as stated; no currency is converted, but
//! for comparing the two sides of one consignment, by rates that are named;
//! a gap is a candidate for a look, never an accusation.
//!
//! Not here: whose data may be shown, and what is sent (`crate::subsystem`).

pub mod candidates;
pub mod chart;
pub mod compare;
pub mod flow;
pub mod linked;
pub mod params;
pub mod parquet;
pub mod sheet;
pub mod totals;
pub mod unmatched;

pub use flow::{Flow, Line, month_of, party_key};
pub use params::Params;

use karvan_types::Decimal;
use karvan_types::amount::RoundingStrategy;

/// Decimals of a value per kg.
pub const UNIT_VALUE_PLACES: u32 = 4;
/// Decimals of a value.
pub const VALUE_PLACES: u32 = 2;

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

/// Serde form of a decimal that may be negative: a JSON string. Only for own results, never for
/// what a partner sends.
pub(crate) mod signed_text {
    use karvan_types::Decimal;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        value: &Decimal,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Decimal, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The same for one that may be absent.
pub(crate) mod optional_signed {
    use karvan_types::Decimal;
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<Decimal>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Decimal>, D::Error> {
        super::signed_text::deserialize(deserializer).map(Some)
    }
}
