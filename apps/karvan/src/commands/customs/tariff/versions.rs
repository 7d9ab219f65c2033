//! Tariffs as versioned files: shown, validated, compared, imported and listed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use karvan_customs::tariff::diff::{Change, diff as compare};
use karvan_customs::tariff::{Measure, Tariff};
use karvan_types::Date;
use serde_json::{Value, json};

use super::super::{measure, operate, rows, text};
use super::{open, status, text_of};
use crate::client::NodeArgs;
use crate::commands::Outcome;
use crate::output::{Output, table};

/// Show a tariff: its version and rules, and the measures for a code.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs tariff show PK --code 7408\n  karvan customs \
    tariff show my-tariff.toml")]
pub(crate) struct Show {
    /// `AZ` or `PK` for the one in this program, or a file.
    tariff: String,
    /// Only measures for codes that begin so, or that hold for it; dots do not count.
    #[arg(long)]
    code: Option<String>,
}

/// Check a tariff file; every problem is named with its lines.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs tariff validate my-tariff.toml")]
pub(crate) struct Validate {
    /// The file; `AZ` or `PK` for the one in this program.
    tariff: String,
}

/// Compare two versions of a tariff, measure by measure.
///
/// Ends with 1 when they differ.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs tariff diff PK my-tariff.toml")]
pub(crate) struct Diff {
    /// The older one: a file, or `AZ` or `PK`.
    old: String,
    /// The newer one.
    new: String,
}

