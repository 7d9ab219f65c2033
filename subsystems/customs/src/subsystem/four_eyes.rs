//! Two officers for a grant against a red match: one proposes, another one confirms or rejects.
//!
//! Until the second officer has confirmed, nothing is debited and nothing is sent. What is
//! confirmed is what was proposed: when the match has changed since, it must be proposed anew.
//!
//! Invariants: nobody confirms what they proposed; a confirmation goes through the same rules as a
//! decision (`super::decide`).
//!
//! Not here: the record and its list (`crate::decision::overrides`).

use std::time::Duration;

use karvan_subsystem::{Caller, Context, Rejection};
use karvan_types::{Date, ErrorKind, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::refuse;
use super::assess::claim_subject;
use super::decide::{self, Choice, Decided, Deciding, Order, Words};
use super::operate::{must_act_for, read, signed_by};
use super::{Customs, show, suspending};
use crate::certificate::Certificate;
use crate::claim::ClaimItem;
use crate::decision::overrides::{Ended, Ending, Override, Proposed};
use crate::decision::policy::{Dated, SecondOfficer};
use crate::decision::{DecisionRecord, Verdict};
use crate::journal::{Closing, TaskKind, close_tasks, note, open_task};
use crate::matching::{Light, local_date};
use crate::messages::Decision;

/// Seconds of an hour.
const HOUR_SECONDS: u64 = 3600;

/// A proposal that a second officer confirms.
pub(super) struct Confirmed {
    proposal: Override,
    /// What the decision says of it.
    pub(super) proposed: Proposed,
}

fn today(customs: &Customs, now: Timestamp) -> Date {
    local_date(now, customs.config.nation())
}

fn terms(customs: &Customs, now: Timestamp) -> Option<&Dated<SecondOfficer>> {
    customs.policy.second_officer(today(customs, now))
}

/// Whether a decision grants against a red match that the proposal does not lift.
pub(super) fn overrides(item: &ClaimItem, decision: Decision) -> bool {
    let assessment = &item.assessment;
    let follows = matches!(assessment.proposal.verdict, Verdict::Grant | Verdict::GrantInPart);
    decision.grants() && assessment.light == Light::Red && !follows
}

/// Whether a second officer must confirm a decision.
pub(super) fn is_needed(
    customs: &Customs,
    cx: &Context<'_>,
    item: &ClaimItem,
    decision: Decision,
) -> bool {
    let Some(row) = terms(customs, cx.now) else { return false };
    let mut severities = item.assessment.matched.differences.iter().map(|found| found.severity);
    overrides(item, decision) && severities.any(|found| row.terms.severities.contains(&found))
}

/// Keeps a proposal for a second officer.
pub(super) fn propose(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    item: &ClaimItem,
    order: &Order,
) -> Result<Value, Rejection> {
    if !order.input.propose {
        let text = "a grant against a red match needs a second officer; propose it (`propose`), \
                    and let another officer confirm it";
        return Err(refuse(ErrorKind::Conflict, "second-officer-required", text));
    }
    let certificate: Option<Certificate> = cx.tx.find(item.certificate.as_str())?;
    decide::granted_quantity(item, certificate.as_ref(), &order.input, order.decision)?;
    let by = signed_by(caller);
    let earlier: Vec<Override> = cx.tx.select(&Override::of_item(&item.id()))?;
    let number = earlier.last().map_or(1, |last| last.number + 1);
    close_waiting(cx, earlier, &by, Ended::Superseded, "it was proposed anew")?;
    let hours = terms(customs, cx.now).map_or(0, |row| u64::from(row.terms.hours));
    let until = cx.now.plus(Duration::from_secs(hours * HOUR_SECONDS));
    let proposal = Override { number, until, ..new_override(customs, cx, item, order, &by) };
    cx.tx.add(&proposal)?;
    let subject = claim_subject(&item.claim);
    let text = format!(
        "item {}: {} proposes to grant against a red match ({}: {}). Another officer confirms or \
         rejects it until {until}.",
        item.item,
        by,
        proposal.reason.code(),
        proposal.text
    );
    note(cx.tx, cx.now, &subject, &by, text.clone())?;
    open_task(cx.tx, cx.now, TaskKind::OverrideToConfirm, &subject, text)?;
    Ok(json!({
        "claim": item.claim,
        "item": item.item,
        "state": item.state.name(),
        "proposal": view(&proposal, cx.now),
    }))
}

fn new_override(
    customs: &Customs,
    cx: &Context<'_>,
    item: &ClaimItem,
    order: &Order,
    by: &str,
) -> Override {
    let against = (item.assessment.matched.differences.iter())
        .filter(|found| found.severity >= crate::matching::Severity::Hold);
    let duty = item.assessment.duty.as_ref();
    Override {
        claim: item.claim.clone(),
        item: item.item,
        number: 1,
        month: month_of(today(customs, cx.now)),
        decision: order.decision,
        quantity: order.input.quantity.clone(),
        reason: order.words.reason,
        text: order.words.text.clone(),
        rules: against.map(|found| found.rule).collect(),
        assessment: item.assessments,
        saved: duty.and_then(|relief| relief.saved.clone()),
        officer: by.to_owned(),
        at: cx.now,
        until: cx.now,
        ended: None,
    }
}

/// Returns the month of a day, `2026-10`.
pub(super) fn month_of(day: Date) -> String {
    day.to_string().chars().take(7).collect()
}

/// Shows a proposal with where it stands.
pub(super) fn view(proposal: &Override, now: Timestamp) -> Value {
    show::merge(show::json_of(proposal), json!({ "state": proposal.state(now) }))
}

/// Ends the proposals that still wait, and the tasks about them.
fn close_waiting(
    cx: &mut Context<'_>,
    proposals: Vec<Override>,
    by: &str,
    how: Ended,
    why: &str,
) -> Result<(), Rejection> {
    for mut proposal in proposals.into_iter().filter(Override::waits) {
        let text = Some(why.to_owned());
        proposal.ended = Some(Ending { how, by: by.to_owned(), at: cx.now, text });
        cx.tx.save(&proposal)?;
        let closing = Closing { at: cx.now, by: by.to_owned(), text: why.to_owned() };
        let (subject, prefix) =
            (claim_subject(&proposal.claim), format!("item {}:", proposal.item));
        close_tasks(cx.tx, &subject, &[TaskKind::OverrideToConfirm], &prefix, &closing)?;
    }
    Ok(())
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Confirm,
    Reject,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirming {
    claim: String,
    item: Option<u32>,
    answer: Answer,
    text: Option<String>,
}

/// The second officer confirms or rejects; whoever proposed may only take it back.
pub(super) fn confirm(
    customs: &Customs,
    cx: &mut Context<'_>,
    caller: &Caller,
    input: Value,
) -> Result<Value, Rejection> {
    must_act_for(caller, &customs.config.customs)?;
    let input: Confirming = read("confirm", input)?;
    let (claim, mut item) = decide::find_item(cx, &input.claim, input.item)?;
    let proposals: Vec<Override> = cx.tx.select(&Override::of_item(&item.id()))?;
    let Some(proposal) = proposals.iter().rfind(|proposal| proposal.waits()).cloned() else {
        let text = format!("no override of item {} of claim {} waits", item.item, item.claim);
        return Err(refuse(ErrorKind::NotFound, "nothing-proposed", text));
    };
    let by = signed_by(caller);
    let is_own = proposal.officer.eq_ignore_ascii_case(&by);
    if matches!(input.answer, Answer::Reject) {
        let why = decide::required_text(input.text.as_deref(), "why it is rejected")?;
        let how = if is_own { Ended::Withdrawn } else { Ended::Rejected };
        close_waiting(cx, proposals, &by, how, &why)?;
        let verb = if is_own { "withdrawn" } else { "rejected" };
        let text = format!("item {}: the proposed override was {verb}: {why}", item.item);
        note(cx.tx, cx.now, &claim_subject(&item.claim), &by, text)?;
        let ended: Option<Override> = cx.tx.find(karvan_store::Record::key(&proposal))?;
        let shown = ended.map(|ended| view(&ended, cx.now));
        let state = item.state.name();
        let about = json!({ "claim": item.claim, "item": item.item, "state": state });
        return Ok(show::merge(about, json!({ "proposal": shown })));
    }
    if is_own {
        let text = format!("{by} proposed this; another officer must confirm it");
        return Err(refuse(ErrorKind::Forbidden, "same-officer", text));
    }
    if cx.now > proposal.until {
        let text =
            format!("the proposal could be confirmed until {}; propose anew", proposal.until);
        return Err(refuse(ErrorKind::Conflict, "proposal-expired", text));
    }
    if item.state.is_final() {
        return Err(decide::already_decided(cx, &item)?);
    }
    decide::refresh(customs, cx, &claim, &mut item)?;
    if item.assessments != proposal.assessment {
        let text = "the match has changed since this was proposed; look again and propose anew";
        return Err(refuse(ErrorKind::Conflict, "match-changed", text));
    }
    // A verification may have been opened since.
    suspending::must_be_free(cx, &item)?;
    let order = order_of(&proposal);
    let proposed = Proposed { by: proposal.officer.clone(), at: proposal.at };
    let confirmed = Confirmed { proposal, proposed };
    decide::carry_out(customs, cx, caller, Decided { claim, item }, order, Some(&confirmed))
}

fn order_of(proposal: &Override) -> Order {
    Order {
        input: Deciding {
            claim: proposal.claim.clone(),
            item: Some(proposal.item),
            decision: Choice::of(proposal.decision),
            reason: Some(proposal.reason),
            text: Some(proposal.text.clone()),
            quantity: proposal.quantity.clone(),
            security: None,
            propose: false,
        },
        decision: proposal.decision,
        words: Words { reason: proposal.reason, text: proposal.text.clone() },
    }
}

/// Ends what waits about an item that was decided, and keeps an override that one officer made.
pub(super) fn end(
    customs: &Customs,
    cx: &mut Context<'_>,
    item: &ClaimItem,
    record: &DecisionRecord,
    confirmed: Option<&Confirmed>,
) -> Result<(), Rejection> {
    let saved = record.duty.as_ref().map(|duty| duty.saved.clone());
    let mut waiting: Vec<Override> = cx.tx.select(&Override::of_item(&item.id()))?;
    if let Some(Confirmed { proposal, .. }) = confirmed {
        for kept in waiting.iter_mut().filter(|kept| kept.number == proposal.number) {
            kept.saved.clone_from(&saved);
        }
        return close_waiting(cx, waiting, &record.officer, Ended::Confirmed, "confirmed");
    }
    let next = waiting.last().map_or(1, |last| last.number + 1);
    close_waiting(cx, waiting, &record.officer, Ended::Superseded, "the item was decided")?;
    if record.overridden {
        let order = Order {
            input: Deciding {
                claim: item.claim.clone(),
                item: Some(item.item),
                decision: Choice::of(record.decision),
                reason: Some(record.reason),
                text: record.text.clone(),
                quantity: record.debited.clone(),
                security: None,
                propose: false,
            },
            decision: record.decision,
            words: Words { reason: record.reason, text: record.text.clone().unwrap_or_default() },
        };
        let made = new_override(customs, cx, item, &order, &record.officer);
        let ending =
            Ending { how: Ended::Alone, by: record.officer.clone(), at: cx.now, text: None };
        cx.tx.add(&Override { number: next, saved, ended: Some(ending), ..made })?;
    }
    Ok(())
}
