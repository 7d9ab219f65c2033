//! The pilot: two nations as real processes, played, resumed, ended in every way, and refused.

use std::io::{BufRead as _, BufReader, Lines};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use serde_json::Value;

use crate::world::{World, look_until};

/// A pilot that runs beside the test.
pub(crate) struct Pilot {
    child: Child,
    told: Lines<BufReader<ChildStderr>>,
}

impl Pilot {
    pub(crate) fn start(world: &World, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_karvan"));
        command.arg("pilot").args(arguments).current_dir(world.path(""));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let told = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, told }
    }

    /// Starts a pilot on `data` with one generated consignment, and waits until it stays.
    pub(crate) fn running(world: &World) -> (Self, Vec<u32>) {
        let mut pilot = Self::start(world, &["--dir", "data", "--consignments", "1"]);
        let nodes = pilot.read_until("Both nodes are running");
        (pilot, nodes)
    }

    /// Reads what is told until a line has this part; returns the nodes' processes seen so far.
    fn read_until(&mut self, part: &str) -> Vec<u32> {
        let mut nodes = Vec::new();
        let mut seen = String::new();
        for line in self.told.by_ref() {
            let line = line.expect("text");
            let process = line.split_once(" process ").and_then(|(_, rest)| rest.split_once(','));
            nodes.extend(process.map(|(pid, _)| pid.parse::<u32>().expect("a number")));
            if line.contains(part) {
                return nodes;
            }
            seen = seen + &line + "\n";
        }
        panic!("`{part}` was never told:\n{seen}");
    }

    /// Sends a signal and returns the exit code, none when the signal itself ended it.
    pub(crate) fn end(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        Command::new("kill").args([signal, &pid]).status().expect("kill runs");
        for line in self.told.by_ref() {
            line.expect("text");
        }
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether a process is still there. One that has ended but was not yet waited for by
/// whoever inherited it counts as gone.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// Waits until none of the processes is there.
fn await_end(nodes: &[u32]) {
    assert_eq!(nodes.len(), 2, "two nodes are told");
    let gone = || !nodes.iter().any(|node| is_alive(*node));
    assert!(look_until(gone), "{nodes:?} are still there");
}

fn once(world: &World) -> Value {
    world.json(&["pilot", "--once", "--dir", "data"])
}

/// Returns every bundle of a report.
fn bundles(report: &Value) -> Vec<String> {
    let rows = report["consignments"].as_array().expect("rows");
    let bundles = rows.iter().flat_map(|row| row["evidence"]["bundles"].as_array().expect("list"));
    bundles.map(|path| path.as_str().expect("a path").to_owned()).collect()
}

#[test]
fn every_consignment_comes_out_as_expected_and_only_once() {
    let world = World::new();
    let first = once(&world);
    assert_eq!(first["good"], true, "{first:#}");
    assert_eq!(first["resumed"], false);
    let rows = first["consignments"].as_array().expect("rows");
    assert!(rows.len() >= 12, "{}", rows.len());
    for row in rows {
        assert_eq!(row["expected"], true, "{row:#}");
        assert_eq!(row["evidence"]["state"], "witnessed", "{row:#}");
        assert_eq!(row["evidence"]["verified"], row["evidence"]["documents"], "{row:#}");
    }
    let bundle = bundles(&first).into_iter().next().expect("a bundle");
    check_offline(&world, &bundle);

    let second = once(&world);
    assert_eq!((&second["good"], &second["resumed"]), (&true.into(), &true.into()));
    assert_eq!(second["consignments"], first["consignments"], "nothing was played again");

    // The quicker of two starts: the other may say what else the machine did.
    let started = |run: &Value| {
        let nodes = run["nodes"].as_array().expect("nodes").iter();
        nodes.map(|node| node["startedInMs"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    for (first, second) in started(&first).into_iter().zip(started(&second)) {
        assert!(first.min(second) < 3000, "{first} and {second} ms");
    }
}

/// The bundle holds under the root alone, and no longer after one byte was changed.
fn check_offline(world: &World, bundle: &str) {
    let verify = ["verify", bundle, "--root", "data/root.json"];
    world.karvan(&verify).check(0, "Everything in this bundle holds.");
    let mut bytes = std::fs::read(bundle).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(world.path("altered.zip"), bytes).expect("written");
    let altered = ["verify", "altered.zip", "--root", "data/root.json"];
    world.karvan(&altered).check(14, "does not hold");
}

#[test]
fn a_killed_pilot_leaves_nothing_running_and_goes_on_where_it_was() {
    let world = World::new();
    let mut pilot = Pilot::start(&world, &["--once", "--dir", "data"]);
    let nodes = pilot.read_until("[ 2/");
    assert_eq!(pilot.end("-KILL"), None);
    await_end(&nodes);
    let report = once(&world);
    assert_eq!((&report["good"], &report["resumed"]), (&true.into(), &true.into()), "{report:#}");
}

#[test]
fn a_pilot_that_is_told_to_end_takes_both_nodes_with_it() {
    for signal in ["-TERM", "-INT"] {
        let world = World::new();
        let (mut pilot, nodes) = Pilot::running(&world);
        assert!(nodes.iter().all(|node| is_alive(*node)), "{nodes:?}");
        assert_eq!(pilot.end(signal), Some(0), "{signal}");
        assert!(!nodes.iter().any(|node| is_alive(*node)), "{nodes:?} outlived {signal}");
    }
}

#[test]
fn a_load_is_measured() {
    let world = World::new();
    let report =
        world.json(&["pilot", "--once", "--dir", "data", "--consignments", "20", "--seed", "7"]);
    assert_eq!(report["good"], true, "{report:#}");
    let load = &report["load"];
    assert_eq!((&load["played"], &load["verified"]), (&20.into(), &20.into()), "{load:#}");
    for figure in ["consignmentsPerSecond", "documentsPerSecond"] {
        assert!(load[figure].as_f64().expect("a number") > 0.0, "{load:#}");
    }
    for node in load["nodes"].as_array().expect("nodes") {
        assert!(node["residentKib"].as_u64().expect("a number") > 1000, "{node}");
    }
}

#[test]
fn wrong_inputs_say_what_to_do() {
    let world = World::new();
    let pilot = |arguments: &[&str]| world.karvan(&[&["pilot", "--once"], arguments].concat());
    pilot(&["--consignments", "0"]).check(2, "--consignments");
    pilot(&["--seed", "1"]).check(2, "--consignments");

    world.write("file", "not a folder");
    pilot(&["--dir", "file/data"]).check(12, "give a folder that you may write to");
    std::fs::create_dir(world.path("mine")).expect("made");
    world.write("mine/letter.txt", "not a pilot's");
    pilot(&["--dir", "mine"]).check(7, "is not empty and is not a pilot's folder");
    std::fs::create_dir(world.path("old")).expect("made");
    world.write("old/pilot.json", r#"{"format":"karvan-pilot/0","complete":true}"#);
    pilot(&["--dir", "old"]).check(12, "karvan-pilot/0");

    let made = ["--dir", "data", "--consignments", "1"];
    pilot(&made).check(0, "1 of 1 consignments played");
    let config = world.path("data/az/node.toml");
    check_port(&config, || pilot(&made).check(7, "cannot listen on 127.0.0.1:"));
    let good = std::fs::read_to_string(&config).expect("read");
    std::fs::write(&config, good.replace("[peer]\nlisten", "[peer]\nlisen")).expect("written");
    pilot(&made).check(12, "unknown field `lisen`");
    std::fs::write(&config, good).expect("written");
    world.write("data/pilot.json", "{");
    pilot(&made).check(12, "pilot.json cannot be read");
}

/// Calls `refused` while somebody else listens on the port of a node.
fn check_port(config: &Path, refused: impl FnOnce()) {
    let text = std::fs::read_to_string(config).expect("read");
    let (_, rest) = text.split_once("[peer]\nlisten = \"").expect("an address");
    let (address, _) = rest.split_once('"').expect("an address");
    let taken = TcpListener::bind(address).expect("bound");
    refused();
    drop(taken);
}
