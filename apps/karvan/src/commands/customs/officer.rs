//! Claims, as the importing side takes them.
//!
//! Not here: decisions (`super::decide`).

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use karvan_types::ErrorKind;
use serde_json::{Map, Value};

use super::{Declaration, operate, read_declaration, show};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::Output;

/// File an import declaration; each preference that it claims is matched at once.
///
/// Prints each claimed item with every difference between certificate, export declaration and
/// claim, the duty with and without preference, and what is proposed.
/// The file is canonical JSON or WCO Data Model XML. Without a claimed preference the declaration
/// is kept, and the general rate applies.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs claim import.json --dir pk\n  karvan \
    customs claim import.xml --dir pk")]
pub(crate) struct Claim {
    /// The import declaration; `-` is standard input.
    file: PathBuf,
    /// Kind of importer; some taxes differ. A new version or amendment keeps it unless another one
    /// is given.
    #[arg(long, value_enum, value_name = "CLASS")]
    importer_class: Option<ImporterClass>,
    /// Language of what is said.
    #[arg(long, value_enum, default_value = "en")]
    lang: show::Lang,
    #[command(flatten)]
    node: NodeArgs,
}

/// Kinds of importers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ImporterClass {
    /// Imports to sell.
    Commercial,
    /// Imports for its own manufacture.
    Industrial,
}

impl ImporterClass {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Commercial => "commercial",
            Self::Industrial => "industrial",
        }
    }
}

pub(crate) fn claim(command: &Claim, output: Output) -> Result<Outcome> {
    let mut input = Map::new();
    let (member, declaration) = match read_declaration(&command.file)? {
        Declaration::Xml(xml) => ("xml", xml.into()),
        Declaration::Edifact(_) => {
            let text = "an EDIFACT interchange is handed in with `karvan customs submit`";
            return Err(Failure::new(ErrorKind::Invalid, text).into());
        }
        Declaration::Json(document) => ("claim", document),
    };
    input.insert(member.to_owned(), declaration);
    if let Some(class) = command.importer_class {
        input.insert("importerClass".to_owned(), class.name().into());
    }
    if !matches!(command.lang, show::Lang::En) {
        input.insert("lang".to_owned(), command.lang.code().into());
    }
    let shown = operate(&command.node, "claim", &Value::Object(input))?;
    output.print(&shown, show::claim)?;
    Ok(Outcome::Done)
}
