//! The envelopes of an interchange: UNB to UNZ, groups, messages, their references and counts.
//!
//! Messages come one after the other. A fault inside one message refuses that message only; a
//! fault of the envelope ends the reading.
//!
//! Invariants: a message is given out only after its UNT was checked; memory holds one message.

use std::collections::BTreeSet;
use std::io::Read;

use karvan_types::Timestamp;

use super::charset::Charset;
use super::error::{Error, Rule};
use super::syntax::{Arena, Scanner, Segment, ServiceCharacters};
use super::{INTERCHANGE_BYTES_MAX, MESSAGES_MAX, STREAM_BYTES_MAX, STREAM_MESSAGES_MAX};

/// How much of one interchange is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bounds {
    /// Most bytes.
    pub bytes_max: u64,
    /// Most messages.
    pub messages_max: u64,
}

impl Bounds {
    /// For an interchange that is held in memory.
    pub const HELD: Self = Self { bytes_max: INTERCHANGE_BYTES_MAX, messages_max: MESSAGES_MAX };
    /// For an interchange of which one message is in memory at a time.
    pub const STREAMED: Self =
        Self { bytes_max: STREAM_BYTES_MAX, messages_max: STREAM_MESSAGES_MAX };
}

/// What UNB says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The repertoire (0001).
    pub charset: Charset,
    /// The syntax version (0002).
    pub version: u8,
    /// Who sent the interchange (0004).
    pub sender: String,
    /// To whom (0010).
    pub recipient: String,
    /// Control reference (0020).
    pub reference: String,
    /// Whether it is a test (0035).
    pub is_test: bool,
    /// The service characters.
    pub signs: ServiceCharacters,
}

/// Which message a message is (UNH S009).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MessageType {
    /// Type, such as `CUSDEC` (0065).
    pub name: String,
    /// Version and release, such as `D.96B` (0052, 0054).
    pub directory: String,
}

/// One message with its segments.
#[derive(Debug, Default)]
pub struct Message {
    /// Message reference (0062).
    pub reference: String,
    /// Its type.
    pub kind: MessageType,
    arena: Arena,
}

impl Message {
    /// Returns the segments, from UNH to UNT.
    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.arena.segments()
    }

    /// Returns UNH.
    pub fn first(&self) -> Option<Segment<'_>> {
        self.arena.segment(0)
    }
}

/// An open group (UNG).
struct Group {
    reference: String,
    messages: u64,
}

/// Reads an interchange from a source.
pub struct Reader<R> {
    scanner: Scanner<R>,
    messages_max: u64,
    header: Header,
    group: Option<Group>,
    groups: u64,
    /// Messages seen, refused ones too.
    messages: u64,
    /// Messages outside of groups.
    outside: u64,
    references: BTreeSet<String>,
    /// A message was refused before its UNT was reached.
    is_behind: bool,
    is_done: bool,
    /// A fault of UNB that can be answered, since who sent it is known.
    fault: Option<Error>,
}

impl<R: Read> Reader<R> {
    /// Reads UNA and UNB of an interchange that is held in memory.
    pub fn open(source: R) -> Result<Self, Error> {
        Self::open_within(source, Bounds::HELD)
    }

    /// Reads UNA and UNB.
    pub fn open_within(source: R, bounds: Bounds) -> Result<Self, Error> {
        let mut scanner = Scanner::open(source, bounds.bytes_max)?;
        let mut arena = Arena::default();
        if !scanner.next(&mut arena)? {
            return Err(scanner.error(Rule::NoInterchange));
        }
        let Some(unb) = arena.segment(0) else {
            return Err(scanner.error(Rule::NoInterchange));
        };
        let header = header(unb, scanner.signs)?;
        let fault = prepared(unb).err();
        scanner.declare(header.charset, header.version);
        let header = Header { signs: scanner.signs, ..header };
        Ok(Self {
            scanner,
            messages_max: bounds.messages_max,
            header,
            group: None,
            groups: 0,
            messages: 0,
            outside: 0,
            references: BTreeSet::new(),
            is_behind: false,
            is_done: false,
            fault,
        })
    }

    /// Returns what UNB says.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Returns how many bytes were used: after [`Self::open`] the end of UNB, after a message the
    /// end of its UNT.
    pub const fn used(&self) -> u64 {
        self.scanner.used()
    }

