//! Walks the segments of a message along a table and builds the canonical message.
//!
//! A segment belongs to the innermost open part whose table has it; a segment that opens an
//! occurrence closes the parts that are deeper. What no table has is listed, never dropped.

use std::borrow::Cow;

use karvan_types::amount::parse_decimal;
use serde_json::{Map, Value, json};

use super::error::{Error, Rule};
use super::fill::join;
use super::interchange::Message;
use super::syntax::{Segment, ServiceCharacters};
use super::table::{Directory, Field, Form, Node, Row};
use crate::formats::{LOSSES_MAX, Loss, at, place};
use crate::wco::{day, instant_304};

/// Most characters of a value that is shown.
const SHOWN_MAX: usize = 80;
/// Components that few segments exceed; room for them is made at once.
const USED_USUALLY: usize = 16;

/// An open part.
struct Scope {
    /// The rows after the opening one.
    nodes: &'static [Node],
    /// Where the value goes in the part around it.
    path: &'static str,
    value: Value,
}

/// Builds a message from segments.
pub(super) struct Builder {
    directory: Directory,
    signs: ServiceCharacters,
    tables: [&'static [Node]; 2],
    /// Which section of the table the segments are in.
    section: usize,
    root: Value,
    open: Vec<Scope>,
    pub(super) losses: Vec<Loss>,
    /// Losses that are not listed.
    pub(super) unlisted: usize,
}

impl Builder {
    pub(super) fn new(
        directory: Directory,
        signs: ServiceCharacters,
        tables: [&'static [Node]; 2],
    ) -> Self {
        Self {
            directory,
            signs,
            tables,
            section: 0,
            root: Value::Object(Map::new()),
            open: Vec::new(),
            losses: Vec::new(),
            unlisted: 0,
        }
    }

    /// Takes all segments between UNH and UNT and returns the value.
    pub(super) fn build(&mut self, message: &Message) -> Result<Value, Error> {
        for segment in message.segments() {
            match segment.tag() {
                "UNH" | "UNT" => {}
                "UNS" => self.section(segment)?,
                _ => self.segment(segment)?,
            }
        }
        self.close_to(0);
        Ok(std::mem::take(&mut self.root))
    }

    fn section(&mut self, uns: Segment<'_>) -> Result<(), Error> {
        let nodes = self.tables.into_iter().flatten();
        let mut sections = nodes.filter_map(|node| match node {
            Node::Section(letter) => Some(*letter),
            _ => None,
        });
        let expected = sections.nth(self.section);
        if expected != Some(uns.value(1, 1)) {
            let expected = match expected {
                Some("D") => "UNS+D",
                Some(_) => "UNS+S",
                None => "no further UNS",
            };
            let found = format!("UNS+{}", uns.value(1, 1));
            return Err(uns.error(1, 1, Rule::Misplaced { found, expected }));
        }
        self.section += 1;
        self.close_to(0);
        Ok(())
    }

    fn segment(&mut self, segment: Segment<'_>) -> Result<(), Error> {
        for depth in (0..=self.open.len()).rev() {
            let Some(node) = self.find(depth, segment) else { continue };
            self.close_to(depth);
            match node {
                Node::One(row) => {
                    let value = self.open.last_mut().map_or(&mut self.root, |s| &mut s.value);
                    let mut value = std::mem::take(value);
                    let result = self.apply(row, segment, &mut value);
                    *self.open.last_mut().map_or(&mut self.root, |s| &mut s.value) = value;
                    return result;
                }
                Node::Many(path, [Node::One(row), nodes @ ..]) => {
                    let mut value = Value::Null;
                    self.apply(row, segment, &mut value)?;
                    self.open.push(Scope { nodes, path, value });
                    return Ok(());
                }
                _ => {}
            }
        }
        let text: Vec<_> = segment.values().skip(1).map(|value| value.2).collect();
        self.lose(segment, 0, 0, &text.join(" "), "the message has no place for the segment");
        Ok(())
    }

    /// Finds the line for a segment in the part of this depth; 0 is the message itself.
    fn find(&self, depth: usize, segment: Segment<'_>) -> Option<&'static Node> {
        let tag = three(segment.tag());
        let fits = |node: &&'static Node| match node {
            Node::One(row) | Node::Many(_, [Node::One(row), ..]) => {
                three(row.tag) == tag
                    && row.only.is_none_or(|only| only == self.directory)
                    && row.keys.iter().all(|(e, c, value)| segment.value(*e, *c) == *value)
            }
            _ => false,
        };
        if let Some(scope) = depth.checked_sub(1).and_then(|index| self.open.get(index)) {
            return scope.nodes.iter().find(fits);
        }
        let mut section = 0;
        self.tables.into_iter().flatten().find(|node| {
            section += usize::from(matches!(node, Node::Section(_)));
            section == self.section && fits(node)
        })
    }

    /// Closes the open parts that are deeper.
    fn close_to(&mut self, depth: usize) {
        while self.open.len() > depth {
            let Some(Scope { path, value, .. }) = self.open.pop() else { return };
            let outer = self.open.last_mut().map_or(&mut self.root, |scope| &mut scope.value);
            if let Some(list) = place(outer, path) {
                match list {
                    Value::Array(list) => list.push(value),
                    other => *other = Value::Array(vec![value]),
                }
            }
        }
    }

    /// Takes the fields of a row out of a segment; what is left is listed.
    fn apply(
        &mut self,
        row: &'static Row,
        segment: Segment<'_>,
        value: &mut Value,
    ) -> Result<(), Error> {
        let mut used: Vec<(usize, usize)> = Vec::with_capacity(USED_USUALLY);
        used.push((0, 1));
        used.extend(row.keys.iter().map(|(element, component, _)| (*element, *component)));
        if value.is_null() && row.fields.iter().all(|field| !field.0.is_empty()) {
            *value = Value::Object(Map::new());
        }
        for field in row.fields {
            // Most fields of a row are not used, and to look for their place is what costs.
            let &(_, element, component, form) = field;
            if !matches!(form, Form::Long(..) | Form::Commodities)
                && segment.value(element, component).is_empty()
                && segment.value(element, component + 1).is_empty()
            {
                continue;
            }
            // Most rows belong to the occurrence itself.
            let name = match row.base {
                "" => Cow::Borrowed(field.0),
                base => Cow::Owned(join(base, field.0)),
            };
            let before = at(value, &name).filter(|value| !value.is_null());
            if before.is_some() && !matches!(form, Form::Long(..)) {
                continue;
            }
            let found = self.field(field, &name, segment, before, &mut used)?;
            if let Some(found) = found
                && let Some(place) = place(value, &name)
            {
                *place = found;
            }
        }
        for (element, component, text) in segment.values() {
            if !used.contains(&(element, component)) {
                self.lose(segment, element, component, text, "the message has no place for it");
            }
        }
        Ok(())
    }

    /// Reads one field; nothing when it is empty.
    fn field(
        &self,
        field: &Field,
        name: &str,
        segment: Segment<'_>,
        before: Option<&Value>,
        used: &mut Vec<(usize, usize)>,
    ) -> Result<Option<Value>, Error> {
        let &(_, element, component, form) = field;
        let first = segment.value(element, component);
        let second = segment.value(element, component + 1);
        let fail = |at: usize, value: &str, rule: &str| {
            let (field, value) = (name.to_owned(), shown(value));
            segment.error(element, at, Rule::Value { field, value, rule: rule.to_owned() })
        };
        let decimal = |at, text: &str| {
            let plain = self.plain(text).filter(|plain| parse_decimal(plain).is_ok());
            plain.ok_or_else(|| segment.error(element, at, Rule::Decimal(shown(text))))
        };
        let both = |used: &mut Vec<_>| {
            used.extend([(element, component), (element, component + 1)]);
        };
        if let Form::Long(width, pieces) = form {
            return Ok(long(field, width.of(self.directory), pieces, segment, before, used));
        }
        if let Form::Commodities = form {
            return commodities(segment, element, used).map(Some);
        }
        if first.is_empty() && (second.is_empty() || !matches!(form, Form::Amount | Form::Measure))
        {
            return Ok(None);
        }
        used.push((element, component));
        Ok(Some(match form {
            Form::Text(_) | Form::Long(..) | Form::Commodities => json!(first),
            Form::Number => match first.parse::<u32>() {
                Ok(number) if first.bytes().all(|byte| byte.is_ascii_digit()) => json!(number),
                _ => return Err(fail(component, first, "write a whole number in digits")),
            },
            Form::Decimal => Value::String(decimal(component, first)?),
            Form::Amount => {
                both(used);
                if second.is_empty() {
                    return Err(fail(component, first, "state the currency in the next component"));
                }
                pair("value", decimal(component, first)?, "currency", second)
            }
            Form::Measure => {
                both(used);
                if first.is_empty() {
                    return Err(fail(component + 1, second, "state the unit before the value"));
                }
                pair("value", decimal(component + 1, second)?, "unit", first)
            }
            Form::Instant => {
                both(used);
                let instant = instant_304(first).filter(|_| second == "304");
                let rule = "write format 304 with offset, such as 20261002113000+05";
                json!(instant.ok_or_else(|| fail(component, first, rule))?.to_string())
            }
            Form::Date => {
                both(used);
                let day = day(first).filter(|_| second == "102" && first.len() == 8);
                let rule = "write format 102, such as 20261002";
                json!(day.ok_or_else(|| fail(component, first, rule))?.to_string())
            }
            Form::Code(codes) => {
                let word = codes.iter().find(|(code, _)| *code == first).map(|(_, word)| *word);
                let known = || codes.iter().map(|(code, _)| *code).collect::<Vec<_>>().join(", ");
                json!(word.ok_or_else(|| {
                    fail(component, first, &format!("use one of {}", known()))
                })?)
            }
        }))
    }

    /// Returns a number with a dot for the decimal mark.
    fn plain(&self, text: &str) -> Option<String> {
        let mark = char::from(self.signs.decimal);
        if mark == '.' {
            return Some(text.to_owned());
        }
        (!text.contains('.')).then(|| text.replacen(mark, ".", 1))
    }

    fn lose(
        &mut self,
        segment: Segment<'_>,
        element: usize,
        component: usize,
        text: &str,
        why: &str,
    ) {
        if self.losses.len() >= LOSSES_MAX {
            self.unlisted += 1;
            return;
        }
        let place = segment.position(element, component);
        self.losses.push(Loss::new(format!("{place}: {}", shown(text)), why));
    }
}

/// Returns a tag as bytes that compare without a call.
fn three(tag: &str) -> Option<&[u8; 3]> {
    tag.as_bytes().try_into().ok()
}

/// Makes an object of two texts.
fn pair(first: &str, value: String, second: &str, text: &str) -> Value {
    let mut members = Map::new();
    members.insert(first.to_owned(), Value::String(value));
    members.insert(second.to_owned(), Value::String(text.to_owned()));
    Value::Object(members)
}

/// Joins the pieces of a text. A piece that is full goes on in the next without a space.
fn long(
    field: &Field,
    width: usize,
    pieces: usize,
    segment: Segment<'_>,
    before: Option<&Value>,
    used: &mut Vec<(usize, usize)>,
) -> Option<Value> {
    let &(_, element, component, _) = field;
    let mut text = before.and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut length = text.chars().count();
    for index in component..component + pieces {
        let piece = segment.value(element, index);
        if piece.is_empty() {
            continue;
        }
        used.push((element, index));
        if !length.is_multiple_of(width) {
            text.push(' ');
            length += 1;
        }
        text.push_str(piece);
        length += piece.chars().count();
    }
    (!text.is_empty()).then(|| json!(text))
}

/// Reads commodity codes with the list that says their nomenclature and edition.
fn commodities(
    segment: Segment<'_>,
    element: usize,
    used: &mut Vec<(usize, usize)>,
) -> Result<Value, Error> {
    let mut codes = Vec::new();
    for (element, _, id) in segment.values().filter(|v| v.0 >= element && v.1 == 1) {
        let list = segment.value(element, 2);
        let digits =
            list.get(1..).filter(|d| d.len() == 2 && d.bytes().all(|b| b.is_ascii_digit()));
        let kind = match (list.get(..1), digits, list) {
            (_, None, "HS") | (Some("H"), Some(_), _) => "HS",
            (_, None, "PCT") | (Some("P"), Some(_), _) => "PCT",
            (_, None, "XIF") | (Some("X"), Some(_), _) => "XIFMN",
            (_, None, "TSP") | (Some("T"), Some(_), _) => "TSP",
            _ => {
                let (field, value) = ("Commodity/Classification".to_owned(), shown(list));
                let rule =
                    "use HS, PCT, XIF or TSP, or its first letter and the edition, as in H22";
                let rule = Rule::Value { field, value, rule: rule.to_owned() };
                return Err(segment.error(element, 2, rule));
            }
        };
        used.extend([(element, 1), (element, 2)]);
        if segment.value(element, 3) == "ZZZ" {
            used.push((element, 3));
        }
        let mut code = json!({ "ID": id, "IdentificationTypeCode": kind });
        if let Some(edition) = digits.and_then(|digits| digits.parse::<u16>().ok()) {
            code["edition"] = json!(2000 + edition);
        }
        codes.push(code);
    }
    Ok(Value::Array(codes))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}
