//! Import declarations: filed as claims, and matched at once.

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Digest, ErrorKind};
use serde::Deserialize;
use serde_json::Value;

use super::answer::{self, about, refuse};
use super::assess::{self, Occasion, claim_subject};
use super::operate::{
    invalid, message, must_act_for, must_be_about, named, read, signed_by, unexpected,
};
use super::receive::refusals;
use super::xml::{Read, read_xml};
use super::{Customs, amending, quotas, show};
use crate::certificate::{CertificateNumber, Version};
use crate::claim::{
    Claim, ClaimItem, ClaimReference, ItemState, assessments_before, claim_key, keep_assessment,
};
use crate::explain;
use crate::export::Export;
use crate::invoice;
use crate::journal::note;
use crate::matching::{Quote, local_date};
use crate::messages::{Cancellation, DocumentType, FunctionCode, GoodsItem, ImportClaim, Message};
use crate::relief::DEFAULT_IMPORTER;
use crate::states::Status;
use crate::tariff::ImporterClass;
use crate::words::Language;

/// Rule that says what a class of importer may stand beside.
const IMPORTER_CLASS: &str = "IMPORTER-CLASS";

/// Exactly one of these is given; the class goes with whatever files a version of a claim.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Claiming {
    claim: Option<Value>,
    xml: Option<String>,
    cancellation: Option<Value>,
    /// An amendment by pointer; the version that it makes is filed.
    amendment: Option<Value>,
    importer_class: Option<ImporterClass>,
}

/// Takes an import declaration and matches every item that claims a preference; or amends or
/// withdraws one.
pub(super) fn claim(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Claiming = read("claim", input)?;
    let Claiming { claim, xml, cancellation, amendment, importer_class } = input;
    let Read { message, told } = match (claim, xml, cancellation, amendment) {
        (Some(claim), None, None, None) => Read::of(message(DocumentType::Import, claim)?),
        (None, Some(xml), None, None) => read_xml(customs, cx, &xml, DocumentType::Import)?,
        (None, None, Some(cancellation), None) => {
            let message = message(DocumentType::Cancellation, cancellation)?;
            return change(customs, cx, caller, message, importer_class);
        }
        (None, None, None, Some(amendment)) => {
            let message = message(DocumentType::Amendment, amendment)?;
            return change(customs, cx, caller, message, importer_class);
        }
        _ => {
            let text = "give exactly one of `claim`, `xml`, `cancellation` and `amendment`";
            return Err(refuse(ErrorKind::Invalid, "bad-input", text));
        }
    };
    let output = match message {
        Message::Import(content) => file(customs, cx, caller, content, importer_class)?,
        Message::Amendment(content) => {
            amending::amend(customs, cx, caller, *content, importer_class)?
        }
        Message::Cancellation(content) if content.document.document_type == "IMP" => {
            withdraw(customs, cx, caller, &content, importer_class)?
        }
        message => return Err(unexpected("IMP", &message)),
    };
    Ok(show::merge(output, told))
}

/// Withdraws a claim, which has no class of importer to give then.
fn withdraw(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    content: &Cancellation,
    importer_class: Option<ImporterClass>,
) -> Result<Value, Rejection> {
    if importer_class.is_some() {
        return Err(no_class("a cancellation"));
    }
    amending::withdraw(customs, cx, caller, content)
}

/// Refuses a class of importer beside what files no version of a claim.
pub(super) fn no_class(what: &str) -> Rejection {
    let text = format!(
        "`importerClass` belongs to a claim, a new version of it or its amendment, not to {what}; \
         leave it out"
    );
    about("importerClass", IMPORTER_CLASS, refuse(ErrorKind::Invalid, "importer-class", text))
}

/// Amends or withdraws a claim by a canonical message that names it.
fn change(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    message: Message,
    importer_class: Option<ImporterClass>,
) -> Result<Value, Rejection> {
    must_be_about(&message, "IMP")?;
    match named(customs, cx, message)? {
        Message::Amendment(content) => {
            amending::amend_by_message(customs, cx, caller, *content, importer_class)
        }
        message => {
            let mut errors = refusals(&message, cx.now);
            // A claim is never sent to the partner, so no level of sharing binds it.
            errors.retain(|error| error.rule != "SHARING");
            if !errors.is_empty() {
                return Err(invalid(errors));
            }
            let Message::Cancellation(content) = message else {
                return Err(unexpected("IMP", &message));
            };
            withdraw(customs, cx, caller, &content, importer_class)
        }
    }
}

