//! Which ledger a certificate draws on: its own, that of the original whose copy it is, and what
//! the certificate that it replaces has used already.

use karvan_store::{Error, Read, Tx};
use karvan_types::{Decimal, Quantity};

use super::{Certificate, CertificateNumber, LedgerItem};
use crate::codes::units;
use crate::messages::{CertificateFlag, CertificateOfOrigin, CertificateStatus};

/// Most certified true copies of one certificate.
pub const COPIES_MAX: usize = 20;

impl Certificate {
    /// Returns the certificate whose ledger is debited when this one is presented: the original of
    /// a true copy, or itself.
    pub fn account(&self, view: &dyn Read) -> Result<Self, Error> {
        let Some(original) = &self.copy_of else { return Ok(self.clone()) };
        Ok(view.find(original.as_str())?.unwrap_or_else(|| self.clone()))
    }

    /// Returns the key of that certificate.
    pub fn account_id(&self) -> String {
        self.copy_of.clone().unwrap_or_else(|| self.id())
    }
}

/// Returns the number of the original when a certificate is a certified true copy under a number
/// of its own.
pub fn original_of(content: &CertificateOfOrigin) -> Option<CertificateNumber> {
    let copy = content.flags.contains(&CertificateFlag::TrueCopy);
    let number = content.replaces.as_deref().filter(|_| copy)?;
    CertificateNumber::parse(number).ok()
}

/// Counts what was used of a replaced certificate against the one that took its place, as far as
/// both together certify more than the replaced one did. So a replacement for the rest starts
/// whole, and one for everything starts with what was used. Stores the replacement when it changed.
pub fn carry_over(tx: &mut dyn Tx, old: &Certificate) -> Result<(), Error> {
    let by = old.replaced_by.as_deref().filter(|_| old.standing() == CertificateStatus::Replaced);
    let Some(number) = by.and_then(|by| CertificateNumber::parse(by).ok()) else { return Ok(()) };
    let Some(mut new) = tx.find::<Certificate>(number.key(old.country))? else { return Ok(()) };
    let before = new.ledger.clone();
    for ledger in &mut new.ledger {
        ledger.carried = old
            .ledger_of(ledger.item)
            .map_or(Decimal::ZERO, |old| carried(old, &ledger.certified))
            .normalize();
    }
    if new.ledger == before { Ok(()) } else { tx.save(&new) }
}

/// Returns what is carried over from an item, in the unit of the item that takes its place. What
/// cannot be expressed in that unit blocks the item.
fn carried(old: &LedgerItem, certified: &Quantity) -> Decimal {
    let used = old.used();
    if used.is_zero() {
        return Decimal::ZERO;
    }
    let in_new_unit = |value: Decimal| {
        let quantity = Quantity { value, unit: old.certified.unit.clone() };
        units::convert(&quantity, &certified.unit).ok().map(|converted| converted.quantity.value)
    };
    match (in_new_unit(used), in_new_unit(old.certified.value)) {
        (Some(used), Some(before)) => (used + certified.value - before).clamp(Decimal::ZERO, used),
        _ => certified.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: (&str, i64, i64), new: (&str, i64), expected: &str) {
        let quantity = |unit: &str, value: i64| Quantity { value: value.into(), unit: unit.into() };
        let mut item = LedgerItem::new(1, quantity(old.0, old.1));
        item.debited = old.2.into();
        let found = carried(&item, &quantity(new.0, new.1)).normalize().to_string();
        assert_eq!(found, expected, "{old:?} {new:?}");
    }

    #[test]
    fn a_replacement_never_certifies_used_goods_again() {
        // Unused; for everything; for the rest; for a part of the rest; for more than before.
        check(("KGM", 100, 0), ("KGM", 100), "0");
        check(("KGM", 100, 40), ("KGM", 100), "40");
        check(("KGM", 100, 40), ("KGM", 60), "0");
        check(("KGM", 100, 40), ("KGM", 50), "0");
        check(("KGM", 100, 40), ("KGM", 80), "20");
        check(("KGM", 100, 40), ("KGM", 500), "40");
        check(("KGM", 2000, 500), ("TNE", 2), "0.5");
        check(("KGM", 100, 1), ("C62", 7), "7");
    }
}
