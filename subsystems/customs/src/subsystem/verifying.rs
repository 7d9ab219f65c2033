//! The asking side of verifications: opening, closing, showing.
//!
//! An officer opens a verification from a claimed item; the query goes to the issuer of the
//! certificate and to the partner's customs, and the clock begins to run.
//!
//! Not here: asking again (`again`), the asked side (`asked`), answers and deadlines (`answered`),
//! what they mean for the match (`weigh`).

pub(super) mod again;
pub(super) mod answered;
pub(super) mod asked;
pub(super) mod weigh;

use std::time::Duration;

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind, ExchangeId, MemberId, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::assess::claim_subject;
use super::decide::{find_item, required_text};
use super::operate::{must_act_for, read, signed_by};
use super::{Customs, show, suspending};
use crate::certificate::{Certificate, CertificateNumber};
use crate::claim::{Claim, ClaimItem};
use crate::journal::{Closing, TaskKind, close_tasks, note};
use crate::matching::local_date;
use crate::messages::{
    DocumentReference, FunctionCode, Header, Message, QUERY_TYPE_CODE, QueryItem, QueryReason,
    Question, VerificationQuery,
};
use crate::origin::plus_months;
use crate::states::{Status, VerificationEvent, VerificationState};
use crate::timers::{self, Timer, TimerKind};
use crate::verification::{Role, Verification, verification_key, verification_subject};

/// Most questions of one query.
const QUESTIONS_MAX: usize = 20;
/// Longest question, in characters (an..512).
const QUESTION_CHARS_MAX: usize = 512;
/// Longest number of a verification, in characters (an..70 `D014`).
const ID_CHARS_MAX: usize = 70;
/// Seconds of a day.
const DAY_SECONDS: u64 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Opening {
    claim: String,
    item: Option<u32>,
    reasons: Vec<QueryReason>,
    text: String,
    #[serde(default)]
    questions: Vec<String>,
}

/// Opens a verification of the certificate that a claimed item quotes, and sends the query.
pub(super) fn open(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Opening = read("verify", input)?;
    if input.reasons.is_empty() {
        let text = "say why, in `reasons`: random, unknown-number, authenticity, data-differ, \
                    origin, direct-transport or other";
        return Err(refuse(ErrorKind::Invalid, "reason-required", text));
    }
    let text = required_text(Some(&input.text), "what gave rise to the question")?;
    let questions = questions(&input.questions, &text)?;
    let (claim, item) = find_item(cx, &input.claim, input.item)?;
    let earlier: Vec<Verification> =
        cx.tx.select(&Verification::range("by_claim_item", &item.id()))?;
    if let Some(open) = earlier.iter().find(|earlier| earlier.is_open()) {
        let text = format!(
            "verification {} of this item is open and due on {}; wait for it or close it",
            open.id, open.due
        );
        return Err(refuse(ErrorKind::Conflict, "verification-open", text));
    }
    let today = local_date(cx.now, customs.config.nation());
    let certificate: Option<Certificate> = cx.tx.find(item.certificate.as_str())?;
    let mut asked = vec![customs.config.partner.clone()];
    asked.extend(certificate.as_ref().map(|certificate| certificate.issuer.clone()));
    asked.dedup();
    let opened = Verification {
        id: number(cx, &item, earlier.len())?,
        role: Role::Asking,
        asker: customs.config.customs.clone(),
        asked,
        certificate: item.certificate.clone(),
        number: item.quote.number.shown.clone(),
        claim: Some(item.claim.clone()),
        item: Some(item.item),
        certificate_items: vec![item.quote.item],
        reasons: input.reasons,
        text: Some(text),
        questions,
        state: Status::default(),
        by: signed_by(caller),
        at: cx.now,
        due: due_from(customs, today),
        answers: Vec::new(),
        expired: false,
        closed: None,
        lifted: None,
        asked_again: None,
        issued: None,
    };
    let exchanges = send(customs, cx, &claim, certificate.as_ref(), &opened)?;
    let mut opened = opened;
    opened.state.step(VerificationEvent::Send)?;
    begin(customs, cx, &opened)?;
    let kinds = [TaskKind::VerificationSuggested];
    let closing = Closing { at: cx.now, by: opened.by.clone(), text: "opened".to_owned() };
    let prefix = format!("item {}:", item.item);
    close_tasks(cx.tx, &claim_subject(&item.claim), &kinds, &prefix, &closing)?;
    weigh::reassess(customs, cx, &opened.certificate, "a verification was opened")?;
    Ok(show::merge(view(cx.tx, &opened)?, json!({ "exchanges": exchanges })))
}

