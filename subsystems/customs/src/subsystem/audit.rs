//! What is read by whoever looks over officers' shoulders: reasons, overrides of a month,
//! securities, and who looked at a case.
//!
//! Not here: what happened to one thing (`super::show`).

use std::collections::BTreeMap;

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Decimal, ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::assess::claim_subject;
use super::operate::{read, signed_by};
use super::{Customs, assigned, decide, four_eyes, language, show};
use crate::claim::{ClaimItem, ITEMS_MAX};
use crate::decision::overrides::{Ended, Override};
use crate::decision::policy::CaseKind;
use crate::decision::reasons::Fit;
use crate::decision::security::{Held, SECURITIES};
use crate::journal::note;
use crate::matching::local_date;
use crate::timers;
use crate::verification::{VERIFICATIONS, Verification};
use crate::words::Language;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    /// Only those that fit this decision.
    decision: Option<Fit>,
}

/// Lists the coded reasons.
pub(super) fn reasons(input: Value) -> Result<Value, Rejection> {
    let input: Asking = read("reasons", input)?;
    let reasons = decide::reasons()?;
    let fits = |fit: &Option<Fit>, fits: &[Fit]| fit.is_none_or(|fit| fits.contains(&fit));
    let rows = reasons.list.iter().filter(|row| fits(&input.decision, &row.fits));
    let shown = rows.map(|row| {
        let mut row_shown = show::json_of(row);
        for language in Language::ALL {
            row_shown[language.code()] = row.meaning(language).into();
        }
        row_shown
    });
    let readings = Language::ALL
        .map(|language| json!({ "language": language.code(), "status": language.status() }));
    Ok(json!({
        "source": reasons.source,
        "status": reasons.status,
        "languages": readings,
        "rows": shown.collect::<Vec<_>>(),
    }))
}

/// What one officer had to do with overrides in a month.
#[derive(Default)]
struct Tally {
    proposed: u64,
    granted: u64,
    confirmed: u64,
    rejected: u64,
    saved: BTreeMap<String, Decimal>,
}

/// Lists the overrides that were proposed in a month, and sums them up by officer.
pub(super) fn overrides_of(
    view: &dyn Read,
    now: Timestamp,
    month: &str,
    limit: usize,
) -> Result<Value, Rejection> {
    if format!("{month}-01").parse::<karvan_types::Date>().is_err() {
        let text = "write the month as 2026-10";
        return Err(refuse(ErrorKind::Invalid, "bad-input", text));
    }
    let range = |limit| Range::of("by_month", vec![month.into()], limit);
    let all: Vec<Override> = view.select(&range(limit))?;
    let total = view.count(&super::OVERRIDES, &range(limit))?;
    let mut officers: BTreeMap<&str, Tally> = BTreeMap::new();
    for row in &all {
        let ended = row.ended.as_ref();
        let was_granted =
            ended.is_some_and(|end| matches!(end.how, Ended::Confirmed | Ended::Alone));
        let proposer = officers.entry(&row.officer).or_default();
        proposer.proposed += 1;
        if was_granted {
            proposer.granted += 1;
            if let Some(saved) = &row.saved {
                *proposer.saved.entry(saved.currency.clone()).or_default() += saved.value;
            }
        }
        match ended.map(|end| (end.how, end.by.as_str())) {
            Some((Ended::Confirmed, by)) => officers.entry(by).or_default().confirmed += 1,
            Some((Ended::Rejected, by)) => officers.entry(by).or_default().rejected += 1,
            _ => {}
        }
    }
    let officers: Vec<Value> = officers.into_iter().map(tally_view).collect();
    Ok(json!({
        "month": month,
        "count": all.len(),
        "total": total,
        "limit": limit,
        "officers": officers,
        "rows": all.iter().map(|row| four_eyes::view(row, now)).collect::<Vec<_>>(),
    }))
}

