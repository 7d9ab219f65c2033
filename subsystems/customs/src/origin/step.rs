//! The answer as a tree: each step has its rule, what was expected, what was found, and a verdict.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

use super::set::Basis;
use super::words::Phrase;
use crate::tariff::Status;

/// What came of a step. Two kinds of doubt are told apart: a missing fact, and a text that only a
/// person can read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule is met.
    Met,
    /// The rule is not met, whatever the missing facts are.
    NotMet,
    /// A named fact is missing.
    CannotSay,
    /// The rule text is not machine-readable, or the facts ask for judgement.
    NeedsPerson,
    /// The rule set has no such rule; nothing was checked and nothing depends on it here.
    NotChecked,
}

impl Verdict {
    /// Returns whether neither met nor failed.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::CannotSay | Self::NeedsPerson)
    }

    /// All must be met; one failure decides.
    pub(super) fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut result = Self::NotChecked;
        for part in parts {
            result = match (result, part) {
                (Self::NotMet, _) | (_, Self::NotMet) => Self::NotMet,
                (Self::NeedsPerson, _) | (_, Self::NeedsPerson) => Self::NeedsPerson,
                (Self::CannotSay, _) | (_, Self::CannotSay) => Self::CannotSay,
                (Self::Met, _) | (_, Self::Met) => Self::Met,
                (Self::NotChecked, Self::NotChecked) => Self::NotChecked,
            };
        }
        result
    }

    /// One must be met; one success decides.
    pub(super) fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut result = Self::NotMet;
        for part in parts {
            result = match (result, part) {
                (Self::Met, _) | (_, Self::Met) => Self::Met,
                (Self::NeedsPerson, _) | (_, Self::NeedsPerson) => Self::NeedsPerson,
                (Self::CannotSay, _) | (_, Self::CannotSay) => Self::CannotSay,
                _ => Self::NotMet,
            };
        }
        result
    }
}

/// A sentence with a key and arguments, so that it can be said in other languages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sentence {
    phrase: Phrase,
    args: Vec<(&'static str, String)>,
}

impl Sentence {
    pub(super) fn new(phrase: Phrase, args: &[(&'static str, &str)]) -> Self {
        let args = args.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { phrase, args }
    }

    /// Returns the key under which translations find the sentence.
    pub const fn key(&self) -> &'static str {
        self.phrase.key
    }

    /// Says it in plain English.
    pub fn english(&self) -> String {
        let mut text = String::new();
        let mut rest = self.phrase.english;
        // One pass, so that braces inside an argument stay what they are.
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = self.args.iter().find(|(known, _)| *known == name);
            text.push_str(value.map_or("?", |(_, value)| value));
            rest = after;
        }
        text + rest
    }
}

impl Serialize for Sentence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let args: serde_json::Map<_, _> = self
            .args
            .iter()
            .map(|(name, value)| ((*name).to_owned(), serde_json::Value::from(value.as_str())))
            .collect();
        let mut out = serializer.serialize_struct("Sentence", 3)?;
        out.serialize_field("key", self.key())?;
        out.serialize_field("args", &args)?;
        out.serialize_field("text", &self.english())?;
        out.end()
    }
}

/// A fact that would decide an open step.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Missing {
    /// Place in the product file as a JSON pointer; empty when the rule set lacks it.
    pub pointer: String,
    /// What it is, in words.
    pub what: String,
}

/// How the steps below a step make its verdict.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Leaf,
    All,
    Any,
}

/// One step of the evaluation.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Step {
    /// The rule in words.
    pub rule: Sentence,
    /// Its source and status; absent for plain logic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Basis>,
    /// What the rule wants, such as `at most 50 %`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the facts give; percentages rounded half up to two decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in plain words.
    pub because: Sentence,
    /// What would decide an open step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// How the inner steps are joined.
    pub(super) joined: Kind,
    /// The steps that it consists of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

