//! Messages of the exchange beside certificates, declarations and results: each is given to the
//! module whose matter it is.

use karvan_subsystem::{Context, Rejection};

use super::apply::Effect;
use super::{Customs, mirrors, risks, statements, verifying};
use crate::journal::{MessageRecord, note};
use crate::messages::Message;

/// Takes a message of the partner up; `None` when it is of another family.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    message: &Message,
) -> Result<Option<Effect>, Rejection> {
    Ok(Some(match message {
        Message::Transport(content) => {
            let effect = keep(cx, record)?;
            risks::on_transport(customs, cx, content, record)?;
            effect
        }
        Message::Query(content) => verifying::asked::take(customs, cx, record, content)?,
        Message::Response(content) => verifying::answered::take(customs, cx, record, content)?,
        Message::Ledger(content) => statements::receive(customs, cx, record, content)?,
        Message::Sequence(_) => keep(cx, record)?,
        Message::Mirror(content) => mirrors::receive(cx, content, record)?,
        Message::Commitment(content) => risks::draws::committed(cx, content, record)?,
        _ => return Ok(None),
    }))
}

/// Keeps a message in the history of what it is about.
fn keep(cx: &mut Context<'_>, record: &MessageRecord) -> Result<Effect, Rejection> {
    let subject = record.subject.clone();
    let text = format!("{} {} received", record.code, record.reference);
    note(cx.tx, cx.now, &subject, record.sender.as_str(), text)?;
    Ok(Effect::Applied { subject })
}
