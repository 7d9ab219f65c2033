//! Keeps the ledger in step with decisions, on both sides: refuses what it cannot debit and says
//! which earlier debits stand in the way, follows the partner's results, and opens cases.
//!
//! Invariants: a result is booked once, and never an older one over a newer one; what cannot be
//! followed changes no balance, is answered with a negative validation and becomes a case.
//!
//! Not here: the debit itself (`crate::certificate`), comparing both ledgers (`super::statements`).

use karvan_store::Tx;
use karvan_subsystem::{Context, Pointer, Rejection};
use karvan_types::{Date, ErrorKind, MemberId, Quantity};

use super::answer::refuse;
use super::apply::{Effect, certificate_subject, refused};
use super::{Customs, statements};
use crate::certificate::{
    COPIES_MAX, Certificate, CertificateNumber, Entry, Holding, LedgerError, carry_over, debit,
    give_back, held, holdings, original_of, reserve,
};
use crate::claim::{ClaimItem, item_key};
use crate::codes::units;
use crate::decision::{DecisionRecord, Reason, Utilisation};
use crate::journal::{MessageRecord, MessageState, TaskKind, note, open_task};
use crate::ledger::{CaseKind, Finding, open_case};
use crate::matching::local_date;
use crate::messages::{
    CertificateOfOrigin, Decision, LedgerDebit, UtilisationItem, UtilisationResult, Validation,
    ValidationError,
};
use crate::states::CertificateEvent;

/// Most earlier debits listed with a refusal.
pub(super) const EARLIER_MAX: usize = 100;

/// Returns the certificate whose ledger a presented one draws on.
pub(super) fn account(
    tx: &dyn Tx,
    presented: Option<&Certificate>,
) -> Result<Option<Certificate>, Rejection> {
    presented.map(|certificate| certificate.account(tx)).transpose().map_err(Rejection::from)
}

/// Shows a certificate as one claimed item may use it: with the ledger that it draws on, what the
/// item holds itself given back, and suspended where this side has suspended it.
pub(super) fn present(
    customs: &Customs,
    view: &dyn karvan_store::Read,
    certificate: &mut Certificate,
    claim_item: &str,
    day: Date,
) -> Result<(), Rejection> {
    use crate::messages::CertificateStatus::Issued;
    let mut account = certificate.account(view)?;
    for share in held(view, &account, claim_item)? {
        if let Some(ledger) = account.ledger.iter_mut().find(|ledger| ledger.item == share.item) {
            ledger.give_back(&share);
        }
    }
    if !customs.ledger_terms.partial_shipments(day) {
        let (standing, _) = holdings(view, &account.id())?;
        for ledger in &mut account.ledger {
            if other_shipment(&standing, ledger.item, claim_item).is_some() {
                ledger.carried = ledger.certified.value - ledger.debited;
            }
        }
    }
    if certificate.standing() == Issued {
        certificate.status = account.status;
    }
    // What a verification suspends is said by the verification.
    if account.suspended_by_officer().is_some() && certificate.standing() == Issued {
        certificate.status.follow(CertificateEvent::Suspend);
    }
    certificate.suspensions = account.suspensions;
    certificate.ledger = account.ledger;
    Ok(())
}

/// Returns the debit of another declaration that draws on an item.
fn other_shipment<'a>(standing: &'a [Holding], item: u32, claim_item: &str) -> Option<&'a Holding> {
    let declaration = |key: &str| key.rsplit_once('#').map_or(key, |(claim, _)| claim).to_owned();
    let own = declaration(claim_item);
    standing.iter().find(|held| held.item == item && declaration(&held.claim_item) != own)
}

/// Debits what an officer grants; a refusal lists the debits that stand in the way.
pub(super) fn draw(
    customs: &Customs,
    cx: &mut Context<'_>,
    account: &mut Certificate,
    entry: Entry,
    quantity: &Quantity,
    day: Date,
) -> Result<(), Rejection> {
    let (item, claim_item) = (entry.item, entry.claim_item.clone());
    if !customs.ledger_terms.partial_shipments(day) {
        let (standing, _) = holdings(cx.tx, &account.id())?;
        if let Some(other) = other_shipment(&standing, item, &claim_item) {
            let text = format!(
                "the agreement allows no partial shipments, and item {item} of the certificate \
                 was granted to {}; a certificate of its own is needed for these goods",
                other.claim_item
            );
            let refusal = refuse(ErrorKind::Conflict, "one-shipment", text);
            return Err(refusal.with_pointers(pointers(&standing, item)));
        }
    }
    match debit(cx.tx, account, entry, quantity.value) {
        Ok(_) => statements::arm(customs, cx),
        Err(error @ LedgerError::Exceeds { .. }) => {
            let (standing, _) = holdings(cx.tx, &account.id())?;
            let refusal = refuse(ErrorKind::Conflict, "balance-exceeded", error.to_string());
            Err(refusal.with_pointers(pointers(&standing, item)))
        }
        Err(error) => Err(refuse(error.kind(), "ledger", error.to_string())),
    }
}

