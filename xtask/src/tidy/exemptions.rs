//! What is excused from which rule, and why. The list should stay short.

use crate::workspace::is_within;

/// One excuse.
pub(super) struct Exemption {
    pub(super) rule: &'static str,
    /// A file, or a folder with all below it.
    pub(super) path: &'static str,
    /// For the reader of this list; checked to be there.
    #[cfg_attr(not(test), expect(dead_code, reason = "read by people, and by a test"))]
    pub(super) reason: &'static str,
}

impl Exemption {
    pub(super) fn covers(&self, rule: &str, path: &str) -> bool {
        self.rule == rule && is_within(path, self.path)
    }
}

/// All excuses.
pub(super) const EXEMPTIONS: &[Exemption] = &[
    Exemption {
        rule: "exact-numbers",
        path: "base/types/src/json.rs",
        reason: "refuses every number in floating point, and must name the type for that",
    },
    Exemption {
        rule: "exact-numbers",
        path: "subsystems/customs/src/edifact/part.rs",
        reason: "a source of serde names every type that may be asked for, and gives none of these",
    },
    Exemption {
        rule: "exact-numbers",
        path: "subsystems/customs/src/paper/form",
        reason: "lengths on a page; amounts and masses arrive there as text",
    },
    Exemption {
        rule: "system-traits",
        path: "kernel/store/src/sqlite.rs",
        reason: "SQLite opens its own files, so this back end stays outside the simulation",
    },
    Exemption {
        rule: "system-traits",
        path: "kernel/trust/src/keys/pair.rs",
        reason: "the library takes its own generator for the nonce of an ECDSA signature",
    },
    Exemption {
        rule: "banned-words",
        path: "xtask/src/tidy/texts.rs",
        reason: "spells the banned words out, and plants them in its tests",
    },
    Exemption {
        rule: "machine-paths",
        path: "xtask/src/tidy/texts.rs",
        reason: "spells the banned paths out, and plants them in its tests",
    },
];

#[cfg(test)]
mod tests {
    use super::super::RULES;
    use super::*;

    #[test]
    fn each_names_a_rule_and_a_reason() {
        for exemption in EXEMPTIONS {
            let known = RULES.iter().copied().flatten().any(|rule| rule.name == exemption.rule);
            assert!(known, "no rule is called {}", exemption.rule);
            assert!(exemption.reason.len() > 10, "{} has no reason", exemption.path);
        }
    }
}
