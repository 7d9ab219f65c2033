//! Grants on certificates that are not here: kept when they are made, debited when the certificate
//! comes, and told to the partner then. [`PAGE`] are debited with the certificate and the rest by
//! the clock, as many in each transaction. Until the last one is debited nobody draws on the
//! certificate, since these grants were made first.
//!
//! What the certificate does not cover becomes a case of the ledger and a task.
//!
//! Not here: who may grant on paper (`super::decide`), how other claims show it
//! (`crate::matching`).

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Decimal, ErrorKind, Quantity};

use super::answer::refuse;
use super::apply::certificate_subject;
use super::assess::claim_subject;
use super::{Customs, statements, suspending, telling};
use crate::certificate::{Certificate, Entry, LedgerItem, Unseen, debit, holdings, reserve};
use crate::claim::{Claim, ClaimItem};
use crate::codes::units;
use crate::decision::DecisionRecord;
use crate::journal::{TaskKind, note, open_task};
use crate::ledger::{CaseKind, Finding, open_case};
use crate::messages::Decision;
use crate::timers::{self, Timer, TimerKind};

/// Most grants that one transaction debits; each is told to customs and issuer of the partner.
const PAGE: usize = 10;

/// Keeps what a decision grants without a ledger, or takes away what an earlier one granted.
pub(super) fn keep(
    cx: &mut Context<'_>,
    caller: &Caller,
    item: &ClaimItem,
    quantity: Option<&Quantity>,
) -> Result<(), Rejection> {
    let Some(quantity) = quantity else { return forget(cx, item) };
    Ok(cx.tx.save(&Unseen {
        claim_item: item.id(),
        certificate: item.certificate.clone(),
        item: item.quote.item,
        quantity: quantity.clone(),
        decision: DecisionRecord::key_of(&item.claim, item.item, item.decisions + 1),
        user: caller.user.clone(),
        at: cx.now,
    })?)
}

/// Takes away what an earlier decision granted without a ledger.
pub(super) fn forget(cx: &mut Context<'_>, item: &ClaimItem) -> Result<(), Rejection> {
    if cx.tx.find::<Unseen>(item.id())?.is_some() {
        cx.tx.remove::<Unseen>(item.id())?;
    }
    Ok(())
}

/// Debits a certificate that has come by what was granted on it before, a page at a time.
pub(super) fn book(
    customs: &Customs,
    cx: &mut Context<'_>,
    certificate: &Certificate,
) -> Result<(), Rejection> {
    let key = certificate.id();
    let grants = Unseen::on(cx.tx, &key, PAGE)?;
    if grants.len() == PAGE {
        let subject = certificate_subject(&key);
        let timer = Timer::new(TimerKind::GrantsUnseen, &subject, &key, cx.now, cx.now);
        timers::set(cx.tx, &timer)?;
    }
    // A line is taken away with its debit, so the next page begins behind it.
    for grant in grants {
        cx.tx.remove::<Unseen>(grant.claim_item.as_str())?;
        let found = cx.tx.find::<ClaimItem>(grant.claim_item.as_str())?;
        let record = cx.tx.find::<DecisionRecord>(grant.decision.as_str())?;
        let (Some(item), Some(record)) = (found, record) else { continue };
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        book_one(customs, cx, certificate, &grant, Granted { claim, item, record })?;
    }
    Ok(())
}

/// Debits the next page.
pub(super) fn go_on(
    customs: &Customs,
    cx: &mut Context<'_>,
    timer: &Timer,
) -> Result<(), Rejection> {
    match cx.tx.find::<Certificate>(timer.about.as_str())? {
        Some(certificate) => book(customs, cx, &certificate),
        None => Ok(()),
    }
}

/// Refuses to draw on a certificate of which grants made on paper wait for their debit.
pub(super) fn must_be_booked(
    cx: &Context<'_>,
    account: &Certificate,
    item: &ClaimItem,
) -> Result<(), Rejection> {
    for key in suspending::keys_of(account) {
        // The item may have one itself.
        let waiting = Unseen::on(cx.tx, &key, 2)?;
        if waiting.iter().any(|grant| grant.claim_item != item.id()) {
            let text = format!(
                "grants made on paper for certificate {} are still being debited from it; decide \
                 again in a minute",
                account.number
            );
            return Err(refuse(ErrorKind::Conflict, "grants-unbooked", text));
        }
    }
    Ok(())
}

