//! Answers and refusals as HTTP says them.

use std::time::Duration;

use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, ETAG, RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use karvan_agreements::Quota;
use karvan_agreements::meter::Exhausted;
use karvan_subsystem::interface::Interface;
use karvan_subsystem::{Pointer, Rejection};
use karvan_types::{Digest, ErrorKind, json};
use serde_json::{Value, json as object};

use crate::wire::{PROBLEM_JSON, PROBLEM_TYPE};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Hexadecimal digits of a tag.
const TAG_DIGITS: usize = 32;

/// The language in which every text exists.
const ENGLISH: &str = "en";

/// An answer when all is well.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Names the state that is shown.
    pub(super) tag: Option<String>,
    /// Whether it was stored under a key earlier.
    pub(super) replayed: bool,
    /// In which language its texts are.
    pub(super) language: &'static str,
}

impl Answer {
    pub(super) fn of(status: u16, output: &Value) -> Result<Self, Problem> {
        let body = json::canonical(output).map_err(|_| super::defect())?;
        Ok(Self { status, body, tag: None, replayed: false, language: ENGLISH })
    }

    pub(super) fn tagged(self) -> Self {
        Self { tag: Some(etag(&self.body)), ..self }
    }

    pub(super) fn not_modified(self) -> Self {
        Self { status: 304, body: Vec::new(), ..self }
    }

    pub(super) fn into_response(self, id: &str) -> Response {
        let mut response = (status(self.status), self.body).into_response();
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        if self.status != 304 {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(self.language));
        }
        if let Some(tag) = self.tag {
            put(headers, ETAG, &tag);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        common(headers, id);
        response
    }
}

/// Returns the tag of a representation (RFC 9110, section 8.8.3).
pub(super) fn etag(body: &[u8]) -> String {
    let digest: String = Digest::of(body).to_string().chars().take(TAG_DIGITS).collect();
    format!("\"{digest}\"")
}

/// A refusal with its status, which is the one of its kind unless HTTP has a closer one.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: u16,
    pub(super) rejection: Rejection,
    /// The allowance that is used up, and when to come again.
    used_up: Option<Box<(Limit, Duration)>>,
}

impl<E: Into<Rejection>> From<E> for Problem {
    fn from(error: E) -> Self {
        let rejection = error.into();
        Self::new(rejection.kind.http_status(), rejection)
    }
}

impl Problem {
    pub(super) fn new(status: u16, rejection: Rejection) -> Self {
        Self { status, rejection, used_up: None }
    }

    /// A header that breaks its form.
    pub(super) fn header(text: impl Into<String>) -> Self {
        Self::new(400, Rejection::new(ErrorKind::Invalid, "header-malformed", text))
    }

    /// An allowance that is used up.
    pub(super) fn rate(quota: Quota, used_up: Exhausted) -> Self {
        let after = seconds(used_up.retry_after);
        let text = format!(
            "{} requests a {} are allowed; try again in {after} s",
            quota.calls,
            quota.per.as_str()
        );
        let limit = Limit { quota, remaining: 0, reset: used_up.reset };
        Self {
            used_up: Some(Box::new((limit, used_up.retry_after))),
            ..Self::new(429, Rejection::new(ErrorKind::Overloaded, "rate", text))
        }
    }

    /// Writes it; the interface knows where the rules are written that it names, and says it in
    /// the language of the reader. What it says is a view: code, pointers and the English text,
    /// which is the one of the evidence, stay.
    pub(super) fn into_response(
        self,
        id: &str,
        reader: Option<(&Interface, &'static str)>,
    ) -> Response {
        let Self { status: number, rejection, used_up } = self;
        let interface = reader.map(|(interface, _)| interface);
        let pointers = rejection.pointers.iter().map(|found| describe(found, interface));
        let pointers: Vec<Value> = pointers.collect();
        let said = reader.and_then(|(interface, language)| {
            (interface.say)(&rejection, language).map(|said| (said, language))
        });
        let mut problem = object!({
            "type": format!("{PROBLEM_TYPE}{}", rejection.code),
            "title": rejection.kind.label(),
            "status": number,
            "detail": rejection.text,
            "instance": id,
        });
        let mut language = ENGLISH;
        if let (Some((said, spoken)), Some(problem)) = (said, problem.as_object_mut()) {
            problem.insert("title".to_owned(), said.title.into());
            let english = problem.insert("detail".to_owned(), said.detail.into());
            problem.insert("english".to_owned(), english.unwrap_or_default());
            language = spoken;
        }
        if let (false, Some(problem)) = (pointers.is_empty(), problem.as_object_mut()) {
            problem.insert("pointers".to_owned(), pointers.into());
        }
        let body = json::canonical(&problem).unwrap_or_default();
        let mut response = (status(number), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language));
        if number == 401 {
            let challenge = HeaderValue::from_static("Bearer realm=\"karvan\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some((limit, after)) = used_up.as_deref() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(*after)));
            limit.write(headers);
        }
        common(headers, id);
        response
    }
}

/// Writes one field that breaks a rule.
fn describe(found: &Pointer, interface: Option<&Interface>) -> Value {
    let mut shown = object!({
        "pointer": json_pointer(&found.pointer),
        "rule": found.rule,
        "remedy": found.remedy,
    });
    let source = interface.and_then(|interface| (interface.source)(&found.rule));
    if let (Some(source), Some(shown)) = (source, shown.as_object_mut()) {
        shown.insert("source".to_owned(), source.into());
    }
    shown
}

/// Turns the path of a rule, `/Items/Item[2]/Name`, into a JSON Pointer, `/Items/Item/1/Name`.
fn json_pointer(path: &str) -> String {
    let mut pointer = String::with_capacity(path.len());
    for step in path.split('/').skip(1) {
        let (name, number) = step
            .strip_suffix(']')
            .and_then(|step| step.rsplit_once('['))
            .and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)))
            .map_or((step, None), |(name, number)| (name, Some(number)));
        pointer.push('/');
        pointer.push_str(name);
        if let Some(number) = number {
            pointer.push('/');
            pointer.push_str(&number.saturating_sub(1).to_string());
        }
    }
    // A document as a whole is the empty pointer.
    if pointer == "/" { String::new() } else { pointer }
}

