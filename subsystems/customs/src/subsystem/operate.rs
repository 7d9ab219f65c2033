//! Operations that people and scripts call and that write: submit, certificate, claim, resolve.

use karvan_subsystem::{Caller, Context, Pointer, Rejection};
use karvan_types::{Digest, ErrorKind, MemberId, json};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::apply::{self, Effect, Incoming};
use super::assess::{self, Occasion, claim_subject};
use super::receive::{refusals, subject_of};
use super::{Customs, show};
use crate::certificate::{CertificateNumber, Delivery, Version};
use crate::claim::{Claim, ClaimItem, ITEMS_MAX, ItemState, claim_key};
use crate::journal::{Closing, Direction, MessageRecord, MessageState, Task, note};
use crate::matching::{Quote, local_date};
use crate::messages::{
    DocumentType, FunctionCode, GoodsItem, ImportClaim, Message, ValidationError,
};
use crate::relief::DEFAULT_IMPORTER;
use crate::tariff::ImporterClass;
use crate::wco;

/// Reads the input of an operation strictly.
pub(super) fn read<T: DeserializeOwned>(operation: &str, input: Value) -> Result<T, Rejection> {
    serde_json::from_value(input).map_err(|error| {
        let text = format!("the input of {operation} does not fit: {error}");
        refuse(ErrorKind::Invalid, "bad-input", text)
    })
}

/// Whoever signs a decision, a declaration or a certificate: member and person.
pub(super) fn signed_by(caller: &Caller) -> String {
    format!("{} ({})", caller.member, caller.user)
}

/// Refuses a caller who does not act for `member`.
pub(super) fn must_act_for(caller: &Caller, member: &MemberId) -> Result<(), Rejection> {
    if caller.member == *member {
        return Ok(());
    }
    let text = format!("this is for {member}; your token acts for {}", caller.member);
    Err(refuse(ErrorKind::Forbidden, "wrong-member", text))
}

/// Exactly one of these is given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Submission {
    declaration: Option<Value>,
    xml: Option<String>,
    cancellation: Option<Value>,
}

