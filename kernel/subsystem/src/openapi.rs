//! Writes the OpenAPI 3.1 document of an interface, and its page for people (`page`).
//!
//! Endpoints come from the sub-system's table; what every interface has alike, the inbox of
//! notices, headers, refusals and ways of proving who calls, stands here (`common`). The same
//! input always gives the same bytes, so the committed document can be compared with the code.
//!
//! Invariants: every operation has a name, an example, and every status that it can answer.

mod common;
mod inbox;
mod page;

pub use page::page;

use serde_json::{Map, Value, json};

use crate::interface::{At, Endpoint, Interface, Kind, Media, Method, Parameter, Place};
use crate::{Operation, Subsystem};

/// Most notices in one lease.
pub const NOTICES_MAX: usize = 100;
/// Most characters of a key of idempotency.
pub const KEY_CHARS_MAX: usize = 128;
/// Most characters of a list of languages.
pub const LANGUAGE_CHARS_MAX: usize = 200;
/// The version of the OpenAPI Specification that documents follow.
const OPENAPI_VERSION: &str = "3.1.0";

/// Returns the document of a sub-system's interface; nothing when it has none.
pub fn document(subsystem: &dyn Subsystem) -> Option<Value> {
    let interface = subsystem.interface()?;
    let mut schemas = common::schemas();
    schemas.extend(inbox::schemas());
    schemas.extend((interface.schemas)());
    let mut paths = Map::new();
    for endpoint in interface.endpoints {
        let known = subsystem.operations().iter().find(|known| known.name == endpoint.operation);
        add(&mut paths, endpoint.path, endpoint.method, operation(interface, endpoint, known));
    }
    for (path, method, operation) in inbox::operations(subsystem.name()) {
        add(&mut paths, path, method, operation);
    }
    let groups = interface.groups.iter().map(|group| (group.name, group.about));
    let tags: Vec<Value> = groups
        .chain([(inbox::INBOX, inbox::INBOX_ABOUT)])
        .map(|(name, about)| json!({ "name": name, "description": about }))
        .collect();
    Some(json!({
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": interface.title,
            "version": format!("{}.0.0", interface.version),
            "description": interface.about,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{
            "url": interface.base(subsystem.name()),
            "description": "The node of your own nation.",
        }],
        "security": [{ "token": [] }, { "certificate": [] }],
        "tags": tags,
        "paths": paths,
        "webhooks": inbox::webhooks(subsystem.name()),
        "components": {
            "schemas": schemas,
            "parameters": common::parameters(),
            "headers": common::headers(),
            "responses": common::responses(),
            "securitySchemes": common::security(),
        },
    }))
}

fn add(paths: &mut Map<String, Value>, path: &str, method: Method, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    if let Some(item) = item.as_object_mut() {
        item.insert(method_name(method).to_owned(), operation);
    }
}

const fn method_name(method: Method) -> &'static str {
    match method {
        Method::Get => "get",
        Method::Post => "post",
    }
}

fn operation(interface: &Interface, endpoint: &Endpoint, known: Option<&Operation>) -> Value {
    let permission = known.map_or("", |known| known.permission);
    let writes = known.is_some_and(|known| known.writes);
    let mut parameters: Vec<Value> = endpoint.parameters.iter().map(parameter).collect();
    parameters.push(common::parameter("RequestId"));
    parameters.push(common::parameter("AcceptLanguage"));
    if writes {
        parameters.push(common::parameter("IdempotencyKey"));
    }
    if endpoint.changes.is_some() {
        parameters.push(common::parameter("IfMatch"));
    }
    if endpoint.method == Method::Get {
        parameters.push(common::parameter("IfNoneMatch"));
    }
    let mut described = json!({
        "operationId": endpoint.id,
        "tags": [endpoint.group],
        "summary": endpoint.summary,
        "description": format!("{}\n\nPermission: `{permission}`.", endpoint.about),
        "parameters": parameters,
        "responses": responses(interface, endpoint, writes),
    });
    if let (Some(body), Some(described)) = (&endpoint.body, described.as_object_mut()) {
        let example = (interface.example)(body.example).unwrap_or_default();
        let content = json!({ "schema": reference(body.schema), "example": example });
        described.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": { body.media.name(): content } }),
        );
    }
    described
}

