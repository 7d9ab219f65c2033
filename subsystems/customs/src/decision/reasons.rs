//! The coded list of reasons, and which decisions each fits.
//!
//! The file `data/reasons.toml` says it. The code of the program names the reasons that it gives
//! itself ([`Reason`]); the list and the program have the same codes.
//!
//! Not here: what a code means (`crate::words`).

use std::sync::OnceLock;

use karvan_types::ErrorKind;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::matching::Standing;
use crate::messages::Decision;
use crate::words::Language;

/// The shipped list.
const SHIPPED: &str = include_str!("../../data/reasons.toml");

/// What a reason can be given for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// A grant for all that is claimed.
    Grant,
    /// A grant for a part.
    GrantInPart,
    /// A denial.
    Deny,
    /// A question.
    Query,
    /// A release under security.
    Provisional,
}

impl Fit {
    /// Returns the word for a decision.
    pub const fn of(decision: Decision) -> Self {
        match decision {
            Decision::Granted => Self::Grant,
            Decision::GrantedInPart => Self::GrantInPart,
            Decision::Denied => Self::Deny,
            Decision::Query => Self::Query,
            Decision::Provisional => Self::Provisional,
        }
    }
}

/// A reason of the list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CodedReason {
    /// The code.
    pub code: Reason,
    /// The decisions that may rest on it.
    pub fits: Vec<Fit>,
}

impl CodedReason {
    /// Returns what it means.
    pub fn meaning(&self, language: Language) -> String {
        language.say(&format!("reason.{}", self.code.code()), &[])
    }
}

/// The list.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// From where we know it.
    pub source: String,
    /// How sure we are.
    pub status: Standing,
    /// The reasons, in the order in which they are shown.
    #[serde(rename = "reason")]
    pub list: Vec<CodedReason>,
}

/// The list cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not TOML of the expected shape, or a code that the program does not know.
    #[error("the list of reasons cannot be read; mend the named line")]
    Syntax(#[from] toml::de::Error),
    /// A reason of the program is not on the list, or is there twice.
    #[error("the list of reasons must have `{0}` once")]
    Once(String),
}

impl Error {
    /// Returns the kind.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::LocalConfig
    }
}

impl Reasons {
    /// Reads a list.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let reasons: Self = toml::from_str(text)?;
        for reason in Reason::ALL {
            if reasons.list.iter().filter(|row| row.code == reason).count() != 1 {
                return Err(Error::Once(reason.code()));
            }
        }
        Ok(reasons)
    }

    /// Returns the list shipped with Karvan.
    pub fn shipped() -> Result<&'static Self, Error> {
        static LIST: OnceLock<Reasons> = OnceLock::new();
        if let Some(list) = LIST.get() {
            return Ok(list);
        }
        let list = Self::parse(SHIPPED)?;
        Ok(LIST.get_or_init(|| list))
    }

    /// Returns the row of a reason.
    pub fn find(&self, reason: Reason) -> Option<&CodedReason> {
        self.list.iter().find(|row| row.code == reason)
    }

    /// Returns the codes that fit a decision.
    pub fn fitting(&self, decision: Decision) -> Vec<String> {
        let fit = Fit::of(decision);
        let fitting = self.list.iter().filter(|row| row.fits.contains(&fit));
        fitting.map(|row| row.code.code()).collect()
    }

    /// Whether a decision may rest on a reason.
    pub fn fits(&self, reason: Reason, decision: Decision) -> bool {
        self.find(reason).is_some_and(|row| row.fits.contains(&Fit::of(decision)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISIONS: [Decision; 5] = [
        Decision::Granted,
        Decision::GrantedInPart,
        Decision::Denied,
        Decision::Query,
        Decision::Provisional,
    ];

    #[test]
    fn the_shipped_list_is_whole() {
        let reasons = Reasons::shipped().expect("loads");
        assert_eq!(reasons.list.len(), Reason::ALL.len());
        for row in &reasons.list {
            let code = row.code.code();
            assert!((1..=17).contains(&code.len()), "{code} goes into a message");
            assert!(!row.fits.is_empty(), "{code} fits nothing");
            let urdu = row.meaning(Language::Ur);
            assert!(urdu.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c)), "{code}: {urdu}");
        }
        for decision in DECISIONS {
            let fitting = reasons.fitting(decision);
            assert!(fitting.len() > 3 && fitting.contains(&"other".to_owned()), "{decision:?}");
        }
        assert!(!reasons.fits(Reason::FalsePapers, Decision::Granted));
        assert!(!reasons.fits(Reason::InOrder, Decision::Denied));
    }

    #[test]
    fn a_list_that_is_not_the_programs_is_refused() {
        let without = SHIPPED.replacen("code = \"other\"", "code = \"in-order\"", 1);
        let error = Reasons::parse(&without).expect_err("twice and not at all");
        assert!(error.to_string().contains("in-order"), "{error}");
        let strange = SHIPPED.replacen("code = \"other\"", "code = \"mood\"", 1);
        let error = Reasons::parse(&strange).expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::LocalConfig);
    }
}
