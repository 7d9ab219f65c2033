//! Runs measurements by name. Where the figures are kept is part of each row.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// One measurement.
struct Bench {
    name: &'static str,
    about: &'static str,
    argv: &'static [&'static str],
    /// The page that keeps the figures of earlier runs.
    record: &'static str,
}

/// The measurements. They run alone and in the release profile; machines are noisy, so what is
/// compared is processor time per act, or a ratio within one run.
const BENCHES: &[Bench] = &[
    Bench {
        name: "calls",
        about: "calls through two hops as a ratio to nginx with mutual TLS: processor time, \
                memory, allocations",
        argv: &["cargo", "run", "--release", "--locked", "-p", "karvan-bench", "--bin", "calls"],
        record: "bench/FIGURES.md",
    },
    Bench {
        name: "claims",
        about: "claims against 100,000 certificates and export declarations; see the example's \
                text for a million",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-customs",
            "--example",
            "claim_speed",
            "--",
            "100000",
        ],
        record: "bench/FIGURES.md",
    },
    Bench {
        name: "documents",
        about: "documents end to end between two nodes: rate, processor time, memory",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-bench",
            "--bin",
            "documents",
        ],
        record: "bench/FIGURES.md",
    },
    Bench {
        name: "ledger",
        about: "what one entry costs the evidence log",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-ledger",
            "--example",
            "append_cost",
        ],
        record: "bench/FIGURES.md",
    },
    Bench {
        name: "store",
        about: "durable transactions of the SQLite back end",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-store",
            "--example",
            "commit_rate",
        ],
        record: "bench/FIGURES.md",
    },
];

/// Runs the named measurements, or all; returns whether all ran.
pub(crate) fn run(names: &[String], list: bool) -> Result<bool> {
    let chosen = choose(BENCHES, names)?;
    if chosen.is_empty() {
        println!("no measurement is registered; add a row to xtask/src/bench.rs");
    }
    let mut well = true;
    for Bench { name, about, argv, record } in chosen {
        println!("{name}: {about}; figures are recorded in {record}");
        if list {
            continue;
        }
        let [program, arguments @ ..] = argv else { bail!("{name} has no command") };
        let status = Command::new(program).args(arguments).status();
        let status = status.with_context(|| format!("starting `{program}`"))?;
        println!("{name}: {}", if status.success() { "done" } else { "FAILED" });
        well &= status.success();
    }
    Ok(well)
}

fn choose<'a>(benches: &'a [Bench], names: &[String]) -> Result<Vec<&'a Bench>> {
    if names.is_empty() {
        return Ok(benches.iter().collect());
    }
    let find = |name: &String| {
        let bench = benches.iter().find(|bench| bench.name == name);
        bench.with_context(|| format!("no measurement `{name}`; `--list` shows them"))
    };
    names.iter().map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_chosen_by_name() {
        let bench = |name| Bench { name, about: "", argv: &["true"], record: "docs" };
        let benches = [bench("ledger"), bench("documents")];
        let chosen = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            let found = choose(&benches, &names).ok()?;
            Some(found.iter().map(|bench| bench.name).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]), Some(vec!["ledger", "documents"]));
        assert_eq!(chosen(&["documents"]), Some(vec!["documents"]));
        assert_eq!(chosen(&["nonesuch"]), None);
    }

    #[test]
    fn figures_are_recorded_in_the_tree() {
        let root = crate::workspace::root().unwrap();
        for bench in BENCHES {
            assert!(root.join(bench.record).exists(), "{} names no page", bench.name);
        }
    }
}
