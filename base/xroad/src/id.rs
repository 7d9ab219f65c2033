//! Identifiers as X-Road writes them: parts, each percent-encoded as a path segment, joined by `/`
//! (PR-REST 4.2 and 4.3).
//!
//! An identifier borrows from the message that it was read from and allocates only for parts with
//! escapes. `Display` writes the form that headers carry.
//!
//! Invariants: a part is 1 to [`PART_BYTES_MAX`] bytes of UTF-8 after decoding, is not `.` or `..`,
//! and holds no control character and no invisible or direction-changing one; X-Road only logs a
//! warning for those. A slash, escaped as `%2F`, is legal in a part. Parts are compared byte for
//! byte: no case folding, no Unicode normalisation.
//!
//! Not here: the identifiers that the rest of Karvan uses (`karvan_types::MemberId`);
//! [`ClientId::to_member`] and [`ClientId::from_member`] lead there and back.

use std::borrow::Cow;
use std::fmt;

use karvan_types::MemberId;
use karvan_types::limits::ID_BYTES_MAX;

use crate::{Error, percent};

/// Longest part of an identifier, in bytes after decoding; the width of X-Road's own column.
pub const PART_BYTES_MAX: usize = 255;
/// Longest message id, in bytes.
pub const MESSAGE_ID_BYTES_MAX: usize = ID_BYTES_MAX;
/// Longest value of `X-Road-UserId` and of `X-Road-Issue`, in bytes.
pub const REMARK_BYTES_MAX: usize = 255;

/// A member or its subsystem: who calls, or who provides.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ClientId<'a> {
    /// The X-Road instance, such as `PK`.
    pub instance: Cow<'a, str>,
    /// The member class, such as `GOV`.
    pub class: Cow<'a, str>,
    /// The member code.
    pub member: Cow<'a, str>,
    /// The subsystem code; absent when the member itself is meant.
    pub subsystem: Option<Cow<'a, str>>,
}

impl<'a> ClientId<'a> {
    /// Reads the value of `X-Road-Client`: three or four parts.
    pub fn parse(value: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "the header X-Road-Client";
        const RULE: &str = "it must be instance/class/member or instance/class/member/subsystem, \
                            such as PK/GOV/FBR/customs";
        let mut parts = Parts::new(WHAT, RULE, value)?;
        let (instance, class, member) = (parts.need()?, parts.need()?, parts.need()?);
        let subsystem = parts.next()?;
        parts.end()?;
        Ok(Self { instance, class, member, subsystem })
    }

    /// Returns the member id with the same parts: what is not a letter, digit, dot, underscore or
    /// hyphen becomes an upper-case escape of its UTF-8 bytes, so that each name has one spelling.
    pub fn to_member(&self) -> Result<MemberId, Error> {
        to_member(&self.instance, &self.class, &self.member, self.subsystem.as_deref())
    }

    /// Returns the identifier that a member id stands for.
    pub fn from_member(member: &'a MemberId) -> Result<Self, Error> {
        Self::parse(member.as_str().as_bytes())
    }

    /// Copies what is borrowed, so that the identifier outlives the message.
    pub fn into_owned(self) -> ClientId<'static> {
        ClientId {
            instance: owned(self.instance),
            class: owned(self.class),
            member: owned(self.member),
            subsystem: self.subsystem.map(owned),
        }
    }
}

impl fmt::Display for ClientId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_segments(f, [&*self.instance, &*self.class, &*self.member])?;
        self.subsystem.iter().try_for_each(|part| {
            f.write_str("/")?;
            percent::encode(f, part, percent::is_segment)
        })
    }
}

/// A service of a subsystem.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ServiceId<'a> {
    /// The X-Road instance of the provider.
    pub instance: Cow<'a, str>,
    /// The member class of the provider.
    pub class: Cow<'a, str>,
    /// The member code of the provider.
    pub member: Cow<'a, str>,
    /// The subsystem that provides the service.
    pub subsystem: Cow<'a, str>,
    /// The service code.
    pub service: Cow<'a, str>,
}

