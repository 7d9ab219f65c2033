//! `karvan customs risk rules`: profiles, from a file, of this program, or at a node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use karvan_customs::risk::Profile;
use karvan_customs::risk::facts::MEANINGS;
use karvan_customs::risk::profile::{FILE_BYTES_MAX, Test};
use karvan_types::ErrorKind;
use serde_json::json;

use super::super::{operate, rows, text};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::{Output, table};

/// Check, show and put into force the rules of this side.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    Validate(Validate),
    Show(Show),
    Import(Import),
}

/// Check a profile; every problem is named with its line, rule and remedy.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk rules validate my-profile.toml")]
pub(crate) struct Validate {
    /// The file; `AZ` or `PK` for the one in this program.
    profile: String,
}

/// Show the rules of a profile, or the facts that rules may speak about.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs risk rules show PK\n  karvan customs risk \
    rules show --facts\n  karvan customs risk rules show --dir pk")]
pub(crate) struct Show {
    /// A file, or `AZ` or `PK` for the one in this program; the node's unless given.
    profile: Option<String>,
    /// Show the facts instead.
    #[arg(long)]
    facts: bool,
    #[command(flatten)]
    node: NodeArgs,
}

/// Put a profile of this side into force. It stays here and is never sent to the partner.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs risk rules import my-profile.toml --dir pk")]
pub(crate) struct Import {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

pub(super) fn run(command: &Rules, output: Output) -> Result<Outcome> {
    match command {
        Rules::Validate(command) => validate(command, output),
        Rules::Show(command) => show(command, output),
        Rules::Import(command) => import(command, output),
    }
}

/// Reads the profile that `AZ`, `PK` or the name of a file means.
fn open(which: &str) -> Result<Profile> {
    let file = match Profile::shipped(&which.to_ascii_uppercase()) {
        Some(shipped) => shipped.to_owned(),
        None => read_text(Path::new(which))?,
    };
    Profile::parse(&file).map_err(|problems| {
        let mut said = format!("{which} has {} problems", problems.len());
        for problem in problems {
            let _ = write!(said, "\n  {problem}");
        }
        Failure::new(ErrorKind::Invalid, said).hint("docs/use/risk.md describes the file").into()
    })
}

fn read_text(file: &Path) -> Result<String> {
    let bytes = files::read(file, FILE_BYTES_MAX as u64)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let said = format!("byte {at} of {} is not UTF-8", file.display());
        Failure::new(ErrorKind::Invalid, said).hint("convert the text to UTF-8").into()
    })
}

fn validate(command: &Validate, output: Output) -> Result<Outcome> {
    let profile = open(&command.profile)?;
    let shown = json!({
        "nation": profile.nation,
        "version": profile.version,
        "rules": profile.rules.len(),
        "digest": profile.digest,
    });
    output.print(&shown, |_| {
        format!(
            "version {} of {} holds {} rules, SHA-256 {}",
            profile.version,
            profile.nation,
            profile.rules.len(),
            profile.digest
        )
    })?;
    Ok(Outcome::Done)
}

fn show(command: &Show, output: Output) -> Result<Outcome> {
    if command.facts {
        output.print(&MEANINGS, |meanings| {
            let kind = |kind| serde_json::to_value(kind).map(|kind| text(&kind));
            let cells: Vec<_> = meanings
                .iter()
                .map(|one| {
                    let kind = kind(one.kind).unwrap_or_default();
                    [one.name.to_owned(), kind, one.about.to_owned()]
                })
                .collect();
            table(["fact", "kind", "meaning"], &cells)
        })?;
        return Ok(Outcome::Done);
    }
    if let Some(which) = &command.profile {
        output.print(&open(which)?, described)?;
        return Ok(Outcome::Done);
    }
    let shown = operate(&command.node, "risk-profile", &json!({}))?;
    output.print(&shown, |shown| {
        let profile = serde_json::from_value(shown["profile"].clone()).ok();
        let mut lines = profile.map_or_else(|| "no profile".to_owned(), |one| described(&one));
        for period in rows(&shown["periods"]) {
            let seed = if period["revealed"].is_null() { "secret" } else { "revealed" };
            let _ = writeln!(
                lines,
                "draw of {} to {}: SHA-256 {}, sent under exchange {}, seed {seed}",
                text(&period["from"]),
                text(&period["until"]),
                text(&period["commitment"]),
                text(&period["exchange"]),
            );
        }
        lines
    })?;
    Ok(Outcome::Done)
}

fn described(profile: &Profile) -> String {
    let lanes = &profile.lanes;
    let mut lines = format!(
        "Risk profile {} of {}, published {}, SHA-256 {}\n\
         lanes: blue from {} points, yellow from {}, red from {}\n\
         draw: {} of 1000, at least {}\n\n",
        profile.version,
        profile.nation,
        profile.published,
        profile.digest,
        lanes.blue,
        lanes.yellow,
        lanes.red,
        profile.draw.per_mille,
        profile.draw.lane.name(),
    );
    for rule in &profile.rules {
        let lane = rule.lane.map(|lane| format!(", at least {}", lane.name()));
        let status = serde_json::to_value(rule.status).unwrap_or_default();
        let _ = writeln!(
            lines,
            "{} [+{}{}; {}]\n    {}",
            rule.id,
            rule.points,
            lane.unwrap_or_default(),
            text(&status),
            rule.text,
        );
        for condition in &rule.when {
            let _ = writeln!(lines, "    when {} {}", condition.fact, tested(&condition.is));
        }
        let _ = writeln!(lines, "    source: {}", rule.source);
    }
    lines
}

fn tested(test: &Test) -> String {
    match test {
        Test::AnyOf(values) => format!("is one of {}", values.join(", ")),
        Test::NoneOf(values) => format!("is none of {}", values.join(", ")),
        Test::StartsWith(values) => format!("begins with {}", values.join(" or ")),
        Test::Some => "has an entry".to_owned(),
        Test::None => "is empty".to_owned(),
        Test::AtLeast(value) => format!("is at least {value}"),
        Test::AtMost(value) => format!("is at most {value}"),
        Test::Unknown => "is not known".to_owned(),
    }
}

fn import(command: &Import, output: Output) -> Result<Outcome> {
    let file = read_text(&command.file)?;
    let done = operate(&command.node, "risk-import", &json!({ "text": file }))?;
    output.print(&done, |done| {
        let verb = if done["duplicate"] == true { "is in force already" } else { "is in force" };
        format!("version {} {verb}: {} rules", text(&done["version"]), text(&done["rules"]))
    })?;
    Ok(Outcome::Done)
}
