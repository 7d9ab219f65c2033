//! One document in XML, or several in one `MetaData` envelope, told apart without reading what they
//! say.
//!
//! Each document of several becomes a text of its own with the envelope and what stands in it
//! beside the documents. Whether a text is well formed its reader says: here only tags, quotes,
//! comments, sections of plain text and instructions are told apart.
//!
//! Invariant: memory holds one document and the envelope, each up to its bound.

use std::io::{self, BufRead};

use anyhow::Result;

/// Most bytes of an envelope: its opening tag and what stands in it before a document.
const ENVELOPE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a tag that are kept to tell its name.
const NAME_BYTES_MAX: usize = 256;

/// What a piece of the text is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Open,
    Close,
    /// An element without content.
    Empty,
    /// Text, a comment, an instruction.
    Other,
}

/// Bytes up to a bound; what is beyond it is counted and dropped.
struct Held {
    bytes: Vec<u8>,
    max: usize,
    is_whole: bool,
}

impl Held {
    const fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), max, is_whole: true }
    }

    fn add(&mut self, more: &[u8]) {
        self.is_whole &= self.bytes.len() + more.len() <= self.max;
        if self.is_whole {
            self.bytes.extend_from_slice(more);
        }
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.is_whole = true;
    }

    /// Returns the bytes, `None` when there are too many.
    fn take(&mut self) -> Option<Vec<u8>> {
        let whole = std::mem::replace(&mut self.is_whole, true);
        let bytes = std::mem::take(&mut self.bytes);
        whole.then_some(bytes)
    }
}

/// Takes the documents: their number, or 0 for the only one, and the text unless it is too long.
pub(in crate::commands::customs) type Each<'a> = dyn FnMut(u64, Option<Vec<u8>>) -> Result<()> + 'a;

/// Reads the documents of a text.
pub(in crate::commands::customs) fn read(
    source: &mut impl BufRead,
    bytes_max: usize,
    each: &mut Each<'_>,
) -> Result<()> {
    let (mut tag, mut all) = (Vec::new(), Held::new(bytes_max));
    let (mut head, mut part) = (Held::new(ENVELOPE_BYTES_MAX), Held::new(bytes_max));
    // The first document, until it is known whether there are more.
    let mut first = None;
    let (mut tail, mut depth, mut number, mut is_document) = (Vec::new(), 0_usize, 0_u64, false);
    loop {
        let before = depth;
        let mut put = |bytes: &[u8]| {
            if number < 2 {
                all.add(bytes);
            }
            if before == 0 { head.add(bytes) } else { part.add(bytes) }
        };
        let Some(kind) = piece(source, &mut tag, &mut put)? else { break };
        match kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.saturating_sub(1),
            Kind::Empty | Kind::Other => {}
        }
        match (kind, before, depth) {
            (Kind::Open, 0, 1) => {
                let name = name_of(&tag);
                if local(name) != b"MetaData" {
                    return rest(source, all, each);
                }
                tail = [b"</", name, b">"].concat();
            }
            // What begins inside the envelope.
            (Kind::Open, 1, 2) => {
                is_document = matches!(local(name_of(&tag)), b"Declaration" | b"Response");
                if is_document {
                    number += 1;
                    if number == 2
                        && let Some(text) = first.take()
                    {
                        each(1, text)?;
                        all.clear();
                    }
                }
            }
            (Kind::Close, 2, 1) if is_document => {
                is_document = false;
                let text = part.take().filter(|_| head.is_whole);
                let text = text.map(|text| [head.bytes.as_slice(), &text, &tail].concat());
                match number {
                    1 => first = Some(text),
                    _ => each(number, text)?,
                }
            }
            (_, 1 | 2, 1) => {
                if let Some(bytes) = part.take()
                    && number == 0
                {
                    head.add(&bytes);
                }
            }
            _ => {}
        }
    }
    match number {
        0 | 1 => each(0, all.take()),
        // What is cut off belongs to a document.
        _ if is_document => {
            let text = part.take().map(|text| [head.bytes.as_slice(), &text].concat());
            each(number, text)
        }
        _ => Ok(()),
    }
}

/// The text is one document, of which `all` was read.
fn rest(source: &mut impl BufRead, mut all: Held, each: &mut Each<'_>) -> Result<()> {
    loop {
        let bytes = source.fill_buf()?;
        let length = bytes.len();
        all.add(bytes);
        if length == 0 || !all.is_whole {
            return each(0, all.take());
        }
        source.consume(length);
    }
}

/// Reads one piece of the text and gives its bytes away; `tag` takes the beginning of a tag. `None`
/// at the end of the text.
fn piece(
    source: &mut impl BufRead,
    tag: &mut Vec<u8>,
    put: &mut dyn FnMut(&[u8]),
) -> io::Result<Option<Kind>> {
    tag.clear();
    let Some(first) = source.fill_buf()?.first().copied() else { return Ok(None) };
    if first != b'<' {
        until(source, put, &mut |byte| byte == b'<', false)?;
        return Ok(Some(Kind::Other));
    }
    let (mut quote, mut last, mut dashes) = (None, [0_u8; 3], 0_usize);
    until(
        source,
        put,
        &mut |byte| {
            if tag.len() < NAME_BYTES_MAX {
                tag.push(byte);
            }
            dashes += 1;
            last = [last[1], last[2], byte];
            match tag.as_slice() {
                [b'<', b'!', b'-', b'-', ..] => dashes > 6 && last == *b"-->",
                [b'<', b'!', b'[', ..] => last == *b"]]>",
                [b'<', b'?', ..] => last[1..] == *b"?>",
                _ => match (quote, byte) {
                    (None, b'"' | b'\'') => {
                        quote = Some(byte);
                        false
                    }
                    (Some(open), _) => {
                        if open == byte {
                            quote = None;
                        }
                        false
                    }
                    (None, byte) => byte == b'>',
                },
            }
        },
        true,
    )?;
    Ok(Some(match tag.as_slice() {
        [b'<', b'!' | b'?', ..] => Kind::Other,
        [b'<', b'/', ..] => Kind::Close,
        _ if last[1..] == *b"/>" => Kind::Empty,
        _ => Kind::Open,
    }))
}

/// Gives bytes away up to the one that ends the piece, with it or without it.
fn until(
    source: &mut impl BufRead,
    put: &mut dyn FnMut(&[u8]),
    ends: &mut dyn FnMut(u8) -> bool,
    is_inclusive: bool,
) -> io::Result<()> {
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|byte| ends(*byte));
        let length = end.map_or(bytes.len(), |end| end + usize::from(is_inclusive));
        put(bytes.get(..length).unwrap_or_default());
        source.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Returns the name in a tag.
fn name_of(tag: &[u8]) -> &[u8] {
    let inner = tag.strip_prefix(b"<").unwrap_or(tag);
    let end = inner.iter().position(|b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'));
    inner.get(..end.unwrap_or(inner.len())).unwrap_or_default()
}

/// Returns a name without its prefix.
fn local(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b':').next().unwrap_or(name)
}
