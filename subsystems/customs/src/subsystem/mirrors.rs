//! The mirror at a running node: what both sides' declarations say about each other.
//!
//! Exports of the partner and imports of this side are both here, so that direction is computed in
//! full. Of own exports only the partner knows what arrived; it reports figures each month, and
//! what this side reports is computed from the same lines. Values leave only when the sharing level
//! allows it.

use std::collections::BTreeSet;
use std::time::Duration;

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind, Instance, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Customs;
use super::answer::{self, about, refuse};
use super::apply::Effect;
use super::operate::{must_act_for, read, signed_by};
use super::show::json_of;
use crate::journal::{MessageRecord, TaskKind, note, open_task};
use crate::matching::local_date;
use crate::messages::{
    DocumentReference, FunctionCode, Header, MIRROR_TYPE_CODE, Message, MirrorReport, MirrorTotal,
    Page, TradeFlow, UnmatchedConsignment, UnmatchedReason,
};
use crate::mirror::candidates::{RankBy, Rates, candidates};
use crate::mirror::compare::{
    self, Comparing, PAGES_MAX, Report, TooLarge, figures, stream, to_totals,
};
use crate::mirror::linked::{self, LINES_MAX, Linked, Months, Stream};
use crate::mirror::totals::totals;
use crate::mirror::unmatched::{Unmatched, unmatched};
use crate::mirror::{Flow, Line, month_of};
use crate::rates;
use crate::risk::gather::days_before;
use crate::timers::{self, Timer, TimerKind};

mod watching;

/// Months looked at when nothing is said.
const MONTHS: u16 = 12;
/// Most rows of a list.
const ROWS_MAX: usize = 1000;
/// Rows when nothing is said.
const ROWS: usize = 100;
/// Subject of the timer of the monthly report.
const TIMER: &str = "mirror";
/// Lines of one page of a report (the rule of REC).
const PAGE_LINES: usize = 1000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    /// First month, `YYYY-MM`.
    from: Option<String>,
    /// Last month.
    until: Option<String>,
    limit: Option<usize>,
    by: Option<RankBy>,
}

impl Asking {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(ROWS).min(ROWS_MAX)
    }

    fn months(&self, today: Date) -> Result<Months, Rejection> {
        let first = month_of(days_before(today, MONTHS * 30));
        let from = self.from.clone().unwrap_or(first);
        let until = self.until.clone().unwrap_or_else(|| month_of(today));
        is_month(&from)?;
        is_month(&until)?;
        Ok(Months { from, until })
    }
}

fn is_month(month: &str) -> Result<(), Rejection> {
    if month.len() == 7 && format!("{month}-01").parse::<Date>().is_ok() {
        return Ok(());
    }
    let shown: String = month.chars().take(20).collect();
    let text = format!("`{shown}` is no month; write YYYY-MM");
    Err(refuse(ErrorKind::Invalid, "bad-input", text))
}

/// The partner's exports and own imports, linked.
fn both(
    customs: &Customs,
    view: &dyn Read,
    months: &Months,
) -> Result<(Linked, Linked), Rejection> {
    let (us, them) = (customs.config.nation(), customs.config.partner_nation());
    let exports = Stream { flow: Flow::Export, nation: them, other: us };
    let imports = Stream { flow: Flow::Import, nation: us, other: them };
    Ok((linked::read(view, exports, months)?, linked::read(view, imports, months)?))
}

fn head(customs: &Customs, months: &Months, is_cut: bool) -> Value {
    json!({
        "from": months.from,
        "until": months.until,
        "exporting": customs.config.partner_nation().as_str(),
        "importing": customs.config.nation().as_str(),
        "linesMax": LINES_MAX,
        "cut": is_cut,
        "parameters": json_of(&customs.mirror),
    })
}

