//! Reads strict JSON field by field and collects every problem with its place.
//!
//! A rule set and a product are written by people, who want all problems at once. So reading goes
//! on after a problem; what could not be read is `None`, and nothing is used unless there was no
//! problem at all.

use std::cell::RefCell;

use karvan_types::amount::parse_decimal;
use karvan_types::{Date, Decimal, json};
use serde_json::{Map, Value};

use super::codes::CodeRange;
use super::error::{Error, Problem};
use crate::codes;
use crate::messages::text::date;
use crate::tariff::Status;

/// Most problems reported of one file.
const PROBLEMS_MAX: usize = 50;
/// Longest text of a field, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 4000;
/// Longest list in a file.
pub(super) const LIST_MAX: usize = 5000;
/// Longest short name, in characters.
const NAME_CHARS_MAX: usize = 80;

/// A value of the file, its place, and where problems go.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    value: &'a Value,
    pointer: String,
    problems: &'a RefCell<Vec<Problem>>,
}

/// Parses a text and reads it; refused when there was any problem.
pub(super) fn read<T>(
    file: &str,
    text: &[u8],
    take: impl FnOnce(&Reader<'_>) -> Option<T>,
) -> Result<T, Error> {
    let value = json::parse(text)
        .map_err(|error| Error::Syntax { file: file.to_owned(), text: error.to_string() })?;
    let problems = RefCell::new(Vec::new());
    let reader = Reader { value: &value, pointer: String::new(), problems: &problems };
    let taken = take(&reader);
    let refused = |problems| Error::Refused { file: file.to_owned(), problems };
    match taken {
        Some(taken) if problems.borrow().is_empty() => Ok(taken),
        Some(_) => Err(refused(problems.into_inner())),
        None => {
            reader.fail_if_none("the file could not be read", "compare it with the manual");
            Err(refused(problems.into_inner()))
        }
    }
}

impl<'a> Reader<'a> {
    /// Notes a problem of this value.
    pub(super) fn fail(&self, rule: impl Into<String>, remedy: impl Into<String>) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < PROBLEMS_MAX {
            let pointer = self.pointer.clone();
            problems.push(Problem { pointer, rule: rule.into(), remedy: remedy.into() });
        }
    }

    fn fail_if_none(&self, rule: &str, remedy: &str) {
        if self.problems.borrow().is_empty() {
            self.fail(rule, remedy);
        }
    }

    /// Returns the members of an object that may have only these names.
    pub(super) fn object(&self, names: &[&str]) -> Option<&'a Map<String, Value>> {
        let members = self.members()?;
        for name in members.keys().filter(|name| !names.contains(&name.as_str())) {
            let shown: String = name.chars().take(NAME_CHARS_MAX).collect();
            self.fail(
                format!("the name `{shown}` is not known here"),
                format!("use only {}", names.join(", ")),
            );
        }
        Some(members)
    }

    /// Returns the members of an object with free names.
    pub(super) fn members(&self) -> Option<&'a Map<String, Value>> {
        let members = self.value.as_object();
        if members.is_none() {
            self.fail("this is no object", "write it as { \"name\": value }");
        }
        members.filter(|members| {
            let fits = members.len() <= LIST_MAX;
            if !fits {
                self.fail(format!("more than {LIST_MAX} members"), "leave some out");
            }
            fits
        })
    }

    /// Returns a member that may be absent.
    pub(super) fn member(&self, name: &str) -> Option<Self> {
        let value = self.value.as_object()?.get(name)?;
        let escaped = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{escaped}", self.pointer);
        Some(Self { value, pointer, problems: self.problems })
    }

    /// Returns a member that must be there.
    pub(super) fn need(&self, name: &str) -> Option<Self> {
        let found = self.member(name);
        if found.is_none() && self.value.is_object() {
            self.fail(format!("`{name}` is missing"), format!("add `{name}`"));
        }
        found
    }

    /// Returns the elements of a list.
    pub(super) fn list(&self, max: usize) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            self.fail("this is no list", "write it as [ ... ]");
            return Vec::new();
        };
        if items.len() > max {
            self.fail(format!("the list has {} elements", items.len()), format!("keep to {max}"));
            return Vec::new();
        }
        let item = |(index, value)| {
            let pointer = format!("{}/{index}", self.pointer);
            Self { value, pointer, problems: self.problems }
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Returns a text that is not empty.
    pub(super) fn text(&self) -> Option<String> {
        let text = self.value.as_str().map(str::trim);
        let fits = text.filter(|text| {
            !text.is_empty()
                && text.chars().count() <= TEXT_CHARS_MAX
                && !text.chars().any(is_deceptive)
        });
        if fits.is_none() {
            self.fail(
                format!("this is no text of 1 to {TEXT_CHARS_MAX} printable characters"),
                "write words between quotation marks",
            );
        }
        fits.map(str::to_owned)
    }

    /// Returns a short name: small letters, digits and hyphens.
    pub(super) fn name(&self) -> Option<String> {
        let name = self.value.as_str().filter(|name| is_name(name));
        if name.is_none() {
            self.fail(
                format!("this is no name of 1 to {NAME_CHARS_MAX} letters, digits and hyphens"),
                "write it like `wire-drawing`",
            );
        }
        name.map(str::to_owned)
    }

    /// Returns a list of short names.
    pub(super) fn names(&self) -> Vec<String> {
        self.list(LIST_MAX).iter().filter_map(Self::name).collect()
    }

    /// Returns a strict decimal (`karvan_types::amount`) of at most `max`.
    pub(super) fn decimal(&self, max: Option<Decimal>) -> Option<Decimal> {
        let Some(text) = self.value.as_str() else {
            self.fail("this is no decimal number", "write it as a text such as \"12.5\"");
            return None;
        };
        let number = match parse_decimal(text) {
            Ok(number) => number,
            Err(error) => {
                self.fail(error.to_string(), "write it like 12.5");
                return None;
            }
        };
        if max.is_some_and(|max| number > max) {
            self.fail(format!("{number} is too large"), "correct the number");
            return None;
        }
        Some(number)
    }

    /// Returns a decimal above zero.
    pub(super) fn positive(&self) -> Option<Decimal> {
        let number = self.decimal(None)?;
        if number.is_zero() {
            self.fail("the number is zero", "give the true number, or leave it out");
            return None;
        }
        Some(number)
    }

    /// Returns a percentage from 0 to 100 with at most two decimals.
    pub(super) fn percent(&self) -> Option<Decimal> {
        let percent = self.decimal(Some(Decimal::ONE_HUNDRED))?;
        if percent.scale() > 2 {
            self.fail("a percentage has more than two decimals", "round it as the law does");
            return None;
        }
        Some(percent)
    }

    /// Returns a whole number from 0 to `max`.
    pub(super) fn number(&self, max: u64) -> Option<u64> {
        let number = self.value.as_u64().filter(|number| *number <= max);
        if number.is_none() {
            self.fail(format!("this is no whole number from 0 to {max}"), "correct the number");
        }
        number
    }

    /// Returns true or false.
    pub(super) fn boolean(&self) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.fail("this is neither true nor false", "write true or false without marks");
        }
        value
    }

    /// Returns whether the value is `false`.
    pub(super) fn is_false(&self) -> bool {
        self.value.as_bool() == Some(false)
    }

    /// Returns whether the value is `null`.
    pub(super) fn is_null(&self) -> bool {
        self.value.is_null()
    }

    /// Returns a calendar date.
    pub(super) fn date(&self) -> Option<Date> {
        let found = self.value.as_str().and_then(date::parse);
        if found.is_none() {
            self.fail("this is no calendar date", "write it as YYYY-MM-DD");
        }
        found
    }

    /// Returns the value that a word stands for.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let word = self.value.as_str();
        let found = words.iter().find(|(known, _)| Some(*known) == word);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.fail("this word is not known here", format!("use one of {}", known.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// Returns a country, ISO 3166-1 alpha-2.
    pub(super) fn country(&self) -> Option<String> {
        let code = self.value.as_str().filter(|code| codes::country(code).is_some());
        if code.is_none() {
            self.fail("this is no country of ISO 3166-1", "write two letters such as AZ");
        }
        code.map(str::to_owned)
    }

    /// Returns ranges of codes of at most `digits` digits.
    pub(super) fn ranges(&self, digits: usize) -> Vec<CodeRange> {
        let items = self.list(LIST_MAX);
        items.iter().filter_map(|item| item.range(digits)).collect()
    }

    fn range(&self, digits: usize) -> Option<CodeRange> {
        let range = self.value.as_str().and_then(CodeRange::parse);
        let range = range.filter(|range| range.digits() <= digits);
        if range.is_none() {
            self.fail(
                format!("this is no range of codes with 2 to {digits} digits, an even number"),
                "write it like \"74\", \"7408\" or \"7304-7306\"",
            );
        }
        range
    }

    /// Returns how sure a datum is.
    pub(super) fn status(&self) -> Option<Status> {
        self.choice(&[
            ("official", Status::Official),
            ("reported", Status::Reported),
            ("derived", Status::Derived),
            ("analogue", Status::Analogue),
            ("assumed", Status::Assumed),
        ])
    }
}

/// Returns whether a character could make a text look like another one: control characters, marks
/// that turn the direction of writing, and those without width that no script needs.
fn is_deceptive(c: char) -> bool {
    let control = c.is_control() && !c.is_whitespace();
    control
        || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
