//! The answers to the interchanges of an import: a CONTRL for each, and a CUSRES for each cargo
//! report that was taken.
//!
//! What the reader found wrong is named with segment, element and component. What the node refused
//! is named by its message, with code 12; a reference that was used before, with code 26 for the
//! whole interchange.
//!
//! Not here: the messages (`karvan_customs::edifact`), what became of a record (the report).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, Result};
use karvan_customs::edifact::{
    self, Bounds, Charset, Content, Control, Directory, Envelope, Header, MessageType, Position,
    Rule, Verdict,
};
use karvan_customs::messages::{
    DocumentReference, DocumentType, FunctionCode, Header as MessageHeader, Message, Outcome,
    SharingLevel, Validation, ValidationError,
};
use karvan_customs::wco;
use karvan_system::{Clock as _, SystemClock};
use karvan_types::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;

use super::records::{Content as Bytes, OfEdifact, Record};
use super::{file_name, rows, text};

/// UN/EDIFACT 1001: general response of customs.
const RESPONSE_TYPE_CODE: &str = "961";
/// Longest reference (D026, an..35).
const REFERENCE_CHARS_MAX: usize = 35;

/// A message as its reader left it.
struct Read {
    record: u64,
    reference: String,
    kind: MessageType,
    error: Option<edifact::Error>,
}

/// What was read of one interchange.
struct Interchange {
    place: String,
    header: Header,
    messages: Vec<Read>,
    error: Option<edifact::Error>,
}

/// What was read of all interchanges, in order.
#[derive(Default)]
pub(super) struct Replies(Vec<Interchange>);

impl Replies {
    /// Notes a record, which is read once more to know what is wrong in it, and where.
    pub(super) fn note(&mut self, number: u64, record: &mut Record) {
        let Some(OfEdifact { place, header, named, error }) = record.message.take() else { return };
        if self.0.last().is_none_or(|last| last.place != place) {
            let (header, messages) = (Rc::unwrap_or_clone(header), Vec::new());
            self.0.push(Interchange { place, header, messages, error: None });
        }
        let Some(interchange) = self.0.last_mut() else { return };
        let Some((reference, kind)) = named else {
            interchange.error = error;
            return;
        };
        let error = match (&record.content, error) {
            (_, Some(error)) => Some(error),
            (Bytes::Bytes(bytes), None) => misread(bytes),
            (Bytes::Refused { text, .. }, None) => Some(refused(&reference, text.clone())),
        };
        interchange.messages.push(Read { record: number, reference, kind, error });
    }

    /// Writes the answers into a folder, by what the report says; returns how many there are.
    pub(super) fn write(self, folder: &Path, report: &Path, import: &str) -> Result<usize> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let numbers = self.0.iter().flat_map(|i| i.messages.iter().map(|read| read.record));
        let told = Told::of(report, &numbers.collect())?;
        let (now, mut names, mut count) = (SystemClock.now(), BTreeSet::new(), 0);
        for interchange in self.0 {
            let mut put = |ending: &str, bytes: Vec<u8>| {
                let file = free(folder, &interchange.place, ending, &mut names);
                count += 1;
                fs::write(&file, bytes).with_context(|| format!("cannot write {}", file.display()))
            };
            for read in &interchange.messages {
                if let Some(line) = told.cargo.get(&read.record) {
                    let bytes = cusres(&interchange.header, read, line, (import, now))?;
                    put(&format!("{}.cusres.edi", file_name(&read.reference)), bytes)?;
                }
            }
            let control = interchange.header.clone();
            let control = answer(control, interchange.messages, interchange.error, &told);
            put("contrl.edi", enveloped(&interchange.header, now, |e| control.write(e))?)?;
        }
        Ok(count)
    }
}

