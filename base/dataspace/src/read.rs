//! Reads foreign JSON kindly, and says exactly what is wrong with it.
//!
//! Kind means: unknown members are passed over; a single value stands for a list of one; a term may
//! be expanded or prefixed; a text may be wrapped as `{"@value": …}` or `{"@id": …}`; `null` means
//! absent. Exact means: a problem carries the JSON pointer, the rule and the remedy.
//!
//! Invariants: no list, text or number of members is unbounded; one member has one reading, so
//! two spellings of the same term in one object are refused.

use serde_json::{Map, Value};

use crate::error::{Problem, shown};
use crate::names::term;

/// Longest text of a message that has no bound of its own (identifiers, terms, URLs), in bytes.
pub const TEXT_BYTES_MAX: usize = 2048;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: &'a Value,
    pub(crate) at: String,
}

/// An object, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    pub(crate) members: &'a Map<String, Value>,
    pub(crate) at: String,
}

impl<'a> Node<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { value, at: String::new() }
    }

    pub(crate) fn problem(&self, rule: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { pointer: self.at.clone(), rule: rule.into(), remedy: remedy.into() }
    }

    pub(crate) fn object(&self) -> Result<Object<'a>, Problem> {
        match self.value {
            Value::Object(members) => Ok(Object { members, at: self.at.clone() }),
            // Compaction may leave an array of one where a single object is meant.
            Value::Array(items) if items.len() == 1 => match items.first() {
                Some(Value::Object(members)) => {
                    Ok(Object { members, at: format!("{}/0", self.at) })
                }
                _ => Err(self.not_an_object()),
            },
            _ => Err(self.not_an_object()),
        }
    }

    fn not_an_object(&self) -> Problem {
        self.problem("must be an object", "write it as {…} with its members")
    }

    /// Returns the entries of an array, or the single value that stands for one.
    pub(crate) fn list(&self, entries_max: usize) -> Result<Vec<Self>, Problem> {
        let (items, at) = match self.value {
            Value::Array(items) => (items, self.at.clone()),
            // How JSON-LD writes a list whose order matters.
            Value::Object(members) => match (members.get("@list"), members.len()) {
                (Some(Value::Array(items)), 1) => (items, format!("{}/@list", self.at)),
                _ => return Ok(vec![self.clone()]),
            },
            _ => return Ok(vec![self.clone()]),
        };
        if items.len() > entries_max {
            let rule = format!("has {} entries, at most {entries_max} are allowed", items.len());
            return Err(self.problem(rule, "send fewer"));
        }
        let entry = |(index, value)| Self { value, at: format!("{at}/{index}") };
        Ok(items.iter().enumerate().map(entry).collect())
    }

    /// Returns a text that is not empty, has no control characters and keeps the bound.
    pub(crate) fn text(&self, bytes_max: usize) -> Result<&'a str, Problem> {
        let text = unwrapped(self.value)
            .ok_or_else(|| self.problem("must be a text", "write it as one JSON string"))?;
        if text.trim().is_empty() {
            return Err(self.problem("must not be empty", "write its value, or leave it out"));
        }
        if text.len() > bytes_max {
            let rule = format!("has {} bytes, at most {bytes_max} are allowed", text.len());
            return Err(self.problem(rule, "write a shorter one"));
        }
        if text.contains(char::is_control) {
            return Err(self.problem("must not hold control characters", "leave them out"));
        }
        Ok(text)
    }

    /// Returns what the term stands for in the table.
    pub(crate) fn pick<T: Copy>(&self, table: &[(&str, T)]) -> Result<T, Problem> {
        let text = self.text(TEXT_BYTES_MAX)?;
        let found = table.iter().find(|(name, _)| *name == term(text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
            let rule = format!("is `{}`, which is not known here", shown(text));
            self.problem(rule, format!("write one of {}", names.join(", ")))
        })
    }
}

