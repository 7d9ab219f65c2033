//! Operations that only read: show, list, and the JSON in which things are shown.

use karvan_store::{Range, Read, Record};
use karvan_subsystem::Rejection;
use karvan_types::{Date, ErrorKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::refuse;
use super::apply::{certificate_subject, export_subject};
use super::assess::{self, claim_subject};
use super::listed::What;
use super::operate::read;
use super::{Customs, acts, assigned, audit, invoices, parking, responses, risks};
use crate::certificate::{Certificate, CertificateNumber, Debit, LedgerItem, Version};
use crate::claim::{Claim, ClaimItem, assessments};
use crate::decision::{DecisionRecord, Utilisation, Verdict};
use crate::explain;
use crate::export::{CANDIDATES_MAX, Export, Link, export_key, quoted, ucr_of};
use crate::journal::{Event, MessageRecord, Task};
use crate::matching::local_date;
use crate::messages::Message;
use crate::timers;
use crate::transport::Report;
use crate::validate::{Severity, placeholders, validate};
use crate::words::Language;

/// Most lines of a history, ledger or list that are shown when nothing is said.
const SHOWN: usize = 200;
/// Most that can be asked for.
const SHOWN_MAX: usize = 1000;

/// Writes anything that has a JSON form.
pub(super) fn json_of<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Showing {
    certificate: Option<String>,
    export: Option<String>,
    claim: Option<String>,
    consignment: Option<String>,
    invoice: Option<String>,
}

/// Shows one thing with everything known about it.
pub(super) fn show(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Showing = read("show", input)?;
    let things = (input.certificate, input.export, input.claim, input.consignment, input.invoice);
    match things {
        (Some(number), None, None, None, None) => show_certificate(customs, view, now, &number),
        (None, Some(number), None, None, None) => show_export(customs, view, &number),
        (None, None, Some(number), None, None) => {
            show_claim(view, now, &assigned::claim(view, &number)?)
        }
        (None, None, None, Some(ucr), None) => show_consignment(view, now, customs, &ucr),
        (None, None, None, None, Some(invoice)) => invoices::show(view, &invoice),
        _ => {
            let text = "give exactly one of `certificate`, `export`, `claim`, `consignment` and \
                        `invoice`";
            Err(refuse(ErrorKind::Invalid, "bad-input", text))
        }
    }
}

/// Returns the rows of `index` that equal `value`, at most [`SHOWN_MAX`].
fn rows<R: Record>(view: &dyn Read, index: &'static str, value: &str) -> Result<Vec<R>, Rejection> {
    Ok(view.select(&Range::of(index, vec![value.into()], SHOWN_MAX))?)
}

/// The history, messages and tasks of a subject, the messages without their bodies.
pub(super) fn papers(
    view: &dyn Read,
    subject: &str,
    decisions: &[DecisionRecord],
) -> Result<Value, Rejection> {
    let messages: Vec<MessageRecord> = rows(view, "by_subject", subject)?;
    let timers = timers::list(view, Some(subject), SHOWN)?;
    Ok(json!({
        "history": json_of(&rows::<Event>(view, "by_subject", subject)?),
        "messages": acts::messages(view, &messages, decisions)?,
        "tasks": json_of(&rows::<Task>(view, "by_subject", subject)?),
        "timers": json_of(&timers),
    }))
}

/// Returns the decisions about claimed items, the oldest first.
fn decisions_of(view: &dyn Read, items: &[ClaimItem]) -> Result<Vec<DecisionRecord>, Rejection> {
    let mut decisions: Vec<DecisionRecord> = Vec::new();
    let mut claims: Vec<&str> = items.iter().map(|item| item.claim.as_str()).collect();
    claims.dedup();
    for claim in claims {
        let made: Vec<DecisionRecord> = rows(view, "by_claim", claim)?;
        let about = |made: &DecisionRecord| items.iter().any(|item| item.item == made.item);
        decisions.extend(made.into_iter().filter(about));
    }
    decisions.sort_by_key(|decision| decision.at);
    Ok(decisions)
}

/// Adds the members of one object to another.
pub(super) fn merge(mut into: Value, from: Value) -> Value {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
    into
}

/// Returns what the rules flag about a message: it is kept, and an officer has a look.
pub(super) fn flags(message: &Message, at: Timestamp) -> Value {
    let problems = validate(message, at).into_iter();
    let flags = problems.filter(|problem| problem.severity == Severity::Flag);
    flags
        .map(|flag| json!({ "pointer": flag.pointer, "rule": flag.rule, "text": flag.remedy }))
        .collect()
}

fn version<T: Clone + Serialize>(
    version: &Version<T>,
    message: impl FnOnce(Box<T>) -> Message,
) -> Value {
    let message = message(Box::new(version.content.clone()));
    let content = json_of(&version.content);
    json!({
        "version": message.header().version_id,
        "placeholders": placeholders::found(&content),
        "flags": flags(&message, version.at),
        "at": version.at,
        "function": version.function.code(),
        "digest": version.digest,
        "exchange": version.exchange,
        "content": content,
    })
}

fn show_certificate(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    number: &str,
) -> Result<Value, Rejection> {
    let number = CertificateNumber::parse(number)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    let nations = [customs.config.partner_nation(), customs.config.nation()];
    let mut found: Option<Certificate> = None;
    for nation in nations {
        if found.is_none() {
            found = view.find(number.key(nation))?;
        }
    }
    let Some(certificate) = found else {
        let text = format!("no certificate {number} is here; check the number and its issuer");
        return Err(refuse(ErrorKind::NotFound, "unknown-certificate", text));
    };
    let key = certificate.id();
    let versions: Vec<Value> =
        certificate.versions.iter().map(|v| version(v, Message::Certificate)).collect();
    let claims: Vec<ClaimItem> = rows(view, "by_certificate", &key)?;
    let exports: Vec<String> =
        view.select::<Link>(&Link::range(&key))?.into_iter().map(|link| link.export).collect();
    let day = local_date(now, customs.config.nation());
    let shown = json!({
        "certificate": certificate_summary(&certificate, day),
        "versions": versions,
        "debits": json_of(&rows::<Debit>(view, "by_certificate", &key)?),
        "utilisations": json_of(&rows::<Utilisation>(view, "by_certificate", &key)?),
        "claims": claims.iter().map(item_summary).collect::<Vec<_>>(),
        "exports": exports,
    });
    Ok(merge(shown, papers(view, &certificate_subject(&key), &decisions_of(view, &claims)?)?))
}

pub(super) fn certificate_summary(certificate: &Certificate, day: Date) -> Value {
    let content = certificate.content();
    json!({
        "number": certificate.number.shown,
        "key": certificate.id(),
        "country": certificate.country,
        "issuer": certificate.issuer,
        "state": certificate.state(day),
        "delivery": json_of(&certificate.delivery),
        "replacedBy": certificate.replaced_by,
        "suspensions": json_of(&certificate.suspensions),
        "version": content.map(|content| content.header.version_id),
        "issued": content.map(|c| local_date(c.header.issue_date_time, certificate.country)),
        "validUntil": content.map(|content| content.valid_until),
        "exporter": content.map(|content| json_of(&content.exporter)),
        "consignee": content.map(|content| json_of(&content.consignee)),
        "ledger": certificate.ledger.iter().map(ledger_line).collect::<Vec<_>>(),
    })
}

fn ledger_line(ledger: &LedgerItem) -> Value {
    json!({
        "item": ledger.item,
        "certified": ledger.certified,
        "debited": ledger.debited.to_string(),
        "reserved": ledger.reserved.to_string(),
        "balance": ledger.balance().to_string(),
        "unit": ledger.certified.unit,
    })
}

fn show_export(customs: &Customs, view: &dyn Read, number: &str) -> Result<Value, Rejection> {
    let nations = [customs.config.partner_nation(), customs.config.nation()];
    let mut found: Option<Export> = None;
    for nation in nations {
        if found.is_none() {
            found = view.find(assigned::export(view, export_key(nation, number))?)?;
        }
    }
    let Some(export) = found else {
        let text = "no export declaration of this number is here; check the number";
        return Err(refuse(ErrorKind::NotFound, "unknown-export", text));
    };
    let versions: Vec<Value> =
        export.versions.iter().map(|v| version(v, Message::Export)).collect();
    let subject = export_subject(&export.id());
    let shown = json!({
        "export": export_summary(&export),
        "versions": versions,
        "transport": json_of(&Report::of(view, &export.id())?),
        "responses": responses::about(view, &subject)?,
        "risk": risks::shown(view, &export.id())?,
    });
    let items: Vec<ClaimItem> = match export.content().and_then(ucr_of) {
        Some(ucr) => rows(view, "by_ucr", ucr)?,
        None => Vec::new(),
    };
    Ok(merge(shown, papers(view, &subject, &decisions_of(view, &items)?)?))
}

pub(super) fn export_summary(export: &Export) -> Value {
    let content = export.content();
    let certificates: Vec<String> = content
        .iter()
        .flat_map(|content| quoted(content))
        .map(|(number, _)| number.key(export.country))
        .collect();
    json!({
        "number": export.number,
        "key": export.id(),
        "country": export.country,
        "sender": export.sender,
        "state": export.state(),
        "amendments": export.versions.len().saturating_sub(1),
        "delivery": json_of(&export.delivery),
        "version": content.map(|content| content.header.version_id),
        "ucr": content.and_then(ucr_of),
        "certificates": certificates,
    })
}

fn show_claim(view: &dyn Read, now: Timestamp, key: &str) -> Result<Value, Rejection> {
    let shown = claim_by_key(view, key, false)?;
    let claim: Option<Claim> = view.find(key)?;
    let versions: Vec<Value> = claim
        .iter()
        .flat_map(|claim| &claim.versions)
        .map(|v| version(v, Message::Import))
        .collect();
    let mut related = Vec::new();
    for item in rows::<ClaimItem>(view, "by_claim", key)? {
        for subject in assess::related_subjects(view, &item)? {
            related.push(subject);
        }
    }
    related.sort();
    related.dedup();
    let extra = json!({
        "versions": versions,
        "decisions": json_of(&rows::<DecisionRecord>(view, "by_claim", key)?),
        "overrides": audit::overrides_about(view, now, key)?,
        "securities": audit::securities_of(view, key)?,
        "next": audit::next_of(view, key)?,
        "assessments": json_of(&assessments(view, key, SHOWN_MAX)?),
        "related": related,
        "responses": responses::about(view, &claim_subject(key))?,
    });
    Ok(merge(
        merge(shown, extra),
        papers(view, &claim_subject(key), &rows::<DecisionRecord>(view, "by_claim", key)?)?,
    ))
}

/// Shows a claim and the newest assessment of each item.
pub(super) fn claim_by_key(
    view: &dyn Read,
    key: &str,
    duplicate: bool,
) -> Result<Value, Rejection> {
    let Some(claim) = view.find::<Claim>(key)? else {
        let text = format!("there is no claim {key} here; check the declaration number");
        return Err(refuse(ErrorKind::NotFound, "no-claim", text));
    };
    let items: Vec<ClaimItem> = rows(view, "by_claim", key)?;
    let content = claim.content();
    let flags = claim
        .versions
        .last()
        .map(|latest| flags(&Message::Import(Box::new(latest.content.clone())), latest.at));
    // Each item has its own proposal; a declaration without claimed items has one as a whole.
    let is_general = items.is_empty() && claim.withdrawn.is_none();
    let proposal = is_general.then(|| {
        let text = explain::no_preference(Language::En);
        json!({ "verdict": json_of(&Verdict::GeneralRate), "text": text })
    });
    Ok(json!({
        "document": "IMP",
        "claim": claim.id(),
        "version": content.map(|content| content.header.version_id),
        "filed": claim.filed,
        "importerClass": json_of(&claim.importer_class),
        "importer": content.map(|content| json_of(&content.shipment.importer)),
        "duplicate": duplicate,
        "withdrawn": claim.withdrawn.as_ref().map(json_of),
        "flags": flags,
        "proposal": proposal,
        "items": items.iter().map(item_view).collect::<Vec<_>>(),
    }))
}

pub(super) fn item_summary(item: &ClaimItem) -> Value {
    json!({
        "claim": item.claim,
        "item": item.item,
        "certificate": item.quote.number.shown,
        "certificateItem": item.quote.item,
        "state": item.state.name(),
        "light": json_of(&item.assessment.light),
        "proposal": json_of(&item.assessment.proposal.verdict),
        "reason": item.assessment.proposal.reason.code(),
    })
}

fn item_view(item: &ClaimItem) -> Value {
    let assessment = &item.assessment;
    let matched = &assessment.matched;
    json!({
        "item": item.item,
        "state": item.state.name(),
        "certificate": {
            "number": item.quote.number.shown,
            "date": item.quote.date,
            "item": item.quote.item,
            "key": item.certificate,
            "version": matched.certificate_version,
        },
        "export": { "key": matched.export, "version": matched.export_version },
        "light": json_of(&assessment.light),
        "proposal": json_of(&assessment.proposal),
        "rules": matched.differences.iter().map(|found| found.rule.id()).collect::<Vec<_>>(),
        "differences": json_of(&matched.differences),
        "claimed": json_of(&matched.claimed),
        "balance": json_of(&matched.balance),
        "duty": json_of(&assessment.duty),
        "assessments": item.assessments,
        "decisions": item.decisions,
    })
}

/// Shows what a decision made of an item.
pub(super) fn decided(item: &ClaimItem, record: &DecisionRecord) -> Value {
    json!({
        "claim": item.claim,
        "item": item.item,
        "state": item.state.name(),
        "decision": json_of(record),
    })
}

fn show_consignment(
    view: &dyn Read,
    now: Timestamp,
    customs: &Customs,
    ucr: &str,
) -> Result<Value, Rejection> {
    let exports: Vec<Export> =
        view.select(&Range::of("by_ucr", vec![ucr.into()], CANDIDATES_MAX))?;
    let items: Vec<ClaimItem> = rows(view, "by_ucr", ucr)?;
    if exports.is_empty() && items.is_empty() {
        let text = "nothing of this consignment reference is here; check the UCR";
        return Err(refuse(ErrorKind::NotFound, "unknown-consignment", text));
    }
    let mut keys: Vec<String> = items.iter().map(|item| item.certificate.clone()).collect();
    for export in &exports {
        let content = export.content();
        let numbers = content.iter().flat_map(|content| quoted(content));
        keys.extend(numbers.map(|(number, _)| number.key(export.country)));
    }
    keys.sort();
    keys.dedup();
    let day = local_date(now, customs.config.nation());
    let mut certificates = Vec::new();
    for key in keys {
        certificates.extend(view.find::<Certificate>(key)?);
    }
    Ok(json!({
        "consignment": ucr,
        "exports": exports.iter().map(export_summary).collect::<Vec<_>>(),
        "certificates": (certificates.iter())
            .map(|certificate| certificate_summary(certificate, day))
            .collect::<Vec<_>>(),
        "claims": items.iter().map(item_summary).collect::<Vec<_>>(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    what: What,
    state: Option<String>,
    /// Of overrides, the month in which they were proposed, `2026-10`.
    month: Option<String>,
    #[serde(default = "shown")]
    limit: usize,
}

fn shown() -> usize {
    SHOWN
}

/// Lists things of one kind.
pub(super) fn list(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Listing = read("list", input)?;
    let limit = input.limit.min(SHOWN_MAX);
    let day = local_date(now, customs.config.nation());
    let by = |index, value: &str| Range::of(index, vec![value.into()], limit);
    let state = input.state.as_deref();
    input.what.check(state)?;
    if let Some(month) = &input.month {
        if matches!(input.what, What::Overrides) {
            return audit::overrides_of(view, now, month, limit);
        }
        let text = "`month` is for overrides; leave it out";
        return Err(refuse(ErrorKind::Invalid, "bad-input", text));
    }
    let all: Vec<Value> = match input.what {
        What::Claims => {
            let range = state.map_or_else(|| Range::all(limit), |state| by("by_state", state));
            view.select(&range)?.iter().map(item_summary).collect()
        }
        What::Certificates => {
            let found: Vec<Certificate> = view.select(&Range::all(limit))?;
            let mut shown: Vec<Value> =
                found.iter().map(|certificate| certificate_summary(certificate, day)).collect();
            shown.retain(|row| state.is_none_or(|state| row.get("state") == Some(&json!(state))));
            shown
        }
        What::Exports => {
            let found: Vec<Export> = view.select(&Range::all(limit))?;
            let fits = |export: &&Export| state.is_none_or(|state| export.state() == state);
            found.iter().filter(fits).map(export_summary).collect()
        }
        What::Tasks => {
            let range = by("by_state", state.unwrap_or("open"));
            view.select::<Task>(&range)?.iter().map(json_of).collect()
        }
        What::Parked => parking::rows(view, limit)?,
        What::Overrides => {
            let range = Range::of("by_overridden", vec![1_i64.into()], limit);
            view.select::<DecisionRecord>(&range)?.iter().map(json_of).collect()
        }
        What::Verifications | What::Cases | What::Incidents => {
            let text = "verifications, cases and incidents have lists of their own: the operations \
                        `verifications`, `ledger` and `sharing`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    Ok(json!({ "count": all.len(), "limit": limit, "rows": all }))
}
