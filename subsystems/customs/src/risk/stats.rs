//! How often checks find something: per rule, per lane and for the random draw.
//!
//! The share for the draw is the yardstick: a rule that finds no more than chance does not select.

use std::collections::BTreeMap;

use karvan_types::Decimal;
use serde::Serialize;

use super::profile::Lane;
use super::record::RiskRecord;

/// Counts of one selection.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Consignments selected.
    pub selected: u64,
    /// Those of them that somebody checked.
    pub checked: u64,
    /// Those of the checked ones with a finding.
    pub found: u64,
    /// `found` in percent of `checked`, rounded half up to one decimal; absent without a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<String>,
}

impl Tally {
    fn count(&mut self, record: &RiskRecord) {
        self.selected += 1;
        if let Some(found) = record.outcome() {
            self.checked += 1;
            self.found += u64::from(found);
        }
        self.percent = percent(self.found, self.checked);
    }
}

fn percent(found: u64, checked: u64) -> Option<String> {
    // In tenths of a percent, half up, without fractions on the way.
    let tenths =
        (u128::from(found) * 2000 + u128::from(checked)).checked_div(2 * u128::from(checked))?;
    let tenths = i64::try_from(tenths).ok()?;
    Some(Decimal::new(tenths, 1).to_string())
}

/// Hit rates of a stretch of time.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Stats {
    /// All consignments.
    pub all: Tally,
    /// Those drawn at random.
    pub drawn: Tally,
    /// By lane.
    pub lanes: BTreeMap<&'static str, Tally>,
    /// By rule that fired.
    pub rules: BTreeMap<String, Tally>,
}

/// Counts records.
pub fn count(records: &[RiskRecord]) -> Stats {
    let mut stats = Stats::default();
    for lane in Lane::ALL {
        stats.lanes.insert(lane.name(), Tally::default());
    }
    for record in records {
        stats.all.count(record);
        if record.drawn {
            stats.drawn.count(record);
        }
        stats.lanes.entry(record.lane.name()).or_default().count(record);
        for fired in &record.scoring.fired {
            stats.rules.entry(fired.rule.clone()).or_default().count(record);
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up() {
        for (found, checked, wanted) in [
            (0, 0, None),
            (0, 3, Some("0.0")),
            (1, 3, Some("33.3")),
            (2, 3, Some("66.7")),
            (1, 2000, Some("0.1")),
            (1, 2001, Some("0.0")),
            (7, 7, Some("100.0")),
        ] {
            assert_eq!(percent(found, checked).as_deref(), wanted, "{found} of {checked}");
        }
    }
}