/// Submits, changes or cancels an export declaration.
pub(super) fn submit(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Submission = read("submit", input)?;
    let message = match (input.declaration, input.xml, input.cancellation) {
        (Some(declaration), None, None) => message("EXD", &declaration)?,
        (None, Some(xml), None) => return submit_xml(customs, cx, caller, &xml),
        (None, None, Some(cancellation)) => message("CXL", &cancellation)?,
        _ => {
            let text = "give exactly one of `declaration`, `xml` and `cancellation`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    must_be_about(&message, "EXD")?;
    publish(customs, cx, caller, &message)
}

/// Submits a WCO Data Model XML declaration, and says what of it was not carried over.
fn submit_xml(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    xml: &str,
) -> Result<Value, Rejection> {
    let context = wco::Context {
        agreement_id: &customs.config.agreement,
        sharing_level: customs.config.sharing_level,
        received_at: cx.now,
        subject: DocumentType::Export,
    };
    let imported = wco::import(xml.as_bytes(), context)
        .map_err(|error| refuse(error.kind(), "unreadable", error.to_string()))?;
    must_be_about(&imported.message, "EXD")?;
    let published = publish(customs, cx, caller, &imported.message)?;
    let losses: Vec<Value> = (imported.not_carried_over.iter())
        .map(|loss| json!({ "path": loss.path, "line": loss.line, "value": loss.value }))
        .collect();
    let notes: Vec<Value> = (imported.notes.iter())
        .map(|note| json!({ "path": note.path, "text": note.text }))
        .collect();
    Ok(show::merge(published, json!({ "notCarriedOver": losses, "notes": notes })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    certificate: Option<Value>,
    cancellation: Option<Value>,
}

/// Issues, changes, replaces or cancels a certificate of origin.
pub(super) fn certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    if !customs.config.issuers.contains(&caller.member) {
        let text = format!("{} issues no certificates of origin through this node", caller.member);
        return Err(refuse(ErrorKind::Forbidden, "not-an-issuer", text));
    }
    let input: Issue = read("certificate", input)?;
    let message = match (input.certificate, input.cancellation) {
        (Some(certificate), None) => message("COO", &certificate)?,
        (None, Some(cancellation)) => message("CXL", &cancellation)?,
        _ => {
            let text = "give exactly one of `certificate` and `cancellation`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    must_be_about(&message, "COO")?;
    publish(customs, cx, caller, &message)
}

fn message(code: &str, value: &Value) -> Result<Message, Rejection> {
    let text = json::canonical(value)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    Message::parse(code, &text).map_err(|error| answer::unreadable(&error))
}

fn must_be_about(message: &Message, kind: &str) -> Result<(), Rejection> {
    match message {
        Message::Cancellation(content) if content.document.document_type != kind => {
            let text = format!("this cancels {kind} documents only; correct document/documentType");
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
        Message::Cancellation(_) => Ok(()),
        other if other.document_type().code() != kind => {
            let found = other.document_type();
            let text = format!("a {kind} document is expected here, not {found}");
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
        _ => Ok(()),
    }
}

/// Turns what validation wants changed into a refusal of an operation.
fn invalid(errors: Vec<ValidationError>) -> Rejection {
    let count = errors.len();
    let first = errors.first().map(|error| error.remedy.clone()).unwrap_or_default();
    let text = match count {
        1 => format!("the document breaks a rule: {first}"),
        _ => format!("the document breaks {count} rules, the first: {first}"),
    };
    let pointers = errors.into_iter().map(|error| Pointer {
        pointer: format!("/{}", error.pointer),
        rule: error.rule,
        remedy: error.remedy,
    });
    refuse(ErrorKind::Invalid, "invalid-document", text).with_pointers(pointers.collect())
}

/// Stores our own copy of a document and sends it to the partner's customs.
fn publish(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: &Message,
) -> Result<Value, Rejection> {
    let header = message.header();
    let body = message.to_canonical().map_err(|error| answer::unreadable(&error))?;
    let digest = Digest::of(&body);
    let code = message.document_type().code();
    let earlier =
        MessageRecord::of_reference(cx.tx, &caller.member, &header.functional_reference_id)?;
    let mut earlier = earlier.into_iter().filter(|sent| sent.direction == Direction::Out);
    if let Some(sent) = earlier.next() {
        if sent.digest == digest && sent.code == code {
            return Ok(published(&sent, message, true));
        }
        let text = format!(
            "the reference {} was used before for another content; give each message its own",
            header.functional_reference_id
        );
        return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
    }
    let errors = refusals(message, cx.now);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let subject = subject_of(&caller.member, message);
    let exchange = answer::send(cx, &caller.member, &customs.config.partner, message, &subject)?;
    let by = signed_by(caller);
    let incoming =
        Incoming { exchange, sender: &caller.member, delivery: Delivery::Sent, by: &by, digest };
    match apply::apply(customs, cx, &incoming, message)? {
        Effect::Applied { .. } => {}
        Effect::Refused(errors) => return Err(invalid(errors)),
        Effect::Early { waits_for } => {
            let text = format!("there is no {waits_for} here; submit the original first");
            return Err(refuse(ErrorKind::NotFound, "no-original", text));
        }
    }
    let sent: Option<MessageRecord> = cx.tx.find(format!("{exchange}:out"))?;
    sent.map(|sent| published(&sent, message, false)).ok_or_else(|| {
        refuse(ErrorKind::Internal, "lost", "the sent message was not stored; report this")
    })
}

fn published(sent: &MessageRecord, message: &Message, duplicate: bool) -> Value {
    let header = message.header();
    let state = match sent.state {
        MessageState::Accepted => "accepted",
        MessageState::Rejected => "rejected",
        _ => "sent",
    };
    json!({
        "document": sent.code,
        "id": header.id,
        "version": header.version_id,
        "subject": sent.subject,
        "exchange": sent.exchange,
        "digest": sent.digest,
        "recipient": sent.recipient,
        "state": state,
        "duplicate": duplicate,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Claiming {
    claim: Value,
    importer_class: Option<ImporterClass>,
}

/// Takes an import declaration and matches every item that claims a preference.
pub(super) fn claim(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Claiming = read("claim", input)?;
    let message = message("IMP", &input.claim)?;
    let errors = refusals(&message, cx.now);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let digest = Digest::of(&message.to_canonical().map_err(|error| answer::unreadable(&error))?);
    let Message::Import(content) = message else {
        return Err(refuse(ErrorKind::Internal, "lost", "the claim was not read; report this"));
    };
    let key = claim_key(&content.header.id);
    let existing: Option<Claim> = cx.tx.find(key.as_str())?;
    if let Some(existing) = &existing
        && existing.versions.iter().any(|version| version.digest == digest)
    {
        return show::claim_by_key(cx.tx, &key, true);
    }
    let importer_class = input.importer_class.unwrap_or(DEFAULT_IMPORTER);
    let claim = merge(cx, caller, existing, *content, digest, importer_class)?;
    cx.tx.save(&claim)?;
    match_items(customs, cx, &claim)?;
    show::claim_by_key(cx.tx, &key, false)
}

/// Makes the claim to store: the first version, or a later one on top of it.
fn merge(
    cx: &mut Context<'_>,
    caller: &Caller,
    existing: Option<Claim>,
    content: ImportClaim,
    digest: Digest,
    importer_class: ImporterClass,
) -> Result<Claim, Rejection> {
    let header = content.header.clone();
    let key = claim_key(&header.id);
    let filed_at = content.acceptance_date_time.unwrap_or(header.issue_date_time);
    let filed = local_date(filed_at, caller.member.instance());
    let mut claim = match existing {
        None if header.function_code == FunctionCode::Original => Claim {
            number: header.id.trim().to_owned(),
            received_at: cx.now,
            filed,
            by: signed_by(caller),
            importer_class,
            versions: Vec::new(),
        },
        None => {
            let text = format!("there is no claim {key} to change; file the original first");
            return Err(refuse(ErrorKind::NotFound, "no-original", text));
        }
        Some(_) if header.function_code == FunctionCode::Original => {
            let text = format!("claim {key} is here already; use function 4 or 5 to change it");
            return Err(refuse(ErrorKind::Conflict, "claim-exists", text));
        }
        Some(claim) => {
            let items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
            if let Some(decided) = items.iter().find(|item| item.state != ItemState::Open) {
                let text = format!(
                    "item {} of claim {key} is {}; a claim can be changed only before the first \
                     decision",
                    decided.item,
                    decided.state.name()
                );
                return Err(refuse(ErrorKind::Conflict, "claim-decided", text));
            }
            Claim { filed, importer_class, ..claim }
        }
    };
    let latest = claim.content().map_or(0, |content| content.header.version_id);
    if header.version_id <= latest {
        let text = format!("version {latest} of claim {key} is here already; send a later one");
        return Err(refuse(ErrorKind::Conflict, "claim-exists", text));
    }
    let text = format!("claim {}, version {}: filed", header.id, header.version_id);
    note(cx.tx, cx.now, &claim_subject(&key), &signed_by(caller), text)?;
    let function = header.function_code;
    claim.versions.push(Version { exchange: None, at: cx.now, function, digest, content });
    Ok(claim)
}

fn match_items(customs: &Customs, cx: &mut Context<'_>, claim: &Claim) -> Result<(), Rejection> {
    let key = claim.id();
    let old: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
    let Some(content) = claim.content() else { return Ok(()) };
    let mut found = 0_usize;
    for item in &content.shipment.items {
        let Some(quote) = quote_of(item)? else { continue };
        found += 1;
        let occasion = Occasion { because: "the claim was filed", now: cx.now };
        let assessment = assess::assess(customs, cx.tx, claim, &quote, item, &occasion)?;
        let before = old.iter().find(|old| old.item == item.sequence);
        let mut stored = ClaimItem {
            claim: key.clone(),
            item: item.sequence,
            certificate: quote.number.key(customs.config.partner_nation()),
            quote,
            ucr: assess::ucr(content, item).map(str::to_owned),
            state: ItemState::Open,
            assessments: before.map_or(0, |before| before.assessments),
            assessment,
            decisions: 0,
        };
        assess::keep(cx, &mut stored)?;
    }
    for gone in old
        .iter()
        .filter(|old| claim.item(old.item).is_none_or(|i| i.certificates().next().is_none()))
    {
        cx.tx.remove::<ClaimItem>(gone.id())?;
    }
    if found == 0 || found > ITEMS_MAX {
        let text = "no item quotes a certificate of origin (document type 864), so there is no \
                    preference to decide; clear the goods at the general rate";
        return Err(refuse(ErrorKind::Invalid, "no-preference-claimed", text));
    }
    Ok(())
}

fn quote_of(item: &GoodsItem) -> Result<Option<Quote>, Rejection> {
    let Some(document) = item.certificates().next() else { return Ok(None) };
    let number = CertificateNumber::parse(&document.id)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    let item = document.line_numeric.unwrap_or(1);
    Ok(Some(Quote { number, date: document.effective_date, item }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolution {
    task: u64,
    text: String,
}

/// Closes a task.
pub(super) fn resolve(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Resolution = read("resolve", input)?;
    let text = super::decide::required_text(Some(&input.text), "what was done about the task")?;
    let Some(mut task) = cx.tx.find::<Task>(input.task)? else {
        let text = format!("there is no task {}; list the tasks", input.task);
        return Err(refuse(ErrorKind::NotFound, "no-task", text));
    };
    if task.closed.is_some() {
        let text = format!("task {} is closed already", input.task);
        return Err(refuse(ErrorKind::Conflict, "task-closed", text));
    }
    let by = signed_by(caller);
    note(cx.tx, cx.now, &task.subject, &by, format!("task {} closed: {text}", task.number))?;
    task.closed = Some(Closing { at: cx.now, by, text });
    cx.tx.save(&task)?;
    Ok(show::json_of(&task))
}
