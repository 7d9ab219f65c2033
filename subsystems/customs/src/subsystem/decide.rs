//! The officer decides, and reopens what was decided.
//!
//! In one transaction: the item is matched anew, the certificate is debited, the decision is
//! recorded and the result goes to the partner's customs and to the issuer of the certificate.

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Decimal, ErrorKind, Quantity};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{about, refuse};
use super::assess::{self, Occasion, claim_subject};
use super::four_eyes::{self, Confirmed};
use super::operate::{must_act_for, read, signed_by};
use super::quotas::{self, Drawn};
use super::telling::{self, Told};
use super::{
    Customs, assigned, audit, booking, rate_days, rebalancing, securing, show, suspending,
    transporting, unseen,
};
use crate::certificate::{Certificate, Entry, LedgerError, give_back};
use crate::claim::{Claim, ClaimItem, item_key, keep_assessment};
use crate::codes::units;
use crate::decision::reasons::Reasons;
use crate::decision::security::Security;
use crate::decision::{DecisionRecord, Proposal, Reason};
use crate::duty::Share;
use crate::journal::{Closing, TaskKind, close_tasks, note, open_task};
use crate::matching::{Light, Match, Rule, local_date};
use crate::messages::Decision;
use crate::relief::{self, Valued};
use crate::risk::tally;
use crate::states::ClaimEvent;
use crate::validate;

/// Shortest text that counts as a reason in words, in characters.
const TEXT_CHARS_MIN: usize = 10;
/// Longest text, in characters (WCO Data Model 225, an..512).
const TEXT_CHARS_MAX: usize = 512;

/// Rules whose breach no officer can override: there is nothing that could be granted.
const NOT_GRANTABLE: [Rule; 7] = [
    Rule::CertificateUnknown,
    Rule::CertificateCancelled,
    Rule::CertificateReplaced,
    Rule::CertificateSuspended,
    Rule::CertificateItem,
    Rule::NoConcession,
    Rule::BalanceUsedUp,
];

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Choice {
    Grant,
    GrantInPart,
    Deny,
    Query,
    Provisional,
}

impl Choice {
    /// Returns the choice of a decision.
    pub(super) const fn of(decision: Decision) -> Self {
        match decision {
            Decision::Granted => Self::Grant,
            Decision::GrantedInPart => Self::GrantInPart,
            Decision::Denied => Self::Deny,
            Decision::Query => Self::Query,
            Decision::Provisional => Self::Provisional,
        }
    }

