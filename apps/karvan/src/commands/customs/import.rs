//! Many documents at once: read in one thread, handed to the node in batches by another.
//!
//! At most three batches are in memory: the one at the node, the one that waits, the one that is
//! filled. The node has one transaction for each and remembers how far the import is, so after any
//! interruption the same command goes on exactly there, and the report is made whole from what the
//! node kept. That the source is still the same is told by a chain of digests.
//!
//! Not here: what a record does (`karvan_customs::bulk` and the operations of the sub-system).

pub(super) mod records;
mod replies;
mod report;
mod source;

use std::fmt::Write as _;
use std::io::{Write as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use karvan_customs::bulk::{
    self, BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Counts, NAME_CHARS_MAX, Outcome as Became,
};
use karvan_customs::messages::{DocumentType, SharingLevel};
use karvan_customs::wco;
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{Digest, ErrorKind, Timestamp};
use serde_json::{Value, json};

use self::records::{Content, Record};
use self::replies::Replies;
use self::report::Report;
use self::source::{REPORT_SUFFIX, Source};
use super::{CUSTOMS, rows, text};
use crate::client::{Client, NodeArgs};
use crate::commands::Outcome;
use crate::failure::{self, Failure};
use crate::output::{self, Output};

/// Batches that wait for the node.
const WAITING_BATCHES: usize = 1;
/// Refused records that are shown beside the summary.
const SHOWN_MAX: usize = 10;
/// Without a terminal, how many records between two lines that tell how far it is.
const TOLD_EVERY: u64 = 10_000;
/// Characters of the first record's digest in the name of an import.
const NAME_DIGEST_CHARS: usize = 12;

/// Import many documents: a folder, a file, a ZIP archive, or a stream.
///
/// Export declarations and certificates go to the partner, import declarations are filed as
/// claims, decisions are made, all in the order of the source. A file is one document in JSON, WCO
/// XML or UN/CEFACT, an EDIFACT interchange of many, or NDJSON with one in each line.
///
/// A wrong record is reported and never stops the rest. What became of each goes into the report,
/// one JSON line for each. The same command again goes on exactly where it was interrupted, and
/// takes up what waited for another document. It ends with 1 when a record was rejected or waits.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  karvan customs import outage/ --dir pk\n  karvan customs import \
    declarations.ndjson --dir az --report declarations.report\n  karvan customs import \
    certificates.zip --dir az --as AZ/GOV/AMCM\n  karvan customs import - --name tuesday --dir pk \
    < tuesday.ndjson\n  karvan customs import interchanges/ --reply answers/ --dir pk\n  karvan \
    customs import outage/ --dry-run"
)]
pub(crate) struct Import {
    /// Folder, file or ZIP archive; `-` is standard input.
    path: PathBuf,
    /// Name of the import at the node; made of the path and the first record unless given.
    #[arg(long)]
    name: Option<String>,
    /// The report; NAME.report.ndjson unless given.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Folder for the answers to EDIFACT interchanges (CONTRL), and to cargo reports (CUSRES).
    #[arg(long, value_name = "FOLDER")]
    reply: Option<PathBuf>,
    /// Only check each record by itself; needs no node and imports nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// Records on their way to the node, as JSON.
#[derive(Default)]
struct Batch {
    records: Vec<String>,
    bytes: usize,
}

/// What the reading thread hands over.
enum Read {
    /// The first record, by which an import without a name is named.
    Begun(Digest),
    /// All was read, and this is what the answers need of it.
    Replies(Replies),
    Batch(Batch),
    Checked(Value),
    Failed(anyhow::Error),
}

/// The other thread went away; it tells why.
#[derive(Debug, thiserror::Error)]
#[error("the import was given up")]
struct GivenUp;

/// How far an import is at the node.
#[derive(Clone, Copy)]
struct Position {
    records: u64,
    chain: Digest,
}

pub(crate) fn run(command: &Import, output: Output) -> Result<Outcome> {
    let length = source::length(&command.path)?;
    let began_at = SystemClock.now();
    let (sender, receiver) = sync_channel(WAITING_BATCHES);
    let (start, started) = sync_channel(1);
    let source = Source::new(&command.path, command.report.as_deref());
    let told = Told::new(output, length, &source);
    let counts = Counts::default();
    let replies = Replies::default();
    let mut session = Session { command, told, shown: Vec::new(), counts, lossy: 0, replies };
    let (is_dry, wants_replies) = (command.dry_run, command.reply.is_some());
    let result = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut replies = wants_replies.then(Replies::default);
            let read = if is_dry {
                check(&source, &sender, &mut replies)
            } else {
                fill(&source, &sender, &started, &mut replies)
            };
            let last = match read {
                Ok(()) => replies.map(Read::Replies),
                Err(error) if error.downcast_ref::<GivenUp>().is_some() => None,
                Err(error) => Some(Read::Failed(error)),
            };
            let _ = last.map(|last| sender.send(last));
        });
        // The channels close when this ends, and with them the reading.
        if is_dry { session.check(receiver) } else { session.import(receiver, start) }
    });
    session.told.bar.finish_and_clear();
    let name = result?;
    let replies = std::mem::take(&mut session.replies);
    let answers = match &command.reply {
        Some(folder) => replies.write(folder, &session.report(&name), &name)?,
        None => 0,
    };
    session.summarize(output, &name, began_at, answers)
}

