//! From the bytes of one file or stream to its records, one at a time.
//!
//! NDJSON has a record in each line, an EDIFACT interchange one in each message, any other file is
//! one record. What cannot be a record becomes a refused one with its place, so that the report
//! names it and the rest goes on.
//!
//! Invariant: memory holds one record; of EDIFACT one interchange, whose counts must be right
//! before any of its messages is taken.

use std::io::{self, BufRead, Read};

use anyhow::Result;
use karvan_customs::bulk::RECORD_BYTES_MAX;
use karvan_customs::edifact::{self, INTERCHANGE_BYTES_MAX, Message, Reader, ServiceCharacters};
use karvan_types::Digest;
use serde::Serialize;

/// The bytes of a record, or why there are none.
pub(super) enum Content {
    /// A document or a decision.
    Bytes(Vec<u8>),
    /// What is there is no record.
    Refused { rule: &'static str, text: String },
}

/// A record of the source.
pub(super) struct Record {
    /// Where it stands.
    pub(super) place: String,
    /// SHA-256 of its bytes, or of its place when it was refused.
    pub(super) digest: Digest,
    pub(super) content: Content,
    /// The interchange of which it is one message.
    pub(super) interchange: Option<Whole>,
}

/// An interchange whose messages are records.
#[derive(Clone, Serialize)]
pub(super) struct Whole {
    /// Where it stands.
    place: String,
    /// SHA-256 of its bytes.
    digest: Digest,
}

impl Record {
    fn new(place: String, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { place, digest, content: Content::Bytes(bytes), interchange: None }
    }

    pub(super) fn refused(place: String, rule: &'static str, text: impl Into<String>) -> Self {
        let digest = Digest::of_parts(&[rule.as_bytes(), b"\n", place.as_bytes()]);
        let content = Content::Refused { rule, text: text.into() };
        Self { place, digest, content, interchange: None }
    }

    fn too_large(place: String) -> Self {
        let text = format!("the record has more than {RECORD_BYTES_MAX} bytes; split the document");
        Self::refused(place, "too-large", text)
    }
}

/// Takes records in the order of the source; an error ends the reading.
pub(super) type Sink<'a> = dyn FnMut(Record) -> Result<()> + 'a;

/// Reads the records of a file or stream. `name` is its place; `is_lines` when its name says that
/// each line is a record.
pub(super) fn read(
    source: impl BufRead,
    name: &str,
    is_lines: bool,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut source = source;
    match records(&mut source, name, is_lines, sink) {
        Err(error) if error.downcast_ref::<io::Error>().is_some() => {
            // The source of one file failed; the next one may be well.
            let text = format!("the file cannot be read to its end: {error}");
            sink(Record::refused(name.to_owned(), "unreadable", text))
        }
        other => other,
    }
}

fn records(
    source: &mut impl BufRead,
    name: &str,
    is_lines: bool,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let first = skip_to_text(source)?;
    match first {
        None => sink(Record::refused(name.to_owned(), "empty", "the file is empty")),
        Some(b'{') => json(source, name, is_lines, sink),
        Some(b'U') => interchange(source, name, sink),
        Some(b'[') => {
            let text = "a list of documents is not read; write one document in each line";
            sink(Record::refused(name.to_owned(), "unreadable", text))
        }
        Some(_) => whole(source, name, Vec::new(), sink),
    }
}

/// Passes a byte order mark and white space; returns the first byte behind them.
fn skip_to_text(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    if source.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        source.consume(3);
    }
    loop {
        let buffer = source.fill_buf()?;
        let Some(first) = buffer.first().copied() else { return Ok(None) };
        if !first.is_ascii_whitespace() {
            return Ok(Some(first));
        }
        source.consume(1);
    }
}

/// Reads what is left, at most `bytes_max`; `None` when it is more.
fn rest(
    source: &mut impl BufRead,
    mut bytes: Vec<u8>,
    bytes_max: u64,
) -> io::Result<Option<Vec<u8>>> {
    let left = (bytes_max + 1).saturating_sub(bytes.len() as u64);
    source.take(left).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= bytes_max).then_some(bytes))
}

/// The file is one record, of which `begun` was read.
fn whole(source: &mut impl BufRead, name: &str, begun: Vec<u8>, sink: &mut Sink<'_>) -> Result<()> {
    sink(match rest(source, begun, RECORD_BYTES_MAX as u64)? {
        Some(bytes) => Record::new(name.to_owned(), bytes),
        None => Record::too_large(name.to_owned()),
    })
}

/// One document, or one in each line: told by the name, by a first line that is complete, or by a
/// second line that begins one.
fn json(source: &mut impl BufRead, name: &str, is_lines: bool, sink: &mut Sink<'_>) -> Result<()> {
    let mut line = Vec::new();
    let mut fits = next_line(source, &mut line)?;
    let is_lines =
        is_lines || !fits || is_complete(&line) || source.fill_buf()?.first() == Some(&b'{');
    if !is_lines {
        return whole(source, name, line, sink);
    }
    let mut number = 1_u64;
    loop {
        let place = format!("{name}:{number}");
        if !fits {
            sink(Record::too_large(place))?;
        } else if !line.trim_ascii().is_empty() {
            sink(Record::new(place, line.trim_ascii().to_vec()))?;
        }
        if source.fill_buf()?.is_empty() {
            return Ok(());
        }
        number += 1;
        fits = next_line(source, &mut line)?;
    }
}

