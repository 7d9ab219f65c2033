//! Files that are made from the code, committed, and kept fresh by a check.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{picture, test, tidy, workspace};

/// One generated file.
struct Generator {
    /// Path relative to the root.
    path: &'static str,
    make: fn() -> Result<String>,
}

const GENERATORS: &[Generator] = &[
    Generator { path: "docs/overview.svg", make: || Ok(picture::overview()) },
    Generator { path: "docs/reference/checks.md", make: || Ok(checks_page()) },
    Generator {
        path: "docs/reference/customs.openapi.json",
        make: || printed_by("karvan-customs", "api_document"),
    },
];

/// Writes what is stale, or with `check` only tells; returns whether the tree is as it should be.
pub(crate) fn run(check: bool) -> Result<bool> {
    let stale = stale()?;
    if check {
        print!("{}", report(&stale));
        return Ok(stale.is_empty());
    }
    let root = workspace::root()?;
    for (path, text) in &stale {
        let path = root.join(path);
        let folder = path.parent().context("a generated file has a folder")?;
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        fs::write(&path, text).with_context(|| path.display().to_string())?;
    }
    println!("gen: {} of {} files written", stale.len(), GENERATORS.len());
    Ok(true)
}

/// Returns the files whose content differs from what the code makes, with the fresh content.
pub(crate) fn stale() -> Result<Vec<(&'static str, String)>> {
    let root = workspace::root()?;
    let mut stale = Vec::new();
    for Generator { path, make } in GENERATORS {
        let fresh = make().with_context(|| format!("making {path}"))?;
        if fs::read_to_string(root.join(path)).ok().as_ref() != Some(&fresh) {
            stale.push((*path, fresh));
        }
    }
    Ok(stale)
}

/// Returns what to tell about stale files.
pub(crate) fn report(stale: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (path, _) in stale {
        let _ = writeln!(text, "{path} is stale; write it with `cargo xtask gen`");
    }
    let _ = writeln!(text, "gen: {} of {} files are stale", stale.len(), GENERATORS.len());
    text
}

/// Returns what an example of a crate prints; asked of cargo, so that this program is built without
/// what it describes.
fn printed_by(package: &str, example: &str) -> Result<String> {
    let output = Command::new("cargo")
        .args(["run", "--quiet", "--locked", "-p", package, "--example", example])
        .current_dir(workspace::root()?)
        .stderr(Stdio::inherit())
        .output()
        .context("starting cargo")?;
    ensure!(output.status.success(), "the example {example} of {package} failed");
    Ok(String::from_utf8(output.stdout)?)
}

fn checks_page() -> String {
    format!(
        "# Checks\n\nWritten by `cargo xtask gen`; change the tables in `xtask/src` instead.\n\n\
         ## Steps of `cargo xtask test`\n\n{}\n## Rules of `cargo xtask tidy`\n\n{}",
        test::table(),
        tidy::rule_table()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_checks_names_steps_and_rules() {
        let page = checks_page();
        assert!(page.contains("| `clippy` |") && page.contains("| `ring-edges` |"), "{page}");
    }

    #[test]
    fn stale_files_are_told_by_name() {
        let text = report(&[("docs/a.md", String::new())]);
        assert!(
            text.starts_with("docs/a.md is stale; write it with `cargo xtask gen`\n"),
            "{text}"
        );
    }
}
