//! `karvan customs tariff`: the rates of a country as files: explained, checked, compared, and put
//! into force at a node.
//!
//! `import`, `versions` and `quota` speak to a node; the others answer from a file, or from the
//! data of this program: no node, no network.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;
use karvan_customs::tariff::{self, FILE_BYTES_MAX, Status, Tariff as Rates};
use karvan_types::ErrorKind;

use crate::commands::Outcome;
use crate::failure::Failure;
use crate::files;
use crate::output::Output;

mod explain;
mod versions;

/// Explain, check and compare the duty rates of a country, and put new ones into force.
#[derive(Debug, Subcommand)]
pub(crate) enum Tariff {
    Explain(explain::Explain),
    Show(versions::Show),
    Validate(versions::Validate),
    Diff(versions::Diff),
    Import(versions::Import),
    Versions(versions::Versions),
    Quota(versions::Quota),
}

pub(crate) fn run(command: &Tariff, output: Output) -> Result<Outcome> {
    match command {
        Tariff::Explain(command) => explain::run(command, output),
        Tariff::Show(command) => versions::show(command, output),
        Tariff::Validate(command) => versions::validate(command, output),
        Tariff::Diff(command) => versions::diff(command, output),
        Tariff::Import(command) => versions::import(command, output),
        Tariff::Versions(command) => versions::versions(command, output),
        Tariff::Quota(command) => versions::quota(command, output),
    }
}

/// Finds the tariff that `AZ`, `PK` or the name of a file means.
fn open(which: &str) -> Result<Rates> {
    if let Some(shipped) = tariff::of(&which.to_ascii_uppercase()) {
        return Ok(shipped.clone());
    }
    if !Path::new(which).exists() {
        let text = format!("there is no tariff of {which} in this program and no such file");
        return Err(Failure::new(ErrorKind::NotFound, text).hint("ask for AZ or PK").into());
    }
    let text = text_of(Path::new(which))?;
    Rates::check(&text).map_err(|problems| refused(which, &problems).into())
}

fn text_of(file: &Path) -> Result<String> {
    let bytes = files::read(file, FILE_BYTES_MAX as u64)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = format!("byte {at} of {} is not UTF-8", file.display());
        Failure::new(ErrorKind::Invalid, text).hint("convert the text to UTF-8").into()
    })
}

fn refused(file: &str, problems: &[tariff::Error]) -> Failure {
    let mut text = format!("{file} has {} problems", problems.len());
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    Failure::new(ErrorKind::Invalid, text).hint("docs/use/tariff.md describes the file")
}

/// Returns the status of a rate as a word, marked when nobody may pay on it.
fn status(status: Status) -> String {
    let word = serde_json::to_value(status).ok();
    let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or("unknown");
    if status == Status::Assumed { format!("{word} (!)") } else { word.to_owned() }
}
