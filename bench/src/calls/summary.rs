//! Medians of runs, ratios within rounds, and the table.

use std::fmt::Write as _;

use serde::Serialize;

use crate::measure::Run;

/// The target that others are compared with.
pub(crate) const YARDSTICK: &str = "nginx";

/// The runs of one target with one number of connections.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    target: &'static str,
    connections: u16,
    /// Runs that the figures are of.
    counted_runs: usize,
    /// Runs with errors; they count for nothing else.
    void_runs: usize,
    /// Whether the machine did little else during these. Where no run was quiet, all count.
    quiet: bool,
    /// Good runs that are left out because other work on the machine disturbed them.
    disturbed_runs: usize,
    per_second: Spread,
    p50_millis: f64,
    p99_millis: f64,
    /// For each process of the target, in the order in which a call passes them.
    processes: Vec<Process>,
    upstream_micros: f64,
    load_micros: f64,
    others_processors: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    cpu_micros: Spread,
    /// Of the ratios to the yardstick's process in the same place and round.
    ratio: Option<Spread>,
    resident_mib: f64,
}

/// A median with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Spread {
    /// Returns `None` for no figures.
    fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (&least, &greatest) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let upper = *figures.get(middle)?;
        let lower = if figures.len().is_multiple_of(2) { *figures.get(middle - 1)? } else { upper };
        Some(Self { median: f64::midpoint(lower, upper), least, greatest })
    }
}

/// Sums the runs up, in the order in which target and connections first appear; what has no good
/// run has no summary.
pub(crate) fn summarize(runs: &[Run]) -> Vec<Summary> {
    let mut groups: Vec<(&str, u16)> = Vec::new();
    for run in runs {
        if !groups.contains(&(run.target, run.connections)) {
            groups.push((run.target, run.connections));
        }
    }
    groups.sort_by_key(|&(_, connections)| connections);
    groups.into_iter().filter_map(|group| summary(runs, group)).collect()
}

fn summary(runs: &[Run], (target, connections): (&str, u16)) -> Option<Summary> {
    let all = || runs.iter().filter(|run| run.target == target && run.connections == connections);
    let void_runs = all().filter(|run| !run.counted.good()).count();
    let mut good: Vec<_> = all().filter(|run| run.counted.good()).collect();
    let before = good.len();
    let quiet = good.iter().any(|run| run.quiet());
    if quiet {
        good.retain(|run| run.quiet());
    }
    let median = |figure: fn(&Run) -> f64| Some(spread(&good, figure)?.median);
    let first = *good.first()?;
    let process = |place| {
        Some(Process {
            cpu_micros: Spread::of(good.iter().filter_map(|run| cpu(run, place)))?,
            ratio: ratio(runs, &good, place),
            resident_mib: Spread::of(
                good.iter()
                    .filter_map(|run| run.resident_kib.get(place).map(|&kib| kib as f64 / 1024.0)),
            )?
            .median,
        })
    };
    Some(Summary {
        target: first.target,
        connections,
        counted_runs: good.len(),
        void_runs,
        quiet,
        disturbed_runs: before - good.len(),
        per_second: spread(&good, |run| run.counted.per_second())?,
        p50_millis: median(|run| run.counted.p50_micros as f64 / 1e3)?,
        p99_millis: median(|run| run.counted.p99_micros as f64 / 1e3)?,
        processes: (0..first.cpu_micros.len()).map(process).collect::<Option<_>>()?,
        upstream_micros: median(|run| run.upstream_micros)?,
        load_micros: median(|run| run.load_micros)?,
        others_processors: median(|run| run.others_processors)?,
    })
}

fn spread(good: &[&Run], figure: fn(&Run) -> f64) -> Option<Spread> {
    Spread::of(good.iter().map(|run| figure(run)))
}

fn cpu(run: &Run, place: usize) -> Option<f64> {
    run.cpu_micros.get(place).copied()
}

/// A ratio within a round survives what the machine does beside it; one over all rounds does not.
fn ratio(runs: &[Run], good: &[&Run], place: usize) -> Option<Spread> {
    let within_round = good.iter().filter_map(|run| {
        let yardstick = runs.iter().find(|other| {
            other.target == YARDSTICK
                && other.connections == run.connections
                && other.round == run.round
                && other.counted.good()
                && other.quiet() == run.quiet()
        })?;
        Some(cpu(run, place)? / cpu(yardstick, place)?)
    });
    Spread::of(within_round)
}

