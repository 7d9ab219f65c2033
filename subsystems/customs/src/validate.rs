//! Checks a message against every rule and reports all problems at once, in plain words.
//!
//! Three passes: field formats and code lists by a table over the JSON names (`fields`), rules
//! between fields of each message (`rules`), and numbers with a check digit (`numbers`). A problem
//! names the field, the rule and the remedy, so that it can be sent back as it is in a VAL message.
//!
//! Invariants: nothing is changed; the same message and instant give the same list in the same
//! order; at most [`PROBLEMS_MAX`] problems are listed.
//!
//! Not here: comparing a certificate, an export declaration and a claim with each other.

mod fields;
pub(crate) use fields::{Format, format_of};
pub(crate) use rules::is_locode;
pub mod numbers;
pub mod placeholders;
mod rules;

use std::borrow::Cow;

use karvan_types::Timestamp;

use crate::messages::{Message, ValidationError};

/// Most problems listed for one message.
pub const PROBLEMS_MAX: usize = 500;

/// What follows from a problem.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Worth knowing; nothing follows.
    Notice,
    /// The message is processed and an officer sees the difference.
    Flag,
    /// The message is rejected.
    Refuse,
}

/// One broken rule.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Path of the field in element names, occurrences counted from 1.
    pub pointer: String,
    /// The rule, at most 8 characters (`ValidationCode` `377`).
    pub rule: &'static str,
    /// What is wrong and what to do about it.
    pub remedy: String,
    /// What follows.
    pub severity: Severity,
}

impl From<Problem> for ValidationError {
    fn from(problem: Problem) -> Self {
        Self { pointer: problem.pointer, rule: problem.rule.to_owned(), remedy: problem.remedy }
    }
}

/// Checks a message; `now` is the receiver's clock.
pub fn validate(message: &Message, now: Timestamp) -> Vec<Problem> {
    let mut problems = Problems::default();
    match message.to_value() {
        Ok(value) => fields::check(&value, &mut problems),
        Err(error) => problems.refuse("", "FORMAT", error.to_string()),
    }
    rules::check(message, now, &mut problems);
    problems.list
}

/// Returns whether any problem rejects the message.
pub fn is_refused(problems: &[Problem]) -> bool {
    problems.iter().any(|problem| problem.severity == Severity::Refuse)
}

/// Returns the text without control characters, bidirectional controls and zero-width characters.
///
/// Stored messages stay as they were signed; what is shown or compared goes through here.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_invisible) {
        Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Control characters, zero-width characters, and the controls of the bidirectional algorithm
/// (Unicode Standard Annex 9, section 2), which can make a text read differently from its bytes.
pub(crate) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// Collects problems up to the bound.
#[derive(Default)]
struct Problems {
    list: Vec<Problem>,
}

impl Problems {
    fn refuse(&mut self, pointer: &str, rule: &'static str, remedy: impl Into<String>) {
        self.push(pointer, rule, remedy, Severity::Refuse);
    }

    fn flag(&mut self, pointer: &str, rule: &'static str, remedy: impl Into<String>) {
        self.push(pointer, rule, remedy, Severity::Flag);
    }

    fn notice(&mut self, pointer: &str, rule: &'static str, remedy: impl Into<String>) {
        self.push(pointer, rule, remedy, Severity::Notice);
    }

    fn push(
        &mut self,
        pointer: &str,
        rule: &'static str,
        remedy: impl Into<String>,
        severity: Severity,
    ) {
        if self.list.len() < PROBLEMS_MAX {
            let (pointer, remedy) = (pointer.to_owned(), remedy.into());
            self.list.push(Problem { pointer, rule, remedy, severity });
        } else if let Some(last) = self.list.last_mut() {
            // The bound must not turn a refusal into an acceptance.
            last.severity = last.severity.max(severity);
        }
    }
}

#[cfg(test)]
mod tests;
