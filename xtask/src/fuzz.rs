//! Looks for inputs that break what a reader must hold to, guided by coverage.
//!
//! The stable compiler counts edges and compares (`SANCOV`) and libFuzzer, a C++ library that is
//! built with the program, makes inputs of those that reached something new. Inputs stay under
//! the target folder, so that the next run goes on where this one ended. What breaks a property is
//! named, with what to do about it.
//!
//! Not here: the targets and their properties (`tests/fuzz`), and the play of what was found before
//! (`cargo test -p karvan-fuzz`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::workspace;

/// What makes the stable compiler count, and check what a release does not.
const SANCOV: &str = "--cfg fuzzing -Cpasses=sancov-module \
                      -Cllvm-args=-sanitizer-coverage-level=4 \
                      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
                      -Cllvm-args=-sanitizer-coverage-pc-table \
                      -Cllvm-args=-sanitizer-coverage-trace-compares \
                      -Cdebug-assertions -Coverflow-checks";
/// Longest time for one input, in seconds.
const INPUT_SECONDS_MAX: u32 = 10;
/// Most memory of the program, in MiB.
const MEMORY_MIB_MAX: u32 = 1024;
/// Longest input, in bytes.
const INPUT_BYTES_MAX: u32 = 64 * 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// The target, such as `edifact`; none means all, one after the other
    target: Option<String>,
    /// How long to look, for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// Print the targets instead of looking
    #[arg(long)]
    list: bool,
}

/// Looks for inputs; returns whether no property broke.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let program = build()?;
    let names = Command::new(&program).env("KARVAN_FUZZ_LIST", "1").output();
    let names = String::from_utf8(names.context("asking for the targets")?.stdout)?;
    if options.list {
        print!("{names}");
        return Ok(true);
    }
    let all: Vec<_> = names.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let chosen: Vec<_> = match &options.target {
        Some(name) => {
            let known = all.join(", ");
            ensure!(all.contains(&name.as_str()), "no target `{name}`; there are {known}");
            vec![name.as_str()]
        }
        None => all,
    };
    let place = workspace::output_folder()?.join("fuzz");
    let mut is_clean = true;
    println!(
        "{:<10} {:>12} {:>8} {:>9} {:>8}",
        "target", "executions", "edges", "features", "inputs"
    );
    for name in chosen {
        is_clean &= look(&program, name, options.seconds, &place.join(name))?;
    }
    Ok(is_clean)
}

/// Builds the program in a target folder of its own, since its flags are not those of the others.
fn build() -> Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().context("asking rustc for its host")?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc names no host")?;
    let folder = workspace::output_folder()?;
    let folder = folder.parent().context("no target folder")?.join("fuzz");
    // With a target named, build scripts and macros are built without the flags.
    let mut command = Command::new("cargo");
    command.args(["build", "--locked", "-p", "karvan-fuzz", "--profile", "fuzz", "--target", host]);
    command.args(["--features", "libfuzzer"]);
    command.arg("--target-dir").arg(&folder).env("RUSTFLAGS", SANCOV);
    command.current_dir(workspace::root()?);
    let status = command.status().context("starting cargo")?;
    ensure!(status.success(), "the program could not be built; it needs a C++ compiler (g++)");
    Ok(folder.join(host).join("fuzz/karvan-fuzz"))
}

/// Looks at one target, prints what came of it, and returns whether its property held.
fn look(program: &Path, name: &str, seconds: u32, place: &Path) -> Result<bool> {
    let (inputs, broken) = (place.join("inputs"), place.join("broken"));
    for folder in [&inputs, &broken] {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let (log, words) = (place.join("log"), place.join("words"));
    let output = File::create(&log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(program);
    command.arg(&inputs).arg(format!("-artifact_prefix={}/", broken.display()));
    command.arg(format!("-dict={}", words.display()));
    for (option, value) in [
        ("max_total_time", seconds),
        ("timeout", INPUT_SECONDS_MAX),
        ("rss_limit_mb", MEMORY_MIB_MAX),
        ("max_len", INPUT_BYTES_MAX),
        ("print_final_stats", 1),
    ] {
        command.arg(format!("-{option}={value}"));
    }
    command.env("KARVAN_FUZZ_TARGET", name).env("KARVAN_FUZZ_SEEDS", &inputs);
    command.env("KARVAN_FUZZ_WORDS", &words).current_dir(place);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let status = command.status().with_context(|| program.display().to_string())?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let Figures { executions, edges, features } = Figures::of(&text);
    let count = fs::read_dir(&inputs)?.count();
    println!("{name:<10} {executions:>12} {edges:>8} {features:>9} {count:>8}");
    if !status.success() {
        let root = workspace::root()?;
        let kept = root.join("tests/fuzz/regressions").join(name);
        println!("!! {name} broke; see the end of {}", log.display());
        println!("   mend it, then keep the input: cp {}/* {}/", broken.display(), kept.display());
    }
    Ok(status.success())
}

/// What libFuzzer tells at its end.
#[derive(Debug, Default, Eq, PartialEq)]
struct Figures {
    /// Inputs that were run.
    executions: u64,
    /// Edges of the program that were reached.
    edges: u64,
    /// Edges with how often they were passed, and compares.
    features: u64,
}

impl Figures {
    fn of(text: &str) -> Self {
        let last = |name: &str| {
            let mut words = text.split_whitespace();
            let mut found = 0;
            while let Some(word) = words.next() {
                if word == name {
                    found = words.next().and_then(|word| word.parse().ok()).unwrap_or(found);
                }
            }
            found
        };
        Self {
            executions: last("stat::number_of_executed_units:"),
            edges: last("cov:"),
            features: last("ft:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_last_that_are_told() {
        let text = "#2 INITED cov: 11 ft: 12 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                    #99 NEW    cov: 21 ft: 33 corp: 4/9b lim: 4\n\
                    stat::number_of_executed_units: 4096\nstat::average_exec_per_sec: 7\n";
        let expected = Figures { executions: 4096, edges: 21, features: 33 };
        assert_eq!(Figures::of(text), expected);
        assert_eq!(Figures::of("cov: much"), Figures::default());
    }
}
