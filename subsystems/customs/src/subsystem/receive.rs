//! Documents from other members: who may send what, duplicates, validation, parking, answers.

use karvan_store::Range;
use karvan_subsystem::{Caller, Context, Document, Rejection};
use karvan_types::{ErrorKind, ExchangeId, MemberId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::apply::{self, Effect, Incoming, certificate_subject, export_subject};
use super::decide::required_text;
use super::operate::{must_act_for, read, signed_by};
use super::{
    Customs, ISSUER_ROLE, booking, incoming, parking, senders, silence, transporting, verifying,
    waiting,
};
use crate::certificate::{Certificate, CertificateNumber, Delivery};
use crate::export::{Export, export_key};
use crate::journal::{Direction, MessageRecord, MessageState, Parked, TaskKind, note, open_task};
use crate::messages::{Message, Outcome, Validation, ValidationError};
use crate::states::CertificateEvent;
use crate::validate;
use crate::verification::verification_subject;

/// Most messages that may wait for one document.
const PARKED_MAX: usize = 100;

/// Takes effect of a document.
pub(super) fn receive(
    customs: &Customs,
    cx: &mut Context<'_>,
    document: &Document<'_>,
) -> Result<(), Rejection> {
    let message =
        Message::parse(document.code, document.body).map_err(|error| answer::unreadable(&error))?;
    let known = senders::check(customs, document, &message)?;
    silence::heard(customs, cx)?;
    if let Message::Validation(content) = &message {
        return validation(cx, document, content);
    }
    let issuer = issuer_subject(document.sender);
    if known && document.sender_roles.iter().any(|role| role == ISSUER_ROLE) {
        release(customs, cx, &issuer)?;
    }
    let reference = &message.header().functional_reference_id;
    let mut record = MessageRecord {
        exchange: document.exchange,
        direction: Direction::In,
        code: document.code.to_owned(),
        sender: document.sender.clone(),
        recipient: document.recipient.clone(),
        reference: reference.clone(),
        subject: subject_of(customs, document.sender, &message),
        at: cx.now,
        state: MessageState::Accepted,
        errors: Vec::new(),
        digest: document.digest,
        raw: String::from_utf8_lossy(document.body).into_owned(),
    };
    if let Some(seen) = seen_before(cx, &record)? {
        (record.state, record.errors) = (seen.state, seen.errors);
        if seen.waits {
            return Ok(cx.tx.add(&record)?);
        }
    } else {
        let errors = refusals(&message, cx.now);
        if errors.is_empty() && !known {
            park(customs, cx, &mut record, &issuer, document.sender_roles)?;
            not_an_issuer(cx, &record)?;
        } else if errors.is_empty() {
            take(customs, cx, &mut record, &message, document.sender_roles)?;
        } else {
            (record.state, record.errors) = (MessageState::Rejected, errors);
        }
    }
    cx.tx.add(&record)?;
    answer_and_release(customs, cx, &record, &message)
}

/// Returns what the receiver's rules want changed before the message is accepted.
pub(super) fn refusals(message: &Message, now: karvan_types::Timestamp) -> Vec<ValidationError> {
    let problems = validate::validate(message, now).into_iter();
    problems
        .filter(|problem| problem.severity == validate::Severity::Refuse)
        .map(ValidationError::from)
        .collect()
}

/// Returns what a message is about, for its record.
pub(super) fn subject_of(customs: &Customs, sender: &MemberId, message: &Message) -> String {
    let certificate = |country, id: &str| match CertificateNumber::parse(id) {
        Ok(number) => certificate_subject(&number.key(country)),
        Err(_) => "certificate".to_owned(),
    };
    let country = sender.instance();
    match message {
        Message::Certificate(content) => certificate(country, &content.header.id),
        Message::Export(content) => export_subject(&export_key(country, &content.header.id)),
        Message::Cancellation(content) if content.document.document_type == "COO" => {
            certificate(country, &content.document.id)
        }
        Message::Cancellation(content) if content.document.document_type == "QRY" => {
            verification_subject(&content.document.id)
        }
        Message::Cancellation(content) => {
            export_subject(&export_key(country, &content.document.id))
        }
        Message::Amendment(content) if content.document.document_type == "COO" => {
            certificate(country, &content.document.id)
        }
        Message::Amendment(content) => export_subject(&export_key(country, &content.document.id)),
        Message::Transport(content) => {
            let first = content.exports.first().map_or("", |export| export.id.as_str());
            let country = transporting::declared_in(customs, country, content);
            export_subject(&export_key(country, first))
        }
        // A query is about a certificate of the side that is asked.
        Message::Query(content) => {
            certificate(customs.config.other(country), &content.certificate.id)
        }
        Message::Response(content) => certificate(country, &content.certificate.id),
        other => format!("{} {}", other.document_type(), other.header().id),
    }
}

/// What to do with a message whose reference was used before.
struct Seen {
    state: MessageState,
    errors: Vec<ValidationError>,
    /// Whether the first one is still parked.
    waits: bool,
}

/// Looks whether the sender used this reference before: with the same content, it is a duplicate
/// and gets the answer of the first; with another one, it is refused, unless the first was.
fn seen_before(cx: &mut Context<'_>, record: &MessageRecord) -> Result<Option<Seen>, Rejection> {
    let earlier = MessageRecord::of_reference(cx.tx, &record.sender, &record.reference)?;
    let earlier: Vec<_> = (earlier.into_iter())
        .filter(|old| old.direction == Direction::In && old.code == record.code)
        .collect();
    // A result that our ledger could not follow is judged anew: what was missing may be here now.
    let again = |old: &&MessageRecord| !(old.code == "UTL" && old.state == MessageState::Rejected);
    if let Some(same) = earlier.iter().filter(again).find(|old| old.digest == record.digest) {
        let errors = same.errors.clone();
        let refused = same.state == MessageState::Rejected;
        let state = if refused { MessageState::Rejected } else { MessageState::Duplicate };
        // The first one waits and will be answered when it is taken up, once for both.
        let waits = same.state == MessageState::Parked;
        return Ok(Some(Seen { state, errors, waits }));
    }
    if earlier.iter().all(|old| old.state == MessageState::Rejected) {
        return Ok(None);
    }
    let text = format!(
        "{} sent the reference {} twice with different content; only the first was taken into \
         account",
        record.sender, record.reference
    );
    note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text.clone())?;
    let kind = TaskKind::SameReferenceOtherContent;
    open_task(cx.tx, cx.now, kind, &record.subject, text.clone())?;
    cx.warn("customs.two-contents", text);
    let error = ValidationError {
        pointer: "FunctionalReferenceID".to_owned(),
        rule: "REUSED".to_owned(),
        remedy: "the reference was used before for another content; give each message its own"
            .to_owned(),
    };
    Ok(Some(Seen { state: MessageState::Rejected, errors: vec![error], waits: false }))
}