/// Shows consignments that only one side knows, totals, or candidates.
pub(super) fn look(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    operation: &str,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Asking = read(operation, input)?;
    let today = local_date(now, customs.config.nation());
    let months = input.months(today)?;
    let (exports, imports) = both(customs, view, &months)?;
    let params = &customs.mirror;
    let mut shown = head(customs, &months, exports.is_cut || imports.is_cut);
    let rows: Vec<Value> = match operation {
        "mirror-consignments" => {
            let go_live = customs.config.go_live;
            let mut rows = unmatched(&exports, params, today, go_live);
            rows.extend(unmatched(&imports, params, today, go_live));
            rows.iter().map(json_of).collect()
        }
        "mirror-totals" => totals(&exports, &imports, params).iter().map(json_of).collect(),
        _ => {
            let before = Months::of(days_before(today, 365), today);
            let column = Line::stream(Flow::Import, customs.config.nation());
            let range = Range::of("by_month", vec![column.into()], LINES_MAX).reversed();
            let range = range.from(before.from.as_str()).to(months.until.as_str());
            let mut earlier: Vec<Line> = view.select(&range)?;
            earlier.retain(|line| !line.elsewhere);
            let national = rates::national_currency(customs.config.nation()).unwrap_or_default();
            let (by, rates) = (input.by.unwrap_or_default(), Rates { view, national });
            let found = candidates(&imports, &earlier, params, by, rates)?;
            shown["notComparableCount"] = found.not_comparable.len().into();
            let lines = found.not_comparable.iter().take(input.limit());
            shown["notComparable"] = lines.map(json_of).collect();
            found.candidates.iter().map(json_of).collect()
        }
    };
    shown["count"] = rows.len().into();
    // Totals are always shown whole: a part of them would be taken for all.
    let limit = if operation == "mirror-totals" { usize::MAX } else { input.limit() };
    shown["rows"] = rows.into_iter().take(limit).collect();
    Ok(shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfMonth {
    month: String,
}

/// Compares what the partner reported of a month with own records.
pub(super) fn register(
    customs: &Customs,
    view: &dyn Read,
    input: Value,
) -> Result<Value, Rejection> {
    let OfMonth { month } = read("mirror-compare", input)?;
    is_month(&month)?;
    let shown: Vec<Value> = compared(customs, view, &month)?.iter().map(Compared::shown).collect();
    let them = customs.config.partner_nation();
    Ok(json!({ "month": month, "partner": them.as_str(), "flows": shown }))
}

/// One direction of a month: the partner's report beside own records.
struct Compared {
    flow: TradeFlow,
    exporting: Instance,
    pages: Vec<Report>,
    rows: Vec<compare::Compared>,
}

impl Compared {
    fn differing(&self) -> usize {
        self.rows.iter().filter(|row| !row.agrees).count()
    }

    fn shown(&self) -> Value {
        json!({
            "flow": self.flow,
            "exporting": self.exporting.as_str(),
            "report": self.pages.first().map(|page| page.id.clone()),
            "receivedAt": self.pages.first().map(|page| page.at),
            "differing": self.differing(),
            "rows": json_of(&self.rows),
        })
    }
}

fn compared(customs: &Customs, view: &dyn Read, month: &str) -> Result<Vec<Compared>, Rejection> {
    let (us, them) = (customs.config.nation(), customs.config.partner_nation());
    let months = Months { from: month.to_owned(), until: month.to_owned() };
    let mut flows = Vec::new();
    for (flow, nation, other) in [(TradeFlow::Export, them, us), (TradeFlow::Import, us, them)] {
        // Both are export declarations: the partner's own, or ours that it imported.
        let ours = linked::read(view, Stream { flow: Flow::Export, nation, other }, &months)?;
        let pages = pages(view, them, flow, month)?;
        let lonely: BTreeSet<String> = (ours.counterparts.iter())
            .filter(|(_, found)| found.is_empty() && nation == them)
            .map(|(document, _)| document.clone())
            .collect();
        let params = &customs.mirror;
        let what = Comparing { lines: &ours.lines, lonely: &lonely, pages: &pages, flow, params };
        let rows = if pages.is_empty() { Vec::new() } else { compare::compare(&what) };
        flows.push(Compared { flow, exporting: nation, pages, rows });
    }
    Ok(flows)
}

fn pages(
    view: &dyn Read,
    nation: Instance,
    flow: TradeFlow,
    month: &str,
) -> Result<Vec<Report>, Rejection> {
    let range = Range::of("by_stream", vec![stream(nation, flow, month).into()], PAGES_MAX);
    let pages: Vec<Report> = view.select(&range)?;
    // A later report may have fewer pages than the one before it.
    let newest = pages.iter().max_by_key(|page| page.at).map(|page| page.id.clone());
    Ok(pages.into_iter().filter(|page| Some(&page.id) == newest.as_ref()).collect())
}

/// Keeps what the partner reports, and looks whether it agrees with own records.
pub(super) fn receive(
    customs: &Customs,
    cx: &mut Context<'_>,
    content: &MirrorReport,
    record: &MessageRecord,
) -> Result<Effect, Rejection> {
    let subject = format!("mirror {}", content.month);
    let nation = record.sender.instance();
    let text = format!("{nation} reports its figures, page {}", content.page.number);
    note(cx.tx, cx.now, &subject, record.sender.as_str(), text)?;
    cx.tx.save(&report(cx.now, nation, content))?;
    watching::watch(customs, cx, &content.month)?;
    Ok(Effect::Applied { subject })
}

fn report(at: Timestamp, nation: Instance, content: &MirrorReport) -> Report {
    Report {
        nation,
        flow: content.flow,
        month: content.month.clone(),
        id: content.header.id.clone(),
        page: content.page.number,
        of: content.page.of,
        at,
        totals: content.totals.clone(),
        unmatched: content.unmatched.clone(),
    }
}

/// Sends the figures of a month to the partner.
pub(super) fn send(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let OfMonth { month } = read("mirror-report", input)?;
    is_month(&month)?;
    let today = local_date(cx.now, customs.config.nation());
    if month >= month_of(today) {
        let text = format!("{month} has not ended; report it in the next month");
        return Err(refuse(ErrorKind::Conflict, "month-open", text));
    }
    let sent = publish(customs, cx, &month, &signed_by(caller))?;
    let sent = sent.map_err(|error| {
        about("month", "DIGITS", refuse(error.kind(), "figures-too-large", error.to_string()))
    })?;
    Ok(json!({ "month": month, "exchanges": sent }))
}

/// Sets the timer of the monthly report, unless it runs.
pub(super) fn arm(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let kind = TimerKind::MonthlyMirror;
    if timers::find(cx.tx, kind, TIMER, TIMER)?.is_none() {
        let due = next_report(customs, cx.now);
        timers::set(cx.tx, &Timer::new(kind, TIMER, TIMER, cx.now, due))?;
    }
    Ok(())
}

/// Returns when the month in hand is reported: some days after its end, at midnight UTC.
fn next_report(customs: &Customs, now: Timestamp) -> Timestamp {
    let today = local_date(now, customs.config.nation());
    let days = u64::from(customs.mirror.report_days(today));
    let left = u64::try_from(today.last_of_month().day() - today.day()).unwrap_or_default();
    let midnight = now.minus(Duration::from_millis(
        u64::try_from(now.as_millis().rem_euclid(86_400_000)).unwrap_or_default(),
    ));
    midnight.plus(Duration::from_secs((left + 1 + days) * 86_400))
}

/// Reports the month before, and sets the timer of the next report.
pub(super) fn monthly(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    let today = local_date(timer.due, customs.config.nation());
    let month = month_of(today.first_of_month().yesterday().unwrap_or(today));
    if answer::may_send(customs, cx, MirrorReport::DOCUMENT_TYPE) {
        if let Err(error) = publish(customs, cx, &month, "mirror")? {
            let text = format!(
                "figures of {month} not sent: {error}; then send them with `karvan customs mirror \
                 report {month}`"
            );
            let subject = format!("mirror {month}");
            note(cx.tx, cx.now, &subject, "mirror", text.clone())?;
            open_task(cx.tx, cx.now, TaskKind::NotDelivered, &subject, text.clone())?;
            cx.warn("customs.figures-not-sent", text);
        }
    } else {
        let text = format!("figures of {month} not sent, since no agreement in force allows `REC`");
        note(cx.tx, cx.now, &format!("mirror {month}"), "mirror", text)?;
    }
    watching::watch_again(customs, cx, today)?;
    // Months that ended while the node was down follow one after the other.
    let due = next_report(customs, timer.due);
    Ok(timers::set(cx.tx, &Timer::new(timer.kind, TIMER, TIMER, cx.now, due))?)
}

/// Sends both directions of a month, page by page; nothing when one of them cannot be reported.
fn publish(
    customs: &Customs,
    cx: &mut Context<'_>,
    month: &str,
    by: &str,
) -> Result<Result<Vec<Value>, TooLarge>, Rejection> {
    let (us, them) = (customs.config.nation(), customs.config.partner_nation());
    let level = customs.config.sharing_level;
    let today = local_date(cx.now, us);
    let months = Months { from: month.to_owned(), until: month.to_owned() };
    let mut reports = Vec::new();
    for (flow, own) in [(TradeFlow::Export, Flow::Export), (TradeFlow::Import, Flow::Import)] {
        let linked = linked::read(cx.tx, Stream { flow: own, nation: us, other: them }, &months)?;
        let rows = figures(&linked.lines, &customs.mirror, own == Flow::Import);
        let lines = match to_totals(rows, level) {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error)),
        };
        // Whether own exports arrived is known to the partner alone.
        let lonely = match own {
            Flow::Export => Vec::new(),
            Flow::Import => {
                let found = unmatched(&linked, &customs.mirror, today, customs.config.go_live);
                found.iter().filter(|one| !one.before_exchange).map(lonely).collect()
            }
        };
        reports.push(Pages { flow, month, lines, lonely });
    }
    let mut sent = Vec::new();
    for report in reports {
        sent.extend(report.send(customs, cx)?);
    }
    let text = format!("figures of {month} sent in {} pages", sent.len());
    note(cx.tx, cx.now, &format!("mirror {month}"), by, text)?;
    Ok(Ok(sent))
}

