//! What is done by the clock: due timers, each given to the module that set it.
//!
//! Timers are taken in batches. When a batch fails it is undone; then they are taken one by one,
//! and the one that fails is put off, so that it does not hold up the others.

use std::sync::atomic::Ordering;
use std::time::Duration;

use karvan_store::Read;
use karvan_subsystem::{Context, Rejection};
use karvan_types::Timestamp;

use super::{
    Customs, mirrors, parking, rebalancing, securing, sequence, silence, statements, transporting,
    unseen, verifying, waiting,
};
use crate::timers::{self, BATCH_MAX, Timer, TimerKind};

/// How long a timer whose work failed is put off.
const PUT_OFF: Duration = Duration::from_mins(10);

/// Returns whether anything is due, or what happens every night has yet to be set up.
pub(super) fn due(customs: &Customs, view: &dyn Read, now: Timestamp) -> Result<bool, Rejection> {
    Ok(timers::is_due(view, now)? || sequence::is_unset(customs, view, now)?)
}

/// Takes up a batch of what is due.
pub(super) fn run_due(customs: &Customs, cx: &mut Context<'_>) -> Result<(), Rejection> {
    let size = customs.batch.load(Ordering::Relaxed);
    for timer in timers::take_due(cx.tx, cx.now, size)? {
        fire(customs, cx, &timer)?;
    }
    // The nightly comparison sets itself up again when it is done; this is the first time.
    if sequence::is_unset(customs, cx.tx, cx.now)? {
        sequence::set_up_first(customs, cx)?;
        if customs.config.compare_every().is_some() {
            statements::arm(customs, cx)?;
        }
    }
    customs.batch.store((size * 2).min(BATCH_MAX), Ordering::Relaxed);
    Ok(())
}

/// After a failed batch: goes on one by one, and puts off the one that failed alone.
pub(super) fn put_off(
    customs: &Customs,
    cx: &mut Context<'_>,
    cause: &Rejection,
) -> Result<(), Rejection> {
    if customs.batch.swap(1, Ordering::Relaxed) > 1 {
        return Ok(());
    }
    for mut timer in timers::take_due(cx.tx, cx.now, 1)? {
        timer.due = cx.now.plus(PUT_OFF);
        timer.note = format!("put off, it failed at {}: {}", cx.now, cause.text);
        timers::set(cx.tx, &timer)?;
    }
    Ok(())
}

/// Gives a timer to its owner.
fn fire(customs: &Customs, cx: &mut Context<'_>, timer: &Timer) -> Result<(), Rejection> {
    match timer.kind {
        TimerKind::Balances => statements::run(customs, cx),
        TimerKind::MonthlyMirror => mirrors::monthly(customs, cx, timer),
        TimerKind::Receipt
        | TimerKind::ReceiptLate
        | TimerKind::Validation
        | TimerKind::ValidationLate => waiting::late(cx, timer),
        TimerKind::ParkedAsk | TimerKind::ParkedAlarm => parking::due(customs, cx, timer),
        TimerKind::NightlySequence => sequence::nightly(customs, cx, timer),
        TimerKind::NumberAsked => sequence::no_word(customs, cx, timer),
        TimerKind::Arrival => transporting::overdue(cx, timer),
        TimerKind::PartnerSilent => silence::silent(cx, timer),
        TimerKind::VerificationReminder => verifying::answered::remind(cx, timer),
        TimerKind::VerificationDue => verifying::answered::expire(customs, cx, timer),
        TimerKind::BalanceChanged => rebalancing::go_on(customs, cx, timer),
        TimerKind::GrantsUnseen => unseen::go_on(customs, cx, timer),
        TimerKind::SecurityEnds => securing::remind(cx, timer),
    }
}
