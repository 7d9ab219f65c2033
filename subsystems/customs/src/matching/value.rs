//! Looks at the value and the invoice. A difference here is work for valuation, never a ground to
//! deny the origin.

use karvan_types::amount::RoundingStrategy;
use karvan_types::{Amount, Decimal};

use super::proportion::{below, percent, proportion};
use super::{Case, Findings, Papers, Rule, quantity};
use crate::certificate::Certificate;
use crate::codes::units;
use crate::invoice::plain;
use crate::messages::{CertificateFlag, InvoiceReference, SharingLevel};

/// Values are shown with two decimals, as both currencies have.
const SHOWN_PLACES: u32 = 2;

pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) {
    look_at_value(case, findings);
    look_at_invoice(case, findings);
    look_at_unshared(case, findings);
}

/// Says so when the level of the agreement is the reason why no value can be compared.
fn look_at_unshared(case: &Case<'_>, findings: &mut Findings<'_>) {
    let level = case.export.and_then(|export| export.content()).map(|c| c.header.sharing_level);
    let certified = case.certificate_item().is_some_and(|item| item.fob_value.is_some());
    if let (Some(SharingLevel::L1), Some(invoiced)) = (level, invoiced_value(case))
        && exported_value(case).is_none()
        && !certified
    {
        findings.add(Rule::ValueNotShared, Papers::new().export("L1").claim(invoiced));
    }
}

/// Returns the value of the claimed goods as the export declaration states it.
pub(super) fn exported_value<'a>(case: &Case<'a>) -> Option<&'a Amount> {
    let item = case.export_item()?;
    let line = item.commodity.invoice_line.as_ref().map(|line| &line.item_charge);
    line.or(item.statistical_value.as_ref())
}

/// Returns the value on the invoice of the claim. The customs value is no measure of it: a ruling
/// may set it above what was paid.
pub(super) fn invoiced_value<'a>(case: &Case<'a>) -> Option<&'a Amount> {
    case.item.commodity.invoice_line.as_ref().map(|line| &line.item_charge)
}

/// Returns which amounts are compared in which other currency.
pub(super) fn conversions(case: &Case<'_>) -> Vec<(Amount, String)> {
    let Some(invoiced) = invoiced_value(case) else { return Vec::new() };
    let certified = case.certificate_item().and_then(|item| item.fob_value.as_ref());
    let mut wanted: Vec<(Amount, String)> = [exported_value(case), certified]
        .into_iter()
        .flatten()
        .map(|amount| (amount.clone(), invoiced.currency.clone()))
        .collect();
    wanted.extend(
        case.item.customs_value.as_ref().map(|value| (invoiced.clone(), value.currency.clone())),
    );
    wanted.retain(|(amount, currency)| amount.currency != *currency);
    wanted
}

fn look_at_value(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(claimed) = invoiced_value(case) else {
        findings.add(Rule::InvoiceValueMissing, Papers::new());
        return;
    };
    look_at_customs_value(case, claimed, findings);
    let Some(exported) = exported_value(case) else { return };
    let Some(found) = case.in_currency(exported, &claimed.currency) else {
        let rule = unconverted(case, exported, claimed, Rule::Currency);
        findings.add(rule, Papers::new().export(exported).claim(claimed));
        return;
    };
    if !found.rates.is_empty() {
        let both = format!("{exported} = {}", shown(&found.amount));
        let papers = Papers::new().export(both).claim(claimed).basis(found.basis());
        findings.add(Rule::CurrencyConverted, papers);
    }
    // A part shipment is compared by its part of the declared value.
    let expected = match quantity::comparable(case) {
        Some((part, whole)) if !whole.value.is_zero() => {
            proportion(found.amount.value, part.value, whole.value)
        }
        _ => found.amount.value,
    };
    if expected.is_zero() {
        return;
    }
    let expected = Amount { value: expected, currency: claimed.currency.clone() };
    if claimed.value < expected.value {
        look_at_lower(case, claimed, &expected, findings);
    } else {
        look_at_higher(case, claimed, &expected, findings);
    }
}

/// Returns why two amounts cannot be compared: too many digits, or what `no_rate` says.
fn unconverted(case: &Case<'_>, amount: &Amount, other: &Amount, no_rate: Rule) -> Rule {
    if case.is_too_large(amount, &other.currency) { Rule::AmountTooLarge } else { no_rate }
}

fn shown(amount: &Amount) -> Amount {
    Amount { value: money(amount.value), currency: amount.currency.clone() }
}

