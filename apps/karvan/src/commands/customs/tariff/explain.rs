//! Duty rates explained from the data of this program: no node, no network.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use karvan_customs::duty::{self, Assessment, Goods, Step};
use karvan_customs::tariff::{self, Explanation, Measure, Query, RateLine, Status, Winner};
use karvan_system::{Clock as _, SystemClock};
use karvan_types::{Amount, Date, ErrorKind, Quantity};
use serde_json::json;

use super::super::officer::ImporterClass;
use super::status;
use crate::commands::Outcome;
use crate::failure::Failure;
use crate::output::{Output, table};

/// Say which rates apply to a code on a day, from which source, and how sure each is.
///
/// Duty by duty the lower of the general and the preferential rate is used. With a value, the
/// amounts are computed with and without the preference. Needs no node.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  karvan customs tariff explain 7408.1100 --date 2026-10-02 \
    --origin AZ\n  karvan customs tariff explain 1006.30 --origin PK --value \"10000 AZN\"")]
pub(crate) struct Explain {
    /// Tariff code, 6 digits or more; dots and spaces do not count.
    code: String,
    /// The day whose rates apply; today unless given.
    #[arg(long)]
    date: Option<Date>,
    /// Country of origin, such as AZ.
    #[arg(long, default_value = "AZ")]
    origin: String,
    /// The importing country; the partner of the origin unless given.
    #[arg(long)]
    country: Option<String>,
    /// A tariff file, instead of the one in this program.
    #[arg(long, conflicts_with = "country")]
    file: Option<String>,
    /// Kind of importer; some taxes differ.
    #[arg(long, value_enum, default_value = "commercial")]
    importer_class: ImporterClass,
    /// Customs value, such as `6270000 PKR`.
    #[arg(long, value_name = "\"NUMBER CURRENCY\"")]
    value: Option<String>,
    /// Quantity for rates per unit, such as `1000 LTR`; several in different units.
    #[arg(long, value_name = "\"NUMBER UNIT\"", requires = "value")]
    quantity: Vec<String>,
}

pub(super) fn run(command: &Explain, output: Output) -> Result<Outcome> {
    let origin = command.origin.to_ascii_uppercase();
    let partner = if origin == "PK" { "AZ" } else { "PK" };
    let which = command.file.as_deref().or(command.country.as_deref()).unwrap_or(partner);
    let found = super::open(which)?;
    let code: String = command.code.chars().filter(|c| !". ".contains(*c)).collect();
    let query = Query {
        code: &code,
        day: command.date.unwrap_or_else(|| SystemClock.now().utc_date()),
        origin: &origin,
        importer: match command.importer_class {
            ImporterClass::Commercial => tariff::ImporterClass::Commercial,
            ImporterClass::Industrial => tariff::ImporterClass::Industrial,
        },
    };
    let failed = |kind, text: String| Failure::new(kind, text);
    let rates = found.explain(query).map_err(|error| failed(error.kind(), error.to_string()))?;
    let duty = match &command.value {
        None => None,
        Some(value) => {
            let quantities: Result<_, _> = command.quantity.iter().map(|q| quantity(q)).collect();
            let found = duty::assess(&found, query, &Goods::new(amount(value)?, quantities?));
            Some(found.map_err(|error| failed(error.kind(), error.to_string()))?)
        }
    };
    let used: Vec<_> = found.sources.iter().filter(|source| is_used(&rates, &source.id)).collect();
    let report = json!({ "rates": rates, "duty": duty, "sources": used });
    output.print(&report, |_| {
        let mut text = describe(&rates);
        if let Some(duty) = &duty {
            text.push_str(&amounts(duty));
        }
        text.push_str("\nSources\n");
        for source in &used {
            let _ = writeln!(text, "  {}: {}", source.id, source.title);
        }
        text
    })?;
    Ok(Outcome::Done)
}

