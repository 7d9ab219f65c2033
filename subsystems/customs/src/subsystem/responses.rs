//! Responses of a national customs system (WCO RES), handed in like declarations.
//!
//! A response is kept with the declaration that it answers, told in its history, and opens a task
//! when somebody has to act: a rejection, wanted documents, a correction, a cancellation, a sum to
//! pay. It decides nothing here: the two customs services decide with `decide`, and tell each other
//! with UTL and CXL. The number that it assigns is learnt (`super::assigned`).
//!
//! Not here: reading the XML (`crate::wco::import_response`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind};
use serde_json::{Value, json};

use super::answer::refuse;
use super::apply::export_subject;
use super::assess::claim_subject;
use super::operate::signed_by;
use super::{Customs, assigned, cargo, show};
use crate::claim::{Claim, claim_key};
use crate::export::{Export, export_key};
use crate::journal::{Direction, MessageRecord, TaskKind, note, open_task};
use crate::national::ResponseRecord;
use crate::wco::{Answered, FUNCTIONS, ImportedResponse, Response};

/// Function codes after which somebody has to act.
const TO_ACT_ON: [&str; 6] = ["03", "06", "07", "10", "14", "15"];
/// Most responses that are shown of one declaration.
const SHOWN_MAX: usize = 200;

/// Keeps a response with the declaration that it names.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    xml: &str,
    imported: ImportedResponse,
) -> Result<Value, Rejection> {
    let ImportedResponse { response, not_carried_over, .. } = imported;
    let digest = Digest::of(xml.as_bytes());
    let lost: Vec<Value> = (not_carried_over.iter())
        .map(|loss| json!({ "path": loss.path, "line": loss.line, "value": loss.value }))
        .collect();
    let told = |record: &ResponseRecord, duplicate: bool| {
        json!({
            "document": "RES",
            "about": record.subject,
            "meaning": record.meaning,
            "response": show::json_of(&record.response),
            "duplicate": duplicate,
            "notCarriedOver": lost,
        })
    };
    let reference = response.functional_reference_id.clone();
    if let Some(before) = cx.tx.find::<ResponseRecord>(reference.as_str())? {
        if before.digest == digest {
            return Ok(told(&before, true));
        }
        let text = format!("the response {reference} was handed in before with another content");
        return Err(refuse(ErrorKind::Conflict, "reference-reused", text));
    }
    let Some(subject) = subject(customs, cx, &response.declaration)? else {
        let number = response.declaration.id.as_deref();
        let number = number.or(response.declaration.functional_reference_id.as_deref());
        let text = format!(
            "there is no declaration {} here; hand in the declaration before its response",
            number.unwrap_or("without number")
        );
        return Err(refuse(ErrorKind::NotFound, "no-original", text));
    };
    let code = response.function_code.as_str();
    let meaning = FUNCTIONS.iter().find(|(known, _)| *known == code);
    let meaning = meaning.map_or("unknown", |(_, meaning)| meaning).to_owned();
    let by = signed_by(caller);
    assigned::learn(cx, &subject, &response, &by)?;
    if let (Some(number), Some(export)) =
        (&response.declaration.id, subject.strip_prefix("export "))
    {
        cargo::numbered(customs, cx, number, export)?;
    }
    let text = format!("response {code}, {meaning}{}", detail(&response));
    note(cx.tx, cx.now, &subject, &by, text.clone())?;
    if TO_ACT_ON.contains(&code) {
        open_task(cx.tx, cx.now, TaskKind::NationalResponse, &subject, text)?;
    }
    let record = ResponseRecord { reference, subject, meaning, at: cx.now, by, digest, response };
    cx.tx.add(&record)?;
    Ok(told(&record, false))
}

/// Finds the declaration: by its number, or by the reference under which it was handed in.
fn subject(
    customs: &Customs,
    cx: &Context<'_>,
    declaration: &Answered,
) -> Result<Option<String>, Rejection> {
    let nation = customs.config.nation();
    let (number, reference) = (&declaration.id, &declaration.functional_reference_id);
    for name in number.iter().chain(reference) {
        let key = export_key(nation, name);
        if cx.tx.find::<Export>(key.as_str())?.is_some() {
            return Ok(Some(export_subject(&key)));
        }
        let key = claim_key(name);
        if cx.tx.find::<Claim>(key.as_str())?.is_some() {
            return Ok(Some(claim_subject(&key)));
        }
    }
    for name in number.iter().chain(reference) {
        for named in [export_subject(&export_key(nation, name)), claim_subject(&claim_key(name))] {
            if let Some(led) = assigned::subject(cx.tx, &named)? {
                return Ok(Some(led));
            }
        }
    }
    let Some(reference) = reference else { return Ok(None) };
    let sent = MessageRecord::of_reference(cx.tx, &customs.config.customs, reference)?;
    let declared = sent.into_iter().find(|m| m.direction == Direction::Out && m.code == "EXD");
    Ok(declared.map(|message| message.subject))
}

/// Says the first things that matter: errors, statements with their limits, sums to pay.
fn detail(response: &Response) -> String {
    let errors = response.error.iter().map(|error| {
        let code = error.validation_code.as_deref().unwrap_or("error");
        format!("{code} {}", error.description.as_deref().unwrap_or_default())
    });
    let statements = response.additional_information.iter().filter_map(|statement| {
        let text =
            statement.statement_description.as_deref().or(statement.statement_code.as_deref());
        let limit = statement.limit_date_time.map(|limit| format!(" until {limit}"));
        Some(format!("{}{}", text?, limit.unwrap_or_default()))
    });
    let payments = response.declaration.duty_tax_fee.iter().filter_map(|due| {
        let payment = due.payment.as_ref()?;
        Some(format!("to pay {}", payment.payment_amount.as_ref()?))
    });
    let written_off = response.declaration.goods_shipment.iter().flat_map(|shipment| {
        shipment.government_agency_goods_item.iter().flat_map(|item| {
            item.additional_document.iter().filter_map(|document| {
                let quantity = document.write_off.as_ref()?.quantity.as_ref()?;
                Some(format!("{quantity} written off {}", document.id))
            })
        })
    });
    let all: Vec<String> =
        errors.chain(statements).chain(payments).chain(written_off).take(5).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join("; ").trim()) }
}

/// Returns the responses about a declaration, oldest first.
pub(super) fn about(view: &dyn Read, subject: &str) -> Result<Value, Rejection> {
    let range = Range::of("by_subject", vec![subject.into()], SHOWN_MAX);
    let mut found: Vec<ResponseRecord> = view.select(&range)?;
    found.sort_by_key(|record| record.at);
    Ok(show::json_of(&found))
}
