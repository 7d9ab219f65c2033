//! Quotas in the life of a claim: an item asks when it is filed, is limited to what it got when it
//! is decided, gives back what it does not use, and is looked at anew when more comes back.
//!
//! Invariant: no more is granted than the quota gave to the item, by whomever and in whatever
//! order claims are decided.

use karvan_store::Read;
use karvan_subsystem::{Context, Rejection};
use karvan_types::{Date, Decimal, ErrorKind, Quantity, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Customs;
use super::answer::{about, refuse};
use super::assess::{claim_subject, reassess};
use super::operate::read;
use super::rate_days;
use super::show::json_of;
use crate::claim::{Claim, ClaimItem, item_key};
use crate::codes::units;
use crate::decision::{Proposal, Reason, Verdict};
use crate::explain;
use crate::journal::{TaskKind, note, open_task};
use crate::matching::{Match, local_date, stated_quantities};
use crate::messages::{Decision, GoodsItem};
use crate::relief::{self, QuotaShare};
use crate::tariff::quota::{self, Account, Asking, Served};
use crate::tariff::{Quota, Tariff};
use crate::words::Language;

fn refused(error: &quota::Error) -> Rejection {
    refuse(error.kind(), "quota", error.to_string())
}

/// Returns the quota that limits the preference of an item on the day of its rates.
fn of_item<'a>(
    customs: &Customs,
    tariff: &'a Tariff,
    claim: &Claim,
    item: &GoodsItem,
) -> Option<(Option<&'a Quota>, String, Date)> {
    if tariff.quotas.is_empty() {
        // No measure names a quota that its file does not have.
        return None;
    }
    let partner = customs.config.partner_nation();
    let rates = relief::explain(tariff, &partner, claim, item)?;
    let (id, day) = (rates.quota()?.to_owned(), rates.day);
    Some((tariff.quota(&id, day), id, day))
}

/// Returns the first of the quantities that can be said in a unit, if any; refuses when the only
/// obstacle is that one has too many digits in it.
fn in_unit<'a>(
    quantities: impl Iterator<Item = &'a Quantity>,
    unit: &str,
) -> Result<Option<Decimal>, units::Error> {
    let mut too_large = None;
    for quantity in quantities {
        match units::convert(quantity, unit) {
            Ok(converted) => return Ok(Some(converted.quantity.value)),
            Err(error @ units::Error::TooLarge(_)) => too_large = Some(error),
            // Stated in a unit of another kind; another quantity may fit.
            Err(_) => {}
        }
    }
    too_large.map_or(Ok(None), Err)
}

/// Puts the item of a claim in the queue of its quota, or changes what it asks for.
pub(super) fn ask(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &GoodsItem,
) -> Result<(), Rejection> {
    let Some(tariff) = customs.tariff(cx.tx)? else { return Ok(()) };
    let Some((Some(quota), _, day)) = of_item(customs, &tariff, claim, item) else {
        return Ok(());
    };
    // Without a quantity there is nothing to ask for; a grant is refused until there is one.
    let asked = match in_unit(stated_quantities(item), &quota.unit) {
        Ok(asked) => asked,
        Err(error) => {
            let text =
                format!("item {}: nothing is asked of quota {}: {error}", item.sequence, quota.id);
            return Ok(note(cx.tx, cx.now, &claim_subject(&claim.id()), "quota", text)?);
        }
    };
    let Some(asked) = asked.filter(|asked| !asked.is_zero()) else { return Ok(()) };
    let key = item_key(&claim.id(), item.sequence);
    let asking = Asking { claim_item: &key, asked, day };
    let served = quota::request(cx.tx, &tariff.country, quota, asking, cx.now);
    inform(customs, cx, served.map_err(|error| refused(&error))?)
}

