//! The asked side of verifications: the query arrives, its deadline is seen, the answer goes out.

use karvan_store::Read;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::answer::{self, refuse};
use super::super::apply::Effect;
use super::super::decide::required_text;
use super::super::operate::{invalid, read, signed_by};
use super::super::receive::refusals;
use super::super::{Customs, show, suspending};
use super::{again, answered, begin, find, may_answer, view};
use crate::certificate::{Certificate, CertificateNumber};
use crate::journal::{MessageRecord, TaskKind, note, open_task};
use crate::matching::local_date;
use crate::messages::{
    ANSWER_TYPE_CODE, DocumentReference, FunctionCode, Header, Message, Question, SharingLevel,
    ValidationError, VerificationOutcome, VerificationQuery, VerificationResponse, VerifiedItem,
};
use crate::states::{Status, VerificationEvent, VerificationState};
use crate::verification::{
    ANSWERS_MAX, Answer, Role, Verification, verification_key, verification_subject,
};

/// Takes a query in: the case is kept, its clocks run, and somebody gets a task.
pub(in crate::subsystem) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    query: &VerificationQuery,
) -> Result<Effect, Rejection> {
    let id = query.header.id.as_str();
    let subject = verification_subject(id);
    let key = verification_key(Role::Asked, id);
    if let Some(known) = cx.tx.find::<Verification>(key)? {
        return again::taken(customs, cx, record, (known, query));
    }
    let number = match CertificateNumber::parse(&query.certificate.id) {
        Ok(number) => number,
        Err(error) => {
            let (pointer, rule) = ("certificate/ID".to_owned(), "NUMBER".to_owned());
            let remedy = error.to_string();
            return Ok(Effect::Refused(vec![ValidationError { pointer, rule, remedy }]));
        }
    };
    let mut state: Status<VerificationState> = Status::default();
    state.step(VerificationEvent::Send)?;
    state.step(VerificationEvent::Acknowledge)?;
    let certificate = number.key(customs.config.nation());
    let opened = Verification {
        id: id.to_owned(),
        role: Role::Asked,
        asker: record.sender.clone(),
        asked: vec![record.recipient.clone()],
        number: number.shown,
        claim: query.claim.as_ref().map(|claim| claim.id.clone()),
        item: query.items.iter().find_map(|item| item.claim_item),
        certificate_items: query.items.iter().map(|item| item.certificate_item).collect(),
        reasons: query.reasons.clone(),
        text: query.statement.clone(),
        questions: query.questions.clone(),
        state,
        by: record.sender.to_string(),
        at: cx.now,
        due: query.due_date,
        answers: Vec::new(),
        expired: false,
        closed: None,
        lifted: None,
        asked_again: None,
        issued: Some(query.header.issue_date_time),
        certificate,
    };
    begin(customs, cx, &opened)?;
    let known: Option<Certificate> = cx.tx.find(opened.certificate.as_str())?;
    let known = if known.is_some() { "is known here" } else { "is not known here" };
    tell(cx, &opened, &format!("asks about certificate {}, which {known}", opened.number))?;
    Ok(Effect::Applied { subject })
}

