//! `karvan transfers`: the data of an agreement, from asking for it to its last byte.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use http::StatusCode;
use http::header::ETAG;
use karvan_types::AgreementRef;
use serde_json::{Value, json};

use super::Outcome;
use super::agreements::{describe_process, describe_timeline, items, process_table};
use super::catalog::segment;
use super::processes::{self, List, Process, Reasoned, steer};
use crate::client::{Client, NodeArgs};
use crate::files;
use crate::output::Output;

/// Where transfers are in the local interface.
const TRANSFERS: &str = "/v1/transfers";
/// Longest tag of data, in bytes.
const TAG_BYTES_MAX: u64 = 4 * 1024;

/// Fetch the data that an agreement gives access to.
#[derive(Debug, Subcommand)]
pub(crate) enum Transfers {
    /// Ask the provider for the data of an agreement; it starts when the provider says so.
    #[command(after_help = "Example:\n  karvan transfers request \
        urn:karvan:agreement:dsp-019a…:1 --dir az")]
    Request(Request),
    /// List transfers, the newest first.
    #[command(after_help = "Example:\n  karvan transfers list --dir az")]
    List(List),
    /// Show a transfer with every message of both sides and its evidence.
    #[command(after_help = "Example:\n  karvan transfers show urn:uuid:019a… --dir az")]
    Show(Process),
    /// Start a transfer that the other side asked for, or resume a suspended one.
    #[command(after_help = "Example:\n  karvan transfers start urn:uuid:019a… --dir pk")]
    Start(Process),
    /// Suspend a transfer; nothing can be fetched until it is started again.
    #[command(after_help = "Example:\n  karvan transfers suspend urn:uuid:019a… \
        --reason 'maintenance until 14:00 UTC' --dir pk")]
    Suspend(Reasoned),
    /// Say that all data went over.
    #[command(after_help = "Example:\n  karvan transfers complete urn:uuid:019a… --dir az")]
    Complete(Process),
    /// End a transfer before its time.
    #[command(after_help = "Example:\n  karvan transfers terminate urn:uuid:019a… \
        --reason 'the wrong register' --dir az")]
    Terminate(Reasoned),
    /// Fetch the data of a started transfer.
    ///
    /// What arrives is kept beside FILE as FILE.part; when it breaks off, --resume goes on there if
    /// the data is still the same, and begins anew if it is not.
    #[command(after_help = "Examples:\n  karvan transfers get urn:uuid:019a… --out register.json \
        --dir az\n  karvan transfers get urn:uuid:019a… --out register.json --resume --dir az")]
    Get(Get),
}

#[derive(Args, Debug)]
pub(crate) struct Request {
    /// The agreement: its ODRL id, or `id;version;digest`.
    agreement: String,
    /// How the data travels, as the catalog says.
    #[arg(long, value_name = "FORMAT", default_value = "HttpData-PULL")]
    format: String,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Args, Debug)]
pub(crate) struct Get {
    /// Process id of the transfer.
    id: String,
    /// One item of a folder; the data itself is then the list of items.
    #[arg(long, value_name = "NAME")]
    item: Option<String>,
    /// Where to write it; standard output unless given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Go on where an earlier attempt broke off.
    #[arg(long, requires = "out")]
    resume: bool,
    #[command(flatten)]
    node: NodeArgs,
}

pub(crate) fn run(command: Transfers, output: Output) -> Result<Outcome> {
    match command {
        Transfers::Request(Request { agreement, format, node }) => {
            let asked = json!({ "agreement": odrl_id(&agreement), "format": format });
            let process = Client::open(&node)?.post_json(TRANSFERS, &asked)?;
            output.print(&process, describe_process)?;
        }
        Transfers::List(List { waiting, limit, node }) => {
            let path = format!("{TRANSFERS}?waiting={waiting}&limit={limit}");
            let transfers = Client::open(&node)?.get(&path)?;
            output.print(&transfers, |transfers| {
                let transfers: Vec<_> = items(transfers).collect();
                if transfers.is_empty() {
                    "no transfers; `karvan transfers request --help` shows how\n".to_owned()
                } else {
                    process_table(&transfers)
                }
            })?;
        }
        Transfers::Show(Process { id, node }) => {
            let shown = Client::open(&node)?.get(&processes::path(TRANSFERS, &id))?;
            output.print(&shown, describe_timeline)?;
        }
        Transfers::Start(process) => {
            steer((TRANSFERS, &process), "start", &json!({}), output)?;
        }
        Transfers::Complete(process) => {
            steer((TRANSFERS, &process), "complete", &json!({}), output)?;
        }
        Transfers::Suspend(Reasoned { process, reason }) => {
            steer((TRANSFERS, &process), "suspend", &json!({ "reason": reason }), output)?;
        }
        Transfers::Terminate(Reasoned { process, reason }) => {
            steer((TRANSFERS, &process), "terminate", &json!({ "reason": reason }), output)?;
        }
        Transfers::Get(command) => get(&command, output)?,
    }
    Ok(Outcome::Done)
}

