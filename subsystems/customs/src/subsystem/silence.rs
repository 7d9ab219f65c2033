//! Whether the partner can be heard. A certificate that could not have come is not held against
//! anybody.
//!
//! When nothing has come from the partner for a day and a half, an outage is opened by the clock;
//! it is over when something comes. An operator can declare one too, also from an instant in the
//! past, as far back as the terms of the agreement allow (`data/decisions.toml`).
//! While an outage lasts, certificates of its time that are not here have no data, which is no sign
//! against them.

use std::time::Duration;

use karvan_store::Read;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{about, refuse};
use super::operate::{must_act_for, read, signed_by};
use super::sequence::SUBJECT;
use super::{Customs, decide, show};
use crate::contact::{Contact, Outage};
use crate::journal::{Closing, TaskKind, close_tasks, note, open_task};
use crate::matching::local_date;
use crate::timers::{self, Timer, TimerKind};

/// Something heard is written down once in this time.
const HEARD_EVERY: Duration = Duration::from_mins(10);
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;
/// Who opens an outage when nothing comes.
const CLOCK: &str = "clock";

/// Takes up that something came from the partner.
pub(super) fn heard(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let partner = &customs.config.partner;
    let known: Option<Contact> = cx.tx.find(partner.as_str())?;
    if known.is_some_and(|known| cx.now.since(known.heard_at) < HEARD_EVERY) {
        return Ok(());
    }
    cx.tx.save(&Contact { partner: partner.clone(), heard_at: cx.now })?;
    let due = cx.now.plus(customs.clocks.wait(TimerKind::PartnerSilent, cx.now));
    let kind = TimerKind::PartnerSilent;
    timers::set(cx.tx, &Timer::new(kind, SUBJECT, partner.as_str(), cx.now, due))?;
    for mut outage in Outage::open(cx.tx)? {
        if outage.by == CLOCK {
            outage.until = Some(cx.now);
            cx.tx.save(&outage)?;
            over(cx, &outage, CLOCK)?;
        }
    }
    Ok(())
}

fn over(cx: &mut Context<'_>, outage: &Outage, by: &str) -> Result<(), Rejection> {
    let text = format!("the partner is heard again; the outage from {} is over", outage.from);
    note(cx.tx, cx.now, SUBJECT, by, text.clone())?;
    let closing = Closing { at: cx.now, by: by.to_owned(), text };
    let prefix = format!("outage {}:", outage.number);
    Ok(close_tasks(cx.tx, SUBJECT, &[TaskKind::PartnerSilent], &prefix, &closing)?)
}

/// Nothing came from the partner for long.
pub(super) fn silent(cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    open(cx, timer.since, CLOCK, "nothing came from the partner").map(drop)
}

fn open(cx: &mut Context<'_>, from: Timestamp, by: &str, text: &str) -> Result<Outage, Rejection> {
    let number = cx.tx.next(Outage::NUMBERS)?;
    let (by, text) = (by.to_owned(), text.to_owned());
    let outage = Outage { number, from, until: None, by, text };
    cx.tx.add(&outage)?;
    let text = format!(
        "outage {number}: since {from} documents of the partner may not have come: {}. Claims on \
         certificates of that time are held without blame; use paper and code.",
        outage.text
    );
    note(cx.tx, cx.now, SUBJECT, &outage.by, text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::PartnerSilent, SUBJECT, text.clone())?;
    cx.warn("customs.partner-silent", text);
    Ok(outage)
}

/// Returns since when documents of the partner may not have come, if that lasts.
pub(super) fn since(view: &dyn Read) -> Result<Option<Timestamp>, Rejection> {
    Ok(Outage::open(view)?.first().map(|outage| outage.from))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    from: Option<Timestamp>,
    over: Option<u64>,
    text: String,
}

