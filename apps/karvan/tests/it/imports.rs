//! Imports of many documents: every kind of source, wrong records among them, and interruptions at
//! any point by `kill -9` of the program or of the node.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use karvan_customs::samples::{Consignment, generate};
use serde_json::{Value, json};

use crate::pilot::Pilot;
use crate::world::{Ended, World, look_until};

/// Records of the import that is interrupted.
const RECORDS: usize = 450;

fn document(consignment: &Consignment, step: usize, member: &str) -> Value {
    consignment.steps[step].input[member].clone()
}

fn lines(documents: impl Iterator<Item = Value>) -> String {
    documents.fold(String::new(), |text, document| text + &document.to_string() + "\n")
}

fn import(world: &World, arguments: &[&str]) -> Ended {
    world.karvan(&[&["customs", "import"], arguments].concat())
}

/// Reads a report.
fn report(world: &World, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(world.path(name)).expect("a report");
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

/// A world in which a pilot has made two nodes, and no node runs.
fn two_sides() -> World {
    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    assert_eq!(pilot.end("-TERM"), Some(0));
    world
}

#[test]
fn folders_archives_and_streams_are_imported_with_wrong_records_among_them() {
    let world = World::new();
    let (mut pilot, _) = Pilot::running(&world);
    let all = generate(6, 11);
    fs::create_dir_all(world.path("in/claims")).expect("a folder");
    let exports: Vec<Value> = all.iter().map(|c| document(c, 1, "declaration")).collect();
    let text = lines(exports.iter().take(2).cloned());
    world.write("in/1.ndjson", &format!("{text}{{\"a\":1,\"a\":2}}\n\n{text}"));
    world.write("in/2.json", &serde_json::to_string_pretty(&exports[2]).expect("text"));
    world.write("in/3.txt", "nothing of that kind");
    world.write("in/.hidden", "left aside");
    world.write("in/claims/4.json", &exports[3].to_string());
    std::os::unix::fs::symlink(world.path("in/2.json"), world.path("in/5.json")).expect("a link");
    let dry = import(&world, &["in", "--dry-run", "--report", "dry.ndjson"]);
    dry.check(1, "9 records, 6 valid, 0 duplicates, 3 rejected");

    let first = ["in", "--dir", "data/az", "--name", "folder", "--report", "in/report"];
    import(&world, &first).check(1, "9 records, 4 accepted, 2 duplicates, 3 rejected, 0 parked");
    let kept = report(&world, "in/report");
    let told: Vec<_> =
        kept.iter().map(|line| (line["place"].as_str(), line["outcome"].as_str())).collect();
    let expected = [
        ("1.ndjson:1", "accepted"),
        ("1.ndjson:2", "accepted"),
        ("1.ndjson:3", "rejected"),
        ("1.ndjson:5", "duplicate"),
        ("1.ndjson:6", "duplicate"),
        ("2.json", "accepted"),
        ("3.txt", "rejected"),
        ("5.json", "rejected"),
        ("claims/4.json:1", "accepted"),
    ];
    assert_eq!(told, expected.map(|(place, outcome)| (Some(place), Some(outcome))));
    // Once more: nothing is left to do, and the report stays as it is.
    import(&world, &first).check(1, "9 records, 4 accepted, 2 duplicates, 3 rejected, 0 parked");
    assert_eq!(report(&world, "in/report"), kept);
    // Another source under the same name is refused, and says what to do.
    world.write("in/1.ndjson", &text);
    import(&world, &first).check(7, "another --name");

    check_archive(&world, &all);
    check_stream(&world, &all);
    import(&world, &["nowhere", "--dir", "data/az"]).check(6, "give a folder, a file, or -");
    world.write("empty.ndjson", "");
    import(&world, &["empty.ndjson", "--dir", "data/az"]).check(1, "the file is empty");
    assert_eq!(pilot.end("-TERM"), Some(0));
}

fn check_archive(world: &World, all: &[Consignment]) {
    let mut archive = zip::ZipWriter::new(fs::File::create(world.path("c.zip")).expect("a file"));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    let certificates = lines(all.iter().map(|c| document(c, 0, "certificate")));
    let bomb = vec![b' '; 16 * 1024 * 1024];
    for (name, bytes) in [
        ("b/coo.ndjson", certificates.as_bytes()),
        ("../out.json", b"{}"),
        ("bomb.json", &bomb),
        ("inner.zip", b"PK"),
    ] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("an archive");
    let arguments = ["c.zip", "--dir", "data/az", "--as", "AZ/GOV/AMCM", "--report", "c.report"];
    import(world, &arguments).check(1, "9 records, 6 accepted, 0 duplicates, 3 rejected");
    let told = fs::read_to_string(world.path("c.report")).expect("a report");
    for part in ["leads out of the archive", "expands to more than", "within an archive"] {
        assert!(told.contains(part), "`{part}` is not in\n{told}");
    }
    assert!(!world.path("../out.json").exists(), "nothing is unpacked");
}

fn check_stream(world: &World, all: &[Consignment]) {
    let text = lines(all.iter().map(|c| document(c, 2, "claim")));
    let mut child = Command::new(env!("CARGO_BIN_EXE_karvan"))
        .args(["customs", "import", "-", "--dir", "data/pk", "--name", "claims", "--json"])
        .current_dir(world.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("written");
    let out = Ended::from(child.wait_with_output().expect("it ends")).good();
    let told: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(told.len(), 7, "{out}");
    assert!(told[0]["items"][0]["light"].is_string(), "{out}");
    assert_eq!(told[6]["summary"]["accepted"], json!(6));
    assert_eq!(report(world, "claims.report.ndjson"), told[..6]);
}

/// Starts an import, and ends it when its report has so many lines; returns whether it still ran.
fn kill_at(world: &World, arguments: &[&str], lines: usize) -> bool {
    let mut child = spawn(world, arguments);
    let is_there = look_until(|| {
        let text = fs::read_to_string(world.path("report")).unwrap_or_default();
        text.lines().count() >= lines || child.try_wait().expect("a process").is_some()
    });
    assert!(is_there, "the report never had {lines} lines");
    let ran = child.try_wait().expect("a process").is_none();
    child.kill().expect("killed");
    child.wait().expect("ended");
    ran
}

fn spawn(world: &World, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_karvan"))
        .args(["customs", "import"])
        .args(arguments)
        .current_dir(world.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

#[test]
fn an_import_goes_on_where_it_was_killed() {
    let world = two_sides();
    let all = generate(RECORDS, 12);
    world.write("exports.ndjson", &lines(all.iter().map(|c| document(c, 1, "declaration"))));
    let arguments = ["exports.ndjson", "--dir", "data/az", "--report", "report"];
    let mut node = world.start("data/az");
    let mut interrupted = 0;
    for (turn, wanted) in [1, 100, 101, 200].into_iter().enumerate() {
        interrupted += usize::from(kill_at(&world, &arguments, wanted));
        if turn == 1 {
            // What was written of the last lines is lost with the machine of the office.
            let text = fs::read(world.path("report")).expect("a report");
            fs::write(world.path("report"), &text[..text.len() / 2]).expect("cut");
        }
        // The node is killed too, in the middle of whatever it does.
        let mut importing = spawn(&world, &arguments);
        node.signal("-KILL");
        importing.wait().expect("ended");
        drop(node);
        node = world.start("data/az");
    }
    assert!(interrupted > 1, "the import was too fast to be interrupted");
    import(&world, &arguments).check(0, "450 records, 450 accepted, 0 duplicates, 0 rejected");
    let kept = report(&world, "report");
    let numbers: Vec<_> = kept.iter().map(|line| line["record"].as_u64()).collect();
    let expected: Vec<_> = (1..=RECORDS as u64).map(Some).collect();
    assert_eq!(numbers, expected, "each record has one line, in order");
    assert!(kept.iter().all(|line| line["outcome"] == "accepted"), "none was taken twice");
    let list = ["customs", "list", "exports", "--limit", "1000", "--dir", "data/az"];
    let listed = world.json(&list);
    let generated = |row: &&Value| {
        let number = row["number"].as_str().unwrap_or_default();
        number.starts_with("AZ-EX-0000000C-")
    };
    let rows = listed["rows"].as_array().expect("rows");
    assert_eq!(rows.iter().filter(generated).count(), RECORDS);
    // A report that was lost as a whole is made again from what the node kept.
    fs::remove_file(world.path("report")).expect("removed");
    import(&world, &arguments).check(0, "450 records, 450 accepted");
    assert_eq!(report(&world, "report"), kept);
    assert_eq!(node.stop(), Some(0));
}
