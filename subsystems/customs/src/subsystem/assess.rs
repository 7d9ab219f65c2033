//! Matches claimed items, works out what the preference is worth, and proposes what to do.

use karvan_store::Read;
use karvan_subsystem::{Context, Rejection};
use karvan_types::{Instance, Timestamp};

use super::apply::export_subject;
use super::exported::others;
use super::verifying::weigh;
use super::{Customs, booking, quotas, rate_days, silence, suspending, transporting};
use crate::certificate::{Certificate, CertificateNumber, UNSEEN_MAX, Unseen};
use crate::claim::{Assessment, Claim, ClaimItem, ClaimReference, item_key, keep_assessment};
use crate::decision::propose;
use crate::export::{CANDIDATES_MAX, Export, Link, export_key};
use crate::invoice;
use crate::journal::{TaskKind, note, open_task};
use crate::matching::{Case, Quote, Rule, compare};
use crate::messages::{EXPORT_TYPE_CODE, GoodsItem, ImportClaim};
use crate::rates::{self, Converted, Unconverted};
use crate::relief::Valued;
use crate::transport::Report;

/// Returns the subject of a claim.
pub(super) fn claim_subject(claim: &str) -> String {
    format!("claim {claim}")
}

/// What to do about items that are decided already.
pub(super) struct Late {
    /// The task that opens.
    pub(super) kind: TaskKind,
    /// What happened, in words.
    pub(super) because: &'static str,
}

/// When and why an item is matched.
pub(super) struct Occasion<'a> {
    pub(super) because: &'a str,
    pub(super) now: Timestamp,
}

/// What a match found, and what was read for it.
pub(super) struct Assessed {
    pub(super) assessment: Assessment,
    /// The export declaration that was compared, as it is stored.
    pub(super) export: Option<Export>,
}

/// Matches one item.
pub(super) fn assess(
    customs: &Customs,
    view: &dyn Read,
    claim: &Claim,
    quote: &Quote,
    item: &GoodsItem,
    occasion: &Occasion<'_>,
) -> Result<Assessed, Rejection> {
    let partner = customs.config.partner_nation();
    let Some(content) = claim.content() else { return Err(nothing(claim)) };
    let own = item_key(&claim.id(), item.sequence);
    let mut certificate: Option<Certificate> = view.find(quote.number.key(partner))?;
    if let Some(certificate) = &mut certificate {
        // What an earlier, reopened decision about this item took counts as available to it.
        booking::present(customs, view, certificate, &own, claim.filed)?;
    }
    let verifications = match &certificate {
        Some(presented) => suspending::inherited::of_presented(view, presented)?,
        None => suspending::of_keys(view, &[quote.number.key(partner)])?,
    };
    let mut numbers = vec![quote.number.clone()];
    numbers.extend(certificate.as_ref().and_then(Certificate::replaces));
    let export = export_for(customs, view, content, &numbers, item)?;
    let claim =
        &*rate_days::known(customs, view, claim, export.as_ref().map(Export::id).as_deref())?;
    let sharing = certificate.as_ref().map(|it| invoice::shared_with(view, it));
    let sharing = sharing.transpose()?.unwrap_or_default();
    let same_reference = ClaimReference::shared_with(view, claim)?;
    let (unseen, near_miss) = match &certificate {
        Some(_) => (Vec::new(), None),
        None => without_certificate(view, partner, &quote.number, &own)?,
    };
    let export_id = export.as_ref().map(Export::id);
    let reports = export_id.map_or_else(|| Ok(Vec::new()), |id| Report::of(view, &id))?;
    let case = Case {
        rules: &customs.rules,
        partner,
        nation: customs.config.nation(),
        go_live: customs.config.go_live,
        silent_since: silence::since(view)?,
        received_at: claim.received_at,
        filed_late_days: customs.config.filed_late_days,
        filed: claim.filed,
        claim: content,
        item,
        quote,
        certificate: certificate.as_ref(),
        near_miss: near_miss.as_ref().map(|certificate| certificate.number.shown.as_str()),
        export: export.as_ref(),
        reports: &reports,
        sharing_invoice: &sharing,
        same_reference: &same_reference,
        unseen: &unseen,
        others: &[],
        converted: &[],
        too_large: &[],
    };
    let (converted, too_large) = convert(customs, view, &case)?;
    let others = others(view, &case, &own)?;
    let mut matched =
        compare(&Case { converted: &converted, too_large: &too_large, others: &others, ..case });
    let tariff = customs.tariff(view)?;
    let mut duty = None;
    if let Some(tariff) = tariff.as_deref() {
        let valued = Valued::new(view, tariff, partner, claim, item)?;
        duty = valued.weigh(&customs.rules, &mut matched);
    }
    weigh::weigh(customs, verifications, quote, claim.filed, &mut matched);
    let mut proposal = propose(&matched);
    weigh::propose(customs, claim.filed, &matched, &mut proposal);
    if let (Some(tariff), Some(relief)) = (&tariff, &mut duty) {
        relief.quota = quotas::share(customs, view, tariff, claim, item)?;
        quotas::limit(&mut proposal, &matched, relief.quota.as_ref());
    }
    let (at, because, light) = (occasion.now, occasion.because.to_owned(), matched.light());
    let assessment = Assessment { at, because, light, proposal, matched, duty };
    Ok(Assessed { assessment, export })
}

