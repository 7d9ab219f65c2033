//! Rules of verification queries and their answers.

use karvan_types::Timestamp;

use super::super::Problems;
use super::result::reference;
use super::{FUTURE_MAX, ITEMS_MAX, sequence};
use crate::messages::{
    DocumentType, QueryReason, VerificationOutcome, VerificationQuery, VerificationResponse,
};

/// Most questions in one query.
const QUESTIONS_MAX: usize = 50;
/// Most reasons of one query.
const REASONS_MAX: usize = 10;

/// Checks a query.
pub(super) fn query(message: &VerificationQuery, problems: &mut Problems) {
    reference("certificate", &message.certificate, &[DocumentType::Certificate], problems);
    if let Some(claim) = &message.claim {
        reference("claim", claim, &[DocumentType::Import], problems);
    }
    if message.reasons.is_empty() || message.reasons.len() > REASONS_MAX {
        let remedy = format!("give 1 to {REASONS_MAX} reasons of the list");
        problems.refuse("reasons", "REASON", remedy);
    }
    if message.reasons.contains(&QueryReason::Other) && message.statement.is_none() {
        let remedy = "another reason than the listed ones is given in words";
        problems.refuse("StatementDescription", "REASON", remedy);
    }
    if message.items.len() > ITEMS_MAX {
        let remedy = format!("a query names at most {ITEMS_MAX} items; name none to mean all");
        problems.refuse("items", "ITEMS", remedy);
    }
    if message.questions.len() > QUESTIONS_MAX {
        let remedy = format!("a query has at most {QUESTIONS_MAX} questions; join some");
        problems.refuse("questions", "ITEMS", remedy);
    }
    sequence("questions", message.questions.iter().map(|question| question.number), problems);
    if message.due_date < message.header.issue_date_time.utc_date() {
        problems.refuse("dueDate", "DATE", "the answer is due before the query; correct the date");
    }
}

/// Checks an answer.
pub(super) fn response(message: &VerificationResponse, now: Timestamp, problems: &mut Problems) {
    use VerificationOutcome as V;
    reference("query", &message.query, &[DocumentType::Query], problems);
    reference("certificate", &message.certificate, &[DocumentType::Certificate], problems);
    if message.answer_date > now.plus(FUTURE_MAX).utc_date() {
        problems.refuse("answerDate", "DATE", "the answer lies in the future; correct the date");
    }
    if message.outcome != V::Confirmed && message.statement.is_none() {
        let remedy = "an answer that does not confirm all needs its grounds in words";
        problems.refuse("StatementDescription", "REASON", remedy);
    }
    match (message.outcome, message.final_expected) {
        (V::Interim, None) => {
            let remedy = "an interim answer says by which day the final one is expected";
            problems.refuse("finalExpected", "REQUIRED", remedy);
        }
        (V::Interim, Some(day)) if day < message.answer_date => {
            let remedy = "the final answer is expected before this one; correct the date";
            problems.refuse("finalExpected", "DATE", remedy);
        }
        (V::Interim, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            let remedy = "a final answer expects no other; leave the day out";
            problems.refuse("finalExpected", "DATE", remedy);
        }
    }
    if message.outcome == V::Partly && message.items.is_empty() {
        let remedy = "an answer in part says which items are confirmed; list them";
        problems.refuse("items", "ITEMS", remedy);
    }
    if message.items.len() > ITEMS_MAX || message.answers.len() > QUESTIONS_MAX {
        let remedy = format!("at most {ITEMS_MAX} items and {QUESTIONS_MAX} answers fit");
        problems.refuse("items", "ITEMS", remedy);
    }
    for (item, number) in message.items.iter().zip(1..) {
        let pointer = format!("items[{number}]");
        let fits = match message.outcome {
            V::Confirmed | V::NotConfirmed => item.outcome == message.outcome,
            V::Partly => item.outcome != V::Interim,
            V::Interim => true,
        };
        if !fits {
            let remedy = "the result of the item contradicts that of the whole; correct one";
            problems.refuse(&format!("{pointer}/outcome"), "OUTCOME", remedy);
        }
    }
}
