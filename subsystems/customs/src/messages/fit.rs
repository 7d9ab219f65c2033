//! Makes typed values of JSON and names the member that does not fit.
//!
//! The place is an RFC 6901 pointer: of the member whose value has another type or an unknown code,
//! of the place where a demanded member is missing, or of a member that nobody knows.
//!
//! Invariant: whatever is refused, the pointer leads to a place in the value, or to one that is
//! missing directly below such a place.
//!
//! Not here: rules on values that fit their types (`crate::validate`).

use karvan_subsystem::Pointer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::Header;

/// Most characters of a reason; it may quote what was sent.
const REASON_CHARS_MAX: usize = 300;

/// The rule that a misfit breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// A demanded member is missing.
    Required,
    /// A member that the type does not have.
    Unknown,
    /// Another type, or a word that is none of the list.
    Shape,
}

impl Rule {
    /// Returns the code, as refusals name it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Unknown => "UNKNOWN",
            Self::Shape => "SHAPE",
        }
    }
}

/// A value does not fit its type.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub struct Misfit {
    /// Where (RFC 6901); empty for the value as a whole.
    pub pointer: String,
    rule: Rule,
    reason: String,
}

impl Misfit {
    fn new(path: &Path, error: &serde_json::Error) -> Self {
        let reason: String = error.to_string().chars().take(REASON_CHARS_MAX).collect();
        let mut pointer = pointer_of(path);
        let mut below = |name: &str| {
            if !pointer.ends_with(&step(name)) {
                pointer.push_str(&step(name));
            }
        };
        let rule = if let Some(name) = named(&reason, "missing field `") {
            below(name);
            Rule::Required
        } else if let Some(name) = named(&reason, "unknown field `") {
            below(name);
            Rule::Unknown
        } else {
            Rule::Shape
        };
        Self { pointer, rule, reason }
    }

    /// Returns it as refusals name it.
    pub(crate) fn to_pointer(&self) -> Pointer {
        let remedy = match self.rule {
            Rule::Required => "the field is missing; it must be there".to_owned(),
            Rule::Unknown => format!("{}; leave it out or correct its name", self.reason),
            Rule::Shape => format!("{}; write it as the schema says", self.reason),
        };
        Pointer { pointer: self.pointer.clone(), rule: self.rule.code().to_owned(), remedy }
    }
}

/// Makes a value of a type. What fits pays nothing for the place of what does not.
pub(crate) fn fit<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    T::deserialize(value).or_else(|_| {
        serde_path_to_error::deserialize(value)
            .map_err(|error| Misfit::new(error.path(), error.inner()))
    })
}

/// Makes a message. The members of its header stand beside its own, where the place is lost, so
/// what fails without a place is looked for in the header.
pub(super) fn fit_message<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    fit(value).map_err(|misfit: Misfit| match fit::<Header>(value) {
        Err(found) if misfit.pointer.is_empty() => found,
        _ => misfit,
    })
}

/// Returns the name that a reason quotes after `before`.
fn named<'a>(reason: &'a str, before: &str) -> Option<&'a str> {
    reason.strip_prefix(before)?.split('`').next()
}

fn pointer_of(path: &Path) -> String {
    let steps = path.iter().filter_map(|segment| match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(step(key)),
        Segment::Enum { .. } | Segment::Unknown => None,
    });
    steps.collect()
}

/// Returns a name as a step of a pointer (RFC 6901, section 3).
fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}