impl<'a> ServiceId<'a> {
    /// Reads the value of `X-Road-Service`: exactly five parts.
    pub fn parse(value: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "the header X-Road-Service";
        const RULE: &str = "it must be instance/class/member/subsystem/service";
        let mut parts = Parts::new(WHAT, RULE, value)?;
        let service = Self::take(&mut parts)?;
        parts.end()?;
        Ok(service)
    }

    /// Takes the five parts that come next.
    pub(crate) fn take(parts: &mut Parts<'a>) -> Result<Self, Error> {
        Ok(Self {
            instance: parts.need()?,
            class: parts.need()?,
            member: parts.need()?,
            subsystem: parts.need()?,
            service: parts.need()?,
        })
    }

    /// Returns the subsystem that provides the service.
    pub fn provider(&self) -> ClientId<'_> {
        ClientId {
            instance: Cow::Borrowed(&self.instance),
            class: Cow::Borrowed(&self.class),
            member: Cow::Borrowed(&self.member),
            subsystem: Some(Cow::Borrowed(&self.subsystem)),
        }
    }

    /// Copies what is borrowed, so that the identifier outlives the message.
    pub fn into_owned(self) -> ServiceId<'static> {
        ServiceId {
            instance: owned(self.instance),
            class: owned(self.class),
            member: owned(self.member),
            subsystem: owned(self.subsystem),
            service: owned(self.service),
        }
    }
}

impl fmt::Display for ServiceId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instance, class, member, subsystem, service } = self;
        write_segments(f, [&**instance, &**class, &**member, &**subsystem, &**service])
    }
}

/// The security server that a consumer wants the request to go to.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SecurityServerId<'a> {
    /// The X-Road instance of the server's owner.
    pub instance: Cow<'a, str>,
    /// The member class of the owner.
    pub class: Cow<'a, str>,
    /// The member code of the owner.
    pub member: Cow<'a, str>,
    /// The server code.
    pub server: Cow<'a, str>,
}

impl<'a> SecurityServerId<'a> {
    /// Reads the value of `X-Road-Security-Server`: exactly four parts.
    pub fn parse(value: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "the header X-Road-Security-Server";
        const RULE: &str = "it must be instance/class/member/server";
        let mut parts = Parts::new(WHAT, RULE, value)?;
        let (instance, class, member) = (parts.need()?, parts.need()?, parts.need()?);
        let server = parts.need()?;
        parts.end()?;
        Ok(Self { instance, class, member, server })
    }
}

impl fmt::Display for SecurityServerId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_segments(f, [&*self.instance, &*self.class, &*self.member, &*self.server])
    }
}

/// The party on whose behalf the consumer calls (PR-REST, extension for represented parties).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct RepresentedParty<'a> {
    /// The class of the party, when one is given.
    pub class: Option<Cow<'a, str>>,
    /// The code of the party.
    pub code: Cow<'a, str>,
}

impl<'a> RepresentedParty<'a> {
    /// Reads the value of `X-Road-Represented-Party`: one or two parts.
    pub fn parse(value: &'a [u8]) -> Result<Self, Error> {
        const WHAT: &str = "the header X-Road-Represented-Party";
        const RULE: &str = "it must be code or class/code";
        let mut parts = Parts::new(WHAT, RULE, value)?;
        let first = parts.need()?;
        let second = parts.next()?;
        parts.end()?;
        Ok(match second {
            Some(code) => Self { class: Some(first), code },
            None => Self { class: None, code: first },
        })
    }
}

impl fmt::Display for RepresentedParty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            Some(class) => write_segments(f, [&**class, &*self.code]),
            None => write_segments(f, [&*self.code]),
        }
    }
}

/// Returns the member id with these parts, as [`ClientId::to_member`] does.
pub fn to_member(
    instance: &str,
    class: &str,
    member: &str,
    subsystem: Option<&str>,
) -> Result<MemberId, Error> {
    Ok(member_text(instance, class, member, subsystem).parse()?)
}

/// Returns the only spelling of a member id with these parts.
pub(crate) fn member_text(
    instance: &str,
    class: &str,
    member: &str,
    subsystem: Option<&str>,
) -> String {
    let mut text = String::with_capacity(ID_BYTES_MAX);
    for (index, part) in [instance, class, member].into_iter().chain(subsystem).enumerate() {
        if index > 0 {
            text.push('/');
        }
        // Writing to a string cannot fail.
        let _ = percent::encode(&mut text, part, percent::is_unreserved);
    }
    text
}