/// Returns the last day for an answer to what is asked on a day.
fn due_from(customs: &Customs, today: Date) -> Date {
    let months = customs.policy.verification(today).map_or(0, |row| row.terms.reply_months);
    plus_months(today, months.into())
}

/// Numbers the questions; without any, the occasion is the question.
fn questions(texts: &[String], occasion: &str) -> Result<Vec<Question>, Rejection> {
    let fits = |text: &String| (1..=QUESTION_CHARS_MAX).contains(&text.chars().count());
    if texts.len() > QUESTIONS_MAX || !texts.iter().all(fits) {
        let text = format!(
            "ask at most {QUESTIONS_MAX} questions of 1 to {QUESTION_CHARS_MAX} characters each"
        );
        return Err(refuse(ErrorKind::Invalid, "questions", text));
    }
    let occasion = [occasion.to_owned()];
    let numbered = (1..).zip(if texts.is_empty() { occasion.as_slice() } else { texts });
    Ok(numbered.map(|(number, text)| Question { number, text: text.clone() }).collect())
}

/// Returns a number that people can read, or one that is surely free where that is too long.
fn number(cx: &mut Context<'_>, item: &ClaimItem, earlier: usize) -> Result<String, Rejection> {
    let id = format!("{}-{}-V{}", item.claim, item.item, earlier + 1);
    if id.chars().count() <= ID_CHARS_MAX { Ok(id) } else { answer::next_reference(cx, "VER") }
}

/// Sends the query to everybody who is asked.
fn send(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    certificate: Option<&Certificate>,
    opened: &Verification,
) -> Result<Vec<ExchangeId>, Rejection> {
    let Some(content) = claim.content() else { return Ok(Vec::new()) };
    let known = certificate.and_then(Certificate::content);
    let like: &Header = known.map_or(&content.header, |content| &content.header);
    let mut exchanges = Vec::new();
    for to in &opened.asked {
        let reference = answer::next_reference(cx, "QRY")?;
        let header = Header {
            function_code: FunctionCode::Original,
            type_code: QUERY_TYPE_CODE.to_owned(),
            id: opened.id.clone(),
            ..answer::answer_header(cx, like, reference)
        };
        let query = VerificationQuery {
            header,
            certificate: DocumentReference {
                document_type: "COO".to_owned(),
                id: known.map_or(&opened.number, |content| &content.header.id).clone(),
                version_id: known.map(|content| content.header.version_id),
                functional_reference_id: None,
                effective_date: known.map(|c| local_date(c.header.issue_date_time, to.instance())),
            },
            claim: Some(DocumentReference {
                document_type: "IMP".to_owned(),
                id: claim.id(),
                version_id: Some(content.header.version_id),
                functional_reference_id: None,
                effective_date: None,
            }),
            reasons: opened.reasons.clone(),
            items: (opened.certificate_items.iter())
                .map(|item| QueryItem { certificate_item: *item, claim_item: opened.item })
                .collect(),
            questions: opened.questions.clone(),
            due_date: opened.due,
            statement: opened.text.clone(),
        };
        let message = Message::Query(Box::new(query));
        let subject = verification_subject(&opened.id);
        let sent = answer::send(cx, &customs.config.customs, to, &message, &subject)?;
        exchanges.push(sent.exchange);
    }
    Ok(exchanges)
}