    pub(super) const fn decision(self) -> Decision {
        match self {
            Self::Grant => Decision::Granted,
            Self::GrantInPart => Decision::GrantedInPart,
            Self::Deny => Decision::Denied,
            Self::Query => Decision::Query,
            Self::Provisional => Decision::Provisional,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deciding {
    pub(super) claim: String,
    pub(super) item: Option<u32>,
    pub(super) decision: Choice,
    pub(super) reason: Option<Reason>,
    pub(super) text: Option<String>,
    pub(super) quantity: Option<Quantity>,
    /// For a release under security.
    pub(super) security: Option<Security>,
    /// Whether a second officer is to confirm.
    #[serde(default)]
    pub(super) propose: bool,
}

/// Decides about one claimed item.
pub(super) fn decide(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Deciding = read("decide", input)?;
    let (claim, mut item) = find_item(cx, &input.claim, input.item)?;
    if item.state.is_final() {
        return Err(already_decided(cx, &item)?);
    }
    refresh(customs, cx, &claim, &mut item)?;
    let decision = input.decision.decision();
    securing::check(&input, decision)?;
    let words = justify(&item.assessment.matched, &item.assessment.proposal, &input, decision)?;
    if decision.grants() {
        suspending::must_be_free(cx, &item)?;
    }
    let order = Order { input, decision, words };
    if four_eyes::is_needed(customs, cx, &item, decision) {
        return four_eyes::propose(customs, cx, caller, &item, &order);
    }
    if order.input.propose {
        let text = "this needs no second officer; decide it without `propose`";
        return Err(refuse(ErrorKind::Invalid, "no-second-officer", text));
    }
    carry_out(customs, cx, caller, Decided { claim, item }, order, None)
}

/// What an officer wants, checked.
pub(super) struct Order {
    pub(super) input: Deciding,
    pub(super) decision: Decision,
    pub(super) words: Words,
}

/// The claimed item about which is decided.
pub(super) struct Decided {
    pub(super) claim: Claim,
    pub(super) item: ClaimItem,
}

/// Debits, secures and settles, keeps the decision, and tells the partner.
pub(super) fn carry_out(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    about: Decided,
    order: Order,
    confirmed: Option<&Confirmed>,
) -> Result<Value, Rejection> {
    let Decided { claim, mut item } = about;
    let export = item.assessment.matched.export.as_deref();
    let claim = rate_days::known(customs, cx.tx, &claim, export)?.into_owned();
    let Order { input, decision, words } = order;
    let certificate: Option<Certificate> = cx.tx.find(item.certificate.as_str())?;
    let mut account = booking::account(cx.tx, certificate.as_ref())?;
    let ruling = Ruling { input: &input, decision };
    let before = account.as_ref().map(|account| account.ledger.clone());
    let taken = settle(customs, cx, caller, &item, account.as_mut(), &ruling)?;
    let granted = taken.debited.clone().or_else(|| taken.unseen.clone());
    let drawn = Drawn { decision, quantity: granted.as_ref() };
    quotas::settle(customs, cx, &claim, &item, &drawn)?;
    item.decisions += 1;
    let ledger = account.as_ref().and_then(|account| account.ledger_of(item.quote.item));
    let mut record = DecisionRecord {
        claim: item.claim.clone(),
        item: item.item,
        number: item.decisions,
        decision,
        reason: words.reason,
        text: Some(words.text),
        debited: taken.debited,
        reserved: taken.reserved,
        unseen: taken.unseen,
        balance: ledger.map(crate::certificate::LedgerItem::balance_quantity),
        proposal: item.assessment.proposal.clone(),
        light: item.assessment.light,
        duty: None,
        duty_unknown: None,
        security: None,
        settlement: None,
        overridden: four_eyes::overrides(&item, decision),
        proposed: confirmed.map(|confirmed| confirmed.proposed.clone()),
        officer: signed_by(caller),
        at: cx.now,
        day: local_date(cx.now, customs.config.nation()),
        results: Vec::new(),
    };
    let tariff = customs.tariff(cx.tx)?;
    if let (Some(goods), Some(tariff)) = (claim.item(item.item), tariff.as_deref()) {
        let partner = customs.config.partner_nation();
        let share = match decision {
            // Until the decision the duty with the preference is paid, the rest secured.
            Decision::Provisional => Share::ALL,
            _ => relief::share(decision, granted.as_ref(), &item.assessment.matched),
        };
        let valued = Valued::new(cx.tx, tariff, partner, &claim, goods)?;
        match valued.payable(share) {
            Ok(duty) => record.duty = Some(duty),
            Err(error) => record.duty_unknown = Some(error.to_string()),
        }
    }
    securing::take_or_settle(cx, &item, &mut record, input.security)?;
    let certificate = certificate.as_ref();
    let account = account.as_ref();
    let told = Told { claim: &claim, item: &item, certificate, account, record: &record };
    record.results = telling::inform(customs, cx, &caller.user, &told)?;
    finish(cx, &mut item, &record)?;
    rate_days::decided(cx, &item, &record)?;
    tally::decided(cx.tx, &claim, &item)?;
    four_eyes::end(customs, cx, &item, &record, confirmed)?;
    rebalancing::decided(customs, cx, &item, (before, account))?;
    let next = json!({ "next": audit::next_of(cx.tx, &item.claim)? });
    Ok(show::merge(show::decided(&item, &record), next))
}

/// Returns a claim by its number, or by one that customs assigned to it.
pub(super) fn find_claim(cx: &Context<'_>, claim: &str) -> Result<Claim, Rejection> {
    let key = assigned::claim(cx.tx, claim)?;
    cx.tx.find(key.as_str())?.ok_or_else(|| {
        let text = format!("there is no claim {key} here; check the declaration number");
        refuse(ErrorKind::NotFound, "no-claim", text)
    })
}

pub(super) fn find_item(
    cx: &Context<'_>,
    claim: &str,
    item: Option<u32>,
) -> Result<(Claim, ClaimItem), Rejection> {
    let found = find_claim(cx, claim)?;
    let key = found.id();
    let sequence = if let Some(sequence) = item {
        sequence
    } else {
        let items: Vec<ClaimItem> = cx.tx.select(&ClaimItem::range("by_claim", &key))?;
        let [only] = items.as_slice() else {
            let text = format!("claim {key} has {} claimed items; name one", items.len());
            return Err(refuse(ErrorKind::Invalid, "which-item", text));
        };
        only.item
    };
    let Some(item) = cx.tx.find(item_key(&key, sequence))? else {
        let text = format!("item {sequence} of claim {key} claims no preference");
        return Err(refuse(ErrorKind::NotFound, "no-item", text));
    };
    Ok((found, item))
}

/// Returns the key of the newest decision about an item.
pub(super) fn last_decision(item: &ClaimItem) -> String {
    format!("{}#{:05}", item.id(), item.decisions)
}

pub(super) fn already_decided(cx: &Context<'_>, item: &ClaimItem) -> Result<Rejection, Rejection> {
    let last: Option<DecisionRecord> = cx.tx.find(last_decision(item))?;
    let by = last.map(|last| format!(" by {} on {}", last.officer, last.day)).unwrap_or_default();
    let text = format!(
        "item {} of claim {} is {}{by}; reopen it first, saying why",
        item.item,
        item.claim,
        item.state.name()
    );
    Ok(refuse(ErrorKind::Conflict, "already-decided", text))
}

/// Matches the item as things stand now, and keeps the result when it is another one.
pub(super) fn refresh(
    customs: &Customs,
    cx: &mut Context<'_>,
    claim: &Claim,
    item: &mut ClaimItem,
) -> Result<(), Rejection> {
    let Some(goods) = claim.item(item.item) else { return Ok(()) };
    let occasion = Occasion { because: "it was about to be decided", now: cx.now };
    let assess::Assessed { assessment: fresh, mut export } =
        assess::assess(customs, cx.tx, claim, &item.quote, goods, &occasion)?;
    let assessed = &item.assessment;
    if fresh.matched != assessed.matched || fresh.duty != assessed.duty {
        keep_assessment(cx.tx, item)?;
        item.assessment = fresh;
        assess::keep(cx, item, export.as_mut())?;
    }
    Ok(())
}

pub(super) struct Words {
    pub(super) reason: Reason,
    pub(super) text: String,
}

/// Finds reason and text: those of the proposal when it is followed, the officer's own otherwise.
fn justify(
    matched: &Match,
    proposal: &Proposal,
    input: &Deciding,
    decision: Decision,
) -> Result<Words, Rejection> {
    let grants = decision.grants();
    if grants {
        let blocked = NOT_GRANTABLE.into_iter().find_map(|rule| matched.find(rule));
        if let Some(difference) = blocked {
            let text = format!("this cannot be granted, not even by override: {}", difference.text);
            return Err(refuse(ErrorKind::Conflict, "not-grantable", text));
        }
    }
    if decision == proposal.verdict.decision() {
        let text = match &input.text {
            Some(text) => required_text(Some(text), "why")?,
            None => proposal.text.clone(),
        };
        let reason = input.reason.unwrap_or(proposal.reason);
        return Ok(Words { reason: fitting(reason, decision)?, text });
    }
    let Some(reason) = input.reason else {
        let text = format!(
            "this goes against the proposal ({}); give a reason, one of {}",
            proposal.text,
            reasons()?.fitting(decision).join(", ")
        );
        return Err(refuse(ErrorKind::Invalid, "reason-required", text));
    };
    let reason = fitting(reason, decision)?;
    let what = if grants && matched.light() == Light::Red {
        "why the preference is granted against a red match"
    } else {
        "why the proposal is not followed"
    };
    Ok(Words { reason, text: required_text(input.text.as_deref(), what)? })
}

pub(super) fn reasons() -> Result<&'static Reasons, Rejection> {
    let damaged =
        |error: crate::decision::reasons::Error| refuse(error.kind(), "reasons", error.to_string());
    Reasons::shipped().map_err(damaged)
}

/// Refuses a reason that does not fit the decision.
fn fitting(reason: Reason, decision: Decision) -> Result<Reason, Rejection> {
    let reasons = reasons()?;
    if reasons.fits(reason, decision) {
        return Ok(reason);
    }
    let text = format!(
        "the reason {} does not fit this decision; give one of {}",
        reason.code(),
        reasons.fitting(decision).join(", ")
    );
    Err(refuse(ErrorKind::Invalid, "reason-does-not-fit", text))
}

/// Checks a text that a person must give, and takes out characters that cannot be seen.
pub(super) fn required_text(text: Option<&str>, what: &str) -> Result<String, Rejection> {
    let given = text.unwrap_or_default();
    let text = shown_text(given);
    let text = text.trim();
    let (length, sent) = (text.chars().count(), given.chars().count());
    if length >= TEXT_CHARS_MIN && sent <= TEXT_CHARS_MAX {
        return Ok(text.to_owned());
    }
    // What cannot be seen is no reason, and counts against the length all the same.
    let length = if sent > TEXT_CHARS_MAX { sent } else { length };
    let text = format!(
        "say {what} in `text`, in {TEXT_CHARS_MIN} to {TEXT_CHARS_MAX} characters; it has {length}"
    );
    Err(about("text", "LENGTH", refuse(ErrorKind::Invalid, "text-required", text)))
}

/// Returns a text without line breaks and without characters that cannot be seen, such as those
/// that turn the direction of writing.
fn shown_text(text: &str) -> String {
    let spaced: String =
        text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).collect();
    validate::visible(&spaced).into_owned()
}

/// Takes back what an earlier decision debited or reserved, and debits what this one grants, or
/// reserves what it releases under security.
fn settle(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    item: &ClaimItem,
    account: Option<&mut Certificate>,
    ruling: &Ruling<'_>,
) -> Result<Taken, Rejection> {
    let Some(account) = account else {
        // What is granted on paper has no ledger yet; it is debited when the certificate comes.
        let quantity = match ruling.decision {
            decision if decision.grants() => {
                Some(granted_quantity(item, None, ruling.input, decision)?)
            }
            Decision::Provisional => item.assessment.matched.goods.clone(),
            _ => None,
        };
        unseen::keep(cx, caller, item, quantity.as_ref())?;
        return Ok(Taken { unseen: quantity, ..Taken::default() });
    };
    if ruling.decision.grants() || ruling.decision == Decision::Provisional {
        unseen::must_be_booked(cx, account, item)?;
    }
    unseen::forget(cx, item)?;
    let entry = Entry {
        item: item.quote.item,
        claim_item: item.id(),
        decision: item.decisions + 1,
        officer: signed_by(caller),
        at: cx.now,
    };
    give_back(cx.tx, account, &entry)
        .map_err(|error| refuse(error.kind(), "ledger", error.to_string()))?;
    if ruling.decision == Decision::Provisional {
        let claimed = item.assessment.matched.claimed.as_ref();
        let reserved = booking::hold(customs, cx, account, entry, claimed)?;
        return Ok(Taken { reserved, ..Taken::default() });
    }
    if !ruling.decision.grants() {
        return Ok(Taken::default());
    }
    let quantity = granted_quantity(item, Some(account), ruling.input, ruling.decision)?;
    let day = local_date(cx.now, customs.config.nation());
    booking::draw(customs, cx, account, entry, &quantity, day)?;
    Ok(Taken { debited: Some(quantity), ..Taken::default() })
}

/// What a decision takes from the certificate.
#[derive(Default)]
struct Taken {
    debited: Option<Quantity>,
    reserved: Option<Quantity>,
    /// What waits for a certificate that is not here.
    unseen: Option<Quantity>,
}

/// What the officer wants, and which decision that is.
struct Ruling<'a> {
    input: &'a Deciding,
    decision: Decision,
}

