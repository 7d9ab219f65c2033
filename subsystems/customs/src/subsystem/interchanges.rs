//! EDIFACT interchanges handed in: their declarations are filed and sent, and each is answered.
//!
//! A message that breaks a rule is refused alone and named in the answer (CONTRL); the others are
//! taken. A message that contradicts what is stored refuses the whole interchange, of which then
//! nothing is taken. An interchange that was taken before is answered with code 26 and not
//! processed, after a restart too. One that says that it is a test (0035) is checked only.
//!
//! A cargo report (CUSCAR) is answered by a CUSRES of its own as well, which says what of it waits.
//!
//! Invariants: sender and reference of a taken interchange are remembered in the same transaction
//! as its effects.
//!
//! Not here: the syntax (`crate::edifact`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::operate::{must_act_for, publish, read, signed_by};
use super::receive::refusals;
use super::{Customs, amending, cargo, claiming, show};
use crate::edifact::{
    self, CargoReport, Charset, Content, Control, Directory, Envelope, Header, Imported, Position,
    Received, Rule, Unwritable, Verdict,
};
use crate::formats::Loss;
use crate::messages::{DocumentType, Message};
use crate::national::{Interchange, interchange_key};
use crate::wco::{self, Note};

/// Sequence of the references of answers.
const REFERENCES: &str = "customs_control";
/// Largest number in such a reference, which holds 14 characters.
const REFERENCE_MODULUS: u64 = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Handed {
    /// The interchange, base64.
    interchange: String,
}

/// Takes an interchange.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Handed = read("interchange", input)?;
    let bytes = STANDARD.decode(&input.interchange).map_err(|error| {
        let text = format!("the interchange is not base64: {error}");
        refuse(ErrorKind::Invalid, "bad-input", text)
    })?;
    let context = wco::Context {
        agreement_id: &customs.config.agreement,
        sharing_level: customs.config.sharing_level,
        received_at: cx.now,
        subject: DocumentType::Export,
    };
    let Received { messages, mut control } = edifact::receive(bytes.as_slice(), context)
        .map_err(|error| refuse(error.kind(), "unreadable", error.to_string()))?;
    let header = control.header().clone();
    let before: Option<Interchange> =
        cx.tx.find(interchange_key(&header.sender, &header.reference))?;
    if control.error.is_none() && before.is_some() {
        let position = Position { tag: "UNB".to_owned(), element: 5, ..envelope_position() };
        let rule = Rule::Duplicate(header.reference.clone());
        control.error = Some(edifact::Error { position: Box::new(position), rule });
    }
    let mut rows = Vec::new();
    if control.error.is_none() {
        let messages = acceptable(customs, cx, &mut control, messages);
        if !header.is_test {
            let by = signed_by(caller);
            for (verdict, imported) in messages {
                let reference = &verdict.reference;
                let row = match imported.content {
                    Content::Cargo(report) => {
                        let about = (&header, verdict.kind.directory.as_str());
                        let row = file_cargo(customs, cx, caller, &report, about);
                        row.map(|row| show::merge(row, reading(&imported.not_carried_over, &[])))
                    }
                    Content::Message(message) => file(customs, cx, caller, message).map(|row| {
                        show::merge(row, reading(&imported.not_carried_over, &imported.notes))
                    }),
                };
                let row = row.map_err(|mut refusal| {
                    refusal.text = format!("message {reference}: {}", refusal.text);
                    refusal
                })?;
                rows.push(show::merge(json!({ "message": reference }), row));
            }
            if !rows.is_empty() {
                cx.tx.add(&Interchange {
                    sender: header.sender.clone(),
                    reference: header.reference.clone(),
                    at: cx.now,
                    by,
                    digest: Digest::of(&bytes),
                    imported: None,
                })?;
            }
        }
    }
    Ok(json!({
        "document": "INTERCHANGE",
        "sender": header.sender,
        "reference": header.reference,
        "test": header.is_test,
        "duplicate": before.is_some(),
        "messages": rows,
        "refused": refused(&control),
        "control": STANDARD.encode(answered(cx, &header, |envelope| control.write(envelope))?),
    }))
}

fn envelope_position() -> Position {
    Position { segment: 1, component: 1, ..Position::default() }
}

