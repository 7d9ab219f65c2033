//! Looks at how much is claimed: against the certificate, the export declaration, and the claim's
//! own statements about the goods.
//!
//! What is debited from the certificate, what the preference is computed for and the goods
//! themselves are one quantity. A claim that states it twice and differently is held: a write-off
//! (WCO Data Model 502) beside the quantity of the goods, or a tariff quantity beside a net mass.
//! Where the goods are not stated in the unit of the certificate, their mass or their value tells
//! how much they are, by what the other papers say of a unit.
//!
//! Invariant: a claim never makes itself smaller for the ledger than it is for the duty.
//!
//! Not here: codes, packages, the mass of a part shipment (`super::goods`).

use karvan_types::amount::is_strict;
use karvan_types::{Decimal, Quantity};

use super::proportion::{above, below, sum};
use super::{Case, Findings, Other, Papers, Rule, goods, value};
use crate::certificate::LedgerItem;
use crate::codes::units;
use crate::messages::GoodsItem;

/// Masses are compared in kilograms (UN/ECE Recommendation 20).
const KILOGRAM: &str = "KGM";
/// Decimal places of a quantity that is only expected.
const EXPECTED_PLACES: u32 = 6;

/// Quantities in the unit of the certificate; without a certificate, in that of the claim.
#[derive(Default)]
pub(super) struct Quantities {
    /// What the claim wants debited.
    pub(super) claimed: Option<Quantity>,
    /// How much the goods are, as stated or as expected.
    pub(super) goods: Option<Quantity>,
    /// What is left on the certificate.
    pub(super) balance: Option<Quantity>,
    /// What was declared for export.
    pub(super) exported: Option<Quantity>,
}

/// Compares the claimed quantity with the certificate, the export declaration, and itself.
pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) -> Quantities {
    let left = look_at_export_quantity(case, findings);
    look_at_two_masses(case, findings);
    let tolerance = findings.limit(Rule::NetMass);
    let ledger = case.certificate.and_then(|certificate| certificate.ledger_of(case.quote.item));
    let Some(ledger) = ledger else {
        let unit = stated_quantities(case.item).next().map(|first| first.unit.clone());
        let goods = unit.and_then(|unit| stated(case.item, &unit, tolerance));
        if let (Some(goods), Some(written)) = (&goods, write_off(case)) {
            look_at_write_off(written, goods, findings.limit(Rule::WriteOff), findings);
        }
        return Quantities { goods, ..Quantities::default() };
    };
    let unit = &ledger.certified.unit;
    let balance = ledger.balance_quantity();
    let exported = case.export_item().and_then(|item| in_unit(unit, stated_quantities(item)));
    let exported = exported.and_then(|whole| match left {
        Some((rest, all)) if rest != all => {
            let nothing = Quantity { value: Decimal::ZERO, unit: whole.unit.clone() };
            in_proportion(&whole, rest, all).or(Some(nothing))
        }
        _ => Some(whole),
    });
    let whole = stated(case.item, unit, tolerance);
    // A mass above the tariff quantity and the tolerance pays for what it is above.
    let stated = stated(case.item, unit, findings.limit(Rule::QuantityMass));
    let by_mass = by_mass(case, ledger);
    if let (Some(written), Some(goods)) = (write_off(case), stated.as_ref().or(by_mass.as_ref())) {
        let rule = if stated.is_some() { Rule::WriteOff } else { Rule::MassPerUnit };
        look_at_write_off(written, goods, findings.limit(rule), findings);
    }
    look_at_mass_per_unit(case, (stated.as_ref(), by_mass.as_ref()), findings);
    let written = in_unit(unit, write_off(case).into_iter());
    let goods = match (&whole, &by_mass) {
        (Some(whole), Some(by_mass)) => Some(larger(whole, by_mass, findings)),
        (Some(whole), None) => Some(whole.clone()),
        (None, Some(by_mass)) => Some(match &written {
            Some(written) => larger(written, by_mass, findings),
            None => by_mass.clone(),
        }),
        (None, None) => by_value(case, unit),
    };
    let is_known = stated.is_some() || (written.is_some() && by_mass.is_some());
    let claimed = stated.or(written);
    if !is_known {
        let stated: Vec<_> = stated_quantities(case.item).map(ToString::to_string).collect();
        let stated = if stated.is_empty() { "none".to_owned() } else { stated.join(", ") };
        let papers = Papers::new().certificate(&ledger.certified).claim(stated);
        findings.add(Rule::UnitNotConvertible, papers);
    }
    if let Some(claimed) = &claimed {
        let papers = Papers::new().certificate(&balance).claim(claimed);
        if balance.value.is_zero() {
            findings.add(Rule::BalanceUsedUp, papers.certificate(&ledger.certified));
        } else if claimed.value > above(balance.value, findings.limit(Rule::QuantityBalance)) {
            findings.add(Rule::QuantityBalance, papers);
        }
    }
    if !ledger.reserved.is_zero() {
        let reserved = Quantity { value: ledger.reserved.normalize(), unit: unit.clone() };
        findings.add(Rule::BalanceReserved, Papers::new().certificate(&reserved).basis(&balance));
    }
    Quantities { claimed, goods, balance: Some(balance), exported }
}

