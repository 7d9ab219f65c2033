//! The load: `wrk` with one thread, which costs little of the machine that it shares with what it
//! loads, and counts what went wrong.
//!
//! It is a closed loop: each connection sends the next call when it has its answer. A latency is
//! therefore one under as much load as the connections can make, not under a load that is given.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use karvan_types::json;
use serde::{Deserialize, Serialize};

use crate::target::Target;
use crate::tools;

/// How long a call may take before it counts as an error.
const CALL_MAX: &str = "5s";

/// Has wrk print what it counted as one line of JSON after its own text.
const SCRIPT: &str = r#"
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"micros":%d,"p50Micros":%d,"p99Micros":%d,"errors":' ..
    '{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect, e.read, e.write, e.status, e.timeout))
end
"#;

/// The load generator.
pub(crate) struct Load {
    program: String,
    script: PathBuf,
}

/// What it counted.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Counted {
    /// Answers that came.
    pub(crate) requests: u64,
    /// How long it took, in µs.
    pub(crate) micros: u64,
    /// The latency that half of the answers kept, in µs.
    pub(crate) p50_micros: u64,
    /// The latency that 99 % of the answers kept, in µs.
    pub(crate) p99_micros: u64,
    /// What went wrong.
    pub(crate) errors: Errors,
}

/// Calls that failed, by where.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Errors {
    connect: u64,
    read: u64,
    write: u64,
    /// Answers with a status of 400 or more.
    status: u64,
    timeout: u64,
}

impl Load {
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let program = tools::program("wrk", "wrk")?;
        let script = folder.join("counted.lua");
        fs::write(&script, SCRIPT)?;
        Ok(Self { program, script })
    }

    /// Loads a target; `around` is put before the command, for programs that watch while it runs.
    pub(crate) fn run(
        &self,
        target: &dyn Target,
        connections: u16,
        seconds: u32,
        around: &[String],
    ) -> Result<Counted> {
        let mut argv = around.to_vec();
        argv.push(self.program.clone());
        argv.extend(["--threads", "1", "--timeout", CALL_MAX].map(str::to_owned));
        argv.extend(["--connections".to_owned(), connections.to_string()]);
        argv.extend(["--duration".to_owned(), format!("{seconds}s"), "--script".to_owned()]);
        argv.push(self.script.display().to_string());
        for (name, value) in target.headers() {
            argv.extend(["--header".to_owned(), format!("{name}: {value}")]);
        }
        argv.push(target.url());
        let Some((program, arguments)) = argv.split_first() else { bail!("a command") };
        let mut command = Command::new(program);
        let printed = tools::run(command.args(arguments))?;
        let counted = parse(&printed)?;
        ensure!(counted.requests > 0, "{} answered no call: {:?}", target.name(), counted.errors);
        Ok(counted)
    }
}

impl Counted {
    /// Returns whether every call was answered well; otherwise the run counts for nothing.
    pub(crate) fn good(&self) -> bool {
        self.errors.sum() == 0
    }

    /// Returns answers per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.requests as f64 / self.micros as f64 * 1e6
    }
}

impl Errors {
    /// Returns how many calls failed.
    pub(crate) fn sum(&self) -> u64 {
        [self.connect, self.read, self.write, self.status, self.timeout].iter().sum()
    }
}

fn parse(printed: &str) -> Result<Counted> {
    let line = printed.lines().rev().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk counted nothing: {printed}"))?;
    json::from_slice(line.as_bytes()).with_context(|| format!("wrk counted `{line}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts_and_any_error_spoils_the_run() {
        let check = |line: &str, expected: Option<(u64, u64)>| {
            let printed = format!("Running 6s test\n{{}}\n  9 requests\n\n{line}\n");
            let counted = parse(&printed).ok();
            let found = counted.map(|counted| (counted.requests, counted.errors.sum()));
            assert_eq!(found, expected, "{line}");
        };
        let line = |errors: [u8; 5]| {
            let [connect, read, write, status, timeout] = errors;
            format!(
                "{{\"requests\":9,\"micros\":3,\"p50Micros\":1,\"p99Micros\":2,\"errors\":\
                 {{\"connect\":{connect},\"read\":{read},\"write\":{write},\"status\":{status},\
                 \"timeout\":{timeout}}}}}"
            )
        };
        check(&line([0; 5]), Some((9, 0)));
        check(&line([1, 0, 0, 0, 0]), Some((9, 1)));
        check(&line([0, 1, 2, 3, 4]), Some((9, 10)));
        check("{\"requests\":9}", None);
        check("no figures", None);
    }
}
