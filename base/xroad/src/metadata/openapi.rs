//! The description that `getOpenAPI` hands out: the provider's own, in which the address of each
//! server is cut down to its path, so that no consumer calls, or learns, an inside address.
//!
//! All else stays byte for byte, numbers and order included, for only the texts of the addresses
//! are exchanged. As in X-Road an address with variables (`{…}`) stays, and servers named at a path
//! or an operation are not looked at.
//!
//! JSON and YAML are read by parsers; what of YAML could be read in two ways is refused
//! (see `yaml`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Error;

mod yaml;

/// Longest description handed out, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The keys of each path of a description: its operations, and what is said beside them.
pub type Operations = BTreeMap<String, Vec<String>>;

/// Returns the description with its servers' addresses reduced.
///
/// # Errors
/// [`Error::Description`] when it is too long, not OpenAPI 3, or cannot be read in one way only.
pub fn reduce(document: &[u8]) -> Result<Vec<u8>, Error> {
    let text = text_of(document)?;
    let reduced = if is_json(text) { json(text)? } else { yaml::reduce(text)? };
    Ok(reduced.into_bytes())
}

/// Returns what a description says of its paths. Those behind a `$ref` or an alias have no keys.
///
/// # Errors
/// [`Error::Description`] when it is too long or cannot be read.
pub fn operations(document: &[u8]) -> Result<Operations, Error> {
    let text = text_of(document)?;
    if !is_json(text) {
        return yaml::operations(text);
    }
    let Paths { paths } = serde_json::from_str(text).map_err(|_| refused(SHAPE))?;
    Ok(paths.into_iter().map(|(path, item)| (path, item.into_keys().collect())).collect())
}

fn text_of(document: &[u8]) -> Result<&str, Error> {
    if document.len() > DESCRIPTION_BYTES_MAX {
        return Err(refused("it may have at most 4 MiB"));
    }
    std::str::from_utf8(document).map_err(|_| refused("it must be UTF-8"))
}

fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

const SHAPE: &str = "it must be JSON with `openapi` and a list `servers`, each with a `url`";

const VERSION: &str = "it must be OpenAPI 3: its field `openapi` must begin with `3.`";

const fn refused(rule: &'static str) -> Error {
    Error::Description { rule }
}

#[derive(Deserialize)]
struct Description<'a> {
    #[serde(default)]
    openapi: String,
    #[serde(borrow, default)]
    servers: Vec<Server<'a>>,
}

#[derive(Deserialize)]
struct Paths<'a> {
    #[serde(borrow, default)]
    paths: BTreeMap<String, BTreeMap<String, &'a RawValue>>,
}

#[derive(Deserialize)]
struct Server<'a> {
    #[serde(borrow)]
    url: &'a RawValue,
}

fn json(text: &str) -> Result<String, Error> {
    let description: Description<'_> = serde_json::from_str(text).map_err(|_| refused(SHAPE))?;
    if !description.openapi.starts_with("3.") {
        return Err(refused(VERSION));
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for Server { url } in description.servers {
        let address: String = serde_json::from_str(url.get()).map_err(|_| refused(SHAPE))?;
        // A raw value is a slice of the text that it was read from.
        let start = url.get().as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        out.push_str(text.get(copied..start).ok_or(refused(SHAPE))?);
        out.push_str(&quoted(path_of(&address)));
        copied = start + url.get().len();
    }
    out.push_str(text.get(copied..).ok_or(refused(SHAPE))?);
    Ok(out)
}

/// Returns the path of an address; the address itself when it has variables.
fn path_of(address: &str) -> &str {
    if address.contains('{') {
        return address;
    }
    let path = match address.split_once("//") {
        Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
            rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or_default()
        }
        _ => address,
    };
    match path.split(['?', '#']).next() {
        None | Some("") => "/",
        Some(path) => path,
    }
}

/// Returns a text as a JSON string, which is also a double-quoted scalar of YAML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
