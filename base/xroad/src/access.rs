//! Which calls a right covers (X-Road's behaviour for REST endpoints).
//!
//! A right is a method and a pattern of the service path. The pattern's `*` is anything within one
//! segment, `**` is anything, a backslash takes the meaning from the star or backslash after it.
//! Patterns are compiled once; a match allocates nothing and looks back at most to the last star.
//!
//! The check sees another path than the provider, who gets the raw one: [`AccessPath`] resolves dot
//! segments, drops repeated slashes and decodes, an escaped slash being a slash. So a path that the
//! two could read differently is refused: a dot segment that appears only by decoding or has
//! parameters, a `..` that leads above the root or removes a segment which is empty or escaped, an
//! empty segment that appears only by decoding.
//!
//! Not here: who has which rights (`karvan-agreements`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Error, Method, percent};

/// Longest pattern of a right, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;

const WHAT: &str = "the service path";

/// A right as it is configured and listed: method `*` or one name, and a path pattern.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointRight {
    /// An HTTP method, or `*` for all.
    pub method: String,
    /// The pattern, such as `/pets/*`; `**` for the whole service.
    pub path: String,
}

/// The path that rights are checked on. It always begins with a slash.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessPath<'a>(Cow<'a, str>);

impl<'a> AccessPath<'a> {
    /// Takes the raw service path of a request (`Target::path`); an empty one counts as `/`.
    pub fn parse(raw: &'a str) -> Result<Self, Error> {
        const START: &str = "it must be empty or begin with a slash";
        if raw.is_empty() {
            return Ok(Self(Cow::Borrowed("/")));
        }
        let inner = raw.strip_prefix('/');
        let inner = inner.ok_or(Error::Malformed { what: WHAT, rule: START })?;
        if is_plain(inner) {
            return Ok(Self(Cow::Borrowed(raw)));
        }
        let mut kept: Vec<&str> = Vec::new();
        for segment in inner.split('/') {
            match segment {
                "." => {}
                ".." => match kept.pop() {
                    Some(removed) if is_unambiguous(removed) => {}
                    _ => return Err(ambiguous()),
                },
                segment => kept.push(segment),
            }
        }
        let mut path = String::with_capacity(raw.len());
        for segment in kept.iter().filter(|segment| !segment.is_empty()) {
            path.push('/');
            path.push_str(&percent::decode(WHAT, segment)?);
        }
        if path.is_empty() || matches!(inner.rsplit('/').next(), Some("" | "." | "..")) {
            path.push('/');
        }
        if path.contains("//") || path.split(['/', '\\']).any(is_dots) {
            return Err(ambiguous());
        }
        Ok(Self(Cow::Owned(path)))
    }

    /// Returns the decoded and normalised path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether a raw path without its first slash is also the path to be checked.
fn is_plain(inner: &str) -> bool {
    let alphabet = inner.bytes().all(|byte| byte == b'/' || percent::is_segment(byte));
    let mut segments = inner.split('/').peekable();
    let mut plain = alphabet;
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        plain &= !(is_dots(segment) || segment.is_empty() && !last);
    }
    plain
}

/// Returns whether every server removes the same when `..` follows this segment.
fn is_unambiguous(segment: &str) -> bool {
    !segment.is_empty() && segment.bytes().all(percent::is_segment)
}

/// Returns whether some server may take the segment as a dot segment; parameters are left out.
fn is_dots(segment: &str) -> bool {
    matches!(segment.split(';').next(), Some("." | ".."))
}

const fn ambiguous() -> Error {
    const RULE: &str = "servers could read it in two ways; no `.` or `..` may be escaped, have \
                        parameters, lead above the root, or follow an escape or an empty segment, \
                        and no escaped slash may stand beside a slash";
    Error::Malformed { what: WHAT, rule: RULE }
}

/// The rights of one caller to one service, compiled.
#[derive(Clone, Debug, Default)]
pub struct Rights(Vec<(Option<Method>, Vec<Token>)>);

impl Rights {
    /// Compiles rights.
    pub fn compile(rights: &[EndpointRight]) -> Result<Self, Error> {
        let compiled = rights.iter().map(|right| {
            let all = right.method == "*";
            let method = if all { None } else { Some(Method::parse(&right.method)?) };
            Ok((method, tokens(&right.path)?))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether one of the rights covers the call.
    pub fn allow(&self, method: Method, path: &AccessPath<'_>) -> bool {
        self.covering(method, path).is_some()
    }

    /// Returns the place, in the list that was compiled, of the first right that covers the call.
    pub fn covering(&self, method: Method, path: &AccessPath<'_>) -> Option<usize> {
        self.0.iter().position(|(wanted, pattern)| {
            wanted.is_none_or(|wanted| wanted == method) && matches(pattern, path.as_str())
        })
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Text(String),
    Segment,
    Any,
}

fn tokens(pattern: &str) -> Result<Vec<Token>, Error> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let (what, unit) = ("the path pattern of a right", "bytes");
        return Err(Error::TooLong { what, unit, actual: pattern.len(), max: PATTERN_BYTES_MAX });
    }
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut letters = pattern.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.push(letters.next_if(|&it| matches!(it, '*' | '\\')).unwrap_or('\\')),
            '*' => {
                if !text.is_empty() {
                    tokens.push(Token::Text(std::mem::take(&mut text)));
                }
                let any = letters.next_if_eq(&'*').is_some();
                // Stars beyond the second change nothing.
                while letters.next_if_eq(&'*').is_some() {}
                tokens.push(if any { Token::Any } else { Token::Segment });
            }
            letter => text.push(letter),
        }
    }
    if !text.is_empty() {
        tokens.push(Token::Text(text));
    }
    Ok(tokens)
}

/// The tokens still to be matched, and the bytes that are left for them.
type Place<'a> = (&'a [Token], &'a [u8]);

/// Lets the star before a place take one byte more; returns that byte too.
fn widened((tokens, rest): Place<'_>) -> Option<(u8, Place<'_>)> {
    rest.split_first().map(|(&byte, rest)| (byte, (tokens, rest)))
}

/// Matches from left to right. A mismatch lets the last `*` take one byte more; when that cannot
/// be, the last `**`. Stars before the last `**` need no second look: it can take what they would.
fn matches(pattern: &[Token], path: &str) -> bool {
    let (mut tokens, mut rest) = (pattern, path.as_bytes());
    let mut segment: Option<Place<'_>> = None;
    let mut any: Option<Place<'_>> = None;
    loop {
        let step = match tokens.split_first() {
            None if rest.is_empty() => return true,
            None => None,
            Some((Token::Text(text), after)) => {
                rest.strip_prefix(text.as_bytes()).map(|rest| (after, rest))
            }
            Some((Token::Segment, after)) => {
                segment = Some((after, rest));
                Some((after, rest))
            }
            Some((Token::Any, after)) => {
                (segment, any) = (None, Some((after, rest)));
                Some((after, rest))
            }
        };
        (tokens, rest) = if let Some(step) = step {
            step
        } else if let Some((_, next)) = segment.and_then(widened).filter(|(byte, _)| *byte != b'/')
        {
            segment = Some(next);
            next
        } else if let Some((_, next)) = any.and_then(widened) {
            any = Some(next);
            next
        } else {
            return false;
        };
    }
}