/// Returns the stated quantity, unless the expected one is above it by more than the mass of a
/// unit varies.
fn larger(stated: &Quantity, expected: &Quantity, findings: &Findings<'_>) -> Quantity {
    let is_more = expected.value > above(stated.value, findings.limit(Rule::MassPerUnit));
    if is_more { expected.clone() } else { stated.clone() }
}

/// Compares with what was declared for export, less what went to other claims on it. Returns what
/// is left of each exported unit as a fraction: the rest and the whole.
fn look_at_export_quantity(
    case: &Case<'_>,
    findings: &mut Findings<'_>,
) -> Option<(Decimal, Decimal)> {
    let (claimed, exported) = comparable(case)?;
    let of_others = |taken: bool| {
        let others = case.others.iter().filter(|other| other.is_taken == taken);
        // What cannot be said in this unit may be all of it.
        let unknown = if taken { exported.value } else { Decimal::ZERO };
        sum(others.map(|other| other.quantity.as_ref().map_or(unknown, |q| q.value)))
    };
    let (taken, pending) = (of_others(true), of_others(false));
    let rest = exported.value.saturating_sub(taken).max(Decimal::ZERO);
    let with_taken = claimed.value.saturating_add(taken);
    let limit = above(exported.value, findings.limit(Rule::QuantityExport));
    let papers = || {
        let left = Quantity { value: rest.normalize(), unit: exported.unit.clone() };
        let stated = if taken.is_zero() {
            exported.to_string()
        } else {
            format!("{left} ({exported} less {})", named(case, true))
        };
        Papers::new().export(stated).claim(&claimed)
    };
    if rest.is_zero() && !taken.is_zero() {
        let papers = Papers::new().export(&exported).claim(&claimed);
        findings.add(Rule::ExportUsedUp, papers.basis(named(case, true)));
    } else if with_taken > limit {
        findings.add(Rule::QuantityExport, papers());
    } else if with_taken.saturating_add(pending) > limit {
        findings.add(Rule::ExportShared, papers().basis(named(case, false)));
    } else if claimed.value < below(exported.value, findings.limit(Rule::QuantityShort))
        && goods::packages(case).is_some_and(|(claimed, exported)| claimed == exported)
    {
        // A part shipment has fewer packages; as many with less in them is a short landing.
        findings.add(Rule::QuantityShort, Papers::new().export(&exported).claim(&claimed));
    }
    Some((rest, exported.value))
}

/// Most other claims that a difference names.
const NAMED_MAX: usize = 5;

/// Names the other claims on the same exported goods, with what each has or claims.
fn named(case: &Case<'_>, taken: bool) -> String {
    let others: Vec<_> = case.others.iter().filter(|other| other.is_taken == taken).collect();
    let name = |other: &&Other| match &other.quantity {
        Some(quantity) => format!("{quantity} for {}", other.claim_item),
        None => format!("an unknown quantity for {}", other.claim_item),
    };
    let mut names: Vec<String> = others.iter().take(NAMED_MAX).map(name).collect();
    if others.len() > NAMED_MAX {
        names.push(format!("{} more", others.len() - NAMED_MAX));
    }
    names.join(", ")
}

/// A tariff quantity that is a mass is the net mass, up to rounding.
fn look_at_two_masses(case: &Case<'_>, findings: &mut Findings<'_>) {
    let mut stated = stated_quantities(case.item);
    let (Some(quantity), Some(mass)) = (stated.next(), stated.next()) else { return };
    let (Some(one), Some(other)) = (mass_in_base(quantity), mass_in_base(mass)) else { return };
    if apart(one, other, findings.limit(Rule::QuantityMass)) {
        findings.add(Rule::QuantityMass, Papers::new().claim(format!("{quantity}, {mass}")));
    }
}

fn apart(one: Decimal, other: Decimal, percent: Decimal) -> bool {
    let (less, more) = (one.min(other), one.max(other));
    less < below(more, percent)
}

/// A write-off is the quantity of the goods, up to `limit` percent.
fn look_at_write_off(
    written: &Quantity,
    goods: &Quantity,
    limit: Decimal,
    findings: &mut Findings<'_>,
) {
    let is_same = units::convert(written, &goods.unit)
        .is_ok_and(|found| !apart(found.quantity.value, goods.value, limit));
    if !is_same {
        findings.add(Rule::WriteOff, Papers::new().claim(written).basis(goods));
    }
}