/// Reserves for goods that are released under security what is claimed, as far as the balance goes;
/// returns how much. Of a certificate that is cancelled or replaced nothing can be reserved.
pub(super) fn hold(
    customs: &Customs,
    cx: &mut Context<'_>,
    account: &mut Certificate,
    entry: Entry,
    claimed: Option<&Quantity>,
) -> Result<Option<Quantity>, Rejection> {
    use crate::messages::CertificateStatus::{Issued, Suspended};
    let day = local_date(cx.now, customs.config.nation());
    let (standing, _) = holdings(cx.tx, &account.id())?;
    let other = other_shipment(&standing, entry.item, &entry.claim_item);
    let closed = other.is_some() && !customs.ledger_terms.partial_shipments(day);
    let usable = matches!(account.standing(), Issued | Suspended) && !closed;
    let Some(ledger) = account.ledger_of(entry.item).filter(|_| usable) else { return Ok(None) };
    let Some(claimed) = claimed.filter(|claimed| claimed.unit == ledger.certified.unit) else {
        return Ok(None);
    };
    let value = claimed.value.min(ledger.balance());
    if value.is_zero() {
        return Ok(None);
    }
    let unit = claimed.unit.clone();
    reserve(cx.tx, account, entry, value)
        .map_err(|error| refuse(error.kind(), "ledger", error.to_string()))?;
    statements::arm(customs, cx)?;
    Ok(Some(Quantity { value, unit }))
}

fn pointers(standing: &[Holding], item: u32) -> Vec<Pointer> {
    let standing = standing.iter().filter(|held| held.item == item).take(EARLIER_MAX);
    standing
        .map(|held| Pointer {
            pointer: String::new(),
            rule: "DEBIT".to_owned(),
            remedy: told_debit(held),
        })
        .collect()
}

fn told_debit(held: &Holding) -> String {
    format!(
        "debited before: {} for {}, decision {}, {} {} left afterwards",
        held.quantity, held.claim_item, held.decision, held.balance, held.quantity.unit
    )
}

/// Returns what a decision refused of what was claimed, and the debits that stand in the way, for
/// the partner: the negative acknowledgement of the ledger.
pub(super) fn refused_by_ledger(
    customs: &Customs,
    tx: &dyn Tx,
    item: &ClaimItem,
    account: Option<&Certificate>,
    record: &DecisionRecord,
) -> Result<(Option<Quantity>, Vec<LedgerDebit>), Rejection> {
    let ledger = matches!(
        record.reason,
        Reason::BalanceExceeded | Reason::CertificateUsedUp | Reason::QuantityUnclear
    );
    let Some(account) = account.filter(|_| ledger) else { return Ok((None, Vec::new())) };
    let claimed = item.assessment.matched.claimed.as_ref();
    let granted = record.debited.as_ref().map(|debited| debited.value).unwrap_or_default();
    let refused = claimed.map(|claimed| Quantity {
        value: (claimed.value - granted).normalize(),
        unit: claimed.unit.clone(),
    });
    let own = item.id();
    let (standing, _) = holdings(tx, &account.id())?;
    let nation = customs.config.nation();
    let mut earlier: Vec<LedgerDebit> = standing
        .into_iter()
        .filter(|held| held.item == item.quote.item && held.claim_item != own)
        .map(|held| Holding { claim_item: format!("{nation}:{}", held.claim_item), ..held })
        .map(LedgerDebit::from)
        .collect();
    earlier.drain(..earlier.len().saturating_sub(EARLIER_MAX));
    Ok((refused.filter(|refused| !refused.value.is_zero()), earlier))
}

impl From<Holding> for LedgerDebit {
    fn from(held: Holding) -> Self {
        let unit = held.quantity.unit.clone();
        Self {
            certificate_item: held.item,
            claim_item: held.claim_item,
            decision: held.decision,
            quantity: held.quantity,
            balance: Quantity { value: held.balance, unit },
            at: held.at,
        }
    }
}

