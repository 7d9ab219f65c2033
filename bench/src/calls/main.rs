//! Calls from a client through two hops to a service and back: what they cost each hop.
//!
//! The yardstick is nginx, twice, with mutual TLS 1.3 between, measured in the same rounds: a ratio
//! of processor time to it means the same on a slow and on a busy machine, which calls per second
//! do not. All talk over loopback; every port is taken free, and before each run the answer is
//! compared with a text that only this run's upstream knows. A run in which one call failed is
//! void.
//!
//! Measured are two nodes, each a process of the release build (`karvan`). To measure something
//! else, implement `Target` and add it to the list in `measure`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a measurement prints its figures")]

mod counts;
mod crowd;
mod flame;
mod karvan;
mod load;
mod measure;
mod nginx;
mod summary;
mod target;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use serde::Serialize;

use counts::Counts;
use crowd::Crowd;
use karvan::{Nodes, Program, Without};
use load::Load;
use measure::{Bench, Run};
use nginx::{Hops, Upstream};
use summary::Summary;
use target::Target;

/// Measures calls through two hops against two nginx hops with mutual TLS.
#[derive(Debug, Parser, Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    /// Connections of the client; each number is measured.
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64, 256])]
    connections: Vec<u16>,
    /// Rounds over all targets, for each number of connections.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Seconds of each run; processor time is counted in steps of 10 ms.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Seconds of load before each run that are not counted.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    warm_up: u32,
    /// Also loads the upstream without hops, which shows how far load and upstream are from being
    /// the limit.
    #[arg(long)]
    upstream: bool,
    /// Loads the nodes also without a token.
    #[arg(long)]
    plain: bool,
    /// Gives each message a signature of its own also under load (`calls.signatures = "each"`).
    #[arg(long)]
    each: bool,
    /// Loads also nodes that leave something out, to show where the time goes.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Without>,
    /// The program with the feature `measure` that leaves it out; built if not named.
    #[arg(long, value_name = "FILE", requires = "without")]
    karvan_measure: Option<PathBuf>,
    /// The program to measure; built from this checkout if not named.
    #[arg(long, value_name = "FILE")]
    karvan: Option<PathBuf>,
    /// Measures memory instead: this many connections that are idle, beside those of --active.
    #[arg(long, value_name = "N")]
    idle: Option<u16>,
    /// Connections that call without pause while others are idle.
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "idle")]
    active: u16,
    /// Where the figures go as JSON; `calls.json` beside this program if not said.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A folder for flame graphs of all hops.
    #[arg(long)]
    flame: Option<PathBuf>,
}

/// All figures of a measurement.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    options: &'a Options,
    machine: Machine,
    summaries: &'a [Summary],
    /// Absent where they cannot be counted.
    counts: Option<&'a [Counts]>,
    runs: &'a [Run],
}

/// Where it was measured.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Machine {
    processor: String,
    processors: usize,
    kernel: String,
    nginx: String,
    /// Of the last minute before the measurement.
    load_average: String,
}

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::Builder::new().prefix("karvan-calls-").tempdir()?;
    measure(&options, &runtime, folder.path())
}