/// Returns what is wrong in a record that is an interchange of one message.
fn misread(bytes: &[u8]) -> Option<edifact::Error> {
    let context = wco::Context {
        agreement_id: "",
        sharing_level: SharingLevel::L1,
        received_at: SystemClock.now(),
        subject: DocumentType::Export,
    };
    let control = edifact::receive_each(bytes, Bounds::HELD, context, &mut |_| {}).ok()?;
    let errors = control.verdicts.into_iter().filter_map(|verdict| verdict.error);
    control.error.into_iter().chain(errors).next()
}

/// Makes an error about a message as a whole.
fn refused(reference: &str, why: String) -> edifact::Error {
    let position = Position {
        tag: "UNH".to_owned(),
        message: reference.to_owned(),
        segment_in_message: 1,
        ..Position::default()
    };
    let rule = Rule::Value { field: "the message".to_owned(), value: String::new(), rule: why };
    edifact::Error { position: Box::new(position), rule }
}

/// What the report says of the records that are messages of interchanges.
struct Told {
    /// Refused ones: rule and text.
    refused: BTreeMap<u64, (String, String)>,
    /// Cargo reports that were taken, as lines of the report.
    cargo: BTreeMap<u64, Value>,
}

impl Told {
    fn of(report: &Path, records: &BTreeSet<u64>) -> Result<Self> {
        let shown = || format!("cannot read {}", report.display());
        let (mut refused, mut cargo) = (BTreeMap::new(), BTreeMap::new());
        for line in BufReader::new(File::open(report).with_context(shown)?).lines() {
            let line: Value = serde_json::from_str(&line.with_context(shown)?)?;
            let number = line["record"].as_u64().unwrap_or_default();
            if !records.contains(&number) {
                continue;
            }
            // A record that waited has a later line.
            refused.remove(&number);
            match text(&line["outcome"]).as_str() {
                "rejected" => {
                    refused.insert(number, (text(&line["rule"]), text(&line["text"])));
                }
                "accepted" | "duplicate" if line["document"] == "CARGO" => {
                    cargo.insert(number, line);
                }
                _ => {}
            }
        }
        Ok(Self { refused, cargo })
    }
}

fn answer(
    header: Header,
    messages: Vec<Read>,
    error: Option<edifact::Error>,
    told: &Told,
) -> Control {
    let reused = |read: &Read| {
        let rule = told.refused.get(&read.record).map(|(rule, _)| rule.as_str());
        rule == Some("customs.interchange-reused")
    };
    let is_reused = !messages.is_empty() && messages.iter().all(reused);
    let error = error.or_else(|| {
        let rule = Rule::Duplicate(header.reference.clone());
        let position = Position {
            segment: 1,
            tag: "UNB".to_owned(),
            element: 5,
            component: 1,
            ..Position::default()
        };
        is_reused.then(|| edifact::Error { position: Box::new(position), rule })
    });
    let mut control = Control::new(header);
    control.error = error;
    control.verdicts = messages
        .into_iter()
        .map(|Read { record, reference, kind, error }| {
            let refusal = told.refused.get(&record);
            let error =
                refusal.map(|(_, why)| error.unwrap_or_else(|| refused(&reference, why.clone())));
            Verdict { reference, kind, error }
        })
        .collect();
    control
}