fn lonely(one: &Unmatched) -> UnmatchedConsignment {
    let document_type = match one.reason {
        UnmatchedReason::NeverArrived => "EXD",
        UnmatchedReason::NoExportRecord => "IMP",
    };
    UnmatchedConsignment {
        document: DocumentReference {
            document_type: document_type.to_owned(),
            id: one.document.clone(),
            version_id: None,
            functional_reference_id: None,
            effective_date: None,
        },
        ucr: one.ucr.clone(),
        reason: one.reason,
        since: Some(one.day),
    }
}

struct Pages<'a> {
    flow: TradeFlow,
    month: &'a str,
    lines: Vec<MirrorTotal>,
    lonely: Vec<UnmatchedConsignment>,
}

impl Pages<'_> {
    fn send(self, customs: &Customs, cx: &mut Context<'_>) -> Result<Vec<Value>, Rejection> {
        let id = answer::next_reference(cx, "REC")?;
        let count = self.lines.len().max(self.lonely.len()).div_ceil(PAGE_LINES).max(1);
        let of = u32::try_from(count).unwrap_or(u32::MAX);
        let (mut lines, mut lonely) = (self.lines.into_iter(), self.lonely.into_iter());
        let mut sent = Vec::new();
        for number in 1..=of {
            let header = Header {
                function_code: FunctionCode::Original,
                functional_reference_id: format!("{id}-{number}"),
                type_code: MIRROR_TYPE_CODE.to_owned(),
                id: id.clone(),
                version_id: 1,
                issue_date_time: cx.now,
                agreement_id: customs.config.agreement.clone(),
                sharing_level: customs.config.sharing_level,
            };
            let content = MirrorReport {
                header,
                month: self.month.to_owned(),
                flow: self.flow,
                page: Page { number, of },
                totals: lines.by_ref().take(PAGE_LINES).collect(),
                unmatched: lonely.by_ref().take(PAGE_LINES).collect(),
            };
            cx.tx.save(&report(cx.now, customs.config.nation(), &content))?;
            let (us, them) = (&customs.config.customs, &customs.config.partner);
            let subject = format!("mirror {}", self.month);
            let message = Message::Mirror(Box::new(content));
            let record = answer::send(cx, us, them, &message, &subject)?;
            sent.push(json_of(&record.exchange));
        }
        Ok(sent)
    }
}
