//! What the kernel says about processes: processor time and memory, from `/proc` (Linux proc(5)).
//!
//! The sum of user and system time is exact to a tick of 10 ms, so a measurement should use some
//! seconds of it. Time of threads that have ended is included.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Clock ticks of `/proc` per second on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The fields of `/proc/PID/stat` that are of use here.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// User and system time, in ticks.
    own: u64,
    /// The same of children that have ended and were waited for.
    waited: u64,
}

/// Returns the processor time of a process in seconds, user and system.
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    Ok(stat(pid)?.own as f64 / TICKS_PER_SECOND)
}

/// Returns the processor time in seconds of all children of this process that have ended.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn cpu_seconds_of_ended_children() -> Result<f64> {
    Ok(stat(std::process::id())?.waited as f64 / TICKS_PER_SECOND)
}

/// Returns the processor time in seconds that all processes and the kernel have used.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn cpu_seconds_of_machine() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat")?;
    let ticks = busy_ticks(&text).context("no line of all processors in /proc/stat")?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Returns a process and all that descend from it.
///
/// # Errors
/// When there is no such process.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    stat(root)?;
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end while the folder is read.
        if let Ok(stat) = stat(pid) {
            parents.push((pid, stat.parent));
        }
    }
    let mut tree = vec![root];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        let of_it = |&&(pid, of): &&(u32, u32)| of == parent && !tree.contains(&pid);
        let children: Vec<_> = parents.iter().filter(of_it).map(|&(pid, _)| pid).collect();
        tree.extend(children);
        next += 1;
    }
    Ok(tree)
}

/// Returns a line of `/proc/PID/status` in KiB, such as `VmRSS` or `VmHWM`.
///
/// # Errors
/// When there is no such process or line.
pub fn memory_kib(pid: u32, line: &str) -> Result<u64> {
    let status = read(pid, "status")?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
    let number = found.and_then(|text| text.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("no line {line} in /proc/{pid}/status"))
}

fn stat(pid: u32) -> Result<Stat> {
    let text = read(pid, "stat")?;
    parse_stat(&text).with_context(|| format!("/proc/{pid}/stat is not what proc(5) says"))
}

fn read(pid: u32, file: &str) -> Result<String> {
    let path = Path::new("/proc").join(pid.to_string()).join(file);
    fs::read_to_string(&path).with_context(|| format!("process {pid} is gone: {}", path.display()))
}

/// The second field, a name in parentheses, may hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after) = text.rsplit_once(')')?;
    let fields: Vec<_> = after.split_whitespace().collect();
    // `after` begins with the third field of proc(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        own: number(14)? + number(15)?,
        waited: number(16)? + number(17)?,
    })
}

/// Sums user, nice, system, irq, softirq and steal; the rest is idle, or counted within user.
fn busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Option<Vec<u64>> = line.split_whitespace().map(|text| text.parse().ok()).collect();
    let fields = fields?;
    [0, 1, 2, 5, 6, 7].into_iter().map(|at| fields.get(at).copied()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_after_the_name() {
        let check = |text: &str, expected: Option<(u32, u64, u64)>| {
            let expected = expected.map(|(parent, own, waited)| Stat { parent, own, waited });
            assert_eq!(parse_stat(text), expected, "{text}");
        };
        check("7 (a) S 3 7 7 0 -1 0 1 2 3 4 50 6 700 8 20 0", Some((3, 56, 708)));
        check("7 (a) b) (c) S 3 7 7 0 -1 0 1 2 3 4 50 6 700 8 20 0", Some((3, 56, 708)));
        check("7 (a) S 3 7 7 0 -1 0 1 2 3 4 50", None);
        check("7 (a) S x 7 7 0 -1 0 1 2 3 4 50 6 700 8 20 0", None);
        check("", None);
    }

    #[test]
    fn idle_and_guests_are_not_busy() {
        let check = |text: &str, expected| assert_eq!(busy_ticks(text), expected, "{text}");
        check("cpu  1 20 300 9 9 4000 50000 600000 9 9\ncpu0 5", Some(654_321));
        check("cpu0 1 2 3 4 5 6 7 8", None);
        check("cpu  1 2 3", None);
    }

    #[test]
    fn this_process_is_in_its_own_tree() {
        let own = std::process::id();
        assert_eq!(tree(own).unwrap().first(), Some(&own));
        assert!(memory_kib(own, "VmRSS").unwrap() > 500);
        assert!(memory_kib(own, "VmR").is_err());
        assert!(cpu_seconds_of_machine().unwrap() >= cpu_seconds(own).unwrap());
    }
}