/// Takes the partner's decision about a certificate of ours into account, and writes into the
/// record what became of it.
pub(super) fn utilisation(
    customs: &Customs,
    cx: &mut Context<'_>,
    record: &mut MessageRecord,
    content: &UtilisationResult,
) -> Result<(), Rejection> {
    let Ok(number) = CertificateNumber::parse(&content.certificate.id) else { return Ok(()) };
    let key = number.key(customs.config.nation());
    record.subject = certificate_subject(&key);
    let presented: Option<Certificate> = cx.tx.find(key.as_str())?;
    let mut account = account(cx.tx, presented.as_ref())?;
    let mut errors = Vec::new();
    for (item, number) in content.items.iter().zip(1_usize..) {
        let nation = record.sender.instance();
        let claim_item = format!("{nation}:{}", item_key(&content.claim.id, item.sequence));
        let utilisation_key = format!("{key} {claim_item}");
        let known: Option<Utilisation> = cx.tx.find(utilisation_key)?;
        if known.is_some_and(|known| known.booked && known.number > content.header.version_id) {
            let text = format!("an older decision about {claim_item} came after a newer one");
            note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text)?;
            continue;
        }
        let trouble = follow(cx, account.as_mut(), &claim_item, item, content)?;
        cx.tx.save(&Utilisation {
            certificate: key.clone(),
            claim_item: claim_item.clone(),
            item: item.certificate_item,
            number: content.header.version_id,
            booked: trouble.is_none(),
            decision: item.decision,
            debited: item.write_off.quantity.clone(),
            balance: item.balance.clone(),
            reason_codes: item.reason_codes.clone(),
            reason: item.reason.clone(),
            day: content.decision_date,
            at: cx.now,
        })?;
        let text = told(item, &claim_item);
        note(cx.tx, cx.now, &record.subject, record.sender.as_str(), text)?;
        if item.decision == Decision::Query {
            ask_issuer(cx, record, content, item, presented.is_some())?;
        }
        if let Some(trouble) = trouble {
            let place = Place { key: &key, claim_item: &claim_item, number, item };
            errors.extend(not_followed(cx, record, account.as_ref(), &place, &trouble)?);
        }
    }
    statements::arm(customs, cx)?;
    if !errors.is_empty() {
        (record.state, record.errors) = (MessageState::Rejected, errors);
    }
    Ok(())
}

/// Opens the task of a question about one of our certificates.
fn ask_issuer(
    cx: &mut Context<'_>,
    record: &MessageRecord,
    content: &UtilisationResult,
    item: &UtilisationItem,
    known: bool,
) -> Result<(), Rejection> {
    let known = if known { "is known here" } else { "is not known here" };
    let text = format!(
        "{} asks about certificate {}, which {known}: {}",
        record.sender,
        content.certificate.id,
        item.reason.as_deref().unwrap_or_default()
    );
    Ok(open_task(cx.tx, cx.now, TaskKind::PartnerQuery, &record.subject, text)?)
}

fn told(item: &UtilisationItem, claim_item: &str) -> String {
    let verb = match item.decision {
        Decision::Granted => "granted",
        Decision::GrantedInPart => "granted in part",
        Decision::Denied => "denied",
        Decision::Query => "queried",
        Decision::Provisional => "released under security",
    };
    let debited = item.write_off.quantity.as_ref().filter(|quantity| !quantity.value.is_zero());
    let how = if item.decision == Decision::Provisional { "reserved" } else { "debited" };
    let debited = debited.map(|quantity| format!(", {quantity} {how}")).unwrap_or_default();
    let refused = item.refused.as_ref().map(|quantity| format!(", {quantity} refused"));
    let codes = item.reason_codes.join(", ");
    format!(
        "claimed item {claim_item} was {verb}{debited}{} ({codes})",
        refused.unwrap_or_default()
    )
}

/// Why a result is not followed: code of the rule, and what to do.
struct Trouble {
    rule: &'static str,
    remedy: String,
}

/// Books a decision of the partner; returns why it cannot be followed.
fn follow(
    cx: &mut Context<'_>,
    account: Option<&mut Certificate>,
    claim_item: &str,
    item: &UtilisationItem,
    content: &UtilisationResult,
) -> Result<Option<Trouble>, Rejection> {
    let taken = item.decision.takes();
    let quantity =
        item.write_off.quantity.as_ref().filter(|quantity| taken && !quantity.value.is_zero());
    let Some(account) = account else {
        return Ok(quantity.map(|_| Trouble {
            rule: "UNKNOWN",
            remedy: "no certificate of this number was issued here; compare the number with the \
                     paper and ask the issuer"
                .to_owned(),
        }));
    };
    let entry = Entry {
        item: item.certificate_item,
        claim_item: claim_item.to_owned(),
        decision: content.header.version_id,
        officer: content.officer_id.clone(),
        at: cx.now,
    };
    let storage = |error: LedgerError| refuse(error.kind(), "ledger", error.to_string());
    give_back(cx.tx, account, &entry).map_err(storage)?;
    match quantity {
        Some(quantity) => book(cx, account, entry, item.decision, quantity),
        None => Ok(None),
    }
}

