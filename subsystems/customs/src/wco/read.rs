//! From a source of XML to its elements, one by one, refusing what XML should not contain here.
//!
//! An element that ends goes to a [`Sink`], which takes it or leaves it to the one around it. So a
//! document of many parts needs no more memory than its largest part and what nobody took.
//!
//! Not here: which parts are taken (`super::stream`).

use std::collections::BTreeMap;
use std::io::Read;

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::text::Text;
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
/// Longest tag, comment or run of text, in bytes; more than all attributes at their longest.
pub const MARKUP_BYTES_MAX: usize = 256 * 1024;

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
    pub(super) byte: usize,
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

/// Takes parts out of a document while it is read.
pub(super) trait Sink {
    /// Takes an element that ended, or gives it back; `outer` are the open elements around it,
    /// outermost first.
    fn take(&mut self, outer: &[Open], element: Element) -> Result<Option<Element>, Error>;
}

/// Reads the one element of a text, without the parts that the sink took.
pub(super) fn pull<R: Read>(source: R, sink: &mut dyn Sink) -> Result<Element, Error> {
    let mut reader = NsReader::from_reader(Text::new(source));
    let mut builder = Builder { sink, open: Vec::new(), root: None, elements: 0 };
    let (mut markup, mut at) = (Vec::new(), Position { line: 1, byte: 0 });
    loop {
        markup.clear();
        let (resolved, event) = match reader.read_resolved_event_into(&mut markup) {
            Ok((resolved, event)) => (namespace(&resolved), event),
            Err(error) => {
                let byte = usize::try_from(reader.error_position()).unwrap_or(usize::MAX);
                let text = reader.get_mut();
                let refused = text.refused.take();
                let rule = || Rule::Syntax(error.to_string());
                return Err(refused.unwrap_or_else(|| text.place(byte).error(rule())));
            }
        };
        if matches!(event, Event::Eof) {
            return builder.finish().map_err(|rule| at.error(rule));
        }
        builder.event(&event, resolved, at)?;
        // The next begins where this one ended.
        at = reader.get_mut().next_markup();
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
pub(super) struct Open {
    /// What of it came already and was not taken.
    pub(super) element: Element,
    /// How many children of each name it has.
    counts: BTreeMap<String, usize>,
}

/// The elements that are open, outermost first.
struct Builder<'s> {
    sink: &'s mut dyn Sink,
    open: Vec<Open>,
    root: Option<Element>,
    elements: usize,
}

impl Builder<'_> {
    fn event(
        &mut self,
        event: &Event<'_>,
        namespace: Result<String, String>,
        at: Position,
    ) -> Result<(), Error> {
        let result = match event {
            Event::Start(tag) => self.start(tag, namespace, at),
            Event::Empty(tag) => {
                self.start(tag, namespace, at).map_err(|rule| at.error(rule))?;
                return self.end();
            }
            Event::End(_) => return self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => resolve(reference).and_then(|text| self.text(&text)),
            Event::DocType(_) => Err(Rule::Doctype),
            Event::Decl(declaration) => encoding(declaration),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        };
        result.map_err(|rule| at.error(rule))
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

    fn end(&mut self) -> Result<(), Error> {
        let Some(Open { mut element, counts }) = self.open.pop() else { return Ok(()) };
        if !counts.is_empty() {
            element.text.clear();
        }
        if self.open.is_empty() {
            self.root = Some(element);
            return Ok(());
        }
        if let Some(kept) = self.sink.take(&self.open, element)?
            && let Some(parent) = self.open.last_mut()
        {
            parent.element.children.push(kept);
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Rule> {
        let is_blank = text.trim().is_empty();
        match self.open.last_mut() {
            Some(Open { element, counts }) if counts.is_empty() => {
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
