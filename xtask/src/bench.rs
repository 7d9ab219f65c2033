//! Runs measurements by name.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// One measurement.
struct Bench {
    name: &'static str,
    about: &'static str,
    package: &'static str,
    /// `--bin` or `--example`, and its name.
    target: [&'static str; 2],
    arguments: &'static [&'static str],
}

impl Bench {
    /// Returns the command that builds and runs it.
    fn command(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["run", "--release", "--locked", "-p", self.package]).args(self.target);
        command.arg("--").args(self.arguments);
        command
    }
}

/// The page that keeps the figures of earlier runs.
const RECORD: &str = "bench/FIGURES.md";

/// The measurement that takes a size.
const CLAIMS: &str = "claims";

/// The measurements. They run alone and in the release profile; machines are noisy, so what is
/// compared is processor time per act, or a ratio within one run.
const BENCHES: &[Bench] = &[
    Bench {
        name: "calls",
        about: "calls through two hops as a ratio to nginx with mutual TLS: processor time, \
                memory, allocations",
        package: "karvan-bench",
        target: ["--bin", "calls"],
        arguments: &["--without", "signatures,log"],
    },
    Bench {
        name: CLAIMS,
        about: "claims against certificates and export declarations, in process and durable, \
                beside the aims; 100,000 of each unless --records says otherwise",
        package: "karvan-customs",
        target: ["--example", "claim_speed"],
        arguments: &[],
    },
    Bench {
        name: "documents",
        about: "documents end to end between two nodes: rate, processor time, memory",
        package: "karvan-bench",
        target: ["--bin", "documents"],
        arguments: &[],
    },
    Bench {
        name: "formats",
        about: "megabytes of EDIFACT and XML read in a second, beside the aims",
        package: "karvan-customs",
        target: ["--example", "format_speed"],
        arguments: &[],
    },
    Bench {
        name: "ledger",
        about: "what one entry costs the evidence log",
        package: "karvan-ledger",
        target: ["--example", "append_cost"],
        arguments: &[],
    },
    Bench {
        name: "store",
        about: "durable transactions of the SQLite back end",
        package: "karvan-store",
        target: ["--example", "commit_rate"],
        arguments: &[],
    },
    Bench {
        name: "tariff",
        about: "a look-up with 200,000 measures, beside the aim",
        package: "karvan-customs",
        target: ["--example", "tariff_cost"],
        arguments: &[],
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
    for bench in chosen {
        let Bench { name, about, .. } = bench;
        println!("{name}: {about}; figures are recorded in {RECORD}");
        if options.list {
            continue;
        }
        let more = if *name == CLAIMS { of_claims.as_slice() } else { &[] };
        let status = bench.command().args(more).status().context("starting `cargo`")?;
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
        let bench = |name| Bench {
            name,
            about: "",
            package: "karvan-ledger",
            target: ["--example", "append_cost"],
            arguments: &[],
        };
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
    fn a_measurement_is_a_target_of_the_workspace() {
        let metadata = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
            .current_dir(crate::workspace::root().unwrap())
            .output()
            .unwrap();
        let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
        for bench in BENCHES {
            let mut packages = metadata["packages"].as_array().unwrap().iter();
            let package = packages.find(|it| it["name"] == bench.package).unwrap();
            let kind = bench.target[0].trim_start_matches("--");
            let mut targets = package["targets"].as_array().unwrap().iter();
            let found = targets.any(|it| it["name"] == bench.target[1] && it["kind"][0] == kind);
            assert!(found, "{} names no target", bench.name);
        }
    }

    #[test]
    fn figures_are_recorded_in_the_tree() {
        assert!(crate::workspace::root().unwrap().join(RECORD).exists());
    }
}