/// Reads the source and checks every record.
fn check(source: &Source, sender: &SyncSender<Read>, replies: &mut Option<Replies>) -> Result<()> {
    let context = wco::Context {
        agreement_id: "AZ-PK-PTA",
        sharing_level: SharingLevel::L2,
        received_at: SystemClock.now(),
        subject: DocumentType::Export,
    };
    let mut number = 0;
    source.read(&mut |mut record| {
        number += 1;
        if let Some(replies) = replies {
            replies.note(number, &mut record);
        }
        let line = match record.content {
            Content::Bytes(bytes) => bulk::check(number, &record.place, &bytes, context),
            Content::Refused { rule, text } => {
                let code = format!("customs.{rule}");
                let refusal = karvan_subsystem::Rejection::new(ErrorKind::Invalid, code, text);
                bulk::Line::new(number, &record.place, Became::Rejected).refused(refusal)
            }
        };
        let line = serde_json::to_value(&line)?;
        sender.send(Read::Checked(line)).map_err(|_| GivenUp.into())
    })
}

/// Reads the source and makes batches of what is behind the position of the import.
fn fill(
    source: &Source,
    sender: &SyncSender<Read>,
    started: &Receiver<Position>,
    replies: &mut Option<Replies>,
) -> Result<()> {
    let (mut number, mut chain) = (0_u64, bulk::empty_chain());
    let mut position = None;
    let mut batch = Batch::default();
    source.read(&mut |mut record| {
        if position.is_none() {
            sender.send(Read::Begun(record.digest)).map_err(|_| GivenUp)?;
            position = Some(started.recv().map_err(|_| GivenUp)?);
        }
        number += 1;
        if let Some(replies) = replies {
            replies.note(number, &mut record);
        }
        chain = bulk::extend_chain(chain, record.digest);
        let Some(position) = position else { return Ok(()) };
        if number == position.records && chain != position.chain {
            return Err(changed(position.records));
        }
        if number <= position.records {
            return Ok(());
        }
        let record = write(record)?;
        if batch.records.len() >= BATCH_RECORDS_MAX || batch.bytes + record.len() > BATCH_BYTES_MAX
        {
            let full = std::mem::take(&mut batch);
            sender.send(Read::Batch(full)).map_err(|_| GivenUp)?;
        }
        batch.bytes += record.len();
        batch.records.push(record);
        Ok(())
    })?;
    match position {
        Some(position) if number < position.records => return Err(changed(position.records)),
        None => bail!(
            Failure::new(ErrorKind::Invalid, "there is nothing to import")
                .hint("give a folder or file with documents; hidden files are left aside")
        ),
        Some(_) => {}
    }
    sender.send(Read::Batch(batch)).map_err(|_| GivenUp.into())
}

