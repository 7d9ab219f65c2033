//! Reads a request strictly: what the table does not name is refused, and so is what does not fit.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts as _, Path, Query};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use http_body_util::BodyExt as _;
use karvan_subsystem::interface::{At, Endpoint, LANGUAGES, Media, Place};
use karvan_subsystem::openapi::LANGUAGE_CHARS_MAX;
use karvan_subsystem::{Pointer, Rejection};
use karvan_types::limits::{DOCUMENT_BYTES_MAX, HANDLED_BODY_BYTES_MAX};
use karvan_types::{ErrorKind, json};
use serde_json::{Map, Value};

use super::answer::{Answer, Problem};

/// Longest body, in bytes: what a sub-system's handler takes (4 MiB).
const BODY_BYTES_MAX: u64 = HANDLED_BODY_BYTES_MAX;
/// How much of a body that is too long is still read, in bytes, so that the sender sees the refusal
/// instead of a broken connection.
const DRAIN_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX;
/// Most characters of an id that the caller gives its request.
const REQUEST_ID_CHARS_MAX: usize = 64;
/// Most characters of a header that is read here.
const FIELD_CHARS_MAX: usize = 1024;
/// Most tags in a list.
const TAGS_MAX: usize = 10;
/// Most characters of a tag.
const TAG_CHARS_MAX: usize = 64;
/// What a JSON body must be.
const ONE_OBJECT: &str = "the body must be one JSON object";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Returns a header's text when it is there; refuses one that is long, repeated or not ASCII.
pub(super) fn field<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().map(str::trim);
    let text = text.filter(|text| (1..=FIELD_CHARS_MAX).contains(&text.len()));
    match text {
        Some(text) if values.next().is_none() => Ok(Some(text)),
        _ => Err(Problem::header(format!(
            "`{name}` may stand once, with 1 to {FIELD_CHARS_MAX} visible ASCII characters"
        ))),
    }
}

/// Returns the id that the caller gave its request.
pub(super) fn request_id(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(text) = field(headers, &REQUEST_ID)? else { return Ok(None) };
    let fits = text.len() <= REQUEST_ID_CHARS_MAX
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        return Ok(Some(text.to_owned()));
    }
    let text = format!(
        "`X-Request-Id` is 1 to {REQUEST_ID_CHARS_MAX} letters, digits, dots, underscores, hyphens"
    );
    Err(Problem::header(text))
}

/// Refuses a caller that takes no JSON.
pub(super) fn accepts_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut ranges = headers.get_all(ACCEPT).iter().peekable();
    if ranges.peek().is_none() {
        return Ok(());
    }
    let takes = ranges.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut takes = takes.map(|range| {
        let mut parts = range.split(';').map(|part| part.trim().to_ascii_lowercase());
        let media = parts.next().unwrap_or_default();
        let refused = parts.any(|part| {
            let weight = part.strip_prefix("q=");
            weight.is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
        });
        !refused && ["*/*", "application/*", "application/json"].contains(&media.as_str())
    });
    if takes.any(|takes| takes) {
        return Ok(());
    }
    let text = "answers are application/json; leave `Accept` out or name it there";
    Err(Problem::new(406, Rejection::new(ErrorKind::Invalid, "not-acceptable", text)))
}

/// Returns the language that the caller prefers among those that texts may exist in (RFC 9110,
/// section 12.5.4).
pub(super) fn language(headers: &HeaderMap) -> Result<&'static str, Problem> {
    let [fallback, ..] = LANGUAGES;
    let Some(text) = field(headers, &ACCEPT_LANGUAGE)? else { return Ok(fallback) };
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"*,;=. -".contains(&byte);
    if text.len() > LANGUAGE_CHARS_MAX || !text.bytes().all(known) {
        return Err(Problem::header("`Accept-Language` is a list such as `az, en;q=0.8`"));
    }
    let mut best = (fallback, 0);
    for range in text.split(',') {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let tag = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let weight = thousandths(weight.trim().strip_prefix("q=").unwrap_or_default());
        let spoken = LANGUAGES.into_iter().find(|language| *language == tag);
        if let Some(language) = spoken.filter(|_| weight > best.1) {
            best = (language, weight);
        }
    }
    Ok(best.0)
}

