//! Lists for programs: pages with a cursor, and filters.
//!
//! A cursor names the last row that was looked at, so a page follows exactly on the one before,
//! whatever was added in between. A page may be shorter than asked when most rows do not fit the
//! filter; only a page without `next` is the last.
//!
//! Not here: the lists that people read (`super::show::list`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use karvan_store::{Range, Read, Record, Value as Key};
use karvan_subsystem::Rejection;
use karvan_types::{ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{about, refuse};
use super::listed::{LIGHTS, What, one_of};
use super::operate::read;
use super::show::{certificate_summary, export_summary, item_summary, json_of};
use super::{Customs, verifying};
use crate::certificate::{Certificate, CertificateNumber};
use crate::claim::ClaimItem;
use crate::decision::DecisionRecord;
use crate::export::Export;
use crate::journal::{Parked, Task, TaskKind};
use crate::ledger::Case;
use crate::matching::local_date;
use crate::sharing::Incident;
use crate::verification::Verification;

/// Rows of a page when nothing is said.
const PAGE: usize = 50;
/// Most rows of a page.
pub(crate) const PAGE_MAX: usize = 200;
/// Most rows looked at for one page.
const LOOKED_AT_MAX: usize = 5_000;
/// Longest cursor, in characters.
pub(crate) const CURSOR_CHARS_MAX: usize = 400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Browsing {
    what: What,
    state: Option<String>,
    light: Option<String>,
    certificate: Option<String>,
    kind: Option<String>,
    exporter: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// Shows one page of a list.
pub(super) fn browse(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Browsing = read("browse", input)?;
    input.what.check(input.state.as_deref())?;
    one_of("light", input.light.as_deref(), &LIGHTS)?;
    one_of("kind", input.kind.as_deref(), &TaskKind::ALL.map(TaskKind::name))?;
    let cursor = input.cursor.as_deref().map(decode).transpose()?;
    let page = Page { view, limit: input.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX), cursor };
    let day = local_date(now, customs.config.nation());
    let by = |index, value: &str| Range::of(index, vec![value.into()], 0);
    let state = input.state.as_deref();
    let is = |row: &Value, name: &str, wanted: Option<&str>| {
        wanted.is_none_or(|wanted| row.get(name).and_then(Value::as_str) == Some(wanted))
    };
    match input.what {
        What::Certificates => {
            let exporter = input.exporter.as_deref();
            page.of(&Range::all(0), |certificate: &Certificate| {
                let content = certificate.content();
                let id = content.and_then(|content| content.exporter.id.as_deref());
                if exporter.is_some_and(|exporter| id != Some(exporter)) {
                    return None;
                }
                let row = certificate_summary(certificate, day);
                is(&row, "state", state).then_some(row)
            })
        }
        What::Exports => page.of(&Range::all(0), |export: &Export| {
            let row = export_summary(export);
            is(&row, "state", state).then_some(row)
        }),
        What::Claims => {
            let certificate = input.certificate.as_deref();
            let certificate = certificate.map(|text| key_of(customs, text)).transpose()?;
            let range = match (&certificate, state) {
                (Some(key), _) => by("by_certificate", key),
                (None, Some(state)) => by("by_state", state),
                (None, None) => Range::all(0),
            };
            let light = input.light.as_deref();
            page.of(&range, |item: &ClaimItem| {
                let row = item_summary(item);
                (is(&row, "light", light) && is(&row, "state", state)).then_some(row)
            })
        }
        What::Tasks => {
            let kind = input.kind.as_deref();
            page.of(&by("by_state", state.unwrap_or("open")), |task: &Task| {
                kind.is_none_or(|kind| task.kind.name() == kind).then(|| json_of(task))
            })
        }
        What::Parked => page.of(&Range::all(0), |parked: &Parked| Some(json_of(parked))),
        What::Overrides => {
            let range = Range::of("by_overridden", vec![1_i64.into()], 0);
            page.of(&range, |record: &DecisionRecord| Some(json_of(record)))
        }
        What::Verifications => {
            let certificate = input.certificate.as_deref();
            let keys = certificate.map(|text| keys_of(customs, text)).transpose()?;
            let range = state.map_or_else(|| Range::all(0), |state| by("by_state", state));
            page.of(&range, |found: &Verification| {
                let fits = keys.as_ref().is_none_or(|keys| keys.contains(&found.certificate));
                fits.then(|| verifying::summary(found))
            })
        }
        What::Cases => {
            let range = by("by_state", state.unwrap_or("open"));
            page.of(&range, |case: &Case| Some(json_of(case)))
        }
        What::Incidents => page.of(&Range::all(0), |found: &Incident| Some(json_of(found))),
    }
}

/// Returns the key of a partner's certificate by its number.
fn key_of(customs: &Customs, number: &str) -> Result<String, Rejection> {
    let number = CertificateNumber::parse(number)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    Ok(number.key(customs.config.partner_nation()))
}

/// Returns the keys that a certificate of either nation has under its number.
fn keys_of(customs: &Customs, number: &str) -> Result<[String; 2], Rejection> {
    let number = CertificateNumber::parse(number)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    Ok([customs.config.partner_nation(), customs.config.nation()].map(|nation| number.key(nation)))
}

struct Page<'a> {
    view: &'a dyn Read,
    limit: usize,
    cursor: Option<Key>,
}

impl Page<'_> {
    /// Walks a range from the cursor on and keeps what `row` makes a row of.
    fn of<R: Record>(
        self,
        range: &Range,
        row: impl Fn(&R) -> Option<Value>,
    ) -> Result<Value, Rejection> {
        let (mut rows, mut last, mut looked_at) = (Vec::new(), self.cursor, 0);
        loop {
            let mut stretch = Range { limit: self.limit, ..range.clone() };
            if let Some(last) = &last {
                stretch = stretch.after(last.clone());
            }
            let found: Vec<R> = self.view.select(&stretch)?;
            let ended = found.len() < self.limit;
            looked_at += found.len();
            for record in found {
                last = Some(record.key());
                rows.extend(row(&record));
                if rows.len() == self.limit {
                    return Ok(json!({ "rows": rows, "next": last.as_ref().map(encode) }));
                }
            }
            if ended {
                return Ok(json!({ "rows": rows, "next": null }));
            }
            if looked_at >= LOOKED_AT_MAX {
                return Ok(json!({ "rows": rows, "next": last.as_ref().map(encode) }));
            }
        }
    }
}

fn encode(key: &Key) -> String {
    let text = match key {
        Key::Int(number) => format!("n{number}"),
        Key::Text(text) => format!("t{text}"),
        Key::Null | Key::Bytes(_) => String::new(),
    };
    URL_SAFE_NO_PAD.encode(text)
}

fn decode(cursor: &str) -> Result<Key, Rejection> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let key = match text.split_at_checked(1) {
        Some(("n", number)) => number.parse::<i64>().ok().map(Key::Int),
        Some(("t", key)) => Some(Key::from(key)),
        _ => None,
    };
    key.ok_or_else(|| {
        let text = "the cursor is none that a page gave; begin again without one";
        about("cursor", "CURSOR", refuse(ErrorKind::Invalid, "bad-cursor", text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_were_written() {
        for key in [Key::Int(7), Key::Int(-1), Key::from("AZ:AZPK202600001"), Key::from("ə")] {
            assert_eq!(decode(&encode(&key)).ok(), Some(key));
        }
        for bad in ["", "!", "eA", "bmE", "////"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
