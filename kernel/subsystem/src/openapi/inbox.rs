//! The inbox of notices, and what is posted to systems that would rather be told.

use serde_json::{Map, Value, json};

use super::common::{answer_headers, parameter, response};
use super::{NOTICES_MAX, members};
use crate::interface::Method;

/// The group of the inbox.
pub(super) const INBOX: &str = "Inbox";
/// What the inbox is.
pub(super) const INBOX_ABOUT: &str =
    "What happened, in order, for systems that ask: lease a batch, store it, acknowledge it.";

/// Returns the schemas of what is described here.
pub(super) fn schemas() -> Map<String, Value> {
    members(json!({
        "Notice": {
            "type": "object",
            "description": "Something that happened. It names the thing; read the thing itself.",
            "required": ["type", "timestamp", "number", "data"],
            "properties": {
                "type": { "type": "string", "description": "Such as `customs.certificate`." },
                "timestamp": {
                    "type": "string", "format": "date-time", "description": "When it happened.",
                },
                "number": {
                    "type": "integer", "minimum": 1,
                    "description": "Grows and never repeats: the way to know one that came twice.",
                },
                "data": { "type": "object", "description": "Subject, path, who, what in words." },
            },
        },
        "Lease": {
            "type": "object",
            "description": "A batch of notices, kept for you until it lapses.",
            "required": ["lease", "until", "notices"],
            "properties": {
                "lease": { "type": ["string", "null"], "description": "None when nothing waits." },
                "until": {
                    "type": ["string", "null"], "format": "date-time",
                    "description": "When the lease lapses.",
                },
                "notices": {
                    "type": "array", "maxItems": NOTICES_MAX,
                    "description": "What happened, in order.",
                    "items": { "$ref": "#/components/schemas/Notice" },
                },
            },
        },
        "LeaseUntil": {
            "type": "object",
            "required": ["lease", "until"],
            "properties": {
                "lease": { "type": "string", "description": "Names the lease." },
                "until": {
                    "type": "string", "format": "date-time",
                    "description": "When the lease lapses.",
                },
            },
        },
        "Acknowledged": {
            "type": "object",
            "required": ["through"],
            "properties": {
                "through": {
                    "type": "integer", "minimum": 0,
                    "description": "Number of the last notice that will not come again.",
                },
            },
        },
    }))
}

const LEASE_ID: &str = "019a2f0e-5b7c-7c3a-9d1e-2f6b8a4c0d11";

fn notice(subsystem: &str) -> Value {
    json!({
        "type": format!("{subsystem}.certificate"),
        "timestamp": "2026-10-05T05:00:00.000Z",
        "number": 17,
        "data": {
            "subject": "certificate AZ:AZPK202600001",
            "path": "/api/customs/v1/certificates/AZPK202600001",
            "by": "AZ/GOV/AMCM",
            "text": "certificate AZPK-2026-00001, version 1: received",
        },
    })
}

/// Returns path, method and description of the inbox's operations.
pub(super) fn operations(subsystem: &str) -> [(&'static str, Method, Value); 3] {
    let lease = json!({
        "name": "lease", "in": "path", "required": true,
        "description": "The lease that the batch came with.",
        "schema": {
            "type": "string",
            "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        },
        "example": LEASE_ID,
    });
    let limit = json!({
        "name": "limit", "in": "query", "required": false,
        "description": "Most notices of the batch.",
        "schema": { "type": "integer", "minimum": 1, "maximum": NOTICES_MAX },
        "example": 50,
    });
    let until = "2026-10-05T05:01:00.000Z";
    [
        (
            "/inbox/leases",
            Method::Post,
            act(
                "leaseNotices",
                "Take the next notices",
                "Leases the next notices of your member, oldest first, for one minute. Store them, \
                 then acknowledge. A batch whose lease lapses comes again, so nothing is lost when \
                 you stop in between; know one that came twice by its number. While your lease \
                 lasts, a second one is refused (409). Each name of a token has an inbox of its \
                 own, which begins with the first line of the journal.",
                &[limit],
                "Lease",
                &json!({ "lease": LEASE_ID, "until": until, "notices": [notice(subsystem)] }),
            ),
        ),
        (
            "/inbox/leases/{lease}/acknowledgement",
            Method::Post,
            act(
                "acknowledgeNotices",
                "Acknowledge a batch",
                "The batch was stored and will not come again. To say it twice is no error.",
                std::slice::from_ref(&lease),
                "Acknowledged",
                &json!({ "through": 17 }),
            ),
        ),
        (
            "/inbox/leases/{lease}/extension",
            Method::Post,
            act(
                "extendLease",
                "Extend a lease",
                "Gives you one more minute from now, as long as the lease has not lapsed.",
                &[lease],
                "LeaseUntil",
                &json!({ "lease": LEASE_ID, "until": until }),
            ),
        ),
    ]
}

fn act(
    id: &str,
    summary: &str,
    about: &str,
    parameters: &[Value],
    schema: &str,
    example: &Value,
) -> Value {
    let mut parameters = parameters.to_vec();
    parameters.push(parameter("RequestId"));
    let mut responses = Map::new();
    let content = json!({ "application/json": {
        "schema": { "$ref": format!("#/components/schemas/{schema}") }, "example": example,
    } });
    responses.insert(
        "200".to_owned(),
        json!({ "description": "All is well.", "headers": answer_headers(), "content": content }),
    );
    for status in [400, 401, 403, 404, 406, 409, 413, 422, 429, 500, 503] {
        responses.insert(status.to_string(), response(status));
    }
    json!({
        "operationId": id,
        "tags": [INBOX],
        "summary": summary,
        "description": format!("{about}\n\nPermission: `documents.receive`."),
        "parameters": parameters,
        "responses": responses,
    })
}

/// Returns what the node posts to systems that would rather be told.
pub(super) fn webhooks(subsystem: &str) -> Value {
    let field = |name: &str, about: &str, example: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": about,
            "schema": { "type": "string" }, "example": example,
        })
    };
    json!({
        "notice": { "post": {
            "operationId": "notice",
            "tags": [INBOX],
            "summary": "The node tells your system what happened",
            "description": "Posted to the address in the operator's configuration, in order, \
                signed as Standard Webhooks 1.0 says. Any answer of class 2xx takes it; 400 to 499 \
                other than 408, 425 and 429 makes it a dead letter; all else is tried again.",
            "security": [],
            "parameters": [
                field("webhook-id", "Names the notice; the same each time it is tried.",
                    "customs-psw-17"),
                field("webhook-timestamp", "When it was signed, in seconds since 1970.",
                    "1790000000"),
                field("webhook-signature",
                    "HMAC-SHA-256 of id, timestamp and body; two of them while secrets change.",
                    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
            ],
            "requestBody": { "required": true, "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Notice" },
                "example": notice(subsystem),
            } } },
            "responses": { "204": { "description": "Taken." } },
        } },
    })
}