impl Step {
    pub(super) fn leaf(rule: Sentence, verdict: Verdict, because: Sentence) -> Self {
        Self {
            rule,
            basis: None,
            expected: None,
            actual: None,
            verdict,
            because,
            missing: Vec::new(),
            joined: Kind::Leaf,
            steps: Vec::new(),
        }
    }

    /// Joins steps that must all be met.
    pub(super) fn all(rule: Sentence, steps: Vec<Self>) -> Self {
        let verdict = Verdict::all(steps.iter().map(|step| step.verdict));
        Self { joined: Kind::All, steps, ..Self::leaf(rule, verdict, outcome(verdict)) }
    }

    /// Joins steps of which one must be met.
    pub(super) fn any(rule: Sentence, steps: Vec<Self>) -> Self {
        let verdict = Verdict::any(steps.iter().map(|step| step.verdict));
        Self { joined: Kind::Any, steps, ..Self::leaf(rule, verdict, outcome(verdict)) }
    }

    pub(super) fn on(mut self, basis: &Basis) -> Self {
        self.basis = Some(basis.clone());
        self
    }

    pub(super) fn compared(mut self, expected: String, actual: Option<String>) -> Self {
        (self.expected, self.actual) = (Some(expected), actual);
        self
    }

    pub(super) fn lacking(mut self, missing: Vec<Missing>) -> Self {
        self.missing = missing;
        self
    }

    /// Returns the facts that could still decide this step.
    pub fn open_facts(&self) -> Vec<Missing> {
        let mut facts = Vec::new();
        self.gather(&mut facts);
        facts.sort();
        facts.dedup();
        facts
    }

    fn gather(&self, facts: &mut Vec<Missing>) {
        if self.verdict.is_open() {
            facts.extend(self.missing.iter().cloned());
            self.steps.iter().for_each(|step| step.gather(facts));
        }
    }

    /// Returns the weakest status that the verdict rests on.
    pub fn status(&self) -> Option<Status> {
        let own = self.basis.as_ref().map(|basis| basis.status);
        let decisive = self.steps.iter().filter(|step| step.verdict == self.verdict);
        let inner = decisive.map(Self::status);
        // A single step is enough where one success or one failure decides; the surest is taken.
        let one_decides = matches!(
            (self.joined, self.verdict),
            (Kind::Any, Verdict::Met) | (Kind::All, Verdict::NotMet)
        );
        own.max(if one_decides { inner.min().flatten() } else { inner.max().flatten() })
    }
}

fn outcome(verdict: Verdict) -> Sentence {
    use super::words as w;
    Sentence::new(
        match verdict {
            Verdict::Met => w::MET,
            Verdict::NotMet => w::NOT_MET,
            Verdict::CannotSay => w::OPEN,
            Verdict::NeedsPerson => w::PERSON,
            Verdict::NotChecked => w::NOT_CHECKED,
        },
        &[],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{CannotSay, Met, NeedsPerson, NotChecked, NotMet};

    #[test]
    fn three_valued_logic() {
        for (parts, all, any) in [
            (vec![], NotChecked, NotMet),
            (vec![Met, Met], Met, Met),
            (vec![Met, CannotSay], CannotSay, Met),
            (vec![CannotSay, NotMet], NotMet, CannotSay),
            (vec![CannotSay, NeedsPerson], NeedsPerson, NeedsPerson),
            (vec![NotMet, NeedsPerson, Met], NotMet, Met),
            (vec![NotChecked, Met], Met, Met),
            (vec![NotChecked, NotMet], NotMet, NotMet),
        ] {
            assert_eq!(Verdict::all(parts.iter().copied()), all, "all {parts:?}");
            assert_eq!(Verdict::any(parts.iter().copied()), any, "any {parts:?}");
        }
    }

    #[test]
    fn arguments_are_set_in_once() {
        let phrase = Phrase { key: "x", english: "{a} and {b}" };
        let sentence = Sentence::new(phrase, &[("a", "{b}"), ("b", "2")]);
        assert_eq!(sentence.english(), "{b} and 2");
    }
}
