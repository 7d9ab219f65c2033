//! Walks a table over a canonical message and makes segments of what is there.
//!
//! A value that is too wide for its component is left out, never cut; the reason is kept for the
//! list of losses.

use std::collections::{BTreeMap, BTreeSet};

use karvan_types::Timestamp;
use serde_json::Value;

use super::table::{Directory, Field, Form, Node, Row, Width};
use super::write::Line;
use crate::formats::at;

/// Most commodity codes of an item (CST has five composites).
const COMMODITIES_MAX: usize = 5;
/// Most digits of an amount (5004).
const AMOUNT_DIGITS: Width = Width(18, 35);
/// Most digits of a quantity (6314).
const MEASURE_DIGITS: Width = Width(18, 18);

/// The segments of a message body, and why values are missing from them.
pub(super) struct Filler {
    directory: Directory,
    pub(super) lines: Vec<Line>,
    /// Reasons by path.
    pub(super) reasons: BTreeMap<String, String>,
}

/// One occurrence of a part on its way.
struct Part<'a> {
    value: &'a Value,
    /// Path of the occurrence in the message.
    path: String,
    /// Paths of the fields that are written.
    written: BTreeSet<String>,
}

impl Part<'_> {
    fn path_of(&self, field: &str) -> String {
        match (self.path.as_str(), field) {
            ("", field) => field.to_owned(),
            (path, "") => path.to_owned(),
            (path, field) => format!("{path}/{field}"),
        }
    }
}

impl Filler {
    pub(super) fn new(directory: Directory) -> Self {
        Self { directory, lines: Vec::new(), reasons: BTreeMap::new() }
    }

