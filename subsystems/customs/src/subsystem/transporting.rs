//! TRN: declared goods leave, arrive or go elsewhere; and where that leaves the declaration.
//!
//! The exporting side tells of all three, the importing side that the goods arrived in its country.
//! A report about a declaration that is not here waits for it. What is decided stays decided: news
//! of a diversion opens a task.

use std::time::Duration;

use karvan_store::{Range, Tx, Value};
use karvan_subsystem::{Context, Rejection};
use karvan_types::{ExchangeId, Instance};

use super::apply::{Effect, Incoming, export_items, export_subject, refused};
use super::assess::{self, Late};
use super::{Customs, rate_days, risks};
use crate::claim::{CLAIM_ITEMS, Claim, ClaimItem, ITEMS_MAX};
use crate::export::{Export, export_key};
use crate::journal::{TaskKind, note, open_task};
use crate::messages::{TransportEvent, TransportReport};
use crate::mirror::flow;
use crate::states::{ExportEvent, ExportState};
use crate::timers::{self, Timer, TimerKind};
use crate::transport::{REPORTS_MAX, Report};

/// How long a declaration whose departure is told late waits all the same for news of the arrival.
const LATE_REPORT_GRACE: Duration = Duration::from_hours(24);

const fn event_of(event: TransportEvent) -> (ExportEvent, &'static str) {
    match event {
        TransportEvent::Departed => (ExportEvent::Depart, "departed"),
        TransportEvent::Arrived => (ExportEvent::Arrive, "arrived"),
        TransportEvent::Diverted => (ExportEvent::Divert, "diverted"),
    }
}

/// Where a report comes from.
pub(super) struct Teller<'a> {
    /// The nation whose export declarations it names.
    pub(super) country: Instance,
    /// Member, and person where there is one, for the history.
    pub(super) by: &'a str,
    /// The exchange that brought it; none when a carrier reported to this side.
    pub(super) exchange: Option<ExchangeId>,
}

/// Whether a report says that the goods arrived in a country, where their way ends.
pub(super) fn has_arrived_in(content: &TransportReport, nation: Instance) -> bool {
    let last = content.route.last().and_then(|place| place.location.id.as_deref());
    content.event == TransportEvent::Arrived
        && last.is_some_and(|place| place.starts_with(nation.as_str()))
}

/// Returns the nation whose export declarations a report names: that of the sender; but when the
/// goods arrived in the sender's own country, they were declared for export in the other one.
pub(super) fn declared_in(
    customs: &Customs,
    sender: Instance,
    content: &TransportReport,
) -> Instance {
    if has_arrived_in(content, sender) { customs.config.other(sender) } else { sender }
}

/// Takes a report of customs into account, from whichever side.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &TransportReport,
) -> Result<Effect, Rejection> {
    let country = declared_in(customs, incoming.sender.instance(), content);
    let teller = Teller { country, by: incoming.by, exchange: Some(incoming.exchange) };
    let effect = take_from(customs, cx, &teller, content)?;
    let is_applied = matches!(effect, Effect::Applied { .. } | Effect::Late { .. });
    if is_applied && country != customs.config.nation() {
        risks::on_transport(customs, cx, content, country)?;
    }
    Ok(effect)
}

/// Takes a report into account, whoever made it.
pub(super) fn take_from(
    customs: &Customs,
    cx: &mut Context<'_>,
    teller: &Teller<'_>,
    content: &TransportReport,
) -> Result<Effect, Rejection> {
    let country = teller.country;
    let (event, word) = event_of(content.event);
    let mut exports = Vec::new();
    for (named, number) in content.exports.iter().zip(1..) {
        let key = export_key(country, &named.id);
        let Some(mut export) = cx.tx.find::<Export>(key.as_str())? else {
            return Ok(Effect::Early { waits_for: export_subject(&key) });
        };
        let pointer = format!("exports[{number}]/ID");
        if let Err(error) = export.status.step(event) {
            return Ok(refused(&pointer, "STATE", error.to_string()));
        }
        let row = format!("{key} {}", content.header.id);
        if cx.tx.find::<Report>(row)?.is_some() {
            let remedy = format!(
                "report {} about {} is here already; give each report a number of its own",
                content.header.id, named.id
            );
            return Ok(refused("ID", "EXISTS", remedy));
        }
        if Report::of(cx.tx, &key)?.len() >= REPORTS_MAX {
            let remedy = format!("{REPORTS_MAX} reports about {} are here, the most", named.id);
            return Ok(refused(&pointer, "ITEMS", remedy));
        }
        exports.push(export);
    }
    let subject = exports.first().map(|export| export_subject(&export.id()));
    for export in exports {
        keep(customs, cx, teller, content, &export, word)?;
    }
    Ok(Effect::Applied { subject: subject.unwrap_or_default() })
}

