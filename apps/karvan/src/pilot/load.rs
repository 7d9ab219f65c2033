//! Drives generated consignments through both nodes at once, and measures.
//!
//! Each worker plays one consignment after another: certificate, export declaration, claim once
//! both have arrived, decision. The time ends when the last answer has been delivered. Processor
//! time is that of the nodes' processes, and includes what the workers' own questions cost them.
//!
//! Not here: the consignments (`karvan_customs::samples::generate`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use karvan_customs::samples::{Consignment, generate};
use karvan_system::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::Value;

use super::desks::{Desks, exchanges_of};
use super::evidence;
use super::folder::Folder;
use super::play;
use super::process::{NodeProcess, Usage};
use super::record::Sent;
use super::signals::Stop;
use super::wait::Stopwatch;
use super::{NodeReport, Pair, Progress, nations};

/// Most unexpected outcomes that are told.
const TROUBLES_MAX: usize = 20;
/// How many steps of progress are told.
const STEPS_TOLD: usize = 10;

/// What is to be driven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) count: usize,
    /// The same seed gives the same consignments, and plays each of them once in a folder.
    pub(crate) seed: Option<u64>,
    pub(crate) at_once: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Measured {
    consignments: usize,
    played: usize,
    at_once: usize,
    seed: u64,
    seconds: f64,
    consignments_per_second: f64,
    documents: u64,
    documents_per_second: f64,
    outcomes: BTreeMap<String, usize>,
    unexpected: usize,
    nodes: Vec<Cost>,
    /// Processor seconds of the pilot itself: the load, not the exchange.
    pilot_cpu_seconds: f64,
    bundles: usize,
    verified: usize,
    problems: Vec<String>,
}

/// What a node's process used.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cost {
    node: String,
    cpu_seconds: f64,
    cpu_ms_per_document: f64,
    resident_kib: u64,
}

/// What a worker knows about one consignment in the end.
struct Outcome {
    state: String,
    problems: Vec<String>,
    /// The document that stands for the consignment in the evidence.
    last: Option<Sent>,
}

impl Measured {
    /// Returns whether all were played, came out as expected and are proven.
    pub(crate) fn good(&self) -> bool {
        self.played == self.consignments && self.problems.is_empty() && self.verified == self.played
    }

    pub(super) fn describe(&self, nodes: &[NodeReport]) -> String {
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(state, count)| format!("{state} {count}")).collect();
        let mut text = format!(
            "\n{} of {} consignments played, {} at once, seed {}: {}\n\
             {:.1} s: {:.1} consignments/s, {:.1} documents/s ({} documents delivered)\n\
             {} not as expected; {} of {} evidence bundles verify offline, from the root alone\n",
            self.played,
            self.consignments,
            self.at_once,
            self.seed,
            outcomes.join(", "),
            self.seconds,
            self.consignments_per_second,
            self.documents_per_second,
            self.documents,
            self.unexpected,
            self.verified,
            self.bundles,
        );
        for (cost, node) in self.nodes.iter().zip(nodes) {
            let _ = writeln!(
                text,
                "{}: {:.2} s of processor time, {:.2} ms for each document, {} MiB resident, \
                 started in {} ms",
                cost.node,
                cost.cpu_seconds,
                cost.cpu_ms_per_document,
                cost.resident_kib / 1024,
                node.started_in_ms,
            );
        }
        let _ =
            writeln!(text, "the pilot itself: {:.2} s of processor time", self.pilot_cpu_seconds);
        for problem in &self.problems {
            let _ = writeln!(text, "✗ {problem}");
        }
        text
    }
}

/// Drives the load, then proves one document of each consignment.
pub(super) fn drive(
    load: &Load,
    folder: &Folder,
    pair: &mut Pair,
    stop: &Stop,
    progress: Progress,
) -> Result<Measured> {
    let seed = load.seed.unwrap_or_else(|| SystemClock.now().as_millis().unsigned_abs());
    let all = generate(load.count, seed);
    let desks = Desks::open(folder)?;
    let documents = desks.delivered()?;
    let before = Before::of(pair);
    let stopped = stop.flag();
    let parallel = Parallel { at_once: load.at_once, folder, stopped: &stopped };
    progress.say(&format!("Playing {} consignments, {} at once …", all.len(), load.at_once));
    let told = AtomicUsize::new(0);
    let since = Stopwatch::start();
    let outcomes = parallel.each(&all, |desks, consignment| {
        let outcome = play_one(desks, consignment)?;
        let count = told.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_multiple_of(all.len().div_ceil(STEPS_TOLD).max(1)) {
            progress.say(&format!("[{count}/{}]", all.len()));
        }
        Ok(outcome)
    });
    let outcomes = outcomes.map_err(|error| pair.check().err().unwrap_or(error))?;
    desks.settle()?;
    let seconds = since.elapsed().as_secs_f64();
    let documents = desks.delivered()? - documents;
    let mut measured = Measured {
        consignments: all.len(),
        played: outcomes.len(),
        at_once: load.at_once,
        seed,
        seconds,
        consignments_per_second: outcomes.len() as f64 / seconds,
        documents,
        documents_per_second: documents as f64 / seconds,
        ..Measured::default()
    };
    before.costs(pair, &mut measured);
    for (consignment, outcome) in &outcomes {
        *measured.outcomes.entry(outcome.state.clone()).or_default() += 1;
        measured.unexpected += usize::from(!outcome.problems.is_empty());
        let problems = outcome.problems.iter();
        let problems = problems.map(|problem| format!("{}: {problem}", consignment.id));
        let room = TROUBLES_MAX.saturating_sub(measured.problems.len());
        measured.problems.extend(problems.take(room));
    }
    progress.say("Writing and verifying one evidence bundle for each consignment …");
    prove(&parallel, &outcomes, &mut measured)?;
    Ok(measured)
}