/// Returns how much is to be debited: in the unit of the certificate, or of the claim when the
/// certificate is not here.
pub(super) fn granted_quantity(
    item: &ClaimItem,
    certificate: Option<&Certificate>,
    input: &Deciding,
    decision: Decision,
) -> Result<Quantity, Rejection> {
    let matched = &item.assessment.matched;
    let (unit, claimed) = match certificate {
        Some(certificate) => {
            let Some(ledger) = certificate.ledger_of(item.quote.item) else {
                let text = LedgerError::NoItem(item.quote.item).to_string();
                return Err(refuse(ErrorKind::NotFound, "ledger", text));
            };
            (Some(&ledger.certified.unit), matched.claimed.as_ref())
        }
        None => (matched.goods.as_ref().map(|goods| &goods.unit), matched.goods.as_ref()),
    };
    let Some(unit) = unit.or_else(|| input.quantity.as_ref().map(|stated| &stated.unit)) else {
        let text = "the claim states no quantity; state the `quantity` that is granted";
        return Err(refuse(ErrorKind::Invalid, "quantity-required", text));
    };
    let unit = unit.clone();
    let stated = match &input.quantity {
        Some(quantity) => Some(
            units::convert(quantity, &unit)
                .map_err(|error| refuse(ErrorKind::Invalid, "quantity-unit", error.to_string()))?,
        ),
        None => None,
    };
    let stated = stated.map(|converted| converted.quantity.value);
    let claimed = claimed.map(|claimed| claimed.value);
    let differs = |text: &str| Err(refuse(ErrorKind::Invalid, "quantity-differs", text));
    let value: Option<Decimal> = if decision == Decision::GrantedInPart {
        let proposal = &item.assessment.proposal;
        let proposed = proposal.quantity.as_ref().filter(|_| proposal.verdict.is_in_part());
        stated.or_else(|| proposed.map(|quantity| quantity.value))
    } else {
        claimed.or(stated)
    };
    match (value, claimed) {
        (None, _) => {
            let text =
                format!("state the `quantity` to debit in {unit}, the unit of the certificate");
            Err(refuse(ErrorKind::Invalid, "quantity-required", text))
        }
        (Some(value), _) if certificate.is_none() && value <= Decimal::ZERO => {
            differs("a grant is for more than zero; deny the claim instead")
        }
        (Some(value), Some(claimed)) if decision == Decision::GrantedInPart && value >= claimed => {
            differs("a grant in part is for less than is claimed; use grant for all of it")
        }
        (Some(value), _) if decision == Decision::Granted && stated.is_some_and(|s| s != value) => {
            differs("a full grant debits what is claimed; use grant-in-part for another quantity")
        }
        (Some(value), _) => Ok(Quantity { value, unit }),
    }
}

