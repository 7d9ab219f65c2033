//! Descriptions in YAML 1.2, read event by event with the places where things stand.
//!
//! Block and flow style, quoted and escaped texts are all understood. Nothing is expanded: an alias
//! stays one event, so no text grows. Where somebody else's reader could see other servers than
//! this one (anchors, aliases, tags and block scalars within `servers`, a merge key beside it,
//! several documents) the description is refused.
//!
//! Invariant: a text costs time in proportion to its length, and at most [`DEPTH_MAX`] levels.

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput};

use super::{Operations, VERSION, path_of, quoted, refused};
use crate::Error;

/// Most levels of a description, in block and in flow style; as many as JSON may have.
const DEPTH_MAX: usize = 128;
const ADVICE: &str = "its YAML is written in a way that is not understood here; write one document \
                      whose `servers` have no anchor, alias, tag, merge and block scalar, each \
                      with a `url`, or offer JSON";

const ODD: Error = refused(ADVICE);

/// The key by which YAML 1.1 puts one mapping into another.
const MERGE: &str = "<<";

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

/// Returns the description with its servers' addresses reduced.
pub(super) fn reduce(text: &str) -> Result<String, Error> {
    let mut addresses = Vec::new();
    let (mut version, mut servers) = (false, 0);
    read(text, |reader, key, value| {
        match key {
            "openapi" => {
                version |= value.0.scalar().is_some_and(|(text, _)| text.starts_with("3."));
            }
            "servers" => {
                servers += 1;
                return reader.servers(&value.0, &mut addresses);
            }
            MERGE => return Err(ODD),
            _ => {}
        }
        reader.skip(&value.0)
    })?;
    match (version, servers) {
        (false, _) => return Err(refused(VERSION)),
        (true, 0 | 1) => {}
        (true, _) => return Err(ODD),
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (address, span) in addresses {
        let (start, end) = span.start.byte_offset().zip(span.end.byte_offset()).ok_or(ODD)?;
        out.push_str(text.get(copied..start).ok_or(ODD)?);
        out.push_str(&quoted(path_of(&address)));
        copied = behind_comment(text, end);
    }
    out.push_str(text.get(copied..).ok_or(ODD)?);
    Ok(out)
}

/// Returns the operations of each path, by the keys that the path has.
pub(super) fn operations(text: &str) -> Result<Operations, Error> {
    let mut operations = Operations::new();
    read(text, |reader, key, value| match (key, &value.0) {
        ("paths", Event::MappingStart(..)) => reader.each(|reader, path, item| {
            let keys: &mut Vec<_> = operations.entry(path.to_owned()).or_default();
            match item.0 {
                Event::MappingStart(..) => reader.each(|reader, key, value| {
                    keys.push(key.to_owned());
                    reader.skip(&value.0)
                }),
                // What stands elsewhere is not looked for.
                _ => reader.skip(&item.0),
            }
        }),
        _ => reader.skip(&value.0),
    })?;
    Ok(operations)
}

/// Reads the one document, whose top level is a mapping; an empty text has no keys.
fn read<'t>(
    text: &'t str,
    entry: impl FnMut(&mut Reader<'t>, &str, (Event<'t>, Span)) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut options = Options::default();
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    let mut reader = Reader { parser: Parser::new_from_str_with_options(text, options) };
    let mut event = reader.next()?.0;
    while matches!(event, Event::StreamStart | Event::DocumentStart(..)) {
        event = reader.next()?.0;
    }
    match event {
        Event::StreamEnd => return Ok(()),
        Event::MappingStart(..) => reader.each(entry)?,
        _ => return Err(ODD),
    }
    match (reader.next()?.0, reader.next()?.0) {
        (Event::DocumentEnd, Event::StreamEnd) => Ok(()),
        _ => Err(ODD),
    }
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Error> {
        self.parser.next_event().and_then(Result::ok).ok_or(ODD)
    }

    /// Reads a mapping that has begun; `entry` reads each value, whose first event it is given.
    fn each(
        &mut self,
        mut entry: impl FnMut(&mut Self, &str, (Event<'t>, Span)) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let key = match self.next()?.0 {
                Event::MappingEnd => return Ok(()),
                Event::Scalar(key, ..) => key,
                _ => return Err(ODD),
            };
            let value = self.next()?;
            entry(self, &key, value)?;
        }
    }

    /// Reads the rest of a value.
    fn skip(&mut self, first: &Event<'t>) -> Result<(), Error> {
        let mut depth = step(first);
        while depth > 0 {
            depth += step(&self.next()?.0);
        }
        Ok(())
    }

    /// Reads the list of servers; nothing is an empty list.
    fn servers(
        &mut self,
        first: &Event<'t>,
        addresses: &mut Vec<(String, Span)>,
    ) -> Result<(), Error> {
        match first {
            Event::Scalar(text, ScalarStyle::Plain, 0, None)
                if matches!(&**text, "" | "~" | "null") =>
            {
                return Ok(());
            }
            Event::SequenceStart(_, 0, None) => {}
            _ => return Err(ODD),
        }
        loop {
            match self.next()?.0 {
                Event::SequenceEnd => return Ok(()),
                Event::MappingStart(_, 0, None) => {}
                _ => return Err(ODD),
            }
            let before = addresses.len();
            self.each(|reader, key, value| {
                match (key, &value.0) {
                    (MERGE, _) => return Err(ODD),
                    ("url", Event::Scalar(text, style, 0, None))
                        if !text.is_empty()
                            && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) =>
                    {
                        addresses.push((text.to_string(), value.1));
                    }
                    ("url", _) => return Err(ODD),
                    _ => {}
                }
                reader.skip(&value.0)
            })?;
            if addresses.len() != before + 1 {
                return Err(ODD);
            }
        }
    }
}

/// Returns by how many levels an event goes down.
const fn step(event: &Event<'_>) -> isize {
    match event {
        Event::SequenceStart(..) | Event::MappingStart(..) => 1,
        Event::SequenceEnd | Event::MappingEnd => -1,
        _ => 0,
    }
}

/// Returns where a line goes on behind an address: a comment beside it may repeat it.
fn behind_comment(text: &str, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let line = rest.split(['\r', '\n']).next().unwrap_or_default();
    if line.trim_start().starts_with('#') { end + line.len() } else { end }
}
