//! Two nations in two folders, and their running nodes.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::Value;

/// The members of the two nations.
pub(crate) const PK: &str = "PK/GOV/FBR/customs";
pub(crate) const AZ: &str = "AZ/GOV/SCC/customs";

/// How often something is looked at before it is given up: a minute and more, for a look starts a
/// process, and a machine that is busy with other tests may take seconds for the work looked at.
const LOOKS_MAX: usize = 200_000;

/// Looks until `done` says so; returns whether it ever did. Another process paces the looks.
pub(crate) fn look_until(mut done: impl FnMut() -> bool) -> bool {
    for _ in 0..LOOKS_MAX {
        if done() {
            return true;
        }
        Command::new("true").status().expect("it runs");
    }
    false
}

/// A folder that holds everything of a test.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Takes the output of a command that must have ended well.
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Checks exit code and a part of what was told.
    pub(crate) fn check(&self, code: i32, part: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        let told = format!("{}{}", self.out, self.err);
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
}

impl World {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karvan"));
        command.args(arguments).current_dir(self.folder.path()).env_remove("KARVAN_DIR");
        if let ["customs", "submit" | "certificate", _, ..] = arguments {
            // A busy machine may take longer than the program waits by itself for the partner.
            command.args(["--wait", "60"]);
        }
        command
    }

    /// Runs the program in the folder.
    pub(crate) fn karvan(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).stdin(Stdio::null()).output().expect("it starts").into()
    }

    /// Runs the program and reads the JSON that it prints.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.karvan(&[arguments, &["--json"]].concat()).good();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Makes a nation and its node.
    pub(crate) fn init(&self, dir: &str, nation: &str, node: &str, member: &str) -> String {
        let address = free_address().to_string();
        let member = format!("{member}=customs");
        self.karvan(&[
            "init",
            "--dir",
            dir,
            "--nation",
            nation,
            "--name",
            nation,
            "--node",
            node,
            "--address",
            &address,
            "--calls",
            "127.0.0.1:0",
            "--local",
            "127.0.0.1:0",
            "--member",
            &member,
        ])
        .good()
    }

    /// Makes two nations that trust each other and have agreed on notes.
    pub(crate) fn two_nations() -> Self {
        let world = Self::new();
        world.init("pk", "PK", "karachi-1", PK);
        world.init("az", "AZ", "baku-1", AZ);
        world.good(&["init", "root", "--dir", "pk", "--with", "az/nation.json"]);
        world.good(&["init", "countersign", "--dir", "az", "root.json", "--yes"]);
        world.good(&["init", "install", "--dir", "pk", "root.json", "az/lists/list-AZ.json"]);
        world.good(&["init", "install", "--dir", "az", "root.json", "pk/lists/list-PK.json"]);
        world.write("draft.json", &draft());
        let sign = ["init", "agreement", "--yes", "--dir"];
        world.good(&[&sign[..], &["pk", "draft.json", "--out", "half.json"]].concat());
        world.good(&[&sign[..], &["az", "half.json", "--out", "whole.json"]].concat());
        let whole = std::fs::read(world.path("whole.json")).expect("signed");
        std::fs::write(world.path("pk/agreements/notes-1.json"), whole).expect("written");
        world
    }

    pub(crate) fn good(&self, arguments: &[&str]) -> String {
        self.karvan(arguments).good()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    /// Starts a node and waits until it says that it is ready.
    pub(crate) fn start(&self, dir: &str) -> Running {
        let config = format!("{dir}/node.toml");
        let mut command = self.command(&["node", "--config", &config]);
        command.stdout(Stdio::piped()).stderr(log(&self.path(&format!("{dir}.log"))));
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("it prints");
        let told = std::fs::read_to_string(self.path(&format!("{dir}.log"))).unwrap_or_default();
        assert!(line.contains("is ready"), "{line}{told}");
        Running { child }
    }

    /// Waits until a node's log says something.
    pub(crate) fn wait_for_log(&self, dir: &str, part: &str) {
        let path = self.path(&format!("{dir}.log"));
        let says = || std::fs::read_to_string(&path).expect("a log").contains(part);
        assert!(look_until(says), "{} never said `{part}`", path.display());
    }

    /// Asks again until `done` says so; each question is a process, which paces the loop.
    pub(crate) fn wait_for(&self, arguments: &[&str], done: impl Fn(&Value) -> bool) -> Value {
        const TRIES_MAX: usize = 20_000;
        for _ in 0..TRIES_MAX {
            let seen = self.json(arguments);
            if done(&seen) {
                return seen;
            }
        }
        let told = ["pk.log", "az.log"].map(|log| std::fs::read_to_string(self.path(log)));
        panic!("{arguments:?} did not come true: {:#}\n{told:#?}", self.json(arguments));
    }
}

fn log(path: &Path) -> std::fs::File {
    std::fs::File::create(path).expect("a log file")
}

/// Returns an address that nobody listens on, on a loopback host of its own: the node that is
/// started later finds it free.
fn free_address() -> SocketAddr {
    static COUNTER: AtomicU8 = AtomicU8::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, 128 + number % 64, high, low.max(1));
    let listener = TcpListener::bind((host, 0)).expect("bound");
    listener.local_addr().expect("address")
}

/// An agreement that lets both customs services send notes.
pub(crate) fn draft() -> String {
    format!(
        r#"{{"id": "notes", "version": 1, "purpose": "customs-notes",
        "legalBasis": "Test agreement of two nations",
        "validFrom": "2020-01-01T00:00:00.000Z", "validUntil": "2099-01-01T00:00:00.000Z",
        "grants": [
            {{"client": "{PK}", "provider": "{AZ}", "documents": ["note"]}},
            {{"client": "{AZ}", "provider": "{PK}", "documents": ["note"]}}
        ]}}"#
    )
}

/// A running node; stopped when dropped.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Asks the node to stop, as a service manager does, and returns its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("-TERM");
        self.child.wait().expect("it ends").code()
    }
}

impl Running {
    /// Sends a signal, such as `-HUP`.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().expect("kill runs");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