/// Returns the messages that can be filed; the others are marked as refused.
fn acceptable(
    customs: &Customs,
    cx: &Context<'_>,
    control: &mut Control,
    messages: Vec<Imported>,
) -> Vec<(Verdict, Imported)> {
    let mut kept = Vec::new();
    let taken = control.verdicts.iter_mut().filter(|verdict| verdict.error.is_none());
    for (verdict, imported) in taken.zip(messages) {
        let rule = match &imported.content {
            Content::Message(
                message @ (Message::Export(_) | Message::Import(_) | Message::Cancellation(_)),
            ) => refusals(message, cx.now).into_iter().next().map(|error| Rule::Value {
                field: error.pointer,
                value: String::new(),
                rule: error.remedy,
            }),
            Content::Cargo(report) => {
                cargo::transport(customs, cx.now, report).err().map(|refusal| Rule::Content {
                    document_type: "transport report",
                    rule: refusal.text,
                })
            }
            Content::Message(_) => Some(Rule::NotFiled(verdict.kind.name.clone())),
        };
        match rule {
            None => kept.push((verdict.clone(), imported)),
            Some(rule) => {
                let position = Position {
                    tag: "UNH".to_owned(),
                    message: verdict.reference.clone(),
                    segment_in_message: 1,
                    ..Position::default()
                };
                verdict.error = Some(edifact::Error { position: Box::new(position), rule });
            }
        }
    }
    kept
}

fn file(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    mut message: Message,
) -> Result<Value, Rejection> {
    amending::name_subject(customs, cx, &mut message)?;
    match message {
        Message::Import(content) => {
            caller.require("customs.claim")?;
            claiming::file(customs, cx, caller, content, None)
        }
        Message::Cancellation(content) if content.document.document_type == "IMP" => {
            amending::withdraw(customs, cx, caller, &content)
        }
        message => publish(customs, cx, caller, &message),
    }
}

/// Files a cargo report, and writes the CUSRES that answers it in the directory of the report.
fn file_cargo(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    report: &CargoReport,
    (header, directory): (&Header, &str),
) -> Result<Value, Rejection> {
    let filed = cargo::file(customs, cx, &signed_by(caller), report)?;
    let answer = cargo::answer(cx, report, filed.remarks)?;
    let content = Content::Message(Message::Validation(Box::new(answer)));
    let directory = Directory::from_name(directory).unwrap_or(Directory::D96B);
    let bytes = answered(cx, header, |envelope| {
        edifact::write(&content, directory, envelope).map(|written| written.bytes)
    })?;
    Ok(show::merge(filed.told, json!({ "answer": STANDARD.encode(bytes) })))
}

/// Tells what was read.
fn reading(not_carried_over: &[Loss], notes: &[Note]) -> Value {
    let lost: Vec<Value> = (not_carried_over.iter())
        .map(|loss| json!({ "path": loss.field, "line": null, "value": loss.why }))
        .collect();
    let notes: Vec<Value> =
        notes.iter().map(|note| json!({ "path": note.path, "text": note.text })).collect();
    json!({ "notCarriedOver": lost, "notes": notes })
}

fn refused(control: &Control) -> Value {
    let row = |message: Option<&str>, error: &edifact::Error| {
        let code = error.rule.code();
        json!({ "message": message, "code": code, "error": error.to_string() })
    };
    let whole = control.error.iter().map(|error| row(None, error));
    let messages = control
        .verdicts
        .iter()
        .filter_map(|verdict| Some(row(Some(verdict.reference.as_str()), verdict.error.as_ref()?)));
    whole.chain(messages).collect()
}

/// Writes an answer in the sender's repertoire, or in UTF-8 where that lacks a character.
fn answered(
    cx: &mut Context<'_>,
    header: &Header,
    write: impl Fn(&Envelope<'_>) -> Result<Vec<u8>, Unwritable>,
) -> Result<Vec<u8>, Rejection> {
    let number = cx.tx.next(REFERENCES)? % REFERENCE_MODULUS;
    let reference = format!("{}{number:04}", cx.now.as_millis() / 1000);
    let envelope = |charset| Envelope {
        charset,
        sender: &header.recipient,
        recipient: &header.sender,
        reference: &reference,
        prepared_at: cx.now,
    };
    write(&envelope(header.charset))
        .or_else(|_| write(&envelope(Charset::Y)))
        .map_err(|error| refuse(error.kind(), "unanswerable", error.to_string()))
}