/// Returns the summaries as a Markdown table.
pub(crate) fn table(summaries: &[Summary]) -> String {
    let mut text = String::from(
        "| target | connections | calls/s (range) | p50 ms | p99 ms | CPU µs/call, first hop | \
         second hop | ratios to nginx (range) | resident MiB | upstream, load µs/call | others, \
         processors |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for summary in summaries {
        let hop = |place: usize| {
            let process = summary.processes.get(place);
            process.map_or("–".to_owned(), |process| range(process.cpu_micros, 1))
        };
        let join = |figure: fn(&Process) -> Option<String>| {
            let figures: Option<Vec<_>> = summary.processes.iter().map(figure).collect();
            figures.filter(|all| !all.is_empty()).map_or("–".to_owned(), |all| all.join(" / "))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} | {:.1}, {:.1} | {:.2} |",
            summary.target,
            summary.connections,
            range(summary.per_second, 0),
            summary.p50_millis,
            summary.p99_millis,
            hop(0),
            hop(1),
            join(|process| process.ratio.map(|ratio| range(ratio, 2))),
            join(|process| Some(format!("{:.1}", process.resident_mib))),
            summary.upstream_micros,
            summary.load_micros,
            summary.others_processors,
        );
    }
    for Summary { target, connections, void_runs, quiet, disturbed_runs, .. } in summaries {
        let what = format!("\n{target} with {connections} connections");
        if *void_runs > 0 {
            let _ = writeln!(text, "{what}: {void_runs} runs are void because calls failed");
        }
        if !quiet {
            let _ = writeln!(text, "{what}: other work disturbed every run; measure again");
        }
        if *disturbed_runs > 0 {
            let _ = writeln!(text, "{what}: {disturbed_runs} disturbed runs are left out");
        }
    }
    text
}

fn range(spread: Spread, digits: usize) -> String {
    let Spread { median, least, greatest } = spread;
    format!("{median:.digits$} ({least:.digits$}–{greatest:.digits$})")
}

#[cfg(test)]
mod tests {
    use karvan_types::json;

    use super::*;

    fn run(target: &'static str, round: u32, cpu: f64, errors: u64) -> Run {
        let counted = format!(
            "{{\"requests\":10,\"micros\":1000000,\"p50Micros\":2000,\"p99Micros\":9000,\
             \"errors\":{{\"connect\":0,\"read\":0,\"write\":0,\"status\":{errors},\"timeout\":0}}}}"
        );
        Run {
            target,
            connections: 64,
            round,
            counted: json::from_slice(counted.as_bytes()).unwrap(),
            cpu_micros: vec![cpu],
            upstream_micros: 1.0,
            load_micros: 1.0,
            others_processors: 0.0,
            resident_kib: vec![2048],
        }
    }

    #[test]
    fn a_median_stands_between_its_neighbours() {
        let check = |figures: &[f64], expected: Option<(f64, f64, f64)>| {
            let expected =
                expected.map(|(median, least, greatest)| Spread { median, least, greatest });
            assert_eq!(Spread::of(figures.iter().copied()), expected, "{figures:?}");
        };
        check(&[], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[5.0, 1.0, 2.0], Some((2.0, 1.0, 5.0)));
        check(&[4.0, 1.0, 2.0, 9.0], Some((3.0, 1.0, 9.0)));
    }

    fn median(summary: &Summary) -> Option<f64> {
        summary.processes[0].ratio.map(|ratio| ratio.median)
    }

    #[test]
    fn ratios_are_within_rounds_and_void_runs_count_for_nothing() {
        let check = |runs: &[Run], expected: &[(usize, usize, Option<f64>)]| {
            let found = summarize(runs);
            let found = found
                .iter()
                .filter(|summary| summary.target == "node")
                .map(|summary| (summary.counted_runs, summary.void_runs, median(summary)));
            assert_eq!(found.collect::<Vec<_>>(), expected);
        };
        let (slow, fast) = (run("nginx", 0, 50.0, 0), run("nginx", 1, 20.0, 0));
        let both = [slow, fast, run("node", 0, 100.0, 0), run("node", 1, 80.0, 0)];
        check(&both, &[(2, 0, Some(3.0))]);
        check(&[run("nginx", 0, 50.0, 0), run("node", 0, 100.0, 1)], &[]);
        check(&[run("nginx", 0, 50.0, 1), run("node", 0, 100.0, 0)], &[(1, 0, None)]);
        let spoilt = [run("nginx", 0, 50.0, 0), run("node", 0, 99.0, 0), run("node", 1, 1.0, 2)];
        check(&spoilt, &[(1, 1, Some(1.98))]);
    }

    #[test]
    fn disturbed_runs_count_only_where_all_are() {
        let check = |others: [f64; 2], expected: (usize, bool, usize, Option<f64>)| {
            let disturb = |run: Run, others| Run { others_processors: others, ..run };
            let runs = [
                run("nginx", 0, 10.0, 0),
                disturb(run("nginx", 1, 5.0, 0), 1.0),
                disturb(run("node", 0, 30.0, 0), others[0]),
                disturb(run("node", 1, 20.0, 0), others[1]),
            ];
            let all = summarize(&runs);
            let node = all.iter().find(|summary| summary.target == "node").unwrap();
            let Summary { counted_runs, quiet, disturbed_runs, .. } = *node;
            let ratio = median(node);
            assert_eq!((counted_runs, quiet, disturbed_runs, ratio), expected, "{others:?}");
        };
        check([0.0, 0.0], (2, true, 0, Some(3.0)));
        check([0.0, 1.0], (1, true, 1, Some(3.0)));
        check([1.0, 1.0], (2, false, 0, Some(4.0)));
    }

    #[test]
    fn the_table_has_a_row_for_each_summary() {
        let text = table(&summarize(&[run("nginx", 0, 50.0, 0), run("nginx", 1, 60.0, 3)]));
        assert!(text.contains("| nginx | 64 | 10 (10–10) | 2.00 | 9.00 | 50.0 (50.0–50.0) | – |"));
        assert!(text.contains("1 runs are void"));
    }
}
