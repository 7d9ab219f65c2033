//! From bytes to segments (ISO 9735, sections 5 to 8): service characters, release, repertoire.
//!
//! Bytes are classed by one table that is built from UNA and the repertoire, so that a run of plain
//! data costs one look per byte. The text of a whole message lies in one [`Arena`]; the buffer of
//! the source holds one segment and what was read ahead.
//!
//! Invariants: memory is bounded by the constants here and in the parent; a refused segment is
//! passed over to its terminator, so that the next can be read.

use std::io::Read;

use super::charset::Charset;
use super::error::{Error, Position, Rule};
use super::{MESSAGE_BYTES_MAX, SEGMENTS_MAX};

/// Longest segment, in bytes.
pub const SEGMENT_BYTES_MAX: usize = 64 * 1024;
/// Most data elements of one segment, the tag not counted.
pub const ELEMENTS_MAX: usize = 99;
/// Most components of one data element.
pub const COMPONENTS_MAX: usize = 99;
/// Bytes asked from the source at once.
const READ_BYTES: usize = 64 * 1024;

/// The signs that separate (UNA).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ServiceCharacters {
    /// Between components.
    pub component: u8,
    /// Between data elements.
    pub element: u8,
    /// The decimal mark.
    pub decimal: u8,
    /// Before a sign that means itself; a space when there is none.
    pub release: u8,
    /// Between repetitions; a space when there are none.
    pub repetition: u8,
    /// After a segment.
    pub terminator: u8,
}

impl Default for ServiceCharacters {
    fn default() -> Self {
        let (component, element, decimal) = (b':', b'+', b'.');
        Self { component, element, decimal, release: b'?', repetition: b' ', terminator: b'\'' }
    }
}

impl ServiceCharacters {
    /// Reads the six signs of UNA.
    fn parse(signs: &[u8]) -> Result<Self, Rule> {
        let &[component, element, decimal, release, repetition, terminator] = signs else {
            return Err(Rule::ServiceCharacters);
        };
        let all = [component, element, release, repetition, terminator];
        let is_sign = |sign: &u8| sign.is_ascii_punctuation() || *sign == b' ';
        let is_twice =
            |sign: &u8| *sign != b' ' && all.iter().filter(|s| *s == sign).nth(1).is_some();
        let separators = [component, element, terminator];
        if !all.iter().all(is_sign)
            || all.iter().any(is_twice)
            || separators.contains(&b' ')
            || !matches!(decimal, b'.' | b',')
            || all.contains(&decimal)
        {
            return Err(Rule::ServiceCharacters);
        }
        Ok(Self { component, element, decimal, release, repetition, terminator })
    }
}

/// What a byte is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Data,
    Component,
    Element,
    Release,
    Repetition,
    Terminator,
    Bad,
}

/// A component of a segment: where its text is, and where it came from.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Data element, 0 for the tag.
    element: u8,
    /// Component, counted from 1.
    component: u8,
    /// Text in the arena.
    from: u32,
    to: u32,
    /// First byte, from the start of the segment.
    byte: u32,
}

/// Where a segment of an arena is.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    end: usize,
    byte: u64,
    number: u64,
}

/// The segments of one message.
#[derive(Debug, Default)]
pub(super) struct Arena {
    text: String,
    parts: Vec<Part>,
    segments: Vec<Span>,
    reference: String,
}

impl Arena {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.parts.clear();
        self.segments.clear();
        self.reference.clear();
    }

    /// Names the message in positions from now on.
    pub(super) fn name(&mut self, reference: &str) {
        reference.clone_into(&mut self.reference);
    }

    pub(super) fn len(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn segment(&self, index: usize) -> Option<Segment<'_>> {
        let span = *self.segments.get(index)?;
        Some(Segment { arena: self, span, index })
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.segments.iter().enumerate().map(|(index, span)| Segment {
            arena: self,
            span: *span,
            index,
        })
    }
}

/// One segment of a message.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    arena: &'a Arena,
    span: Span,
    index: usize,
}