    /// Reads the next message into `message`, whose memory is used again; `false` after UNZ.
    ///
    /// After an error of which [`Error::is_of_message`] is true the next message can be read.
    pub fn next_message(&mut self, message: &mut Message) -> Result<bool, Error> {
        if self.is_done {
            return Ok(false);
        }
        let result = match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.advance(message),
        };
        match &result {
            Ok(true) => {}
            Err(error) if error.is_of_message() => {}
            _ => self.is_done = true,
        }
        result
    }

    fn advance(&mut self, message: &mut Message) -> Result<bool, Error> {
        if self.is_behind {
            self.catch_up(&mut message.arena)?;
        }
        loop {
            message.arena.clear();
            if !self.scanner.next(&mut message.arena)? {
                return Err(self.scanner.error(Rule::Truncated("UNZ")));
            }
            let Some(segment) = message.arena.segment(0) else { return Ok(false) };
            match segment.tag() {
                "UNH" => {
                    self.message(message)?;
                    return Ok(true);
                }
                "UNG" => self.open_group(segment)?,
                "UNE" => self.close_group(segment)?,
                "UNZ" => {
                    self.close(segment)?;
                    return Ok(false);
                }
                found => {
                    let (found, expected) = (found.to_owned(), "UNH, UNG, UNE or UNZ");
                    return Err(segment.error(0, 0, Rule::Misplaced { found, expected }));
                }
            }
        }
    }

    /// Passes the rest of a refused message.
    fn catch_up(&mut self, arena: &mut Arena) -> Result<(), Error> {
        self.is_behind = false;
        while let Some(tag) = self.scanner.peek()? {
            if matches!(&tag, b"UNH" | b"UNE" | b"UNZ" | b"UNG") {
                break;
            }
            arena.clear();
            // What is wrong with a segment of a refused message is of no further interest.
            let passed = self.scanner.next(arena);
            if &tag == b"UNT" {
                break;
            }
            if let Err(Error {
                rule: Rule::Truncated(_) | Rule::Size(_) | Rule::Unreadable(_),
                ..
            }) = passed
            {
                return passed.map(|_| ());
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &mut Message) -> Result<(), Error> {
        let Message { reference, kind, arena } = message;
        self.messages += 1;
        match &mut self.group {
            Some(group) => group.messages += 1,
            None => self.outside += 1,
        }
        let Some(unh) = arena.segment(0) else { return Ok(()) };
        if self.messages > self.messages_max {
            return Err(unh.error(0, 0, Rule::Messages(self.messages_max)));
        }
        if self.outside > 0 && self.groups > 0 {
            return Err(unh.error(0, 0, Rule::Mixed));
        }
        unh.value(1, 1).clone_into(reference);
        if reference.is_empty() {
            return Err(unh.error(1, 1, Rule::Missing("the message reference")));
        }
        *kind = MessageType {
            name: unh.value(2, 1).to_owned(),
            directory: format!("{}.{}", unh.value(2, 2), unh.value(2, 3)),
        };
        arena.name(reference);
        self.is_behind = true;
        if !self.references.insert(reference.clone()) {
            return Err(of(arena, 0).error(1, 1, Rule::Duplicate(reference.clone())));
        }
        loop {
            if let Some(tag) = self.scanner.peek()?
                && matches!(&tag, b"UNH" | b"UNZ" | b"UNE" | b"UNG" | b"UNB")
            {
                let found = tag.iter().map(|byte| char::from(*byte)).collect();
                let last = of(arena, arena.len().saturating_sub(1));
                return Err(last.error(0, 0, Rule::Misplaced { found, expected: "UNT" }));
            }
            if !self.scanner.next(arena)? {
                return Err(self.scanner.error(Rule::Truncated("UNT")));
            }
            let last = of(arena, arena.len().saturating_sub(1));
            if last.tag() == "UNT" {
                self.is_behind = false;
                count(last, arena.len() as u64, "segments from UNH to UNT")?;
                return same(last, reference, "UNH");
            }
        }
    }

    fn open_group(&mut self, ung: Segment<'_>) -> Result<(), Error> {
        if self.group.is_some() {
            let (found, expected) = ("UNG".to_owned(), "UNE");
            return Err(ung.error(0, 0, Rule::Misplaced { found, expected }));
        }
        if self.outside > 0 {
            return Err(ung.error(0, 0, Rule::Mixed));
        }
        self.groups += 1;
        self.group = Some(Group { reference: ung.value(5, 1).to_owned(), messages: 0 });
        Ok(())
    }

    fn close_group(&mut self, une: Segment<'_>) -> Result<(), Error> {
        let Some(group) = self.group.take() else {
            let (found, expected) = ("UNE".to_owned(), "UNG before it");
            return Err(une.error(0, 0, Rule::Misplaced { found, expected }));
        };
        if group.messages == 0 {
            return Err(une.error(0, 0, Rule::Empty("the group")));
        }
        count(une, group.messages, "messages in the group")?;
        same(une, &group.reference, "UNG")
    }

    fn close(&mut self, unz: Segment<'_>) -> Result<(), Error> {
        if self.group.is_some() {
            let (found, expected) = ("UNZ".to_owned(), "UNE");
            return Err(unz.error(0, 0, Rule::Misplaced { found, expected }));
        }
        if self.messages == 0 {
            return Err(unz.error(0, 0, Rule::Empty("the interchange")));
        }
        match self.groups {
            0 => count(unz, self.messages, "messages")?,
            groups => count(unz, groups, "groups")?,
        }
        same(unz, &self.header.reference, "UNB")?;
        if let Some(tag) = self.scanner.peek()? {
            let found = tag.iter().map(|byte| char::from(*byte).escape_default().to_string());
            let rule = Rule::Misplaced { found: found.collect(), expected: "the end of the text" };
            return Err(self.scanner.error(rule));
        }
        Ok(())
    }
}

/// Returns a segment that is there.
fn of(arena: &Arena, index: usize) -> Segment<'_> {
    #[expect(clippy::expect_used, reason = "UNH was read before and the index is below the count")]
    arena.segment(index).expect("a segment that was read")
}

