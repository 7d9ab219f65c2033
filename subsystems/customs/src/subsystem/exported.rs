//! Which other claimed items rest on the same item of an export declaration, and how much of it
//! they have: goods that were exported once are imported once.
//!
//! Not here: what follows from it for a claim (`crate::matching`).

use karvan_store::Read;
use karvan_subsystem::Rejection;
use karvan_types::{Decimal, Quantity};

use super::decide::last_decision;
use crate::claim::{ClaimItem, item_key};
use crate::codes::units;
use crate::decision::DecisionRecord;
use crate::duty::Share;
use crate::matching::{Case, Other};
use crate::states::ItemState;

/// Decimal places of a quantity that is shown.
const SHOWN_PLACES: u32 = 6;

/// Returns the other claimed items on the exported goods of a case; `own` is the item of the case.
pub(super) fn others(view: &dyn Read, case: &Case<'_>, own: &str) -> Result<Vec<Other>, Rejection> {
    let (Some(export), Some((sequence, exported))) = (case.export, case.exported()) else {
        return Ok(Vec::new());
    };
    let Some(exported) = exported else { return Ok(Vec::new()) };
    let key = item_key(&export.id(), sequence);
    let mut found = Vec::new();
    for item in view.select::<ClaimItem>(&ClaimItem::range("by_export", &key))? {
        if item.id() != own && item.state.get() != ItemState::Denied {
            found.push(other(view, &item, &exported.unit)?);
        }
    }
    Ok(found)
}

fn other(view: &dyn Read, item: &ClaimItem, unit: &str) -> Result<Other, Rejection> {
    let matched = &item.assessment.matched;
    let wanted = matched.of_export.as_ref();
    let wanted = wanted.and_then(|quantity| units::convert(quantity, unit).ok());
    let wanted = wanted.map(|converted| converted.quantity);
    let state = item.state.get();
    let quantity = match (wanted, state) {
        (Some(wanted), ItemState::GrantedInPart) => {
            let decided: Option<DecisionRecord> = view.find(last_decision(item))?;
            let granted = decided.and_then(|record| record.debited.or(record.unseen));
            Some(part(wanted, granted.as_ref(), matched.goods.as_ref()))
        }
        (wanted, _) => wanted,
    };
    // What was granted stays granted until the next decision.
    let is_taken = !matches!(state, ItemState::Open | ItemState::Query);
    Ok(Other { claim_item: item.id(), quantity, is_taken })
}

/// Returns the part of a quantity that was granted; all of it when that cannot be said.
fn part(wanted: Quantity, granted: Option<&Quantity>, goods: Option<&Quantity>) -> Quantity {
    let (Some(granted), Some(goods)) = (granted, goods) else { return wanted };
    let Ok(granted) = units::convert(granted, &goods.unit) else { return wanted };
    let share = Share::of(granted.quantity.value, goods.value);
    match share.of_number(wanted.value, Decimal::ONE) {
        Some(value) => Quantity { value: value.round_dp(SHOWN_PLACES).normalize(), ..wanted },
        None => wanted,
    }
}
