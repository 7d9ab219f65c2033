//! Takes known elements out of the tree, converts their values, and lists what is left.

use karvan_types::amount::parse_decimal;
use karvan_types::{Amount, Date, Decimal, Quantity, Timestamp};

use super::read::Element;
use super::stream::Streamed;
use super::{
    Error, Loss, NAMESPACE_DECLARATION, NAMESPACE_RESPONSE_TYPES, NAMESPACE_TYPES, Note, Rule,
};
use crate::codes::units;
use crate::messages::EXTENSIONS_MAX;
use crate::messages::text::date;

/// Most values listed as lost; more are only counted.
pub const LOSSES_MAX: usize = 1000;
/// Most characters of a value shown in a loss or an error.
const SHOWN_MAX: usize = 120;

/// What of an element is being lost.
#[derive(Clone, Copy, Debug)]
enum Losing {
    /// Its own values; the element is taken.
    Values,
    /// The whole element, with how many elements of its path are taken.
    Element {
        /// Elements of the path.
        depth: usize,
    },
    /// An element that is not of the model's namespaces.
    Foreign,
}

/// Collects losses and notes while elements are taken.
pub(super) struct Taker {
    /// What is not carried over.
    pub(super) losses: Vec<Loss>,
    /// How many more values are not carried over.
    pub(super) losses_unlisted: usize,
    /// What was filled in.
    pub(super) notes: Vec<Note>,
    /// What was taken while the text was read.
    pub(super) streamed: Streamed,
    /// How many elements of the path of each loss were taken; `None` for what is not of the model's
    /// namespaces.
    pub(super) depths: Vec<Option<usize>>,
    /// Names of the elements that contain the one being read, with occurrences.
    path: Vec<String>,
    /// What is being lost.
    losing: Losing,
    /// Most losses kept.
    losses_max: usize,
}

impl Taker {
    /// Starts with nothing taken.
    pub(super) fn new() -> Self {
        Self {
            losses: Vec::new(),
            losses_unlisted: 0,
            notes: Vec::new(),
            streamed: Streamed::default(),
            depths: Vec::new(),
            path: Vec::new(),
            losing: Losing::Values,
            losses_max: EXTENSIONS_MAX,
        }
    }

    /// Starts a list of new values.
    pub(super) fn of_whole_values() -> Self {
        Self { losses_max: LOSSES_MAX, ..Self::new() }
    }

    /// Returns what was lost, in the order of lines and shortened, how much more was, and what was
    /// noted.
    pub(super) fn finish(mut self) -> (Vec<Loss>, usize, Vec<Note>) {
        self.losses.sort_by_key(|loss| loss.line);
        let more = self.losses.len().saturating_sub(LOSSES_MAX);
        self.losses.truncate(LOSSES_MAX);
        for loss in &mut self.losses {
            loss.value = shown(&loss.value);
        }
        self.notes.append(&mut self.streamed.notes);
        (self.losses, self.losses_unlisted + more, self.notes)
    }

    /// Notes that a value of the message is not the XML's own.
    pub(super) fn note(&mut self, path: &str, text: &str) {
        self.notes.push(Note { path: path.to_owned(), text: text.to_owned() });
    }

    /// Takes the first child of this name and reads it with `part`; its rest is listed as lost.
    pub(super) fn one<T>(
        &mut self,
        parent: &mut Element,
        name: &str,
        part: impl FnOnce(&mut Self, &mut Element) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        match remove(parent, name) {
            Some(child) => self.read(child, part),
            None => Ok(None),
        }
    }

    /// Takes all children of this name; those that `part` cannot read are listed as lost.
    pub(super) fn all<T>(
        &mut self,
        parent: &mut Element,
        name: &str,
        mut part: impl FnMut(&mut Self, &mut Element) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        let (mine, others) = std::mem::take(&mut parent.children)
            .into_iter()
            .partition(|child| is_named(child, name, &parent.namespace));
        parent.children = others;
        for child in mine {
            found.extend(self.read(child, &mut part)?);
        }
        Ok(found)
    }

    /// Reads a child that was taken out with `part`; its rest is listed as lost.
    pub(super) fn read<T>(
        &mut self,
        mut child: Element,
        part: impl FnOnce(&mut Self, &mut Element) -> Result<Option<T>, Error>,
    ) -> Result<Option<T>, Error> {
        let step = step(&child);
        let result = self.inside(&step, |taker| part(taker, &mut child));
        // Whatever the part did not take out is still in the child.
        match &result {
            Ok(Some(_)) => {
                self.inside(&step, |taker| taker.lose_content(child));
            }
            Ok(None) => self.lose(child),
            Err(_) => {}
        }
        result
    }

