//! Long interchanges and envelopes of XML: memory stays flat, and each interchange is answered.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::world::World;

/// Length of the interchange that is read, and the most memory that the whole program may take
/// meanwhile, in KiB. A program that keeps the interchange takes more than it is long.
const INTERCHANGE_KIB: usize = 128 * 1024;
const PEAK_KIB_MAX: u64 = 112 * 1024;
/// Messages of that interchange.
const MESSAGES: usize = 512;

/// Writes an interchange of messages that are long, well formed, and of a type that is not read.
fn write_long(path: &Path) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let text = format!("FTX+AAA+++{}'\n", "COPPER WIRE ".repeat(40));
    let lines = INTERCHANGE_KIB * 1024 / MESSAGES / text.len() + 1;
    let body = text.repeat(lines);
    let mut put = |text: &str| file.write_all(text.as_bytes()).expect("written");
    put("UNB+UNOC:3+BROKER+CUSTOMS+261002:0600+LONG'\n");
    for number in 1..=MESSAGES {
        put(&format!("UNH+{number}+INVOIC:D:96B:UN'\n{body}UNT+{}+{number}'\n", lines + 2));
    }
    put(&format!("UNZ+{MESSAGES}+LONG'\n"));
}

/// Returns the peak of a process's memory in KiB, where the system tells it.
fn peak(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[test]
fn memory_does_not_grow_with_an_interchange() {
    let world = World::new();
    let path = world.path("long.edi");
    write_long(&path);
    assert!(fs::metadata(&path).expect("a file").len() >= INTERCHANGE_KIB as u64 * 1024);
    let mut child = Command::new(env!("CARGO_BIN_EXE_karvan"))
        .args(["customs", "import", "--dry-run", "--json", "--report"])
        .args([&world.path("long.report"), &path])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let (mut records, mut highest) = (0, None);
    // A line is there for each record, so the last look is at the end of the reading.
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        records += usize::from(line.expect("a line").contains("\"outcome\":\"rejected\""));
        highest = highest.max(peak(child.id()));
    }
    assert_eq!(child.wait().expect("ended").code(), Some(1), "INVOIC is rejected");
    assert_eq!(records, MESSAGES);
    let Some(highest) = highest else {
        eprintln!("SKIPPED memory_does_not_grow_with_an_interchange: the system tells no peak");
        return;
    };
    assert!(highest <= PEAK_KIB_MAX, "{highest} KiB");
}

#[test]
fn each_interchange_is_answered() {
    let world = World::new();
    let good = "UNB+UNOC:3+BROKER+CUSTOMS+261002:0600+R1'UNH+1+CUSDEC:D:96B:UN'BGM+830+D1+9'\
                NAD+EX+1++A'NAD+CN+2++B'UNS+D'CST+1+740811:HS'FTX+AAA+++W'UNS+S'UNT+9+1'UNZ+1+R1'";
    let strange = good.replace("UNS+D", "XYZ+1'UNS+D").replace("UNT+9", "UNT+10");
    fs::create_dir_all(world.path("in")).expect("a folder");
    world.write("in/good.edi", good);
    world.write("in/strange.edi", &strange);
    world.write("in/counted.edi", &good.replace("UNZ+1", "UNZ+2"));
    let arguments = ["in", "--dry-run", "--report", "r", "--reply", "answers"];
    let ended = world.karvan(&[&["customs", "import"], &arguments[..]].concat());
    ended.check(1, "3 answers: answers");
    let answer = |name: &str| fs::read_to_string(world.path(&format!("answers/{name}")));
    for (name, parts) in [
        ("good.edi", &["UCI+R1+BROKER+CUSTOMS+7'", "UCM+1+CUSDEC:D:96B:UN+7'"][..]),
        ("strange.edi", &["UCI+R1+BROKER+CUSTOMS+7'", "UCM+1+CUSDEC:D:96B:UN+4'\nUCS+5+15'"]),
        ("counted.edi", &["UCI+R1+BROKER+CUSTOMS+4+29+UNZ+1"]),
    ] {
        let text = answer(&format!("{name}.contrl.edi")).expect(name);
        assert!(parts.iter().all(|part| text.contains(part)), "{name}: {text}");
    }
}
