//! Where the text or the input of a step comes from, and what is changed in it.

use std::path::Path;

use karvan_customs::samples::Consignment;
use karvan_types::json;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longest text that a case may make.
const MADE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where a text comes from: exactly one of the first seven members.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// The document in the input of this step of the sample.
    play: Option<usize>,
    /// A document, written in canonical form.
    body: Option<Value>,
    /// A text as it is.
    text: Option<String>,
    /// Bytes in hexadecimal digits; spaces are left out.
    hex: Option<String>,
    /// A file under `testdata/`.
    file: Option<String>,
    /// Pieces and how often each is repeated.
    made: Option<Vec<(String, usize)>>,
    /// The same, compressed by zlib.
    zlib: Option<Vec<(String, usize)>>,
    /// Changes by JSON pointer, for `play` and `body`.
    #[serde(default)]
    changes: Map<String, Value>,
    /// Texts to replace, each of which must be there.
    #[serde(default)]
    edit: Vec<(String, String)>,
}

impl Source {
    /// Returns the bytes.
    pub(super) fn bytes(&self, sample: Option<&Consignment>) -> Result<Vec<u8>, String> {
        let mut bytes = self.origin(sample)?;
        for (from, to) in &self.edit {
            bytes = replace(&bytes, from.as_bytes(), to.as_bytes())
                .ok_or_else(|| format!("there is no `{from}` to edit"))?;
        }
        Ok(bytes)
    }

    fn origin(&self, sample: Option<&Consignment>) -> Result<Vec<u8>, String> {
        let canonical = |mut value: Value| {
            change(&mut value, &self.changes)?;
            json::canonical(&value).map_err(|error| error.to_string())
        };
        if let Some(number) = self.play {
            return canonical(document(sample, number)?);
        }
        if let Some(body) = &self.body {
            return canonical(body.clone());
        }
        if !self.changes.is_empty() {
            return Err("`changes` need `play` or `body`; a text is changed by `edit`".to_owned());
        }
        if let Some(text) = &self.text {
            return Ok(text.clone().into_bytes());
        }
        if let Some(hex) = &self.hex {
            return unhex(hex).ok_or_else(|| format!("`{hex}` is not hexadecimal"));
        }
        if let Some(file) = &self.file {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(file);
            return std::fs::read(&path).map_err(|error| format!("{file}: {error}"));
        }
        match (&self.made, &self.zlib) {
            (Some(pieces), _) => made(pieces),
            (None, Some(pieces)) => {
                Ok(miniz_oxide::deflate::compress_to_vec_zlib(&made(pieces)?, 9))
            }
            (None, None) => {
                Err("`from` needs play, body, text, hex, file, made or zlib".to_owned())
            }
        }
    }
}

/// Repeats pieces.
fn made(pieces: &[(String, usize)]) -> Result<Vec<u8>, String> {
    let length: usize = pieces.iter().map(|(piece, times)| piece.len() * times).sum();
    if length > MADE_BYTES_MAX {
        return Err(format!("{length} bytes are more than a case may make"));
    }
    let repeated = pieces.iter().map(|(piece, times)| piece.repeat(*times));
    Ok(repeated.collect::<String>().into_bytes())
}

/// Returns the one document in the input of a step of the sample.
pub(super) fn document(sample: Option<&Consignment>, number: usize) -> Result<Value, String> {
    let sample = sample.ok_or("`play` needs a `base`")?;
    let step = number.checked_sub(1).and_then(|index| sample.steps.get(index));
    let input = &step.ok_or_else(|| format!("the sample has no step {number}"))?.input;
    let members = ["certificate", "declaration", "claim", "cancellation"];
    let found = members.iter().find_map(|name| input.get(*name));
    found.cloned().ok_or_else(|| format!("step {number} of the sample has no document"))
}

/// Sets values by JSON pointer: `null` takes a member away, `/-` adds to a list. `GOODS` is the
/// first item of a declaration, `ITEM` the first of a certificate.
pub(super) fn change(value: &mut Value, changes: &Map<String, Value>) -> Result<(), String> {
    for (pointer, new) in changes {
        let long = pointer
            .replace("GOODS", "GoodsShipment/ITEM")
            .replace("ITEM", "GovernmentAgencyGoodsItem/0");
        let (parent, name) = long.rsplit_once('/').ok_or("a pointer begins with `/`")?;
        let place = value.pointer_mut(parent).ok_or_else(|| format!("there is no {parent}"))?;
        let index = name.parse::<usize>().ok();
        match (place, index) {
            (Value::Object(members), _) if new.is_null() => {
                members.remove(name).ok_or_else(|| format!("there is no {long} to remove"))?;
            }
            (Value::Object(members), _) => drop(members.insert(name.to_owned(), new.clone())),
            (Value::Array(items), None) if name == "-" => items.push(new.clone()),
            (Value::Array(items), Some(index)) if index < items.len() => {
                if new.is_null() {
                    items.remove(index);
                } else if let Some(item) = items.get_mut(index) {
                    *item = new.clone();
                }
            }
            _ => return Err(format!("there is no {long}")),
        }
    }
    Ok(())
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.windows(from.len().max(1)).position(|window| window == from)?;
    let (head, tail) = (bytes.get(..at)?, bytes.get(at + from.len()..)?);
    Some([head, to, tail].concat())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}

#[test]
fn changes_are_made_or_refused() {
    let check = |changes: Value, expected: Result<Value, &str>| {
        let mut value = serde_json::json!({ "a": { "b": [1, 2] } });
        let result = change(&mut value, changes.as_object().expect("an object"));
        match (result, expected) {
            (Ok(()), Ok(expected)) => assert_eq!(value, expected),
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (result, expected) => panic!("{changes}: {result:?}, expected {expected:?}"),
        }
    };
    check(serde_json::json!({ "/a/b/-": 3 }), Ok(serde_json::json!({ "a": { "b": [1, 2, 3] } })));
    check(serde_json::json!({ "/a/b/0": null }), Ok(serde_json::json!({ "a": { "b": [2] } })));
    check(serde_json::json!({ "/a/b": null }), Ok(serde_json::json!({ "a": {} })));
    check(
        serde_json::json!({ "/a/c": "x" }),
        Ok(serde_json::json!({"a": {"b": [1, 2], "c": "x"}})),
    );
    check(serde_json::json!({ "/a/c": null }), Err("to remove"));
    check(serde_json::json!({ "/x/c": 1 }), Err("there is no /x"));
    check(serde_json::json!({ "/a/b/7": 1 }), Err("there is no /a/b/7"));
}
