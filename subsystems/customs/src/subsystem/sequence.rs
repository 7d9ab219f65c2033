//! SEQ: each night both sides tell what they sent, ask for what they lack, and answer what the
//! other lacks.
//!
//! The kernel already sees to it that a stream has no gap and no fork. What it cannot see is what
//! became of the messages: a side whose store was restored from a backup, a message that was given
//! up as a dead letter, a validation that never came back. SEQ compares that: reference, digest and
//! outcome of every business message. It is sent also when nothing was, as a sign of life.
//!
//! Bounds: [`LINES_MAX`] messages in one report, more in further reports of the same night;
//! [`ASKED_MAX`] documents asked for at once; [`RESENT_MAX`] messages sent again for one document,
//! none of them twice within [`RESEND_PAUSE`].
//!
//! Not here: gaps and forks of streams (the kernel), balances (LDG).

use std::time::Duration;

use karvan_store::Range;
use karvan_subsystem::{Caller, Context, Outgoing, Rejection};
use karvan_types::{ExchangeId, Timestamp};

use super::answer::{self, refuse};
use super::apply::{Effect, certificate_subject, export_subject};
use super::assess::claim_subject;
use super::offers::CONTENT_TYPE;
use super::operate::must_act_for;
use super::{Customs, waiting};
use crate::certificate::CertificateNumber;
use crate::claim::ClaimItem;
use crate::export::export_key;
use crate::journal::{Direction, MessageRecord, MessageState, TaskKind, note, open_task};
use crate::matching::{Rule, utc_offset};
use crate::messages::{
    DocumentReference, DocumentType, FunctionCode, Header, Message, SEQUENCE_TYPE_CODE,
    SentMessage, SentMessageState, SequenceReport, SharingLevel, StreamReport, ValidationError,
};
use crate::timers::{self, Timer, TimerKind};

/// Most messages in one report.
const LINES_MAX: usize = 1000;
/// Most documents asked for in one message.
const ASKED_MAX: usize = 100;
/// Most messages that are sent again for one document.
const RESENT_MAX: usize = 20;
/// A message is not sent again within this time.
const RESEND_PAUSE: Duration = Duration::from_hours(1);
/// A validation younger than this may be under way.
const UNDER_WAY: Duration = Duration::from_hours(1);
/// Subject of what concerns the exchange as a whole.
pub(super) const SUBJECT: &str = "exchange";
const DAY: Duration = Duration::from_hours(24);

/// Names a document by type and number.
pub(super) fn reference(document_type: &str, id: &str) -> DocumentReference {
    DocumentReference {
        document_type: document_type.to_owned(),
        id: id.to_owned(),
        version_id: None,
        functional_reference_id: None,
        effective_date: None,
    }
}

/// Returns the next instant that is so many minutes after midnight in our country, or sooner where
/// the configuration says so.
fn next_night(customs: &Customs, now: Timestamp) -> Timestamp {
    if let Some(every) = customs.config.compare_every() {
        return now.plus(every);
    }
    let offset = utc_offset(customs.config.nation());
    let after = customs.clocks.wait(TimerKind::NightlySequence, now);
    let local = now.plus(offset);
    let millis = local.as_millis().rem_euclid(i64::try_from(DAY.as_millis()).unwrap_or(i64::MAX));
    let since_midnight = Duration::from_millis(u64::try_from(millis).unwrap_or_default());
    let tonight = now.minus(since_midnight).plus(after);
    if tonight > now { tonight } else { tonight.plus(DAY) }
}

/// Returns whether the nightly comparison has yet to be set up, or is set up for later than the
/// configuration now says.
pub(super) fn is_unset(
    customs: &Customs,
    view: &dyn karvan_store::Read,
    now: Timestamp,
) -> Result<bool, Rejection> {
    let timer = of_partner(customs, view)?;
    Ok(timer.is_none_or(|timer| timer.due > next_night(customs, now)))
}

fn of_partner(
    customs: &Customs,
    view: &dyn karvan_store::Read,
) -> Result<Option<Timer>, Rejection> {
    let partner = customs.config.partner.as_str();
    Ok(timers::find(view, TimerKind::NightlySequence, SUBJECT, partner)?)
}

/// Sets up the first comparison, or brings it forward.
pub(super) fn set_up_first(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let since = of_partner(customs, cx.tx)?.map_or(cx.now, |timer| timer.since);
    set_up(customs, cx, since)
}