fn header(unb: Segment<'_>, signs: ServiceCharacters) -> Result<Header, Error> {
    if unb.tag() != "UNB" {
        return Err(unb.error(0, 0, Rule::NoInterchange));
    }
    let identifier = unb.value(1, 1);
    let charset = Charset::from_identifier(identifier)
        .ok_or_else(|| unb.error(1, 1, Rule::Charset(identifier.chars().take(12).collect())))?;
    let version = match unb.value(1, 2) {
        "1" => 1,
        "2" => 2,
        "3" => 3,
        "4" => 4,
        other => {
            return Err(unb.error(1, 2, Rule::Version(other.chars().take(12).collect())));
        }
    };
    let needed = |element, what| {
        let value = unb.value(element, 1).to_owned();
        if value.is_empty() { Err(unb.error(element, 1, Rule::Missing(what))) } else { Ok(value) }
    };
    Ok(Header {
        charset,
        version,
        sender: needed(2, "the sender of the interchange")?,
        recipient: needed(3, "the recipient of the interchange")?,
        reference: needed(5, "the reference of the interchange")?,
        is_test: unb.value(11, 1) == "1",
        signs,
    })
}

/// Checks the date and time of preparation (S004), YYMMDD or since version 4 CCYYMMDD, and HHMM.
fn prepared(unb: Segment<'_>) -> Result<(), Error> {
    let (date, time) = (unb.value(4, 1), unb.value(4, 2));
    let refuse = |component, value: &str, rule: &str| {
        let (field, value) = ("the preparation of the interchange".to_owned(), value);
        let value = value.chars().take(12).collect();
        Err(unb.error(4, component, Rule::Value { field, value, rule: rule.to_owned() }))
    };
    let has_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let full = if date.len() == 6 { format!("20{date}") } else { date.to_owned() };
    let parts = (full.get(..4), full.get(4..6), full.get(6..8));
    let (Some(year), Some(month), Some(day), true) =
        (parts.0, parts.1, parts.2, full.len() == 8 && has_digits(&full))
    else {
        return refuse(1, date, "write YYMMDD, or CCYYMMDD");
    };
    let day = format!("{year}-{month}-{day}");
    if format!("{day}T00:00:00Z").parse::<Timestamp>().is_err() {
        return refuse(1, date, "there is no such day; write YYMMDD, or CCYYMMDD");
    }
    let (Some(hour), Some(minute), true) =
        (time.get(..2), time.get(2..4), time.len() == 4 && has_digits(time))
    else {
        return refuse(2, time, "write HHMM");
    };
    match format!("{day}T{hour}:{minute}:00Z").parse::<Timestamp>() {
        Ok(_) => Ok(()),
        Err(_) => refuse(2, time, "there is no such time; write HHMM"),
    }
}

fn count(segment: Segment<'_>, found: u64, what: &'static str) -> Result<(), Error> {
    let stated = segment.value(1, 1);
    if stated.len() <= 10 && stated.parse() == Ok(found) {
        return Ok(());
    }
    let stated = stated.chars().take(12).collect();
    Err(segment.error(1, 1, Rule::Count { stated, found, what }))
}

fn same(segment: Segment<'_>, expected: &str, begin: &'static str) -> Result<(), Error> {
    let found = segment.value(2, 1);
    if found == expected {
        return Ok(());
    }
    let shown = |text: &str| text.chars().take(40).collect();
    let (found, expected) = (shown(found), shown(expected));
    Err(segment.error(2, 1, Rule::Reference { found, expected, begin }))
}
