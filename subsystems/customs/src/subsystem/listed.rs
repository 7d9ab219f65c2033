//! What can be listed, for people and for programs, and by which states.
//!
//! Not here: the lists (`super::show::list`, `super::browse`).

use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;
use serde::Deserialize;

use super::answer::{about, refuse};
use crate::states::{CertificateState, Chart, ExportState, ItemState, VerificationState};

/// Longest word that a refusal repeats, in characters.
const WORD_CHARS_MAX: usize = 40;
/// The lights of claimed items.
pub(super) const LIGHTS: [&str; 3] = ["green", "amber", "red"];

/// What can be listed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum What {
    Claims,
    Certificates,
    Exports,
    Tasks,
    Parked,
    Overrides,
    Verifications,
    Cases,
    Incidents,
}

fn words<S: Chart>() -> Vec<&'static str> {
    S::STATES.iter().map(|state| state.word()).collect()
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Claims => "claims",
            Self::Certificates => "certificates",
            Self::Exports => "exports",
            Self::Tasks => "tasks",
            Self::Parked => "parked messages",
            Self::Overrides => "overrides",
            Self::Verifications => "verifications",
            Self::Cases => "cases",
            Self::Incidents => "incidents",
        }
    }

    /// Returns the states that a list can be narrowed down to.
    fn states(self) -> Vec<&'static str> {
        match self {
            Self::Claims => words::<ItemState>(),
            Self::Certificates => words::<CertificateState>(),
            Self::Exports => words::<ExportState>(),
            Self::Verifications => words::<VerificationState>(),
            Self::Tasks | Self::Cases => vec!["open", "closed"],
            Self::Parked | Self::Overrides | Self::Incidents => Vec::new(),
        }
    }

    /// Refuses a state that nothing of this kind can be in, naming those that there are.
    pub(super) fn check(self, state: Option<&str>) -> Result<(), Rejection> {
        if state.is_some() && self.states().is_empty() {
            let text = format!("{} have no states; leave `state` out", self.name());
            let refusal = refuse(ErrorKind::Invalid, "bad-input", text);
            return Err(about("state", "WORD", refusal));
        }
        one_of("state", state, &self.states())
    }
}

/// Refuses a word that is not among those that there are, naming them.
pub(super) fn one_of(name: &str, word: Option<&str>, words: &[&str]) -> Result<(), Rejection> {
    let Some(word) = word.filter(|word| !words.contains(word)) else { return Ok(()) };
    let shown: String = word.chars().take(WORD_CHARS_MAX).collect();
    let text = format!("there is no {name} `{shown}` here; use one of {}", words.join(", "));
    Err(about(name, "WORD", refuse(ErrorKind::Invalid, "bad-input", text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(what: What, state: &str, expected: Option<&str>) {
        let said = what.check(Some(state)).err().map(|refusal| refusal.text);
        match (said, expected) {
            (None, None) => {}
            (Some(said), Some(part)) => assert!(said.contains(part), "{what:?} {state}: {said}"),
            (said, _) => panic!("{what:?} {state}: {said:?}"),
        }
    }

    #[test]
    fn a_state_that_there_is_not_is_refused_with_those_that_there_are() {
        check(What::Claims, "granted", None);
        check(What::Claims, "Granted", Some("granted-in-part"));
        check(What::Certificates, "used-up", None);
        check(What::Certificates, "nonsense", Some("revoked-after-use"));
        check(What::Exports, "never-arrived", None);
        check(What::Exports, "granted", Some("departed"));
        check(What::Verifications, "no-answer", None);
        check(What::Verifications, "asked", Some("received"));
        check(What::Tasks, "closed", None);
        check(What::Cases, "done", Some("open, closed"));
        for what in [What::Parked, What::Overrides, What::Incidents] {
            check(what, "nonsense", Some("have no states"));
            assert!(what.check(None).is_ok());
        }
        let long = "x".repeat(1000);
        assert!(one_of("light", Some(&long), &LIGHTS).is_err_and(|r| r.text.len() < 120));
        assert!(one_of("light", Some("red"), &LIGHTS).is_ok());
    }
}
