//! `karvan log`: the evidence log of a running node, or of a folder that no node uses.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use karvan_ledger::{AuditKeys, Finding, Report, audit};
use karvan_system::OsDisk;
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::Outcome;
use super::status::cell;
use crate::client::{Client, NodeArgs};
use crate::config::Config;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, write};
use crate::setup::Home;

mod offline;

/// Most audits of a log that moves while it is read.
const LIVE_TRIES_MAX: usize = 10;
/// How long a finding in the log of a running node must stand to count: longer than a checkpoint
/// takes to be written.
const LIVE_PAUSE: Duration = Duration::from_millis(300);
/// How often the progress of an audit moves.
const TICK: Duration = Duration::from_millis(100);

/// Read, prove and audit the evidence log.
#[derive(Debug, Subcommand)]
pub(crate) enum Log {
    /// Print the newest checkpoint (C2SP tlog-checkpoint).
    #[command(after_help = "Example:\n  karvan log checkpoint --dir pk")]
    Checkpoint(Where),
    /// Print one entry.
    #[command(after_help = "Example:\n  karvan log entry 17 --dir pk")]
    Entry(Numbered),
    /// Print the offline proof of one entry (C2SP tlog-proof).
    #[command(after_help = "Example:\n  karvan log prove 17 --data backup/data > 17.tlog-proof")]
    Prove(Numbered),
    /// Verify a whole stored log and name what was altered; the node must not run.
    #[command(after_help = "Examples:\n  karvan log audit --dir pk\n  \
        karvan log audit --data backup/data --signed-size signed-size")]
    Audit(Audit),
}

#[derive(Args, Debug)]
pub(crate) struct Where {
    /// Read the state folder of a node instead of asking one.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Numbered {
    /// Index of the entry, from 0.
    index: u64,
    #[command(flatten)]
    at: Where,
}

#[derive(Args, Debug)]
pub(crate) struct Audit {
    /// Folder that `karvan init` made for the node.
    #[arg(long, value_name = "DIR", env = "KARVAN_DIR")]
    dir: Option<PathBuf>,
    /// State folder of a node, or a copy, instead of --dir.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// File that keeps the largest size ever signed.
    #[arg(long, value_name = "FILE", requires = "data")]
    signed_size: Option<PathBuf>,
}

pub(crate) fn run(command: Log, output: Output) -> Result<Outcome> {
    match command {
        Log::Checkpoint(at) => {
            let text = match &at.data {
                Some(data) => offline::checkpoint(data)?,
                None => Client::open(&at.node)?.get_text("/v1/log/checkpoint")?,
            };
            output.print(&json!({ "checkpoint": text }), |_| text.clone())?;
        }
        Log::Entry(Numbered { index, at }) => {
            let entry = match &at.data {
                Some(data) => offline::entry(data, index)?,
                None => Client::open(&at.node)?.get(&format!("/v1/log/entry/{index}"))?,
            };
            output.print(&entry, |entry| cell(&entry["entry"]))?;
        }
        Log::Prove(Numbered { index, at }) => {
            let proof = match &at.data {
                Some(data) => offline::proof(data, index)?,
                None => Client::open(&at.node)?.get_text(&format!("/v1/log/proof/{index}"))?,
            };
            output.print(&json!({ "index": index, "proof": proof }), |_| proof.clone())?;
        }
        Log::Audit(command) => return run_audit(&command, output),
    }
    Ok(Outcome::Done)
}