/// Refuses a beginning that is still to come, or too far back.
fn must_be_recent(customs: &Customs, now: Timestamp, from: Timestamp) -> Result<(), Rejection> {
    if from > now {
        let text = format!("an outage cannot begin at {from}, which is still to come");
        return Err(about("from", "DAY", refuse(ErrorKind::Invalid, "bad-input", text)));
    }
    let today = local_date(now, customs.config.nation());
    let Some(row) = customs.policy.declared_outage(today) else { return Ok(()) };
    let days = row.terms.days_back_max;
    let earliest = now.minus(Duration::from_secs(u64::from(days) * DAY_SECONDS));
    if from >= earliest {
        return Ok(());
    }
    let text = format!(
        "an outage cannot begin at {from}: the earliest instant allowed is {earliest}, {days} days \
         back ({}); state that one, or decide claims on older certificates one by one",
        row.status.name()
    );
    Err(about("from", "DAY", refuse(ErrorKind::Invalid, "outage-too-early", text)))
}

/// Declares an outage, or that one is over.
pub(super) fn declare(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Declared = read("outage", input)?;
    let text = decide::required_text(Some(&input.text), "what is known about the outage")?;
    let by = signed_by(caller);
    let outage = match (input.from, input.over) {
        (Some(from), None) => {
            must_be_recent(customs, cx.now, from)?;
            open(cx, from, &by, &text)?
        }
        (None, Some(number)) => {
            let found: Option<Outage> = cx.tx.find(number)?;
            let Some(mut outage) = found.filter(|outage| outage.until.is_none()) else {
                let text = format!(
                    "no outage {number} lasts; `karvan customs timers` lists them, and `/waits` \
                     over REST"
                );
                return Err(refuse(ErrorKind::NotFound, "no-outage", text));
            };
            outage.until = Some(cx.now);
            cx.tx.save(&outage)?;
            over(cx, &outage, &by)?;
            outage
        }
        _ => {
            let text = "give exactly one of `from`, an instant, and `over`, a number";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    Ok(show::json_of(&outage))
}

/// Shows what is waited for, since when and until when, the clocks, and how the partner is heard.
pub(super) fn timers(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    /// Most timers shown.
    const SHOWN_MAX: usize = 500;
    /// Minutes of a day.
    const MINUTES_OF_DAY: u32 = 24 * 60;
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        subject: Option<String>,
    }
    let input: Input = read("timers", input)?;
    let timers = timers::list(view, input.subject.as_deref(), SHOWN_MAX)?;
    let rows: Vec<Value> = (timers.iter())
        .map(|timer| {
            json!({
                "kind": timer.kind.name(),
                "waitsFor": timer.kind.about(),
                "subject": timer.subject,
                "about": timer.about,
                "since": timer.since,
                "due": timer.due,
                "overdue": timer.due <= now,
                "note": timer.note,
            })
        })
        .collect();
    let contact: Option<Contact> = view.find(customs.config.partner.as_str())?;
    let day = now.utc_date();
    let mut clocks: Vec<_> = crate::clocks::SERVED
        .into_iter()
        .filter_map(|kind| customs.clocks.row(kind, day).map(show::json_of))
        .collect();
    clocks.extend(customs.mirror.arrivals(day).into_iter().map(|row| {
        let days = row.value.days;
        let by = row.mode.as_deref().map(|mode| format!(" by mode {mode}")).unwrap_or_default();
        json!({
            "clock": TimerKind::Arrival.name(),
            "mode": row.mode,
            "minutes": u32::from(days) * MINUTES_OF_DAY,
            "about": format!(
                "goods that departed{by} should have arrived ({days} days); later: a task, and \
                 the mirror counts them as never arrived"
            ),
            "from": row.from,
            "until": row.until,
            "status": row.status,
            "source": row.source,
        })
    }));
    Ok(json!({
        "count": rows.len(),
        "rows": rows,
        "clocks": clocks,
        "partner": customs.config.partner,
        "heardAt": contact.map(|contact| contact.heard_at),
        "outages": show::json_of(&Outage::all(view)?),
    }))
}