/// Sets up the next comparison, of what is sent from `since` on.
pub(super) fn set_up(
    customs: &Customs,
    cx: &mut Context<'_>,
    since: Timestamp,
) -> Result<(), Rejection> {
    let due = next_night(customs, cx.now);
    let partner = customs.config.partner.as_str();
    let timer = Timer::new(TimerKind::NightlySequence, SUBJECT, partner, since, due);
    Ok(timers::set(cx.tx, &timer)?)
}

/// Tells what was sent since the last report. A period with too many messages is cut: the timer
/// comes back at once, its note holding the last message that was told.
pub(super) fn nightly(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    if cannot_ask(customs, cx).is_some() {
        // Told from here on once the agreement allows it.
        return set_up(customs, cx, timer.since);
    }
    // Exchange ids begin with their instant, so keys of messages are in order of time.
    let key = |at: Timestamp| ExchangeId::new(at, [0; 10]).to_string();
    let range = Range::all(LINES_MAX).to(key(cx.now));
    let range = if timer.note.is_empty() {
        range.from(key(timer.since))
    } else {
        range.after(timer.note.as_str())
    };
    let messages: Vec<MessageRecord> = cx.tx.select(&range)?;
    let last = messages.last().filter(|_| messages.len() == LINES_MAX);
    let end = last.map_or(cx.now, |last| last.at);
    let cursor = last.map(|last| format!("{}:{}", last.exchange, suffix(last.direction)));
    let streams = streams(customs, &messages);
    if !streams.is_empty() || cursor.is_none() {
        let report = Report { from: timer.since.min(end), to: end, streams, ..Report::at(cx.now) };
        report.send(customs, cx)?;
    }
    match cursor {
        Some(cursor) => {
            let partner = customs.config.partner.as_str();
            let next = Timer::new(timer.kind, SUBJECT, partner, end, cx.now).with_note(cursor);
            Ok(timers::set(cx.tx, &next)?)
        }
        None => set_up(customs, cx, cx.now),
    }
}

const fn suffix(direction: Direction) -> &'static str {
    match direction {
        Direction::In => "in",
        Direction::Out => "out",
    }
}

fn streams(customs: &Customs, messages: &[MessageRecord]) -> Vec<StreamReport> {
    let mut streams: Vec<StreamReport> = Vec::new();
    for message in messages {
        let told = message.direction == Direction::Out
            && message.sender.instance() == customs.config.nation()
            && !matches!(message.code.as_str(), "VAL" | "SEQ");
        if !told {
            continue;
        }
        let id = Message::parse(&message.code, message.raw.as_bytes());
        let line = SentMessage {
            document_type: message.code.clone(),
            id: id.map_or_else(|_| message.reference.clone(), |m| m.header().id.clone()),
            functional_reference_id: message.reference.clone(),
            digest: message.digest,
            sent_at: message.at,
            state: match message.state {
                MessageState::Accepted => SentMessageState::Accepted,
                MessageState::Rejected => SentMessageState::Rejected,
                _ => SentMessageState::Sent,
            },
        };
        let same =
            |s: &&mut StreamReport| s.sender == message.sender && s.recipient == message.recipient;
        if let Some(stream) = streams.iter_mut().find(same) {
            stream.messages.push(line);
        } else {
            let (sender, recipient) = (message.sender.clone(), message.recipient.clone());
            streams.push(StreamReport { sender, recipient, messages: vec![line] });
        }
    }
    streams
}

/// What one SEQ says.
struct Report {
    from: Timestamp,
    to: Timestamp,
    streams: Vec<StreamReport>,
    wanted: Vec<DocumentReference>,
    unknown: Vec<DocumentReference>,
}

impl Report {
    fn at(now: Timestamp) -> Self {
        let (streams, wanted, unknown) = (Vec::new(), Vec::new(), Vec::new());
        Self { from: now, to: now, streams, wanted, unknown }
    }

