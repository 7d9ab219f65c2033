//! Values of the WCO Data Model that a message has no field of its own for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most such values of one message.
pub const EXTENSIONS_MAX: usize = 10_000;

/// A value that came with a declaration in XML and goes with it.
#[derive(Clone, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// Path below the declaration in element names, occurrences counted from 1 where it is not the
    /// first; `@` marks an attribute.
    #[serde(rename = "path")]
    pub path: String,
    /// How many elements of the path the message has itself; what follows is in the XML alone.
    #[serde(rename = "depth")]
    pub depth: u32,
    /// The value.
    #[serde(rename = "value")]
    pub value: String,
}
