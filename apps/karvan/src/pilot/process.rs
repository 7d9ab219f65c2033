//! A node as a process of its own, and what the operating system says about it.
//!
//! The child ends when its standard input ends: on purpose when [`NodeProcess::stop`] closes it,
//! and by itself when this process dies in whatever way, so no node is left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use karvan_types::{ErrorKind, json};
use serde::Serialize;

use super::folder::Folder;
use super::nations::Nation;
use super::wait::{self, Stopwatch};
use crate::config::Config;
use crate::failure::Failure;
use crate::node::Ready;

/// How long a node may take to accept connections.
const START_MAX: Duration = Duration::from_mins(1);
/// How long a node may take to end once it was told to.
const STOP_MAX: Duration = Duration::from_secs(20);
/// Lines of a node's log that are shown when it fails.
const LOG_LINES: usize = 5;
/// The entry of the auxiliary vector with the clock ticks of a second (`AT_CLKTCK`).
const AUXV_CLOCK_TICKS: u64 = 17;
/// Clock ticks of a second on every Linux in use, if the vector cannot be read.
const CLOCK_TICKS: u64 = 100;

/// A running node.
pub(crate) struct NodeProcess {
    pub(crate) nation: &'static Nation,
    pub(crate) ready: Ready,
    /// From the start of the process until it accepted connections.
    pub(crate) started_in: Duration,
    child: Child,
    log: PathBuf,
    stopped: bool,
}

/// A node that does not accept connections yet.
pub(crate) struct Starting {
    nation: &'static Nation,
    child: Option<Child>,
    since: Stopwatch,
    log: PathBuf,
    line: mpsc::Receiver<String>,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Usage {
    /// Seconds of processor time.
    pub(crate) cpu_seconds: f64,
    /// Resident memory in KiB.
    pub(crate) resident_kib: u64,
}

/// Starts the process of a nation's node.
pub(crate) fn start(folder: &Folder, nation: &'static Nation) -> Result<Starting> {
    let path = folder.home(nation).config();
    // Wrong configuration is told here, with line and remedy, not from a child's log.
    let config = Config::load(&path)?;
    check_port(&config)?;
    let log = folder.log(nation);
    let lines = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let program = std::env::current_exe().context("the program's own file is gone")?;
    let since = Stopwatch::start();
    let mut child = Command::new(program)
        .args(["--json", "node", "--parent-pipe", "--config"])
        .arg(&path)
        // A group of its own: Ctrl-C goes to the pilot alone, which ends the nodes in order.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(lines)
        .spawn()
        .context("the node's process cannot start")?;
    let line = first_line(child.stdout.take().context("the child has no output")?);
    Ok(Starting { nation, child: Some(child), since, log, line })
}

fn check_port(config: &Config) -> Result<()> {
    let address = config.peer.listen;
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => {
            let text = format!("{} cannot listen on {address}: {error}", config.node.id);
            let hint = format!(
                "another pilot may run on this folder: end it, or what else listens there (`ss \
                 -ltnp 'sport = :{}'` names it), or start with another folder: --dir NEW",
                address.port()
            );
            Err(Failure::new(ErrorKind::Conflict, text).hint(hint).into())
        }
    }
}

/// Reads the first line on a thread, so that waiting for it can end.
fn first_line(out: ChildStdout) -> mpsc::Receiver<String> {
    let (tell, line) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(out);
        let mut text = String::new();
        if lines.read_line(&mut text).is_ok() {
            let _ = tell.send(text);
        }
        // The node must never wait for somebody to read.
        let _ = std::io::copy(&mut lines, &mut std::io::sink());
    });
    line
}

impl Starting {
    /// Waits until the node accepts connections.
    pub(crate) fn wait(mut self) -> Result<NodeProcess> {
        let line = self.line.recv_timeout(START_MAX).unwrap_or_default();
        let started_in = self.since.elapsed();
        let ready: Option<Ready> = json::from_slice(line.as_bytes()).ok();
        let (Some(ready), Some(child)) = (ready, self.child.take()) else {
            return Err(self.failed().into());
        };
        let (nation, log) = (self.nation, self.log.clone());
        Ok(NodeProcess { nation, ready, started_in, child, log, stopped: false })
    }

    fn failed(&mut self) -> Failure {
        let mut code = None;
        if let Some(mut child) = self.child.take() {
            end(&mut child);
            code = child.wait().ok().and_then(|status| status.code());
        }
        failure(self.nation, &self.log, code)
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end(&mut child);
        }
    }
}

/// Says that a node ended, with its last words and its own kind of failure.
fn failure(nation: &Nation, log: &Path, code: Option<i32>) -> Failure {
    let kind = ErrorKind::ALL.into_iter().find(|kind| Some(i32::from(kind.exit_code())) == code);
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines: Vec<_> = text.lines().rev().take(LOG_LINES).collect();
    lines.reverse();
    let text = format!("the node in {} ended:\n  {}", nation.folder, lines.join("\n  "));
    Failure::new(kind.unwrap_or(ErrorKind::Internal), text)
        .hint(format!("the whole log is in {}", log.display()))
}

/// Ends a process: by the end of its input, and by force when that takes too long.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let ended = wait::until(STOP_MAX, || Ok(!matches!(child.try_wait(), Ok(None))));
    if !ended.unwrap_or_default() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl NodeProcess {
    /// Returns an error when the process has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                self.stopped = true;
                Err(failure(self.nation, &self.log, status.code()).into())
            }
        }
    }

    /// Tells the node to end, and waits for it.
    pub(crate) fn stop(&mut self) {
        if !self.stopped {
            self.stopped = true;
            end(&mut self.child);
        }
    }

    /// Tells the node to end without waiting; [`Self::stop`] waits.
    pub(crate) fn tell_to_stop(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Returns what the process has used.
    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Usage {
    /// Reads what `/proc` says about a process; zero where it says nothing.
    pub(crate) fn of(pid: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let stat = read("stat").unwrap_or_default();
        // Fields 14 and 15; the second, a name in parentheses, may hold spaces.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 =
            after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        let status = read("status").unwrap_or_default();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Self {
            cpu_seconds: ticks as f64 / clock_ticks() as f64,
            resident_kib: resident.unwrap_or_default(),
        }
    }
}

/// Returns how many clock ticks the kernel counts in a second.
fn clock_ticks() -> u64 {
    use std::io::Read as _;
    let mut vector = Vec::new();
    let _ = File::open("/proc/self/auxv").and_then(|mut file| file.read_to_end(&mut vector));
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    vector
        .chunks_exact(16)
        .filter_map(|pair| Some((word(pair.get(..8)?)?, word(pair.get(8..)?)?)))
        .find_map(|(kind, value)| (kind == AUXV_CLOCK_TICKS).then_some(value))
        .unwrap_or(CLOCK_TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let usage = Usage::of(std::process::id());
        assert!(usage.resident_kib > 500, "{usage:?}");
        assert!((1..=10_000).contains(&clock_ticks()));
    }
}
