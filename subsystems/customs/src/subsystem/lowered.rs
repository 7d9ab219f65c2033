//! A certificate that is changed after it was used: one that certifies less than was debited is a
//! case on either side, and what was debited in one unit is not certified in one of another kind.

use karvan_subsystem::{Context, Rejection};

use super::apply::certificate_subject;
use crate::certificate::{Certificate, LedgerItem, holdings};
use crate::codes::units;
use crate::journal::{TaskKind, note, open_task};
use crate::ledger::{CaseKind, Finding, open_case};
use crate::messages::{CertificateOfOrigin, ValidationError};

/// Says which used item of a certificate a new version states in a unit that cannot be compared.
pub(super) fn unit_misfit(
    certificate: &Certificate,
    content: &CertificateOfOrigin,
) -> Option<ValidationError> {
    content.items.iter().find_map(|item| {
        let old = certificate.ledger_of(item.sequence)?;
        if old.used().is_zero() || units::convert(&item.quantity, &old.certified.unit).is_ok() {
            return None;
        }
        let (used, unit) = (old.used(), &old.certified.unit);
        let remedy = format!(
            "{used} {unit} of the item are used, so it is certified in {unit} or a unit of the \
             same kind, not in {}",
            item.quantity.unit
        );
        let pointer = format!("items[{}]/quantity", item.sequence);
        Some(ValidationError { pointer, rule: "UNIT".to_owned(), remedy })
    })
}

/// Opens a case and a task for each item of which more is debited than is certified now.
pub(super) fn tell(
    cx: &mut Context<'_>,
    certificate: &Certificate,
    items: &[u32],
    by: &str,
) -> Result<(), Rejection> {
    let subject = certificate_subject(&certificate.id());
    let (held, _) = holdings(cx.tx, &certificate.id())?;
    for &item in items {
        let Some(ledger) = certificate.ledger_of(item) else { continue };
        let text = format!(
            "item {item} of certificate {} is lowered to {} after {} {} had been debited: look \
             whether the preference must be recovered",
            certificate.number,
            ledger.certified,
            ledger.used(),
            ledger.certified.unit
        );
        note(cx.tx, cx.now, &subject, by, text.clone())?;
        let finding = Finding {
            kind: CaseKind::LoweredAfterUse,
            certificate: certificate.id(),
            item,
            claim_item: None,
            text: text.clone(),
            ours: held.iter().filter(|held| held.item == item).cloned().collect(),
            theirs: Vec::new(),
            our_balance: Some(LedgerItem::balance_quantity(ledger)),
            their_balance: None,
        };
        open_case(cx.tx, cx.now, by, finding)?;
        open_task(cx.tx, cx.now, TaskKind::Overdrawn, &subject, text)?;
    }
    Ok(())
}
