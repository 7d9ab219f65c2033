//! A station in a process of its own, which can be killed and measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use karvan_types::MemberId;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::{Agency, Caller, World, token};

/// Starts and kills the process of one nation's node.
pub struct Process {
    program: PathBuf,
    folder: PathBuf,
    own: usize,
    token: String,
    calls: Option<SocketAddr>,
    child: Option<Child>,
}

impl World {
    /// Writes the paper from which processes read the federation.
    ///
    /// # Panics
    /// When the folder cannot be written.
    pub fn write_paper(&self) {
        let paper = serde_json::to_vec(&self.federation.to_paper(self.seed)).expect("JSON");
        std::fs::write(self.aside("paper.json"), paper).expect("a writable folder");
    }
}

impl Process {
    /// Prepares the process of a nation's node; `program` is `karvan-test-node`.
    pub fn new(world: &World, own: usize, program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            folder: world.aside(""),
            own,
            token: token(&world.nation(own).member),
            calls: None,
            child: None,
        }
    }

    /// Starts the process and waits until it listens.
    pub async fn start(&mut self) -> Result<Agency> {
        let mut child = Command::new(&self.program)
            .arg(&self.folder)
            .arg(self.own.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the node")?;
        let out = child.stdout.take().context("its output")?;
        let mut lines = BufReader::new(out).lines();
        let mut at = [None; 2];
        for at in &mut at {
            let line = lines.next_line().await?.unwrap_or_default();
            *at = Some(line.trim().parse().with_context(|| format!("it said `{line}`"))?);
        }
        let [Some(at), calls] = at else { anyhow::bail!("it said nothing") };
        self.calls = calls;
        self.child = Some(child);
        Ok(Agency::new(at, self.token.clone()))
    }

    /// Returns a system of a subsystem of the nation that calls.
    ///
    /// # Panics
    /// When the process was not started.
    pub fn caller(&self, member: MemberId) -> Caller {
        Caller::new(self.calls.expect("started"), member)
    }

    /// Kills the process as `kill -9` does, and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// Returns the largest memory that the process ever had resident, in KiB.
    pub fn memory_peak_kib(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// Returns the memory that the process has resident now, in KiB.
    pub fn memory_kib(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Returns a number of the kernel's status of the process.
    fn status(&self, name: &str) -> Result<u64> {
        let id = self.child.as_ref().and_then(Child::id).context("a running process")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let text = line.and_then(|line| line.split_whitespace().next());
        text.with_context(|| format!("a line {name}"))?.parse().context("a number of KiB")
    }
}
