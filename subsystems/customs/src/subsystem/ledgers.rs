//! What people do with the ledger of certificates: look, close cases, suspend and resume.
//!
//! Not here: booking results (`super::booking`), comparing with the partner (`super::statements`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::apply::certificate_subject;
use super::assess::{self, Late};
use super::decide::required_text;
use super::operate::{must_act_for, read, signed_by};
use super::{Customs, show};
use crate::certificate::{Certificate, CertificateNumber, Debit};
use crate::claim::ClaimItem;
use crate::journal::{Closing, TaskKind, note};
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
fn summary(certificate: &Certificate, account: &Certificate, day: karvan_types::Date) -> Value {
    let items: Vec<Value> = account
        .ledger
        .iter()
        .map(|ledger| {
            json!({
                "item": ledger.item,
                "certified": ledger.certified,
                "debited": ledger.debited.normalize().to_string(),
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
        "suspendedFor": certificate.suspended_for,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspending {
    certificate: String,
    text: String,
    #[serde(default)]
    resume: bool,
}

/// Suspends the use of a certificate at this side, or lets it be used again.
pub(super) fn suspend(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Suspending = read("ledger-suspend", input)?;
    let what = if input.resume { "why it can be used again" } else { "why its use is suspended" };
    let text = required_text(Some(&input.text), what)?;
    let certificate = find(customs, cx.tx, &input.certificate)?;
    let (key, by) = (certificate.account_id(), signed_by(caller));
    set_suspended(customs, cx, &key, &by, (!input.resume).then_some(text.as_str()), &text)?;
    let certificate = find(customs, cx.tx, &input.certificate)?;
    let account = certificate.account(cx.tx)?;
    let day = local_date(cx.now, customs.config.nation());
    Ok(json!({ "certificate": summary(&certificate, &account, day) }))
}

/// Suspends a certificate, such as while it is verified, or with no reason lets it be used again;
/// undecided claims are matched anew, decided ones become tasks.
pub(super) fn set_suspended(
    customs: &Customs,
    cx: &mut Context<'_>,
    key: &str,
    by: &str,
    suspended_for: Option<&str>,
    text: &str,
) -> Result<(), Rejection> {
    let Some(mut certificate) = cx.tx.find::<Certificate>(key)? else { return Ok(()) };
    if certificate.suspended_for.is_some() == suspended_for.is_some() {
        let state = if suspended_for.is_some() { "suspended already" } else { "not suspended" };
        let text = format!("certificate {} is {state} here", certificate.number);
        return Err(refuse(ErrorKind::Conflict, "suspension", text));
    }
    certificate.suspended_for = suspended_for.map(str::to_owned);
    cx.tx.save(&certificate)?;
    let verb = if suspended_for.is_some() { "suspended here" } else { "in use again" };
    let said = format!("certificate {} {verb}: {text}", certificate.number);
    note(cx.tx, cx.now, &certificate_subject(key), by, said)?;
    let because = if suspended_for.is_some() {
        "the certificate was suspended"
    } else {
        "it is in use again"
    };
    let late = Late { kind: TaskKind::AmendedAfterDecision, because };
    for key in certificate.copies.iter().map(String::as_str).chain([key]) {
        let mut items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_certificate", key))?;
        // What was decided before a suspension stands.
        items.retain(|item| !item.state.is_final());
        assess::touch(customs, cx, items, &late)?;
    }
    Ok(())
}