/// Files an import declaration and shows it.
pub(super) fn file(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    content: Box<ImportClaim>,
    importer_class: Option<ImporterClass>,
) -> Result<Value, Rejection> {
    let filed = take(customs, cx, caller, content, importer_class)?;
    show::claim_by_key(cx.tx, &filed.key, filed.is_duplicate)
}

/// An import declaration that is here now.
pub(super) struct Filed {
    pub(super) key: String,
    /// Whether the same was filed before; then nothing changed.
    pub(super) is_duplicate: bool,
    /// Its claimed items.
    pub(super) items: Vec<ClaimItem>,
}

/// Files an import declaration. One that claims no preference is kept all the same: the general
/// rate applies to it.
pub(super) fn take(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    content: Box<ImportClaim>,
    importer_class: Option<ImporterClass>,
) -> Result<Filed, Rejection> {
    let message = Message::Import(content);
    let errors = refusals(&message, cx.now);
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let digest = Digest::of(&message.to_canonical().map_err(|error| answer::unreadable(&error))?);
    let Message::Import(content) = message else { return Err(unexpected("IMP", &message)) };
    let key = claim_key(&content.header.id);
    let existing: Option<Claim> = cx.tx.find(key.as_str())?;
    if let Some(existing) = &existing
        && existing.versions.iter().any(|version| version.digest == digest)
    {
        must_be_of(existing, importer_class)?;
        let items = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
        return Ok(Filed { key, is_duplicate: true, items });
    }
    // A later version keeps the class unless it gives another one.
    let known = existing.as_ref().map(|existing| existing.importer_class);
    let importer_class = importer_class.or(known).unwrap_or(DEFAULT_IMPORTER);
    let claim = merge(cx, caller, existing, *content, digest, importer_class)?;
    cx.tx.save(&claim)?;
    if let Some(reference) = ClaimReference::of(&claim) {
        cx.tx.save(&reference)?;
    }
    if let Some(content) = claim.content() {
        invoice::link(cx.tx, invoice::Kind::Claim, &key, &content.shipment.invoices)?;
    }
    let mut exports = Vec::new();
    let items = match_items(customs, cx, &claim, &mut exports)?;
    super::sequence::ask_for_numbers(customs, cx, &items)?;
    super::risks::on_claim(customs, cx, &claim, &exports)?;
    Ok(Filed { key, is_duplicate: false, items })
}

/// Refuses the same content with another class of importer, which would change nothing.
fn must_be_of(existing: &Claim, importer_class: Option<ImporterClass>) -> Result<(), Rejection> {
    let here = existing.importer_class;
    if importer_class.is_none_or(|given| given == here) {
        return Ok(());
    }
    let text = format!(
        "claim {} is here with importerClass `{}`; to change it, hand in a new version or an \
         amendment of the claim with the other one",
        existing.id(),
        here.name()
    );
    let refusal = refuse(ErrorKind::Conflict, "importer-class", text);
    Err(about("importerClass", IMPORTER_CLASS, refusal))
}

/// Makes the claim to store: the first version, or a later one on top of it.
fn merge(
    cx: &mut Context<'_>,
    caller: &Caller,
    existing: Option<Claim>,
    content: ImportClaim,
    digest: Digest,
    importer_class: ImporterClass,
) -> Result<Claim, Rejection> {
    let header = content.header.clone();
    let key = claim_key(&header.id);
    let filed_at = content.acceptance_date_time.unwrap_or(header.issue_date_time);
    let filed = local_date(filed_at, caller.member.instance());
    let mut claim = match existing {
        None if header.function_code == FunctionCode::Original => Claim {
            number: header.id.trim().to_owned(),
            received_at: cx.now,
            filed,
            arrived: None,
            paid: None,
            by: signed_by(caller),
            importer_class,
            versions: Vec::new(),
            withdrawn: None,
        },
        None => {
            let text = format!("there is no claim {key} to change; file the original first");
            return Err(refuse(ErrorKind::NotFound, "no-original", text));
        }
        Some(_) if header.function_code == FunctionCode::Original => {
            let text = format!("claim {key} is here already; use function 4 or 5 to change it");
            return Err(refuse(ErrorKind::Conflict, "claim-exists", text));
        }
        Some(claim) => {
            if claim.withdrawn.is_some() {
                return Err(withdrawn(&key));
            }
            let items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
            must_be_open(&items, &key)?;
            // The first day counts; another one is told as a difference.
            Claim { importer_class, ..claim }
        }
    };
    let latest = claim.content().map_or(0, |content| content.header.version_id);
    if header.version_id <= latest {
        let text = format!("version {latest} of claim {key} is here already; send a later one");
        return Err(refuse(ErrorKind::Conflict, "claim-exists", text));
    }
    let text = format!("claim {}, version {}: filed", header.id, header.version_id);
    note(cx.tx, cx.now, &claim_subject(&key), &signed_by(caller), text)?;
    let function = header.function_code;
    claim.versions.push(Version { exchange: None, at: cx.now, function, digest, content });
    Ok(claim)
}

