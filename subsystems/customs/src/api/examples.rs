//! Examples of bodies and answers: what a sample consignment gives, recorded by a test.

use serde_json::Value;

/// The recorded file; `KARVAN_UPDATE_EXPECTED=1 cargo test -p karvan-customs api` renews it.
const RECORDED: &str = include_str!("examples/recorded.json");

/// Returns an example by name.
pub(super) fn example(name: &str) -> Option<Value> {
    let recorded: Value = serde_json::from_str(RECORDED).ok()?;
    recorded.get(name).cloned()
}
