//! What every interface has alike: headers, refusals, ways to prove who calls.
//!
//! The kernel's router (`karvan-exchange`, `service`) does what this says; a test there compares.

use serde_json::{Map, Value, json};

use super::{KEY_CHARS_MAX, LANGUAGE_CHARS_MAX};
use crate::interface::{At, Endpoint, LANGUAGES, Method};

/// `*`, or tags as `ETag` gives them, with commas between; an empty list counts as none.
const TAGS: &str =
    concat!(r#"^(|\*|(W/)?"[!#-+\--~]{0,64}""#, r#"(, ?(W/)?"[!#-+\--~]{0,64}"){0,9})$"#);

/// The statuses of refusals, each with its name, what it means, and an example: code and text.
const REFUSALS: [(u16, &str, &str, &str, &str, &str); 14] = [
    (
        304,
        "NotModified",
        "The answer is the one that you have (`If-None-Match`); there is no body.",
        "",
        "",
        "",
    ),
    (
        400,
        "BadRequest",
        "The request cannot be read as HTTP means it.",
        "header-malformed",
        "invalid",
        "`Idempotency-Key` is 1 to 128 visible ASCII characters, quoted or not",
    ),
    (
        401,
        "Unauthenticated",
        "No token or certificate that this node knows.",
        "token-missing",
        "unauthenticated",
        "send `Authorization: Bearer` with a token of this node",
    ),
    (
        403,
        "Forbidden",
        "You are known, and may not do this.",
        "permission-missing",
        "forbidden",
        "amina lacks the permission `customs.decide`; ask the operator",
    ),
    (
        404,
        "NotFound",
        "There is no such thing here.",
        "customs.unknown-certificate",
        "not-found",
        "no certificate AZPK-2026-99999 is here; check the number and its issuer",
    ),
    (
        406,
        "NotAcceptable",
        "Answers are JSON only.",
        "not-acceptable",
        "invalid",
        "answers are application/json; leave `Accept` out or name it there",
    ),
    (
        409,
        "Conflict",
        "It contradicts what is stored, or the same key is being worked on.",
        "customs.already-decided",
        "conflict",
        "the item was decided already; reopen it first",
    ),
    (
        412,
        "PreconditionFailed",
        "What you have seen has changed since (`If-Match`).",
        "changed-since",
        "conflict",
        "it has changed since you read it; read it again, then decide",
    ),
    (
        413,
        "TooLarge",
        "The body is longer than its bound.",
        "body-too-large",
        "too-large",
        "at most 4194304 bytes are accepted; split the consignment into several declarations",
    ),
    (
        415,
        "UnsupportedMediaType",
        "The body is of another media type than the one described.",
        "not-json",
        "invalid",
        "send `Content-Type: application/json`",
    ),
    (
        422,
        "Invalid",
        "The document or a parameter breaks rules, each of which is named.",
        "customs.invalid-document",
        "invalid",
        "the document breaks a rule: the field is empty; fill it or leave it out",
    ),
    (
        429,
        "TooManyRequests",
        "Your allowance is used up; `Retry-After` says when the next request is free.",
        "rate",
        "overloaded",
        "6000 requests a minute are allowed; try again in 1 s",
    ),
    (
        500,
        "Failure",
        "This node failed; its operator sees the request id.",
        "storage",
        "storage",
        "the disk is full; the operator must make room",
    ),
    (
        503,
        "Overloaded",
        "A bound on work in hand was reached; try later.",
        "overloaded",
        "overloaded",
        "too much is being worked on; try again in 1 s",
    ),
];

/// Returns the statuses other than success that an endpoint may answer.
pub(super) fn refusals(endpoint: &Endpoint, writes: bool) -> Vec<u16> {
    let named = endpoint.parameters.iter().any(|parameter| parameter.at == At::Path);
    let reads = endpoint.method == Method::Get;
    REFUSALS
        .iter()
        .map(|row| row.0)
        .filter(|status| match status {
            304 => reads,
            404 => named || writes || reads,
            409 => writes,
            412 => endpoint.changes.is_some(),
            413 | 415 => !reads,
            _ => true,
        })
        .collect()
}

/// Returns a reference to the refusal with a status.
pub(super) fn response(status: u16) -> Value {
    let name = REFUSALS.iter().find(|row| row.0 == status).map_or("Failure", |row| row.1);
    json!({ "$ref": format!("#/components/responses/{name}") })
}

/// Returns the refusals, by name.
pub(super) fn responses() -> Value {
    let mut all = Map::new();
    for (status, name, about, code, title, detail) in REFUSALS {
        let mut headers = answer_headers();
        if status == 304 {
            headers.insert("ETag".to_owned(), header("ETag"));
            headers.remove("Content-Language");
            all.insert(name.to_owned(), json!({ "description": about, "headers": headers }));
            continue;
        }
        match status {
            401 => drop(headers.insert("WWW-Authenticate".to_owned(), header("Challenge"))),
            429 => drop(headers.insert("Retry-After".to_owned(), header("RetryAfter"))),
            _ => {}
        }
        let mut example = json!({
            "type": format!("urn:karvan:problem:{code}"),
            "title": title,
            "status": status,
            "detail": detail,
            "instance": "urn:uuid:019a2f0e-5b7c-7c3a-9d1e-2f6b8a4c0d11",
        });
        if let (422, Some(example)) = (status, example.as_object_mut()) {
            let pointer = json!([{
                "pointer": "/GoodsShipment/GovernmentAgencyGoodsItem/0/Commodity/Description",
                "rule": "EMPTY",
                "remedy": "the field is empty; fill it or leave it out",
                "source": "WCO Data Model",
            }]);
            example.insert("pointers".to_owned(), pointer);
        }
        let content = json!({ "application/problem+json": {
            "schema": { "$ref": "#/components/schemas/Problem" },
            "example": example,
        } });
        all.insert(
            name.to_owned(),
            json!({ "description": about, "headers": headers, "content": content }),
        );
    }
    Value::Object(all)
}

/// Returns the headers of every answer.
pub(super) fn answer_headers() -> Map<String, Value> {
    let mut headers = Map::new();
    for (field, name) in [
        ("Content-Language", "ContentLanguage"),
        ("X-Request-Id", "RequestId"),
        ("RateLimit", "RateLimit"),
        ("RateLimit-Policy", "Policy"),
    ] {
        headers.insert(field.to_owned(), header(name));
    }
    headers
}

/// Returns a reference to a header.
pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// Returns a reference to a parameter.
pub(super) fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

/// Returns the headers, by name.
pub(super) fn headers() -> Value {
    let text = |about: &str, example: &str| {
        let schema = json!({ "type": "string" });
        json!({ "description": about, "schema": schema, "example": example })
    };
    json!({
        "ContentLanguage": {
            "description": "The language of the texts for people.",
            "schema": { "type": "string", "enum": LANGUAGES },
            "example": "en",
        },
        "RequestId": text(
            "Names the request in the node's log: yours, or one of the node.",
            "019a2f0e-5b7c-7c3a-9d1e-2f6b8a4c0d11",
        ),
        "RateLimit": text(
            "What is left of your allowance (draft-ietf-httpapi-ratelimit-headers).",
            "\"requests\";r=5999;t=1",
        ),
        "Policy": text("Your allowance: requests, and seconds they are for.",
            "\"requests\";q=6000;w=60"),
        "ETag": text("Names the state that is shown (RFC 9110, section 8.8.3).",
            "\"5f1d7a84db00d2fce00b31a7fc73224f\""),
        "Replayed": text("`true` when this answer was stored under the key earlier.", "true"),
        "Challenge": text("How to prove who you are.", "Bearer realm=\"karvan\""),
        "RetryAfter": text("Seconds to wait.", "1"),
    })
}

/// Returns the parameters that stand in headers, by name.
pub(super) fn parameters() -> Value {
    let field = |name: &str, about: &str, schema: Value, example: &str| {
        json!({
            "name": name, "in": "header", "required": false, "description": about,
            "schema": schema, "example": example,
        })
    };
    let visible = json!({
        "type": "string", "minLength": 1, "maxLength": KEY_CHARS_MAX, "pattern": "^[!-~]+$",
    });
    let tags = json!({ "type": "string", "pattern": TAGS });
    json!({
        "IdempotencyKey": field(
            "Idempotency-Key",
            "Your own name for this request, best a UUID. Sent again under the same key with the \
             same content it is answered with the stored answer and has no second effect; with \
             other content it is refused (422), while the first is under way too (409). Kept for \
             7 days (draft-ietf-httpapi-idempotency-key-header).",
            visible.clone(), "8e03978e-40d5-43dd-bc93-6894a57f9324",
        ),
        "RequestId": field(
            "X-Request-Id", "Your own name for the request in the node's log.",
            json!({
                "type": "string", "minLength": 1, "maxLength": 64,
                "pattern": "^[A-Za-z0-9._-]{1,64}$",
            }),
            "psw-2026-11-22-000017",
        ),
        "AcceptLanguage": field(
            "Accept-Language",
            "In which language texts are preferred: `en`, `az` or `ur`, where a text exists in it, \
             refusals among them; otherwise English. `Content-Language` says what you got.",
            json!({
                "type": "string", "minLength": 1, "maxLength": LANGUAGE_CHARS_MAX,
                "pattern": "^[A-Za-z0-9*,;=. -]+$",
            }),
            "az, en;q=0.8",
        ),
        "IfMatch": field(
            "If-Match", "Only when what you change is still as its `ETag` says (RFC 9110, 13.1.1).",
            tags.clone(), "\"5f1d7a84db00d2fce00b31a7fc73224f\"",
        ),
        "IfNoneMatch": field(
            "If-None-Match", "Only when it is no longer as this `ETag` says (RFC 9110, 13.1.2).",
            tags, "\"5f1d7a84db00d2fce00b31a7fc73224f\"",
        ),
    })
}

/// Returns the ways to prove who calls.
pub(super) fn security() -> Value {
    json!({
        "token": {
            "type": "http", "scheme": "bearer",
            "description": "A token that the operator of the node made (`karvan init token`).",
        },
        "certificate": {
            "type": "mutualTLS",
            "description": "A client certificate that the operator registered for a token.",
        },
    })
}

/// Returns the schemas of what is described here.
pub(super) fn schemas() -> Map<String, Value> {
    let all = json!({
        "Problem": {
            "type": "object",
            "description": "A refusal (RFC 9457).",
            "required": ["type", "title", "status", "detail", "instance"],
            "properties": {
                "type": {
                    "type": "string", "pattern": "^urn:karvan:problem:",
                    "description": "Ends in a stable code, for programs.",
                },
                "title": {
                    "type": "string",
                    "description": "The kind of refusal: `invalid`, `conflict`, `forbidden` …; \
                        in the language of `Content-Language`.",
                },
                "status": { "type": "integer", "description": "As in the status line." },
                "detail": {
                    "type": "string",
                    "description": "What is wrong and what to do, in the language of \
                        `Content-Language`; with the values of the case in English only.",
                },
                "english": {
                    "type": "string",
                    "description": "The detail in English, as it stays in the evidence; there when \
                        `Content-Language` is another one.",
                },
                "instance": {
                    "type": "string", "description": "The request, as in `X-Request-Id`.",
                },
                "pointers": {
                    "type": "array",
                    "description": "The fields of the body, and values of path and query, \
                        that break rules.",
                    "items": { "$ref": "#/components/schemas/ProblemPointer" },
                },
            },
        },
        "ProblemPointer": {
            "type": "object",
            "description": "A field that breaks a rule.",
            "required": ["pointer", "rule", "remedy"],
            "properties": {
                "pointer": {
                    "type": "string",
                    "description": "JSON Pointer (RFC 6901) into the body, empty for all of it; \
                        `/` and its name for a value of the path or the query.",
                },
                "rule": { "type": "string", "description": "The rule, a stable code." },
                "remedy": { "type": "string", "description": "What to change." },
                "source": { "type": "string", "description": "Where the rule is written." },
            },
        },
    });
    super::members(all)
}