/// Reads a weight such as `0.8` as 800; what is none counts as nothing.
fn thousandths(weight: &str) -> u32 {
    let (whole, part) = weight.split_once('.').unwrap_or((weight, ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u32>(), part.parse::<u32>()) {
        (Ok(whole), Ok(part)) => whole.min(1) * 1000 + part,
        _ => 0,
    }
}

/// Reads path and query, by the names of the table.
pub(super) async fn values(
    endpoint: &'static Endpoint,
    parts: &mut Parts,
) -> Result<BTreeMap<&'static str, Value>, Problem> {
    let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, &())
        .await
        .map_err(|error| unfit("", "PATH", error.body_text()))?;
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| unfit("", "QUERY", error.body_text()))?;
    let mut values = BTreeMap::new();
    let query = query.0.into_iter().map(|(name, text)| (false, name, text));
    for (in_path, name, text) in path.0.into_iter().map(|(n, t)| (true, n, t)).chain(query) {
        let known = endpoint
            .parameters
            .iter()
            .find(|parameter| parameter.name == name && (parameter.at == At::Path) == in_path);
        let Some(known) = known else {
            return Err(unfit("", "QUERY", unknown(endpoint, &name)));
        };
        let value = known.kind.read(&text).map_err(|wanted| {
            let text = format!("`{}` must be {wanted}", known.name);
            unfit(&format!("/{}", known.name), "PARAMETER", text)
        })?;
        if values.insert(known.name, value).is_some() {
            let text = format!("`{}` stands twice", known.name);
            return Err(unfit(&format!("/{}", known.name), "QUERY", text));
        }
    }
    for needed in endpoint.parameters.iter().filter(|parameter| parameter.at == At::RequiredQuery) {
        if !values.contains_key(needed.name) {
            let text = format!("give `{}` in the query", needed.name);
            return Err(unfit(&format!("/{}", needed.name), "QUERY", text));
        }
    }
    Ok(values)
}

fn unknown(endpoint: &Endpoint, name: &str) -> String {
    let shown: String = name.chars().take(40).collect();
    let names: Vec<_> = endpoint
        .parameters
        .iter()
        .filter(|parameter| parameter.at != At::Path)
        .map(|parameter| parameter.name)
        .collect();
    if names.is_empty() {
        return format!("`{shown}` is no parameter here; this takes no query");
    }
    format!("`{shown}` is no parameter here; use {}", names.join(", "))
}

/// Says which value does not fit: a pointer into the body, or `/` and the name of a parameter.
pub(super) fn unfit(pointer: &str, rule: &str, text: impl Into<String>) -> Problem {
    let text = text.into();
    let pointer =
        Pointer { pointer: pointer.to_owned(), rule: rule.to_owned(), remedy: text.clone() };
    Rejection::new(ErrorKind::Invalid, "request", text).with_pointers(vec![pointer]).into()
}

/// Reads a body within its bound, in the form that the table names.
pub(super) async fn body(
    headers: &HeaderMap,
    form: Media,
    body: axum::body::Body,
) -> Result<Bytes, Problem> {
    must_be(headers, form)?;
    let mut body = body;
    let (mut bytes, mut seen) = (Vec::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unfit("", "BODY", format!("broken off: {error}")))?;
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len() as u64;
        if seen > DRAIN_BYTES_MAX {
            break;
        }
        if seen > BODY_BYTES_MAX {
            bytes = Vec::new();
            continue;
        }
        bytes.extend_from_slice(data);
    }
    if seen > BODY_BYTES_MAX {
        return Err(too_large().into());
    }
    Ok(bytes.into())
}

/// Refuses a body of another media type, or text in another encoding than UTF-8.
fn must_be(headers: &HeaderMap, form: Media) -> Result<(), Problem> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = media.split(';').map(str::trim);
    let is_it = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(form.name()));
    let in_utf8 = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    let (code, text) = match form {
        Media::Json | Media::Bytes(_) if is_it => return Ok(()),
        Media::Json => {
            ("not-json", "send the document as JSON, with `Content-Type: application/json`".into())
        }
        Media::Text(_) if is_it && in_utf8 => return Ok(()),
        Media::Text(name) => {
            ("media-type", format!("send it in UTF-8, with `Content-Type: {name}`"))
        }
        Media::Bytes(name) => ("media-type", format!("send it with `Content-Type: {name}`")),
    };
    Err(Problem::new(415, Rejection::new(ErrorKind::Invalid, code, text)))
}

fn too_large() -> Rejection {
    let text = format!(
        "at most {BODY_BYTES_MAX} bytes are accepted; split the consignment into several \
         declarations, each with its own number and certificate items"
    );
    Rejection::new(ErrorKind::TooLarge, "body-too-large", text)
}

/// Reads the content of a body.
fn content(form: Media, bytes: &[u8]) -> Result<Value, Problem> {
    match form {
        Media::Json => match json::parse(bytes) {
            Ok(value @ Value::Object(_)) => Ok(value),
            Ok(_) => Err(unfit("", "JSON", ONE_OBJECT)),
            Err(error) => Err(unfit("", "JSON", error.to_string())),
        },
        Media::Text(_) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(error) => {
                let at = error.valid_up_to();
                Err(unfit("", "UTF-8", format!("the byte at {at} is no UTF-8; send it in UTF-8")))
            }
        },
        Media::Bytes(_) => Ok(STANDARD.encode(bytes).into()),
    }
}

