//! The programs of others that the measurement runs.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Where Debian puts programs that the search path of a user may not name.
const SYSTEM_PROGRAMS: &str = "/usr/sbin";

/// Returns the command for a program, installing its Debian package when that is missing and this
/// is root.
pub(crate) fn program(name: &str, package: &str) -> Result<String> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    let advice = format!("{name} is missing: apt-get install -y {package}");
    ensure!(is_root(), "{advice}");
    println!("installing the package {package} for {name}");
    let apt = |arguments: &[&str]| {
        let status = Command::new("apt-get").args(arguments).stdout(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let install = ["install", "-y", "--no-install-recommends", package];
    // The lists of a fresh machine are empty or old.
    let installed = apt(&install) || (apt(&["update"]) && apt(&install));
    ensure!(installed, "{advice} does not work here");
    find(name).with_context(|| format!("{package} is installed, but {name} is not there"))
}

/// Returns the command for a program that is there.
pub(crate) fn find(name: &str) -> Option<String> {
    let candidates = [name.to_owned(), format!("{SYSTEM_PROGRAMS}/{name}")];
    candidates.into_iter().find(|candidate| {
        let mut command = Command::new(candidate);
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        !matches!(command.status(), Err(error) if error.kind() == ErrorKind::NotFound)
    })
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

/// Joins processes as `perf` wants them.
pub(crate) fn list(pids: &[u32]) -> String {
    pids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
