//! Who is who on this side of the exchange.

use std::time::Duration;

use karvan_types::{Date, Instance, MemberId};
use serde::{Deserialize, Serialize};

use crate::messages::SharingLevel;

/// The members and the day that the sub-system needs to know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Our customs service, which submits declarations, takes claims and decides.
    pub customs: MemberId,
    /// Our members that issue certificates through this node.
    #[serde(default)]
    pub issuers: Vec<MemberId>,
    /// The partner's customs service.
    pub partner: MemberId,
    /// The agreement under which preference is claimed.
    pub agreement: String,
    /// How much the agreement lets the partner see, for documents that do not say it themselves.
    #[serde(default = "values")]
    pub sharing_level: SharingLevel,
    /// The day on which the exchange with the partner began. A certificate from before it cannot
    /// be here, which is no sign against it.
    pub go_live: Date,
    /// For trials: what is compared every night, messages sent and balances, is compared every so
    /// many seconds instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_every_seconds: Option<CompareEvery>,
    /// For trials with papers of earlier days, and for loading history: how many days a claim may
    /// come after the day on which it was filed before that is told; what the rules say unless
    /// given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filed_late_days: Option<u32>,
}

/// Shortest time between two comparisons, in seconds.
pub const COMPARE_SECONDS_MIN: u32 = 5;
/// Longest time between two comparisons, in seconds: a day, as without the setting.
pub const COMPARE_SECONDS_MAX: u32 = 86_400;

/// A time between two comparisons, in seconds, within its bounds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(into = "u32", try_from = "u32")]
pub struct CompareEvery(u32);

/// A time between two comparisons is out of bounds.
#[derive(Debug, thiserror::Error)]
#[error("compare every {COMPARE_SECONDS_MIN} to {COMPARE_SECONDS_MAX} seconds, not every {0}")]
pub struct OutOfBounds(u32);

impl TryFrom<u32> for CompareEvery {
    type Error = OutOfBounds;

    fn try_from(seconds: u32) -> Result<Self, OutOfBounds> {
        let fits = (COMPARE_SECONDS_MIN..=COMPARE_SECONDS_MAX).contains(&seconds);
        if fits { Ok(Self(seconds)) } else { Err(OutOfBounds(seconds)) }
    }
}

impl From<CompareEvery> for u32 {
    fn from(every: CompareEvery) -> Self {
        every.0
    }
}

fn values() -> SharingLevel {
    SharingLevel::L2
}

impl Config {
    /// Returns how long after one comparison the next follows, where it is not the coming night.
    pub(super) fn compare_every(&self) -> Option<Duration> {
        self.compare_every_seconds.map(|every| Duration::from_secs(u64::from(every.0)))
    }

    /// Returns our nation.
    pub fn nation(&self) -> Instance {
        self.customs.instance()
    }

    /// Returns the partner's nation.
    pub fn partner_nation(&self) -> Instance {
        self.partner.instance()
    }

    /// Returns the other one of the two nations.
    pub fn other(&self, nation: Instance) -> Instance {
        if nation == self.nation() { self.partner_nation() } else { self.nation() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_between_comparisons_lies_within_its_bounds() {
        for (seconds, fits) in [(0, false), (4, false), (5, true), (86_400, true), (86_401, false)]
        {
            assert_eq!(CompareEvery::try_from(seconds).is_ok(), fits, "{seconds}");
        }
        let text = CompareEvery::try_from(1).expect_err("too often").to_string();
        assert!(text.contains("5 to 86400 seconds, not every 1"), "{text}");
    }
}
