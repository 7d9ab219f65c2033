//! Syncs and allocations for each call, counted by the kernel with `perf stat`.
//!
//! A sync is a system call `fsync` or `fdatasync`, counted at its tracepoint. An allocation is an
//! entry to `malloc` and its kin, counted at a probe there: nothing is built into the program under
//! test, and the same is counted for a program in another language. The probes are in the C library
//! and in the allocator that a node brings along, whose symbols it must therefore still have.
//! Probes cost time, so this is a run of its own whose time counts for nothing. Counting needs
//! root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use karvan_bench::process;
use serde::Serialize;

use crate::measure::Bench;
use crate::target::Target;
use crate::tools;

/// The group of our probes, which are removed when this ends.
const GROUP: &str = "karvan_bench";
/// Functions of the C library that give memory.
const ALLOCATING: &[&str] = &["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];
/// The same of the allocator in a node.
const ALLOCATING_IN_NODE: &[&str] = &[
    "mi_malloc",
    "mi_calloc",
    "mi_realloc",
    "mi_malloc_aligned",
    "mi_zalloc_aligned",
    "mi_realloc_aligned",
];
/// System calls that wait for the disk.
const SYNCING: &[&str] = &["fsync", "fdatasync"];
/// Connections of the run that counts.
const CONNECTIONS: u16 = 64;

/// What the calls of one target did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    target: &'static str,
    connections: u16,
    calls: u64,
    /// For each process of the target, in the order in which a call passes them.
    processes: Vec<OfProcess>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct OfProcess {
    syncs: u64,
    allocations: u64,
}

/// Probes in the C library and a node's program; they are gone when this is dropped.
struct Probes {
    perf: String,
}

/// Counts for every target that has processes; the error says why that cannot be done here.
pub(crate) fn count(bench: &Bench<'_>, node: &Path, folder: &Path) -> Result<Vec<Counts>> {
    ensure!(tools::is_root(), "only root may count system calls and probe the C library");
    let perf = tools::find("perf").context("perf is missing: apt-get install -y linux-perf")?;
    let probes = Probes::set(perf, node)?;
    let with_processes = bench.targets.iter().filter(|target| !target.pids().is_empty());
    with_processes.map(|target| of_target(bench, *target, &probes, folder)).collect()
}

fn of_target(
    bench: &Bench<'_>,
    target: &dyn Target,
    probes: &Probes,
    folder: &Path,
) -> Result<Counts> {
    bench.prepare(target, CONNECTIONS)?;
    let pids = target.pids();
    let file = |place: usize| folder.join(format!("counts-{place}"));
    let mut around = Vec::new();
    for (place, &pid) in pids.iter().enumerate() {
        around.extend(probes.around(&process::tree(pid)?, &file(place)));
    }
    let counted = bench.load.run(target, CONNECTIONS, bench.seconds, &around)?;
    ensure!(counted.good(), "{}: {:?}", target.name(), counted.errors);
    let read = |place| parse(&fs::read_to_string(file(place))?);
    let processes = (0..pids.len()).map(read).collect::<Result<_>>()?;
    let calls = counted.requests;
    Ok(Counts { target: target.name(), connections: CONNECTIONS, calls, processes })
}

impl Probes {
    fn set(perf: String, node: &Path) -> Result<Self> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        let paths = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
        let library = paths.into_iter().find(|path| path.contains("/libc.so"));
        let library = library.context("this program does not use a shared C library")?;
        let probes = Self { perf };
        for (program, functions) in
            [(library, ALLOCATING), (&*node.to_string_lossy(), ALLOCATING_IN_NODE)]
        {
            for function in functions {
                let mut set = Command::new(&probes.perf);
                set.args(["probe", "--quiet", "--force", "--exec", program, "--add"]);
                tools::run(set.arg(format!("{GROUP}:{function}={function}")))?;
            }
        }
        Ok(probes)
    }

    /// Returns a command that counts what the processes do while the command after it runs.
    fn around(&self, pids: &[u32], file: &Path) -> Vec<String> {
        let syscalls = SYNCING.iter().map(|name| format!("syscalls:sys_enter_{name}"));
        let functions = allocating().into_iter().map(|name| format!("{GROUP}:{name}"));
        let events: Vec<_> = syscalls.chain(functions).collect();
        let mut argv = vec![self.perf.clone()];
        argv.extend(["stat", "--field-separator", ",", "--pid"].map(str::to_owned));
        argv.extend([tools::list(pids), "--event".to_owned(), events.join(",")]);
        argv.extend(["--output".to_owned(), file.display().to_string(), "--".to_owned()]);
        argv
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        let mut remove = Command::new(&self.perf);
        let _ = tools::run(remove.args(["probe", "--quiet", "--del", &format!("{GROUP}:*")]));
    }
}

