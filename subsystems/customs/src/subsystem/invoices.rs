//! Shows every paper that names an invoice.

use karvan_store::Read;
use karvan_subsystem::Rejection;
use karvan_types::ErrorKind;
use serde_json::{Value, json};

use super::answer::refuse;
use crate::certificate::{Certificate, standing_name};
use crate::claim::{Claim, ClaimItem};
use crate::export::Export;
use crate::invoice::{Kind, papers, plain};
use crate::messages::InvoiceReference;

/// Returns the papers that name an invoice in their newest version.
pub(super) fn show(view: &dyn Read, number: &str) -> Result<Value, Rejection> {
    let names = |invoices: &[InvoiceReference]| {
        invoices.iter().any(|named| plain(&named.id) == plain(number))
    };
    let mut certificates = Vec::new();
    for key in papers(view, Kind::Certificate, number)? {
        let Some(certificate) = view.find::<Certificate>(key)? else { continue };
        let Some(content) = certificate.content().filter(|c| names(&c.invoices)) else { continue };
        certificates.push(json!({
            "number": certificate.number.shown,
            "country": certificate.country,
            "standing": standing_name(certificate.standing()),
            "exporter": content.exporter,
            "items": (content.items.iter())
                .map(|item| json!({ "item": item.sequence, "quantity": item.quantity }))
                .collect::<Vec<_>>(),
        }));
    }
    let mut exports = Vec::new();
    for key in papers(view, Kind::Export, number)? {
        let Some(export) = view.find::<Export>(key)? else { continue };
        let Some(content) = export.content() else { continue };
        if names(&content.shipment.invoices) {
            exports.push(json!({
                "number": export.number,
                "country": export.country,
                "state": export.state(),
                "exporter": content.exporter,
            }));
        }
    }
    let mut claims = Vec::new();
    for key in papers(view, Kind::Claim, number)? {
        let Some(claim) = view.find::<Claim>(key)? else { continue };
        if !claim.content().is_some_and(|content| names(&content.shipment.invoices)) {
            continue;
        }
        let items: Vec<ClaimItem> = view.select(&ClaimItem::range("by_claim", &claim.id()))?;
        claims.push(json!({
            "claim": claim.id(),
            "filed": claim.filed,
            "items": (items.iter())
                .map(|item| json!({
                    "item": item.item,
                    "certificate": item.quote.number.shown,
                    "state": item.state.name(),
                }))
                .collect::<Vec<_>>(),
        }));
    }
    if certificates.is_empty() && exports.is_empty() && claims.is_empty() {
        let text = "no paper here names this invoice; check its number";
        return Err(refuse(ErrorKind::NotFound, "unknown-invoice", text));
    }
    Ok(json!({
        "invoice": number,
        "certificates": certificates,
        "exports": exports,
        "claims": claims,
    }))
}
