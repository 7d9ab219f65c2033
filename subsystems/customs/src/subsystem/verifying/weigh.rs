//! What verifications mean for the match and the proposal of a claimed item.

use karvan_subsystem::{Context, Rejection};
use karvan_types::Date;

use super::super::assess::{self, Late, claim_subject};
use super::super::{Customs, suspending};
use crate::certificate::{Certificate, REPLACED_MAX};
use crate::claim::{Claim, ClaimItem};
use crate::decision::{Proposal, Reason, Verdict};
use crate::explain;
use crate::journal::{TaskKind, open_task};
use crate::matching::{Findings, Match, Papers, Quote, Rule, Severity};
use crate::verification::{Role, Verification, suspensions};
use crate::words::Language;

/// Adds to a match what the newest verification of the quoted item says, or else one about other
/// items of the certificate that suspends all of it. `all` are the verifications that bear on the
/// certificate.
pub(in crate::subsystem) fn weigh(
    customs: &Customs,
    mut all: Vec<Verification>,
    quote: &Quote,
    day: Date,
    matched: &mut Match,
) {
    all.retain(|found| found.role == Role::Asking);
    let newest = all.iter().filter(|v| v.covers(quote.item)).max_by_key(|v| v.at);
    let standing = suspensions(&all);
    let suspending = standing.iter().find(|found| found.covers(quote.item));
    let by_other = suspending
        .and_then(|found| all.iter().find(|one| Some(&one.id) == found.verification.as_ref()));
    let Some(about) = newest.or(by_other) else { return };
    let Some(rule) = about.finding(quote.item) else { return };
    let mut findings = Findings::new(&customs.rules, day, None);
    let said = about.answer().map_or(about.due, |answer| answer.day);
    findings.add(rule, Papers::new().certificate(&about.number).claim(said));
    matched.differences.extend(findings.finish());
    matched.differences.sort_by_key(|difference| std::cmp::Reverse(difference.severity));
}

/// Changes a proposal by what a verification showed, or by signs of a forged content.
pub(in crate::subsystem) fn propose(
    customs: &Customs,
    day: Date,
    matched: &Match,
    proposal: &mut Proposal,
) {
    let asks = proposal.verdict == Verdict::Query;
    let forged = customs.policy.forged_content(day, matched);
    let terms = customs.policy.verification(day).map(|row| &row.terms);
    let instead = |verdict, reason, rule| Some((verdict, reason, rule));
    let found = if matched.find(Rule::VerificationConfirmed).is_some() {
        let cleared = terms.map(|terms| terms.confirmed_clears.as_slice()).unwrap_or_default();
        let mut heavy = matched.differences.iter().filter(|d| d.severity >= Severity::Hold);
        let clears = asks && heavy.all(|found| cleared.contains(&found.rule));
        let rule = Rule::VerificationConfirmed;
        instead(Verdict::Grant, Reason::OriginConfirmed, rule).filter(|_| clears)
    } else if matched.find(Rule::VerificationUnanswered).is_some() {
        let verdict = terms.map_or(Verdict::Query, |terms| terms.no_answer);
        instead(verdict, Reason::NoAnswer, Rule::VerificationUnanswered).filter(|_| asks)
    } else if matched.find(Rule::VerificationOpen).is_some() {
        // The issuer is asked already; whatever else differs, its answer is waited for.
        instead(Verdict::Query, Reason::UnderCheck, Rule::VerificationOpen).filter(|_| asks)
    } else {
        let first = forged.first().copied();
        first.filter(|_| asks).and_then(|r| instead(Verdict::Deny, Reason::FalsePapers, r))
    };
    let Some((verdict, reason, rule)) = found else { return };
    let quantity = matched.claimed.clone().filter(|_| verdict == Verdict::Grant);
    let text = explain::proposal(Language::En, verdict, reason, quantity.as_ref());
    *proposal = Proposal { verdict, reason, rule: Some(rule), quantity, text };
}

/// Opens a task when the papers of an item differ so much that the issuer should be asked.
pub(in crate::subsystem) fn suggest(
    cx: &mut Context<'_>,
    item: &ClaimItem,
) -> Result<(), Rejection> {
    let proposal = &item.assessment.proposal;
    if proposal.reason != Reason::FalsePapers {
        return Ok(());
    }
    let rules: Vec<_> = item.assessment.matched.differences.iter().map(|d| d.rule.id()).collect();
    let text = format!(
        "item {}: the papers are not what the issuer sent ({}). Open a verification before you \
         decide.",
        item.item,
        rules.join(", ")
    );
    let subject = claim_subject(&item.claim);
    Ok(open_task(cx.tx, cx.now, TaskKind::VerificationSuggested, &subject, text)?)
}

/// Returns the claimed items that draw on the ledger of a certificate, or on that of one that took
/// its place.
fn items_of(cx: &Context<'_>, certificate: &str) -> Result<Vec<ClaimItem>, Rejection> {
    let mut keys = Vec::new();
    let mut next = Some(certificate.to_owned());
    for _ in 0..=REPLACED_MAX {
        let Some(key) = next.take() else { break };
        match cx.tx.find::<Certificate>(key.as_str())? {
            Some(presented) => {
                let account = presented.account(cx.tx)?;
                keys.extend(suspending::keys_of(&account));
                next = account.replacement();
            }
            None => keys.push(key),
        }
    }
    let mut items = Vec::new();
    for key in keys {
        items.extend(cx.tx.select::<ClaimItem>(&ClaimItem::range("by_certificate", &key))?);
    }
    Ok(items)
}

/// Matches the undecided items on a certificate anew.
pub(super) fn reassess(
    customs: &Customs,
    cx: &mut Context<'_>,
    certificate: &str,
    because: &str,
) -> Result<(), Rejection> {
    for mut item in items_of(cx, certificate)? {
        let Some(claim) = cx.tx.find::<Claim>(item.claim.as_str())? else { continue };
        if !item.state.is_final() {
            assess::reassess(customs, cx, &claim, &mut item, because)?;
        }
    }
    Ok(())
}

/// Takes the end of a verification to every item on the certificate: decided ones become tasks as
/// they stand, the others are matched anew, and the item that was in question becomes a task too.
pub(super) fn touch(
    customs: &Customs,
    cx: &mut Context<'_>,
    found: &Verification,
    late: &Late,
) -> Result<(), Rejection> {
    assess::touch(customs, cx, items_of(cx, &found.certificate)?, late)?;
    for item in items_of(cx, &found.certificate)? {
        let is_own = found.claim.as_ref() == Some(&item.claim) && found.item == Some(item.item);
        if is_own && !item.state.is_final() {
            let text = format!(
                "item {}: verification {}: {}. {} Decide it.",
                item.item, found.id, late.because, item.assessment.proposal.text
            );
            let subject = claim_subject(&item.claim);
            open_task(cx.tx, cx.now, late.kind, &subject, text)?;
        }
    }
    Ok(())
}
