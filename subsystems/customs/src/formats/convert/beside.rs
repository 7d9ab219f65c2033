//! Documents that are no canonical messages, as JSON: responses and cargo reports; and what a
//! message leaves out of the response that it was made of.
//!
//! Not here: responses and cargo reports themselves (`crate::wco`, `crate::edifact`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Document, Error};
use crate::edifact::CARGO_TYPE_CODES;
use crate::formats::{Loss, losses};
use crate::messages::{Message, Pointer};
use crate::wco::{self, FUNCTIONS, Response};

/// Reads a response or a cargo report; `None` when the value is neither.
pub(super) fn read(value: &Value) -> Result<Option<Document>, Error> {
    let fit = |name, source| Error::Fit { name, source };
    // Only a response has the declaration that it answers inside.
    if value.get("Declaration").is_some() {
        let response: Response =
            serde_json::from_value(value.clone()).map_err(|source| fit("response", source))?;
        let code = response.function_code.as_str();
        if !FUNCTIONS.iter().any(|(known, _)| *known == code) {
            return Err(Error::Function(code.chars().take(20).collect()));
        }
        return Ok(Some(Document::Response(Box::new(response))));
    }
    let type_code = value.get("TypeCode").and_then(Value::as_str);
    if type_code.is_some_and(|code| CARGO_TYPE_CODES.contains(&code)) {
        let report =
            serde_json::from_value(value.clone()).map_err(|source| fit("cargo report", source))?;
        return Ok(Some(Document::Cargo(Box::new(report))));
    }
    Ok(None)
}

/// Lists the values of a response that a message made of it does not say.
pub(super) fn differences(response: &Response, message: &Message) -> Result<Vec<Loss>, Error> {
    let Some(again) = Response::of(message) else { return Ok(Vec::new()) };
    let comparable = |response: &Response| -> Result<Value, Error> {
        let mut value = serde_json::to_value(response)?;
        plain_pointers(&mut value);
        Ok(value)
    };
    let reasons = BTreeMap::new();
    Ok(losses(&comparable(response)?, &comparable(&again)?, &reasons))
}

/// Turns pointers into the paths that they lead to, since one place can be pointed at in several
/// ways.
fn plain_pointers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let pointers: Option<Vec<Pointer>> = (name == "Pointer")
                    .then(|| serde_json::from_value(member.clone()).ok())
                    .flatten();
                match pointers.and_then(|pointers| wco::path_of(&pointers)) {
                    Some(path) => *member = Value::String(path),
                    None => plain_pointers(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(plain_pointers),
        _ => {}
    }
}
