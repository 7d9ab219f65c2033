//! What steps need from the machine beyond cargo, and how it gets there.
//!
//! As root on Debian a missing package is installed by its name. Anybody else is told the one
//! command that installs all of them, and the steps that need them are skipped.

use std::path::Path;
use std::process::{Command, Stdio};

use super::steps::Step;

/// Something that a step needs.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// A command that succeeds when it is there.
    pub(super) probe: &'static [&'static str],
    /// The Debian packages that bring it; none when it does not come from there.
    pub(super) packages: &'static [&'static str],
    /// How to get it without a package.
    pub(super) hint: &'static str,
}

/// Sees that the needs of the steps are there, and returns the names of those that are not.
pub(super) fn provide(steps: &[&Step]) -> Vec<&'static str> {
    let mut needs: Vec<&Need> = steps.iter().flat_map(|step| step.needs.iter().copied()).collect();
    needs.sort_by_key(|need| need.name);
    needs.dedup_by_key(|need| need.name);
    let names: Vec<_> = needs.iter().map(|need| need.name).collect();
    println!("prerequisites: {}", if names.is_empty() { "none".into() } else { names.join(", ") });
    let mut missing: Vec<_> = needs.into_iter().filter(|need| !works(need.probe)).collect();
    let packages = packages(&missing);
    if !packages.is_empty() && can_install() {
        println!("prerequisites: installing {}", packages.join(" "));
        install(&packages);
        missing.retain(|need| !works(need.probe));
    }
    for line in advice(&missing) {
        println!("!! {line}");
    }
    missing.iter().map(|need| need.name).collect()
}

fn packages(missing: &[&Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().flat_map(|need| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Returns what a person must do so that nothing is skipped.
fn advice(missing: &[&Need]) -> Vec<String> {
    let mut lines = Vec::new();
    let packages = packages(missing);
    if !packages.is_empty() {
        lines.push(format!("missing; install with: apt-get install -y {}", packages.join(" ")));
    }
    for need in missing.iter().filter(|need| need.packages.is_empty()) {
        lines.push(format!("{} is missing; {}", need.name, need.hint));
    }
    lines
}

fn works(probe: &[&str]) -> bool {
    let [program, arguments @ ..] = probe else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns whether this is Debian and the user is root.
fn can_install() -> bool {
    let id = Command::new("id").arg("-u").output();
    let root = id.is_ok_and(|done| done.stdout.trim_ascii() == b"0");
    root && Path::new("/etc/debian_version").exists() && works(&["apt-get", "--version"])
}

fn install(packages: &[&str]) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // A registry that does not answer must not hold the run up.
        command.args(["-q", "-o", "Acquire::http::Timeout=60", "-o", "Acquire::Retries=2"]);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let arguments = [&["install", "-y", "--no-install-recommends"], packages].concat();
    if !(run(&["update"]) && run(&arguments)) {
        println!("!! apt-get failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Need = Need { name: "sh", probe: &["true"], packages: &["dash"], hint: "" };
    const ABSENT: Need = Need { name: "b", probe: &["false"], packages: &["pb", "pa"], hint: "" };
    const OTHER: Need =
        Need { name: "c", probe: &["no-such-program"], packages: &["pb"], hint: "" };
    const FOREIGN: Need = Need { name: "d", probe: &["false"], packages: &[], hint: "build it" };

    #[test]
    fn probes_tell_what_is_there() {
        assert!(works(THERE.probe));
        assert!(!works(ABSENT.probe));
        assert!(!works(OTHER.probe));
        assert!(!works(&[]));
    }

    #[test]
    fn advice_is_one_command_for_all_packages() {
        let advice = advice(&[&ABSENT, &OTHER, &FOREIGN]);
        let expected =
            ["missing; install with: apt-get install -y pa pb", "d is missing; build it"];
        assert_eq!(advice, expected);
    }
}
