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

/// How the reader of dates begins to say why a text is none.
const NO_DAY: [&str; 3] =
    ["failed to parse", "parsed date is not valid", "expected four digit year"];

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
        let reason: String = plain(&error.to_string()).chars().take(REASON_CHARS_MAX).collect();
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

/// Says the reason in words that need no knowledge of how it is programmed.
fn plain(reason: &str) -> String {
    if NO_DAY.iter().any(|beginning| reason.starts_with(beginning)) {
        return "this is no day of the calendar, written YYYY-MM-DD".to_owned();
    }
    let Some((found, wanted)) = reason.split_once(", expected ") else {
        return reason.to_owned();
    };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i32" | "i64" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        "string or map" => "a word of the list, as text",
        _ if wanted.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{found}, expected {wanted}")
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

#[cfg(test)]
mod tests {
    use karvan_types::Date;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only what does not fit is looked at")]
    struct Sample {
        day: Option<Date>,
        count: Option<u32>,
        word: Option<Word>,
        list: Option<Vec<String>>,
        inner: Option<Box<Sample>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Word {
        Grant,
        Deny,
    }

    #[test]
    fn what_does_not_fit_is_said_in_plain_words() {
        let no_day = "this is no day of the calendar, written YYYY-MM-DD";
        for (value, pointer, reason) in [
            (json!({ "day": "2026-31-06" }), "/day", no_day),
            (json!({ "day": "2026-02-30" }), "/day", no_day),
            (json!({ "day": "06/02/2026" }), "/day", no_day),
            (json!({ "day": "tomorrow" }), "/day", no_day),
            (json!({ "day": "" }), "/day", no_day),
            (
                json!({ "count": "2" }),
                "/count",
                "invalid type: string \"2\", expected a whole number",
            ),
            (
                json!({ "word": 7 }),
                "/word",
                "invalid type: integer `7`, expected a word of the list, as text",
            ),
            (
                json!({ "word": "maybe" }),
                "/word",
                "unknown variant `maybe`, expected `grant` or `deny`",
            ),
            (json!({ "list": {} }), "/list", "invalid type: map, expected a list"),
            (json!({ "list": [1] }), "/list/0", "invalid type: integer `1`, expected a string"),
            (
                json!({ "inner": true }),
                "/inner",
                "invalid type: boolean `true`, expected an object",
            ),
        ] {
            let misfit = fit::<Sample>(&value).expect_err(pointer);
            assert_eq!((misfit.pointer.as_str(), misfit.reason.as_str()), (pointer, reason));
        }
    }
}
