//! Releases to the partner what the agreement lets us release, and takes out of what arrives what
//! it does not let the partner send.
//!
//! Everything that an act wants sent passes [`enforce`] at its end, whoever wrote it, before it is
//! signed. What arrives is stripped before anything reads or keeps it.
//!
//! Invariants: nothing above the level is signed or stored; a record names fields, never values;
//! the body of a stripped message is not kept, its digest and signature are.
//!
//! Not here: the classes of the fields (`crate::sharing`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Context, Document, Outgoing, Rejection};
use karvan_types::{Digest, ErrorKind, ExchangeId, MemberId, Timestamp, json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::operate::read;
use super::{Customs, receive, show};
use crate::journal::{MessageRecord, TaskKind, note, open_task};
use crate::messages::{DocumentType, Message, SharingLevel, Validation, ValidationError};
use crate::sharing::{Field, INCIDENTS, Incident, RELEASED, Released, level_named, strip};

/// Most rows shown at once.
const SHOWN_MAX: usize = 1000;
/// Rows shown unless asked otherwise.
const SHOWN: usize = 100;
/// Rule of a remark about a field that was taken out.
const RULE: &str = "SHARING";
/// Most fields named in a remark to the sender.
const REMARKS_MAX: usize = 50;

/// A level, and from where it is.
#[derive(Clone, Copy)]
struct Agreed {
    level: SharingLevel,
    from: &'static str,
}

/// Reads what the agreement says; a word that is no level of customs releases the least.
fn agreed(customs: &Customs, stated: Option<&str>) -> Agreed {
    match stated {
        Some(name) => {
            Agreed { level: level_named(name).unwrap_or(SharingLevel::L1), from: "agreement" }
        }
        None => Agreed { level: customs.config.sharing_level, from: "configuration" },
    }
}

fn level_to(customs: &Customs, cx: &Context<'_>, document: &Outgoing) -> Agreed {
    let Outgoing { sender, recipient, code, .. } = document;
    agreed(customs, cx.sharing_level(sender, recipient, code).as_deref())
}

/// A message cut down to a level.
struct Cut {
    body: Vec<u8>,
    left_out: Vec<Field>,
    id: String,
    version: u64,
    reference: String,
}

/// Cuts a message down to a level and writes the level into it; nothing when it is so already.
fn cut(
    customs: &Customs,
    code: &str,
    body: &[u8],
    level: SharingLevel,
    relabel: bool,
) -> Result<Option<Cut>, Rejection> {
    let Some(kind) = DocumentType::from_code(code) else { return Ok(None) };
    let name = level_name(level);
    let marked = !relabel || contains(body, format!("\"sharingLevel\":\"{name}\"").as_bytes());
    if marked && customs.classes.highest(kind) <= level {
        return Ok(None);
    }
    // What cannot be read is refused where it is read.
    let Ok(mut message) = json::parse(body) else { return Ok(None) };
    let left_out = strip(&customs.classes, kind, &mut message, level);
    if relabel && let Some(stated) = message.get_mut("sharingLevel") {
        *stated = name.into();
    }
    if left_out.is_empty() && marked {
        return Ok(None);
    }
    let text =
        |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (id, reference) = (text("ID"), text("FunctionalReferenceID"));
    let version = message.get("VersionID").and_then(Value::as_u64).unwrap_or_default();
    let body = json::canonical(&message)
        .map_err(|error| refuse(ErrorKind::Internal, "release", error.to_string()))?;
    Ok(Some(Cut { body, left_out, id, version, reference }))
}

const fn level_name(level: SharingLevel) -> &'static str {
    match level {
        SharingLevel::L1 => "L1",
        SharingLevel::L2 => "L2",
        SharingLevel::L3 => "L3",
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Cuts everything that this act wants sent down to what the agreement releases.
pub(super) fn enforce(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let mut documents = std::mem::take(cx.outgoing_mut());
    for (exchange, document) in &mut documents {
        release(customs, cx, *exchange, document)?;
    }
    *cx.outgoing_mut() = documents;
    Ok(())
}

fn release(
    customs: &Customs,
    cx: &mut Context<'_>,
    exchange: ExchangeId,
    document: &mut Outgoing,
) -> Result<(), Rejection> {
    let Agreed { level, from } = level_to(customs, cx, document);
    let Some(cut) = cut(customs, document.code, &document.body, level, true)? else {
        return Ok(());
    };
    let handed_in = Digest::of(&document.body);
    document.body = cut.body;
    if let Some(mut record) = cx.tx.find::<MessageRecord>(format!("{exchange}:out"))? {
        record.digest = Digest::of(&document.body);
        record.raw = String::from_utf8_lossy(&document.body).into_owned();
        cx.tx.save(&record)?;
        if !cut.left_out.is_empty() {
            let text = format!(
                "{} {} released at level {}: {} fields left out",
                record.code,
                record.reference,
                level_name(level),
                cut.left_out.len()
            );
            note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text)?;
        }
    }
    if cut.left_out.is_empty() {
        return Ok(());
    }
    Ok(cx.tx.save(&Released {
        exchange,
        code: document.code.to_owned(),
        id: cut.id,
        version: cut.version,
        recipient: document.recipient.clone(),
        at: cx.now,
        level,
        level_from: from.to_owned(),
        handed_in,
        left_out: cut.left_out,
    })?)
}

/// Cuts what was just handed over for sending, and returns its record as it now is.
pub(super) fn released(
    customs: &Customs,
    cx: &mut Context<'_>,
    sent: MessageRecord,
) -> Result<MessageRecord, Rejection> {
    enforce(customs, cx)?;
    Ok(cx.tx.find(format!("{}:out", sent.exchange))?.unwrap_or(sent))
}

/// Returns the digest under which a document will travel to the partner's customs.
pub(super) fn digest(
    customs: &Customs,
    cx: &Context<'_>,
    sender: &MemberId,
    message: &Message,
) -> Result<Digest, Rejection> {
    let (body, cut) = cut_for_partner(customs, cx, sender, message)?;
    Ok(Digest::of(cut.as_ref().map_or(body.as_slice(), |cut| &cut.body)))
}

/// Returns whether the level leaves anything out of a message to the partner's customs.
pub(super) fn withholds(
    customs: &Customs,
    cx: &Context<'_>,
    sender: &MemberId,
    message: &Message,
) -> Result<bool, Rejection> {
    let (_, cut) = cut_for_partner(customs, cx, sender, message)?;
    Ok(cut.is_some_and(|cut| !cut.left_out.is_empty()))
}

/// Returns whether anything was left out of a document when a version of it was sent.
pub(super) fn withheld_before(
    view: &dyn Read,
    kind: DocumentType,
    id: &str,
) -> Result<bool, Rejection> {
    let range = Range::of("by_id", vec![id.into()], SHOWN_MAX);
    let released: Vec<Released> = view.select(&range)?;
    Ok(released.iter().any(|sent| sent.code == kind.code()))
}

/// Returns a message as it is, and as it may travel when that is less.
fn cut_for_partner(
    customs: &Customs,
    cx: &Context<'_>,
    sender: &MemberId,
    message: &Message,
) -> Result<(Vec<u8>, Option<Cut>), Rejection> {
    let body = message.to_canonical().map_err(|error| answer::unreadable(&error))?;
    let code = message.document_type().code();
    let stated = cx.sharing_level(sender, &customs.config.partner, code);
    let level = agreed(customs, stated.as_deref()).level;
    let cut = cut(customs, code, &body, level, true)?;
    Ok((body, cut))
}

/// Takes a document that arrived, without what the agreement does not let its sender release.
pub(super) fn receive(
    customs: &Customs,
    cx: &mut Context<'_>,
    document: &Document<'_>,
) -> Result<(), Rejection> {
    let Agreed { level, from } = agreed(customs, document.sharing_level);
    let cut = cut(customs, document.code, document.body, level, false)?;
    // What is no message of its type, such as one with unknown names, is refused as a whole.
    let readable = || Message::parse(document.code, document.body).is_ok();
    let Some(cut) = cut.filter(|_| readable()) else {
        receive::receive(customs, cx, document)?;
        return told_of_excess(cx, document);
    };
    receive::receive(customs, cx, &Document { body: &cut.body, ..*document })?;
    cx.drop_body();
    let number = cx.tx.next(INCIDENTS.name)?;
    let text = format!(
        "{} sent more than level {} of the agreement: {} {}, {} fields taken out before storage; \
         see the privacy incident {number}",
        document.sender,
        level_name(level),
        document.code,
        cut.reference,
        cut.left_out.len()
    );
    cx.warn("customs.privacy-incident", text.clone());
    if let Some(record) = cx.tx.find::<MessageRecord>(format!("{}:in", document.exchange))? {
        note(cx.tx, cx.now, &record.subject, document.sender.as_str(), text)?;
    }
    remark(cx, &cut)?;
    Ok(cx.tx.add(&Incident {
        number,
        at: cx.now,
        exchange: document.exchange,
        code: document.code.to_owned(),
        reference: cut.reference,
        id: cut.id,
        sender: document.sender.clone(),
        level,
        level_from: from.to_owned(),
        signed: document.digest,
        taken_out: cut.left_out,
    })?)
}

/// Adds to the validation that answers a stripped message which fields were taken out.
fn remark(cx: &mut Context<'_>, cut: &Cut) -> Result<(), Rejection> {
    let mut documents = std::mem::take(cx.outgoing_mut());
    for (exchange, answer) in &mut documents {
        let Ok(Message::Validation(mut content)) = Message::parse(answer.code, &answer.body) else {
            continue;
        };
        let about = content.document.functional_reference_id.as_deref();
        if about != Some(cut.reference.as_str()) {
            continue;
        }
        content.errors.extend(cut.left_out.iter().take(REMARKS_MAX).map(|field| ValidationError {
            pointer: field.field.trim_start_matches('/').to_owned(),
            rule: RULE.to_owned(),
            remedy: format!(
                "sent although the agreement releases it only from {}; it was taken out before \
                 anything was stored, leave it out",
                level_name(field.level)
            ),
        }));
        let message = Message::Validation(content);
        answer.body = message.to_canonical().map_err(|error| answer::unreadable(&error))?;
        if let Some(mut record) = cx.tx.find::<MessageRecord>(format!("{exchange}:out"))? {
            record.digest = Digest::of(&answer.body);
            record.raw = String::from_utf8_lossy(&answer.body).into_owned();
            cx.tx.save(&record)?;
        }
    }
    *cx.outgoing_mut() = documents;
    Ok(())
}

/// Opens a task when the partner says that we sent more than is agreed.
fn told_of_excess(cx: &mut Context<'_>, document: &Document<'_>) -> Result<(), Rejection> {
    if document.code != Validation::DOCUMENT_TYPE || !contains(document.body, RULE.as_bytes()) {
        return Ok(());
    }
    let Some(record) = cx.tx.find::<MessageRecord>(format!("{}:in", document.exchange))? else {
        return Ok(());
    };
    let fields: Vec<&str> = (record.errors.iter())
        .filter(|error| error.rule == RULE)
        .map(|error| error.pointer.as_str())
        .collect();
    if fields.is_empty() {
        return Ok(());
    }
    let text = format!(
        "{} says that we sent more than is agreed: {}. Compare the agreements of both sides, and \
         record it as a privacy incident.",
        document.sender,
        fields.join(", ")
    );
    Ok(open_task(cx.tx, cx.now, TaskKind::RefusedByPartner, &record.subject, text)?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asking {
    /// What was left out, of all messages or of one document.
    #[serde(default)]
    report: bool,
    of: Option<String>,
    /// What partners sent though it was not agreed.
    #[serde(default)]
    incidents: bool,
    /// What a document would lose.
    preview: Option<Preview>,
    /// The classes of one document type.
    classes: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preview {
    document: String,
    body: Value,
    level: Option<SharingLevel>,
}

/// Shows what was left out, what a partner sent too much, what a document would lose, or classes.
pub(super) fn show(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Asking = read("sharing", input)?;
    let limit = input.limit.unwrap_or(SHOWN).min(SHOWN_MAX);
    let rows = |rows: Value| {
        let count = rows.as_array().map_or(0, Vec::len);
        json!({
            "count": count, "limit": limit, "rows": rows, "asOf": now,
            "configured": level_name(customs.config.sharing_level),
        })
    };
    match (input.report, input.incidents, input.preview, input.classes) {
        (true, false, None, None) => {
            let range = match &input.of {
                Some(id) => Range::of("by_id", vec![id.as_str().into()], limit),
                None => Range::of("by_at", Vec::new(), limit),
            };
            let found: Vec<Released> = view.select(&range.reversed())?;
            let of = Range::of("by_id", Vec::new(), limit);
            let all = view.count(&RELEASED, &of)?;
            Ok(show::merge(rows(show::json_of(&found)), json!({ "messages": all })))
        }
        (false, true, None, None) => {
            let found: Vec<Incident> = view.select(&Range::all(limit).reversed())?;
            Ok(rows(show::json_of(&found)))
        }
        (false, false, Some(preview), None) => dry_run(customs, preview),
        (false, false, None, Some(document)) => {
            let kind = document_type(&document)?;
            Ok(rows(show::json_of(&customs.classes.listed(kind))))
        }
        _ => {
            let text = "give exactly one of `report`, `incidents`, `preview` and `classes`";
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
    }
}

fn document_type(code: &str) -> Result<DocumentType, Rejection> {
    DocumentType::from_code(code).ok_or_else(|| {
        let codes: Vec<_> = DocumentType::ALL.iter().map(|kind| kind.code()).collect();
        let text = format!("there is no such document type; use one of {}", codes.join(", "));
        refuse(ErrorKind::Invalid, "bad-input", text)
    })
}

/// Says what a document would lose at a level; nothing is stored or sent.
fn dry_run(customs: &Customs, preview: Preview) -> Result<Value, Rejection> {
    let kind = document_type(&preview.document)?;
    let level = preview.level.unwrap_or(customs.config.sharing_level);
    let mut body = preview.body;
    let text = json::canonical(&body)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    Message::parse(kind.code(), &text).map_err(|error| answer::unreadable(&error))?;
    let left_out = strip(&customs.classes, kind, &mut body, level);
    Ok(json!({
        "document": kind.code(),
        "level": level_name(level),
        "leftOut": show::json_of(&left_out),
        "released": body,
    }))
}