/// Returns what others were granted on the number of a certificate that is not here, and one that
/// reads alike.
fn without_certificate(
    view: &dyn Read,
    partner: Instance,
    number: &CertificateNumber,
    own: &str,
) -> Result<(Vec<Unseen>, Option<Certificate>), Rejection> {
    let mut unseen = Unseen::on(view, &number.key(partner), UNSEEN_MAX)?;
    unseen.retain(|grant| grant.claim_item != own);
    Ok((unseen, Certificate::near_misses(view, partner, number)?.into_iter().next()))
}

/// Converts the amounts that are compared, by the rates of this side; returns beside them those
/// that are too large for it.
fn convert(
    customs: &Customs,
    view: &dyn Read,
    case: &Case<'_>,
) -> Result<(Vec<Converted>, Vec<Unconverted>), Rejection> {
    let (mut converted, mut too_large) = (Vec::new(), Vec::new());
    let national = rates::national_currency(customs.config.nation());
    let Some((day, national)) = case.exchange_day().zip(national) else {
        return Ok((converted, too_large));
    };
    for (stated, currency) in case.conversions() {
        match rates::convert(view, national, &stated, &currency, day)? {
            Ok(found) => converted.push(found),
            Err(Unconverted::NoRate { .. }) => {}
            Err(found @ Unconverted::TooLarge { .. }) => too_large.push(found),
        }
    }
    Ok((converted, too_large))
}

impl Customs {
    /// Matches every item of a claim that quotes a certificate with what is in `view`, and works
    /// out what the preference is worth, as if it were filed now; nothing is stored.
    pub fn preview(
        &self,
        view: &dyn Read,
        claim: &Claim,
        now: Timestamp,
    ) -> Result<Vec<Assessment>, Rejection> {
        let items = claim.content().map(|content| &*content.shipment.items).unwrap_or_default();
        let occasion = Occasion { because: "a preview was asked for", now };
        let mut found = Vec::new();
        for item in items {
            if let Some(quote) = super::claiming::quote_of(item)? {
                found.push(assess(self, view, claim, &quote, item, &occasion)?.assessment);
            }
        }
        Ok(found)
    }
}

fn nothing(claim: &Claim) -> Rejection {
    let text =
        format!("claim {} is stored without content; restore it from a backup", claim.number);
    Rejection::new(karvan_types::ErrorKind::Storage, "customs.damaged", text)
}

