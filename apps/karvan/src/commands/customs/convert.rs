//! Documents from one exchange format into another: no node, no network.
//!
//! What the target cannot carry is listed on standard error, so that standard output is the
//! document and nothing else. Of an interchange, or of an envelope of XML with many documents, one
//! is in memory at a time; the messages of an interchange are written once its envelope holds.
//!
//! Not here: the formats and what is lost in them (`karvan_customs::formats`).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write as _, stderr, stdin};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use karvan_customs::edifact::{self, Bounds, Charset, Control, Directory, Envelope, Reader};
use karvan_customs::formats::{self, Document, Format, Loss, Target};
use karvan_customs::messages::{DocumentType, SharingLevel};
use karvan_customs::wco;
use karvan_system::{Clock as _, SystemClock};
use karvan_types::limits::JSON_BYTES_MAX;
use karvan_types::{ErrorKind, Timestamp};
use serde_json::{Value, json};

use super::import;
use super::kept::Kept;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::{self, Output};

/// Longest reference of an EDIFACT interchange (data element 0020).
const REFERENCE_MAX: usize = 14;
/// Longest name of a sender or recipient (data elements 0004 and 0010).
const PARTNER_MAX: usize = 35;

/// Convert a document between canonical JSON, WCO XML, EDIFACT and UN/CEFACT; needs no node.
///
/// The document goes to standard output; what the format cannot carry is listed on standard error.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  karvan customs convert declaration.xml --to edifact\n  karvan \
    customs convert cusdec.edi --to json --reply contrl.edi\n  karvan customs convert - --from \
    json --to coo < certificate.json"
)]
pub(crate) struct Convert {
    /// The document, or `-` for standard input.
    file: PathBuf,
    /// Its format.
    #[arg(long, value_enum, default_value = "auto")]
    from: Source,
    /// The format wanted.
    #[arg(long, value_enum)]
    to: To,
    /// Directory of UN/EDIFACT to write.
    #[arg(long, value_enum, default_value = "d96b")]
    directory: EdifactDirectory,
    /// Character repertoire of EDIFACT to write, UNOA to UNOL, UNOW, UNOX or UNOY.
    #[arg(long, default_value = "UNOY", value_parser = charset)]
    charset: Charset,
    /// Sender of the EDIFACT interchange, and of the reply.
    #[arg(long, default_value = "KARVAN")]
    sender: String,
    /// Recipient of the EDIFACT interchange.
    #[arg(long, default_value = "PARTNER")]
    recipient: String,
    /// Reference of the EDIFACT interchange; made from the time unless given.
    #[arg(long)]
    reference: Option<String>,
    /// What an amendment, cancellation or response in XML is about.
    #[arg(long, value_enum, default_value = "exd")]
    about: About,
    /// Agreement that is filled in where the format states none.
    #[arg(long, default_value = "AZ-PK-PTA")]
    agreement: String,
    /// Sharing level that is filled in where the format states none.
    #[arg(long, value_enum, default_value = "l2")]
    sharing_level: Level,
    /// Where to write the answer to an EDIFACT interchange (CONTRL), also when it is refused.
    #[arg(long, value_name = "FILE")]
    reply: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Source {
    /// As the text begins.
    Auto,
    /// Canonical JSON.
    Json,
    /// WCO Data Model XML.
    Wco,
    /// UN/EDIFACT.
    Edifact,
    /// UN/CEFACT certificate of origin.
    Coo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum To {
    /// Canonical JSON.
    Json,
    /// WCO Data Model XML.
    Wco,
    /// UN/EDIFACT CUSDEC or CUSRES.
    Edifact,
    /// UN/EDIFACT CUSCAR, the cargo report of an export declaration.
    Cuscar,
    /// UN/CEFACT certificate of origin.
    Coo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EdifactDirectory {
    /// D.96B.
    D96b,
    /// D.09A.
    D09a,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum About {
    /// An export declaration.
    Exd,
    /// An import declaration.
    Imp,
    /// A certificate of origin.
    Coo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// Goods, quantities, transport.
    L1,
    /// L1 and values.
    L2,
    /// L2 and addresses.
    L3,
}

fn charset(text: &str) -> Result<Charset, String> {
    Charset::from_identifier(&text.to_ascii_uppercase())
        .ok_or_else(|| "use UNOA to UNOL, UNOW, UNOX or UNOY".to_owned())
}

pub(crate) fn run(command: &Convert, output: Output) -> Result<Outcome> {
    let mut source = open(&command.file)?;
    let now = SystemClock.now();
    let context = wco::Context {
        agreement_id: &command.agreement,
        sharing_level: match command.sharing_level {
            Level::L1 => SharingLevel::L1,
            Level::L2 => SharingLevel::L2,
            Level::L3 => SharingLevel::L3,
        },
        received_at: now,
        subject: match command.about {
            About::Exd => DocumentType::Export,
            About::Imp => DocumentType::Import,
            About::Coo => DocumentType::Certificate,
        },
    };
    let first = first_byte(&mut source)?;
    let is_edifact = matches!(command.from, Source::Edifact)
        || matches!((command.from, first), (Source::Auto, Some(b'U')));
    let mut printed = Printed { output, count: 0 };
    if is_edifact {
        let control = interchange(command, source, context, &mut printed)?;
        reply(command, &control, now)?;
        printed.end(&refused(&control))?;
        return first_refusal(&control).map_or(Ok(Outcome::Done), Err);
    }
    documents(source, first, &mut |bytes| {
        let format = match command.from {
            Source::Auto => formats::detect(&bytes)
                .ok_or(formats::Error::Format)
                .map_err(|error| failure(&error))?,
            Source::Json => Format::Json,
            Source::Wco => Format::Wco,
            Source::Edifact => Format::Edifact,
            Source::Coo => Format::Coo,
        };
        let contents = formats::read(&bytes, format, context).map_err(|error| failure(&error))?;
        contents.documents.iter().try_for_each(|read| printed.add(command, read, now))
    })?;
    printed.end(&json!([]))?;
    Ok(Outcome::Done)
}

/// Opens a file, or standard input at `-`.
fn open(file: &Path) -> Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

/// Passes a byte order mark and white space; returns the first byte behind them.
fn first_byte(source: &mut dyn BufRead) -> Result<Option<u8>> {
    import::records::skip_to_text(source).context("cannot read the document")
}

/// Gives the one document of a source that is no interchange, or each of an envelope of XML.
fn documents(
    mut source: Box<dyn BufRead>,
    first: Option<u8>,
    each: &mut dyn FnMut(Vec<u8>) -> Result<()>,
) -> Result<()> {
    let mut fitting = |bytes: Option<Vec<u8>>| {
        let Some(bytes) = bytes else {
            let text =
                format!("a document has more than {JSON_BYTES_MAX} bytes, which is the most");
            let failure = Failure::new(ErrorKind::TooLarge, text);
            return Err(failure.hint("divide it, or send an interchange").into());
        };
        each(bytes)
    };
    if first == Some(b'<') {
        let each = &mut |_, bytes| fitting(bytes);
        return import::records::xml::read(&mut source, JSON_BYTES_MAX, each);
    }
    let mut bytes = Vec::new();
    let limit = JSON_BYTES_MAX as u64 + 1;
    source.take(limit).read_to_end(&mut bytes).context("cannot read the document")?;
    fitting((bytes.len() <= JSON_BYTES_MAX).then_some(bytes))
}

/// Converts the messages of an interchange one after the other, when its envelope holds.
fn interchange(
    command: &Convert,
    source: Box<dyn BufRead>,
    context: wco::Context<'_>,
    printed: &mut Printed,
) -> Result<Control> {
    let mut kept = Kept::new(source).context("cannot keep the interchange")?;
    let is_whole = holds(&mut kept);
    let (file, _) = kept.finish().context("cannot keep the interchange")?;
    let mut result = Ok(());
    let mut each = |imported: edifact::Imported| {
        if is_whole && result.is_ok() {
            result = printed.add(command, &imported.into(), context.received_at);
        }
    };
    let control = edifact::receive_each(file, Bounds::STREAMED, context, &mut each)
        .map_err(|error| failure(&error.into()))?;
    result.map(|()| control)
}

/// Returns whether an interchange can be read to its end; what is wrong is told when it is read
/// again.
fn holds(source: impl Read) -> bool {
    let Ok(mut reader) = Reader::open_within(source, Bounds::STREAMED) else { return false };
    let mut message = edifact::Message::default();
    loop {
        match reader.next_message(&mut message) {
            Ok(false) => return true,
            Ok(true) => {}
            Err(error) if error.is_of_message() => {}
            Err(_) => return false,
        }
    }
}

/// The documents on their way out: one after the other, or in one list of JSON.
struct Printed {
    output: Output,
    count: u64,
}

impl Printed {
    fn add(&mut self, command: &Convert, read: &formats::Read, now: Timestamp) -> Result<()> {
        let (bytes, losses) = write(command, &read.document, now)?;
        self.count += 1;
        if self.output.json {
            let before = if self.count == 1 { "{\"documents\":[\n" } else { ",\n" };
            let row = row(read, (&bytes, &losses));
            return output::write(format!("{before}{row}").as_bytes());
        }
        output::write(&bytes)?;
        let told = told(read, &losses);
        stderr().lock().write_all(told.as_bytes()).context("cannot write the losses")
    }

    /// Ends the list, with what was refused.
    fn end(&self, refused: &Value) -> Result<()> {
        if !self.output.json {
            return Ok(());
        }
        let before = if self.count == 0 { "{\"documents\":[" } else { "\n" };
        output::write(format!("{before}],\"refused\":{refused}}}\n").as_bytes())
    }
}

/// Makes a failure of the command of an error of the formats.
fn failure(error: &formats::Error) -> anyhow::Error {
    Failure::new(error.kind(), error.to_string())
        .hint("docs/use/formats.md says what each format carries")
        .into()
}

fn write(command: &Convert, document: &Document, now: Timestamp) -> Result<(Vec<u8>, Vec<Loss>)> {
    let reference = reference(command, now)?;
    let directory = match command.directory {
        EdifactDirectory::D96b => Directory::D96B,
        EdifactDirectory::D09a => Directory::D09A,
    };
    let envelope = || Envelope {
        charset: command.charset,
        sender: &command.sender,
        recipient: &command.recipient,
        reference: &reference,
        prepared_at: now,
    };
    let target = match command.to {
        To::Json => Target::Json,
        To::Wco => Target::Wco,
        To::Edifact => Target::Edifact(directory, envelope()),
        To::Cuscar => Target::Cargo(directory, envelope()),
        To::Coo => Target::Coo,
    };
    formats::write(document, &target).map_err(|error| failure(&error))
}

/// Returns the reference of the interchange: as given, or the time to the hundredth of a second.
fn reference(command: &Convert, now: Timestamp) -> Result<String> {
    for (what, text, max) in [
        ("--sender", Some(&command.sender), PARTNER_MAX),
        ("--recipient", Some(&command.recipient), PARTNER_MAX),
        ("--reference", command.reference.as_ref(), REFERENCE_MAX),
    ] {
        let length = text.map_or(1, |text| text.chars().count());
        if length == 0 || length > max {
            let text = format!("{what} has {length} characters; give 1 to {max}");
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
    }
    let digits = || now.to_string().chars().filter(char::is_ascii_digit).skip(2).take(14).collect();
    Ok(command.reference.clone().unwrap_or_else(digits))
}

/// Writes the answer to an interchange.
fn reply(command: &Convert, control: &Control, now: Timestamp) -> Result<()> {
    let Some(file) = &command.reply else { return Ok(()) };
    let reference = reference(command, now)?;
    let envelope = Envelope {
        charset: command.charset,
        sender: &control.header().recipient,
        recipient: &control.header().sender,
        reference: &reference,
        prepared_at: now,
    };
    let bytes =
        control.write(&envelope).map_err(|error| Failure::new(error.kind(), error.to_string()))?;
    fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
}

/// Lists the messages of an interchange that were refused.
fn refused(control: &Control) -> Value {
    let whole = control.error.iter();
    let whole = whole.map(|error| json!({ "message": null, "error": error.to_string() }));
    let messages = control.verdicts.iter().filter_map(|verdict| {
        let error = verdict.error.as_ref()?;
        Some(json!({ "message": verdict.reference, "error": error.to_string() }))
    });
    whole.chain(messages).collect()
}

fn first_refusal(control: &Control) -> Option<anyhow::Error> {
    let refusals = control.verdicts.iter().filter_map(|verdict| verdict.error.as_ref());
    let all: Vec<_> = control.error.iter().chain(refusals).collect();
    let first = all.first()?;
    let text = match all.len() {
        1 => first.to_string(),
        count => format!("{count} faults, the first: {first}"),
    };
    Some(
        Failure::new(first.kind(), text)
            .hint("--reply FILE writes the answer for the sender; docs/use/formats.md explains it")
            .into(),
    )
}

fn row(read: &formats::Read, (bytes, losses): (&[u8], &[Loss])) -> Value {
    let rows = |losses: &[Loss]| -> Vec<Value> {
        losses.iter().map(|loss| json!({ "field": loss.field, "why": loss.why })).collect()
    };
    let notes: Vec<Value> =
        read.notes.iter().map(|note| json!({ "path": note.path, "text": note.text })).collect();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => json!({ "text": text }),
        // A repertoire other than UTF-8 is shown as bytes.
        Err(_) => json!({ "bytes": bytes }),
    };
    json!({
        "documentType": read.document.name(),
        "result": text,
        "losses": rows(losses),
        "notCarriedOver": rows(&read.not_carried_over),
        "notListed": read.not_listed,
        "notes": notes,
    })
}

/// Says what was filled in and what is not carried.
fn told(read: &formats::Read, losses: &[Loss]) -> String {
    let mut lines = String::new();
    for note in &read.notes {
        let _ = writeln!(lines, "note: {}: {}", note.path, note.text);
    }
    for (head, list) in [
        ("not carried over from the source", read.not_carried_over.as_slice()),
        ("not carried by the result", losses),
    ] {
        if !list.is_empty() {
            let _ = writeln!(lines, "{head}, {} values:", list.len());
        }
        for loss in list {
            let _ = writeln!(lines, "  {}: {}", loss.field, loss.why);
        }
    }
    if read.not_listed > 0 {
        let _ = writeln!(lines, "  and {} more", read.not_listed);
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The options of the command alone.
    #[derive(Debug, Parser)]
    struct Options {
        #[command(flatten)]
        convert: Convert,
    }

    fn options(more: &[&str]) -> Result<Convert, clap::Error> {
        let base = ["convert", "a.json", "--to", "edifact"];
        Options::try_parse_from(base.iter().chain(more)).map(|options| options.convert)
    }

    #[test]
    fn references_and_partners_have_bounds() {
        let now = "2026-10-02T06:00:00.125Z".parse().expect("an instant");
        let long = "x".repeat(PARTNER_MAX + 1);
        for (more, expected) in [
            (&[][..], Ok("26100206000012")),
            (&["--reference", "R1"], Ok("R1")),
            (&["--reference", ""], Err("--reference has 0 characters")),
            (&["--reference", "123456789012345"], Err("--reference has 15 characters")),
            (&["--sender", &long], Err("--sender has 36 characters; give 1 to 35")),
            (&["--recipient", ""], Err("--recipient has 0 characters")),
        ] {
            let found = reference(&options(more).expect("options"), now);
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => {
                    assert!(found.to_string().starts_with(expected), "{found}");
                }
                (found, expected) => panic!("{found:?} {expected:?}"),
            }
        }
    }

    #[test]
    fn a_document_has_a_bound_and_an_envelope_many_of_them() {
        let long = |length: usize| " ".repeat(length - 2) + "{}";
        let one = |text: &str| format!("<Declaration>{text}</Declaration>");
        let many = format!("<x:MetaData a='>'>{}\n{}</x:MetaData>", one("1"), one("<A/>"));
        let of = |text: String| format!("<x:MetaData a='>'>{text}</x:MetaData>");
        for (text, first, expected) in [
            (long(JSON_BYTES_MAX), b'{', Ok(vec![JSON_BYTES_MAX])),
            (long(JSON_BYTES_MAX + 1), b'{', Err("a document has more than")),
            (one(&"x".repeat(JSON_BYTES_MAX)), b'<', Err("a document has more than")),
            (many, b'<', Ok(vec![of(one("1")).len(), of(one("<A/>")).len()])),
        ] {
            let mut found = Vec::new();
            let source = Box::new(std::io::Cursor::new(text.into_bytes()));
            let result = documents(source, Some(first), &mut |bytes| {
                found.push(bytes.len());
                Ok(())
            });
            match (result, expected) {
                (Ok(()), Ok(lengths)) => assert_eq!(found, lengths),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (result, expected) => panic!("{result:?} {expected:?}"),
            }
        }
    }

    #[test]
    fn repertoires_are_those_of_the_standard() {
        assert_eq!(options(&["--charset", "unoe"]).expect("options").charset, Charset::E);
        assert!(options(&["--charset", "UTF-8"]).is_err());
    }
}
