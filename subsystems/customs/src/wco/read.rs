//! From bytes to a bounded tree of elements, refusing what XML should not contain here.

use std::collections::BTreeMap;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::{Error, Rule};

/// Longest text, in bytes (8 MiB).
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Deepest nesting of elements.
pub const DEPTH_MAX: usize = 32;
/// Most elements of one text.
pub const ELEMENTS_MAX: usize = 200_000;
/// Most attributes of one element, namespace declarations included.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest name of an element, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest value of an element or attribute, in bytes.
pub const TEXT_BYTES_MAX: usize = 4096;

/// An element with its content.
#[derive(Debug)]
pub(super) struct Element {
    /// Local name.
    pub(super) name: String,
    /// Namespace, empty when none.
    pub(super) namespace: String,
    /// Attributes other than namespace declarations and schema hints, by qualified name.
    pub(super) attributes: Vec<(String, String)>,
    /// Text, when there are no children.
    pub(super) text: String,
    /// Children in order.
    pub(super) children: Vec<Element>,
    /// Which one among the siblings of its name, counted from 1.
    pub(super) occurrence: usize,
    /// Where the start tag begins.
    position: Position,
}

/// A place in the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Position {
    pub(super) line: usize,
    byte: usize,
}

impl Position {
    /// Makes the error that a rule is broken here.
    pub(super) fn error(self, rule: Rule) -> Error {
        Error { line: self.line, byte: self.byte, rule }
    }
}

impl Element {
    /// Returns where the element is.
    pub(super) fn position(&self) -> Position {
        self.position
    }
}

/// Counts lines while the reader moves forward.
struct Lines<'a> {
    text: &'a str,
    at: Position,
}

impl Lines<'_> {
    fn move_to(&mut self, byte: usize) -> Position {
        let passed = self.text.as_bytes().get(self.at.byte..byte).unwrap_or_default();
        self.at.line += passed.split(|b| *b == b'\n').count() - 1;
        self.at.byte = self.at.byte.max(byte);
        self.at
    }
}

/// Reads the one element of a text with everything in it.
pub(super) fn tree(bytes: &[u8]) -> Result<Element, Error> {
    let start = Position { line: 1, byte: 0 };
    if bytes.len() > BYTES_MAX {
        return Err(start.error(Rule::Size(bytes.len())));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let byte = error.valid_up_to();
        let line = 1 + bytes.iter().take(byte).filter(|b| **b == b'\n').count();
        Position { line, byte }.error(Rule::Utf8)
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines { text, at: start };
    let mut reader = NsReader::from_str(text);
    let mut builder = Builder::default();
    let byte = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
    loop {
        // The event begins where the last one ended.
        let at = lines.move_to(byte(reader.buffer_position()));
        let (resolved, event) = match reader.read_resolved_event() {
            Ok((resolved, event)) => (namespace(&resolved), event),
            Err(error) => {
                let at = lines.move_to(byte(reader.error_position()));
                return Err(at.error(Rule::Syntax(error.to_string())));
            }
        };
        if matches!(event, Event::Eof) {
            return builder.finish().map_err(|rule| at.error(rule));
        }
        builder.event(&event, resolved, at).map_err(|rule| at.error(rule))?;
    }
}

/// Returns whether the message in the envelope, or without one, has this name.
pub(super) fn is_message(bytes: &[u8], name: &str) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut depth = 0;
    loop {
        let (tag, is_open) = match reader.read_event() {
            Ok(Event::Start(tag)) => (tag, true),
            Ok(Event::Empty(tag)) => (tag, false),
            Ok(Event::End(_)) => {
                depth -= 1;
                continue;
            }
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => continue,
        };
        let local = tag.local_name();
        let is_message = match depth {
            0 => local.as_ref() != "MetaData",
            1 => matches!(local.as_ref(), "Declaration" | "Response"),
            _ => false,
        };
        if is_message {
            return local.as_ref() == name;
        }
        depth += i32::from(is_open);
    }
}

/// Returns the namespace, or the unknown prefix.
fn namespace(resolved: &ResolveResult<'_>) -> Result<String, String> {
    match resolved {
        ResolveResult::Bound(namespace) => Ok(namespace.as_ref().to_owned()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(prefix) => Err(prefix.clone()),
    }
}

/// An element whose end has not come yet.
struct Open {
    element: Element,
    /// How many children of each name it has.
    counts: BTreeMap<String, usize>,
}

/// The elements that are open, outermost first.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Element>,
    elements: usize,
}

