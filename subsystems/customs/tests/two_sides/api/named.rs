//! Every member that is answered is named by its schema, with a type and a description.

use std::collections::BTreeSet;
use std::path::PathBuf;

use karvan_customs::api::INTERFACE;
use karvan_subsystem::openapi;
use serde_json::{Map, Value};

use super::{FOLDER, read};
use crate::exchange::Exchange;

/// Members whose content is free on purpose, which their description explains.
const FREE: [&str; 3] = ["Relief/breakdown", "NationalResponse/response", "ResponseTaken/response"];

fn schemas() -> Map<String, Value> {
    let exchange = Exchange::new("2026-10-05T05:00:00Z".parse().expect("an instant"));
    let document = openapi::document(exchange.pk.customs()).expect("an interface");
    document["components"]["schemas"].as_object().expect("schemas").clone()
}

/// Follows references and takes the part of a choice that is not null.
fn resolve<'a>(all: &'a Map<String, Value>, schema: &'a Value) -> (&'a Value, Option<&'a str>) {
    let choice = schema["anyOf"].as_array().into_iter().flatten();
    let schema = choice.clone().find(|each| each["type"] != "null").unwrap_or(schema);
    match schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        Some(name) => (resolve(all, &all[name]).0, Some(name)),
        None => (schema, None),
    }
}

/// Adds the members of a value that its schema does not name.
fn walk(
    all: &Map<String, Value>,
    (schema, at): (&Value, &str),
    value: &Value,
    found: &mut BTreeSet<String>,
) {
    let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
    let choice = named.map_or(schema, |name| &all[name])["anyOf"].as_array().into_iter().flatten();
    let choice: Vec<_> = choice.filter(|each| each["type"] != "null").collect();
    if choice.len() > 1 {
        // One of several shapes: that which names most of what is answered.
        let named = choice.into_iter().map(|each| {
            let mut found = BTreeSet::new();
            walk(all, (each, at), value, &mut found);
            found
        });
        found.extend(named.min_by_key(BTreeSet::len).unwrap_or_default());
        return;
    }
    let (schema, name) = resolve(all, schema);
    let at = name.unwrap_or(at).to_owned();
    if FREE.contains(&at.as_str()) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let inner = schema["properties"].get(name);
                let inner = inner.or_else(|| schema.get("additionalProperties"));
                match inner.filter(|inner| inner.is_object()) {
                    Some(inner) => walk(all, (inner, &format!("{at}/{name}")), member, found),
                    None => drop(found.insert(format!("{at}/{name}"))),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(all, (&schema["items"], &at), item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn answers_hold_nothing_that_is_not_described() {
    let all = schemas();
    let stored = read(&PathBuf::from(FOLDER).join("src/api/examples/recorded.json"));
    let mut found = BTreeSet::new();
    for endpoint in INTERFACE.endpoints {
        let name = endpoint.answer.schema;
        let value = &stored[endpoint.answer.example];
        // The sub-system answers these; the kernel adds the exchanges of what was sent.
        walk(&all, (&all[name], name), value, &mut found);
    }
    assert!(found.is_empty(), "{} members:\n{found:#?}", found.len());
}

#[test]
fn every_member_has_a_type_and_a_description() {
    let mut found = BTreeSet::new();
    let all = schemas();
    for (name, schema) in &all {
        for (member, inner) in schema["properties"].as_object().into_iter().flatten() {
            let at = format!("{name}/{member}");
            let typed = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"];
            let is_list = inner["type"] == "array" || inner["type"][0] == "array";
            let is_open = !typed.iter().any(|key| inner.get(*key).is_some())
                || (is_list && inner["items"].as_object().is_none_or(serde_json::Map::is_empty))
                || (inner.get("additionalProperties") == Some(&Value::Bool(true))
                    && !FREE.contains(&at.as_str()));
            let text = |schema: &Value| schema["description"].as_str().is_some_and(|t| t.len() > 3);
            let described = text(inner) || text(resolve(&all, inner).0);
            if is_open || !described {
                found.insert(at);
            }
        }
    }
    assert!(found.is_empty(), "open or without a description: {found:#?}");
}