/// Reads the value of `X-Road-Id`: 1 to [`MESSAGE_ID_BYTES_MAX`] visible ASCII characters.
pub fn message_id(value: &[u8]) -> Result<&str, Error> {
    const WHAT: &str = "the header X-Road-Id";
    const RULE: &str = "it must hold visible ASCII characters only, without blanks";
    bounded(WHAT, value.len(), MESSAGE_ID_BYTES_MAX)?;
    let visible = !value.is_empty() && value.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(value).ok().filter(|_| visible);
    text.ok_or(Error::Malformed { what: WHAT, rule: RULE })
}

/// Reads an opaque value: at most [`REMARK_BYTES_MAX`] bytes of UTF-8 without control characters.
pub(crate) fn remark<'a>(what: &'static str, value: &'a [u8]) -> Result<&'a str, Error> {
    const RULE: &str = "it must be UTF-8 without control characters";
    bounded(what, value.len(), REMARK_BYTES_MAX)?;
    let text = std::str::from_utf8(value).ok().filter(|text| !text.chars().any(char::is_control));
    text.ok_or(Error::Malformed { what, rule: RULE })
}

fn bounded(what: &'static str, actual: usize, max: usize) -> Result<(), Error> {
    if actual > max {
        return Err(Error::TooLong { what, unit: "bytes", actual, max });
    }
    Ok(())
}

/// The encoded parts of an identifier, one after the other.
pub(crate) struct Parts<'a> {
    what: &'static str,
    rule: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn new(what: &'static str, rule: &'static str, value: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(value).map_err(|_| Error::Malformed { what, rule })?;
        Ok(Self::of(what, rule, text))
    }

    /// Begins to read `text`, which is `what` and obeys `rule`.
    pub(crate) const fn of(what: &'static str, rule: &'static str, text: &'a str) -> Self {
        Self { what, rule, rest: Some(text) }
    }

    /// Returns what no part was taken from yet, with the slash before it; empty at the end.
    pub(crate) fn remaining(self, whole: &'a str) -> &'a str {
        let taken = self.rest.map_or(whole.len(), |rest| whole.len() - rest.len() - 1);
        whole.get(taken..).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Option<Cow<'a, str>>, Error> {
        let Some(rest) = self.rest else { return Ok(None) };
        let (part, after) = match rest.split_once('/') {
            Some((part, after)) => (part, Some(after)),
            None => (rest, None),
        };
        self.rest = after;
        self.part(part).map(Some)
    }

    fn need(&mut self) -> Result<Cow<'a, str>, Error> {
        self.next()?.ok_or(Error::Malformed { what: self.what, rule: self.rule })
    }

    fn end(self) -> Result<(), Error> {
        match self.rest {
            None => Ok(()),
            Some(_) => Err(Error::Malformed { what: self.what, rule: self.rule }),
        }
    }

    fn part(&self, text: &'a str) -> Result<Cow<'a, str>, Error> {
        const EMPTY: &str = "no part may be empty, `.` or `..`";
        const UNSEEN: &str = "no part may hold a control character or an invisible one";
        let what = self.what;
        let part = percent::decode(what, text)?;
        bounded(what, part.len(), PART_BYTES_MAX)?;
        if matches!(&*part, "" | "." | "..") {
            return Err(Error::Malformed { what, rule: EMPTY });
        }
        // Without escapes a part is printable ASCII.
        if matches!(&part, Cow::Owned(decoded) if decoded.chars().any(is_unseen)) {
            return Err(Error::Malformed { what, rule: UNSEEN });
        }
        Ok(part)
    }
}

/// Returns whether two names that differ in this character would look alike.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}' | '\u{feff}' | '\u{202a}'..='\u{202e}')
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

fn write_segments<const N: usize>(f: &mut fmt::Formatter<'_>, parts: [&str; N]) -> fmt::Result {
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            f.write_str("/")?;
        }
        percent::encode(f, part, percent::is_segment)?;
    }
    Ok(())
}
