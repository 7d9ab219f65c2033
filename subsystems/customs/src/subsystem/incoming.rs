//! Messages of the exchange beside certificates, declarations and results: each is given to the
//! module whose matter it is.

use karvan_subsystem::{Context, Rejection};

use super::apply::Effect;
use super::{Customs, mirrors, risks, sequence, statements, suspending, verifying};
use crate::journal::MessageRecord;
use crate::messages::Message;

/// Takes a message of the partner up; `None` when it is of another family.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &MessageRecord,
    message: &Message,
) -> Result<Option<Effect>, Rejection> {
    Ok(Some(match message {
        Message::Query(content) => verifying::asked::take(customs, cx, record, content)?,
        Message::Response(content) => verifying::answered::take(customs, cx, record, content)?,
        Message::Cancellation(content) if content.document.document_type == "QRY" => {
            suspending::told(cx, record, content)?
        }
        Message::Ledger(content) => statements::receive(customs, cx, record, content)?,
        Message::Sequence(content) => sequence::receive(customs, cx, record, content)?,
        Message::Mirror(content) => mirrors::receive(customs, cx, content, record)?,
        Message::Commitment(content) => risks::draws::committed(cx, content, record)?,
        _ => return Ok(None),
    }))
}
