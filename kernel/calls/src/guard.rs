//! Reads along what an agency's system sends, before the HTTP library does, and stops what two
//! servers could read in two ways.
//!
//! The library settles some doubts by itself: of a length and chunks it takes the chunks and hides
//! the length. The protocol wants such requests refused (RFC 9112, sections 3.2 and 6.3), and what
//! the library refuses by itself it refuses without a word. So the framing is read here too, more
//! strictly: lines end in CR LF; there is one `Host`; a body has one length or one coding, and that
//! is `chunked`. What was refused is not shown to the library, which sees the end of the connection
//! instead; [`Guarded::into_parts`] then says what to answer.
//!
//! Invariants: bytes are passed on as they came; no more than one line is kept; a head that was
//! refused never reaches the library as a whole.
//!
//! Not here: what headers mean (`karvan_xroad::header`), how much of them is carried
//! (`crate::wire`).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::wire::HEADERS_MAX;

/// Longest head of a request, in bytes (64 KiB).
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most header fields of a request: what is carried, and those of the connection.
pub(crate) const FIELDS_MAX: usize = HEADERS_MAX + 1;
/// Longest line about a chunk, in bytes.
const CHUNK_LINE_BYTES_MAX: usize = 1024;
/// Most hexadecimal digits of a chunk's length.
const CHUNK_DIGITS_MAX: usize = 15;

/// Why a request is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It can be read in two ways, or in none.
    Malformed(&'static str),
    /// Its head is longer than is read.
    TooLong(&'static str),
}

/// Where in the stream of requests the next byte is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// In a head, before or behind its first line.
    Head { first: bool },
    /// In a body of which so many bytes are left.
    Body(u64),
    /// At the length of a chunk.
    ChunkLine,
    /// In a chunk of which so many bytes are left, its line end included.
    Chunk(u64),
    /// In the fields behind the last chunk.
    Trailer,
    /// Nothing more is read.
    End,
}

/// What a head has said about the framing so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    bytes: usize,
    fields: usize,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    old: bool,
}

/// Reads framing.
#[derive(Debug)]
struct Scan {
    at: At,
    head: Head,
    /// The beginning of a line whose end is not here yet.
    line: Vec<u8>,
    /// Heads that were read to their end.
    heads: usize,
    /// Whether what was read last is a part of a body.
    in_body: bool,
}

impl Scan {
    const fn new() -> Self {
        Self {
            at: At::Head { first: true },
            head: EMPTY,
            line: Vec::new(),
            heads: 0,
            in_body: false,
        }
    }

    /// Reads bytes; on a fault it returns how many of them come before the head or chunk with it.
    fn read(&mut self, bytes: &[u8]) -> Result<(), (usize, Fault)> {
        let (mut rest, mut good) = (bytes, 0);
        while !rest.is_empty() {
            self.in_body = !matches!(self.at, At::Head { .. });
            let taken = self.step(rest).map_err(|fault| {
                self.at = At::End;
                (good, fault)
            })?;
            rest = rest.get(taken..).unwrap_or_default();
            let begins = self.at == At::Head { first: true } || matches!(self.at, At::Body(_));
            if begins || self.in_body {
                good = bytes.len() - rest.len();
            }
        }
        Ok(())
    }

    /// Reads a line or a piece of a body; returns its length.
    fn step(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        match self.at {
            At::End => Ok(rest.len()),
            At::Body(left) => {
                let taken = left.min(rest.len() as u64);
                self.at = if left == taken { self.next() } else { At::Body(left - taken) };
                Ok(usize::try_from(taken).unwrap_or(rest.len()))
            }
            At::Chunk(left) => self.chunk(left, rest),
            At::Head { .. } | At::ChunkLine | At::Trailer => self.part_of_line(rest),
        }
    }

    fn next(&mut self) -> At {
        self.head = EMPTY;
        At::Head { first: true }
    }

    fn chunk(&mut self, left: u64, rest: &[u8]) -> Result<usize, Fault> {
        let taken = left.min(rest.len() as u64);
        for (expected, from_end) in [(b'\r', 2), (b'\n', 1)] {
            // Where the byte is, when it is among these.
            let Some(at) = left.checked_sub(from_end).filter(|at| *at < taken) else { continue };
            let found = usize::try_from(at).ok().and_then(|at| rest.get(at));
            if found != Some(&expected) {
                return Err(Fault::Malformed("a chunk has another length than it says"));
            }
        }
        self.at = if left == taken { At::ChunkLine } else { At::Chunk(left - taken) };
        Ok(usize::try_from(taken).unwrap_or(rest.len()))
    }

