//! Strict JSON in (RFC 8259, RFC 7493), canonical JSON out (RFC 8785).
//!
//! What is signed must have one reading and one spelling. So duplicate names, nesting beyond
//! [`JSON_DEPTH_MAX`], lone surrogates and trailing text are refused, and numbers are integers
//! within the range that every JSON implementation keeps exactly (RFC 7493, section 2.2); decimals
//! travel as strings.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::limits::{JSON_BYTES_MAX, JSON_DEPTH_MAX};

/// Largest integer magnitude that is exact in every JSON implementation (2^53 - 1).
const INTEGER_MAX: u64 = (1 << 53) - 1;

/// A JSON text was refused, or a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is longer than the bound.
    #[error("the JSON text has {0} bytes; at most {JSON_BYTES_MAX} are accepted")]
    TooLong(usize),
    /// Syntax, duplicate name, depth, number, or a field that does not fit the type.
    #[error("{0}")]
    Refused(#[from] serde_json::Error),
    /// A number that is not an exact integer.
    #[error("the number {0} is not an exact integer; write decimals as strings")]
    Number(String),
}

/// Parses a strict JSON text into a value.
pub fn parse(text: &[u8]) -> Result<Value, Error> {
    if text.len() > JSON_BYTES_MAX {
        return Err(Error::TooLong(text.len()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let depth = Cell::new(0);
    let value = Strict { depth: &depth }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses a strict JSON text into a type.
pub fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Error> {
    Ok(serde_json::from_value(parse(text)?)?)
}

/// Writes the canonical form (RFC 8785) of anything serializable.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let value = serde_json::to_value(value)?;
    let mut out = Vec::with_capacity(256);
    write(&value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => serde_json::to_writer(out, value)?,
        Value::Number(number) => {
            let exact = number.as_u64().is_some_and(|n| n <= INTEGER_MAX)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= INTEGER_MAX);
            if !exact {
                return Err(Error::Number(number.to_string()));
            }
            serde_json::to_writer(out, value)?;
        }
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out)?,
    }
    Ok(())
}

fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) -> Result<(), Error> {
    // RFC 8785, section 3.2.3: names sort by UTF-16 code units, not by bytes.
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push(b'{');
    for (i, (name, member)) in sorted.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut *out, name)?;
        out.push(b':');
        write(member, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Builds a [`Value`], refusing what serde_json would silently accept.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: &'a Cell<usize>,
}

impl Strict<'_> {
    fn descend<E: de::Error>(self) -> Result<Self, E> {
        if self.depth.get() >= JSON_DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {JSON_DEPTH_MAX} levels")));
        }
        self.depth.set(self.depth.get() + 1);
        Ok(self)
    }

    fn ascend(self) {
        self.depth.set(self.depth.get() - 1);
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > INTEGER_MAX {
            return Err(E::custom(Error::Number(value.to_string())));
        }
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > INTEGER_MAX {
            return Err(E::custom(Error::Number(value.to_string())));
        }
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Err(E::custom(Error::Number(value.to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        self.ascend();
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let inner = self.descend()?;
        let mut members = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format!("the name `{name}` appears twice")));
            }
            let value = access.next_value_seed(inner)?;
            members.insert(name, value);
        }
        self.ascend();
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, canonical_text: &str) {
        let value = parse(text.as_bytes()).expect("accepted");
        assert_eq!(
            String::from_utf8(canonical(&value).expect("canonical")).expect("UTF-8"),
            canonical_text
        );
    }

    #[test]
    fn canonical_forms() {
        check(r#" { "b" : 1 , "a" : [ true , null , -7 ] } "#, r#"{"a":[true,null,-7],"b":1}"#);
        check(r#"{"s":"\u000a\u0001\u20ac\/"}"#, "{\"s\":\"\\n\\u0001€/\"}");
        // RFC 8785, section 3.2.3: the names of its sorting example, by UTF-16 code units.
        check(
            r#"{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}"#,
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\u{fb33}\":3}",
        );
    }

    #[test]
    fn refusals_say_why() {
        let deep = "[".repeat(33) + &"]".repeat(33);
        for (text, reason) in [
            (r#"{"a":1,"a":2}"#, "appears twice"),
            (r#"{"a":{"b":1,"b":1}}"#, "appears twice"),
            ("1.5", "exact integer"),
            ("1e3", "exact integer"),
            ("9007199254740992", "exact integer"),
            (deep.as_str(), "deeper"),
            (r#""\ud800""#, "line 1"),
            ("{} {}", "trailing"),
            ("", "EOF"),
        ] {
            let error = parse(text.as_bytes()).expect_err(text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
