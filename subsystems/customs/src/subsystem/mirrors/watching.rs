//! Tells an officer of a month whose figures differ: one task per month, open until both sides
//! agree.
//!
//! A month is looked at when a whole report has come in, and again with each monthly report while
//! its task is open, since late declarations mend what differs.
//!
//! Not here: the comparison (`crate::mirror::compare`).

use karvan_subsystem::{Context, Rejection};
use karvan_types::Date;

use super::{Customs, MONTHS, compared, pages};
use crate::journal::{Closing, TaskKind, close_tasks, is_open, note, open_task};
use crate::messages::TradeFlow;
use crate::mirror::month_of;

const KIND: TaskKind = TaskKind::MirrorDiffers;
/// Who closes a task of this kind.
const BY: &str = "mirror";

/// Opens the task of a month whose figures differ, or closes it when they agree. A report of which
/// pages are missing says nothing yet.
pub(super) fn watch(customs: &Customs, cx: &mut Context<'_>, month: &str) -> Result<(), Rejection> {
    if !is_whole(customs, cx, month)? {
        return Ok(());
    }
    let flows = compared(customs, cx.tx, month)?;
    let subject = format!("mirror {month}");
    if flows.iter().any(|flow| flow.differing() > 0) {
        let text = format!(
            "the partner's figures of {month} differ from own records; see where with `karvan \
             customs mirror compare {month}`, and ask for what is missing"
        );
        return Ok(open_task(cx.tx, cx.now, KIND, &subject, text)?);
    }
    if is_open(cx.tx, &subject, KIND)? {
        let text = "the figures of both sides agree";
        let closing = Closing { at: cx.now, by: BY.to_owned(), text: text.to_owned() };
        close_tasks(cx.tx, &subject, &[KIND], "", &closing)?;
        note(cx.tx, cx.now, &subject, BY, text.to_owned())?;
    }
    Ok(())
}

/// Returns whether a report of the month is here and no page of any is missing. Each page asks, and
/// the comparison reads all lines of the month.
fn is_whole(customs: &Customs, cx: &Context<'_>, month: &str) -> Result<bool, Rejection> {
    let mut is_here = false;
    for flow in [TradeFlow::Export, TradeFlow::Import] {
        let pages = pages(cx.tx, customs.config.partner_nation(), flow, month)?;
        let Some(page) = pages.first() else { continue };
        if usize::try_from(page.of) != Ok(pages.len()) {
            return Ok(false);
        }
        is_here = true;
    }
    Ok(is_here)
}

/// Looks again at the months of the last year whose task is open.
pub(super) fn watch_again(
    customs: &Customs,
    cx: &mut Context<'_>,
    today: Date,
) -> Result<(), Rejection> {
    let mut day = today;
    for _ in 0..MONTHS {
        day = day.first_of_month().yesterday().unwrap_or(day);
        let month = month_of(day);
        if is_open(cx.tx, &format!("mirror {month}"), KIND)? {
            watch(customs, cx, &month)?;
        }
    }
    Ok(())
}
