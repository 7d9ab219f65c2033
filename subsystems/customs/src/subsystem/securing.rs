//! Release under security, and settling it with the decision.
//!
//! Not here: amounts and checks (`crate::decision::security`).

use std::time::Duration;

use karvan_store::Range;
use karvan_subsystem::{Context, Rejection};
use karvan_types::{Amount, Date, ErrorKind, Timestamp};

use super::answer::refuse;
use super::assess::claim_subject;
use super::decide::Deciding;
use crate::claim::{ClaimItem, item_key};
use crate::decision::DecisionRecord;
use crate::decision::security::{
    HELD_MAX, Held, HeldState, Security, SecurityKind, Settlement, settle,
};
use crate::journal::{Closing, TaskKind, close_tasks, note, open_task};
use crate::messages::Decision;
use crate::tariff::Status;
use crate::timers::{self, Timer, TimerKind};

/// How long before the end of a security somebody is told.
const BEFORE_END: Duration = Duration::from_hours(30 * 24);

/// Refuses a security without a release, and a release without a security.
pub(super) fn check(input: &Deciding, decision: Decision) -> Result<(), Rejection> {
    let text = match (decision, input.security.is_some()) {
        (Decision::Provisional, false) => {
            "a release under security needs the `security`: kind, reference and amount"
        }
        (Decision::Provisional, true) | (_, false) => return Ok(()),
        (_, true) => "a security is given only for a release under security (`provisional`)",
    };
    Err(refuse(ErrorKind::Invalid, "security-required", text))
}

/// Takes the security of a release, or settles a decision against what was paid and secured.
pub(super) fn take_or_settle(
    cx: &mut Context<'_>,
    item: &ClaimItem,
    record: &mut DecisionRecord,
    security: Option<Security>,
) -> Result<(), Rejection> {
    match (record.decision, security) {
        (Decision::Provisional, Some(security)) => take(cx, item, record, security),
        (Decision::Query | Decision::Provisional, _) => Ok(()),
        _ => settle_final(cx, item, record),
    }
}

fn held(cx: &Context<'_>, item: &ClaimItem) -> Result<Option<Held>, Rejection> {
    let all: Vec<Held> = cx.tx.select(&Held::of_item(&item.id()))?;
    Ok(all.into_iter().rfind(|held| held.state == HeldState::Held))
}

/// Refuses a cash deposit that secures another item; a guarantee may cover several.
fn must_be_free(cx: &Context<'_>, item: &ClaimItem, security: &Security) -> Result<(), Rejection> {
    let used = Range::of(
        "by_reference",
        vec![security.reference.as_str().into(), HeldState::Held.name().into()],
        HELD_MAX,
    );
    let users: Vec<Held> = cx.tx.select(&used)?;
    let other = users.iter().find(|held| {
        held.claim_item != item.id() && held.security.kind == SecurityKind::CashDeposit
    });
    if let Some(other) = other.filter(|_| security.kind == SecurityKind::CashDeposit) {
        let text = format!(
            "the cash deposit {} secures {} already; each needs a deposit of its own",
            security.reference, other.claim_item
        );
        return Err(refuse(ErrorKind::Conflict, "deposit-in-use", text));
    }
    Ok(())
}

fn take(
    cx: &mut Context<'_>,
    item: &ClaimItem,
    record: &mut DecisionRecord,
    security: Security,
) -> Result<(), Rejection> {
    let Some(duty) = &record.duty else {
        let text = "no duty can be computed for this item, so no security either; have the claim \
                    state the customs value, or ask first (`query`)";
        return Err(refuse(ErrorKind::Conflict, "security-unknown", text));
    };
    if duty.saved.value.is_zero() {
        let text = "the preference saves nothing for this item, so nothing is to be secured; \
                    decide it";
        return Err(refuse(ErrorKind::Conflict, "nothing-to-secure", text));
    }
    security
        .check(&duty.saved, record.day)
        .map_err(|error| refuse(error.kind(), "security", error.to_string()))?;
    must_be_free(cx, item, &security)?;
    let subject = claim_subject(&item.claim);
    if let Some(mut old) = held(cx, item)? {
        old.state = HeldState::Replaced;
        cx.tx.save(&old)?;
        let text = format!(
            "item {}: {} {} over {} was replaced by {} {}; give it back",
            item.item,
            old.security.kind.words(),
            old.security.reference,
            old.security.amount,
            security.kind.words(),
            security.reference
        );
        open_task(cx.tx, cx.now, TaskKind::DutySettlement, &subject, text)?;
    }
    let text = format!(
        "item {}: {} {} over {} taken; {} had to be secured, {} is paid",
        item.item,
        security.kind.words(),
        security.reference,
        security.amount,
        duty.saved,
        duty.payable
    );
    note(cx.tx, cx.now, &subject, &record.officer, text)?;
    cx.tx.add(&Held {
        claim_item: item.id(),
        number: record.number,
        security: security.clone(),
        required: duty.saved.clone(),
        paid: duty.payable.clone(),
        state: HeldState::Held,
        officer: record.officer.clone(),
        at: cx.now,
    })?;
    if let Some(end) = security.valid_until {
        let due = midnight(end).minus(BEFORE_END).max(cx.now);
        let about = item.id();
        let timer = Timer::new(TimerKind::SecurityEnds, &subject, &about, cx.now, due);
        timers::set(cx.tx, &timer.with_note(record.number.to_string()))?;
    }
    record.security = Some(security);
    Ok(())
}