/// Finds the export declaration of an item: the one that the claim names, or that has its
/// consignment reference, or that quotes its certificate.
fn export_for(
    customs: &Customs,
    view: &dyn Read,
    claim: &ImportClaim,
    numbers: &[CertificateNumber],
    item: &GoodsItem,
) -> Result<Option<Export>, Rejection> {
    let partner = customs.config.partner_nation();
    let shipment = &claim.shipment;
    let named = item.previous_documents.iter().chain(&shipment.previous_documents);
    for document in named.filter(|document| document.type_code == EXPORT_TYPE_CODE) {
        if let Some(export) = view.find(export_key(partner, &document.id))? {
            return Ok(Some(export));
        }
    }
    let mut candidates: Vec<Export> = Vec::new();
    if let Some(ucr) = ucr(claim, item) {
        let range = karvan_store::Range::of("by_ucr", vec![ucr.into()], CANDIDATES_MAX);
        candidates = view.select(&range)?;
        candidates.retain(|export| export.country == partner);
    }
    if candidates.is_empty() {
        for number in numbers {
            for link in view.select::<Link>(&Link::range(&number.key(partner)))? {
                candidates.extend(view.find::<Export>(link.export)?);
            }
        }
    }
    let shares_invoice = |export: &Export| {
        export.content().is_some_and(|content| {
            let invoices = &content.shipment.invoices;
            invoices.iter().any(|invoice| shipment.invoices.iter().any(|i| i.id == invoice.id))
        })
    };
    let arrived = |export: &Export| export.versions.first().map(|version| version.at);
    candidates
        .sort_by_key(|export| (!export.is_cancelled(), shares_invoice(export), arrived(export)));
    Ok(candidates.pop())
}

/// Returns the unique consignment reference of an item or its shipment.
pub(super) fn ucr<'a>(claim: &'a ImportClaim, item: &'a GoodsItem) -> Option<&'a str> {
    let own = item.ucr.as_ref().and_then(|ucr| ucr.id.as_deref());
    own.or_else(|| claim.shipment.ucr.as_ref().and_then(|ucr| ucr.id.as_deref()))
}

/// Matches an item anew, keeps the result and stores the item.
pub(super) fn reassess(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    stored: &mut ClaimItem,
    because: &str,
) -> Result<(), Rejection> {
    let Some(item) = claim.item(stored.item) else { return Err(nothing(claim)) };
    let occasion = Occasion { because, now: cx.now };
    let Assessed { assessment, mut export } =
        assess(customs, cx.tx, claim, &stored.quote, item, &occasion)?;
    keep_assessment(cx.tx, stored)?;
    stored.assessment = assessment;
    keep(cx, stored, export.as_mut())
}

/// Stores an item with its newest assessment, and what follows from it, also for the export
/// declaration that was compared. The assessment before, if there was one, is kept already.
pub(super) fn keep(
    cx: &mut Context<'_>,
    stored: &mut ClaimItem,
    export: Option<&mut Export>,
) -> Result<(), Rejection> {
    stored.assessments += 1;
    let assessment = &stored.assessment;
    cx.tx.save(stored)?;
    if let Some(export) = export {
        transporting::matched(cx, export)?;
    }
    let subject = claim_subject(&stored.claim);
    let text = format!(
        "item {} matched because {}. {}",
        stored.item, assessment.because, assessment.proposal.text
    );
    note(cx.tx, cx.now, &subject, "match", text)?;
    weigh::suggest(cx, stored)?;
    let assessment = &stored.assessment;
    if let Some(difference) = assessment.matched.find(Rule::ValueHard) {
        let text = format!("item {}: {}", stored.item, difference.text);
        open_task(cx.tx, cx.now, TaskKind::Valuation, &subject, text)?;
    }
    Ok(())
}

/// Matches undecided items anew; opens a task for each decided one and leaves it as it is.
pub(super) fn touch(
    customs: &Customs,
    cx: &mut Context<'_>,
    items: Vec<ClaimItem>,
    late: &Late,
) -> Result<(), Rejection> {
    for mut item in items {
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        if item.state.is_final() {
            let text = format!(
                "item {}: {} after it was decided ({}). Look whether the decision still stands; \
                 reopen it if not.",
                item.item,
                late.because,
                item.state.name()
            );
            let subject = claim_subject(&item.claim);
            note(cx.tx, cx.now, &subject, "match", text.clone())?;
            open_task(cx.tx, cx.now, late.kind, &subject, text)?;
        } else {
            reassess(customs, cx, &claim, &mut item, late.because)?;
        }
    }
    Ok(())
}

/// Returns what happened to an export declaration, for the history of a claim.
pub(super) fn related_subjects(
    view: &dyn Read,
    item: &ClaimItem,
) -> Result<Vec<String>, Rejection> {
    let mut subjects = vec![super::apply::certificate_subject(&item.certificate)];
    for link in view.select::<Link>(&Link::range(&item.certificate))? {
        subjects.push(export_subject(&link.export));
    }
    Ok(subjects)
}