/// Returns the text of a string, or of one wrapped as JSON-LD may wrap it.
fn unwrapped(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        // Anything beside the keywords would change what the text means.
        Value::Object(members) if members.keys().all(|name| name.starts_with('@')) => {
            members.get("@value").or_else(|| members.get("@id")).and_then(Value::as_str)
        }
        Value::Array(items) if items.len() == 1 => items.first().and_then(|item| match item {
            Value::Array(_) => None,
            single => unwrapped(single),
        }),
        _ => None,
    }
}

impl<'a> Object<'a> {
    pub(crate) fn problem(&self, rule: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { pointer: self.at.clone(), rule: rule.into(), remedy: remedy.into() }
    }

    /// Returns the member of this name in any of its spellings; `null` is as good as absent.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Node<'a>>, Problem> {
        let mut spelled = self.members.iter().filter(|(key, _)| *key == name || term(key) == name);
        let Some((key, value)) = spelled.next() else { return Ok(None) };
        let node = Node { value, at: format!("{}/{}", self.at, escaped(key)) };
        if let Some((other, _)) = spelled.next() {
            let rule = format!("stands beside `{}`, another spelling of it", shown(other));
            return Err(node.problem(rule, "keep one of the two"));
        }
        Ok((!value.is_null()).then_some(node))
    }

    pub(crate) fn required(&self, name: &str) -> Result<Node<'a>, Problem> {
        self.find(name)?.ok_or_else(|| Problem {
            pointer: format!("{}/{name}", self.at),
            rule: "is required".to_owned(),
            remedy: format!("add the member `{name}`"),
        })
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, Problem> {
        Ok(self.required(name)?.text(TEXT_BYTES_MAX)?.to_owned())
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<String>, Problem> {
        let Some(node) = self.find(name)? else { return Ok(None) };
        Ok(Some(node.text(TEXT_BYTES_MAX)?.to_owned()))
    }

    /// Returns the entries of a list; none when the member is absent.
    pub(crate) fn list(&self, name: &str, entries_max: usize) -> Result<Vec<Node<'a>>, Problem> {
        self.find(name)?.map_or_else(|| Ok(Vec::new()), |node| node.list(entries_max))
    }

    /// Checks that `@type` names this type, alone or among others.
    pub(crate) fn expect_type(&self, name: &'static str) -> Result<(), Problem> {
        const TYPES_MAX: usize = 16;
        let node = self.required("@type")?;
        let types = node.list(TYPES_MAX)?;
        let named = |node: &Node<'_>| node.value.as_str().is_some_and(|text| term(text) == name);
        if types.iter().any(named) {
            return Ok(());
        }
        Err(node.problem(format!("must be `{name}`"), format!("write \"@type\": \"{name}\"")))
    }
}

/// Escapes a name for a JSON pointer (RFC 6901, section 3) and shortens it for people.
pub(crate) fn escaped(name: &str) -> String {
    shown(name).replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn spellings_of_a_member() {
        let check = |value: Value, expected: Result<&str, &str>| {
            let object = Node::root(&value).object().expect("an object");
            let read = object.text("state").map_err(|problem| problem.to_string());
            assert_eq!(read.as_deref(), expected.map_err(str::to_owned).as_deref());
        };
        check(json!({"state": "A"}), Ok("A"));
        check(json!({"dspace:state": "A", "other": 1}), Ok("A"));
        check(json!({"https://w3id.org/dspace/2025/1/state": [{"@id": "A"}]}), Ok("A"));
        check(json!({"state": {"@value": "A"}}), Ok("A"));
        check(json!({"state": null}), Err("`/state` is required; add the member `state`"));
        check(json!({"state": 5}), Err("`/state` must be a text; write it as one JSON string"));
        check(
            json!({"state": " "}),
            Err("`/state` must not be empty; write its value, or leave it out"),
        );
        check(
            json!({"state": "a\nb"}),
            Err("`/state` must not hold control characters; leave them out"),
        );
        check(
            json!({"https://w3id.org/dspace/2025/1/state": "A", "state": "B"}),
            Err("`/https:~1~1w3id.org~1dspace~12025~11~1state` stands beside `state`, another \
                 spelling of it; keep one of the two"),
        );
    }
}
