//! Answers to verifications of this side, and what the clock does to them on either side.

use karvan_subsystem::{Context, Rejection};

use super::super::apply::Effect;
use super::super::assess::Late;
use super::super::{Customs, suspending};
use super::{again, weigh};
use crate::journal::{Closing, MessageRecord, TaskKind, close_tasks, note, open_task};
use crate::messages::{ValidationError, VerificationOutcome, VerificationResponse};
use crate::states::VerificationEvent;
use crate::timers::{self, Timer, TimerKind};
use crate::verification::{
    ANSWERS_MAX, Answer, Role, Verification, verification_key, verification_subject,
};

/// Returns what an answer does to a verification.
pub(super) const fn event_of(outcome: VerificationOutcome) -> VerificationEvent {
    match outcome {
        VerificationOutcome::Confirmed => VerificationEvent::Confirm,
        VerificationOutcome::NotConfirmed => VerificationEvent::Refute,
        VerificationOutcome::Partly => VerificationEvent::ConfirmPartly,
        VerificationOutcome::Interim => VerificationEvent::Acknowledge,
    }
}

/// Says an answer in words.
pub(super) const fn in_words(outcome: VerificationOutcome) -> &'static str {
    match outcome {
        VerificationOutcome::Confirmed => "the certificate was confirmed",
        VerificationOutcome::NotConfirmed => "the certificate was not confirmed",
        VerificationOutcome::Partly => "the certificate was confirmed in part",
        VerificationOutcome::Interim => "there is no result yet",
    }
}

fn refused(pointer: &str, rule: &str, remedy: impl Into<String>) -> Effect {
    let (pointer, rule) = (pointer.to_owned(), rule.to_owned());
    Effect::Refused(vec![ValidationError { pointer, rule, remedy: remedy.into() }])
}

/// Takes an answer in: it is kept, every claim on the certificate is matched anew, and those that
/// were decided become tasks.
pub(in crate::subsystem) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    response: &VerificationResponse,
) -> Result<Effect, Rejection> {
    let id = response.query.id.as_str();
    let subject = verification_subject(id);
    let Some(mut found) = cx.tx.find::<Verification>(verification_key(Role::Asking, id))? else {
        return Ok(refused("query/ID", "UNKNOWN", format!("no query {id} was sent from here")));
    };
    if !found.asked.contains(&record.sender) {
        let remedy = format!("{} was not asked in verification {id}", record.sender);
        return Ok(refused("query/ID", "SENDER", remedy));
    }
    if found.answers.len() >= ANSWERS_MAX {
        let remedy = format!("verification {id} has {ANSWERS_MAX} answers, the most allowed");
        return Ok(refused("query/ID", "ANSWERS", remedy));
    }
    if found.state.step(event_of(response.outcome)).is_err() {
        let remedy = format!(
            "verification {id} is {}; it takes no such answer any more, so write to us",
            found.state.get().name()
        );
        return Ok(refused("outcome", "ANSWERED", remedy));
    }
    let told = in_words(response.outcome);
    let line = format!(
        "verification {id} answered by {}: {told}. {}",
        record.sender,
        response.statement.as_deref().unwrap_or_default()
    );
    found.answers.push(Answer {
        by: record.sender.to_string(),
        at: cx.now,
        day: response.answer_date,
        outcome: response.outcome,
        final_expected: response.final_expected,
        items: response.items.clone(),
        answers: response.answers.clone(),
        text: response.statement.clone(),
        exchange: record.exchange,
    });
    cx.tx.save(&found)?;
    tell(cx, &found, record.sender.as_str(), &line)?;
    if response.outcome != VerificationOutcome::Interim {
        stop_clocks(cx, &found, record.sender.as_str(), told)?;
        suspending::follow(cx, &found.certificate, record.sender.as_str())?;
        weigh::touch(
            customs,
            cx,
            &found,
            &Late { kind: TaskKind::VerificationEnded, because: told },
        )?;
    }
    Ok(Effect::Applied { subject })
}

/// Writes a line into the history of a verification, of its certificate and of its claim.
fn tell(cx: &mut Context<'_>, found: &Verification, by: &str, text: &str) -> Result<(), Rejection> {
    let mut subjects =
        vec![verification_subject(&found.id), format!("certificate {}", found.certificate)];
    if found.role == Role::Asking {
        subjects.extend(found.claim.as_ref().map(|claim| format!("claim {claim}")));
    }
    for subject in subjects {
        note(cx.tx, cx.now, &subject, by, text)?;
    }
    Ok(())
}