fn tally_view((officer, tally): (&str, Tally)) -> Value {
    let saved = tally.saved.iter();
    let saved: Vec<Value> = saved
        .map(|(currency, value)| json!({ "value": value.to_string(), "currency": currency }))
        .collect();
    json!({
        "officer": officer,
        "proposed": tally.proposed,
        "granted": tally.granted,
        "saved": saved,
        "confirmedForOthers": tally.confirmed,
        "rejectedOfOthers": tally.rejected,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Looking {
    claim: String,
    lang: Option<String>,
}

/// Shows a claim to a person. When it has a case of a kind that the policy names, that they looked
/// is written into its history, before they see it.
pub(super) fn look(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Looking = read("look", input)?;
    let key = assigned::claim(cx.tx, &input.claim)?;
    let today = local_date(cx.now, customs.config.nation());
    let row = customs.policy.recorded_looks(today);
    let kinds = row.map(|row| row.terms.cases.as_slice()).unwrap_or_default();
    if has_case(cx.tx, &key, kinds)? {
        let by = signed_by(caller);
        let text = format!("{by} looked at the claim");
        note(cx.tx, cx.now, &claim_subject(&key), &by, text)?;
    }
    let mut asked = json!({ "claim": input.claim });
    if let Some(language) = input.lang {
        asked["lang"] = language.into();
    }
    language::speaking(asked, |asked| show::show(customs, cx.tx, cx.now, asked))
}

/// Whether a claim, or an item of it, has a case of one of these kinds.
fn has_case(view: &dyn Read, claim: &str, kinds: &[CaseKind]) -> Result<bool, Rejection> {
    let items: Vec<ClaimItem> = view.select(&ClaimItem::range("by_claim", claim))?;
    let is_decided = !items.is_empty() && items.iter().all(|item| item.state.is_final());
    if is_decided && kinds.contains(&CaseKind::Decided) {
        return Ok(true);
    }
    for item in items.iter().take(ITEMS_MAX).map(ClaimItem::id) {
        for kind in kinds {
            let found = match kind {
                CaseKind::Verification => {
                    view.count(&VERIFICATIONS, &Verification::range("by_claim_item", &item))?
                }
                CaseKind::Override => view.count(&super::OVERRIDES, &Override::of_item(&item))?,
                CaseKind::Security => view.count(&SECURITIES, &Held::of_item(&item))?,
                CaseKind::Decided => 0,
            };
            if found > 0 {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn items_of(view: &dyn Read, claim: &str) -> Result<Vec<String>, Rejection> {
    let items: Vec<ClaimItem> = view.select(&ClaimItem::range("by_claim", claim))?;
    Ok(items.iter().take(ITEMS_MAX).map(ClaimItem::id).collect())
}

/// Returns the proposals about the items of a claim, oldest first for each.
pub(super) fn overrides_about(
    view: &dyn Read,
    now: Timestamp,
    claim: &str,
) -> Result<Vec<Value>, Rejection> {
    let mut shown = Vec::new();
    for item in items_of(view, claim)? {
        let all: Vec<Override> = view.select(&Override::of_item(&item))?;
        shown.extend(all.iter().map(|row| four_eyes::view(row, now)));
    }
    Ok(shown)
}

/// Returns the securities taken for the items of a claim, oldest first for each.
pub(super) fn securities_of(view: &dyn Read, claim: &str) -> Result<Vec<Value>, Rejection> {
    let mut shown = Vec::new();
    for item in items_of(view, claim)? {
        let all: Vec<Held> = view.select(&Held::of_item(&item))?;
        shown.extend(all.iter().map(show::json_of));
    }
    Ok(shown)
}

/// Returns what is due next about a claim, and by when: its timers, and the answers that its
/// verifications wait for.
pub(super) fn next_of(view: &dyn Read, claim: &str) -> Result<Vec<Value>, Rejection> {
    let timers = timers::list(view, Some(&claim_subject(claim)), ITEMS_MAX)?;
    let mut next: Vec<Value> = timers
        .iter()
        .map(|timer| json!({ "what": timer.kind.about(), "due": timer.due }))
        .collect();
    for item in items_of(view, claim)? {
        let all: Vec<Verification> = view.select(&Verification::range("by_claim_item", &item))?;
        for open in all.iter().filter(|verification| verification.is_open()) {
            let what = format!("the answer to verification {}", open.id);
            next.push(json!({ "what": what, "due": open.due }));
        }
    }
    Ok(next)
}
