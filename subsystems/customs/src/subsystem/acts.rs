//! The three acts that answer a message: receipt, validation, decision. Each is somebody else's
//! signature; which of them exist, when and by whom.

use karvan_store::Read;
use karvan_subsystem::Rejection;
use serde_json::{Value, json};

use super::show::{json_of, merge};
use crate::contact::Receipt;
use crate::decision::DecisionRecord;
use crate::journal::{Direction, MessageRecord, MessageState};
use crate::messages::{DocumentReference, Message};

/// Shows messages of a subject without their bodies, each with its three acts.
pub(super) fn messages(
    view: &dyn Read,
    messages: &[MessageRecord],
    decisions: &[DecisionRecord],
) -> Result<Vec<Value>, Rejection> {
    let answers: Vec<Answer<'_>> = messages.iter().filter_map(Answer::of).collect();
    let decision = decisions.last().map(|decision| {
        json!({
            "state": json_of(&decision.decision),
            "at": decision.at,
            "by": decision.officer,
        })
    });
    // The exporting side has no decision of its own; the result that came tells it.
    let results = messages.iter().filter(|m| m.code == "UTL" && m.direction == Direction::In);
    let told = results
        .max_by_key(|message| message.at)
        .map(|message| json!({ "state": "told", "at": message.at, "by": message.sender }));
    let decision = decision.or(told);
    let mut shown = Vec::new();
    for message in messages {
        let mut acts = json!({ "receipt": receipt(view, message)? });
        if message.code != "VAL" {
            let validation = answers.iter().rev().find(|answer| answer.is_to(message));
            let validation = validation.map(|answer| {
                json!({
                    "state": answer.state,
                    "at": answer.record.at,
                    "by": answer.record.sender,
                    "exchange": answer.record.exchange,
                })
            });
            acts = merge(acts, json!({ "validation": validation }));
        }
        let decides = matches!(message.code.as_str(), "COO" | "EXD" | "UTL");
        if decides && message.state != MessageState::Rejected {
            let own = (message.code == "UTL")
                .then(|| json!({ "state": "told", "at": message.at, "by": message.sender }));
            acts = merge(acts, json!({ "decision": own.or_else(|| decision.clone()) }));
        }
        let mut row = json_of(message);
        if let Some(members) = row.as_object_mut() {
            members.remove("raw");
            members.insert("acts".to_owned(), acts);
        }
        shown.push(row);
    }
    Ok(shown)
}

/// The receipt of a message: what the partner's node signed for ours, what ours signed for theirs.
fn receipt(view: &dyn Read, message: &MessageRecord) -> Result<Value, Rejection> {
    if message.direction == Direction::In {
        return Ok(json!({ "state": "given", "at": message.at, "by": message.recipient }));
    }
    let receipt: Option<Receipt> = view.find(message.exchange.to_string())?;
    let Some(receipt) = receipt else { return Ok(Value::Null) };
    if let Some(refused) = &receipt.refused {
        return Ok(json!({ "state": "refused", "text": refused }));
    }
    let handed_over = receipt.handed_over_at;
    Ok(receipt.stored.map_or(Value::Null, |stored| {
        json!({
            "state": if handed_over.is_some() { "handed-over" } else { "stored" },
            "at": stored.at,
            "by": stored.by,
            "handedOverAt": handed_over,
        })
    }))
}

/// A validation among the messages.
struct Answer<'a> {
    record: &'a MessageRecord,
    about: DocumentReference,
    state: Value,
}

impl<'a> Answer<'a> {
    fn of(record: &'a MessageRecord) -> Option<Self> {
        if record.code != "VAL" {
            return None;
        }
        match Message::parse("VAL", record.raw.as_bytes()) {
            Ok(Message::Validation(content)) => {
                let state = json_of(&content.outcome);
                Some(Self { record, about: content.document, state })
            }
            _ => None,
        }
    }

    fn is_to(&self, message: &MessageRecord) -> bool {
        self.record.sender == message.recipient
            && self.about.document_type == message.code
            && self.about.functional_reference_id.as_deref() == Some(message.reference.as_str())
    }
}
