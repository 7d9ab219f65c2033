//! Exchange rates at a running node: imported, shown, and used for one amount.

use karvan_store::Read;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Amount, Date, ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Customs;
use super::answer::{about, refuse, with_problems};
use super::operate::{must_act_for, read, signed_by};
use super::show::json_of;
use crate::journal::note;
use crate::matching::local_date;
use crate::rates::{self, Error, Unconverted};

/// Most rates of a currency that are shown.
const SHOWN_MAX: usize = 100;

fn refused(error: &Error) -> Rejection {
    let rejection = refuse(error.kind(), "rates", error.to_string());
    match error {
        Error::File(problems) => with_problems(rejection, "rates-file", problems),
        _ => rejection,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Importing {
    text: String,
}

/// Keeps the rates of a file.
pub(super) fn import(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Importing = read("rates-import", input)?;
    let by = signed_by(caller);
    let imported =
        rates::import(cx.tx, &input.text, &by, cx.now).map_err(|error| refused(&error))?;
    let record = &imported.record;
    if !imported.duplicate {
        let text = format!(
            "rates {} of {} imported: {} of {} are new, SHA-256 {}",
            record.version, record.authority, imported.new, record.rates, record.digest
        );
        note(cx.tx, cx.now, &format!("rates {}", record.currency), &by, text)?;
    }
    let mut output = json_of(record);
    output["new"] = imported.new.into();
    output["duplicate"] = imported.duplicate.into();
    Ok(output)
}

fn unconverted(error: &Unconverted) -> Rejection {
    let (kind, text) = (error.kind(), error.to_string());
    match error {
        Unconverted::NoRate { .. } => refuse(kind, "no-rate", text),
        Unconverted::TooLarge { .. } => {
            about("amount/value", "AMOUNT", refuse(kind, "amount-too-large", text))
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    currency: Option<String>,
    day: Option<Date>,
    amount: Option<Amount>,
    to: Option<String>,
}

/// Shows which files were imported, the rates of a currency, or an amount in another currency.
pub(super) fn show(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Asking = read("rates", input)?;
    let nation = customs.config.nation();
    let base = rates::national_currency(nation).unwrap_or_default();
    let day = input.day.unwrap_or_else(|| local_date(now, nation));
    if let Some(amount) = input.amount {
        let to = input.to.as_deref().unwrap_or(base);
        let found = rates::convert(view, base, &amount, to, day)?;
        let found = found.map_err(|error| unconverted(&error))?;
        return Ok(json!({ "base": base, "converted": found, "basis": found.basis() }));
    }
    let Some(currency) = input.currency else {
        let tables = rates::tables(view, base)?;
        let parities = rates::parities().map(|table| json_of(&table.rates));
        return Ok(json!({ "base": base, "tables": tables, "parities": parities }));
    };
    let stored = rates::rates_of(view, base, &currency, SHOWN_MAX)?;
    let parities = rates::parities().into_iter().flat_map(|table| &table.rates);
    let fixed: Vec<_> = parities.filter(|rate| rate.currency == currency).collect();
    if stored.is_empty() && fixed.is_empty() {
        let shown: String = currency.chars().take(20).collect();
        let text = format!("no rate of {shown} is here; import a file with it");
        return Err(refuse(ErrorKind::NotFound, "no-rate", text));
    }
    Ok(json!({ "base": base, "currency": currency, "rates": stored, "parities": fixed }))
}
