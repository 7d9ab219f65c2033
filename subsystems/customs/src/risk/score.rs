//! Evaluates a profile over the facts of a consignment, with an explanation.
//!
//! Time is bounded by the number of rules, conditions and texts, all of which have bounds.

use karvan_types::{Date, Digest};
use serde::{Deserialize, Serialize};

use super::facts::{Fact, Facts};
use super::profile::{Condition, Lane, Profile, Rule, Test};
use crate::tariff::Status;

/// A rule that fired.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fired {
    /// The rule.
    pub rule: String,
    /// Its points.
    pub points: u32,
    /// Its least lane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// The sentence, with the values of the facts.
    pub text: String,
    /// The facts that its conditions looked at.
    pub facts: Facts,
    /// How sure the rule is.
    pub status: Status,
    /// From where the rule is.
    pub source: String,
}

/// The result: points, lane, and every rule that fired.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Scoring {
    /// Sum of the points.
    pub points: u32,
    /// The lane by points and by the least lanes of rules; the draw is not in it.
    pub lane: Lane,
    /// The rules that fired, heaviest first.
    pub fired: Vec<Fired>,
    /// Version of the profile.
    pub profile: String,
    /// SHA-256 of its file.
    pub digest: Digest,
}

/// Evaluates the rules that hold on `day`.
pub fn evaluate(profile: &Profile, facts: &Facts, day: Date) -> Scoring {
    let valid = profile.rules.iter().filter(|rule| rule.is_valid_on(day));
    let holds = |rule: &&Rule| rule.when.iter().all(|condition| condition.holds(facts));
    let mut fired: Vec<Fired> = valid.filter(holds).map(|rule| explain(rule, facts)).collect();
    fired.sort_by(|a, b| (b.lane, b.points, &a.rule).cmp(&(a.lane, a.points, &b.rule)));
    let points = fired.iter().fold(0_u32, |sum, fired| sum.saturating_add(fired.points));
    let least = fired.iter().filter_map(|fired| fired.lane).max().unwrap_or(Lane::Green);
    Scoring {
        points,
        lane: profile.lanes.of(points).max(least),
        fired,
        profile: profile.version.clone(),
        digest: profile.digest,
    }
}

fn explain(rule: &Rule, facts: &Facts) -> Fired {
    let mut seen = Facts::default();
    for condition in &rule.when {
        match facts.get(&condition.fact) {
            Some(Fact::Texts(texts)) => seen.texts(&condition.fact, texts.iter().cloned()),
            Some(Fact::Number(number)) => seen.number(&condition.fact, *number),
            None => {}
        }
    }
    Fired {
        rule: rule.id.clone(),
        points: rule.points,
        lane: rule.lane,
        text: sentence(&rule.text, facts),
        facts: seen,
        status: rule.status,
        source: rule.source.clone(),
    }
}

/// Puts the values of facts into the braces of a sentence.
fn sentence(text: &str, facts: &Facts) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        match facts.get(name) {
            Some(fact) => out.push_str(&fact.to_string()),
            None => out.push_str("unknown"),
        }
        out.push_str(rest);
    }
    out
}

impl Condition {
    /// Returns whether the condition holds. A fact that is not known meets no test but
    /// [`Test::Unknown`].
    pub fn holds(&self, facts: &Facts) -> bool {
        let fact = facts.get(&self.fact);
        match (&self.is, fact) {
            (Test::Unknown, None) => true,
            (Test::AnyOf(values), Some(Fact::Texts(texts))) => {
                texts.iter().any(|text| values.contains(text))
            }
            (Test::NoneOf(values), Some(Fact::Texts(texts))) => {
                !texts.iter().any(|text| values.contains(text))
            }
            (Test::StartsWith(values), Some(Fact::Texts(texts))) => {
                texts.iter().any(|text| values.iter().any(|value| text.starts_with(value.as_str())))
            }
            (Test::Some, Some(Fact::Texts(texts))) => !texts.is_empty(),
            (Test::None, Some(Fact::Texts(texts))) => texts.is_empty(),
            (Test::AtLeast(limit), Some(Fact::Number(number))) => number >= limit,
            (Test::AtMost(limit), Some(Fact::Number(number))) => number <= limit,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