/// Applies a message and writes into its record what became of it.
fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &mut MessageRecord,
    message: &Message,
    sender_roles: &[String],
) -> Result<(), Rejection> {
    if let Message::Utilisation(content) = message {
        return booking::utilisation(customs, cx, record, content);
    }
    let by = record.sender.to_string();
    let from = Incoming {
        exchange: record.exchange,
        sender: &record.sender,
        delivery: Delivery::Received,
        by: &by,
        digest: record.digest,
    };
    let effect = match incoming::take(customs, cx, record, message)? {
        Some(effect) => effect,
        None => apply::apply(customs, cx, &from, message)?,
    };
    match effect {
        Effect::Applied { subject } => {
            (record.state, record.subject) = (MessageState::Accepted, subject);
        }
        Effect::Late { subject, remarks } => {
            (record.state, record.subject) = (MessageState::Accepted, subject);
            record.errors = remarks;
        }
        Effect::Refused(errors) => {
            (record.state, record.errors) = (MessageState::Rejected, errors);
        }
        Effect::Early { waits_for } => park(customs, cx, record, &waits_for, sender_roles)?,
    }
    Ok(())
}

/// What messages of a member wait for that is not known as an issuer.
fn issuer_subject(sender: &MemberId) -> String {
    format!("issuer {sender}")
}

/// A certificate came from a member without the role: it is kept unused until the role is known,
/// since the goods may be in order, and both operators and an officer are told at once.
fn not_an_issuer(cx: &mut Context<'_>, record: &MessageRecord) -> Result<(), Rejection> {
    let text = format!(
        "{} {} was signed by {}, to whom its nation's list does not give the role {ISSUER_ROLE}. \
         It is kept and not used. Ask the partner whether the list is out of date; if not, refuse \
         it with `karvan customs unpark`.",
        record.code, record.reference, record.sender
    );
    let subject = issuer_subject(&record.sender);
    note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::IssuerNotKnown, &subject, text.clone())?;
    cx.warn("customs.not-an-issuer", text);
    Ok(())
}