/// Keeps a new verification, tells whom it concerns, and starts its clocks.
fn begin(customs: &Customs, cx: &mut Context<'_>, opened: &Verification) -> Result<(), Rejection> {
    cx.tx.add(opened)?;
    start(customs, cx, opened, &opened.by)
}

/// Tells whom a verification concerns, and starts its clocks.
fn start(
    customs: &Customs,
    cx: &mut Context<'_>,
    opened: &Verification,
    by: &str,
) -> Result<(), Rejection> {
    let subject = verification_subject(&opened.id);
    let text = format!(
        "verification {} of certificate {}: an answer is due on {}",
        opened.id, opened.number, opened.due
    );
    note(cx.tx, cx.now, &subject, by, text.clone())?;
    note(cx.tx, cx.now, &format!("certificate {}", opened.certificate), by, text.clone())?;
    if let Some(claim) = opened.claim.as_ref().filter(|_| opened.role == Role::Asking) {
        note(cx.tx, cx.now, &claim_subject(claim), by, text)?;
    }
    let today = local_date(cx.now, customs.config.nation());
    let terms = customs.policy.verification(today);
    let days = terms.map(|row| row.terms.reminder_days.as_slice()).unwrap_or_default();
    let key = verification_key(opened.role, &opened.id);
    for left in days {
        let due = end_of(opened.due).minus(days_of(*left));
        if due > cx.now {
            let about = format!("{key} {left}");
            let timer = Timer::new(TimerKind::VerificationReminder, &subject, &about, cx.now, due)
                .with_note(key.as_str());
            timers::set(cx.tx, &timer)?;
        }
    }
    let due = end_of(opened.due);
    let timer = Timer::new(TimerKind::VerificationDue, &subject, &key, cx.now, due);
    timers::set(cx.tx, &timer.with_note(key.as_str()))?;
    suspending::follow(cx, &opened.certificate, by)
}

fn days_of(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * DAY_SECONDS)
}

