//! The days on which the rates of a claim may depend besides that of filing: when its goods
//! arrived, and when its duty was paid.
//!
//! An officer of the importing side reports either day; as long as nobody did, the arrival is that
//! of the partner's latest report about the export declaration. When the rule of the tariff wants
//! a day that is not known yet, a decision rests on the day of filing and opens a task; so does
//! the day itself when it becomes known after the decision.
//!
//! Not here: which day counts (`crate::tariff`, `RateDateRule`), the amounts (`crate::relief`).

use std::borrow::Cow;

use karvan_store::{Error, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{about, refuse};
use super::assess::{self, claim_subject};
use super::decide::find_claim;
use super::operate::{must_act_for, read, signed_by};
use super::{Customs, claiming, quotas, show};
use crate::claim::{Claim, ClaimItem};
use crate::decision::DecisionRecord;
use crate::journal::{Closing, TaskKind, close_tasks, note, open_task};
use crate::matching::local_date;
use crate::messages::{Decision, TransportEvent};
use crate::relief;
use crate::transport::Report;

/// Returns the claim with the day of arrival, as far as it is known here.
pub(super) fn known<'a>(
    customs: &Customs,
    view: &dyn Read,
    claim: &'a Claim,
    export: Option<&str>,
) -> Result<Cow<'a, Claim>, Error> {
    let (None, Some(export)) = (claim.arrived, export) else { return Ok(Cow::Borrowed(claim)) };
    let reports = Report::of(view, export)?;
    let last = reports.iter().rfind(|report| report.event == TransportEvent::Arrived);
    Ok(match last {
        Some(report) => {
            let arrived = Some(local_date(report.event_at, customs.config.nation()));
            Cow::Owned(Claim { arrived, ..claim.clone() })
        }
        None => Cow::Borrowed(claim),
    })
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Event {
    Arrived,
    Paid,
}

/// Either `event` with `day`, or `arrived` and `paid`, which are taken together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happened {
    claim: String,
    event: Option<Event>,
    day: Option<Date>,
    arrived: Option<Date>,
    paid: Option<Date>,
}

impl Happened {
    /// Returns each event with its day and the field that says it.
    fn days(&self) -> Result<Vec<(Event, Date, &'static str)>, Rejection> {
        let both = [(Event::Arrived, self.arrived, "arrived"), (Event::Paid, self.paid, "paid")];
        let both = both.into_iter().filter_map(|(event, day, field)| Some((event, day?, field)));
        let both: Vec<_> = both.collect();
        match (self.event, self.day, both.is_empty()) {
            (Some(event), Some(day), true) => Ok(vec![(event, day, "day")]),
            (None, None, false) => Ok(both),
            (Some(_), None, true) => Err(lacking("day", "`day`, the day on which it happened")),
            (None, Some(_), true) => Err(lacking("event", "`event`, arrived or paid")),
            _ => {
                let one = "`arrived`, `paid` or both, each a day; or else `event` and `day`";
                Err(lacking("event", one))
            }
        }
    }
}

fn lacking(field: &str, what: &str) -> Rejection {
    about(field, "REQUIRED", refuse(ErrorKind::Invalid, "bad-input", format!("give {what}")))
}

/// Takes the days on which the goods of a claim arrived and its duty was paid, or one of them: all
/// that is reported or nothing. What is undecided is matched anew; what is decided on another day
/// gets a task.
pub(super) fn report(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let happened: Happened = read("event", input)?;
    let days = happened.days()?;
    let mut claim = find_claim(cx, &happened.claim)?;
    let key = claim.id();
    if claim.withdrawn.is_some() {
        return Err(claiming::withdrawn(&key));
    }
    let today = local_date(cx.now, customs.config.nation());
    let mut changes = Vec::new();
    for (event, day, field) in days {
        if day > today {
            let text = format!("{day} is still to come; report it when it has come");
            return Err(about(field, "DAY", refuse(ErrorKind::Invalid, "day-to-come", text)));
        }
        let (word, place) = match event {
            Event::Arrived => ("goods arrived", &mut claim.arrived),
            Event::Paid => ("duty paid", &mut claim.paid),
        };
        let before = place.replace(day);
        if before != Some(day) {
            let was = before.map(|before| format!(", not on {before}")).unwrap_or_default();
            changes.push(format!("{word} on {day}{was}"));
        }
    }
    if changes.is_empty() {
        return show::claim_by_key(cx.tx, &key, true);
    }
    cx.tx.save(&claim)?;
    for text in changes {
        note(cx.tx, cx.now, &claim_subject(&key), &signed_by(caller), text)?;
    }
    let items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
    for mut item in items {
        became_known(customs, cx, &claim, &mut item)?;
    }
    show::claim_by_key(cx.tx, &key, false)
}

/// A day is known now: matches an undecided item anew, opens a task for one that was decided on
/// the rates of another day.
pub(super) fn became_known(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &mut ClaimItem,
) -> Result<(), Rejection> {
    if !item.state.is_final() {
        follow_quota(customs, cx, claim, item)?;
        let because = "the day of arrival or payment became known";
        return assess::reassess(customs, cx, claim, item, because);
    }
    let basis = item.assessment.duty.as_ref().and_then(|duty| duty.tariff.clone());
    let (Some(basis), Some(tariff)) = (basis, customs.tariff(cx.tx)?) else { return Ok(()) };
    let claim = known(customs, cx.tx, claim, item.assessment.matched.export.as_deref())?;
    let now = relief::rate_day(&tariff, &claim);
    if !now.is_final || (basis.is_final && basis.day == now.day) {
        return Ok(());
    }
    let text = format!(
        "{}{}; the day that counts is {}, as is known since. Reopen the item and decide it anew, \
         then collect or give back what the amounts differ by.",
        decided_on(item),
        basis.day,
        now.day
    );
    Ok(open_task(cx.tx, cx.now, TaskKind::DutySettlement, &claim_subject(&item.claim), text)?)
}

/// Has an item ask for its quota in the period of the day that counts now.
pub(super) fn follow_quota(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &ClaimItem,
) -> Result<(), Rejection> {
    let Some(goods) = claim.item(item.item) else { return Ok(()) };
    let export = item.assessment.matched.export.as_deref();
    quotas::follow_day(customs, cx, claim, goods, export).map(drop)
}

/// How each task of this module begins, up to the day.
fn decided_on(item: &ClaimItem) -> String {
    format!("item {}: decided on the rates of ", item.item)
}

/// An item was decided: closes the tasks about earlier days, and opens one when the decision
/// rests on a day that only stands in.
pub(super) fn decided(
    cx: &mut Context<'_>,
    item: &ClaimItem,
    record: &DecisionRecord,
) -> Result<(), Rejection> {
    if record.decision == Decision::Query {
        return Ok(());
    }
    let (subject, prefix) = (claim_subject(&item.claim), decided_on(item));
    let text = format!("decided anew: {}", item.state.name());
    let closing = Closing { at: cx.now, by: record.officer.clone(), text };
    close_tasks(cx.tx, &subject, &[TaskKind::DutySettlement], &prefix, &closing)?;
    let basis = record.duty.as_ref().and_then(|duty| duty.tariff.as_ref());
    let Some(basis) = basis.filter(|basis| !basis.is_final) else { return Ok(()) };
    let text = format!(
        "{prefix}{}, the day of filing, for the day of arrival or payment that the tariff asks \
         for is not known. Report it (`karvan customs event`) and work the duty out anew.",
        basis.day
    );
    Ok(open_task(cx.tx, cx.now, TaskKind::DutySettlement, &subject, text)?)
}