    /// Sends it, where the agreement lets us.
    fn send(self, customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
        if cannot_ask(customs, cx).is_some() {
            return Ok(());
        }
        let number = answer::next_reference(cx, "SEQ")?;
        let header = Header {
            function_code: FunctionCode::Original,
            functional_reference_id: number.clone(),
            type_code: SEQUENCE_TYPE_CODE.to_owned(),
            id: number,
            version_id: 1,
            issue_date_time: cx.now,
            agreement_id: customs.config.agreement.clone(),
            sharing_level: SharingLevel::L1,
        };
        let Self { from, to, streams, wanted, unknown } = self;
        let report = SequenceReport { header, from, to, streams, wanted, unknown };
        let message = Message::Sequence(Box::new(report));
        let (us, them) = (&customs.config.customs, &customs.config.partner);
        answer::send(cx, us, them, &message, SUBJECT).map(drop)
    }
}

/// Asks the partner for documents, where the agreement lets us.
pub(super) fn ask(
    customs: &Customs,
    cx: &mut Context<'_>,
    wanted: &[DocumentReference],
) -> Result<(), Rejection> {
    for wanted in wanted.chunks(ASKED_MAX) {
        let report = Report { wanted: wanted.to_vec(), ..Report::at(cx.now) };
        report.send(customs, cx)?;
    }
    Ok(())
}

