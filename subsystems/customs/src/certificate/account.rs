//! Which ledger a certificate draws on: its own, that of the original whose copy it is, and what
//! the certificate that it replaces has used already.

use karvan_store::{Error, Range, Read, Tx};
use karvan_types::{Decimal, Quantity};

use super::{Certificate, CertificateNumber, LedgerItem};
use crate::codes::units;
use crate::messages::{CertificateFlag, CertificateOfOrigin, CertificateStatus};

/// Most certified true copies of one certificate.
pub const COPIES_MAX: usize = 20;
/// Most certificates whose place one certificate takes.
pub const REPLACED_MAX: usize = 20;

impl Certificate {
    /// Returns the certificate whose ledger is debited when this one is presented: the original of
    /// a true copy, or itself.
    pub fn account(&self, view: &dyn Read) -> Result<Self, Error> {
        let Some(original) = &self.copy_of else { return Ok(self.clone()) };
        Ok(view.find(original.as_str())?.unwrap_or_else(|| self.clone()))
    }

    /// Returns the key of the certificate that took the place of this one.
    pub fn replacement(&self) -> Option<String> {
        let by = self.replaced_by.as_deref();
        let by = by.filter(|_| self.standing() == CertificateStatus::Replaced)?;
        Some(CertificateNumber::parse(by).ok()?.key(self.country))
    }

    /// Returns the key of the certificate whose ledger is debited when this one is presented.
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
    let mut next = old.replacement();
    // One replaced after the other: what changes in the first changes in the last.
    for _ in 0..REPLACED_MAX {
        let Some(mut new) = next.map(|by| tx.find::<Certificate>(by)).transpose()?.flatten() else {
            break;
        };
        let before = new.ledger.clone();
        carry_in(tx, &mut new)?;
        if new.ledger == before {
            break;
        }
        tx.save(&new)?;
        next = new.replacement();
    }
    Ok(())
}

/// Counts in a certificate what was used of all those whose place it took.
pub fn carry_in(view: &dyn Read, new: &mut Certificate) -> Result<(), Error> {
    let mut sums: Vec<(u32, Decimal)> = Vec::new();
    for old in replaced_by(view, &new.id())? {
        for used in old.ledger.iter().filter(|used| !used.used().is_zero()) {
            let Some(heir) = heir(&old, used.item, new) else { continue };
            sums.push((heir.item, carried(used, &heir.certified)));
        }
    }
    for ledger in &mut new.ledger {
        let own = sums.iter().filter(|(item, _)| *item == ledger.item).map(|(_, sum)| *sum);
        ledger.carried = own
            .fold(Decimal::ZERO, Decimal::saturating_add)
            .min(ledger.certified.value)
            .normalize();
    }
    Ok(())
}

/// Returns the certificates whose place the one with this key took.
pub fn replaced_by(view: &dyn Read, key: &str) -> Result<Vec<Certificate>, Error> {
    view.select(&Range::of("by_replacement", vec![key.into()], REPLACED_MAX))
}

/// Returns the item of a new certificate that takes the place of an item of the old one: the one of
/// its number and code, or of its code, or failing both of its number.
pub(crate) fn heir<'a>(
    old: &Certificate,
    item: u32,
    new: &'a Certificate,
) -> Option<&'a LedgerItem> {
    let code = |certificate: &'a Certificate, item| certificate.content()?.item(item)?.hs6();
    let mine = old.content().and_then(|content| content.item(item)?.hs6());
    let alike = |ledger: &&LedgerItem| mine.is_some() && code(new, ledger.item) == mine;
    let same = new.ledger_of(item);
    same.filter(alike).or_else(|| new.ledger.iter().find(alike)).or(same)
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
        (Some(used), Some(before)) => {
            (used.saturating_add(certified.value) - before).clamp(Decimal::ZERO, used)
        }
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