fn keep(
    customs: &Customs,
    cx: &mut Context<'_>,
    teller: &Teller<'_>,
    content: &TransportReport,
    export: &Export,
    word: &'static str,
) -> Result<(), Rejection> {
    let key = export.id();
    let expected = content.route.last().and_then(|place| place.expected_arrival);
    cx.tx.add(&Report {
        export: key.clone(),
        number: content.header.id.clone(),
        exchange: teller.exchange,
        event: content.event,
        event_at: content.event_date_time,
        at: cx.now,
        expected,
        means: content.means.clone(),
        route: content.route.clone(),
        equipment: content.equipment.clone(),
        remark: content.remark.clone(),
    })?;
    cx.tx.save(export)?;
    let subject = export_subject(&key);
    let remark = content.remark.as_deref().map(|text| format!(": {text}")).unwrap_or_default();
    let text = format!("goods {word} at {}{remark}", content.event_date_time);
    note(cx.tx, cx.now, &subject, teller.by, text)?;
    if content.event == TransportEvent::Departed {
        let mode = export.content().and_then(flow::mode);
        let wait = customs.mirror.wait(mode.as_deref(), content.event_date_time);
        let due = content.event_date_time.plus(wait).max(expected.unwrap_or_default());
        let due = due.max(cx.now.plus(LATE_REPORT_GRACE));
        let kind = TimerKind::Arrival;
        timers::set(cx.tx, &Timer::new(kind, &subject, &key, content.event_date_time, due))?;
    } else {
        timers::cancel(cx.tx, TimerKind::Arrival, &subject, &key)?;
    }
    let items = export_items(cx.tx, export)?;
    if content.event == TransportEvent::Diverted {
        let because = "the goods were reported as diverted";
        let late = Late { kind: TaskKind::AmendedAfterDecision, because };
        return assess::touch(customs, cx, items, &late);
    }
    for mut item in items {
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        if content.event == TransportEvent::Arrived {
            rate_days::became_known(customs, cx, &claim, &mut item)?;
        } else if !item.state.is_final() {
            assess::reassess(customs, cx, &claim, &mut item, "a transport report came")?;
        }
    }
    Ok(())
}

/// The goods should have arrived by now.
pub(super) fn overdue(cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    let Some(mut export) = cx.tx.find::<Export>(timer.about.as_str())? else { return Ok(()) };
    if !export.status.follow(ExportEvent::Overdue) {
        return Ok(());
    }
    cx.tx.save(&export)?;
    let text = format!(
        "export declaration {}: the goods departed at {} and have not arrived by {}; ask the \
         carrier and the other side before the export is treated as completed",
        export.number, timer.since, timer.due
    );
    note(cx.tx, cx.now, &timer.subject, "clock", text.clone())?;
    Ok(open_task(cx.tx, cx.now, TaskKind::NeverArrived, &timer.subject, text)?)
}

/// A claimed item rests on a declaration from now on.
pub(super) fn matched(cx: &mut Context<'_>, export: &mut Export) -> Result<(), Rejection> {
    let before = export.status.get();
    if export.status.follow(ExportEvent::Match) && export.status != before {
        cx.tx.save(export)?;
        if before != ExportState::Closed {
            let key = export.id();
            timers::cancel(cx.tx, TimerKind::Arrival, &export_subject(&key), &key)?;
        }
    }
    Ok(())
}

/// An item was decided or reopened: with the last item of its claim the declaration is closed.
pub(super) fn decided(cx: &mut Context<'_>, item: &ClaimItem) -> Result<(), Rejection> {
    let Some(key) = &item.assessment.matched.export else { return Ok(()) };
    let event = if !item.state.is_final() {
        ExportEvent::Reopen
    } else if all_decided(cx.tx, &item.claim)? {
        ExportEvent::Close
    } else {
        return Ok(());
    };
    if let Some(mut export) = cx.tx.find::<Export>(key.as_str())?
        && export.status.follow(event)
    {
        cx.tx.save(&export)?;
    }
    Ok(())
}

/// Returns whether every claimed item is decided, by the column of the state alone.
fn all_decided(tx: &dyn Tx, claim: &str) -> Result<bool, Rejection> {
    use crate::states::ItemState as S;
    let finals: Vec<Value> =
        [S::Granted, S::GrantedInPart, S::Denied].map(|state| state.name().into()).into();
    let rows = tx.scan(&CLAIM_ITEMS, &Range::of("by_claim", vec![claim.into()], ITEMS_MAX))?;
    Ok(rows.iter().all(|row| row.columns.last().is_some_and(|state| finals.contains(state))))
}
