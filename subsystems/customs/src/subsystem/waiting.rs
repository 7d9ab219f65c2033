//! What is expected in answer to a message of ours, and what is done when it does not come.
//!
//! Three acts answer a message, each signed by another: the receipt of the partner's node promises
//! that it is stored, the validation of the partner's customs that it is processed, and the result
//! decides. Receipt and validation have clocks; a late one opens a task, a very late one alarms the
//! operators, and both are cleared when it comes.
//!
//! Not here: the clock of a verification and of other cases (their own modules).

use karvan_subsystem::{Context, News, Progress, Rejection};

use crate::certificate::Certificate;
use crate::clocks;
use crate::contact::{Receipt, Stored};
use crate::journal::{
    Closing, MessageRecord, MessageState, TaskKind, close_tasks, note, open_task,
};
use crate::states::CertificateEvent;
use crate::timers::{self, Timer, TimerKind};

/// The timers of an answer.
const ANSWERS: [TimerKind; 4] =
    [TimerKind::Receipt, TimerKind::ReceiptLate, TimerKind::Validation, TimerKind::ValidationLate];

/// Starts the clock of a message that was just sent. A validation is not answered by another.
pub(super) fn sent(cx: &mut Context<'_>, record: &MessageRecord) -> Result<(), Rejection> {
    if record.code == "VAL" {
        return Ok(());
    }
    set(cx, record, TimerKind::Receipt)
}

fn set(cx: &mut Context<'_>, record: &MessageRecord, kind: TimerKind) -> Result<(), Rejection> {
    let due = record.at.plus(clocks::wait(kind, record.at)).max(cx.now);
    let about = record.exchange.to_string();
    let timer = Timer::new(kind, &record.subject, &about, record.at, due);
    Ok(timers::set(cx.tx, &timer.with_note(named(record)))?)
}

fn named(record: &MessageRecord) -> String {
    format!("{} {} to {}", record.code, record.reference, record.recipient)
}

/// Takes up that an answer is due and has not come.
pub(super) fn late(cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    let Some(record) = cx.tx.find::<MessageRecord>(format!("{}:out", timer.about))? else {
        return Ok(());
    };
    let receipt: Option<Receipt> = cx.tx.find(timer.about.as_str())?;
    let stored = receipt.is_some_and(|receipt| receipt.stored.is_some());
    let name = named(&record);
    match timer.kind {
        TimerKind::Receipt | TimerKind::ReceiptLate if stored => {
            set(cx, &record, TimerKind::Validation)
        }
        TimerKind::Receipt => {
            let text = format!(
                "{name}: sent at {}, and the partner's node has not confirmed that it stored it. \
                 It is tried again by itself; look at `karvan status` whether the line is up.",
                record.at
            );
            open_task(cx.tx, cx.now, TaskKind::AnswerMissing, &record.subject, text)?;
            set(cx, &record, TimerKind::ReceiptLate)
        }
        TimerKind::ReceiptLate => alarm(cx, &record, "customs.no-receipt", ("receipt", "operator")),
        TimerKind::Validation => {
            let text = format!(
                "{name}: stored by the partner, but neither accepted nor refused since {}. A \
                 message on which it builds may be missing there; ask its customs service.",
                record.at
            );
            open_task(cx.tx, cx.now, TaskKind::AnswerMissing, &record.subject, text)?;
            set(cx, &record, TimerKind::ValidationLate)
        }
        TimerKind::ValidationLate => {
            alarm(cx, &record, "customs.no-validation", ("validation", "customs service"))
        }
        _ => Ok(()),
    }
}

/// Tells the operators that an answer is very late, and whom to call.
fn alarm(
    cx: &mut Context<'_>,
    record: &MessageRecord,
    code: &'static str,
    (answer, whom): (&str, &str),
) -> Result<(), Rejection> {
    let text = format!(
        "no {answer} from {} for {} {} since {}; call its {whom}",
        record.recipient, record.code, record.reference, record.at
    );
    note(cx.tx, cx.now, &record.subject, "clock", text.clone())?;
    cx.warn(code, text);
    Ok(())
}

/// Takes up that the validation of a message of ours came.
pub(super) fn validated(cx: &mut Context<'_>, record: &MessageRecord) -> Result<(), Rejection> {
    timers::cancel_about(cx.tx, &record.exchange.to_string(), &ANSWERS)?;
    clear(cx, record, "the validation came")
}

fn clear(cx: &mut Context<'_>, record: &MessageRecord, text: &str) -> Result<(), Rejection> {
    let closing = Closing { at: cx.now, by: "clock".to_owned(), text: text.to_owned() };
    let prefix = format!("{}:", named(record));
    let kinds = [TaskKind::AnswerMissing];
    Ok(close_tasks(cx.tx, &record.subject, &kinds, &prefix, &closing)?)
}

/// Takes up news of the kernel about a message of ours.
pub(super) fn progressed(cx: &mut Context<'_>, progress: &Progress) -> Result<(), Rejection> {
    let about = progress.exchange.to_string();
    let mut receipt = cx.tx.find::<Receipt>(about.as_str())?.unwrap_or(Receipt {
        exchange: progress.exchange,
        stored: None,
        handed_over_at: None,
        refused: None,
    });
    match &progress.news {
        News::Stored { by } => {
            receipt.stored = Some(Stored { at: cx.now, by: by.clone() });
            receipt.refused = None;
            cx.tx.save(&receipt)?;
            stored(cx, &about)
        }
        News::HandedOver => {
            receipt.handed_over_at = Some(cx.now);
            Ok(cx.tx.save(&receipt)?)
        }
        News::Refused(reason) | News::GivenUp(reason) => {
            receipt.refused = Some(reason.text.clone());
            cx.tx.save(&receipt)?;
            undelivered(cx, &about, reason)
        }
    }
}

/// The partner's node has it: what was late is cleared, and the next clock starts.
fn stored(cx: &mut Context<'_>, about: &str) -> Result<(), Rejection> {
    let Some(record) = cx.tx.find::<MessageRecord>(format!("{about}:out"))? else {
        return Ok(());
    };
    if record.code == "COO"
        && let Some(key) = record.subject.strip_prefix("certificate ")
        && let Some(mut certificate) = cx.tx.find::<Certificate>(key)?
        && certificate.status.follow(CertificateEvent::Store)
    {
        cx.tx.save(&certificate)?;
    }
    // In time, the timer that runs finds the receipt by itself.
    let late = timers::cancel_about(cx.tx, about, &[TimerKind::ReceiptLate])?;
    let very_late = cx.now.since(record.at) > clocks::wait(TimerKind::ReceiptLate, record.at);
    if late.is_empty() && !very_late {
        return Ok(());
    }
    clear(cx, &record, "the receipt came")?;
    if record.state == MessageState::Sent {
        set(cx, &record, TimerKind::Validation)?;
    }
    Ok(())
}

fn undelivered(cx: &mut Context<'_>, about: &str, reason: &Rejection) -> Result<(), Rejection> {
    let Some(record) = cx.tx.find::<MessageRecord>(format!("{about}:out"))? else {
        return Ok(());
    };
    timers::cancel_about(cx.tx, about, &ANSWERS)?;
    let text = format!(
        "{}: not delivered: {} ({}). Mend the cause, then send it again with `karvan documents \
         resend`.",
        named(&record),
        reason.text,
        reason.code
    );
    note(cx.tx, cx.now, &record.subject, record.recipient.as_str(), text.clone())?;
    Ok(open_task(cx.tx, cx.now, TaskKind::NotDelivered, &record.subject, text)?)
}