fn park(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &mut MessageRecord,
    waits_for: &str,
    sender_roles: &[String],
) -> Result<(), Rejection> {
    let range = Range::of("by_subject", vec![waits_for.into()], PARKED_MAX);
    if cx.tx.select::<Parked>(&range)?.len() >= PARKED_MAX {
        let text = format!("{PARKED_MAX} messages wait for {waits_for} already; send it first");
        return Err(refuse(ErrorKind::Overloaded, "parked-full", text));
    }
    parking::check_room(cx)?;
    record.state = MessageState::Parked;
    cx.tx.save(&Parked {
        exchange: record.exchange,
        waits_for: waits_for.to_owned(),
        sender_roles: sender_roles.to_vec(),
        at: cx.now,
    })?;
    let text = format!("{} {} arrived and waits for {waits_for}", record.code, record.reference);
    note(cx.tx, cx.now, waits_for, record.sender.as_str(), text)?;
    parking::parked(customs, cx, record, waits_for)
}

/// Sends the validation, and takes up what waited for this message.
fn answer_and_release(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    message: &Message,
) -> Result<(), Rejection> {
    if record.state == MessageState::Parked {
        return Ok(());
    }
    let errors = record.errors.clone();
    if !errors.is_empty() {
        let first = errors.first().map(|error| error.remedy.as_str()).unwrap_or_default();
        let text = format!("{} {} refused: {first}", record.code, record.reference);
        note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text)?;
    }
    let (us, them) = (&record.recipient, &record.sender);
    answer::validate(cx, us, them, message, &record.subject, errors)?;
    if record.state == MessageState::Accepted {
        release(customs, cx, &record.subject)
    } else {
        Ok(())
    }
}

/// Takes up the messages that waited for `subject`, oldest first, and again as long as one of them
/// makes way for another.
pub(super) fn release(
    customs: &Customs,
    cx: &mut Context<'_>,
    subject: &str,
) -> Result<(), Rejection> {
    for _ in 0..PARKED_MAX {
        if !release_round(customs, cx, subject)? {
            break;
        }
    }
    Ok(())
}

