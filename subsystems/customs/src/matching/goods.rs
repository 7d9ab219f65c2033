//! Looks at the goods: codes, countries, the export declaration, packages and mass.
//!
//! Not here: how much is claimed (`super::quantity`).

use super::proportion::{percent, proportion};
use super::quantity::comparable;
use super::{Case, Findings, Papers, Rule};
use crate::certificate::Certificate;
use crate::codes::editions::{Dated, Relation, correlation};
use crate::codes::{HS_EDITION, units};
use crate::messages::{Classification, ClassificationKind, GoodsItem};

/// Masses are compared in kilograms (UN/ECE Recommendation 20).
const KILOGRAM: &str = "KGM";

/// Returns the six digits that a paper states, with their edition.
fn dated(codes: &[Classification]) -> Option<Dated<'_>> {
    let of_hs = codes.iter().find(|code| code.kind == ClassificationKind::HarmonizedSystem);
    let stated = of_hs.or_else(|| codes.first())?;
    let edition = stated.edition.unwrap_or(HS_EDITION);
    Some(Dated { code: stated.id.get(..6)?, edition })
}

/// Compares the six digits. Codes of different editions are the same when the correlation table
/// says so; where it leaves several codes open, an officer must see the goods.
fn look_at_codes(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(claimed) = dated(&case.item.commodity.classifications) else { return };
    let certified = case.certificate_item().and_then(|item| dated(&item.classifications));
    let exported = case.export_item().and_then(|item| dated(&item.commodity.classifications));
    let shown = |code: Dated<'_>| match code.edition {
        HS_EDITION => dotted(code.code),
        edition => format!("{} (HS {edition})", dotted(code.code)),
    };
    let (mut is_explained, mut is_unclear) = (false, false);
    for (paper, rule) in [(certified, Rule::Hs6), (exported, Rule::ExportHs6)] {
        let Some(paper) = paper else { continue };
        let papers = Papers::new().claim(shown(claimed));
        match correlation().relation(paper, claimed) {
            Relation::Apart if rule == Rule::Hs6 => {
                findings.add(rule, papers.certificate(shown(paper)));
            }
            Relation::Apart => findings.add(rule, papers.export(shown(paper))),
            Relation::Contained => is_explained |= paper.code != claimed.code,
            Relation::Overlapping | Relation::Unknown => is_unclear = true,
        }
    }
    let papers = Papers {
        certificate: certified.map(shown),
        export: exported.map(shown),
        claim: Some(shown(claimed)),
        basis: None,
    };
    if is_unclear {
        findings.add(Rule::HsEditionUnclear, papers);
    } else if is_explained {
        findings.add(Rule::HsEdition, papers);
    }
}

pub(super) fn look_at_codes_and_countries(case: &Case<'_>, findings: &mut Findings<'_>) {
    let certified = case.certificate_item();
    let exported = case.export_item();
    look_at_codes(case, findings);
    let partner = case.partner.as_str();
    let origin = Papers {
        certificate: certified.map(|item| item.origin.country_code.clone()),
        export: exported.and_then(|item| item.origin.as_ref()).map(|o| o.country_code.clone()),
        claim: case.item.origin.as_ref().map(|origin| origin.country_code.clone()),
        basis: None,
    };
    if exported.is_some() && origin.export.is_none() {
        findings.add(Rule::ExportOrigin, origin.clone());
    }
    if values(&origin).any(|country| country != partner) {
        findings.add(Rule::OriginCountry, origin);
    }
    let content = case.certificate.and_then(Certificate::content);
    let exported = case.export.and_then(|export| export.content());
    let export_country = Papers {
        certificate: content.map(|content| content.export_country.id.clone()),
        export: (exported.and_then(|export| export.shipment.export_country.as_ref()))
            .map(|country| country.id.clone()),
        claim: case.claim.shipment.export_country.as_ref().map(|country| country.id.clone()),
        basis: None,
    };
    if values(&export_country).any(|country| country != partner) {
        findings.add(Rule::ExportCountry, export_country);
    }
}

fn values(papers: &Papers) -> impl Iterator<Item = &String> {
    [&papers.certificate, &papers.export, &papers.claim].into_iter().flatten()
}

/// Writes a code as people read it: `7408.11`.
fn dotted(code: &str) -> String {
    match (code.get(..4), code.get(4..)) {
        (Some(heading), Some(rest)) if !rest.is_empty() => format!("{heading}.{rest}"),
        _ => code.to_owned(),
    }
}

pub(super) fn look_at_export(case: &Case<'_>, findings: &mut Findings<'_>) {
    match case.export {
        None => findings.add(Rule::ExportMissing, Papers::new()),
        Some(export) if export.is_cancelled() => {
            findings.add(Rule::ExportCancelled, Papers::new().export(&export.number));
        }
        Some(export) if !case.export_item_and_fit().1 => {
            let code = dotted(case.item.commodity.hs6().unwrap_or_default());
            findings.add(Rule::ExportItem, Papers::new().export(&export.number).claim(code));
        }
        Some(_) => {}
    }
}

/// Returns how many packages the claim and the export declaration state for these goods.
pub(super) fn packages(case: &Case<'_>) -> Option<(u64, u64)> {
    let count = |item: &GoodsItem| {
        let count: u64 = item.packaging.iter().map(|packaging| u64::from(packaging.quantity)).sum();
        Some(count).filter(|count| *count > 0)
    };
    Some((count(case.item)?, case.export_item().and_then(count)?))
}

/// Compares the packages: more than were declared for export is worth a look.
pub(super) fn look_at_packages(case: &Case<'_>, findings: &mut Findings<'_>) {
    if let Some((claimed, exported)) =
        packages(case).filter(|(claimed, exported)| claimed > exported)
    {
        findings.add(Rule::Packages, Papers::new().export(exported).claim(claimed));
    }
}

pub(super) fn look_at_mass(case: &Case<'_>, findings: &mut Findings<'_>) {
    let mass = |item: &GoodsItem| {
        let net = item.commodity.measure.as_ref()?.net_mass.as_ref()?;
        units::convert(net, KILOGRAM).ok().map(|converted| converted.quantity)
    };
    let (Some(claimed), Some(exported)) = (mass(case.item), case.export_item().and_then(mass))
    else {
        return;
    };
    // A part shipment is compared by what its part of the declared mass would be.
    let expected = match comparable(case) {
        Some((part, whole)) if !whole.value.is_zero() => {
            proportion(exported.value, part.value, whole.value)
        }
        _ => exported.value,
    };
    if expected == claimed.value || expected.is_zero() {
        return;
    }
    let papers = Papers::new().export(&exported).claim(&claimed);
    let percent = percent((claimed.value - expected).abs(), expected);
    if percent > findings.limit(Rule::NetMass) {
        findings.add(Rule::NetMass, papers);
    } else {
        findings.add_tolerated(Rule::NetMass, papers);
    }
}