fn changed(records: u64) -> anyhow::Error {
    let text = format!(
        "the source is not the one that was imported before: its first {records} records differ"
    );
    Failure::new(ErrorKind::Conflict, text)
        .hint("import it under another --name; what is here already is reported as duplicate")
        .into()
}

/// Writes a record as the operation wants it.
fn write(record: Record) -> Result<String> {
    let Record { place, digest, content, interchange, .. } = record;
    let refused = |rule: &str, text: String| {
        let why = json!({ "rule": rule, "text": text });
        json!({ "place": place, "digest": digest, "refused": why })
    };
    let value = match content {
        Content::Refused { rule, text } => refused(rule, text),
        Content::Bytes(bytes) => {
            let content = match String::from_utf8(bytes) {
                Ok(text) => json!({ "text": text }),
                Err(error) if error.as_bytes().starts_with(b"U") => {
                    json!({ "bytes": STANDARD.encode(error.as_bytes()) })
                }
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let text = format!("byte {at} of the record is not UTF-8; convert the text");
                    return Ok(serde_json::to_string(&refused("unreadable", text))?);
                }
            };
            json!({
                "place": place, "digest": digest, "content": content, "interchange": interchange,
            })
        }
    };
    let text = serde_json::to_string(&value)?;
    if text.len() > BATCH_BYTES_MAX {
        let why = format!("the record has more than {BATCH_BYTES_MAX} bytes as JSON; split it");
        return Ok(serde_json::to_string(&refused("too-large", why))?);
    }
    Ok(text)
}

/// The thread that speaks to the node and to the person.
struct Session<'a> {
    command: &'a Import,
    told: Told,
    /// The first refused records, in words.
    shown: Vec<String>,
    counts: Counts,
    /// Records of this run with values that were not carried over.
    lossy: u64,
    replies: Replies,
}