/// The decision behind a grant.
struct Granted {
    claim: Claim,
    item: ClaimItem,
    record: DecisionRecord,
}

fn book_one(
    customs: &Customs,
    cx: &mut Context<'_>,
    certificate: &Certificate,
    grant: &Unseen,
    granted: Granted,
) -> Result<(), Rejection> {
    let Granted { claim, item, mut record } = granted;
    let found: Option<Certificate> = cx.tx.find(certificate.account_id())?;
    let Some(mut account) = found else { return Ok(()) };
    let is_held = record.decision == Decision::Provisional;
    let Booking { quantity, trouble } = booking(&account, grant);
    if let Some(quantity) = &quantity {
        let entry = Entry {
            item: grant.item,
            claim_item: grant.claim_item.clone(),
            decision: record.number,
            officer: record.officer.clone(),
            at: cx.now,
        };
        let take = if is_held { reserve } else { debit };
        take(cx.tx, &mut account, entry, quantity.value)
            .map_err(|error| refuse(error.kind(), "ledger", error.to_string()))?;
        statements::arm(customs, cx)?;
    }
    let taken = quantity.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let how = if is_held { "reserved" } else { "debited" };
    let text = format!(
        "certificate {} came; of the {} granted on paper for {}, {taken} was {how}",
        certificate.number, grant.quantity, grant.claim_item
    );
    note(cx.tx, cx.now, &certificate_subject(&certificate.id()), "ledger", text.clone())?;
    note(cx.tx, cx.now, &claim_subject(&item.claim), "ledger", text)?;
    if is_held {
        record.reserved = quantity;
    } else {
        record.debited = quantity;
    }
    record.balance = account.ledger_of(grant.item).map(LedgerItem::balance_quantity);
    if let Some(trouble) = trouble {
        not_covered(cx, &account, grant, &trouble)?;
    }
    let told = telling::Told {
        claim: &claim,
        item: &item,
        certificate: Some(certificate),
        account: Some(&account),
        record: &record,
    };
    let results = telling::inform(customs, cx, &grant.user, &told)?;
    record.results.extend(results);
    Ok(cx.tx.save(&record)?)
}

/// What can be debited of a grant, and why that is not all.
struct Booking {
    quantity: Option<Quantity>,
    trouble: Option<String>,
}

fn booking(account: &Certificate, grant: &Unseen) -> Booking {
    let not = |trouble: String| Booking { quantity: None, trouble: Some(trouble) };
    let Some(ledger) = account.ledger_of(grant.item) else {
        return not(format!("the certificate has no item {}", grant.item));
    };
    let granted = match units::convert(&grant.quantity, &ledger.certified.unit) {
        Ok(converted) => converted.quantity,
        Err(error) => return not(error.to_string()),
    };
    let balance = ledger.balance();
    let value = granted.value.min(balance);
    let unit = granted.unit.clone();
    let quantity = (value > Decimal::ZERO).then(|| Quantity { value, unit: unit.clone() });
    let excess = granted.value - value;
    let trouble = (excess > Decimal::ZERO)
        .then(|| format!("{excess} {unit} more were granted than the certificate covers"));
    Booking { quantity, trouble }
}

/// Opens the case and the task of what a certificate does not cover.
fn not_covered(
    cx: &mut Context<'_>,
    account: &Certificate,
    grant: &Unseen,
    trouble: &str,
) -> Result<(), Rejection> {
    let text = format!(
        "{} were granted for {} on the paper of {}, which has come since: {trouble}. Reopen the \
         decision, and recover what is due",
        grant.quantity, grant.claim_item, account.number
    );
    let (ours, _) = holdings(cx.tx, &account.id())?;
    let finding = Finding {
        kind: CaseKind::GrantedUnseen,
        certificate: account.id(),
        item: grant.item,
        claim_item: Some(grant.claim_item.clone()),
        text: text.clone(),
        ours: ours.into_iter().filter(|held| held.item == grant.item).collect(),
        theirs: Vec::new(),
        our_balance: account.ledger_of(grant.item).map(LedgerItem::balance_quantity),
        their_balance: None,
    };
    open_case(cx.tx, cx.now, "ledger", finding)?;
    let subject = certificate_subject(&account.id());
    Ok(open_task(cx.tx, cx.now, TaskKind::Overdrawn, &subject, text)?)
}
