//! Messages that came before the one on which they build.
//!
//! They are never refused for it. They wait; after a while the partner is asked for the missing
//! document, and after a day an officer and the operators are told. What waits is taken up the
//! moment the document comes, however late.
//!
//! Bounds: at most [`WAITING_MAX`] messages wait in all, and `receive::PARKED_MAX` for one
//! document. One more is refused by this node with the remedy to send the missing document first;
//! its sender keeps it as a dead letter and can send it again.

use karvan_store::{Range, Read};
use karvan_subsystem::{Context, Rejection};
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::answer::refuse;
use super::{Customs, sequence};
use crate::journal::{
    Closing, MessageRecord, PARKED, Parked, TaskKind, close_tasks, note, open_task,
};
use crate::messages::DocumentReference;
use crate::timers::{self, Timer, TimerKind};

/// Most messages that wait in all.
pub(super) const WAITING_MAX: u64 = 10_000;
/// The timers of a message that waits.
const CLOCKS: [TimerKind; 2] = [TimerKind::ParkedAsk, TimerKind::ParkedAlarm];

/// Refuses one more when too many wait.
pub(super) fn check_room(cx: &Context<'_>) -> Result<(), Rejection> {
    if cx.tx.count(&PARKED, &Range::all(1))? < WAITING_MAX {
        return Ok(());
    }
    let text = format!(
        "{WAITING_MAX} messages wait here for documents that have not come; send those first, \
         then this one again"
    );
    Err(refuse(ErrorKind::Overloaded, "parked-full", text))
}

/// Starts the clocks of a message that waits.
pub(super) fn parked(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    waits_for: &str,
) -> Result<(), Rejection> {
    let about = record.exchange.to_string();
    let text = format!("{} {} of {}", record.code, record.reference, record.sender);
    for kind in CLOCKS {
        let due = cx.now.plus(customs.clocks.wait(kind, cx.now));
        let timer = Timer::new(kind, waits_for, &about, cx.now, due);
        timers::set(cx.tx, &timer.with_note(text.clone()))?;
    }
    Ok(())
}

/// Stops the clocks of a message that is taken up.
pub(super) fn released(cx: &mut Context<'_>, parked: &Parked) -> Result<(), Rejection> {
    timers::cancel_about(cx.tx, &parked.exchange.to_string(), &CLOCKS)?;
    let text = "the document came".to_owned();
    let closing = Closing { at: cx.now, by: "clock".to_owned(), text };
    let kinds = [TaskKind::WaitsTooLong];
    Ok(close_tasks(cx.tx, &parked.waits_for, &kinds, "", &closing)?)
}

/// Takes up that a message has waited for a while, or too long.
pub(super) fn due(customs: &Customs, cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    let Some(parked) = cx.tx.find::<Parked>(timer.about.as_str())? else { return Ok(()) };
    let subject = parked.waits_for;
    if timer.kind == TimerKind::ParkedAsk {
        let Some(wanted) = wanted(customs, &subject) else { return Ok(()) };
        let waits = format!("{subject}, for which {} waits", timer.note);
        let text = match sequence::cannot_ask(customs, cx) {
            Some(why) => format!("{waits}, has not come, and {why}"),
            None => format!("the partner is asked for {waits}"),
        };
        note(cx.tx, cx.now, &subject, "clock", text)?;
        return sequence::ask(customs, cx, &[wanted]);
    }
    let text = format!(
        "{} has waited for {subject} since {}. It is kept; ask the partner's customs service \
         whether that document was sent.",
        timer.note, parked.at
    );
    note(cx.tx, cx.now, &subject, "clock", text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::WaitsTooLong, &subject, text.clone())?;
    cx.warn("customs.waits-too-long", text);
    Ok(())
}

/// Names the document of a subject, when it is the partner's.
fn wanted(customs: &Customs, subject: &str) -> Option<DocumentReference> {
    let (kind, key) = subject.split_once(' ')?;
    let (nation, id) = key.split_once(':')?;
    let document_type = match kind {
        "certificate" => "COO",
        "export" => "EXD",
        _ => return None,
    };
    let ours = nation == customs.config.nation().as_str();
    (!ours).then(|| sequence::reference(document_type, id))
}

/// Lists what waits, with what it waits for and since when.
pub(super) fn rows(view: &dyn Read, limit: usize) -> Result<Vec<Value>, Rejection> {
    let mut shown = Vec::new();
    for parked in view.select::<Parked>(&Range::all(limit))? {
        let record: Option<MessageRecord> = view.find(format!("{}:in", parked.exchange))?;
        let about = parked.exchange.to_string();
        let alarm = timers::find(view, TimerKind::ParkedAlarm, &parked.waits_for, &about)?;
        let ask = timers::find(view, TimerKind::ParkedAsk, &parked.waits_for, &about)?;
        shown.push(json!({
            "exchange": parked.exchange,
            "document": record.as_ref().map(|record| record.code.as_str()),
            "reference": record.as_ref().map(|record| record.reference.as_str()),
            "sender": record.as_ref().map(|record| &record.sender),
            "waitsFor": parked.waits_for,
            "senderRoles": parked.sender_roles,
            "at": parked.at,
            "askAt": ask.map(|timer| timer.due),
            "alarmAt": alarm.map(|timer| timer.due),
        }));
    }
    Ok(shown)
}
