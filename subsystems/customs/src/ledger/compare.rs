//! Compares what two ledgers hold of one item of a certificate.
//!
//! A debit that one side lacks may be a message on its way, so a young one counts as present on
//! both sides; the balances are compared without it. Of an item with more debits than a statement
//! lists only balance and count are compared, as they are.

use karvan_types::{Decimal, Quantity, Timestamp};

use crate::certificate::Holding;

/// What one ledger holds of one item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Side {
    /// What is left.
    pub balance: Quantity,
    /// How many debits stand.
    pub uses: u32,
    /// The debits that stand, with claimed items as both sides name them (`PK:claim#item`); when
    /// `whole` is false, only the newest ones.
    pub holdings: Vec<Holding>,
    /// Whether `holdings` has every debit.
    pub whole: bool,
}

/// How two ledgers of one item differ.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Difference {
    /// Debits that only our side has.
    pub missing_there: Vec<Holding>,
    /// Debits that only the other side has.
    pub missing_here: Vec<Holding>,
    /// Debits that both have, of another quantity or decision: ours, then theirs.
    pub unequal: Vec<(Holding, Holding)>,
    /// What is wrong, in words.
    pub text: String,
}

/// Compares both sides; debits after `settled` that one side lacks are on their way and no
/// difference. Returns nothing when the ledgers agree.
pub fn compare<'a>(ours: &'a Side, theirs: &'a Side, settled: Timestamp) -> Option<Difference> {
    // Of lists that were cut it cannot be told which debits only one side has.
    let whole = ours.whole && theirs.whole;
    let listed = |side: &'a Side| if whole { side.holdings.as_slice() } else { &[] };
    let (only_ours, pairs) = split(listed(ours), listed(theirs));
    let (only_theirs, _) = split(listed(theirs), listed(ours));
    let unequal: Vec<(Holding, Holding)> = pairs
        .into_iter()
        .filter(|(a, b)| !same_quantity(&a.quantity, &b.quantity))
        .map(|(a, b)| (a.clone(), b.clone()))
        .collect();
    let young = |held: &&&Holding| held.at > settled;
    let left = |side: &Side, only: &[&Holding]| {
        side.balance.value
            + only.iter().filter(young).map(|held| held.quantity.value).sum::<Decimal>()
    };
    let uses = |side: &Side, only: &[&Holding]| {
        let young = only.iter().filter(young).count();
        side.uses.saturating_sub(u32::try_from(young).unwrap_or(u32::MAX))
    };
    let old = |only: &[&Holding]| -> Vec<Holding> {
        only.iter().filter(|held| held.at <= settled).map(|&held| held.clone()).collect()
    };
    let (missing_there, missing_here) = (old(&only_ours), old(&only_theirs));
    let same_unit = ours.balance.unit == theirs.balance.unit;
    let balances_agree = same_unit && left(ours, &only_ours) == left(theirs, &only_theirs);
    let counts_agree = uses(ours, &only_ours) == uses(theirs, &only_theirs);
    let lines_agree = missing_there.is_empty() && missing_here.is_empty() && unequal.is_empty();
    if balances_agree && counts_agree && lines_agree {
        return None;
    }
    let mut difference = Difference { missing_there, missing_here, unequal, text: String::new() };
    difference.text = words(ours, theirs, &difference);
    Some(difference)
}

/// Returns the lines of `a` that `b` lacks, and those that both have.
fn split<'a>(
    a: &'a [Holding],
    b: &'a [Holding],
) -> (Vec<&'a Holding>, Vec<(&'a Holding, &'a Holding)>) {
    let (mut only, mut pairs) = (Vec::new(), Vec::new());
    for held in a {
        match b.iter().find(|other| other.claim_item == held.claim_item) {
            Some(other) => pairs.push((held, other)),
            None => only.push(held),
        }
    }
    (only, pairs)
}

fn same_quantity(a: &Quantity, b: &Quantity) -> bool {
    a.unit == b.unit && a.value == b.value
}

