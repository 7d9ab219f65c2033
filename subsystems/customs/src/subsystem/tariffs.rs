//! Tariffs at a running node: which version is in force, what it says, and new versions.

use std::sync::Arc;

use karvan_store::Read;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Amount, Date, Digest, ErrorKind, Instance, Quantity, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{about, refuse, with_problems};
use super::operate::{must_act_for, read, signed_by};
use super::show::json_of;
use super::{Customs, quotas};
use crate::codes;
use crate::duty::{self, Goods};
use crate::journal::note;
use crate::matching::local_date;
use crate::tariff::version::{self, Error, Version};
use crate::tariff::{self, ImporterClass, Query, Tariff};

/// Most quantities of one item.
const QUANTITIES_MAX: usize = 10;

impl Customs {
    /// Returns the tariff of this side that is in force.
    pub(super) fn tariff(&self, view: &dyn Read) -> Result<Option<Arc<Tariff>>, Rejection> {
        self.shelf.current(view, self.config.nation().as_str()).map_err(|error| refused(&error))
    }
}

fn refused(error: &Error) -> Rejection {
    let rejection = refuse(error.kind(), "tariff", error.to_string());
    match error {
        Error::File(problems) => with_problems(rejection, "tariff-file", problems),
        _ => rejection,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Asking {
    code: String,
    day: Option<Date>,
    origin: Option<String>,
    country: Option<String>,
    importer_class: Option<ImporterClass>,
    value: Option<Amount>,
    #[serde(default)]
    quantities: Vec<Quantity>,
    /// Digest of the version to ask; the one in force unless given.
    digest: Option<Digest>,
}

/// Explains the rates of a tariff line, and the amounts when a value is given.
pub(super) fn explain(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Asking = read("tariff", input)?;
    if input.quantities.len() > QUANTITIES_MAX {
        let text = format!("state at most {QUANTITIES_MAX} quantities");
        return Err(refuse(ErrorKind::Invalid, "bad-input", text));
    }
    let country = input.country.as_deref().unwrap_or(customs.config.nation().as_str()).to_owned();
    let found = match input.digest {
        Some(digest) => customs.shelf.find(view, digest).map(Some),
        None => customs.shelf.current(view, &country),
    };
    let found = found.map_err(|error| refused(&error))?;
    let Some(tariff) = found.filter(|tariff| tariff.country == country) else {
        let text = format!("there is no such tariff of {country} here; ask for AZ or PK");
        return Err(refuse(ErrorKind::NotFound, "unknown-tariff", text));
    };
    let nations = [customs.config.nation(), customs.config.partner_nation()];
    let other = nations.iter().find(|nation| nation.as_str() != country);
    let origin = input.origin.as_deref().or(other.map(Instance::as_str));
    if let Some(unknown) = origin.filter(|origin| codes::country(origin).is_none()) {
        let unknown: String = unknown.chars().take(8).collect();
        let text = format!("`{unknown}` is no country of ISO 3166-1; write one such as AZ");
        let refusal = refuse(ErrorKind::Invalid, "unknown-country", text);
        return Err(about("origin", "COUNTRY", refusal));
    }
    let code: String = input.code.chars().filter(|c| *c != '.' && *c != ' ').collect();
    let query = Query {
        code: &code,
        day: input.day.unwrap_or_else(|| local_date(now, customs.config.nation())),
        origin: origin.unwrap_or_default(),
        importer: input.importer_class.unwrap_or(crate::relief::DEFAULT_IMPORTER),
    };
    let explanation =
        tariff.explain(query).map_err(|error| refuse(error.kind(), "tariff", error.to_string()))?;
    let duty = match input.value {
        None => Value::Null,
        Some(value) => {
            let found = duty::assess(&tariff, query, &Goods::new(value, input.quantities))
                .map_err(|error| refuse(error.kind(), "tariff", error.to_string()))?;
            json_of(&found)
        }
    };
    Ok(json!({ "rates": json_of(&explanation), "duty": duty, "sources": json_of(&tariff.sources) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Importing {
    text: String,
}

/// Puts a new version of a tariff of either side into force.
pub(super) fn import(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Importing = read("tariff-import", input)?;
    let by = signed_by(caller);
    let imported =
        version::import(cx.tx, &input.text, &by, cx.now).map_err(|error| refused(&error))?;
    let record = &imported.record;
    let nations = [customs.config.nation(), customs.config.partner_nation()];
    if !nations.iter().any(|nation| nation.as_str() == record.country) {
        let text = format!("{} is no side of this exchange; import AZ or PK", record.country);
        return Err(refuse(ErrorKind::Invalid, "unknown-tariff", text));
    }
    if !imported.duplicate {
        let text = format!(
            "version {} imported: {} measures, {} of them assumed, SHA-256 {}",
            record.version, record.measures, record.assumed, record.digest
        );
        note(cx.tx, cx.now, &format!("tariff {}", record.country), &by, text)?;
        if record.country == customs.config.nation().as_str() {
            quotas::follow(customs, cx, &imported.tariff)?;
        }
    }
    let mut output = json_of(record);
    output["duplicate"] = imported.duplicate.into();
    Ok(output)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    country: Option<String>,
    digest: Option<Digest>,
}

/// Lists the versions of a tariff, newest first, or shows the text of one.
pub(super) fn versions(
    customs: &Customs,
    view: &dyn Read,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Listing = read("tariffs", input)?;
    if let Some(digest) = input.digest {
        let text = version::text(view, digest).map_err(|error| refused(&error))?;
        return Ok(json!({ "digest": digest, "text": text }));
    }
    let country = input.country.unwrap_or_else(|| customs.config.nation().as_str().to_owned());
    let imported: Vec<Version> = version::versions(view, &country)?;
    let shipped = tariff::shipped(&country).map(|tariff| {
        json!({
            "version": tariff.version,
            "published": tariff.published.to_string(),
            "digest": tariff.digest,
            "measures": tariff.measures().len(),
        })
    });
    Ok(json!({ "country": country, "versions": json_of(&imported), "shipped": shipped }))
}