impl<'a> Segment<'a> {
    /// Returns the tag.
    pub fn tag(self) -> &'a str {
        self.value(0, 1)
    }

    /// Returns a component, counted from 1; empty when it is absent. Element 0 is the tag.
    pub fn value(self, element: usize, component: usize) -> &'a str {
        let parts = self.arena.parts.get(self.span.first..self.span.end).unwrap_or_default();
        let is_it = |part: &&Part| {
            usize::from(part.element) == element && usize::from(part.component) == component
        };
        let part = parts.iter().find(is_it);
        part.and_then(|part| self.arena.text.get(part.from as usize..part.to as usize))
            .unwrap_or_default()
    }

    /// Returns the components that are not empty: element, component, text.
    pub fn values(self) -> impl Iterator<Item = (usize, usize, &'a str)> {
        let parts = self.arena.parts.get(self.span.first..self.span.end).unwrap_or_default();
        parts.iter().filter_map(|part| {
            let text = self.arena.text.get(part.from as usize..part.to as usize)?;
            (!text.is_empty()).then_some((part.element.into(), part.component.into(), text))
        })
    }

    /// Returns the place of a component; element and component may be 0.
    pub fn position(self, element: usize, component: usize) -> Position {
        let parts = self.arena.parts.get(self.span.first..self.span.end).unwrap_or_default();
        let part = parts.iter().find(|part| {
            usize::from(part.element) == element && usize::from(part.component) == component.max(1)
        });
        let offset = part.map_or(0, |part| part.byte);
        let is_in_message = !self.arena.reference.is_empty();
        Position {
            segment: self.span.number,
            segment_in_message: if is_in_message { self.index as u64 + 1 } else { 0 },
            tag: self.tag().to_owned(),
            element,
            component,
            byte: self.span.byte + u64::from(offset),
            message: self.arena.reference.clone(),
        }
    }

    /// Makes the error that a rule is broken at a component.
    pub fn error(self, element: usize, component: usize, rule: Rule) -> Error {
        Error { position: Box::new(self.position(element, component)), rule }
    }
}

/// Reads segments from a source.
pub(super) struct Scanner<R> {
    source: R,
    bytes_max: u64,
    buffer: Vec<u8>,
    /// First byte of the buffer that was not used.
    start: usize,
    /// Byte of the interchange at the start of the buffer.
    offset: u64,
    is_at_end: bool,
    classes: [Class; 256],
    charset: Charset,
    /// Segments read.
    count: u64,
    pub(super) signs: ServiceCharacters,
    /// Whether UNA stood at the beginning.
    has_una: bool,
}

impl<R: Read> Scanner<R> {
    /// Begins with UNA, when it is there. The repertoire is `UNOA` with small letters until it is
    /// known.
    pub(super) fn open(source: R, bytes_max: u64) -> Result<Self, Error> {
        let (buffer, signs) = (Vec::with_capacity(READ_BYTES), ServiceCharacters::default());
        let mut scanner = Self {
            source,
            bytes_max,
            buffer,
            start: 0,
            offset: 0,
            is_at_end: false,
            classes: [Class::Bad; 256],
            charset: Charset::B,
            count: 0,
            signs,
            has_una: false,
        };
        while scanner.unread().len() < 9 && scanner.fill()? {}
        match scanner.unread().first_chunk::<9>() {
            Some([b'U', b'N', b'A', signs @ ..]) => {
                scanner.signs =
                    ServiceCharacters::parse(signs).map_err(|rule| scanner.error(rule))?;
                scanner.has_una = true;
                scanner.start += 9;
            }
            Some([b'U', b'N', b'B', ..]) => {}
            _ => return Err(scanner.error(Rule::NoInterchange)),
        }
        scanner.declare(Charset::B, 3);
        Ok(scanner)
    }

    /// Sets the repertoire and the syntax version.
    pub(super) fn declare(&mut self, charset: Charset, version: u8) {
        self.charset = charset;
        if version >= 4 && !self.has_una {
            self.signs.repetition = b'*';
        }
        let signs = self.signs;
        for (byte, class) in (0..=u8::MAX).zip(self.classes.iter_mut()) {
            *class = match byte {
                _ if byte == signs.component => Class::Component,
                _ if byte == signs.element => Class::Element,
                _ if byte == signs.terminator => Class::Terminator,
                b' ' => Class::Data,
                _ if byte == signs.release => Class::Release,
                _ if byte == signs.repetition && version >= 4 => Class::Repetition,
                _ if charset.is_data(byte) => Class::Data,
                _ => Class::Bad,
            };
        }
    }

