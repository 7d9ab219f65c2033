//! The sentences that people read, in English, Azerbaijani and Urdu.
//!
//! One file per language under `data/words/`: keyed sentences with named places for values. A plain
//! table is enough, because no sentence needs plural or gender: a number always stands with its
//! unit, a party with its name.
//!
//! Values come from the papers of others. Controls that change how a line reads are taken out of
//! them, and in a right-to-left sentence each stands in an isolate of its own (Unicode Standard
//! Annex 9, section 2.5), so that a number or a Latin name cannot turn the sentence around.
//!
//! Invariants: every language has every key with the same places; a sentence is never missing:
//! what a language lacked would be said in English.
//!
//! Not here: which sentence is said (`crate::explain`).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use karvan_types::Instance;
use serde::{Deserialize, Serialize};

use crate::validate::visible;

/// Begins a part whose direction follows its first strong letter (FIRST STRONG ISOLATE).
const ISOLATE: char = '\u{2068}';
/// Begins a right-to-left part (RIGHT-TO-LEFT ISOLATE).
const ISOLATE_RIGHT_TO_LEFT: char = '\u{2067}';
/// Ends a part (POP DIRECTIONAL ISOLATE).
const END: char = '\u{2069}';

/// A language of the two countries, or English.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Azerbaijani, in Latin letters.
    Az,
    /// Urdu.
    Ur,
}

/// A text names no language that is spoken here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no language of this program; use en, az or ur")]
pub struct UnknownLanguage(String);

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::En, Self::Az, Self::Ur];

    /// Returns the code, ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Az => "az",
            Self::Ur => "ur",
        }
    }

    /// Whether it is written from right to left.
    pub const fn is_right_to_left(self) -> bool {
        matches!(self, Self::Ur)
    }

    /// Returns the language that papers of a country have beside English; English of any other.
    pub fn of_country(country: Instance) -> Self {
        match country.as_str() {
            "AZ" => Self::Az,
            "PK" => Self::Ur,
            _ => Self::En,
        }
    }

    /// Returns what the language calls itself.
    pub fn name(self) -> &'static str {
        self.sentences().name.as_str()
    }

    /// Returns who has read the sentences.
    pub fn status(self) -> Reading {
        self.sentences().status
    }

    fn sentences(self) -> &'static Sentences {
        match self {
            Self::En => &ENGLISH,
            Self::Az => &AZERBAIJANI,
            Self::Ur => &URDU,
        }
    }

    /// Says the sentence `key`, such as `difference.hs6`, with these values.
    pub fn say(self, key: &str, values: &[(&str, &str)]) -> String {
        let own = self.sentences().find(key);
        let Some(pattern) = own.or_else(|| ENGLISH.find(key)) else { return key.to_owned() };
        fill(pattern, values, self.is_right_to_left())
    }

    /// Returns a whole line as a terminal or a page of the other direction shows it rightly.
    pub fn line(self, text: &str) -> String {
        if self.is_right_to_left() {
            format!("{ISOLATE_RIGHT_TO_LEFT}{text}{END}")
        } else {
            text.to_owned()
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|language| language.code() == text);
        found.ok_or_else(|| UnknownLanguage(text.chars().take(20).collect()))
    }
}

/// Who has read the sentences of a language.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// Somebody whose language it is.
    Reviewed,
    /// Nobody yet; the reader is told.
    #[default]
    NeedsNativeReader,
}

/// A file of sentences.
#[derive(Debug, Default, Deserialize)]
struct Sentences {
    name: String,
    status: Reading,
    #[serde(flatten)]
    groups: BTreeMap<String, BTreeMap<String, String>>,
}

impl Sentences {
    /// Reads a shipped file. The tests see to it that each can be read.
    fn read(text: &str) -> Self {
        toml::from_str(text).unwrap_or_default()
    }

    fn find(&self, key: &str) -> Option<&str> {
        let (group, name) = key.split_once('.')?;
        self.groups.get(group)?.get(name).map(String::as_str)
    }
}

static ENGLISH: LazyLock<Sentences> =
    LazyLock::new(|| Sentences::read(include_str!("../data/words/en.toml")));
static AZERBAIJANI: LazyLock<Sentences> =
    LazyLock::new(|| Sentences::read(include_str!("../data/words/az.toml")));
static URDU: LazyLock<Sentences> =
    LazyLock::new(|| Sentences::read(include_str!("../data/words/ur.toml")));

/// Puts values into a pattern. A value is never read as a pattern again.
fn fill(pattern: &str, values: &[(&str, &str)], is_isolated: bool) -> String {
    let mut text = String::with_capacity(pattern.len() + 64);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        text.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let value = visible(value.unwrap_or("…"));
        if is_isolated || value.chars().any(is_right_to_left) {
            text.extend([ISOLATE]);
            text.push_str(&value);
            text.push(END);
        } else {
            text.push_str(&value);
        }
        rest = tail;
    }
    text + rest
}

/// Whether a character belongs to a script that is written from right to left: Hebrew, Arabic and
/// its extensions, Syriac, Thaana, and their presentation forms.
pub(crate) fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}')
}

#[cfg(test)]
mod tests;