impl Session<'_> {
    fn report(&self, name: &str) -> PathBuf {
        let default = || PathBuf::from(file_name(name) + REPORT_SUFFIX);
        self.command.report.clone().unwrap_or_else(default)
    }

    /// Checks the records; returns the name under which they would be imported.
    fn check(&mut self, receiver: Receiver<Read>) -> Result<String> {
        let name = format!("{}-check", shown_name(&self.command.path));
        let mut report = Report::open(&self.report(&name), true)?;
        for read in receiver {
            match read {
                Read::Failed(error) => return Err(error),
                Read::Checked(line) => {
                    self.counts.add(became(&line));
                    report.add(std::slice::from_ref(&line))?;
                    self.tell(&[line])?;
                }
                Read::Replies(replies) => self.replies = replies,
                Read::Begun(_) | Read::Batch(_) => {}
            }
        }
        report.finish()?;
        Ok(name)
    }

    /// Hands the records to the node; returns the name of the import.
    fn import(&mut self, receiver: Receiver<Read>, start: SyncSender<Position>) -> Result<String> {
        let client = Client::open(&self.command.node)?;
        let mut reads = receiver.into_iter();
        let first = match reads.next() {
            Some(Read::Begun(first)) => first,
            Some(Read::Failed(error)) => return Err(error),
            _ => bail!("the source was not read"),
        };
        let name = self.command.name.clone().unwrap_or_else(|| {
            let digest: String = first.to_string().chars().take(NAME_DIGEST_CHARS).collect();
            format!("{}-{digest}", shown_name(&self.command.path))
        });
        let mut position = ask(&client, &name, 0)?;
        let mut report = Report::open(&self.report(&name), false)?;
        self.catch_up(&client, &name, &mut report)?;
        let records = position["import"]["position"].as_u64().unwrap_or_default();
        self.told.before = records;
        let chain = serde_json::from_value(position["import"]["chain"].take())?;
        start.send(Position { records, chain }).map_err(|_| GivenUp)?;
        drop(start);
        let mut at = records;
        for read in reads {
            let batch = match read {
                Read::Failed(error) => return Err(error),
                Read::Batch(batch) => batch,
                Read::Replies(replies) => {
                    self.replies = replies;
                    continue;
                }
                Read::Begun(_) | Read::Checked(_) => continue,
            };
            if batch.records.is_empty() && at > 0 {
                continue;
            }
            let body = format!(
                "{{\"import\":{},\"position\":{at},\"records\":[{}]}}",
                Value::from(name.as_str()),
                batch.records.join(",")
            );
            at = self.hand_in(&client, body.into_bytes(), &mut report).map_err(|error| {
                if failure::kind(&error) != ErrorKind::PeerUnavailable {
                    return error;
                }
                error.context(format!(
                    "import {name} was interrupted; the same command goes on behind record {at}"
                ))
            })?;
        }
        self.take_up(&client, &name, at, &mut report)?;
        report.finish()?;
        Ok(name)
    }

    /// Hands a batch in; returns the position behind it.
    fn hand_in(&mut self, client: &Client, body: Vec<u8>, report: &mut Report) -> Result<u64> {
        let done = client.operate_bytes(CUSTOMS, "import", body)?;
        let lines: Vec<Value> = rows(&done["lines"]).cloned().collect();
        report.add(&lines)?;
        self.counts = serde_json::from_value(done["import"]["counts"].clone())?;
        self.tell(&lines)?;
        Ok(done["import"]["position"].as_u64().unwrap_or_default())
    }

    /// Completes the report of an import that was interrupted.
    fn catch_up(&mut self, client: &Client, name: &str, report: &mut Report) -> Result<()> {
        loop {
            let known = ask(client, name, 0)?["import"]["lines"].as_u64().unwrap_or_default();
            let from = report.lines(known)?;
            let answer = ask(client, name, from)?;
            if let Ok(counts) = serde_json::from_value(answer["import"]["counts"].clone()) {
                self.counts = counts;
            }
            let lines: Vec<Value> = rows(&answer["lines"]).cloned().collect();
            if lines.is_empty() {
                return Ok(());
            }
            report.add(&lines)?;
        }
    }

    /// Has the node look once more at what waits for another document.
    fn take_up(
        &mut self,
        client: &Client,
        name: &str,
        position: u64,
        report: &mut Report,
    ) -> Result<()> {
        let mut after = (self.counts.parked > 0).then_some(0);
        while let Some(number) = after {
            let input = json!({ "import": name, "position": position, "takeUpAfter": number });
            let done = client.operate(CUSTOMS, "import", &input)?;
            let lines: Vec<Value> = rows(&done["lines"]).cloned().collect();
            report.add(&lines)?;
            self.counts = serde_json::from_value(done["import"]["counts"].clone())?;
            self.tell(&lines)?;
            after = done["takenUpTo"].as_u64();
        }
        Ok(())
    }

    /// Tells what became of records.
    fn tell(&mut self, lines: &[Value]) -> Result<()> {
        for line in lines {
            if self.told.output.json {
                output::write(format!("{line}\n").as_bytes())?;
            }
            let became = became(line);
            self.lossy += u64::from(line["notCarriedOver"].is_array());
            let is_trouble = matches!(became, Became::Rejected | Became::Parked);
            if is_trouble && self.shown.len() < SHOWN_MAX {
                self.shown.push(in_words(line));
            }
        }
        self.told.tell(self.counts)
    }

    fn summarize(
        self,
        output: Output,
        name: &str,
        began_at: Timestamp,
        answers: usize,
    ) -> Result<Outcome> {
        let Counts { accepted, rejected, duplicate, parked, checked } = self.counts;
        let records = accepted + rejected + duplicate + parked + checked;
        let millis = SystemClock.now().as_millis().saturating_sub(began_at.as_millis()).max(1);
        let rate = self.told.begun_from(records).saturating_mul(1000) / millis.unsigned_abs();
        let report = self.report(name).display().to_string();
        if output.json {
            let summary = json!({ "summary": {
                "import": name, "records": records, "accepted": accepted, "rejected": rejected,
                "duplicate": duplicate, "parked": parked, "checked": checked,
                "notCarriedOver": self.lossy, "milliseconds": millis,
                "recordsPerSecond": rate, "report": report, "answers": answers,
                "dryRun": self.command.dry_run,
            } });
            output::write(format!("{summary}\n").as_bytes())?;
        } else {
            let mut text = String::new();
            for line in &self.shown {
                let _ = writeln!(text, "{line}");
            }
            let good = if self.command.dry_run { "valid" } else { "accepted" };
            let _ = writeln!(
                text,
                "{name}: {records} records, {accepted} {good}, {duplicate} duplicates, {rejected} \
                 rejected, {parked} parked; {rate} records/s\nreport: {report}"
            );
            if checked > 0 {
                let _ = writeln!(text, "{checked} came as a test: checked, nothing was filed");
            }
            if self.lossy > 0 {
                let records = self.lossy;
                let _ = writeln!(
                    text,
                    "{records} have values that were not carried over: `notCarriedOver` in the \
                     report"
                );
            }
            if let Some(folder) = &self.command.reply {
                let _ = writeln!(text, "{answers} answers: {}", folder.display());
            }
            output::write(text.as_bytes())?;
        }
        let is_good = rejected == 0 && parked == 0;
        Ok(if is_good { Outcome::Done } else { Outcome::CheckFailed })
    }
}