/// Returns the end of a day in UTC, which has then ended in both countries.
fn end_of(day: Date) -> Timestamp {
    let midnight = format!("{day}T00:00:00Z").parse::<Timestamp>();
    midnight.map_or_else(|_| Timestamp::from_millis(i64::MAX), |start| start.plus(days_of(1)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Concluding {
    verification: String,
    text: String,
}

/// Closes a verification, saying what followed from it.
pub(super) fn conclude(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Concluding = read("conclude", input)?;
    let text = required_text(Some(&input.text), "what followed from the verification")?;
    let mut found = find(cx.tx, Role::Asking, &input.verification)?;
    if let Some(closed) = &found.closed {
        let text = format!(
            "verification {} was closed by {} on {} ({}); there is nothing left to close",
            found.id,
            closed.by,
            local_date(closed.at, customs.config.nation()),
            closed.text
        );
        return Err(refuse(ErrorKind::Conflict, "verification-closed", text));
    }
    if let (Some(claim), Some(item)) = (&found.claim, found.item) {
        let (_, item) = find_item(cx, claim, Some(item))?;
        let waits = matches!(item.state.name(), "provisional" | "query");
        if waits && !found.is_open() {
            let text = format!(
                "item {} of claim {claim} is {}; decide it first, then close the verification",
                item.item,
                item.state.name()
            );
            return Err(refuse(ErrorKind::Conflict, "claim-undecided", text));
        }
    }
    found.state.step(VerificationEvent::Close)?;
    let by = signed_by(caller);
    let told = suspending::on_close(&found);
    found.closed = Some(Closing { at: cx.now, by: by.clone(), text: text.clone() });
    cx.tx.save(&found)?;
    answered::stop_clocks(cx, &found, &by, "the verification was closed")?;
    let subject = verification_subject(&found.id);
    note(cx.tx, cx.now, &subject, &by, format!("verification {} closed: {text}", found.id))?;
    suspending::tell(customs, cx, &found, told, &text)?;
    suspending::follow(cx, &found.certificate, &by)?;
    weigh::reassess(customs, cx, &found.certificate, "a verification was closed")?;
    view(cx.tx, &found)
}

/// Returns a verification of this side.
fn find(view: &dyn Read, role: Role, id: &str) -> Result<Verification, Rejection> {
    let id = id.trim();
    view.find(verification_key(role, id))?.ok_or_else(|| {
        let shown: String = id.chars().take(ID_CHARS_MAX).collect();
        let text = format!("there is no verification {shown} here; list the verifications");
        refuse(ErrorKind::NotFound, "no-verification", text)
    })
}

/// Shows a verification with what comes next.
fn view(view: &dyn Read, found: &Verification) -> Result<Value, Rejection> {
    let subject = verification_subject(&found.id);
    let next = timers::list(view, Some(&subject), crate::verification::SAME_MAX)?;
    let next: Vec<Value> =
        next.iter().map(|timer| json!({ "what": timer.kind.about(), "due": timer.due })).collect();
    let suspends = found.suspension().map(|suspension| show::json_of(&suspension));
    Ok(show::merge(summary(found), json!({ "next": next, "suspends": suspends })))
}

/// Shows a verification in a list for programs.
pub(super) fn summary(found: &Verification) -> Value {
    show::merge(show::json_of(found), json!({ "open": found.is_open() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Looking {
    verification: Option<String>,
    certificate: Option<String>,
    state: Option<VerificationState>,
    #[serde(default = "shown")]
    limit: usize,
}

fn shown() -> usize {
    crate::verification::SAME_MAX
}

/// Shows one verification with all that belongs to it, or lists them.
pub(super) fn look(customs: &Customs, store: &dyn Read, input: Value) -> Result<Value, Rejection> {
    let input: Looking = read("verifications", input)?;
    if let Some(id) = &input.verification {
        let found = find(store, Role::Asking, id).or_else(|_| find(store, Role::Asked, id))?;
        let papers = show::papers(store, &verification_subject(&found.id), &[])?;
        let certificate: Option<Certificate> = store.find(found.certificate.as_str())?;
        let evidence = certificate.iter().flat_map(|certificate| &certificate.versions);
        let evidence: Vec<Value> = evidence
            .map(|version| {
                json!({
                    "document": "COO",
                    "version": version.content.header.version_id,
                    "at": version.at,
                    "digest": version.digest,
                    "exchange": version.exchange,
                })
            })
            .collect();
        let about = json!({ "known": certificate.is_some(), "evidence": evidence });
        return Ok(show::merge(show::merge(view(store, &found)?, about), papers));
    }
    let limit = input.limit.min(shown());
    let range = match (&input.certificate, input.state) {
        (Some(number), _) => {
            let number = CertificateNumber::parse(number)
                .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
            return of_certificate(customs, store, &number);
        }
        (None, Some(state)) => Range::of("by_state", vec![state.name().into()], limit),
        (None, None) => Range::all(limit),
    };
    let found: Vec<Verification> = store.select(&range)?;
    listed(store, &found, limit)
}

fn of_certificate(
    customs: &Customs,
    store: &dyn Read,
    number: &CertificateNumber,
) -> Result<Value, Rejection> {
    let mut found = Vec::new();
    for nation in [customs.config.partner_nation(), customs.config.nation()] {
        let range = Verification::range("by_certificate", &number.key(nation));
        found.extend(store.select::<Verification>(&range)?);
    }
    listed(store, &found, shown())
}

fn listed(store: &dyn Read, found: &[Verification], limit: usize) -> Result<Value, Rejection> {
    let rows: Result<Vec<Value>, Rejection> = found.iter().map(|row| view(store, row)).collect();
    let rows = rows?;
    Ok(json!({ "count": rows.len(), "limit": limit, "rows": rows }))
}

/// Whether a member speaks for the asked side through this node.
fn may_answer(customs: &Customs, member: &MemberId) -> bool {
    *member == customs.config.customs || customs.config.issuers.contains(member)
}