/// Writes the answer to a cargo report that was taken.
fn cusres(
    header: &Header,
    read: &Read,
    line: &Value,
    (import, now): (&str, Timestamp),
) -> Result<Vec<u8>> {
    let reference = format!("VAL-{}-{import}", read.record);
    let reference: String = reference.chars().take(REFERENCE_CHARS_MAX).collect();
    let remark = |note: &Value| ValidationError {
        pointer: text(&note["path"]),
        rule: "WAITS".to_owned(),
        remedy: text(&note["text"]),
    };
    let waits = rows(&line["notes"]).filter(|note| note["path"] == "declarations");
    let validation = Validation {
        header: MessageHeader {
            function_code: FunctionCode::Response,
            id: reference.clone(),
            functional_reference_id: reference,
            type_code: RESPONSE_TYPE_CODE.to_owned(),
            version_id: 1,
            issue_date_time: now,
            agreement_id: text(&line["agreementId"]),
            sharing_level: SharingLevel::deserialize(&line["sharingLevel"])
                .with_context(|| format!("the report has no sharing level of {}", read.record))?,
        },
        document: DocumentReference {
            document_type: "TRN".to_owned(),
            id: text(&line["id"]),
            version_id: None,
            functional_reference_id: Some(text(&line["reference"])),
            effective_date: None,
        },
        outcome: Outcome::Accepted,
        errors: waits.map(remark).collect(),
    };
    let content = Content::Message(Message::Validation(Box::new(validation)));
    let directory = Directory::from_name(&read.kind.directory).unwrap_or(Directory::D96B);
    enveloped(header, now, |envelope| {
        edifact::write(&content, directory, envelope).map(|written| written.bytes)
    })
}

/// Writes an answer in the repertoire of the interchange, or in UTF-8 where that lacks a character.
fn enveloped(
    header: &Header,
    now: Timestamp,
    write: impl Fn(&Envelope<'_>) -> Result<Vec<u8>, edifact::Unwritable>,
) -> Result<Vec<u8>> {
    let digits = now.to_string();
    let reference: String = digits.chars().filter(char::is_ascii_digit).skip(2).take(14).collect();
    let envelope = |charset| Envelope {
        charset,
        sender: &header.recipient,
        recipient: &header.sender,
        reference: &reference,
        prepared_at: now,
    };
    Ok(write(&envelope(header.charset)).or_else(|_| write(&envelope(Charset::Y)))?)
}

/// Returns a name in the folder that was not given before.
fn free(folder: &Path, place: &str, ending: &str, names: &mut BTreeSet<String>) -> PathBuf {
    let base = file_name(place);
    let mut name = format!("{base}.{ending}");
    let mut number = 2_u32;
    while !names.insert(name.clone()) {
        name = format!("{base}-{number}.{ending}");
        number += 1;
    }
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The answer bears the agreement and level that the node told, whatever they are.
    #[test]
    fn an_answer_is_under_the_agreement_of_its_report() {
        let now: Timestamp = "2026-10-02T06:00:00Z".parse().expect("an instant");
        let interchange = edifact::Reader::open(&b"UNB+UNOC:3+CARRIER+CUSTOMS+261002:0600+R1'"[..]);
        let header = interchange.expect("a header").header().clone();
        let read = Read {
            record: 7,
            reference: "1".to_owned(),
            kind: MessageType { name: "CUSCAR".to_owned(), directory: "D.96B".to_owned() },
            error: None,
        };
        for (agreement, level, expected) in [
            ("AZ-PK-PTA", "L2", Ok(SharingLevel::L2)),
            ("PK-AZ-PILOT", "L1", Ok(SharingLevel::L1)),
            ("AZ-PK-PTA", "L9", Err("no sharing level of 7")),
        ] {
            let line = json!({
                "record": 7, "document": "CARGO", "id": "M-1", "reference": "R-M-1",
                "agreementId": agreement, "sharingLevel": level,
            });
            let written = cusres(&header, &read, &line, ("tuesday", now));
            let (bytes, expected) = match (written, expected) {
                (Ok(bytes), Ok(expected)) => (bytes, expected),
                (Err(error), Err(words)) if error.to_string().contains(words) => continue,
                (written, _) => panic!("{line}: {written:?}"),
            };
            let context = wco::Context {
                agreement_id: "of nobody",
                sharing_level: SharingLevel::L3,
                received_at: now,
                subject: DocumentType::Export,
            };
            let mut received = edifact::receive(bytes.as_slice(), context).expect("read");
            let Content::Message(message) = received.messages.pop().expect("a message").content
            else {
                panic!("a validation")
            };
            let header = message.header();
            assert_eq!((header.agreement_id.as_str(), header.sharing_level), (agreement, expected));
        }
    }
}