/// Put a new version of a tariff into force at a node.
///
/// Needs the permission customs.tariff. Earlier versions stay, so that what was computed with them
/// can be computed again.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs tariff import my-tariff.toml --dir pk")]
pub(crate) struct Import {
    /// The file.
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

/// List the versions of a tariff that a node has.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs tariff versions --dir pk")]
pub(crate) struct Versions {
    /// The importing country; the node's own unless given.
    #[arg(long)]
    country: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

/// Show what is left of a quota, and who has asked for it in which order.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  karvan customs tariff quota RICE --date 2026-10-02 --dir pk")]
pub(crate) struct Quota {
    /// Its short name in the tariff.
    #[arg(value_name = "QUOTA")]
    name: String,
    /// A day of the period; today unless given.
    #[arg(long)]
    date: Option<Date>,
    #[command(flatten)]
    node: NodeArgs,
}

pub(super) fn show(command: &Show, output: Output) -> Result<Outcome> {
    let tariff = open(&command.tariff)?;
    let code: Option<String> =
        command.code.as_ref().map(|code| code.chars().filter(|c| !". ".contains(*c)).collect());
    let fits = |measure: &&Measure| {
        code.as_ref().is_some_and(|code| {
            code.starts_with(&measure.code) || measure.code.starts_with(code.as_str())
        })
    };
    let measures: Vec<&Measure> = tariff.measures().iter().filter(fits).collect();
    let mut report = summary(&tariff);
    report["measures"] = json!(measures);
    report["agreements"] = json!(tariff.agreements);
    report["quotas"] = json!(tariff.quotas);
    report["sources"] = json!(tariff.sources);
    output.print(&report, |_| {
        let mut text = head(&tariff);
        let list = |title: &str, lines: &mut dyn Iterator<Item = String>| {
            lines.fold(format!("{title}\n"), |text, line| text + "  " + &line + "\n")
        };
        text += &list(
            "Agreements",
            &mut tariff.agreements.iter().map(|agreement| {
                format!("{} from {} since {}", agreement.id, agreement.origin, agreement.from)
            }),
        );
        if !tariff.quotas.is_empty() {
            text += &list(
                "Quotas",
                &mut tariff.quotas.iter().map(|quota| {
                    let (id, from, until) = (&quota.id, quota.from, quota.until);
                    let status = status(quota.status);
                    format!(
                        "{id} {} {} from {from} to {until}, {status}",
                        quota.quantity, quota.unit
                    )
                }),
            );
        }
        text += &list(
            "Sources",
            &mut tariff.sources.iter().map(|source| format!("{}: {}", source.id, source.title)),
        );
        if !measures.is_empty() {
            let rows: Vec<_> = measures.iter().map(|measure| row(measure)).collect();
            text.push('\n');
            text += &table(MEASURE, &rows);
        }
        text
    })?;
    Ok(Outcome::Done)
}

pub(super) fn validate(command: &Validate, output: Output) -> Result<Outcome> {
    let tariff = open(&command.tariff)?;
    output.print(&summary(&tariff), |_| format!("valid: {}", head(&tariff)))?;
    Ok(Outcome::Done)
}

pub(super) fn diff(command: &Diff, output: Output) -> Result<Outcome> {
    let (old, new) = (open(&command.old)?, open(&command.new)?);
    let found = compare(&old, &new);
    output.print(&found, |found| {
        let mut text = format!(
            "{} of {}, {} measures, against {}, {} measures\n",
            old.version,
            old.country,
            old.measures().len(),
            new.version,
            new.measures().len()
        );
        for part in &found.head {
            let _ = writeln!(text, "  `{part}` differs");
        }
        let line = |sign: &str, measure: &Measure| {
            let cells = row(measure);
            format!("{sign} {}\n", cells.join("  ").trim_end())
        };
        for change in &found.changes {
            text += &match change {
                Change::Added { new } => line("+", new),
                Change::Removed { old } => line("-", old),
                Change::Changed { old, new } => line("-", old) + &line("+", new),
            };
        }
        if found.head.is_empty() && found.changes.is_empty() {
            text.push_str("no measure differs\n");
        }
        text
    })?;
    let same = found.head.is_empty() && found.changes.is_empty();
    Ok(if same { Outcome::Done } else { Outcome::CheckFailed })
}

pub(super) fn import(command: &Import, output: Output) -> Result<Outcome> {
    let input = json!({ "text": text_of(&command.file)? });
    let imported = operate(&command.node, "tariff-import", &input)?;
    output.print(&imported, |imported| {
        let what = if imported["duplicate"] == true { "is here already" } else { "is in force" };
        format!(
            "Version {} of {} {what}: {} measures, {} of them assumed\nSHA-256 {}\n",
            text(&imported["version"]),
            text(&imported["country"]),
            text(&imported["measures"]),
            text(&imported["assumed"]),
            text(&imported["digest"]),
        )
    })?;
    Ok(Outcome::Done)
}

pub(super) fn versions(command: &Versions, output: Output) -> Result<Outcome> {
    let mut input = json!({});
    if let Some(country) = &command.country {
        input["country"] = country.to_ascii_uppercase().into();
    }
    let listed = operate(&command.node, "tariffs", &input)?;
    output.print(&listed, |listed| {
        let shipped = Some(&listed["shipped"]).filter(|shipped| !shipped.is_null());
        let all = rows(&listed["versions"]).chain(shipped);
        let rows: Vec<_> = all
            .map(|version| {
                let by = text(&version["by"]);
                let by = if by.is_empty() { "part of the program".to_owned() } else { by };
                let cell = |name: &str| text(&version[name]);
                [cell("version"), cell("published"), cell("measures"), by, cell("digest")]
            })
            .collect();
        table(["version", "published", "measures", "imported by", "sha-256"], &rows)
    })?;
    Ok(Outcome::Done)
}

pub(super) fn quota(command: &Quota, output: Output) -> Result<Outcome> {
    let mut input = json!({ "quota": command.name });
    if let Some(date) = command.date {
        input["day"] = date.to_string().into();
    }
    let shown = operate(&command.node, "quota", &input)?;
    output.print(&shown, |shown| {
        let quota = &shown["quota"];
        let word = |name: &str| text(&quota[name]);
        let rows: Vec<_> = rows(&shown["requests"])
            .map(|request| {
                ["number", "claimItem", "asked", "allocated", "at"].map(|name| text(&request[name]))
            })
            .collect();
        format!(
            "{} {} of quota {} from {} to {}, {} left; {}\n{}",
            word("quantity"),
            word("unit"),
            word("id"),
            word("from"),
            word("until"),
            measure(&shown["balance"]),
            word("status"),
            table(["place", "claimed item", "asked", "has", "accepted"], &rows)
        )
    })?;
    Ok(Outcome::Done)
}

fn by_status(tariff: &Tariff) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for measure in tariff.measures() {
        *counts.entry(status(measure.status)).or_default() += 1;
    }
    counts
}

fn summary(tariff: &Tariff) -> Value {
    json!({
        "country": tariff.country,
        "version": tariff.version,
        "published": tariff.published.to_string(),
        "digest": tariff.digest,
        "currency": tariff.currency,
        "rounding": tariff.rounding,
        "rateDate": tariff.rate_date,
        "count": tariff.measures().len(),
        "byStatus": by_status(tariff),
    })
}

fn head(tariff: &Tariff) -> String {
    let counts: Vec<_> =
        by_status(tariff).iter().map(|(status, count)| format!("{count} {status}")).collect();
    let word = |value: Value| text(&value);
    format!(
        "version {} of {}, published {}, amounts in {}\nSHA-256 {}\n{} measures: {}\n\
         Each line is rounded {} to {} decimals ({}); the rates are of the day of {} ({}).\n",
        tariff.version,
        tariff.country,
        tariff.published,
        tariff.currency,
        tariff.digest,
        tariff.measures().len(),
        counts.join(", "),
        word(json!(tariff.rounding.mode)),
        tariff.rounding.decimals,
        status(tariff.rounding.status),
        word(json!(tariff.rate_date.rule)),
        status(tariff.rate_date.status),
    )
}

const MEASURE: [&str; 8] = ["code", "duty", "kind", "rate", "valid", "for", "status", "source"];

fn row(measure: &Measure) -> [String; 8] {
    let until = measure.until.map_or_else(|| "…".to_owned(), |until| until.to_string());
    let mut whom: Vec<String> = measure.agreement.iter().cloned().collect();
    whom.extend(measure.importer.map(|class| text(&json!(class))));
    whom.extend(measure.customs_duty_slab.map(|(from, to)| format!("CD {from} to {to} %")));
    whom.extend(measure.quota.as_ref().map(|quota| format!("quota {quota}")));
    [
        if measure.code.is_empty() { "all".to_owned() } else { measure.code.clone() },
        measure.duty.to_string(),
        text(&json!(measure.kind)),
        measure.rate.to_string(),
        format!("{} to {until}", measure.from),
        whom.join(", "),
        status(measure.status),
        format!("{}, line {}", measure.source, measure.line),
    ]
}
