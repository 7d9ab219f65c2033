//! Operations that people and scripts call and that write: submit, certificate, resolve.
//!
//! Not here: `claim` (`super::claiming`), `decide` and `reopen` (`super::decide`).

use karvan_subsystem::{Caller, Context, Pointer, Rejection};
use karvan_types::{ErrorKind, MemberId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{self, refuse};
use super::apply::{self, Effect, Incoming};
use super::receive::{refusals, subject_of};
use super::xml::{Read, read_response, read_xml};
use super::{Customs, amending, assigned, claiming, releasing, responses, show};
use crate::certificate::Delivery;
use crate::journal::{Closing, Direction, MessageRecord, MessageState, Task, note};
use crate::messages::fit::fit;
use crate::messages::{
    Amendment, DocumentType, IMPORT_TYPE_CODE, Message, TRANSPORT_TYPE_CODE, ValidationError,
};

/// Reads the input of an operation strictly.
#[expect(clippy::needless_pass_by_value, reason = "what was read takes the place of the input")]
pub(super) fn read<T: DeserializeOwned>(operation: &str, input: Value) -> Result<T, Rejection> {
    fit(&input).map_err(|misfit| {
        let text = format!("the input of {operation} does not fit: {misfit}");
        refuse(ErrorKind::Invalid, "bad-input", text).with_pointers(vec![misfit.to_pointer()])
    })
}

/// Whoever signs a decision, a declaration or a certificate: member and person.
pub(super) fn signed_by(caller: &Caller) -> String {
    format!("{} ({})", caller.member, caller.user)
}

/// Longest officer id in a message, in characters (an..17).
const OFFICER_CHARS_MAX: usize = 17;

/// Returns the officer's name in the form that a message takes.
pub(super) fn officer_id(user: &str) -> String {
    let plain = user.chars().filter(char::is_ascii_graphic);
    let id: String = plain.take(OFFICER_CHARS_MAX).collect();
    if id.is_empty() { "unnamed".to_owned() } else { id }
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
    /// An amendment by pointer; the version that it makes travels.
    amendment: Option<Value>,
    transport: Option<Value>,
}

/// Submits, changes or cancels an export declaration; files an import declaration as a claim.
pub(super) fn submit(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Submission = read("submit", input)?;
    let Submission { declaration, xml, cancellation, amendment, transport } = input;
    let travels = match (amendment, transport) {
        (Some(_), Some(_)) => return Err(not_one_thing()),
        (Some(amendment), None) => Some((DocumentType::Amendment, amendment)),
        (None, report) => report.map(|report| (DocumentType::Transport, report)),
    };
    let Read { message, told } = match (declaration, xml, cancellation, travels) {
        (Some(declaration), None, None, None) => {
            let kind = match declaration.get("TypeCode").and_then(Value::as_str) {
                Some(IMPORT_TYPE_CODE) => DocumentType::Import,
                Some(TRANSPORT_TYPE_CODE) => DocumentType::Transport,
                _ => DocumentType::Export,
            };
            Read::of(named(customs, cx, message(kind, declaration)?)?)
        }
        (None, Some(xml), None, None) => match read_response(&xml)? {
            Some(response) => return responses::take(customs, cx, caller, &xml, response),
            None => read_xml(customs, cx, &xml, DocumentType::Export)?,
        },
        (None, None, Some(cancellation), None) => {
            let message = message(DocumentType::Cancellation, cancellation)?;
            Read::of(named(customs, cx, message)?)
        }
        (None, None, None, Some((kind, content))) => {
            let message = named(customs, cx, message(kind, content)?)?;
            let Message::Amendment(_) = message else {
                return publish(customs, cx, caller, &message);
            };
            must_be_about(&message, "EXD")?;
            let Message::Amendment(amendment) = message else { return Err(not_one_thing()) };
            return amending::amend_by_message(customs, cx, caller, *amendment, None);
        }
        _ => return Err(not_one_thing()),
    };
    let output = match message {
        Message::Import(content) => {
            caller.require("customs.claim")?;
            claiming::file(customs, cx, caller, content, None)?
        }
        Message::Amendment(content) => amending::amend(customs, cx, caller, *content, None)?,
        Message::Cancellation(content) if content.document.document_type == "IMP" => {
            amending::withdraw(customs, cx, caller, &content)?
        }
        message @ Message::Transport(_) => publish(customs, cx, caller, &message)?,
        message => {
            let published = publish_export(customs, cx, caller, &message)?;
            self::told(&published, &message)
        }
    };
    Ok(show::merge(output, told))
}

/// Returns a message with the declarations of this side under their own numbers.
pub(super) fn named(
    customs: &Customs,
    cx: &Context<'_>,
    mut message: Message,
) -> Result<Message, Rejection> {
    assigned::name(customs, cx.tx, &mut message)?;
    Ok(message)
}

fn not_one_thing() -> Rejection {
    let text = "give exactly one of `declaration`, `xml`, `cancellation`, `amendment` and \
                `transport`";
    refuse(ErrorKind::Invalid, "bad-input", text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    certificate: Option<Value>,
    cancellation: Option<Value>,
    amendment: Option<Value>,
}

/// Issues, changes, replaces or cancels a certificate of origin.
pub(super) fn certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_issue(customs, caller)?;
    let input: Issue = read("certificate", input)?;
    let message = match (input.certificate, input.cancellation, input.amendment) {
        (Some(certificate), None, None) => message(DocumentType::Certificate, certificate)?,
        (None, Some(cancellation), None) => message(DocumentType::Cancellation, cancellation)?,
        (None, None, Some(amendment)) => message(DocumentType::Amendment, amendment)?,
        _ => {
            let text = "give exactly one of `certificate`, `cancellation` and `amendment`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    must_be_about(&message, "COO")?;
    match message {
        Message::Amendment(amendment) => amend_certificate(customs, cx, caller, *amendment),
        message => publish(customs, cx, caller, &message),
    }
}

/// Amends a certificate that was issued through this node.
pub(super) fn amend_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    amendment: Amendment,
) -> Result<Value, Rejection> {
    must_issue(customs, caller)?;
    amending::amend_certificate(customs, cx, caller, amendment)
}

pub(super) fn message(kind: DocumentType, value: Value) -> Result<Message, Rejection> {
    Message::from_value(kind, value).map_err(|error| answer::unreadable(&error))
}

pub(super) fn must_be_about(message: &Message, kind: &str) -> Result<(), Rejection> {
    match message {
        Message::Cancellation(content) if content.document.document_type != kind => {
            let text = format!("this cancels {kind} documents only; correct document/documentType");
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
        Message::Amendment(content) if content.document.document_type != kind => {
            let text = format!("this amends {kind} documents only; correct document/documentType");
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
        Message::Cancellation(_) | Message::Amendment(_) => Ok(()),
        other if other.document_type().code() != kind => Err(unexpected(kind, other)),
        _ => Ok(()),
    }
}

/// Refuses a message of another type than `kind`.
pub(super) fn unexpected(kind: &str, found: &Message) -> Rejection {
    if matches!(found, Message::Amendment(_)) {
        let text = "this amends by pointer (type COR), which does not show the declaration as it \
                    is afterwards; send the whole declaration with the changes under function 5 \
                    and the next VersionID";
        return refuse(ErrorKind::Invalid, "amendment-by-pointer", text);
    }
    let text = format!("a document of type {kind} is expected here, not {}", found.document_type());
    refuse(ErrorKind::Invalid, "bad-input", text)
}

/// Turns what validation wants changed into a refusal of an operation.
pub(super) fn invalid(errors: Vec<ValidationError>) -> Rejection {
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

/// A document that was handed in for the partner.
pub(super) struct Published {
    sent: MessageRecord,
    /// Whether the same was handed in before; then nothing was sent.
    pub(super) is_duplicate: bool,
}

/// Refuses a caller whose member issues no certificates through this node.
fn must_issue(customs: &Customs, caller: &Caller) -> Result<(), Rejection> {
    if customs.config.issuers.contains(&caller.member) {
        return Ok(());
    }
    let text = format!("{} issues no certificates of origin through this node", caller.member);
    Err(refuse(ErrorKind::Forbidden, "not-an-issuer", text))
}

/// Stores our own copy of an export declaration, or its cancellation, and sends it.
pub(super) fn publish_export(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: &Message,
) -> Result<Published, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    must_be_about(message, "EXD")?;
    hand_in(customs, cx, caller, message)
}

/// Stores our own copy of a certificate, or its cancellation, and sends it.
pub(super) fn publish_certificate(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: &Message,
) -> Result<Published, Rejection> {
    must_issue(customs, caller)?;
    must_be_about(message, "COO")?;
    hand_in(customs, cx, caller, message)
}

/// Stores our own copy of a document, sends it to the partner's customs, and says so.
pub(super) fn publish(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: &Message,
) -> Result<Value, Rejection> {
    Ok(told(&hand_in(customs, cx, caller, message)?, message))
}

fn hand_in(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: &Message,
) -> Result<Published, Rejection> {
    hand_in_as(customs, cx, (&caller.member, &signed_by(caller)), message)
}

/// Stores our own copy of a document and sends it in the name of a member, whose person it is that
/// has its say in the history.
pub(super) fn hand_in_as(
    customs: &Customs,
    cx: &mut Context<'_>,
    (member, by): (&MemberId, &str),
    message: &Message,
) -> Result<Published, Rejection> {
    let header = message.header();
    let digest = releasing::digest(customs, cx, member, message)?;
    let code = message.document_type().code();
    let earlier = MessageRecord::of_reference(cx.tx, member, &header.functional_reference_id)?;
    let mut earlier = earlier.into_iter().filter(|sent| sent.direction == Direction::Out);
    if let Some(sent) = earlier.next() {
        if sent.digest == digest && sent.code == code {
            return Ok(Published { sent, is_duplicate: true });
        }
        let text = format!(
            "the reference {} was used before for another content; give each message its own",
            header.functional_reference_id
        );
        return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
    }
    let mut errors = refusals(message, cx.now);
    // What the level does not release is left out when it is sent, and kept here.
    errors.retain(|error| error.rule != "SHARING");
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let subject = subject_of(customs, member, message);
    let sent = answer::send(cx, member, &customs.config.partner, message, &subject)?;
    let sent = releasing::released(customs, cx, sent)?;
    let (delivery, exchange) = (Delivery::Sent, sent.exchange);
    let incoming = Incoming { exchange, sender: member, delivery, by, digest };
    match apply::apply(customs, cx, &incoming, message)? {
        Effect::Applied { .. } | Effect::Late { .. } => Ok(Published { sent, is_duplicate: false }),
        Effect::Refused(errors) => Err(invalid(errors)),
        Effect::Early { waits_for } => {
            let text = format!("there is no {waits_for} here; submit the original first");
            Err(refuse(ErrorKind::NotFound, "no-original", text))
        }
    }
}

fn told(published: &Published, message: &Message) -> Value {
    let Published { sent, is_duplicate } = published;
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
        "duplicate": is_duplicate,
        "flags": show::flags(message, sent.at),
    })
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