/// Reads `count,unit,event,…`; what never ran is `<not counted>` and stands for none.
fn parse(text: &str) -> Result<OfProcess> {
    let sum = |events: &[&str], prefix: &str| {
        events.iter().try_fold(0, |sum, event| {
            let event = format!("{prefix}{event}");
            let mut rows = text.lines().map(|line| line.split(','));
            let count = rows.find_map(|mut row| {
                let count = row.next()?;
                (row.nth(1)? == event).then_some(count)
            });
            match count.with_context(|| format!("perf counted no {event}"))? {
                "<not counted>" => Ok(sum),
                count => {
                    let count: u64 =
                        count.parse().with_context(|| format!("{event} is `{count}`"))?;
                    anyhow::Ok(sum + count)
                }
            }
        })
    };
    Ok(OfProcess {
        syncs: sum(SYNCING, "syscalls:sys_enter_")?,
        allocations: sum(&allocating(), &format!("{GROUP}:"))?,
    })
}

/// Returns the functions that give memory, of all programs.
fn allocating() -> Vec<&'static str> {
    [ALLOCATING, ALLOCATING_IN_NODE].concat()
}

/// Returns the counts as lines of text.
pub(crate) fn text(counts: &[Counts]) -> String {
    let line = |counts: &Counts| {
        let each = |figure: fn(&OfProcess) -> u64, digits: usize| {
            let each =
                |of: &OfProcess| format!("{:.digits$}", figure(of) as f64 / counts.calls as f64);
            counts.processes.iter().map(each).collect::<Vec<_>>().join(" / ")
        };
        format!(
            "{}: for each of {} calls with {} connections {} allocations, {} syncs\n",
            counts.target,
            counts.calls,
            counts.connections,
            each(|of| of.allocations, 1),
            each(|of| of.syncs, 3),
        )
    };
    counts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_summed_and_a_missing_one_is_an_error() {
        let rows = |realloc: &str| {
            format!(
                "# started on a day\n\n5,,syscalls:sys_enter_fsync,9,100.00,,\n\
                 60,,syscalls:sys_enter_fdatasync,9,100.00,,\n1000,,karvan_bench:malloc,9,100.00,,\n\
                 200,,karvan_bench:calloc,9,100.00,,\n{realloc}\
                 <not counted>,,karvan_bench:posix_memalign,0,100.00,,\n\
                 0,,karvan_bench:aligned_alloc,9,100.00,,\n\
                 4,,karvan_bench:mi_malloc,9,100.00,,\n\
                 <not counted>,,karvan_bench:mi_calloc,0,100.00,,\n\
                 <not counted>,,karvan_bench:mi_realloc,0,100.00,,\n\
                 <not counted>,,karvan_bench:mi_malloc_aligned,0,100.00,,\n\
                 <not counted>,,karvan_bench:mi_zalloc_aligned,0,100.00,,\n\
                 <not counted>,,karvan_bench:mi_realloc_aligned,0,100.00,,\n"
            )
        };
        let check = |realloc: &str, expected: Option<u64>| {
            let found = parse(&rows(realloc)).ok();
            let expected = expected.map(|allocations| OfProcess { syncs: 65, allocations });
            assert_eq!(found, expected, "{realloc}");
        };
        check("30,,karvan_bench:realloc,9,100.00,,\n", Some(1234));
        check("<not counted>,,karvan_bench:realloc,0,100.00,,\n", Some(1204));
        check("<not supported>,,karvan_bench:realloc,0,100.00,,\n", None);
        check("", None);
    }
}