fn book(
    cx: &mut Context<'_>,
    account: &mut Certificate,
    entry: Entry,
    decision: Decision,
    quantity: &Quantity,
) -> Result<Option<Trouble>, Rejection> {
    let trouble = |rule, remedy: String| Ok(Some(Trouble { rule, remedy }));
    let Some(unit) = account.ledger_of(entry.item).map(|ledger| ledger.certified.unit.clone())
    else {
        return trouble("ITEM", LedgerError::NoItem(entry.item).to_string());
    };
    let converted = match units::convert(quantity, &unit) {
        Ok(converted) if converted.exact => converted.quantity,
        Ok(_) => {
            let text = format!("{quantity} cannot be written exactly in {unit}; debit in {unit}");
            return trouble("UNIT", text);
        }
        Err(error) => {
            return trouble("UNIT", format!("the certificate counts in {unit}: {error}"));
        }
    };
    let booked = if decision == Decision::Provisional {
        reserve(cx.tx, account, entry, converted.value)
    } else {
        debit(cx.tx, account, entry, converted.value)
    };
    match booked {
        Ok(_) => Ok(None),
        Err(LedgerError::Store(error)) => Err(error.into()),
        Err(error) => trouble("EXCESS", error.to_string()),
    }
}

/// Where in a result something could not be followed.
struct Place<'a> {
    key: &'a str,
    claim_item: &'a str,
    /// Position in the result, from 1.
    number: usize,
    item: &'a UtilisationItem,
}

/// Opens the case of a result that is not followed; returns the negative acknowledgement: why, and
/// each earlier debit.
fn not_followed(
    cx: &mut Context<'_>,
    record: &MessageRecord,
    account: Option<&Certificate>,
    place: &Place<'_>,
    trouble: &Trouble,
) -> Result<Vec<ValidationError>, Rejection> {
    let item = place.item.certificate_item;
    let ours = match account {
        Some(account) => holdings(cx.tx, &account.id())?.0,
        None => Vec::new(),
    };
    let mut ours: Vec<Holding> = ours.into_iter().filter(|held| held.item == item).collect();
    ours.drain(..ours.len().saturating_sub(EARLIER_MAX));
    let mut errors = vec![ValidationError {
        pointer: format!("items[{}]/WriteOff/QuantityQuantity", place.number),
        rule: trouble.rule.to_owned(),
        remedy: trouble.remedy.clone(),
    }];
    errors.extend(ours.iter().map(|held| ValidationError {
        pointer: format!("certificate/items[{item}]"),
        rule: "DEBIT".to_owned(),
        remedy: told_debit(held),
    }));
    let debited = place.item.write_off.quantity.clone();
    let text = format!(
        "{} debited {} of {} for {}, which this ledger does not follow: {}",
        record.sender,
        debited.as_ref().map(ToString::to_string).unwrap_or_default(),
        place.key,
        place.claim_item,
        trouble.remedy
    );
    let theirs = debited.into_iter().map(|quantity| Holding {
        item,
        claim_item: place.claim_item.to_owned(),
        decision: 0,
        balance: place.item.balance.as_ref().map(|balance| balance.value).unwrap_or_default(),
        quantity,
        at: cx.now,
    });
    let finding = Finding {
        kind: CaseKind::NotFollowed,
        certificate: place.key.to_owned(),
        item,
        claim_item: Some(place.claim_item.to_owned()),
        text: text.clone(),
        our_balance: (account.and_then(|account| account.ledger_of(item)))
            .map(crate::certificate::LedgerItem::balance_quantity),
        their_balance: place.item.balance.clone(),
        theirs: theirs.collect(),
        ours,
    };
    open_case(cx.tx, cx.now, record.sender.as_str(), finding)?;
    open_task(cx.tx, cx.now, TaskKind::Overdrawn, &record.subject, text)?;
    Ok(errors)
}