    fn part_of_line(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(rest.len(), |end| end + 1);
        let piece = rest.get(..taken).unwrap_or_default();
        let in_chunks = self.at == At::ChunkLine;
        if !in_chunks {
            // Lines of chunks belong to the body, which has a bound of its own.
            self.head.bytes += taken;
        }
        let longest = if in_chunks { CHUNK_LINE_BYTES_MAX } else { HEAD_BYTES_MAX };
        if self.line.len() + taken > longest || (!in_chunks && self.head.bytes > HEAD_BYTES_MAX) {
            return Err(Fault::TooLong("the head has more than 65536 bytes; shorten it"));
        }
        if end.is_none() {
            self.line.extend_from_slice(piece);
        } else if self.line.is_empty() {
            self.line(piece)?;
        } else {
            let mut whole = std::mem::take(&mut self.line);
            whole.extend_from_slice(piece);
            self.line(&whole)?;
        }
        Ok(taken)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let line = line
            .strip_suffix(b"\r\n")
            .ok_or(Fault::Malformed("a line ends without CR; end lines with CR and LF"))?;
        match self.at {
            At::Head { first: true } => self.request_line(line)?,
            At::Head { first: false } if line.is_empty() => self.at = self.judge()?,
            At::Head { first: false } => self.head.field(line)?,
            At::ChunkLine => self.at = chunk_length(line)?,
            At::Trailer if line.is_empty() => self.at = self.next(),
            _ => {}
        }
        Ok(())
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line.is_empty() && self.head.bytes <= 2 * LINES_BEFORE_MAX {
            // A server ignores an empty line or two before the request (RFC 9112, section 2.2).
            return Ok(());
        }
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        self.head.old = match words.next() {
            Some(b"HTTP/1.1") => false,
            Some(b"HTTP/1.0") => true,
            _ => return Err(Fault::Malformed("the first line is no request of HTTP/1.1")),
        };
        if method.is_empty() || target.is_empty() || words.next().is_some() {
            return Err(Fault::Malformed("the first line is no request of HTTP/1.1"));
        }
        let is_raw = |byte: &u8| !byte.is_ascii_graphic() || b"\"<>".contains(byte);
        if target.iter().any(is_raw) {
            let rule = "the target holds quotes, angle brackets or letters beyond ASCII; \
                        percent-encode them";
            return Err(Fault::Malformed(rule));
        }
        self.at = At::Head { first: false };
        Ok(())
    }

    /// Says what follows a head.
    fn judge(&mut self) -> Result<At, Fault> {
        let Head { hosts, length, chunked, old, .. } = self.head;
        if hosts > 1 || (hosts == 0 && !old) {
            return Err(Fault::Malformed("a request has one Host"));
        }
        if chunked && (length.is_some() || old) {
            return Err(Fault::Malformed("a body has a length or comes in chunks, not both"));
        }
        self.heads += 1;
        Ok(match length {
            _ if chunked => At::ChunkLine,
            None | Some(0) => self.next(),
            Some(length) => At::Body(length),
        })
    }
}

/// Empty lines before a request that are ignored.
const LINES_BEFORE_MAX: usize = 2;
const EMPTY: Head =
    Head { bytes: 0, fields: 0, hosts: 0, length: None, chunked: false, old: false };

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.fields += 1;
        if self.fields > FIELDS_MAX {
            return Err(Fault::TooLong("the head has more than 81 fields; at most 80 are carried"));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at_checked(colon.unwrap_or(0)).unwrap_or_default();
        if name.is_empty() || name.iter().any(|byte| !byte.is_ascii_graphic()) {
            return Err(Fault::Malformed("a header field has no name; write Name: value"));
        }
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = str::from_utf8(value).unwrap_or_default();
            let length = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse());
            let Some(Ok(length)) = length else {
                return Err(Fault::Malformed("Content-Length is no number"));
            };
            if self.length.replace(length).is_some() {
                return Err(Fault::Malformed("a body has one Content-Length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Malformed("Transfer-Encoding is `chunked`, once"));
            }
            self.chunked = true;
        }
        Ok(())
    }
}

/// Reads the length of a chunk; extensions mean nothing here.
fn chunk_length(line: &[u8]) -> Result<At, Fault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let read = || {
        let digits = str::from_utf8(digits).ok()?;
        let fits = (1..=CHUNK_DIGITS_MAX).contains(&digits.len());
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        (fits && plain).then(|| u64::from_str_radix(digits, 16).ok())?
    };
    match read() {
        Some(0) => Ok(At::Trailer),
        Some(length) => Ok(At::Chunk(length + 2)),
        None => Err(Fault::Malformed("a chunk has no length")),
    }
}

/// A connection of an agency's system that is read along.
pub(crate) struct Guarded<S> {
    stream: S,
    scan: Scan,
    fault: Option<Fault>,
}

impl<S> Guarded<S> {
    /// Takes a connection on which nothing was read yet.
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, scan: Scan::new(), fault: None }
    }

    /// Returns the connection, and why it was stopped, if it was and that can be told: of the
    /// requests before, as many as were read must have been answered, and no answer can stand
    /// beside the one to a request whose body has the fault.
    pub(crate) fn into_parts(self, answered: usize) -> (S, Option<Fault>) {
        let telling = !self.scan.in_body && self.scan.heads == answered;
        (self.stream, self.fault.filter(|_| telling))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.fault.is_some() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let step = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if let Poll::Ready(Ok(())) = &step {
            let read = buffer.filled().get(before..).unwrap_or_default();
            if let Err((good, fault)) = this.scan.read(read) {
                buffer.set_filled(before + good);
                this.fault = Some(fault);
            }
        }
        step
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Leaves a connection that was stopped open, for the refusal.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fault.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
