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

/// The measurement that takes a size.
const CLAIMS: &str = "claims";

/// The measurements. They run alone and in the release profile; machines are noisy, so what is
/// compared is processor time per act, or a ratio within one run.
const BENCHES: &[Bench] = &[
    Bench {
        name: "calls",
        about: "calls through two hops as a ratio to nginx with mutual TLS: processor time, \
                memory, allocations",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-bench",
            "--bin",
            "calls",
            "--",
            "--without",
            "signatures,log",
        ],
        record: "bench/FIGURES.md",
    },
    Bench {
        name: CLAIMS,
        about: "claims against certificates and export declarations, in process and durable, \
                beside the aims; 100,000 of each unless --records says otherwise",
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
        name: "formats",
        about: "megabytes of EDIFACT and XML read in a second, beside the aims",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-customs",
            "--example",
            "format_speed",
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
    Bench {
        name: "tariff",
        about: "a look-up with 200,000 measures, beside the aim",
        argv: &[
            "cargo",
            "run",
            "--release",
            "--locked",
            "-p",
            "karvan-customs",
            "--example",
            "tariff_cost",
        ],
        record: "bench/FIGURES.md",
    },
];

/// Which measurements, and how large.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Names of measurements; none means all
    names: Vec<String>,
    /// Print the names instead of measuring
    #[arg(long)]
    list: bool,
    /// Certificates, and as many export declarations, that `claims` fills its store with
    #[arg(long)]
    records: Option<usize>,
    /// Claims that `claims` matches; half of them are imported, half filed one by one
    #[arg(long)]
    claims: Option<usize>,
    /// Folder in which `claims` keeps its store, to use it again; a temporary one unless given
    #[arg(long)]
    folder: Option<String>,
}

impl Options {
    /// Returns what is handed on to `claims`.
    fn of_claims(&self) -> Vec<String> {
        let Self { records, claims, folder, .. } = self;
        let given = [
            ("--records", records.map(|count| count.to_string())),
            ("--claims", claims.map(|count| count.to_string())),
            ("--folder", folder.clone()),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }
}

/// Runs the named measurements, or all; returns whether all ran.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let of_claims = options.of_claims();
    if !of_claims.is_empty() && options.names.iter().all(|name| name != CLAIMS) {
        bail!("{} is for `{CLAIMS}`; name it", of_claims.join(" "));
    }
    let chosen = choose(BENCHES, &options.names)?;
    if chosen.is_empty() {
        println!("no measurement is registered; add a row to xtask/src/bench.rs");
    }
    let mut well = true;
    for Bench { name, about, argv, record } in chosen {
        println!("{name}: {about}; figures are recorded in {record}");
        if options.list {
            continue;
        }
        let [program, arguments @ ..] = argv else { bail!("{name} has no command") };
        let more = if *name == CLAIMS { of_claims.as_slice() } else { &[] };
        let status = Command::new(program).args(arguments).args(more).status();
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
    fn sizes_are_handed_on() {
        let options = |records, folder: Option<&str>| {
            let folder = folder.map(str::to_owned);
            Options { names: Vec::new(), list: false, records, claims: None, folder }
        };
        assert!(options(None, None).of_claims().is_empty());
        let handed = options(Some(5), Some("f")).of_claims();
        assert_eq!(handed, ["--records", "5", "--folder", "f"]);
        let refused = run(&options(Some(5), None)).unwrap_err().to_string();
        assert_eq!(refused, "--records 5 is for `claims`; name it");
    }

    #[test]
    fn figures_are_recorded_in_the_tree() {
        let root = crate::workspace::root().unwrap();
        for bench in BENCHES {
            assert!(root.join(bench.record).exists(), "{} names no page", bench.name);
        }
    }
}