impl Builder {
    fn event(
        &mut self,
        event: &Event<'_>,
        namespace: Result<String, String>,
        at: Position,
    ) -> Result<(), Rule> {
        match event {
            Event::Start(tag) => self.start(tag, namespace, at),
            Event::Empty(tag) => {
                self.start(tag, namespace, at)?;
                self.end();
                Ok(())
            }
            Event::End(_) => {
                self.end();
                Ok(())
            }
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.text(&resolve(reference)?),
            Event::DocType(_) => Err(Rule::Doctype),
            Event::Decl(declaration) => encoding(declaration),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(
        &mut self,
        tag: &BytesStart<'_>,
        namespace: Result<String, String>,
        at: Position,
    ) -> Result<(), Rule> {
        let name = tag.local_name().as_ref().to_owned();
        if name.len() > NAME_BYTES_MAX {
            return Err(Rule::Name);
        }
        if self.root.is_some() {
            return Err(Rule::SecondRoot(name));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(Rule::Depth);
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            return Err(Rule::Elements);
        }
        let namespace = namespace.map_err(Rule::Prefix)?;
        let mut occurrence = 1;
        if let Some(parent) = self.open.last_mut() {
            if !parent.element.text.trim().is_empty() {
                return Err(Rule::StrayText);
            }
            let count = parent.counts.entry(name.clone()).or_default();
            *count += 1;
            occurrence = *count;
        }
        let attributes = attributes(tag)?;
        let (text, children) = (String::new(), Vec::new());
        let element =
            Element { name, namespace, attributes, text, children, occurrence, position: at };
        self.open.push(Open { element, counts: BTreeMap::new() });
        Ok(())
    }

    fn end(&mut self) {
        let Some(Open { mut element, .. }) = self.open.pop() else { return };
        if !element.children.is_empty() {
            element.text.clear();
        }
        match self.open.last_mut() {
            Some(parent) => parent.element.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), Rule> {
        let is_blank = text.trim().is_empty();
        match self.open.last_mut().map(|open| &mut open.element) {
            Some(element) if element.children.is_empty() => {
                if element.text.len() + text.len() > TEXT_BYTES_MAX {
                    return Err(Rule::Text);
                }
                element.text.push_str(text);
                Ok(())
            }
            _ if is_blank => Ok(()),
            _ => Err(Rule::StrayText),
        }
    }

    fn finish(self) -> Result<Element, Rule> {
        match (self.open.last(), self.root) {
            (Some(open), _) => Err(Rule::Truncated(open.element.name.clone())),
            (None, Some(root)) => Ok(root),
            (None, None) => Err(Rule::Empty),
        }
    }
}

fn attributes(tag: &BytesStart<'_>) -> Result<Vec<(String, String)>, Rule> {
    let mut kept = Vec::new();
    for (count, attribute) in tag.attributes().enumerate() {
        if count >= ATTRIBUTES_MAX {
            return Err(Rule::Attributes);
        }
        let attribute = attribute.map_err(|error| Rule::Syntax(error.to_string()))?;
        if attribute.value.len() > TEXT_BYTES_MAX {
            return Err(Rule::Text);
        }
        let name = attribute.key.as_ref();
        if name == "xmlns" || name.starts_with("xmlns:") || name.ends_with(":schemaLocation") {
            continue;
        }
        let value = attribute
            .normalized_value(quick_xml::XmlVersion::Implicit1_0)
            .map_err(|error| Rule::Syntax(error.to_string()))?;
        kept.push((name.to_owned(), value.into_owned()));
    }
    Ok(kept)
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, Rule> {
    let unknown = || Rule::Entity(reference.chars().take(40).collect());
    if reference.is_char_ref() {
        let resolved = reference.resolve_char_ref().map_err(|_| unknown())?;
        return resolved.map(String::from).ok_or_else(unknown);
    }
    resolve_predefined_entity(reference).map(str::to_owned).ok_or_else(unknown)
}

fn encoding(declaration: &BytesDecl<'_>) -> Result<(), Rule> {
    let Some(encoding) = declaration.encoding() else { return Ok(()) };
    let encoding = encoding.map_err(|error| Rule::Syntax(error.to_string()))?;
    if encoding.eq_ignore_ascii_case("utf-8") {
        return Ok(());
    }
    Err(Rule::Encoding(encoding.chars().take(40).collect()))
}
