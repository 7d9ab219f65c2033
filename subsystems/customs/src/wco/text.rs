//! A text as it comes from a source: UTF-8 and bounded, with the place of each byte.
//!
//! The XML parser asks for more when it needs it, so memory holds one piece of the text and one
//! piece of markup, however long the text is.
//!
//! Invariants: only whole characters are handed on; what is refused says the line and the byte.

use std::io::{self, BufRead, Read};

use super::read::{BYTES_MAX, MARKUP_BYTES_MAX, Position};
use super::{Error, Rule};

/// Bytes asked from the source at once.
const READ_BYTES: usize = 16 * 1024;
/// A byte order mark.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The text of a source.
pub(super) struct Text<R> {
    source: R,
    buffer: Vec<u8>,
    /// First byte of the buffer that was not handed on.
    start: usize,
    /// End of what is known to be whole characters.
    valid: usize,
    is_at_end: bool,
    /// Bytes read from the source.
    total: usize,
    /// Where the markup at hand begins.
    markup: Position,
    /// Bytes handed on, after a byte order mark.
    byte: usize,
    /// The line breaks since the markup began, by their bytes.
    breaks: Vec<usize>,
    /// Why no more is handed on.
    pub(super) refused: Option<Error>,
}

impl<R: Read> Text<R> {
    /// Begins before the first byte; a byte order mark is passed over.
    pub(super) fn new(source: R) -> Self {
        let markup = Position { line: 1, byte: 0 };
        let mut text = Self {
            source,
            buffer: Vec::with_capacity(READ_BYTES),
            start: 0,
            valid: 0,
            is_at_end: false,
            total: 0,
            markup,
            byte: 0,
            breaks: Vec::new(),
            refused: None,
        };
        // What goes wrong here is told when the parser asks.
        if text.more().is_ok() && text.buffer.starts_with(MARK) {
            text.start = MARK.len();
        }
        text
    }

    /// Says that a piece of markup ended, and returns where the next begins.
    pub(super) fn next_markup(&mut self) -> Position {
        self.markup.line += self.breaks.len();
        self.markup.byte = self.byte;
        self.breaks.clear();
        self.markup
    }

    /// Returns the place of a byte of the markup at hand.
    pub(super) fn place(&self, byte: usize) -> Position {
        let before = self.breaks.iter().filter(|at| **at < byte).count();
        Position { line: self.markup.line + before, byte: self.markup.byte.max(byte) }
    }

    /// Reads until there is a whole character, or the end.
    fn more(&mut self) -> io::Result<()> {
        if self.refused.is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.byte - self.markup.byte > MARKUP_BYTES_MAX {
            return self.refuse(self.markup, Rule::Markup);
        }
        self.buffer.drain(..self.start);
        (self.start, self.valid) = (0, 0);
        loop {
            let found = match std::str::from_utf8(&self.buffer) {
                Ok(_) => Ok(self.buffer.len()),
                Err(error) => match (error.valid_up_to(), error.error_len()) {
                    (0, Some(_)) => Err(()),
                    (0, None) if self.is_at_end => Err(()),
                    (valid, _) => Ok(valid),
                },
            };
            let Ok(valid) = found else { return self.refuse(self.here(), Rule::Utf8) };
            self.valid = valid;
            if valid > 0 || self.is_at_end {
                return Ok(());
            }
            let read = (&mut self.source).take(READ_BYTES as u64).read_to_end(&mut self.buffer);
            let count = match read {
                Ok(count) => count,
                Err(error) => return self.refuse(self.here(), Rule::Syntax(error.to_string())),
            };
            self.is_at_end = count == 0;
            self.total += count;
            if self.total > BYTES_MAX {
                return self.refuse(self.here(), Rule::Size(self.total));
            }
        }
    }

    fn here(&self) -> Position {
        self.place(self.byte)
    }

    fn refuse(&mut self, at: Position, rule: Rule) -> io::Result<()> {
        self.refused = Some(at.error(rule));
        Err(io::ErrorKind::InvalidData.into())
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(into)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: Read> BufRead for Text<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start >= self.valid {
            self.more()?;
        }
        Ok(self.buffer.get(self.start..self.valid).unwrap_or_default())
    }

    fn consume(&mut self, count: usize) {
        let passed = self.buffer.get(self.start..self.start + count).unwrap_or_default();
        let at = self.byte;
        let breaks = passed.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        self.breaks.extend(breaks.map(|(index, _)| at + index));
        (self.start, self.byte) = (self.start + passed.len(), at + passed.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands on so many bytes at once.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(into.len());
            let (now, later) = self.0.split_at(count);
            into[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn characters_stay_whole_and_lines_are_counted() {
        for step in [1, 2, 3, 1000] {
            let mut text = Text::new(Slow("\u{feff}a\nGəncə\r\nاردو".as_bytes(), step));
            let mut found = Vec::new();
            text.read_to_end(&mut found).expect("read");
            assert_eq!(found, "a\nGəncə\r\nاردو".as_bytes(), "{step}");
            let at = text.place(3);
            assert_eq!((at.line, at.error(Rule::Utf8).byte), (2, 3));
            assert_eq!(text.next_markup().line, 3);
        }
    }

    #[test]
    fn what_is_refused_says_where() {
        for (text, line, byte, rule) in [
            (&b"\xff"[..], 1, 0, Rule::Utf8),
            (b"a\nb\xffc", 2, 3, Rule::Utf8),
            (b"a\n\xc9", 2, 2, Rule::Utf8),
        ] {
            let mut text = Text::new(text);
            assert!(text.read_to_end(&mut Vec::new()).is_err());
            assert_eq!(text.refused, Some(Error { line, byte, rule }));
        }
        let mut text = Text::new(io::repeat(b'x'));
        assert!(text.read_to_end(&mut Vec::new()).is_err());
        assert_eq!(text.refused.map(|error| error.rule), Some(Rule::Markup));
    }
}