fn ask(client: &Client, name: &str, from: u64) -> Result<Value> {
    client.operate(CUSTOMS, "imports", &json!({ "import": name, "from": from }))
}

fn became(line: &Value) -> Became {
    serde_json::from_value(line["outcome"].clone()).unwrap_or(Became::Rejected)
}

/// A refused record for a person.
fn in_words(line: &Value) -> String {
    let mut words =
        format!("{} {}: {}", text(&line["outcome"]), text(&line["place"]), text(&line["text"]));
    for pointer in rows(&line["pointers"]).take(SHOWN_MAX) {
        let at = text(&pointer["pointer"]);
        let _ =
            write!(words, "\n  at {at}: {}; {}", text(&pointer["rule"]), text(&pointer["remedy"]));
    }
    words
}

/// Returns the last part of a path for the name of an import.
fn shown_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "stdin".to_owned();
    }
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX - NAME_DIGEST_CHARS - 1).collect()
}

/// Returns a name of an import as a name of a file.
fn file_name(name: &str) -> String {
    let keep = |c: char| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    name.trim_start_matches('.').chars().map(keep).collect()
}

/// Tells how far it is: a bar on a terminal, else a line now and then, nothing beside JSON.
struct Told {
    output: Output,
    bar: ProgressBar,
    read: std::sync::Arc<std::sync::atomic::AtomicU64>,
    next: u64,
    /// Records that were imported before this run.
    before: u64,
}

impl Told {
    fn new(output: Output, length: Option<u64>, source: &Source) -> Self {
        let bar = match length {
            _ if output.json => ProgressBar::hidden(),
            Some(length) => ProgressBar::new(length),
            None => ProgressBar::new_spinner(),
        };
        let template = match length {
            Some(_) => "{bar:30} {bytes}/{total_bytes} {eta} {msg}",
            None => "{spinner} {bytes} {elapsed} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { output, bar, read: source.progress(), next: TOLD_EVERY, before: 0 }
    }

    fn tell(&mut self, counts: Counts) -> Result<()> {
        let Counts { accepted, rejected, duplicate, parked, checked } = counts;
        let records = accepted + rejected + duplicate + parked + checked;
        let message = format!("{records} records, {rejected} rejected, {parked} parked");
        self.bar.set_position(self.read.load(Ordering::Relaxed));
        self.bar.set_message(message.clone());
        if self.bar.is_hidden() && !self.output.json && records >= self.next {
            self.next = records - records % TOLD_EVERY + TOLD_EVERY;
            writeln!(stderr(), "{message}").context("cannot tell how far it is")?;
        }
        Ok(())
    }

    /// Returns how many records are new in this run.
    fn begun_from(&self, records: u64) -> u64 {
        records.saturating_sub(self.before)
    }
}