/// Returns the ODRL id of an agreement that is named as the book names it.
fn odrl_id(name: &str) -> String {
    name.parse::<AgreementRef>().map_or_else(
        |_| name.to_owned(),
        |known| format!("urn:karvan:agreement:{}:{}", known.id, known.version),
    )
}

/// The file that grows as data arrives, and the one with the tag of that data.
struct Partial {
    data: PathBuf,
    tag: PathBuf,
}

impl Partial {
    fn beside(out: &Path) -> Self {
        let named = |end: &str| {
            let mut name = out.as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self { data: named(".part"), tag: named(".part.tag") }
    }

    /// Returns from which byte on data is to be fetched, and of which data; nothing when that is
    /// not known. The last byte is fetched again: of a file that is whole there is nothing behind
    /// it, and that would be refused.
    fn known(&self) -> Option<(u64, String)> {
        let length = std::fs::metadata(&self.data).ok()?.len();
        let tag = files::read(&self.tag, TAG_BYTES_MAX).ok()?;
        Some((length.checked_sub(1)?, String::from_utf8(tag).ok()?))
    }

    /// Opens the file for what an answer brings: what is behind these bytes, or all of it.
    fn open(&self, head: &http::response::Parts, from: u64) -> Result<File> {
        let what = || format!("cannot write {}", self.data.display());
        if head.status == StatusCode::PARTIAL_CONTENT {
            let file = OpenOptions::new().append(true).open(&self.data).with_context(what)?;
            file.set_len(from).with_context(what)?;
            return Ok(file);
        }
        let file = File::create(&self.data).with_context(what)?;
        match head.headers.get(ETAG) {
            Some(tag) => files::write(&self.tag, tag.as_bytes())?,
            None if self.tag.exists() => std::fs::remove_file(&self.tag).with_context(what)?,
            None => {}
        }
        Ok(file)
    }

    /// Puts the whole file in its place.
    fn finish(&self, out: &Path) -> Result<u64> {
        let what = || format!("cannot write {}", out.display());
        let file = File::open(&self.data).with_context(what)?;
        file.sync_all().with_context(what)?;
        std::fs::rename(&self.data, out).with_context(what)?;
        let _ = std::fs::remove_file(&self.tag);
        Ok(file.metadata().with_context(what)?.len())
    }
}

fn get(command: &Get, output: Output) -> Result<()> {
    let client = Client::open(&command.node)?;
    let item = command.item.as_deref().map(|item| format!("/{}", segment(item)));
    let process = processes::path(TRANSFERS, &command.id);
    let path = format!("{process}/data{}", item.unwrap_or_default());
    let Some(out) = &command.out else {
        client.download(&path, &mut std::io::stdout().lock())?;
        return Ok(());
    };
    let partial = Partial::beside(out);
    let known = if command.resume { partial.known() } else { None };
    let from = known.as_ref().map(|(begin, tag)| (*begin, tag.as_str()));
    let begin = from.map_or(0, |(begin, _)| begin);
    let fetched = client.download_part(&path, from, |head| partial.open(head, begin))?;
    let tag = partial.known().map(|(_, tag)| tag);
    let bytes = partial.finish(out)?;
    let told = json!({ "file": out, "bytes": bytes, "fetched": fetched, "tag": tag });
    output.print(&told, |_: &Value| {
        format!("{} ({bytes} bytes, {fetched} of them now)\n", out.display())
    })
}
