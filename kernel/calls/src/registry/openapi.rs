//! The endpoints that an OpenAPI 3 description names.
//!
//! Each operation of `paths` becomes a method and a path pattern, with `*` for each parameter, as
//! X-Road lists them. Only JSON is read; a YAML description has the endpoints that the operator
//! writes down, or none.

use std::collections::BTreeMap;

use karvan_xroad::Method;
use karvan_xroad::access::EndpointRight;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Description {
    #[serde(default)]
    #[expect(clippy::zero_sized_map_values, reason = "an object is read, of which keys are used")]
    paths: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

/// Returns the endpoints of a description in the order of their paths; `None` when it cannot be
/// read as JSON.
pub fn endpoints(description: &[u8]) -> Option<Vec<EndpointRight>> {
    let description: Description = serde_json::from_slice(description).ok()?;
    let mut endpoints = Vec::new();
    for (path, item) in description.paths {
        for method in Method::ALL.map(Method::as_str) {
            if item.contains_key(&method.to_ascii_lowercase()) {
                endpoints.push(EndpointRight { method: method.to_owned(), path: pattern(&path) });
            }
        }
    }
    Some(endpoints)
}

/// Returns the pattern of a path template: a star for each `{parameter}`, plain stars escaped.
fn pattern(template: &str) -> String {
    let mut pattern = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((plain, after)) = rest.split_once('{') {
        let Some((_, behind)) = after.split_once('}') else { break };
        pattern.push_str(&escaped(plain));
        pattern.push('*');
        rest = behind;
    }
    pattern.push_str(&escaped(rest));
    pattern
}

fn escaped(plain: &str) -> String {
    plain.replace('\\', "\\\\").replace('*', "\\*")
}
