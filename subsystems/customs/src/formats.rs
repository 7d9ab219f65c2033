//! What the exchange formats have in common: losses, and how they are found.
//!
//! A writer does not claim to be lossless, it proves it: what it wrote is read again, and every
//! value that did not come back is a [`Loss`]. So no field can be forgotten in silence.
//!
//! `convert` goes from any format to any other.
//!
//! Not here: the formats (`crate::wco`, `crate::edifact`, `crate::uncefact`).

mod convert;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

pub use convert::{Contents, Document, Error, Format, Read, Target, detect, read, write};
pub(crate) use convert::{document_type, unplaced};

/// Most losses that are listed.
pub const LOSSES_MAX: usize = 1000;
/// The member that holds values without a field of their own.
const EXTENSIONS: &str = "ext";
/// Most characters of a value that is shown.
const SHOWN_MAX: usize = 80;

/// A value that a format does not carry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    /// Path in the canonical message, occurrences counted from 1; or the place in the format.
    pub field: String,
    /// Why it is not carried.
    pub why: String,
}

impl Loss {
    /// Makes a loss.
    pub fn new(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self { field: field.into(), why: why.into() }
    }
}

/// Lists the values of a message that did not come back, with the reasons that are known; a reason
/// for a path holds for all below it.
pub(crate) fn losses(
    original: &Value,
    back: &Value,
    reasons: &BTreeMap<String, String>,
) -> Vec<Loss> {
    let mut found = Vec::new();
    compare(original, back, &mut String::new(), &mut found);
    let why = |path: &str, default: String| {
        let is_above = |known: &&String| {
            path.strip_prefix(known.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || rest.starts_with('[')
            })
        };
        let is_below = |known: &&String| known.starts_with(path);
        let known = reasons.keys().rev().find(is_above).or_else(|| reasons.keys().find(is_below));
        known.and_then(|known| reasons.get(known)).cloned().unwrap_or(default)
    };
    found
        .into_iter()
        .take(LOSSES_MAX)
        .map(|(path, default)| Loss { why: why(&path, default), field: path })
        .collect()
}

fn compare(original: &Value, back: &Value, path: &mut String, found: &mut Vec<(String, String)>) {
    let length = path.len();
    match (original, back) {
        (Value::Object(original), Value::Object(back)) => {
            for (name, value) in original {
                if !path.is_empty() {
                    path.push('/');
                }
                path.push_str(name);
                compare(value, back.get(name).unwrap_or(&Value::Null), path, found);
                path.truncate(length);
            }
            let added = back.keys().filter(|name| !original.contains_key(*name));
            found.extend(added.map(|name| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                (path, "it is not in the message, but the reader adds it".to_owned())
            }));
        }
        (Value::Array(original), Value::Array(back)) => {
            for (index, value) in original.iter().enumerate() {
                let _ = write!(path, "[{}]", index + 1);
                compare(value, back.get(index).unwrap_or(&Value::Null), path, found);
                path.truncate(length);
            }
        }
        // Each of these is a value of its own, however many there are.
        (Value::Array(_), Value::Null) if path == EXTENSIONS => {
            compare(original, &Value::Array(Vec::new()), path, found);
        }
        _ if original == back => {}
        (_, Value::Null) => {
            found.push((path.clone(), format!("the format has no place for {}", shown(original))));
        }
        _ => {
            let text = format!("{} is read back as {}", shown(original), shown(back));
            found.push((path.clone(), text));
        }
    }
}

/// Returns a value, shortened.
pub(crate) fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("`{text}`"),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN_MAX {
        return text;
    }
    text.chars().take(SHOWN_MAX).chain(['…']).collect()
}

/// Returns the value at a path of names; the value itself at an empty one.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').filter(|name| !name.is_empty()).try_fold(value, Value::get)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::messages::Message;

    /// Returns every declaration and certificate of the shipped consignments, with their names.
    pub(crate) fn sample_messages() -> Vec<(String, Message)> {
        let mut found = Vec::new();
        for consignment in crate::samples::shipped() {
            for step in &consignment.steps {
                for (member, code) in
                    [("declaration", "EXD"), ("claim", "IMP"), ("certificate", "COO")]
                {
                    let Some(value) = step.input.get(member).filter(|value| value.is_object())
                    else {
                        continue;
                    };
                    let message = Message::parse(code, value.to_string().as_bytes());
                    found.extend(message.ok().map(|message| (consignment.id.clone(), message)));
                }
            }
        }
        assert!(found.len() > 60, "only {} messages among the samples", found.len());
        found
    }

    #[test]
    fn every_value_that_does_not_come_back_is_named() {
        let original = json!({"a": {"b": [1, {"c": "x"}], "d": "y"}, "e": "z", "same": [true]});
        let back = json!({"a": {"b": [1]}, "e": "Z", "same": [true], "new": 1});
        let reasons = BTreeMap::from([("a/b".to_owned(), "too many".to_owned())]);
        let found = losses(&original, &back, &reasons);
        let found: Vec<_> = found.iter().map(|l| (l.field.as_str(), l.why.as_str())).collect();
        assert_eq!(
            found,
            [
                ("a/b[2]", "too many"),
                ("a/d", "the format has no place for `y`"),
                ("e", "`z` is read back as `Z`"),
                ("new", "it is not in the message, but the reader adds it"),
            ]
        );
        assert_eq!(losses(&original, &original, &reasons), []);
    }
}