fn finish(
    cx: &mut Context<'_>,
    item: &mut ClaimItem,
    record: &DecisionRecord,
) -> Result<(), Rejection> {
    item.state.step(match record.decision {
        Decision::Granted => ClaimEvent::Grant,
        Decision::GrantedInPart => ClaimEvent::GrantInPart,
        Decision::Denied => ClaimEvent::Deny,
        Decision::Query => ClaimEvent::Query,
        Decision::Provisional => ClaimEvent::Release,
    })?;
    cx.tx.save(item)?;
    transporting::decided(cx, item)?;
    cx.tx.add(record)?;
    let subject = claim_subject(&item.claim);
    let how = if record.reserved.is_some() { "reserved" } else { "debited" };
    let debited = record.taken().map(|quantity| format!(", {quantity} {how}"));
    let mark = if record.overridden { ", against a red match" } else { "" };
    let text = format!(
        "item {} {}{}{mark} ({}): {}",
        item.item,
        item.state.name(),
        debited.unwrap_or_default(),
        record.reason.code(),
        record.text.as_deref().unwrap_or_default()
    );
    note(cx.tx, cx.now, &subject, &record.officer, text)?;
    if record.decision == Decision::Provisional {
        return Ok(());
    }
    if record.decision == Decision::Query {
        let text = format!("item {}: waiting for the partner's answer about the claim", item.item);
        open_task(cx.tx, cx.now, TaskKind::PartnerQuery, &subject, text)?;
    } else {
        let kinds = [
            TaskKind::PartnerQuery,
            TaskKind::AmendedAfterDecision,
            TaskKind::CancelledAfterDecision,
            TaskKind::VerificationEnded,
        ];
        let prefix = format!("item {}:", item.item);
        let (at, by) = (cx.now, record.officer.clone());
        let closing = Closing { at, by, text: format!("decided: {}", item.state.name()) };
        close_tasks(cx.tx, &subject, &kinds, &prefix, &closing)?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reopening {
    claim: String,
    item: Option<u32>,
    text: String,
}

/// Reopens a decided item. What was debited stays debited until the next decision.
pub(super) fn reopen(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Reopening = read("reopen", input)?;
    let text = required_text(Some(&input.text), "why the decision is reopened")?;
    let (claim, mut item) = find_item(cx, &input.claim, input.item)?;
    if !item.state.is_final() {
        let text =
            format!("item {} is {}; there is nothing to reopen", item.item, item.state.name());
        return Err(refuse(ErrorKind::Conflict, "not-decided", text));
    }
    item.state.step(ClaimEvent::Reopen)?;
    tally::decided(cx.tx, &claim, &item)?;
    transporting::decided(cx, &item)?;
    let note_text = format!("item {} reopened: {text}", item.item);
    note(cx.tx, cx.now, &claim_subject(&item.claim), &signed_by(caller), note_text)?;
    rate_days::follow_quota(customs, cx, &claim, &item)?;
    assess::reassess(customs, cx, &claim, &mut item, "it was reopened")?;
    show::claim_by_key(cx.tx, &item.claim, false)
}
