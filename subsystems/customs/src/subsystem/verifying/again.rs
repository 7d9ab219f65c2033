//! Asking again: a verification that every member refused is sent once more, and one that was
//! closed is taken up again when new facts come.
//!
//! The number stays, so that everything said about it stands in one place; a new deadline begins,
//! and answers from before count no more.

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::ErrorKind;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answer::refuse;
use super::super::apply::Effect;
use super::super::decide::{find_item, required_text};
use super::super::operate::{must_act_for, read, signed_by};
use super::super::{Customs, show};
use super::{answered, asked, due_from, find, questions, send, start, view, weigh};
use crate::certificate::Certificate;
use crate::journal::{
    Closing, Direction, MessageRecord, MessageState, TaskKind, close_tasks, note, open_task,
};
use crate::matching::local_date;
use crate::messages::{ValidationError, VerificationQuery};
use crate::states::{VerificationEvent, VerificationState};
use crate::verification::{Role, SAME_MAX, Verification, verification_subject};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    verification: String,
    text: String,
    #[serde(default)]
    questions: Vec<String>,
}

/// Sends the query of a verification again that was refused or closed.
pub(in crate::subsystem) fn ask(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Again = read("verify-again", input)?;
    let text = required_text(Some(&input.text), "why it is asked again")?;
    let mut found = find(cx.tx, Role::Asking, &input.verification)?;
    if found.state == VerificationState::Closed {
        found.state.step(VerificationEvent::Reopen)?;
    }
    if found.state != VerificationState::Opened {
        let text = format!(
            "verification {} is {}; only one that is closed, or that everybody refused, is asked \
             again",
            found.id,
            found.state.name()
        );
        return Err(refuse(ErrorKind::Conflict, "verification-open", text));
    }
    let about = found.claim.clone().zip(found.item);
    let Some((claim, item)) = about else {
        let text = format!("verification {} belongs to no claim; open a new one", found.id);
        return Err(refuse(ErrorKind::Conflict, "no-claim", text));
    };
    let (claim, item) = find_item(cx, &claim, Some(item))?;
    let same: Vec<Verification> =
        cx.tx.select(&Verification::range("by_claim_item", &item.id()))?;
    if let Some(open) = same.iter().find(|other| other.id != found.id && other.is_open()) {
        let text =
            format!("verification {} of this item is open; wait for it or close it", open.id);
        return Err(refuse(ErrorKind::Conflict, "verification-open", text));
    }
    if !input.questions.is_empty() {
        found.questions = questions(&input.questions, &text)?;
    }
    found.text = Some(text.clone());
    found.due = due_from(customs, local_date(cx.now, customs.config.nation()));
    renew(cx, &mut found);
    let certificate: Option<Certificate> = cx.tx.find(found.certificate.as_str())?;
    let exchanges = send(customs, cx, &claim, certificate.as_ref(), &found)?;
    found.state.step(VerificationEvent::Send)?;
    cx.tx.save(&found)?;
    let by = signed_by(caller);
    let closing = Closing { at: cx.now, by: by.clone(), text: "asked again".to_owned() };
    let subject = verification_subject(&found.id);
    close_tasks(cx.tx, &subject, &[TaskKind::RefusedByPartner], "", &closing)?;
    note(cx.tx, cx.now, &subject, &by, format!("verification {} asked again: {text}", found.id))?;
    start(customs, cx, &found, &by)?;
    weigh::reassess(customs, cx, &found.certificate, "a verification was taken up again")?;
    Ok(show::merge(view(cx.tx, &found)?, json!({ "exchanges": exchanges })))
}

/// Begins a verification anew: what was answered, closed or lifted before counts no more.
fn renew(cx: &Context<'_>, found: &mut Verification) {
    (found.closed, found.lifted, found.expired) = (None, None, false);
    found.asked_again = Some(cx.now);
}

/// Takes up, at the asked side, that a verification is asked again; a different query under the
/// number of one that is still open is refused.
pub(super) fn taken(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    (mut known, query): (Verification, &VerificationQuery),
) -> Result<Effect, Rejection> {
    let subject = verification_subject(&known.id);
    let issued = query.header.issue_date_time;
    let is_again = !known.is_open() && known.issued.is_some_and(|before| issued > before);
    if known.asker != record.sender || (!is_again && known.due != query.due_date) {
        let id = &known.id;
        let remedy = format!("verification {id} is here with other content; give a new number");
        let (pointer, rule) = ("ID".to_owned(), "EXISTS".to_owned());
        return Ok(Effect::Refused(vec![ValidationError { pointer, rule, remedy }]));
    }
    if !known.asked.contains(&record.recipient) {
        known.asked.push(record.recipient.clone());
    }
    if !is_again {
        // The same query to another member of this side: one case, which either may answer.
        cx.tx.save(&known)?;
        return Ok(Effect::Applied { subject });
    }
    known.state.follow(VerificationEvent::Close);
    for event in
        [VerificationEvent::Reopen, VerificationEvent::Send, VerificationEvent::Acknowledge]
    {
        known.state.step(event)?;
    }
    renew(cx, &mut known);
    (known.due, known.issued) = (query.due_date, Some(issued));
    known.reasons.clone_from(&query.reasons);
    known.text.clone_from(&query.statement);
    known.questions.clone_from(&query.questions);
    cx.tx.save(&known)?;
    start(customs, cx, &known, record.sender.as_str())?;
    asked::tell(cx, &known, &format!("asks again about certificate {}", known.number))?;
    Ok(Effect::Applied { subject })
}

/// A member refused the query. When nobody who was asked has it, nobody will answer: the
/// verification goes back to the officer, and its clocks stop.
pub(super) fn refused(cx: &mut Context<'_>, found: &mut Verification) -> Result<(), Rejection> {
    let subject = verification_subject(&found.id);
    let range = karvan_store::Range::of("by_subject", vec![subject.as_str().into()], SAME_MAX);
    let messages: Vec<MessageRecord> = cx.tx.select(&range.reversed())?;
    let is_refused = |member: &karvan_types::MemberId| {
        let sent = messages.iter().filter(|message| {
            let is_query = message.code == "QRY" && message.direction == Direction::Out;
            is_query && message.recipient == *member
        });
        sent.max_by_key(|message| (message.at, message.exchange))
            .is_some_and(|message| message.state == MessageState::Rejected)
    };
    if !found.asked.iter().all(is_refused) || !found.state.follow(VerificationEvent::Return) {
        return Ok(());
    }
    cx.tx.save(found)?;
    answered::stop_clocks(cx, found, "clock", "the query was refused")?;
    let text = format!(
        "verification {} was refused by everybody who was asked; mend what they name and ask again \
         with `karvan customs verification reopen {}`, or close it",
        found.id, found.id
    );
    note(cx.tx, cx.now, &subject, "clock", text.clone())?;
    Ok(open_task(cx.tx, cx.now, TaskKind::RefusedByPartner, &subject, text)?)
}
