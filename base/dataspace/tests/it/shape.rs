//! What holds for everything that is written: the schemas of the protocol in a few lines.

use serde_json::Value;

/// Members that are arrays even with one entry.
const LISTS: &[&str] = &[
    "@context",
    "permission",
    "prohibition",
    "obligation",
    "duty",
    "constraint",
    "and",
    "or",
    "xone",
    "andSequence",
    "dataset",
    "distribution",
    "hasPolicy",
    "service",
    "catalog",
    "reason",
    "filter",
    "endpointProperties",
    "protocolVersions",
];

/// Fails when a message written by us breaks the compact form.
#[track_caller]
pub(crate) fn check(value: &Value) {
    let found = faults(value, "");
    assert_eq!(found, Vec::<String>::new(), "{value:#}");
}

fn faults(value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                found.extend(faults(item, &format!("{at}/{index}")));
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let at = format!("{at}/{name}");
                if LISTS.contains(&name.as_str()) && !member.is_array() {
                    found.push(format!("{at} is no array"));
                }
                if member.as_array().is_some_and(Vec::is_empty) {
                    found.push(format!("{at} is empty"));
                }
                if name == "rightOperand" && (member.is_number() || member.is_boolean()) {
                    found.push(format!("{at} is a number or truth value"));
                }
                if name == "@context" && at != "/@context" {
                    found.push(format!("{at} is not at the root"));
                }
                found.extend(faults(member, &at));
            }
        }
        Value::Null => found.push(format!("{at} is null")),
        _ => {}
    }
    found
}