/// Refuses when an item of a claim is decided or queried.
pub(super) fn must_be_open(items: &[ClaimItem], key: &str) -> Result<(), Rejection> {
    let Some(decided) = items.iter().find(|item| item.state != ItemState::Open) else {
        return Ok(());
    };
    let text = format!(
        "item {} of claim {key} is {}; a claim can be changed only before the first decision",
        decided.item,
        decided.state.name()
    );
    Err(refuse(ErrorKind::Conflict, "claim-decided", text))
}

/// Refuses what comes after a withdrawal.
pub(super) fn withdrawn(key: &str) -> Rejection {
    let text = format!("claim {key} was withdrawn and stays so; file it under a new number");
    refuse(ErrorKind::Conflict, "claim-withdrawn", text)
}

/// Matches the claimed items and stores them; adds the export declarations as they are after that.
fn match_items(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    exports: &mut Vec<Export>,
) -> Result<Vec<ClaimItem>, Rejection> {
    let key = claim.id();
    let old: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
    let Some(content) = claim.content() else { return Ok(old) };
    let mut items = Vec::new();
    for item in &content.shipment.items {
        let Some(quote) = quote_of(item)? else { continue };
        quotas::ask(customs, cx, claim, item)?;
        let occasion = Occasion { because: "the claim was filed", now: cx.now };
        let mut assessed = assess::assess(customs, cx.tx, claim, &quote, item, &occasion)?;
        let rests_on = assessed.assessment.matched.export.as_deref();
        if quotas::follow_day(customs, cx, claim, item, rests_on)? {
            assessed = assess::assess(customs, cx.tx, claim, &quote, item, &occasion)?;
        }
        let assess::Assessed { assessment, mut export } = assessed;
        let assessments = match old.iter().find(|old| old.item == item.sequence) {
            Some(before) => {
                keep_assessment(cx.tx, before)?;
                before.assessments
            }
            None if claim.versions.len() > 1 => assessments_before(cx.tx, &key, item.sequence)?,
            None => 0,
        };
        let mut stored = ClaimItem {
            claim: key.clone(),
            item: item.sequence,
            certificate: quote.number.key(customs.config.partner_nation()),
            quote,
            ucr: assess::ucr(content, item).map(str::to_owned),
            state: Status::default(),
            assessments,
            assessment,
            decisions: 0,
        };
        assess::keep(cx, &mut stored, export.as_mut())?;
        if let Some(export) = export {
            exports.retain(|known| known.id() != export.id());
            exports.push(export);
        }
        items.push(stored);
    }
    for gone in old
        .iter()
        .filter(|old| claim.item(old.item).is_none_or(|i| i.certificates().next().is_none()))
    {
        keep_assessment(cx.tx, gone)?;
        cx.tx.remove::<ClaimItem>(gone.id())?;
        quotas::release(customs, cx, &gone.id())?;
    }
    if items.is_empty() {
        note(cx.tx, cx.now, &claim_subject(&key), "match", explain::no_preference(Language::En))?;
    }
    Ok(items)
}

pub(super) fn quote_of(item: &GoodsItem) -> Result<Option<Quote>, Rejection> {
    let Some(document) = item.certificates().next() else { return Ok(None) };
    let number = CertificateNumber::parse(&document.id)
        .map_err(|error| refuse(ErrorKind::Invalid, "bad-input", error.to_string()))?;
    let item = document.line_numeric.unwrap_or(1);
    Ok(Some(Quote { number, date: document.effective_date, item }))
}
