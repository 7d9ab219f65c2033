//! Looks at the value and the invoice. A difference here is work for valuation, never a ground to
//! deny the origin.

use karvan_types::amount::RoundingStrategy;
use karvan_types::{Amount, Decimal};

use super::{Case, Findings, Papers, Rule, goods};
use crate::certificate::Certificate;
use crate::messages::{CertificateFlag, InvoiceReference};

/// Values are shown with two decimals, as both currencies have.
const SHOWN_PLACES: u32 = 2;

pub(super) fn look(case: &Case<'_>, findings: &mut Findings<'_>) {
    look_at_value(case, findings);
    look_at_invoice(case, findings);
}

fn look_at_value(case: &Case<'_>, findings: &mut Findings<'_>) {
    let Some(claimed) = case.item.commodity.invoice_line.as_ref().map(|line| &line.item_charge)
    else {
        return;
    };
    let Some(item) = case.export_item() else { return };
    let line = item.commodity.invoice_line.as_ref().map(|line| &line.item_charge);
    let Some(exported) = line.or(item.statistical_value.as_ref()) else { return };
    if exported.currency != claimed.currency {
        findings.add(Rule::Currency, Papers::new().export(exported).claim(claimed));
        return;
    }
    // A part shipment is compared by its part of the declared value.
    let expected = match goods::comparable(case) {
        Some((part, whole)) if !whole.value.is_zero() => exported.value * part.value / whole.value,
        _ => exported.value,
    };
    if claimed.value >= expected || expected.is_zero() {
        return;
    }
    let percent = (expected - claimed.value) * Decimal::ONE_HUNDRED / expected;
    let shown = Amount { value: money(expected), currency: exported.currency.clone() };
    let papers = Papers::new()
        .export(shown)
        .claim(format!("{claimed} ({} % less)", percent.round_dp(1).normalize()));
    if percent > findings.limit(Rule::ValueHard) {
        findings.add(Rule::ValueHard, papers);
    } else if percent > findings.limit(Rule::ValueSoft) {
        findings.add(Rule::ValueSoft, papers);
    } else {
        findings.add_tolerated(Rule::ValueSoft, papers);
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
    let known = || certified.iter().chain(exported);
    let shared = claimed.iter().any(|mine| known().any(|other| plain(other) == plain(mine)));
    if claimed.is_empty() || known().next().is_none() || shared {
        return;
    }
    let papers = Papers {
        certificate: listed(certified),
        export: listed(exported),
        claim: listed(claimed),
        basis: None,
    };
    let third_party =
        content.is_some_and(|c| c.flags.contains(&CertificateFlag::ThirdPartyInvoice));
    if third_party {
        findings.add_tolerated(Rule::InvoiceNumber, papers);
    } else {
        findings.add(Rule::InvoiceNumber, papers);
    }
}

fn plain(invoice: &InvoiceReference) -> String {
    let id = invoice.id.chars().filter(|c| c.is_alphanumeric());
    id.flat_map(char::to_uppercase).collect()
}

fn listed(invoices: &[InvoiceReference]) -> Option<String> {
    let ids: Vec<_> = invoices.iter().map(|invoice| invoice.id.as_str()).collect();
    (!ids.is_empty()).then(|| ids.join(", "))
}