/// Puts the input of the operation together.
pub(super) fn input(
    endpoint: &Endpoint,
    values: &BTreeMap<&'static str, Value>,
    body: Option<&[u8]>,
) -> Result<Value, Problem> {
    let mut input = Map::new();
    if let (Some(described), Some(bytes)) = (endpoint.body, body) {
        match (described.place, content(described.media, bytes)?) {
            (Place::Member(name), value) => drop(input.insert(name.to_owned(), value)),
            (Place::Whole, Value::Object(members)) => input = members,
            (Place::Whole, _) => return Err(unfit("", "JSON", ONE_OBJECT)),
        }
    }
    let from_path = endpoint.parameters.iter().filter_map(|parameter| {
        values.get(parameter.name).map(|value| (parameter.member, value.clone()))
    });
    let fixed = endpoint.fixed.iter().map(|(name, text)| (*name, Value::from(*text)));
    for (member, value) in fixed.chain(from_path) {
        if input.insert(member.to_owned(), value).is_some() {
            let text = format!("`{member}` is said by the path already; leave it out");
            return Err(unfit(&format!("/{member}"), "TWICE", text));
        }
    }
    Ok(Value::Object(input))
}

/// A list of tags in `If-Match` or `If-None-Match`.
pub(super) struct Tags(Vec<String>);

/// Reads a list of tags.
pub(super) fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    if headers.get(name).is_some_and(http::HeaderValue::is_empty) {
        return Ok(None);
    }
    let Some(text) = field(headers, name)? else { return Ok(None) };
    let tags = text.split(',').map(|tag| tag.strip_prefix(' ').unwrap_or(tag).to_owned());
    let tags: Vec<String> = tags.collect();
    let known =
        |byte: u8| byte == b'!' || (b'#'..=b'+').contains(&byte) || (b'-'..=b'~').contains(&byte);
    let is_tag = |tag: &String| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        let inner = opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        inner.is_some_and(|inner| inner.len() <= TAG_CHARS_MAX && inner.bytes().all(known))
    };
    if text == "*" || (tags.len() <= TAGS_MAX && tags.iter().all(is_tag)) {
        return Ok(Some(Tags(tags)));
    }
    Err(Problem::header(format!("`{name}` is `*` or quoted tags as `ETag` gave them")))
}

impl Tags {
    /// Weak comparison, for reading.
    pub(super) fn weakly_names(&self, answer: &Answer) -> bool {
        let tag = answer.tag.as_deref().unwrap_or_default();
        self.0.iter().any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    }

    /// Strong comparison, for writing.
    pub(super) fn must_name(&self, tags: &[String]) -> Result<(), Problem> {
        if self.0.iter().any(|known| known == "*" || tags.contains(known)) {
            return Ok(());
        }
        let text = "it has changed since you read it; read it again, then decide";
        Err(Problem::new(412, Rejection::new(ErrorKind::Conflict, "changed-since", text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_language_that_texts_exist_in_is_chosen() {
        for (text, expected) in [
            ("az, en;q=0.8", "az"),
            ("en;q=0.8, ur;q=0.85", "ur"),
            ("de, fr;q=0.3", "en"),
            ("AZ-Latn-AZ", "az"),
            ("az;q=0, en;q=0.1", "en"),
            ("*", "en"),
            ("ur;q=x", "en"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().expect("a value"));
            assert_eq!(language(&headers).ok(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_body_is_of_the_media_type_that_is_taken() {
        let (xml, edifact) = (Media::Text("application/xml"), Media::Bytes("application/EDIFACT"));
        for (form, text, code) in [
            (Media::Json, "application/json", ""),
            (Media::Json, "Application/JSON; charset=utf-8", ""),
            (Media::Json, "text/plain", "not-json"),
            (Media::Json, "", "not-json"),
            (xml, "application/xml", ""),
            (xml, "application/xml; charset=\"UTF-8\"", ""),
            (xml, "application/xml; charset=iso-8859-9", "media-type"),
            (xml, "application/json", "media-type"),
            (edifact, "application/edifact", ""),
            (edifact, "application/xml", "media-type"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, text.parse().expect("a value"));
            let found = must_be(&headers, form).err();
            assert_eq!(found.map_or(String::new(), |found| found.rejection.code), code, "{text}");
        }
    }

    #[test]
    fn a_body_becomes_a_value() {
        let (xml, edifact) = (Media::Text("application/xml"), Media::Bytes("application/EDIFACT"));
        for (form, bytes, expected) in [
            (Media::Json, &b"{\"a\":\"1\"}"[..], Some(serde_json::json!({ "a": "1" }))),
            (Media::Json, b"[1]", None),
            (Media::Json, b"{", None),
            (xml, "<ə/>".as_bytes(), Some("<ə/>".into())),
            (xml, b"<\xff/>", None),
            (edifact, b"UNB\xff", Some("VU5C/w==".into())),
        ] {
            assert_eq!(content(form, bytes).ok(), expected, "{form:?} {bytes:?}");
        }
    }

    #[test]
    fn json_must_be_acceptable() {
        for (text, good) in [
            ("application/json", true),
            ("text/html, application/*;q=0.5", true),
            ("*/*", true),
            ("text/html", false),
            ("application/json;q=0", false),
            ("application/json;q=0.0, text/html", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, text.parse().expect("a value"));
            assert_eq!(accepts_json(&headers).is_ok(), good, "{text}");
        }
    }
}
