//! The pilot: two nations on one machine, with everything that two nations need.
//!
//! [`run`] makes or recognises the data folder (`folder`), starts both nodes as processes of their
//! own (`process`), plays the shipped consignments through their local interfaces (`play`), proves
//! what was exchanged (`evidence`), tells it (`report`), and stays until it is told to end. With a
//! count it drives generated consignments at once and measures instead (`load`).
//!
//! Invariants: nothing is told from memory that a node could be asked for; the end of this process,
//! however it comes, is the end of both nodes.
//!
//! Not here: the consignments (`karvan_customs::samples`), the ceremony (`crate::setup`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use karvan_customs::samples::shipped;
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{ErrorKind, Timestamp};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;

mod calls;
mod desks;
mod evidence;
mod folder;
mod load;
mod nations;
mod play;
mod process;
mod providers;
mod record;
mod report;
mod services;
mod signals;
pub(crate) mod wait;
mod words;

use calls::Called;
use desks::Desks;
use folder::Folder;
use nations::BOTH;
use process::{NodeProcess, Usage};
use providers::Providers;
use report::Row;
use signals::Stop;

pub(crate) use load::Load;

/// How often the running nodes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the caller wants.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The data folder.
    pub(crate) dir: PathBuf,
    /// End after playing.
    pub(crate) once: bool,
    /// Drive generated consignments instead of the shipped ones.
    pub(crate) load: Option<Load>,
}

/// Both nodes.
pub(crate) struct Pair([NodeProcess; 2]);

/// A node, as the report has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeReport {
    node: String,
    pid: u32,
    local: String,
    started_in_ms: u64,
    usage: Usage,
}

/// All that the pilot tells.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    folder: PathBuf,
    /// Whether the folder was there before.
    resumed: bool,
    nodes: Vec<NodeReport>,
    consignments: Vec<Row>,
    calls: Vec<Called>,
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<load::Measured>,
    /// Whether every outcome was the expected one and every bundle holds.
    good: bool,
}

/// Runs the pilot. Returns whether everything came out as expected.
pub(crate) fn run(options: &Options, output: Output) -> Result<bool> {
    let stop = Stop::listen()?;
    let progress = Progress { silent: output.json };
    let now = SystemClock.now();
    let (folder, resumed) = Folder::open(&options.dir, now)?;
    progress.say(&words::opening(&folder, resumed));
    let mut pair = Pair::start(&folder)?;
    progress.say(&words::started(&pair.0));
    let desks = Desks::open(&folder)?;
    let providers = Providers::start(&folder)?;
    services::set(&desks, &providers)?;
    play::import_rates(&desks)?;
    let (mut rows, mut calls, mut measured) = (Vec::new(), Vec::new(), None);
    let good = if let Some(load) = &options.load {
        let driven = load::drive(load, &folder, &mut pair, &stop, progress)?;
        measured.insert(driven).good()
    } else {
        rows = play_shipped(&folder, &desks, &mut pair, &stop, progress)?;
        if !stop.wanted() {
            progress.say("Calling the services of both customs, verifying the evidence …");
            calls = calls::play(&folder, &desks)?;
        }
        let played = rows.len() == shipped().len() && rows.iter().all(Row::good);
        played && calls.iter().all(Called::good)
    };
    let nodes = pair.0.iter().map(NodeProcess::report).collect();
    let load = measured;
    let folder_shown = options.dir.clone();
    let report =
        Report { folder: folder_shown, resumed, nodes, consignments: rows, calls, load, good };
    output.print(&report, words::closing)?;
    if !options.once && !stop.wanted() {
        progress.say(&words::next_steps(&folder));
        pair.stay(&stop)?;
    }
    progress.say("Ending both nodes.");
    pair.stop();
    Ok(good)
}

/// Plays what has not been played, and reads all rows from the nodes.
fn play_shipped(
    folder: &Folder,
    desks: &Desks,
    pair: &mut Pair,
    stop: &Stop,
    progress: Progress,
) -> Result<Vec<Row>> {
    let all = shipped();
    if let Some(latest) = all.iter().map(|consignment| consignment.today).max() {
        check_clock(SystemClock.now(), latest)?;
    }
    let mut records = Vec::new();
    for (number, consignment) in (1..).zip(&all) {
        if stop.wanted() {
            break;
        }
        let before = record::Record::load(&folder.played(), &consignment.id)?;
        let record = play::play(folder, desks, consignment, || stop.wanted());
        let record = match record {
            Ok(record) => record,
            // A node that has ended is the better explanation.
            Err(error) => return Err(pair.check().err().unwrap_or(error)),
        };
        progress.say(&words::played(number, all.len(), consignment, &before, &record));
        records.push((consignment, record));
    }
    progress.say("Waiting for both nations' cosignatures, writing and verifying the bundles …");
    let mut rows = Vec::new();
    for (consignment, record) in records.iter().filter(|(_, record)| record.complete) {
        if stop.wanted() {
            break;
        }
        let proof = evidence::collect(folder, desks, &consignment.id, &record.documents)?;
        rows.push(report::row(desks, consignment, record, proof)?);
    }
    Ok(rows)
}

/// The consignments bear dates, and a node refuses what is dated in the future.
fn check_clock(now: Timestamp, latest: Timestamp) -> Result<(), Failure> {
    if now >= latest {
        return Ok(());
    }
    let text = format!("the clock of this machine says {now}; the consignments go up to {latest}");
    Err(Failure::new(ErrorKind::LocalConfig, text)
        .hint("set the clock right: documents of the future are refused"))
}

impl Pair {
    fn start(folder: &Folder) -> Result<Self> {
        let [az, pk] = BOTH;
        let (az, pk) = (process::start(folder, az)?, process::start(folder, pk)?);
        Ok(Self([az.wait()?, pk.wait()?]))
    }

    /// Returns an error when a node has ended by itself.
    fn check(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(NodeProcess::check)
    }

    /// Waits until the end is wanted, or a node ends by itself.
    fn stay(&mut self, stop: &Stop) -> Result<()> {
        while !stop.wait(LOOK_EVERY) {
            self.check()?;
        }
        Ok(())
    }

    /// Ends both nodes at the same time.
    fn stop(&mut self) {
        for node in &mut self.0 {
            node.tell_to_stop();
        }
        for node in &mut self.0 {
            node.stop();
        }
    }
}

impl NodeProcess {
    fn report(&self) -> NodeReport {
        NodeReport {
            node: self.ready.node.to_string(),
            pid: self.ready.pid,
            local: self.ready.local.clone(),
            started_in_ms: u64::try_from(self.started_in.as_millis()).unwrap_or(u64::MAX),
            usage: self.usage(),
        }
    }
}

impl Row {
    fn good(&self) -> bool {
        self.expected && self.evidence.holds()
    }
}

/// Tells a person how it goes, on standard error; a script is told nothing before the end.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    silent: bool,
}

impl Progress {
    pub(crate) fn say(self, text: &str) {
        use std::io::Write as _;
        if !self.silent && !text.is_empty() {
            // Nobody may be reading.
            let _ = writeln!(std::io::stderr().lock(), "{}", text.trim_end());
        }
    }
}

/// Returns the path as it can be pasted into a shell.
pub(crate) fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-".contains(letter);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
