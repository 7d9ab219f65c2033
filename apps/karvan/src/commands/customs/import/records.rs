//! From the bytes of one file or stream to its records, one at a time.
//!
//! NDJSON has a record in each line, an EDIFACT interchange one in each message, an envelope of XML
//! one in each declaration or response, any other file is one record. What cannot be a record
//! becomes a refused one with its place, so that the report names it and the rest goes on.
//!
//! Invariant: memory holds one record, and of EDIFACT where each message is.

mod interchange;
pub(in crate::commands::customs) mod xml;

use std::io::{self, BufRead, Read};
use std::rc::Rc;

use anyhow::Result;
use karvan_customs::bulk::RECORD_BYTES_MAX;
use karvan_customs::edifact::{self, Header, MessageType};
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
    /// The message of EDIFACT that it is, or the interchange that it is as a whole.
    pub(super) message: Option<OfEdifact>,
}

/// An interchange whose messages are records.
#[derive(Clone, Serialize)]
pub(super) struct Whole {
    /// Where it stands.
    place: String,
    /// SHA-256 of its bytes.
    digest: Digest,
}

/// What the answer to an interchange needs of a record.
pub(super) struct OfEdifact {
    /// Where the interchange stands.
    pub(super) place: String,
    pub(super) header: Rc<Header>,
    /// Reference and type of the message; none when the interchange as a whole is refused.
    pub(super) named: Option<(String, MessageType)>,
    /// Why it was refused by its reader.
    pub(super) error: Option<edifact::Error>,
}

impl Record {
    fn new(place: String, bytes: Vec<u8>) -> Self {
        let digest = Digest::of(&bytes);
        Self { place, digest, content: Content::Bytes(bytes), interchange: None, message: None }
    }

    pub(super) fn refused(place: String, rule: &'static str, text: impl Into<String>) -> Self {
        let digest = Digest::of_parts(&[rule.as_bytes(), b"\n", place.as_bytes()]);
        let content = Content::Refused { rule, text: text.into() };
        Self { place, digest, content, interchange: None, message: None }
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
        Some(b'U') => interchange::read(source, name, sink),
        Some(b'<') => xml(source, name, sink),
        Some(b'[') => {
            let text = "a list of documents is not read; write one document in each line";
            sink(Record::refused(name.to_owned(), "unreadable", text))
        }
        Some(_) => whole(source, name, Vec::new(), sink),
    }
}

/// Passes a byte order mark and white space; returns the first byte behind them.
pub(in crate::commands::customs) fn skip_to_text(
    source: &mut (impl BufRead + ?Sized),
) -> io::Result<Option<u8>> {
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

/// One document, or several in one envelope.
fn xml(source: &mut impl BufRead, name: &str, sink: &mut Sink<'_>) -> Result<()> {
    xml::read(source, RECORD_BYTES_MAX, &mut |number, bytes| {
        let place = match number {
            0 => name.to_owned(),
            number => format!("{name} document {number}"),
        };
        sink(match bytes {
            Some(bytes) => Record::new(place, bytes),
            None => Record::too_large(place),
        })
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

#[cfg(test)]
mod tests;
