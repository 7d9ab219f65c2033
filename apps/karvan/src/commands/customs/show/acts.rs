//! The three acts that answer a message, each a line: what, when, by whom.

use std::fmt::Write as _;

use serde_json::Value;

use crate::commands::customs::text;

/// Says which of receipt, validation and decision a message has; what cannot come has no line.
pub(super) fn lines(acts: &Value) -> String {
    let mut lines = String::new();
    for name in ["receipt", "validation", "decision"] {
        let Some(act) = acts.get(name) else { continue };
        let (state, at, by) = (text(&act["state"]), text(&act["at"]), text(&act["by"]));
        let said = match (act.is_null(), act["text"].as_str()) {
            (true, _) => "not yet".to_owned(),
            (false, Some(why)) => format!("{state}: {why}"),
            (false, None) => format!("{state} {at} by {by}"),
        };
        let _ = writeln!(lines, "      {name:<11}{said}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::lines;

    #[test]
    fn each_act_has_a_line_or_is_not_yet_there() {
        let act = json!({ "state": "accepted", "at": "2026-10-05", "by": "PK/GOV/FBR/customs" });
        for (acts, expected) in [
            (json!({}), ""),
            (json!({ "receipt": null }), "      receipt    not yet\n"),
            (
                json!({ "validation": act }),
                "      validation accepted 2026-10-05 by PK/GOV/FBR/customs\n",
            ),
            (
                json!({ "receipt": { "state": "refused", "text": "unknown member" } }),
                "      receipt    refused: unknown member\n",
            ),
        ] {
            assert_eq!(lines(&acts), expected, "{acts}");
        }
    }
}
