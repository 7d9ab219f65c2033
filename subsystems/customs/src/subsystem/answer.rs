//! Messages that this side writes itself: validations and results, and the record of what is sent.

use karvan_subsystem::{Context, Outgoing, Pointer, Rejection};
use karvan_types::{Digest, ErrorKind, MemberId};

use crate::journal::{Direction, MessageRecord, MessageState};
use crate::messages::{
    DocumentReference, FunctionCode, Header, Message, Outcome, Validation, ValidationError,
};

use super::offers::CONTENT_TYPE;
use super::{Customs, waiting};

/// UN/EDIFACT 1001: general response of customs.
pub(super) const RESPONSE_TYPE_CODE: &str = "961";
/// Rule of a remark with which a message is accepted: what it changes is decided already.
pub(super) const REMARK: &str = "LATE";
/// Sequence of the references that this side gives to its own messages.
const REFERENCES: &str = "customs_reference";

/// Returns a reference that this side has never used, not even before an older state of its store
/// was restored from a backup.
pub(super) fn next_reference(cx: &mut Context<'_>, prefix: &str) -> Result<String, Rejection> {
    Ok(format!("{prefix}-{}-{}", cx.now.as_millis(), cx.tx.next(REFERENCES)?))
}

/// Sends a message; returns its record.
pub(super) fn send(
    cx: &mut Context<'_>,
    from: &MemberId,
    to: &MemberId,
    message: &Message,
    subject: &str,
) -> Result<MessageRecord, Rejection> {
    let body = message.to_canonical().map_err(|error| unreadable(&error))?;
    let code = message.document_type().code();
    let exchange = cx.send(Outgoing {
        sender: from.clone(),
        recipient: to.clone(),
        code,
        content_type: CONTENT_TYPE,
        body: body.clone(),
    });
    let record = MessageRecord {
        exchange,
        direction: Direction::Out,
        code: code.to_owned(),
        sender: from.clone(),
        recipient: to.clone(),
        reference: message.header().functional_reference_id.clone(),
        subject: subject.to_owned(),
        at: cx.now,
        state: MessageState::Sent,
        errors: Vec::new(),
        digest: Digest::of(&body),
        raw: String::from_utf8_lossy(&body).into_owned(),
    };
    cx.tx.add(&record)?;
    waiting::sent(cx, &record)?;
    Ok(record)
}

/// Returns whether the agreement lets our customs send documents of a type to the partner's. What
/// the clock sends is left out where it does not.
pub(super) fn may_send(customs: &Customs, cx: &Context<'_>, code: &str) -> bool {
    cx.allows(&customs.config.customs, &customs.config.partner, code)
}

/// Tells the sender of a business message that it was accepted, or what to change.
pub(super) fn validate(
    cx: &mut Context<'_>,
    from: &MemberId,
    to: &MemberId,
    message: &Message,
    subject: &str,
    errors: Vec<ValidationError>,
) -> Result<(), Rejection> {
    let header = message.header();
    let reference = next_reference(cx, "VAL")?;
    let refused = errors.iter().any(|error| error.rule != REMARK);
    let outcome = if refused { Outcome::Rejected } else { Outcome::Accepted };
    let validation = Validation {
        header: answer_header(cx, header, reference),
        document: DocumentReference {
            document_type: message.document_type().code().to_owned(),
            id: header.id.clone(),
            version_id: Some(header.version_id),
            functional_reference_id: Some(header.functional_reference_id.clone()),
            effective_date: None,
        },
        outcome,
        errors,
    };
    send(cx, from, to, &Message::Validation(Box::new(validation)), subject)?;
    Ok(())
}

/// Returns the header of an answer to a document with this header.
pub(super) fn answer_header(cx: &Context<'_>, of: &Header, reference: String) -> Header {
    Header {
        function_code: FunctionCode::Response,
        id: reference.clone(),
        functional_reference_id: reference,
        type_code: RESPONSE_TYPE_CODE.to_owned(),
        version_id: 1,
        issue_date_time: cx.now,
        agreement_id: of.agreement_id.clone(),
        sharing_level: of.sharing_level,
    }
}

/// A message that cannot be read as its type.
pub(super) fn unreadable(error: &crate::messages::Error) -> Rejection {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let text = format!("{error}{}", cause.unwrap_or_default());
    let rejection = Rejection::new(error.kind(), "customs.unreadable", text);
    match error {
        crate::messages::Error::Misfit { source, .. } => {
            rejection.with_pointers(vec![source.to_pointer()])
        }
        _ => rejection,
    }
}

/// A refusal with one code and text.
pub(super) fn refuse(kind: ErrorKind, code: &str, text: impl Into<String>) -> Rejection {
    Rejection::new(kind, format!("customs.{code}"), text)
}

/// Adds to a refusal which value of the input it is about, by name, and the rule that it breaks.
pub(super) fn about(member: &str, rule: &str, refusal: Rejection) -> Rejection {
    let (pointer, rule) = (format!("/{member}"), rule.to_owned());
    let remedy = refusal.text.clone();
    refusal.with_pointers(vec![Pointer { pointer, rule, remedy }])
}

/// Adds to the refusal of a file, which came as `text`, what is wrong with it line by line.
pub(super) fn with_problems<P: ToString>(
    refusal: Rejection,
    rule: &str,
    problems: &[P],
) -> Rejection {
    let pointers = problems.iter().map(|problem| Pointer {
        pointer: "/text".to_owned(),
        rule: rule.to_owned(),
        remedy: problem.to_string(),
    });
    refusal.with_pointers(pointers.collect())
}