fn look_at_mass_per_unit(
    case: &Case<'_>,
    (stated, by_mass): (Option<&Quantity>, Option<&Quantity>),
    findings: &mut Findings<'_>,
) {
    let (Some(stated), Some(by_mass)) = (stated, by_mass) else { return };
    if by_mass.value > above(stated.value, findings.limit(Rule::MassPerUnit)) {
        let both: Vec<_> = stated_quantities(case.item).map(ToString::to_string).collect();
        findings.add(Rule::MassPerUnit, Papers::new().claim(both.join(", ")).basis(by_mass));
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

/// Returns what the claim writes off the quoted certificate.
fn write_off<'a>(case: &Case<'a>) -> Option<&'a Quantity> {
    case.item.certificates().next()?.write_off.as_ref()?.quantity.as_ref()
}

/// Returns how much the goods are as the claim states it: the tariff quantity, or the net mass when
/// that is of the same kind and more than `percent` above it.
fn stated(item: &GoodsItem, unit: &str, percent: Decimal) -> Option<Quantity> {
    let mut found = stated_quantities(item)
        .filter_map(|quantity| units::convert(quantity, unit).ok())
        .map(|converted| converted.quantity);
    let first = found.next()?;
    let second = found.next().filter(|second| second.value > above(first.value, percent));
    Some(second.unwrap_or(first))
}

/// Returns how much the goods are by their net mass, when the certificate does not count in a mass:
/// by the mass of a unit on the certificate, failing that on the export declaration.
fn by_mass(case: &Case<'_>, ledger: &LedgerItem) -> Option<Quantity> {
    let unit = &ledger.certified.unit;
    if units::unit(unit)?.kind == units::unit(KILOGRAM)?.kind {
        return None;
    }
    let mass = net_mass(case.item)?;
    let certified = case.certificate_item().and_then(|item| {
        let mass = in_kilograms(item.net_mass.as_ref()?)?;
        Some((units::convert(&item.quantity, unit).ok()?.quantity, mass))
    });
    let exported = || {
        let item = case.export_item()?;
        Some((in_unit(unit, stated_quantities(item))?, net_mass(item)?))
    };
    let (quantity, whole) = certified.or_else(exported)?;
    in_proportion(&quantity, mass, whole)
}

/// Returns how much the goods are by the value of their invoice, when the export declaration states
/// a value in the same currency.
fn by_value(case: &Case<'_>, unit: &str) -> Option<Quantity> {
    let (invoiced, exported) = (value::invoiced_value(case)?, value::exported_value(case)?);
    let found = case.in_currency(exported, &invoiced.currency)?;
    let quantity = in_unit(unit, stated_quantities(case.export_item()?))?;
    in_proportion(&quantity, invoiced.value, found.amount.value)
}

fn in_proportion(quantity: &Quantity, part: Decimal, whole: Decimal) -> Option<Quantity> {
    let value = quantity.value.checked_mul(part)?.checked_div(whole)?.round_dp(EXPECTED_PLACES);
    let (value, unit) = (value.normalize(), quantity.unit.clone());
    (value > Decimal::ZERO && is_strict(value)).then_some(Quantity { value, unit })
}

fn net_mass(item: &GoodsItem) -> Option<Decimal> {
    in_kilograms(item.commodity.measure.as_ref()?.net_mass.as_ref()?)
}

/// Returns a mass to be compared only: it may have more digits than a quantity.
fn mass_in_base(mass: &Quantity) -> Option<Decimal> {
    let is_mass = units::unit(&mass.unit)?.kind == units::unit(KILOGRAM)?.kind;
    units::to_base(mass).ok().filter(|_| is_mass)
}

fn in_kilograms(mass: &Quantity) -> Option<Decimal> {
    units::convert(mass, KILOGRAM).ok().map(|converted| converted.quantity.value)
}

/// Returns the first quantity that converts into a unit, converted.
fn in_unit<'a>(unit: &str, mut quantities: impl Iterator<Item = &'a Quantity>) -> Option<Quantity> {
    quantities
        .find_map(|quantity| units::convert(quantity, unit).ok())
        .map(|converted| converted.quantity)
}

/// Returns the quantities that an item of a declaration states: tariff quantity, then net mass.
pub(crate) fn stated_quantities(item: &GoodsItem) -> impl Iterator<Item = &Quantity> {
    let measure = item.commodity.measure.as_ref();
    let quantity = measure.and_then(|measure| measure.tariff_quantity.as_ref());
    quantity.into_iter().chain(measure.and_then(|measure| measure.net_mass.as_ref()))
}
