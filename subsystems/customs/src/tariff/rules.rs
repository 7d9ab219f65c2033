//! The two rules of a country that no rate carries: how amounts are rounded, and which day's rates
//! apply. Both are data with a source, because both decide about money.

use karvan_types::amount::RoundingStrategy;
use karvan_types::{Date, Decimal};
use serde::{Deserialize, Serialize};

use super::Status;

/// How amounts are rounded, with its source.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rounding {
    /// Decimal places of each line.
    pub decimals: u32,
    /// Which way.
    pub mode: RoundingMode,
    /// Source of the rule.
    pub source: String,
    /// How sure we are.
    pub status: Status,
    /// Remark.
    #[serde(default)]
    pub note: Option<String>,
}

/// Which way an amount is rounded.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundingMode {
    /// To the nearest; a half goes up.
    HalfUp,
    /// To the nearest; a half goes to the even neighbour.
    HalfEven,
    /// Always down.
    Down,
    /// Always up.
    Up,
}

impl Rounding {
    /// Rounds an amount and writes it with all its decimal places.
    pub fn round(&self, amount: Decimal) -> Decimal {
        let strategy = match self.mode {
            RoundingMode::HalfUp => RoundingStrategy::MidpointAwayFromZero,
            RoundingMode::HalfEven => RoundingStrategy::MidpointNearestEven,
            RoundingMode::Down => RoundingStrategy::ToZero,
            RoundingMode::Up => RoundingStrategy::AwayFromZero,
        };
        let mut amount = amount.round_dp_with_strategy(self.decimals, strategy);
        amount.rescale(self.decimals);
        amount
    }
}

/// Which day's rates apply to goods, with the source of the rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateDate {
    /// The rule.
    pub rule: RateDateRule,
    /// Source of the rule.
    pub source: String,
    /// How sure we are.
    pub status: Status,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The event whose day decides about the rates.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateDateRule {
    /// The day on which the declaration is filed.
    Filing,
    /// The day on which the means of transport arrives.
    Arrival,
    /// The later of filing and arrival: a declaration ahead of the goods waits for them.
    LaterOfFilingAndArrival,
    /// The day on which duty is paid.
    Payment,
}

/// The days of one consignment that are known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Events {
    /// Filing of the declaration.
    pub filed: Date,
    /// Arrival of the means of transport.
    pub arrived: Option<Date>,
    /// Payment.
    pub paid: Option<Date>,
}

/// The day whose rates apply, and whether it is final.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateDay {
    /// The day.
    pub day: Date,
    /// Whether the rule had every day that it needs; otherwise the day of filing stands in.
    pub is_final: bool,
}

impl RateDateRule {
    /// Returns the day whose rates apply.
    pub fn day(self, events: Events) -> RateDay {
        let known = match self {
            Self::Filing => Some(events.filed),
            Self::Arrival => events.arrived,
            Self::LaterOfFilingAndArrival => events.arrived.map(|day| day.max(events.filed)),
            Self::Payment => events.paid,
        };
        RateDay { day: known.unwrap_or(events.filed), is_final: known.is_some() }
    }
}