/// The partner's validation of a query: it is taken up, or wants to be mended.
pub(in crate::subsystem) fn delivered(
    cx: &mut Context<'_>,
    subject: &str,
    accepted: bool,
) -> Result<(), Rejection> {
    let Some(id) = subject.strip_prefix("verification ") else { return Ok(()) };
    let key = verification_key(Role::Asking, id);
    let Some(mut found) = cx.tx.find::<Verification>(key)? else { return Ok(()) };
    // Several are asked: when one has taken it up, the refusal of another is only a task.
    if !accepted {
        return again::refused(cx, &mut found);
    }
    if found.state.follow(VerificationEvent::Acknowledge) {
        cx.tx.save(&found)?;
    }
    Ok(())
}

/// Stops what runs for a verification, and closes the tasks that asked to answer it.
pub(in crate::subsystem) fn stop_clocks(
    cx: &mut Context<'_>,
    found: &Verification,
    by: &str,
    why: &str,
) -> Result<(), Rejection> {
    let subject = verification_subject(&found.id);
    let kinds = [TimerKind::VerificationReminder, TimerKind::VerificationDue];
    let prefix = verification_key(found.role, &found.id);
    for timer in timers::list(cx.tx, Some(&subject), crate::verification::SAME_MAX)? {
        if kinds.contains(&timer.kind) && timer.note == prefix {
            timers::cancel(cx.tx, timer.kind, &timer.subject, &timer.about)?;
        }
    }
    let closing = Closing { at: cx.now, by: by.to_owned(), text: why.to_owned() };
    let kinds = [TaskKind::VerificationAsked, TaskKind::VerificationDue];
    close_tasks(cx.tx, &subject, &kinds, "", &closing)?;
    Ok(())
}

/// An answer is due soon: whoever waits and whoever is asked gets a task.
pub(in crate::subsystem) fn remind(cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    let Some(found) = of_timer(cx, timer)? else { return Ok(()) };
    let text = match found.role {
        Role::Asking => format!(
            "the answer about certificate {} is due on {}; remind {}",
            found.number,
            found.due,
            names(&found)
        ),
        Role::Asked => format!(
            "an answer to {} about certificate {} is due on {}",
            found.asker, found.number, found.due
        ),
    };
    let subject = verification_subject(&found.id);
    let kinds = [TaskKind::VerificationDue];
    let closing = Closing { at: cx.now, by: "clock".to_owned(), text: "reminded again".to_owned() };
    close_tasks(cx.tx, &subject, &kinds, "", &closing)?;
    note(cx.tx, cx.now, &subject, "clock", text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::VerificationDue, &subject, text)?;
    Ok(())
}

fn names(found: &Verification) -> String {
    let names: Vec<_> = found.asked.iter().map(ToString::to_string).collect();
    names.join(" and ")
}

fn of_timer(cx: &Context<'_>, timer: &Timer) -> Result<Option<Verification>, Rejection> {
    let found: Option<Verification> = cx.tx.find(timer.note.as_str())?;
    Ok(found.filter(Verification::is_open))
}

/// The last day has passed without a final answer. Nothing is decided by that: what is proposed is
/// put before an officer.
pub(in crate::subsystem) fn expire(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    let Some(mut found) = of_timer(cx, timer)? else { return Ok(()) };
    let subject = verification_subject(&found.id);
    found.state.follow(VerificationEvent::Expire);
    found.expired = true;
    cx.tx.save(&found)?;
    suspending::follow(cx, &found.certificate, "clock")?;
    if found.role == Role::Asked {
        let text = format!(
            "the answer to {} about certificate {} was due on {} and is late",
            found.asker, found.number, found.due
        );
        note(cx.tx, cx.now, &subject, "clock", text.clone())?;
        open_task(cx.tx, cx.now, TaskKind::VerificationDue, &subject, text)?;
        return Ok(());
    }
    let line = format!("verification {}: no answer came by {}", found.id, found.due);
    tell(cx, &found, "clock", &line)?;
    let closing = Closing { at: cx.now, by: "clock".to_owned(), text: "the day passed".to_owned() };
    close_tasks(cx.tx, &subject, &[TaskKind::VerificationDue], "", &closing)?;
    let late = Late { kind: TaskKind::VerificationEnded, because: "no answer came in time" };
    weigh::touch(customs, cx, &found, &late)
}
