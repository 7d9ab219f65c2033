//! What the command line says about itself: completions and its reference page.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;

use super::Outcome;
use crate::output;

/// Width of the help texts on the reference page.
const PAGE_COLUMNS: usize = 96;

/// Print a completion script for a shell.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  karvan completions bash > karvan.bash && source karvan.bash")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

pub(crate) fn completions(command: &Completions, mut cli: Command) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut cli, "karvan", &mut script);
    output::write(&script)?;
    Ok(Outcome::Done)
}

/// Prints every help text as one page.
pub(crate) fn markdown(cli: Command) -> Result<Outcome> {
    let mut cli = cli.term_width(PAGE_COLUMNS);
    cli.build();
    let mut page = String::from(
        "# Command line\n\nWritten by `karvan help-markdown`; change `apps/karvan/src/commands` \
         instead.\n",
    );
    describe(&mut cli, "karvan", &mut page)?;
    output::write(page.as_bytes())?;
    Ok(Outcome::Done)
}

fn describe(command: &mut Command, name: &str, page: &mut String) -> Result<()> {
    let help = command.render_long_help().to_string();
    let lines: Vec<_> = help.lines().map(|line| wrap(line.trim_end())).collect();
    write!(page, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim())?;
    for inner in command.get_subcommands_mut() {
        if inner.is_hide_set() || inner.get_name() == "help" {
            continue;
        }
        let name = format!("{name} {}", inner.get_name());
        describe(inner, &name, page)?;
    }
    Ok(())
}

/// Breaks a usage line, the one kind of line that clap leaves as long as it is.
fn wrap(line: &str) -> String {
    const INDENT: &str = "           ";
    if line.chars().count() <= PAGE_COLUMNS || !line.starts_with("Usage: ") {
        return line.to_owned();
    }
    let mut lines = vec![String::new()];
    for word in line.split_inclusive(' ') {
        let Some(last) = lines.last_mut() else { continue };
        if last.chars().count() + word.trim_end().chars().count() > PAGE_COLUMNS {
            *last = last.trim_end().to_owned();
            lines.push(format!("{INDENT}{word}"));
        } else {
            last.push_str(word);
        }
    }
    lines.join("\n")
}