fn look_at_lower(
    case: &Case<'_>,
    claimed: &Amount,
    expected: &Amount,
    findings: &mut Findings<'_>,
) {
    let less = percent(expected.value - claimed.value, expected.value);
    let papers = Papers::new()
        .export(shown(expected))
        .claim(format!("{claimed} (-{} %)", less.round_dp(1).normalize()));
    let agreed = certified_value(case, claimed).is_some_and(|certified| {
        let limit = findings.limit(Rule::ValueSoft);
        percent((certified - claimed.value).abs(), certified) <= limit
    });
    if agreed && less > findings.limit(Rule::ExportOvervalued) {
        let papers = Papers { certificate: Some(claimed.to_string()), ..papers };
        findings.add(Rule::ExportOvervalued, papers);
    } else if less > findings.limit(Rule::ValueHard) {
        findings.add(Rule::ValueHard, papers);
    } else if less > findings.limit(Rule::ValueSoft) {
        findings.add(Rule::ValueSoft, papers);
    } else {
        findings.add_tolerated(Rule::ValueSoft, papers);
    }
}

fn look_at_higher(
    case: &Case<'_>,
    claimed: &Amount,
    expected: &Amount,
    findings: &mut Findings<'_>,
) {
    let more = percent(claimed.value - expected.value, expected.value);
    if more <= findings.limit(Rule::ValueHigher) {
        return;
    }
    let papers = Papers::new()
        .export(shown(expected))
        .claim(format!("{claimed} (+{} %)", more.round_dp(1).normalize()));
    if is_third_party(case) {
        findings.add_tolerated(Rule::ValueHigher, papers);
    } else {
        findings.add(Rule::ValueHigher, papers);
    }
}

/// Whether the certificate says that the invoice is of a third party.
fn is_third_party(case: &Case<'_>) -> bool {
    let content = case.certificate.and_then(Certificate::content);
    content.is_some_and(|content| content.flags.contains(&CertificateFlag::ThirdPartyInvoice))
}

/// Returns the certified value of the claimed part, in the currency of the invoice.
fn certified_value(case: &Case<'_>, claimed: &Amount) -> Option<Decimal> {
    let item = case.certificate_item()?;
    let whole = case.in_currency(item.fob_value.as_ref()?, &claimed.currency)?.amount.value;
    let certified = &item.quantity;
    let part = quantity::stated_quantities(case.item)
        .find_map(|stated| units::convert(stated, &certified.unit).ok());
    let value = match part {
        Some(part) if !certified.value.is_zero() => {
            proportion(whole, part.quantity.value, certified.value)
        }
        _ => whole,
    };
    Some(value).filter(|value| !value.is_zero())
}

/// A customs value below the invoice value is no customs value; one above it may rest on a ruling.
fn look_at_customs_value(case: &Case<'_>, invoiced: &Amount, findings: &mut Findings<'_>) {
    let Some(assessed) = case.item.customs_value.as_ref() else { return };
    let Some(found) = case.in_currency(invoiced, &assessed.currency) else {
        let papers = Papers::new().export(invoiced).claim(assessed);
        findings.add(unconverted(case, invoiced, assessed, Rule::CustomsValueCurrency), papers);
        return;
    };
    let floor = below(found.amount.value, findings.limit(Rule::AssessedBelowInvoice));
    if assessed.value < floor {
        let papers = Papers::new().export(shown(&found.amount)).claim(assessed);
        findings.add(Rule::AssessedBelowInvoice, papers.basis(found.basis()));
    }
}

fn money(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(SHOWN_PLACES, RoundingStrategy::MidpointAwayFromZero).normalize()
}

fn look_at_invoice(case: &Case<'_>, findings: &mut Findings<'_>) {
    let content = case.certificate.and_then(Certificate::content);
    let certified = content.map(|content| content.invoices.as_slice()).unwrap_or_default();
    let exported = (case.export.and_then(|export| export.content()))
        .map(|export| export.shipment.invoices.as_slice())
        .unwrap_or_default();
    let claimed = case.claim.shipment.invoices.as_slice();
    if !case.sharing_invoice.is_empty() {
        let papers = Papers::new().certificate(case.sharing_invoice.join(", "));
        findings.add(Rule::InvoiceShared, Papers { claim: listed(certified), ..papers });
    }
    let known = || certified.iter().chain(exported);
    if claimed.is_empty() && known().next().is_some() {
        let (certificate, export) = (listed(certified), listed(exported));
        findings.add(Rule::InvoiceMissing, Papers { certificate, export, ..Papers::new() });
    }
    let shared =
        claimed.iter().any(|mine| known().any(|other| plain(&other.id) == plain(&mine.id)));
    if claimed.is_empty() || known().next().is_none() || shared {
        return;
    }
    let papers = Papers {
        certificate: listed(certified),
        export: listed(exported),
        claim: listed(claimed),
        basis: None,
    };
    if is_third_party(case) {
        findings.add_tolerated(Rule::InvoiceNumber, papers);
    } else {
        findings.add(Rule::InvoiceNumber, papers);
    }
}

fn listed(invoices: &[InvoiceReference]) -> Option<String> {
    let ids: Vec<_> = invoices.iter().map(|invoice| invoice.id.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}