fn responses(interface: &Interface, endpoint: &Endpoint, writes: bool) -> Value {
    let answer = &endpoint.answer;
    let example = (interface.example)(answer.example).unwrap_or_default();
    let mut headers = common::answer_headers();
    if endpoint.method == Method::Get {
        headers.insert("ETag".to_owned(), common::header("ETag"));
    }
    if writes {
        headers.insert("Idempotent-Replayed".to_owned(), common::header("Replayed"));
    }
    let good = json!({
        "description": if answer.status == 201 { "It was made." } else { "All is well." },
        "headers": headers,
        "content": { "application/json": {
            "schema": reference(answer.schema),
            "example": example,
        } },
    });
    let mut all = Map::new();
    all.insert(answer.status.to_string(), good);
    for status in common::refusals(endpoint, writes) {
        all.insert(status.to_string(), common::response(status));
    }
    Value::Object(all)
}

fn parameter(parameter: &Parameter) -> Value {
    json!({
        "name": parameter.name,
        "in": if parameter.at == At::Path { "path" } else { "query" },
        "required": parameter.at != At::Query,
        "description": parameter.about,
        "schema": kind_schema(&parameter.kind),
        "example": example_of(parameter),
    })
}

/// Returns the schema of what a parameter may be.
fn kind_schema(kind: &Kind) -> Value {
    match kind {
        Kind::Text { chars_max } => json!({
            "type": "string",
            "minLength": 1,
            "maxLength": chars_max,
            "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]+$",
        }),
        Kind::Number { min, max } => {
            json!({ "type": "integer", "minimum": min, "maximum": max })
        }
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::Digits { min, max } => {
            json!({ "type": "string", "pattern": format!("^[0-9]{{{min},{max}}}$") })
        }
        Kind::Date => json!({ "type": "string", "format": "date" }),
    }
}

fn example_of(parameter: &Parameter) -> Value {
    match parameter.kind {
        Kind::Number { .. } => parameter.example.parse::<u64>().map_or(Value::Null, Value::from),
        _ => parameter.example.into(),
    }
}

/// Returns the members of an object; none of anything else.
fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// Returns what an interface's table lacks or contradicts, one line each; nothing when it is
/// sound. For the tests of sub-systems.
pub fn problems(subsystem: &dyn Subsystem) -> Vec<String> {
    let Some(interface) = subsystem.interface() else { return Vec::new() };
    let schemas = (interface.schemas)();
    let mut problems = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for endpoint in interface.endpoints {
        let id = endpoint.id;
        let mut check = |good: bool, what: String| {
            if !good {
                problems.push(format!("{id}: {what}"));
            }
        };
        check(seen.insert(id), "the name stands twice".to_owned());
        let operation = endpoint.operation;
        let known = subsystem.operations().iter().find(|known| known.name == operation);
        check(known.is_some(), format!("there is no operation `{operation}`"));
        let writes = known.is_some_and(|known| known.writes);
        check(
            writes == (endpoint.method == Method::Post),
            "POST has an effect, GET has none".to_owned(),
        );
        check(
            interface.groups.iter().any(|group| group.name == endpoint.group),
            format!("there is no group `{}`", endpoint.group),
        );
        for parameter in endpoint.parameters {
            let braced = format!("{{{}}}", parameter.name);
            check(
                endpoint.path.contains(&braced) == (parameter.at == At::Path),
                format!("`{}` is in the path or it is not", parameter.name),
            );
            check(
                parameter.kind.read(parameter.example).is_ok(),
                format!("the example of `{}` does not fit", parameter.name),
            );
        }
        if let Some(changed) = endpoint.changes {
            check(interface.endpoint(changed).is_some(), format!("there is no `{changed}`"));
        }
        let body = endpoint.body.map(|body| (body.schema, body.example));
        for (schema, example) in
            body.into_iter().chain([(endpoint.answer.schema, endpoint.answer.example)])
        {
            check(schemas.contains_key(schema), format!("there is no schema `{schema}`"));
            check((interface.example)(example).is_some(), format!("no example `{example}`"));
        }
        check(
            endpoint.body.is_none_or(|body| {
                body.media == Media::Json || matches!(body.place, Place::Member(_))
            }),
            "what is no JSON object goes into one member".to_owned(),
        );
        if let Some(Place::Member(member)) = endpoint.body.map(|body| body.place) {
            check(
                endpoint.parameters.iter().all(|parameter| parameter.member != member),
                format!("`{member}` is set twice"),
            );
        }
    }
    problems
}
