//! What people do with the ledger of certificates: look and close cases.
//!
//! Not here: booking results (`super::booking`), suspending and resuming (`super::suspending`),
//! comparing with the partner (`super::statements`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::decide::required_text;
use super::operate::{must_act_for, read, signed_by};
use super::{Customs, show};
use crate::certificate::{Certificate, CertificateNumber, Debit};
use crate::journal::Closing;
use crate::ledger::{Case, close_case};
use crate::matching::local_date;

/// Most rows shown at once.
const SHOWN_MAX: usize = 1000;
/// Rows shown unless asked otherwise.
const SHOWN: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Looking {
    certificate: Option<String>,
    cases: Option<CaseState>,
    #[serde(default)]
    list: bool,
    #[serde(default)]
    comparisons: bool,
    limit: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CaseState {
    Open,
    Closed,
}

/// Shows the ledger of one certificate, lists those that were drawn on, the cases, or how the last
/// comparisons with the partner ended.
pub(super) fn look(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Looking = read("ledger", input)?;
    let limit = input.limit.unwrap_or(SHOWN).min(SHOWN_MAX);
    match (input.certificate, input.cases, input.list, input.comparisons) {
        (Some(number), None, false, false) => one(customs, view, now, &number, limit),
        (None, Some(state), false, false) => cases(view, state, limit),
        (None, None, true, false) => list(customs, view, now, limit),
        (None, None, false, true) => super::statements::comparisons(view, limit),
        _ => {
            let text = "give exactly one of `certificate`, `cases`, `list` and `comparisons`";
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
    }
}

/// Finds a certificate by its number, of the partner's first.
pub(super) fn find(
    customs: &Customs,
    view: &dyn Read,
    number: &str,
) -> Result<Certificate, Rejection> {
    let number = CertificateNumber::parse(number)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    for nation in [customs.config.partner_nation(), customs.config.nation()] {
        if let Some(found) = view.find::<Certificate>(number.key(nation))? {
            return Ok(found);
        }
    }
    let text = format!("no certificate {number} is here; check the number and its issuer");
    Err(refuse(ErrorKind::NotFound, "unknown-certificate", text))
}

fn one(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    number: &str,
    limit: usize,
) -> Result<Value, Rejection> {
    let certificate = find(customs, view, number)?;
    let account = certificate.account(view)?;
    let key = account.id();
    let range = Range::of("by_certificate", vec![key.as_str().into()], limit).reversed();
    let mut debits: Vec<Debit> = view.select(&range)?;
    debits.reverse();
    let all = view.count(
        &crate::certificate::DEBITS,
        &Range::of("by_certificate", vec![key.as_str().into()], 1),
    )?;
    let mut cases: Vec<Case> = Vec::new();
    for state in ["open", "closed"] {
        let prefix = vec![key.as_str().into(), state.into()];
        cases.extend(view.select::<Case>(&Range::of("by_certificate", prefix, limit))?);
    }
    let day = local_date(now, customs.config.nation());
    Ok(json!({
        "certificate": summary(&certificate, &account, day),
        "debits": show::json_of(&debits),
        "debitsInAll": all,
        "cases": show::json_of(&cases),
        "terms": show::json_of(&customs.ledger_terms.shown(day)),
    }))
}

/// A certificate with the ledger that it draws on.
pub(super) fn summary(
    certificate: &Certificate,
    account: &Certificate,
    day: karvan_types::Date,
) -> Value {
    let items: Vec<Value> = account
        .ledger
        .iter()
        .map(|ledger| {
            json!({
                "item": ledger.item,
                "certified": ledger.certified,
                "debited": ledger.debited.normalize().to_string(),
                "reserved": ledger.reserved.normalize().to_string(),
                "carriedOver": ledger.carried.normalize().to_string(),
                "balance": ledger.balance().to_string(),
                "unit": ledger.certified.unit,
                "uses": ledger.uses,
            })
        })
        .collect();
    json!({
        "number": certificate.number.shown,
        "key": certificate.id(),
        "ledgerOf": account.id(),
        "state": certificate.state(day),
        "issuer": certificate.issuer,
        "replacedBy": certificate.replaced_by,
        "copies": account.copies,
        "suspensions": show::json_of(&account.suspensions),
        "items": items,
    })
}

/// The certificates that were drawn on most recently.
fn list(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    limit: usize,
) -> Result<Value, Rejection> {
    let day = local_date(now, customs.config.nation());
    let newest: Vec<Debit> = view.select(&Range::all(SHOWN_MAX).reversed())?;
    let mut keys: Vec<&str> = Vec::new();
    for debit in &newest {
        if keys.len() < limit && !keys.contains(&debit.certificate.as_str()) {
            keys.push(&debit.certificate);
        }
    }
    let mut rows = Vec::new();
    for key in keys {
        if let Some(account) = view.find::<Certificate>(key)? {
            rows.push(summary(&account, &account, day));
        }
    }
    Ok(json!({ "count": rows.len(), "limit": limit, "rows": rows }))
}

fn cases(view: &dyn Read, state: CaseState, limit: usize) -> Result<Value, Rejection> {
    let state = match state {
        CaseState::Open => "open",
        CaseState::Closed => "closed",
    };
    let range = Range::of("by_state", vec![state.into()], limit).reversed();
    let rows: Vec<Case> = view.select(&range)?;
    Ok(json!({ "count": rows.len(), "limit": limit, "rows": show::json_of(&rows) }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CloseInput {
    case: u64,
    text: String,
}

/// Closes a case with a reason.
pub(super) fn close(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: CloseInput = read("ledger-close", input)?;
    let text = required_text(Some(&input.text), "what was found out about the case")?;
    let Some(case) = cx.tx.find::<Case>(input.case)? else {
        let text = format!("there is no ledger case {}; list the cases", input.case);
        return Err(refuse(ErrorKind::NotFound, "no-case", text));
    };
    if case.closed.is_some() {
        let text = format!("ledger case {} is closed already", input.case);
        return Err(refuse(ErrorKind::Conflict, "case-closed", text));
    }
    let closing = Closing { at: cx.now, by: signed_by(caller), text };
    Ok(show::json_of(&close_case(cx.tx, case, closing)?))
}