fn run_audit(command: &Audit, output: Output) -> Result<Outcome> {
    let (data, signed_size) = match (&command.data, &command.dir) {
        (Some(data), _) => (data.clone(), command.signed_size.clone()),
        (None, Some(dir)) => {
            let config = Config::load(&Home::new(dir).config())?;
            (config.node.data.clone(), Some(config.log.signed_size_file))
        }
        (None, None) => {
            let hint = "give --dir DIR, or --data FOLDER";
            return Err(Failure::config("it is not said which log to audit").hint(hint).into());
        }
    };
    let (log, witnesses) = offline::verifiers(&data)?;
    let keys =
        AuditKeys { log: &*log, witnesses: &witnesses, signed_size_file: signed_size.as_deref() };
    let bar = ProgressBar::new_spinner().with_message("reading every entry, bundle and tile");
    bar.enable_steady_tick(TICK);
    let report = audit_still(&data, &keys)?;
    bar.finish_and_clear();
    let good = report.is_good();
    output.print(&as_json(&report), |_| describe(&report))?;
    if signed_size.is_none() && !output.json {
        write(b"Not checked: whether the log was rolled back; give --signed-size.\n")?;
    }
    Ok(if good { Outcome::Done } else { Outcome::EvidenceFailed })
}

/// Audits a log, also that of a running node: what is found while a checkpoint is being made may
/// merely be under way, so it counts only when the log stood still meanwhile.
#[expect(clippy::disallowed_methods, reason = "a command has no runtime to wait in")]
fn audit_still(data: &Path, keys: &AuditKeys<'_>) -> Result<Report> {
    for _ in 0..LIVE_TRIES_MAX {
        let before = offline::checkpoint(data).ok();
        let report = audit(Arc::new(OsDisk), &data.join("log"), keys);
        if report.as_ref().is_ok_and(Report::is_good) || !is_running(data) {
            return Ok(report?);
        }
        std::thread::sleep(LIVE_PAUSE);
        if before == offline::checkpoint(data).ok() {
            return Ok(report?);
        }
    }
    let text = format!("the log in {} is written faster than it can be audited", data.display());
    let hint = "audit a copy of the folder, or when the node has less to do";
    Err(Failure::new(ErrorKind::Conflict, text).hint(hint).into())
}

/// Returns whether a node has this folder open.
fn is_running(data: &Path) -> bool {
    let Ok(file) = std::fs::File::open(data.join("state").join("state.lock")) else { return false };
    matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))
}

fn as_json(report: &Report) -> Value {
    json!({
        "good": report.is_good(),
        "entries": report.entries,
        "checkpoint": report.checkpoint.as_ref().map(|checkpoint| checkpoint.size),
        "witnessed": report.witnessed.as_ref().map(|checkpoint| checkpoint.size),
        "findings": report.findings.iter().map(finding_as_json).collect::<Vec<_>>(),
        "unfinished": report.unfinished.as_ref().map(finding_as_json),
    })
}

fn finding_as_json(finding: &Finding) -> Value {
    json!({ "file": finding.file, "entry": finding.entry, "problem": finding.problem })
}

fn describe(report: &Report) -> String {
    let mut text = String::new();
    for Finding { file, entry, problem } in report.findings.iter().chain(&report.unfinished) {
        let at = entry.map(|entry| format!(", entry {entry}")).unwrap_or_default();
        let _ = writeln!(text, "✗ {}{at}: {problem}", file.display());
    }
    let size = |checkpoint: &Option<karvan_evidence::Checkpoint>| {
        checkpoint.as_ref().map_or("nothing".to_owned(), |checkpoint| checkpoint.size.to_string())
    };
    let (signed, cosigned) = (size(&report.checkpoint), size(&report.witnessed));
    let verdict = match (report.findings.len(), &report.unfinished) {
        (0, None) => "the log is whole and as it was signed".to_owned(),
        (0, Some(_)) => "the log is as it was signed, but its last write is cut short".to_owned(),
        (count, _) => format!("the log was altered: {count} findings"),
    };
    text + &format!(
        "{} entries, signed up to {signed}, cosigned up to {cosigned}: {verdict}\n",
        report.entries
    )
}

/// Reads a small file of the log.
fn read(path: &Path) -> Result<Vec<u8>> {
    /// Longest bundle of entries, in bytes: 256 entries of 64 KiB.
    const BYTES_MAX: u64 = 256 * (64 * 1024 + 2);
    files::read(path, BYTES_MAX)
}