fn words(ours: &Side, theirs: &Side, difference: &Difference) -> String {
    let mut text = format!(
        "here {} are left after {} debits, at the partner {} after {}",
        ours.balance, ours.uses, theirs.balance, theirs.uses
    );
    let parts = [
        (difference.missing_there.len(), "are missing there"),
        (difference.missing_here.len(), "are missing here"),
        (difference.unequal.len(), "differ in quantity"),
    ];
    for (count, what) in parts {
        if count > 0 {
            text = format!("{text}; {count} debits {what}");
        }
    }
    if difference.missing_there.is_empty()
        && difference.missing_here.is_empty()
        && difference.unequal.is_empty()
    {
        text.push_str(
            "; the debits agree as far as both told them, so compare the certified quantities and \
             versions",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> Timestamp {
        let noon: Timestamp = "2026-10-02T12:00:00Z".parse().expect("an instant");
        noon.plus(std::time::Duration::from_secs(minute * 60))
    }

    fn side(balance: i64, lines: &[(&str, i64, u64)]) -> Side {
        let quantity = |value: i64| Quantity { value: value.into(), unit: "KGM".to_owned() };
        let holdings = lines.iter().map(|&(claim, value, minute)| Holding {
            item: 1,
            claim_item: format!("PK:{claim}#1"),
            decision: 1,
            quantity: quantity(value),
            balance: Decimal::ZERO,
            at: at(minute),
        });
        let uses = u32::try_from(lines.len()).expect("few");
        Side { balance: quantity(balance), uses, holdings: holdings.collect(), whole: true }
    }

    /// Debits until minute 10 are settled.
    fn check(ours: &Side, theirs: &Side, expected: Option<(usize, usize, usize)>) {
        let found = compare(ours, theirs, at(10));
        let counts =
            found.as_ref().map(|d| (d.missing_there.len(), d.missing_here.len(), d.unequal.len()));
        assert_eq!(counts, expected, "{found:?}");
        // What one side misses, the other one has too much.
        let mirrored = compare(theirs, ours, at(10));
        let counts =
            mirrored.map(|d| (d.missing_here.len(), d.missing_there.len(), d.unequal.len()));
        assert_eq!(counts, expected);
    }

    #[test]
    fn equal_ledgers_have_no_difference() {
        let one = side(20, &[("A", 10, 1)]);
        check(&one, &one, None);
        check(&side(30, &[]), &side(30, &[]), None);
        // The order of the lines and the moment of booking do not matter.
        let two = side(0, &[("A", 10, 1), ("B", 20, 2)]);
        check(&two, &side(0, &[("B", 20, 9), ("A", 10, 9)]), None);
    }

    #[test]
    fn a_debit_on_its_way_is_no_difference_until_it_has_settled() {
        check(&side(10, &[("A", 10, 1), ("B", 10, 11)]), &side(20, &[("A", 10, 1)]), None);
        check(
            &side(10, &[("A", 10, 1), ("B", 10, 9)]),
            &side(20, &[("A", 10, 1)]),
            Some((1, 0, 0)),
        );
        // On its way, and still something else is wrong.
        check(
            &side(9, &[("A", 10, 1), ("B", 10, 11)]),
            &side(20, &[("A", 10, 1)]),
            Some((0, 0, 0)),
        );
    }

    #[test]
    fn each_way_to_differ_is_counted() {
        check(&side(20, &[("A", 10, 1)]), &side(15, &[("A", 15, 1)]), Some((0, 0, 1)));
        check(&side(20, &[("A", 10, 1)]), &side(20, &[("B", 10, 1)]), Some((1, 1, 0)));
        check(&side(20, &[]), &side(21, &[]), Some((0, 0, 0)));
    }

    #[test]
    fn lists_that_were_cut_are_compared_by_count_and_balance() {
        let cut = |mut side: Side, uses| {
            side.uses = uses;
            side.whole = false;
            side
        };
        let ours = cut(side(20, &[("A", 1, 1)]), 900);
        check(&ours, &cut(side(20, &[("B", 1, 1)]), 900), None);
        check(&ours, &cut(side(20, &[("B", 1, 1)]), 901), Some((0, 0, 0)));
        check(&ours, &cut(side(19, &[("A", 1, 1)]), 900), Some((0, 0, 0)));
    }
}