/// Returns the first instant of a day in UTC.
fn midnight(day: Date) -> Timestamp {
    format!("{day}T00:00:00Z").parse().unwrap_or_else(|_| Timestamp::from_millis(i64::MAX))
}

/// A security ends soon and still secures a claim: a task to renew it, or to decide.
pub(super) fn remind(cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    let key = format!("{}#{:0>5}", timer.about, timer.note);
    let found: Option<Held> = cx.tx.find(key)?;
    let Some(held) = found.filter(|held| held.state == HeldState::Held) else { return Ok(()) };
    let item = timer.about.rsplit_once('#').map_or("", |(_, item)| item.trim_start_matches('0'));
    let end = held.security.valid_until.map(|end| end.to_string()).unwrap_or_default();
    let text = format!(
        "item {item}: the {} {} ends on {end}; ask for a new one, or decide the claim",
        held.security.kind.words(),
        held.security.reference
    );
    note(cx.tx, cx.now, &timer.subject, "clock", text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::SecurityEnds, &timer.subject, text)?;
    Ok(())
}

/// Settles a final decision against the security, or against what the last decision made due.
fn settle_final(
    cx: &mut Context<'_>,
    item: &ClaimItem,
    record: &mut DecisionRecord,
) -> Result<(), Rejection> {
    let held = held(cx, item)?;
    let paid = match &held {
        Some(held) => Some(held.paid.clone()),
        None => last_paid(cx, item, record.number)?,
    };
    let subject = claim_subject(&item.claim);
    if let (Some(duty), Some(paid)) = (&record.duty, &paid) {
        let secured = held.as_ref().map(|held| &held.security.amount);
        record.settlement = settle(&duty.payable, paid, secured);
    }
    let security = held.as_ref().map(|held| &held.security);
    match &record.settlement {
        Some(settlement) if settlement.is_even() => {}
        Some(settlement) => {
            let text = task_text(item, record, settlement, security);
            open_task(cx.tx, cx.now, TaskKind::DutySettlement, &subject, text)?;
        }
        None if held.is_some() => {
            let text = format!(
                "item {}: what is due cannot be computed any more; settle the security by hand",
                item.item
            );
            open_task(cx.tx, cx.now, TaskKind::DutySettlement, &subject, text)?;
        }
        None => {}
    }
    if let Some(mut held) = held {
        held.state = HeldState::Settled;
        cx.tx.save(&held)?;
        timers::cancel(cx.tx, TimerKind::SecurityEnds, &subject, &item.id())?;
        let prefix = format!("item {}:", item.item);
        let (at, by) = (cx.now, record.officer.clone());
        let closing = Closing { at, by, text: "decided".to_owned() };
        close_tasks(cx.tx, &subject, &[TaskKind::SecurityEnds], &prefix, &closing)?;
    }
    Ok(())
}

fn task_text(
    item: &ClaimItem,
    record: &DecisionRecord,
    settlement: &Settlement,
    security: Option<&Security>,
) -> String {
    let assumed = record.duty.as_ref().and_then(|duty| duty.status) == Some(Status::Assumed);
    let warning = if assumed { ". At least one rate is assumed: move no money on it" } else { "" };
    let acts = settlement.in_words(security);
    format!("item {}, decision {}: {acts}{warning}", item.item, record.number)
}

/// Returns what the last final decision before this one made due, which counts as paid.
fn last_paid(cx: &Context<'_>, item: &ClaimItem, number: u32) -> Result<Option<Amount>, Rejection> {
    for earlier in (1..number).rev() {
        let key = format!("{}#{earlier:05}", item_key(&item.claim, item.item));
        let Some(record) = cx.tx.find::<DecisionRecord>(key)? else { continue };
        if record.decision != Decision::Query {
            return Ok(record.duty.map(|duty| duty.payable));
        }
    }
    Ok(None)
}