/// Moves what an item asks for into the period of the day that counts, when that is another one
/// than it asked in: what it had is carried back, and it takes its place behind those who wait.
/// Returns whether anything changed.
pub(super) fn follow_day(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &GoodsItem,
    export: Option<&str>,
) -> Result<bool, Rejection> {
    let Some(tariff) = customs.tariff(cx.tx)? else { return Ok(false) };
    if tariff.quotas.is_empty() {
        return Ok(false);
    }
    let claim = rate_days::known(customs, cx.tx, claim, export)?;
    let quota = of_item(customs, &tariff, &claim, item).and_then(|(quota, ..)| quota);
    let wanted = quota.map(|quota| quota.account(&tariff.country));
    let key = item_key(&claim.id(), item.sequence);
    let standing = quota::accounts_of(cx.tx, &key)?;
    if standing.iter().eq(&wanted) {
        return Ok(false);
    }
    if !standing.is_empty() {
        let day = relief::rate_day(&tariff, &claim).day;
        let text = format!(
            "item {}: its quota is that of {day}, the day whose rates count; what it had elsewhere \
             was carried back",
            item.sequence
        );
        note(cx.tx, cx.now, &claim_subject(&claim.id()), "quota", text)?;
        release(customs, cx, &key)?;
    }
    ask(customs, cx, &claim, item)?;
    Ok(quota::accounts_of(cx.tx, &key)? != standing)
}

/// Returns what an item has of its quota.
pub(super) fn share(
    customs: &Customs,
    view: &dyn Read,
    tariff: &Tariff,
    claim: &Claim,
    item: &GoodsItem,
) -> Result<Option<QuotaShare>, Rejection> {
    let Some((quota, id, day)) = of_item(customs, tariff, claim, item) else { return Ok(None) };
    let Some(quota) = quota else {
        // Before or after the period there is nothing to share out.
        let unit = stated_quantities(item).next().map(|stated| stated.unit.clone());
        let nothing = Quantity { value: Decimal::ZERO, unit: unit.unwrap_or_default() };
        let account = format!("{}:{id}, which has no period on {day}", tariff.country);
        return Ok(Some(QuotaShare { account, asked: nothing.clone(), allocated: nothing }));
    };
    let account = quota.account(&tariff.country);
    let requests = quota::requests_of(view, &account, &item_key(&claim.id(), item.sequence))?;
    let sum = |values: &mut dyn Iterator<Item = Decimal>| Quantity {
        value: values.sum::<Decimal>().normalize(),
        unit: quota.unit.clone(),
    };
    let asked = sum(&mut requests.iter().map(|request| request.asked));
    let allocated = sum(&mut requests.iter().map(|request| request.allocated));
    Ok(Some(QuotaShare { account, asked, allocated }))
}

/// Limits a proposal to grant to what the quota gave.
pub(super) fn limit(proposal: &mut Proposal, matched: &Match, share: Option<&QuotaShare>) {
    let grants = matches!(proposal.verdict, Verdict::Grant | Verdict::GrantInPart);
    let (Some(share), true) = (share, grants) else { return };
    if share.allocated.value.is_zero() {
        proposal.verdict = Verdict::GeneralRate;
        proposal.quantity = None;
    } else {
        let unit = matched.claimed.as_ref().map(|claimed| claimed.unit.as_str());
        let given = unit.and_then(|unit| share.given_in(unit));
        let (Some(given), Some(proposed)) = (given, &mut proposal.quantity) else { return };
        if proposed.value <= given {
            return;
        }
        proposal.verdict = Verdict::GrantInPart;
        proposed.value = given;
    }
    proposal.reason = Reason::QuotaExceeded;
    let (verdict, quantity) = (proposal.verdict, proposal.quantity.as_ref());
    proposal.text = explain::proposal(Language::En, verdict, proposal.reason, quantity);
}

/// What a decision draws on a quota.
pub(super) struct Drawn<'a> {
    /// The decision.
    pub(super) decision: Decision,
    /// What was debited from the certificate.
    pub(super) quantity: Option<&'a Quantity>,
}

/// Settles the quota of an item with its decision: a grant keeps what it uses, a denial gives all
/// of it back, a question changes nothing.
pub(super) fn settle(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &ClaimItem,
    drawn: &Drawn<'_>,
) -> Result<(), Rejection> {
    let key = item.id();
    match drawn.decision {
        Decision::Query | Decision::Provisional => Ok(()),
        Decision::Denied => release(customs, cx, &key),
        Decision::Granted | Decision::GrantedInPart => grant(customs, cx, claim, &key, drawn),
    }
}

