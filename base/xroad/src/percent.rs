//! Percent-encoding of URI path segments (RFC 3986, sections 2.1 and 3.3), without allocation where
//! nothing is escaped.

use std::borrow::Cow;
use std::fmt;

use crate::Error;

/// Returns whether a byte may stand unescaped in a path segment (`pchar`, RFC 3986).
pub(crate) const fn is_segment(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',')
        || matches!(byte, b';' | b'=' | b':' | b'@' | b'~')
}

/// Returns whether a byte stands unescaped in a `MemberId`.
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Decodes one path segment; a slash in it must be escaped.
pub(crate) fn decode<'a>(what: &'static str, text: &'a str) -> Result<Cow<'a, str>, Error> {
    const ALPHABET: &str = "only the characters of a URI path may stand in it; escape the others \
                            as %XX (RFC 3986)";
    const ESCAPE: &str = "each % must be followed by two hexadecimal digits";
    const UTF_8: &str = "its escapes must decode to UTF-8";
    let mut plain = true;
    for byte in text.bytes() {
        if byte == b'%' {
            plain = false;
        } else if !is_segment(byte) {
            return Err(Error::Malformed { what, rule: ALPHABET });
        }
    }
    if plain {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let value = hex(bytes.next()).zip(hex(bytes.next()));
            let (high, low) = value.ok_or(Error::Malformed { what, rule: ESCAPE })?;
            decoded.push(high << 4 | low);
        } else {
            decoded.push(byte);
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| Error::Malformed { what, rule: UTF_8 })?;
    Ok(Cow::Owned(decoded))
}

fn hex(digit: Option<u8>) -> Option<u8> {
    match digit? {
        digit @ b'0'..=b'9' => Some(digit - b'0'),
        digit @ b'a'..=b'f' => Some(digit - b'a' + 10),
        digit @ b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes `text` with upper-case escapes for every byte that `keep` does not take.
pub(crate) fn encode(
    out: &mut impl fmt::Write,
    text: &str,
    keep: impl Fn(u8) -> bool,
) -> fmt::Result {
    if text.bytes().all(&keep) {
        return out.write_str(text);
    }
    for byte in text.bytes() {
        if keep(byte) {
            out.write_char(char::from(byte))?;
        } else {
            write!(out, "%{byte:02X}")?;
        }
    }
    Ok(())
}