    /// Fills the segments of a whole message. Those before the first section come in `order`, what
    /// one row or one repeated part makes stays together.
    pub(super) fn message(
        &mut self,
        tables: [&'static [Node]; 2],
        value: &Value,
        order: &[&'static str],
    ) {
        let mut part = Part { value, path: String::new(), written: BTreeSet::new() };
        let mut nodes = tables.into_iter().flatten().peekable();
        let mut head = Vec::new();
        while let Some(node) = nodes.next_if(|node| !matches!(node, Node::Section(_))) {
            self.node(node, &mut part, false);
            let block = std::mem::take(&mut self.lines);
            let tag = block.first().map(|line| line.tag);
            let rank = tag.and_then(|tag| order.iter().position(|known| *known == tag));
            head.push((rank.unwrap_or(usize::MAX), block));
        }
        head.sort_by_key(|(rank, _)| *rank);
        self.lines = head.into_iter().flat_map(|(_, block)| block).collect();
        for node in nodes {
            self.node(node, &mut part, false);
        }
    }

    fn node(&mut self, node: &'static Node, part: &mut Part<'_>, is_opening: bool) {
        match node {
            Node::One(row) => self.row(row, part, is_opening),
            Node::Section(letter) => self.lines.push(Line::of("UNS", &[letter])),
            Node::Many(path, nodes) => {
                let values = at(part.value, path).and_then(Value::as_array);
                for (index, value) in values.into_iter().flatten().enumerate() {
                    let path = format!("{}[{}]", part.path_of(path), index + 1);
                    let mut inner = Part { value, path, written: BTreeSet::new() };
                    let before = self.lines.len();
                    for (place, node) in nodes.iter().enumerate() {
                        self.node(node, &mut inner, place == 0);
                    }
                    // An opening segment alone would be an occurrence without content.
                    if inner.written.is_empty() && self.lines.len() == before + 1 {
                        self.lines.truncate(before);
                    }
                }
            }
        }
    }

    fn row(&mut self, row: &'static Row, part: &mut Part<'_>, is_opening: bool) {
        if row.only.is_some_and(|only| only != self.directory) {
            return;
        }
        let keyed = || {
            let mut line = Line::new(row.tag);
            for (element, component, value) in row.keys {
                line.set(*element, *component, *value);
            }
            line
        };
        let (mut line, mut is_filled, mut more) = (keyed(), is_opening, Vec::new());
        for field in row.fields {
            let name = join(row.base, field.0);
            let Some(value) = at(part.value, &name) else { continue };
            if part.written.contains(&name) {
                continue;
            }
            let path = part.path_of(&name);
            let in_one_line = in_one_line(field.3, value);
            let written = in_one_line.as_ref().unwrap_or(value);
            match self.field(&mut line, field, written, keyed, &mut more) {
                Ok(()) => {
                    is_filled = true;
                    self.reasons.remove(&path);
                    if in_one_line.is_some() {
                        let why = "line breaks and tabs become spaces".to_owned();
                        self.reasons.insert(path, why);
                    }
                    part.written.insert(name);
                }
                Err(why) => {
                    self.reasons.insert(path, why);
                }
            }
        }
        if is_filled {
            self.lines.push(line);
            self.lines.append(&mut more);
        }
    }

    /// Sets the components of one field; `more` takes the repetitions of the segment.
    fn field(
        &self,
        line: &mut Line,
        field: &Field,
        value: &Value,
        keyed: impl Fn() -> Line,
        more: &mut Vec<Line>,
    ) -> Result<(), String> {
        let &(_, element, component, form) = field;
        let text = text(value);
        match form {
            Form::Text(width) => {
                let width = width.of(self.directory);
                if text.chars().count() > width {
                    return Err(format!("the component holds {width} characters"));
                }
                line.set(element, component, text);
            }
            Form::Long(width, pieces) => {
                let characters: Vec<char> = text.chars().collect();
                let mut chunks = characters.chunks(width.of(self.directory));
                let fill = |line: &mut Line, chunks: &mut std::slice::Chunks<'_, char>| {
                    for (index, chunk) in chunks.take(pieces).enumerate() {
                        line.set(element, component + index, String::from_iter(chunk));
                    }
                };
                fill(line, &mut chunks);
                while chunks.len() > 0 {
                    let mut next = keyed();
                    fill(&mut next, &mut chunks);
                    more.push(next);
                }
            }
            Form::Number | Form::Decimal => line.set(element, component, text),
            Form::Amount | Form::Measure => {
                let is_amount = matches!(form, Form::Amount);
                let unit = value.get(if is_amount { "currency" } else { "unit" });
                let (unit, number) = (self::text(unit.unwrap_or(&Value::Null)), &value["value"]);
                let number = self::text(number);
                let digits = if is_amount { AMOUNT_DIGITS } else { MEASURE_DIGITS };
                let digits = digits.of(self.directory);
                if number.bytes().filter(u8::is_ascii_digit).count() > digits {
                    return Err(format!("the number holds {digits} digits"));
                }
                if unit.is_empty() || unit.len() > 3 {
                    return Err("the unit holds 3 characters".to_owned());
                }
                let (first, second) = if is_amount { (number, unit) } else { (unit, number) };
                line.set(element, component, first);
                line.set(element, component + 1, second);
            }
            Form::Instant => {
                let instant: Timestamp = text.parse().map_err(|_| "it is no instant".to_owned())?;
                line.set(element, component, instant_304(instant));
                line.set(element, component + 1, "304");
                if instant.as_millis() % 1000 != 0 {
                    return Err("instants have whole seconds".to_owned());
                }
            }
            Form::Date => {
                line.set(element, component, text.replace('-', ""));
                line.set(element, component + 1, "102");
            }
            Form::Code(codes) => {
                let code = codes.iter().find(|(_, word)| *word == text);
                let (code, _) = code.ok_or_else(|| format!("`{text}` has no code"))?;
                line.set(element, component, *code);
            }
            Form::Commodities => commodities(line, element, value)?,
        }
        Ok(())
    }
}

/// Returns a text with a space for each line break and tab, which no repertoire has; `None` when
/// there is none.
fn in_one_line(form: Form, value: &Value) -> Option<Value> {
    let Value::String(text) = value else { return None };
    let is_text = matches!(form, Form::Text(_) | Form::Long(..));
    if !is_text || !text.contains(['\n', '\r', '\t']) {
        return None;
    }
    Some(Value::String(text.replace("\r\n", " ").replace(['\n', '\r', '\t'], " ")))
}

/// Writes CCYYMMDDHHMMSS and the offset of UTC.
fn instant_304(instant: Timestamp) -> String {
    let digits: String = instant.to_string().chars().filter(char::is_ascii_digit).collect();
    format!("{}+00", digits.get(..14).unwrap_or_default())
}

/// Writes each commodity code with its nomenclature and edition as list (1131), such as `H22`.
fn commodities(line: &mut Line, element: usize, value: &Value) -> Result<(), String> {
    let values = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut element, mut result) = (element, Ok(()));
    for value in values.iter().take(COMMODITIES_MAX) {
        let kind = text(&value["IdentificationTypeCode"]);
        let edition = value.get("edition").and_then(Value::as_u64);
        let list = match edition {
            None => kind.chars().take(3).collect(),
            Some(edition @ 2000..=2099) => {
                let letter: String = kind.chars().take(1).collect();
                format!("{letter}{:02}", edition - 2000)
            }
            Some(_) => {
                result = Err("an edition is of the years 2000 to 2099".to_owned());
                kind.chars().take(3).collect()
            }
        };
        line.set(element, 1, text(&value["ID"]));
        line.set(element, 2, list);
        line.set(element, 3, "ZZZ");
        element += 1;
    }
    if values.len() > COMMODITIES_MAX {
        return Err(format!("an item holds {COMMODITIES_MAX} commodity codes"));
    }
    result
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Joins two paths.
pub(super) fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("", path) => path.to_owned(),
        (base, "") => base.to_owned(),
        (base, path) => format!("{base}/{path}"),
    }
}