/// Reads an amount by the rules of the messages: plain decimal digits, nothing else.
fn amount(text: &str) -> Result<Amount, Failure> {
    let parts = text.trim().split_once(' ');
    let amount = parts.and_then(|(value, currency)| {
        serde_json::from_value(json!({ "value": value, "currency": currency.trim() })).ok()
    });
    amount.filter(|amount: &Amount| !amount.value.is_sign_negative()).ok_or_else(|| {
        Failure::new(ErrorKind::Invalid, format!("`{text}` is no value"))
            .hint("write number and currency: \"6270000 PKR\"")
    })
}

fn quantity(text: &str) -> Result<Quantity, Failure> {
    let parts = text.trim().split_once(' ');
    let quantity = parts.and_then(|(value, unit)| {
        serde_json::from_value(json!({ "value": value, "unit": unit.trim() })).ok()
    });
    quantity.ok_or_else(|| {
        Failure::new(ErrorKind::Invalid, format!("`{text}` is no quantity"))
            .hint("write number and unit: \"1000 LTR\"")
    })
}

fn measures<'a>(line: &RateLine<'a>) -> impl Iterator<Item = &'a Measure> {
    [Some(line.general), line.reference, line.preferential].into_iter().flatten()
}

fn is_used(rates: &Explanation<'_>, source: &str) -> bool {
    rates.rates.iter().flat_map(measures).any(|measure| measure.source == source)
}

fn describe(rates: &Explanation<'_>) -> String {
    let mut text = format!(
        "{} on {}, origin {}, imported into {}\n{}\n",
        rates.code, rates.day, rates.origin, rates.country, rates.description
    );
    match &rates.concession {
        Some(line) => {
            let _ = writeln!(
                text,
                "Concession {} of {}: {} (words {}, mapping to codes {})\n",
                line.number,
                line.agreement,
                line.description,
                status(line.status),
                status(line.mapping)
            );
        }
        None => text.push_str("No concession covers this code on this day.\n\n"),
    }
    let rows: Vec<_> = rates.rates.iter().map(row).collect();
    text.push_str(&table(
        ["duty", "general", "on reference day", "preferential", "used", "why", "status", "source"],
        &rows,
    ));
    for line in &rates.rates {
        for measure in measures(line) {
            if let Some(note) = &measure.note {
                let _ = writeln!(text, "  {} {}: {note}", line.duty, measure.rate);
            }
        }
    }
    if rates.status() == Some(Status::Assumed) {
        text.push_str(
            "(!) assumed: a placeholder until the official text is in; collect nothing on it.\n",
        );
    }
    text
}

fn row(line: &RateLine<'_>) -> [String; 8] {
    let rate = |measure: &Measure| measure.rate.to_string();
    let used = line.used();
    [
        line.duty.to_string(),
        rate(line.general),
        line.reference.map_or_else(|| "-".to_owned(), rate),
        line.preferential_rate.map_or_else(|| "-".to_owned(), |rate| rate.to_string()),
        line.used_rate.map_or_else(|| "the lower".to_owned(), |rate| rate.to_string()),
        match line.winner {
            Winner::NoPreference => "no preference",
            Winner::Preference => "preference is lower",
            Winner::Equal => "both are the same",
            Winner::General => "general is lower",
            Winner::ByAmount => "the goods decide",
        }
        .to_owned(),
        status(used.status),
        used.source.clone(),
    ]
}

/// Says what an amount is made of.
fn how(step: &Step<'_>) -> String {
    let quantity = step.quantity.as_ref().map(|quantity| format!(", {quantity}"));
    format!("{} of {}{}", step.rate, step.base, quantity.unwrap_or_default())
}

fn amounts(duty: &Assessment<'_>) -> String {
    let rows: Vec<_> = duty
        .lines
        .iter()
        .map(|line| {
            let (general, with) = (&line.general, &line.preferential);
            [
                line.duty.to_string(),
                how(general),
                general.amount.to_string(),
                how(with),
                with.amount.to_string(),
            ]
        })
        .collect();
    let currency = &duty.value.currency;
    format!(
        "\nOn a value of {}\n{}to pay {} {currency} instead of {} {currency}: {} {currency} \
         saved; rates {}\n",
        duty.value,
        table(["duty", "general", "amount", "with preference", "amount"], &rows),
        duty.total_preferential,
        duty.total_general,
        duty.saved,
        duty.status.map(status).unwrap_or_default(),
    )
}
