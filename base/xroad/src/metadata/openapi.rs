//! The description that `getOpenAPI` hands out: the provider's own, in which the address of each
//! server is cut down to its path, so that no consumer calls, or learns, an inside address.
//!
//! All else stays byte for byte, numbers and order included, for only the texts of the addresses
//! are exchanged. As in X-Road an address with variables (`{…}`) stays, and servers named at a path
//! or an operation are not looked at.
//!
//! JSON is read by a parser. YAML is read line by line, without a library, and only the plain way
//! to write `servers` is understood: a block list at the top level with each `url` on one line.
//! Anything that could be read otherwise (anchors, tags, flow or block scalars in `servers`, quoted
//! keys, several documents) is refused with the advice to offer the description as JSON.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Error;

/// Longest description handed out, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Returns the description with its servers' addresses reduced.
pub fn reduce(document: &[u8]) -> Result<Vec<u8>, Error> {
    if document.len() > DESCRIPTION_BYTES_MAX {
        return Err(refused("it may have at most 4 MiB"));
    }
    let text = std::str::from_utf8(document).map_err(|_| refused("it must be UTF-8"))?;
    let reduced = if text.trim_start().starts_with('{') { json(text)? } else { yaml(text)? };
    Ok(reduced.into_bytes())
}

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
struct Server<'a> {
    #[serde(borrow)]
    url: &'a RawValue,
}

fn json(text: &str) -> Result<String, Error> {
    const SHAPE: &str = "it must be JSON with `openapi` and a list `servers`, each with a `url`";
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

const ADVICE: &str = "its YAML is written in a way that is not understood here; write `servers` \
                      as a plain block list with each `url` on one line, or offer JSON";

fn yaml(text: &str) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let (mut version, mut servers, mut inside) = (false, 0, false);
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let inner = content.trim_start();
        let blank = inner.is_empty() || inner.starts_with('#');
        let top = !content.starts_with([' ', '\t']);
        if top && !blank && !(inside && is_item(content)) {
            let (key, value) = top_level(content, out.trim().is_empty())?;
            inside = key == "servers";
            servers += usize::from(inside);
            version |= key == "openapi" && value.trim_matches(['"', '\'']).starts_with("3.");
            if inside && !matches!(value, "" | "[]") {
                return Err(refused(ADVICE));
            }
        } else if inside && !blank {
            out.push_str(&server_line(line)?);
            continue;
        }
        out.push_str(line);
    }
    match (version, servers) {
        (false, _) => Err(refused(VERSION)),
        (true, 0 | 1) => Ok(out),
        (true, _) => Err(refused(ADVICE)),
    }
}

fn is_item(content: &str) -> bool {
    content == "-" || content.starts_with("- ")
}

/// Reads a line of the top level: a plain key and what follows it on the line.
fn top_level(content: &str, first: bool) -> Result<(&str, &str), Error> {
    if first && content == "---" {
        return Ok(("", ""));
    }
    let (key, value) = content.split_once(':').ok_or(refused(ADVICE))?;
    let plain = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let value = uncommented(value).ok_or(refused(ADVICE))?;
    if plain { Ok((key, value)) } else { Err(refused(ADVICE)) }
}

/// Reads a line within `servers` and returns it with its address reduced, if it has one.
fn server_line(line: &str) -> Result<String, Error> {
    let content = line.trim_end();
    let inner = content.trim_start_matches(' ');
    let inner = if is_item(inner) { inner.trim_start_matches(['-', ' ']) } else { inner };
    if inner.is_empty() {
        return Ok(line.to_owned());
    }
    let (key, value) = inner.split_once(':').ok_or(refused(ADVICE))?;
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let value = uncommented(value).filter(|_| plain).ok_or(refused(ADVICE))?;
    let scalar = scalar(value).ok_or(refused(ADVICE))?;
    if key != "url" {
        return Ok(line.to_owned());
    }
    if scalar.is_empty() {
        return Err(refused(ADVICE));
    }
    let indent = content.len() - inner.len();
    let start = content.get(..indent).unwrap_or_default();
    let end = line.get(content.len()..).unwrap_or_default();
    Ok([start, "url: ", &quoted(path_of(scalar)), end].concat())
}

/// Returns what stands after a colon without blanks and comment; `None` when no blank follows it.
fn uncommented(value: &str) -> Option<&str> {
    if !value.is_empty() && !value.starts_with(' ') {
        return None;
    }
    let end = value.find(" #").unwrap_or(value.len());
    value.get(..end).map(str::trim)
}

/// Returns the text of a scalar that ends on its line and needs no decoding.
fn scalar(value: &str) -> Option<&str> {
    let inner = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => value.strip_prefix(quote)?.strip_suffix(quote)?,
        Some('|' | '>' | '&' | '*' | '!' | '{' | '[' | '%' | '@' | '`') => return None,
        Some(_) if value.contains(": ") => return None,
        None | Some(_) => return Some(value),
    };
    (!inner.contains(['"', '\'', '\\'])).then_some(inner)
}
