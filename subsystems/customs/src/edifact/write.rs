//! Writes segments and envelopes: releases signs, encodes the repertoire, counts.
//!
//! Invariants: a character that the repertoire lacks is refused, never replaced; empty elements and
//! components at the end are left out (ISO 9735, section 8).

use karvan_types::Timestamp;

use super::charset::Charset;
use super::syntax::ServiceCharacters;

/// How an interchange is written.
#[derive(Clone, Debug)]
pub struct Envelope<'a> {
    /// The repertoire; UNOY has every character.
    pub charset: Charset,
    /// Who sends, an..35.
    pub sender: &'a str,
    /// Who receives, an..35.
    pub recipient: &'a str,
    /// Reference of the interchange, an..14.
    pub reference: &'a str,
    /// When it is written.
    pub prepared_at: Timestamp,
}

/// The text has a character that the repertoire lacks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unmappable(pub(super) char);

/// A segment on its way: tag, then elements of components.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pub(super) tag: &'static str,
    elements: Vec<Vec<String>>,
}

impl Line {
    pub(super) fn new(tag: &'static str) -> Self {
        Self { tag, elements: Vec::new() }
    }

    /// Sets a component, counted from 1.
    pub(super) fn set(&mut self, element: usize, component: usize, value: impl Into<String>) {
        let (element, component) = (element.max(1), component.max(1));
        if self.elements.len() < element {
            self.elements.resize(element, Vec::new());
        }
        if let Some(components) = self.elements.get_mut(element - 1) {
            if components.len() < component {
                components.resize(component, String::new());
            }
            if let Some(place) = components.get_mut(component - 1) {
                *place = value.into();
            }
        }
    }

    /// Makes a segment of simple and composite elements, the components between `:`.
    pub(super) fn of(tag: &'static str, elements: &[&str]) -> Self {
        let mut line = Self::new(tag);
        for (element, value) in elements.iter().enumerate() {
            line.set(element + 1, 1, *value);
        }
        line
    }
}

/// Bytes of an interchange.
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    charset: Charset,
    signs: ServiceCharacters,
    /// Segments since the last UNH.
    pub(super) segments: u64,
}

impl Out {
    /// Writes UNA and UNB.
    pub(super) fn open(envelope: &Envelope<'_>) -> Result<Self, Unmappable> {
        let charset = envelope.charset;
        let mut signs = ServiceCharacters::default();
        let is_early = matches!(
            charset,
            Charset::A | Charset::B | Charset::C | Charset::D | Charset::E | Charset::F
        );
        // The other repertoires came with version 4, whose dates have four digits for the year.
        let (version, date_from) = if is_early { ("3", 2) } else { ("4", 0) };
        if !is_early {
            signs.repetition = b'*';
        }
        let mut bytes = b"UNA:+.?".to_vec();
        bytes.extend([signs.repetition, signs.terminator]);
        let mut out = Self { bytes, charset, signs, segments: 0 };
        let mut unb = Line::of("UNB", &["", envelope.sender, envelope.recipient]);
        unb.set(1, 1, charset.identifier());
        unb.set(1, 2, version);
        let digits: String =
            envelope.prepared_at.to_string().chars().filter(char::is_ascii_digit).collect();
        unb.set(4, 1, digits.get(date_from..8).unwrap_or_default());
        unb.set(4, 2, digits.get(8..12).unwrap_or_default());
        unb.set(5, 1, envelope.reference);
        out.line(&unb)?;
        Ok(out)
    }

    /// Writes UNH.
    pub(super) fn open_message(
        &mut self,
        reference: &str,
        kind: &str,
        directory: [&str; 2],
    ) -> Result<(), Unmappable> {
        self.segments = 0;
        let mut unh = Line::of("UNH", &[reference, kind]);
        for (component, value) in (2..).zip([directory[0], directory[1], "UN"]) {
            unh.set(2, component, value);
        }
        self.line(&unh)
    }

    /// Writes UNT.
    pub(super) fn close_message(&mut self, reference: &str) -> Result<(), Unmappable> {
        let count = (self.segments + 1).to_string();
        self.line(&Line::of("UNT", &[&count, reference]))
    }

    /// Writes UNZ.
    pub(super) fn close(mut self, messages: u64, reference: &str) -> Result<Vec<u8>, Unmappable> {
        self.line(&Line::of("UNZ", &[&messages.to_string(), reference]))?;
        Ok(self.bytes)
    }

    /// Writes a segment.
    pub(super) fn line(&mut self, line: &Line) -> Result<(), Unmappable> {
        self.segments += 1;
        self.bytes.extend_from_slice(line.tag.as_bytes());
        let filled = |components: &Vec<String>| components.iter().any(|text| !text.is_empty());
        let elements = line.elements.iter().rposition(filled).map_or(0, |last| last + 1);
        for components in line.elements.iter().take(elements) {
            self.bytes.push(self.signs.element);
            let count = components.iter().rposition(|text| !text.is_empty()).map_or(0, |at| at + 1);
            for (index, text) in components.iter().take(count).enumerate() {
                if index > 0 {
                    self.bytes.push(self.signs.component);
                }
                self.text(text)?;
            }
        }
        self.bytes.push(self.signs.terminator);
        self.bytes.push(b'\n');
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Unmappable> {
        let signs = self.signs;
        let mut service = vec![signs.component, signs.element, signs.release, signs.terminator];
        service.extend(Some(signs.repetition).filter(|sign| *sign != b' '));
        for character in text.chars() {
            if u8::try_from(character).is_ok_and(|byte| service.contains(&byte)) {
                self.bytes.push(signs.release);
            }
            if !self.charset.encode(character, &mut self.bytes) {
                return Err(Unmappable(character));
            }
        }
        Ok(())
    }
}
