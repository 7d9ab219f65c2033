//! The endpoints that an OpenAPI 3 description names.
//!
//! Each operation of `paths` becomes a method and a path pattern, with `*` for each parameter, as
//! X-Road lists them. JSON and YAML are read.

use karvan_xroad::access::EndpointRight;
use karvan_xroad::metadata::openapi::operations;
use karvan_xroad::{Error, Method};

/// Returns the endpoints of a description in the order of their paths.
///
/// # Errors
/// When the description cannot be read.
pub fn endpoints(description: &[u8]) -> Result<Vec<EndpointRight>, Error> {
    let mut endpoints = Vec::new();
    for (path, keys) in operations(description)? {
        for method in Method::ALL.map(Method::as_str) {
            if keys.contains(&method.to_ascii_lowercase()) {
                endpoints.push(EndpointRight { method: method.to_owned(), path: pattern(&path) });
            }
        }
    }
    Ok(endpoints)
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
