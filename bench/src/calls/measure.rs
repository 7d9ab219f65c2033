//! Runs of all targets in turn, and what each used of the machine.
//!
//! A round loads every target once, every other round in the opposite order, so that what else the
//! machine does falls on all of them alike. Before each run the target is asked whether its answer
//! is ours, and loaded for a while so that pools are filled and code is warm.
//!
//! What else runs on the machine changes even the processor time of a call: it was seen to fall by
//! a third while a build kept one of two processors busy. So a run waits until the machine is
//! quiet, and one that was disturbed is repeated. What other guests do on the host cannot be seen
//! from here: the time of the upstream, whose work is always the same, tells how fast the machine
//! was during a run.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use karvan_bench::process;
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep};

use crate::load::{Counted, Load};
use crate::nginx::Upstream;
use crate::target::{Target, check_answer};

/// Processors that everything else may keep busy during a run that is called quiet.
const OTHERS_MAX: f64 = 0.05;
/// How long the machine is watched to see whether it is quiet.
const WATCH: Duration = Duration::from_millis(500);
/// How long to wait for that before a run is made anyway.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a run is made until it is quiet.
const ATTEMPTS: u32 = 4;

/// All that runs need.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) load: &'a Load,
    pub(crate) upstream: &'a Upstream,
    pub(crate) targets: &'a [&'a dyn Target],
    /// Seconds before a run that are not counted.
    pub(crate) warm_up: u32,
    /// Seconds of a run.
    pub(crate) seconds: u32,
}

/// One run of one target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    pub(crate) target: &'static str,
    pub(crate) connections: u16,
    pub(crate) round: u32,
    pub(crate) counted: Counted,
    /// Processor time for each answer in µs, for each of the target's processes in order.
    pub(crate) cpu_micros: Vec<f64>,
    /// The same of the upstream.
    pub(crate) upstream_micros: f64,
    /// The same of the load generator.
    pub(crate) load_micros: f64,
    /// Processors that everything else on the machine kept busy meanwhile.
    pub(crate) others_processors: f64,
    /// Resident memory under load in KiB, for each of the target's processes in order. Pages that
    /// a process and its children share count for each of them.
    pub(crate) resident_kib: Vec<u64>,
}

/// Seconds of processor time that were used up to some moment.
struct Used {
    /// The processes whose time this is.
    pids: Vec<u32>,
    target: Vec<f64>,
    upstream: f64,
    load: f64,
    machine: f64,
}

impl Run {
    /// Returns whether the machine did little else.
    pub(crate) fn quiet(&self) -> bool {
        self.others_processors <= OTHERS_MAX
    }
}

impl Bench<'_> {
    /// Runs one round with a number of connections.
    pub(crate) fn round(&self, round: u32, connections: u16) -> Result<Vec<Run>> {
        let mut order: Vec<_> = self.targets.to_vec();
        if !round.is_multiple_of(2) {
            order.reverse();
        }
        order.into_iter().map(|target| self.run(target, round, connections)).collect()
    }

    /// Asks a target for our answer and fills its pools.
    pub(crate) fn prepare(&self, target: &dyn Target, connections: u16) -> Result<()> {
        self.runtime.block_on(check_answer(target, &self.upstream.answer))?;
        self.load.run(target, connections, self.warm_up, &[])?;
        Ok(())
    }

    /// Returns the first run that is quiet or void, or else the quietest: errors are not repeated
    /// away.
    fn run(&self, target: &dyn Target, round: u32, connections: u16) -> Result<Run> {
        let mut best: Option<Run> = None;
        for _ in 0..ATTEMPTS {
            self.await_quiet()?;
            let run = self.attempt(target, round, connections)?;
            if run.quiet() || !run.counted.good() {
                return Ok(run);
            }
            if best.as_ref().is_none_or(|best| run.others_processors < best.others_processors) {
                best = Some(run);
            }
        }
        best.context("at least one attempt")
    }

    fn await_quiet(&self) -> Result<()> {
        let deadline = Instant::now() + QUIET_WAIT_MAX;
        let mut before = process::cpu_seconds_of_machine()?;
        loop {
            self.runtime.block_on(async { sleep(WATCH).await });
            let now = process::cpu_seconds_of_machine()?;
            if now - before <= OTHERS_MAX * WATCH.as_secs_f64() || Instant::now() > deadline {
                return Ok(());
            }
            before = now;
        }
    }

    fn attempt(&self, target: &dyn Target, round: u32, connections: u16) -> Result<Run> {
        self.prepare(target, connections)?;
        let before = self.used(target)?;
        let counted = self.load.run(target, connections, self.seconds, &[])?;
        let after = self.used(target)?;
        ensure!(before.pids == after.pids, "a process of {} died under load", target.name());
        let each = |seconds: f64| seconds / counted.requests as f64 * 1e6;
        let cpu: Vec<_> = after.target.iter().zip(&before.target).map(|(a, b)| a - b).collect();
        let (upstream, load) = (after.upstream - before.upstream, after.load - before.load);
        let others = after.machine - before.machine - upstream - load - cpu.iter().sum::<f64>();
        let sum = |pid: &u32| -> Result<u64> {
            process::tree(*pid)?.into_iter().map(|pid| process::memory_kib(pid, "VmRSS")).sum()
        };
        Ok(Run {
            target: target.name(),
            connections,
            round,
            cpu_micros: cpu.into_iter().map(each).collect(),
            upstream_micros: each(upstream),
            load_micros: each(load),
            others_processors: others.max(0.0) / (counted.micros as f64 / 1e6),
            resident_kib: target.pids().iter().map(sum).collect::<Result<_>>()?,
            counted,
        })
    }

    fn used(&self, target: &dyn Target) -> Result<Used> {
        let roots = target.pids();
        let trees = roots.iter().map(|&pid| process::tree(pid)).collect::<Result<Vec<_>>>()?;
        Ok(Used {
            pids: trees.concat(),
            target: roots.iter().map(|&pid| of_tree(pid)).collect::<Result<_>>()?,
            upstream: of_tree(self.upstream.pid())?,
            load: process::cpu_seconds_of_ended_children()?,
            machine: process::cpu_seconds_of_machine()?,
        })
    }
}

fn of_tree(pid: u32) -> Result<f64> {
    process::tree(pid)?.into_iter().map(process::cpu_seconds).sum()
}