/// Opens the case of a result of ours that the partner's ledger does not follow.
pub(super) fn refused_by_partner(
    cx: &mut Context<'_>,
    sent: &MessageRecord,
    answer: &Validation,
) -> Result<(), Rejection> {
    let Ok(crate::messages::Message::Utilisation(content)) =
        crate::messages::Message::parse(&sent.code, sent.raw.as_bytes())
    else {
        return Ok(());
    };
    let Ok(number) = CertificateNumber::parse(&content.certificate.id) else { return Ok(()) };
    let key = number.key(sent.recipient.instance());
    let presented: Option<Certificate> = cx.tx.find(key.as_str())?;
    let Some(account) = account(cx.tx, presented.as_ref())? else { return Ok(()) };
    let (standing, _) = holdings(cx.tx, &account.id())?;
    let said: Vec<&str> = answer.errors.iter().map(|error| error.remedy.as_str()).collect();
    for item in &content.items {
        let of_item = |held: &&Holding| held.item == item.certificate_item;
        let finding = Finding {
            kind: CaseKind::RefusedByPartner,
            certificate: key.clone(),
            item: item.certificate_item,
            claim_item: Some(item_key(&content.claim.id, item.sequence)),
            text: format!("{} does not follow this debit: {}", sent.recipient, said.join("; ")),
            ours: standing.iter().filter(of_item).cloned().collect(),
            theirs: Vec::new(),
            our_balance: account
                .ledger_of(item.certificate_item)
                .map(crate::certificate::LedgerItem::balance_quantity),
            their_balance: None,
        };
        open_case(cx.tx, cx.now, sent.recipient.as_str(), finding)?;
    }
    Ok(())
}

/// What the end of a certificate means for its ledger: what was used is carried over to its
/// replacement; of a cancelled one each debit that stands becomes a case.
pub(super) fn ended(
    cx: &mut Context<'_>,
    certificate: &Certificate,
    by: &str,
    reason: &str,
) -> Result<(), Rejection> {
    carry_over(cx.tx, certificate)?;
    if certificate.replaced_by.is_some() {
        return Ok(());
    }
    let (standing, _) = holdings(cx.tx, &certificate.id())?;
    for held in standing {
        let text = format!(
            "certificate {} was cancelled ({reason}) after {} had been debited for {}: look \
             whether the preference must be recovered",
            certificate.number, held.quantity, held.claim_item
        );
        let finding = Finding {
            kind: CaseKind::RevokedAfterUse,
            certificate: certificate.id(),
            item: held.item,
            claim_item: Some(held.claim_item.clone()),
            text,
            our_balance: certificate
                .ledger_of(held.item)
                .map(crate::certificate::LedgerItem::balance_quantity),
            their_balance: None,
            ours: vec![held],
            theirs: Vec::new(),
        };
        open_case(cx.tx, cx.now, by, finding)?;
    }
    Ok(())
}

/// Says why a certified true copy does not fit: its original is not here yet, or is not its
/// issuer's, or is a copy itself.
pub(super) fn copy_misfit(
    tx: &dyn Tx,
    sender: &MemberId,
    content: &CertificateOfOrigin,
    key: &str,
) -> Result<Option<Effect>, Rejection> {
    let Some(number) = original_of(content) else { return Ok(None) };
    let original_key = number.key(sender.instance());
    if original_key == key {
        return Ok(None);
    }
    let Some(original) = tx.find::<Certificate>(original_key.as_str())? else {
        return Ok(Some(Effect::Early { waits_for: certificate_subject(&original_key) }));
    };
    let remedy = if original.issuer != *sender {
        format!("the original was issued by {}, which alone may copy it", original.issuer)
    } else if let Some(first) = &original.copy_of {
        format!("{number} is a copy itself; name its original, {first}")
    } else if original.copies.len() >= COPIES_MAX && !original.copies.iter().any(|c| c == key) {
        format!("{number} has {COPIES_MAX} copies, the most allowed; replace it")
    } else {
        return Ok(None);
    };
    Ok(Some(refused("replaces", "COPY", remedy)))
}

/// Binds a certified true copy to the ledger of its original.
pub(super) fn link_copy(
    cx: &mut Context<'_>,
    copy: &mut Certificate,
    content: &CertificateOfOrigin,
) -> Result<(), Rejection> {
    let Some(number) = original_of(content) else { return Ok(()) };
    let (key, own) = (number.key(copy.country), copy.id());
    if key == own {
        return Ok(());
    }
    let Some(mut original) = cx.tx.find::<Certificate>(key.as_str())? else { return Ok(()) };
    copy.copy_of = Some(key);
    if !original.copies.contains(&own) {
        original.copies.push(own);
        cx.tx.save(&original)?;
    }
    Ok(())
}