/// Reads a line, and passes the rest of one that is too long; returns whether it fits.
fn next_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = RECORD_BYTES_MAX as u64 + 1;
    source.take(limit).read_until(b'\n', line)?;
    if line.len() as u64 <= RECORD_BYTES_MAX as u64 || line.ends_with(b"\n") {
        return Ok(true);
    }
    line.clear();
    source.skip_until(b'\n')?;
    Ok(false)
}

/// Whether every brace that a line opens is closed in it, those in texts left aside.
fn is_complete(line: &[u8]) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_i64, false, false);
    for byte in line {
        match (in_text, byte) {
            (true, _) if is_escaped => is_escaped = false,
            (true, b'\\') => is_escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{') => depth += 1,
            (false, b'}') => depth -= 1,
            _ => {}
        }
    }
    depth == 0 && !in_text
}

/// Each message of an interchange becomes an interchange of its own, with the envelope of all.
fn interchange(source: &mut impl BufRead, name: &str, sink: &mut Sink<'_>) -> Result<()> {
    let Some(bytes) = rest(source, Vec::new(), INTERCHANGE_BYTES_MAX)? else {
        let text = format!("the interchange has more than {INTERCHANGE_BYTES_MAX} bytes; split it");
        return sink(Record::refused(name.to_owned(), "too-large", text));
    };
    match messages(&bytes) {
        Ok((envelope, messages)) => {
            let whole = Whole { place: name.to_owned(), digest: Digest::of(&bytes) };
            for found in messages {
                let record = found.record(&bytes, &envelope, name);
                sink(Record { interchange: Some(whole.clone()), ..record })?;
            }
            Ok(())
        }
        // A fault of the envelope is one of the whole interchange.
        Err(error) => sink(Record::refused(name.to_owned(), "unreadable", error.to_string())),
    }
}

/// What is put around each message.
struct Envelope {
    /// UNA, if there is one, and UNB.
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// A message of an interchange.
struct Found {
    reference: String,
    /// From UNH to the end of UNT, or what is wrong with the message.
    span: Result<(usize, usize), edifact::Error>,
}

impl Found {
    fn record(self, bytes: &[u8], envelope: &Envelope, name: &str) -> Record {
        let place = format!("{name} message {}", self.reference);
        let span = match self.span {
            Err(error) => return Record::refused(place, "unreadable", error.to_string()),
            Ok((from, to)) => bytes.get(from..to).unwrap_or_default(),
        };
        if span.len() > RECORD_BYTES_MAX {
            return Record::too_large(place);
        }
        Record::new(place, [&envelope.head, span, &envelope.tail].concat())
    }
}

/// Reads an interchange to its end, so that every count is checked before a message is given out.
fn messages(bytes: &[u8]) -> Result<(Envelope, Vec<Found>), edifact::Error> {
    let mut reader = Reader::open(bytes)?;
    let signs = reader.header().signs;
    let mut found = Vec::new();
    let mut message = Message::default();
    loop {
        let span = match reader.next_message(&mut message) {
            Ok(false) => break,
            Ok(true) => Ok(span(bytes, &message, signs)),
            Err(error) if error.is_of_message() => Err(error),
            Err(error) => return Err(error),
        };
        found.push(Found { reference: message.reference.clone(), span });
    }
    let head = end_of_segment(bytes, if bytes.starts_with(b"UNA") { 9 } else { 0 }, signs);
    let mut tail = b"UNZ".to_vec();
    tail.extend([signs.element, b'1', signs.element]);
    for byte in reader.header().reference.bytes() {
        let is_sign = [signs.component, signs.element, signs.release, signs.terminator];
        if is_sign.contains(&byte) {
            tail.push(signs.release);
        }
        tail.push(byte);
    }
    tail.push(signs.terminator);
    let head = bytes.get(..head).unwrap_or_default().to_vec();
    Ok((Envelope { head, tail }, found))
}

fn span(bytes: &[u8], message: &Message, signs: ServiceCharacters) -> (usize, usize) {
    let at = |segment: edifact::Segment<'_>| {
        usize::try_from(segment.position(0, 0).byte).unwrap_or(usize::MAX)
    };
    let from = message.first().map_or(0, at);
    let last = message.segments().last().map_or(from, at);
    (from, end_of_segment(bytes, last, signs))
}

/// Returns where the segment ends that begins at `from`, its terminator included.
fn end_of_segment(bytes: &[u8], from: usize, signs: ServiceCharacters) -> usize {
    let mut is_released = false;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        if is_released {
            is_released = false;
        } else if *byte == signs.release && signs.release != b' ' {
            is_released = true;
        } else if *byte == signs.terminator {
            return at + 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests;
