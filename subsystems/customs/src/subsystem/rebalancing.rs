//! Open claims follow the balance of their certificate: what one decision debits, reserves or gives
//! back changes what the others can get, so that they are matched anew.
//!
//! The first [`AT_ONCE`] open items are matched in the transaction of the decision; the others are
//! taken up by the clock, [`PAGE`] in each transaction, from where the last one ended. A further
//! change meanwhile begins anew.
//!
//! Not here: what follows from a new version, a cancellation or a suspension of a certificate
//! (`super::apply`, `super::suspending`), from the rest of a quota (`super::quotas`).

use karvan_store::{Range, Read};
use karvan_subsystem::{Context, Rejection};

use super::apply::certificate_subject;
use super::assess::reassess;
use super::{Customs, suspending};
use crate::certificate::{Certificate, LedgerItem};
use crate::claim::{Claim, ClaimItem};
use crate::states::ItemState;
use crate::timers::{self, Timer, TimerKind};

/// Most items that are matched anew in the transaction of a decision.
const AT_ONCE: usize = 10;
/// Most items that are matched anew in one transaction afterwards.
const PAGE: usize = 50;
/// The states in which an item follows its certificate.
const OPEN: [ItemState; 4] =
    [ItemState::Open, ItemState::Reopened, ItemState::Query, ItemState::Provisional];
const BECAUSE: &str = "the balance of its certificate has changed";

/// The keys of the certificates whose balance changes with that of one: its copies, its original,
/// and what took its place.
fn keys_of(account: &Certificate) -> Vec<String> {
    suspending::keys_of(account).into_iter().chain(account.replacement()).collect()
}

/// Takes up that a decision about an item was made: with the ledger before it, and the certificate
/// that was debited. What is granted on a certificate that is not here shows in the other claims on
/// it, too.
pub(super) fn decided(
    customs: &Customs,
    cx: &mut Context<'_>,
    item: &ClaimItem,
    (before, account): (Option<Vec<LedgerItem>>, Option<&Certificate>),
) -> Result<(), Rejection> {
    let keys = match account {
        Some(account) if before.as_ref() == Some(&account.ledger) => return Ok(()),
        Some(account) => keys_of(account),
        None => vec![item.certificate.clone()],
    };
    let own = item.id();
    for key in keys {
        look(customs, cx, &Look { key: &key, after: "", own: Some(&own), limit: AT_ONCE })?;
    }
    Ok(())
}

/// Goes on where the last transaction ended.
pub(super) fn go_on(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    let (key, after) = (timer.about.as_str(), timer.note.as_str());
    look(customs, cx, &Look { key, after, own: None, limit: PAGE })
}

/// Which items to look at.
struct Look<'a> {
    /// The certificate that they quote.
    key: &'a str,
    /// State and key of the last item that was looked at.
    after: &'a str,
    /// The item that was decided.
    own: Option<&'a str>,
    limit: usize,
}

fn look(customs: &Customs, cx: &mut Context<'_>, look: &Look<'_>) -> Result<(), Rejection> {
    let items = open_items(cx.tx, look)?;
    let last = items.last().filter(|_| items.len() == look.limit);
    let subject = certificate_subject(look.key);
    if let Some(last) = last {
        let place = format!("{} {}", last.state.name(), last.id());
        let timer = Timer::new(TimerKind::BalanceChanged, &subject, look.key, cx.now, cx.now);
        timers::set(cx.tx, &timer.with_note(place))?;
    }
    for mut item in items {
        if look.own == Some(item.id().as_str()) {
            continue;
        }
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        reassess(customs, cx, &claim, &mut item, BECAUSE)?;
    }
    Ok(())
}

/// Returns the open items from a place on, state by state, at most `limit`.
fn open_items(view: &dyn Read, look: &Look<'_>) -> Result<Vec<ClaimItem>, Rejection> {
    let (state, key) = look.after.split_once(' ').unwrap_or_default();
    let begin = OPEN.iter().position(|open| open.name() == state);
    let mut found: Vec<ClaimItem> = Vec::new();
    for (place, state) in OPEN.iter().enumerate().skip(begin.unwrap_or_default()) {
        let prefix = vec![look.key.into(), state.name().into()];
        let range = Range::of("by_standing", prefix, look.limit - found.len());
        let range = if begin == Some(place) { range.after(key) } else { range };
        found.extend(view.select::<ClaimItem>(&range)?);
        if found.len() >= look.limit {
            break;
        }
    }
    Ok(found)
}