/// Returns a sentence to add to what asks for documents, when the agreement does not let us ask.
pub(super) fn cannot_ask(customs: &Customs, cx: &Context<'_>) -> Option<&'static str> {
    let may = answer::may_send(customs, cx, SequenceReport::DOCUMENT_TYPE);
    (!may).then_some("the partner could not be asked, since no agreement in force allows `SEQ`")
}

/// Takes the partner's report up.
pub(super) fn receive(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    content: &SequenceReport,
) -> Result<Effect, Rejection> {
    let ours = customs.config.nation();
    for (stream, number) in content.streams.iter().zip(1..) {
        let fits = stream.sender.instance() == record.sender.instance()
            && stream.recipient.instance() == ours;
        if !fits {
            let error = ValidationError {
                pointer: format!("streams[{number}]"),
                rule: "STREAM".to_owned(),
                remedy: "tell only what members of your nation sent to members of ours".to_owned(),
            };
            return Ok(Effect::Refused(vec![error]));
        }
    }
    let mut found = Compared::default();
    for stream in &content.streams {
        for line in &stream.messages {
            compare(cx, stream, line, &mut found)?;
        }
    }
    let Compared { lines, missing, .. } = &found;
    if *lines > 0 {
        let text = format!(
            "{lines} messages of the partner compared, sent from {} to {}: {} missing here and \
             asked for, {} with another content, {} answered again",
            content.from,
            content.to,
            missing.len(),
            found.forked,
            found.answered
        );
        note(cx.tx, cx.now, SUBJECT, record.sender.as_str(), text)?;
    }
    ask(customs, cx, &found.missing)?;
    give(customs, cx, record, &content.wanted)?;
    for unknown in &content.unknown {
        not_known(customs, cx, record, unknown)?;
    }
    Ok(Effect::Applied { subject: SUBJECT.to_owned() })
}

/// What a comparison found.
#[derive(Default)]
struct Compared {
    lines: usize,
    missing: Vec<DocumentReference>,
    forked: usize,
    answered: usize,
}

fn compare(
    cx: &mut Context<'_>,
    stream: &StreamReport,
    line: &SentMessage,
    found: &mut Compared,
) -> Result<(), Rejection> {
    found.lines += 1;
    let reference = &line.functional_reference_id;
    let mut here = MessageRecord::of_reference(cx.tx, &stream.sender, reference)?;
    here.retain(|m| m.direction == Direction::In && m.code == line.document_type);
    let Some(same) = here.iter().find(|message| message.digest == line.digest) else {
        if here.is_empty() {
            let mut missing = self::reference(&line.document_type, &line.id);
            missing.functional_reference_id = Some(reference.clone());
            found.missing.push(missing);
            return Ok(());
        }
        found.forked += 1;
        let text = format!(
            "{} says that it sent {} {reference} with another content than came here; compare both \
             evidence logs",
            stream.sender, line.document_type
        );
        note(cx.tx, cx.now, SUBJECT, stream.sender.as_str(), text.clone())?;
        open_task(cx.tx, cx.now, TaskKind::SameReferenceOtherContent, SUBJECT, text.clone())?;
        cx.warn("customs.two-contents", text);
        return Ok(());
    };
    let answered = !matches!(same.state, MessageState::Parked);
    if line.state == SentMessageState::Sent && answered && cx.now.since(line.sent_at) > UNDER_WAY {
        let message = Message::parse(&same.code, same.raw.as_bytes())
            .map_err(|error| answer::unreadable(&error))?;
        let (us, them) = (same.recipient.clone(), same.sender.clone());
        answer::validate(cx, &us, &them, &message, &same.subject, same.errors.clone())?;
        found.answered += 1;
    }
    Ok(())
}

/// Sends again what the partner asks for, and tells what is not here.
fn give(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    wanted: &[DocumentReference],
) -> Result<(), Rejection> {
    let mut unknown = Vec::new();
    for document in wanted {
        let sent = sent(customs, cx, record, document)?;
        let name = format!("{} {}", document.document_type, document.id);
        let text = if sent.is_empty() {
            unknown.push(document.clone());
            format!("{} asks for {name}, which is not here", record.sender)
        } else {
            format!("{} asks for {name}; {} messages sent again", record.sender, sent.len())
        };
        let subject = subject(customs, document).unwrap_or_else(|| SUBJECT.to_owned());
        note(cx.tx, cx.now, &subject, record.sender.as_str(), text)?;
        for message in sent {
            resend(cx, &message)?;
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Report { unknown, ..Report::at(cx.now) }.send(customs, cx)
}

fn subject(customs: &Customs, document: &DocumentReference) -> Option<String> {
    let nation = customs.config.nation();
    match document.document_type.as_str() {
        "COO" => {
            let number = CertificateNumber::parse(&document.id).ok()?;
            Some(certificate_subject(&number.key(nation)))
        }
        "EXD" => Some(export_subject(&export_key(nation, &document.id))),
        _ => None,
    }
}

/// Finds what was sent to this partner under a reference, or about a document.
fn sent(
    customs: &Customs,
    cx: &Context<'_>,
    record: &MessageRecord,
    document: &DocumentReference,
) -> Result<Vec<MessageRecord>, Rejection> {
    let mut found: Vec<MessageRecord> = Vec::new();
    if let Some(reference) = &document.functional_reference_id {
        let members = customs.config.issuers.iter().chain([&customs.config.customs]);
        for member in members {
            found.extend(MessageRecord::of_reference(cx.tx, member, reference)?);
        }
        found.retain(|message| message.code == document.document_type);
    } else if let Some(subject) = subject(customs, document) {
        let range = Range::of("by_subject", vec![subject.as_str().into()], LINES_MAX);
        found = cx.tx.select(&range)?;
        let kind = document.document_type.as_str();
        found.retain(|m| m.code == kind || matches!(m.code.as_str(), "CXL" | "AMD"));
    }
    let nation = record.sender.instance();
    found.retain(|m| {
        m.direction == Direction::Out
            && cx.allows(&m.sender, &m.recipient, &m.code)
            && m.state != MessageState::Rejected
            && m.recipient.instance() == nation
    });
    // What was sent again stands there twice: once is enough, and not again within the pause.
    let just = |reference: &str| {
        let same = found.iter().filter(|m| m.reference == reference);
        same.clone().count() > 1 && same.clone().any(|m| cx.now.since(m.at) < RESEND_PAUSE)
    };
    let mut once: Vec<MessageRecord> = Vec::new();
    for message in &found {
        let known = once.iter().any(|m| m.reference == message.reference);
        if !known && !just(&message.reference) {
            once.push(message.clone());
        }
    }
    once.sort_by_key(|message| message.at);
    once.truncate(RESENT_MAX);
    Ok(once)
}

/// Sends a message again, as it was.
fn resend(cx: &mut Context<'_>, message: &MessageRecord) -> Result<(), Rejection> {
    let Some(kind) = DocumentType::from_code(&message.code) else { return Ok(()) };
    let exchange = cx.send(Outgoing {
        sender: message.sender.clone(),
        recipient: message.recipient.clone(),
        code: kind.code(),
        content_type: CONTENT_TYPE,
        body: message.raw.clone().into_bytes(),
    });
    let again = MessageRecord {
        exchange,
        at: cx.now,
        state: MessageState::Sent,
        errors: Vec::new(),
        ..message.clone()
    };
    cx.tx.add(&again)?;
    waiting::sent(cx, &again)
}

/// The partner does not have a document of its own side that was asked for.
fn not_known(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    document: &DocumentReference,
) -> Result<(), Rejection> {
    let partner = customs.config.partner_nation();
    let name = format!("{} {}", document.document_type, document.id);
    let text = format!("{} does not know {name}", record.sender);
    let by = record.sender.as_str();
    if document.document_type != "COO" {
        let subject = match document.document_type.as_str() {
            "EXD" => export_subject(&export_key(partner, &document.id)),
            _ => SUBJECT.to_owned(),
        };
        return Ok(note(cx.tx, cx.now, &subject, by, text)?);
    }
    let Ok(number) = CertificateNumber::parse(&document.id) else { return Ok(()) };
    let key = number.key(partner);
    let subject = certificate_subject(&key);
    timers::cancel(cx.tx, TimerKind::NumberAsked, &subject, &key)?;
    note(cx.tx, cx.now, &subject, by, text)?;
    for item in cx.tx.select::<ClaimItem>(&ClaimItem::range("by_certificate", &key))? {
        if item.state.is_final() {
            continue;
        }
        let text = format!(
            "item {}: the partner does not know certificate {number}. Look at the paper and its \
             code; ask for a verification before you deny.",
            item.item
        );
        let subject = claim_subject(&item.claim);
        note(cx.tx, cx.now, &subject, by, text.clone())?;
        open_task(cx.tx, cx.now, TaskKind::PartnerQuery, &subject, text)?;
    }
    Ok(())
}

/// Asks the partner whether it knows the certificates of these items, once for each certificate.
pub(super) fn ask_for_numbers(
    customs: &Customs,
    cx: &mut Context<'_>,
    items: &[ClaimItem],
) -> Result<(), Rejection> {
    let mut wanted = Vec::new();
    for item in items {
        if item.assessment.matched.find(Rule::CertificateUnknown).is_none() {
            continue;
        }
        let subject = certificate_subject(&item.certificate);
        let asked = timers::find(cx.tx, TimerKind::NumberAsked, &subject, &item.certificate)?;
        if asked.is_some() {
            continue;
        }
        let due = cx.now.plus(customs.clocks.wait(TimerKind::NumberAsked, cx.now));
        let (kind, key) = (TimerKind::NumberAsked, &item.certificate);
        let timer = Timer::new(kind, &subject, key, cx.now, due);
        timers::set(cx.tx, &timer.with_note(format!("claim {}", item.claim)))?;
        let number = &item.quote.number;
        let text = match cannot_ask(customs, cx) {
            Some(why) => format!("{number} is not known here, and {why}; ask its customs service"),
            None => format!("the partner is asked whether it knows {number}"),
        };
        note(cx.tx, cx.now, &claim_subject(&item.claim), "match", text)?;
        wanted.push(reference("COO", &item.quote.number.shown));
    }
    ask(customs, cx, &wanted)
}

/// The partner did not say whether it knows a number.
pub(super) fn no_word(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    if cx.tx.find::<crate::certificate::Certificate>(timer.about.as_str())?.is_some() {
        return Ok(());
    }
    let why = cannot_ask(customs, cx).map_or_else(
        || format!("the partner has not said since {} whether it knows it", timer.since),
        str::to_owned,
    );
    for item in cx.tx.select::<ClaimItem>(&ClaimItem::range("by_certificate", &timer.about))? {
        if item.state.is_final() {
            continue;
        }
        let text = format!(
            "item {}: the certificate has not come: {why}; use the paper and its code, or release \
             the goods under security",
            item.item
        );
        open_task(cx.tx, cx.now, TaskKind::PartnerQuery, &claim_subject(&item.claim), text)?;
    }
    Ok(())
}

/// Compares now what the next night would compare.
pub(super) fn compare_now(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
) -> Result<serde_json::Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    if cannot_ask(customs, cx).is_some() {
        let text = "no agreement in force lets us send `SEQ` to the partner; have it added first";
        return Err(refuse(karvan_types::ErrorKind::Forbidden, "not-agreed", text));
    }
    let timer = of_partner(customs, cx.tx)?;
    let Some(timer) = timer else {
        let text = "the nightly comparison is not set up yet; try again in a minute";
        return Err(refuse(karvan_types::ErrorKind::Conflict, "not-set-up", text));
    };
    let (from, partner) = (timer.since, customs.config.partner.as_str());
    nightly(customs, cx, &timer)?;
    Ok(serde_json::json!({ "from": from, "to": cx.now, "partner": partner }))
}