    /// Reads what is inside an open element, whose step is named.
    pub(super) fn inside<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_owned());
        let result = read(self);
        self.path.pop();
        result
    }

    /// Lists everything that is left of an element.
    pub(super) fn lose(&mut self, element: Element) {
        let step = step(&element);
        let before = self.losing;
        let is_ours = [NAMESPACE_DECLARATION, NAMESPACE_TYPES].contains(&&*element.namespace);
        self.losing = match before {
            _ if !is_ours => Losing::Foreign,
            Losing::Values => Losing::Element { depth: self.path.len() },
            inside => inside,
        };
        self.inside(&step, |taker| taker.lose_content(element));
        self.losing = before;
    }

    /// Lists everything that is left inside an element, whose own name is not part of the path.
    pub(super) fn lose_content(&mut self, element: Element) {
        let line = element.position().line;
        for (name, value) in &element.attributes {
            self.lose_value(Some(name), line, value);
        }
        let text = element.text.trim();
        if !text.is_empty() {
            self.lose_value(None, line, text);
        }
        for child in element.children {
            self.lose(child);
        }
    }

    fn lose_value(&mut self, attribute: Option<&str>, line: usize, value: &str) {
        if self.losses.len() >= self.losses_max {
            self.losses_unlisted += 1;
            return;
        }
        let mut path = self.path.join("/");
        if let Some(name) = attribute {
            path.push_str("/@");
            path.push_str(name);
        }
        self.losses.push(Loss { path, line, value: value.to_owned() });
        self.depths.push(match self.losing {
            Losing::Values => Some(self.path.len()),
            Losing::Element { depth } => Some(depth),
            Losing::Foreign => None,
        });
    }

    /// Takes the trimmed text of a child; nothing when it is absent or empty.
    pub(super) fn text(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<Option<String>, Error> {
        self.one(parent, name, |_, child| {
            let text = std::mem::take(&mut child.text).trim().to_owned();
            Ok((!text.is_empty()).then_some(text))
        })
    }

    /// Takes the text of a child that must be there.
    pub(super) fn required_text(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<String, Error> {
        let text = self.text(parent, name)?;
        text.ok_or_else(|| self.missing(parent, name))
    }

    /// Makes the error that a child is missing.
    pub(super) fn missing(&self, parent: &Element, name: &str) -> Error {
        let mut path = self.path.clone();
        if path.is_empty() {
            path.push(parent.name.clone());
        }
        path.push(name.to_owned());
        parent.position().error(Rule::Missing(path.join("/")))
    }

    /// Takes a whole number.
    pub(super) fn number(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<Option<u32>, Error> {
        self.converted(parent, name, |text| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            let number = is_plain.then(|| text.parse().ok()).flatten();
            number.ok_or_else(|| "write a whole number in digits".to_owned())
        })
    }

    /// Takes a percentage or another plain decimal.
    pub(super) fn decimal(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<Option<Decimal>, Error> {
        self.converted(parent, name, |text| parse_decimal(text).map_err(|error| error.to_string()))
    }

    fn converted<T>(
        &mut self,
        parent: &mut Element,
        name: &str,
        convert: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Error> {
        self.one(parent, name, |taker, child| {
            let text = std::mem::take(&mut child.text);
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            convert(text).map(Some).map_err(|rule| taker.bad_value(child, text, rule))
        })
    }

    fn bad_value(&self, element: &Element, text: &str, rule: String) -> Error {
        let (path, value) = (self.path.join("/"), shown(text));
        element.position().error(Rule::Value { path, value, rule })
    }

    /// Takes an amount; without its currency it is listed as lost.
    pub(super) fn amount(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<Option<Amount>, Error> {
        self.one(parent, name, |taker, child| {
            let Some(currency) = attribute(child, "currencyID") else { return Ok(None) };
            let value = taker.decimal_of(child)?;
            Ok(value.map(|value| Amount { value, currency }))
        })
    }

    /// Takes a quantity; without a unit and a default it is listed as lost.
    pub(super) fn quantity(
        &mut self,
        parent: &mut Element,
        name: &str,
        default_unit: Option<&str>,
    ) -> Result<Option<Quantity>, Error> {
        self.one(parent, name, |taker, child| {
            let stated = attribute(child, "unitCode");
            let Some(unit) = stated.or_else(|| default_unit.map(str::to_owned)) else {
                return Ok(None);
            };
            let path = taker.path.join("/");
            let unit = match unit.split_once('#') {
                // The profile appends a qualifier to the unit, such as G for gross.
                Some((code, qualifier)) if units::unit(code).is_some() => {
                    taker.note(
                        &path,
                        &format!("the qualifier {qualifier} of unit {code} is dropped"),
                    );
                    code.to_owned()
                }
                _ => unit,
            };
            let value = taker.decimal_of(child)?;
            Ok(value.map(|value| Quantity { value, unit }))
        })
    }

    fn decimal_of(&self, element: &mut Element) -> Result<Option<Decimal>, Error> {
        let text = std::mem::take(&mut element.text);
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let value = parse_decimal(text);
        value.map(Some).map_err(|error| self.bad_value(element, text, error.to_string()))
    }

    /// Takes an instant: a `DateTimeString` with format 304 (UN/EDIFACT 2379).
    pub(super) fn instant(
        &mut self,
        parent: &mut Element,
        name: &str,
    ) -> Result<Option<Timestamp>, Error> {
        self.date_time(parent, name, |text, format| match format {
            "304" => instant_304(text),
            _ => None,
        })
    }

    /// Takes a date: a `DateTimeString` with format 102, or the day of a format 304.
    pub(super) fn date(&mut self, parent: &mut Element, name: &str) -> Result<Option<Date>, Error> {
        self.date_time(parent, name, |text, format| match format {
            "102" if text.len() == 8 => day(text),
            "304" => instant_304(text).and_then(|_| day(text.get(..8)?)),
            _ => None,
        })
    }

    fn date_time<T>(
        &mut self,
        parent: &mut Element,
        name: &str,
        parse: impl Fn(&str, &str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.one(parent, name, |taker, child| {
            taker.one(child, "DateTimeString", |taker, child| {
                let format = attribute(child, "formatCode").unwrap_or_default();
                let text = std::mem::take(&mut child.text);
                let rule = "write format 304, such as 20261002113000+05, or 102, such as 20261002";
                let value = parse(text.trim(), &format);
                value.map(Some).ok_or_else(|| taker.bad_value(child, &text, rule.to_owned()))
            })
        })
    }
}

/// Removes the first child of this name.
fn remove(parent: &mut Element, name: &str) -> Option<Element> {
    let index =
        parent.children.iter().position(|child| is_named(child, name, &parent.namespace))?;
    Some(parent.children.remove(index))
}

/// Returns whether an element has this name in the namespace of its parent or of the data types.
pub(super) fn is_named(element: &Element, name: &str, outer: &str) -> bool {
    element.name == name
        && [outer, NAMESPACE_TYPES, NAMESPACE_RESPONSE_TYPES].contains(&element.namespace.as_str())
}

/// Returns whether all of these children are there with a text or content of their own, so that a
/// part that needs them takes nothing out in vain.
pub(super) fn has(element: &Element, names: &[&str]) -> bool {
    names.iter().all(|name| {
        let mut children = element.children.iter();
        let found = children.find(|child| is_named(child, name, &element.namespace));
        found.is_some_and(|child| !child.text.trim().is_empty() || !child.children.is_empty())
    })
}

/// Takes an attribute out.
pub(super) fn attribute(element: &mut Element, name: &str) -> Option<String> {
    let index = element.attributes.iter().position(|(found, _)| found == name)?;
    let (_, value) = element.attributes.remove(index);
    Some(value.trim().to_owned())
}

/// Returns the step of a path: the name, and the occurrence when it is not the first.
pub(super) fn step(element: &Element) -> String {
    match element.occurrence {
        0 | 1 => element.name.clone(),
        occurrence => format!("{}[{occurrence}]", element.name),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

/// Reads `CCYYMMDDHHMMSS` and an offset: `Z`, `+05` or `+0530`.
pub(crate) fn instant_304(text: &str) -> Option<Timestamp> {
    let (digits, offset) = text.split_at_checked(14)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to);
    let date = format!("{}-{}-{}", part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let time = format!("{}:{}:{}", part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let offset = match (offset, offset.len()) {
        ("Z", _) => "Z".to_owned(),
        (_, 3) => format!("{offset}:00"),
        (_, 5) => format!("{}:{}", offset.get(..3)?, offset.get(3..)?),
        _ => return None,
    };
    format!("{date}T{time}{offset}").parse().ok()
}

/// Reads `CCYYMMDD` and ignores what follows.
pub(crate) fn day(text: &str) -> Option<Date> {
    date::parse(&format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_need_a_whole_date_and_an_offset() {
        for (text, expected) in [
            ("20230821221100+01", Some("2023-08-21T21:11:00.000Z")),
            ("20191113172216Z", Some("2019-11-13T17:22:16.000Z")),
            ("20261002113000+0530", Some("2026-10-02T06:00:00.000Z")),
            ("20261002113000-05", Some("2026-10-02T16:30:00.000Z")),
            ("20261002113000", None),
            ("20260631113000Z", None),
            ("20261002Z", None),
            ("2026100211300٠Z", None),
            ("20261002113000+5", None),
        ] {
            let found = instant_304(text).map(|instant| instant.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
