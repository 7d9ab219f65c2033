//! Looks at the goods: codes, countries, the export declaration, quantity and mass.

use karvan_types::{Decimal, Quantity};

use super::{Case, Findings, Papers, Rule};
use crate::certificate::{Certificate, LedgerItem};
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

/// Quantities in the unit of the certificate.
#[derive(Default)]
pub(super) struct Quantities {
    /// What the claim wants debited.
    pub(super) claimed: Option<Quantity>,
    /// What is left on the certificate.
    pub(super) balance: Option<Quantity>,
    /// What was declared for export.
    pub(super) exported: Option<Quantity>,
}

/// Compares the claimed quantity with the certificate and the export declaration.
pub(super) fn look_at_quantity(case: &Case<'_>, findings: &mut Findings<'_>) -> Quantities {
    let ledger = case.certificate.and_then(|certificate| certificate.ledger_of(case.quote.item));
    look_at_export_quantity(case, findings);
    let Some(ledger) = ledger else { return Quantities::default() };
    let balance = ledger.balance_quantity();
    let exported = case.export_item().and_then(|item| in_unit_of(ledger, stated_quantities(item)));
    let Some(claimed) = claimed_quantity(case, ledger) else {
        let stated: Vec<_> = stated_quantities(case.item).map(ToString::to_string).collect();
        let stated = if stated.is_empty() { "none".to_owned() } else { stated.join(", ") };
        let papers = Papers::new().certificate(&ledger.certified).claim(stated);
        findings.add(Rule::UnitNotConvertible, papers);
        return Quantities { claimed: None, balance: Some(balance), exported };
    };
    let papers = Papers::new().certificate(&balance).claim(&claimed);
    if balance.value.is_zero() {
        findings.add(Rule::BalanceUsedUp, papers.certificate(&ledger.certified));
    } else if claimed.value > above(balance.value, findings.limit(Rule::QuantityBalance)) {
        findings.add(Rule::QuantityBalance, papers);
    }
    Quantities { claimed: Some(claimed), balance: Some(balance), exported }
}

fn look_at_export_quantity(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some((claimed, exported)) = comparable(case) else { return };
    if claimed.value > above(exported.value, findings.limit(Rule::QuantityExport)) {
        let papers = Papers::new().export(&exported).claim(&claimed);
        findings.add(Rule::QuantityExport, papers);
    } else if claimed.value < below(exported.value, findings.limit(Rule::QuantityShort))
        && packages(case).is_some_and(|(claimed, exported)| claimed == exported)
    {
        // A part shipment has fewer packages; as many with less in them is a short landing.
        let papers = Papers::new().export(&exported).claim(&claimed);
        findings.add(Rule::QuantityShort, papers);
    }
}

/// Returns how many packages the claim and the export declaration state for these goods.
fn packages(case: &Case<'_>) -> Option<(u64, u64)> {
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

/// Returns the claimed and the exported quantity in one unit, when they have a common measure.
pub(super) fn comparable(case: &Case<'_>) -> Option<(Quantity, Quantity)> {
    let exported = case.export_item()?;
    stated_quantities(exported).find_map(|exported| {
        let same = |claimed: &Quantity| units::convert(claimed, &exported.unit).ok();
        let claimed = stated_quantities(case.item).find_map(same)?;
        Some((claimed.quantity, exported.clone()))
    })
}

/// Returns what the claim wants debited, in the unit of the certificate: what it writes off, or
/// else the quantity that it states in a unit that converts.
fn claimed_quantity(case: &Case<'_>, ledger: &LedgerItem) -> Option<Quantity> {
    let number = &case.quote.number.shown;
    let written_off = (case.item.certificates())
        .find(|document| document.id.trim() == number)
        .and_then(|document| document.write_off.as_ref()?.quantity.as_ref());
    in_unit_of(ledger, written_off.into_iter().chain(stated_quantities(case.item)))
}

/// Returns the first quantity that converts into the unit of the certificate, converted.
fn in_unit_of<'a>(
    ledger: &LedgerItem,
    mut quantities: impl Iterator<Item = &'a Quantity>,
) -> Option<Quantity> {
    quantities
        .find_map(|quantity| units::convert(quantity, &ledger.certified.unit).ok())
        .map(|converted| converted.quantity)
}

/// Returns the quantities that an item of a declaration states: tariff quantity, then net mass.
pub(crate) fn stated_quantities(item: &GoodsItem) -> impl Iterator<Item = &Quantity> {
    let measure = item.commodity.measure.as_ref();
    let quantity = measure.and_then(|measure| measure.tariff_quantity.as_ref());
    quantity.into_iter().chain(measure.and_then(|measure| measure.net_mass.as_ref()))
}

fn below(value: Decimal, percent: Decimal) -> Decimal {
    value - value * percent / Decimal::ONE_HUNDRED
}

fn above(value: Decimal, percent: Decimal) -> Decimal {
    value + value * percent / Decimal::ONE_HUNDRED
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
        Some((part, whole)) if !whole.value.is_zero() => exported.value * part.value / whole.value,
        _ => exported.value,
    };
    if expected == claimed.value || expected.is_zero() {
        return;
    }
    let papers = Papers::new().export(&exported).claim(&claimed);
    let percent = (claimed.value - expected).abs() * Decimal::ONE_HUNDRED / expected;
    if percent > findings.limit(Rule::NetMass) {
        findings.add(Rule::NetMass, papers);
    } else {
        findings.add_tolerated(Rule::NetMass, papers);
    }
}
