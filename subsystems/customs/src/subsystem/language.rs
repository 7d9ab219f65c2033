//! Operations whose output can be had in another language: the input may name it in `lang`.

use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;
use serde_json::Value;

use super::answer::refuse;
use crate::explain;
use crate::words::Language;

/// Takes `lang` out of the input, runs the operation, and says its output in that language.
pub(super) fn speaking(
    mut input: Value,
    operation: impl FnOnce(Value) -> Result<Value, Rejection>,
) -> Result<Value, Rejection> {
    let wanted = input.as_object_mut().and_then(|members| members.remove("lang"));
    let Some(wanted) = wanted else { return operation(input) };
    let text = wanted.as_str().unwrap_or_default();
    let language: Language = text.parse().map_err(|error: crate::words::UnknownLanguage| {
        refuse(ErrorKind::Invalid, "bad-input", error.to_string())
    })?;
    let mut output = operation(input)?;
    explain::translate(&mut output, language);
    Ok(output)
}