    /// Reads the next segment into the arena; `false` at the end of the text.
    pub(super) fn next(&mut self, arena: &mut Arena) -> Result<bool, Error> {
        if !self.pass_space()? {
            return Ok(false);
        }
        if arena.len() >= SEGMENTS_MAX || arena.text.len() >= MESSAGE_BYTES_MAX {
            let reference = arena.reference.clone();
            let mut error = self.error(Rule::MessageSize);
            error.position.message = reference;
            return Err(error);
        }
        loop {
            let before = (arena.text.len(), arena.parts.len());
            let found = self.scan(arena);
            match found {
                Ok(Some(length)) if length > SEGMENT_BYTES_MAX => {
                    arena.text.truncate(before.0);
                    arena.parts.truncate(before.1);
                    return Err(self.refuse(arena, 0, Rule::SegmentSize));
                }
                Ok(Some(length)) => {
                    self.count += 1;
                    let byte = self.offset + self.start as u64;
                    let (first, end) = (before.1, arena.parts.len());
                    arena.segments.push(Span { first, end, byte, number: self.count });
                    self.start += length;
                    return check_tag(arena);
                }
                Ok(None) => {
                    arena.text.truncate(before.0);
                    arena.parts.truncate(before.1);
                    if self.unread().len() > SEGMENT_BYTES_MAX {
                        return Err(self.refuse(arena, 0, Rule::SegmentSize));
                    }
                    if !self.fill()? {
                        return Err(self.refuse(arena, 0, Rule::Truncated("a terminator")));
                    }
                }
                Err((at, rule)) => {
                    // The element and component in which the scan stopped.
                    let part = arena.parts.get(before.1..).and_then(<[_]>::last).copied();
                    arena.text.truncate(before.0);
                    arena.parts.truncate(before.1);
                    let mut error = self.refuse(arena, at, rule);
                    if let Some(part) = part {
                        error.position.element = part.element.into();
                        error.position.component = part.component.into();
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Takes one segment apart; `None` when its end is not in the buffer yet. The last part pushed
    /// before an error is the one in which it is.
    fn scan(&self, arena: &mut Arena) -> Result<Option<usize>, (usize, Rule)> {
        let bytes = self.unread();
        let (mut element, mut component, mut from, mut at) = (0_usize, 1_usize, 0, 0);
        let mut text_from = arena.text.len();
        let place = |element: usize, component: usize, byte: usize, from: usize| Part {
            element: u8::try_from(element).unwrap_or(u8::MAX),
            component: u8::try_from(component).unwrap_or(u8::MAX),
            from: u32::try_from(from).unwrap_or(u32::MAX),
            to: 0,
            byte: u32::try_from(byte).unwrap_or(u32::MAX),
        };
        let mut part = place(element, component, from, text_from);
        let fail = |arena: &mut Arena, part, at, rule| {
            arena.parts.push(part);
            Err((at, rule))
        };
        // Where the run of data that is not in the arena yet begins.
        let mut run = 0;
        while let Some(&byte) = bytes.get(at) {
            let class = self.classes.get(usize::from(byte)).copied().unwrap_or(Class::Bad);
            if class == Class::Data {
                at += 1;
                continue;
            }
            let data = bytes.get(run..at).unwrap_or_default();
            if let Err(offset) = self.charset.decode(data, &mut arena.text) {
                let byte = data.get(offset).copied().unwrap_or_default();
                return fail(arena, part, run + offset, self.bad(byte));
            }
            match class {
                Class::Release => {
                    let Some(next) = bytes.get(at + 1) else { return Ok(None) };
                    let class = self.classes.get(usize::from(*next)).copied();
                    if class.is_none_or(|class| class == Class::Bad) {
                        return fail(arena, part, at, Rule::Release);
                    }
                    // The released sign opens the next run, whatever its class.
                    run = at + 1;
                    at += 2;
                    continue;
                }
                Class::Repetition => return fail(arena, part, at, Rule::Repetition),
                Class::Bad | Class::Data => return fail(arena, part, at, self.bad(byte)),
                Class::Component | Class::Element | Class::Terminator => {}
            }
            part.to = u32::try_from(arena.text.len()).unwrap_or(u32::MAX);
            arena.parts.push(part);
            (at, text_from) = (at + 1, arena.text.len());
            (run, from) = (at, at);
            match class {
                Class::Terminator => return Ok(Some(at)),
                Class::Component => component += 1,
                _ => (element, component) = (element + 1, 1),
            }
            part = place(element, component, from, text_from);
            if element > ELEMENTS_MAX || component > COMPONENTS_MAX {
                return fail(arena, part, at, Rule::Elements);
            }
        }
        Ok(None)
    }

    fn bad(&self, byte: u8) -> Rule {
        Rule::Character { byte, charset: self.charset.identifier() }
    }

    /// Counts the segment and passes over it to its terminator, or to the end of what is read.
    fn refuse(&mut self, arena: &Arena, at: usize, rule: Rule) -> Error {
        self.count += 1;
        let mut error = self.error(rule);
        error.position.byte += at as u64;
        error.position.message.clone_from(&arena.reference);
        if !arena.reference.is_empty() {
            error.position.segment_in_message = arena.len() as u64 + 1;
        }
        let tag: String =
            self.unread().iter().take(3).map(|byte| char::from(*byte)).collect::<String>();
        if tag.len() == 3 && tag.bytes().all(|byte| byte.is_ascii_uppercase()) {
            error.position.tag = tag;
        }
        self.pass_segment();
        error
    }

    fn pass_segment(&mut self) {
        loop {
            let (mut at, mut is_released) = (0, false);
            for byte in self.unread() {
                at += 1;
                if is_released {
                    is_released = false;
                } else if *byte == self.signs.release && *byte != b' ' {
                    is_released = true;
                } else if *byte == self.signs.terminator {
                    self.start += at;
                    return;
                }
            }
            self.start += at;
            if !matches!(self.fill(), Ok(true)) {
                return;
            }
        }
    }

    /// Returns the next three bytes, the tag of the segment that comes.
    pub(super) fn peek(&mut self) -> Result<Option<[u8; 3]>, Error> {
        if !self.pass_space()? {
            return Ok(None);
        }
        while self.unread().len() < 3 && self.fill()? {}
        Ok(self.unread().first_chunk::<3>().copied())
    }

    /// Passes line breaks and spaces between segments; `false` at the end of the text.
    fn pass_space(&mut self) -> Result<bool, Error> {
        loop {
            let bytes = self.unread();
            let blank = |byte: &&u8| matches!(byte, b'\r' | b'\n' | b' ' | b'\t');
            let count = bytes.iter().take_while(blank).count();
            let is_more = count < bytes.len();
            self.start += count;
            if is_more {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Returns how many bytes were used: the end of the last segment, or of what was passed.
    pub(super) const fn used(&self) -> u64 {
        self.offset + self.start as u64
    }

    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Reads more from the source; `false` at its end.
    fn fill(&mut self) -> Result<bool, Error> {
        if self.is_at_end {
            return Ok(false);
        }
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.start = 0;
        if self.offset + self.buffer.len() as u64 > self.bytes_max {
            self.is_at_end = true;
            return Err(self.error(Rule::Size(self.bytes_max)));
        }
        let read = (&mut self.source).take(READ_BYTES as u64).read_to_end(&mut self.buffer);
        match read {
            Ok(count) => {
                self.is_at_end = count == 0;
                Ok(count > 0)
            }
            Err(error) => {
                self.is_at_end = true;
                Err(self.error(Rule::Unreadable(error.to_string())))
            }
        }
    }

    /// Makes the error that a rule is broken at the next byte.
    pub(super) fn error(&self, rule: Rule) -> Error {
        let byte = self.used();
        let position = Position { segment: self.count, byte, ..Position::default() };
        Error { position: Box::new(position), rule }
    }
}

/// Checks the tag of the last segment.
fn check_tag(arena: &Arena) -> Result<bool, Error> {
    let Some(segment) = arena.segment(arena.len().saturating_sub(1)) else { return Ok(false) };
    let tag = segment.tag();
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if tag.len() == 3 && tag.bytes().all(is_letter) {
        return Ok(true);
    }
    Err(segment.error(0, 0, Rule::Tag(tag.chars().take(12).collect())))
}
