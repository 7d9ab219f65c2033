//! Rules of what is compared: ledger balances, sequence reports, mirror reports.

use karvan_types::Timestamp;

use super::super::Problems;
use super::instant;
use super::result::reference;
use crate::codes;
use crate::messages::{
    DocumentType, DrawCommitment, LedgerBalances, MirrorReport, Page, SequenceReport, SharingLevel,
};

/// Most lines on one page of a comparison.
pub(super) const LINES_MAX: usize = 1000;
/// Most pages of a comparison.
const PAGES_MAX: u32 = 10_000;
/// Most documents asked for at once.
const WANTED_MAX: usize = 100;
/// Most debits listed of one item of a certificate.
const DEBITS_MAX: usize = 100;

/// Checks a statement of balances.
pub(super) fn ledger(message: &LedgerBalances, now: Timestamp, problems: &mut Problems) {
    page(message.page, problems);
    instant("asOf", message.as_of, now, problems);
    lines("balances", message.balances.len(), problems);
    for (line, number) in message.balances.iter().zip(1..) {
        let pointer = format!("balances[{number}]");
        if line.lines.len() > DEBITS_MAX {
            let remedy = format!("list only the newest {DEBITS_MAX} debits of an item");
            problems.refuse(&format!("{pointer}/lines"), "ITEMS", remedy);
        }
        let units = [&line.debited.unit, &line.balance.unit];
        if units.into_iter().any(|unit| *unit != line.certified.unit) {
            let remedy = "certified, debited and balance are in one unit; convert them";
            problems.refuse(&pointer, "UNIT", remedy);
        } else if line.balance.value > line.certified.value {
            let remedy = "more is left than is certified; correct the balance";
            problems.refuse(&format!("{pointer}/balance"), "TOTAL", remedy);
        }
    }
}

/// Checks a sequence report.
pub(super) fn sequence(message: &SequenceReport, now: Timestamp, problems: &mut Problems) {
    instant("to", message.to, now, problems);
    if message.from > message.to {
        problems.refuse("from", "DATE", "the period begins after its end; correct one");
    }
    let count = message.streams.iter().map(|stream| stream.messages.len()).sum();
    lines("streams", count, problems);
    for (stream, number) in message.streams.iter().zip(1..) {
        for (sent, place) in stream.messages.iter().zip(1..) {
            if DocumentType::from_code(&sent.document_type).is_none() {
                let pointer = format!("streams[{number}]/messages[{place}]/documentType");
                problems.refuse(&pointer, "TYPE", "this is no document type of customs");
            }
        }
    }
    if message.wanted.len().max(message.unknown.len()) > WANTED_MAX {
        let remedy = format!("ask for at most {WANTED_MAX} documents at once");
        problems.refuse("wanted", "ITEMS", remedy);
    }
    let asked = message.wanted.iter().zip(1..).map(|(wanted, n)| (format!("wanted[{n}]"), wanted));
    let told = message.unknown.iter().zip(1..).map(|(other, n)| (format!("unknown[{n}]"), other));
    for (pointer, document) in asked.chain(told) {
        let kinds = &DocumentType::ALL;
        reference(&pointer, document, kinds, problems);
    }
}

/// Checks a mirror report.
pub(super) fn mirror(message: &MirrorReport, problems: &mut Problems) {
    page(message.page, problems);
    if !is_month(&message.month) {
        problems.refuse("month", "DATE", "write the month as YYYY-MM");
    }
    lines("totals", message.totals.len(), problems);
    lines("unmatched", message.unmatched.len(), problems);
    for (total, number) in message.totals.iter().zip(1..) {
        let pointer = format!("totals[{number}]");
        if codes::hs(&total.hs6).is_none() {
            let shown: String = total.hs6.chars().take(20).collect();
            let remedy = format!("`{shown}` is no code of HS {}", codes::HS_EDITION);
            problems.refuse(&format!("{pointer}/hs6"), "HS", remedy);
        }
        if total.value.is_some() && message.header.sharing_level == SharingLevel::L1 {
            let remedy = "values are not shared under level L1; leave them out";
            problems.refuse(&format!("{pointer}/value"), "SHARING", remedy);
        }
    }
    for (line, number) in message.unmatched.iter().zip(1..) {
        let kinds = [DocumentType::Export, DocumentType::Import];
        reference(&format!("unmatched[{number}]/document"), &line.document, &kinds, problems);
    }
}

/// Checks a commitment: it is worth something only when it comes before the period.
pub(super) fn commitment(message: &DrawCommitment, now: Timestamp, problems: &mut Problems) {
    if message.until < message.from {
        problems.refuse("until", "DATE", "the period ends before it begins; correct one");
    }
    // The sender's day may have begun some hours before that of UTC.
    if message.from < now.utc_date() {
        problems.refuse("from", "DATE", "the period has begun; commit before its first day");
    }
}

fn page(page: Page, problems: &mut Problems) {
    if page.number == 0 || page.number > page.of || page.of > PAGES_MAX {
        let remedy = format!("pages are counted from 1 to their number, at most {PAGES_MAX}");
        problems.refuse("page", "PAGE", remedy);
    }
}

fn lines(pointer: &str, count: usize, problems: &mut Problems) {
    if count > LINES_MAX {
        let remedy = format!("a page has at most {LINES_MAX} lines; use more pages");
        problems.refuse(pointer, "ITEMS", remedy);
    }
}

/// Returns whether a text is a month written `YYYY-MM`.
fn is_month(text: &str) -> bool {
    text.len() == 7 && format!("{text}-01").parse::<karvan_types::Date>().is_ok()
}
