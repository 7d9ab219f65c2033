//! The messages of an interchange, each as an interchange of its own with the envelope of all.
//!
//! The interchange is read to its end first, so that every count is checked before a message is
//! given out, and kept in a file without a name meanwhile.
//!
//! Invariant: memory holds one message, and where the others are.

use std::fs::File;
use std::io::{BufRead, Read as _, Seek as _, SeekFrom};
use std::rc::Rc;

use anyhow::Result;
use karvan_customs::bulk::RECORD_BYTES_MAX;
use karvan_customs::edifact::{self, Bounds, Header, Message, MessageType, Reader};

use super::{OfEdifact, Record, Sink, Whole};
use crate::commands::customs::kept::Kept;

/// A message of an interchange.
struct Found {
    reference: String,
    kind: MessageType,
    /// First byte of UNH and the byte after UNT, or what is wrong with the message.
    span: Result<(u64, u64), edifact::Error>,
}

/// What is put around each message.
struct Envelope {
    /// UNA, if there is one, and UNB.
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Gives a record for each message.
pub(super) fn read(source: &mut impl BufRead, name: &str, sink: &mut Sink<'_>) -> Result<()> {
    let mut kept = Kept::new(source)?;
    let mut reader = match Reader::open_within(&mut kept, Bounds::STREAMED) {
        Ok(reader) => reader,
        // Nobody can be answered.
        Err(error) => {
            return sink(Record::refused(name.to_owned(), "unreadable", error.to_string()));
        }
    };
    let header = Rc::new(reader.header().clone());
    let head = reader.used();
    let found = messages(&mut reader);
    drop(reader);
    let (mut file, digest) = kept.finish()?;
    let of = |named, error| OfEdifact {
        place: name.to_owned(),
        header: Rc::clone(&header),
        named,
        error,
    };
    let found = match found {
        Ok(found) => found,
        // A fault of the envelope is one of the whole interchange.
        Err(error) => {
            let record = Record::refused(name.to_owned(), "unreadable", error.to_string());
            return sink(Record { message: Some(of(None, Some(error))), ..record });
        }
    };
    let envelope = Envelope { head: cut(&mut file, 0, head)?, tail: tail(&header) };
    let whole = Whole { place: name.to_owned(), digest };
    for Found { reference, kind, span } in found {
        let place = format!("{name} message {reference}");
        let (record, error) = match span {
            Err(error) => (Record::refused(place, "unreadable", error.to_string()), Some(error)),
            Ok((from, to)) if to - from > RECORD_BYTES_MAX as u64 => {
                (Record::too_large(place), None)
            }
            Ok((from, to)) => {
                let bytes = cut(&mut file, from, to)?;
                (
                    Record::new(place, [envelope.head.as_slice(), &bytes, &envelope.tail].concat()),
                    None,
                )
            }
        };
        let message = Some(of(Some((reference, kind)), error));
        sink(Record { interchange: Some(whole.clone()), message, ..record })?;
    }
    Ok(())
}

/// Reads an interchange to its end, and tells where its messages are.
fn messages(reader: &mut Reader<impl std::io::Read>) -> Result<Vec<Found>, edifact::Error> {
    let mut found = Vec::new();
    let mut message = Message::default();
    loop {
        let span = match reader.next_message(&mut message) {
            Ok(false) => return Ok(found),
            Ok(true) => {
                let from = message.first().map_or(0, |unh| unh.position(0, 0).byte);
                Ok((from, reader.used()))
            }
            Err(error) if error.is_of_message() => Err(error),
            Err(error) => return Err(error),
        };
        let (reference, kind) = (message.reference.clone(), message.kind.clone());
        found.push(Found { reference, kind, span });
    }
}

/// Reads the bytes between two places.
fn cut(file: &mut File, from: u64, to: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or_default()];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Writes UNZ of an interchange of one message.
fn tail(header: &Header) -> Vec<u8> {
    let signs = header.signs;
    let mut tail = b"UNZ".to_vec();
    tail.extend([signs.element, b'1', signs.element]);
    for byte in header.reference.bytes() {
        let is_sign = [signs.component, signs.element, signs.release, signs.terminator];
        if is_sign.contains(&byte) {
            tail.push(signs.release);
        }
        tail.push(byte);
    }
    tail.push(signs.terminator);
    tail
}