fn grant(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    key: &str,
    drawn: &Drawn<'_>,
) -> Result<(), Rejection> {
    let Some(tariff) = customs.tariff(cx.tx)? else { return Ok(()) };
    let sequence = key.rsplit_once('#').and_then(|(_, sequence)| sequence.parse().ok());
    let Some(goods) = sequence.and_then(|sequence| claim.item(sequence)) else { return Ok(()) };
    let Some((quota, id, day)) = of_item(customs, &tariff, claim, goods) else { return Ok(()) };
    let Some(quota) = quota else {
        let text = format!("quota {id} has no period on {day}; take the general rate");
        return Err(refuse(ErrorKind::Conflict, "quota", text));
    };
    let stated = drawn.quantity.into_iter().chain(stated_quantities(goods));
    let used = in_unit(stated, &quota.unit).map_err(|error| {
        let text = format!("quota {id} is in {}: {error}", quota.unit);
        about("quantity", "QUANTITY", refuse(error.kind(), "quota", text))
    })?;
    let Some(used) = used.filter(|used| !used.is_zero()) else {
        let text = format!("quota {id} is in {}; the claim must state such a quantity", quota.unit);
        return Err(refuse(ErrorKind::Invalid, "quota", text));
    };
    let account = quota.account(&tariff.country);
    let has = quota::allocated(cx.tx, &account, key)?;
    if used == has {
        // All that it has; what it still waits for keeps its place.
        return Ok(());
    }
    let asking = Asking { claim_item: key, asked: used, day };
    let served = quota::request(cx.tx, &tariff.country, quota, asking, cx.now);
    inform(customs, cx, served.map_err(|error| refused(&error))?)?;
    let has = quota::allocated(cx.tx, &account, key)?;
    if has < used {
        let unit = &quota.unit;
        let text = format!(
            "quota {id} has {has} {unit} for this item, not {used} {unit}; grant in part up to it"
        );
        return Err(refuse(ErrorKind::Conflict, "quota-exceeded", text));
    }
    Ok(())
}

/// Gives back all that an item has.
pub(super) fn release(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim_item: &str,
) -> Result<(), Rejection> {
    let served = quota::release(cx.tx, claim_item, cx.now).map_err(|error| refused(&error))?;
    inform(customs, cx, served)
}

/// Takes up the quotas of a new version of the tariff.
pub(super) fn follow(
    customs: &Customs,
    cx: &mut Context<'_>,
    tariff: &Tariff,
) -> Result<(), Rejection> {
    for quota in &tariff.quotas {
        let served = quota::serve(cx.tx, &tariff.country, quota, cx.now);
        inform(customs, cx, served.map_err(|error| refused(&error))?)?;
    }
    Ok(())
}

/// Matches items anew that got more, and opens a task for those that were decided without it.
fn inform(customs: &Customs, cx: &mut Context<'_>, served: Vec<Served>) -> Result<(), Rejection> {
    for Served { claim_item, more } in served {
        let Some(mut item) = cx.tx.find::<ClaimItem>(claim_item.as_str())? else { continue };
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        let subject = claim_subject(&item.claim);
        let text = format!("item {}: its quota has {more} more for it", item.item);
        note(cx.tx, cx.now, &subject, "quota", text.clone())?;
        if item.state.is_final() {
            let text = format!("{text}; reopen the decision to grant it");
            open_task(cx.tx, cx.now, TaskKind::QuotaReopened, &subject, text)?;
        } else {
            reassess(customs, cx, &claim, &mut item, "its quota has more for it")?;
        }
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Showing {
    quota: String,
    day: Option<Date>,
}

/// Shows what is left of a quota, and its requests in order of acceptance.
pub(super) fn show(
    customs: &Customs,
    view: &dyn Read,
    now: Timestamp,
    input: Value,
) -> Result<Value, Rejection> {
    let input: Showing = read("quota", input)?;
    let day = input.day.unwrap_or_else(|| local_date(now, customs.config.nation()));
    let tariff = customs.tariff(view)?;
    let found = tariff.as_ref().and_then(|tariff| tariff.quota(&input.quota, day));
    let Some(quota) = found else {
        let text = format!("the tariff has no such quota on {day}; look at its quotas");
        return Err(refuse(ErrorKind::NotFound, "unknown-quota", text));
    };
    let key = quota.account(customs.config.nation().as_str());
    let account: Option<Account> = view.find(key.as_str())?;
    let balance = account.as_ref().map_or(quota.quantity, Account::balance);
    let requests = quota::of_account(view, &key)?;
    Ok(json!({
        "quota": json_of(quota),
        "account": key,
        "balance": { "value": balance.normalize().to_string(), "unit": quota.unit },
        "requests": json_of(&requests),
    }))
}
