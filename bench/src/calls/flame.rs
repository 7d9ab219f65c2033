//! Flame graphs of the processes of each target under load: `perf record`, folded and drawn by
//! `inferno`.
//!
//! Stacks follow frame pointers. A release build has neither these nor symbols, so what is looked
//! at should be built with `CARGO_PROFILE_RELEASE_STRIP=none` and
//! `RUSTFLAGS=-Cforce-frame-pointers=yes`. A picture is made at the end of the measurement and its
//! run counts for nothing.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use karvan_bench::process;

use crate::measure::Bench;
use crate::target::Target;
use crate::tools;

/// Samples of each processor in a second; not a divisor of anything that ticks.
const SAMPLES_PER_SECOND: &str = "999";
/// Connections of the run that is looked at.
const CONNECTIONS: u16 = 64;

/// Draws each process of each target into the folder; returns the pictures.
pub(crate) fn draw(bench: &Bench<'_>, data: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let need = |name: &str, advice: &str| {
        tools::find(name).with_context(|| format!("{name} is missing: {advice}"))
    };
    let perf = need("perf", "apt-get install -y linux-perf")?;
    let collapse = need("inferno-collapse-perf", "cargo install inferno")?;
    let graph = need("inferno-flamegraph", "cargo install inferno")?;
    fs::create_dir_all(folder)?;
    let mut pictures = Vec::new();
    for target in bench.targets.iter().filter(|target| !target.pids().is_empty()) {
        let places = target.pids().len();
        let file = |place: usize| data.join(format!("{}-{place}.perf", target.name()));
        record(bench, *target, &perf, &file)?;
        for place in 0..places {
            let name = format!("{} hop {}", target.name(), place + 1);
            let picture = folder.join(format!("{}.svg", name.replace(' ', "-")));
            let mut script = Command::new(&perf);
            script.args(["script", "--input"]).arg(file(place));
            let mut draw = Command::new(&graph);
            draw.args(["--title", &name]);
            pipe([script, Command::new(&collapse), draw], &picture)?;
            pictures.push(picture);
        }
    }
    Ok(pictures)
}

fn record(
    bench: &Bench<'_>,
    target: &dyn Target,
    perf: &str,
    file: &dyn Fn(usize) -> PathBuf,
) -> Result<()> {
    bench.prepare(target, CONNECTIONS)?;
    let mut around = Vec::new();
    for (place, pid) in target.pids().into_iter().enumerate() {
        let pids = tools::list(&process::tree(pid)?);
        let record = [perf, "record", "--quiet", "-F", SAMPLES_PER_SECOND, "-g", "--pid", &pids];
        around.extend(record.map(str::to_owned));
        around.extend(["--output".to_owned(), file(place).display().to_string(), "--".to_owned()]);
    }
    bench.load.run(target, CONNECTIONS, bench.seconds, &around)?;
    Ok(())
}

/// Runs the commands with the output of each as input of the next, and the last into a file.
fn pipe(commands: [Command; 3], file: &Path) -> Result<()> {
    let mut children = Vec::new();
    let mut input = Stdio::null();
    let last = commands.len() - 1;
    for (place, mut command) in commands.into_iter().enumerate() {
        let output = if place == last { File::create(file)?.into() } else { Stdio::piped() };
        command.stdin(input).stdout(output).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        children.push((command, child));
    }
    for (command, mut child) in children {
        ensure!(child.wait()?.success(), "{command:?} failed");
    }
    Ok(())
}