/// Tells the officers that the partner asks something.
pub(super) fn tell(
    cx: &mut Context<'_>,
    asked: &Verification,
    what: &str,
) -> Result<(), Rejection> {
    let occasion = asked.text.as_deref().unwrap_or("no occasion is given");
    let text = format!("{} {what}; answer by {}: {occasion}", asked.asker, asked.due);
    let subject = verification_subject(&asked.id);
    Ok(open_task(cx.tx, cx.now, TaskKind::VerificationAsked, &subject, text)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Answering {
    verification: Option<String>,
    certificate: Option<String>,
    outcome: VerificationOutcome,
    text: Option<String>,
    #[serde(default)]
    items: Vec<VerifiedItem>,
    #[serde(default)]
    answers: Vec<Question>,
    final_expected: Option<Date>,
}

/// Answers a verification, for the time being or finally.
pub(in crate::subsystem) fn answer(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Answering = read("answer", input)?;
    let mut found = wanted(customs, cx.tx, &input)?;
    if !may_answer(customs, &caller.member) || !found.asked.contains(&caller.member) {
        let asked: Vec<_> = found.asked.iter().map(ToString::to_string).collect();
        let text = format!("{} was not asked; {} was", caller.member, asked.join(" and "));
        return Err(refuse(ErrorKind::Forbidden, "not-asked", text));
    }
    if let Some(closed) = &found.closed {
        let text = format!("{} closed verification {}: {}", found.asker, found.id, closed.text);
        return Err(refuse(ErrorKind::Conflict, "verification-closed", text));
    }
    if found.answers.len() >= ANSWERS_MAX {
        let text = format!("{ANSWERS_MAX} answers were given already; give the final one");
        return Err(refuse(ErrorKind::Conflict, "answers", text));
    }
    let text = match (&input.text, input.outcome) {
        (None, VerificationOutcome::Confirmed) => None,
        (text, _) => Some(required_text(text.as_deref(), "on which grounds")?),
    };
    let response = response(customs, cx, &found, &input, text.clone())?;
    let message = Message::Response(Box::new(response));
    let errors = refusals(&message, cx.now);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    found.state.step(answered::event_of(input.outcome))?;
    let subject = verification_subject(&found.id);
    let sent = answer::send(cx, &caller.member, &found.asker, &message, &subject)?;
    let exchange = sent.exchange;
    let by = signed_by(caller);
    found.answers.push(Answer {
        by: by.clone(),
        at: cx.now,
        day: local_date(cx.now, customs.config.nation()),
        outcome: input.outcome,
        final_expected: input.final_expected,
        items: input.items,
        answers: input.answers,
        text: text.clone(),
        exchange,
    });
    cx.tx.save(&found)?;
    let told = answered::in_words(input.outcome);
    let line = format!("answered: {told}. {}", text.unwrap_or_default());
    note(cx.tx, cx.now, &subject, &by, line)?;
    if input.outcome != VerificationOutcome::Interim {
        answered::stop_clocks(cx, &found, &by, told)?;
        suspending::follow(cx, &found.certificate, &by)?;
    }
    Ok(show::merge(view(cx.tx, &found)?, json!({ "exchange": exchange })))
}

/// Returns the verification that is meant: by its number, or the open one of a certificate.
fn wanted(
    customs: &Customs,
    store: &dyn Read,
    input: &Answering,
) -> Result<Verification, Rejection> {
    let number = match (&input.verification, &input.certificate) {
        (Some(id), None) => return find(store, Role::Asked, id),
        (None, Some(number)) => CertificateNumber::parse(number)
            .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?,
        _ => {
            let text = "give exactly one of `verification` and `certificate`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    let key = number.key(customs.config.nation());
    let mut found: Vec<Verification> =
        store.select(&Verification::range("by_certificate", &key))?;
    let waits = |found: &Verification| found.answer().is_none() && found.closed.is_none();
    found.retain(|found| found.role == Role::Asked && waits(found));
    match <[Verification; 1]>::try_from(found) {
        Ok([only]) => Ok(only),
        Err(found) if found.is_empty() => {
            let text = format!("nobody waits for an answer about certificate {number}");
            Err(refuse(ErrorKind::NotFound, "no-verification", text))
        }
        Err(found) => {
            let ids: Vec<_> = found.iter().map(|found| found.id.as_str()).collect();
            let text = format!("several answers are awaited; name one of {}", ids.join(", "));
            Err(refuse(ErrorKind::Invalid, "which-verification", text))
        }
    }
}

fn response(
    customs: &Customs,
    cx: &mut Context<'_>,
    found: &Verification,
    input: &Answering,
    text: Option<String>,
) -> Result<VerificationResponse, Rejection> {
    let certificate: Option<Certificate> = cx.tx.find(found.certificate.as_str())?;
    let known = certificate.as_ref().and_then(Certificate::content);
    let reference = answer::next_reference(cx, "RSP")?;
    let level: SharingLevel =
        known.map_or(customs.config.sharing_level, |content| content.header.sharing_level);
    let reference_to = |kind: &str, id: &str, version_id| DocumentReference {
        document_type: kind.to_owned(),
        id: id.to_owned(),
        version_id,
        functional_reference_id: None,
        effective_date: None,
    };
    Ok(VerificationResponse {
        header: Header {
            function_code: FunctionCode::Response,
            type_code: ANSWER_TYPE_CODE.to_owned(),
            id: reference.clone(),
            functional_reference_id: reference,
            version_id: 1,
            issue_date_time: cx.now,
            agreement_id: customs.config.agreement.clone(),
            sharing_level: level,
        },
        query: reference_to("QRY", &found.id, Some(1)),
        certificate: reference_to(
            "COO",
            known.map_or(&found.number, |content| &content.header.id),
            known.map(|content| content.header.version_id),
        ),
        outcome: input.outcome,
        answer_date: local_date(cx.now, customs.config.nation()),
        final_expected: input.final_expected,
        items: input.items.clone(),
        answers: input.answers.clone(),
        statement: text,
    })
}