/// Takes up what waits, once; returns whether anything of it was accepted.
fn release_round(
    customs: &Customs,
    cx: &mut Context<'_>,
    subject: &str,
) -> Result<bool, Rejection> {
    let mut any = false;
    let range = Range::of("by_subject", vec![subject.into()], PARKED_MAX);
    for parked in cx.tx.select::<Parked>(&range)? {
        cx.tx.remove::<Parked>(parked.exchange.to_string())?;
        parking::released(cx, &parked)?;
        let key = format!("{}:in", parked.exchange);
        let Some(mut record) = cx.tx.find::<MessageRecord>(key)? else { continue };
        let message = Message::parse(&record.code, record.raw.as_bytes())
            .map_err(|error| answer::unreadable(&error))?;
        take(customs, cx, &mut record, &message, &parked.sender_roles)?;
        cx.tx.save(&record)?;
        if record.state == MessageState::Parked {
            continue;
        }
        any |= record.state == MessageState::Accepted;
        let (us, them) = (record.recipient.clone(), record.sender.clone());
        answer::validate(cx, &us, &them, &message, subject, record.errors.clone())?;
    }
    Ok(any)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unparking {
    exchange: ExchangeId,
    text: String,
}

/// Refuses a message that waits: an officer knows that what it waits for will not come.
pub(super) fn unpark(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Unparking = read("unpark", input)?;
    let text = required_text(Some(&input.text), "why the message is refused")?;
    let key = format!("{}:in", input.exchange);
    let parked: Option<Parked> = cx.tx.find(input.exchange.to_string())?;
    let (Some(parked), Some(mut record)) = (parked, cx.tx.find::<MessageRecord>(key)?) else {
        let text = format!("no message {} waits here; list those that do", input.exchange);
        return Err(refuse(ErrorKind::NotFound, "not-parked", text));
    };
    cx.tx.remove::<Parked>(parked.exchange.to_string())?;
    parking::released(cx, &parked)?;
    let by = signed_by(caller);
    note(cx.tx, cx.now, &record.subject, &by, format!("{} refused: {text}", record.reference))?;
    let error = ValidationError {
        pointer: "FunctionalReferenceID".to_owned(),
        rule: "PARKED".to_owned(),
        remedy: format!("what it waited for ({}) is not taken: {text}", parked.waits_for),
    };
    (record.state, record.errors) = (MessageState::Rejected, vec![error]);
    cx.tx.save(&record)?;
    let message = Message::parse(&record.code, record.raw.as_bytes())
        .map_err(|error| answer::unreadable(&error))?;
    let (us, them) = (&record.recipient, &record.sender);
    answer::validate(cx, us, them, &message, &record.subject, record.errors.clone())?;
    Ok(json!({
        "exchange": record.exchange,
        "document": record.code,
        "reference": record.reference,
        "state": "rejected",
    }))
}

/// A receiver's answer to a message of ours.
fn validation(
    cx: &mut Context<'_>,
    document: &Document<'_>,
    content: &Validation,
) -> Result<(), Rejection> {
    let reference = content.document.functional_reference_id.as_deref().unwrap_or_default();
    let ours = MessageRecord::of_reference(cx.tx, document.recipient, reference)?;
    let accepted = content.outcome == Outcome::Accepted;
    let mut record = MessageRecord {
        exchange: document.exchange,
        direction: Direction::In,
        code: document.code.to_owned(),
        sender: document.sender.clone(),
        recipient: document.recipient.clone(),
        reference: content.header.functional_reference_id.clone(),
        subject: format!("VAL {}", content.document.id),
        at: cx.now,
        state: MessageState::Accepted,
        errors: content.errors.clone(),
        digest: document.digest,
        raw: String::from_utf8_lossy(document.body).into_owned(),
    };
    // What was sent again has been sent more than once under its reference.
    let mut sent: Vec<MessageRecord> = (ours.into_iter())
        .filter(|sent| {
            sent.direction == Direction::Out
                && sent.recipient == *document.sender
                && sent.code == content.document.document_type
        })
        .collect();
    for sent in &mut sent {
        sent.state = if accepted { MessageState::Accepted } else { MessageState::Rejected };
        sent.errors.clone_from(&content.errors);
        cx.tx.save(sent)?;
        waiting::validated(cx, sent)?;
    }
    if let Some(sent) = sent.into_iter().next() {
        record.subject.clone_from(&sent.subject);
        let verb = if accepted { "accepted" } else { "refused" };
        let remarks: Vec<String> = (content.errors.iter().filter(|_| accepted))
            .map(|remark| format!("; {}", remark.remedy))
            .collect();
        let remarks = remarks.concat();
        let text =
            format!("{} {} was {verb} by {}{remarks}", sent.code, reference, document.sender);
        note(cx.tx, cx.now, &sent.subject, document.sender.as_str(), text)?;
        let delivery = if accepted { Delivery::Accepted } else { Delivery::Rejected };
        if matches!(sent.code.as_str(), "COO" | "EXD" | "CXL" | "AMD") {
            delivered(cx, &sent.subject, delivery)?;
        }
        verifying::answered::delivered(cx, &sent.subject, accepted)?;
        if !accepted {
            let wanted: Vec<_> = content.errors.iter().map(|error| error.remedy.as_str()).collect();
            let text = format!("{} {reference} was refused: {}", sent.code, wanted.join("; "));
            open_task(cx.tx, cx.now, TaskKind::RefusedByPartner, &sent.subject, text)?;
            booking::refused_by_partner(cx, &sent, content)?;
        }
    }
    cx.tx.add(&record)?;
    Ok(())
}

/// Notes on our own copy how far it has come.
fn delivered(cx: &mut Context<'_>, subject: &str, delivery: Delivery) -> Result<(), Rejection> {
    if let Some(key) = subject.strip_prefix("certificate ")
        && let Some(mut certificate) = cx.tx.find::<Certificate>(key)?
        && certificate.delivery != Delivery::Received
    {
        certificate.delivery = delivery;
        let accepted = delivery == Delivery::Accepted;
        let event = if accepted { CertificateEvent::Accept } else { CertificateEvent::Refuse };
        certificate.status.follow(event);
        cx.tx.save(&certificate)?;
    } else if let Some(key) = subject.strip_prefix("export ")
        && let Some(mut export) = cx.tx.find::<Export>(key)?
        && export.delivery != Delivery::Received
    {
        export.delivery = delivery;
        cx.tx.save(&export)?;
    }
    Ok(())
}