/// What is left of an allowance (draft-ietf-httpapi-ratelimit-headers).
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) quota: Quota,
    pub(super) remaining: u32,
    pub(super) reset: Duration,
}

impl Limit {
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let window = self.quota.per.duration().as_secs();
        let left = format!("\"requests\";r={};t={}", self.remaining, seconds(self.reset));
        put(headers, RATE_LIMIT, &left);
        put(headers, RATE_LIMIT_POLICY, &format!("\"requests\";q={};w={window}", self.quota.calls));
    }
}

/// Rounds up, so that nobody comes back too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

fn common(headers: &mut HeaderMap, id: &str) {
    put(headers, REQUEST_ID, id);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Language, Authorization"));
}

fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use karvan_subsystem::interface::Said;

    use super::*;

    #[test]
    fn paths_of_rules_become_json_pointers() {
        for (path, pointer) in [
            ("/", ""),
            ("", ""),
            ("/ID", "/ID"),
            ("/GoodsShipment/Item[2]/Commodity", "/GoodsShipment/Item/1/Commodity"),
            ("/A[10]", "/A/9"),
            ("/A[x]/B", "/A[x]/B"),
        ] {
            assert_eq!(json_pointer(path), pointer, "{path}");
        }
    }

    #[tokio::test]
    async fn a_problem_is_said_in_the_language_of_its_reader() {
        static INTERFACE: Interface = Interface {
            version: 1,
            title: "",
            about: "",
            groups: &[],
            endpoints: &[],
            schemas: serde_json::Map::new,
            example: |_| None,
            source: |_| None,
            say: |rejection, language| {
                let known = language == "az" && rejection.code == "customs.no-task";
                let said = Said {
                    title: "Yoxdur".to_owned(),
                    detail: "Belə tapşırıq yoxdur.".to_owned(),
                };
                known.then_some(said)
            },
        };
        for (reader, code, language, title, english) in [
            (Some("az"), "customs.no-task", "az", "Yoxdur", json_text("no task 7")),
            (Some("az"), "customs.other", "en", "not-found", Value::Null),
            (Some("en"), "customs.no-task", "en", "not-found", Value::Null),
            (None, "customs.no-task", "en", "not-found", Value::Null),
        ] {
            let pointer = Pointer {
                pointer: "/Items/Item[2]".to_owned(),
                rule: "EMPTY".to_owned(),
                remedy: "fill it".to_owned(),
            };
            let rejection = Rejection::new(ErrorKind::NotFound, code, "no task 7");
            let problem = Problem::from(rejection.with_pointers(vec![pointer]));
            let reader = reader.map(|language| (&INTERFACE, language));
            let response = problem.into_response("r-1", reader);
            assert_eq!(response.status(), 404);
            assert_eq!(response.headers()[CONTENT_LANGUAGE], language, "{code}");
            let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            assert_eq!(body["type"], format!("{PROBLEM_TYPE}{code}"));
            assert_eq!((&body["title"], &body["english"]), (&json_text(title), &english));
            let detail = if language == "az" { "Belə tapşırıq yoxdur." } else { "no task 7" };
            assert_eq!(body["detail"], detail);
            assert_eq!(body["pointers"][0]["pointer"], "/Items/Item/1");
            assert_eq!(body["pointers"][0]["remedy"], "fill it");
        }
    }

    fn json_text(text: &str) -> Value {
        Value::from(text)
    }
}