/// Reads the nodes' usage before the load.
struct Before {
    nodes: Vec<Usage>,
    own: Usage,
}

impl Before {
    fn of(pair: &Pair) -> Self {
        Self {
            nodes: pair.0.iter().map(NodeProcess::usage).collect(),
            own: Usage::of(std::process::id()),
        }
    }

    fn costs(&self, pair: &Pair, measured: &mut Measured) {
        for (node, before) in pair.0.iter().zip(&self.nodes) {
            let usage = node.usage();
            let cpu_seconds = usage.cpu_seconds - before.cpu_seconds;
            measured.nodes.push(Cost {
                node: node.ready.node.to_string(),
                cpu_seconds,
                cpu_ms_per_document: cpu_seconds * 1000.0 / (measured.documents.max(1) as f64),
                resident_kib: usage.resident_kib,
            });
        }
        let own = Usage::of(std::process::id());
        measured.pilot_cpu_seconds = own.cpu_seconds - self.own.cpu_seconds;
    }
}

/// Workers over a list.
struct Parallel<'a> {
    at_once: usize,
    folder: &'a Folder,
    stopped: &'a std::sync::atomic::AtomicBool,
}

impl Parallel<'_> {
    /// Calls `work` for each item, on several threads that have desks of their own. Returns the
    /// results in the order of the items; those after a stop are missing. The first error ends all.
    fn each<'t, T: Sync, R: Send>(
        &self,
        items: &'t [T],
        work: impl Fn(&Desks, &T) -> Result<R> + Sync,
    ) -> Result<Vec<(&'t T, R)>> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(BTreeMap::new());
        let failure = Mutex::new(None);
        let lock = PoisonError::into_inner;
        let run = || -> Result<()> {
            let desks = Desks::open(self.folder)?;
            while !self.stopped.load(Ordering::Acquire)
                && failure.lock().unwrap_or_else(lock).is_none()
            {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { break };
                let result = work(&desks, item)?;
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(index, (item, result));
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            for _ in 0..self.at_once.min(items.len()) {
                scope.spawn(|| {
                    if let Err(error) = run() {
                        failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(results.into_values().collect())
    }
}

fn play_one(desks: &Desks, consignment: &Consignment) -> Result<Outcome> {
    let mut outcome = Outcome { state: "open".to_owned(), problems: Vec::new(), last: None };
    let mut under_way = Vec::new();
    for step in &consignment.steps {
        let (nation, member) = nations::actor(consignment, step.actor)?;
        if step.operation == "claim" {
            for (nation, exchange) in under_way.drain(..) {
                desks.await_handover(nation, exchange)?;
            }
        }
        let client = desks.of(nation, Some(&member))?;
        let found = play::operate(client, &step.operation, &step.input)
            .with_context(|| consignment.id.clone())?;
        let code = found.as_ref().map_err(|refusal| refusal.code.as_str());
        if let Err(problem) = step.check(code) {
            outcome.problems.push(format!("{}: {problem}", step.operation));
        }
        let Ok(output) = found else { continue };
        if let Some(state) = output.get("state").and_then(Value::as_str) {
            state.clone_into(&mut outcome.state);
        }
        for exchange in exchanges_of(&output) {
            under_way.push((nation, exchange));
            outcome.last = Some(Sent { from: nation.folder.to_owned(), exchange });
        }
    }
    Ok(outcome)
}

fn prove(
    parallel: &Parallel<'_>,
    outcomes: &[(&Consignment, Outcome)],
    measured: &mut Measured,
) -> Result<()> {
    let proofs = parallel.each(outcomes, |desks, (consignment, outcome)| {
        let documents: Vec<_> = outcome.last.iter().cloned().collect();
        evidence::collect(parallel.folder, desks, &consignment.id, &documents)
    })?;
    for (_, proof) in proofs {
        measured.bundles += proof.documents;
        measured.verified += proof.verified;
        let room = TROUBLES_MAX.saturating_sub(measured.problems.len());
        measured.problems.extend(proof.problems.into_iter().take(room));
    }
    Ok(())
}
