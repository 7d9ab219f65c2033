//! AMD: changes of a certificate or an export declaration by pointer, from the partner or ours.
//!
//! The amendment is applied to the newest version, and the result is taken like a whole new
//! version: every rule holds for it, earlier versions stay visible. An export declaration is
//! changed by WCO pointers, a certificate, which has no WCO form, by the paths of its fields.
//!
//! Invariant: an amendment counts on the version right before its own; one that comes before that
//! version waits for it.

use karvan_subsystem::{Context, Rejection};
use serde_json::Value;

use super::Customs;
use super::apply::{self, Effect, Incoming, certificate_subject, export_subject, refused};
use super::receive::refusals;
use crate::certificate::{Certificate, CertificateNumber};
use crate::export::{Export, export_key};
use crate::messages::{AmendedValue, Amendment, FunctionCode, Header, Message};
use crate::wco;

/// Takes an amendment into account.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    incoming: &Incoming<'_>,
    content: &Amendment,
) -> Result<Effect, Rejection> {
    let country = incoming.sender.instance();
    let (base, subject) = match content.document.document_type.as_str() {
        "EXD" => {
            let key = export_key(country, &content.document.id);
            let export: Option<Export> = cx.tx.find(key.as_str())?;
            let base = export.and_then(|export| export.content().cloned());
            (base.map(|base| Message::Export(Box::new(base))), export_subject(&key))
        }
        "COO" => {
            let number = match CertificateNumber::parse(&content.document.id) {
                Ok(number) => number,
                Err(error) => return Ok(refused("document/ID", "NUMBER", error.to_string())),
            };
            let key = number.key(country);
            let certificate: Option<Certificate> = cx.tx.find(key.as_str())?;
            let base = certificate.and_then(|certificate| certificate.content().cloned());
            (base.map(|base| Message::Certificate(Box::new(base))), certificate_subject(&key))
        }
        _ => {
            let remedy = "only a COO or an EXD is amended between the two sides";
            return Ok(refused("document/documentType", "TYPE", remedy));
        }
    };
    let Some(base) = base else { return Ok(Effect::Early { waits_for: subject }) };
    let (latest, next) = (base.header().version_id, content.header.version_id);
    if next <= latest {
        let remedy = format!("version {latest} is here already; amend that one");
        return Ok(refused("VersionID", "VERSION", remedy));
    }
    if next > latest + 1 {
        // It changes a version that has not come.
        return Ok(Effect::Early { waits_for: subject });
    }
    let amended = match &base {
        Message::Certificate(_) => by_paths(&base, content),
        _ => by_pointers(&base, content),
    };
    let amended = match amended {
        Ok(amended) => amended,
        Err(effect) => return Ok(effect),
    };
    let errors = refusals(&amended, cx.now);
    if !errors.is_empty() {
        return Ok(Effect::Refused(errors));
    }
    apply::apply(customs, cx, incoming, &amended)
}

/// Applies an amendment by its pointers. The partner's values are taken as a whole or not at all.
fn by_pointers(base: &Message, content: &Amendment) -> Result<Message, Effect> {
    let amended = wco::amend(base, content)
        .map_err(|error| refused("Amendment", "POINTER", error.to_string()))?;
    match amended.not_carried_over.first() {
        None => Ok(amended.message),
        Some(loss) => {
            let text = format!(
                "no pointer reaches the new value of {}, or it has no place; point at it or leave \
                 it out",
                loss.path
            );
            Err(refused("values", "POINTER", text))
        }
    }
}

/// Writes the new values of an amendment into the certificate and reads it again, strictly.
pub(super) fn by_paths(base: &Message, content: &Amendment) -> Result<Message, Effect> {
    let trouble = |pointer: String, text: String| refused(&pointer, "POINTER", text);
    let mut value =
        base.to_value().map_err(|error| trouble("document".to_owned(), error.to_string()))?;
    if content.values.is_empty() {
        let text = "the amendment of a certificate gives each new value with its path";
        return Err(trouble("values".to_owned(), text.to_owned()));
    }
    for (change, number) in content.values.iter().zip(1..) {
        let pointer = format!("values[{number}]/path");
        write(&mut value, change).map_err(|text| trouble(pointer, text))?;
    }
    renew(&mut value, &content.header);
    let code = base.document_type().code();
    let text = serde_json::to_vec(&value).unwrap_or_default();
    Message::parse(code, &text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let text = format!("the amended certificate cannot be read{}", cause.unwrap_or_default());
        trouble("values".to_owned(), text)
    })
}

/// Sets the field at a path such as `GovernmentAgencyGoodsItem[2]/quantity/value`.
fn write(value: &mut Value, change: &AmendedValue) -> Result<(), String> {
    /// Fields of the header that an amendment sets by itself.
    const HEADER: [&str; 5] =
        ["ID", "VersionID", "FunctionCode", "FunctionalReferenceID", "TypeCode"];
    let path = &change.path;
    if HEADER.contains(&path.as_str()) {
        return Err(format!("{path} is not amended; it follows from the amendment itself"));
    }
    let (outer, last) = path.rsplit_once('/').unwrap_or(("", path));
    let mut place = value;
    for step in outer.split('/').filter(|step| !step.is_empty()) {
        let (name, index) = match step.strip_suffix(']').and_then(|step| step.split_once('[')) {
            Some((name, index)) => (name, index.parse::<usize>().ok()),
            None => (step, None),
        };
        let missing = || format!("the certificate has no {step} of {path}; correct the path");
        place = place.get_mut(name).ok_or_else(missing)?;
        if let Some(index) = index {
            place = place.get_mut(index.wrapping_sub(1)).ok_or_else(missing)?;
        }
    }
    let Some(members) = place.as_object_mut() else {
        return Err(format!("{path} is not the path of a field; correct it"));
    };
    let new = match members.get(last) {
        Some(Value::Number(_)) => change
            .value
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| format!("{path} takes a whole number"))?,
        Some(Value::String(_)) | None => Value::from(change.value.as_str()),
        Some(_) => return Err(format!("{path} has parts; name the part that changes")),
    };
    members.insert(last.to_owned(), new);
    Ok(())
}

/// Gives the certificate the header of its new version.
fn renew(value: &mut Value, header: &Header) {
    let Some(members) = value.as_object_mut() else { return };
    let mut set = |name: &str, value: Value| drop(members.insert(name.to_owned(), value));
    set("VersionID", header.version_id.into());
    set("FunctionCode", FunctionCode::Replace.code().into());
    set("FunctionalReferenceID", header.functional_reference_id.as_str().into());
}