fn measure(options: &Options, runtime: &tokio::runtime::Runtime, folder: &Path) -> Result<()> {
    let machine = Machine::look()?;
    println!("{}", machine.text());
    let load = Load::new(folder)?;
    let upstream = Upstream::start(folder, runtime)?;
    let altered = altered(options, runtime, &upstream, folder)?;
    let program = karvan::program(options.karvan.as_deref())?;
    let run = Program {
        path: program.clone(),
        folder: folder.join("nodes"),
        each: options.each,
        without: None,
    };
    let nodes = Nodes::start(&run, upstream.address(), &upstream.answer, runtime)?;
    if let Some(idle) = options.idle {
        let crowd = Crowd { idle: idle.into(), active: options.active, seconds: options.seconds };
        println!("{}", crowd.measure(runtime, &load, &nodes)?);
        return Ok(());
    }
    let plain = nodes.plain();
    let hops = Hops::start(folder, &upstream, runtime)?;
    let mut targets: Vec<&dyn Target> = vec![&hops, &nodes];
    if options.plain {
        targets.push(&plain);
    }
    if options.upstream {
        targets.push(&upstream);
    }
    let usual = Bench {
        runtime,
        load: &load,
        upstream: &upstream,
        targets: &targets,
        warm_up: options.warm_up,
        seconds: options.seconds,
    };
    let altered = altered.iter().map(|nodes| nodes as &dyn Target);
    let all: Vec<_> = targets.iter().copied().chain(altered).collect();
    let bench = Bench { targets: &all, ..usual };
    let mut runs = Vec::new();
    for &connections in &options.connections {
        for round in 0..options.rounds {
            runs.extend(bench.round(round, connections)?);
        }
    }
    let summaries = summary::summarize(&runs);
    println!("\n{}", summary::table(&summaries));
    // The probes are in the usual program.
    let counts = match counts::count(&usual, &program, folder) {
        Ok(counts) => Some(counts),
        Err(error) => {
            println!("allocations and syncs were not counted: {error:#}");
            None
        }
    };
    print!("{}", counts::text(counts.as_deref().unwrap_or_default()));
    let report =
        Report { options, machine, summaries: &summaries, counts: counts.as_deref(), runs: &runs };
    report.write(options.json.as_deref())?;
    if let Some(pictures) = &options.flame {
        match flame::draw(&bench, folder, pictures) {
            Ok(drawn) => drawn.iter().for_each(|path| println!("flame graph: {}", path.display())),
            Err(error) => println!("no flame graphs: {error:#}"),
        }
    }
    let void = runs.iter().filter(|run| !run.counted.good()).count();
    ensure!(void == 0, "{void} of {} runs are void because calls failed", runs.len());
    Ok(())
}

/// Starts the nodes that leave something out.
fn altered(
    options: &Options,
    runtime: &tokio::runtime::Runtime,
    upstream: &Upstream,
    folder: &Path,
) -> Result<Vec<Nodes>> {
    if options.without.is_empty() {
        return Ok(Vec::new());
    }
    let path = karvan::program_to_measure(options.karvan_measure.as_deref(), folder)?;
    let start = |(number, without): (usize, &Without)| {
        let program = Program {
            path: path.clone(),
            folder: folder.join(format!("altered-{number}")),
            each: options.each,
            without: Some(*without),
        };
        Nodes::start(&program, upstream.address(), &upstream.answer, runtime)
    };
    options.without.iter().enumerate().map(start).collect()
}

impl Report<'_> {
    fn write(&self, path: Option<&Path>) -> Result<()> {
        let path = match path {
            Some(path) => path.to_owned(),
            None => std::env::current_exe()?.with_file_name("calls.json"),
        };
        let text = serde_json::to_vec_pretty(self)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("all figures: {}", path.display());
        Ok(())
    }
}

impl Machine {
    fn look() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let nginx = tools::program("nginx", "nginx-light")?;
        // nginx tells its version on standard error.
        let told = Command::new(nginx).arg("-v").output()?.stderr;
        let told = String::from_utf8_lossy(&told);
        let load = read("/proc/loadavg");
        Ok(Self {
            processor: model.map(|(_, name)| name.to_owned()).unwrap_or_default(),
            processors: std::thread::available_parallelism()?.get(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            nginx: told.rsplit('/').next().unwrap_or_default().trim().to_owned(),
            load_average: load.split(' ').next().unwrap_or_default().to_owned(),
        })
    }

    fn text(&self) -> String {
        format!(
            "{} processors {}, Linux {}, nginx {}, load average {}",
            self.processors, self.processor, self.kernel, self.nginx, self.load_average
        )
    }
}
